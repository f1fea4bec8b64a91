"""The file of labels that capture keeps, and how a server's settings become what is masked."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from smidgen.core.errors import InputError
from smidgen.flows.learn.traffic_rows import LONGEST_LABEL
from smidgen.gateway.route_settings import CaptureSettings
from smidgen.server.settings import ServeSettings
from smidgen.server.traffic import capture_setup
from smidgen.server.traffic.capture_setup import KnownNames, _scrubber
from smidgen.store.traffic.records import Exchange


def test_labels_are_lines(tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_text("\ufeffGermany\n\n  New Zealand \r\nGermany\n", encoding="utf-8")
    assert capture_setup.read_labels(file) == ("Germany", "New Zealand")
    assert capture_setup.labels_of(CaptureSettings(labels=file)) == ("Germany", "New Zealand")
    assert capture_setup.labels_of(CaptureSettings()) == ()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "has none"),
        (b"\n \n", "has none"),
        (b"\xff\xfe", "UTF-8"),
        (b"fine\n[PLACE_1]\n", "line 2: \\[PLACE_1\\]"),
        (b"x" * (LONGEST_LABEL + 1), "line 1: 61 characters"),
        (b"x" * 4_000_001, "too large"),
        ("\n".join(map(str, range(capture_setup.MOST_LABELS + 1))).encode(), "too many"),
    ],
)
def test_what_is_no_list_of_labels_is_refused(tmp_path: Path, content: bytes, what: str) -> None:
    file = tmp_path / "labels.txt"
    file.write_bytes(content)
    with pytest.raises(InputError, match=what):
        capture_setup.read_labels(file)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "none.txt"):
        with pytest.raises(InputError, match="the file of labels"):
            capture_setup.read_labels(place)
    with pytest.raises(InputError, match="nothing is"):
        capture_setup.check_labels(CaptureSettings(labels=tmp_path / "none.txt"))


def test_a_server_stores_nothing_that_its_border_lets_not_out(tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_text("Germany", encoding="utf-8")
    settings = ServeSettings(capture="answers", privacy="health", privacy_kind=("place=allow",), capture_labels=file)
    text = "http://shop.example/reset?user=margaret.holloway sent me to Germany. I am 93 years old."
    one = Exchange("r", datetime(2026, 5, 1, tzinfo=UTC), "big", "/v1/chat/completions", text, "upstream", answer="Germany")
    (safe,) = _scrubber(settings.capture, settings.privacy, KnownNames()).exchanges([one])
    assert safe is not None and safe.input == "[URL_1] sent me to [PLACE_1]. I am [AGE_1] years old." and safe.answer == "Germany"


def test_known_names_are_stored_as_they_are() -> None:
    text = "Margit Osterloh, is it in stock"
    one = Exchange("r", datetime(2026, 5, 1, tzinfo=UTC), "big", "/v1/chat/completions", text, "upstream", answer="yes")
    settings = [
        ServeSettings(capture="answers", capture_known=known, privacy=on) for known in ((), ("margit osterloh",)) for on in ("off", "mask")
    ]
    found = [_scrubber(own.capture, own.privacy, KnownNames()).exchanges([one])[0] for own in settings]
    assert [safe and safe.input for safe in found] == ["[PERSON_1], is it in stock"] * 2 + [text] * 2


def test_known_names_without_capture_are_refused() -> None:
    for settings in (CaptureSettings(known=("Margo",)), CaptureSettings(mode="answers", redact="allow", known=("Margo",))):
        with pytest.raises(InputError, match="known names are given"):
            capture_setup.check_labels(settings)
    with pytest.raises(InputError, match="empty"):
        capture_setup.check_labels(CaptureSettings(mode="answers", known=("",)))
