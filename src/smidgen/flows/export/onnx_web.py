"""`--to onnx-web`: a folder that answers in the browser, offline: the graph, a page, and ONNX Runtime's web build beside it.

The graph is copied byte for byte, in the hub's layout for ONNX. smidgen's decisions after the graph (temperature, thresholds, the chain of
tags, the values of fields) are in `decision.json`, and the scripts of the page compute them in the browser. A tagger's texts are tokenized
by a separate script, because libraries do not return the positions of words in a text.
"""

from __future__ import annotations

import html
import importlib.resources
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from smidgen.bases import web_runtime
from smidgen.bundles.manifest import Manifest
from smidgen.bundles.open import Bundle
from smidgen.core.forms import FieldForm, Form
from smidgen.core.parts import PLAIN
from smidgen.engines.model_files import load_tokenizer
from smidgen.engines.onnx import open_session
from smidgen.flows.export.exporter import ExportNotes, ExportRefusal, copy_file, engine_of, form_of, licence_of, measured_line
from smidgen.stats import field_values
from smidgen.text import dates, numbers
from smidgen.text.tagging import TaggerReader

SHARED = ("style.css", "show.js", "run.js")
SCRIPTS = {
    "classify": ("classify/page.js", "classify/classify.js", "classify/pieces.js", "classify/decide.js"),
    "extract": ("extract/page.js", "extract/extract.js", "extract/tagger.js", "extract/tag.js", "extract/tokens.js"),
    "fields": (
        *("fields/page.js", "fields/fields.js", "fields/fill.js", "fields/schema.js", "fields/ways.js", "fields/numbers.js"),
        *("fields/dates.js", "extract/tagger.js", "extract/tag.js", "extract/tokens.js"),
    ),
}
"""The files of each kind of page; they lie side by side in the export."""
VENDORED = {
    "classify": ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm", "tokenizers.min.mjs"),
    "extract": ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"),
    "fields": ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"),
}
"""The files of the web runtime that each kind needs."""
DECIDED_BY = {
    "classify": ("labels", "multi_label", "temperature", "threshold", "unknown", "unknown_threshold"),
    "extract": ("kinds", "threshold", "span_slope", "span_shift", "temperature", "shift"),
    "fields": ("schema", "temperature", "shift"),
}
"""The fields of a form that decide on each kind of page."""
_ENGINES = ("onnx", "tagger")
"""The engines whose bundles consist of one graph."""
_ABOUT = {
    "classify": "Type a text and see its label.",
    "extract": "Type a text and see what is found in it.",
    "fields": "Type a text and see its fields.",
}


class OnnxWeb:
    """The target `onnx-web`."""

    summary = "a page that answers in the browser, offline, with all that it needs: labels, spans or fields"

    def check(self, bundle: Bundle) -> None:
        """See `ExportTarget`. It takes one ONNX graph that gives labels, or a tagger whose tokenizer the page's own script can run."""
        manifest = bundle.manifest
        engine_of(bundle, _ENGINES, "onnx-web")
        form = form_of(manifest)
        if not form.page:
            raise ExportRefusal("flows.onnx_web_needs_classifier_or_tagger", value=manifest.task)
        if manifest.engine.engine == "onnx":
            return
        told = json.loads((bundle.folder / "tokenizer.json").read_text(encoding="utf-8"))
        kinds = [(told.get(part) or {}).get("type") for part in ("model", "normalizer", "pre_tokenizer")]
        if kinds not in (["WordPiece", "BertNormalizer", "BertPreTokenizer"], ["WordPiece", None, "BertPreTokenizer"]):
            raise ExportRefusal("flows.onnx_web_needs_wordpiece_tokenizer", value=" ".join(map(str, kinds)))
        if form.answer_schema is not None:
            browser_schema(form.answer_schema)

    def write(self, bundle: Bundle, out: Path) -> ExportNotes:
        """See `ExportTarget`. Raises BaseError if the web runtime is missing and cannot be fetched."""
        manifest, form = bundle.manifest, form_of(bundle.manifest)
        kind = form.page
        runtime = web_runtime.pull()
        whole = manifest.engine.method == PLAIN
        graph = f"onnx/{'model' if whole else 'model_quantized'}.onnx"
        copy_file(bundle, "model.onnx", out / graph)
        copy_file(bundle, "tokenizer.json", out / "tokenizer.json")
        length = int(manifest.engine.options.get("max_length", 128 if kind == "classify" else 256))
        config = _tagger_config(form.tagging.kinds) if form.tagging is not None else _config(form, "fp32" if whole else "q8")
        decision = _tagger(bundle, form, length, graph) if form.tagging is not None else _classifier(bundle, form, length, graph)
        types = "token_type_ids" in [entry.name for entry in open_session(bundle.folder / "model.onnx").get_inputs()]
        texts = {
            "config.json": _json(config),
            "tokenizer_config.json": _json(_tokenizer_config(length, types)),
            "decision.json": _json(decision),
            "README.md": _readme(manifest, form),
            "index.html": _page(manifest, kind),
        }
        pages = importlib.resources.files("smidgen.flows.export") / "web"
        for name in (*SHARED, *SCRIPTS[kind]):
            texts[name.rpartition("/")[2]] = (pages / name).read_text(encoding="utf-8")
        for name, text in texts.items():
            (out / name).write_text(text, encoding="utf-8", newline="\n")
        _lend(runtime, VENDORED[kind], out / "vendor")
        note = "The browser's kernels are others than those it was measured with: scores can differ by a point in a hundred."
        return ExportNotes((note,), ("python3 -m http.server 8000",))


