"""`smidgen check`: find problems in a data file before training."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from smidgen.cli.flags import AsJson, Threads
from smidgen.cli.screen import Screen, out, plain_table, print_json, print_line
from smidgen.parts import registry

if TYPE_CHECKING:
    from smidgen.data.cleaning import Cleaning
    from smidgen.data.inspection import DataFinding, Inspection
    from smidgen.data.tables import DataTable as Opened

_COLOURS = {"error": "bold red", "warning": "yellow", "note": "dim"}
_LABELS_SHOWN = 12
_MENDED = ("unusable", "label_names", "leakage", "conflicts", "duplicates")
"""Findings that --fix corrects fully or partly."""
_PROPOSALS_SHOWN = 15


def check(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="Data file: CSV, TSV, JSONL, Parquet or XLSX; - is standard input.")],
    test: Annotated[Path | None, typer.Option(help="Test file: look for training rows that stand in it too.")] = None,
    input: Annotated[str | None, typer.Option(help="Column of the text; two joined by a comma for pairs (default: guessed).")] = None,
    label: Annotated[str | None, typer.Option(help="Column of the wanted output (default: guessed).")] = None,
    task: Annotated[
        str | None, typer.Option(help=f"Kind of job: {', '.join(registry.names('tasks'))} (default: by the form of the outputs).")
    ] = None,
    fix: Annotated[Path | None, typer.Option(help="Write a cleaned copy here, and every change to OUT.changes.csv.", metavar="OUT")] = None,
    relabel: Annotated[
        bool, typer.Option("--relabel", help="With --fix: give likely mislabelled rows the proposed label where that is clear.")
    ] = False,
    override: Annotated[list[str] | None, typer.Option("--set", help="Any setting: data.encoding=cp1252. May be repeated.")] = None,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Check a data file: labels, duplicates, leaks, personal data.

    It also finds conflicts, likely wrong labels, rows that are in the test file, and languages. With --fix, it writes a corrected copy; the
    original stays as it is. It exits with 1 where no model can be built from the file (with --fix: from the copy).

    Example: smidgen check tickets.csv --label category --fix tickets.clean.csv
    """
    from smidgen.core.errors import InputError
    from smidgen.flows.data_check import check_data as run

    if relabel and fix is None:
        raise InputError("cli.relabel_changes_nothing_without_fix", value="--relabel")
    with Screen(quiet=as_json) as screen:
        checked = run(file, test=test, input=input, label=label, task=task, overrides=override or [], threads=threads, progress=screen)
        context.params["task"] = checked.task.name  # the next steps name it
        cleaning = checked.fix(fix, relabel) if fix is not None else None
        cleaned = checked.again(fix) if fix is not None else None
    inspection = checked.inspection
    context.params["fix_first"] = cleaning is None and inspection.of("unusable") is not None  # a build would refuse these rows
    buildable = cleaned if cleaned is not None else inspection.buildable
    if as_json:
        print_json(checked.json() | ({"fixed": cleaning.json() | {"buildable": cleaned}} if cleaning else {}))
    else:
        _print(inspection)
        if cleaning is None and any(inspection.of(kind) for kind in _MENDED):
            out.print("To write a copy with the fixes that smidgen can make:")
            print_line(f"  {_command(file, checked.table, test, checked.task.name)}")
        if cleaning:
            _print_cleaning(cleaning)
            _print_verdict(buildable, cleaning.path.name)
    if not buildable:
        raise typer.Exit(1)


def _command(file: str, table: Opened, test: Path | None, task: str) -> str:
    """Return the command that writes a cleaned copy beside the file."""
    place = Path(file) if file != "-" else Path("data.csv")
    flags = ["--input", table.input.name, *(["--label", table.label.name] if table.label else [])]
    flags += ["--task", task] if task != "classify" else []
    flags += ["--test", str(test)] if test is not None else []
    return shlex.join(["smidgen", "check", file, *flags, "--fix", str(place.with_suffix(f".clean{place.suffix}"))])


