"""Opens a guide: a larger decoder that a student is taught by, in as little memory as it takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from smidgen.core.errors import TrainError
from smidgen.students.adapters import ends, fused
from smidgen.students.blocks import Layer
from smidgen.students.decoder_shape import shape_of
from smidgen.students.decoder_weights import opened_weights
from smidgen.students.llama import Llama
from smidgen.students.tokens import identity


def guide_model(guide: Path, base: Path, student: Path, kept: Sequence[int] | None, before: list[int], dtype: torch.dtype) -> Llama:
    """The guide's weights as a model of the student's tokens: where those are some of the base's, it gives no other a chance, and what it
    gives them adds up to 1.

    It is read layer by layer, so that no more of it is held at once than its weights in `dtype` and, in 32 bits, one layer or three
    times the table of tokens.

    Args:
        guide, base: folders of decoders; `student` is where the student's own tokenizer lies.
        kept: the base's ids of the student's tokens, in their order; None: all of them.
        before: ids of the tokens that all rows begin with.

    Raises:
        TrainError: the guide has other tokens.
        BaseError: it is of an architecture that cannot be computed here.
    """
    own, rows = identity(guide), None
    if own == identity(base):
        rows = kept
    elif own != identity(student):
        raise TrainError("the guide's tokens are not the student's", value=str(guide), todo=OTHER_TOKENS)
    shape, weights = shape_of(guide), opened_weights(guide)
    count = len(rows) if rows is not None else shape_of(student).vocabulary
    places = torch.arange(count) if rows is None else torch.tensor(list(rows))
    if int(places.max()) >= shape.vocabulary:
        raise TrainError("the guide's table of tokens is smaller than the student's", value=f"{shape.vocabulary} rows", todo=OTHER_TOKENS)
    layers = []
    for number in range(shape.layers):
        matrices, _, beside = fused(weights, shape, number)
        layers.append(Layer(**{place: matrix.to(dtype) for place, matrix in matrices.items()}, beside=beside.to(dtype)))
    table, output = ends(weights, shape, places)
    return Llama(replace(shape, vocabulary=count), table.to(dtype), output.to(dtype), layers, torch.tensor(before, dtype=torch.long))


OTHER_TOKENS = (
    "Chances can be learnt only of the same tokens: take a larger model of the base's own family, or a bundle that was taught on one, or "
    "let this one write examples (data.teacher)."
)
