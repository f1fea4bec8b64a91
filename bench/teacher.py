"""BANKING77 with ten rows a label, the other texts labelled by a teacher that is wrong in 9 of 100, asked over HTTP."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from bench import classifiers, data, process, results
from bench.context import Context

NAME = "teacher"
PER_LABEL = 10
NOISE = 0.09
GOAL = 0.895
READY_LIMIT = 60.0
KINDS = {"random": "any wrong label", "likely": "one of the three likeliest wrong labels"}


def run(context: Context) -> None:
    """Each seed draws the labelled rows and the teacher's errors. Errors at random with every seed; the harder ones with the first."""
    pool, test_rows = data.banking77(context.data)
    if context.quick:
        pool, test_rows = data.quick(pool, test_rows)
    test = data.write(test_rows, context.out / "data" / f"{NAME}-test.csv")
    gold = data.write(pool, context.out / "data" / f"{NAME}-gold.csv")
    section = results.Section(
        NAME,
        "BANKING77, 10 rows a label and a teacher",
        f"{PER_LABEL} rows of each label are given with it, drawn from the training set once for each seed; of the others only the text. "
        f"A teacher behind an OpenAI-compatible URL on this machine answers {1 - NOISE:.0%} of all texts with the right label and the "
        f"others, always the same ones, with a wrong one. One vote each. Tested on {len(test_rows):,}. Published for a teacher of this "
        f"accuracy: {GOAL:.3f} (distil labs).",
        results.RUN_COLUMNS,
        facts={"load before": results.load_average()},
    )
    done: dict[str, list[dict[str, Any]]] = {}
    for kind, what in KINDS.items():
        for seed in context.seeds if kind == "random" else context.seeds[:1]:
            done.setdefault(f"smidgen, teacher errs with {what}", []).append(_taught(context, kind, pool, gold, test, seed))
            _publish(context, section, done)


def _taught(context: Context, kind: str, pool: data.Rows, gold: Path, test: Path, seed: int) -> dict[str, Any]:
    """One build with a teacher of its own."""
    rows = data.few(pool, 3 if context.quick else PER_LABEL, seed)
    train = data.write(rows, context.out / "data" / f"{NAME}-{seed}.csv")
    labelled = {text for text, _ in rows}
    # The column of the label is there and empty: only the text may be read.
    others = data.write([(text, "") for text, _ in pool if text not in labelled], context.out / "data" / f"{NAME}-unlabelled-{seed}.csv")
    key = f"{NAME}-{kind}-{seed}"

    def work() -> dict[str, Any]:
        serve = [sys.executable, "-m", "bench.noisy_teacher", "--rows", gold, "--noise", str(NOISE), "--kind", kind, "--seed", str(seed)]
        with process.serving([*serve, "--port", "{port}"], limit=READY_LIMIT, log=context.out / "logs" / f"{key}-server") as server:
            words = classifiers.build_words(train, test, seed)
            words += ["--unlabelled", str(others), "--teacher", f"{server.url}/v1", "--teacher-model", f"{kind}-{seed}"]
            build = [*classifiers.CLI, *words, "--out", str(classifiers.bundle(context, key)), *context.build_flags]
            build += ["--threads", str(context.threads)] if context.threads else []
            built = context.run(build, f"{key}-build", classifiers.BUILD_LIMIT)
        facts: dict[str, Any] = {"side": "smidgen", "seed": seed, "build": built.costs()}
        if built.trouble:
            return {**facts, "trouble": f"build: {built.trouble}"}
        found = {**facts, **classifiers.from_report(classifiers.bundle(context, key)), **classifiers.evaluated(context, key, test)}
        return {**found, "total_seconds": built.seconds, "teacher": _report(classifiers.bundle(context, key))}

    settings = {"noise": NOISE, "kind": kind, "seed": seed, "rows": len(rows), "flags": list(context.build_flags)}
    return context.measured(key, settings, work, peer=False)


def _report(bundle: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((bundle / "report.json").read_text(encoding="utf-8"))["teacher"]
    return found


def _publish(context: Context, section: results.Section, done: dict[str, list[dict[str, Any]]]) -> None:
    section.rows, section.goals, section.notes = [], [], []
    for name, runs in done.items():
        good = [run for run in runs if not run.get("trouble")]
        section.rows.append(results.run_row(name, runs))
        if good:
            taught = good[0]["teacher"]
            dropped = ", ".join(f"{count:,} {reason}" for reason, count in taught["dropped"].items())
            section.notes.append(
                f"{name}, first seed: its accuracy on {taught['quality']['n']} of the given rows {taught['quality']['value']:.1%}; "
                f"{taught['asked']:,} texts asked, {taught['kept']:,} learnt from, {taught['corrected']:,} of these with another label "
                f"than the teacher's; left out: {dropped}. {taught['tokens_in'] + taught['tokens_out']:,} tokens."
            )
    first = [run for run in next(iter(done.values())) if not run.get("trouble")]
    section.goals = [results.at_least("accuracy, teacher of 91 %", GOAL, results.median(first, "accuracy"), ".1%")]
    results.publish(context, section)
