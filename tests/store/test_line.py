"""The pointer of a line: it names one version at every moment, and nobody where it cannot be read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from smidgen.core.errors import BundleError, InputError
from smidgen.store.line import MOST_TURNS, POINTER, Line, LineBusy, earlier, is_line

A, B, C, D = (letter * 12 for letter in "abcd")


@pytest.fixture
def line(tmp_path: Path) -> Line:
    made = Line(tmp_path / "support")
    made.begin("support")
    for id in (A, B, C, D):
        made.version(id).mkdir(parents=True)
    return made


def test_a_line_begins_empty_with_a_key_of_its_own(tmp_path: Path) -> None:
    one, two = Line(tmp_path / "one"), Line(tmp_path / "two")
    assert not is_line(one.folder)
    first, second = one.begin("a", 0.4), two.begin("b")
    assert is_line(one.folder)
    assert (first.champion, first.name, first.held_out) == (None, "a", 0.4)
    assert first.key != second.key
    assert one.begin("another name") == first  # begun once


def test_the_share_that_is_held_out_is_for_ever(tmp_path: Path) -> None:
    Line(tmp_path / "one").begin("a", 0.4)
    with pytest.raises(InputError, match="another share"):
        Line(tmp_path / "one").begin("a", 0.3)


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="something else"):
        Line(tmp_path).begin("a")
    assert [entry.name for entry in tmp_path.iterdir()] == ["letter.txt"]
    with pytest.raises(InputError, match="not a line"):
        Line(tmp_path).read()


def test_the_history_says_who_when_and_why(line: Line) -> None:
    line.point(A, by="hand", why="taken in", instead_of=None)
    line.point(B, by="learn", why="better", instead_of=A)
    found = line.read()
    assert found.champion == B
    assert [(turn.by, turn.before, turn.champion, turn.why) for turn in found.history] == [
        ("hand", None, A, "taken in"),
        ("learn", A, B, "better"),
    ]
    assert found.history[0].at <= found.history[1].at


def test_who_compared_with_another_champion_does_not_promote(line: Line) -> None:
    line.point(A, by="hand", why="", instead_of=None)
    line.point(B, by="learn", why="", instead_of=A)
    with pytest.raises(LineBusy, match="meanwhile"):
        line.point(C, by="learn", why="", instead_of=A)
    with pytest.raises(InputError, match="no such version"):
        line.point("e" * 12, by="learn", why="", instead_of=B)
    assert line.read().champion == B


def test_going_back_twice_goes_back_two_steps(line: Line) -> None:
    before = None
    for id in (A, B, C):
        line.point(id, by="learn", why="", instead_of=before)
        before = id
    assert earlier(line.read().history) == [A, B]
    line.point(B, by="rollback", why="", instead_of=C)
    assert earlier(line.read().history) == [A]
    line.point(D, by="learn", why="", instead_of=B)
    assert earlier(line.read().history) == [A, B]
    line.point(C, by="rollback", why="to one that is in no stack any more", instead_of=D)
    assert earlier(line.read().history) == [A, B, D]


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"format_version": 2}', '{"format_version": true}', '{"format_version": 1, "name": "x"}', "[" * 100_000],
)
def test_a_damaged_pointer_names_nobody_and_says_so(line: Line, content: str) -> None:
    line.point(A, by="hand", why="", instead_of=None)
    line.file.write_text(content, encoding="utf-8")
    with pytest.raises(BundleError) as caught:
        line.read()
    assert caught.value.file == POINTER and A in str(caught.value)  # the versions can be served by their own folders
    with pytest.raises(BundleError):
        line.point(B, by="learn", why="", instead_of=A)
    assert line.file.read_text(encoding="utf-8") == content  # nothing is written over what might be mended


def test_a_pointer_cannot_lead_out_of_the_line(line: Line) -> None:
    text = line.file.read_text(encoding="utf-8")
    line.file.write_text(text.replace('"champion": null', '"champion": "../../../aa"'), encoding="utf-8")
    with pytest.raises(BundleError, match="champion"):
        line.read()


def test_the_history_is_bounded(line: Line) -> None:
    for number in range(3):
        line.point((A, B)[number % 2], by="learn", why="x" * 5000, instead_of=(None, A, B)[number])
    turns = line.read().history
    line.change(lambda found: found.model_copy(update={"history": (turns[-1],) * MOST_TURNS}))
    line.point(B, by="learn", why="the newest", instead_of=A)
    assert len(line.read().history) == MOST_TURNS
    assert line.read().history[-1].why == "the newest" and len(turns[0].why) == 2000


def test_many_writers_lose_nothing(line: Line) -> None:
    line.point(A, by="hand", why="", instead_of=None)

    def turn() -> None:
        for _ in range(5):
            line.change(lambda found: found.model_copy(update={"history": (*found.history, found.history[0])}))

    threads = [threading.Thread(target=turn) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(line.read().history) == 21


def test_one_learns_at_a_time(line: Line) -> None:
    with line.learning(), pytest.raises(LineBusy, match="learning"):
        Line(line.folder).learning()
    with line.learning():
        pass  # it was let go


_KILLED = """
import os, signal, sys
from pathlib import Path
from smidgen.store import files
from smidgen.store.line import Line

step, real = sys.argv[2], Path.replace

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

if step == "before the write":
    files.write = die
elif step == "before the rename":
    Path.replace = die
else:
    def late(self, target):
        real(self, target)
        die()
    Path.replace = late
Line(Path(sys.argv[1])).point("b" * 12, by="learn", why="", instead_of="a" * 12)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
@pytest.mark.parametrize(("step", "champion"), [("before the write", A), ("before the rename", A), ("after the rename", B)])
def test_killed_while_pointing_it_points_to_the_old_one_or_the_new_one(line: Line, step: str, champion: str) -> None:
    line.point(A, by="hand", why="", instead_of=None)
    done = subprocess.run([sys.executable, "-c", _KILLED, str(line.folder), step], env=os.environ, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert line.read().champion == champion
    line.point(C, by="learn", why="and goes on", instead_of=champion)  # the dead one holds no lock
    assert line.read().champion == C
