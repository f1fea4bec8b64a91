"""Writes `docs/commands.md` from the code: `python -m tools.commands`. With `--check` it only says whether the page is current."""

from __future__ import annotations

import sys
import typing
from pathlib import Path
from typing import Any

from smidgen.cli.help_page import arguments_of, default_of, names_of, options_of, usage_of
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
    arguments, panels = arguments_of(spec), options_of(spec)
    usage = " ".join(["smidgen", verb, *map(usage_of, arguments), "[OPTIONS]" if panels else ""]).strip()
    lines = [f"## {verb}", "", text.strip(), "", "```text", usage, "", f"# for example\n{example.strip()}", "```", ""]
    if arguments:
        lines += ["| argument | what it is |", "|---|---|", *(f"| `{usage_of(a)}` | {_cell(a.help)} |" for a in arguments), ""]
    for panel, members in panels.items():
        lines += [f"| {panel} | what it does |", "|---|---|", *(f"| {_names(o)} | {_cell(o.help)}{_default(o)} |" for o in members), ""]
    return "\n".join(lines)


def _names(option: Any) -> str:
    return f"`{names_of(option)}`" + (" (may be repeated)" if getattr(option, "multiple", False) else "")


def _default(option: Any) -> str:
    found = default_of(option)
    return f" Default: `{found}`." if found else ""


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
