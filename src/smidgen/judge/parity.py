"""The parity gate: the served model must be the model that was measured.

The same held-out texts go through the trained model and through the packed bundle in its serving engine. With too many changed answers, or
too large a loss, the build fails and lists the changed texts.

A bundle whose engine enforces a schema is also compared with the unpacked weights in the same engine. The trained model writes freely, so
the schema's corrections would hide the losses of packing. Neither loss may be too large.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from smidgen.core.errors import GateError
from smidgen.core.quantities import Metric
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, joined
from smidgen.judge.classifier_sections import words
from smidgen.judge.quality_gate import GateSettings, differs_too_much, loses_too_much
from smidgen.judge.sections import ChangedText, Delta, ParityFacts, measured, shortened
from smidgen.stats.classification_metrics import same_labels, share
from smidgen.stats.intervals import MetricChange, paired_change, paired_grades

_KEPT = 50  # changed texts kept in the report
_SHOWN = 20  # changed texts listed in the error
_LONGEST = 160  # most characters of a shown text


def compare(
    rows: Sequence[Row],
    trained: Sequence[Reply],
    served: Sequence[Reply],
    *,
    settings: GateSettings,
    headline: str = "accuracy",
    before: Metric | None = None,
    after: Metric | None = None,
    grades: tuple[Sequence[float], Sequence[float]] | None = None,
    written: bool = False,
) -> ParityFacts:
    """Compare the served replies with the trained model's on the same rows.

    Args:
        rows: held-out rows with their gold outputs.
        trained: replies of the model as it was trained, in the order of `rows`.
        served: replies of the packed bundle through its engine, in the same order.
        headline: the metric that decides; for `accuracy` the change is paired row by row, for others it is `after` minus `before`, with
            the interval of the share of rows that stayed right.
        before, after: that metric of both, as the task measures it.
        grades: for a graded task, the grades (n,) of both, 0..1; the change is then that of the mean grade.
        written: whether the answers are written: then agreement counts only if the settings demand it.

    Raises GateError if a row has no served reply, or a score is not in 0..1.
    """
    check(rows, served)
    gold = [row.output for row in rows]
    before_outputs, after_outputs = [reply.output for reply in trained], [reply.output for reply in served]
    agreed = same_labels(before_outputs, after_outputs)
    right_before, right_after = same_labels(gold, before_outputs), same_labels(gold, after_outputs)
    change = (
        paired_grades(np.asarray(grades[0], dtype=np.float64), np.asarray(grades[1], dtype=np.float64))
        if grades is not None
        else paired_change(right_before, right_after)
    )
    moves = [abs(a.score - b.score) for a, b, kept in zip(trained, served, agreed, strict=True) if kept]
    changed = [
        ChangedText(
            text=joined(row.input),
            gold=words(_first(row.output) if grades else row.output),
            trained=words(a.output),
            served=words(b.output),
        )
        for row, a, b, kept in zip(rows, trained, served, agreed, strict=True)
        if not kept
    ]
    # The largest losses first, because a failed gate is about them.
    worth = grades if grades is not None else (right_before.astype(float), right_after.astype(float))
    loss = [was - now for was, now, kept in zip(*worth, agreed, strict=True) if not kept]
    changed = [text for _, text in sorted(zip(loss, changed, strict=True), key=lambda pair: -pair[0])]
    agreement = share(agreed)
    facts = ParityFacts(
        n=len(rows),
        agreement=_needed(agreement),
        metric=headline,
        trained=measured(before) or measured(share(right_before)),
        served=measured(after) or measured(share(right_after)),
        change=_delta(change, before, after, headline, grades is not None),
        largest_score_change=max(moves, default=0.0),
        max_loss=settings.max_loss,
        min_agreement=settings.agreement(written or grades is not None),
        changed=tuple(changed[:_KEPT]),
    )
    return facts.model_copy(update={"passed": not failures(facts)})


def beside(
    facts: ParityFacts,
    rows: Sequence[Row],
    unpacked: Sequence[Reply],
    served: Sequence[Reply],
    *,
    settings: GateSettings,
    before: Metric,
    after: Metric,
) -> ParityFacts:
    """Add the comparison with `unpacked`, the replies of the unpacked weights in the serving engine.

    Args:
        facts: of `compare`, against the trained model.
        rows, served, settings: as there.
        unpacked: replies in the order of `rows`.
        before, after: the headline metric of `unpacked` and of `served`.

    Raises GateError as `compare` does.
    """
    check(rows, unpacked)
    found = compare(rows, unpacked, served, settings=settings, headline=facts.metric, before=before, after=after, written=True)
    added = facts.model_copy(update={"unpacked": found.trained, "packing": found.change})
    return added.model_copy(update={"passed": not failures(added)})


def require(facts: ParityFacts) -> None:
    """Raise GateError, with the texts whose answer changed, if a condition failed."""
    found = failures(facts)
    if not found:
        return
    total = round((1 - facts.agreement.value) * facts.n)
    lines = [
        f"{shortened(' '.join(text.text.split()), _LONGEST)!r}: trained {text.trained!r}, served {text.served!r}"
        + (f" (gold {text.gold!r})" if text.gold else "")
        for text in facts.changed[:_SHOWN]
    ]
    if total > len(lines):
        lines.append(f"and {total - len(lines)} more")
    raise GateError("judge.served_model_differs_from_trained", value="; ".join(found), total=total, n=facts.n, changed=lines)


def failures(facts: ParityFacts) -> list[str]:
    """The unmet conditions, in words. Point estimates decide, not intervals; of few rows, one alone decides nothing."""
    found = []
    if facts.n == 0:
        found.append("there were no held-out texts to compare on")
    for change, against in ((facts.change, ""), (facts.packing, " against the weights as they were trained in the same engine")):
        if change is None or facts.max_loss is None or not loses_too_much(-change.value, facts.max_loss, facts.n):
            continue
        interval = f"95 % interval {100 * -change.high:.2f} to {100 * -change.low:.2f}"
        found.append(
            f"{facts.metric} fell by {100 * -change.value:.2f} points{against} ({interval}); gate.max_loss allows {100 * facts.max_loss:g}"
        )
    if facts.min_agreement is not None and differs_too_much(facts.agreement.value, facts.min_agreement, facts.n):
        kept, asked = 100 * facts.agreement.value, 100 * facts.min_agreement
        found.append(f"it gives the same answer to {kept:.1f} % of texts; gate.min_agreement asks for {asked:g} %")
    return found


def _delta(change: MetricChange, before: Metric | None, after: Metric | None, headline: str, graded: bool) -> Delta:
    value, low, high = change.value, change.low, change.high
    if not graded and headline != "accuracy" and before is not None and after is not None:
        # Another metric than the share of right rows: its own change, with the interval width of the changed rows.
        moved = after.value - before.value
        low, high, value = moved + (low - value), moved + (high - value), moved
    return Delta(value=value, low=low, high=high, p=change.p, gained=change.gained, lost=change.lost)


def _needed(metric: Metric) -> Any:
    found = measured(metric)
    if found is None:
        raise GateError("judge.there_are_no_held_out_texts_to_compare")
    return found


def check(rows: Sequence[Row], replies: Sequence[Reply]) -> None:
    """Raise GateError if a row has no reply, or a score is not in 0..1."""
    if len(rows) != len(replies):
        raise GateError("judge.served_model_did_not_answer_every_text", replies=len(replies), rows=len(rows))
    scores = np.array([reply.score for reply in replies], dtype=np.float64)
    bad = np.flatnonzero(~(np.isfinite(scores) & (scores >= -1e-6) & (scores <= 1 + 1e-6)))
    if len(bad):
        raise GateError(
            "judge.served_model_gave_invalid_score",
            value=replies[int(bad[0])].score if not math.isnan(scores[bad[0]]) else "nan",
            bad=int(bad[0]) + 1,
            scores=len(scores),
        )


def _first(output: Any) -> Any:
    """The first of several references."""
    return output[0] if isinstance(output, list) and output else output
