"""What stands on a trained encoder, as its folder says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from smidgen.core.errors import TrainError

ACTIVATIONS = ("gelu", "tanh", "relu")
"""What a hidden layer between pooled features and head may be."""


@dataclass(frozen=True, slots=True)
class Head:
    """What stands on the encoder; the content of `smidgen_student.json`.

    Attributes:
        pooling: `mean` over the tokens that are not padding; `cls`, the first token; or `tokens`: none, the head stands on every token.
        normalize: whether pooled features are brought to length 1.
        scale: None for a linear head; else a cosine head: logits = scale * cos(pooled, row) (+ bias).
        max_length: tokens that the encoder reads, special tokens counted.
        hidden: activation of a hidden layer (`hidden.weight`, `hidden.bias`) between pooled features and head, or None.
        kernel: γ of a kernel head: the head sees exp(γ (⟨pooled, landmark⟩ - 1)) for each of `head.landmarks` (m, width), of length 1 as
            pooled features are then; None for the features themselves.
        arsinh: logits are so many times the arsinh of what the head gives; None for what it gives.
    """

    pooling: str = "mean"
    normalize: bool = False
    scale: float | None = None
    max_length: int = 128
    hidden: str | None = None
    kernel: float | None = None
    arsinh: float | None = None

    @property
    def unit(self) -> bool:
        """Whether pooled features are brought to length 1."""
        return self.normalize or self.scale is not None or self.kernel is not None

    @staticmethod
    def read(folder: Path) -> Head:
        """The head of the student in `folder`. Raises TrainError where a value is unknown."""
        facts = json.loads((folder / "smidgen_student.json").read_text(encoding="utf-8"))
        head = Head(**{name: facts[name] for name in Head.__dataclass_fields__ if name in facts})
        for name, value, known in (("pooling", head.pooling, ("mean", "cls", "tokens")), ("hidden", head.hidden, (None, *ACTIVATIONS))):
            if value not in known:
                raise TrainError(f"smidgen_student.json: unknown {name}", value=value, todo=f"Known: {', '.join(map(str, known))}.")
        return head
