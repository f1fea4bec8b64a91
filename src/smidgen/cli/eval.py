"""`smidgen eval`: measure a bundle on examples that it has not seen."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from smidgen.cli.flags import AsJson, Threads
from smidgen.cli.screen import Screen, errors, out, plain_table, print_json
from smidgen.core import quantities


def evaluate(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    data: Annotated[str, typer.Option(help="File of examples with their wanted outputs.")],
    input: Annotated[str | None, typer.Option(help="Column of the text (default: as the bundle remembers).")] = None,
    label: Annotated[str | None, typer.Option(help="Column of the wanted output (default: as the bundle remembers).")] = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--errors",
            metavar="FILE",
            help="Write the rows that it got wrong to this file, with the answer and its score behind their own columns: .csv (in the "
            "dialect of the data), .tsv, .xlsx or .jsonl. Of texts: those with a grade under 0.5.",
        ),
    ] = None,
    tools_env: Annotated[
        str | None,
        typer.Option(
            "--tools-env",
            metavar="FILE",
            help="Of a desk: make its calls, in a test copy of your systems. A JSON file with the values of the variables that tools name, "
            "or sample-shop for the sample's.",
        ),
    ] = None,
    tools: Annotated[Path | None, typer.Option(help="Of a desk: its tool file (default: the one that it was built with).")] = None,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Measure a bundle on a file: metrics with 95 % intervals, speed.

    Example: smidgen eval my-model --data test.csv --json
    """
    from smidgen.flows.evaluation import evaluate as run
    from smidgen.flows.local_model import load
    from smidgen.judge import wording
    from smidgen.judge.sections import measured

    with Screen(quiet=as_json) as screen, closing(load(bundle, threads)) as model:
        result = run(model, data, input=input, label=label, errors=to, tools_env=tools_env, tools=tools, progress=screen)
    if as_json:
        print_json(result.json())
        for said in (result.warning, result.few):
            if said:
                errors.print(f"warning: {escape(said)}", soft_wrap=True)
        return
    table = plain_table("metric", "value", "95 % interval")
    for name, metric in result.metrics.items():
        if wording.known(result.headline) and wording.known(name):
            found = measured(metric)
            table.add_row(wording.name(name), wording.amount(name, found.value if found else None), wording.span(name, found))
        else:
            value, low, high = (quantities.in_unit(one, result.units.get(name, ""), 2) for one in (metric.value, metric.low, metric.high))
            table.add_row(escape(name), escape(value), escape(f"{low} to {high}"))
    out.print(
        f"[bold]{escape(result.name)}[/] on {result.n} rows" + (f" ({result.skipped} unusable rows left out)" if result.skipped else "")
    )
    out.print(table)
    for said in (result.warning, result.few):
        if said:
            errors.print(f"[yellow]warning:[/] {escape(said)}", soft_wrap=True)
    if to is not None:
        out.print(f"{result.errors:,} errors: [bold]{escape(to)}[/]", soft_wrap=True)
    tokens = result.tokens_per_second
    out.print(f"expected calibration error {result.ece:.3f}")
    if tokens is None:
        out.print(f"one text {result.p50:.2f} ms (p99 {result.p99:.2f}), {result.texts_per_second:,.0f} texts/s in batches")
    else:
        out.print(f"one text {result.p50:,.0f} ms (p99 {result.p99:,.0f}), {tokens:,.0f} tokens/s in batches")


part = evaluate
