"""An encoder of any architecture that transformers knows, traced by torch into ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from smidgen.core.errors import MissingExtra, TrainError
from smidgen.students.onnx_head import Head


def trace(folder: Path, head: Head, file: Path, opset: int) -> None:
    """Write the student in `folder` to `file`, with the inputs and outputs that `export_encoder` names.

    The graph has `token_type_ids` where the architecture has more than one type of token.

    Raises:
        MissingExtra: torch or transformers is not installed.
        TrainError: the weights do not fit the architecture.
    """
    try:
        import torch
        from safetensors.torch import load_file
        from transformers import AutoConfig, AutoModel
    except ImportError as error:
        raise MissingExtra(str(error.name), "train") from error

    config = AutoConfig.from_pretrained(folder)
    encoder = AutoModel.from_config(config, attn_implementation="eager")
    tensors = {name: tensor.float() for name, tensor in load_file(folder / "model.safetensors").items()}
    own: dict[str, Any] = {
        name: tensors.pop(name)
        for name in ("head.weight", "head.bias", "head.landmarks", "hidden.weight", "hidden.bias")
        if name in tensors
    }
    missing = [name for name in encoder.load_state_dict(tensors, strict=False).missing_keys if not name.startswith("pooler.")]
    if missing:
        raise TrainError("the weights lack a tensor that the config asks for", value=missing[0], todo="Train again, or check the base.")

    module = _module(torch, encoder.eval(), own, head)
    with_types = getattr(config, "type_vocab_size", 0) > 1
    names = ["input_ids", "attention_mask", *(["token_type_ids"] if with_types else [])]
    example = torch.zeros((2, 8), dtype=torch.int64)
    inputs = tuple(torch.ones_like(example) if name == "attention_mask" else example.clone() for name in names)
    tokens = head.pooling == "tokens"
    outputs = {"logits": {0: "n", 1: "tokens"}} if tokens else {"logits": {0: "n"}, "embedding": {0: "n"}}
    torch.onnx.export(
        module,
        inputs,
        file,
        input_names=names,
        output_names=list(outputs),
        opset_version=opset,
        dynamic_axes={name: {0: "n", 1: "tokens"} for name in names} | outputs,
        dynamo=False,
    )


def _module(torch: Any, encoder: Any, own: dict[str, Any], head: Head) -> Any:
    functional = torch.nn.functional
    activation = {"gelu": functional.gelu, "tanh": torch.tanh, "relu": functional.relu}

    class Whole(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None) -> Any:
            extra = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
            states = self.encoder(input_ids=input_ids, attention_mask=attention_mask, **extra).last_hidden_state
            if head.pooling == "tokens":
                return functional.linear(states, own["head.weight"], own["head.bias"])
            if head.pooling == "cls":
                pooled = states[:, 0]
            else:
                mask = attention_mask.unsqueeze(-1).to(states.dtype)
                pooled = (states * mask).sum(1) / mask.sum(1)
            if head.unit:
                pooled = functional.normalize(pooled, dim=-1)
            features = pooled
            if head.hidden:
                features = activation[head.hidden](functional.linear(features, own["hidden.weight"], own["hidden.bias"]))
            if head.kernel is not None:
                features = torch.exp(head.kernel * (features @ own["head.landmarks"].T - 1))
            weight = own["head.weight"] if head.scale is None else head.scale * functional.normalize(own["head.weight"], dim=-1)
            logits = functional.linear(features, weight, own.get("head.bias"))
            if head.arsinh is not None:  # torch's own exporter has no asinh
                size = logits.abs()
                logits = head.arsinh * logits.sign() * torch.log(size + (size * size + 1).sqrt())
            return logits, pooled

    return Whole().eval()
