"""What tests of a teacher share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.teacher_server import TeacherServer, teacher_server

from smidgen.data.teacher import asking
from smidgen.data.teacher.asking import Asker
from smidgen.data.teacher.budget import Budget
from smidgen.data.teacher.settings import TeacherSettings


@pytest.fixture
def server() -> Iterator[TeacherServer]:
    """A teacher over real HTTP that answers every question with "yes"."""
    with teacher_server() as running:
        yield running


Make = Callable[..., Asker]


@pytest.fixture
def asker(server: TeacherServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes askers of the server, all on one store of answers, that do not wait long before they try again."""
    monkeypatch.setattr(asking, "FIRST_WAIT", 0.01)
    made: list[Asker] = []

    def make(budget: Budget | None = None, key: str | None = None, fresh: bool = False, **settings: Any) -> Asker:
        asked = TeacherSettings(source=settings.pop("source", server.url), model="m", **settings)
        made.append(Asker(asked, key, tmp_path / "answers", budget or Budget(), fresh))
        return made[-1]

    yield make
    for one in made:
        one.close()
