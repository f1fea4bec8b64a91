"""A text with a fault is written anew: the best is given, in a batch and piece by piece alike, and no more are drawn than are needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from smidgen.core.errors import RequestError
from smidgen.core.forms import TextForm
from smidgen.core.parts import Raw
from smidgen.core.rows import Row
from smidgen.engines.llama_protocol import ChosenToken, LlamaUsage, Piece
from smidgen.flows.local_model import Model
from smidgen.flows.text_generation import improve, is_checked, write_best
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
SIZE, COLOUR, MORE = " It is a huge lamp.", " It is a blue lamp.", " It is here."


class Runner:
    """Writes what it is told to: the likeliest text first, then what it adds to a text, then one for each seed."""

    options = type("Options", (), {"slots": 2, "max_tokens": 40})()

    def __init__(self, first: str, *drawn: tuple[str, float], added: Mapping[str, str] | None = None) -> None:
        self.first, self.drawn, self.asked = first, drawn, list[tuple[int, int]]()
        self.added, self.begun = added or {}, list[str]()

    def run(self, texts: Sequence[Any]) -> Raw:
        return raw([self.first] * len(texts), 0.9)

    def draw(self, texts: Sequence[Any], temperature: float, seed: int) -> Raw:
        assert temperature > 0
        self.asked.append((seed, len(texts)))
        text, likely = self.drawn[seed - 1]
        return raw([text] * len(texts), likely)

    def extend(self, texts: Sequence[Any], begun: Sequence[str]) -> Raw:
        self.begun += begun
        return raw([self.added.get(text, MORE) for text in begun], 0.3, 4.0)

    def write(self, text: Any, **options: Any) -> Iterator[Piece]:
        if begun := options.get("begun"):
            self.begun.append(begun)
            yield Piece(" ", 2, (ChosenToken(1, " ", 0.3),))
            yield Piece(self.added.get(begun, MORE)[1:], 2, (ChosenToken(2, "", 0.3),), "stop", LlamaUsage(30, 20, 5))
            return
        seed = options.get("seed", 0) if options.get("temperature") else 0
        words, likely = (self.first, 0.9) if not seed else self.drawn[seed - 1]
        self.asked.append((seed, 1))
        yield Piece(words[:5], 1, (ChosenToken(1, words[:5], likely),))
        yield Piece(words[5:], 1, (ChosenToken(2, words[5:], likely),), "stop", LlamaUsage(20, 0, 3))

    def chat(self, body: Mapping[str, Any]) -> Iterator[Any]:
        raise AssertionError("no conversation was asked for")


def raw(texts: list[str], likely: float, tokens: float = 8.0) -> Raw:
    n = len(texts)
    numbers = {"probability": likely, "tokens": tokens, "finished": 1.0}
    return {"texts": texts, **{name: np.full(n, value, np.float32) for name, value in numbers.items()}}


@pytest.fixture(scope="module")
def form() -> TextForm:
    found: TextForm = registry.find("tasks", "write").form(ROWS, WriteSettings())
    assert found.attributes and found.attempts == 4
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
def test_the_one_with_the_fewest_faults_is_given(
    form: TextForm, first: str, drawn: list[tuple[str, float]], wanted: str, asked: int
) -> None:
    task, runner = registry.find("tasks", "write"), Runner(first, *drawn)
    found = improve(task, form, runner, [TEXT, "no attributes here"], runner.run([TEXT, TEXT]))
    assert found["texts"] == [wanted, first], "what cannot be checked stays"
    assert runner.asked == [(seed, 1) for seed in range(1, asked + 1)]
    assert found["probability"].dtype == np.float32
    assert len(found["finished"]) == 2
    streamed = list(write_best(task, form, Runner(first, *drawn), TEXT, {"max_tokens": 20}))
    assert "".join(piece.text for piece in streamed) == wanted
    assert streamed[-1].finish == "stop"
    (reply, _) = task.decode(found, form)
    assert bool(reply.facts["missing"]) == (wanted != RIGHT)


@pytest.mark.parametrize(
    ("first", "added", "wanted", "begun"),
    [
        (NO_SIZE, {NO_SIZE: SIZE}, NO_SIZE + SIZE, [NO_SIZE]),
        (
            NO_SIZE_NO_COLOUR,
            {NO_SIZE_NO_COLOUR: COLOUR, NO_SIZE_NO_COLOUR + COLOUR: SIZE},
            NO_SIZE_NO_COLOUR + COLOUR + SIZE,
            [NO_SIZE_NO_COLOUR, NO_SIZE_NO_COLOUR + COLOUR],
        ),
        (NO_SIZE, {}, RIGHT, [NO_SIZE]),
    ],
)
def test_what_was_left_out_is_said_at_the_end(form: TextForm, first: str, added: dict[str, str], wanted: str, begun: list[str]) -> None:
    """The text goes on, and again while that helps; only where it does not is another drawn."""
    task, runner = registry.find("tasks", "write"), Runner(first, (RIGHT, 0.5), added=added)
    found = improve(task, form, runner, [TEXT], runner.run([TEXT]))
    assert found["texts"] == [wanted]
    assert runner.begun == begun
    assert runner.asked == ([(1, 1)] if wanted == RIGHT else []), "nothing is drawn where going on was enough"
    if wanted == NO_SIZE + SIZE:
        assert found["tokens"].tolist() == [12.0]
        assert found["probability"].tolist() == pytest.approx([(8 * 0.9 + 4 * 0.3) / 12]), "of the tokens of both"
    other = Runner(first, (RIGHT, 0.5), added=added)
    streamed = list(write_best(task, form, other, TEXT, {"max_tokens": 40}))
    assert "".join(piece.text for piece in streamed) == wanted
    assert other.begun == begun
    assert [piece.finish for piece in streamed if piece.finish] == ["stop"]
    if wanted == NO_SIZE + SIZE:
        assert streamed[-1].usage == LlamaUsage(20, 0, 3 + 4), "the prompt is counted once"


NEW = "thing: tankard; colour: blue; size: huge"


class Speller(Runner):
    """Writes down what it knows and misspells what it does not: it is given `texts` by what they are written for."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        super().__init__("")
        self.texts, self.shown = texts, list[str]()

    def _of(self, text: Any) -> str:
        self.shown.append(text)
        thing = text.split("; ")[0].removeprefix("thing: ")
        return self.texts.get(thing, self.texts["other"]).format(thing=thing)

    def run(self, texts: Sequence[Any]) -> Raw:
        return raw([self._of(text) for text in texts], 0.8)

    def draw(self, texts: Sequence[Any], temperature: float, seed: int) -> Raw:
        return self.run(texts)

    def extend(self, texts: Sequence[Any], begun: Sequence[str]) -> Raw:
        self.begun += begun
        return raw([" It is here." for _ in texts], 0.3, 4.0)

    def write(self, text: Any, **options: Any) -> Iterator[Piece]:
        written = " It is here." if options.get("begun") else self._of(text)
        self.begun += [options["begun"]] if options.get("begun") else []
        yield Piece(written[:6], 1, (ChosenToken(1, written[:6], 0.8),))
        yield Piece(written[6:], 2, (ChosenToken(2, written[6:], 0.8),), "stop", LlamaUsage(20, 0, 3))


