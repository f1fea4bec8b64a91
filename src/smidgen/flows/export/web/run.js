// Runs the graph of this folder in the browser, on ONNX Runtime's WebAssembly build, which lies beside it.

import * as ort from "./vendor/ort.wasm.bundle.min.mjs";

const here = (name) => new URL(name, import.meta.url).href;

/** Opens the model. Gives `json`, which reads a file of the folder, `decision`, what is decided after the graph, and `run`: token numbers
 * and their types to a promise of the graph's outputs. One text is computed at a time. */
export async function open() {
  ort.env.wasm.wasmPaths = { wasm: here("./vendor/ort-wasm-simd-threaded.wasm") };
  ort.env.wasm.numThreads = 1; // more need headers that a plain web server does not send
  const json = async (name) => {
    const found = await fetch(here(name));
    if (!found.ok) throw new Error(`${name} is missing (${found.status})`);
    return found.json();
  };
  const decision = await json("./decision.json");
  const session = await ort.InferenceSession.create(here(decision.graph), { executionProviders: ["wasm"] });
  const numbers = (list) => new ort.Tensor("int64", BigInt64Array.from(list, BigInt), [1, list.length]);
  let last = Promise.resolve();
  const run = ({ ids, types }) => {
    const given = () => ({ input_ids: numbers(ids), attention_mask: numbers(ids.map(() => 1)), token_type_ids: numbers(types) });
    const mine = last.then(() => {
      const all = given();
      return session.run(Object.fromEntries(session.inputNames.map((name) => [name, all[name]])));
    });
    last = mine.catch(() => {});
    return mine;
  };
  return { json, run, decision };
}
