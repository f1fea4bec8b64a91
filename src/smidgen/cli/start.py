"""`smidgen start`: make a model and its report from a file, asking only what the owner alone knows."""

from __future__ import annotations

import os
import re
import sys
import webbrowser
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from smidgen.cli.build import FLAGS
from smidgen.cli.flags import Overrides, Threads, given_tree, with_recipe_flags
from smidgen.cli.next_steps import command_line, next_step
from smidgen.cli.screen import Screen, errors, out, print_json
from smidgen.core.errors import DataError, InputError
from smidgen.parts import registry

if TYPE_CHECKING:
    from smidgen.flows.data_check import DataCheck, TaskGuess

_SHOWN = 8
_FLAGS = {name: FLAGS[name] for name in ("documents", "tools")}
"""Of a recipe's settings those without which some tasks learn nothing."""


def start(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Examples to learn from: CSV, TSV, JSONL, Parquet or XLSX.")],
    task: Annotated[str | None, typer.Option(help=f"Kind of job: {', '.join(registry.names('tasks'))} (default: guessed).")] = None,
    input: Annotated[str | None, typer.Option(help="Column of the text (default: guessed).")] = None,
    label: Annotated[str | None, typer.Option(help="Column of the wanted answer (default: guessed).")] = None,
    test: Annotated[Path | None, typer.Option(help="Examples that are only measured on (default: some rows of FILE).")] = None,
    to: Annotated[Path | None, typer.Option("--out", help="Folder of the model (default: named after FILE).")] = None,
    override: Overrides = None,
    threads: Threads = None,
    yes: Annotated[bool, typer.Option("--yes", help="Take every guess and every fix without asking.")] = False,
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not open the report in a browser.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON; asks nothing, so --yes is needed.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    **given: Any,
) -> None:
    """Make a model from a file: check it, build, open the report.

    It shows which columns it will use and what it would fix, and asks before it goes on. The file itself stays as it is: fixes go into
    a copy.

    Example: smidgen start tickets.csv
    """
    from smidgen.flows.build.pipeline import build
    from smidgen.flows.data_check import guess_task
    from smidgen.parts.recipe import make

    asks = not yes
    if asks and (as_json or not sys.stdin.isatty()):
        value = "--json" if as_json else "standard input is not a terminal"
        raise InputError("cli.smidgen_start_cannot_ask_its_questions", value=value)
    target = to or Path(_name(file))
    from smidgen.bundles.pack import refuse_foreign

    refuse_foreign(target)
    found = guess_task(file, task=task, input=input, label=label)
    if not as_json:
        _tell(found, file)
    if asks:
        found = _confirmed(found)
    with Screen(quiet=quiet or as_json) as screen:
        checked = _checked(found, file, test, override or [], threads, screen)
    if not as_json:
        _findings(checked)
    data, cleaning = _fixed(checked, file, target, asks, as_json)
    tree: dict[str, Any] = {"name": target.resolve().name, "task": found.task, "data": {"train": str(data.resolve()), "input": found.input}}
    tree["data"] |= {"label": found.label, **({"test": str(test.resolve())} if test is not None else {})}
    recipe = make(tree | given_tree(_FLAGS, given), override or [])
    if asks and not typer.confirm(f"Build the model {target}? It takes some minutes", default=True, err=True):
        raise typer.Exit(1)
    with Screen(quiet=quiet or as_json) as screen:
        built = build(recipe, target, threads=threads, progress=screen)
    page = built.folder / "report.html"
    if as_json:
        print_json(
            {
                "task": found.task,
                "columns": {"input": found.input, "label": found.label},
                "doubts": list(found.doubts),
                "check": checked.json(),
                "fixed": cleaning,
                "bundle": str(built.folder),
                "report": str(page),
                "metrics": {name: metric.model_dump() for name, metric in built.report.metrics.items()},
                "seconds": built.seconds,
            }
        )
        return
    from smidgen.cli.report_summary import print_report

    print_report(built.report)
    out.print(f"\nThe model is in [bold]{escape(str(built.folder))}[/]. Its report: {escape(str(page))}", soft_wrap=True)
    if not no_open and _browser():
        webbrowser.open(page.resolve().as_uri())
    next_step(command_line("chat", built.folder), command_line("serve", built.folder))


