"""How much is believed of each training row, and the loss that it makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from smidgen.core.rows import Row


@dataclass(frozen=True)
class Belief:
    """How much is believed of n rows.

    Attributes:
        weights: (n,) f32, how much each counts.
        shares: (n, classes) f32, the labels that are believed in, adding up to 1; zeros in a row of which the target alone is believed in.
            None where that is so of all.
        temperature: at which the shares and the model's probabilities are compared.
    """

    weights: Tensor
    shares: Tensor | None = None
    temperature: float = 2.0

    @classmethod
    def of(cls, rows: Sequence[Row], names: Sequence[str], temperature: float) -> Belief | None:
        """What the rows say of themselves, for outputs in the order of `names`; None where every row is believed wholly."""
        if all(row.weight == 1 and not row.shares for row in rows):
            return None
        index = {name: number for number, name in enumerate(names)}
        shares = torch.zeros(len(rows), len(names)) if any(row.shares for row in rows) else None
        if shares is not None:
            for number, row in enumerate(rows):
                for label, share in row.shares:
                    if label in index:
                        shares[number, index[label]] = share
            shares /= shares.sum(1, keepdim=True).clamp(min=1e-9)
        return cls(torch.tensor([row.weight for row in rows], dtype=torch.float32), shares, temperature)

    def loss(self, logits: Tensor, targets: Tensor, rows: Tensor, label_smoothing: float, class_weights: Tensor | None) -> Tensor:
        """The mean loss of the given rows by how much they count: cross entropy; where belief is shared, the divergence (KL) of the model's
        probabilities from the shares, both softened by the temperature, times its square (Hinton, Vinyals and Dean 2015)."""
        loss = F.cross_entropy(logits, targets, reduction="none", label_smoothing=label_smoothing)
        if self.shares is not None:
            shares = self.shares[rows]
            softened = shares ** (1 / self.temperature)
            softened = softened / softened.sum(1, keepdim=True).clamp(min=1e-9)
            apart = F.kl_div(F.log_softmax(logits / self.temperature, 1), softened, reduction="none").sum(1) * self.temperature**2
            loss = torch.where(shares.sum(1) > 0, apart, loss)
        weights = self.weights[rows]
        if class_weights is not None:
            weights = weights * class_weights[targets]
        return (loss * weights).sum() / weights.sum().clamp(min=1e-9)
