"""Lines between the engine and its process are bounded, and half a line is the end."""

from __future__ import annotations

import io
import math

import pytest

from smidgen.engines.llama_protocol import LONGEST, packed, receive


def test_messages_come_back_as_they_were() -> None:
    messages = [{"id": 1, "text": "zwei\nZeilen – 🙂"}, {"id": 2, "text": "\ud800"}, {}]
    stream = io.BytesIO(b"".join(packed(message) for message in messages))
    assert [receive(stream), receive(stream), receive(stream), receive(stream)] == [*messages, None]


def test_a_line_that_was_cut_is_the_end() -> None:
    assert receive(io.BytesIO(packed({"id": 1})[:-1])) is None


def test_no_line_is_longer_than_the_bound() -> None:
    with pytest.raises(ValueError, match=str(LONGEST)):
        packed({"text": "a" * LONGEST})
    stream = io.BytesIO(b'{"a": "' + b"x" * 1000 + b'"}\n')
    with pytest.raises(ValueError, match="over 100 bytes"):
        receive(stream, longest=100)
    assert stream.tell() == 101, "no more of it was read"


@pytest.mark.parametrize("line", [b"[1]\n", b"nonsense\n", b"\xff\n", b"3\n"])
def test_what_is_no_object_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError):
        receive(io.BytesIO(line))


def test_what_json_cannot_say_is_not_sent() -> None:
    with pytest.raises(ValueError):
        packed({"temperature": math.nan})
