"""The terminal: where results and errors go, and the progress bars.

Results go to stdout, everything else to stderr, so that `--json` and pipes stay clean. Bars are drawn on a terminal only.
"""

from __future__ import annotations

import json
import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

out = Console(highlight=False, soft_wrap=False)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """A result as JSON on stdout: one document, nothing else."""
    print(json.dumps(value, ensure_ascii=False, indent=2))  # noqa: T201


class Screen:
    """Progress on the terminal: one bar for the step at work, one line for each that is done.

    Without a terminal it prints the finished steps only. Use as a context manager, so that the cursor comes back after an error.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._live = errors.is_terminal and not quiet
        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("[dim]{task.fields[facts]}"),
            console=errors,
            transient=True,
        )
        self._task: TaskID | None = None
        self._step = ""
        self._began = 0.0

    def __enter__(self) -> Screen:
        if self._live:
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._bars.stop()

    def start(self, step: str, total: int | None = None) -> None:
        """Draw a bar for a step; without a total it only spins."""
        self._step, self._began = step, time.perf_counter()
        if self._live:
            self._drop()
            self._task = self._bars.add_task(step, total=total, facts="")

    def advance(self, units: int = 1, **facts: float | str) -> None:
        """Move the bar."""
        if self._task is not None:
            shown = "  ".join(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in facts.items())
            self._bars.update(self._task, advance=units, facts=shown)

    def finish(self, note: str = "") -> None:
        """Replace the bar by a line that stays."""
        self._drop()
        if not self._quiet:
            seconds = time.perf_counter() - self._began
            errors.print(f"[green]✓[/] {self._step}  [dim]{seconds:.1f} s[/]  {note}")

    def say(self, text: str) -> None:
        """A line that stays."""
        if not self._quiet:
            errors.print(f"[dim]·[/] {text}")

    def _drop(self) -> None:
        if self._task is not None:
            self._bars.remove_task(self._task)
            self._task = None
