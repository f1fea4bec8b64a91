/** A number as a language writes thousands, without their separators: "10,000" in English, "10.000" in German. Else the text itself. */
export function ungrouped(text: string, language: string): string {
  const [separator, point] = language.startsWith("de") ? [".", ","] : [",", "."];
  return new RegExp(`^-?[1-9]\\d{0,2}(\\${separator}\\d{3})+(\\${point}\\d*)?$`).test(text) ? text.replaceAll(separator, "") : text;
}

/** A number that somebody typed, with a point or a comma before its decimals; null where it is none. */
export function typedNumber(text: string, language: string): number | null {
  const plain = ungrouped(text.trim(), language).replace(",", ".");
  return /^-?(\d+\.?\d*|\.\d+)$/.test(plain) ? Number(plain) : null;
}

/** The numbers that a field takes. */
export interface Bounds {
  least: number;
  most: number;
  whole?: boolean;
}

/** Whether a field takes this number. */
export function fits(value: number, { least, most, whole = false }: Bounds): boolean {
  return Number.isFinite(value) && value >= least && value <= most && (!whole || Number.isInteger(value));
}

/** A number as somebody would type it: with as many decimals as it has, and no separators of thousands. */
export function asTyped(value: number, language: string): string {
  return new Intl.NumberFormat(language, { useGrouping: false, maximumFractionDigits: 20 }).format(value);
}
