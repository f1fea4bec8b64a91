"""Training examples of a decoder: token ids with the answer marked, copies with other values, and answers that go round in circles."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from smidgen.core.errors import TrainError
from smidgen.core.forms import Form
from smidgen.core.rows import Row, evenly, joined
from smidgen.students.decoder_training.prompts import DecoderPrompt, plain_ids
from smidgen.text.attribute_lists import WORD, attributes, contains_value, copied_values, is_words, replace_values
from smidgen.text.infilling import rest_of_line
from smidgen.text.lexicon import Lexicon
from smidgen.text.rouge_chrf import rouge_l

_MOST_LEFT_OUT = 0.05
_MOST_COMPARED = 100
"""Most references of one input to compare with one another."""


@dataclass(frozen=True)
class DecoderExample:
    """One example: its `ids` after the prompt's first part; the last `answer` of them, the end token included, are the answer.

    `drawn`: the student sampled the answer itself; it may have no end token, and only a guide's probabilities are learnt on it.
    `filling`: where the text around a gap is learnt, too, the tokens at the end that fill the gap: they count as much as all the others.
    `repeated`: the places in the answer, from and to, of copies of a part that stands before them: they are learnt not to come.
    """

    ids: NDArray[np.int64]
    answer: int
    weight: float = 1.0
    drawn: bool = False
    filling: int = 0
    repeated: tuple[int, int] = (0, 0)

    @property
    def weights(self) -> NDArray[np.float32]:
        """(answer,) the weight of each token of the answer; below zero for tokens that are learnt not to come."""
        found = np.full(self.answer, self.weight, dtype=np.float32)
        if 0 < self.filling < self.answer:
            found[: -self.filling] *= self.filling / (self.answer - self.filling)
        found[slice(*self.repeated)] *= -1
        return found

    @property
    def mass(self) -> float:
        """The sum of the weights of the tokens that are learnt to come."""
        if 0 < self.filling < self.answer:
            return self.weight * 2 * self.filling
        return self.weight * (self.answer - self.repeated[1] + self.repeated[0])


@dataclass(frozen=True)
class DecoderExamples:
    """All examples that fit, and the number of those that did not. `circles`: see `in_circles`."""

    lessons: list[DecoderExample]
    left_out: int
    circles: Sequence[DecoderExample] = ()

    @property
    def every(self) -> list[DecoderExample]:
        """All that is learnt from."""
        return [*self.lessons, *self.circles]

    @property
    def longest_answer(self) -> int:
        """Tokens of the longest answer."""
        return max(lesson.answer for lesson in self.lessons)

    @property
    def longest(self) -> int:
        """Tokens of the longest example, without the prompt's first part."""
        return max(len(lesson.ids) for lesson in self.lessons)


def answers_of(row: Row) -> list[Any]:
    """The answers of a row, all equally good."""
    return row.output if isinstance(row.output, list) else [row.output]


def examples_of(rows: Sequence[Row], prompt: DecoderPrompt, tokenizer: Tokenizer, most: int) -> DecoderExamples:
    """Rows as examples, one for each reference of a row.

    An answer is never cut: an example of more than `most` tokens is left out. Of a text with a gap, the text around it is learnt, too: it
    is the user's own as the filling is, and twenty times as long.

    Raises TrainError if more than a twentieth would be left out, or as `check` does.
    """
    lessons = _made(rows, prompt, tokenizer, most, every=prompt.reach is not None)
    if lessons.left_out > _MOST_LEFT_OUT * (lessons.left_out + len(lessons.lessons)):
        raise TrainError(
            "students.many_examples_are_too_long",
            left_out=lessons.left_out,
            total=lessons.left_out + len(lessons.lessons),
            most=most,
        )
    check(lessons.lessons, prompt)
    return lessons


