"""Inspect the rows of a data file for faults.

Each group of findings is a part: a file in `findings/` whose `part` is a function from a survey to its findings.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias

from smidgen.core.errors import DataError, MissingExtra
from smidgen.core.progress import Progress, Silent
from smidgen.core.rows import Row, joined
from smidgen.data.row_selection import Embed
from smidgen.parts import registry
from smidgen.text import near_duplicates

Severity: TypeAlias = Literal["error", "warning", "note"]
"""`error`: no model can be built from these rows. `warning`: the model or its measured quality suffers. `note`: worth knowing."""

EXAMPLES = 20
"""Most row numbers and details that a finding lists, where a survey does not ask for more."""


@dataclass(frozen=True, slots=True)
class DataFinding:
    """One finding.

    Attributes:
        kind: its name (`duplicates`), with a variant if needed (`duplicates.near`).
        severity: how much it matters.
        count: the number of rows (or labels, for findings about labels) that it concerns; 0 if nothing was wrong.
        text: the finding, one sentence without a full stop.
        todo: advice, one sentence; empty for a plain fact.
        rows: numbers of example rows, the most telling first.
        details: further facts, JSON-ready.
    """

    kind: str
    severity: Severity
    count: int
    text: str
    todo: str = ""
    rows: tuple[int, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """The entry in `check --json`."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "count": self.count,
            "text": self.text,
            "todo": self.todo,
            "rows": list(self.rows),
            "details": dict(self.details),
        }


def verb(number: int, plural: str) -> str:
    """A regular verb that agrees with a number: `holds` after 1 row, `hold` after 2."""
    return f"{plural}s" if number == 1 else plural


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun: `1 row`, `1,204 rows`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


NEAR_ROWS = 200_000
MODEL_ROWS = 50_000
"""Most rows among which near-duplicates, and wrong labels, are searched; of more rows, those whose text hashes lowest."""


@dataclass
class Survey:
    """The rows that a check inspects, and results that several findings share, each computed once.

    Attributes:
        rows: the rows that could be read, output parsed by the task.
        unusable: the errors of the rows that could not be read.
        test: rows of the test file, if one was given.
        embed: makes vectors of texts; None without a base, and findings do without vectors.
        unknown: labels that mean "none of these". Texts under them have nothing in common, so their labels cannot be doubted.
        progress: shows the slow parts.
        named: whether the task's outputs are names of labels. Written texts are none, however often some of them repeat.
        examples: most row numbers and details that a finding lists.
        judgement: of the labels by models that have not seen them, a `LabelJudgement`; None until `propose_labels` ran.
        proposals: likely wrong labels; None until `propose_labels` ran.
    """

    rows: Sequence[Row]
    unusable: Sequence[DataError] = ()
    test: Sequence[Row] = ()
    embed: Embed | None = None
    unknown: frozenset[str] = frozenset()
    progress: Progress = field(default_factory=Silent)
    named: bool = True
    examples: int = EXAMPLES
    judgement: Any = field(default=None, repr=False)
    proposals: list[Any] | None = field(default=None, repr=False)

    @cached_property
    def texts(self) -> list[str]:
        """The input of each row as one string."""
        return [joined(row.input) for row in self.rows]

    @cached_property
    def folded(self) -> list[str]:
        """The texts without case, punctuation and spacing."""
        return [near_duplicates.fold_text(text) for text in self.texts]

    @cached_property
    def labels(self) -> list[tuple[str, ...]] | None:
        """The labels of each row; None if the outputs are not labels (spans, fields, written texts)."""
        found: list[tuple[str, ...]] = []
        if not self.named:
            return None
        for row in self.rows:
            if isinstance(row.output, str):
                found.append((row.output,))
            elif isinstance(row.output, (list, tuple)) and all(isinstance(one, str) for one in row.output):
                found.append(tuple(sorted(row.output)))
            else:
                return None
        free_text = len(found) >= 20 and len(set(found)) > 0.9 * len(found) and len(set(found)) > 50
        return None if free_text else found

    @cached_property
    def counts(self) -> Counter[str]:
        """The number of rows of each label; empty if outputs are not labels."""
        return Counter(label for labels in self.labels or () for label in labels)

    @cached_property
    def single(self) -> bool:
        """Whether each output is exactly one label."""
        return self.labels is not None and all(len(labels) == 1 for labels in self.labels)

    def sample(self, most: int) -> list[int]:
        """Places of at most `most` rows: all of them, or those whose text hashes lowest, so that the choice does not depend on row
        order."""
        if len(self.rows) <= most:
            return list(range(len(self.rows)))
        keys = [hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest() for text in self.folded]
        return sorted(sorted(range(len(keys)), key=lambda place: (keys[place], place))[:most])

    @cached_property
    def near_pairs(self) -> list[tuple[int, int, float]]:
        """Near-duplicate pairs of places among the sampled rows, with their similarity; without texts that fold to one text."""
        places = list({self.folded[place]: place for place in reversed(self.sample(NEAR_ROWS))}.values())
        found = near_duplicates.near_pairs([self.folded[place] for place in places])
        return [(places[one], places[other], similarity) for one, other, similarity in found]


_ORDER = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True)
class Inspection:
    """The findings of a check.

    Attributes:
        rows: the number of usable rows.
        findings: the gravest first.
        skipped: kinds that could not be checked, each with the reason.
        facts: about the file: its name, columns, encoding.
    """

    rows: int
    findings: tuple[DataFinding, ...]
    skipped: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def buildable(self) -> bool:
        """Whether a model can be built from these rows: no finding is an error."""
        return all(finding.severity != "error" for finding in self.findings)

    def of(self, kind: str) -> DataFinding | None:
        """The first finding of this kind, or None."""
        return next((finding for finding in self.findings if finding.kind == kind), None)

    def json(self) -> dict[str, Any]:
        """The value that `check --json` prints."""
        return {
            **self.facts,
            "rows": self.rows,
            "buildable": self.buildable,
            "findings": [finding.json() for finding in self.findings],
            "skipped": dict(self.skipped),
        }


def inspect(survey: Survey, facts: Mapping[str, Any] | None = None) -> Inspection:
    """Look for every kind of finding. A kind whose package is not installed is listed as skipped, with the line that installs it."""
    found: list[DataFinding] = []
    skipped = {}
    for name in registry.names("data.findings"):
        try:
            found += registry.find("data.findings", name)(survey)
        except MissingExtra as missing:
            skipped[name.replace("-", "_")] = str(missing)
    found.sort(key=lambda finding: (_ORDER[finding.severity], finding.kind.split(".")[0]))
    return Inspection(len(survey.rows), tuple(found), skipped, facts or {})
