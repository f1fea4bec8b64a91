"""What tests of a teacher share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.teacher_server import TeacherServer, teacher_server

from smidgen.data.teacher import client
from smidgen.data.teacher.client import TeacherClient
from smidgen.data.teacher.settings import TeacherSettings
from smidgen.usage.budgets import RunBudget


@pytest.fixture
def server() -> Iterator[TeacherServer]:
    """A teacher over real HTTP that answers every question with "yes"."""
    with teacher_server() as running:
        yield running


Make = Callable[..., TeacherClient]


@pytest.fixture
def asker(server: TeacherServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes askers of the server, all on one store of answers, that do not wait long before they try again."""
    monkeypatch.setattr(client, "FIRST_WAIT", 0.01)
    made: list[TeacherClient] = []

    def make(budget: RunBudget | None = None, key: str | None = None, fresh: bool = False, **settings: Any) -> TeacherClient:
        asked = TeacherSettings(source=settings.pop("source", server.url), model="m", **settings)
        made.append(TeacherClient(asked, key, tmp_path / "answers", budget or RunBudget(), fresh))
        return made[-1]

    yield make
    for one in made:
        one.close()
