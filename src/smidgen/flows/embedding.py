"""Embed texts with a base through ONNX Runtime: for data checks, learning curves, drift and the semantic cache. Never loads torch."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from smidgen.bases.starter import starters
from smidgen.core.errors import InputError
from smidgen.core.parts import Base, EngineSpec
from smidgen.core.rows import Text
from smidgen.data.row_selection import Embed
from smidgen.engines.model_files import ModelTokenizer
from smidgen.machine.processor import threads as thread_count
from smidgen.parts import registry
from smidgen.store.files import code_hash, home
from smidgen.store.step_results import StepResults
from smidgen.store.weight_files import described_hashes

_SPEC = "spec.json"
Role = Literal["query", "passage"]
"""What a text is in a search. Texts that are compared with each other are queries."""


def embedder(base: Base | None = None, threads: int | None = None, role: Role = "query") -> Embed | None:
    """Return an embedder on a base, or on the starter encoder. None if that has not been fetched.

    The base is exported once and kept.

    Args:
        role: a base that wants a prefix before a text gets that of this role. Others make the same vector for both.
    """
    roles = embedder_of_roles(base, threads)
    return None if roles is None else partial(roles, role=role)


class EmbedRoles(Protocol):
    """Makes vectors of length one of texts with a role."""

    def __call__(self, texts: Sequence[Text], role: Role = "query") -> NDArray[np.float32]:
        """n texts to (n, width) vectors."""
        ...


def embedder_of_roles(base: Base | None = None, threads: int | None = None) -> EmbedRoles | None:
    """Return an embedder for both roles that loads the base only once; see `embedder`."""
    if base is None:
        starter = starters()["minilm"]
        if not starter.here():
            return None
        base = starter.verify()
    prefixes, max_length = base.prefixes, base.max_length or MAX_TOKENS
    inputs = {"base": base.sha256, "described": described_hashes(base.folder), "max_length": max_length, "code": code_hash()}
    folder = StepResults(home() / "steps").run("embed", inputs, lambda out: _export_with_spec(base, out, max_length))
    spec = json.loads((folder / _SPEC).read_text(encoding="utf-8"))
    runner = registry.find("engines", spec["engine"]).open(folder, spec["options"], thread_count(threads))

    def embed(texts: Sequence[Text], role: Role = "query") -> NDArray[np.float32]:
        before = prefixes.get(role, "")
        vectors: NDArray[np.float32] = runner.run([_prefixed(text, before) for text in texts])["embedding"]
        return np.asarray(vectors / np.maximum(1e-9, np.linalg.norm(vectors, axis=1, keepdims=True)))

    return embed


def _prefixed(text: Text, before: str) -> Text:
    return before + text if isinstance(text, str) else (before + text[0], text[1])


def _export_with_spec(base: Base, out: Path, max_length: int) -> None:
    (out / _SPEC).write_text(json.dumps(asdict(export_base(base, out, max_length))), encoding="utf-8")


def export_base(base: Base, out: Path, max_length: int, states: bool = False) -> EngineSpec:
    """Export the base as a student with an unused head, in the engine's format, as int8; with the states of its tokens, if asked for."""
    from safetensors.numpy import load_file, save_file

    config: dict[str, Any] = json.loads((base.folder / "config.json").read_text(encoding="utf-8"))
    student = out / "student"
    student.mkdir(parents=True, exist_ok=True)
    tensors = {name.removeprefix("bert."): tensor for name, tensor in load_file(base.folder / "model.safetensors").items()}
    tensors = {name: tensor.astype(np.float32) if tensor.dtype == np.float16 else tensor for name, tensor in tensors.items()}
    width = int(config["hidden_size"])
    tensors |= {"head.weight": np.zeros((1, width), np.float32), "head.bias": np.zeros(1, np.float32)}
    save_file(tensors, student / "model.safetensors")
    for name in ("config.json", "tokenizer.json"):
        shutil.copyfile(base.folder / name, student / name)
    facts = {"pooling": "mean", "normalize": True, "scale": None, "max_length": max_length, "states": states}
    (student / "smidgen_student.json").write_text(json.dumps(facts), encoding="utf-8")
    whole = out / "whole"
    spec: EngineSpec = registry.declaring("students", "embeds").export(student, whole)
    shutil.rmtree(student)
    # int8 takes half the time of f32, and a vector does not depend on the other texts in its batch.
    made: EngineSpec = registry.find("compress", "int8-dynamic").apply(spec, whole, out, ())
    shutil.rmtree(whole)
    return made


MAX_TOKENS = 128
"""Most tokens of a text that the starter encoder reads."""
_UNKNOWN = "[UNK]"


def open_cache_encoder() -> Callable[[str], NDArray[np.float32] | None]:
    """Return a function from a text to its unit vector, (width,).

    It returns None for a text that is longer than the encoder reads or has unknown characters: two such texts could share a vector and
    differ in meaning. One thread is enough, because texts come one at a time.

    Raises InputError if the starter encoder is not here, MissingExtra if it was not exported on this machine yet and `onnx` is not
    installed.
    """
    embed = embedder(threads=1)
    if embed is None:
        raise InputError("flows.similar_texts_need_starter_encoder", value="minilm")
    tokens = ModelTokenizer(starters()["minilm"].verify().folder, MAX_TOKENS + 1)

    def vector(text: str) -> NDArray[np.float32] | None:
        (read,) = tokens.encode([text])
        if not text.strip() or len(read.ids) > MAX_TOKENS or _UNKNOWN in read.tokens:
            return None
        found: NDArray[np.float32] = embed([text])[0]
        return found

    return vector