def held_examples(rows: Sequence[Row], prompt: DecoderPrompt, tokenizer: Tokenizer, most: int) -> DecoderExamples | None:
    """Held-out rows as examples, without any of more than `most` tokens; None if none is left.

    Raises TrainError as `check` does.
    """
    lessons = _made(rows, prompt, tokenizer, most)
    if not lessons.lessons:
        return None
    check(lessons.lessons, prompt)
    return lessons


def _made(rows: Sequence[Row], prompt: DecoderPrompt, tokenizer: Tokenizer, most: int, every: bool = False) -> DecoderExamples:
    """`every`: all tokens but the first are learnt.

    A filling goes on to the end of its line, as the file does, and has no end token: what is served ends by `repeats`. An end token is so
    unlikely to a base that continues that a few steps would learn it before anything else.
    """
    found, left_out = [], 0
    for row in rows:
        source, lead = prompt.split(tokenizer, row.input)
        for answer in answers_of(row):
            if prompt.reach is None or isinstance(row.input, str):
                written = [*plain_ids(tokenizer, answer), prompt.stop[0]]
            else:
                written = plain_ids(tokenizer, lead + answer + rest_of_line(row.input[1]))
            ids = [*source, *written]
            if len(prompt.before) + len(ids) > most:
                left_out += 1
            else:
                answer, filling = (len(ids) - 1, len(written)) if every else (len(written), 0)
                found.append(DecoderExample(np.array(ids, dtype=np.int64), answer, row.weight, filling=filling))
    return DecoderExamples(found, left_out)


_CIRCLE_EVERY, _MOST_CIRCLES, _MOST_ROUNDS = 4, 250, 3
_PART = re.compile(r"\s*[^,.;:!?\n]+[,.;:!?\n]*")


