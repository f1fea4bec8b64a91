"""Any BERT-like encoder that transformers knows, behind the interface of `FastBert`: slower, but it can train all of them.

The model's parameters are views into one flat f32 buffer, so the trainer's optimiser, averaging and checkpoints work unchanged. Gradients
come from autograd; the products run in bf16 by autocast if the processor has it. It uses torch's own threads: the trainer runs it with a
single worker.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from smidgen.core.errors import BaseError

if TYPE_CHECKING:
    from smidgen.students.encoder_training.batches import DropoutBank, PackedBatch


class TransformersEncoder:
    """An encoder of `transformers.AutoModel`, its token embeddings frozen.

    Attributes follow `FastBert`: `master` and `grads` (flat, f32), `weights` is `master`, `slices` for learning rate and decay.
    """

    def __init__(self, folder: Path, dtype: torch.dtype) -> None:
        from transformers import AutoModel

        from smidgen.students.encoder_training.bert import BufferSlice

        try:
            self._model = AutoModel.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False, dtype=torch.float32)
        except (OSError, ValueError) as error:
            raise BaseError(
                "students.transformers_cannot_load_base", value=str(folder), splitlines=str(error).splitlines()[0][:160]
            ) from error
        config = self._model.config
        self.hidden: int = config.hidden_size
        self.layers: int = getattr(config, "num_hidden_layers", getattr(config, "n_layers", 1))
        self.dtype, self.pooling = dtype, "mean"
        frozen = self._model.get_input_embeddings().weight
        frozen.requires_grad_(False)
        named = [(name, p) for name, p in self._model.named_parameters() if p is not frozen]
        # Matrices first (weight decay), then vectors (none): two contiguous slices.
        self._named = sorted(named, key=lambda pair: pair[1].ndim < 2)
        self.master = torch.cat([p.detach().reshape(-1) for _, p in self._named])
        self.weights, self.grads = self.master, torch.zeros_like(self.master)
        at = 0
        for _, parameter in self._named:
            parameter.data = self.master[at : at + parameter.numel()].view_as(parameter)
            at += parameter.numel()
        matrices = sum(p.numel() for _, p in self._named if p.ndim >= 2)
        self.slices = [BufferSlice(0, matrices, self.layers - 1, True), BufferSlice(matrices, at, self.layers - 1, False)]
        self._pooled: Tensor | None = None

    def replica(self) -> TransformersEncoder:
        """Raise ValueError: autograd stores gradients in the parameters, so there can be no replica."""
        raise ValueError("TransformersEncoder runs with one worker")

    def sync(self) -> None:
        """The parameters are views of `master`: there is nothing to do."""

    def tensors(self) -> dict[str, Tensor]:
        """All weights under their Hugging Face names, f32 copies."""
        return {name: tensor.detach().clone() for name, tensor in self._model.state_dict().items()}

    def forward(self, batch: PackedBatch, train: bool = False, dropout: DropoutBank | None = None) -> Tensor:
        """Pooled features [rows, hidden] in f32, rows in the batch's order. Dropout is the model's own."""
        self._model.train(train and dropout is not None)
        vocabulary = self._model.get_input_embeddings().weight.shape[0]
        pooled: list[Tensor] = []
        flat: list[Tensor] = []
        with torch.set_grad_enabled(train), self._cast():
            for block in batch.blocks:
                tokens = batch.token_ids[block.start : block.start + block.rows * block.length].view(block.rows, block.length)
                given: dict[str, Any] = {"input_ids": tokens % vocabulary}
                mask = torch.ones(block.rows, block.length) if block.mask is None else block.mask
                given["attention_mask"] = mask.long()
                if getattr(self._model.config, "type_vocab_size", 0) > 1:
                    given["token_type_ids"] = tokens // vocabulary
                states = self._model(**given).last_hidden_state.float()
                if batch.units is not None:
                    flat.append(states.reshape(-1, self.hidden))
                    continue
                pooled.append(states[:, 0] if self.pooling == "cls" else (states * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True))
        with torch.set_grad_enabled(train):
            features = batch.units.mean(torch.cat(flat)) if batch.units is not None else torch.cat(pooled)
        self._pooled = features if train else None
        return features.detach()

    def backward(self, dpooled: Tensor) -> None:
        """Fill `grads` from the gradient of the pooled features of the last forward."""
        assert self._pooled is not None
        with torch.enable_grad():
            found = torch.autograd.grad(self._pooled, [p for _, p in self._named], dpooled, allow_unused=True)
        at = 0
        for (_, parameter), gradient in zip(self._named, found, strict=True):
            part = self.grads[at : at + parameter.numel()]
            if gradient is None:
                part.zero_()
            else:
                part.copy_(gradient.reshape(-1))
            at += parameter.numel()
        self._pooled = None

    def _cast(self) -> AbstractContextManager[Any]:
        return torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16)
