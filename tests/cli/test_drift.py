"""`smidgen drift`: what it prints, and its exit codes."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests import drifting_traffic
from tests.certified_bundle import certified_bundle  # noqa: F401
from tests.drifting_traffic import NEW, capture

from smidgen.cli import learn
from smidgen.cli.main import code
from smidgen.core.errors import InputError
from smidgen.flows.drift import DriftSettings, check
from smidgen.store import files
from smidgen.store.traffic.store import opened

FEW = ["--recent", "100", "--reference", "300"]


@pytest.fixture
def bundle(certified_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: F811
    """One whose traffic has a new subject in its newest hundred requests."""
    monkeypatch.setattr(check, "embedder", lambda base, threads: drifting_traffic.vectors)
    with opened() as store:
        capture(store, range(300))
        capture(store, range(300, 400), new_every=3)
    files.remember_bundle(certified_bundle)
    return certified_bundle


def test_it_says_what_moved_with_examples_by_name_and_by_folder(bundle: Path, capsys: Any) -> None:
    assert code(["drift", "support", *FEW]) == 0
    shown = capsys.readouterr().out
    assert "alarm" in shown and "meaning" in shown and f"{NEW} (34)" in shown
    assert f"about the {NEW}" in shown and "look 1, tested at" in shown and "the first that were captured" in shown
    assert code(["drift", str(bundle), *FEW, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["alarm"] and found["look"] == 1 and "words" in found["moved"]
    assert code(["status"]) == 0
    assert "drift: meaning, " in capsys.readouterr().out


def test_the_exit_code_says_so_only_where_it_was_asked_to(bundle: Path, capsys: Any) -> None:
    assert code(["drift", "support", *FEW, "--fail-on-drift"]) == 1
    assert code(["drift", "support", *FEW, "--fail-on-drift", "--least", "0.9"]) == 0
    assert "no alarm" in capsys.readouterr().out
    assert code(["drift", "support", *FEW, "--since", "2027-01-01", "--fail-on-drift"]) == 0
    assert "too few recent requests" in capsys.readouterr().out


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the time zone of a process can be set on POSIX alone")
def test_moments_are_in_utc_whatever_the_machines_time_zone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[DriftSettings] = []

    def look(place: object, ask: DriftSettings, screen: object) -> None:
        asked.append(ask)
        raise InputError("far enough", value="", todo="")

    monkeypatch.setattr(check, "folder_of_name", lambda model: tmp_path)
    monkeypatch.setattr(check, "look_for_drift", look)
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "XYZ-9")
        time.tzset()
        assert code(["drift", "support", "--since", "2026-03-01", "--before", "2026-02-01T12:30:00"]) == 2
    time.tzset()
    (ask,) = asked
    assert ask.since == datetime(2026, 3, 1, tzinfo=UTC) and ask.before == datetime(2026, 2, 1, 12, 30, tzinfo=UTC)


def test_what_cannot_be_is_wrong_usage(bundle: Path, capsys: Any) -> None:
    assert code(["drift", "suport"]) == 2
    assert "one of: support" in capsys.readouterr().err
    assert code(["drift", "support", "--level", "2"]) == 2


def test_learning_is_told_of_an_alarm_in_words(bundle: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    small = DriftSettings(recent=100, reference=300)
    monkeypatch.setattr(check, "is_look_due", lambda folder, ask, after: False)
    looks = learn._DriftLooks(bundle, small)
    assert not looks()
    asked: list[object] = []
    monkeypatch.setattr(check, "is_look_due", lambda folder, ask, after: asked.append(after) or True)
    assert looks()
    looks()
    assert asked[0] is None and asked[1] is not None, "what was looked at is not looked at again"
    told = capsys.readouterr().err
    assert "meaning moved by" in told and "words moved by" in told
    assert NEW not in told, "what is deleted from the store does not live on in a log"
    assert code(["learn", str(bundle.parent / "line"), "--when-drift", "--no-traffic"]) == 2
