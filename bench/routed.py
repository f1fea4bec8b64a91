"""What a router is given: texts that a small model has answered, and whether those answers are right.

The training rows of a data set are parted once for each seed: rows that the small model learns from, and `ROUTING` rows that it does not,
which routers learn from. They are as many, and of the same kind, as a certificate's calibration sample. Test rows take no part.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench import classifiers, data
from bench.context import Context
from bench.linear_head import LinearHead
from bench.replaying import noisy
from smidgen.stats import kernel_ridge
from smidgen.stats.calibration import fit_temperature, softmax

ROUTING = 1000
COMMITTEE = 4
"""Further students that vote in a query by committee, each taught on a bootstrap sample of the rows."""
PREDICT_LIMIT = 1800.0


class NotBuilt(Exception):
    """A small model that could not be made or asked, and why."""


@dataclass(frozen=True)
class Texts:
    """A data set: its texts with the vectors that the starter encoder gives them, train rows first.

    Attributes:
        rows: (text, label).
        vectors: (n, width) of length one.
        gold: (n,) label numbers.
        train: how many of the rows are for training; the others are the official test set.
        labels: names, by number.
    """

    rows: data.Rows
    vectors: Any
    gold: Any
    train: int
    labels: list[str]

    @property
    def test(self) -> Any:
        """(m,) the places of the test rows."""
        return np.arange(self.train, len(self.rows))

    def parted(self, seed: int, routing: int = ROUTING) -> tuple[Any, Any]:
        """Places of the rows that the small model learns from, and of those that routers learn from."""
        order = np.random.default_rng([seed, 5]).permutation(self.train)
        return order[routing:], order[:routing]


@dataclass(frozen=True)
class Answers:
    """What the small model said of some texts.

    Attributes:
        vectors: (n, width) of the texts.
        said: (n,) label numbers.
        score: (n,) as a bundle gives it: the calibrated probability of its answer.
        second: (n,) that of the runner-up.
        doubt: (n,) entropy of a committee's mean probabilities; None where there is no committee.
        middles: (classes, width) the mean vector of each label's rows that the small model learnt from.
    """

    vectors: Any
    said: Any
    score: Any
    second: Any
    doubt: Any | None
    middles: Any


@dataclass(frozen=True)
class Case:
    """One small model and one large model: what routers learn from, and what they are measured on.

    Attributes:
        routing: answers to the routing rows.
        agreed: (n,) 1.0 where the small model said what the large one says: all that is known of them in use.
        test: answers to the test rows.
        small, large: (m,) 1.0 where that model's answer to a test row is the gold one.
    """

    routing: Answers
    agreed: Any
    test: Answers
    small: Any
    large: Any


def linear(texts: Texts, seed: int, noise: float = 0.0, routing: int = ROUTING) -> Case:
    """A linear head on frozen vectors as the small model, taught by the large one, which errs in a share of `noise` of all texts."""
    said = _large(texts, seed, noise)
    learning, _ = texts.parted(seed, routing)
    classes = len(texts.labels)
    head = LinearHead(texts.vectors[learning], said[learning], classes)
    rng = np.random.default_rng([seed, 6])
    draws = [rng.integers(len(learning), size=len(learning)) for _ in range(COMMITTEE)]
    others = [LinearHead(texts.vectors[learning[draw]], said[learning[draw]], classes) for draw in draws]
    return _taught(texts, seed, said, routing, head.left_out(), head.scores, [other.scores for other in others])


def kernel(texts: Texts, seed: int, noise: float = 0.0, routing: int = ROUTING) -> Case:
    """The head of the student `kernel` on frozen vectors, with its logits, as the small model."""
    said = _large(texts, seed, noise)
    learning, _ = texts.parted(seed, routing)
    head = kernel_ridge.fit(texts.vectors[learning], np.eye(len(texts.labels), dtype=np.float32)[said[learning]], seed=seed)
    left_out = kernel_ridge.logits(np.asarray(head.left_out, dtype=np.float64))
    return _taught(texts, seed, said, routing, left_out, lambda vectors: kernel_ridge.logits(head.scores(vectors).astype(np.float64)), [])


def _taught(
    texts: Texts, seed: int, said: Any, routing: int, left_out: Any, head: Callable[[Any], Any], others: Sequence[Callable[[Any], Any]]
) -> Case:
    """A head, and a committee of others, as the small model."""
    learning, asked = texts.parted(seed, routing)
    # Left out one by one, its own rows stand for those that a build keeps apart to fit its temperature on.
    temperature = fit_temperature(left_out, said[learning])
    middles = _middles(texts, learning, said)

    def answers(places: Any) -> Answers:
        chances = softmax(head(texts.vectors[places]), temperature)
        doubt = None
        if others:
            votes = np.mean([softmax(other(texts.vectors[places]), temperature) for other in others], axis=0)
            doubt = -(votes * np.log(np.maximum(votes, 1e-12))).sum(axis=1)
        best = np.sort(chances, axis=1)
        return Answers(texts.vectors[places], chances.argmax(axis=1), best[:, -1], best[:, -2], doubt, middles)

    return _case(texts, said, answers(asked), asked, answers(texts.test))


def built(context: Context, name: str, texts: Texts, seed: int) -> Callable[[float], Case]:
    """`smidgen build` on the learning rows as the small model: its case, for a share of texts in which the large model errs.

    The bundle answers through `smidgen predict`, so that its score is the one that is served. Raises NotBuilt.
    """
    learning, asked = texts.parted(seed)
    folder, key = context.out / "data", f"routers-{name}-{seed}"
    train = data.write([texts.rows[place] for place in learning], folder / f"{key}-train.csv")
    test = data.write([texts.rows[place] for place in texts.test], folder / f"routers-{name}-test.csv")
    result = classifiers.smidgen(context, key, train, test, seed)
    if result.get("trouble"):
        raise NotBuilt(f"{key}: {result['trouble']}")
    held = data.write([texts.rows[place] for place in asked], folder / f"{key}-routing.csv")
    found = [
        _predicted(context, key, file, texts, texts.gold[learning], learning, places)
        for file, places in ((held, asked), (test, texts.test))
    ]

    def case(noise: float) -> Case:
        return _case(texts, _large(texts, seed, noise), found[0], asked, found[1])

    return case


def _predicted(context: Context, key: str, file: Path, texts: Texts, gold: Any, learning: Any, places: Any) -> Answers:
    out = file.with_suffix(".jsonl")
    out.unlink(missing_ok=True)
    command = [*classifiers.CLI, "predict", str(classifiers.bundle(context, key)), "--data", str(file), "--out", str(out)]
    ran = context.run([*command, "--threads", str(context.used_threads)], f"{key}-predict-{file.stem}", PREDICT_LIMIT)
    if ran.trouble:
        raise NotBuilt(f"{key}: predict: {ran.trouble}")
    replies = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    if len(replies) != len(places):
        raise NotBuilt(f"{key}: {len(replies)} answers to {len(places)} rows")
    number = {label: at for at, label in enumerate(texts.labels)}
    said = np.array([number[reply["output"]] for reply in replies])
    score = np.array([reply["score"] for reply in replies])
    second = np.array([_runner_up(reply) for reply in replies])
    return Answers(texts.vectors[places], said, score, second, None, _middles(texts, learning, texts.gold))


def _runner_up(reply: dict[str, Any]) -> float:
    others = reply["alternatives"]
    return float(others[0][1] if isinstance(others[0], list) else others[0]["score"])


def _case(texts: Texts, said: Any, routing: Answers, asked: Any, test: Answers) -> Case:
    gold = texts.gold[texts.test]
    return Case(
        routing,
        (routing.said == said[asked]).astype(np.float64),
        test,
        (test.said == gold).astype(np.float64),
        (said[texts.test] == gold).astype(np.float64),
    )


def _large(texts: Texts, seed: int, noise: float) -> Any:
    """(n,) what the large model says of each text."""
    return noisy(texts.gold, len(texts.labels), noise, np.random.default_rng([seed, 7])) if noise else texts.gold


def _middles(texts: Texts, learning: Any, said: Any) -> Any:
    """(classes, width) mean vectors of length one."""
    shares = np.eye(len(texts.labels))[said[learning]]
    sums = shares.T @ texts.vectors[learning]
    return sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