MISSPELT = "This huge blue turn is made for your home."


def test_a_known_value_stands_in_for_one_that_is_misspelt(form: TextForm) -> None:
    """Only where there is a fault, and what is given names the input's own value."""
    task = registry.find("tasks", "write")
    assert set(form.copied) == {"thing", "colour", "size"}
    texts = {"other": MISSPELT, **dict.fromkeys(THINGS, "This huge blue {thing} is made for your home. Every {thing} is.")}
    runner, wanted = Speller(texts), "This huge blue tankard is made for your home. Every tankard is."
    found = improve(task, form, runner, [NEW, TEXT], runner.run([NEW, TEXT]))
    assert found["texts"] == [wanted, wanted.replace("tankard", "lamp")]
    assert runner.shown[:2] == [NEW, TEXT]
    assert len(runner.shown) == 3 and "tankard" not in runner.shown[2], "one more, of the text that had a fault"
    assert not task.decode(found, form)[0].facts["missing"]
    streamed = list(write_best(task, form, Speller(texts), NEW, {}))
    assert "".join(piece.text for piece in streamed) == wanted
    assert sum(piece.count for piece in streamed) == 3 and streamed[-1].finish == "stop"


def test_a_text_with_words_of_the_stand_in_is_not_given(form: TextForm) -> None:
    """It would say of a tankard what is so of a lamp. Nor is there one where tokens are asked for, which would be those of another text."""
    task, form = registry.find("tasks", "write"), form.model_copy(update={"copied": {"thing": ["table lamp"]}})
    runner = Speller({"other": MISSPELT, "table lamp": "This huge blue {thing} lights your home, as a lamp should."})
    assert improve(task, form, runner, [NEW], runner.run([NEW]))["texts"] == [MISSPELT]
    assert "".join(piece.text for piece in write_best(task, form, runner, NEW, {})) == MISSPELT
    runner.texts = {**runner.texts, "table lamp": "This huge blue {thing} lights your home."}
    assert improve(task, form, runner, [NEW], runner.run([NEW]))["texts"] == ["This huge blue tankard lights your home."]
    assert "".join(piece.text for piece in write_best(task, form, runner, NEW, {"logprobs": 2})) == MISSPELT


