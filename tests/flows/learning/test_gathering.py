"""Which rows a line has: what its store of traffic holds, what it is given, and what becomes of both when they meet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.certified_bundle import LABELS, answer, text
from tests.line_versions import line_of

from smidgen.flows.learning import gathering
from smidgen.flows.learning.gathering import Capture
from smidgen.flows.learning.material import Material
from smidgen.parts import recipe as recipes
from smidgen.parts.recipe import Recipe
from smidgen.store.line import Line
from smidgen.store.traffic.shapes import Exchange, Feedback
from smidgen.store.traffic.store import Traffic, opened

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)
FORM = {"labels": list(LABELS), "multi_label": False, "temperature": 1.0}


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SMIDGEN_TRAFFIC_URL", raising=False)
    monkeypatch.setattr("smidgen.store.line.secrets.token_hex", lambda size: "5e" * size)  # the same texts are held out each time


@pytest.fixture
def store(_home: None) -> Iterator[Traffic]:
    with opened() as found:
        yield found


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return line_of(tmp_path / "support", 1)[0]


def recipe(**data: Any) -> Recipe:
    return recipes.make({"name": "support", "task": "classify", "data": {"input": "text", "label": "intent", **data}}, folder=Path.cwd())


def exchange(number: int, **facts: Any) -> Exchange:
    given: dict[str, Any] = {
        "id": f"r{number}",
        "time": NOW + timedelta(seconds=number),
        "asked": "support",
        "path": "/v1/chat/completions",
        "input": text(number % 100, number),
        **facts,
    }
    return Exchange(**given)


def material(line: Line, **more: Any) -> Material:
    return gathering.material(line, line.read(), recipe(), FORM, Capture(**more))


def test_what_is_put_right_of_local_answers_does_not_choose_between_models(line: Line, store: Traffic) -> None:
    """Such rows are there only because the champion was wrong: whatever is compared with it would win."""
    wrong = {number: LABELS[1 - LABELS.index(answer(number % 100))] for number in range(100)}
    store.add([exchange(number, answered_by="local", local_output=f'"{said}"') for number, said in wrong.items()])
    store.add([exchange(number, answered_by="upstream", answer=answer(number % 100), model="big") for number in range(100, 160)])
    for number in wrong:
        store.feedback(Feedback(f"r{number}", NOW + DAY, "down", answer(number % 100)))
    found = material(line)
    assert found.choosing and not {taken.row.input for taken in found.choosing} & {text(number % 100, number) for number in wrong}
    certifying = [taken for taken in found.certifying if taken.row.input in {text(number % 100, number) for number in wrong}]
    assert len(certifying) > 5 and {taken.source for taken in certifying} == {"human"}, "there they make the certificate stricter"
    left_out = dict(found.unusable)["held out to choose, but there only because somebody put the answer right"]
    assert left_out > 3 and sum(store.holds_out(text(number % 100, number)) for number in wrong) == left_out + len(certifying)
