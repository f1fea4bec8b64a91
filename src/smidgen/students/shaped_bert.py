"""A BERT that is told how each word is written, and that learns the vectors of the pieces it trains on.

Small encoders mostly read without case, and a name is told from a word by its capitals. The table of token types, of which one text uses
a single row, holds a row a shape here: what serves a BERT serves this one unchanged, with shapes in place of types. Vectors of pieces that
the training rows do not have stay as they are.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from smidgen.students.bert import FastBert, Slice
from smidgen.students.packing import PackedBatch


class ShapedBert(FastBert):
    """`FastBert` with a row of types a shape, and embeddings that learn.

    `learn` has to be called before training; the weights that learn are then at the end of `master`, the shapes first.
    """

    def learn(self, shapes: int, seen: Tensor) -> None:
        """Learn a row for each shape, starting from the first type's, and the vectors of the token numbers `seen` (int64, distinct)."""
        self.seen = seen
        rows = torch.cat([self.types[:1].repeat(shapes, 1), self.word[seen]])
        size = len(self.master)
        self.master = torch.cat([self.master, rows.reshape(-1)])
        self.grads = torch.zeros(len(self.master), dtype=self.dtype)
        self.weights = self.master if self.dtype == torch.float32 else self.master.to(self.dtype)
        self._w, self._g, self._m = ([self._views(flat, s) for s in self._shapes] for flat in (self.weights, self.grads, self.master))
        self.slices.append(Slice(size, len(self.master), 0, False))
        self._extra = size
        # Where each token's vector stands among those that learn; one past the last for those that do not.
        self.places = torch.full((len(self.word),), len(seen))
        self.places[seen] = torch.arange(len(seen))
        self.learns_embeddings = True
        self.sync()

    def _tail(self, flat: Tensor) -> Tensor:
        return flat[self._extra :].view(-1, self.hidden)

    def sync(self) -> None:
        """Round the updated weights into those that the products read, and put the learnt vectors in their places."""
        super().sync()
        self.place()

    def place(self) -> None:
        """Put the learnt vectors in their places."""
        if self.learns_embeddings:
            learnt = self._tail(self.master)
            shapes = len(learnt) - len(self.seen)
            self.types = learnt[:shapes]
            self.word[self.seen] = learnt[shapes:]

    def _embed_backward(self, dx: Tensor, batch: PackedBatch) -> None:
        size = len(self.word)
        tokens, shapes = batch.token_ids % size, batch.token_ids // size
        total = self.word[tokens] + self.position[batch.positions] + self.types[shapes]
        weight, bias = self.emb_ln
        _, mean, rstd = torch.native_layer_norm(total, (self.hidden,), weight, bias, self.eps)
        dtotal, _, _ = torch.ops.aten.native_layer_norm_backward(
            dx.float(), total, [self.hidden], mean, rstd, weight, bias, [True, False, False]
        )
        kinds = len(self.types)
        gradient = torch.zeros(kinds + len(self.seen) + 1, self.hidden)
        gradient.index_add_(0, shapes, dtotal)
        gradient.index_add_(0, kinds + self.places[tokens], dtotal)
        self._tail(self.grads).copy_(gradient[:-1])

    def replica(self) -> ShapedBert:
        """The same weights (shared) with gradients and activations of its own."""
        twin: Any = super().replica()
        return twin  # type: ignore[no-any-return]
