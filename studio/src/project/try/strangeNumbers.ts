const NUMBER = /\d+(?:[.,:]\d+)*/g;

/** The numbers of a text, each once, without signs between thousands. */
function numbersIn(text: string): string[] {
  return [...new Set((text.match(NUMBER) ?? []).map((one) => one.replace(/[.,](?=\d{3}(?!\d))/g, "").replace(",", ".")))];
}

/** Numbers that a written text states, and that do not occur in what it was written from. */
export function strangeNumbers(given: string, written: string): string[] {
  const known = numbersIn(given);
  return numbersIn(written).filter((one) => !known.includes(one));
}