def browser_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema with each pattern translated for browsers, as `browserPattern`. Raises ExportRefusal for one without a translation."""
    made = {name: value for name, value in schema.items() if name != "description"}
    if "pattern" in made:
        made["browserPattern"] = browser_pattern(made["pattern"])
    if "properties" in made:
        made["properties"] = {name: browser_schema(node) for name, node in made["properties"].items()}
    if "items" in made:
        made["items"] = browser_schema(made["items"])
    return made


_CLASSES = {"d": r"\p{Nd}", "D": r"\P{Nd}", "w": r"\p{L}\p{N}_", "s": r"\p{White_Space}\x1c-\x1f"}
_SAME = frozenset("tnrfv")
_ENDS = {"A": "^", "Z": "$"}
_SYNTAX = frozenset("^$\\.*+?()[]{}|/")


def browser_pattern(pattern: str) -> str:
    """Translate a Python pattern to JavaScript's mode `u`. Raises ExportRefusal for syntax without an equivalent."""
    made, inside, place = [], False, 0
    while place < len(pattern):
        letter, following = pattern[place], pattern[place + 1 : place + 2]
        place += 1
        if letter == "\\":
            place += 1
            if following in _CLASSES:
                made.append(_CLASSES[following] if inside or following in "dD" else f"[{_CLASSES[following]}]")
            elif following in ("W", "S") and not inside:
                made.append(f"[^{_CLASSES[following.lower()]}]")
            elif following in _SAME or following in _SYNTAX or (inside and following == "-"):
                made.append(letter + following)
            elif following in _ENDS and not inside:
                made.append(_ENDS[following])
            elif following and not following.isalnum():
                made.append(following)
            else:
                raise ExportRefusal("flows.browser_reads_pattern_differently", value=pattern)
        elif inside and letter == "]":
            inside = False
            made.append(letter)
        elif inside and letter == "[":
            made.append("\\[")
        elif not inside and letter == "[":
            inside = True
            made.append(letter)
            if following == "^":
                made.append("^")
                place += 1
            if pattern[place : place + 1] == "]":  # a first bracket belongs to the class
                made.append("\\]")
                place += 1
        elif not inside and letter in "{}" and not _counts(pattern, place - 1):
            made.append("\\" + letter)
        elif not inside and letter == "]":
            made.append("\\]")
        elif not inside and letter in "*+?}" and following == "+":
            raise ExportRefusal("flows.browser_reads_pattern_differently", value=pattern)
        else:
            made.append(letter)
    return "".join(made)


_COUNT = re.compile(r"\{(?:\d+(?:,\d*)?|,\d+)\}")


def _counts(pattern: str, place: int) -> bool:
    """Whether the brace at a place belongs to a count such as `{2,5}`."""
    return any(found.start() <= place < found.end() and found[0][1] != "," for found in _COUNT.finditer(pattern))


def _lend(runtime: Path, names: tuple[str, ...], out: Path) -> None:
    """Copy the files of the runtime, with a list of their licences."""
    out.mkdir()
    lines = []
    for asset in web_runtime.ASSETS:
        if asset.name in names:
            shutil.copyfile(runtime / asset.name, out / asset.name)
            lines.append(f"{asset.name}: npm {asset.package} {asset.version}, {asset.licence}, SHA-256 {asset.sha256}")
    web_runtime.verified_files(out, names)
    (out / "LICENSES.txt").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def _classifier(bundle: Bundle, form: Form, length: int, graph: str) -> dict[str, Any]:
    """The facts for `classify.js` and `decide.js`."""
    tokenizer = load_tokenizer(bundle.folder / "tokenizer.json")
    tokenizer.no_padding()
    tokenizer.no_truncation()
    around = {"single": _around(tokenizer.encode("a")), "pair": _around(tokenizer.encode("a", "a"))}
    return {**_decided_by(form), "max_length": length, "graph": graph, **around}


def _around(encoding: Any) -> dict[str, Any]:
    """The special tokens before, between and after the texts of an encoding, and the type of each text's tokens."""
    special: list[dict[str, list[int]]] = [{"ids": [], "types": []}]
    types: list[int] = []
    before: int | None = None
    for number, kind, sequence in zip(encoding.ids, encoding.type_ids, encoding.sequence_ids, strict=True):
        if sequence is None:
            special[-1]["ids"].append(number)
            special[-1]["types"].append(kind)
        elif sequence != before:
            special.append({"ids": [], "types": []})
            types.append(kind)
            before = sequence
    return {"special": special, "types": types}


