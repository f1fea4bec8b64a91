"""Generate examples with a teacher: plan the requests, read its answers, and filter them.

Requests go to labels with few rows and to labels where a substitute for the student errs (a kernel head, on rows it has not seen), and name
the labels that it confuses with them. If outputs are not labels, more rows are requested in regions where the user's texts are far apart.
Every generated row must pass `ExampleFilter`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.core.rows import Row, evenly, joined
from smidgen.data.row_selection import SHARPNESS, select_covering
from smidgen.data.teacher.evaluation import RequestEstimate
from smidgen.data.teacher.prompts import bag_of_words, leaves
from smidgen.data.teacher.questions import TeacherQuestion
from smidgen.stats.kernel_ridge import fit_classifier
from smidgen.text import near_duplicates
from smidgen.usage.budgets import TokenCount


def find_regions(
    vectors: NDArray[np.float32], count: int, rng: np.random.Generator
) -> tuple[list[int], NDArray[np.int64], NDArray[np.float64]]:
    """Divide the user's texts into regions: returns the row at the centre of each; (n,) each row's region; and how sparse each region is.

    Args:
        vectors: (n, width) of length one.
        count: regions wanted, at most n.
    """
    centres = sorted(select_covering(vectors, count, rng, covered=1.0))
    nearest = (vectors @ vectors[centres].T).argmax(axis=1).astype(np.int64)
    nearest[centres] = np.arange(len(centres))  # of two equal texts, each is the centre of its own region
    crowd = np.exp(SHARPNESS * (np.minimum(vectors @ vectors.T, 1.0) - 1.0)).sum(axis=1, dtype=np.float64)
    return centres, nearest, np.sqrt(np.bincount(nearest) / np.bincount(nearest, weights=crowd))


def largest_remainders(worth: NDArray[np.float64], total: int) -> list[int]:
    """Divide `total` into whole parts as proportional to `worth` as possible (the largest remainders method)."""
    exact = worth / worth.sum() * total
    whole = np.floor(exact).astype(int)
    for place in np.argsort(-(exact - whole), kind="stable")[: total - int(whole.sum())]:
        whole[place] += 1
    return [int(number) for number in whole]


PER_ANSWER = 8
"""New rows per request: more would repeat one another."""
SEEDS = 6
_RIVALS = 3
_MOST_REGIONS, _SEEN = 32, 4_000
"""Most regions of the user's texts that requests are spread over, and most rows that are used to find them."""
_LENGTHS = 3.0
"""How far outside of the user's own lengths a new text may be, as a factor."""
_FENCE = re.compile(r"^```[a-z]*\n(.*?)\n?```$", re.DOTALL)
_PLACEHOLDER = re.compile(r"\[[A-Z_]+_\d+\]")
_ALIKE = 0.97
"""Cosine from which two texts count as paraphrases; near-duplicates of MiniLM's lie over it."""


@dataclass(frozen=True, slots=True)
class ExampleRequest:
    """The content of one question: rows with this output (None: any), like these seeds, and clearly different from the rivals.

    With a `source`, rows that it answers, `count` of them.
    """

    label: str | None
    seeds: tuple[Row, ...]
    rivals: tuple[str, ...] = ()
    source: str = ""
    count: int = PER_ANSWER


