"""Clinic notes: MTS-Dialog, the section that a conversation belongs to, and its summary."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

from bench import classifiers, data, results
from bench.context import Context

NAME = "clinic_notes"
TRAIN = ("TrainingSet", "ValidationSet")
TEST = "TestSet-1-MEDIQA-Chat-2023"
INSTRUCTION = "Summarise the conversation as the section of a clinic note that it belongs to."
BUDGET = "20m"
"""Of the five passes of 45 minutes the second had the lowest loss on held rows, and the last no better a ROUGE-1 (docs/log.md)."""
COLUMNS = ("job", "runs", "metric", "median", "95 %", "each run", "baseline", "train s", "all s", "MB", "what")
LIMIT = 7200.0
_NUMBERS = {
    "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6",
    "seven": "7", "eight": "8", "nine": "9", "ten": "10", "eleven": "11", "twelve": "12",
}  # fmt: skip
_PLAIN = {
    *("the", "a", "an", "and", "or", "of", "to", "in", "on", "at", "for", "with", "by", "from", "is", "was", "are", "were", "be", "been"),
    *("has", "have", "had", "he", "she", "his", "her", "it", "they", "that", "this", "no", "not"),
}
"""Words that say nothing by themselves."""


def run(context: Context) -> None:
    """Both jobs for each seed; the page is written after each run."""
    train, test = _rows(context.data, TRAIN), _rows(context.data, (TEST,))
    if context.quick:
        train, test = train[:150], test[:40]
    section = results.Section(
        NAME,
        "Clinic notes",
        f"MTS-Dialog: {len(train):,} conversations to learn from (training and validation part), {len(test):,} to test (test 1). A "
        "statement of a summary (a sentence) counts as unsupported where it has a number that its conversation has not, in digits or in "
        "words, or where fewer than half of its content words begin as some word there; the same count for the summaries that people "
        "wrote is given beside it. Summaries are written from the conversation and its section: as people named it where it is learnt, "
        "and as the first job's model of the same seed finds it where it is tested.",
        COLUMNS,
        facts={"load before": results.load_average()},
    )
    headers: list[dict[str, Any]] = []
    summaries: list[dict[str, Any]] = []
    for seed in context.seeds:
        headers.append(_headers(context, train, test, seed))
        _publish(context, section, headers, summaries)
        summaries.append(_summaries(context, train, test, seed))
        _publish(context, section, headers, summaries)


def _headers(context: Context, train: list[dict[str, str]], test: list[dict[str, str]], seed: int) -> dict[str, Any]:
    files = [
        data.write([(row["dialogue"], row["section_header"]) for row in rows], context.out / "data" / f"{NAME}-headers-{part}.csv")
        for part, rows in (("train", train), ("test", test))
    ]
    return classifiers.smidgen(context, f"{NAME}-headers-{seed}", files[0], files[1], seed)


def _summaries(context: Context, train: list[dict[str, str]], test: list[dict[str, str]], seed: int) -> dict[str, Any]:
    dialogues = data.write([(row["dialogue"], "") for row in test], context.out / "data" / f"{NAME}-dialogues.csv")
    found = _answers(context, f"{NAME}-headers-{seed}", dialogues)
    if isinstance(found, str):
        return {"seed": seed, "trouble": f"the sections of the conversations were not found: {found}"}
    header = ("section", "dialogue", "section_text")
    parts = {"train": ([row["section_header"] for row in train], train), "test": (found, test)}
    taught, tested = (
        data.write(
            [(section, row["dialogue"], row["section_text"]) for section, row in zip(sections, rows, strict=True)],
            context.out / "data" / f"{NAME}-{part}-{seed}.csv",
            header,
        )
        for part, (sections, rows) in parts.items()
    )
    key = f"{NAME}-summaries-{seed}"
    folder = classifiers.bundle(context, key)
    build = [*classifiers.CLI, "build", "--task", "write", "--data", str(taught), "--test", str(tested), "--instruction", INSTRUCTION]
    build += ["--input", ",".join(header[:2]), "--label", header[2], "--time-budget", "30s" if context.quick else BUDGET]
    build += ["--seed", str(seed), "--out", str(folder), "--fresh", *context.build_flags]

    def work() -> dict[str, Any]:
        built = context.run(build, f"{key}-build", LIMIT)
        facts: dict[str, Any] = {"seed": seed, "build": built.costs(), "command": classifiers.shown(build)}
        if built.trouble:
            return {**facts, "trouble": f"build: {built.trouble}"}
        written = _answers(context, key, tested)
        if isinstance(written, str):
            return {**facts, "trouble": f"predict: {written}"}
        metrics = json.loads((folder / "report.json").read_text(encoding="utf-8"))["metrics"]
        sources = [row["dialogue"] for row in test]
        return {
            **facts,
            **classifiers.from_report(folder, "rouge1"),
            "rouge1": metrics["rouge1"]["value"],
            "low": metrics["rouge1"]["low"],
            "high": metrics["rouge1"]["high"],
            "unsupported": unsupported(sources, written),
            "unsupported_by_people": unsupported(sources, [row["section_text"] for row in test]),
            "total_seconds": built.seconds,
        }

    return context.measured(key, {"command": classifiers.shown(build), "rows": len(taught.read_bytes())}, work, peer=False)


def _answers(context: Context, key: str, file: Path) -> list[str] | str:
    """What the bundle of a run answers to the rows of a file; what went wrong where it does not."""
    out = context.out / "answers" / f"{key}.jsonl"
    out.parent.mkdir(parents=True, exist_ok=True)
    words = [*classifiers.CLI, "predict", str(classifiers.bundle(context, key)), "--data", str(file), "--out", str(out)]
    trouble = context.run(words, f"{key}-predict", LIMIT).trouble
    return str(trouble) if trouble else [json.loads(line)["output"] for line in out.read_text(encoding="utf-8").splitlines()]


def unsupported(sources: list[str], texts: list[str]) -> float:
    """The share of the statements (sentences) of all texts that their sources do not support; see the section's text."""
    found = [_supported(source, statement) for source, text in zip(sources, texts, strict=True) for statement in _statements(text)]
    return 1 - sum(found) / max(1, len(found))


