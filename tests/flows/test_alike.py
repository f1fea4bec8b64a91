"""The finished bundle is held against what was measured: other files, other options, other answers are each seen."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from smidgen.core.replies import Reply
from smidgen.core.rows import Row
from smidgen.flows.build import _alike
from smidgen.parts import registry

ROWS = [Row(f"text {n}", "x", n) for n in range(40)]
ANSWERS = [f"answer {n}" for n in range(40)]


class Bundle:
    """What `_alike` asks of a model."""

    def __init__(self, answers: Sequence[str], sha256: str = "a", options: str = "plain", form: str = "form") -> None:
        self.answers = answers
        files = {"model.gguf": SimpleNamespace(sha256=sha256)}
        self.manifest = SimpleNamespace(files=files, engine=SimpleNamespace(files=("model.gguf",), options=options), form=form)

    def predict(self, texts: Sequence[str]) -> list[Reply]:
        return [Reply(output=answer, score=1.0) for answer in self.answers[: len(texts)]]


def alike(task: str, final: Bundle, measured: Bundle) -> bool:
    measured.manifest.engine.options = "plain"
    same = measured.manifest.engine if final.manifest.engine.options == "plain" else final.manifest.engine
    final.manifest.engine = same
    story: Any = SimpleNamespace(task=registry.find("tasks", task), examples=SimpleNamespace(test=ROWS))
    return _alike(story, SimpleNamespace(model=measured, served=measured.predict(ROWS)), final)  # type: ignore[arg-type]


@pytest.mark.parametrize("task", ["classify", "write"])
def test_the_same_bundle_is_alike_and_another_is_not(task: str) -> None:
    assert alike(task, Bundle(ANSWERS), Bundle(ANSWERS))
    assert not alike(task, Bundle(ANSWERS, sha256="b"), Bundle(ANSWERS))
    assert not alike(task, Bundle(ANSWERS, options="another template"), Bundle(ANSWERS))
    assert not alike(task, Bundle(ANSWERS, form="another"), Bundle(ANSWERS))
    assert not alike(task, Bundle(["nonsense"] * 40), Bundle(ANSWERS))


@pytest.mark.parametrize(("task", "allowed"), [("classify", 0), ("write", 10)])
def test_only_a_writers_texts_may_differ_here_and_there(task: str, allowed: int) -> None:
    for changed in (allowed, allowed + 1):
        answers = [f"{answer}!" if n < changed else answer for n, answer in enumerate(ANSWERS)]
        assert alike(task, Bundle(answers), Bundle(ANSWERS)) == (changed <= allowed)
