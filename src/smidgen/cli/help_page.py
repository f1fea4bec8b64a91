"""Help pages: the verbs in groups, and the flags of a verb: all of them in full, or of many the usual ones with a line each."""

from __future__ import annotations

import re
import textwrap
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
import typer.core
from rich.markup import escape
from rich.text import Text

from smidgen.cli.next_steps import follow
from smidgen.cli.screen import out

_FLAGS_WIDTH = 22
_WIDEST = 100
_NARROWEST = 40
_MANY = 20
"""Most flags of a verb whose help shows all of them without `--all`."""
_SENTENCE_END = re.compile(r"\.?$|\.(?= [A-Z])")
_CLAUSE = re.compile(r"[;:.] | \(")
_CHOICES = re.compile(r"One of: ([^.]+)\.")
_SHOWN = 64
"""Most characters of a help text that a shell shows beside a completion."""
_KINDS = {int: "N", float: "X", Path: "PATH", str: "TEXT"}


_ALL = "smidgen.help.all"


class VerbCommand(typer.core.TyperCommand):
    """A verb that prints next steps when it ends, and whose help shortens nothing.

    Typer's own help puts an ellipsis in a flag that is longer than its column. Its usage errors show `{bundle}` where ours show `BUNDLE`.
    """

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        for argument in arguments_of(self):
            argument.metavar = argument.metavar or argument.name.upper()

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the arguments and flags of the usage line, on the help page and in errors."""
        return [*map(usage_of, arguments_of(self)), *(["[OPTIONS]"] if options_of(self) else [])]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the flags; `--all` beside `--help` asks for all of them."""
        if "--all" in args and "--help" in args:
            ctx.meta[_ALL] = True
            args = ["--help"]
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed

    def invoke(self, ctx: Any) -> Any:
        """Run the verb, then print next steps."""
        try:
            result = super().invoke(ctx)
        except typer.Exit as stop:
            follow(str(self.name), ctx.params, stop.exit_code == 0)
            raise
        follow(str(self.name), ctx.params, not result)
        return result

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the page."""
        print_lines(_page(self, ctx, _width(), whole=ctx.meta.get(_ALL, False)))

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Return flags that begin like this, as a shell shows them."""
        return completions(super().shell_complete(ctx, incomplete))


def print_lines(lines: Iterable[Text]) -> None:
    """Print lines as they are: no markup, no wrapping."""
    for line in lines:
        out.print(line, soft_wrap=True)


def completions(items: list[Any]) -> list[Any]:
    """Return completions with a one-line help text. Typer reads it as Rich markup, which would swallow `[data]`, so it is escaped."""
    for item in items:
        if item.help:
            item.help = escape(textwrap.shorten(item.help, _SHOWN, placeholder=" ..."))
    return items


def first_line(command: Any) -> str:
    """Return one line about a verb: the first paragraph of its help."""
    return " ".join((command.help or "").split("\n\n")[0].partition("Example:")[0].split())


def group_page(group: Any, path: str, verbs: Mapping[str, Mapping[str, Any]]) -> Iterator[Text]:
    """Yield the help of the whole command line: the verbs by group, one line each, then the flags."""
    width = _width()
    column = max((len(verb) for members in verbs.values() for verb in members), default=0)
    yield from _wrapped(f"Usage: {path} VERB [OPTIONS]", width, "bold")
    yield Text()
    yield from _wrapped(group.help or "", width)
    yield from _wrapped(f"{path} VERB --help explains a verb and shows an example.", width)
    for title, members in verbs.items():
        yield from _listed(title, [(verb, first_line(command)) for verb, command in members.items()], width, column)
    shown = [param for param in group.params if not getattr(param, "hidden", False)]
    yield from _listed("Options", [(names_of(option), option.help or "") for option in shown], width)


def arguments_of(command: Any) -> list[Any]:
    """Return the positional arguments of a verb."""
    return [param for param in command.params if "Argument" in type(param).__name__]


def options_of(command: Any) -> dict[str, list[Any]]:
    """Return the visible flags of a verb, by the title of their panel."""
    panels: dict[str, list[Any]] = {}
    for param in command.params:
        if "Argument" not in type(param).__name__ and not getattr(param, "hidden", False):
            panels.setdefault(param.rich_help_panel or "Options", []).append(param)
    return panels


