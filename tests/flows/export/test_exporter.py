"""Bundles as the files of other programs: what is written asks, computes and decides as the bundle does; what cannot be is refused."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.llama import told
from tests.students.tiny_decoder import tiny_decoder

from smidgen.bundles.manifest import EngineEntry, Manifest, MetricInterval
from smidgen.bundles.open import Bundle, open_bundle
from smidgen.bundles.pack import pack
from smidgen.cli.main import code
from smidgen.compress.gguf_method import GgufMethod
from smidgen.compress.gguf_method import part_q8_0 as q8_0
from smidgen.core.errors import InputError
from smidgen.core.parts import EngineSpec
from smidgen.core.rows import Row
from smidgen.engines.model_files import ModelTokenizer
from smidgen.flows.export import ollama, onnx_web
from smidgen.flows.export.chat_template import fill_go_template, ollama_values
from smidgen.flows.export.decoder import DecoderBundle
from smidgen.flows.export.exporter import ExportRefusal, export, is_taken, other_targets
from smidgen.gguf import weights
from smidgen.gguf.header import read_metadata
from smidgen.parts import registry
from smidgen.store.files import file_hash
from smidgen.students.decoder_training.files import weights_of
from smidgen.students.decoder_training.prompts import chat_template, plain_ids, prompt_of, tokenizer_of
from smidgen.tasks.classify import part as classify
from smidgen.tasks.write import WriteSettings
from smidgen.tasks.write import part as write

TOLD = 'Describe the product in one "short" sentence.'
PRODUCT = "name: Oak stool; colour: natural"


def pack_writer(
    folder: Path,
    kind: str,
    instruction: str = TOLD,
    shots: tuple[tuple[str, str], ...] = (),
    template: bool = True,
    small: GgufMethod | None = None,
    schema: dict[str, Any] | None = None,
) -> Path:
    """A bundle of a decoder of a few thousand random numbers, packed as a build packs it."""
    # Random numbers of which none of the answers that are looked at has a token of a single byte, which the engine does not tell of.
    base, files = tiny_decoder(folder / "base", kind, seed=1), folder / "files"
    files.mkdir()
    if not template:
        facts = json.loads((base / "tokenizer_config.json").read_text(encoding="utf-8"))
        del facts["chat_template"]
        (base / "tokenizer_config.json").write_text(json.dumps(facts), encoding="utf-8")
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    weights.write(files / "model.gguf", weights_of(base), config, base, kind="f16", template=chat_template(base), eos_id=2, name="stools")
    shutil.copyfile(base / "tokenizer.json", files / "tokenizer.json")
    options = {
        "model": "model.gguf",
        "max_tokens": 24,
        "context": 512,
        "slots": 2,
        "cache": "f16",
        **prompt_of(base, instruction, shots).json(),
        **({"schema_of_answers": schema} if schema else {}),
    }
    spec = EngineSpec("llama", ("model.gguf", "tokenizer.json"), options, "f16")
    if small is not None:
        spec, files = small.apply(spec, files, folder / "small", ()), folder / "small"
    manifest = Manifest(
        name="Oak stools",
        created="2026-01-01T00:00:00+00:00",
        smidgen_version="0.1.0",
        task="extract" if schema else "write",
        form={"schema": schema, "derived": False, "instruction": instruction, "temperature": 1.0, "shift": 0.0}
        if schema
        else write.form([Row("a", "b c"), Row("d", "e f")], WriteSettings(instruction=instruction)).facts(),
        engine=EngineEntry.of(spec),
        student="decoder",
        headline="f1" if schema else "rougeL",
        metrics={"f1" if schema else "rougeL": MetricInterval(value=0.9, low=0.85, high=0.95, n=100)},
    )
    pack(files, manifest, folder / "bundle")
    return folder / "bundle"


@pytest.fixture(scope="module", params=["llama", "qwen2", "gemma3"])
def tiny_writer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack_writer(tmp_path_factory.mktemp("writer"), request.param)


def asked(bundle: Path, text: str) -> list[int]:
    """The prompt that the engine sends."""
    options = open_bundle(bundle).manifest.engine.options
    return [*options["before"], *plain_ids(tokenizer_of(bundle), text), *options["after"]]


def said(modelfile: str, instruction: str) -> str:
    """What stands in triple quotes behind an instruction of a Modelfile."""
    found = re.search(rf'^{instruction} """(.*?)"""$', modelfile, re.DOTALL | re.MULTILINE)
    assert found is not None, modelfile
    return found[1]


def test_every_target_says_what_it_writes() -> None:
    assert set(registry.names("flows.export")) == {"ollama", "lmstudio", "hf", "onnx-web"}


def test_ollama_asks_as_the_bundle_does(tiny_writer: Path, tmp_path: Path) -> None:
    done = export(tiny_writer, "ollama", tmp_path / "out")
    modelfile = (done.folder / "Modelfile").read_text(encoding="utf-8")
    template, system = said(modelfile, "TEMPLATE"), said(modelfile, "SYSTEM")
    assert system == TOLD
    talk = [{"role": "system", "content": system}, {"role": "user", "content": PRODUCT}]
    shown = fill_go_template(template, ollama_values(talk))
    # llama.cpp itself splits what Ollama would send it, and finds the ids that the bundle's engine sends.
    assert told(done.folder / "model.gguf", texts=[shown]).split == [asked(tiny_writer, PRODUCT)]
    assert "FROM ./model.gguf" in modelfile and 'PARAMETER stop "<|im_end|>"' in modelfile
    settings = dict(re.findall(r"^PARAMETER (\w+) (\S+)$", modelfile, re.MULTILINE))
    assert {name: settings[name] for name in ("temperature", "repeat_penalty", "num_ctx", "num_predict")} == {
        "temperature": "0",
        "repeat_penalty": "1",
        "num_ctx": "512",
        "num_predict": str(ollama.most_tokens(DecoderBundle.of(open_bundle(tiny_writer)))),
    }
    assert file_hash(done.folder / "model.gguf") == file_hash(tiny_writer / "model.gguf")
    readme = (done.folder / "README.md").read_text(encoding="utf-8")
    assert "ollama create oak-stools -f Modelfile\nollama run oak-stools\n" in readme


@pytest.mark.parametrize("how", ["examples", "no instruction"])
def test_ollama_with_other_prompts(tmp_path: Path, how: str) -> None:
    shots = (("name: Ash bench", "A bench of ash."),) if how == "examples" else ()
    bundle = pack_writer(tmp_path, "llama", "" if how == "no instruction" else TOLD, shots)
    modelfile = (export(bundle, "ollama", tmp_path / "out").folder / "Modelfile").read_text(encoding="utf-8")
    assert "\nSYSTEM" not in modelfile
    before = [{"role": "user", "content": "earlier"}, {"role": "assistant", "content": "said"}]
    template = said(modelfile, "TEMPLATE")
    talks = [[], before] if how == "examples" else [[]]
    shown = [fill_go_template(template, ollama_values([*talk, {"role": "user", "content": PRODUCT}])) for talk in talks]
    assert told(tmp_path / "out" / "model.gguf", texts=shown).split == [asked(bundle, PRODUCT)] * len(shown)


def test_a_base_without_a_chat_template(tmp_path: Path) -> None:
    """Its prompt ends in a space before the text, which the tokenizer joins to the text's first word where both are one text."""
    bundle = pack_writer(tmp_path, "llama", template=False)
    with pytest.raises(InputError, match=r"split into other tokens.*instruct model.*--to hf or lmstudio"):
        export(bundle, "ollama", tmp_path / "ollama")
    card = (export(bundle, "hf", tmp_path / "hf").folder / "README.md").read_text(encoding="utf-8")
    found = re.search(r"\[\[\*(\[.*?\]), \*text, \*(\[.*?\])\]\]", card)
    options = open_bundle(bundle).manifest.engine.options
    assert found is not None and [json.loads(ids) for ids in found.groups()] == [options["before"], options["after"]]
    assert "no chat template" in (export(bundle, "lmstudio", tmp_path / "studio").folder / "README.md").read_text(encoding="utf-8")


