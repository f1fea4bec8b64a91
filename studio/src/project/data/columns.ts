/** The columns a text is written from, with one more or one less of them, in the file's own order. */
export function toggled(chosen: readonly string[], name: string, columns: readonly string[]): string[] {
  return columns.filter((column) => (column === name ? !chosen.includes(name) : chosen.includes(column)));
}

/** Whether these columns can be added: there is a text, and it is not its own answer. */
export function canAdd(input: readonly string[], label: readonly string[]): boolean {
  return input.length > 0 && input.every(Boolean) && !label.some((name) => input.includes(name));
}
