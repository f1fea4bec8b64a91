"""`--to hf`: a folder that transformers loads: config, tokenizer, and the numbers of the GGUF as safetensors.

The weights are the measured ones, read from the served file, not those from before packing.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smidgen.bundles.open import Bundle
from smidgen.core.errors import EngineError
from smidgen.flows.export.decoder import DecoderBundle
from smidgen.flows.export.exporter import (
    SCHEMA,
    ExportNotes,
    engine_of,
    instruction_of,
    licence_of,
    measured_line,
    schema_of,
    single_attempt_note,
    write_schema,
)
from smidgen.gguf.config import write_missing_files
from smidgen.students.decoder import need_torch

if TYPE_CHECKING:
    from torch import Tensor


class HuggingFace:
    """The target `hf`."""

    summary = "config, tokenizer and safetensors, for transformers and what reads its folders"

    def check(self, bundle: Bundle) -> None:
        """See `ExportTarget`. A graph has its own pooling and head, which no class of transformers has."""
        engine_of(bundle, ("llama",), "hf")

    def write(self, bundle: Bundle, out: Path) -> ExportNotes:
        """See `ExportTarget`. Raises MissingExtra if torch is not installed, BaseError for a GGUF that transformers' config cannot
        describe."""
        manifest = bundle.manifest
        need_torch()
        decoder = DecoderBundle.of(bundle)
        shutil.copyfile(bundle.folder / "tokenizer.json", out / "tokenizer.json")
        write_missing_files(out, decoder.model)
        _add(out / "config.json", {"torch_dtype": "float16"})
        generation: dict[str, Any] = {"do_sample": False, "eos_token_id": list(decoder.prompt.stop)}
        if "max_tokens" in decoder.options:
            generation["max_new_tokens"] = decoder.options["max_tokens"]
        (out / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n", encoding="utf-8")
        _save(weights_of(decoder), out / "model.safetensors")
        notes = [*write_schema(manifest, out, _FORMAT), _rounded(manifest.engine.method)]
        if decoder.adapter is not None:
            notes.append("The trained adapter, a separate file in the bundle, is merged into the base's weights here.")
        notes += single_attempt_note(manifest)
        if not decoder.template:
            notes.append("The model has no chat template: put the prompt together as README.md shows.")
        (out / "README.md").write_text(_card(decoder, notes), encoding="utf-8", newline="\n")
        return ExportNotes(tuple(notes))


def weights_of(decoder: DecoderBundle) -> dict[str, Tensor]:
    """The weights that the bundle serves, in 32 bits, by their names in transformers."""
    from smidgen.gguf.weights import read, with_adapter

    weights = read(decoder.model)
    if decoder.adapter is None:
        return weights
    kind = decoder.facts["general.architecture"]
    heads = decoder.facts[f"{kind}.attention.head_count"]
    return with_adapter(weights, decoder.adapter, (heads, decoder.facts.get(f"{kind}.attention.head_count_kv", heads)))


def _save(weights: dict[str, Tensor], file: Path) -> None:
    """Save matrices in 16 bits; norms and biases, 32-bit in a GGUF, unchanged. Raises EngineError for weights too large for 16 bits."""
    import torch
    from safetensors.torch import save_file

    stored = {name: (tensor.half() if tensor.dim() > 1 else tensor).contiguous() for name, tensor in weights.items()}
    for name, tensor in stored.items():
        if not bool(torch.isfinite(tensor).all()):
            raise EngineError("flows.weight_is_too_large_for_16_bits", value=name)
    save_file(stored, file, metadata={"format": "pt"})


def _add(file: Path, more: dict[str, Any]) -> None:
    facts = {**json.loads(file.read_text(encoding="utf-8")), **more}
    file.write_text(json.dumps(facts, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _rounded(method: str) -> str:
    if method == "f16":
        return "The weights are those of the bundle, 16 bits each."
    return (
        f"The weights are those of the bundle, rounded: they were packed as {method}, and are given here as 16-bit numbers. They are not "
        "the weights from before the packing, and take more memory without being any better."
    )


def _card(decoder: DecoderBundle, notes: list[str]) -> str:
    manifest = decoder.bundle.manifest
    licence = licence_of(manifest)
    front: dict[str, Any] = {"license": licence.lower() if licence != "unknown" else "other", "library_name": "transformers"}
    front |= {"pipeline_tag": "text-generation", "tags": ["smidgen", manifest.task]}
    if manifest.base:
        front["base_model"] = manifest.base.name.removeprefix("hf:")
    lines = [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in front.items()]
    if decoder.template and _talks(decoder):
        talk = json.dumps([*decoder.shown(), {"role": "user", "content": "a text"}], ensure_ascii=False)
        ask = f'ids = tokenizer.apply_chat_template({talk}, add_generation_prompt=True, return_tensors="pt", return_dict=True)'
    else:
        before, after = list(decoder.prompt.before), list(decoder.prompt.after)
        text = 'text = tokenizer("a text", add_special_tokens=False)["input_ids"]'
        ask = f'{text}\nids = {{"input_ids": torch.tensor([[*{before}, *text, *{after}]])}}'
    return _CARD.format(
        front="\n".join(lines),
        title=manifest.name,
        told=f"It was taught with this instruction: {instruction_of(manifest)}\n\n" if instruction_of(manifest) else "",
        measured=measured_line(manifest),
        notes="\n".join(f"- {note}" for note in notes),
        ask=ask,
        imports="import json\n\nimport jsonschema\nimport torch" if schema_of(manifest) else "import torch",
        told_answer=_CHECKED if schema_of(manifest) else _PRINTED,
    )


def _talks(decoder: DecoderBundle) -> bool:
    """Whether the bundle's prompt equals the prompt of the model's chat template."""
    try:
        return decoder.render()([*decoder.shown(), {"role": "user", "content": "a text"}], True) == decoder.asked("a text")
    except ValueError:
        return False


_FORMAT = (
    f"transformers itself takes no schema: hand {SCHEMA} to a library that masks tokens by one (outlines, lm-format-enforcer), and "
    "have it write JSON without blanks, as the model was taught."
)
_PRINTED = "print(tokenizer.decode(written, skip_special_tokens=True))"
_CHECKED = """answer = json.loads(tokenizer.decode(written, skip_special_tokens=True))
with open("schema.json", encoding="utf-8") as file:
    jsonschema.validate(answer, json.load(file))  # raises for an answer that does not fit: take it for none
print(answer)"""

_CARD = """---
{front}
---

# {title}

{told}{measured} That was llama.cpp; transformers was not measured, and computes the same weights with other roundings.

{notes}

```python
{imports}
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(".")
model = AutoModelForCausalLM.from_pretrained(".")
{ask}
written = model.generate(**ids)[0, ids["input_ids"].shape[1]:]
{told_answer}
```
"""

part = HuggingFace()
