"""Bytes in a text are told by how base64 looks, and nothing that people write looks so."""

from __future__ import annotations

import base64
import hashlib
import json
import time

import pytest

from smidgen.privacy import encodings

DATA = b"".join(hashlib.sha256(bytes([number])).digest() for number in range(40))
RUN = base64.b64encode(DATA).decode()
MIME = base64.encodebytes(DATA).decode()
PEM = "\n".join(RUN[at : at + 64] for at in range(0, 400, 64))
JWT = f"eyJhbGciOiJIUzI1NiJ9.eyJ{RUN[:700].replace('+', '-').replace('/', '_')}.c2lnbmF0dXJl-_x"


@pytest.mark.parametrize(
    "text",
    [
        RUN,
        RUN[:400],
        f"the scan: {RUN[:400]}, please",
        f'{{"png": "{RUN[:500]}"}} and more',
        base64.urlsafe_b64encode(DATA[:310]).decode(),
        f"see\n{MIME}",
        f"> {MIME.replace(chr(10), chr(10) + '> ')}",
        f"-----BEGIN CERTIFICATE-----\r\n{PEM[:263]}\r\n-----END".replace("\n", "\r\n"),
        f"so: {json.dumps({'file': MIME})}",
        f"key {JWT} {RUN[:450]}",
        "data:image/png;base64,iVBORw0KGgo=",
        "DATA:text/html,<b>",
        "see ![a](data:image/png;base64,iVBORw0KGgo=) here",
        "ab" * 600,
    ],
)
def test_bytes_are_told(text: str) -> None:
    assert encodings.base64_spans(text)


@pytest.mark.parametrize(
    "text",
    [
        "-" * 2000,
        "=" * 500 + "Title 1" + "_" * 500,
        "a\n" + ("-" * 70 + "\n") * 6,
        "| a | B | 1 |\n" + ("|" + "-" * 66 + "|\n") * 6,
        "/srv/anna/projects2/" + "some/long/path-to_a/file/" * 20,
        "/srv/Anna/Projects2/" + "some/long/path-to_a/file/" * 20,
        "ab" * 250,
        ("ab" * 35 + "\n") * 6,
        "\n".join(hashlib.sha256(bytes([number])).hexdigest() for number in range(8)),
        RUN[:399],
        "\n".join(RUN[at : at + 64] for at in range(0, 192, 64)),
        f"Bearer {JWT}",
        json.dumps({"token": JWT}),
        "A sentence with Capitals and 12 numbers. " * 50,
    ],
)
def test_what_people_write_is_none(text: str) -> None:
    assert encodings.base64_spans(text) == []


def test_a_stretch_is_what_is_no_text() -> None:
    text = f"Anna: {RUN[:400]} and data:image/png;base64,iVBORw0KGgo= of Bo, {JWT}"
    assert [text[start:end] for start, end in encodings.base64_spans(text)] == [RUN[:400], "data:image/png;base64,iVBORw0KGgo="]
    page = f"  data:text/html,<b>{RUN}</b>"
    assert encodings.base64_spans(page) == [(0, len(page))]
    mail = f"see\n{MIME}bye"
    ((start, end),) = encodings.base64_spans(mail)
    assert mail[:start] == "see\n" and len(mail) - end < 80


def test_a_long_text_takes_no_more_than_its_time() -> None:
    began = time.process_time()
    for text in (
        (RUN[:399] + " ") * 2000,
        (RUN[:70] + "\n" + "x\n") * 9000,
        "eyJ" * 200_000,
        ("eyJ" + "a" * 20 + ".") * 20_000,
        "data:" * 90_000,
    ):
        encodings.base64_spans(text)
    assert time.process_time() - began < 5
