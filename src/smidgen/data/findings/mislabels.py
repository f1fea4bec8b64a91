"""Rows whose label is likely wrong, with the label that fits better."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from smidgen.data import label_errors
from smidgen.data.findings.duplicates import exact
from smidgen.data.inspection import EXAMPLES, MODEL_ROWS, DataFinding, Survey, counted

LEAST_ROWS = 20
LEAST_AGREEMENT = 0.5
"""Judges that would give fewer of the labels than this are not believed about the others."""
CLEAR = 0.8
"""The chance from which a proposed label is taken by `--relabel`."""
_CELLS = 50_000_000
"""Rows times labels that are held at once, as 4-byte numbers."""


@dataclass(frozen=True, slots=True)
class LabelProposal:
    """A label that fits a row better than its own. `place` is the row's; chances are out-of-sample probabilities, 0..1."""

    place: int
    given: str
    proposed: str
    given_chance: float
    proposed_chance: float

    @property
    def clear(self) -> bool:
        """Whether it may be taken without a person reading the row: the judges are sure of the one label and rule out the other."""
        return self.proposed_chance >= CLEAR and self.given_chance <= 1 - CLEAR


def look(survey: Survey) -> list[DataFinding]:
    """Confident learning over out-of-sample probabilities; see `confident`."""
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
    if survey.agreement is not None and survey.agreement < LEAST_AGREEMENT:
        return [
            DataFinding(
                "mislabels",
                "note",
                0,
                f"wrong labels cannot be told apart here: judged by {by}, only {survey.agreement:.0%} of the labels would be given again",
                "Add examples, or make the labels more distinct.",
                details={"agreement": round(survey.agreement, 4)},
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
            f"{counted(len(found), 'row')} of {judged:,} {'is' if len(found) == 1 else 'are'} likely mislabelled ({share:.1%}), "
            f"judged by {by}",
            f"Read them from the top; --fix OUT --relabel takes the proposals that are clear (a chance of {CLEAR:.0%} or more).",
            tuple(survey.rows[proposal.place].number for proposal in found[:EXAMPLES]),
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
                "agreement": round(survey.agreement or 0.0, 4),
                "mixed": dict(mixed.most_common(EXAMPLES)),
            },
        )
    ]


def propose_labels(survey: Survey) -> list[LabelProposal]:
    """Every row that is likely mislabelled, the surest first. Worked out once for a survey."""
    if not survey.single or len(survey.counts) < 2 or len(survey.rows) < LEAST_ROWS:
        return []
    if survey.proposals is None:
        survey.proposals = _proposals(survey)
    return survey.proposals


def _most(survey: Survey) -> int:
    return max(LEAST_ROWS, min(MODEL_ROWS, _CELLS // len(survey.counts)))


def _proposals(survey: Survey) -> list[LabelProposal]:
    assert survey.labels is not None
    repeats = exact(survey)
    places = [place for place in survey.sample(_most(survey)) if place not in repeats]
    names = sorted({survey.labels[place][0] for place in places})
    if len(names) < 2 or len(places) < LEAST_ROWS:
        return []
    index = {name: number for number, name in enumerate(names)}
    given = np.array([index[survey.labels[place][0]] for place in places], dtype=np.int64)
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
    judgement = label_errors.judge_labels(texts, given, len(names), vectors)
    survey.agreement = judgement.agreement(given)
    doubts = judgement.doubts(given) if survey.agreement >= LEAST_AGREEMENT else []
    doubts = [doubt for doubt in doubts if names[int(given[doubt.place])] not in survey.unknown]
    survey.progress.finish(counted(len(doubts), "row"))
    return [
        LabelProposal(places[doubt.place], names[int(given[doubt.place])], names[doubt.proposed], doubt.given_chance, doubt.proposed_chance)
        for doubt in doubts
    ]


part = look
