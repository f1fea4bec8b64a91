"""Data classes of a decoder's computation: layers, blocks of rows, a guide, activations for the backward pass, gradients."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor


@dataclass
class DecoderLayer:
    """The matrices of one layer, (outputs, inputs), and its other weights."""

    qkv: Tensor
    out: Tensor
    gate_up: Tensor
    down: Tensor
    beside: UntaughtParts


@dataclass(frozen=True)
class UntaughtParts:
    """The weights of a layer that are not trained: all but its matrices. None for those that it lacks.

    Attributes:
        bias: of queries, keys and values.
        head_norms: (heads and key heads, head) weights of the norm of each query's and key's head.
        after: (width,) weights of the norms of the attention's and the feed-forward's outputs, before they are added.
    """

    bias: Tensor | None = None
    head_norms: Tensor | None = None
    after: tuple[Tensor, Tensor] | None = None

    def to(self, dtype: torch.dtype) -> UntaughtParts:
        """A copy in another precision."""
        bias, head_norms = (None if one is None else one.to(dtype) for one in (self.bias, self.head_norms))
        return UntaughtParts(bias, head_norms, None if self.after is None else (self.after[0].to(dtype), self.after[1].to(dtype)))


@dataclass
class RowBlock:
    """Rows that are computed together.

    A row is an input and an answer; or an input and several answers to it, one after the other, which do not attend to one another, so that
    the input is computed once for all.

    Attributes:
        ids: (rows, length) token ids after the shared ones, padded on the right.
        answers: positions of the tokens that predict an answer's token, in the rows laid end to end.
        targets: the tokens after them.
        weights: the weight of each in the loss.
        parts: (rows, length) 0 for a token of the input, n for one of the n-th answer; None if every row has one answer.
        positions: (rows, length) of each token after the shared ones; every answer's begin after its input's. None if they are simply
            0, 1, 2, ...
        drawn: (answers,) True for a token that the student sampled itself; None if there is none.
    """

    ids: Tensor
    answers: Tensor
    targets: Tensor
    weights: Tensor
    parts: Tensor | None = None
    positions: Tensor | None = None
    drawn: Tensor | None = None


@dataclass
class BlockPositions:
    """The rotary angles and masks of a block's tokens, shared by all layers.

    Attributes:
        rows, length: the block's size.
        turns: cosines and sines of the rows' positions, (length, head / 2), or (rows, length, head / 2) if rows differ.
        mask: (rows or 1, length, keys) 0 if a token may attend to the key, else minus infinity.
        first_turns, first_mask: those of the tokens that all rows begin with.
    """

    rows: int
    length: int
    turns: tuple[Tensor, Tensor]
    mask: Tensor
    first_turns: tuple[Tensor, Tensor]
    first_mask: Tensor


@dataclass
class LayerActivations:
    """The activations of a layer that the backward pass needs. `raw`: queries and keys before their norm by head; `told`: outputs of
    attention and feed-forward before their norm; None without these norms."""

    x: Tensor
    x_scale: Tensor
    q: Tensor
    k: Tensor
    v: Tensor
    chances: Tensor
    own_chances: Tensor | None
    heads: Tensor
    mid: Tensor
    mid_scale: Tensor
    gate_up: Tensor
    act: Tensor
    raw: Tensor | None = None
    told: tuple[Tensor, Tensor] | None = None


class GuideModel(Protocol):
    """A model over the student's tokens."""

    output: Tensor

    def last(self, block: RowBlock) -> Tensor:
        """See `LlamaModel.last`."""
        ...


@dataclass(frozen=True)
class DecoderGuide:
    """Another decoder over the student's tokens, whose probabilities are learnt beside the answers.

    Attributes:
        model: the other decoder; it gets no gradients.
        share: the weight of its probabilities in the target of each answer token, 0..1; the rest is the answer's own token.
        temperature: both models' logits are divided by it before the comparison; see `model.divergence`.
        beta: 0 the forward divergence, 1 the reverse one, generalised Jensen-Shannon between; see `model.divergence`.
    """

    model: GuideModel
    share: float
    temperature: float = 1.0
    beta: float = 0.0

    def shares(self, block: RowBlock) -> Tensor:
        """(answers,) the guide's share at each token; 1 if the student sampled the answer itself."""
        found = torch.full((len(block.targets),), self.share)
        return found if block.drawn is None else torch.where(block.drawn, torch.ones(()), found)


@dataclass
class WorkerGradients:
    """One worker's sums of gradients, by place and layer, in the order of the parameters."""

    sums: dict[tuple[str, int], tuple[Tensor, ...]] = field(default_factory=dict)