def _decided_by(form: Form) -> dict[str, Any]:
    """The facts of a form that decide, in the order of `DECIDED_BY`."""
    facts = form.facts()
    return {name: facts[name] for name in DECIDED_BY[form.page] if name in facts}


def _tagger(bundle: Bundle, form: Form, length: int, graph: str) -> dict[str, Any]:
    """The facts for `tag.js`, and for `fill.js` if the bundle gives fields."""
    from safetensors.numpy import load_file

    options = bundle.manifest.engine.options
    level, shaped = str(options.get("level", "words")), bool(options.get("shaped", False))
    reader = TaggerReader.of(load_tokenizer(bundle.folder / "tokenizer.json"), length, level, shaped, 0)
    table = load_file(bundle.folder / "chain.safetensors")["transitions"]
    return {
        **(fields_told(form) if isinstance(form, FieldForm) else _decided_by(form)),
        **{"level": level, "shaped": shaped, "room": reader.room, "before": reader.before, "after": reader.after, "graph": graph},
        "transitions": [[float(f"{weight:.9g}") for weight in row] for row in table],
    }


def fields_told(form: FieldForm) -> dict[str, Any]:
    """The facts of a form for `fill.js`: schema and plan, fitted values, and the names of numbers and months."""
    plan = {name: (form.tagged or {})[name] for name in ("kinds", "ways", "choices", "threshold")}
    schema = browser_schema(form.json_schema)
    assert {*plan["kinds"]} <= {path for path, _ in field_values.schema_paths(schema)}
    return {
        **_decided_by(form),
        **{"schema": schema, "plan": plan, "choices": plan["choices"], "numbers": numbers.vocabulary(), "months": dates.months()},
    }


def _config(form: Form, dtype: str) -> dict[str, Any]:
    """A config.json: an encoder with a head. Label names are in the order of the graph's outputs."""
    labels = form.options
    return {
        "architectures": ["BertForSequenceClassification"],
        "model_type": "bert",
        "problem_type": "multi_label_classification" if form.single_label is None else "single_label_classification",
        "id2label": {str(number): label for number, label in enumerate(labels)},
        "label2id": {label: number for number, label in enumerate(labels)},
        "transformers.js_config": {"dtype": dtype},
    }


def _tagger_config(kinds: Sequence[str]) -> dict[str, Any]:
    """A config.json: an encoder with a head on every token. Tags in the order of `text.tagging`."""
    tags = ["O", *(f"{part}-{kind}" for kind in kinds for part in "BIES")]
    return {
        "architectures": ["BertForTokenClassification"],
        "model_type": "bert",
        "id2label": dict(enumerate(tags)),
        "label2id": {tag: number for number, tag in enumerate(tags)},
    }


def _tokenizer_config(length: int, types: bool) -> dict[str, Any]:
    """The tokenizer's config. transformers.js gives token types with the class of BERT's tokenizers only."""
    return {"tokenizer_class": "BertTokenizer" if types else "PreTrainedTokenizerFast", "model_max_length": length}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def _page(manifest: Manifest, kind: str) -> str:
    """The page, with the model's name and its measured quality."""
    text = (importlib.resources.files("smidgen.flows.export") / "web" / "index.html").read_text(encoding="utf-8")
    said = {"TITLE": f"{manifest.name}: try it", "NAME": manifest.name, "ABOUT": _ABOUT[kind], "MEASURED": measured_line(manifest)}
    return re.sub("|".join(said), lambda found: html.escape(said[found[0]]), text)


def _readme(manifest: Manifest, form: Form) -> str:
    return _README.format(
        front=json.dumps(licence_of(manifest).lower() if licence_of(manifest) != "unknown" else "other"),
        pipeline=form.pipeline,
        title=manifest.name,
        measured=measured_line(manifest),
        use={"classify": _CLASSIFY, "extract": _EXTRACT, "fields": _FIELDS}[form.page],
    )


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
_FIELDS = """```js
import { load } from "./fields.js";

const read = await load();
console.log(await read("a text")); // { output, score, scores, spans, refused }
```

`output` is an object that fits the schema, or null, and then `refused` says why. A whole number over 2^53 is not given: JavaScript cannot
hold it."""
_README = """---
license: {front}
library_name: "onnx"
pipeline_tag: "{pipeline}"
---

# {title} in the browser

{measured}

`index.html` asks the model in the browser; no text leaves it. The folder holds all that it needs. A browser loads no modules from files,
so serve the folder, by any web server:

```
python3 -m http.server 8000
```

and open http://localhost:8000. No network is needed. In a page of your own:

{use}

`vendor/` holds ONNX Runtime's web build; `vendor/LICENSES.txt` says from where, and under which licence.
"""

part = OnnxWeb()
