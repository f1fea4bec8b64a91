"""Next steps: each command ends with commands that a user is likely to want next, ready to paste.

They are written to stderr, so that stdout has only results, and are left out with `--json` and `--quiet`. Some verbs print their own with
`next_step`; the table here has those of the others, which depend on the given flags.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from smidgen.cli.screen import errors

Flags = Mapping[str, Any]


def command_line(*words: object) -> str:
    """Return a smidgen command, quoted for this system's shell."""
    told = ["smidgen", *(str(word) for word in words)]
    return subprocess.list2cmdline(told) if os.name == "nt" else shlex.join(told)


def next_step(*commands: str) -> None:
    """Print next steps, one command per line."""
    for place, command in enumerate(commands):
        errors.print(f"[dim]{'next:' if place == 0 else '     '}[/] ", end="")
        errors.print(command, markup=False, soft_wrap=True)


def follow(verb: str, given: Flags, done: bool) -> None:
    """Print the next steps after a verb has ended.

    Args:
        given: its flags and arguments.
        done: whether it ended with exit code 0.
    """
    if given.get("as_json") or given.get("quiet") or verb not in _AFTER:
        return
    next_step(*_AFTER[verb](given, done))


def _check(given: Flags, done: bool) -> list[str]:
    file, fixed = str(given["file"]), given.get("fix")
    named = [word for flag in ("input", "label") if given.get(flag) for word in (f"--{flag}", given[flag])]
    settings = [word for setting in given.get("override") or () for word in ("--set", setting)]
    if file == "-" or not given.get("task"):
        return []
    if not done or given.get("fix_first"):
        copy = f"{Path(file).stem}.clean{Path(file).suffix}"
        return [] if fixed else [command_line("check", file, *named, "--task", given["task"], *settings, "--fix", copy)]
    data, test = str(fixed or file), given.get("test")
    more = ["--test", test] if test else []
    return [command_line("build", "--task", given["task"], "--data", data, *more, *named, *settings, "--out", Path(file).stem)]


def _after_bundle(verb: str) -> Callable[[Flags, bool], list[str]]:
    return lambda given, done: [command_line(verb, given["bundle"])] if done and given.get("bundle") else []


def _certify(given: Flags, done: bool) -> list[str]:
    if not done or given.get("show") or given.get("revoke"):
        return []
    model = given.get("reference_model") or "gpt-6-luna"
    return [command_line("serve", given["bundle"], "--fallback", "https://api.openai.com/v1", "--fallback-model", model)]


def _plain(*words: str) -> Callable[[Flags, bool], list[str]]:
    return lambda given, done: [command_line(*words)] if done else []


def _models(given: Flags, done: bool) -> list[str]:
    from smidgen.store import files

    there = next((folder for folder in files.known_bundles() if (folder / "smidgen.json").is_file()), None)
    return [command_line("demo") if there is None else command_line("chat", _near(there))]


def _near(folder: Path) -> Path:
    """Return a folder relative to the current folder if it is below it."""
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) and folder != here else folder


def _drift(given: Flags, done: bool) -> list[str]:
    line = str(given["model"])
    return [] if Path(line).is_dir() else [command_line("learn", line, "--when-drift")]


def _redact(given: Flags, done: bool) -> list[str]:
    return [command_line("check", given["to"])] if done and str(given.get("to") or "-") != "-" else []


def _traffic(given: Flags, done: bool) -> list[str]:
    asked = any(given.get(flag) for flag in ("jobs", "export", "delete_user", "delete_older", "delete_bundle"))
    return [] if asked or not done else [command_line("traffic", "--jobs")]


_AFTER: dict[str, Callable[[Flags, bool], list[str]]] = {
    "check": _check,
    "eval": _after_bundle("serve"),
    "chat": _after_bundle("serve"),
    "predict": _after_bundle("serve"),
    "cost": _after_bundle("serve"),
    "certify": _certify,
    "audit": _plain("status"),
    "drift": _drift,
    "status": _plain("models"),
    "redact": _redact,
    "traffic": _traffic,
    "learn": _plain("status"),
    "rollback": _plain("status"),
    "pull": _plain("demo"),
    "doctor": _plain("demo"),
    "models": _models,
}
