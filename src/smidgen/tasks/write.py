"""Write: answer a text with a text: descriptions from attributes, summaries, replies in the user's own tone."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from smidgen.core.abilities import AnswerChecks, Grading, TaskPage, Teaching
from smidgen.core.errors import DataError
from smidgen.core.forms import AnswerOutline, TextForm
from smidgen.core.parts import Raw, Task
from smidgen.core.quantities import Metric
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, Text, joined
from smidgen.core.settings import Settings, setting
from smidgen.stats import classification_metrics, quality_estimation
from smidgen.stats.intervals import Floats, bootstrap, mean_share, wilson
from smidgen.text import attribute_lists
from smidgen.text.attribute_lists import attributes
from smidgen.text.lexicon import Lexicon, StatedFacts, learn_lexicon
from smidgen.text.repetition import without_repetition
from smidgen.text.rouge_chrf import chrf, rouge, rouge_l

_KEPT_LEXICONS = 8
_WORDS = 3.0  # from this mean number of words per cell on, a column looks like written texts
_LONGEST = 100_000  # characters of one answer


class WriteSettings(Settings):
    """Settings of a writer: its instruction, the length of answers, and the check of attributes."""

    instruction: str = setting(
        "",
        "What the model must do with each text, in one or two sentences. It is part of every prompt. Empty: the examples alone show it.",
        flag="--instruction",
    )
    max_tokens: int = setting(
        0, "Most tokens in an answer. 0: a little more than the longest training answer.", flag="--max-tokens", ge=0, le=8192
    )
    attributes: Literal["auto", "on", "off"] = setting(
        "auto",
        "Whether inputs are attributes (`name: Oak stool; colour: red`, `name[Oak stool]`, JSON) that answers are checked against. auto: "
        "if the inputs look like attributes and the answers state them.",
    )

    attempts: int = setting(
        4,
        "How often to write a text again if it leaves out an attribute of its input or states one that is not there. The one with the "
        "fewest faults is the answer. 0: never.",
        flag="--attempts",
        ge=0,
        le=16,
    )


class WriteGrading(Grading):
    """Written texts are graded by ROUGE-L with their best reference."""

    def grades(self, rows: Sequence[Row], replies: Sequence[Reply], form: TextForm) -> list[float]:
        """ROUGE-L of each reply with its best reference."""
        return [rouge_l(reply.output, references(row)) for row, reply in zip(rows, replies, strict=True)]

    def merged(self, rows: Sequence[Row]) -> list[Row]:
        """One row per input, with the number and the weight of its first row, and all its references."""
        first: dict[Text, Row] = {}
        found: dict[Text, list[str]] = {}
        for row in rows:
            first.setdefault(row.input, row)
            found.setdefault(row.input, []).extend(references(row))
        return [Row(text, list(dict.fromkeys(found[text])), row.number, row.weight) for text, row in first.items()]


class TextTeaching(Teaching):
    """A larger model writes the text."""

    def instruction(self, form: TextForm) -> str:
        """The instruction, and that the answer is only the text."""
        task = form.instruction or "Write the text that belongs to the one you are given."
        return f"{task}\nAnswer with the text itself and nothing else: no heading, no comment, no quotation marks around it."

    def read(self, answer: str, form: TextForm, text: Text = "") -> str:
        """The answer itself. Raises ValueError if it is empty, or far longer than all of the user's answers."""
        written = _text(answer)
        if len(written.split()) > 20 + 3 * form.max_words:
            raise ValueError(f"it has {len(written.split())} words; the longest of your own has {form.max_words}")
        return written


