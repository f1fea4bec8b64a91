"""`smidgen redact`: write a copy of a file without its personal data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from smidgen.cli.flags import Threads
from smidgen.cli.screen import Screen, errors, out, plain_table, print_json
from smidgen.privacy.public_names import KNOWN_HELP, PublicNames

if TYPE_CHECKING:
    from smidgen.flows.redact_file import RedactedFile


def redact(
    file: Annotated[str, typer.Argument(help="Data file: CSV, TSV, JSONL, Parquet or XLSX; - is standard input.")],
    to: Annotated[Path, typer.Option("--out", help="The copy to write, in the format of the file.")],
    input: Annotated[
        str | None, typer.Option(help="Columns to read, joined by commas; the others are copied as they are (default: all are read).")
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(
            help="A kind to find, wherever it stands: person, address, ... (default: all; places, organisations and dates only in a row "
            "that also names a person). `all`: every kind, wherever it stands."
        ),
    ] = None,
    known: Annotated[list[str] | None, typer.Option(help=KNOWN_HELP)] = None,
    bundle: Annotated[
        Path | None, typer.Option(help="Folder of a bundle of your own that finds spans, in place of the shipped one.")
    ] = None,
    threads: Threads = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON: counts by kind, rows that were left out.")] = False,
) -> None:
    """Write a copy of a file without its personal data.

    Placeholders such as [PERSON_1] stand in place of it. A row that cannot be made safe is left out and listed.

    Example: smidgen redact messages.csv --input text --out messages.safe.csv
    """
    from smidgen.flows.redact_file import redact as run
    from smidgen.flows.redaction_model import finder

    with Screen(quiet=as_json) as screen:
        done = run(file, to, finder(bundle, kind or (), threads, PublicNames(known or ())), input=input, progress=screen)
    if as_json:
        print_json(done.json())
        return
    _print(done)


def _print(done: RedactedFile) -> None:
    table = plain_table("taken out", "kind", right=(0,))
    for kind, count in done.found.most_common():
        table.add_row(f"{count:,}", escape(kind))
    if done.found:
        out.print(table)
    out.print(f"[bold]{escape(str(done.out))}[/]: {done.rows:,} rows, {done.found.total():,} pieces taken out", soft_wrap=True)
    if done.copied:
        out.print(f"[yellow]Not read, and copied as they are:[/] {escape(', '.join(done.copied))}", soft_wrap=True)
    if done.left_out:
        rows = "row" if done.left_out == 1 else "rows"
        errors.print(f"{done.left_out:,} {rows} could not be made safe and left out:")
        for number, reason in sorted(done.reasons.items()):
            errors.print(f"  row {number}: {escape(reason)}")
    out.print("[dim]No redaction finds everything: read a sample of the copy before you hand it on.[/]")


part = redact
