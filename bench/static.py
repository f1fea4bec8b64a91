"""The static student on BANKING77: how good, how fast, how small."""

from __future__ import annotations

from bench import classifiers, data, results
from bench.context import Context

NAME = "static"
COLUMNS = (*results.RUN_COLUMNS, "p50 ms", "texts/s", "model MB")


def run(context: Context) -> None:
    """`smidgen build --student static` for each seed."""
    train_rows, test_rows = data.banking77(context.data)
    if context.quick:
        train_rows, test_rows = data.quick(train_rows, test_rows)
    train = data.write(train_rows, context.out / "data" / f"{NAME}-train.csv")
    test = data.write(test_rows, context.out / "data" / f"{NAME}-test.csv")
    section = results.Section(
        NAME,
        "Static student, BANKING77",
        f"Token vectors with a trained head, asked for with `--student static`; {len(train_rows):,} rows to learn from, {len(test_rows):,} "
        "to test. Its time includes its teacher's, an encoder that is fine-tuned first. Latency as `smidgen eval` measures it.",
        COLUMNS,
        facts={"load before": results.load_average()},
    )
    runs: list[dict] = []
    for seed in context.seeds:
        runs.append(classifiers.smidgen(context, f"{NAME}-{seed}", train, test, seed, ("--student", "static")))
        good = [run for run in runs if not run.get("trouble")]
        p50 = results.median([run["latency_ms"] for run in good], "p50")
        size = results.median(good, "size_mb")
        section.rows = [
            [
                *results.run_row("smidgen, static", runs),
                results.number(p50, 3),
                results.number(results.median(good, "texts_per_second")),
                results.number(size, 1),
            ]
        ]
        section.goals = [
            results.at_least("accuracy", 0.88, results.median(good, "accuracy"), ".1%"),
            results.at_most("one text, p50", 0.1, p50, "ms", ".3f"),
            results.at_most("model and tokenizer", 10, size, "MB", ".1f"),
        ]
        results.publish(context, section)