class AttributeChecks(AnswerChecks):
    """Answers to a list of attributes are checked against it by the form's lexicon, which says in which words they are stated."""

    def __init__(self) -> None:
        self._read: dict[int, tuple[Any, Lexicon]] = {}

    def facts(self, inputs: Sequence[Text], texts: Sequence[str], form: TextForm) -> list[StatedFacts | None]:
        """The facts of its input that each text states; None if the input has no attributes, or none are checked."""
        if not form.attributes:
            return [None] * len(texts)
        lexicon = self._lexicon(form.lexicon)
        return [
            lexicon.check(source, text) if attributes(source) else None
            for source, text in zip((joined(text) for text in inputs), texts, strict=True)
        ]

    def _lexicon(self, written: Any) -> Lexicon:
        """The lexicon of a form, parsed once per form: forms live as long as their model."""
        held = self._read.get(id(written))
        if held is None or held[0] is not written:
            held = written, Lexicon.from_json(written)
            self._read = {**dict(list(self._read.items())[1 - _KEPT_LEXICONS :]), id(written): held}
        return held[1]

    def measurable(self, form: TextForm) -> bool:
        """Whether attributes are checked."""
        return form.attributes

    def missed(self, texts: Sequence[Text], outputs: Sequence[Any], form: TextForm) -> list[float | None]:
        """The share of each text's attributes that its output leaves out or makes up: (missing + unsupported) / (all + unsupported). None
        for a text without attributes, and if no attributes are checked.

        Attributes that the examples mostly left out do not count. Attributes with a key that occurs in no example count as left out: their
        wording is unknown.
        """
        return [
            None if facts is None else _missed(text, facts, form)
            for text, facts in zip(texts, self.facts(texts, outputs, form), strict=True)
        ]

    def attempts(self, form: TextForm) -> int:
        """The number of attempts in the form; 0 if nothing can be checked."""
        return form.attempts or 0

    def applies(self, text: Text, form: TextForm) -> bool:
        """Whether the text is attributes, and the form has the lexicon to check them."""
        return form.attributes and bool(attributes(joined(text)))

    def faults(self, raw: Raw, form: TextForm) -> list[int]:
        """The number of attributes that each text leaves out or adds, plus one if it was cut off."""
        cut = np.asarray(raw["finished"]) < 0.5
        checked = self.facts(raw["inputs"], raw["texts"], form)
        return [
            0 if facts is None else len(facts.missing) + len(facts.unsupported) + int(late)
            for facts, late in zip(checked, cut, strict=True)
        ]

    def substitute(self, text: Text, form: TextForm) -> attribute_lists.SubstitutedInput | None:
        """The input with known values in place of values that no example had, if answers repeat them."""
        return attribute_lists.substitute_values(joined(text), form.copied or {})


class TextPage(TaskPage):
    """Texts."""

    def outline(self, outputs: Sequence[Any], settings: WriteSettings) -> AnswerOutline:
        """Texts."""
        return AnswerOutline("text")

    def likely(self, cells: Sequence[Any]) -> float:
        """The share of distinct cells, scaled to at most 0.8; 0 for short cells. Labels may look like this, so it is never certain."""
        told = [cell.strip() for cell in cells if isinstance(cell, str) and cell.lstrip()[:1] not in ("[", "{")]
        if not told or len(told) < len(cells):
            return 0.0
        words = sum(cell.count(" ") + 1 for cell in told) / len(told)
        return 0.8 * len(set(told)) / len(told) if words >= _WORDS else 0.0


