"""Many small models on one base: what is taught lies beside the base's weights, which are held once, and each request has its own."""

from __future__ import annotations

import csv
import json
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from tests.engines.llama_model import write_lora
from tests.llama import told
from tests.students.tiny_decoder import CONFIG, tiny_decoder

from smidgen.bundles.manifest import EngineEntry, Manifest
from smidgen.bundles.open import open_bundle
from smidgen.bundles.pack import pack
from smidgen.compress.gguf_method import part_q8_0 as q8_0
from smidgen.core.errors import BundleError, EngineError, InputError, RecipeError
from smidgen.core.parts import Base, EngineSpec, Training, Workspace
from smidgen.core.progress import Silent
from smidgen.core.rows import Row
from smidgen.flows.build.pipeline import build
from smidgen.flows.export.exporter import export
from smidgen.flows.local_model import Model, load, load_all
from smidgen.gguf import weights as weights_module
from smidgen.gguf.header import read_metadata
from smidgen.parts.recipe import make
from smidgen.server.app import create_app
from smidgen.server.settings import ServeSettings
from smidgen.store.files import file_hash
from smidgen.students import decoder
from smidgen.students.decoder import DecoderSettings
from smidgen.students.decoder_training.files import weights_of
from smidgen.students.decoder_training.prompts import chat_template, prompt_of
from smidgen.tasks.write import WriteSettings
from smidgen.tasks.write import part as write

NAMES = ("first", "second", "third")
TEXTS = [f"colour: {colour}; thing: {thing}" for colour in ("red", "blue", "gold") for thing in ("vase", "lamp", "rug")]


def pack_bundle(files: Path, out: Path, spec: EngineSpec) -> Path:
    manifest = Manifest(
        name=out.name,
        created="2026-01-01T00:00:00+00:00",
        smidgen_version="0.1.0",
        task="write",
        form=write.form([Row("a", "b c"), Row("d", "e f")], WriteSettings(instruction="Write.")).facts(),
        engine=EngineEntry.of(spec),
        student="decoder",
        headline="rougeL",
    )
    pack(files, manifest, out)
    return out


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three bundles of one base of a few thousand random numbers, each with an adapter of its own, and different lengths of context."""
    folder = tmp_path_factory.mktemp("shared")
    base, made = tiny_decoder(folder / "base"), []
    for number, name in enumerate(NAMES):
        files = folder / "files" / name
        files.mkdir(parents=True)
        config = json.loads((base / "config.json").read_text(encoding="utf-8"))
        weights, template = weights_of(base), chat_template(base)
        weights_module.write(files / "model.gguf", weights, config, base, kind="f16", template=template, eos_id=2, name="base")
        shutil.copyfile(base / "tokenizer.json", files / "tokenizer.json")
        write_lora(files / "adapter.gguf", number, 3.0, CONFIG["num_hidden_layers"], CONFIG["hidden_size"])
        options = {"model": "model.gguf", "max_tokens": 12, "context": 512 + 256 * number, "slots": 1 + number, "cache": "f16"}
        options |= {**prompt_of(base, f"Write, {name}.").json(), "adapters": {"taught": "adapter.gguf"}, "adapter": "taught"}
        spec = EngineSpec("llama", ("model.gguf", "tokenizer.json", "adapter.gguf"), options, "f16")
        made.append(pack_bundle(files, folder / name, spec))
    return made


@pytest.fixture(scope="module")
def alone(bundles: list[Path]) -> dict[str, list[str]]:
    """What each writes when it is served by itself."""
    found = {}
    for bundle in bundles:
        model = load(bundle, 1)
        found[model.name] = [reply.output for reply in model.predict(TEXTS)]
        model.close()
    assert len({tuple(texts) for texts in found.values()}) == 3, "each writes as no other does"
    return found


@pytest.fixture
def together(bundles: list[Path]) -> Iterator[list[Model]]:
    models = load_all(bundles, 1)
    yield models
    for model in models:
        model.close()


def pid(model: Model) -> int | None:
    found: int | None = model.runner.pid  # type: ignore[attr-defined]
    return found


def test_one_process_holds_them_all_and_each_writes_its_own(together: list[Model], alone: dict[str, list[str]]) -> None:
    assert len({pid(model) for model in together}) == 1 and [model.name for model in together] == list(NAMES)
    for _ in range(2):  # the second time each finds the others' prompts in the cache
        for model in together:
            assert [reply.output for reply in model.predict(TEXTS)] == alone[model.name]


def test_at_the_same_time_too(together: list[Model], alone: dict[str, list[str]]) -> None:
    """Over HTTP, by the model's name, all at once and in a mixed order."""
    got: dict[tuple[str, str], str] = {}
    with TestClient(create_app(together, ServeSettings()), base_url="http://127.0.0.1") as client:

        def ask(name: str, text: str) -> None:
            body = {"model": name, "messages": [{"role": "user", "content": text}]}
            got[name, text] = client.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]["content"]

        threads = [threading.Thread(target=ask, args=(name, text)) for text in TEXTS for name in NAMES]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
    assert len(got) == len(NAMES) * len(TEXTS)
    assert {name: [got[name, text] for text in TEXTS] for name in NAMES} == alone


