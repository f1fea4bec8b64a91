"""Every recipe of `recipes/` that comes with its data, built as it stands: whether it meets its own gate, and by how much."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import classifiers, results
from bench.context import HERE, Context

NAME = "recipes"
FOLDER = HERE.parent / "recipes"
COLUMNS = (
    "recipe", "seed", "rows, test", "metric", "reached", "95 %", "gate", "met", "baseline", "also", "all s", "train s", "MB", "what",
)  # fmt: skip
ALSO = ("coverage", "unsupported", "exact_match", "macro_f1", "oos_recall")
"""Metrics that are told beside the headline where a recipe has them."""
MADE = {"redaction": ("tools.redaction", ("--rows", "14000", "--dev-rows", "1500"), ("--rows", "400", "--dev-rows", "100"))}
"""Recipes whose data is made and not kept: what makes it where the recipe looks for it, with its arguments, and those of a quick run."""
MAKE_LIMIT, BUILD_LIMIT = 1800.0, 3600.0


class GateNotMet(Exception):
    """A recipe that does not meet its own gate: the bench has written its page, and the run counts as broken."""


def run(context: Context) -> None:
    """`smidgen build` of each recipe and seed; the page is written after each. Raises GateNotMet in the end where a build failed."""
    section = results.Section(
        NAME,
        "The recipes",
        "Each recipe of `recipes/` that comes with its data, built by `smidgen build recipes/NAME.toml` as it stands but for its seed. "
        "That of `redaction` is made first, by `python -m tools.redaction`. "
        "Numbers are those of the served model on the recipe's test file, which takes no part in any choice. The gate is the recipe's "
        "own `min_headline`; the build also fails where the served model is worse than the trained one by more than `max_loss`.",
        COLUMNS,
        facts={"load before": results.load_average()},
    )
    runs: list[dict[str, Any]] = []
    found = sorted((file for file in FOLDER.rglob("*.toml") if "\ntask = " in file.read_text(encoding="utf-8")), key=lambda file: file.stem)
    without = [file.stem for file in found if file.stem not in MADE and not complete(file)]
    if without:
        section.notes = [f"Without data of their own, for the user's files, and so not built here: {', '.join(without)}."]
    for file in (file for file in found if file.stem not in without):
        trouble = _made(context, file)
        for seed in context.seeds:
            runs.append({**_known(file, seed), "trouble": trouble} if trouble else _measured(context, file, seed))
            section.rows = [row(one) for one in runs]
            section.goals = goals(runs)
            results.publish(context, section)
    failed = sorted({f"{one['recipe']} (seed {one['seed']})" for one in runs if one.get("trouble")})
    if failed:
        raise GateNotMet(", ".join(failed))


def complete(file: Path) -> bool:
    """Whether the data files that a recipe names are there."""
    data = tomllib.loads(file.read_text(encoding="utf-8")).get("data", {})
    return all((file.parent / data[key]).is_file() for key in ("train", "test", "unlabelled") if key in data)


def _made(context: Context, file: Path) -> str:
    """Make the data of a recipe that comes with none; why that could not be done, empty where it was or need not be. It is made anew each
    time, for what lies there may be another run's."""
    if file.stem not in MADE:
        return ""
    module, usual, few = MADE[file.stem]
    data = tomllib.loads(file.read_text(encoding="utf-8")).get("data", {})
    out = (file.parent / data["train"]).parent.resolve()
    command = [sys.executable, "-m", module, *(few if context.quick else usual), "--out", str(out)]
    trouble = context.run(command, f"{NAME}-{file.stem}-data", MAKE_LIMIT).trouble
    return f"its data: {trouble}" if trouble else "" if complete(file) else f"its data: {module} did not make it"


def _known(file: Path, seed: int) -> dict[str, Any]:
    """What is known of a build before it is one."""
    said = tomllib.loads(file.read_text(encoding="utf-8"))
    return {"recipe": file.stem, "seed": seed, "gate": said.get("gate", {}).get("min_headline")}


def _measured(context: Context, file: Path, seed: int) -> dict[str, Any]:
    """One build, and what its report says."""
    key = f"{NAME}-{file.stem}-{seed}"
    folder = classifiers.bundle(context, key)
    build = [*classifiers.CLI, "build", str(file), "--seed", str(seed), "--fresh", "--out", str(folder), *context.build_flags]
    build += ["--threads", str(context.threads)] if context.threads else []
    # A quick run shows that everything runs; with one pass no gate can be met.
    build += ["--set", "train.epochs=1", "--set", "gate.min_headline=0"] if context.quick else []
    facts = _known(file, seed)

    def work() -> dict[str, Any]:
        built = context.run(build, f"{key}-build", BUILD_LIMIT)
        costs = {**facts, "build": built.costs(), "total_seconds": built.seconds, "command": classifiers.shown(build)}
        if built.trouble:
            return {**costs, "trouble": built.trouble}
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        headline = report["headline"]
        told = {"headline": headline, "metrics": report["metrics"], "test_rows": report["data"]["test"]}
        return {**costs, **told, **classifiers.from_report(folder, headline)}

    settings = {"recipe": file.read_text(encoding="utf-8"), "data": _sizes(file), "command": classifiers.shown(build)}
    return context.measured(key, settings, work, peer=False)


def _sizes(file: Path) -> list[int]:
    data = tomllib.loads(file.read_text(encoding="utf-8")).get("data", {})
    return [(file.parent / data[key]).stat().st_size for key in ("train", "test") if key in data]


def row(run: dict[str, Any]) -> list[str]:
    """A build as a row of the table; one that failed says why."""
    gate = "" if run["gate"] is None else f"{run['gate']:g}"
    if run.get("trouble"):
        return [run["recipe"], str(run["seed"]), "", "", "", "", gate, "**no**", *[""] * 5, f"failed: {run['trouble']}"]
    headline, metrics = run["headline"], run["metrics"]
    found = metrics[headline]
    return [
        run["recipe"],
        str(run["seed"]),
        str(run["test_rows"]),
        headline,
        f"{found['value']:.3f}",
        f"{found['low']:.3f} to {found['high']:.3f}",
        gate,
        "yes",
        results.number(run.get("baseline"), 3),
        ", ".join(f"{name} {metrics[name]['value']:.3f}" for name in ALSO if name in metrics and name != headline),
        results.number(run["total_seconds"]),
        results.number(run.get("train_seconds")),
        results.number(run.get("size_mb"), 1),
        str(run.get("shipped", "")),
    ]


def goals(runs: Sequence[dict[str, Any]]) -> list[results.Goal]:
    """One goal a recipe: the worst of its builds meets its gate."""
    made = []
    for name in dict.fromkeys(run["recipe"] for run in runs):
        own = [run for run in runs if run["recipe"] == name]
        failed = [run for run in own if run.get("trouble")]
        worst = min((run["metrics"][run["headline"]]["value"] for run in own if not run.get("trouble")), default=None)
        wanted = "builds" if own[0]["gate"] is None else f"{own[0]['gate']:g}"
        got = f"{len(failed)} of {len(own)} builds failed" if failed else f"{worst:.3f}"
        made.append(results.Goal(f"{name}, worst of {len(own)}", wanted, got, not failed))
    return made
