"""Whether the scores of a build from few rows equal the share of right answers on later texts. Two ways to calibrate them are compared:
by the held-out rows, and by all rows, each answered by a model that learnt from the others."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import stdev

from bench import data, results
from bench.context import Context
from bench.coverage import LATER, SIZES, answered, drawn_rows

NAME, DRAWS, OUTSIDE = "scores", 8, "oos"


def run(context: Context) -> None:
    """Build the student `linear` on each draw of rows, calibrated in both ways, and measure its scores on later rows. The first of
    `--seeds` chooses the draws."""
    from smidgen.flows.build import cross_fitting

    ways, quick, draws = {"held-out rows": -1.0, "all rows, cross-fitted": 1e9}, cross_fitting.QUICK, 2 if context.quick else DRAWS
    first = DRAWS * context.seeds[0]
    section = results.Section(
        NAME,
        "Scores of builds from few rows",
        f"{draws} draws of rows at random from all rows of the data set, each built twice with the student `linear`: scores "
        "calibrated by the held-out rows, and by all rows, each answered by a model that learnt from the others. "
        f"Means over the draws, on {LATER:,} later rows, with the standard error of the "
        "paired difference. CLINC150 is with its out-of-scope texts, for which the build finds a threshold; lost: the share of in-scope "
        "texts that the model calls out of scope. Too sure: the mean score minus the share of right answers. Texts of labels that a draw "
        "lacks, or has one row of, count as wrong answers.",
        ("data", "rows", "calibrated by", "calibration error", "Brier score", "too sure", "lost", "accuracy"),
        facts={"load before": results.load_average(), "seeds": f"{first} to {first + draws - 1}"},
    )
    sets = {"BANKING77": data.banking77(context.data), "CLINC150": data.clinc150(context.data, True)}
    try:
        for size in (100,) if context.quick else SIZES:
            for name, (pool, test) in sets.items():
                found: dict[str, list[list[float]]] = {}
                for words, seconds in ways.items():
                    cross_fitting.QUICK = seconds
                    found[words] = [_scored(context, [*pool, *test], size, draw) for draw in range(first, first + draws)]
                base = found["held-out rows"]
                for words, values in found.items():
                    means = [sum(column) / draws for column in zip(*values, strict=True)]
                    apart = [[new - old for new, old in zip(one, other, strict=True)] for one, other in zip(values, base, strict=True)]
                    errors = [stdev(column) / draws**0.5 for column in zip(*apart, strict=True)]
                    shown = [
                        f"{mean:.1%}" + (f" ±{error:.1%}" if values is not base else "") for mean, error in zip(means, errors, strict=True)
                    ]
                    section.rows.append([name, f"{size:,}", words, *shown])
                results.publish(context, section)
    finally:
        cross_fitting.QUICK = quick


def _scored(context: Context, every: data.Rows, size: int, draw: int) -> list[float]:
    """Calibration error, Brier score, score above accuracy, lost and accuracy on later rows of one build."""
    from smidgen.stats.calibration import brier, expected_calibration_error

    rows, later = drawn_rows(every, size, draw)
    labels = {label for _, label in rows}
    with tempfile.TemporaryDirectory() as place:
        replies, _, _ = answered(context, Path(place), rows, later, draw, {"classify": {"unknown": OUTSIDE}} if OUTSIDE in labels else {})
    scores, right = [reply.score for reply in replies], [reply.output == label for reply, (_, label) in zip(replies, later, strict=True)]
    inside = [reply.output == OUTSIDE for reply, (_, label) in zip(replies, later, strict=True) if label != OUTSIDE]
    accuracy = sum(right) / len(right)
    error = expected_calibration_error(scores, right)
    return [error, brier(scores, right), sum(scores) / len(scores) - accuracy, sum(inside) / len(inside), accuracy]