def test_the_process_ends_with_the_last(bundles: list[Path], alone: dict[str, list[str]]) -> None:
    first, second = load_all(bundles[:2], 1)
    number = pid(first)
    assert number is not None
    first.close()
    first.close()
    assert second.predict(TEXTS[:1])[0].output == alone["second"][0] and pid(second) == number
    with pytest.raises(EngineError, match="closed"):
        first.predict(TEXTS[:1])
    second.close()
    assert pid(second) is None
    if os.name != "nt":
        with pytest.raises(ProcessLookupError):
            os.kill(number, 0)


def test_each_keeps_its_own_limits(together: list[Model]) -> None:
    assert [model.runner.options.context for model in together] == [512, 768, 1024]  # type: ignore[attr-defined]
    long = " ".join(["house"] * 800)
    assert [model.predict([long])[0].output != "" for model in together] == [False, False, True]


def test_other_weights_have_a_process_of_their_own(bundles: list[Path], writer_bundle: Path) -> None:
    models = load_all([bundles[0], writer_bundle, bundles[1]], 1)
    try:
        assert [model.name for model in models] == ["first", "writer", "second"]
        assert pid(models[0]) == pid(models[2]) != pid(models[1])
    finally:
        for model in models:
            model.close()


def test_a_changed_file_of_one_refuses_it(bundles: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(bundles[2], broken)
    with (broken / "adapter.gguf").open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        stream.write(b"\x7f")
    with pytest.raises(BundleError, match=r"adapter\.gguf"):
        load_all([bundles[0], broken], 1)


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two decoders taught on one base, different things, as adapters; still to be exported."""
    folder = tmp_path_factory.mktemp("taught")
    base, made = tiny_decoder(folder / "base"), []
    settings = DecoderSettings(adapter=True, epochs=8, learning_rate=0.02, precision="f32", rank=4, alpha=8)
    for number, said in enumerate(("A fine {}.", "We sell a {} here.")):
        rows = [Row(f"thing: {thing}", said.format(thing), at) for at, thing in enumerate(("vase", "lamp", "rug", "bowl"), 1)]
        form = write.form(rows, WriteSettings(instruction="Write."))
        made.append(folder / str(number))
        made[-1].mkdir()
        training = Training(rows, (), form, Base("tiny", base, "0" * 64, "unknown", "", "decoder"), settings, seed=number)
        decoder.part.fit(training, Workspace(made[-1], 1, Silent()))
    return made


def test_what_is_taught_lies_beside_the_base(taught: list[Path], tmp_path: Path) -> None:
    """The base's file is the same bytes in both, packed small too; the engine writes with it what torch writes with all in one."""
    hashes: dict[str, set[str]] = {"f16": set(), "q8-0": set(), "adapter": set()}
    for number, folder in enumerate(taught):
        out = tmp_path / str(number)
        out.mkdir()
        spec = decoder.part.export(folder, out)
        assert spec.files == ("model.gguf", "tokenizer.json", "adapter.gguf") and spec.options["adapter"] == "taught"
        small = q8_0.apply(spec, out, tmp_path / f"small-{number}", ())
        assert small.options == spec.options
        hashes["f16"].add(file_hash(out / "model.gguf"))
        hashes["q8-0"].add(file_hash(tmp_path / f"small-{number}" / "model.gguf"))
        hashes["adapter"].add(file_hash(tmp_path / f"small-{number}" / "adapter.gguf"))
        model = load(pack_bundle(out, tmp_path / f"bundle-{number}", spec), 1)
        try:
            wanted = decoder.part.raw(folder, ["thing: vase", "thing: mug"], 1)["texts"]
            assert [reply.output for reply in model.predict(["thing: vase", "thing: mug"])] == wanted and wanted[0]
        finally:
            model.close()
    assert {name: len(found) for name, found in hashes.items()} == {"f16": 1, "q8-0": 1, "adapter": 2}


def test_exports_of_an_adapter(taught: list[Path], tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    out = tmp_path / "files"
    out.mkdir()
    spec = decoder.part.export(taught[0], out)
    bundle = pack_bundle(out, tmp_path / "bundle", spec)
    prompt = [*spec.options["before"], 520, 1234, *spec.options["after"]]
    (ids, logs, _), (other, _, _) = (
        told(out / "model.gguf", [prompt], count=5, adapter=adapter).written[0] for adapter in (out / "adapter.gguf", None)
    )
    assert ids != other, "the adapter matters"
    model = AutoModelForCausalLM.from_pretrained(export(bundle, "hf", tmp_path / "hf").folder, dtype=torch.float32).eval()
    with torch.no_grad():
        chances = torch.log_softmax(model(torch.tensor([[*prompt, *ids]])).logits[0, len(prompt) - 1 : -1], -1)
    assert chances.argmax(-1).tolist() == ids
    assert np.allclose([float(row[number]) for row, number in zip(chances, ids, strict=True)], logs, atol=5e-3)

    ollama = export(bundle, "ollama", tmp_path / "ollama").folder
    assert "\nFROM ./model.gguf\nADAPTER ./adapter.gguf\n" in (ollama / "Modelfile").read_text(encoding="utf-8")
    assert file_hash(ollama / "adapter.gguf") == file_hash(bundle / "adapter.gguf")
    with pytest.raises(InputError, match="--adapter"):
        export(bundle, "lmstudio", tmp_path / "lmstudio")


@pytest.mark.parametrize(
    ("other", "said"), [({"method": "full"}, "lora"), ({"vocabulary": "trimmed"}, "whole vocabulary"), ({"qat": "q4-0"}, "apart")]
)
def test_what_cannot_be_an_adapter_is_refused_in_the_recipe(other: dict[str, str], said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        make({"task": "write", "data": {"train": "x.csv"}, "train": {"adapter": True, **other}})
    assert any("train.adapter" in mistake and said in mistake for mistake in caught.value.mistakes)


@pytest.mark.thorough
def test_a_build_ships_base_and_adapter(tmp_path: Path) -> None:
    """By the whole path: taught, exported, gated, packed, opened. The manifest holds the hashes of both files."""
    with (tmp_path / "train.csv").open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["product", "text"])
        for colour in ("red", "blue", "green", "black", "white", "grey", "pink", "gold"):
            rows.writerows([f"colour: {colour}; thing: {thing}", f"A {colour} {thing} for your home."] for thing in ("vase", "lamp", "rug"))
    recipe = make(
        {
            "name": "texts",
            "task": "write",
            "data": {"train": str(tmp_path / "train.csv"), "input": "product", "label": "text", "holdout": 0.15, "test_share": 0.25},
            "base": {"name": str(tiny_decoder(tmp_path / "base", whole=True))},
            "train": {"epochs": 30, "learning_rate": 0.01, "precision": "f32", "adapter": True},
            "compress": {"method": "none"},
            "write": {"instruction": "Write."},
        }
    )
    built = build(recipe, tmp_path / "texts", threads=1)
    assert built.report.parity is not None and built.report.parity.passed
    manifest = open_bundle(built.folder).manifest
    assert {"model.gguf", "adapter.gguf"} <= set(manifest.engine.files) and manifest.engine.options["adapter"] == "taught"
    for name in ("model.gguf", "adapter.gguf"):
        assert manifest.files[name].sha256 == file_hash(built.folder / name)
    assert len(read_metadata(built.folder / "model.gguf")["tokenizer.ggml.tokens"]) == 49152, "the base's vocabulary, whole"
    model = load(built.folder, 1)
    try:
        assert model.predict(["colour: red; thing: vase"])[0].output.startswith("A ")
    finally:
        model.close()
