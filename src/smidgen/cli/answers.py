"""Answers in the terminal: a bar, a score, the runners-up."""

from __future__ import annotations

from rich.markup import escape

from smidgen.cli.screen import out
from smidgen.core.replies import Reply

_BAR = 24


def print_answer(content: str, reply: Reply) -> None:
    """One answer on stdout. `content` is the reply as text, as its task writes it."""
    out.print(f"{bar(reply.score)}  [bold]{escape(content)}[/]", soft_wrap=True)
    if why := reply.facts.get("refused"):
        out.print(f"[yellow]no answer: {escape(str(why))}[/]")
    for output, score in reply.alternatives:
        out.print(f"[dim]{bar(score)}  {escape(str(output))}[/]")


def print_sureness(reply: Reply, seconds: float) -> None:
    """What is known of a text that has just been written: its score, what it leaves out or makes up, how long it took."""
    tokens = int(reply.facts.get("tokens", 0))
    speed = f"{tokens} tokens in {seconds:.1f} s ({tokens / max(seconds, 1e-9):.0f} a second)"
    out.print(f"[dim]{bar(reply.score)}  {speed}[/]")
    if reply.facts.get("finished") is False:
        out.print("[yellow]cut off before its end[/]")
    for name, words in (("missing", "not said"), ("unsupported", "made up")):
        for entry in reply.facts.get(name, ()):
            out.print(f"[yellow]{words}:[/] {escape(entry['key'])} {escape(entry['value'])}")


def bar(score: float) -> str:
    """A score in 0..1 as a bar and a number."""
    full = round(max(0.0, min(1.0, float(score))) * _BAR)
    return f"{'█' * full}{'·' * (_BAR - full)} {float(score):6.1%}"
