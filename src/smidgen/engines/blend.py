"""Run several models of one folder and blend their outputs.

An encoder with a static student costs hardly more than the encoder alone, and the two err on different texts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from smidgen.core.errors import EngineError
from smidgen.core.parts import Engine, Raw, Runner
from smidgen.core.rows import Text
from smidgen.parts import registry
from smidgen.stats.calibration import blend_probabilities

_MOST_MEMBERS = 8


class BlendEngine(Engine):
    """The blend engine. Options:

    members: a list of `{"engine", "options", "weight", "temperature"}`; all read their files from one folder, and have equal outputs.
    """

    name = "blend"

    def open(self, folder: Path, options: Mapping[str, Any], threads: int) -> BlendRunner:
        """Load every member. Raises EngineError if one cannot be loaded, or the options name none."""
        members = options.get("members", ())
        if not members or not isinstance(members, list | tuple) or len(members) > _MOST_MEMBERS:
            raise EngineError("engines.blend_names_no_members_or_too_many", value=dict(options))
        for member in members:
            if not isinstance(member, Mapping) or not isinstance(member.get("options"), Mapping) or not _weighs(member):
                raise EngineError("engines.member_of_blend_is_invalid", value=member)
        if any(member["engine"] == self.name for member in members):
            raise EngineError("engines.blend_cannot_contain_blend", value=self.name)
        runners = [registry.find("engines", member["engine"]).open(folder, member["options"], threads) for member in members]
        return BlendRunner(runners, [float(m["weight"]) for m in members], [float(m["temperature"]) for m in members])


def _weighs(member: Mapping[str, Any]) -> bool:
    """Whether a member names an engine, has a finite weight that is not negative and a finite temperature over 0."""
    weight, temperature = member.get("weight"), member.get("temperature")
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) and math.isfinite(one) for one in (weight, temperature))
    return isinstance(member.get("engine"), str) and numbers and float(weight or 0) >= 0 and float(temperature or 0) > 0


class BlendRunner:
    """Loaded models that answer together."""

    def __init__(self, runners: Sequence[Runner], weights: Sequence[float], temperatures: Sequence[float]) -> None:
        self._runners, self._weights, self._temperatures = runners, weights, temperatures

    def run(self, texts: Sequence[Text]) -> Raw:
        """`logits` (n, outputs) of all members together, and the other outputs of the first, float32."""
        raws = [runner.run(texts) for runner in self._runners]
        shapes = {raw["logits"].shape for raw in raws}
        if len(shapes) > 1:
            raise EngineError("engines.members_of_blend_have_different_outputs", value=sorted(shapes))
        if not texts:
            return raws[0]
        logits = blend_probabilities([raw["logits"] for raw in raws], self._weights, self._temperatures)
        return {**raws[0], "logits": logits.astype(np.float32)}


part = BlendEngine()
