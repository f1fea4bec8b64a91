// Reads a text with the tagger of this folder: its windows, and for each the log weights of every token.

import { read } from "./tag.js";
import { tokenizer } from "./tokens.js";
import { open } from "./run.js";

/** Opens the tagger. Gives `decision` and `weigh`: a text to a promise of `{ reading, tables }`, see tag.js. */
export async function tagger() {
  const { json, run, decision } = await open();
  const tokenize = tokenizer(await json("./tokenizer.json"));
  const weigh = async (text) => {
    const reading = read(text, tokenize, decision);
    const tables = [];
    for (const { ids, shapes } of reading.windows) {
      const { logits } = await run({ ids, types: shapes });
      const width = logits.dims[2];
      tables.push(ids.map((_, row) => Array.from(logits.data.slice(row * width, (row + 1) * width))));
    }
    return { reading, tables };
  };
  return { decision, weigh };
}
