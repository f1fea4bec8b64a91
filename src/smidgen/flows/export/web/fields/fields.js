// Fills in fields from texts in the browser, from files of this folder alone.

import { filler } from "./fill.js";
import { found, places } from "./tag.js";
import { tagger } from "./tagger.js";

/** Loads the model. Gives a function: a text to a promise of { output, score, scores, spans, refused }. `output` fits the schema, or is
 * null, and `refused` says why. `scores` has the model's own chance of each value; `spans` where the text says it, as places for slice. */
export async function load() {
  const { decision, weigh } = await tagger();
  const fill = filler(decision);
  return async (text) => {
    const { reading, tables } = await weigh(text);
    const reply = fill({ letters: reading.letters, ...found(reading, tables, decision) });
    const at = places(reading.letters);
    const spans = Object.entries(reply.spans).map(([path, own]) => [path, own.map(([start, end]) => [at[start], at[end]])]);
    return { ...reply, spans: Object.fromEntries(spans) };
  };
}
