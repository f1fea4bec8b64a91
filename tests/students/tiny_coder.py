"""A decoder of a few thousand numbers that has marks for a gap: a base that completes code, badly and in no time."""

from __future__ import annotations

import json
from pathlib import Path

from tests.students.tiny_decoder import tiny_decoder

from smidgen.core.progress import Silent
from smidgen.flows.build.pipeline import build
from smidgen.gguf.weights import write
from smidgen.parts.recipe import make
from smidgen.students.decoder_training.files import weights_of

MARKS = {"<issue_start>": "<|fim_prefix|>", "<issue_comment>": "<|fim_suffix|>", "<issue_closed>": "<|fim_middle|>"}


def tiny_coder(folder: Path) -> Path:
    """Write the base, a Qwen 2 with biases whose spare tokens are named as the marks, as one GGUF like the starter, and give its folder."""
    tiny_decoder(folder, kind="qwen2")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        text = (folder / name).read_text(encoding="utf-8")
        for spare, mark in MARKS.items():
            text = text.replace(spare, mark)
        (folder / name).write_text(text, encoding="utf-8")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    write(folder / "tiny.gguf", weights_of(folder), config, folder, template=None, eos_id=2, name="tiny")
    (folder / "model.safetensors").unlink()
    return folder


BODY = '''"""Prices of {name}."""


def net_{name}(gross: float, rate: float = 0.19) -> float:
    """The price without tax."""
    if gross < 0:
        raise ValueError("a price is negative")
    return gross / (1 + rate)


def total_{name}(prices: list[float]) -> float:
    """The sum of all prices."""
    result = 0.0
    for price in prices:
        result += net_{name}(price)
    return result
'''


def built_coder(folder: Path) -> None:
    """Build a bundle in `folder/out` that completes code, from a repository of eight small files."""
    repo = folder / "repo"
    repo.mkdir()
    for name in ("apples", "pears", "plums", "figs", "dates", "limes", "nuts", "beans"):
        (repo / f"{name}.py").write_text(BODY.format(name=name), encoding="utf-8")
    tree = {
        "name": "code",
        "task": "complete",
        "complete": {"repo": str(repo), "ahead": 300, "behind": 100, "max_tokens": 8, "test_gaps": 12},
        "base": {"name": str(tiny_coder(folder / "base"))},
        "train": {"epochs": 1.0, "batch_rows": 8},
        "compress": {"method": "none"},
        "student": {"baseline": "none"},
    }
    build(make(tree, folder=folder), folder / "out", threads=1, progress=Silent(), listed=False)