class Write(Task):
    """The task `write`."""

    name = "write"
    summary = "Write a text for each text: product descriptions from attributes, summaries, replies in your own tone."
    settings = WriteSettings
    students = ("decoder",)
    baseline = "prompted"
    headline = "rougeL"
    form_type = TextForm
    grading = WriteGrading()
    teaching = TextTeaching()
    checks = AttributeChecks()
    page = TextPage()
    writes = True
    streams = True
    reads_attributes = True
    quick = MappingProxyType({"train": {"time_budget": "5m"}})
    answer_kinds = ("text",)
    not_foreseen = "not predicted: how near a small model's text comes to the large one's, only a trained one shows"
    loss_words = "1 − ROUGE-L of the best reference"

    def form_fault(self, form: TextForm, raw: Raw | None = None) -> str:
        """Why a form cannot decide anything: its lexicon or its score cannot be read."""
        written = {"texts": ["a"], "tokens": [1], "finished": [1.0], "probability": [0.5], "inputs": ["name: a; colour: b"]}
        try:
            (reply,) = self.decode(written, form)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            return f"its lexicon or its score cannot be read ({type(error).__name__}: {str(error)[:100]})"
        return "" if math.isfinite(reply.score) else "its score gives numbers that are not finite"

    def parse(self, value: Any, settings: WriteSettings) -> str | list[str]:
        """A text, or a list of equally good references (a list, or a JSON list of strings). Raises ValueError with the reason."""
        if isinstance(value, str) and value.lstrip().startswith("["):
            value = _listed(value)
        if not isinstance(value, list):
            return _text(value)
        found = list(dict.fromkeys(_text(item) for item in value))
        if not found:
            raise ValueError("it is an empty list")
        return found

    def form(self, rows: Sequence[Row], settings: WriteSettings) -> TextForm:
        """The form: the instruction, the length of answers, and for attribute inputs the words that state each attribute.

        Raises DataError for data that cannot teach a writer: fewer than two rows, one and the same answer to every text.
        """
        _check(rows)
        lexicon = None if settings.attributes == "off" else learn_lexicon(_pairs(rows))
        if settings.attributes == "on" and lexicon is None:
            raise _no_attributes(rows)
        return TextForm(
            instruction=settings.instruction.strip(),
            max_tokens=settings.max_tokens,
            max_words=max(len(reference.split()) for row in rows for reference in references(row)),
            attributes=lexicon is not None,
            score=None,
            lexicon=None if lexicon is None else lexicon.json(),
            attempts=None if lexicon is None else settings.attempts,
            copied=None if lexicon is None else attribute_lists.copied_values(_pairs(rows)),
        )

    def calibrate(self, raw: Raw, rows: Sequence[Row], form: TextForm, settings: WriteSettings) -> TextForm:
        """The form with its score fitted: the expected ROUGE-L of a text, from the mean probability of its tokens, and from the attributes
        that it states if the rows show that these help."""
        replies = self.decode({**raw, "inputs": [row.input for row in rows]}, form.uncalibrated())
        grades = np.array(self.grading.grades(rows, replies, form), dtype=np.float64)
        whole = np.array([reply.score > 0 for reply in replies], dtype=np.bool_)
        likely = np.asarray(raw["probability"], dtype=np.float64)[:, None]
        checked = self.checks.facts([row.input for row in rows], [reply.output for reply in replies], form)
        plain = quality_estimation.fit_grading(likely[whole], grades[whole])
        if plain is None:
            return form
        score: dict[str, Any] = {"plain": plain}
        known = whole & np.array([facts is not None for facts in checked], dtype=np.bool_)
        signs = np.column_stack([likely, _signs(checked)])
        with_facts = quality_estimation.fit_grading(signs[known], grades[known])
        if with_facts is not None and any(with_facts["weights"][1:]):
            score["facts"] = with_facts
        return form.model_copy(update={"score": score})

    def decode(self, raw: Raw, form: TextForm) -> list[Reply]:
        """One reply per text. The score is the expected ROUGE-L, and 0 for an empty or cut text. A text that was cut because it repeated
        itself keeps one copy of the repeated part.

        Facts: `tokens`, `finished`; and if `raw` has the `inputs`, and they are attributes, the `missing` and `unsupported` ones.
        """
        tokens, finished = np.asarray(raw["tokens"]), np.asarray(raw["finished"]) >= 0.5
        texts = [text if whole else without_repetition(text) for text, whole in zip(raw["texts"], finished.tolist(), strict=True)]
        checked = self.checks.facts(raw["inputs"], texts, form) if "inputs" in raw else [None] * len(texts)
        scores = np.clip(_scores(np.asarray(raw["probability"], dtype=np.float64), checked, form.score), 0.0, 1.0)
        replies = []
        for number, text in enumerate(texts):
            facts: dict[str, Any] = {"tokens": int(tokens[number]), "finished": bool(finished[number])}
            if (found := checked[number]) is not None:
                facts["missing"] = [{"key": key, "value": value} for key, value in found.missing]
                facts["unsupported"] = [{"key": key, "value": value} for key, value in found.unsupported]
            whole = bool(finished[number]) and bool(text.strip())
            replies.append(Reply(text, float(scores[number]) if whole else 0.0, facts=facts))
        return replies

    def measure(self, rows: Sequence[Row], replies: Sequence[Reply], form: TextForm) -> dict[str, Metric]:
        """rouge1, rouge2, rougeL, rougeLsum and chrf, each the mean over rows for the best reference. For attribute inputs also coverage
        (the share of all attributes that the texts state) and unsupported (the share of texts that state an attribute which their input
        lacks)."""
        texts = [reply.output for reply in replies]
        answers = [references(row) for row in rows]
        scores = [rouge(text, answer) for text, answer in zip(texts, answers, strict=True)]
        metrics = {name: _mean([getattr(score, name) for score in scores]) for name in ("rouge1", "rouge2", "rougeL", "rougeLsum")}
        metrics["chrf"] = _mean([chrf(text, answer) for text, answer in zip(texts, answers, strict=True)])
        if form.attributes:
            found = [facts for facts in self.checks.facts([row.input for row in rows], texts, form) if facts is not None]
            metrics["coverage"] = _coverage(found)
            metrics["unsupported"] = classification_metrics.share(np.array([bool(facts.unsupported) for facts in found], dtype=np.bool_))
        return metrics


