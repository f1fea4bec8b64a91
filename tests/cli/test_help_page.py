"""The help of every verb in a terminal of 80 columns, and in a narrow one: nothing is cut off."""

from __future__ import annotations

import os
import re

import pytest

from smidgen.cli.help_page import completions, options_of
from smidgen.cli.main import _ELSEWHERE, GROUPS, code, command, groups
from smidgen.core.settings import settings_of
from smidgen.parts import registry
from smidgen.server.settings import ServeSettings


def page(verb: str, columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("COLUMNS", columns)
    assert code([verb, "--help", "--all"]) == 0
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


def test_of_many_flags_the_usual_ones_have_a_line_each(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    short = []
    for verb in registry.names("cli"):
        panels = options_of(command(verb))
        assert code([verb, "--help"]) == 0
        lines = capsys.readouterr().out.splitlines()
        if sum(map(len, panels.values())) <= 20:
            assert lines == page(verb, "80", capsys, monkeypatch), verb
            continue
        short.append(verb)
        usual = next(iter(panels.values()))
        start = lines.index("Options:") + 1
        assert len(usual) <= 10 and [line.split()[0].rstrip(",") for line in lines[start : start + len(usual)]] == [
            option.opts[0] for option in usual
        ], verb
        assert all(len(line) <= 80 for line in lines if not line.startswith("Example: ")), verb
        rest = sum(map(len, panels.values())) - len(usual)
        assert lines[start + len(usual) : -1] == ["", f"{rest} more flags, and all of this in full: smidgen {verb} --help --all"]
        assert len(page(verb, "80", capsys, monkeypatch)) > len(lines) + rest
    assert set(short) >= {"build", "serve"}


def test_the_short_page_of_serve_names_who_may_answer(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert code(["serve", "--help"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  --local ")]
    assert line.endswith("(certified, measured, never)")


def test_a_usage_error_names_arguments_as_the_help_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert code(["predict"]) == 2
    told = capsys.readouterr().err
    assert "Usage: smidgen predict BUNDLE [FILE] [OPTIONS]" in told and "Missing argument 'BUNDLE'" in told
    assert code(["serve", "--nosuch"]) == 2
    assert "Usage: smidgen serve [DIR...] [OPTIONS]" in capsys.readouterr().err


def test_what_looks_like_markup_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    told = " ".join(" ".join(page("serve", "80", capsys, monkeypatch)).split())
    assert "A recipe whose [route] says where requests go." in told
    assert "Usage: smidgen serve [DIR...] [OPTIONS]" in told and "(default: 8080)" in told and "(default: )" not in told


def test_every_help_text_is_whole(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that looks like markup gets lost: `[data.teacher]` in a text, or a code span that would be left empty."""
    seen = bracketed = 0
    for verb in registry.names("cli"):
        shown = " ".join(" ".join(page(verb, "80", capsys, monkeypatch)).split())
        spec = command(verb)
        for text in (*(param.help for param in spec.params), spec.help):
            plain = " ".join(str(text).split())
            assert plain in shown, f"{verb}: {plain}"
            assert not re.search(r"``|\(\)|\[\]|\s[,;.](\s|$)", plain), f"{verb}: {plain}"
            seen += 1
            bracketed += bool(re.search(r"\[[a-z]", plain))
    assert seen > 250
    assert bracketed >= 2


def test_a_completion_keeps_square_brackets() -> None:
    from typer._click.shell_completion import CompletionItem
    from typer._completion_classes import FishComplete, ZshComplete

    told = "Labels them (`[data.teacher]`), by [route]."
    for kind in (FishComplete, ZshComplete):
        shell = kind(None, {}, "smidgen", "_SMIDGEN_COMPLETE")  # type: ignore[arg-type]
        line = shell.format_completion(completions([CompletionItem("--unlabelled", help=told)])[0])
        assert "[data.teacher]" in line and "[route]" in line
        assert "\n" not in shell.format_completion(completions([CompletionItem("--long", help="word " * 100)])[0])


def completed(line: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setitem(os.environ, "_SMIDGEN_COMPLETE", "complete_bash")
    monkeypatch.setitem(os.environ, "COMP_WORDS", line)
    monkeypatch.setitem(os.environ, "COMP_CWORD", str(len(line.split()) - 1))
    with pytest.raises(SystemExit):
        code([])
    return capfd.readouterr().out.split()


def test_a_shell_completes_verbs_flags_and_choices(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert completed("smidgen ser", capfd, monkeypatch) == ["serve"]
    assert completed("smidgen build --unl", capfd, monkeypatch) == ["--unlabelled"]
    assert completed("smidgen serve --cache s", capfd, monkeypatch) == ["semantic"]
    assert "--version" in completed("smidgen no-such-verb --", capfd, monkeypatch)


def test_a_word_of_another_tool_is_met_with_ours(capsys: pytest.CaptureFixture[str]) -> None:
    assert set(_ELSEWHERE.values()) <= set(registry.names("cli")) and not set(_ELSEWHERE) & set(registry.names("cli"))
    for word, ours in (("train", "build"), ("deploy", "serve"), ("run", "predict"), ("buidl", "build")):
        assert code([word, "--data", "a.csv"]) == 2
        assert f"no command has this name: '{word}'. Did you mean '{ours}'?" in " ".join(capsys.readouterr().err.split())


def test_the_verbs_stand_in_groups_with_a_line_each(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert code(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sorted(verb for verbs in GROUPS.values() for verb in verbs) == sorted(registry.names("cli"))
    for title, verbs in groups().items():
        start = lines.index(f"{title}:")
        assert [line.split()[0] for line in lines[start + 1 : start + 1 + len(verbs)]] == verbs
        assert lines[start + 1 + len(verbs)] == ""
        assert all(len(line) <= 80 and line.endswith(".") for line in lines[start + 1 : start + 1 + len(verbs)])


@pytest.mark.parametrize("verb", ["serve", "build"])
def test_the_ten_flags_that_matter_come_first(verb: str) -> None:
    panels = options_of(command(verb))
    assert next(iter(panels)) == "Options"
    assert len(panels.pop("Options")) == 10
    assert len(panels) >= 8
    assert max(len(options) for options in panels.values()) <= 14
    assert "More options" not in panels


def test_every_setting_of_serve_is_a_flag_once() -> None:
    names = [option.name for options in options_of(command("serve")).values() for option in options]
    assert sorted(names) == sorted([*settings_of(ServeSettings), "recipe", "desk", "as_json"])
