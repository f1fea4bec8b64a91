"""Sentences that change a plan: how many are read without any fault, and what is read where the model is sure.

The sentences that test a recipe are those of its own test file. Beside this file lie sentences to choose by (`*_dev.jsonl`), and sentences
that tell nothing or several changes (`*_others.jsonl`), and sentences for and against a change that nobody confirms (`alone_*.jsonl`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import smidgen
from bench import results
from bench.context import Context
from smidgen.core.errors import InputError
from smidgen.plans.changes import ReadSentence, read_sentence, reading, unread
from smidgen.plans.routing.events import edit
from smidgen.plans.routing.problem import DAY, Problem, Spot, Stop, Van
from smidgen.plans.routing.sources import straight_lines
from smidgen.plans.solver_recipe import SolveSettings
from smidgen.plans.solvers.routes import part as routes
from smidgen.stats.field_values import equal_fields
from smidgen.stats.intervals import wilson

NAME = "sentences"
COLUMNS = ("recipe", "sentences", "exact", "95 %", "sure", "exact among these", "95 %", "wrong and sure")
HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SAMPLES = ROOT / "src" / "smidgen" / "samples"
RECIPES = {
    "events": ("routes/events", "event", "alderwick/events_test.jsonl"),
    "wishes": ("routes/wishes", "wish", "alderwick/wishes_test.jsonl"),
    "stock-changes": ("retail/stock-changes", "change", "homeware/stock_changes_test.jsonl"),
}
GOAL = 0.95
_LIMIT = 3600.0
_HOUR = 3600


def run(context: Context) -> None:
    """Build each recipe as it is, and read its test, sentences that tell nothing, and sentences that tell several changes."""
    sure = SolveSettings().sure
    section = results.Section(
        NAME,
        "Sentences that change a plan",
        "The recipes `events`, `wishes` and `stock-changes` as they are, on sentences written by hand, once, before any model had read "
        "them, in other voices than the rows that teach (which `tools/sentences` makes). Exact: no field is wrong or missing. Sure: the "
        f"model is at least {sure:.0%} sure, as `--yes` asks for, and no time, number or name of the sentence is left unread. “As edits”: "
        "read as a plan reads it, whose tables have every name of these sentences (written in full, with capitals), and compared by what "
        "the plan would do; what the plan refuses is not exact, and harms nothing. Intervals: Wilson.",
        COLUMNS,
        facts={"load before": results.load_average()},
    )
    for name, (recipe, label, file) in RECIPES.items():
        folder = _built(context, name, recipe, section)
        if folder is None:
            continue
        rows = _rows(SAMPLES / file)[: 20 if context.quick else None]
        model = smidgen.load(folder)
        try:
            replies = [(reply.score, reply.output or {}) for reply in model.predict([row["text"] for row in rows])]
            right = [equal_fields(row[label], output) for row, (_, output) in zip(rows, replies, strict=True)]
            section.rows.append(_row(name, rows, replies, right, sure, [not one for one in right]))
            if name == "events":
                section.rows.append(_as_edits(model, rows, sure))
                section.goals.append(results.at_least("event sentences read exactly", GOAL, sum(right) / len(right)))
            if name != "wishes":
                section.notes.append(_others(model, name, sure))
        finally:
            model.close()
    results.publish(context, section)


def _built(context: Context, name: str, recipe: str, section: results.Section) -> Path | None:
    folder = context.out / "bundles" / f"{NAME}-{name}"
    command = [sys.executable, "-m", "smidgen", "build", str(ROOT / "recipes" / f"{recipe}.toml"), "--out", str(folder)]
    command += [*(["--threads", str(context.threads)] if context.threads else []), *context.build_flags]
    command += ["--set", "train.epochs=1", "--set", "gate.min_headline=0"] if context.quick else []

    def work() -> dict[str, Any]:
        ran = context.run(command, f"{NAME}-{name}", _LIMIT)
        return {"trouble": ran.trouble} if ran.trouble else {"seconds": ran.seconds}

    made = context.measured(f"{NAME}-{name}", {"build": [str(word) for word in command]}, work, peer=False)
    if made.get("trouble"):
        section.notes.append(f"{name}: {made['trouble']}")
        return None
    section.facts[f"build of {name}"] = f"{made['seconds']:.0f} s"
    return folder


def _rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def _row(
    name: str,
    rows: Sequence[Any],
    replies: Sequence[tuple[float, Any]],
    right: Sequence[bool],
    sure: float,
    harm: Sequence[bool],
    known: Sequence[str] = (),
) -> list[str]:
    """A row of the table. `harm`: which readings would change the plan wrongly. `known`: names that the plan knows."""
    pairs = enumerate(zip(rows, replies, strict=True))
    certain = [place for place, (row, (score, output)) in pairs if score >= sure and not unread(row["text"], output, known)]
    good = sum(right[place] for place in certain)
    share = f"{len(certain)} ({len(certain) / len(rows):.0%})"
    exact = f"{sum(right)} ({sum(right) / len(rows):.1%})"
    among = f"{good} ({good / len(certain):.1%})" if certain else ""
    wrong = str(sum(harm[place] for place in certain))
    return [name, str(len(rows)), exact, _interval(sum(right), len(rows)), share, among, _interval(good, len(certain)), wrong]


def _interval(good: int, count: int) -> str:
    if not count:
        return ""
    low, high = wilson(good, count)
    return f"{low:.1%} to {high:.1%}"


def _as_edits(model: Any, rows: Sequence[Any], sure: float) -> list[str]:
    """How events are read where the plan knows the names, and what the plan would do."""
    town = _town(rows)
    known = routes.names(town)
    predict = reading(lambda texts: [(reply.score, reply.output or {}) for reply in model.predict(texts)], routes, known)
    replies = predict([row["text"] for row in rows])
    edits = [(_edit(town, output), _edit(town, row["event"])) for row, (_, output) in zip(rows, replies, strict=True)]
    same, harm = [one == other for one, other in edits], [bool(one) and one != other for one, other in edits]
    return _row("events, as edits", rows, replies, same, sure, harm, [name for own in known.values() for name in own])


def _others(model: Any, name: str, sure: float) -> str:
    """How sentences are read that tell nothing, or several changes."""
    rows = _rows(HERE / f"{name}_others.jsonl")
    read = {row["text"]: _in_steps(model, row["text"]) for row in rows}
    none = [row for row in rows if not row["kinds"]]
    several = [row for row in rows if row["kinds"]]
    taken = [row for row in none if any(step.output.get("kind") for step in read[row["text"]])]
    certain = [row for row in taken if read[row["text"]][0].score >= sure]
    cleared = [row for row in taken if all(step.output.get("kind") in (None, "cleared") for step in read[row["text"]])]
    right = [row for row in several if [step.output.get("kind") for step in read[row["text"]]] == row["kinds"]]
    return (
        f"{name}: of {len(none)} sentences that tell no change, {len(taken)} are taken for one, {len(certain)} of them surely"
        f"{f' and {len(cleared)} as the end of one' if name == 'events' else ''}; "
        f"of {len(several)} that tell several, {len(right)} are read as these, in steps"
    )


def _in_steps(model: Any, text: str) -> list[ReadSentence]:
    steps: list[ReadSentence] = []
    while text and len(steps) < 5:
        step = read_sentence(text, lambda texts: [(reply.score, reply.output or {}) for reply in model.predict(texts)])
        steps.append(step)
        text = step.rest
    return steps


def _edit(town: Problem, event: Mapping[str, Any]) -> str:
    """The edit that a plan makes of an event; empty where the plan refuses it."""
    change = {name: value for name, value in event.items() if value is not None and value != []}
    try:
        return edit(town, change).text
    except InputError:
        return ""


def _town(rows: Iterable[Mapping[str, Any]]) -> Problem:
    """A town that has every name of some sentences, written in full and with capitals, as tables have them."""
    events = [row["event"] for row in rows]
    depot = Spot("Depot", 48.0, 11.0)
    names = {_official(one["stop"]): one["kind"] == "new_stop" for one in events if one.get("stop")}
    stops = {name: Stop(Spot(name, 48.1, 11.1), "", 200, 8 * _HOUR, 17 * _HOUR, 300) for name in names}
    vans = tuple(Van(name, 1000, 0, DAY, depot, depot) for name in dict.fromkeys(_official(one["van"]) for one in events if one.get("van")))
    streets = {_official(street): [[(48.5, 11.5), (48.6, 11.5)]] for one in events for street in one.get("streets", ())}
    planned = tuple(stop for name, stop in stops.items() if not names[name])
    places, points = ["Depot", *stops], [(48.0, 11.0)] + [(48.1, 11.1)] * len(stops)
    return Problem(planned, vans, straight_lines(places, points, 30), {name: stops[name] for name in stops if names[name]}, streets)


def _official(name: str) -> str:
    """A name as a table has it."""
    full = " ".join(_FULL.get(word.rstrip(".").casefold(), word) if place else word for place, word in enumerate(name.split()))
    return " ".join(word[:1].upper() + word[1:] for word in full.split())


_FULL = {"st": "Street", "rd": "Road", "ln": "Lane", "ave": "Avenue", "dr": "Drive", "gdns": "Gardens"}
