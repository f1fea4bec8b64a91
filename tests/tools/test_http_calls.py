"""HTTP calls: no argument changes where a request goes, secrets are masked, and every answer is bounded."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from smidgen.core.errors import InputError
from smidgen.tools import http_calls
from smidgen.tools.definition import HttpTarget
from smidgen.tools.http_calls import OutcomeUnknown, PreparedRequest, prepared_request, rows_at, send

ENVIRONMENT = {"SHOP": "https://shop.example/base", "KEY": 'se"cret/key'}
URL = "https://shop.example/api/orders/{order}?note={note}"


def made(url: str = URL, body: Any = None, **values: Any) -> PreparedRequest:
    target = HttpTarget("GET" if body is None else "POST", url, {"Authorization": "Bearer ${KEY}"}, body)
    return prepared_request(target, {"order": "FH-1", "note": "x", **values}, ENVIRONMENT)


def test_arguments_are_encoded_for_their_place() -> None:
    assert made(note="a&b=c#d e/ü").url == "https://shop.example/api/orders/FH-1?note=a%26b%3Dc%23d%20e%2F%C3%BC"
    assert made("${SHOP}/orders/{order}", order="a b?c").url == "https://shop.example/base/orders/a%20b%3Fc"
    assert made("https://shop.example/o?key=${KEY}").url == "https://shop.example/o?key=se%22cret%2Fkey"


@pytest.mark.parametrize("order", ["..", ".", "", "a/../b", "../../admin", "a\\b", "/", "x/y"])
def test_an_argument_is_one_segment(order: str) -> None:
    with pytest.raises(InputError, match="cannot be a part of the address"):
        made(order=order)


@pytest.mark.parametrize(
    "order", ["@evil.example", "x@evil.example:80", "?a=b", "#x", "%2e%2e", "//evil.example".replace("/", "%2F"), "{note}", "${KEY}"]
)
def test_no_argument_changes_where_a_request_goes(order: str) -> None:
    url = httpx.URL(made(order=order).url)
    assert (url.scheme, url.host, url.port) == ("https", "shop.example", None)
    assert url.raw_path.split(b"?")[0].count(b"/") == 3 and url.fragment == "" and "se%22cret" not in str(url) and "cret" not in str(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example/x",
        "https://a:b@shop.example/x",
        "ftp://shop.example/",
        "https:///x",
        "file:///etc/passwd",
        "https://{order}.example/",
        "https://shop.example{order}/",
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(InputError):
        made(url)


def test_an_address_in_a_variable_is_held_to_it_too() -> None:
    for value in (
        "http://shop.example",
        "https://me:pw@shop.example",
        "https://shop.example?x=",
        "https://shop.example/{order}",
        "a\nb",
        "",
    ):
        with pytest.raises(InputError) as told:
            prepared_request(HttpTarget("GET", "${SHOP}/x"), {}, {"SHOP": value})
        assert "pw" not in str(told.value)
    assert prepared_request(HttpTarget("GET", "${SHOP}/x"), {}, {"SHOP": "http://127.0.0.1:9/"}).url == "http://127.0.0.1:9/x"


def test_a_body_keeps_types_and_reads_no_value_as_a_template() -> None:
    body = {"n": "{count}", "text": "Note: {note} by ${KEY}", "gone": "{absent}", "list": ["{order}", 3], "deep": {"flag": "{flag}"}}
    request = made("https://shop.example/x", body, count=3, note="{order} ${KEY}", flag=True)
    assert json.loads(request.body or b"") == {
        "n": 3,
        "text": 'Note: {order} ${KEY} by se"cret/key',
        "list": ["FH-1", 3],
        "deep": {"flag": True},
    }


def test_secrets_are_masked_however_they_are_written() -> None:
    shown = made("https://shop.example/o?key=${KEY}", {"key": "${KEY}"}).shown()
    assert "cret" not in str(shown) and shown["headers"]["Authorization"] == "Bearer •••" and shown["url"].endswith("?key=•••")


def answered(handler: Callable[[httpx.Request], httpx.Response], changes: bool = False) -> tuple[int, Any]:
    request = PreparedRequest("POST" if changes else "GET", "https://shop.example/x", {}, b"{}" if changes else None)
    return send(request, changes, httpx.MockTransport(handler))


def test_answers_are_read() -> None:
    assert answered(lambda _: httpx.Response(200, json={"a": 1})) == (200, {"a": 1})
    assert answered(lambda _: httpx.Response(204)) == (204, None)
    assert answered(lambda _: httpx.Response(404, text="<html>")) == (404, None)
    assert answered(lambda _: httpx.Response(200, text="OK"), changes=True) == (200, None)
    with pytest.raises(InputError, match="not JSON"):
        answered(lambda _: httpx.Response(200, text="<html>"))
    assert rows_at({"data": {"orders": [{"id": 1}]}}, "data.orders") == [{"id": 1}] and rows_at({"data": 1}, "data.x") == []


def test_answers_are_bounded() -> None:
    with pytest.raises(InputError, match="gave no answer"):
        answered(lambda _: httpx.Response(200, content=b"x" * (http_calls.MOST_BYTES + 1)))
    with pytest.raises(InputError, match="not JSON"):
        answered(lambda _: httpx.Response(200, content=b"[" * 100_000))


def test_redirects_stay_at_the_host() -> None:
    def moved(to: str) -> Callable[[httpx.Request], httpx.Response]:
        return lambda request: (
            httpx.Response(200, json=request.url.path) if request.url.path == "/y" else httpx.Response(302, headers={"location": to})
        )

    assert answered(moved("/y")) == (200, "/y")
    for to in (
        "https://evil.example/y",
        "http://shop.example/y",
        "https://shop.example:444/y",
        "//evil.example/y",
        "https://a@shop.example/y",
    ):
        with pytest.raises(InputError, match="another host"):
            answered(moved(to))
    with pytest.raises(InputError, match="without end"):
        answered(moved("/x"))
    with pytest.raises(OutcomeUnknown):
        answered(moved("/y"), changes=True)


def failing(error: httpx.HTTPError) -> Callable[[httpx.Request], httpx.Response]:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    return fail


def test_a_change_without_an_answer_is_unknown() -> None:
    for error in (httpx.ReadTimeout("late"), httpx.RemoteProtocolError("gone"), httpx.WriteError("broken")):
        with pytest.raises(OutcomeUnknown):
            answered(failing(error), changes=True)
        with pytest.raises(InputError):
            answered(failing(error))
    with pytest.raises(InputError, match="cannot be reached"):
        answered(failing(httpx.ConnectError("refused")), changes=True)
