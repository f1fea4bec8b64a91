"""The terminal: where results and errors are written, the progress bars, and how an answer is shown.

Results are written to stdout, everything else to stderr, so that `--json` and pipes work. Bars are drawn only on a terminal.

Everything printed here may hold text that a stranger wrote: a captured request, a label, a file name. Both consoles drop control
characters (see `core/printable.py`), and JSON escapes them. Text from data must still pass `rich.markup.escape` before it is put into
a line with markup.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.errors import MarkupError
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, Task, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from smidgen.core.printable import printable, printable_json
from smidgen.core.replies import Reply


class Terminal(Console):
    """A console that sends no control characters but its own to the terminal, and prints broken markup unchanged."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Return the segments of a renderable. All but Rich's own control codes lose their control characters."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a string as text. Brackets that are not markup stay unchanged."""
        try:
            return super().render_str(text, **options)
        except MarkupError:
            return super().render_str(text, **{**options, "markup": False})


out = Terminal(highlight=False, soft_wrap=False, emoji=False)
errors = Terminal(stderr=True, highlight=False, soft_wrap=True, emoji=False)


def print_json(value: Any, indent: int | None = 2) -> None:
    """Print a result as one JSON document on stdout; without `indent` on one line."""
    print(printable_json(value, indent), flush=True)  # noqa: T201


def print_line(text: str) -> None:
    """Print a text unchanged on stdout: no markup, no wrapping."""
    out.print(text, markup=False, soft_wrap=True)


def plain_table(*columns: str, right: Collection[int] = ()) -> Table:
    """Return an empty table without lines. The columns at the positions in `right` are aligned to the right."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for place, name in enumerate(columns):
        table.add_column(name, justify="right" if place in right else "left")
    return table


class _Count(MofNCompleteColumn):
    """How much of a total is done; nothing where no total is known."""

    def render(self, task: Task) -> Text:
        return super().render(task) if task.total is not None else Text()


EVERY_SECONDS = 30.0
"""Without a terminal, a running step prints a line this often."""


class Screen:
    """Progress on the terminal: a bar for the running step, and a line for each finished one.

    Without a terminal it prints the finished steps, and a line every `EVERY_SECONDS` while one runs. Use it as a context manager, so that
    the cursor comes back after an error.
    """

    def __init__(self, quiet: bool = False, every: float | None = None) -> None:
        self._quiet, self._every = quiet, EVERY_SECONDS if every is None else every
        self._done, self._facts = 0, ""
        self._total: int | None = None
        self._ended = threading.Event()
        self._live = errors.is_terminal and not quiet
        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=28),
            _Count(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[facts]}", style="dim", markup=False),
            console=errors,
            transient=True,
        )
        self._task: TaskID | None = None
        self._step = ""
        self._began = 0.0

    def __enter__(self) -> Screen:
        if self._live:
            self._bars.start()
        elif not self._quiet:
            threading.Thread(target=self._beat, name="progress", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._live:
            self._bars.stop()

    def start(self, step: str, total: int | None = None) -> None:
        """Draw a bar for a step, or a spinner without a total."""
        self._step, self._began = step, time.perf_counter()
        self._done, self._total, self._facts = 0, total, ""
        if self._live:
            self._drop()
            self._task = self._bars.add_task(step, total=total, facts="")

    def advance(self, units: int = 1, **facts: float | str) -> None:
        """Move the bar."""
        self._done += units
        self._facts = "  ".join(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in facts.items())
        if self._task is not None:
            self._bars.update(self._task, advance=units, facts=self._facts)

    def finish(self, note: str = "") -> None:
        """Replace the bar by a line that stays. A step that was finished before says nothing more."""
        self._drop()
        if self._step and not self._quiet:
            seconds = time.perf_counter() - self._began
            errors.print(f"[green]✓[/] {escape(self._step)}  [dim]{seconds:.1f} s[/]  {escape(note)}")
        self._step = ""

    def say(self, text: str) -> None:
        """Print a line that stays."""
        if not self._quiet:
            errors.print(f"[dim]·[/] {escape(text)}")

    def _beat(self) -> None:
        """Print regularly which step is running, for readers of a log."""
        while not self._ended.wait(self._every):
            step, seconds = self._step, time.perf_counter() - self._began
            if not step or seconds < self._every:
                continue
            done = f"  {self._done:,} of {self._total:,}" if self._total else ""
            errors.print(f"[dim]…[/] {escape(step)}  {_minutes(seconds)}{done}  {escape(self._facts)}".rstrip())

    def _drop(self) -> None:
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


_BAR = 24


_NOT_SAID = ("id", "url", "image")
"""Columns of a product that are no words."""


def print_answer(content: str, reply: Reply, spoken: Callable[[Reply], str] = lambda other: str(other.output)) -> None:
    """Print one answer on stdout. `content` is the reply as text, as its task writes it; `spoken` writes its alternatives so."""
    out.print(f"{bar(reply.score)}  [bold]{escape(content)}[/]", soft_wrap=True)
    if why := reply.facts.get("refused"):
        out.print(f"[yellow]no answer: {escape(str(why))}[/]")
    for cited in reply.facts.get("citations", ()):
        place = ", ".join(str(cited[name]) for name in ("title", "heading") if cited.get(name))
        out.print(f"[dim]from {escape(place)}[/]", soft_wrap=True)
    for card in reply.facts.get("cards", ()):
        for item in card["items"]:
            said = [(name, value) for name, value in item.items() if value not in (None, "") and not isinstance(value, dict | list)]
            goods = card.get("kind") == "products"
            shown = "; ".join(str(value) if goods else f"{name}: {value}" for name, value in said if not goods or name not in _NOT_SAID)
            out.print(f"[dim]{escape(shown)}[/]", soft_wrap=True)
    for output, score in reply.alternatives:
        line = " ".join(spoken(Reply(output, score)).split())
        out.print(f"[dim]{bar(score)}  {escape(line)}[/]", soft_wrap=True)


def print_sureness(reply: Reply, seconds: float) -> None:
    """Print facts about a text that was just written: its score, missing or invented facts, and the time it took."""
    tokens = int(reply.facts.get("tokens", 0))
    speed = f"{tokens} tokens in {seconds:.1f} s ({tokens / max(seconds, 1e-9):.0f} a second)"
    out.print(f"[dim]{bar(reply.score)}  {speed}[/]")
    if reply.facts.get("finished") is False:
        out.print("[yellow]cut off before its end[/]")
    for name, words in (("missing", "not said"), ("unsupported", "made up")):
        for entry in reply.facts.get(name, ()):
            out.print(f"[yellow]{words}:[/] {escape(entry['key'])} {escape(entry['value'])}")


def bar(score: float) -> str:
    """Return a score in 0..1 as a bar and a number."""
    full = round(max(0.0, min(1.0, float(score))) * _BAR)
    return f"{'█' * full}{'·' * (_BAR - full)} {float(score):6.1%}"
