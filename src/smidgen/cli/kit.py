"""`smidgen kit`: write one folder with everything that a machine without a network needs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from smidgen.cli.screen import Screen, out, print_json


def kit(
    place: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make, new or empty.")],
    train: Annotated[bool, typer.Option("--train", help="Also what building needs: PyTorch and the starter bases.")] = False,
    web: Annotated[bool, typer.Option("--web", help="Also what an export to the browser needs (14 MB).")] = False,
    bases: Annotated[
        list[str] | None, typer.Option("--base", help="A starter base to add (default: minilm and smollm2 with --train).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Write a folder that installs smidgen without a network.

    It holds wheels, bases, the web runtime, and a script that checks hashes and installs. The wheels are those of the
    versions installed here, for this system and this version of Python.

    Example: smidgen kit smidgen-kit --train --web
    """
    from smidgen.flows.kit import kit_digest, write_kit

    with Screen(quiet=as_json) as screen:
        made = write_kit(place, train=train, web=web, bases=bases, progress=screen)
    if as_json:
        facts = {"folder": str(made.folder), "wheels": made.wheels, "bases": list(made.bases), "web": made.web, "size": made.size}
        print_json({**facts, "sha256": kit_digest(made.folder)})
        return
    held = [f"{made.wheels} wheels", *made.bases, *(["web runtime"] if made.web else [])]
    out.print(f"[bold]{escape(str(made.folder))}[/]  {', '.join(held)}, {made.size / 1e6:,.0f} MB", soft_wrap=True)
    out.print(f"SHA-256 of its list of hashes: {kit_digest(made.folder)}", soft_wrap=True)
    out.print("\nCopy the folder to the other machine, and run there: python3 install.py smidgen-env")


part = kit
