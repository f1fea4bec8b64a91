"""Where a response ends, by its bytes, however they are cut: what comes behind it is seen, and what cannot be read ends nowhere."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smidgen.server.gateway.transport import ResponseExtent

HEAD = b"HTTP/1.1 200 OK\r\n"
WHOLE = {
    "of a length": HEAD + b"Content-Length: 4\r\n\r\nsafe",
    "of no length": HEAD + b"content-length:0\r\n\r\n",
    "chunked": HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\nsafe\r\n0\r\n\r\n",
    "chunked with a trailer": HEAD
    + b"Transfer-Encoding: Chunked\r\n\r\na;x=1\r\n0123456789\r\nF\r\n0\r\n\r\n0123456789\r\n0\r\nX: y\r\n\r\n",
    "behind an interim one": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + HEAD + b"Content-Length: 1\r\n\r\nx",
    "without a body": b"HTTP/1.1 204 No Content\r\n\r\n",
    "not modified": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
}
ENDLESS = {
    "until it closes": HEAD + b"\r\nsafe",
    "two lengths": HEAD + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nsafe",
    "a length that is none": HEAD + b"Content-Length: four\r\n\r\nsafe",
    "another coding": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a size that is none": HEAD + b"Transfer-Encoding: chunked\r\n\r\n-4\r\nsafe\r\n0\r\n\r\n",
    "another protocol": b"HTTP/1.1 101 Switching\r\n\r\n",
    "no response": b"hello\r\n\r\n",
    "cut off": HEAD + b"Content-Length: 9\r\n\r\nsafe",
    "a head without an end": HEAD + b"X: " + b"y" * 300_000,
}


def read(content: bytes, cuts: list[int], method: str = "GET") -> ResponseExtent:
    extent = ResponseExtent()
    extent.begin(method)
    at = 0
    for cut in [*sorted(cuts), len(content)]:
        extent.took(content[at:cut])
        at = max(at, cut)
    return extent


@pytest.mark.parametrize("which", WHOLE)
def test_a_response_ends_where_it_ends(which: str) -> None:
    content = WHOLE[which]
    for step in (1, 2, 3, 7, len(content)):
        cuts = list(range(step, len(content), step))
        assert read(content, cuts).exact
        assert not read(content + b"HTTP/1.1 200 OK\r\n", cuts).exact, "another that nobody asked for"
        assert not read(content[:-1], [cut for cut in cuts if cut < len(content) - 1]).exact
    late = read(content, [])
    late.took(b"")
    assert late.exact
    late.took(b"x")
    late.begin("GET")
    late.took(WHOLE["of a length"])
    assert not late.exact, "once more has come the connection is not used again"


@pytest.mark.parametrize("which", ENDLESS)
def test_what_cannot_be_read_ends_nowhere(which: str) -> None:
    assert not read(ENDLESS[which], []).exact and not read(ENDLESS[which], [3, 20, 40]).exact


def test_an_answer_to_head_has_no_body() -> None:
    content = HEAD + b"Content-Length: 4\r\n\r\n"
    assert read(content, [], "HEAD").exact and not read(content, []).exact and ResponseExtent().exact


@given(st.lists(st.binary(min_size=1, max_size=30), max_size=4), st.lists(st.integers(0, 400), max_size=6), st.binary(max_size=3))
def test_it_agrees_with_the_library_that_reads_the_response(chunks: list[bytes], cuts: list[int], behind: bytes) -> None:
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    content = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n" + behind
    ours = h11.Connection(h11.CLIENT)
    ours.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    ours.send(h11.EndOfMessage())
    ours.receive_data(content)
    while type(ours.next_event()) is not h11.EndOfMessage:
        pass
    assert read(content, [cut for cut in cuts if cut < len(content)]).exact == (ours.trailing_data[0] == b"")
