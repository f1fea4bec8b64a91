"""The time zone of the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from smidgen.machine import time_zone


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        (":America/New_York", "America/New_York"),
        ("/usr/share/zoneinfo/Asia/Tokyo", "Asia/Tokyo"),
        ("CET-1CEST", None),
        ("../../etc/passwd", None),
        ("/etc/passwd", None),
    ],
)
def test_the_variable_names_it(told: str, name: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", told)
    assert time_zone.local_time_zone() == name


def test_without_the_variable_the_linked_file_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TZ", raising=False)
    monkeypatch.setattr(time_zone, "_LOCAL", tmp_path / "localtime")
    assert time_zone.local_time_zone() is None
    (tmp_path / "localtime").symlink_to("/usr/share/zoneinfo/Europe/Rome")
    assert time_zone.local_time_zone() == "Europe/Rome"
