"""`smidgen chat`: talk to a bundle in the terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape

from smidgen.cli.answers import print_answer
from smidgen.cli.screen import errors, out
from smidgen.core.errors import InputError
from smidgen.core.replies import Reply

_MAX_CHARS = 100_000


def chat(
    bundle: Path = typer.Argument(..., metavar="DIR", help="The folder of a bundle."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object a message."),
    threads: int | None = typer.Option(None, "--threads", min=1, help="Threads for the model."),
) -> None:
    """Type messages, see the answers: score, runners-up. Reads lines from stdin where that is not a terminal.

    Example: smidgen chat ./my-bundle
    """
    from smidgen.flows.live import load

    model = load(bundle, threads)
    if not isinstance(model.manifest.columns.input, str):
        raise InputError(
            "this bundle takes pairs of texts, and a message is one text",
            value=model.name,
            todo=f"Put the pairs in a table with the columns {' and '.join(model.manifest.columns.input)}, and run: smidgen predict.",
        )
    if sys.stdin.isatty():
        errors.print(f"[bold]{escape(model.name)}[/] ({model.task.name}). Type a message; an empty line or Ctrl-D ends.")
    for text in _messages():
        (reply,) = model.predict([text[:_MAX_CHARS]])
        if as_json:
            print(json.dumps(_as_object(text, reply), ensure_ascii=False), flush=True)  # noqa: T201
        else:
            print_answer(model.task.content(reply), reply)


def _messages() -> Iterator[str]:
    """Lines from the terminal until an empty one; from a pipe all that are not empty."""
    if not sys.stdin.isatty():
        for line in sys.stdin:
            if line.strip():
                yield line.rstrip("\r\n")
        return
    while True:
        try:
            line = out.input("[bold]> [/]")
        except EOFError:
            return
        if not line.strip():
            return
        yield line


def _as_object(text: str, reply: Reply) -> dict[str, Any]:
    """As `predict` writes it, with the input."""
    return {
        "input": text,
        "output": reply.output,
        "score": round(float(reply.score), 6),
        "alternatives": [{"output": output, "score": round(float(score), 6)} for output, score in reply.alternatives],
    }


part = chat
