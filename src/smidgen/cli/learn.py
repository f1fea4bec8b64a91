"""`smidgen learn`: a line's next version, and whether it takes over."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.markup import escape

from smidgen.cli.screen import Screen, errors, out, print_json
from smidgen.core.errors import InputError, SmidgenError
from smidgen.parts import registry

if TYPE_CHECKING:
    from smidgen.flows.learn.cycle import LearnResult
    from smidgen.store.line import Line

_FEWEST_NEW = 100
"""Captured answers that must be new before there is anything to learn, where nothing else is said."""


def learn(
    line: Annotated[Path, typer.Argument(metavar="LINE", help="Folder of the line; made where there is none.")],
    start: Annotated[Path | None, typer.Option("--from", help="Bundle that a new line begins with.")] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help=f"Kind of job of a line that begins with none: {', '.join(registry.names('tasks'))} (default: as a --job's answers are)."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of a new line, which it is served under (default: the folder's).")] = None,
    data: Annotated[
        list[Path] | None, typer.Option(help="File of examples that the line is given; it keeps them. May be repeated.")
    ] = None,
    input: Annotated[str | None, typer.Option(help="Column of the text (default: as the champion remembers).")] = None,
    label: Annotated[str | None, typer.Option(help="Column of the wanted output (default: as the champion remembers).")] = None,
    hold_out: Annotated[
        float | None, typer.Option(help="Of a new line: share of the given rows that is never learnt from (default: 0.3).")
    ] = None,
    traffic: Annotated[bool, typer.Option("--traffic/--no-traffic", help="Whether captured requests are learnt from.")] = True,
    asked: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Also learn from requests that named this model, now and later: the line remembers the name. With a --job: only those of "
            "its requests that named it, this time.",
        ),
    ] = None,
    forget: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|ID", help="Stop learning from the requests of an --asked name or a --job. May be repeated."),
    ] = None,
    template: Annotated[str | None, typer.Option(help="Only captured requests of this group.")] = None,
    job: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID",
            help="A recurring job of `smidgen traffic --jobs`: the line learns from its requests alone, now and later. May be repeated.",
        ),
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="Only rows that were given or captured from then on, in UTC."),
    ] = None,
    max_rows: Annotated[int, typer.Option(help="Most rows that are learnt from; of more, those that teach most.")] = 20_000,
    override: Annotated[list[str] | None, typer.Option("--set", help="Any setting: section.name=value. May be repeated.")] = None,
    level: Annotated[
        float,
        typer.Option(
            help="Chance that one which is not better is ever taken for better, of all since the last revocation: the k-th is compared at "
            "level/(k(k+1))."
        ),
    ] = 0.05,
    margin: Annotated[
        float, typer.Option(help="By how much a certified one may be worse than an uncertified champion, where it is shown to be.")
    ] = 0.02,
    alpha: Annotated[
        float | None, typer.Option(help="Share of local answers that may disagree (default: as the champion's certificate, else 0.05).")
    ] = None,
    delta: Annotated[
        float | None,
        typer.Option(
            help="Chance that this does not hold of some certificate since the last revocation: the k-th is tested for at delta/(k(k+1)) "
            "(default: as the champion's, else 0.05)."
        ),
    ] = None,
    overall: Annotated[
        float | None,
        typer.Option(
            help="Of all requests, the share that may be answered locally and disagree, on average; see smidgen certify (default: as the "
            "champion's certificate, else as alpha has it)."
        ),
    ] = None,
    reference: Annotated[
        Literal["gold", "model", "reviews"] | None,
        typer.Option(help="Whose outputs certify (default: as the champion's certificate, else whose most are)."),
    ] = None,
    reference_model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The large model whose answers certify, where they do (default: who answered most of the newest 100 rows)."
        ),
    ] = None,
    loss: Annotated[
        Literal["likeness", "attributes"] | None,
        typer.Option(
            help="Of texts, what alpha bounds the mean of: 1 − ROUGE-L of the reference's outputs; or the share of the request's "
            "attributes that the text leaves out or makes up (default: as the champion's certificate, else likeness)."
        ),
    ] = None,
    valid_days: Annotated[int, typer.Option(help="Days until the certificate expires.")] = 90,
    likely: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Test for a certificate only where, by the rows that choose, one is at least so likely; 0 tests always. A test in vain "
            "makes the next ones stricter.",
        ),
    ] = 0.8,
    uncertified: Annotated[
        Literal["keep", "promote"], typer.Option(help="What becomes of a better one that could not be certified.")
    ] = "keep",
    fewer_labels: Annotated[
        Literal["keep", "promote"],
        typer.Option(help="What becomes of one that does not know every label of the champion any more, for want of rows."),
    ] = "keep",
    every: Annotated[str | None, typer.Option(help="Learn again and again, so far apart: 30m, 1h, 7d.")] = None,
    when_new: Annotated[
        int | None,
        typer.Option(min=1, help="Learn whenever so many new captured answers are there; after a failure, when so many more are."),
    ] = None,
    when_grown: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            help="Learn whenever captured answers have grown by this share (0.3: by three tenths), and by 100 or --when-new at least. It "
            "looks seldom at what is held out, and the oftener the less is known.",
        ),
    ] = None,
    when_drift: Annotated[
        bool,
        typer.Option(
            "--when-drift",
            help="Learn whenever a look at the newest captured requests raises the alarm of smidgen drift: at 500, or as many more, up to "
            "2,000, as have 50 held-out texts among them.",
        ),
    ] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads to compute with (default: one a core).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON; one line each where it learns again.")] = False,
) -> None:
    """Build, compare, certify and promote a line's next version.

    The version learns from all that is known now. Where it is not promoted, you read why. Rows that compare and rows that certify are
    held out for ever: no version learns from them.

    Example: smidgen learn my-line --from my-model --data more.csv
    """
    from smidgen.flows.learn.cycle import LearnRequest
    from smidgen.flows.learn.cycle import learn as run
    from smidgen.flows.learn.line_certificate import CertificateRequest
    from smidgen.flows.learn.line_data import CaptureFilter, count_new_pairs
    from smidgen.flows.learn.schedule import LearnSchedule, parse_duration, run_schedule
    from smidgen.store.line import Line

    capture = CaptureFilter(traffic, None, asked, template, since.replace(tzinfo=UTC) if since is not None else None)
    ask = LearnRequest(
        task=task,
        start=start,
        name=name,
        data=tuple(data or ()),
        input=input,
        label=label,
        hold_out=hold_out,
        capture=capture,
        jobs=tuple(job or ()),
        forget=tuple(forget or ()),
        overrides=tuple(override or ()),
        max_rows=max_rows,
        level=level,
        margin=margin,
        certificate=CertificateRequest(alpha, delta, reference, valid_days, likely, reference_model, loss, overall),
        anyway=uncertified == "promote",
        fewer_labels=fewer_labels == "promote",
        threads=threads,
    )
    if when_grown is not None and when_new is None:
        when_new = _FEWEST_NEW
    again = every is not None or when_new is not None or when_drift
    if again and not traffic:
        todo = "Leave out --every, --when-new, --when-grown and --when-drift."
        raise InputError("what comes anew are captured requests", value="--no-traffic", todo=todo)
    if job and not traffic:
        raise InputError("a job's requests are captured ones", value="--no-traffic", todo="Leave out --job, or --no-traffic.")
    schedule = LearnSchedule(parse_duration(every) if every is not None else None, when_new, when_drift)

    def once(wanted: LearnRequest) -> None:
        with Screen(quiet=as_json) as screen:
            _show(run(line, wanted, screen), as_json, again)
        if not as_json and not again:
            _use(Line(line))

    told = start is not None or bool(data) or bool(job) or bool(forget)
    if told or not again:
        once(ask)
    if not again:
        return
    later = replace(ask, start=None, data=(), jobs=(), forget=())

    counted: dict[datetime, int] = {}

    def new(most: int) -> int:
        return count_new_pairs(Line(line), capture, most, when_grown or 0.0, before=counted)

    with _until_stopped() as stop:
        run_schedule(
            lambda: once(later),
            new,
            schedule,
            stop,
            _say,
            at_once=not told,
            drifted=_Looks(line, asked, threads),
        )


def _show(done: LearnResult, as_json: bool, again: bool) -> None:
    if as_json and again:
        print_json(done.json(), indent=None)
        return
    if as_json:
        print_json(done.json())
        return
    from smidgen.flows.learn.traffic_rows import MASKED, MASKED_TODO

    rows = done.rows
    counts = escape(", ".join(f"{count:,} {name}" for name, count in rows["sources"].items()))
    out.print(
        f"rows: {rows['learning']:,} to learn from ({counts}), {rows['choosing']:,} to choose by, {rows['certifying']:,} to certify on",
        soft_wrap=True,
    )
    if done.sources:
        out.print(f"[dim]read: {escape('; '.join(done.sources))}[/]", soft_wrap=True)
    for why, count in rows["unusable"].items():
        out.print(f"[dim]·[/] {count:,} left out: {escape(why)}", soft_wrap=True)
    if lost := rows["traffic"]["says"]:
        out.print(f"[dim]·[/] never seen: {escape(lost)}", soft_wrap=True)
    disagreeing = rows["certifying_masked"]
    if disagreeing:
        out.print(f"[dim]·[/] {disagreeing:,} to certify on count as disagreements: their answers were masked as well", soft_wrap=True)
    if disagreeing or MASKED in rows["unusable"]:
        out.print(f"[dim]·[/] {escape(MASKED_TODO)}", soft_wrap=True)
    paper = done.attested.certificate if done.attested is not None else None
    if paper is not None:
        out.print(f"certificate: {escape(paper.statement)} It answers {paper.share:.1%} of the certifying rows.", soft_wrap=True)
    if done.attested is not None and done.attested.outlook is not None:
        out.print(f"to a certificate: {escape(done.attested.outlook.said(datetime.now(UTC)))}", soft_wrap=True)
    if done.promoted:
        out.print(f"[green]promoted[/] {escape(str(done.champion))}: {escape(done.why)}", soft_wrap=True)
    else:
        out.print(f"[yellow]kept[/] {escape(str(done.champion))}: {escape(done.why)}", soft_wrap=True)


def _use(line: Line) -> None:
    """How requests of its jobs come to the line that has a champion. Without a word in the client they do only where the champion's
    certificate knows the job."""
    from smidgen.flows.certify.certification import certificate_standing

    pointer = line.read()
    if not pointer.jobs or pointer.champion is None:
        return
    asked = pointer.jobs[-1].asked
    job, known = pointer.jobs[-1], certificate_standing(line.folder)
    takes = job.told and known.valid and known.certificate is not None and job.scope in known.certificate.calibration.jobs
    taken = "; or nothing, where it is served with --take" if takes else ""
    upstream = f" --fallback-model {asked}" if asked and asked != pointer.name else ""
    out.print(f"serve it: smidgen serve {line.folder} --fallback URL{upstream} --capture answers", markup=False, soft_wrap=True)
    before = f' in place of model="{asked}"' if upstream else ""
    out.print(f'and in the client: model="{pointer.name}"{before}{taken}', markup=False, soft_wrap=True)


class _Looks:
    """Looks at a line's traffic where enough of it is new, also where the last time there was too little to tell anything."""

    def __init__(self, line: Path, asked: str | None, threads: int | None) -> None:
        self._line, self._asked, self._threads = line, asked, threads
        self._after: datetime | None = None

    def __call__(self) -> bool:
        """Whether there is an alarm."""
        from smidgen.flows.drift import check

        ask = check.DriftRequest(asked=self._asked, threads=self._threads)
        if not check.is_look_due(self._line, ask, self._after):
            return False
        found = check.look_for_drift(self._line, ask)
        self._after = found.windows.last
        if found.judgement is None:
            return False
        # What may live on alone: of words these are words of texts, and a log outlives what is deleted from the store.
        tests = [test for test in found.judgement.json(examples=False)["tests"] if test["alarm"]]
        moved = "; ".join(f"{test['what']} moved by {test['size']:.1%}" + (f": {test['says']}" if "says" in test else "") for test in tests)
        errors.print(f"drift, look {found.judgement.look}: {escape(moved) or 'no alarm'}")
        return found.alarm


def _say(error: SmidgenError | OSError) -> None:
    errors.print(f"[bold red]error:[/] {escape(str(error))}")


@contextmanager
def _until_stopped() -> Iterator[threading.Event]:
    """An event that is set by SIGTERM or Ctrl-C; a second one ends at once."""
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
