"""Every `smidgen …` command that the documentation shows is understood: its verb, its flags, its settings, its recipes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from smidgen.cli.main import command
from smidgen.core.settings import settings_of
from smidgen.parts import recipe, registry
from smidgen.plans.solver_recipe import ROOM, SolveSettings

from .conftest import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
TYPED = ("", "sh", "bash", "console", "text")
"""Languages of the blocks whose lines may be commands. The others are seen, too, or the end of one would pass for the start of the next."""
INLINE = re.compile(r"`(smidgen [a-z][^`\n]*)`")
SHOWN_AS_SYNTAX = re.compile(r"…|\.\.\.|\[|\]|<|>| \| ")
"""Marks of a line that shows what there is, not what to type."""


def commands(page: Path) -> list[str]:
    """The commands of a page: lines of its blocks, and what stands in the text as code."""
    text = page.read_text(encoding="utf-8")
    blocks = [block for language, block in BLOCK.findall(text) if language in TYPED]
    lines = [line.strip().removeprefix("$ ") for block in blocks for line in block.splitlines()]
    found = [re.sub(r"\s+#.*", "", line) for line in lines if line.startswith("smidgen ")]
    return [line for line in [*found, *INLINE.findall(text)] if not SHOWN_AS_SYNTAX.search(line)]


def faults(line: str) -> list[str]:
    """What smidgen would not understand of a command."""
    verb, *words = shlex.split(line)[1:]
    if verb not in registry.names("cli"):
        return [f"no verb {verb}"]
    known = {option for param in command(verb).params for option in (*param.opts, *param.secondary_opts)}
    wrong = []
    for place, word in enumerate(words):
        flag, _, value = word.partition("=")
        if not flag.startswith("-") or flag == "-":
            continue
        if flag not in known and flag not in ("--help", "--all"):
            wrong.append(f"{verb} has no {flag}")
        following = value or (words[place + 1] if place + 1 < len(words) else "")
        if flag == "--set":
            wrong += [f"no setting {following}"] if not _setting(following) else []
        if flag == "--recipe" and verb == "init" and following != "NAME":
            wrong += [f"no recipe {following}"] if not any((ROOT / "recipes").rglob(f"{following}.toml")) else []
    named = [word for word in words if word.startswith("recipes/")]
    return wrong + [f"no file {word}" for word in named if "NAME" not in word and not (ROOT / word).is_file()]


def _setting(assignment: str) -> bool:
    """Whether `section.name=value`, or `data.teacher.votes=3`, names a setting of some task and student."""
    section, _, name = assignment.partition("=")[0].rpartition(".")
    if section in ("train", "data.teacher"):
        return bool(name)
    owners = [owner for task in registry.names("tasks") for key, owner in recipe.owners_of(task).items() if key == section]
    solvers = {solver: registry.find(ROOM, solver).settings for solver in registry.names(ROOM)}
    owners += [owner for solver, owner in solvers.items() if section in (solver, "")] + ([SolveSettings] if section == "solve" else [])
    return any(name in settings_of(owner) for owner in owners)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_smidgen_understands_the_commands_of_a_page(page: Path) -> None:
    assert [f"{line}: {fault}" for line in commands(page) for fault in faults(line)] == []


def test_a_command_after_a_block_of_another_language_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```toml\nday = 1\n```\n\nthen\n\n```sh\nsmidgen biuld x.toml\n```\n\n```json\n{}\n```\n", encoding="utf-8")
    assert commands(page) == ["smidgen biuld x.toml"]


def test_a_page_says_how_to_install_the_client_that_its_code_imports() -> None:
    seen = 0
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        code = "".join(block for language, block in BLOCK.findall(text) if language == "python")
        if re.search(r"^(from|import) openai\b", code, re.MULTILINE):
            seen += 1
            assert "pip install openai" in text, page
    assert seen >= 5


def test_every_flag_that_a_page_names_is_one() -> None:
    known = {"--help", "--all"}
    waiting = [command(verb) for verb in registry.names("cli")]
    for one in waiting:
        waiting += getattr(one, "commands", {}).values()
        known |= {option for param in one.params for option in (*param.opts, *param.secondary_opts)}
    named = {(page.stem, flag) for page in PAGES for flag in re.findall(r"`(--[a-z][a-z-]+)", page.read_text(encoding="utf-8"))}
    assert len(named) > 300 and sorted((page, flag) for page, flag in named if flag not in known) == []


def test_there_are_commands_and_a_wrong_one_is_seen() -> None:
    assert sum(len(commands(page)) for page in PAGES) >= 60
    assert len([page for page in PAGES if commands(page)]) >= 12
    for line in (
        "smidgen biuld x.toml",
        "smidgen build x.toml --oops",
        "smidgen build x.toml --set gate.max_los=1",
        "smidgen init x --recipe none",
        "smidgen build recipes/none.toml",
    ):
        assert len(faults(line)) == 1, line
