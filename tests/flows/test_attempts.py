"""A text with a fault is written anew: the best is given, in a batch and piece by piece alike, and no more are drawn than are needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from smidgen.core.parts import Form, Raw
from smidgen.core.rows import Row
from smidgen.engines.llama_pieces import Piece, Token
from smidgen.flows.attempts import best, checks, improved
from smidgen.parts import registry
from smidgen.tasks.write import WriteSettings

COLOURS, THINGS, SIZES = ("red", "blue", "green", "grey"), ("vase", "lamp", "rug", "bowl"), ("small", "large", "huge")
ROWS = [
    Row(f"thing: {t}; colour: {c}; size: {s}", f"This {s} {c} {t} is made for your home.", n)
    for n, (c, t, s) in enumerate([(c, t, s) for c in COLOURS for t in THINGS for s in SIZES], 1)
]
TEXT = "thing: lamp; colour: blue; size: huge"
RIGHT, NO_SIZE, NO_SIZE_NO_COLOUR, WRONG = (
    "This huge blue lamp is made for your home.",
    "This blue lamp is made for your home.",
    "This lamp is made for your home.",
    "This huge red lamp is made for your home.",
)


class Runner:
    """Writes what it is told to: the likeliest text first, then one for each seed."""

    options = type("Options", (), {"slots": 2})()

    def __init__(self, first: str, *drawn: tuple[str, float]) -> None:
        self.first, self.drawn, self.asked = first, drawn, list[tuple[int, int]]()

    def run(self, texts: Sequence[Any]) -> Raw:
        return raw([self.first] * len(texts), 0.9)

    def draw(self, texts: Sequence[Any], temperature: float, seed: int) -> Raw:
        assert temperature > 0
        self.asked.append((seed, len(texts)))
        text, likely = self.drawn[seed - 1]
        return raw([text] * len(texts), likely)

    def write(self, text: Any, **options: Any) -> Iterator[Piece]:
        seed = options.get("seed", 0) if options.get("temperature") else 0
        words, likely = (self.first, 0.9) if not seed else self.drawn[seed - 1]
        self.asked.append((seed, 1))
        yield Piece(words[:5], 1, (Token(1, words[:5], likely),))
        yield Piece(words[5:], 1, (Token(2, words[5:], likely),), "stop")

    def chat(self, body: Mapping[str, Any]) -> Iterator[Any]:
        raise AssertionError("no conversation was asked for")


def raw(texts: list[str], likely: float) -> Raw:
    n = len(texts)
    numbers = {"probability": likely, "tokens": 8.0, "finished": 1.0}
    return {"texts": texts, **{name: np.full(n, value, np.float32) for name, value in numbers.items()}}


@pytest.fixture(scope="module")
def form() -> Form:
    found: Form = registry.find("tasks", "write").form(ROWS, WriteSettings())
    assert found["attributes"]
    assert found["attempts"] == 4
    return found


@pytest.mark.parametrize(
    ("first", "drawn", "wanted", "asked"),
    [
        (RIGHT, [], RIGHT, 0),
        (NO_SIZE, [(RIGHT, 0.5)], RIGHT, 1),
        (NO_SIZE, [(NO_SIZE_NO_COLOUR, 0.99), (WRONG, 0.99), (RIGHT, 0.1)], RIGHT, 3),
        (NO_SIZE_NO_COLOUR, [(NO_SIZE, 0.5), (NO_SIZE_NO_COLOUR, 0.6), (NO_SIZE, 0.4), (NO_SIZE, 0.4)], NO_SIZE, 4),
        (NO_SIZE, [(NO_SIZE, 0.5)] * 4, NO_SIZE, 4),
    ],
)
def test_the_one_with_the_fewest_faults_is_given(form: Form, first: str, drawn: list[tuple[str, float]], wanted: str, asked: int) -> None:
    task, runner = registry.find("tasks", "write"), Runner(first, *drawn)
    found = improved(task, form, runner, [TEXT, "no attributes here"], runner.run([TEXT, TEXT]))
    assert found["texts"] == [wanted, first], "what cannot be checked stays"
    assert runner.asked == [(seed, 1) for seed in range(1, asked + 1)]
    assert found["probability"].dtype == np.float32
    assert len(found["finished"]) == 2
    streamed = list(best(task, form, Runner(first, *drawn), TEXT, {"max_tokens": 20}))
    assert "".join(piece.text for piece in streamed) == wanted
    assert streamed[-1].finish == "stop"
    (reply, _) = task.decode(found, form)
    assert bool(reply.facts["missing"]) == (wanted != RIGHT)


def test_nothing_is_written_anew_where_it_was_not_asked_for_or_cannot_be_checked(form: Form) -> None:
    task, runner = registry.find("tasks", "write"), Runner(NO_SIZE)
    for other in ({**form, "attempts": 0}, {**form, "attributes": False}):
        assert not checks(task, other, TEXT)
        assert improved(task, other, runner, [TEXT], runner.run([TEXT]))["texts"] == [NO_SIZE]
    assert not checks(task, form, "a plain text")
    assert checks(task, form, TEXT)
    assert not checks(registry.find("tasks", "classify"), {}, TEXT)
    assert not runner.asked


def test_a_text_that_was_cut_off_is_written_anew(form: Form) -> None:
    task, runner = registry.find("tasks", "write"), Runner(RIGHT, (RIGHT, 0.5))
    cut = {**runner.run([TEXT]), "finished": np.zeros(1, np.float32)}
    assert improved(task, form, runner, [TEXT], cut)["finished"].tolist() == [1.0]


def test_closing_ends_the_writing_before_the_text_is_whole(form: Form) -> None:
    ended: list[int] = []

    class Slow(Runner):
        def write(self, text: Any, **options: Any) -> Iterator[Piece]:
            try:
                for number in range(100):
                    yield Piece("word ", 1, (Token(1, "word ", 0.5),))
                    ended.append(number)
            finally:
                ended.append(-1)

    pieces = best(registry.find("tasks", "write"), form, Slow(RIGHT), TEXT, {})
    assert [next(pieces).text for _ in range(3)] == ["", "", ""]
    pieces.close()
    assert ended == [0, 1, -1]
