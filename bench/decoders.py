"""Decoders to time: the starter base as it is in an engine's files, its vocabulary whole or trimmed, packed in one of the forms.

How fast a model writes does not depend on what it was taught, and so nothing is taught here.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from smidgen.core.parts import HALF, EngineSpec

OPTIONS = "engine.json"
"""The engine's options, beside the files they belong to."""
SLOTS, CONTEXT = 8, 512


def options_of(folder: Path) -> dict[str, Any]:
    """The engine's options of a folder made here, or of a bundle."""
    if (folder / OPTIONS).is_file():
        found: dict[str, Any] = json.loads((folder / OPTIONS).read_text(encoding="utf-8"))
        return found
    from smidgen.bundles.open import open_bundle

    return dict(open_bundle(folder).manifest.engine.options)


def untaught(out: Path, pairs: Sequence[tuple[str, str]], instruction: str, max_tokens: int, *, trimmed: bool) -> Path:
    """The starter base in 16 bits. Trimmed: only the tokens of these inputs and answers, what those are merged from, and as many of the
    most frequent others as `smidgen build` would keep."""
    from smidgen.bases.lookup import pull
    from smidgen.gguf.architectures import config_of, shape_of
    from smidgen.gguf.weights import write
    from smidgen.students.decoder_training.engine_options import attention_bits
    from smidgen.students.decoder_training.files import base_weights, describe_base
    from smidgen.students.decoder_training.prompts import chat_template, plain_ids, prompt_of, tokenizer_of
    from smidgen.students.vocabulary import FREQUENT, MergeTable, frequent_for

    base, work = pull("smollm2").folder, out.with_name(f"{out.name}-work")
    for folder in (out, work):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    kept = None
    if trimmed:
        prompt, tokenizer, table = prompt_of(base, instruction), tokenizer_of(base), MergeTable(base)
        used = {*prompt.before, *prompt.after, *prompt.stop}
        frequent, _ = frequent_for(table, [[set(plain_ids(tokenizer, text)) for text in {text for text, _ in pairs}]], used)
        for text in {text for pair in pairs for text in pair}:
            used.update(plain_ids(tokenizer, text))
        kept = table.kept(used, frequent or FREQUENT[-1])
    describe_base(work, base, kept)
    prompt = prompt_of(work, instruction)
    facts = {"kind": "f16", "template": chat_template(work), "eos_id": prompt.stop[0], "name": out.name}
    write(out / "model.gguf", base_weights(base, kept), config_of(work), work, **facts)
    shutil.copyfile(work / "tokenizer.json", out / "tokenizer.json")
    shutil.rmtree(work)
    told = {"model": "model.gguf", **prompt.json(), "max_tokens": max_tokens, "context": CONTEXT, "slots": SLOTS}
    told["cache"] = attention_bits(shape_of(base), CONTEXT * SLOTS)
    (out / OPTIONS).write_text(json.dumps(told), encoding="utf-8")
    return out


def packed(source: Path, form: str, out: Path) -> Path:
    """A model in 16 bits in another form; in `f16` itself the files as they are."""
    from smidgen.parts import registry

    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    told = options_of(source)
    files = ("model.gguf", "tokenizer.json")
    if form == HALF:
        for name in files:
            shutil.copyfile(source / name, out / name)
    else:
        registry.find("compress", form).apply(EngineSpec("llama", files, told, HALF), source, out, [])
    (out / OPTIONS).write_text(json.dumps(told), encoding="utf-8")
    return out


def size_mb(folder: Path) -> float:
    """What serving needs on disk, in MB of 10^6 bytes."""
    return sum((folder / name).stat().st_size for name in ("model.gguf", "tokenizer.json")) / 1e6
