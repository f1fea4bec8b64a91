"""Where the tokens of a block stand, and which of them see which: the angles that queries and keys are turned by, and the masks."""

from __future__ import annotations

import torch
from torch import Tensor

from smidgen.students.blocks import Block, Ground
from smidgen.students.decoder_shape import Shape

_MOST_MASKS = 64


class Positions:
    """Angles and masks of a decoder, made when they are first asked for.

    Attributes:
        shape: the decoder's sizes.
        first: how many tokens all rows begin with.
        dtype: what cosines, sines and masks are computed with.
    """

    def __init__(self, shape: Shape, first: int, dtype: torch.dtype) -> None:
        self.shape, self.first, self.dtype = shape, first, dtype
        self._turns: dict[bool, tuple[Tensor, Tensor]] = {}
        self._masks: dict[tuple[int, int, bool], Tensor] = {}

    def turns(self, size: int, near: bool = False) -> tuple[Tensor, Tensor]:
        """(at least `size`, head / 2) cosines and sines of the positions' angles; those of the layers that see the nearest alone, with
        `near`."""
        known = self._turns.get(near)
        if known is None or len(known[0]) < max(1, size):
            size = max(256, 1 << max(0, size - 1).bit_length())
            angles = torch.arange(size, dtype=torch.float64)[:, None] / periods(self.shape, near)
            known = self._turns[near] = angles.cos().to(self.dtype), angles.sin().to(self.dtype)
        return known

    def ground(self, block: Block, near: bool = False) -> Ground:
        """What the tokens of a block stand on, in layers that see all before them, or (`near`) the nearest."""
        first, (rows, length) = self.first, block.ids.shape
        before = self._part(self.turns(first, near), slice(0, first)), self._mask(first, 0, near)[None]
        if block.parts is None or block.positions is None:
            turns = self._part(self.turns(first + length, near), slice(first, first + length))
            return Ground(rows, length, turns, self._mask(length, first, near)[None], *before)
        cos, sin = self.turns(first + int(block.positions.max()) + 1, near)
        own, seen = block.parts[:, :, None], block.parts[:, None, :]
        hidden = (seen != 0) & (seen != own)
        mask = torch.zeros(rows, length, first + length, dtype=self.dtype)
        mask[:, :, first:].masked_fill_(hidden, float("-inf"))
        mask += self._mask(length, first)
        if near:
            place = first + block.positions
            keys = torch.cat([torch.arange(first).expand(rows, -1), place], dim=1)
            mask.masked_fill_(place[:, :, None] - keys[:, None, :] >= self.shape.window, float("-inf"))
        return Ground(rows, length, (cos[first + block.positions], sin[first + block.positions]), mask, *before)

    def _part(self, turns: tuple[Tensor, Tensor], part: slice) -> tuple[Tensor, Tensor]:
        return turns[0][part], turns[1][part]

    def _mask(self, length: int, first: int, near: bool = False) -> Tensor:
        """(length, first + length) 0 where a token may look and minus infinity where it may not: behind itself, or too far before. The
        padding lies behind every token that counts."""
        near = near and first + length > self.shape.window
        if (length, first, near) not in self._masks:
            if len(self._masks) > _MOST_MASKS:
                self._masks.clear()
            own = torch.full((length, length), float("-inf")).triu(1)
            mask = torch.cat([torch.zeros(length, first), own], dim=1)
            if near:
                mask += torch.full(mask.shape, float("-inf")).tril(first - self.shape.window)
            self._masks[(length, first, near)] = mask.to(self.dtype)
        return self._masks[(length, first, near)]


def periods(shape: Shape, near: bool = False) -> Tensor:
    """(head / 2,) what each rotary pair's angle is divided by: powers of theta (Su et al. 2021), stretched where the model's are."""
    theta = shape.near_theta if near else shape.theta
    found = theta ** (torch.arange(0, shape.head, 2, dtype=torch.float64) / shape.head)
    return found if near or not shape.stretch else found * torch.tensor(shape.stretch, dtype=torch.float64)
