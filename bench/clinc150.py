"""CLINC150: all in-scope intents, and the same with out-of-scope queries to be found."""

from __future__ import annotations

from bench import classifiers, data, results
from bench.context import Context

NAME = "clinc150"
COLUMNS = (*results.RUN_COLUMNS, "out-of-scope recall", "in-scope accuracy")


def run(context: Context) -> None:
    """Both settings for each seed. No peer is run: the published figures of the data set's paper stand beside."""
    section = results.Section(
        NAME,
        "CLINC150",
        "150 intents. In scope: 15,000 rows to learn from, 4,500 to test. Out of scope: 100 more to learn from, labelled `oos`, and 1,000 "
        "to find among the test's; the validation part is not used. Medians over the seeds; each run in order.",
        COLUMNS,
        facts={"load before": results.load_average()},
    )
    done: dict[bool, list[dict]] = {False: [], True: []}
    for seed in context.seeds:
        for outside, runs in done.items():
            train_rows, test_rows = data.clinc150(context.data, outside)
            if context.quick:
                train_rows, test_rows = data.quick(train_rows, test_rows)
            name = "oos" if outside else "inside"
            train = data.write(train_rows, context.out / "data" / f"{NAME}-{name}-train.csv")
            test = data.write(test_rows, context.out / "data" / f"{NAME}-{name}-test.csv")
            runs.append(classifiers.smidgen(context, f"{NAME}-{name}-{seed}", train, test, seed))
            _publish(context, section, done)


def _publish(context: Context, section: results.Section, done: dict[bool, list[dict]]) -> None:
    good = {outside: [run for run in runs if not run.get("trouble")] for outside, runs in done.items()}
    recall, inside = _median(good[True], "oos_recall"), _median(good[True], "in_scope_accuracy")
    section.rows = [
        [*results.run_row("smidgen, in scope only", done[False]), "", ""],
        [
            *results.run_row("smidgen, with out of scope", done[True]),
            _each(good[True], "oos_recall"),
            _each(good[True], "in_scope_accuracy"),
        ],
        ["BERT, as published", *[""] * 8, "Larson et al. 2019; not run here", "52 %", "96.2 %"],
    ]
    section.goals = [
        results.at_least("in-scope accuracy, in scope only", 0.965, results.median(good[False], "accuracy"), ".1%"),
        results.at_least("out-of-scope recall", 0.70, recall, ".1%"),
        results.at_least("in-scope accuracy beside it", 0.95, inside, ".1%"),
    ]
    results.publish(context, section)


def _median(runs: list[dict], metric: str) -> float | None:
    return results.median([{metric: run["metrics"][metric]["value"]} for run in runs if metric in run["metrics"]], metric)


def _each(runs: list[dict], metric: str) -> str:
    """Median over the runs with the interval of the run in the middle, and every run's value."""
    values = [run["metrics"][metric] for run in runs if metric in run["metrics"]]
    if not values:
        return ""
    middle = results.median_run(values, "value")
    each = ", ".join(f"{value['value']:.1%}" for value in values)
    return f"{middle['value']:.1%} ({middle['low']:.1%} to {middle['high']:.1%}); {each}"
