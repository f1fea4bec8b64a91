"""The loop of `replay` with whole builds: at each learning `smidgen build` teaches the encoder, and `smidgen predict` answers all texts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench import classifiers, data, replay, replay_cases, replaying, results
from bench.context import Context
from bench.replaying import Policy, Taught, Trace, Traffic
from smidgen.data.splits import assign_side
from smidgen.judge import report
from smidgen.stats.risk_coverage_curve import RiskCoveragePoint
from smidgen.store.files import content_hash

NAME = "replay_encoder"
LIMIT = 1800.0
GROWN, QUICK_ROWS = 1.0, 1500


def run(context: Context) -> None:
    """BANKING77, then CLINC150, seed by seed; the page is written after each."""
    section = results.Section(
        NAME,
        "The loop, replayed with the whole encoder",
        "As “The loop, replayed”, as served, with the product's own builds: whenever labels have doubled, "
        "`smidgen build --student encoder` teaches the starter encoder anew and packs it, and the packed bundle answers the texts. Where "
        "too few rows choose, the build holds some out of those that it learns from.",
        replay_cases.COLUMNS,
        facts={"load before": results.load_average()},
    )
    sets = {"BANKING77": data.banking77(context.data), "CLINC150": data.clinc150(context.data, False)}
    for name, (train, test) in sets.items():
        rows = [*train, *test][: QUICK_ROWS if context.quick else None]
        found: list[Trace] = []
        failed, first = 0, len(section.goals)
        for seed in context.seeds:
            stored = _kept(context, name, rows, seed)
            found.append(Trace.of(stored["trace"]))
            failed += stored["failed"]
            section.rows[_place(section.rows, name) :] = [replay_cases.row(name, "as served, the whole encoder", found, 0.05)]
            section.goals[first:] = replay.goals(name, "the whole encoder", found)
            section.notes = [note for note in section.notes if not note.startswith(name)]
            if failed:
                section.notes.append(f"{name}: {failed} builds failed, and the learning with them.")
            results.publish(context, section)


def _place(rows: Sequence[Sequence[str]], name: str) -> int:
    """Where the row of a data set stands, or is to stand."""
    return next((place for place, row in enumerate(rows) if row[0] == name), len(rows))


def _kept(context: Context, name: str, rows: data.Rows, seed: int) -> dict[str, Any]:
    """The trace of one seed, kept as soon as it is done."""

    def work() -> dict[str, Any]:
        labels = sorted({label for _, label in rows})
        gold = np.array([labels.index(label) for _, label in rows])
        _, order = replay_cases.drawn(len(rows), seed)
        texts = [rows[at][0] for at in order]
        sides = [assign_side(text, f"seed {seed}", replay_cases.HELD_OUT) for text in texts]
        teacher = Builds(context, f"{NAME}-{name.lower()}-{seed}", texts, labels, seed)
        vectors, _, _ = replay_cases.embedded(rows)  # with them rows from before a revocation are compared with newer ones
        traffic = Traffic(vectors[order], gold[order], gold[order], sides, len(labels))
        trace = replaying.Gateway(traffic, Policy(grown=GROWN), seed, teacher).run()
        return {"trace": trace.json(), "failed": teacher.failed}

    return context.measured(f"{NAME}-{name.lower()}-{seed}", {"rows": len(rows), "grown": GROWN}, work, peer=False)


class Builds:
    """The student that `smidgen build` makes. What a bundle answered is kept by the rows that it was made of: a seed takes an hour.

    Attributes:
        failed: builds that failed.
    """

    def __init__(self, context: Context, key: str, texts: Sequence[str], labels: Sequence[str], seed: int) -> None:
        self.context, self.key, self.texts, self.labels, self.seed = context, key, texts, labels, seed
        self.failed = 0

    def __call__(self, traffic: Traffic, learning: Any, choosing: Any) -> Taught | None:
        """Build on the rows that are learnt from, with those that choose as its test rows where they are enough."""
        tested = choosing if len(choosing) >= replaying.FEWEST else choosing[:0]
        said = [self.labels[label] for label in traffic.said]
        key = content_hash([[self.texts[at], said[at]] for at in (*learning, *tested)] + [len(tested), self.seed])[:16]
        file = self.context.out / "answers" / f"{self.key}-{key}.json"
        if not (file.is_file() and self.context.keep == "all"):
            found = self._built(key, [(self.texts[at], said[at]) for at in learning], [(self.texts[at], said[at]) for at in tested])
            if found["trouble"]:
                self.context.say(f"{self.key}: {found['trouble'][:300]}")
                self.failed += 1
                return None
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(found), encoding="utf-8")
        stored = json.loads(file.read_text(encoding="utf-8"))
        curve = [RiskCoveragePoint(*point) for point in stored["curve"]]
        labels = np.array([self.labels.index(label) for label in stored["labels"]])
        return Taught(np.array(stored["scores"]), labels, curve, stored["measured"])

    def _built(self, key: str, learnt: data.Rows, tested: data.Rows) -> dict[str, Any]:
        folder = self.context.out / "data"
        train = data.write(learnt, folder / f"{self.key}.csv")
        asked = data.write([(text,) for text in self.texts], folder / f"{self.key}-asked.csv", ("text",))
        out = classifiers.bundle(self.context, self.key)
        words = [*classifiers.CLI, "build", "--task", "classify", "--data", str(train), "--input", "text", "--label", "category"]
        if tested:
            words += ["--test", str(data.write(tested, folder / f"{self.key}-tested.csv"))]
        words += ["--student", "encoder", "--seed", str(self.seed), "--out", str(out), "--fresh", *self.context.build_flags]
        built = self.context.run(words, f"{self.key}-{key}-build", LIMIT)
        if built.trouble:
            return {"trouble": f"build on {len(learnt):,} rows: {built.trouble}"}
        answers = out.parent / f"{self.key}.jsonl"
        predict = [*classifiers.CLI, "predict", str(out), "--data", str(asked), "--out", str(answers)]
        ran = self.context.run(predict, f"{self.key}-{key}-predict", LIMIT)
        if ran.trouble:
            return {"trouble": f"predict: {ran.trouble}"}
        return {"trouble": "", **_answers(answers), **_own_curve(out)}


def _answers(file: Path) -> dict[str, Any]:
    found = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return {"labels": [one["output"] for one in found], "scores": [one["score"] for one in found]}


def _own_curve(bundle: Path) -> dict[str, Any]:
    """The risk over coverage of the rows that the build measured on, and how many these are."""
    known = report.read(bundle / "report.json")
    points = known.risk_coverage.points if known.risk_coverage is not None else ()
    curve = [(point.threshold, point.coverage, point.risk, point.risk_low, point.risk_high) for point in points]
    return {"curve": curve, "measured": known.metrics[known.headline].n}
