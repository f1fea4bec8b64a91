"""Loaded models for as long as they are needed: one that runs in a process of its own is ended with its use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from smidgen.core.parts import Raw, Runner
from smidgen.core.rows import Text, joined
from smidgen.parts import registry


@contextmanager
def opened(engine: str, folder: Path, options: Mapping[str, Any], threads: int) -> Iterator[Runner]:
    """A runner, released in the end. Raises EngineError where the files cannot be loaded."""
    runner: Runner = registry.find("engines", engine).open(folder, options, threads)
    try:
        yield runner
    finally:
        release(runner)


def release(runner: Runner) -> None:
    """End what a runner holds beyond its memory: a process, where it has one."""
    close = getattr(runner, "close", None)
    if close is not None:
        close()


def asked(raw: Raw, texts: Sequence[Text]) -> Raw:
    """A raw output with the texts that were asked beside it, as `inputs`: what was written is judged by what was given."""
    return {**raw, "inputs": [joined(text) for text in texts]}
