"""Try a model: its answers with what the page shows of them, whether it would answer by itself, and texts while they are written."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass

from smidgen.bundles.open import read_manifest
from smidgen.core.errors import BundleError
from smidgen.core.forms import AnswerShape, TextMark
from smidgen.core.replies import Reply
from smidgen.core.rows import Text
from smidgen.flows.local_model import Model, read_task
from smidgen.flows.operating_point import OperatingPoint
from smidgen.judge import report as reports
from smidgen.studio.flows.models.attribution import WordWeights, weigh_words

LONGEST_TEXT = 20_000
"""Characters of a text that is tried."""


@dataclass(frozen=True, slots=True)
class AnsweringFacts:
    """The ways in which a model can be tried.

    Attributes:
        shape: how its answers are shown; see `core.forms.Form.shape`.
        options: all labels that it may answer with; empty if its answers are of another kind.
        streams: whether it shows a text while it is written.
        pairs: whether it takes two texts.
        converses: whether it answers the last message of a conversation.
        teachable: whether a large model can be asked to do the same.
        point: from which score it answers by itself; None where that is not known.
        fitted: whether a score says how good an answer is expected to be. Without, too few rows were held out, and it only ranks answers.
    """

    shape: AnswerShape
    options: tuple[str, ...]
    streams: bool
    pairs: bool
    converses: bool
    teachable: bool
    point: OperatingPoint | None
    fitted: bool


@dataclass(frozen=True, slots=True)
class RunnerUp:
    """Another answer that was likely."""

    output: Any
    score: float


@dataclass(frozen=True, slots=True)
class TriedAnswer:
    """An answer, as pages show it.

    Attributes:
        text: the answer as a text.
        call_words: the call that it proposes, in words; empty for an answer that proposes none.
        call_exact: that call as it would go out, with secrets hidden; empty if it is not known how the tool is called.
        marks: the places in the text that it names.
        answers: whether the model would answer by itself, or pass this on; None where that is not known.
        words: which words mattered; None if not asked for, or if the model's replies have no probability.
        seconds: that the answer took, without loading the model.
    """

    output: Any
    text: str
    call_words: str
    call_exact: str
    score: float
    runners_up: tuple[RunnerUp, ...]
    marks: tuple[TextMark, ...]
    answers: bool | None
    facts: Mapping[str, Any]
    words: WordWeights | None
    seconds: float


@dataclass(frozen=True, slots=True)
class WrittenPiece:
    """A piece of a text while it is written: the letters that it adds, and the tokens so far."""

    text: str
    tokens: int
    seconds: float


def answering_facts(folder: Path, point: OperatingPoint | None) -> AnsweringFacts:
    """Read what can be tried with a model that answers by itself from `point` on, without loading it.

    Raises BundleError for a bundle that cannot be read.
    """
    manifest = read_manifest(folder)
    task, form = read_task(manifest)
    names = manifest.columns.input
    report = _report(folder)
    fitted = report is None or report.calibration is None or report.calibration.fitted
    pairs = not isinstance(names, str | None)
    return AnsweringFacts(form.shape, form.options, task.streams, pairs, task.serving is not None, task.teaching is not None, point, fitted)


def _report(folder: Path) -> reports.Report | None:
    try:
        return reports.read(folder / "report.json")
    except BundleError:
        return None


def answer(model: Model, texts: Sequence[Text], threshold: float | None, explain: bool = False) -> list[TriedAnswer]:
    """Answer texts; with `explain`, say which words mattered to each."""
    began = time.perf_counter()
    replies = model.predict(texts)
    seconds = (time.perf_counter() - began) / max(1, len(texts))
    return [
        tried(model, reply, threshold, seconds, weigh_words(model, text, reply) if explain else None)
        for text, reply in zip(texts, replies, strict=True)
    ]


def tried(model: Model, reply: Reply, threshold: float | None, seconds: float, words: WordWeights | None = None) -> TriedAnswer:
    """A reply as pages show it."""
    sure = None if threshold is None or reply.facts.get("unscored") else reply.output is not None and reply.score >= threshold
    return TriedAnswer(
        output=reply.output,
        text=model.task.content(reply),
        call_words="",
        call_exact="",
        score=reply.score,
        runners_up=tuple(RunnerUp(output, score) for output, score in reply.alternatives),
        marks=tuple(model.form.marks(reply.output, reply.facts)),
        answers=sure,
        facts=dict(reply.facts),
        words=words,
        seconds=seconds,
    )


def write(model: Model, text: Text, threshold: float | None) -> Iterator[WrittenPiece | TriedAnswer]:
    """Write the answer to a text: its pieces, then the whole. Closing the iterator stops the writing. Raises as `Model.write` does."""
    began, tokens = time.perf_counter(), 0
    replies = model.write(text)
    try:
        for reply in replies:
            seconds = time.perf_counter() - began
            if reply.final:
                yield tried(model, reply, threshold, seconds)
                return
            tokens += reply.piece.count
            yield WrittenPiece(reply.output, tokens, seconds)
    finally:
        replies.close()