def test_ollama_refuses_a_template_that_has_no_like(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = pack_writer(tmp_path, "llama")
    real = read_metadata(bundle / "model.gguf")
    counted = real["tokenizer.chat_template"].replace("message['content']", "message['content'] + loop.index | string")
    assert counted != real["tokenizer.chat_template"]
    monkeypatch.setattr("smidgen.flows.export.decoder.read_metadata", lambda file: {**real, "tokenizer.chat_template": counted})
    # The prompt is then another than the template's: each message is answered alone, as the bundle asks it.
    alone = (export(bundle, "ollama", tmp_path / "alone").folder / "Modelfile").read_text(encoding="utf-8")
    assert "slice $.Messages" in alone
    late = real["tokenizer.chat_template"] + "{% if messages | length > 5 %}{{ 'Be brief.' }}{% endif %}"
    monkeypatch.setattr("smidgen.flows.export.decoder.read_metadata", lambda file: {**real, "tokenizer.chat_template": late})
    with pytest.raises(InputError, match=r"cannot be written in Go's template language.*smidgen serve"):
        export(bundle, "ollama", tmp_path / "never")
    assert not (tmp_path / "never").exists() and not [file for file in tmp_path.iterdir() if file.name.startswith(".never")]


def test_a_modelfile_that_would_be_read_otherwise_is_refused(tmp_path: Path) -> None:
    bundle = pack_writer(tmp_path, "llama", 'Say """so""".')
    with pytest.raises(InputError, match="three quotation marks"):
        export(bundle, "ollama", tmp_path / "out")


def test_lmstudio_gets_its_folders_and_the_file_as_it_is(tiny_writer: Path, tmp_path: Path) -> None:
    done = export(tiny_writer, "lmstudio", tmp_path / "out")
    file = done.folder / "smidgen" / "Oak-stools" / "Oak-stools-F16.gguf"
    assert file_hash(file) == file_hash(tiny_writer / "model.gguf")
    assert read_metadata(file)["tokenizer.chat_template"]
    assert TOLD in (done.folder / "README.md").read_text(encoding="utf-8")


SCHEMA = {
    "type": "object",
    "properties": {"order": {"type": "string"}, "count": {"type": ["integer", "null"]}},
    "required": ["order", "count"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def tiny_fields(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack_writer(tmp_path_factory.mktemp("fields"), "llama", schema=SCHEMA)


@pytest.mark.parametrize(
    ("target", "how"), [("ollama", '"format": schema'), ("lmstudio", '"response_format": held'), ("hf", "jsonschema.validate(answer")]
)
def test_the_schema_of_fields_goes_along(
    tiny_fields: Path, tmp_path: Path, target: str, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert code(["export", str(tiny_fields), "--to", target, "--out", str(out)]) == 0
    assert "holds only for answers that are held to schema.json" in " ".join(capsys.readouterr().out.split())
    written = json.loads((out / "schema.json").read_text(encoding="utf-8"))
    assert written == SCHEMA and list(written["properties"]) == ["order", "count"], "in the order that it was taught"
    readme = (out / "README.md").read_text(encoding="utf-8")
    assert "every answer held to its schema: f1 0.900" in readme and "holds only for answers that are held to schema.json" in readme
    (lines,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert how in lines
    compile(lines, "README.md", "exec")


@pytest.mark.parametrize("target", ["ollama", "lmstudio", "hf"])
def test_a_model_of_free_texts_has_no_schema(tiny_writer: Path, tmp_path: Path, target: str) -> None:
    done = export(tiny_writer, target, tmp_path / "out")
    assert not (done.folder / "schema.json").exists() and "schema" not in (done.folder / "README.md").read_text(encoding="utf-8")


def test_transformers_computes_what_the_engine_does(tiny_writer: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    done = export(tiny_writer, "hf", tmp_path / "out")
    model = AutoModelForCausalLM.from_pretrained(done.folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(done.folder)
    talk = [{"role": "system", "content": TOLD}, {"role": "user", "content": PRODUCT}]
    prompts = [tokenizer.apply_chat_template(talk, add_generation_prompt=True, return_dict=False), asked(tiny_writer, "naïve “café” 12")]
    assert prompts[0] == asked(tiny_writer, PRODUCT)
    engine = told(tiny_writer / "model.gguf", prompts, count=6).written
    for prompt, (ids, logs, _) in zip(prompts, engine, strict=True):
        assert len(ids) == 6
        with torch.no_grad():
            chances = torch.log_softmax(model(torch.tensor([[*prompt, *ids]])).logits[0, len(prompt) - 1 : -1], -1)
        assert chances.argmax(-1).tolist() == ids
        assert np.allclose([float(row[number]) for row, number in zip(chances, ids, strict=True)], logs, atol=2e-3)
    made = model.generation_config
    assert made.max_new_tokens == 24 and made.do_sample is False and set(np.ravel(made.eos_token_id)) >= {2}
    assert "apply_chat_template" in (done.folder / "README.md").read_text(encoding="utf-8")


def test_the_weights_are_those_of_the_packed_file(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    bundle = pack_writer(tmp_path, "llama", small=q8_0)
    stored = load_file(export(bundle, "hf", tmp_path / "out").folder / "model.safetensors")
    packed, trained = weights_of(bundle), weights_of(tmp_path / "base")
    assert stored.keys() == packed.keys() == trained.keys() and len(stored) == 20
    for name, own in packed.items():
        most = own.abs().max()
        assert (stored[name].float() - own).abs().max() <= 2**-11 * most
        assert own.dim() == 1 or (stored[name].float() - trained[name]).abs().max() > 2**-11 * most, "they are not those from before"
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "packed as q8-0" in card and "rounded" in card


@pytest.mark.parametrize(("asked", "context", "wanted"), [(0, 512, 240), (100, 512, 100), (0, 64, 24)])
def test_ollama_may_write_as_much_as_the_task_needs(asked: int, context: int, wanted: int, tmp_path: Path) -> None:
    """The bundle's own bound comes from its training rows, which may be few and short."""
    opened = open_bundle(pack_writer(tmp_path, "llama"))
    engine = opened.manifest.engine.model_copy(update={"options": {**opened.manifest.engine.options, "context": context}})
    form = {**opened.manifest.form, "max_tokens": asked}
    changed = replace(opened, manifest=opened.manifest.model_copy(update={"engine": engine, "form": form}))
    assert ollama.most_tokens(DecoderBundle.of(changed)) == wanted


@pytest.fixture(scope="module")
def web(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(bundle, "onnx-web", tmp_path_factory.mktemp("web") / "web").folder


def loaded_by(folder: Path) -> set[str]:
    """Every file that the page and its scripts load, as they name it."""
    found = set()
    for file in [folder / "index.html", *folder.glob("*.js")]:
        text = file.read_text(encoding="utf-8")
        assert "http://" not in text and "https://" not in text, "it asks nobody else"
        found |= set(re.findall(r'"\./([\w./-]+\.(?:js|mjs|json|wasm|css))"', text))
    return found


def test_a_page_has_all_that_it_loads(bundle: Path, web: Path) -> None:
    manifest = open_bundle(bundle).manifest
    graph = web / "onnx" / ("model.onnx" if manifest.engine.method == "fp32" else "model_quantized.onnx")
    assert file_hash(graph) == file_hash(bundle / "model.onnx")
    decision = json.loads((web / "decision.json").read_text(encoding="utf-8"))
    assert decision["labels"] == manifest.form["labels"] and decision["temperature"] == manifest.form["temperature"]
    assert decision["unknown_threshold"] == manifest.form["unknown_threshold"] and web / decision["graph"] == graph
    config = json.loads((web / "config.json").read_text(encoding="utf-8"))
    assert [config["id2label"][str(number)] for number in range(len(decision["labels"]))] == decision["labels"]
    assert json.loads((web / "tokenizer_config.json").read_text(encoding="utf-8"))["model_max_length"] == decision["max_length"]
    loaded = loaded_by(web)
    assert loaded >= {"page.js", "classify.js", "decide.js", "vendor/tokenizers.min.mjs", "vendor/ort-wasm-simd-threaded.wasm"}
    assert [name for name in loaded if not (web / name).is_file()] == []
    assert "npm" not in (web / "README.md").read_text(encoding="utf-8")
    assert sum(file.stat().st_size for file in web.rglob("*")) < 60e6


def test_a_page_says_what_it_is(web: Path, bundle: Path) -> None:
    page = (web / "index.html").read_text(encoding="utf-8")
    assert f"<title>{open_bundle(bundle).manifest.name}: try it</title>" in page and "<main>" in page and 'lang="en"' in page
    assert "prefers-color-scheme: dark" in (web / "style.css").read_text(encoding="utf-8") and "light dark" in page
    assert re.search(r"accuracy 0\.\d{3}", page), "how good it is"


def test_a_name_is_no_markup(bundle: Path) -> None:
    manifest = open_bundle(bundle).manifest.model_copy(update={"name": "<script>alert(1)</script> TITLE & NAME"})
    page = onnx_web._page(manifest, "classify")
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)&lt;/script&gt; TITLE &amp; NAME" in page


def test_files_of_an_export_have_one_mode(web: Path, tiny_writer: Path, tmp_path: Path) -> None:
    exports = [web, *(export(tiny_writer, name, tmp_path / name).folder for name in ("ollama", "lmstudio", "hf"))]
    modes = {file.stat().st_mode & 0o777 for folder in exports for file in folder.rglob("*") if file.is_file()}
    assert modes == {0o644} or os.name == "nt"
    assert len(exports) == 4


def test_without_the_runtime_and_a_network_it_says_how_to_bring_it(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SMIDGEN_WEB_RUNTIME_URL", "http://127.0.0.1:9/npm")
    assert code(["export", str(bundle), "--to", "onnx-web", "--out", str(tmp_path / "out")]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "smidgen pull onnx-web" in said and "smidgen kit" in said and str(tmp_path / "home" / "web") in said.replace(" ", "")
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
def test_the_page_reads_as_the_engine_does(bundle: Path, web: Path, tmp_path: Path) -> None:
    """Token numbers and types of texts and pairs, special tokens around them, cut to the model's length."""
    long = "where is my parcel, and what of the oak stool? " * 20
    texts: list[Any] = [
        "where is my parcel?",
        "",
        "naïve CAFÉ — “x” 日本 😀",
        "[SEP] [MASK] of",
        long,
        ("a b", "c"),
        (long, "c"),
        ("c", long),
        (long, long),
    ]
    decision = json.loads((web / "decision.json").read_text(encoding="utf-8"))
    script = """
import { Tokenizer } from "./vendor/tokenizers.min.mjs"; import { joined } from "./pieces.mjs"; import fs from "fs";
const { texts, decision } = JSON.parse(fs.readFileSync(0)), t = new Tokenizer(JSON.parse(fs.readFileSync("tokenizer.json")), {});
const ids = (text) => t.encode(text, { add_special_tokens: false }).ids;
console.log(JSON.stringify(texts.map((x) => typeof x === "string" ? joined([ids(x)], decision.single, decision)
  : joined(x.map(ids), decision.pair, decision))));
"""
    shutil.copytree(web / "vendor", tmp_path / "vendor")
    shutil.copyfile(web / "tokenizer.json", tmp_path / "tokenizer.json")
    shutil.copyfile(web / "pieces.js", tmp_path / "pieces.mjs")
    (tmp_path / "run.mjs").write_text(script, encoding="utf-8")
    found = 0
    for length in (decision["max_length"], 9, 8):
        given = json.dumps({"texts": texts, "decision": {**decision, "max_length": length}})
        done = subprocess.run(["node", "run.mjs"], cwd=tmp_path, input=given, capture_output=True, text=True, check=True, encoding="utf-8")
        wanted = [{"ids": e.ids, "types": e.type_ids} for e in ModelTokenizer(bundle, length).encode(texts)]
        assert json.loads(done.stdout) == wanted
        found += len(wanted)
    assert found == 27


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
@pytest.mark.parametrize("kind", ["plain", "unknown, taught", "unknown", "several"])
def test_the_page_decides_as_the_task_does(web: Path, kind: str, tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    labels = ["a", "b/c", "b/d", "é"]
    form: dict[str, Any] = {"labels": labels, "multi_label": kind == "several", "temperature": 0.7}
    if kind == "several":
        form["threshold"] = 0.4
    if kind.startswith("unknown"):
        form |= {"unknown": "none", "unknown_examples": 3, "unknown_threshold": 0.6}
    logits = random.normal(0, 2, (60, len(labels) + (kind == "unknown, taught")))
    (tmp_path / "decide.mjs").write_text((web / "decide.js").read_text(encoding="utf-8"), encoding="utf-8")
    script = 'import { decide } from "./decide.mjs"; import fs from "fs"; const { rows, form } = JSON.parse(fs.readFileSync(0)); '
    (tmp_path / "run.mjs").write_text(script + "console.log(JSON.stringify(rows.map((row) => decide(row, form))));", encoding="utf-8")
    given = json.dumps({"rows": logits.tolist(), "form": {name: form[name] for name in onnx_web.DECIDED_BY["classify"] if name in form}})
    done = subprocess.run(["node", "run.mjs"], cwd=tmp_path, input=given, capture_output=True, text=True, check=True)
    replies, found = classify.decode({"logits": logits}, classify.read_form(form)), json.loads(done.stdout)
    assert len(found) == len(replies) == 60
    if kind != "several":
        assert len({reply.output for reply in replies}) >= 4
    for reply, got in zip(replies, found, strict=True):
        assert got["output"] == reply.output and got["score"] == pytest.approx(reply.score, abs=1e-9)
        assert [name for name, _ in got["alternatives"]] == [name for name, _ in reply.alternatives]
        assert np.allclose([chance for _, chance in got["alternatives"]], [chance for _, chance in reply.alternatives], atol=1e-9)


SCHEMA_OF_ALL = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


def kinds_of_bundle(bundle: Path, writer: Path, adapter: bool = False) -> dict[str, Bundle]:
    """Bundles of every student and task, as their manifests tell them: of which engine, form and student."""
    graph, decoder = open_bundle(bundle), open_bundle(writer)
    spans = {"kinds": ["a"], "only": False, "threshold": 0.5, "span_slope": 1.0, "span_shift": 0.0, "temperature": 1.0, "shift": 0.0}
    plan = {"kinds": ["a"], "ways": [{"kind": "number", "mark": ".", "list": False, "distinct": True}], "choices": [], "threshold": 0.5}
    fields = {"schema": SCHEMA_OF_ALL, "derived": False, "instruction": "x", "temperature": 1.0, "shift": 0.0}

    def told(of: Bundle, engine: str, task: str, form: dict[str, Any] | None = None) -> Bundle:
        entry = of.manifest.engine.model_copy(update={"engine": engine})
        more = {"engine": entry, "task": task, **({"form": form} if form is not None else {})}
        return replace(of, manifest=of.manifest.model_copy(update=more))

    found = {
        "classify encoder": graph,
        **{f"classify {engine}": told(graph, engine, "classify") for engine in ("static", "linear", "blend")},
        "extract tagger": told(graph, "tagger", "extract", spans),
        "extract lexical": told(graph, "lexical", "extract", spans),
        "fields tagger": told(graph, "tagger", "extract", {**fields, "tagged": plan}),
        "fields tagger, a hard pattern": told(
            graph,
            "tagger",
            "extract",
            {**fields, "schema": {**SCHEMA_OF_ALL, "properties": {"a": {"type": "string", "pattern": "a++"}}}, "tagged": plan},
        ),
        "fields decoder": told(decoder, "llama", "extract", fields),
        "write decoder": decoder,
        "write prompted": told(decoder, "llama", "write"),
    }
    options = {**decoder.manifest.engine.options, "adapters": {"own": "tokenizer.json"}, "adapter": "own"}
    entry = decoder.manifest.engine.model_copy(update={"options": options})
    found["write adapter"] = replace(decoder, manifest=decoder.manifest.model_copy(update={"engine": entry}))
    return found


def test_a_refusal_names_only_what_takes_the_bundle(bundle: Path, tiny_writer: Path, tmp_path: Path) -> None:
    """Every student, task and target: what is refused is not sent to where it is refused again, and everything is sent somewhere."""
    refused, named = 0, set()
    for which, opened in kinds_of_bundle(bundle, tiny_writer).items():
        accepted = [name for name in registry.names("flows.export") if is_taken(opened, name)]
        for name in registry.names("flows.export"):
            if name in accepted:
                continue
            refused += 1
            with pytest.raises(ExportRefusal) as caught:
                registry.find("flows.export", name).check(opened)
            said = f"{caught.value.what} {other_targets(opened, name, caught.value.todo)}"
            offered = [other for offer in re.findall(r"--to (.*?), or serve", said) for other in offer.split(" or ")]
            assert offered == accepted and "--to" not in said.replace(f"--to {' or '.join(accepted)}", ""), (which, name)
            assert "smidgen serve" in said
            for student in re.findall(r"--student ([\w-]+)", said):
                assert student in {"classify": ("encoder",), "extract": ("tagger",)}[opened.manifest.task]
            named |= set(offered)
    assert refused >= 25 and named >= {"ollama", "onnx-web"}
    assert is_taken(kinds_of_bundle(bundle, tiny_writer)["fields tagger"], "onnx-web"), "what the shipped recipe builds"


@pytest.mark.parametrize(
    ("which", "target", "other"),
    [
        ("bundle", "ollama", "onnx-web"),
        ("bundle", "hf", "onnx-web"),
        ("bundle", "lmstudio", "onnx-web"),
        ("writer_bundle", "onnx-web", "ollama"),
    ],
)
def test_what_cannot_be_handed_over_is_refused_with_what_to_do(
    which: str, target: str, other: str, request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder: Path = request.getfixturevalue(which)
    assert code(["export", str(folder), "--to", target, "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "cannot be exported" in said and other in said
    assert ("--task write" in said) == (which == "bundle"), "the build that it would take"
    assert not (tmp_path / "out").exists()


def test_on_the_command_line(
    writer_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert code(["export", str(writer_bundle), "--to", "ollama", "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert done["to"] == "ollama" and done["folder"] == "writer-ollama" and set(done["files"]) == {"Modelfile", "README.md", "model.gguf"}
    assert done["files"]["model.gguf"]["sha256"] == file_hash(writer_bundle / "model.gguf")
    assert code(["export", str(writer_bundle), "--to", "ollama"]) == 2 and "is not empty" in capsys.readouterr().err
    assert code(["export", str(writer_bundle), "--to", "olama"]) == 2 and "Did you mean 'ollama'?" in capsys.readouterr().err
    broken = tmp_path / "broken"
    shutil.copytree(writer_bundle, broken)
    with (broken / "tokenizer.json").open("ab") as stream:
        stream.write(b" ")
    assert code(["export", str(broken), "--to", "lmstudio", "--out", "x"]) == 1 and "tokenizer.json" in capsys.readouterr().err
