"""A BERT that is told how each word is written.

Small encoders mostly read without case, and a name is told from a word by its capitals. The table of token types, of which one text uses
a single row, holds a row a shape here, and they learn: what serves a BERT serves this one unchanged, with shapes in place of types.
"""

from __future__ import annotations

import torch
from torch import Tensor

from smidgen.students.bert import FastBert, Slice
from smidgen.students.packing import PackedBatch


class ShapedBert(FastBert):
    """`FastBert` with a row of types a shape, which learns. `learn` comes before training, and before the first replica."""

    def learn(self, shapes: int) -> None:
        """Learn a row for each shape, starting from the first type's. The rows are the end of `master`."""
        size = len(self.master)
        self.master = torch.cat([self.master, self.types[:1].repeat(shapes, 1).reshape(-1)])
        self.grads = torch.zeros(len(self.master), dtype=self.dtype)
        self.weights = self.master if self.dtype == torch.float32 else self.master.to(self.dtype)
        self._w, self._g, self._m = ([self._views(flat, s) for s in self._shapes] for flat in (self.weights, self.grads, self.master))
        self.slices = [*self.slices, Slice(size, len(self.master), 0, False)]
        self.types = self.master[size:].view(shapes, self.hidden)
        self.learns_embeddings = True

    def _embed_backward(self, dx: Tensor, batch: PackedBatch) -> None:
        size = len(self.word)
        tokens, shapes = batch.token_ids % size, batch.token_ids // size
        total = self.word[tokens] + self.position[batch.positions] + self.types[shapes]
        weight, bias = self.emb_ln
        _, mean, rstd = torch.native_layer_norm(total, (self.hidden,), weight, bias, self.eps)
        dtotal, _, _ = torch.ops.aten.native_layer_norm_backward(
            dx.float(), total, [self.hidden], mean, rstd, weight, bias, [True, False, False]
        )
        gradient = torch.zeros_like(self.types).index_add_(0, shapes, dtotal)
        self.grads[-gradient.numel() :].copy_(gradient.reshape(-1))
