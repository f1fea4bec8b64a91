"""`--to onnx-web`: a classifier or a tagger as ONNX Runtime's web build runs it, with a page that asks it offline.

The graph goes over byte for byte, in the hub's layout for ONNX. What smidgen decides after the graph (temperature, thresholds, the chain of
tags) stands in `decision.json`, and the scripts of the page do the same sums in the browser. A classifier is read by transformers.js, which
its pipelines can do too; a tagger by scripts of its own, for transformers.js does not tell where words stand in a text.
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
from smidgen.engines.tokens import load_tokenizer
from smidgen.flows.export.target import Told, copied, engine_of, licence_of, measured_line
from smidgen.stats.tag_reader import Reader

CLASSIFY = ("index.html", "classify.js", "decide.js")
EXTRACT = ("index.html", "extract.js", "tag.js", "tokens.js")
CLASSIFIED = ("labels", "multi_label", "temperature", "threshold", "unknown", "unknown_threshold")
EXTRACTED = ("kinds", "threshold", "span_slope", "span_shift", "temperature", "shift")
"""What of a form is decided by."""
_GRAPHS = {"extract": "tagger"}
"""The student of a task whose bundle is one graph, where that is not the encoder."""
_INSTEAD = {
    "llama": "A writer is a decoder in a GGUF: export it --to ollama or lmstudio, or serve it: smidgen serve.",
}
_OTHERWISE = "Build one that has a graph alone: smidgen build with --student {student}. Or serve it: smidgen serve."
_FIELDS = "Build it with --student decoder and export that --to ollama, lmstudio or hf. Or serve it: smidgen serve."


class OnnxWeb:
    """The target `onnx-web`."""

    summary = "a classifier or tagger for ONNX Runtime in the browser, with a page that asks it, offline"

    def write(self, bundle: Bundle, out: Path) -> Told:
        """See `Target`. Raises InputError for a bundle that is not one ONNX graph, or whose tokenizer the page cannot run."""
        engines = ("onnx", "tagger")
        todo = _INSTEAD.get(bundle.manifest.engine.engine, _OTHERWISE.format(student=_GRAPHS.get(bundle.manifest.task, "encoder")))
        manifest = engine_of(bundle, engines, "onnx-web", todo)
        tags = manifest.engine.engine == "tagger"
        if "schema" in manifest.form:
            what = "a tagger that fills in fields cannot be exported to onnx-web: its page gives spans, and no object of them"
            raise InputError(what, value=str(bundle.folder), todo=_FIELDS)
        if ("kinds" if tags else "labels") not in manifest.form:
            raise InputError(
                "only classifiers and taggers can be exported to onnx-web", value=manifest.task, todo="Serve it: smidgen serve."
            )
        whole = manifest.engine.method == PLAIN
        graph = f"onnx/{'model' if whole else 'model_quantized'}.onnx"
        copied(bundle, "model.onnx", out / graph)
        copied(bundle, "tokenizer.json", out / "tokenizer.json")
        length = int(manifest.engine.options.get("max_length", 256 if tags else 128))
        dtype = "fp32" if whole else "q8"
        config = _tagger_config(manifest.form) if tags else _config(manifest.form, dtype)
        decision = _tagger(bundle, length, graph) if tags else _classifier(manifest.form, length, dtype)
        types = "token_type_ids" in [entry.name for entry in open_session(bundle.folder / "model.onnx").get_inputs()]
        texts = {
            "config.json": _json(config),
            "tokenizer_config.json": _json(_tokenizer_config(length, types)),
            "decision.json": _json(decision),
            "README.md": _readme(bundle, tags),
        }
        page = importlib.resources.files("smidgen.flows.export") / "web" / ("extract" if tags else "classify")
        texts |= {name: (page / name).read_text(encoding="utf-8") for name in (EXTRACT if tags else CLASSIFY)}
        for name, text in texts.items():
            (out / name).write_text(text, encoding="utf-8", newline="\n")
        runtime = "ONNX Runtime" if tags else "transformers.js"
        notes = (
            f"{runtime} itself is not in the folder: README.md says which files of it to put into vendor/, once.",
            "The browser's kernels are others than those it was measured with: scores can differ by a point in a hundred.",
        )
        return Told(notes, ("python3 -m http.server 8000",))


def _classifier(form: dict[str, Any], length: int, dtype: str) -> dict[str, Any]:
    """What `decide.js` and `classify.js` need to know."""
    return {**{name: form[name] for name in CLASSIFIED if form.get(name) is not None}, "max_length": length, "dtype": dtype}


def _tagger(bundle: Bundle, length: int, graph: str) -> dict[str, Any]:
    """What `tag.js` and `extract.js` need to know. Raises InputError for a tokenizer that is not BERT's WordPiece."""
    from safetensors.numpy import load_file

    told = json.loads((bundle.folder / "tokenizer.json").read_text(encoding="utf-8"))
    kinds = [(told.get(part) or {}).get("type") for part in ("model", "normalizer", "pre_tokenizer")]
    if kinds != ["WordPiece", "BertNormalizer", "BertPreTokenizer"]:
        raise InputError(
            "the page's own scripts run BERT's WordPiece tokenizers alone", value=" ".join(map(str, kinds)), todo="Serve it: smidgen serve."
        )
    manifest = bundle.manifest
    options = manifest.engine.options
    level, shaped = str(options.get("level", "words")), bool(options.get("shaped", False))
    reader = Reader.of(load_tokenizer(bundle.folder / "tokenizer.json"), length, level, shaped, 0)
    table = load_file(bundle.folder / "chain.safetensors")["transitions"]
    return {
        **{name: manifest.form[name] for name in EXTRACTED},
        **{"level": level, "shaped": shaped, "room": reader.room, "before": reader.before, "after": reader.after, "graph": graph},
        "transitions": [[float(f"{weight:.9g}") for weight in row] for row in table],
    }


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


