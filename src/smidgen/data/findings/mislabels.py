"""Findings about likely wrong labels, with the label that fits better."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from smidgen.data.findings.repeats import exact
from smidgen.data.inspection import MODEL_ROWS, DataFinding, Survey, counted
from smidgen.data.label_errors import CLEAR, LEAST_AGREEMENT, LEAST_ROWS, MOST_CELLS, SuspectLabel, judge_labels

MEASURED = "Of 100 rows named so, 87 were wrong in a test with 3 wrong labels planted among 100; in cleaner data fewer are."
"""See the planted label errors in bench/RESULTS.md."""


def look(survey: Survey) -> list[DataFinding]:
    """The proposals of `label_errors`, or the reason why there are none."""
    if survey.labels is None or len(survey.counts) < 2 or len(survey.rows) < LEAST_ROWS:
        return []
    if not survey.single:
        return [DataFinding("mislabels", "note", 0, "wrong labels were not looked for: rows have several labels each")]
    found = propose_labels(survey)
    judged = min(len(survey.rows), _most(survey))
    by = (
        "a base's vectors and the words"
        if survey.embed
        else "the words alone (with the base at hand more would be found: smidgen pull minilm)"
    )
    agreement = None if survey.judgement is None else survey.judgement.agreement
    if agreement is not None and agreement < LEAST_AGREEMENT:
        return [
            DataFinding(
                "mislabels",
                "note",
                0,
                f"wrong labels cannot be told apart here: judged by {by}, only {agreement:.0%} of the labels would be given again",
                "Add examples, or make the labels more distinct.",
                details={"agreement": round(agreement, 4)},
            )
        ]
    if not found:
        return [DataFinding("mislabels", "note", 0, f"no likely wrong label among {counted(judged, 'row')}, judged by {by}")]
    share = len(found) / judged
    mixed = Counter(f"{proposal.given} → {proposal.proposed}" for proposal in found)
    return [
        DataFinding(
            "mislabels",
            "warning" if share > 0.005 else "note",
            len(found),
            f"{counted(len(found), 'row')} of {judged:,} may have a wrong label ({share:.1%}), judged by {by}",
            f"Look at these one by one. {MEASURED} --fix OUT --relabel takes the clear proposals (a chance of {CLEAR:.0%} or more).",
            tuple(survey.rows[proposal.place].number for proposal in found[: survey.examples]),
            {
                "proposals": [
                    {
                        "row": survey.rows[one.place].number,
                        "text": survey.texts[one.place][:300],
                        "label": one.given,
                        "proposed": one.proposed,
                        "label_chance": round(one.given_chance, 4),
                        "proposed_chance": round(one.proposed_chance, 4),
                    }
                    for one in found
                ],
                "agreement": round(agreement or 0.0, 4),
                "mixed": dict(mixed.most_common(survey.examples)),
            },
        )
    ]


def propose_labels(survey: Survey) -> list[SuspectLabel]:
    """Every row that is likely mislabelled, the surest first. Computed once for a survey."""
    if not survey.single or len(survey.counts) < 2 or len(survey.rows) < LEAST_ROWS:
        return []
    if survey.proposals is None:
        survey.proposals = _proposals(survey)
    return survey.proposals


def _most(survey: Survey) -> int:
    return max(LEAST_ROWS, min(MODEL_ROWS, MOST_CELLS // len(survey.counts)))


def _proposals(survey: Survey) -> list[SuspectLabel]:
    assert survey.labels is not None
    repeats = exact(survey)
    places = [place for place in survey.sample(_most(survey)) if place not in repeats]
    labels = [survey.labels[place][0] for place in places]
    if len(set(labels)) < 2 or len(places) < LEAST_ROWS:
        return []
    texts = [survey.texts[place] for place in places]
    vectors = None
    if survey.embed is not None:
        survey.progress.start("reading the texts", len(texts))
        batches = []
        for start in range(0, len(texts), 256):
            batches.append(survey.embed(texts[start : start + 256]))
            survey.progress.advance(len(batches[-1]))
        vectors = np.concatenate(batches)
        survey.progress.finish()
    survey.progress.start("looking for wrong labels")
    judgement = judge_labels(texts, labels, vectors)
    survey.judgement = judgement
    doubts = [replace(doubt, place=places[doubt.place]) for doubt in judgement.sure_doubts() if doubt.given not in survey.unknown]
    survey.progress.finish(counted(len(doubts), "row"))
    return doubts


part = look
