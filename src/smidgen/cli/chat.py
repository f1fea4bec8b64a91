"""`smidgen chat`: talk to a bundle in the terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.markup import escape

from smidgen.cli.screen import errors, out, print_answer, print_json, print_sureness
from smidgen.core.errors import EngineError, InputError, RequestError
from smidgen.core.parts import dialogue_text
from smidgen.core.replies import Reply

if TYPE_CHECKING:
    from smidgen.flows.local_model import Model

_MAX_CHARS = 100_000
_MOST_MESSAGES = 40
"""Messages that a model of conversations is told again with each new one."""


def chat(
    bundle: Path = typer.Argument(..., metavar="DIR", help="The folder of a bundle."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object a message."),
    threads: int | None = typer.Option(None, "--threads", min=1, help="Threads for the model."),
) -> None:
    """Type messages and see the answers with their scores.

    Texts appear as they are written. It reads lines from stdin where that is not a terminal.

    Example: smidgen chat ./my-bundle
    """
    from smidgen.flows.local_model import load

    with closing(load(bundle, threads)) as model:
        if not isinstance(model.manifest.columns.input, str):
            raise InputError("cli.this_bundle_takes_pairs_of_texts", value=model.name, input=" and ".join(model.manifest.columns.input))
        if sys.stdin.isatty():
            errors.print(f"[bold]{escape(model.name)}[/] ({model.task.name}). Type a message; an empty line or Ctrl-D ends.")
        said: list[dict[str, str]] = []
        for text in _messages():
            said.append({"role": "user", "content": text[:_MAX_CHARS]})
            whole = dialogue_text(model.task, said[-_MOST_MESSAGES:])
            if as_json:
                (reply,) = model.predict([whole or text[:_MAX_CHARS]])
                print_json(_as_object(text, reply), indent=None)
            elif model.at_once:
                _print_text(model, text[:_MAX_CHARS])
            else:
                (reply,) = model.predict([whole or text[:_MAX_CHARS]])
                print_answer(_words(model, reply), reply, partial(_words, model))


def _words(model: Model, reply: Reply) -> str:
    return model.task.calls.words(reply, model.form) if model.task.calls is not None else model.task.content(reply)


def _print_text(model: Model, text: str) -> None:
    """Print a text while it is written, then the model's score for it. Ctrl-C and request errors end the text, but not the chat."""
    began = time.perf_counter()
    try:
        with closing(model.write(text)) as replies:
            for reply in replies:
                if reply.piece.text:
                    out.print(reply.piece.text, end="", markup=False, highlight=False, soft_wrap=True)
                    out.file.flush()
        out.print()
        print_sureness(reply, time.perf_counter() - began)
    except KeyboardInterrupt:
        out.print()
    except (RequestError, EngineError) as error:
        errors.print(f"[red]{escape(str(error))}[/]")


def _messages() -> Iterator[str]:
    """Yield lines from the terminal until an empty one, or all lines of a pipe that are not empty."""
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
    """Return the reply as `predict` writes it, with the input."""
    return {
        "input": text,
        "output": reply.output,
        "score": round(float(reply.score), 6),
        "alternatives": [{"output": output, "score": round(float(score), 6)} for output, score in reply.alternatives],
        **({"facts": dict(reply.facts)} if reply.facts else {}),
    }


part = chat
