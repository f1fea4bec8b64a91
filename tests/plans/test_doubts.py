"""Sentences that nobody confirms: what may change a plan, and what never may, however a model reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smidgen.plans.changes import doubts, unread
from smidgen.plans.flows.problem import OpenProblem, open_problem
from smidgen.plans.solving import Solver

ROOT = Path(__file__).parents[2]
ROWS = [
    json.loads(line)
    for half in ("dev", "blind")
    for line in (ROOT / "bench" / "sentences" / f"alone_{half}.jsonl").read_text(encoding="utf-8").splitlines()
]


@pytest.fixture(scope="module")
def plans() -> dict[str, OpenProblem]:
    samples = ROOT / "src" / "smidgen" / "samples"
    return {
        "stock": open_problem(samples / "homeware" / "stock.toml"),
        "routes": open_problem(samples / "alderwick" / "routes.toml"),
    }


def misreadings(solver: Solver, sentence: str, known: dict[str, list[str]]) -> Iterator[dict[str, Any]]:
    """Every kind of change about every name in a sentence, with all of its numbers and days: the worst that a model could read."""
    fields = {"item": "item", "supplier": "supplier", "street": "streets", "van": "van", "stop": "stop"}
    rest = {
        "takes": sentence, "day": sentence, "first": sentence, "last": sentence, "begins": sentence, "ends": sentence,
        "quantity": 18, "days": 21, "minutes": 15,
    }  # fmt: skip
    for kind in solver.telling:
        for of, names in known.items():
            for name in (one for one in names if one.casefold() in sentence.casefold()):
                yield {"kind": kind, fields[of]: [name] if of == "street" else name, **rest}


@pytest.mark.parametrize("row", [row for row in ROWS if row["change"] is None], ids=lambda row: row["text"])
def test_what_tells_no_change_is_never_carried_out(plans: dict[str, OpenProblem], row: dict[str, Any]) -> None:
    solver = plans[row["solver"]].solver
    known = {of: list(names) for of, names in solver.names(plans[row["solver"]].state()).items()}
    names = [name for own in known.values() for name in own]
    read = list(misreadings(solver, row["text"], known))
    assert read, "the sentence names something of the plan"
    assert [change for change in read if not doubts(row["text"], change, solver, names)] == []


@pytest.mark.parametrize("row", [row for row in ROWS if row["change"]], ids=lambda row: row["text"])
def test_what_says_its_change_in_plain_words_is_carried_out(plans: dict[str, OpenProblem], row: dict[str, Any]) -> None:
    solver = plans[row["solver"]].solver
    names = [name for own in solver.names(plans[row["solver"]].state()).values() for name in own]
    assert doubts(row["text"], row["change"], solver, names) == unread(row["text"], row["change"], names) == []
    other = next(kind for kind in solver.telling if kind != row["change"]["kind"])
    assert doubts(row["text"], {**row["change"], "kind": other}, solver, names), "another kind of change has other words"