def _supported(source: str, statement: str) -> bool:
    there, said = _words(source), _words(statement)
    if not {word for word in said if word.isdigit()} <= set(there):
        return False
    content = [word[:5] for word in said if not word.isdigit() and word not in _PLAIN]
    stems = {word[:5] for word in there}
    return not content or sum(stem in stems for stem in content) >= len(content) / 2


def _statements(text: str) -> list[str]:
    return [part for part in re.split(r"(?<=[.!?])\s+|\n+", text) if re.search(r"\w", part)]


def _words(text: str) -> list[str]:
    return [_NUMBERS.get(word, word) for word in re.findall(r"[a-z]+|\d+", text.lower())]


def _publish(context: Context, section: results.Section, headers: list[dict[str, Any]], summaries: list[dict[str, Any]]) -> None:
    section.notes = [str(run["trouble"]) for run in [*headers, *summaries] if run.get("trouble")]
    section.rows, medians = [], {}
    for job, metric, runs in (("section header", "accuracy", headers), ("summary", "rouge1", summaries)):
        good = [run for run in runs if not run.get("trouble")]
        if not good:
            continue
        middle = results.median_run(good, metric)
        medians[metric] = middle[metric]
        baseline = results.median(good, "baseline")
        section.rows.append(
            [
                job,
                str(len(good)),
                {"rouge1": "ROUGE-1"}.get(metric, metric),
                f"{middle[metric]:.2%}",
                f"{middle['low']:.2%} to {middle['high']:.2%}",
                ", ".join(f"{run[metric]:.2%}" for run in good),
                "" if baseline is None else f"{baseline:.2%}",
                results.number(results.median(good, "train_seconds")),
                ", ".join(results.number(run["total_seconds"]) for run in good),
                results.number(results.median(good, "size_mb"), 1),
                "; ".join(sorted({str(run["shipped"]) for run in good})),
            ]
        )
        if metric == "rouge1":
            section.rows.append(
                [
                    "unsupported statements",
                    str(len(good)),
                    "share",
                    f"{middle['unsupported']:.2%}",
                    "",
                    ", ".join(f"{run['unsupported']:.2%}" for run in good),
                    f"{middle['unsupported_by_people']:.2%} (by people)",
                    *[""] * 4,
                ]
            )
    section.goals = [
        results.at_least("section header, accuracy", 0.75, medians.get("accuracy")),
        results.at_least("summary, ROUGE-1", 0.36, medians.get("rouge1")),
    ]
    results.publish(context, section)


def _rows(folder: Path, parts: tuple[str, ...]) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    for part in parts:
        file = folder / "mts-dialog" / "Main-Dataset" / f"MTS-Dialog-{part}.csv"
        if not file.is_file():
            raise data.NoData(f"{file} is not here")
        with file.open(encoding="utf-8", newline="") as stream:
            rows += [dict(row) for row in csv.DictReader(stream)]
    return rows
