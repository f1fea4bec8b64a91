// Finds spans in texts in the browser, from files of this folder alone.

import * as ort from "./vendor/ort.wasm.min.mjs";
import { answer, read } from "./tag.js";
import { tokenizer } from "./tokens.js";

const here = (name) => new URL(name, import.meta.url).href;
const json = async (name) => (await fetch(here(name))).json();

/** Loads the model. Gives a function: a text to a promise of { spans, score }. */
export async function load() {
  ort.env.wasm.wasmPaths = here("./vendor/");
  ort.env.wasm.numThreads = 1; // more need headers that a plain web server does not send
  const told = await json("./decision.json");
  const tokenize = tokenizer(await json("./tokenizer.json"));
  const session = await ort.InferenceSession.create(here(told.graph));
  const numbers = (list) => new ort.Tensor("int64", BigInt64Array.from(list, BigInt), [1, list.length]);

  const run = async ({ ids, shapes }) => {
    const given = { input_ids: numbers(ids), attention_mask: numbers(ids.map(() => 1)), token_type_ids: numbers(shapes) };
    const asked = Object.fromEntries(session.inputNames.map((name) => [name, given[name]]));
    const { logits } = await session.run(asked);
    const width = logits.dims[2];
    return ids.map((_, row) => Array.from(logits.data.slice(row * width, (row + 1) * width)));
  };

  let last = Promise.resolve(); // a session takes one text at a time
  return (text) => {
    const mine = last.then(async () => {
      const reading = read(text, tokenize, told);
      const tables = [];
      for (const window of reading.windows) tables.push(await run(window));
      return answer(reading, tables, told);
    });
    last = mine.catch(() => {});
    return mine;
  };
}