def plan_requests(rows: Sequence[Row], count: int, vectors: NDArray[np.float32] | None, labelled: bool, seed: int) -> list[ExampleRequest]:
    """Plan the requests for about `count` new rows.

    Args:
        rows: the user's own rows.
        count: new rows wanted.
        vectors: of the rows, (n, width); without them only the number of rows of each label counts, or, without labels, the words of the
            texts.
        labelled: whether outputs are labels.
    """
    rng = np.random.default_rng([seed, 47])
    questions = -(-count // PER_ANSWER)
    if not labelled:
        return _spread(rows, questions, vectors, rng)
    names = sorted({str(row.output) for row in rows})
    targets = np.array([names.index(str(row.output)) for row in rows])
    counts = np.bincount(targets, minlength=len(names))
    confused = np.zeros((len(names), len(names)))
    if vectors is not None and len(names) > 1:
        np.add.at(confused, (targets, fit_classifier(vectors, targets, len(names)).left_out.argmax(axis=1)), 1.0)
        np.fill_diagonal(confused, 0.0)
    errors = confused.sum(axis=1) / np.maximum(counts, 1)
    # A label without errors and with the usual number of rows still gets a tenth of the requests of a bad one.
    worth = (0.1 + errors) * np.sqrt(np.median(counts) / np.maximum(counts, 1))
    whole = largest_remainders(worth, questions)
    found = []
    for number, name in enumerate(names):
        own = np.flatnonzero(targets == number)
        rivals = [names[other] for other in np.argsort(-confused[number], kind="stable")[:_RIVALS] if confused[number, other] > 0]
        for _ in range(whole[number]):
            seeds = tuple(rows[place] for place in rng.permutation(own)[:SEEDS].tolist())
            found.append(ExampleRequest(name, seeds, tuple(rivals)))
    return found


def plan_from_sources(sources: Sequence[str], rows: Sequence[Row], count: int, seed: int) -> list[ExampleRequest]:
    """Plan the requests for about `count` new rows that sources answer; of many sources, evenly spread ones are used."""
    rng = np.random.default_rng([seed, 47])
    chosen = evenly(sources, count)
    each = min(PER_ANSWER, -(-count // max(1, len(chosen))))
    people = [row for row in rows if row.number and row.output is not None]
    shown = [tuple(people[place] for place in rng.permutation(len(people))[:SEEDS].tolist()) for _ in chosen]
    return [ExampleRequest(None, seeds, source=source, count=each) for source, seeds in zip(chosen, shown, strict=True)]


def _spread(rows: Sequence[Row], questions: int, vectors: NDArray[np.float32] | None, rng: np.random.Generator) -> list[ExampleRequest]:
    """Requests all over the user's texts, more where these are sparse: each shows rows of one region."""
    places = np.sort(rng.permutation(len(rows))[:_SEEN])
    known = bag_of_words([joined(rows[place].input) for place in places]) if vectors is None else vectors[places]
    centres, lies_in, thin = find_regions(known, min(questions, _MOST_REGIONS, max(1, len(places) // (2 * SEEDS))), rng)
    found = []
    for number, (centre, more) in enumerate(zip(centres, largest_remainders(thin, questions - len(centres)), strict=True)):
        own = np.flatnonzero(lies_in == number)
        if len(own) < SEEDS:  # add the nearest rows of other regions
            own = np.argsort(-(known @ known[centre]), kind="stable")[:SEEDS]
        for _ in range(1 + more):
            found.append(ExampleRequest(None, tuple(rows[places[place]] for place in rng.permutation(own)[:SEEDS].tolist())))
    return found


def estimate_generation(questions: Sequence[TeacherQuestion], trial: Sequence[TokenCount], rate: float, thinks: bool) -> RequestEstimate:
    """Estimate the requests and tokens of generation.

    Args:
        questions: the questions that ask for rows.
        trial: tokens that the questions of the trial took.
        rate: tokens for each byte of those.
        thinks: whether the teacher reasons before it answers: then the trial's mean output is added for each question.
    """
    given = rate * sum(question.most_tokens_in for question in questions)
    # An answer has more rows than its question shows, of the same form.
    shown = sum(len(question.messages[-1][1].encode("utf-8", "replace")) for question in questions)
    got = rate * shown * PER_ANSWER / SEEDS
    if thinks and trial:
        got += len(questions) * sum(took.got for took in trial) / len(trial)
    return RequestEstimate(len(questions), TokenCount(round(given), round(got)))


def generation_instruction(description: str, lesson: str) -> str:
    """The system message of a conversation in which a teacher makes examples."""
    job = f"The job that the examples are for: {description}\n\n" if description else ""
    return (
        f"You make training examples for a small language model. {job}The model will be told:\n{lesson}\n\n"
        "Make examples as real people would write them: of different lengths, wordings, spellings and situations. Invent no personal data. "
        "Answer with a JSON list and nothing else."
    )


def generation_question(request: ExampleRequest, content: Callable[[Row], Any], safe: Callable[[Any], Any] = lambda value: value) -> str:
    """The question that asks for new rows. `content` shows a row's output: a text, or a JSON value. `safe` redacts texts, and the texts in
    such values, before they are put into JSON."""
    if request.source:
        shown = json.dumps([safe(joined(row.input)) for row in request.seeds], ensure_ascii=False)
        like = f" People asked such things, of other texts, in such words:\n{shown}\n" if request.seeds else ""
        wanted = f"Make {request.count} new examples, each an object with input and output, unlike one another, that this text answers."
        return f"{wanted}{like} In their own words: an input repeats no phrase of the text.\n\n{safe(request.source)}"
    if request.label is None:
        shown = json.dumps([{"input": safe(joined(row.input)), "output": safe(content(row))} for row in request.seeds], ensure_ascii=False)
        return f"Make {PER_ANSWER} new examples, each an object with input and output, unlike one another and unlike these:\n{shown}"
    shown = json.dumps([safe(joined(row.input)) for row in request.seeds], ensure_ascii=False)
    rivals = f" None of them may fit {' or '.join(map(safe, request.rivals))}." if request.rivals else ""
    wanted = f"Make {PER_ANSWER} new texts with the label {safe(request.label)}, as a list of strings, unlike one another and unlike these:"
    return f"{wanted}\n{shown}{rivals}"


def read_examples(answer: str, request: ExampleRequest, parse: Callable[[str, Any], Any]) -> tuple[list[Row], int]:
    """The rows of an answer, and the number of its unusable entries; an answer that is not a list counts as one. `parse` makes an output
    from a text and its given output, and raises ValueError if it cannot."""
    text = answer.strip()
    fenced = _FENCE.match(text)
    try:
        entries = json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):
        return [], 1
    if not isinstance(entries, list):
        return [], 1
    rows, bad = [], 0
    for entry in entries[: 2 * PER_ANSWER]:
        given = entry if request.label is not None else entry.get("input") if isinstance(entry, dict) else None
        output = request.label if request.label is not None else entry.get("output") if isinstance(entry, dict) else None
        try:
            if not _usable(given):
                raise ValueError
            text = str(given).strip()
            rows.append(Row(text, parse(text, output)))
        except ValueError:
            bad += 1
    return rows, bad


def _usable(text: Any) -> bool:
    return isinstance(text, str) and bool(text.strip()) and not any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in text)


@dataclass
class ExampleFilter:
    """Filter generated rows, and count those dropped by reason.

    Attributes:
        own: the user's rows to learn from.
        apart: the user's rows that are only measured on.
        embed: makes vectors of texts; without it, paraphrases pass.
        labelled: whether outputs are labels, which come from the user and not from the teacher.
    """

    own: Sequence[Row]
    apart: Sequence[Row]
    embed: Callable[[Sequence[str]], NDArray[np.float32]] | None
    labelled: bool = False
    dropped: Counter[str] = field(default_factory=Counter)

    def passed(self, rows: Sequence[Row]) -> list[Row]:
        """The rows that hold no placeholder, are about as long as the user's own, are near no row that is measured on, and are not repeats
        or paraphrases."""
        plain = [row for row in rows if not self._drop(bool(_PLACEHOLDER.search(joined(row.input))), "it holds a stand-in")]
        kept = self._sized([row for row in plain if not self.masked(row.output)])
        texts = [joined(row.input) for row in kept]
        leaked = near_duplicates.near_any_of(texts, [joined(row.input) for row in self.apart])
        crowded = near_duplicates.near_or_repeated(texts, [joined(row.input) for row in self.own])
        fresh = []
        for place, row in enumerate(kept):
            leak = self._drop(place in leaked, "nearly a row that is measured on")
            if not leak and not self._drop(place in crowded, "nearly a row that is there already"):
                fresh.append(row)
        return self._distinct(fresh)

    def masked(self, output: Any) -> bool:
        """Whether an output that the teacher made holds a placeholder, and is dropped for that. The placeholder stands for a value of a row
        that
        the teacher was shown: restored, the value would appear in another text."""
        held = not self.labelled and any(_PLACEHOLDER.search(text) for text in leaves(output))
        return self._drop(held, "its output holds a stand-in")

    def _drop(self, whether: bool, why: str) -> bool:
        self.dropped[why] += whether
        return whether

    def _sized(self, rows: Sequence[Row]) -> list[Row]:
        lengths = [len(joined(row.input)) for row in self.own]
        least, most = min(lengths) / _LENGTHS, max(lengths) * _LENGTHS
        return [row for row in rows if not self._drop(not least <= len(joined(row.input)) <= most, "shorter or longer than any of yours")]

    def _distinct(self, rows: list[Row]) -> list[Row]:
        """The rows that no other row paraphrases, by their vectors."""
        if self.embed is None or not rows:
            return rows
        known = self.embed([joined(row.input) for row in self.own])
        vectors = self.embed([joined(row.input) for row in rows])
        kept: list[int] = []
        for place in range(len(rows)):
            near_own = float((vectors[place] @ known.T).max(initial=0.0))
            near_new = float((vectors[place] @ vectors[kept].T).max(initial=0.0)) if kept else 0.0
            if not self._drop(max(near_own, near_new) >= _ALIKE, "says what another row says"):
                kept.append(place)
        return [rows[place] for place in kept]
