"""Stop strings: wherever the pieces are cut, the text ends just before the first of them."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from smidgen.engines.llama_worker import StopFilter

letters = st.text("ab\n", max_size=30)


@given(letters, st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=3), st.lists(st.integers(0, 30), max_size=8))
def test_it_is_the_text_up_to_the_first_stop(text: str, stops: list[str], cuts: list[int]) -> None:
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[a:b] for a, b in itertools.pairwise(places)]
    scanner = StopFilter(stops)
    shown, final = [], min([at for stop in stops if (at := text.find(stop)) >= 0], default=None)
    for piece in pieces:
        shown.append(scanner.feed(piece))
        so_far = "".join(shown)
        assert text.startswith(so_far)
        assert not any(stop in so_far for stop in stops)
    assert len(shown) == len(pieces)
    whole = "".join(shown) + scanner.rest()
    assert (scanner.hit is None) == (final is None)
    # Found in the piece that completes it: a longer stop that began earlier may not have been whole by then.
    if final is None:
        assert whole == text
    else:
        assert scanner.hit in stops and text.startswith(whole + str(scanner.hit)) and not any(stop in whole for stop in stops)


def test_nothing_is_held_without_reason() -> None:
    scanner = StopFilter(["\n\n", "STOP"])
    assert [scanner.feed(piece) for piece in ("one", "\n", "two ST", "A", " ST", "OP more")] == ["one", "", "\ntwo ", "STA", " ", ""]
    assert scanner.hit == "STOP" and scanner.rest() == "" and scanner.feed("more") == ""


def test_what_was_held_comes_at_the_end() -> None:
    scanner = StopFilter(["###"])
    assert scanner.feed("a ##") == "a " and scanner.rest() == "##" and scanner.hit is None
