"""Tracebacks as the interpreter and pytest print them."""

from __future__ import annotations

import traceback

from smidgen.code.tracebacks import RaisedError, TracebackFrame, read_tracebacks

CHAIN = """INFO started
Traceback (most recent call last):
  File "/app/shop/prices.py", line 7, in price
    return table[name]
           ~~~~~^^^^^^
KeyError: 'bun'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/app/main.py", line 3, in <module>
    price("bun")
  File "/app/shop/prices.py", line 9, in price
    raise PriceError(
shop.errors.PriceError: no price
  for: bun

INFO stopped
"""
PYTEST = """
    def test_price():
>       assert price({"a": 1}, "b") == 1
               ^^^^^^^^^^^^^^^^^^^^

tests/test_price.py:4:
_ _ _ _ _ _ _ _ _ _ _ _ _

    def price(d, k):
>       return d[k]
E       KeyError: 'b'

prices.py:2: KeyError
=========== short test summary info ===========
FAILED tests/test_price.py::test_price - KeyError: 'b'
"""


def test_a_chain_is_read_with_its_places_and_marks() -> None:
    first, second = read_tracebacks(CHAIN)
    place = TracebackFrame("/app/shop/prices.py", 7, "price", "return table[name]", (7, 18))
    assert first == RaisedError("KeyError", "'bun'", (place,))
    assert (second.kind, second.name, second.message, second.after) == (
        "shop.errors.PriceError",
        "PriceError",
        "no price\n  for: bun",
        "cause",
    )
    assert [(frame.line, frame.function) for frame in second.frames] == [(3, "<module>"), (9, "price")]


def test_only_the_last_of_several_tracebacks_counts() -> None:
    other = CHAIN.replace("bun", "rye").split("\nThe above")[0]
    assert [error.message for error in read_tracebacks(CHAIN + other)] == ["'rye'"]


def test_what_a_log_puts_before_each_line_is_left_out() -> None:
    logged = "".join(f"web-1  | {line}\n" for line in CHAIN.splitlines())
    assert read_tracebacks(logged) == read_tracebacks(CHAIN)


def test_a_syntax_error_has_a_place_without_a_function() -> None:
    told = "  File \"x.py\", line 3\n    if x\n        ^\nSyntaxError: expected ':'\n"
    (error,) = read_tracebacks(told)
    assert error == RaisedError("SyntaxError", "expected ':'", (TracebackFrame("x.py", 3, "", "if x", (4, 5)),))


def test_a_repeated_line_is_counted() -> None:
    def again(number: int) -> int:
        return again(number + 1)

    try:
        again(0)
    except RecursionError:
        told = traceback.format_exc()
    assert max(frame.times for frame in read_tracebacks(told)[0].frames) > 500


def test_a_failure_as_pytest_prints_it() -> None:
    (error,) = read_tracebacks(PYTEST)
    assert (error.kind, error.message) == ("KeyError", "'b'")
    assert [(frame.path, frame.line, frame.source) for frame in error.frames] == [
        ("tests/test_price.py", 4, 'assert price({"a": 1}, "b") == 1'),
        ("prices.py", 2, "return d[k]"),
    ]


def test_other_texts_hold_none() -> None:
    texts = ["", "all is well", "Error: at line 3", "Traceback (most recent call last):", 'File "x", line 3', "E   x\n"]
    assert [read_tracebacks(text) for text in texts] == [[]] * len(texts)
