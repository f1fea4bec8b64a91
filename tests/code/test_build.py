"""A model that completes code, built by the real flow from a small repository: held-out files, the base's own file, a gap in a request."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("torch")

from tests.made_once import made_once
from tests.students.tiny_coder import BODY, built_coder

from smidgen.bases import lookup
from smidgen.code.tasks import GapForm
from smidgen.core.progress import Silent
from smidgen.flows.build.reporting import _unaided
from smidgen.flows.build.student_plan import bases_of
from smidgen.flows.build.timing import BaselineSample
from smidgen.flows.evaluation import evaluate
from smidgen.flows.local_model import load
from smidgen.parts import registry
from smidgen.parts.recipe import make


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "coder", built_coder) / "out"


def test_the_bundle_keeps_what_was_learnt_beside_the_base(built: Path) -> None:
    base = built.parent / "base" / "tiny.gguf"
    assert (built / "model.gguf").read_bytes() == base.read_bytes(), "the base's own file, as it was published"
    manifest = json.loads((built / "smidgen.json").read_text(encoding="utf-8"))
    assert manifest["task"] == "complete" and manifest["columns"]["input"] == ["ahead", "behind"]
    options = manifest["engine"]["options"]
    assert {"model.gguf", "adapter.gguf"} <= set(manifest["engine"]["files"]) and manifest["engine"]["method"] == "published"
    assert options["reach"] == [300, 100] and len(options["between"]) == 1 and options["behind_first"] and not options["after"]
    assert set(manifest["metrics"]) == {"exact_match", "similarity"}
    assert manifest["data"]["rows"]["test"] == 12


def test_a_gap_is_filled_and_measured(built: Path, tmp_path: Path) -> None:
    file = tmp_path / "gaps.jsonl"
    rows = [{"ahead": "def net(gross):\n    ", "behind": "\n", "output": "return gross"}] * 3
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with closing(load(built, threads=1)) as model:
        (reply,) = model.predict([("def net_kiwis(gross):\n    return ", "\n")])
        assert isinstance(reply.output, str) and 0 <= reply.score <= 1
        *_, last = model.write(("def net_kiwis(gross):\n    return ", ""), max_tokens=4)
        assert last.final and last.piece.usage.prompt > 3
        found = evaluate(model, file)
        assert found.n == 3 and set(found.metrics) == {"exact_match", "similarity"}
        (tmp_path / "kiwis.py").write_text(BODY.format(name="kiwis"), encoding="utf-8")
        assert evaluate(model, tmp_path).n == 9, "each line worth filling in once"


def test_the_base_is_not_asked_a_second_time_without_examples_that_it_never_had() -> None:
    form = GapForm(ahead=100, behind=50, max_tokens=8, files=4)
    prompted = registry.find("students", "prompted")
    work = SimpleNamespace(
        task=registry.find("tasks", "complete"),
        students={"prompted": SimpleNamespace(part=prompted)},
        trained={"prompted": SimpleNamespace(form=form)},
        sample=BaselineSample(5, 10, unaided=True),
    )
    assert prompted.unaided is not None and _unaided(work, SimpleNamespace()) == []  # type: ignore[arg-type]


def test_where_no_base_is_named_it_is_the_starter_for_code(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(lookup, "find", lambda name, progress, family: asked.append((name, family)))
    for task in ("complete", "write"):
        tree = {"name": "x", "task": task, "data": {"train": "x.csv"}}
        bases_of(SimpleNamespace(recipe=make(tree), task=registry.find("tasks", task)), ["decoder"], Silent())  # type: ignore[arg-type]
    assert asked == [("coder", "decoder"), ("auto", "decoder")]
