"""Matrices rounded as ggml's Q4_0 stores them: blocks of 32 numbers of a row, 16 levels and a 16-bit scale each.

Teaching that ends with rounded matrices (quantisation-aware training with a straight-through estimator, Bengio et al. 2013, Jacob et al.
2018) finds weights that are good where they will be stored, and packing them loses next to nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 32
_LOW, _HIGH = -8, 7


def rounded(matrix: Tensor) -> Tensor:
    """The matrix (rows, columns) in 32 bits, each number the nearest of its block's 16: the block's extreme falls on -8, as ggml has it.
    A matrix whose columns are not whole blocks stays as it is, for it is stored in 16 bits."""
    if matrix.shape[-1] % BLOCK:
        return matrix
    blocks = matrix.reshape(-1, BLOCK)
    low, high = blocks.amin(1, keepdim=True), blocks.amax(1, keepdim=True)
    scale = (torch.where(-low > high, low, high) / _LOW).to(torch.float16).float()
    inverse = torch.where(scale == 0, scale, 1 / scale)
    levels = (blocks * inverse).round_().clamp_(_LOW, _HIGH)
    return levels.mul_(scale).reshape(matrix.shape)
