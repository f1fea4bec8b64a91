"""What goes through a model's linear layers, seen on sample texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smidgen.compress.onnx_rewrite import Rewrite
from smidgen.core.errors import EngineError
from smidgen.core.parts import EngineSpec
from smidgen.core.rows import Text

Range = tuple[NDArray[np.float32], NDArray[np.float32]]


def ranges(spec: EngineSpec, source: Path, sample: Sequence[Text]) -> dict[str, Range]:
    """For the input of each linear layer, by name: least and largest value of each of its channels, over all tokens of the sample.

    Runs each text by itself: there is no padding to leave out.
    """
    if not sample:
        raise EngineError("static quantisation needs sample texts", value="none", todo="Use int8-dynamic, which needs none.")
    import onnxruntime
    from onnx import helper
    from tokenizers import Tokenizer

    watched = Rewrite(source / "model.onnx")
    names = sorted({node.input[0] for node in watched.linears()})
    watched.model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(watched.model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    wanted = {entry.name for entry in session.get_inputs()}
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(int(spec.options.get("max_length", 128)))

    found: dict[str, Range] = {}
    for text in sample:
        encoding = tokenizer.encode(*((text,) if isinstance(text, str) else text))
        ids = np.array([encoding.ids], np.int64)
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.array([encoding.type_ids], np.int64)}
        values = session.run(names, {name: value for name, value in feed.items() if name in wanted})
        for name, value in zip(names, values, strict=True):
            flat = value.reshape(-1, value.shape[-1])
            low, high = flat.min(0), flat.max(0)
            if name in found:
                low, high = np.minimum(low, found[name][0]), np.maximum(high, found[name][1])
            found[name] = (low, high)
    return found
