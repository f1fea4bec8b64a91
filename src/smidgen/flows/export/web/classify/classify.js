// Classifies texts in the browser, from files of this folder alone. `decide` turns what the model computes into an answer exactly as
// smidgen does: the model's numbers are divided by the temperature that was fitted to them, and a text unlike all labels is answered so.

import { decide } from "./decide.js";
import { AutoTokenizer, AutoModelForSequenceClassification, env } from "./vendor/transformers.min.js";

env.allowRemoteModels = false; // nothing is asked of a hub
env.allowLocalModels = true;
env.localModelPath = new URL(".", import.meta.url).href;
env.backends.onnx.wasm.wasmPaths = new URL("./vendor/", import.meta.url).href;

const HERE = "."; // the model is this folder

/** Loads the model. Gives a function: a text (or a pair of texts, where the model takes pairs) to a promise of its answer. */
export async function load() {
  const decision = await (await fetch(new URL("./decision.json", import.meta.url))).json();
  const tokenizer = await AutoTokenizer.from_pretrained(HERE);
  const model = await AutoModelForSequenceClassification.from_pretrained(HERE, { dtype: decision.dtype });
  return async (text, second = null) => {
    const longest = decision.max_length * 100; // as smidgen cuts before it counts tokens
    const options = { truncation: true, max_length: decision.max_length };
    if (second !== null) options.text_pair = second.slice(0, longest);
    const inputs = await tokenizer(text.slice(0, longest), options);
    const { logits } = await model(inputs);
    return decide(Array.from(logits.data, Number), decision);
  };
}
