/** A number that somebody typed, with a point or a comma before its decimals; null where it is none. */
export function typedNumber(text: string): number | null {
  const plain = text.trim().replace(",", ".");
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