def references(row: Row) -> list[str]:
    """The answers of a row, all equally good."""
    output: str | list[str] = row.output
    return output if isinstance(output, list) else [output]


def _text(value: Any) -> str:
    if value is None or isinstance(value, dict | list | bytes):
        raise ValueError("it is empty" if value is None else "it is not a text")
    text = str(value).strip()
    if not text:
        raise ValueError("it is empty")
    if len(text) > _LONGEST:
        raise ValueError(f"it has {len(text):,} characters, at most {_LONGEST:,} are possible")
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError("it holds a NUL or half a character")
    return text


def _listed(value: str) -> Any:
    """A cell that holds a JSON list of strings as that list; any other cell unchanged, because a text may begin with a bracket."""
    try:
        read = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return read if isinstance(read, list) and all(isinstance(item, str) for item in read) else value


def _check(rows: Sequence[Row]) -> None:
    if len(rows) < 2:
        raise DataError("tasks.there_are_too_few_rows_to_learn_from", rows=len(rows))
    answers = {reference for row in rows for reference in references(row)}
    if len(answers) == 1:
        raise DataError("tasks.every_text_has_same_answer", value=answers.pop())


def _no_attributes(rows: Sequence[Row]) -> DataError:
    plain = next((row for row in rows if not attributes(joined(row.input))), None)
    if plain is not None:
        return DataError("tasks.input_is_not_made_of_attributes", value=joined(plain.input), row=plain.number or None)
    return DataError("tasks.answers_do_not_state_attributes", rows=len(rows))


def _pairs(rows: Sequence[Row]) -> list[tuple[str, str]]:
    return [(joined(row.input), reference) for row in rows for reference in references(row)]


def _missed(text: Text, facts: StatedFacts, form: TextForm) -> float | None:
    """The share of a text's attributes that an output misses; None if there are none to check."""
    strange = sum(key not in (form.lexicon or {})["keys"] for key, _ in attributes(joined(text)))
    faults = len(facts.missing) + strange + len(facts.unsupported)
    total = len(facts.covered) + faults
    return faults / total if total else None


def _signs(checked: Sequence[StatedFacts | None]) -> Floats:
    """(n, 2): the share of its attributes that each text states, and 1 if it states none without support."""
    shares = [
        (len(facts.covered) / max(1, len(facts.covered) + len(facts.missing)), float(not facts.unsupported)) if facts else (1.0, 1.0)
        for facts in checked
    ]
    return np.array(shares, dtype=np.float64).reshape(len(shares), 2)


def _scores(likely: Floats, checked: Sequence[StatedFacts | None], score: Any) -> Floats:
    """(n,) expected grades; the probability itself before the score is fitted."""
    if score is None:
        return likely
    plain = quality_estimation.expected_grades(score["plain"], likely[:, None])
    if "facts" not in score:
        return plain
    known = np.array([facts is not None for facts in checked], dtype=np.bool_)
    return np.where(known, quality_estimation.expected_grades(score["facts"], np.column_stack([likely, _signs(checked)])), plain)


def _mean(values: Sequence[float]) -> Metric:
    grades = np.array(values, dtype=np.float64)
    low, high = mean_share(grades)
    return Metric(float(grades.mean()) if len(grades) else math.nan, low, high, len(grades))


def _coverage(found: Sequence[StatedFacts]) -> Metric:
    """The share of all attributes that the texts state, with a bootstrap interval over texts; `n` is the number of texts."""
    pairs = np.array([(len(facts.covered), len(facts.covered) + len(facts.missing)) for facts in found], dtype=np.int64).reshape(-1, 2)
    covered, wanted = pairs.sum(axis=0).tolist()
    if not wanted:
        return Metric(math.nan, 0.0, 1.0, 0)
    if covered in (0, wanted):
        return Metric(covered / wanted, *wilson(covered, wanted), len(found))
    kinds, counts = np.unique(pairs, axis=0, return_counts=True)
    share: Callable[[Floats], Floats] = lambda drawn: (drawn @ kinds[:, 0]) / np.maximum(drawn @ kinds[:, 1], 1)  # noqa: E731
    return Metric(covered / wanted, *bootstrap(counts.astype(np.int64), share), len(found))


part = Write()
