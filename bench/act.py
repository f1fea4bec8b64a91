"""Calls: own tools with thirty examples each, and the Berkeley Function-Calling Leaderboard's functions as given, unseen before."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench import call_checker, classifiers, own_tools, results
from bench.context import Context, last_json
from smidgen.stats.intervals import wilson
from smidgen.tasks import action_tools, action_zero_shot

NAME = "act"
OWN, UNSEEN = "act_own_tools", "act_unseen_functions"
OWN_COLUMNS = ("tools", "student", "seed", "rows, test", "exact", "95 %", "tool", "arguments, F1", "abstains", "near", "ms", "all s")
UNSEEN_COLUMNS = ("part", "n", "exact", "95 %", "commonest faults")
STUDENTS = ("kernel-tagger", "tagger", "lexical")
PARTS = {"simple": "simple_python", "multiple": "multiple", "irrelevance": "irrelevance"}
GOALS = {"simple": 0.80, "multiple": 0.75, "irrelevance": 0.88}


def run(context: Context) -> None:
    """Both tables; each is published as soon as it is known."""
    publish_unseen(context)
    publish_own(context)


def publish_own(context: Context) -> None:
    """Build and evaluate every student on every set and seed."""
    folder = context.out / "data" / OWN
    own_tools.write(folder)
    section = results.Section(
        OWN,
        "Own tools",
        "`smidgen build --task act` with 30 rows a tool, and 30 without a call; sentences, names and values of the test are others, all "
        "written by the same hand. The test takes no part in any choice. Near: of messages without a call that are near "
        "one, such as “until when can I cancel”, the share that gets none; they are not part of the test.",
        OWN_COLUMNS,
        facts={"load before": results.load_average()},
    )
    names = [*own_tools.SETS, *own_tools.BUSINESSES]
    for student in STUDENTS[:1] if context.quick else STUDENTS:
        for seed in context.seeds:
            for name in names[:1] if context.quick else names:
                section.rows.append(_own(context, folder, name, student, seed))
                results.publish(context, section)


def _own(context: Context, folder: Path, name: str, student: str, seed: int) -> list[str]:
    key = f"{OWN}-{name}-{student}-{seed}"
    out, test = classifiers.bundle(context, key), str(folder / f"{name}-test.jsonl")
    files = ["--tools", str(folder / f"{name}-tools.json"), "--data", str(folder / f"{name}-train.jsonl"), "--test", test]
    if name in own_tools.BUSINESSES:
        files += ["--today", own_tools.BUSINESSES[name]["today"]]
    build = [*classifiers.CLI, "build", "--task", "act", *files, "--student", student, "--seed", str(seed), "--fresh", "--out", str(out)]
    built = context.run([*build, *context.build_flags], f"{key}-build", classifiers.BUILD_LIMIT)
    if built.trouble:
        return [name, student, str(seed), *[""] * (len(OWN_COLUMNS) - 4), f"build: {built.trouble}"]
    measured = []
    for part, data in (("eval", test), ("near", str(folder / f"{name}-near-test.jsonl"))):
        ran = context.run([*classifiers.CLI, "eval", str(out), "--data", data, "--json"], f"{key}-{part}", classifiers.EVAL_LIMIT)
        if ran.trouble:
            return [name, student, str(seed), *[""] * (len(OWN_COLUMNS) - 4), f"eval: {ran.trouble}"]
        measured.append(last_json(ran.stdout))
    found, near = measured
    metrics, exact = found["metrics"], found["metrics"]["exact_match"]
    shares = [f"{metrics[one]['value']:.1%}" for one in ("tool_accuracy", "argument_f1", "abstain_recall")]
    shares.append(f"{near['metrics']['abstain_recall']['value']:.1%}")
    interval = f"{exact['low']:.1%} to {exact['high']:.1%}"
    times = [results.number(found["latency_ms"]["p50"], 1), results.number(built.seconds)]
    return [name, student, str(seed), str(found["n"]), f"{exact['value']:.1%}", interval, *shares, *times]


def publish_unseen(context: Context) -> None:
    """The functions of BFCL, answered by `action_zero_shot`."""
    section = results.Section(
        UNSEEN,
        "Unseen functions (BFCL)",
        "BFCL v4, single turn, Python: functions come with each question, and nothing was trained or chosen on them. A function is chosen "
        "by the vectors of MiniLM and shared words, arguments by rules, as in chat completions with tools that a model was not built with "
        "(`tasks/action_zero_shot.py`). The least likeness of a function is that which parts the own tools' training messages best from "
        "those without a call. Checked as BFCL does (`bench/call_checker.py`).",
        UNSEEN_COLUMNS,
    )
    rows = {part: _rows(context.data / "bfcl", name, 20 if context.quick else None) for part, name in PARTS.items()}
    vectors = _vectors([text for part in rows.values() for question, functions, _ in part for text in (question, *map(_told, functions))])
    least = _least(vectors)
    section.notes = [f"Least likeness of a called function: {least:.2f} by these messages, {action_zero_shot.LEAST:.2f} as shipped."]
    for part, own in rows.items():
        faults = [_fault(question, functions, allowed, vectors) for question, functions, allowed in own]
        right = sum(not fault for fault in faults)
        low, high = wilson(right, len(faults))
        kinds = Counter(fault.partition(" ")[0] for fault in faults if fault)
        commonest = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common(4))
        section.rows.append([part, str(len(own)), f"{right / len(own):.1%}", f"{low:.1%} to {high:.1%}", commonest])
        section.goals.append(results.at_least(f"{part}, exact", GOALS[part], right / len(own)))
    results.publish(context, section)


def _fault(question: str, functions: Sequence[Mapping[str, Any]], allowed: Mapping[str, Any] | None, vectors: Any) -> str:
    tools, mistakes = action_tools.normal(list(functions))
    if mistakes:
        return "" if allowed is None else "schema"
    found = action_zero_shot.call(question, tools, vectors([question, *action_zero_shot.texts_of(tools)]))
    made = None if "missing" in found.facts else found.call  # what is missing is asked for
    if allowed is None:
        return "" if made is None else "called"
    function = next(one for one in functions if one["name"] in allowed)
    return call_checker.wrong(made, function, allowed)


def _rows(folder: Path, name: str, most: int | None) -> list[tuple[str, list[dict[str, Any]], dict[str, Any] | None]]:
    """Questions with their functions, and the allowed calls; None where no function fits."""
    gold = folder / "possible_answer" / f"BFCL_v4_{name}.json"
    allowed = {one["id"]: one["ground_truth"][0] for one in _lines(gold)} if gold.is_file() else {}
    return [
        (row["question"][0][-1]["content"], row["function"], allowed.get(row["id"]))
        for row in _lines(folder / f"BFCL_v4_{name}.json")[:most]
    ]


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def _told(function: Mapping[str, Any]) -> str:
    return action_zero_shot.texts_of([{"name": function["name"], "description": " ".join(str(function.get("description", "")).split())}])[0]


def _vectors(texts: Sequence[str]) -> Any:
    """A function that gives the vectors of texts, those named here computed at once."""
    from smidgen.bases import lookup
    from smidgen.core.progress import Silent
    from smidgen.students.encoder import features_of

    folder = lookup.find("minilm", Silent(), "encoder").folder
    every = list(dict.fromkeys([*texts, *_own_texts()]))
    found = features_of(folder, every, 128, 1, quick=True).numpy()
    table = dict(zip(every, found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9), strict=True))
    return lambda some: np.stack([table[text] for text in some])


def _own_texts() -> list[str]:
    return [text for question, functions, _ in _own_questions() for text in (question, *map(_told, functions))]


def _own_questions() -> list[tuple[str, list[dict[str, Any]], bool]]:
    """Training messages of the own tools, with tools, and whether one of the tools fits: their own tools, or those of another set."""
    import random

    names, found = list(own_tools.SETS), []
    for place, name in enumerate(names):
        other = own_tools.SETS[names[place - 1]]
        for row in own_tools.rows(name, 0, random.Random(name)):
            found.append((row["input"], own_tools.SETS[name], row["output"] is not None))
            found.append((row["input"], other, False))
    return found


def _least(vectors: Any) -> float:
    """The likeness that parts messages that a tool fits best from the others: the mean of both shares of right ones."""
    questions = _own_questions()
    best = np.array([_best(question, functions, vectors) for question, functions, _ in questions])
    fits = np.array([fit for _, _, fit in questions])
    grid = np.linspace(0.0, 1.0, 101)
    worth = [float(np.mean(best[fits] >= one) + np.mean(best[~fits] < one)) for one in grid]
    return float(grid[int(np.argmax(worth))])


def _best(question: str, functions: Sequence[Mapping[str, Any]], vectors: Any) -> float:
    tools, _ = action_tools.normal(list(functions))
    return max(action_zero_shot.likeness(question, tools, vectors([question, *action_zero_shot.texts_of(tools)])))
