"""BANKING77 with ten and with five rows a label: smidgen beside SetFit on the same base and the same rows."""

from __future__ import annotations

from bench import classifiers, data, results
from bench.context import Context

NAME = "banking77_few"
PEER_LIMIT = 2400.0
GOALS = {10: 0.875, 5: 0.81}


def run(context: Context) -> None:
    """For each number of rows and each seed both sides, in turn. A seed draws the rows, and is the seed of both trainings."""
    pool, test_rows = data.banking77(context.data)
    if context.quick:
        pool, test_rows = data.quick(pool, test_rows)
    test = data.write(test_rows, context.out / "data" / f"{NAME}-test.csv")
    section = results.Section(
        NAME,
        "BANKING77, 10 and 5 rows a label",
        f"A few rows a label, drawn from the training set once for each seed; both sides learn from the same rows, and are tested on "
        f"{len(test_rows):,}.",
        results.RUN_COLUMNS,
        facts={"load before": results.load_average()},
    )
    done: dict[int, tuple[list[dict], list[dict]]] = {per_label: ([], []) for per_label in GOALS}
    turn = 0
    for per_label, (ours, theirs) in done.items():
        for seed in context.seeds:
            rows = data.few(pool, per_label, seed)
            train = data.write(rows, context.out / "data" / f"{NAME}-{per_label}-{seed}.csv")
            for side in ("smidgen", "peer") if turn % 2 == 0 else ("peer", "smidgen"):
                if side == "smidgen":
                    ours.append(classifiers.smidgen(context, f"{NAME}-{per_label}-smidgen-{seed}", train, test, seed))
                elif context.with_peer(seed):
                    iterations = 1 if context.quick else 20
                    words = ["--train", str(train), "--test", str(test), "--seed", str(seed), "--iterations", str(iterations)]
                    key = f"{NAME}-{per_label}-setfit-{seed}"
                    result = classifiers.peer(context, key, "setfit", "setfit_peer.py", words, PEER_LIMIT)
                    theirs += [result] if result else []
                _publish(context, section, done)
            turn += 1


def _publish(context: Context, section: results.Section, done: dict[int, tuple[list[dict], list[dict]]]) -> None:
    section.rows, section.goals = [], []
    for per_label, (ours, theirs) in done.items():
        good, peer = [run for run in ours if not run.get("trouble")], [run for run in theirs if not run.get("trouble")]
        section.rows += [results.run_row(f"smidgen, {per_label} a label", ours), results.run_row(f"SetFit, {per_label} a label", theirs)]
        accuracy, seconds = results.median(good, "accuracy"), results.median(good, "total_seconds")
        section.goals += [
            results.at_least(f"accuracy, {per_label} a label", GOALS[per_label], accuracy, ".1%"),
            results.ahead(f"accuracy against SetFit, {per_label} a label", accuracy, results.median(peer, "accuracy")),
            results.times(f"time against SetFit, {per_label} a label", 1, results.median(peer, "total_seconds"), seconds),
        ]
        if peer:
            section.versions = peer[0]["versions"]
    results.publish(context, section)
