"""What a decoder is taught from: each example as token ids, and which of them are the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from smidgen.core.errors import TrainError
from smidgen.core.parts import Form
from smidgen.core.rows import Row, joined
from smidgen.stats.lexicon import Lexicon
from smidgen.stats.rouge import rouge_l
from smidgen.students.prompts import Prompt, plain_ids

_MOST_LEFT_OUT = 0.05
_MOST_COMPARED = 100
"""References of one input that are compared with one another: as many as may be asked for."""


@dataclass(frozen=True)
class Lesson:
    """One example: `ids` after those before the text, of which the last `answer` are to be written (the end token is the last of them).

    `drawn` says that the student wrote them itself: they may have no end, and nobody wants them but for what a guide says of them.
    """

    ids: NDArray[np.int64]
    answer: int
    weight: float = 1.0
    drawn: bool = False


@dataclass(frozen=True)
class Lessons:
    """All examples that fit, and how many did not."""

    lessons: list[Lesson]
    left_out: int

    @property
    def longest_answer(self) -> int:
        """Tokens of the longest answer."""
        return max(lesson.answer for lesson in self.lessons)

    @property
    def longest(self) -> int:
        """Tokens of the longest example, those before the text not counted."""
        return max(len(lesson.ids) for lesson in self.lessons)


def answers_of(row: Row) -> list[Any]:
    """The answers of a row, all of equal standing."""
    return row.output if isinstance(row.output, list) else [row.output]


def lessons_of(rows: Sequence[Row], prompt: Prompt, tokenizer: Tokenizer, most: int) -> Lessons:
    """Rows as lessons; a row with several references becomes one for each.

    An answer is never cut: an example of more than `most` tokens is left out as a whole.

    Raises TrainError where more than a twentieth would be left out, or a lesson cannot teach: see `check`.
    """
    lessons = _made(rows, prompt, tokenizer, most)
    if lessons.left_out > _MOST_LEFT_OUT * (lessons.left_out + len(lessons.lessons)):
        raise TrainError(
            "many examples are too long to be taught whole, and an answer that is cut teaches to stop in the middle",
            value=f"{lessons.left_out} of {lessons.left_out + len(lessons.lessons)} examples have more than {most} tokens",
            todo="Shorten them, or allow more: --set train.max_length=2048",
        )
    check(lessons.lessons, prompt)
    return lessons


def held_lessons(rows: Sequence[Row], prompt: Prompt, tokenizer: Tokenizer, most: int) -> Lessons | None:
    """The same of rows that are only measured on, however many are too long: they are few, and which ones is chance. None where none is
    left.

    Raises TrainError as `check` does.
    """
    lessons = _made(rows, prompt, tokenizer, most)
    if not lessons.lessons:
        return None
    check(lessons.lessons, prompt)
    return lessons


def _made(rows: Sequence[Row], prompt: Prompt, tokenizer: Tokenizer, most: int) -> Lessons:
    found, left_out = [], 0
    for row in rows:
        source = plain_ids(tokenizer, row.input)
        for answer in answers_of(row):
            written = [*plain_ids(tokenizer, answer), prompt.stop[0]]
            ids = [*source, *prompt.after, *written]
            if len(prompt.before) + len(ids) > most:
                left_out += 1
            else:
                found.append(Lesson(np.array(ids, dtype=np.int64), len(written), row.weight))
    return Lessons(found, left_out)


def check(lessons: Sequence[Lesson], prompt: Prompt) -> None:
    """Refuse what would train without teaching: no lesson, nothing to write, everything to write, an answer without its end token.

    Raises TrainError.
    """
    if not lessons:
        raise TrainError("there is no example to teach from", value="0 examples", todo="Add rows, or allow longer ones.")
    for number, lesson in enumerate(lessons, start=1):
        fault = None
        if lesson.answer < 1:
            fault = "has nothing to write: every token is masked"
        elif lesson.answer > len(lesson.ids) or (prompt.after and lesson.answer == len(lesson.ids)):
            fault = "is an answer from its first token on: nothing is masked"
        elif int(lesson.ids[-1]) not in prompt.stop:
            fault = "does not end with the end token: the model would never learn to stop"
        if fault is not None:
            raise TrainError(f"example {number} {fault}", value=len(lesson.ids), todo="Report this: the lessons were made wrongly.")


def chosen(rows: Sequence[Row], form: Form, each: int) -> list[Row]:
    """The rows to teach from where an input has several answers: of each input the `each` best.

    Best are those that say all of the input and nothing else (where the task learnt which words state what), and of these the ones most
    like the other answers to the same input: ROUGE-L, mean over the others. A reader who wrote what nobody else would is no good teacher.
    """
    lexicon = Lexicon.from_json(form["lexicon"]) if form.get("lexicon") else None
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
