"""Hand-made faults that the tests must catch: `python -m tools.mutants`.

Each fault is a table `[[mutant]]` in the TOML file of its room, beside this module. It holds a snippet of the source (`find`), the same
snippet with the fault (`replace`), and the tests that catch it. A snippet may lie in any file of `src/smidgen` and at any indentation, so
that a mutant survives when code moves. It must occur exactly once.
"""

from __future__ import annotations

import re
import textwrap
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
FOLDER = Path(__file__).parent
_FIELDS = {"id", "breaks", "find", "replace", "tests", "needed_test"}


class Unfit(Exception):
    """A mutant that does not fit the source any more, or is written wrongly: mend its table."""


@dataclass(frozen=True)
class Mutant:
    """One fault.

    Attributes:
        id: its name, unique.
        room: the stem of the file that it stands in.
        breaks: one sentence: what goes wrong, and who is hurt.
        find: whole lines of the source.
        replace: the lines to put in their place.
        tests: test files or test ids that catch it, the cheapest first.
        needed_test: whether no test of its room caught it when it was written, so that one was added.
    """

    id: str
    room: str
    breaks: str
    find: str
    replace: str
    tests: tuple[str, ...]
    needed_test: bool = False


def mutants(folder: Path = FOLDER) -> list[Mutant]:
    """All mutants, by room. Raises Unfit for a table that lacks a field or has one too many, and for an id that stands twice."""
    found: dict[str, Mutant] = {}
    for file in sorted(folder.glob("*.toml")):
        for table in tomllib.loads(file.read_text(encoding="utf-8"))["mutant"]:
            name = table.get("id", "?")
            wrong = (_FIELDS - {"needed_test"} - set(table)) | (set(table) - _FIELDS)
            if wrong:
                raise Unfit(f"{file.name}: {name}: missing or unknown: {', '.join(sorted(wrong))}")
            if name in found:
                raise Unfit(f"{file.name}: {name}: the id stands twice")
            found[name] = Mutant(room=file.stem, **{**table, "tests": tuple(table["tests"])})
    return list(found.values())


def mutated(mutant: Mutant, sources: dict[Path, str]) -> tuple[Path, str]:
    """The file that the fault lies in, and its faulty text. `sources`: every source file with its text.

    Raises Unfit where the snippet is not there exactly once.
    """
    pattern, probe = _pattern(mutant.find), mutant.find.strip().splitlines()[0]
    places = [(file, match) for file, text in sources.items() if probe in text for match in pattern.finditer(text)]
    if len(places) != 1:
        where = "".join(f"\n  {file}" for file, _ in places)
        raise Unfit(f"{mutant.room}.toml: {mutant.id}: its snippet occurs {len(places)} times; it must occur once{where}")
    file, match = places[0]
    indent = match["indent"]
    faulty = textwrap.indent(textwrap.dedent(mutant.replace).strip("\n"), indent)
    text = sources[file]
    return file, text[: match.start()] + faulty + text[match.end() :]


def sources(root: Path = ROOT) -> dict[Path, str]:
    """Every source file of the package, with its text."""
    return {file: file.read_text(encoding="utf-8") for file in sorted((root / "src" / "smidgen").rglob("*.py"))}


def _pattern(snippet: str) -> re.Pattern[str]:
    """Matches the whole lines of a snippet, at any indentation that is the same for all of them."""
    first, *others = textwrap.dedent(snippet).strip("\n").splitlines()
    lines = [rf"^(?P<indent>[ ]*){re.escape(first)}$"]
    lines += [rf"(?P=indent){re.escape(line)}$" if line.strip() else r"[ ]*$" for line in others]
    return re.compile(r"\n".join(lines), re.MULTILINE)
