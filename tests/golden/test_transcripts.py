"""What crosses the wire on both sides of `smidgen serve` stays as it was recorded, byte for byte but for ids and times.

Where one of these fails, a client or an upstream sees something else than before. CONTRIBUTING.md says when to record anew.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.golden.exchanges import GROUPS
from tests.golden.transcript import FOLDER, Running, exchanges_in, started, transcript

LEAST = 80


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Running]]:
    """All servers, started together: most of their time is Python's imports."""
    with ExitStack() as stack:
        yield {group.name: stack.enter_context(started(group, tmp_path_factory.mktemp(group.name))) for group in GROUPS}


@pytest.mark.parametrize("name", [group.name for group in GROUPS])
def test_the_wire_is_as_it_was_recorded(servers: dict[str, Running], name: str) -> None:
    recorded = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    found = transcript(servers[name])
    assert len(exchanges_in(found)) >= len(servers[name].group.exchanges)
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
