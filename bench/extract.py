"""NCBI-disease: the tagger on names of diseases in abstracts of papers, beside its own baseline and two given figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench import classifiers, data, results
from bench.context import Context, last_json

NAME = "extract"
COLUMNS = ("system", "runs", "F1, median", "95 %", "each run", "precision", "recall", "train s", "all s", "peak MB", "p50 ms", "MB", "what")
PLAIN, BIOMEDICAL = 0.814, 0.879
"""Figures of F1 that were given as marks to reach, and are not measured here: of a plain token classifier, and of DistilBioBERT."""


def run(context: Context) -> None:
    """`smidgen build --task extract` for each seed; the page is written after each run."""
    train_rows, test_rows = data.ncbi_disease(context.data, "train"), data.ncbi_disease(context.data, "test")
    if context.quick:
        train_rows, test_rows = train_rows[:200], test_rows[:100]
    header = ("text", "spans")
    train = data.write(train_rows, context.out / "data" / f"{NAME}-train.csv", header)
    test = data.write(test_rows, context.out / "data" / f"{NAME}-test.csv", header)
    section = results.Section(
        NAME,
        "NCBI-disease",
        f"Names of diseases in {len(train_rows):,} sentences to learn from and {len(test_rows):,} to test; the validation part is not "
        "used here: settings were chosen on it. Texts are the tokens of the files with a space between. A span is right where its first "
        "and its last character are. “all s” is the whole command, with the baseline, calibration, int8, parity gate and report.",
        COLUMNS,
        facts={"load before": results.load_average()},
    )
    runs: list[dict[str, Any]] = []
    for seed in context.seeds:
        runs.append(_measured(context, f"{NAME}-{seed}", train, test, seed))
        _publish(context, section, runs)


def _measured(context: Context, key: str, train: Path, test: Path, seed: int) -> dict[str, Any]:
    """One build and what `smidgen eval` says of it."""
    folder = classifiers.bundle(context, key)
    files = ["--data", str(train), "--test", str(test), "--input", "text", "--label", "spans"]
    build = [*classifiers.CLI, "build", "--task", "extract", *files, "--seed", str(seed), "--fresh", "--out", str(folder)]
    build += [*context.build_flags, *(["--threads", str(context.threads)] if context.threads else [])]

    def work() -> dict[str, Any]:
        built = context.run(build, f"{key}-build", classifiers.BUILD_LIMIT)
        facts: dict[str, Any] = {"side": "smidgen", "seed": seed, "build": built.costs(), "command": classifiers.shown(build)}
        if built.trouble:
            return {**facts, "trouble": f"build: {built.trouble}"}
        ran = context.run([*classifiers.CLI, "eval", str(folder), "--data", str(test), "--json"], f"{key}-eval", classifiers.EVAL_LIMIT)
        if ran.trouble:
            return {**facts, "trouble": f"eval: {ran.trouble}"}
        answer = last_json(ran.stdout)
        found = {name: answer["metrics"][name]["value"] for name in ("f1", "precision", "recall", "exact_match")}
        interval = {side: answer["metrics"]["f1"][side] for side in ("low", "high")}
        report = classifiers.from_report(folder, "f1")
        return {**facts, **report, **found, **interval, "p50": answer["latency_ms"]["p50"], "total_seconds": built.seconds}

    return context.measured(key, {"command": classifiers.shown(build), "rows": len(train.read_bytes())}, work, peer=False)


def _publish(context: Context, section: results.Section, runs: list[dict[str, Any]]) -> None:
    good = [run for run in runs if not run.get("trouble")]
    failed = [str(run["trouble"]) for run in runs if run.get("trouble")]
    section.notes = failed
    if good:
        middle = results.median_run(good, "f1")
        whole = results.number(results.median(good, "total_seconds"))
        section.rows = [
            [
                "smidgen",
                str(len(good)),
                f"{middle['f1']:.2%}",
                f"{middle['low']:.2%} to {middle['high']:.2%}",
                ", ".join(f"{run['f1']:.2%}" for run in good),
                f"{middle['precision']:.1%}",
                f"{middle['recall']:.1%}",
                results.number(results.median(good, "train_seconds")),
                f"{whole} ({', '.join(results.number(run['total_seconds']) for run in good)})",
                results.number(results.median([run["build"] for run in good], "peak_mb")),
                results.number(results.median(good, "p50"), 2),
                results.number(results.median(good, "size_mb"), 1),
                "; ".join(sorted({str(run["shipped"]) for run in good})),
            ],
            _other("smidgen's own baseline", results.median(good, "baseline"), results.median(good, "baseline_seconds"), "lexical"),
            _other("plain token classifier", PLAIN, None, "a given figure, not measured here"),
            _other("DistilBioBERT", BIOMEDICAL, None, "a given figure, not measured here"),
        ]
    f1 = results.median(good, "f1")
    section.goals = [
        results.at_least("F1", 0.83, f1),
        results.at_most("whole build", 360, results.median(good, "total_seconds"), "s"),
        results.ahead("F1 against the baseline", f1, results.median(good, "baseline")),
        results.ahead("F1 against a plain token classifier", f1, PLAIN),
    ]
    results.publish(context, section)


def _other(name: str, f1: float | None, seconds: float | None, what: str) -> list[str]:
    shown = "" if f1 is None else f"{f1:.2%}"
    return [name, "", shown, "", "", "", "", results.number(seconds), "", "", "", "", what]