def _name(file: Path) -> str:
    """Return the model's name: the file's name, in letters that are safe in a folder and a model name."""
    return re.sub(r"[^\w.-]+", "-", file.stem).strip("-.") or "my-model"


def _tell(found: TaskGuess, file: Path) -> None:
    task = registry.find("tasks", found.task)
    out.print(
        f"[bold]{escape(file.name)}[/]: texts in the column [bold]{escape(found.input)}[/], answers in [bold]{escape(found.label)}[/]",
        soft_wrap=True,
    )
    out.print(f"The job: [bold]{found.task}[/]. {escape(task.summary)}", soft_wrap=True)
    if found.doubts:
        out.print(f"[yellow]Please check[/] {escape('; '.join(found.doubts))}.", soft_wrap=True)


def _confirmed(found: TaskGuess) -> TaskGuess:
    """Return the guess after its owner has accepted it as a whole or changed parts of it."""
    if not found.doubts and typer.confirm("Is that right?", default=True, err=True):
        return found
    columns = ", ".join(found.columns)
    errors.print(f"[dim]Columns: {escape(columns)}[/]")
    return replace(
        found,
        input=_asked("Column of the text", found.input, found.columns),
        label=_asked("Column of the answer", found.label, found.columns),
        task=_asked("Job", found.task, registry.names("tasks")),
        doubts=(),
    )


def _asked(what: str, default: str, known: Any) -> str:
    """Ask until the answer is a known value, or several joined by commas."""
    while True:
        said = str(typer.prompt(what, default=default, err=True)).strip()
        if said == default or all(name.strip() in known for name in said.split(",")):
            return said
        errors.print(f"[yellow]{escape(said)} is none of: {escape(', '.join(known))}[/]")


def _checked(found: TaskGuess, file: Path, test: Path | None, override: list[str], threads: int | None, screen: Screen) -> DataCheck:
    from smidgen.flows.data_check import check_data

    return check_data(
        file, test=test, input=found.input, label=found.label, task=found.task, overrides=override, threads=threads, progress=screen
    )


def _findings(checked: DataCheck) -> None:
    """Print the problems of the file."""
    told = [finding for finding in checked.inspection.findings if finding.severity != "note"]
    out.print(f"\n{checked.inspection.rows:,} rows can be used." + ("" if told else " No problem was found in them."))
    for finding in told[:_SHOWN]:
        colour = "red" if finding.severity == "error" else "yellow"
        out.print(f"[{colour}]{finding.severity}[/] {escape(finding.text)}. [dim]{escape(finding.todo)}[/]", soft_wrap=True)
    if len(told) > _SHOWN:
        out.print(f"[dim]and {len(told) - _SHOWN} more; smidgen check shows all[/]")


def _fixed(checked: DataCheck, file: Path, target: Path, asks: bool, silent: bool) -> tuple[Path, dict[str, Any] | None]:
    """Return the file to build from: a cleaned copy if there is something to fix and the owner agrees, else the file itself.

    Raises DataError if no model can be built from it.
    """
    reasons = checked.fixes(lone=True)
    copy = Path(f"{target.name}.clean{file.suffix}")
    if reasons:
        if not silent:
            out.print(f"\nFixes that can be made in a copy, {escape(str(copy))}:", soft_wrap=True)
            for why, count in reasons.items():
                out.print(f"  {count:,} × {escape(why)}")
        if not asks or typer.confirm("Make these fixes?", default=True, err=True):
            cleaning = checked.fix(copy, lone=True)
            if not checked.again(copy):
                raise DataError("cli.no_model_can_be_built_from_cleaned_copy", value=str(copy), command_line=command_line("check", copy))
            return copy, cleaning.json()
    if not checked.inspection.buildable:
        first = next(finding for finding in checked.inspection.findings if finding.severity == "error")
        raise DataError("no model can be built from this file", value=first.text, todo=first.todo or "Correct it, then run again.")
    return file, None


def _browser() -> bool:
    """Return whether a browser with a window can be opened here. A text browser would take over the terminal."""
    if not sys.stdout.isatty():
        return False
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


part = with_recipe_flags(start, _FLAGS, _FLAGS)