def _print(inspection: Inspection) -> None:
    from smidgen.data.inspection import counted

    columns, read = inspection.facts["columns"], inspection.facts["read"]
    chosen = [f"{role} [bold]{escape(choice['name'])}[/] ({choice['how']})" for role, choice in columns.items() if choice]
    how = ", ".join(f"{name} {escape(_visible(value))}" for name, value in read.items() if name in ("encoding", "delimiter", "sheet"))
    out.print(
        f"[bold]{escape(inspection.facts['file'])}[/]: {inspection.facts['format']}{', ' + how if how else ''}; {', '.join(chosen)}\n"
    )
    above = inspection.facts["above"]
    table = plain_table("", "finding", "what to do")
    for finding in inspection.findings:
        colour = _COLOURS[finding.severity]
        table.add_row(f"[{colour}]{finding.severity}[/]", escape(finding.text) + _rows(finding, above), escape(finding.todo))
    for kind, why in inspection.skipped.items():
        table.add_row("[yellow]skipped[/]", escape(kind), escape(why))
    out.print(table)
    _print_labels(inspection.of("counts"))
    _print_proposals(inspection.of("mislabels"), above)
    if above:
        out.print("\n[dim]Rows are counted as a spreadsheet counts them: the header is row 1.[/]")
    unusable = inspection.of("unusable")
    without = f" without the {counted(unusable.count, 'row')} that cannot be used" if unusable else ""
    _print_verdict(inspection.buildable, f"this file{without}")


def _print_verdict(buildable: bool, what: str) -> None:
    out.print(
        f"A model can be built from {what}."
        if buildable
        else f"[bold red]No model can be built from {what}[/] until the errors are corrected."
    )


def _visible(value: str) -> str:
    return {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar"}.get(value, value)


def _rows(finding: DataFinding, above: int) -> str:
    if not finding.rows or finding.severity == "note":
        return ""
    shown = ", ".join(str(row + above) for row in finding.rows[:6])
    return f"\n[dim]{'row' if len(finding.rows) == 1 else 'rows'} {shown}{' …' if len(finding.rows) > 6 else ''}[/]"


def _print_labels(counts: DataFinding | None) -> None:
    labels: Mapping[str, int] = counts.details.get("labels", {}) if counts else {}
    if not labels:
        return
    ordered = sorted(labels.items(), key=lambda entry: -entry[1])
    half = _LABELS_SHOWN // 2
    shown = ordered if len(ordered) <= _LABELS_SHOWN else [*ordered[:half], ("…", 0), *ordered[-half:]]
    widest = max(labels.values())
    table = plain_table("rows", "label", "")
    for name, count in shown:
        bar = "█" * max(1, round(24 * count / widest)) if count else ""
        table.add_row(f"{count:,}" if count else "", escape(name), f"[cyan]{bar}[/]")
    out.print()
    out.print(table)


def _print_proposals(mislabels: DataFinding | None, above: int) -> None:
    proposals: list[dict[str, Any]] = mislabels.details.get("proposals", []) if mislabels else []
    if not proposals:
        return
    table = plain_table("row", "text", "label", "likely", "chance")
    for one in proposals[:_PROPOSALS_SHOWN]:
        text = one["text"] if len(one["text"]) <= 90 else one["text"][:89] + "…"
        table.add_row(
            str(one["row"] + above),
            escape(text),
            escape(one["label"]),
            f"[bold]{escape(one['proposed'])}[/]",
            f"{one['proposed_chance']:.0%}",
        )
    out.print(f"\nLikely mislabelled, the surest first ({min(_PROPOSALS_SHOWN, len(proposals))} of {len(proposals)}; all with --json)")
    out.print(table)


def _print_cleaning(cleaning: Cleaning) -> None:
    out.print(
        f"\nWrote [bold]{escape(str(cleaning.path))}[/]: {cleaning.kept:,} rows kept, {cleaning.dropped:,} dropped, "
        f"{cleaning.relabelled:,} relabelled. Each change with its reason: {escape(str(cleaning.changes_path))}"
    )
    for why, count in cleaning.reasons.items():
        out.print(f"  {count:,} × {escape(why)}")


part = check
