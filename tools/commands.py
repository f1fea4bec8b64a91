"""Writes `docs/commands.md` from the code: `python -m tools.commands`. With `--check` it only says whether the page is current."""

from __future__ import annotations

import sys
import typing
from pathlib import Path
from typing import Any

from smidgen.cli.main import app, command
from smidgen.parts import registry

PAGE = Path(__file__).parent.parent / "docs" / "commands.md"
_HEAD = """# Commands

<!-- Written by `python -m tools.commands` from the code: change the docstrings and settings there, then run it. -->

Every verb has `--help`. Results go to standard output, progress and errors to standard error. Exit codes: `0` done, `1` the work
failed or a gate was not met, `2` wrong usage or bad input, `130` stopped by you (what was finished is kept).
"""


def page() -> str:
    """The whole page."""
    import typer.main

    group = typer.main.get_command(app)
    verbs = typing.cast(Any, group).list_commands(None)
    index = "\n".join(f"| [`{verb}`](#{verb}) | {_first(command(verb).help)} |" for verb in verbs)
    return "\n".join([_HEAD, "| verb | what it does |", "|---|---|", index, "", *(_verb(verb) for verb in verbs)])


def _verb(verb: str) -> str:
    spec = command(verb)
    text, _, example = spec.help.rpartition("Example:")
    arguments = [param for param in spec.params if "Argument" in type(param).__name__]
    options = [param for param in spec.params if "Argument" not in type(param).__name__ and not getattr(param, "hidden", False)]
    usage = " ".join(["smidgen", verb, *(_usage(argument) for argument in arguments), "[OPTIONS]" if options else ""]).strip()
    lines = [f"## {verb}", "", text.strip(), "", "```text", usage, "", f"# for example\n{example.strip()}", "```", ""]
    if arguments:
        lines += ["| argument | what it is |", "|---|---|", *(f"| `{_usage(a)}` | {_cell(a.help)} |" for a in arguments), ""]
    panels: dict[str, list[Any]] = {}
    for option in options:
        panels.setdefault(option.rich_help_panel or "Options", []).append(option)
    for panel, members in panels.items():
        lines += [f"| {panel} | what it does |", "|---|---|", *(f"| {_names(o)} | {_cell(o.help)}{_default(o)} |" for o in members), ""]
    return "\n".join(lines)


def _usage(argument: Any) -> str:
    name = (argument.metavar or argument.name.upper()).removesuffix("...")
    name = f"{name}..." if argument.nargs == -1 else name
    return name if argument.required else f"[{name}]"


def _names(option: Any) -> str:
    names = [*option.opts, *option.secondary_opts]
    value = "" if getattr(option, "is_flag", False) else f" {_kind(option)}"
    more = " (may be repeated)" if getattr(option, "multiple", False) else ""
    return f"`{', '.join(names)}{value}`{more}"


def _kind(option: Any) -> str:
    annotation = option.type_descriptor.annotation
    for inner in typing.get_args(annotation):
        if inner is not type(None):
            annotation = inner
            break
    return {int: "N", float: "X", Path: "PATH", str: "TEXT"}.get(annotation, "TEXT")


def _default(option: Any) -> str:
    """The default, where it says something that the help does not."""
    default = getattr(option, "default", None)
    plain = isinstance(default, str | int | float | Path) and not isinstance(default, bool)
    return f" Default: `{default}`." if plain and "default" not in (option.help or "") else ""


def _first(help: str) -> str:
    return _cell(help.split("\n\n")[0].partition("Example:")[0])


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


def main(arguments: list[str]) -> int:
    """Write the page, or check it."""
    wanted = page()
    if arguments == ["--check"]:
        current = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == wanted
        print("current" if current else "stale: run python -m tools.commands")
        return int(not current)
    PAGE.parent.mkdir(exist_ok=True)
    with PAGE.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(wanted)
    print(f"wrote {PAGE.name}, {len(registry.names('cli'))} verbs")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
