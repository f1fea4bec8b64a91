"""`smidgen drift`: whether the traffic of a served model is still like what it was made in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from smidgen.cli.screen import Screen, out, print_json

if TYPE_CHECKING:
    from smidgen.flows.drift.check import DriftLook

_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]


def drift(
    model: Annotated[str, typer.Argument(metavar="NAME|DIR", help="Name of a served line or bundle, or its folder.")],
    recent: Annotated[
        int | None,
        typer.Option(
            help="Most requests that are looked at: the newest (default: 500; of a line up to 2,000, where too few are held out)."
        ),
    ] = None,
    reference: Annotated[int, typer.Option(help="Most earlier requests, or rows, that they are compared with.")] = 2000,
    before: Annotated[
        datetime | None,
        typer.Option(formats=_FORMATS, help="Compare with what came before then, in UTC (default: before the champion's promotion)."),
    ] = None,
    since: Annotated[datetime | None, typer.Option(formats=_FORMATS, help="Look at what came from then on, in UTC.")] = None,
    asked: Annotated[str | None, typer.Option(help="The model that those requests named (default: its own name).")] = None,
    least: Annotated[float, typer.Option(help="Smallest share of the texts that must have come from elsewhere for an alarm.")] = 0.05,
    level: Annotated[float, typer.Option(help="Chance of any false alarm, of all looks at this bundle's traffic together.")] = 0.05,
    fail_on_drift: Annotated[bool, typer.Option("--fail-on-drift", help="Exit with code 1 where there is an alarm.")] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads to compute with (default: one a core).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Test whether captured requests still look like the old ones.

    It shows what changed, by how much, with examples.

    Example: smidgen drift my-line --recent 500
    """
    from smidgen.flows.drift.check import DriftRequest, folder_of_name, look_for_drift

    ask = DriftRequest(asked, recent, reference, _utc(before), _utc(since), level, least, threads)
    with Screen(quiet=as_json) as screen:
        done = look_for_drift(folder_of_name(model), ask, screen)
    if as_json:
        print_json(done.json())
    else:
        show(done)
    if fail_on_drift and done.alarm:
        raise typer.Exit(1)


def show(done: DriftLook) -> None:
    """Print what came of a look."""
    facts = done.json()
    earlier, later = facts["reference"], facts["recent"]
    out.print(
        f"[bold]{escape(done.name)}[/] {escape(done.bundle_id)}: {_size(later)}, against {_size(earlier)}: {escape(earlier['what'])}",
        soft_wrap=True,
    )
    if done.judgement is None:
        out.print(f"[yellow]not looked:[/] {escape(done.why)}", soft_wrap=True)
        return
    table = Table("what", "moved", "size", "p", "", box=None, pad_edge=False, header_style="dim")
    for test in done.judgement.tests:
        moved = "[red]yes[/]" if test.alarm else "a little" if test.sure else "[dim]no[/]"
        table.add_row(escape(test.what), moved, f"{test.size:.1%}", f"{test.adjusted:.2g}", escape(test.says))
    out.print(table)
    for what, why in done.judgement.untested.items():
        out.print(f"[dim]· {escape(what)} was not tested: {escape(why)}[/]", soft_wrap=True)
    for note in done.windows.notes:
        out.print(f"[dim]· {escape(note)}[/]", soft_wrap=True)
    for test in (one for one in done.judgement.tests if one.alarm and one.examples):
        out.print(f"{escape(test.what)}, for example:")
        for example in test.examples:
            out.print(f"  {escape(example)}", soft_wrap=True)
    _verdict(done)


def _verdict(done: DriftLook) -> None:
    judgement = done.judgement
    assert judgement is not None
    tested = f"look {judgement.look}, tested at {judgement.spent:.2g}; an alarm is {judgement.least:.0%} and more"
    if judgement.alarm:
        moved = ", ".join(test.what for test in judgement.tests if test.alarm)
        out.print(f"[red]alarm:[/] moved: {escape(moved)} ({tested})", soft_wrap=True)
    else:
        out.print(f"[green]no alarm[/] ({tested})", soft_wrap=True)
    if judgement.blind:
        out.print(
            "[yellow]So many looks were spent that no further one can raise an alarm. A new version of the line counts them anew.[/]",
            soft_wrap=True,
        )


def _size(stretch: dict[str, object]) -> str:
    texts = stretch["texts"]
    return f"{stretch['requests']:,} requests" + (f" ({texts:,} different texts)" if texts is not None else "")


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None else None


part = drift
