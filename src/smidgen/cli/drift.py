"""`smidgen drift`: test whether the traffic of a served model is still like the examples that it was made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from smidgen.cli.flags import AsJson, with_flags
from smidgen.cli.screen import Screen, out, plain_table, print_json, print_line
from smidgen.core.settings import settings_of
from smidgen.flows.drift import DriftSettings

if TYPE_CHECKING:
    from smidgen.flows.drift.check import DriftLook

_FIRST = tuple(settings_of(DriftSettings))


@with_flags(DriftSettings, _FIRST)
def drift(
    settings: DriftSettings,
    model: str = typer.Argument(metavar="NAME|DIR", help="Name of a served line or bundle, or its folder."),
    fail_on_drift: bool = typer.Option(False, "--fail-on-drift", help="Exit with code 1 on an alarm."),
    as_json: AsJson = False,
) -> None:
    """Test whether captured requests still look like the old ones.

    It shows what changed, by how much, with examples.

    Example: smidgen drift my-line --recent 500
    """
    from smidgen.flows.drift.check import folder_of_name, look_for_drift

    with Screen(quiet=as_json) as screen:
        done = look_for_drift(folder_of_name(model), settings, screen)
    if as_json:
        print_json(done.json())
    else:
        show(done)
    if fail_on_drift and done.alarm:
        raise typer.Exit(1)


def show(done: DriftLook) -> None:
    """Print the result of a drift test."""
    facts = done.json()
    earlier, later = facts["reference"], facts["recent"]
    out.print(
        f"[bold]{escape(done.name)}[/] {escape(done.bundle_id)}: {_size(later)}, against {_size(earlier)}: {escape(earlier['what'])}",
        soft_wrap=True,
    )
    if done.judgement is None:
        out.print(f"[yellow]not tested:[/] {escape(done.why)}", soft_wrap=True)
        return
    table = plain_table("what", "moved", "size", "p", "")
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
            print_line(f"  {example}")
    _verdict(done)


def _verdict(done: DriftLook) -> None:
    judgement = done.judgement
    assert judgement is not None
    tested = f"look {judgement.look}, tested at {judgement.spent:.2g}; an alarm takes {judgement.least:.0%} or more"
    if judgement.alarm:
        moved = ", ".join(test.what for test in judgement.tests if test.alarm)
        out.print(f"[red]alarm:[/] {escape(moved)} moved ({tested})", soft_wrap=True)
    else:
        out.print(f"[green]no alarm[/] ({tested})", soft_wrap=True)
    if judgement.blind:
        out.print(
            "[yellow]After so many looks, no further one can raise an alarm. A new version of the line starts counting again.[/]",
            soft_wrap=True,
        )


def _size(stretch: dict[str, object]) -> str:
    texts = stretch["texts"]
    return f"{stretch['requests']:,} requests" + (f" ({texts:,} different texts)" if texts is not None else "")


part = drift
