// Texts as a model of texts or pairs reads them: cut to its length, special tokens around and between.

/** `parts` are token numbers of one or two texts; `around` holds the special tokens before, between and behind, each `{ ids, types }`,
 * and `types`, the type of each text's tokens. */
export function joined(parts, around, { max_length: most }) {
  const special = around.special.reduce((sum, { ids }) => sum + ids.length, 0);
  const kept = cut(parts.map((part) => part.length), Math.max(0, most - special)).map((length, place) => parts[place].slice(0, length));
  const ids = [...around.special[0].ids], types = [...around.special[0].types];
  kept.forEach((part, place) => {
    ids.push(...part, ...around.special[place + 1].ids);
    types.push(...part.map(() => around.types[place]), ...around.special[place + 1].types);
  });
  return { ids, types };
}

/** How much is kept of one or two texts: of the longer is cut first. */
export function cut(lengths, most) {
  if (lengths.reduce((a, b) => a + b, 0) <= most) return lengths;
  if (lengths.length === 1) return [most];
  let [short, long] = lengths;
  const swap = short > long;
  if (swap) [short, long] = [long, short];
  long = short > most ? short : Math.max(short, most - short);
  if (short + long > most) {
    short = Math.floor(most / 2);
    long = short + (most % 2);
  }
  return swap ? [long, short] : [short, long];
}
