"""BANKING77 with all its training rows: smidgen beside the Hugging Face Trainer on the same base."""

from __future__ import annotations

from bench import classifiers, data, results
from bench.context import Context

NAME = "banking77_full"
PEER_LIMIT = 5400.0
EPOCHS = 8


def run(context: Context) -> None:
    """Both sides, in turn; the page is written after each run."""
    train_rows, test_rows = data.banking77(context.data)
    if context.quick:
        train_rows, test_rows = data.quick(train_rows, test_rows)
    train = data.write(train_rows, context.out / "data" / f"{NAME}-train.csv")
    test = data.write(test_rows, context.out / "data" / f"{NAME}-test.csv")
    section = results.Section(
        NAME,
        "BANKING77, all rows",
        f"{len(train_rows):,} rows to learn from, {len(test_rows):,} to test, 77 intents. “all s” is the whole command: reading, the "
        "baseline and the other students, calibration, export, parity gate, report; the peer's is its whole script. The two sides take "
        "turns at going first.",
        results.RUN_COLUMNS,
        facts={"load before": results.load_average()},
    )
    ours: list[dict] = []
    theirs: list[dict] = []
    for number, seed in enumerate(context.seeds):
        for side in ("smidgen", "peer") if number % 2 == 0 else ("peer", "smidgen"):
            if side == "smidgen":
                ours.append(classifiers.smidgen(context, f"{NAME}-smidgen-{seed}", train, test, seed))
            elif context.with_peer(seed):
                key = f"{NAME}-hf_trainer-{seed}"
                epochs = 1 if context.quick else EPOCHS
                words = ["--train", str(train), "--test", str(test), "--seed", str(seed), "--epochs", str(epochs)]
                words += ["--out", str(context.out / "peers" / key)]
                done = classifiers.peer(context, key, "hf_trainer", "hf_trainer.py", words, PEER_LIMIT)
                theirs += [done] if done else []
            _publish(context, section, ours, theirs)


def _publish(context: Context, section: results.Section, ours: list[dict], theirs: list[dict]) -> None:
    good, peer = [run for run in ours if not run.get("trouble")], [run for run in theirs if not run.get("trouble")]
    accuracy = results.median(good, "accuracy")
    seconds, slow = results.median(good, "total_seconds"), results.median(peer, "total_seconds")
    section.rows = [results.run_row("smidgen", ours), results.run_row("Hugging Face Trainer", theirs)]
    baseline = [run for run in good if run.get("baseline") is not None]
    if baseline:
        middle = results.median(baseline, "baseline")
        took = results.number(results.median(baseline, "baseline_seconds"))
        section.rows.append(
            [
                "smidgen's own baseline",
                str(len(baseline)),
                f"{middle:.2%}",
                "",
                "",
                took,
                "",
                "",
                "",
                "TF-IDF and a linear model, from the same builds",
            ]
        )
    section.goals = [
        results.at_least("accuracy", 0.94, accuracy),
        results.at_least("accuracy, aimed at", 0.945, accuracy),
        results.at_most("whole build", 200, seconds, "s"),
        results.at_most("whole build, aimed at", 100, seconds, "s"),
        results.ahead("accuracy against the Trainer", accuracy, results.median(peer, "accuracy"), margin=0.01),
        results.times("time against the Trainer", 6, slow, seconds),
    ]
    section.versions = peer[0]["versions"] if peer else {}
    results.publish(context, section)
