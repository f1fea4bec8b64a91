"""The demo's results, and how they are shown: a growing table on a terminal, plain lines elsewhere."""

from __future__ import annotations

from types import TracebackType

from rich.console import Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from smidgen.cli.hybrid_demo.recorded_model import MARK
from smidgen.cli.hybrid_demo.run import DemoOutcome, DemoPlan, DemoTally, LearningRun, Stretch
from smidgen.cli.hybrid_demo.sandbox import LINE
from smidgen.cli.screen import out, print_line

_EVERY_SECOND = 8
_BAR = 20


class DemoDisplay:
    """Shows the results. Use it as a context manager, so that the cursor comes back after an error.

    Args:
        plan: the plan of the run.
        quiet: show only errors.
    """

    def __init__(self, plan: DemoPlan, quiet: bool = False) -> None:
        self._plan, self._quiet = plan, quiet
        self._live = Live(console=out, refresh_per_second=_EVERY_SECOND) if out.is_terminal and not quiet else None
        self._drawn = False

    def __enter__(self) -> DemoDisplay:
        if not self._quiet:
            out.print(f"[bold]The large model here is {MARK}.[/] It gives the sample's labels, with some errors. Everything else is real.")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live is not None and self._drawn:
            self._live.stop()

    def ran(self, command: str) -> None:
        """Print the command, unless the table is already drawn and would be broken by it."""
        if not self._quiet and not self._drawn:
            out.print(f"[dim]$[/] {escape(command)}", soft_wrap=True)

    def moved(self, tally: DemoTally, now: str) -> None:
        """Redraw the table."""
        if self._live is None:
            return
        if not self._drawn:
            self._drawn = True
            self._live.start()
        self._live.update(Group(_table(tally, self._plan), Text(now, style="dim")))

    def ended(self, stretch: Stretch, tally: DemoTally) -> None:
        """Print the result of a stretch."""
        if self._live is not None:
            self.moved(tally, "")
        elif not self._quiet:
            out.print(f"requests {_span(stretch)}: {stretch.share:.0%} answered here, {_disagree(stretch)}, {_money(tally)} saved so far")

    def learnt(self, lesson: LearningRun, tally: DemoTally) -> None:
        """Print the result of a learning run."""
        if self._live is not None:
            self.moved(tally, "")
        elif not self._quiet:
            rows = lesson.result["rows"]
            counts = f"{rows['learning']:,} rows to learn from, {rows['choosing']:,} to choose by, {rows['certifying']:,} to certify on"
            out.print(f"  learnt in {lesson.seconds:.0f} s ({counts}): {escape(_lesson(lesson))}", soft_wrap=True)


def closing(ran: DemoOutcome) -> None:
    """Print the final results and next steps."""
    tally, plan = ran.tally, ran.plan
    whole, audits = tally.whole, ran.audits
    for lesson in tally.lessons:
        out.print(f"\nafter {lesson.at:,} requests, {lesson.result['outcome']}: {escape(lesson.result['why'])}", soft_wrap=True)
    out.print()
    if tally.certified:
        last = tally.stretches[-1]
        out.print(
            f"[bold]{whole.local:,} of {whole.requests:,} requests were answered here[/], of the last {last.requests} {last.share:.0%}."
        )
        out.print(
            f"{whole.disagree} of these {whole.local:,} answers ({_of(whole.disagree, whole.local)}) differ from the recording's. The "
            f"certificates together promise at most {plan.alpha:.0%}, with confidence {1 - plan.delta:.0%}. The gateway audited "
            f"{audits['agreed'] + audits['disagreed']} of them against the recording: {audits['disagreed']} disagreed.",
            soft_wrap=True,
        )
    out.print(
        f"{_of(whole.requests - whole.wrong, whole.requests)} of all answers are right, by the sample's labels. The recording alone would "
        f"have {_of(whole.requests - whole.recorded_wrong, whole.requests)} right.",
        soft_wrap=True,
    )
    out.print(
        f"Saved: ${whole.saved_usd:.4f} at the list price of {escape(plan.price_of)}, by estimated tokens. The recording itself costs "
        "nothing, and is not that model.",
        soft_wrap=True,
    )
    out.print(f"\nThe chart: {escape(str(ran.chart))}", soft_wrap=True)
    out.print(f"The gateway's log: {escape(str(ran.stage.folder / 'gateway.log'))}", soft_wrap=True)
    out.print(f"[bold]Done in {ran.seconds:.0f} s.[/] Next, with your own program and your large model:")
    large = f"--fallback https://api.openai.com/v1 --fallback-model {plan.price_of} --capture answers"
    for line in (
        "export SMIDGEN_FALLBACK_KEY=your-key",
        f"smidgen serve {large}   # point your client's base_url at it",
        f"smidgen traffic --jobs   # after some hundreds of answers; then: smidgen learn {LINE} --job ID",
        f"smidgen serve {LINE} {large}   # and name the model {LINE} in your client",
    ):
        print_line(f"  {line}")


def _table(tally: DemoTally, plan: DemoPlan) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("requests", "here", "", f"disagree (≤ {plan.alpha:.0%})", "saved"):
        table.add_column(name, justify="left" if name == "" else "right", min_width=0 if name else _BAR)
    table.add_column("learnt")
    saved = 0.0
    for stretch in tally.stretches:
        saved += stretch.saved_usd
        lesson = next((one for one in tally.lessons if one.at == stretch.upto), None)
        bar = Text("█" * round(_BAR * stretch.share), style="green")
        table.add_row(_span(stretch), f"{stretch.share:.0%}", bar, _disagree(stretch), f"${saved:.4f}", _lesson(lesson) if lesson else "")
    return table


def _lesson(lesson: LearningRun) -> str:
    """Return a short text about a learning run."""
    paper = lesson.certificate
    if not lesson.promoted:
        return "no better version"
    if paper is None:
        return f"version {lesson.result['champion'][:6]}, no certificate"
    answered, n = sum(one["answered"] for one in paper["answering"]), paper["calibration"]["n"]
    return f"version {lesson.result['champion'][:6]}, certified for {answered} of {n}"


def _span(stretch: Stretch) -> str:
    return f"{stretch.first:,}–{stretch.first + stretch.requests - 1:,}" if stretch.requests else f"{stretch.first:,}–"


def _disagree(stretch: Stretch) -> str:
    return f"{stretch.disagree} of {stretch.local} disagree" if stretch.local else "no local answers"


def _money(tally: DemoTally) -> str:
    return f"${tally.whole.saved_usd:.4f}"


def _of(count: int, n: int) -> str:
    return f"{count / n:.1%}" if n else "none"
