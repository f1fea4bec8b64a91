"""The help of every verb in a terminal of 80 columns, and in a narrow one: nothing is cut off."""

from __future__ import annotations

import pytest

from smidgen.cli.help_page import options_of
from smidgen.cli.main import code, command
from smidgen.parts import registry


def page(verb: str, columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("COLUMNS", columns)
    assert code([verb, "--help"]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("columns", ["80", "40"])
def test_every_flag_is_whole(columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen = 0
    for verb in registry.names("cli"):
        lines = page(verb, columns, capsys, monkeypatch)
        words = [word.rstrip(",") for line in lines for word in line.split()]
        assert not [line for line in lines if line.rstrip("│ ").endswith("…")], verb
        for options in options_of(command(verb)).values():
            for option in options:
                for name in (*option.opts, *option.secondary_opts):
                    seen += 1
                    assert name in words, f"{verb} {name}"
        # What is to be pasted stands on one line; else no line is wider than the terminal.
        assert sum(line.startswith(f"Example: smidgen {verb}") for line in lines) == 1
        if columns == "80":
            assert [line for line in lines if len(line) > 80 and not line.startswith("Example: ")] == [], verb
    assert seen > 200


def test_what_looks_like_markup_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    told = " ".join(" ".join(page("serve", "80", capsys, monkeypatch)).split())
    assert "A recipe of yours whose [route] says where requests go." in told
    assert "Usage: smidgen serve [DIR...] [OPTIONS]" in told and "(default: 8080)" in told and "(default: )" not in told
