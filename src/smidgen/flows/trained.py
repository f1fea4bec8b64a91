"""What training leaves behind, as the rest of a build uses it."""

from __future__ import annotations

from dataclasses import dataclass

from smidgen.core.metrics import Metric
from smidgen.core.parts import Form, Raw
from smidgen.core.replies import Reply
from smidgen.core.settings import Settings
from smidgen.flows.baseline import Sample
from smidgen.flows.choosing import Candidate
from smidgen.flows.training import Fitted, Variant
from smidgen.machine.energy import Energy


@dataclass(frozen=True)
class Learnt:
    """A student as it came out of training.

    Attributes:
        final: trained on all the rows it may have.
        form: with its decision fitted on the held-out rows, by a model that never saw them.
        held: its replies on the held-out rows, by that same model.
        metric: its headline metric there.
        settings: what it was taught by; None for students that answer together.
        why: a clause, where the build chose to leave something of it out.
    """

    final: Fitted
    form: Form
    raw: Raw
    held: list[Reply]
    metric: Metric
    settings: Settings | None = None
    why: str = ""


@dataclass(frozen=True)
class Trained:
    """Everything that was trained, and what it took. `beside` is on how many texts a baseline that writes is measured."""

    learnt: dict[str, Learnt]
    variants: dict[str, Variant]
    candidates: list[Candidate]
    seconds: float
    energy: Energy
    beside: Sample | None = None