def _tagger_config(form: dict[str, Any]) -> dict[str, Any]:
    """A config.json: an encoder with a head on every token. Tags as `stats.chains` numbers them."""
    tags = ["O", *(f"{part}-{kind}" for kind in form["kinds"] for part in "BIES")]
    return {
        "architectures": ["BertForTokenClassification"],
        "model_type": "bert",
        "id2label": dict(enumerate(tags)),
        "label2id": {tag: number for number, tag in enumerate(tags)},
    }


def _tokenizer_config(length: int, types: bool) -> dict[str, Any]:
    """transformers.js gives types of tokens with the class of BERT's tokenizers alone."""
    return {"tokenizer_class": "BertTokenizer" if types else "PreTrainedTokenizerFast", "model_max_length": length}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def _readme(bundle: Bundle, tags: bool) -> str:
    manifest = bundle.manifest
    return _README.format(
        front=json.dumps(licence_of(manifest).lower() if licence_of(manifest) != "unknown" else "other"),
        library="onnx" if tags else "transformers.js",
        pipeline="token-classification" if tags else "text-classification",
        title=manifest.name,
        measured=measured_line(manifest),
        runtime="ONNX Runtime's web build" if tags else "transformers.js",
        fetch=_FETCH_RUNTIME if tags else _FETCH_LIBRARY,
        use=_EXTRACT if tags else _CLASSIFY,
    )


_FETCH_LIBRARY = """npm install @huggingface/transformers@4
mkdir -p vendor
cp node_modules/@huggingface/transformers/dist/transformers.min.js vendor/
cp node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded*.mjs node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded*.wasm vendor/"""
_FETCH_RUNTIME = """npm install onnxruntime-web@1
mkdir -p vendor
cp node_modules/onnxruntime-web/dist/ort.wasm.min.mjs vendor/
cp node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.mjs node_modules/onnxruntime-web/dist/ort-wasm-simd-threaded.wasm vendor/"""
_CLASSIFY = """```js
import { load } from "./classify.js";

const classify = await load();
console.log(await classify("a text")); // { output, score, alternatives }
```

`onnx/`, `config.json` and the tokenizer are in the hub's layout, which transformers.js' pipelines read too. A pipeline gives the same
label; its scores are not calibrated, and it does not know when to answer with the label for texts that fit no other: `decide.js` does."""
_EXTRACT = """```js
import { load } from "./extract.js";

const extract = await load();
console.log(await extract("a text")); // { spans: [{ start, end, label, text, score }], score }
```

`start` and `end` are places for `text.slice`: they count UTF-16 units, where smidgen's own count characters. A pipeline for token
classification would not do: it knows neither the shapes of words nor the chain of tags, which are in `tag.js` and `decision.json`."""
_README = """---
license: {front}
library_name: "{library}"
pipeline_tag: "{pipeline}"
---

# {title} in the browser

{measured}

`index.html` asks the model in the browser; no text leaves it. It needs {runtime} beside it, once:

```
{fetch}
```

Modules are not loaded from files, so serve the folder, by any web server:

```
python3 -m http.server 8000
```

and open http://localhost:8000. From then on no network is needed. In a page of your own:

{use}
"""

part = OnnxWeb()
