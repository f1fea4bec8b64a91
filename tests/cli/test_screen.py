"""Progress where there is no terminal: what is done, and now and then what is still at work."""

from __future__ import annotations

import time

import pytest
from tests.eventually import eventually

from smidgen.cli.screen import Screen

BEAT = 0.02


def test_a_long_step_says_that_it_is_at_work(capsys: pytest.CaptureFixture[str]) -> None:
    said = [""]
    with Screen(every=BEAT) as screen:
        screen.start("ask [the] base", 40)
        screen.advance(3, loss=0.5)
        eventually(lambda: said.append(capsys.readouterr().err) or "".join(said).count("\n") >= 2)
        screen.finish("40 texts")
        time.sleep(3 * BEAT)
    lines = ("".join(said) + capsys.readouterr().err).splitlines()
    assert lines[-1].startswith("✓ ask [the] base") and lines[-1].endswith("40 texts"), "after its end a step says no more"
    assert len(lines) >= 3
    assert [line for line in lines[1:-1] if not (line.startswith("… ask [the] base") and "3 of 40  loss 0.5" in line)] == []


def test_a_short_step_and_a_quiet_one_say_nothing_on_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    for screen, said in ((Screen(), 1), (Screen(quiet=True, every=BEAT), 0)):
        with screen:
            screen.start("ask [the] base", 40)
            time.sleep(3 * BEAT)
            screen.finish("40 texts")
        assert len(capsys.readouterr().err.splitlines()) == said
