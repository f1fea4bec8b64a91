"""Complete: fill a gap in source code, as the user's own repository would.

Examples are made of the repository's files: each is the text ahead of a gap, the text behind it, and what stands between. Whole files are
held out, so that nothing of a tested file was learnt.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import numpy as np
from pydantic import Field, StrictInt

from smidgen.code.gaps import Gap, gaps_in
from smidgen.code.repository import CodeFile, read_repository
from smidgen.core.abilities import Correctness, ExampleTable, ProjectFiles, TaskPage
from smidgen.core.errors import DataError, RecipeError
from smidgen.core.forms import AnswerOutline, AnswerShape, Coefficient, Form, WritingTerms
from smidgen.core.parts import DividedRows, Raw, Task
from smidgen.core.quantities import Metric
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, evenly
from smidgen.core.settings import Settings, setting
from smidgen.stats import calibration
from smidgen.stats.classification_metrics import share
from smidgen.stats.intervals import mean_share
from smidgen.text.infilling import is_filled, likeness, read_part

LEAST_FILES = 4
"""Fewest files: two to learn from, one held out, one to test on."""
_LEAST_FITTED = 20
"""Held-out gaps from which on a score is fitted."""
_TEST_FILES, _HELD_FILES = 0.2, 0.1
_LINES_A_GAP = 6
"""Lines of a file for each gap that is learnt."""
_BLOCKS = 0.25
"""Share of the learnt gaps that span several lines."""
_LEARNT = (600, 300)
"""Characters around a gap that are learnt with it, at most. Teaching takes time by the token: more gaps of fewer tokens each."""


class CompleteSettings(Settings):
    """Settings of a model that completes code: the repository, and how much of a file is read."""

    repo: str | None = setting(
        None, "Folder of the repository. In a git repository only the files that git tracks are read.", flag="--repo", file=True
    )
    ahead: int = setting(1500, "Characters ahead of a gap that are read, at most.", ge=100, le=20_000)
    behind: int = setting(300, "Characters behind a gap that are read, at most.", ge=0, le=5_000)
    max_tokens: int = setting(64, "Most tokens of a completion.", ge=4, le=1024)
    gaps: int = setting(4000, "Most gaps that are learnt.", ge=10, le=100_000)
    test_gaps: int = setting(100, "Gaps of held-out files that are tested on; half as many are held out for calibration.", ge=10, le=2_000)


class GapForm(Form):
    """A text that fills a gap.

    Attributes:
        ahead, behind: characters around the gap that are read.
        max_tokens: of a completion.
        files: source files that were read for the build.
        slope, shift: the curve from the mean probability of the tokens to the probability that the lines are exactly right.
    """

    ahead: Annotated[StrictInt, Field(ge=1, le=20_000)]
    behind: Annotated[StrictInt, Field(ge=0, le=5_000)]
    max_tokens: Annotated[StrictInt, Field(ge=1, le=1024)]
    files: Annotated[StrictInt, Field(ge=1, le=1_000_000)]
    slope: Coefficient | None = None
    shift: Coefficient | None = None

    @property
    def shape(self) -> AnswerShape:
        """A text."""
        return "text"

    @property
    def writing(self) -> WritingTerms:
        """The length of a completion, and how much around a gap is read."""
        return WritingTerms(max_tokens=self.max_tokens, reach=(self.ahead, self.behind))

    @property
    def pipeline(self) -> str:
        """A writer."""
        return "text-generation"

    @property
    def fitted(self) -> bool:
        """Whether a score was fitted."""
        return self.slope is not None

    @property
    def listed(self) -> dict[str, Any]:
        """How much around a gap is read."""
        return {"ahead": self.ahead, "behind": self.behind}

    def uncalibrated(self) -> GapForm:
        """Without a fitted score."""
        return self.model_copy(update={"slope": None, "shift": None})

    def purpose(self, quote: Callable[[str], str]) -> str:
        """The repository that it learnt from, and how much of a file it reads."""
        return (
            f"It completes code: it fills a gap in a file, as {self.files:,} files of one repository would. It reads at most "
            f"{self.ahead:,} characters ahead of the gap and {self.behind:,} behind it, and nothing of other files. The score is the "
            "probability that the missing lines are exactly right."
        )

    @property
    def limits(self) -> tuple[str, ...]:
        """Correctness, other repositories, secrets."""
        return (
            "Code that nobody reads: it may call what does not exist, and what it writes was neither run nor checked.",
            "Other repositories: it was measured on held-out files of the one that it learnt from.",
            "Keeping a repository secret: whoever has the model can have it write lines that it learnt.",
        )


class GapCorrectness(Correctness):
    """A completion is right if the lines of the gap are exactly right, whatever it writes after them."""

    def right(self, rows: Sequence[Row], replies: Sequence[Reply], form: GapForm) -> list[bool]:
        """Whether the lines of each gap are exactly right."""
        return [is_filled(reply.output, row.output) for row, reply in zip(rows, replies, strict=True)]


class RepositoryFiles(ProjectFiles):
    """The source files of a repository."""

    kinds = MappingProxyType({"repository": "complete.repo"})

    def rows(self, settings: CompleteSettings) -> list[Row]:
        """One row a source file: its path and its text. Raises RecipeError if no repository is named, DataError if it has no source."""
        if settings.repo is None:
            raise RecipeError("code.no_repository_is_named", value="complete.repo")
        return [Row(file.path, file.text, number) for number, file in enumerate(read_repository(Path(settings.repo)).files, start=1)]

    def rows_in(self, file: Path, settings: CompleteSettings) -> list[Row] | None:
        """Gaps of the source files in a folder, or the gaps in a JSONL file of `ahead`, `behind` and `output`; None for any other file.

        Raises DataError for a folder without source files, and for a line that is no gap.
        """
        if file.is_dir():
            random = np.random.default_rng(0)
            return _rows(_some(read_repository(file).files, settings.test_gaps, random), (settings.ahead, settings.behind))
        return _listed(file)

    def remarks(self, settings: CompleteSettings) -> Sequence[str]:
        """The files that are left out, by reason."""
        return read_repository(Path(settings.repo)).remarks() if settings.repo is not None else ()


class GapPage(TaskPage):
    """Texts. No column of a table looks like code that fills a gap."""

    def outline(self, outputs: Sequence[Any], settings: CompleteSettings) -> AnswerOutline:
        """Texts."""
        return AnswerOutline("text")

    def likely(self, cells: Sequence[Any]) -> float:
        """Never."""
        return 0.0


class Complete(Task):
    """The task `complete`."""

    name = "complete"
    summary = "Complete code in an editor: fill the gap at the cursor, as your own repository would."
    settings = CompleteSettings
    students = ("decoder",)
    baseline = "prompted"
    headline = "exact_match"
    form_type = GapForm
    correctness = GapCorrectness()
    writes = True
    streams = True
    examples = ExampleTable()
    decoder = "coder"
    pair = ("ahead", "behind")
    files = RepositoryFiles()
    page = GapPage()
    quick = MappingProxyType({"train": {"time_budget": "5m"}})
    not_foreseen = "not predicted: only a trained model shows how well it knows your repository"
    loss_words = "the missing lines are not exactly right"

    def parse(self, value: Any, settings: CompleteSettings) -> str:
        """The text of a gap. Raises ValueError for an empty cell."""
        if not isinstance(value, str) or not value.strip():
            raise ValueError("it is empty, or not a text")
        return value

    def cell_settings(self, form: GapForm) -> CompleteSettings:
        """How much around a gap is read."""
        return CompleteSettings(ahead=form.ahead, behind=form.behind, max_tokens=form.max_tokens)

    def form(self, rows: Sequence[Row], settings: CompleteSettings) -> GapForm:
        """The form. Raises DataError for too few files."""
        pairs = sum(not isinstance(row.input, str) for row in rows)
        if not pairs and len(rows) < LEAST_FILES:
            raise DataError(
                "code.too_few_source_files" if len(rows) != 1 else "code.too_few_source_files_one",
                rows=len(rows),
                least_files=LEAST_FILES,
            )
        return GapForm(ahead=settings.ahead, behind=settings.behind, max_tokens=settings.max_tokens, files=len(rows))

    def split(self, rows: Sequence[Row], settings: CompleteSettings, seed: int) -> DividedRows:
        """Gaps of the files, whole files held out. Rows that are gaps already are all tested on."""
        if all(not isinstance(row.input, str) for row in rows):
            return DividedRows((), (), rows, "the rows are gaps with what fills them")
        files = [CodeFile(str(row.input), row.output) for row in rows]
        order = [files[place] for place in np.random.default_rng([seed, 23]).permutation(len(files))]
        test = order[: max(1, round(_TEST_FILES * len(order)))]
        held = order[len(test) : len(test) + max(1, round(_HELD_FILES * len(order)))]
        fit = order[len(test) + len(held) :]
        random = np.random.default_rng([seed, 29])
        every = {file.path: max(1, file.text.count("\n") // _LINES_A_GAP) for file in fit}
        learnt = [gap for file in fit for gap in gaps_in(file, every[file.path], random, blocks=_BLOCKS)]
        reach = (settings.ahead, settings.behind)
        how = f"gaps of {len(test)} of {len(files)} files, drawn with seed {seed} and kept apart"
        near = (min(settings.ahead, _LEARNT[0]), min(settings.behind, _LEARNT[1]))
        return DividedRows(
            _rows(evenly(learnt, settings.gaps), near),
            _rows(_some(held, settings.test_gaps // 2, random), reach),
            _rows(_some(test, settings.test_gaps, random), reach),
            how,
        )

    def calibrate(self, raw: Raw, rows: Sequence[Row], form: GapForm, settings: CompleteSettings) -> GapForm:
        """The form with its score fitted: the probability that the lines are right, from the mean probability of their tokens."""
        right = np.array(self.correctness.right(rows, self.decode(raw, form.uncalibrated()), form), dtype=np.float64)
        if len(right) < _LEAST_FITTED:
            return form
        slope, shift = calibration.fit_platt(_odds(raw), right)
        return form.model_copy(update={"slope": slope, "shift": shift})

    def decode(self, raw: Raw, form: GapForm) -> list[Reply]:
        """One completion per gap; the score of an empty one is 0. Facts: `tokens`, `finished`."""
        odds, tokens, finished = _odds(raw), np.asarray(raw["tokens"]), np.asarray(raw["finished"]) >= 0.5
        fitted = (form.slope, form.shift) if form.slope is not None and form.shift is not None else (1.0, 0.0)
        scores = calibration.platt_probability(odds, *fitted)
        return [
            Reply(text, float(score) if text.strip() else 0.0, facts={"tokens": int(count), "finished": bool(whole)})
            for text, score, count, whole in zip(raw["texts"], scores, tokens, finished, strict=True)
        ]

    def measure(self, rows: Sequence[Row], replies: Sequence[Reply], form: GapForm) -> dict[str, Metric]:
        """exact_match: the share of gaps whose lines are exactly right. similarity: the mean share of equal characters. Only as many lines
        of a completion count as are missing."""
        alike = np.array([likeness(reply.output, row.output) for row, reply in zip(rows, replies, strict=True)], dtype=np.float64)
        value = float(alike.mean()) if len(alike) else math.nan
        return {
            "exact_match": share(np.array(self.correctness.right(rows, replies, form), dtype=np.bool_)),
            "similarity": Metric(value, *mean_share(alike), len(alike)),
        }


def _listed(file: Path) -> list[Row] | None:
    """The gaps in a JSONL file; None if its first line is none."""
    if file.suffix != ".jsonl" or not file.is_file():
        return None
    found: list[Row] = []
    with file.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                told = json.loads(line) if line.strip() else None
            except (ValueError, RecursionError):
                told = {}
            if told is None:
                continue
            ahead, behind, output = (told.get(name) if isinstance(told, dict) else None for name in ("ahead", "behind", "output"))
            if isinstance(ahead, str) and isinstance(behind, str) and isinstance(output, str) and output.strip():
                found.append(Row((ahead, behind), output, number))
            elif not found:
                return None
            else:
                raise DataError("code.line_is_not_a_gap_example", value=line.strip()[:80], row=number)
    return found or None


def _some(files: Sequence[CodeFile], count: int, random: np.random.Generator) -> list[Gap]:
    """Gaps of one line in some files, about `count`, more of a longer file."""
    lines = sum(file.text.count("\n") + 1 for file in files)
    each = [(file, math.ceil(count * (file.text.count("\n") + 1) / max(1, lines))) for file in files]
    return list(evenly([gap for file, some in each for gap in gaps_in(file, some, random)], count))


def _rows(gaps: Sequence[Gap], reach: tuple[int, int]) -> list[Row]:
    return [Row(read_part(gap.ahead, gap.behind, reach), gap.filling, number) for number, gap in enumerate(gaps, start=1)]


def _odds(raw: Raw) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return calibration.logit(np.asarray(raw["probability"], dtype=np.float64))


part_complete = Complete()
