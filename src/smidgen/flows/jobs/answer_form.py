"""What the answers of a job look like: labels that come again, objects with fields, spans, or free text; and so which task it may be.

An answer of nothing but stand-ins was a name, a place or a number before it was stored. It may have been a label: nobody knows which.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from smidgen.core.parts import Task
from smidgen.core.placeholders import is_masked
from smidgen.flows.certify.losses import unwrap_field
from smidgen.flows.learn.traffic_rows import label_of
from smidgen.parts import registry

Kind = Literal["labels", "fields", "spans", "text", "masked", "mixed", "none"]
_NEARLY_ALL = 0.8
_MOST_SHOWN = 200
_FEW_PER_LABEL = 2


@dataclass(frozen=True)
class AnswerForm:
    """Of `n` answers to different texts: what most of them are.

    Attributes:
        kind: what four of five are; `mixed` where they are of several kinds, `none` where there are no answers, `masked` where they are
            nothing but stand-ins.
        shares: of each kind, 0..1.
        labels: how often each comes, as it is spelt most often, the most frequent first; where they are labels.
        fields: how many objects have each; where they are objects.
    """

    kind: Kind
    n: int
    shares: Mapping[str, float]
    labels: Mapping[str, int]
    fields: Mapping[str, int]

    def json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"kind": self.kind, "n": self.n, "shares": dict(self.shares), "labels": dict(self.labels), "fields": dict(self.fields)}


def form_of_answers(answers: Sequence[str]) -> AnswerForm:
    """What these answers are, one for each text that differs. A short text is a label where it is the answer to another text, too."""
    named = [label_of(unwrap_field(answer)) for answer in answers]
    often = Counter(name.casefold() for name in named if name is not None)
    kinds: list[str] = []
    spelt: Counter[str] = Counter()
    fields: Counter[str] = Counter()
    for answer, name in zip(answers, named, strict=True):
        value = _parsed(answer)
        if name is not None and often[name.casefold()] >= _FEW_PER_LABEL:
            kinds.append("labels")
            spelt[name] += 1
        elif is_masked(answer, answer):
            kinds.append("masked")
        elif isinstance(value, Mapping):
            kinds.append("fields")
            fields.update(str(key) for key in value)
        elif isinstance(value, list) and all(isinstance(one, Mapping) and "label" in one for one in value):
            kinds.append("spans")
        else:
            kinds.append("text")
    counts = Counter(kinds)
    shares = {kind: round(count / len(kinds), 4) for kind, count in counts.most_common()}
    kind: Any = "none" if not kinds else next((name for name, share in shares.items() if share >= _NEARLY_ALL), "mixed")
    labels = _merge_spellings(spelt) if kind == "labels" else {}
    return AnswerForm(kind, len(answers), shares, labels, dict(fields.most_common(_MOST_SHOWN)) if kind == "fields" else {})


def task_of(kind: Kind) -> Task:
    """The task that answers so."""
    tasks: list[Task] = [registry.find("tasks", name) for name in registry.names("tasks")]
    return next(task for task in tasks if kind in task.answer_kinds)


def _merge_spellings(spelt: Counter[str]) -> dict[str, int]:
    """Labels that differ in capitals alone as one, as it is spelt most often."""
    names: dict[str, str] = {}
    totals: Counter[str] = Counter()
    for label, count in spelt.most_common():
        totals[names.setdefault(label.casefold(), label)] += count
    return dict(totals.most_common(_MOST_SHOWN))


def _parsed(answer: str) -> Any:
    if answer.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(answer)
    except (ValueError, RecursionError):
        return None
