const DIGITS = "1234567890";
const LETTERS = "abcdefghijklmnopqrstuvwxyz";

/** The most labels that each get a key of their own; of more, one types a part of the name. */
export const MOST_KEYED = LETTERS.length;

/** One key for each label: digits for up to ten, else letters, from the label's own name where they are free. None for more than `MOST_KEYED`. */
export function assignKeys(labels: readonly string[]): ReadonlyMap<string, string> {
  if (labels.length > MOST_KEYED) return new Map();
  if (labels.length <= DIGITS.length) return new Map(labels.map((label, place) => [label, DIGITS.charAt(place)]));
  const free = new Set(LETTERS);
  const keys = new Map<string, string>();
  // First letters first, over all labels, so that a label's later letter takes no other one's first.
  for (const candidates of [firstLetter, initials, letters]) {
    for (const label of labels) {
      const found = keys.has(label) ? undefined : candidates(label).find((letter) => free.has(letter));
      if (found === undefined) continue;
      free.delete(found);
      keys.set(label, found);
    }
  }
  for (const label of labels) {
    if (keys.has(label)) continue;
    const [found] = free;
    if (found === undefined) break;
    free.delete(found);
    keys.set(label, found);
  }
  return keys;
}

function letters(label: string): string[] {
  return plain(label).match(/[a-z]/g) ?? [];
}

function firstLetter(label: string): string[] {
  return letters(label).slice(0, 1);
}

function initials(label: string): string[] {
  return plain(label)
    .split(/[^a-z]+/)
    .map((word) => word.charAt(0))
    .filter(Boolean);
}

function plain(label: string): string {
  return label.normalize("NFD").toLowerCase();
}

/** The labels that a typed text finds: those that begin with it first, then those that contain it. */
export function matching(labels: readonly string[], typed: string): readonly string[] {
  const wanted = typed.trim().toLowerCase();
  if (!wanted) return labels;
  const found = labels.filter((label) => label.toLowerCase().includes(wanted));
  const rank = (label: string) => (label.toLowerCase() === wanted ? 0 : label.toLowerCase().startsWith(wanted) ? 1 : 2);
  return [...found].sort((one, other) => rank(one) - rank(other));
}
