"""`smidgen code`: explain an error, write tests, or find a bug in your own Python code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from smidgen.cli.flags import AsJson
from smidgen.cli.screen import out, print_json
from smidgen.core.errors import InputError

if TYPE_CHECKING:
    from smidgen.apps.code.own_code import OwnPlace

_TASKS = ("explain",)
_MOST_BYTES = 4 << 20


def code(
    task: Annotated[str, typer.Argument(metavar="TASK", help="explain: the cause of the error in a traceback.")],
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help='With explain: a file that holds a traceback; "-" is standard input.')
    ] = "-",
    repo: Annotated[Path, typer.Option(help="Folder of your code.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Explain an error in your own Python code.

    `explain` shows your own lines that the error went through, and says only what the message and your files show to be true.

    Example: smidgen code explain error.txt
    """
    if task not in _TASKS:
        raise InputError("there is no such task", value=task, todo=f"Name one of: {', '.join(_TASKS)}.")
    _explain(source, repo, as_json)


def _explain(source: str, repo: Path, as_json: bool) -> None:
    from smidgen.flows.code_help.explanation import explained

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
    from smidgen.flows.code_help.explanation import excerpt

    if place.changed:
        return
    for number, line in excerpt(place, around):
        mark = ">" if number == place.line else " "
        out.print(f"  [dim]{mark} {number:4}[/] {escape(line)}", soft_wrap=True)


def _text(source: str) -> str:
    """The text of a file or of the standard input. Raises InputError for one that cannot be read."""
    if source == "-":
        if sys.stdin.isatty():
            raise InputError("a traceback is needed", value="standard input", todo="Write: python shop.py 2>&1 | smidgen code explain")
        content = sys.stdin.buffer.read(_MOST_BYTES)
    else:
        file = Path(source)
        if not file.is_file():
            raise InputError("there is no such file", value=source, todo='Name a file with a traceback, or "-" for standard input.')
        with file.open("rb") as stream:
            content = stream.read(_MOST_BYTES)
    return content.decode("utf-8", "replace")


part = code
