"""`smidgen doctor`: what this machine can do, what is missing, and the command that mends it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape

from smidgen.cli.screen import out, print_json

_MARKS = {"ok": "[green]ok     [/]", "warn": "[yellow]warn   [/]", "missing": "[red]missing[/]"}


def doctor(
    online: Annotated[bool, typer.Option("--online", help="Also ask whether the model hub can be reached (two seconds at most).")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False,
) -> int:
    """Say what this machine can do and what is missing, with the command that mends it.

    Ends with exit code 1 only where something that smidgen cannot do without is broken.

    Example: smidgen doctor --online
    """
    from smidgen.cli.checkup import checks

    found = list(checks(online))
    broken = [check.name for check in found if check.required and check.state == "missing"]
    if as_json:
        print_json({"ok": not broken, "checks": [asdict(check) for check in found]})
        return int(bool(broken))
    width = max(len(check.name) for check in found)
    for check in found:
        mend = f"  [dim]→ {escape(check.mend)}[/]" if check.mend else ""
        out.print(f"{_MARKS[check.state]} {check.name:<{width}}  {escape(check.value)}{mend}", soft_wrap=True)
    if broken:
        out.print(f"\n[red]Broken:[/] {', '.join(broken)}. smidgen does not work until this is mended.")
    elif any(check.state == "missing" for check in found):
        out.print("\nThis machine can serve. What is missing above is needed for building only.")
    else:
        out.print("\nThis machine can build and serve.")
    return int(bool(broken))


part = doctor
