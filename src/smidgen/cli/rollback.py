"""`smidgen rollback`: serve an earlier champion of a line again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from smidgen.cli.flags import AsJson
from smidgen.cli.screen import out, print_json


def rollback(
    line: Annotated[Path, typer.Argument(metavar="LINE", help="Folder of the line.")],
    to: Annotated[str | None, typer.Option(help="The version to go back to (default: the champion before this one).")] = None,
    reason: Annotated[str | None, typer.Option(help="Why, for the line's history.")] = None,
    as_json: AsJson = False,
) -> None:
    """Go back to an earlier champion of a line.

    A server of the line switches within two seconds; requests in flight end with the old one.

    Example: smidgen rollback my-line
    """
    from smidgen.flows.learn.promotion import roll_back

    done = roll_back(line, to, reason)
    if as_json:
        print_json(done.json())
        return
    out.print(f"[bold]{escape(done.line)}[/]: {escape(done.champion)} serves again, in place of {escape(str(done.before))}")
    if done.standing.valid:
        out.print(f"Its certificate holds {escape(done.standing.why)}.", soft_wrap=True)
    else:
        out.print(f"[yellow]Its certificate does not hold[/] ({escape(done.standing.why)}): everything escalates.", soft_wrap=True)


part = rollback
