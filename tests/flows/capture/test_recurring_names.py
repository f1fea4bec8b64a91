"""A name that several users with several keys write is public; not where it has the sign of a private person, or once had one."""

from __future__ import annotations

import pytest
from tests.flows.capture.test_redaction import Names, asked

from smidgen.flows.capture import recurring_names
from smidgen.flows.capture.recurring_names import KEYS, USERS
from smidgen.flows.capture.redaction import CaptureRedactor


def stored(scrubber: CaptureRedactor, text: str, user: int, key: int) -> str | None:
    (safe,) = scrubber.exchanges([asked(text, user=f"user {user}", key=f"key {key}")])
    return safe.input if safe is not None else None


def write(scrubber: CaptureRedactor, text: str, users: int = USERS, keys: int = KEYS) -> list[str | None]:
    return [stored(scrubber, text, user, user % keys) for user in range(users)]


def test_a_name_that_many_write_stays_from_then_on() -> None:
    scrubber = CaptureRedactor(finding=Names("brixo"))
    first = write(scrubber, "how much is brixo")
    assert first[:-1] == ["how much is [PERSON_1]"] * (USERS - 1) and first[-1] == "how much is brixo"
    assert stored(scrubber, "where do i get Brixo", 99, 99) == "where do i get Brixo"


@pytest.mark.parametrize(("users", "keys"), [(USERS - 1, KEYS), (USERS, KEYS - 1)])
def test_a_name_of_few_users_or_one_key_is_masked(users: int, keys: int) -> None:
    scrubber = CaptureRedactor(finding=Names("brixo"))
    assert set(write(scrubber, "how much is brixo", users, keys)) == {"how much is [PERSON_1]"}


def test_requests_without_a_user_do_not_count() -> None:
    scrubber = CaptureRedactor(finding=Names("brixo"))
    given = [asked("how much is brixo", key=f"key {number}") for number in range(4 * USERS)]
    assert [safe and safe.input for safe in scrubber.exchanges(given)] == ["how much is [PERSON_1]"] * 4 * USERS


def test_a_name_that_has_a_sign_once_is_a_private_persons() -> None:
    scrubber = CaptureRedactor(finding=Names("brixo"))
    write(scrubber, "how much is brixo")
    assert stored(scrubber, "call brixo for me", 1, 1) == "call [PERSON_1] for me"
    assert stored(scrubber, "how much is brixo", 1, 1) == "how much is [PERSON_1]"


def test_a_full_name_never_recurs() -> None:
    scrubber = CaptureRedactor(finding=Names("Anna Schmidt"))
    assert set(write(scrubber, "Anna Schmidt helped", 3 * USERS)) == {"[PERSON_1] helped"}


def test_the_names_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recurring_names, "_MOST", 2)
    scrubber = CaptureRedactor(finding=Names("brixo", "zuntra", "melp"))
    write(scrubber, "how much is brixo", USERS - 1)
    for other in ("zuntra", "melp"):
        stored(scrubber, f"how much is {other}", 1, 1)
    assert stored(scrubber, "how much is brixo", USERS, 1) == "how much is [PERSON_1]", "its count began anew"
    assert len(scrubber._recurring_names._names) == 2
