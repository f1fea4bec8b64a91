"""Which of a client's headers cross, and which of them is its key."""

from __future__ import annotations

import pytest

from smidgen.gateway.crossing import known, secret


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ([], b""),
        ([(b"authorization", b"Bearer sk-1")], b"sk-1"),
        ([(b"x-api-key", b"sk-2"), (b"authorization", b"bearer  sk-1 ")], b"sk-1"),
        ([(b"api-key", b"sk-3"), (b"x-api-key", b"sk-2")], b"sk-3"),
        ([(b"Authorization", b"Bearer sk-1"), (b"authorization", b"Bearer sk-9")], b"sk-1"),
        ([(b"authorization", b""), (b"x-goog-api-key", b" sk-4 ")], b"sk-4"),
        ([(b"authorization", b"Basic abc")], b"Basic abc"),
    ],
)
def test_the_key_is_the_one_that_this_server_checks_before_all_others(headers: list[tuple[bytes, bytes]], key: bytes) -> None:
    assert secret(headers) == key


def test_a_key_against_repetition_may_name_somebody_and_stays() -> None:
    sent = [(b"Idempotency-Key", b"m.holloway@example.org"), (b"accept", b"*/*")]
    assert known(sent) == [(b"accept", b"*/*")]
