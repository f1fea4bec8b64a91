"""`--to onnx-web`: a classifier as transformers.js and ONNX Runtime's web build read it, with a page that asks it offline.

The graph goes over byte for byte, in the hub's layout for ONNX. What smidgen decides after the graph (temperature, thresholds) stands in
`decision.json`, and `decide.js` does the same sums in the browser.
"""

from __future__ import annotations

import importlib.resources
import json
from pathlib import Path
from typing import Any

from smidgen.bundles.open import Bundle
from smidgen.core.errors import InputError
from smidgen.core.parts import PLAIN
from smidgen.engines.onnx_session import open_session
from smidgen.flows.export.target import Told, copied, engine_of, licence_of, measured_line

PAGE = ("index.html", "classify.js", "decide.js")
DECIDED = ("labels", "multi_label", "temperature", "threshold", "unknown", "unknown_threshold")
_INSTEAD = {
    "llama": "A writer is a decoder in a GGUF: export it --to ollama or lmstudio, or serve it: smidgen serve.",
    "tagger": "Where its words stand in the text, transformers.js does not tell. Serve it and ask it over HTTP: smidgen serve.",
}
_OTHERWISE = "Build one that has: smidgen build with --student encoder. Or serve it: smidgen serve."


class OnnxWeb:
    """The target `onnx-web`."""

    summary = "a classifier for transformers.js, with a page that asks it in the browser, offline"

    def write(self, bundle: Bundle, out: Path) -> Told:
        """See `Target`. Raises InputError for a bundle that is not one ONNX graph with a label for each output."""
        manifest = engine_of(bundle, ("onnx",), "onnx-web", _INSTEAD.get(bundle.manifest.engine.engine, _OTHERWISE))
        if "labels" not in manifest.form:
            raise InputError("only classifiers can be exported to onnx-web", value=manifest.task, todo="Serve it: smidgen serve.")
        whole = manifest.engine.method == PLAIN
        copied(bundle, "model.onnx", out / "onnx" / ("model.onnx" if whole else "model_quantized.onnx"))
        copied(bundle, "tokenizer.json", out / "tokenizer.json")
        length = int(manifest.engine.options.get("max_length", 128))
        inputs = [entry.name for entry in open_session(bundle.folder / "model.onnx").get_inputs()]
        dtype = "fp32" if whole else "q8"
        decision = {name: manifest.form[name] for name in DECIDED if manifest.form.get(name) is not None}
        texts = {
            "config.json": _json(_config(manifest.form, dtype)),
            "tokenizer_config.json": _json(_tokenizer_config(length, "token_type_ids" in inputs)),
            "decision.json": _json({**decision, "max_length": length, "dtype": dtype}),
            "README.md": _README.format(
                front=json.dumps(licence_of(manifest).lower() if licence_of(manifest) != "unknown" else "other"),
                title=manifest.name,
                measured=measured_line(manifest),
            ),
        }
        for name in PAGE:
            texts[name] = (importlib.resources.files("smidgen.flows.export") / "web" / name).read_text(encoding="utf-8")
        for name, text in texts.items():
            (out / name).write_text(text, encoding="utf-8", newline="\n")
        notes = (
            "transformers.js itself is not in the folder: README.md says which files of it to put into vendor/, once.",
            "The browser's kernels are others than those it was measured with: scores can differ by a point in a hundred.",
        )
        return Told(notes, ("python3 -m http.server 8000",))


def _config(form: dict[str, Any], dtype: str) -> dict[str, Any]:
    """A config.json: an encoder with a head. Names of labels by the graph's outputs."""
    labels = [*form["labels"]]
    if form.get("unknown") is not None:
        labels.append(form["unknown"])
    return {
        "architectures": ["BertForSequenceClassification"],
        "model_type": "bert",
        "problem_type": "multi_label_classification" if form.get("multi_label") else "single_label_classification",
        "id2label": {str(number): label for number, label in enumerate(labels)},
        "label2id": {label: number for number, label in enumerate(labels)},
        "transformers.js_config": {"dtype": dtype},
    }


def _tokenizer_config(length: int, types: bool) -> dict[str, Any]:
    """transformers.js gives types of tokens with the class of BERT's tokenizers alone."""
    return {"tokenizer_class": "BertTokenizer" if types else "PreTrainedTokenizerFast", "model_max_length": length}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


_README = """---
license: {front}
library_name: "transformers.js"
pipeline_tag: "text-classification"
---

# {title} in the browser

{measured}

`index.html` asks the model in the browser; no text leaves it. It needs transformers.js beside it, once:

```
npm install @huggingface/transformers@4
mkdir -p vendor
cp node_modules/@huggingface/transformers/dist/transformers.min.js vendor/
cp node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded*.mjs node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded*.wasm vendor/
```

Modules are not loaded from files, so serve the folder, by any web server:

```
python3 -m http.server 8000
```

and open http://localhost:8000. From then on no network is needed. In a page of your own:

```js
import {{ load }} from "./classify.js";

const classify = await load();
console.log(await classify("a text")); // {{ output, score, alternatives }}
```

`onnx/`, `config.json` and the tokenizer are in the hub's layout, which transformers.js' pipelines read too. A pipeline gives the same
label; its scores are not calibrated, and it does not know when to answer with the label for texts that fit no other: `decide.js` does.
"""

part = OnnxWeb()
