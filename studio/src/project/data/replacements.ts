const PLACEHOLDER = /(\[[A-Z_]+_\d+\])/;

export interface TextPart {
  /** The text as it was; empty where nothing stood. */
  before: string;
  /** The placeholder that takes its place; null for a part that stays. */
  after: string | null;
}

/** The parts of a text, and what takes the place of each. Null where the two texts cannot be laid side by side. */
export function partsOf(before: string, after: string): readonly TextPart[] | null {
  const pieces = after.split(PLACEHOLDER);
  const parts: TextPart[] = [];
  let place = 0;
  for (let at = 0; at < pieces.length; at += 2) {
    const kept = pieces[at] ?? "";
    const last = at === pieces.length - 1;
    const found = last ? before.length - kept.length : at === 0 ? 0 : before.indexOf(kept, place);
    if (found < place || !before.startsWith(kept, found) || (at === 0 && last && found !== 0)) return null;
    if (at > 0) parts.push({ before: before.slice(place, found), after: pieces[at - 1] ?? "" });
    if (kept) parts.push({ before: kept, after: null });
    place = found + kept.length;
  }
  return parts;
}