def usage_of(argument: Any) -> str:
    """Return an argument as the usage line shows it: `FILE`, `[DIR]`, `[DIR]...`."""
    name = argument.metavar.strip("[]").removesuffix("...")
    several = "..." if argument.nargs == -1 else ""
    return f"{name}{several}" if argument.required else f"[{name}{several}]"


def names_of(option: Any) -> str:
    """Return a flag with its value: `--out PATH`, `--relabel`, `--dedupe, --no-dedupe`."""
    value = "" if getattr(option, "is_flag", False) else f" {_kind(option)}"
    return ", ".join([*option.opts, *option.secondary_opts]) + value


def default_of(option: Any) -> str:
    """Return the default if it adds something to the description; else nothing."""
    default = getattr(option, "default", None)
    plain = isinstance(default, str | int | float | Path) and not isinstance(default, bool)
    return str(default) if plain and "default" not in (option.help or "") else ""


def _kind(option: Any) -> str:
    if option.metavar:
        return str(option.metavar)
    annotation = option.type_descriptor.annotation
    for inner in typing.get_args(annotation):
        if inner is not type(None):
            annotation = inner
            break
    return _KINDS.get(annotation, "TEXT")


def _page(command: Any, ctx: Any, width: int, whole: bool) -> Iterator[Text]:
    path, arguments, panels = str(ctx.command_path), arguments_of(command), options_of(command)
    text, _, example = (command.help or "").rpartition("Example:")
    yield from _wrapped(" ".join(["Usage:", path, *command.collect_usage_pieces(ctx)]), width, "bold")
    for paragraph in text.strip().split("\n\n"):
        yield Text()
        yield from _wrapped(paragraph, width)
    yield Text()
    yield Text(f"Example: {' '.join(example.split())}", "green")  # on one line, ready to paste
    if arguments:
        yield from _listed("Arguments", [(usage_of(argument), argument.help or "") for argument in arguments], width)
    flags = sum(map(len, panels.values()))
    if flags > _MANY and not whole:
        title, usual = next(iter(panels.items()))
        column = max(len(names_of(option)) for option in usual)
        room = width - column - 4
        yield from _listed(title, [(names_of(option), _brief(option, room)) for option in usual], width, column)
        yield Text()
        yield from _wrapped(f"{flags - len(usual)} more flags, and all of this in full: {path} --help --all", width)
        return
    for title, options in panels.items():
        rows = []
        for option in options:
            more = " May be repeated." if getattr(option, "multiple", False) and "repeated" not in (option.help or "") else ""
            default = f" (default: {found})" if (found := default_of(option)) else ""
            rows.append((names_of(option), f"{option.help or ''}{more}{default}"))
        yield from _listed(title, rows, width)


def _brief(option: Any, room: int) -> str:
    """Return what fits on a line about a flag: its first sentences, else its first clause; then its choices or its default."""
    text = " ".join((option.help or "").split())
    sentences = [match.start() for match in _SENTENCE_END.finditer(text) if match.start() <= room]
    clause = text[: max(sentences)] if sentences else _CLAUSE.split(text, maxsplit=1)[0]
    choices, default = _CHOICES.search(text), default_of(option)
    added = f" ({choices[1]})" if choices else f" (default: {default})" if default else ""
    clause = clause.rstrip(".")
    return clause + added if added not in clause and len(clause + added) <= room else clause


def _width() -> int:
    return max(_NARROWEST, min(out.width, _WIDEST))


def _listed(title: str, rows: Sequence[tuple[str, str]], width: int, column: int = _FLAGS_WIDTH) -> Iterator[Text]:
    """Yield names with their descriptions in a column. A name that is wider than its column gets its own line."""
    yield Text()
    yield Text(f"{title}:", "bold")
    indent = " " * (column + 4)
    for name, text in rows:
        lines = _lines(text, width - len(indent)) or [""]
        beside = len(name) <= column
        yield Text.assemble("  ", (name, "cyan"), f"{' ' * (column + 2 - len(name))}{lines[0]}" if beside else "")
        yield from (Text(f"{indent}{line}") for line in (lines[1:] if beside else lines))


def _wrapped(text: str, width: int, style: str = "") -> Iterator[Text]:
    yield from (Text(line, style) for line in _lines(text, width))


def _lines(text: str, width: int) -> list[str]:
    """Wrap a text. A word longer than a line is not split."""
    return textwrap.wrap(" ".join(text.split()), width, break_long_words=False, break_on_hyphens=False)
