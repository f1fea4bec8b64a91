"""Texts about things from their attributes: E2E NLG, the decoder whole and packed, beside its own baseline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench import classifiers, data, results
from bench.context import Context, last_json

NAME = "writing"
COLUMNS = ("system", "runs", "ROUGE-L, median", "95 %", "each run", "coverage", "unsupported", "train s", "all s", "tokens/s", "MB", "what")
BUDGET = "330s"
METRICS = ("rougeL", "rouge1", "rouge2", "chrf", "coverage", "unsupported")
FORMS = ("none", "q8-0", "q5-1", "q4-1", "q4-0")
LIMIT = 3600.0


def run(context: Context) -> None:
    """`smidgen build --task write` for each seed; then, for the first, every packed form by itself. The page is written after each."""
    rows, wanted = data.e2e(context.data, "devset"), data.e2e(context.data, "testset_w_refs")
    if context.quick:
        rows, wanted = rows[:300], wanted[:80]
    train = data.write(rows, context.out / "data" / f"{NAME}-train.csv", ("mr", "ref"))
    test = data.references(wanted, context.out / "data" / f"{NAME}-test.jsonl", ("mr", "ref"))
    inputs = len({text for text, _ in wanted})
    section = results.Section(
        NAME,
        "E2E NLG",
        f"Texts about restaurants from their attributes. Learnt from the {len(rows):,} pairs of devset; tested on the {inputs:,} inputs of "
        "the test set, against the best of each one's references. Coverage: inputs all of whose attributes the text states; unsupported: "
        "texts that state what the input does not; both by smidgen's own lexicon, learnt from devset. “all s” is the whole build, with "
        "baseline, packed forms, parity gate and report.",
        COLUMNS,
        facts={"load before": results.load_average()},
    )
    runs: list[dict[str, Any]] = []
    budget = ("--time-budget", "20s" if context.quick else BUDGET)
    for seed in context.seeds:
        runs.append(_measured(context, f"{NAME}-{seed}", train, test, seed, (*budget, "--fresh")))
        _publish(context, section, runs, [])
    forms: list[dict[str, Any]] = []
    for form in FORMS:
        flags = (*budget, "--compress", form, "--set", "gate.max_loss=1")
        made = _measured(context, f"{NAME}-{context.seeds[0]}-{form}", train, test, context.seeds[0], flags)
        forms.append({**made, "form": form})
        _publish(context, section, runs, forms)


def _measured(context: Context, key: str, train: Path, test: Path, seed: int, flags: tuple[str, ...]) -> dict[str, Any]:
    """One build, and what `smidgen eval` says of it on all test rows: the report has only a part of them."""
    folder = classifiers.bundle(context, key)
    build = [*classifiers.CLI, "build", "--task", "write", "--data", str(train), "--test", str(test), "--input", "mr", "--label", "ref"]
    build += ["--seed", str(seed), "--out", str(folder), *flags, *context.build_flags]
    build += ["--threads", str(context.threads)] if context.threads else []

    def work() -> dict[str, Any]:
        built = context.run(build, f"{key}-build", LIMIT)
        facts: dict[str, Any] = {"side": "smidgen", "seed": seed, "build": built.costs(), "command": classifiers.shown(build)}
        if built.trouble:
            return {**facts, "trouble": f"build: {built.trouble}"}
        ran = context.run([*classifiers.CLI, "eval", str(folder), "--data", str(test), "--json"], f"{key}-eval", LIMIT)
        if ran.trouble:
            return {**facts, "trouble": f"eval: {ran.trouble}"}
        told = last_json(ran.stdout)["metrics"]
        found = {name: told[name]["value"] for name in METRICS if name in told}
        interval = {side: told["rougeL"][side] for side in ("low", "high")}
        report = classifiers.from_report(folder, "rougeL")
        return {**facts, **report, **found, **interval, **classifiers.speed(folder), "total_seconds": built.seconds}

    return context.measured(key, {"command": classifiers.shown(build), "rows": len(train.read_bytes())}, work, peer=False)


def _publish(context: Context, section: results.Section, runs: list[dict[str, Any]], forms: list[dict[str, Any]]) -> None:
    good = [run for run in runs if not run.get("trouble")]
    section.notes = [str(run["trouble"]) for run in [*runs, *forms] if run.get("trouble")]
    section.rows = []
    if good:
        middle = results.median_run(good, "rougeL")
        each = ", ".join(f"{run['rougeL']:.2%}" for run in good)
        section.rows.append(_row("smidgen", good, middle, each, "; ".join(sorted({str(run["shipped"]) for run in good}))))
        baseline = results.median(good, "baseline")
        shown = "" if baseline is None else f"{baseline:.2%}"
        section.rows.append(["the base with examples in its prompt", "", shown, *[""] * (len(COLUMNS) - 3)])
    packed = {str(form["form"]): form for form in forms if not form.get("trouble")}
    section.rows += [_row(f"packed as {name}", [form], form, "", str(form["shipped"])) for name, form in packed.items()]
    whole = packed.get("none", {}).get("rougeL")
    coverage, unsupported = results.median(good, "coverage"), results.median(good, "unsupported")
    section.goals = [
        results.at_least("ROUGE-L against the best reference", 0.70, results.median(good, "rougeL")),
        results.at_least("coverage", 0.98, coverage),
        results.at_most("unsupported", 1, None if unsupported is None else 100 * unsupported, "%", ".2f"),
        results.at_most("teaching", 360, results.median(good, "train_seconds"), "s"),
        _within("ROUGE-L lost by q8-0", 0.01, whole, packed.get("q8-0", {}).get("rougeL")),
        *[_within(f"ROUGE-L lost by {name}", 0.02, whole, packed.get(name, {}).get("rougeL")) for name in ("q4-1", "q4-0")],
    ]
    results.publish(context, section)


def _row(name: str, runs: list[dict[str, Any]], middle: Any, each: str, what: str) -> list[str]:
    return [
        name,
        str(len(runs)),
        f"{middle['rougeL']:.2%}",
        f"{middle['low']:.2%} to {middle['high']:.2%}",
        each,
        *[f"{middle[metric]:.2%}" if metric in middle else "" for metric in ("coverage", "unsupported")],
        results.number(results.median(runs, "train_seconds")),
        ", ".join(results.number(run["total_seconds"]) for run in runs),
        results.number(results.median(runs, "tokens_per_second")),
        results.number(results.median(runs, "size_mb"), 1),
        what,
    ]


def _within(what: str, most: float, whole: float | None, packed: float | None) -> results.Goal:
    if whole is None or packed is None:
        return results.Goal(what, f"at most {most:g}", "", None)
    return results.Goal(what, f"at most {most:g}", f"{whole - packed:.4f}", whole - packed <= most)
