"""What crosses the wire on both sides of `smidgen serve` stays as it was recorded, byte for byte but for ids and times.

Where one of these fails, a client or an upstream sees something else than before. CONTRIBUTING.md says when to record anew.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.golden.exchanges import GROUPS
from tests.golden.transcript import FOLDER, Running, exchanges_in, started, transcript

LEAST = 80
NAMES = [group.name for group in GROUPS]
_AHEAD = 2
"""Servers that start while another one is asked: most of their time goes by with Python's imports."""


class Servers:
    """The groups' servers, each started a little before its turn."""

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self._folders, self._started = folders, dict[str, tuple[ExitStack, Running]]()

    @contextmanager
    def running(self, name: str) -> Iterator[Running]:
        """That of a group, until the block ends."""
        place = NAMES.index(name)
        for group in GROUPS[place : place + 1 + _AHEAD]:
            if group.name not in self._started:
                stack = ExitStack()
                self._started[group.name] = stack, stack.enter_context(started(group, self._folders.mktemp(group.name)))
        stack, found = self._started.pop(name)
        with stack:
            yield found

    def close(self) -> None:
        """Stop those that are left."""
        for stack, _ in self._started.values():
            stack.close()


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    found = Servers(tmp_path_factory)
    yield found
    found.close()


def written(servers: Servers, name: str) -> str:
    """A group's transcript as it is now."""
    with servers.running(name) as running:
        return transcript(running)


@pytest.mark.parametrize("name", NAMES)
def test_the_wire_is_as_it_was_recorded(servers: Servers, name: str) -> None:
    recorded = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    day, found = datetime.now(UTC).date(), written(servers, name)
    if found != recorded and day != datetime.now(UTC).date():
        found = written(servers, name)  # budgets and accounts began anew at midnight
    assert len(exchanges_in(found)) == len(GROUPS[NAMES.index(name)].exchanges) > 0
    if found != recorded:
        diff = difflib.unified_diff(
            recorded.splitlines(), found.splitlines(), f"{name}.txt as recorded", f"{name}.txt now", lineterm="", n=8
        )
        pytest.fail("\n".join(diff), pytrace=False)


def test_there_are_enough_of_them_and_each_is_recorded() -> None:
    count = 0
    for group in GROUPS:
        recorded = exchanges_in((FOLDER / f"{group.name}.txt").read_text(encoding="utf-8"))
        assert [one.partition("\n")[0].split(" ", 2)[2] for one in recorded] == [exchange.name for exchange in group.exchanges]
        count += len(recorded)
    assert count >= LEAST
    assert sorted(file.stem for file in Path(FOLDER).iterdir()) == sorted(group.name for group in GROUPS)
