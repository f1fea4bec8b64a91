"""Progress where there is no terminal: what is done, and now and then what is still at work."""

from __future__ import annotations

import time

import pytest

from smidgen.cli.screen import Screen


def waited(screen: Screen) -> None:
    with screen:
        screen.start("ask [the] base", 40)
        screen.advance(3, loss=0.5)
        time.sleep(0.5)
        screen.finish("40 texts")
        time.sleep(0.2)


def test_a_long_step_says_that_it_is_at_work(capsys: pytest.CaptureFixture[str]) -> None:
    waited(Screen(every=0.1))
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("✓ ask [the] base") and lines[-1].endswith("40 texts"), "after its end a step says no more"
    assert len(lines) >= 3 and all(line.startswith("… ask [the] base") and "3 of 40  loss 0.5" in line for line in lines[:-1])


def test_a_short_step_and_a_quiet_one_say_nothing_on_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    waited(Screen())
    assert len(capsys.readouterr().err.splitlines()) == 1
    waited(Screen(quiet=True, every=0.1))
    assert capsys.readouterr().err == ""
