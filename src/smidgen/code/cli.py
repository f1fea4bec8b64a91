"""`smidgen code`: explain an error in your own Python code, write tests for it, or find a bug in it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from smidgen.cli.flags import AsJson
from smidgen.cli.screen import Screen, errors, out, print_json
from smidgen.core.errors import InputError

if TYPE_CHECKING:
    from smidgen.code.flows.fault import FoundBug
    from smidgen.code.flows.made_tests import MadeTests
    from smidgen.code.flows.repository_place import OpenedCode
    from smidgen.code.own_code import OwnPlace

_TASKS = ("explain", "tests", "bug")
_MOST_BYTES = 4 << 20
_SHOWN_LINES, _SHOWN_REPAIRS = 5, 3


def code(
    task: Annotated[str, typer.Argument(metavar="TASK", help=f"One of: {', '.join(_TASKS)}.")],
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help='explain: a file with a traceback, or "-" for standard input. tests: a Python file or FILE::FUNCTION. bug: a Python file.',
        ),
    ] = "-",
    repo: Annotated[Path, typer.Option(help="Folder of your code.")] = Path(),
    test: Annotated[
        list[str] | None,
        typer.Option(metavar="TESTS", help="With bug: tests, as pytest takes them: files, folders, names. May be repeated."),
    ] = None,
    to: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="With tests: write them into this new file.")] = None,
    samples: Annotated[int, typer.Option(min=1, max=50, help="With tests: answers of the model for each function.")] = 3,
    model: Annotated[Path | None, typer.Option(metavar="DIR", help="A bundle that completes code (default: the starter coder).")] = None,
    python: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The Python that runs your code (default: that of .venv in your folder, else this one)."),
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="With bug: the longest time for running changed code.")] = 120,
    unconfined: Annotated[
        bool,
        typer.Option("--unconfined", help="Run code where it cannot be cut off from network and files, with limits of time and memory."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Explain an error, write tests, or find a bug in your Python code.

    `explain` shows your own lines that the error went through, and says only what message and files show to be true. `tests` shows tests
    that hold on your code and notice a fault that is put into it. `bug` ranks the lines of a file that failing tests run, and looks for a
    change of one line with which every test passes. What was written or changed runs in a sandbox: without network, on a copy.

    Example: smidgen code explain error.txt
    """
    if task not in _TASKS:
        raise InputError("code.there_is_no_such_task", value=task, tasks=", ".join(_TASKS))
    if not repo.is_dir():
        raise InputError("code.there_is_no_such_code_folder", value=str(repo))
    if task == "explain":
        _explain(source, repo, as_json)
        return
    from smidgen.code.flows.repository_place import open_code

    if source == "-":
        raise InputError(
            "code.python_file_and_its_tests_are_needed" if task == "bug" else "code.python_file_is_needed",
            value=f"smidgen code {task}",
            task=task,
        )
    path, _, name = source.partition("::")
    if task == "bug" and not test:
        raise InputError("code.failing_tests_are_needed", value=source)
    if to is not None and to.exists():
        raise InputError("code.file_already_exists", value=str(to))
    opened = open_code(repo, path, python, or_unconfined=unconfined)
    if not opened.place.confined:
        errors.print("[yellow]There is no sandbox here:[/] the code that runs can reach the network and your files.")
    if task == "tests":
        _tests(opened, name, model, samples, to, as_json)
    else:
        _bug(opened, test or [], model, seconds, as_json)


def _tests(opened: OpenedCode, name: str, bundle: Path | None, samples: int, to: Path | None, as_json: bool) -> None:
    from smidgen.code.flows.code_model import open_code_model
    from smidgen.code.flows.made_tests import made_tests, subjects_of, written_file

    functions = subjects_of(opened.file, name or None)
    with Screen(quiet=as_json) as screen, open_code_model(bundle) as model:
        made = [made_tests(opened, function, model, samples=samples, progress=screen) for function in functions]
    there = any(one.tests for one in made)
    if to is not None and there:
        to.write_text(written_file(made), encoding="utf-8")
    if as_json:
        print_json({"functions": [one.json() for one in made]})
    else:
        for one in made:
            _print_made(one)
        if to is not None and there:
            out.print(f"written: {escape(str(to))}", soft_wrap=True)
    if not there:
        raise typer.Exit(1)


