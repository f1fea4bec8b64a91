"""The values that a decoder computes on: layers, blocks of rows, a guide beside, what the backward pass keeps, gradients."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor


@dataclass
class DecoderLayer:
    """The matrices of one layer, (outputs, inputs), and what stands beside them."""

    qkv: Tensor
    out: Tensor
    gate_up: Tensor
    down: Tensor
    beside: UntaughtParts


@dataclass(frozen=True)
class UntaughtParts:
    """What a layer has besides its matrices, which is not taught; None for what it has not.

    Attributes:
        bias: of queries, keys and values.
        head_norms: (heads and key heads, head) weights of the norm of each query's and key's head.
        after: (width,) weights of the norms of what attention gives, and of what feed-forward gives, before they are added.
    """

    bias: Tensor | None = None
    head_norms: Tensor | None = None
    after: tuple[Tensor, Tensor] | None = None

    def to(self, dtype: torch.dtype) -> UntaughtParts:
        """The same in another precision."""
        bias, head_norms = (None if one is None else one.to(dtype) for one in (self.bias, self.head_norms))
        return UntaughtParts(bias, head_norms, None if self.after is None else (self.after[0].to(dtype), self.after[1].to(dtype)))


@dataclass
class RowBlock:
    """Rows that are computed together.

    A row is an input and an answer; or an input and several answers to it, one behind the other, none of which sees another: the input is
    then read once for all of them.

    Attributes:
        ids: (rows, length) token ids after the shared ones, padded on the right.
        answers: places of the tokens that predict an answer's token, in the rows laid end to end.
        targets: the tokens that stand after them.
        weights: what each of these counts in the loss.
        parts: (rows, length) 0 for a token of the input, n for one of the n-th answer; None where every row has one answer.
        positions: (rows, length) of each token after the shared ones, which every answer goes on counting from its input; None where
            tokens are counted as they stand.
        drawn: (answers,) True for a token that the student wrote itself, which nobody wants of it; None where there is none.
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
    """What the tokens of a block stand on: the same for every layer.

    Attributes:
        rows, length: the block's size.
        turns: cosines and sines of the rows' positions, (length, head / 2), or (rows, length, head / 2) where rows differ.
        mask: (rows or 1, length, keys) 0 where a token may look and minus infinity where it may not.
        first_turns, first_mask: the same of the tokens that all rows begin with.
    """

    rows: int
    length: int
    turns: tuple[Tensor, Tensor]
    mask: Tensor
    first_turns: tuple[Tensor, Tensor]
    first_mask: Tensor


@dataclass
class LayerActivations:
    """What the backward pass needs of a layer. `raw`: queries and keys before they are normed by head; `told`: what attention and
    feed-forward give before it is normed; None where it is not."""

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
    """A model that gives chances to the same tokens."""

    output: Tensor

    def last(self, block: RowBlock) -> Tensor:
        """See `llama.Llama.last`."""
        ...


@dataclass(frozen=True)
class DecoderGuide:
    """Another decoder of the same tokens, whose chances are to be learnt beside the answers.

    Attributes:
        model: the other decoder; it has no gradients.
        share: of what is wanted of each token of an answer, 0..1, that comes from it; the rest is the answer's own token.
        temperature: both models' logits are divided by it before they are compared; see `model.divergence`.
        beta: 0 the forward divergence, 1 the reverse one, generalised Jensen-Shannon between; see `model.divergence`.
    """

    model: GuideModel
    share: float
    temperature: float = 1.0
    beta: float = 0.0

    def shares(self, block: RowBlock) -> Tensor:
        """(answers,) the share of each token: what a student wrote itself is no answer, and there the guide is all."""
        found = torch.full((len(block.targets),), self.share)
        return found if block.drawn is None else torch.where(block.drawn, torch.ones(()), found)


@dataclass
class WorkerGradients:
    """Where one worker sums the gradients of what is taught: by place and layer, in the order of its tensors."""

    sums: dict[tuple[str, int], tuple[Tensor, ...]] = field(default_factory=dict)
