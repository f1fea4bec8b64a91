"""`smidgen eval`: measure a bundle on examples that it has not seen."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from smidgen.cli.flags import AsJson, Threads
from smidgen.cli.screen import Screen, errors, out, plain_table, print_json
from smidgen.core import quantities
from smidgen.core.errors import InputError

if TYPE_CHECKING:
    from smidgen.data.teacher.settings import TeacherSettings
    from smidgen.flows.build.large_baseline import LargeBaseline


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
            "or sample-shop for the sample's. Default: that of its recipe, if it was built here.",
        ),
    ] = None,
    tools: Annotated[Path | None, typer.Option(help="Of a desk: its tool file (default: the one that it was built with).")] = None,
    teacher: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Ask a large model the same, for comparison: the URL of an OpenAI-compatible server."),
    ] = None,
    teacher_model: Annotated[str, typer.Option(help="Its name, as the server knows it. Its key: SMIDGEN_TEACHER_KEY.")] = "default",
    budget_usd: Annotated[float | None, typer.Option(help="Most US dollars for its answers.")] = None,
    budget_tokens: Annotated[int | None, typer.Option(help="Most tokens for its answers, in and out.")] = None,
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

    larger = _larger(teacher, teacher_model, budget_usd, budget_tokens) if teacher is not None else None
    with Screen(quiet=as_json) as screen, closing(load(bundle, threads)) as model:
        result = run(model, data, input=input, label=label, errors=to, tools_env=tools_env, tools=tools, larger=larger, progress=screen)
    if as_json:
        print_json(result.json())
        for said in (result.warning, result.few):
            if said:
                errors.print(f"warning: {escape(said)}", soft_wrap=True)
        return
    table = plain_table("metric", "value", "95 % interval")
    few = result.too_few
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
    if few is None:
        out.print(table)
    if result.large is not None:
        _print_large(result.large, result.headline)
    for said in (result.warning, result.few):
        if said:
            errors.print(f"[yellow]warning:[/] {escape(said)}", soft_wrap=True)
    if to is not None:
        out.print(f"{result.errors:,} errors: [bold]{escape(to)}[/]", soft_wrap=True)
    tokens = result.tokens_per_second
    if few is None:
        out.print(f"expected calibration error {result.ece:.3f}")
    if tokens is None:
        out.print(f"one text {result.p50:.2f} ms (p99 {result.p99:.2f}), {result.texts_per_second:,.0f} texts/s in batches")
    else:
        out.print(f"one text {result.p50:,.0f} ms (p99 {result.p99:,.0f}), {tokens:,.0f} tokens/s in batches")


def _larger(url: str, model: str, budget_usd: float | None, budget_tokens: int | None) -> TeacherSettings:
    """The settings of a large model. Raises InputError for those that cannot be used."""
    from pydantic import ValidationError

    from smidgen.data.teacher.settings import TeacherSettings

    try:
        return TeacherSettings(source=url, model=model, uses=("compare",), budget_usd=budget_usd, budget_tokens=budget_tokens)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            "cli.teacher_flag_cannot_be_used" if first["loc"][0] == "source" else "cli.eval_flag_cannot_be_used",
            value=first["input"],
            reason=first["msg"],
            flag=None if first["loc"][0] == "source" else (str(first["loc"][0]).replace("_", "-")),
        ) from None


def _print_large(large: LargeBaseline, headline: str) -> None:
    """A large model's result, in two lines."""
    value, low, high = (f"{one:.1%}" for one in (large.metric.value, large.metric.low, large.metric.high))
    seconds = f", {large.seconds:.2f} s an answer" if large.seconds is not None else ""
    left = f" ({large.left:,} others were not asked)" if large.left else ""
    said = f"{headline} {value} (95 %: {low} to {high}); this model {large.own.value:.1%}"
    out.print(f"{escape(large.model)} on {large.metric.n:,} of these rows{left}: {said}", soft_wrap=True)
    out.print(f"{large.cost}{seconds}; {large.unheard:,} answers could not be used", soft_wrap=True)


part = evaluate
