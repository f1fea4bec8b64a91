"""`RESULTS.md`: one section a bench, written by the bench itself; the others stay as they are."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import statistics
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.context import HERE, Context

HEAD = """# Results

Written by `python -m bench`; each section says when, where and with which command. Every accuracy is on the official test set, which
takes no part in any choice, and stands with its 95 % interval. Times are wall clock.
"""
PACKAGES = ("smidgen", "torch", "onnxruntime", "tokenizers", "numpy", "scikit-learn", "fastapi", "uvicorn")


@dataclass(frozen=True)
class Goal:
    """What is to be reached, what was, and whether it is enough (None: not measured)."""

    what: str
    wanted: str
    got: str
    met: bool | None

    def cells(self) -> list[str]:
        """A row of the table of goals."""
        return [self.what, self.wanted, self.got, {True: "yes", False: "**no**", None: "not measured"}[self.met]]


@dataclass
class Section:
    """One bench's page."""

    name: str
    title: str
    about: str
    columns: Sequence[str] = ()
    rows: list[list[str]] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)


def publish(context: Context, section: Section) -> None:
    """Write a section to the page, in place of what it said before."""
    page = context.results.read_text(encoding="utf-8") if context.results.is_file() else HEAD
    begin, end = f"<!-- {section.name} -->", f"<!-- /{section.name} -->"
    body = f"{begin}\n{markdown(context, section)}\n{end}"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    page = pattern.sub(lambda _: body, page) if pattern.search(page) else f"{page.rstrip()}\n\n{body}\n"
    part = context.results.with_suffix(".part")
    part.write_text(page, encoding="utf-8", newline="\n")
    part.replace(context.results)


def markdown(context: Context, section: Section) -> str:
    """A section as text: what it is about, facts, goals, table, what was tried."""
    facts = {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "machine": machine(),
        "load before": section.facts.pop("load before", "") or load_average(),
        "seeds": ", ".join(map(str, context.seeds)),
        "threads": f"{context.used_threads} on both sides",
        "versions": versions(section.versions),
        "command": f"`{context.command}`",
        **section.facts,
    }
    section.facts["load before"] = facts["load before"]
    parts = [f"## {section.title}", section.about]
    if context.quick:
        parts.append("**A quick run on a tiny part of the data: it shows that the harness works, and nothing else.**")
    parts.append("\n".join(f"- {name}: {value}" for name, value in facts.items()))
    if section.goals:
        parts.append(table(("goal", "at least", "reached", "met"), [goal.cells() for goal in section.goals]))
    if section.rows:
        parts.append(table(section.columns, section.rows))
    parts += [f"Note: {note}" for note in dict.fromkeys([*section.notes, *context.troubles])]
    tried = HERE / "notes" / f"{section.name}.md"
    if tried.is_file() and not context.quick:
        parts.append(tried.read_text(encoding="utf-8").strip())
    return "\n\n".join(parts)


