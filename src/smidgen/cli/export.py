"""`smidgen export`: write a bundle as files for another program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from smidgen.cli.screen import Screen, out, print_json, print_line
from smidgen.parts import registry


def export(
    bundle: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the bundle.")],
    to: Annotated[str, typer.Option(help=f"For which program: {', '.join(registry.names('flows.export'))}.")],
    place: Annotated[
        Path | None, typer.Option("--out", help="The folder to make, new or empty (default: the bundle's name and the program's, here).")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what was written as JSON: files with their hashes, notes, commands.")
    ] = False,
) -> None:
    """Write a bundle for Ollama, LM Studio, transformers or a browser.

    It refuses a bundle that the other program cannot run.

    Example: smidgen export my-model --to ollama
    """
    from smidgen.flows.export.exporter import export as run

    with Screen(quiet=as_json) as screen:
        done = run(bundle, to, place, screen)
    if as_json:
        print_json(done.json())
        return
    for note in done.told.notes:
        out.print(f"[dim]·[/] {escape(note)}", soft_wrap=True)
    if done.told.commands:
        out.print(f"\nIn {escape(str(done.folder))}:", soft_wrap=True)
        for command in done.told.commands:
            print_line(f"  {command}")


part = export