def test_with_its_tokens_a_text_that_a_stand_in_could_mend_is_not_what_was_measured(form: TextForm) -> None:
    """Its score would be that of another text: it says so, and a certificate does not cover it."""
    task = registry.find("tasks", "write")
    runner = Speller({"other": MISSPELT, **dict.fromkeys(THINGS, "This huge blue {thing} is made for your home.")})
    model = Model.__new__(Model)
    vars(model).update(task=task, form=form, runner=runner)
    told = {}
    for text in (NEW, TEXT):
        for logprobs in (0, 2):
            *_, reply = model.write(text, logprobs=logprobs)
            told[text, logprobs] = reply.facts.get("unscored", "")
    assert {asked for asked, why in told.items() if why} == {(NEW, 2)}
    assert "stand-in" in told[NEW, 2]


def test_nothing_is_written_anew_where_it_was_not_asked_for_or_cannot_be_checked(form: TextForm) -> None:
    task, runner = registry.find("tasks", "write"), Runner(NO_SIZE)
    for other in (form.model_copy(update={"attempts": 0}), form.model_copy(update={"attributes": False})):
        assert not is_checked(task, other, TEXT)
        assert improve(task, other, runner, [TEXT], runner.run([TEXT]))["texts"] == [NO_SIZE]
    assert not is_checked(task, form, "a plain text")
    assert is_checked(task, form, TEXT)
    assert not is_checked(registry.find("tasks", "classify"), {}, TEXT)
    assert not runner.asked


def test_where_there_is_no_room_for_more_the_text_is_given_as_it_is(form: TextForm) -> None:
    """A text that took all the tokens it may have has a fault, that of being cut off, and cannot be made longer."""

    class Full(Runner):
        def write(self, text: Any, **options: Any) -> Iterator[Piece]:
            if options.get("begun"):
                raise RequestError("the answer has all the tokens that it may have", value=8, todo="Allow more.")
            self.asked.append((options.get("seed", 0), 1))
            yield Piece("This huge blue", 8, (ChosenToken(1, "This", 0.9),), "length", LlamaUsage(20, 0, 8))

    runner = Full("")
    given = list(write_best(registry.find("tasks", "write"), form, runner, TEXT, {"max_tokens": 8}))
    assert "".join(piece.text for piece in given) == "This huge blue" and given[-1].finish == "length"
    assert runner.asked == [(seed, 1) for seed in range(5)], "others are still drawn"


def test_a_text_that_was_cut_off_is_written_anew(form: TextForm) -> None:
    task, runner = registry.find("tasks", "write"), Runner(RIGHT, (RIGHT, 0.5))
    cut = {**runner.run([TEXT]), "finished": np.zeros(1, np.float32)}
    assert improve(task, form, runner, [TEXT], cut)["finished"].tolist() == [1.0]


def test_where_more_tokens_are_allowed_the_choice_is_the_one_that_was_measured(form: TextForm) -> None:
    """And what is cut within the tokens of the measurement goes on behind them, when it is chosen."""
    task = registry.find("tasks", "write")

    class Cut(Runner):
        def __init__(self) -> None:
            super().__init__(RIGHT)
            self.most: list[int | None] = []

        def write(self, text: Any, **options: Any) -> Iterator[Piece]:
            self.most.append(options.get("max_tokens"))
            if options.get("begun"):
                if options["max_tokens"] <= 40:
                    raise RequestError("the answer has all the tokens that it may have", value=40, todo="Allow more.", status=400)
                yield from super().write(text, **options)
                return
            yield Piece(RIGHT, 40, (ChosenToken(1, RIGHT, 0.9),), "length", LlamaUsage(20, 0, 40))

    cut = Cut()
    pieces = list(write_best(task, form, cut, TEXT, {"max_tokens": 90}))
    assert cut.most == [40] * (len(cut.most) - 1) + [90] and cut.begun == [RIGHT]
    assert "".join(piece.text for piece in pieces) == RIGHT + MORE and pieces[-1].finish == "stop"
    assert sum(piece.count for piece in pieces) >= 40
    whole = Runner(RIGHT)
    assert "".join(piece.text for piece in write_best(task, form, whole, TEXT, {"max_tokens": 90})) == RIGHT and not whole.begun


def test_closing_ends_the_writing_before_the_text_is_whole(form: TextForm) -> None:
    ended: list[int] = []

    class Slow(Runner):
        def write(self, text: Any, **options: Any) -> Iterator[Piece]:
            try:
                for number in range(100):
                    yield Piece("word ", 1, (ChosenToken(1, "word ", 0.5),))
                    ended.append(number)
            finally:
                ended.append(-1)

    pieces = write_best(registry.find("tasks", "write"), form, Slow(RIGHT), TEXT, {})
    assert [next(pieces).text for _ in range(3)] == ["", "", ""]
    pieces.close()
    assert ended == [0, 1, -1]
