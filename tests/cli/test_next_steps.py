"""Each command ends with the next one, which can be pasted as it stands; none where a program reads the result."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest
from tests.certified_bundle import certified_bundle, pairs, write_pairs  # noqa: F401

from smidgen.cli.main import code, command
from smidgen.cli.next_steps import _AFTER, command_line
from smidgen.parts import registry


def following(capsys: pytest.CaptureFixture[str], *arguments: str, rc: int = 0) -> list[list[str]]:
    """The commands that a command ends with, as words."""
    assert code(list(arguments)) == rc
    last = capsys.readouterr().err.partition("next: ")[2]
    return [shlex.split(line) for line in last.splitlines()]


@pytest.mark.skipif(sys.platform == "win32", reason="quoting is POSIX's here")
def test_one_command_leads_to_the_next(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """From a file with one label to a model that answers, by nothing but pasting."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    rows = pairs(120, 1)
    write_pairs(tmp_path / "my tickets.csv", [(text, "alone") for text, _ in rows])
    (fix,) = following(capsys, "check", "my tickets.csv", rc=1)
    assert fix[:3] == ["smidgen", "check", "my tickets.csv"] and fix[-2:] == ["--fix", "my tickets.clean.csv"]
    write_pairs(tmp_path / "my tickets.csv", rows)
    (build,) = following(capsys, *fix[1:])
    assert build[1] == "build" and "my tickets.clean.csv" in build
    chat, serve = following(capsys, *build[1:], "--student", "linear", "--threads", "1")
    assert chat == ["smidgen", "chat", "my tickets"] and serve == ["smidgen", "serve", "my tickets"]
    assert following(capsys, "eval", "my tickets", "--data", "my tickets.csv") == [serve]
    assert following(capsys, "models") == [chat]


@pytest.mark.usefixtures("certified_bundle")
def test_results_for_programs_end_with_the_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["status", "--json"], ["models", "--json"], ["doctor", "--json"]):
        code(arguments)
        assert "next:" not in capsys.readouterr().err, arguments
    assert following(capsys, "status") == [["smidgen", "models"]]


def test_every_verb_leads_somewhere_that_is_there() -> None:
    """Those that are not in the table print it themselves, or never end."""
    own = {"demo", "start", "init", "build", "serve", "export"}
    assert set(_AFTER) | own <= set(registry.names("cli")), "a verb that is dropped in may say nothing of what comes next"
    given = {"file": "a b.csv", "bundle": "m", "model": "line", "task": "classify", "to": "out.csv"}
    seen = 0
    for verb, after in _AFTER.items():
        for line in after(given, True):
            words = shlex.split(line)
            flags = {name for param in command(words[1]).params for name in (*param.opts, *param.secondary_opts)}
            assert words[0] == "smidgen" and {word for word in words if re.match("--[a-z]", word)} <= flags, f"{verb}: {line}"
            seen += 1
    assert seen >= 14
    assert command_line("check", "a b.csv") in ("smidgen check 'a b.csv'", 'smidgen check "a b.csv"')
