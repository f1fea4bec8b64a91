"""`smidgen learn`: build a line's next version and decide whether to promote it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from smidgen.cli.flags import with_flags
from smidgen.cli.screen import Screen, errors, out, print_json, print_line
from smidgen.core.errors import InputError, SmidgenError
from smidgen.flows.drift import DriftSettings
from smidgen.flows.learn.settings import LearnSettings

if TYPE_CHECKING:
    from smidgen.flows.learn.cycle import LearnResult
    from smidgen.store.line import Line

_FIRST = ("start", "task", "data", "input", "label", "job", "every", "when_new", "threads")


@with_flags(LearnSettings, _FIRST, without=("audit_days",))
def learn(
    settings: LearnSettings,
    line: Path = typer.Argument(metavar="LINE", help="Folder of the line. It is made if there is none."),
    as_json: bool = typer.Option(False, "--json", help="Print the result as JSON; one line per version when learning repeatedly."),
) -> None:
    """Build, compare, certify and promote a line's next version.

    The version learns from everything known now. If it is not promoted, you read why. Rows that compare and rows that certify are held
    out for ever: no version learns from them.

    Example: smidgen learn my-line --from my-model --data more.csv
    """
    from smidgen.flows.learn.cycle import learn as run
    from smidgen.flows.learn.line_data import count_new_pairs
    from smidgen.flows.learn.schedule import run_schedule
    from smidgen.store.line import Line

    schedule, traffic = settings.repeat.schedule(), settings.traffic
    if not traffic.use and (schedule is not None or traffic.jobs):
        raise InputError("cli.jobs_and_repeated_learning_need_traffic", value="--no-traffic")

    def once(wanted: LearnSettings) -> None:
        with Screen(quiet=as_json) as screen:
            _show(run(line, wanted, screen), as_json, schedule is not None)
        if not as_json and schedule is None:
            _show_serving(Line(line))

    told = settings.line.bundle is not None or bool(settings.rows.files or traffic.jobs or traffic.forget)
    if told or schedule is None:
        once(settings)
    if schedule is None:
        return
    given = settings.given()
    later = LearnSettings(**{name: value for name, value in given.items() if name not in ("start", "data", "job", "forget")})
    grown = settings.repeat.when_grown or 0.0
    counted: dict[datetime, int] = {}

    def new(most: int) -> int:
        return count_new_pairs(Line(line), traffic, most, grown, before=counted)

    looks = _DriftLooks(line, DriftSettings(asked=traffic.asked, threads=settings.build.threads))
    with _until_stopped() as stop:
        run_schedule(lambda: once(later), new, schedule, stop, _say, at_once=not told, drifted=looks)


def _show(done: LearnResult, as_json: bool, again: bool) -> None:
    if as_json:
        print_json(done.json(), indent=None if again else 2)
        return
    from smidgen.flows.learn.traffic_rows import MASKED, MASKED_TODO

    rows = done.rows
    counts = ", ".join(f"{count:,} {name}" for name, count in rows["sources"].items())
    learning, choosing, certifying = (rows[use] for use in ("learning", "choosing", "certifying"))
    print_line(f"rows: {learning:,} to learn from ({counts}), {choosing:,} to compare on, {certifying:,} to certify on")
    notes = [f"{count:,} left out: {why}" for why, count in rows["unusable"].items()]
    if lost := rows["traffic"]["says"]:
        notes.append(f"not captured: {lost}")
    if disagreeing := rows["certifying_masked"]:
        notes.append(f"{disagreeing:,} of those to certify on count as disagreements, because their answers were masked")
    if disagreeing or MASKED in rows["unusable"]:
        notes.append(MASKED_TODO)
    if done.sources:
        out.print(f"[dim]read: {escape('; '.join(done.sources))}[/]", soft_wrap=True)
    for note in notes:
        out.print(f"[dim]·[/] {escape(note)}", soft_wrap=True)
    paper = done.certification.certificate if done.certification is not None else None
    if paper is not None:
        print_line(f"certificate: {paper.statement} It answers {paper.share:.1%} of the certifying rows.")
    if done.certification is not None and done.certification.outlook is not None:
        print_line(f"to a certificate: {done.certification.outlook.said(datetime.now(UTC))}")
    outcome = "[green]promoted[/]" if done.promoted else "[yellow]kept[/]"
    out.print(f"{outcome} {escape(str(done.champion))}: {escape(done.why)}", soft_wrap=True)


def _show_serving(line: Line) -> None:
    """Print how requests of its jobs reach a line with a champion.

    Without a change in the client, they reach it only if the champion's certificate covers the job.
    """
    from smidgen.flows.certify.certification import certificate_standing

    pointer = line.read()
    if not pointer.jobs or pointer.champion is None:
        return
    asked = pointer.jobs[-1].asked
    job, known = pointer.jobs[-1], certificate_standing(line.folder)
    takes = job.told and known.valid and known.certificate is not None and job.scope in known.certificate.calibration.jobs
    taken = "; or change nothing, and serve with --take" if takes else ""
    upstream = f" --fallback-model {asked}" if asked and asked != pointer.name else ""
    print_line(f"serve it: smidgen serve {line.folder} --fallback URL{upstream} --capture answers")
    before = f' in place of model="{asked}"' if upstream else ""
    print_line(f'and in the client: model="{pointer.name}"{before}{taken}')


class _DriftLooks:
    """Test a line's traffic for drift when enough of it is new, even if the last test had too little traffic."""

    def __init__(self, line: Path, settings: DriftSettings) -> None:
        self._line, self._settings = line, settings
        self._after: datetime | None = None

    def __call__(self) -> bool:
        """Return whether there is an alarm."""
        from smidgen.flows.drift import check

        if not check.is_look_due(self._line, self._settings, self._after):
            return False
        found = check.look_for_drift(self._line, self._settings)
        self._after = found.windows.last
        if found.judgement is None:
            return False
        # What may be kept alone: words come from texts, and a log outlives what is deleted from the store.
        tests = [test for test in found.judgement.json(examples=False)["tests"] if test["alarm"]]
        moved = "; ".join(f"{test['what']} moved by {test['size']:.1%}" + (f": {test['says']}" if "says" in test else "") for test in tests)
        errors.print(f"drift, look {found.judgement.look}: {escape(moved) or 'no alarm'}")
        return found.alarm


def _say(error: SmidgenError | OSError) -> None:
    errors.print(f"[bold red]error:[/] {escape(str(error))}")


@contextmanager
def _until_stopped() -> Iterator[threading.Event]:
    """Yield an event that SIGTERM or Ctrl-C sets. A second signal ends the program at once."""
    stop = threading.Event()

    def stopped(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, stopped) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


part = learn
