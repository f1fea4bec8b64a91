"""Simulated writers: rows of a shop, and texts that leave out, make up and reword, so that all numbers of a report fit together."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from smidgen.core.replies import Reply
from smidgen.core.rows import Row
from smidgen.judge import classifier_sections, cost_estimate, parity
from smidgen.judge.answer_sections import writer_sections
from smidgen.judge.quality_gate import GateSettings
from smidgen.judge.report import Report
from smidgen.judge.sections import BuildAlternative, Environment, SpeedFacts, StudentFacts, TrainingFacts, measured
from smidgen.tasks.write import WriteSettings, part

NAMES = ("Oak", "Saltmarsh", "Wren", "Fennel", "Mabel", "Drift", "Cobble", "Pip", "Tuppence", "Lantern", "Orchard", "Hob")
KINDS = ("stool", "throw", "wall hook", "pepper mill", "mixing bowl", "bath mat", "door stop", "egg cup", "coin tray", "candle holder")
COLOURS = ("sea green", "natural", "matt black", "speckled cream", "slate", "honey", "charcoal", "duck egg blue")
MATERIALS = ("oak", "lambswool", "cast iron", "stoneware", "cotton", "beeswax", "earthenware", "brass")
CARE = ("dishwasher safe", "hand wash only", "wipe clean", "dry clean only")
WAYS = (
    "The {name} is a {colour} {kind} made of {material}. It is {care}.",
    "A {kind} in {colour} {material}: the {name} is {care}.",
    "Made of {material}, the {colour} {name} is a {kind} that is {care}.",
)


def shop(n: int, seed: int = 0, references: int = 3) -> list[Row]:
    """Products as attributes, each with some ways to describe it."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(n):
        facts = product(rng)
        ways = rng.permutation(len(WAYS))[:references]
        rows.append(Row(given(facts), [WAYS[way].format(**facts) for way in ways], number + 1))
    return rows


def product(rng: np.random.Generator) -> dict[str, str]:
    kind = KINDS[rng.integers(len(KINDS))]
    return {
        "name": f"{NAMES[rng.integers(len(NAMES))]} {kind.split()[-1].capitalize()}",
        "kind": kind,
        "colour": COLOURS[rng.integers(len(COLOURS))],
        "material": MATERIALS[rng.integers(len(MATERIALS))],
        "care": CARE[rng.integers(len(CARE))],
    }


def given(facts: dict[str, str]) -> str:
    return "; ".join(f"{key}: {value}" for key, value in facts.items())


def raw(rows: list[Row], skill: float, seed: int = 0) -> dict[str, Any]:
    """What a writer of some skill (0..1) would return: the less it has, the more it leaves out and makes up, and it half knows when."""
    rng = np.random.default_rng(seed)
    texts, chances, finished = [], [], []
    for row in rows:
        facts = dict(part_of.split(": ", 1) for part_of in str(row.input).split("; "))
        trouble = rng.random() * 2 * (1 - skill)
        if trouble > 0.25:
            facts["colour"] = COLOURS[rng.integers(len(COLOURS))]
        text = WAYS[rng.integers(len(WAYS))].format(**facts)
        if trouble > 0.15:
            text = text.replace(f" It is {facts['care']}.", "").replace(f" that is {facts['care']}", "").replace(f" is {facts['care']}", "")
        if trouble > 0.5:
            text = f"This lovely piece has it all. {text} You will love it in every room of your house."
        if trouble > 0.8:
            text = "The perfect gift for"
        text = " ".join(word for word in text.split() if rng.random() > 0.3 * trouble)
        finished.append(float(trouble <= 0.8))
        texts.append(text)
        chances.append(float(np.clip(0.95 - 0.5 * trouble + rng.normal(0, 0.06), 0.05, 0.99)))
    tokens = np.array([1.3 * len(text.split()) for text in texts], dtype=np.float32).round()
    return {
        "texts": texts,
        "probability": np.array(chances, np.float32),
        "tokens": tokens,
        "finished": np.array(finished, np.float32),
        "inputs": [row.input for row in rows],
    }


def report(**changes: Any) -> Report:
    """A whole report, with some of it changed."""
    return whole().model_copy(update=changes)


