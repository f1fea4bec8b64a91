"""The section of a report about a teacher."""

from __future__ import annotations

from pydantic import Field

from smidgen.judge.sections import Measured, Part


class TeacherFacts(Part):
    """A larger model that taught: how it did on the user's own rows, what was asked of it, what it cost, what of its answers was kept.

    `source` is its URL or its bundle's name; `local`: nothing left this machine. Of what did, `redacted` texts had personal data taken out,
    as `redaction` says: by the `model` and the patterns, or by `patterns` alone. `quality` is on rows of the user's, in the metric `unit`;
    `needed` what it had to be able to reach, `because` why; `alone` what those rows teach without it, as a kernel head learns it.
    `expected_low` to `expected_high` is where the student was expected before it was trained. `questions` were sent, `stored` answered from
    earlier runs, `retried` sent again; `tokens_in`, `tokens_out` and `usd` are of all answers, stored ones with them. `pool` unlabelled
    inputs were given, `asked` of them put to the teacher, `kept` learnt from, `corrected` with another label than the teacher's;
    `dropped` counts the others by reason. `generated` rows were read from its answers, `generated_kept` learnt from.
    """

    source: str
    model: str = ""
    local: bool = False
    uses: tuple[str, ...] = ()
    votes: int = 1
    unit: str = "accuracy"
    quality: Measured | None = None
    unheard: int = 0
    needed: float | None = None
    because: str = ""
    alone: float | None = None
    expected_low: float | None = None
    expected_high: float | None = None
    questions: int = 0
    stored: int = 0
    retried: int = 0
    redacted: int = 0
    redaction: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    usd: float | None = None
    budget_usd: float | None = None
    budget_tokens: int | None = None
    pool: int = 0
    asked: int = 0
    kept: int = 0
    corrected: int = 0
    not_judged: str = ""
    dropped: dict[str, int] = Field(default_factory=dict)
    generated: int = 0
    generated_kept: int = 0
    generated_dropped: dict[str, int] = Field(default_factory=dict)
