"""The whole path on real weights: built, gated, stopped and resumed, damaged and refused, evaluated, predicted."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Container
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.build_steps import rows_of
from tests.flows.build.served_bundle import ServedBundle

from smidgen.cli.main import code
from smidgen.core.errors import BaseError, BundleError, DataError, GateError, InputError, RequestError
from smidgen.core.progress import Silent
from smidgen.flows.build import packaging
from smidgen.flows.build.candidates import choose_candidate
from smidgen.flows.build.footprint import measure_footprint
from smidgen.flows.build.pipeline import build
from smidgen.flows.evaluation import evaluate
from smidgen.flows.local_model import load
from smidgen.judge.report import read
from smidgen.parts import registry
from smidgen.parts.recipe import Recipe, make
from smidgen.students import blend


def wanted(tiny: tuple[Path, Path], **sections: Any) -> Recipe:
    train, test = tiny
    tree = {
        "name": "tiny",
        "task": "classify",
        "data": {"train": str(train), "test": str(test), "input": "text", "label": "intent"},
        "base": {"name": str(train.with_name("base"))},
        "train": {"epochs": 2, "learning_rate": 1e-3},
        "gate": {"max_loss": 0.1, "min_agreement": 0.9},
    }
    return make({**tree, **sections})


def test_the_bundle_holds_what_serving_and_auditing_need(bundle: Path) -> None:
    manifest = json.loads((bundle / "smidgen.json").read_text(encoding="utf-8"))
    for name in ("README.md", "report.json", "report.html", "recipe.toml", "tokenizer.json"):
        assert name in manifest["files"]
    assert manifest["task"] == "classify"
    assert len(manifest["form"]["labels"]) == 12
    report = read(bundle / "report.json")
    assert report.parity is not None
    assert report.parity.passed
    assert report.baseline is not None
    assert {entry.student for entry in report.alternatives} >= {"encoder", "linear"}
    assert sum(entry.chosen for entry in report.alternatives) == 1
    assert report.training.energy_method
    found = measure_footprint(bundle, 1)
    assert found is not None and found.load_seconds > 0 and found.peak_memory_mb is not None and found.peak_memory_mb > 20


@pytest.fixture
def rows(tiny: tuple[Path, Path]) -> Path:
    return tiny[1]


class TestServed(ServedBundle):
    text = "where is my parcel"
    tested = True


def test_the_summary_of_an_evaluation(bundle: Path, rows: Path) -> None:
    answer = evaluate(load(bundle, 1), rows).json()
    assert answer["metrics"]["accuracy"]["value"] > 0.4
    assert set(answer["metrics"]["accuracy"]) >= {"value", "low", "high"}
    assert set(answer["latency_ms"]) == {"p50", "p99"}


def test_labels_that_the_model_does_not_have_are_named(bundle: Path, rows: Path, tmp_path: Path) -> None:
    header, *lines = rows.read_text(encoding="utf-8").splitlines()
    strange = tmp_path / "strange.csv"
    strange.write_text("\n".join([header, *(f"{line.rpartition(',')[0]},mars" for line in lines)]), encoding="utf-8")
    with closing(load(bundle, 1)) as model:
        assert "none of the 1 labels of these rows" in evaluate(model, strange).warning
        assert "'mars'" in evaluate(model, strange).warning and "none of the" not in evaluate(model, rows).warning


def test_measuring_on_the_training_file_is_said_to_show_nothing(
    bundle: Path, tiny: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train, test = tiny
    with closing(load(bundle, 1)) as model:
        whole, tested = evaluate(model, train), evaluate(model, test)
        assert whole.learnt == whole.n > 0 and f"all of these {whole.n} rows" in whole.warning
        assert tested.learnt == 0 and not tested.warning
        # A part of it, in another order, beside new rows: the file that the recipe names tells them apart.
        lines = train.read_text(encoding="utf-8").splitlines()
        some = tmp_path / "some.csv"
        some.write_text("\n".join([lines[0], *test.read_text(encoding="utf-8").splitlines()[1:4], *lines[9:4:-1]]), encoding="utf-8")
        found = evaluate(model, some)
        assert (found.n, found.learnt) == (8, 5) and "5 of these 8 rows" in found.warning
    assert code(["eval", str(bundle), "--data", str(train), "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["learnt"] == whole.n and "made from" in said.err


def test_a_flipped_byte_is_refused_with_its_file(bundle: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy)
    weights = copy / "model.onnx"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(BundleError, match=r"model\.onnx"):
        load(copy)


def damaging(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, methods: Container[str]) -> list[str]:
    """From now on a build packs a file whose head is upside down, where it was made by one of `methods`. The methods packed, in order."""
    import onnx
    from onnx import numpy_helper

    real, packed = packaging.pack_draft, []

    def damaged(work: Any, chosen: Any, out: Path) -> Path:
        variant = chosen.variant
        packed.append(variant.spec.method)
        if variant.spec.method not in methods:
            return real(work, chosen, out)
        broken = tmp_path / f"broken-{len(packed)}"
        shutil.copytree(variant.folder, broken)
        model = onnx.load(broken / "model.onnx")
        head = next(tensor for tensor in model.graph.initializer if "head" in tensor.name and len(tensor.dims) == 2)
        head.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(head)[::-1].copy(), head.name))
        onnx.save(model, broken / "model.onnx")
        return real(work, dataclasses.replace(chosen, variant=dataclasses.replace(variant, place=broken)), out)

    monkeypatch.setattr(packaging, "pack_draft", damaged)
    return packed


def test_the_parity_gate_catches_a_file_damaged_before_packing(
    tiny: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hashes of a file that was damaged before it was packed are right: only its answers show it."""
    damaging(monkeypatch, tmp_path, {"fp32"})
    out = tmp_path / "out"
    with pytest.raises(GateError, match="not the model that was trained") as caught:
        build(wanted(tiny, student={"kind": "encoder"}, compress={"method": "none"}), out, threads=1)
    assert caught.value.changed
    assert not out.exists()


