"""Rating: a text gets a whole number on a scale. Off by one is better than off by three."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field, StrictInt

from smidgen.core.abilities import Teaching
from smidgen.core.errors import DataError
from smidgen.core.forms import Form, LabelForm, Temperature
from smidgen.core.parts import Raw, Task
from smidgen.core.quantities import Metric
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, Text
from smidgen.core.settings import Settings, setting
from smidgen.stats import calibration, classification_metrics
from smidgen.stats.intervals import mean_share, paired_grades

Level = Annotated[StrictInt, Field(ge=-100, le=100)]


class RatingSettings(Settings):
    """The scale of a rating."""

    highest: int = setting(5, "The best rating; the worst is 1.", flag="--highest", ge=2, le=10)


class RatingForm(Form):
    """A whole number from `low` to `high`; `spread` is how far the model's guesses are off."""

    low: Level
    high: Level
    spread: Temperature

    def uncalibrated(self) -> RatingForm:
        """As if nothing were known of its errors."""
        return self.model_copy(update={"spread": 1.0})

    @property
    def levels(self) -> range:
        """All ratings."""
        return range(self.low, self.high + 1)

    @property
    def names(self) -> tuple[str, ...]:
        """The ratings."""
        return tuple(map(str, self.levels))

    @property
    def pipeline(self) -> str:
        """A classifier, of a kind."""
        return "text-classification"

    def purpose(self, quote: Callable[[str], str]) -> str:
        """The scale."""
        return f"It rates a text from {quote(str(self.low))} to {quote(str(self.high))}."

    @property
    def limits(self) -> tuple[str, ...]:
        """Ratings off the scale."""
        return ("Ratings off its scale.",)

    @property
    def labelling(self) -> LabelForm:
        """The ratings as labels."""
        return LabelForm(labels=self.names, multi_label=False, temperature=self.spread)


class RatingTeaching(Teaching):
    """A larger model names the number."""

    def instruction(self, form: RatingForm) -> str:
        """The scale."""
        return f"Rate the text with a whole number from {form.low} (worst) to {form.high} (best). Answer with the number alone."

    def read(self, answer: str, form: RatingForm, text: Text = "") -> int:
        """The number that was answered."""
        return part.parse(answer, part.cell_settings(form))


class Rating(Task):
    """The task `rating`."""

    name = "rating"
    summary = "Rate each text on a scale: reviews, survey answers, call notes."
    settings = RatingSettings
    students = ("ordinal",)
    baseline = "linear"
    headline = "closeness"
    form_type = RatingForm
    units = {"mae": "points"}  # noqa: RUF012
    teaching = RatingTeaching()

    def parse(self, value: Any, settings: RatingSettings) -> int:
        """`4`, `4.0` or `4 of 5`. Raises ValueError for anything else."""
        found = re.fullmatch(r"\s*([0-9]{1,3})(?:\.0+)?(?:\s*(?:of|/)\s*[0-9]+)?\s*\.?\s*", str(value))
        if found is None or not 1 <= int(found[1]) <= settings.highest:
            raise ValueError(f"a whole number from 1 to {settings.highest} is expected")
        return int(found[1])

    def form(self, rows: Sequence[Row], settings: RatingSettings) -> RatingForm:
        """The scale."""
        if len({row.output for row in rows}) < 2:
            raise DataError("every row has the same rating", value=f"{len(rows)} rows", todo="Add rows with other ratings.")
        return RatingForm(low=1, high=settings.highest, spread=1.0)

    def form_fault(self, form: RatingForm, raw: Raw | None = None) -> str:
        """A scale of one rating, or upside down; another number of outputs than one, or one a rating."""
        if form.low >= form.high:
            return f"the scale goes from {form.low} to {form.high}"
        outputs = np.asarray(raw["logits"]).shape[-1] if raw is not None else 1
        return "" if outputs in (1, len(form.levels)) else f"the model has {outputs} outputs"

    def cell_settings(self, form: RatingForm) -> RatingSettings:
        """The scale of the form."""
        return RatingSettings(highest=form.high)

    def strata(self, rows: Sequence[Row]) -> list[str]:
        """The rating."""
        return [str(row.output) for row in rows]

    def labelled(self, output: Any, form: RatingForm) -> str:
        """The rating as a label."""
        return str(output)

    def calibrate(self, raw: Raw, rows: Sequence[Row], form: RatingForm, settings: RatingSettings) -> RatingForm:
        """The spread at which the held-out ratings are likeliest."""
        gold = np.array([row.output - form.low for row in rows])
        spreads = np.geomspace(0.05, 5.0, 60)
        likely = [
            float(np.log(np.maximum(_chances(raw, form.model_copy(update={"spread": spread}))[np.arange(len(gold)), gold], 1e-9)).sum())
            for spread in spreads
        ]
        return form.model_copy(update={"spread": float(spreads[int(np.argmax(likely))])}) if len(rows) else form

    def decode(self, raw: Raw, form: RatingForm) -> list[Reply]:
        """The median rating: no other has a smaller expected distance from the truth."""
        replies = []
        for row in _chances(raw, form):
            place = min(int((row.cumsum() < 0.5).sum()), len(row) - 1)
            others = sorted((other for other in range(len(row)) if other != place), key=lambda other: -row[other])[:2]
            replies.append(
                Reply(
                    form.levels[place],
                    float(row[place]),
                    tuple((form.levels[other], float(row[other])) for other in others),
                    {"mean": round(float(row @ np.array(form.levels)), 2)},
                    chances=dict(zip(form.names, map(float, row), strict=True)),
                )
            )
        return replies

    def measure(self, rows: Sequence[Row], replies: Sequence[Reply], form: RatingForm) -> dict[str, Metric]:
        """closeness: what the mean distance leaves of 1, of the whole scale. mae: the mean distance. accuracy: the very rating."""
        scale = form.high - form.low
        far = _distances(rows, replies) / scale
        interval = mean_share(far)
        value, low, high = float(far.mean()), *interval
        closeness = Metric(1 - value, 1 - high, 1 - low, len(far))
        accuracy = classification_metrics.accuracy([row.output for row in rows], [reply.output for reply in replies])
        return {"closeness": closeness, "mae": Metric(scale * value, scale * low, scale * high, len(far)), "accuracy": accuracy}

    def change(self, rows: Sequence[Row], before: Sequence[Reply], after: Sequence[Reply], form: RatingForm) -> Metric:
        """What the closeness changed by."""
        scale = form.high - form.low
        found = paired_grades(1 - _distances(rows, before) / scale, 1 - _distances(rows, after) / scale)
        return Metric(found.value, found.low, found.high, len(rows))

    def content(self, reply: Reply) -> str:
        """The number."""
        return str(reply.output)


def _chances(raw: Raw, form: RatingForm) -> Any:
    """(n, ratings) how likely each rating is: by a logit each, or by one guess with a logistic error."""
    logits = np.asarray(raw["logits"], dtype=np.float64)
    if logits.shape[1] > 1:
        return calibration.softmax(logits, form.spread)
    edges = np.array(form.levels)[:-1] + 0.5
    below = 1 / (1 + np.exp(np.clip((logits - edges) / form.spread, -500, 500)))
    whole = np.concatenate([np.zeros_like(logits), below, np.ones_like(logits)], axis=1)
    return np.diff(whole, axis=1)


def _distances(rows: Sequence[Row], replies: Sequence[Reply]) -> Any:
    return np.array([abs(row.output - reply.output) for row, reply in zip(rows, replies, strict=True)], dtype=np.float64)


part = Rating()
