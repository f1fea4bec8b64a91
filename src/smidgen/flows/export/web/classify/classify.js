// Classifies texts in the browser, from files of this folder alone. `decide` turns what the model computes into an answer exactly as
// smidgen does: the model's numbers are divided by the temperature that was fitted to them, and a text unlike all labels is answered so.

import { Tokenizer } from "./vendor/tokenizers.min.mjs";
import { decide } from "./decide.js";
import { joined } from "./pieces.js";
import { open } from "./run.js";

/** Loads the model. Gives a function: a text (or a pair of texts, where the model takes pairs) to a promise of its answer. */
export async function load() {
  const { json, run, decision } = await open();
  const tokenizer = new Tokenizer(await json("./tokenizer.json"), {});
  const longest = decision.max_length * 100; // characters, as smidgen cuts before it counts tokens
  const ids = (text) => tokenizer.encode([...text].slice(0, longest).join(""), { add_special_tokens: false }).ids;
  return async (text, second = null) => {
    const whole = second === null ? joined([ids(text)], decision.single, decision) : joined([ids(text), ids(second)], decision.pair, decision);
    const { logits } = await run(whole);
    return decide(Array.from(logits.data, Number), decision);
  };
}