def test_a_small_form_that_fails_the_gate_gives_way_to_one_that_passes(
    tiny: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def choose_small(candidates: Any, wanted: Any, headline: str) -> Any:
        """As if the model as it was trained took a second a text: a clock must not decide what is packed first."""
        slow = [(c, dataclasses.replace(c.variant.timing, p50=1e3)) for c in candidates if c.method == "fp32"]
        others = [c for c in candidates if c.method != "fp32"]
        whole = [dataclasses.replace(c, variant=dataclasses.replace(c.variant, timing=timing)) for c, timing in slow]
        return choose_candidate([*whole, *others], wanted, headline)

    packed = damaging(monkeypatch, tmp_path, {"int8-static", "int8-dynamic"})
    monkeypatch.setattr(packaging, "choose_candidate", choose_small)
    built = build(wanted(tiny, student={"kind": "encoder"}, gate={"max_loss": 0.5, "min_agreement": 0.5}), tmp_path / "out", threads=1)
    assert packed[-1] == "fp32"
    assert built.report.student.method == "fp32"
    assert built.report.parity is not None
    assert built.report.parity.passed
    reasons = [entry.why_not for entry in built.report.alternatives if entry.method in packed[:-1]]
    assert reasons
    assert all("parity gate" in reason for reason in reasons)


def test_a_method_asked_for_by_name_is_shipped_or_nothing(tiny: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"student": {"kind": "encoder"}, "compress": {"method": "int8-dynamic"}, "gate": {"max_loss": 0.5, "min_agreement": 0.5}}
    built = build(wanted(tiny, **asked), tmp_path / "out", threads=1)
    assert built.report.student.method == "int8-dynamic"
    damaging(monkeypatch, tmp_path, {"int8-dynamic"})
    with pytest.raises(GateError, match="not the model that was trained"):
        build(wanted(tiny, **asked), tmp_path / "again", threads=1)
    assert not (tmp_path / "again").exists()


def test_a_gate_that_is_not_met_ships_nothing_and_exits_with_1(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    train, test = tiny
    out = tmp_path / "out"
    call = ["build", "--task", "classify", "--data", str(train), "--test", str(test), "--out", str(out), "--student", "linear", "--quiet"]
    assert code([*call, "--min-quality", "0.999"]) == 1
    assert not out.exists()
    assert code([*call, "--set", "gate.min_agreement=0.9", "--set", "gate.max_loss=0.1"]) == 0
    assert (out / "smidgen.json").is_file()


def test_a_folder_that_is_no_bundle_is_left_alone(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me", encoding="utf-8")
    with pytest.raises(BundleError, match="not a bundle"):
        build(wanted(tiny), tmp_path, threads=1)
    assert (tmp_path / "mine.txt").read_text(encoding="utf-8") == "keep me"


class Killing(Silent):
    """Ends the process, as `kill -9` does, at the n-th step of training."""

    def __init__(self, at: int) -> None:
        self.left = at

    def advance(self, units: int = 1, **facts: float | str) -> None:
        self.left -= units
        if self.left <= 0:
            import os

            os.kill(os.getpid(), signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)


def test_a_build_keeps_the_chosen_files_alone_and_a_second_one_reuses_its_results(
    tiny: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # `auto` chooses by measured times, and a form that then fails the parity gate would be made again by the second build.
    recipe = wanted(tiny, student={"kind": "kernel"}, train={}, gate={"max_loss": 1.0}, compress={"method": "int8-dynamic"})
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    def models() -> list[bytes]:
        places = (folder for name in ("export", "compress") for folder in (scratch / "steps").glob(f"{name}-*") if folder.is_dir())
        return [file.read_bytes() for folder in places for file in folder.glob("*.onnx")]

    build(recipe, tmp_path / "first", threads=1, scratch=scratch)
    assert models() == [(tmp_path / "first" / "model.onnx").read_bytes()], "of all forms the one that was chosen"
    facts = [file.name for folder in (scratch / "steps").glob("facts-*") if folder.is_dir() for file in folder.iterdir()]
    assert len(facts) > 4 and set(facts) == {"smidgen_step.json"}

    kernel, made = type(registry.find("students", "kernel")), list[str]()
    export = kernel.export
    for name in ("fit", "raw"):
        monkeypatch.setattr(kernel, name, lambda *given: pytest.fail("made again"))
    monkeypatch.setattr(kernel, "export", lambda self, folder, out: made.append("export") or export(self, folder, out))
    build(recipe, tmp_path / "second", threads=1, scratch=scratch)
    assert made == [] and len(models()) == 1
    assert (tmp_path / "second" / "model.onnx").read_bytes() == (tmp_path / "first" / "model.onnx").read_bytes()


CHILD = """
import sys
sys.path.insert(0, {here!r})
from collections.abc import Container
from pathlib import Path
from tests.flows.build.test_pipeline import Killing, wanted
from smidgen.flows.build.candidates import choose_candidate
from smidgen.flows.build.footprint import measure_footprint
from smidgen.flows.build.pipeline import build
recipe = wanted((Path({train!r}), Path({test!r})), student={{"kind": "encoder"}}, compress={{"method": "none"}}, seed=5)
build(recipe, Path({out!r}), threads=1, progress=Killing({at}))
"""


@pytest.mark.thorough
def test_a_killed_build_goes_on_and_ends_with_the_same_weights(
    tiny: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from smidgen.store.files import home

    bases = home() / "bases"
    made = {}
    recipe = wanted(tiny, student={"kind": "encoder"}, compress={"method": "none"}, seed=5)
    for name in ("whole", "torn"):
        own = tmp_path / name
        own.mkdir()
        (own / "bases").symlink_to(bases.resolve(), target_is_directory=True)
        monkeypatch.setenv("SMIDGEN_HOME", str(own))
        out = tmp_path / f"{name}-bundle"
        if name == "torn":
            script = CHILD.format(here=str(Path(__file__).parents[3]), train=str(tiny[0]), test=str(tiny[1]), out=str(out), at=3)
            done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300, check=False)
            assert done.returncode == -9, done.stderr
            assert not out.exists()
            assert list((own / "steps").glob("fit-encoder-*.part/checkpoint.safetensors"))
            (note,) = (own / "steps").glob("fit-encoder-*.part/smidgen_spent.json")
            spent = json.loads(note.read_text(encoding="utf-8"))
            assert spent["seconds"] > 0
            # As if the run had gone on for an hour before it was killed: what it took counts.
            note.write_text(json.dumps({"seconds": 3600 + spent["seconds"], "watt_hours": 20 + spent["watt_hours"]}), encoding="utf-8")
        build(recipe, out, threads=1)
        made[name] = (out / "model.onnx").read_bytes()
    assert made["whole"] == made["torn"]
    took = {name: read(tmp_path / f"{name}-bundle" / "report.json").training for name in made}
    whole, torn = took["whole"], took["torn"]
    assert whole is not None and torn is not None and whole.seconds < 3600 < torn.seconds and whole.energy_wh < 20 < torn.energy_wh
    assert not list(tmp_path.glob("torn/steps/*/smidgen_spent.json"))


def test_predict_keeps_order_survives_bad_rows_and_goes_on(bundle: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "in.csv", tmp_path / "out.jsonl"
    texts = [f"where is my order number {number}" for number in range(600)]
    with source.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "note"])
        for number, text in enumerate(texts):
            writer.writerow(["" if number == 7 else text, number])
    assert code(["predict", str(bundle), "--data", str(source), "--out", str(out), "--threads", "1"]) == 0
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 600
    assert lines[7]["output"] is None
    assert lines[7]["row"] == 8
    assert all(0 <= line["score"] <= 1 for line in lines)
    # As a run leaves it that was killed in the middle of a line: whole batches, a torn line, the note of how far it is right.
    out.unlink()
    from smidgen.data.tables import open_table
    from smidgen.flows.prediction import _identity

    identity = _identity(load(bundle, 1), open_table(str(source), remembered=("text", None), need_label=False), str(source))
    part, note = tmp_path / "out.jsonl.part", tmp_path / "out.jsonl.part.json"
    kept = "".join(json.dumps({**line, "mark": 1}) + "\n" for line in lines[:300])
    part.write_text(kept + '{"output": "torn', encoding="utf-8", newline="\n")
    note.write_text(json.dumps({**identity, "rows": 300, "bytes": len(kept.encode())}), encoding="utf-8")
    assert code(["predict", str(bundle), "--data", str(source), "--out", str(out), "--threads", "1"]) == 0
    again = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert len(again) == 600
    assert sum("mark" in line for line in again) == 300
    assert [line["output"] for line in again] == [line["output"] for line in lines]
    assert not part.exists() and not note.exists()
    # Another file's part is not gone on with.
    part.write_text(kept, encoding="utf-8", newline="\n")
    note.write_text(json.dumps({**identity, "size": 1, "rows": 300, "bytes": len(kept.encode())}), encoding="utf-8")
    assert code(["predict", str(bundle), "--data", str(source), "--out", str(out), "--threads", "1"]) == 0
    assert "mark" not in out.read_text(encoding="utf-8")


def test_predict_to_a_table_keeps_the_columns_of_the_source(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.csv"
    source.write_text(
        '{"id": 5, "text": "where is my parcel,\\nplease?", "output": "x"}\n{"id": 6, "text": "", "output": null}\n', encoding="utf-8"
    )
    assert code(["predict", str(bundle), "--data", str(source), "--out", str(out), "--threads", "1"]) == 0
    with out.open(encoding="utf-8", newline="") as stream:
        good, bad = csv.DictReader(stream)
    assert list(good) == ["id", "text", "output", "intent", "score", "error"]
    assert (good["id"], good["text"], good["output"], good["error"]) == ("5", "where is my parcel,\nplease?", "x", "")
    assert good["intent"] and 0 < float(good["score"]) <= 1
    assert (bad["id"], bad["intent"]) == ("6", "") and "empty" in bad["error"]
    assert "1 row could not be used" in " ".join(capsys.readouterr().err.split())
    assert code(["predict", str(bundle), "--data", str(source), "--out", str(tmp_path / "out.ods")]) == 2
    assert ".jsonl, .csv, .tsv or .xlsx" in capsys.readouterr().err


def test_a_guessed_column_is_said(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "in.csv"
    source.write_text("message,team\nwhere is my parcel,delivery\ncan I pay by card,payment\n", encoding="utf-8")
    assert code(["predict", str(bundle), "--data", str(source), "--out", str(tmp_path / "out.csv")]) == 0
    assert "'message' was guessed" in " ".join("".join(capsys.readouterr()).split())


def test_predict_reads_stdin_and_writes_stdout(bundle: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "smidgen", "predict", str(bundle), "--data", "-", "--out", "-"],
        input='{"text": "can I pay by card"}\n{"text": "cancel it please"}\n',
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [set(json.loads(line)) >= {"output", "score"} for line in done.stdout.splitlines()] == [True, True]


def test_a_bundle_gives_vectors_and_a_linear_one_says_that_it_has_none(bundle: Path, tiny: tuple[Path, Path], tmp_path: Path) -> None:
    found = [reply.output for reply in load(bundle, 1).embed(["where is my parcel", "my parcel, where is it", "do you sell gift cards"])]
    assert {len(vector) for vector in found} == {384}
    near, far = (sum(a * b for a, b in zip(found[0], found[other], strict=True)) for other in (1, 2))
    assert sum(number * number for number in found[0]) == pytest.approx(1, abs=1e-5)
    assert near > far
    build(wanted(tiny, student={"kind": "linear"}, train={}), tmp_path / "linear", threads=1)
    with pytest.raises(RequestError, match="has no embeddings"):
        load(tmp_path / "linear", 1).embed(["where is my parcel"])


def test_a_base_that_writes_is_refused_for_sorting(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(BaseError, match="an encoder is needed"):
        build(wanted(tiny, base={"name": "smollm2"}), tmp_path / "out", threads=1)


def test_one_text_in_place_of_a_list_is_refused(bundle: Path) -> None:
    with pytest.raises(InputError, match="a list of texts is expected"):
        load(bundle, 1).predict("where is my parcel")


def test_rows_of_the_test_file_are_not_learnt_from(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    train, test = tiny
    both = tmp_path / "both.csv"
    both.write_text(train.read_text(encoding="utf-8") + "".join(test.read_text(encoding="utf-8").splitlines(True)[1:6]), encoding="utf-8")
    found = rows_of(wanted((both, test)))
    tested = {row.input for row in found.test}
    assert tested.isdisjoint(row.input for rows in (found.train, found.fit, found.held) for row in rows)
    assert len(found.test) > 20 and any("5 training rows dropped" in note for note in found.notes)


def test_a_test_file_that_is_the_training_file_is_named(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the test file holds every training row"):
        build(wanted((tiny[0], tiny[0])), tmp_path / "out", threads=1)


def test_a_test_file_without_a_label_in_common_is_refused_before_training(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("text,intent\nwhere is mars,planet\nhow far is venus,planet\n", encoding="utf-8")
    with pytest.raises(DataError, match="no label of the test file is one of the training file") as error:
        rows_of(wanted((tiny[0], other)))
    assert "'planet'" in str(error.value)


def test_a_blend_is_served_as_it_was_judged(tiny: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its engine gives what the build added up from the answers of encoder and static student. The weight is fixed and the choice made
    here, for two epochs on twelve labels would not choose a blend."""

    def only_the_blend(candidates: Any, wanted: Any, headline: str) -> Any:
        return choose_candidate([c for c in candidates if c.student == blend.part.name and c.method == "int8-dynamic"], wanted, headline)

    monkeypatch.setattr(blend, "fit_blend_weight", lambda *_: (0.5, (1.0, 2.0)))
    monkeypatch.setattr(packaging, "choose_candidate", only_the_blend)
    built = build(wanted(tiny, gate={"max_loss": 0.5, "min_agreement": 0.5}), tmp_path / "out", threads=1)
    model = load(tmp_path / "out", 1)
    assert model.manifest.engine.engine == "blend"
    assert [(m["weight"], m["temperature"]) for m in model.manifest.engine.options["members"]] == [(1.0, 1.0), (0.5, 2.0)]
    found = {entry.name: entry for entry in built.report.alternatives}
    assert len(found) > len([name for name in found if name.startswith(blend.part.name)]) >= 2
    judged = found[f"{blend.part.name} int8-dynamic"]
    served = evaluate(model, tiny[1]).metrics["accuracy"]
    assert judged.accuracy is not None
    assert judged.accuracy.value == pytest.approx(served.value)
    # The static student has its say: the encoder alone scores the same texts otherwise.
    text = "where is my parcel"
    alone = dict(model.runner._runners[0].run([text]))["logits"]  # type: ignore[attr-defined]
    together = model.runner.run([text])["logits"]
    assert abs(together - alone).max() > 1e-3