@functools.cache
def whole(n: int = 150, skill: float = 0.8, base: float = 0.45) -> Report:
    """A whole report."""
    train, held, test = shop(300, 1), shop(120, 2), shop(n, 3)
    form = part.form(train, WriteSettings())
    form = part.calibrate(raw(held, skill, 5), held, form, WriteSettings())
    replies, weaker = part.decode(raw(test, skill, 6), form), part.decode(raw(test, base, 7), form)
    grades, lesser = part.grading.grades(test, replies, form), part.grading.grades(test, weaker, form)
    metrics = part.measure(test, replies, form)
    sections = writer_sections(test, replies, grades, metrics)
    trained = part.decode(raw(held, skill, 5), form)
    served = [*part.decode(raw(held[:40], skill, 8), form), *trained[40:]]
    worth = part.grading.grades(held, trained, form), part.grading.grades(held, served, form)
    own = measured(metrics["rougeL"])
    assert own is not None
    theirs = part.measure(test, weaker, form)
    tokens_in, tokens_out = cost_estimate.tokens([row.input for row in test], (), [reply.output for reply in replies])
    facts: dict[str, Any] = {
        "name": "descriptions",
        "task": "write",
        "created": "2026-11-25T10:00:00Z",
        "headline": "rougeL",
        "command": "smidgen build --task write --data products.csv",
        "data": classifier_sections.data_facts(train, held, test, form, sha256="ab" * 32, licence="CC-BY-4.0", source="products.csv"),
        "student": StudentFacts(
            kind="decoder",
            base="smollm2",
            base_licence="Apache-2.0",
            method="q4_1",
            engine="llama",
            chosen_because="the best of the fast ones within 1 % of the best (decoder f16) on held-out rows; asked: quality balanced",
        ),
        "baseline": classifier_sections.baseline("prompted", test, replies, weaker, theirs, 0.4, (lesser, grades)),
        "alternatives": (
            alternative("decoder q4_1", own, 0.0, 312.0, 92.0, 3.4, 98.0, chosen=True),
            alternative("decoder q8_0", own, 0.002, 402.0, 71.0, 2.6, 145.0, why_not="1.3 times slower"),
            alternative("decoder f16", own, 0.003, 610.0, 47.0, 1.7, 271.0, why_not="2.0 times slower"),
            alternative(
                "prompted f16", theirs["rougeL"], 0.0, 940.0, 45.0, 1.1, 271.0, baseline=True, why_not="the baseline, for comparison"
            ),
        ),
        "parity": parity.compare(
            held,
            trained,
            served,
            settings=GateSettings(),
            headline="rougeL",
            before=metrics["rougeL"],
            after=metrics["rougeL"],
            grades=worth,
        ),
        "speed": SpeedFacts(
            latency_ms_p50=312.0,
            latency_ms_p99=480.0,
            texts_per_second=3.4,
            batch=16,
            tokens_per_second=92.0,
            tokens_per_second_batched=131.0,
            size_mb=98.0,
            peak_memory_mb=272,
            load_seconds=0.6,
        ),
        "training": TrainingFacts(seconds=327.0, energy_wh=1.9, energy_method="estimate: 10 W a busy core", device="a processor"),
        "cost": cost_estimate.estimate(tokens_in, tokens_out, texts_per_second=3.4, listed=False),
        "environment": Environment(cpu="a processor", threads=2, seed=0, versions={"smidgen": "0.1.0"}),
        **sections,
    }
    return Report(**facts)


def alternative(name: str, metric: Any, more: float, ms: float, tokens: float, texts: float, mb: float, **facts: Any) -> BuildAlternative:
    value = {"value": metric.value + more, "low": metric.low + more, "high": metric.high + more, "n": metric.n}
    student, _, method = name.partition(" ")
    seconds = 0.4 if student == "prompted" else 327.0
    return BuildAlternative(
        name=name,
        student=student,
        method=method,
        accuracy=value,
        latency_ms_p50=ms,
        texts_per_second=texts,
        tokens_per_second=tokens,
        size_mb=mb,
        seconds=seconds,
        **facts,
    )


def prose(n: int = 80, **changes: Any) -> Report:
    """A report of a writer whose inputs are prose."""
    rng = np.random.default_rng(0)
    words = ["the", "board", "met", "on", "friday", "to", "weigh", "a", "plan", "for", "harbour", "and", "heard", "from", "fishers", "who"]
    rows = [
        Row(" ".join(rng.choice(words, 60)).capitalize() + ".", " ".join(rng.choice(words, 12)) + ".", number + 1) for number in range(n)
    ]
    form = part.form(rows, WriteSettings())
    replies = [Reply(" ".join(rng.choice(words, 12)) + ".", float(rng.random()), facts={"tokens": 14, "finished": True}) for _ in rows]
    sections = writer_sections(rows, replies, part.grading.grades(rows, replies, form), part.measure(rows, replies, form))
    facts = {
        "name": "minutes",
        "task": "write",
        "created": "2026-11-25T10:00:00Z",
        "headline": "rougeL",
        "student": StudentFacts(kind="decoder"),
    }
    return Report(**{**facts, **sections, **changes})