def table(columns: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [list(columns), *rows]
    text = [f"| {' | '.join(cell.replace('|', chr(92) + '|').replace(chr(10), ' ') for cell in line)} |" for line in lines]
    return "\n".join([text[0], "|" + "---|" * len(lines[0]), *text[1:]])


RUN_COLUMNS = ("system", "runs", "accuracy, median", "95 %", "each run", "train s", "all s", "core s", "peak MB", "what")


def run_row(name: str, runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """One system over its seeds: medians, with every run's value. Runs that failed are said, not dropped."""
    good = [run for run in runs if not run.get("trouble")]
    failed = [str(run["trouble"]) for run in runs if run.get("trouble")]
    if not good:
        return [name, "0", *[""] * 7, f"failed: {failed[0]}" if failed else "not run"]
    middle = median_run(good)
    what = sorted({str(run.get("shipped") or run.get("settings")) for run in good})
    if failed:
        what.append(f"{len(failed)} failed: {failed[0]}")
    kept = sorted({str(run["measured_at"]) for run in good if run.get("kept")})
    if kept:
        what.append(f"measured {kept[0]}")
    return [
        name,
        str(len(good)),
        f"{middle['accuracy']:.2%}",
        f"{middle['low']:.2%} to {middle['high']:.2%}",
        ", ".join(f"{run['accuracy']:.2%}" for run in good),
        number(median(good, "train_seconds")),
        f"{number(median(good, 'total_seconds'))} ({', '.join(number(run['total_seconds']) for run in good)})",
        number(median([run["build"] for run in good], "cpu_seconds")),
        number(median([run["build"] for run in good], "peak_mb")),
        "; ".join(what),
    ]


def median_run(runs: Sequence[Mapping[str, Any]], metric: str = "accuracy") -> Mapping[str, Any]:
    """The run whose accuracy is the median (the lower of two in the middle)."""
    return sorted(runs, key=lambda run: run[metric])[(len(runs) - 1) // 2]


def median(runs: Sequence[Mapping[str, Any]], name: str) -> float | None:
    """The median of a number over runs; None where none has it."""
    values = [run[name] for run in runs if run.get(name) is not None]
    return statistics.median(values) if values else None


def number(value: float | None, digits: int = 0) -> str:
    """A number as tables show it."""
    return "" if value is None else f"{value:,.{digits}f}"


def at_least(what: str, floor: float, value: float | None, form: str = ".2%") -> Goal:
    """A goal that a value must reach."""
    return Goal(what, format(floor, form), "" if value is None else format(value, form), None if value is None else value >= floor)


def at_most(what: str, ceiling: float, value: float | None, unit: str, form: str = ",.0f") -> Goal:
    """A goal that a value must stay under or at."""
    got = "" if value is None else f"{value:{form}} {unit}"
    return Goal(what, f"at most {ceiling:g} {unit}", got, None if value is None else value <= ceiling)


def ahead(what: str, ours: float | None, theirs: float | None, form: str = ".2%", margin: float = 0.0) -> Goal:
    """A goal to be ahead of a peer by more than a margin."""
    if ours is None or theirs is None:
        return Goal(what, f"more than {margin:{form}} ahead" if margin else "ahead", "", None)
    return Goal(
        what, f"more than {margin:{form}} ahead" if margin else "ahead", f"{ours:{form}} against {theirs:{form}}", ours - theirs > margin
    )


def times(what: str, factor: float, large: float | None, small: float | None) -> Goal:
    """A goal for a ratio: `large` over `small` is at least `factor`."""
    if not large or not small:
        return Goal(what, f"{factor:g} times", "", None)
    return Goal(what, f"{factor:g} times", f"{large / small:.1f} times", large / small >= factor)


def machine() -> str:
    """Processor, cores, memory, system: what a number has to be read with."""
    from smidgen.machine.memory import total_mb
    from smidgen.machine.processor import processor

    chip, memory = processor(), total_mb()
    facts = [chip.name, f"{chip.cores} cores", f"{memory / 1000:.0f} GB", ", ".join(chip.flags)]
    set_here = [f"{name}={os.environ[name]}" for name in ("OPENBLAS_CORETYPE",) if name in os.environ]
    return "; ".join(fact for fact in [*facts, f"{platform.system()} {platform.release()}", *set_here] if fact)


def load_average() -> str:
    """How busy the machine is, for the reader to judge the times by."""
    if not hasattr(os, "getloadavg"):
        return "unknown"
    return f"{os.getloadavg()[0]:.1f} (one-minute load average)"


def versions(peers: Mapping[str, str]) -> str:
    """Versions of both sides; smidgen's with its commit."""
    own = []
    for name in PACKAGES:
        try:
            own.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    commit = _commit()
    text = f"Python {platform.python_version()}, {', '.join(own)}{f' (commit {commit})' if commit else ''}"
    if peers:
        text += f"; peer: {', '.join(f'{name} {version}' for name, version in sorted(peers.items()))}"
    return text


def _commit() -> str:
    try:
        ran = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return ran.stdout.strip() if ran.returncode == 0 else ""
