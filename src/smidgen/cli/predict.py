"""`smidgen predict`: answer every row of a file with a bundle."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from smidgen.cli.flags import Threads
from smidgen.cli.screen import Screen, errors
from smidgen.core.errors import InputError


def predict(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    file: Annotated[str | None, typer.Argument(metavar="FILE", help='File of texts; "-" is standard input.')] = None,
    data: Annotated[str | None, typer.Option(help="The same as FILE.")] = None,
    to: Annotated[
        str,
        typer.Option(
            "--out",
            help="Where to write: .jsonl (one JSON object a line), or .csv, .tsv or .xlsx (its columns and the answer); "
            '"-" is standard output.',
        ),
    ] = "-",
    input: Annotated[str | None, typer.Option(help="Column of the text (default: as the bundle remembers).")] = None,
    threads: Threads = None,
) -> None:
    """Answer every row of a file, in its order.

    One bad row does not lose the rest. A stopped run goes on where it stopped.

    Example: smidgen predict my-model in.csv --out answers.csv
    """
    source = file or data
    if source is None or (file is not None and data is not None):
        raise InputError("cli.one_file_of_texts_is_needed", path=file or "none", data=data or "none")
    from smidgen.flows.local_model import load
    from smidgen.flows.prediction import predict as run

    with Screen(quiet=to == "-") as screen, closing(load(bundle, threads)) as model:
        done = run(model, source, to, input=input, progress=screen)
    if done.failed:
        rows = "row" if done.failed == 1 else "rows"
        errors.print(f"{done.failed} {rows} could not be used; each has an error in its place in the output.")


part = predict
