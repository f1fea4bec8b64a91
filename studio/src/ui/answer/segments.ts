/** A place in a text, in characters as Python counts them: one for each code point. */
export interface Place {
  start: number;
  end: number;
}

export interface Segment<P> {
  text: string;
  place: P | null;
}

/** A text cut at its places, which come in order; those that overlap an earlier one are left out. */
export function segments<P extends Place>(text: string, places: readonly P[]): Segment<P>[] {
  const letters = Array.from(text);
  const made: Segment<P>[] = [];
  let at = 0;
  const add = (end: number, place: P | null) => {
    if (end > at) made.push({ text: letters.slice(at, end).join(""), place });
    at = Math.max(at, end);
  };
  for (const place of [...places].sort((one, other) => one.start - other.start)) {
    if (place.start < at || place.end <= place.start) continue;
    add(place.start, null);
    add(Math.min(place.end, letters.length), place);
  }
  add(letters.length, null);
  return made;
}

export interface Weight extends Place {
  fall: number;
}

const LEAST = 0.02;

/** How strongly a word is drawn, from -1 (against the answer) to 1 (for it): as a share of the heaviest, where that weighs anything. */
export function strength(weight: Weight, all: readonly Weight[]): number {
  const heaviest = Math.max(LEAST, ...all.map((other) => Math.abs(other.fall)));
  const share = weight.fall / heaviest;
  return Math.abs(weight.fall) < LEAST / 2 || Math.abs(share) < 0.08 ? 0 : share;
}

/** The words that matter most, heaviest first. */
export function heaviest<W extends Weight>(all: readonly W[], most: number): W[] {
  return all
    .filter((weight) => strength(weight, all) !== 0)
    .sort((one, other) => Math.abs(other.fall) - Math.abs(one.fall))
    .slice(0, most);
}
