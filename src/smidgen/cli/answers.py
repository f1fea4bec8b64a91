"""Answers in the terminal: a bar, a score, the runners-up."""

from __future__ import annotations

from rich.markup import escape

from smidgen.cli.screen import out
from smidgen.core.replies import Reply

_BAR = 24


def print_answer(content: str, reply: Reply) -> None:
    """One answer on stdout. `content` is the reply as text, as its task writes it."""
    out.print(f"{bar(reply.score)}  [bold]{escape(content)}[/]")
    for output, score in reply.alternatives:
        out.print(f"[dim]{bar(score)}  {escape(str(output))}[/]")


def bar(score: float) -> str:
    """A score in 0..1 as a bar and a number."""
    full = round(max(0.0, min(1.0, float(score))) * _BAR)
    return f"{'█' * full}{'·' * (_BAR - full)} {float(score):6.1%}"
