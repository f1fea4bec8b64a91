"""The command line shows errors in the user's language."""

from __future__ import annotations

from pathlib import Path

import pytest

from smidgen.cli.main import code


def test_the_language_of_errors_is_chosen_by_option_or_by_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    verb = ["check", str(tmp_path / "missing.csv")]
    printed = {}
    for language, arguments in {"en": [], "de": ["--lang", "de"]}.items():
        monkeypatch.setenv("LANGUAGE", "en")
        assert code([*arguments, *verb]) == 2
        printed[language] = capsys.readouterr().err
    monkeypatch.setenv("LANGUAGE", "de")
    assert code(verb) == 2
    assert capsys.readouterr().err == printed["de"]
    assert printed["en"].startswith("error: ") and printed["de"].startswith("Fehler: ")
    assert all("missing.csv" in text for text in printed.values())


def test_a_language_without_messages_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("LANGUAGE", "en")
    assert code(["--lang", "fr", "doctor"]) == 2
    assert "'fr'. Choose one of: en, de." in capsys.readouterr().err
