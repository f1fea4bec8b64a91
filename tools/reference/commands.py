"""Commands: every verb with its arguments and flags, from the Typer application."""

from __future__ import annotations

from typing import Any

from smidgen.cli.help_page import arguments_of, default_of, first_line, names_of, options_of, usage_of
from smidgen.cli.main import command, groups
from tools.reference.tables import table


def parts() -> dict[str, str]:
    """An index by group, and a section for each verb."""
    index = [
        (title if place == 0 else "", f"[`{verb}`](#{verb})", first_line(command(verb)))
        for title, verbs in groups().items()
        for place, verb in enumerate(verbs)
    ]
    return {
        "index": table(("group", "verb", "what it does"), index),
        "verbs": "\n".join(_verb(verb) for verbs in groups().values() for verb in verbs),
    }


def _verb(verb: str) -> str:
    spec = command(verb)
    text, _, example = spec.help.rpartition("Example:")
    arguments, panels = arguments_of(spec), options_of(spec)
    usage = " ".join(["smidgen", verb, *map(usage_of, arguments), "[OPTIONS]" if panels else ""]).strip()
    lines = [f"## {verb}", "", text.strip(), "", "```text", usage, "", f"# for example\n{example.strip()}", "```", ""]
    lines.append(table(("argument", "what it is"), ((f"`{usage_of(one)}`", one.help) for one in arguments)))
    for panel, members in panels.items():
        lines.append(table((panel, "what it does"), ((_names(one), f"{one.help or ''}{_default(one)}") for one in members)))
    return "\n".join(lines)


def _names(option: Any) -> str:
    return f"`{names_of(option)}`" + (" (may be repeated)" if getattr(option, "multiple", False) else "")


def _default(option: Any) -> str:
    found = default_of(option)
    return f" Default: `{found}`." if found else ""