def _print_made(made: MadeTests) -> None:
    thrown = "; ".join(f"{count} {why}" for why, count in made.thrown.items())
    away = f" Thrown away: {thrown}." if thrown else ""
    if not made.tests:
        out.print(f"[bold]{escape(made.subject)}:[/] no test that holds and notices a fault.{escape(away)}", soft_wrap=True)
        return
    out.print(f"\n{escape(made.imported)}\n\n\n{escape(made.functions())}", soft_wrap=True)
    told = f"They notice {made.noticed} of {made.faults} small faults that were put into it."
    out.print(f"[dim]{told}{escape(away)} They say what the code does today, not what it should do.[/]", soft_wrap=True)


def _bug(opened: OpenedCode, tests: list[str], bundle: Path | None, seconds: float, as_json: bool) -> None:
    from smidgen.code.flows.code_model import open_if_there
    from smidgen.code.flows.fault import find_bug

    with Screen(quiet=as_json) as screen, open_if_there(bundle) as model:
        if model is None:
            errors.print("The starter coder is not here, so no model is asked. Fetch it: smidgen pull coder")
        found = find_bug(opened.place, opened.file, tests, model, seconds=seconds, progress=screen)
    if as_json:
        print_json(found.json())
    else:
        _print_bug(found)
    if not found.repairs:
        raise typer.Exit(1)


def _print_bug(found: FoundBug) -> None:
    for name, said in found.failing[:_SHOWN_REPAIRS]:
        out.print(f"[red]fails[/] {escape(name)}: {escape(said.splitlines()[0] if said else '')}", soft_wrap=True)
    out.print(f"Lines of {escape(found.file)}, the likeliest first:")
    for one in found.suspects[:_SHOWN_LINES]:
        out.print(f"  {one.line:4} {escape(found.lines[one.line - 1])}", soft_wrap=True)
    if not found.repairs:
        out.print(f"[bold]No repair found:[/] with none of {found.tried} changes of one line every test passes.")
        return
    count = len(found.failing) + found.passing
    for repair in found.repairs[:_SHOWN_REPAIRS]:
        out.print(f"\n[bold]With this change all {count} tests pass:[/] {escape(found.file)}:{repair.edit.line}", soft_wrap=True)
        if not repair.edit.inserted:
            out.print(f"[red]- {escape(found.lines[repair.edit.line - 1])}[/]", soft_wrap=True)
        out.print(f"[green]+ {escape(repair.edit.text)}[/]", soft_wrap=True)
    others = len(found.repairs) - _SHOWN_REPAIRS
    more = f" {others} other changes pass them, too." if others > 0 else ""
    out.print(f"[dim]Tests that pass do not show that a change is right.{more} Nothing was written.[/]")


def _explain(source: str, repo: Path, as_json: bool) -> None:
    from smidgen.code.flows.explanation import explained

    told = explained(_text(source), repo)
    if as_json:
        print_json({"errors": [one.json() for one in told]})
        return
    for one in told:
        if one.link:
            out.print(f"[dim]{one.link}[/]")
        message = f": {one.error.message}" if one.error.message else ""
        out.print(f"[bold red]{escape(one.error.name)}[/]{escape(message)}", soft_wrap=True)
        for number, place in enumerate(one.shown_places):
            where = f" in {place.frame.function}" if place.frame.function and place.frame.function != "<module>" else ""
            out.print(f"[dim]{'at' if number == 0 else 'called from'}[/] {escape(place.shown)}[dim]{escape(where)}[/]", soft_wrap=True)
            _print_lines(place, 2 if number == 0 else 0)
        for sentence in one.causes:
            out.print(f"· {escape(sentence)}", soft_wrap=True)
        for remark in one.remarks:
            out.print(f"[dim]· {escape(remark)}[/]", soft_wrap=True)


def _print_lines(place: OwnPlace, around: int) -> None:
    from smidgen.code.flows.explanation import excerpt

    if place.changed:
        return
    for number, line in excerpt(place, around):
        mark = ">" if number == place.line else " "
        out.print(f"  [dim]{mark} {number:4}[/] {escape(line)}", soft_wrap=True)


def _text(source: str) -> str:
    """The text of a file or of the standard input. Raises InputError for one that cannot be read."""
    if source == "-":
        if sys.stdin.isatty():
            raise InputError("code.traceback_is_needed")
        content = sys.stdin.buffer.read(_MOST_BYTES)
    else:
        file = Path(source)
        if not file.is_file():
            raise InputError("code.there_is_no_such_file", value=source)
        with file.open("rb") as stream:
            content = stream.read(_MOST_BYTES)
    return content.decode("utf-8", "replace")


part_code = code