def in_circles(rows: Sequence[Row], prompt: DecoderPrompt, tokenizer: Tokenizer, most: int, seed: int) -> list[DecoderExample]:
    """Answers of one row in four, 250 at most, in which one part, up to a comma or a stop, comes two to four times.

    Small decoders follow their own repetition: each copy makes the next one likelier (Xu et al. 2022, Learning to Break the Loop). In
    these answers the copies are learnt not to come, by unlikelihood (Welleck et al. 2020), and what follows them as in any answer.
    """
    random, found = np.random.default_rng([seed, 13]), []
    for row in evenly(rows, min(_MOST_CIRCLES, len(rows) // _CIRCLE_EVERY)):
        answer = str(answers_of(row)[0])
        parts = _PART.findall(answer)
        if not parts or "".join(parts) != answer:
            continue
        at, rounds = int(random.integers(len(parts))), int(random.integers(1, _MOST_ROUNDS + 1))
        if answer.count(parts[at].strip()) > 1:
            continue  # it may come again
        copies = (parts[at] if at else f" {parts[at]}") * rounds
        head, again, rest = (plain_ids(tokenizer, text) for text in ("".join(parts[: at + 1]), copies, "".join(parts[at + 1 :])))
        written = [*head, *again, *rest, prompt.stop[0]]
        ids = [*prompt.split(tokenizer, row.input)[0], *written]
        if len(prompt.before) + len(ids) <= most:
            places = (len(head), len(head) + len(again))
            found.append(DecoderExample(np.array(ids, dtype=np.int64), len(written), row.weight, repeated=places))
    return found


def check(lessons: Sequence[DecoderExample], prompt: DecoderPrompt) -> None:
    """Raise TrainError for examples that teach nothing: none at all, an empty answer, no tokens before the answer, no end token."""
    if not lessons:
        raise TrainError("students.there_is_no_example_to_train_on")
    for number, lesson in enumerate(lessons, start=1):
        fault = None
        if lesson.answer < 1:
            fault = "has nothing to write: every token is masked"
        elif lesson.answer > len(lesson.ids) or (prompt.after and lesson.answer == len(lesson.ids)):
            fault = "is an answer from its first token on: nothing is masked"
        elif prompt.reach is None and int(lesson.ids[-1]) not in prompt.stop:
            fault = "does not end with the end token: the model would never learn to stop"
        if fault is not None:
            raise TrainError("students.example_is_wrong", value=len(lesson.ids), number=number, cause=fault)


def chosen(rows: Sequence[Row], form: Form, each: int) -> list[Row]:
    """Choose the `each` best answers of each input.

    The best state all attributes of the input and no others (if the task has a learnt lexicon), and among these are most similar to the
    other answers to the input, by their mean ROUGE-L: an answer unlike all others is a bad example.
    """
    lexicon = Lexicon.from_json(form.writing.lexicon) if form.writing.lexicon else None
    groups: dict[str, list[Row]] = {}
    for row in rows:
        for answer in answers_of(row):
            groups.setdefault(joined(row.input), []).append(Row(row.input, answer, row.number, row.weight))
    kept: list[Row] = []
    for source, group in groups.items():
        answers = list(dict.fromkeys(row.output for row in group))[:_MOST_COMPARED]
        first = {row.output: row for row in reversed(group)}
        if len(answers) > each:
            answers = sorted(answers, key=lambda answer: _worth(source, answer, answers, lexicon), reverse=True)[:each]
        kept += [first[answer] for answer in answers]
    return kept


def _worth(source: str, answer: str, answers: Sequence[str], lexicon: Lexicon | None) -> tuple[float, float]:
    faults = 0
    if lexicon is not None:
        facts = lexicon.check(source, answer)
        faults = len(facts.missing) + len(facts.unsupported)
    others = [rouge_l(answer, [other]) for other in answers if other != answer]
    return -float(faults), sum(others) / max(1, len(others))


_STARTS = ("b", "br", "c", "d", "dr", "f", "g", "gr", "h", "k", "l", "m", "n", "p", "pr", "r", "s", "st", "t", "tr", "v", "w")
_MIDDLES, _ENDS = ("a", "e", "i", "o", "u", "ai", "ea", "oo"), ("", "l", "m", "n", "nd", "r", "rt", "s", "t", "x")


def with_other_values(rows: Sequence[Row], words: Sequence[str], seed: int) -> list[Row]:
    """Add, for each input whose answers repeat some of its values, copies of its rows with other words for those values.

    A model trained on twenty names learns those twenty; one trained on each example again with other words learns to copy.

    Args:
        rows: training rows; all rows of one input change in the same way. Inputs that are not attributes stay unchanged.
        words: lower-case words to take values from.
        seed: of the choice.
    """
    keys = copied_values((joined(row.input), str(row.output)) for row in rows)
    if not keys or not words:
        return list(rows)
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(joined(row.input), []).append(row)
    random = np.random.default_rng([seed, 11])
    made = list(rows)
    for source, group in groups.items():
        new = _new_values(source, [str(row.output) for row in group], keys, words, random)
        if new:
            made += [Row(replace_values(source, new), replace_values(str(row.output), new), row.number, row.weight) for row in group]
    return made


def _new_values(
    source: str, answers: Sequence[str], keys: Collection[str], words: Sequence[str], random: np.random.Generator
) -> dict[str, str]:
    values = [value for key, value in attributes(source) if key in keys and is_words(value)]
    alone = [
        value for value in dict.fromkeys(values) if source.count(value) == 1 and all(contains_value(value, answer) for answer in answers)
    ]
    return {value: _like(value, words, random) for value in alone}


def _like(value: str, words: Sequence[str], random: np.random.Generator) -> str:
    """Other words, with the number of words and the capitals of the value."""

    def other(match: re.Match[str]) -> str:
        if random.random() < 0.5:
            word = words[int(random.integers(len(words)))]
        else:
            word = "".join(str(random.choice(part)) for _ in range(2) for part in (_STARTS, _MIDDLES)) + str(random.choice(_ENDS))
        return word.capitalize() if match[0][:1].isupper() else word

    return WORD.sub(other, value)
