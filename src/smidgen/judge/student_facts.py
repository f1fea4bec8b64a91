"""The section of a report about the model itself."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from smidgen.judge.sections import Part


class StudentFacts(Part):
    """The model itself. `method` is how it was compressed; `chosen_because` is a sentence; `guide` is the larger decoder whose chances it
    learnt."""

    kind: str
    base: str | None = None
    base_licence: str | None = None
    base_sha256: str | None = None
    base_source: str | None = None
    guide: str | None = None
    guide_licence: str | None = None
    guide_sha256: str | None = None
    method: str = "fp32"
    engine: str | None = None
    parameters: int | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    chosen_because: str = ""
