// Finds spans in texts in the browser, from files of this folder alone.

import { answer } from "./tag.js";
import { tagger } from "./tagger.js";

/** Loads the model. Gives a function: a text to a promise of { spans, score }. */
export async function load() {
  const { decision, weigh } = await tagger();
  return async (text) => {
    const { reading, tables } = await weigh(text);
    return answer(reading, tables, decision);
  };
}
