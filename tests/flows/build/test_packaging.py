"""The finished bundle is held against what was measured: other files, other options, other answers are each seen."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.build_steps import candidate, context

from smidgen.core.parts import EngineSpec
from smidgen.core.progress import Silent
from smidgen.core.replies import Reply
from smidgen.core.rows import Row
from smidgen.flows import local_model
from smidgen.flows.build import packaging
from smidgen.flows.build.packaging import is_what_was_measured
from smidgen.flows.build.timing import Timing
from smidgen.flows.build.work import StudentVariant, Work
from smidgen.parts.recipe import make

ROWS = [Row(f"text {n}", "x", n) for n in range(40)]
ANSWERS = [f"answer {n}" for n in range(40)]


class Bundle:
    """What `is_what_was_measured` asks of a model. `alone`: what it answers to one text at a time when it has read nothing else before."""

    def __init__(
        self, answers: Sequence[str], sha256: str = "a", options: str = "plain", form: str = "form", alone: Sequence[str] | None = None
    ) -> None:
        self.answers, self.alone = answers, answers if alone is None else alone
        self.folder, self.fresh, self.closed = Path(f"bundle-{id(self)}"), False, 0
        files = {"model.gguf": SimpleNamespace(sha256=sha256)}
        self.manifest = SimpleNamespace(files=files, engine=SimpleNamespace(files=("model.gguf",), options=options), form=form)

    def predict(self, texts: Sequence[str]) -> list[Reply]:
        return [Reply(output=answer, score=1.0) for answer in self.answers[: len(texts)]]

    def first(self, texts: Sequence[str]) -> list[Reply]:
        if len(texts) > 1:
            return self.predict(texts)
        number = int(texts[0].rpartition(" ")[2])
        return [Reply(output=self.alone[number] if self.fresh else f"{self.answers[number]}, as it is rounded now", score=1.0)]

    def close(self) -> None:
        self.closed += 1


def alike(student: str, final: Bundle, measured: Bundle) -> bool:
    measured.manifest.engine.options = "plain"
    same = measured.manifest.engine if final.manifest.engine.options == "plain" else final.manifest.engine
    final.manifest.engine = same
    timing = Timing(1.0, 1.0, 1.0, 1, 100.0 if student == "decoder" else None)
    variant = StudentVariant(student, EngineSpec("none", ()), Path(), "", timing, 1.0)
    served = measured.predict(ROWS)
    opened = []

    def load(folder: Path, threads: int) -> Bundle:
        opened.append(copy(next(bundle for bundle in (measured, final) if bundle.folder == folder)))
        opened[-1].fresh = True
        return opened[-1]

    draft = SimpleNamespace(model=measured, first=served, served=served, chosen=SimpleNamespace(variant=variant))
    work: Any = SimpleNamespace(test=ROWS, packed=draft)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local_model, "load", load)
        found = is_what_was_measured(work, context(), final)  # type: ignore[arg-type]
    assert all(bundle.closed == 1 for bundle in opened)
    return found


@pytest.mark.parametrize("student", ["tagger", "decoder"])
def test_the_same_bundle_is_alike_and_another_is_not(student: str) -> None:
    assert alike(student, Bundle(ANSWERS), Bundle(ANSWERS))
    assert not alike(student, Bundle(ANSWERS, sha256="b"), Bundle(ANSWERS))
    assert not alike(student, Bundle(ANSWERS, options="another template"), Bundle(ANSWERS))
    assert not alike(student, Bundle(ANSWERS, form="another"), Bundle(ANSWERS))
    assert not alike(student, Bundle(["nonsense"] * 40), Bundle(ANSWERS))


@pytest.mark.parametrize(("student", "allowed"), [("tagger", 0), ("decoder", 4)])
def test_only_a_writers_texts_may_differ_here_and_there(student: str, allowed: int) -> None:
    for changed in (allowed, allowed + 1):
        answers = [f"{answer}!" if n < changed else answer for n, answer in enumerate(ANSWERS)]
        assert alike(student, Bundle(answers), Bundle(ANSWERS)) == (changed <= allowed)


def test_what_batches_alone_round_otherwise_is_alike() -> None:
    noisy = [f"{answer}!" for answer in ANSWERS]
    assert alike("decoder", Bundle(noisy, alone=ANSWERS), Bundle(ANSWERS))
    assert not alike("tagger", Bundle(noisy, alone=ANSWERS), Bundle(ANSWERS))


@pytest.mark.parametrize(
    ("speed", "taught", "attempts", "count"),
    [(40.0, 60.0, 4, 300), (40.0, 1.8, 4, 150), (40.0, 0.6, 4, 100), (40.0, 0.6, None, 200), (None, 0.6, None, 630)],
)
def test_of_many_test_rows_a_writer_is_measured_on_those_that_it_writes_in_a_third_of_its_teaching(
    speed: float | None, taught: float, attempts: int | None, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a thousand texts a second; those with faults are written again."""
    one = candidate("decoder", "q4-0", 0.5, 500, 90, tokens_per_second=speed)
    measured: Any = lambda *_: SimpleNamespace(parity=SimpleNamespace(passed=True))  # noqa: E731
    monkeypatch.setattr(packaging, "_measured", measured)
    students: Any = {"decoder": SimpleNamespace(why="")}
    trained: Any = {"decoder": SimpleNamespace(form=SimpleNamespace(attempts=attempts))}
    rows = [Row(f"text {n}", "x", n) for n in range(630)]
    work = Work(make({"task": "write"}), test=rows, candidates=(one,), students=students, trained=trained, seconds=taught)
    around: Any = SimpleNamespace(progress=Silent(), scratch=Path())
    found = packaging.choose_and_measure(work, around)
    assert len(found.test) == count and len(found.notes) == (count < 630)
    assert found.test[0].number < 6 and found.test[-1].number >= 623
