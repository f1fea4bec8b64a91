"""What making a writer smaller costs and gives: size, speed and quality over forms, vocabulary and layers; one table and one plot."""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench import classifiers, data, decoders, results, shrinking_plot
from bench.context import HERE, Context, last_json
from bench.decoding import middle

NAME = "shrinking"
FORMS = ("f16", "q8-0", "q5-1", "q4-1", "q4-0")
BUDGET, QUICK_BUDGET = "120s", "8s"
TEST, QUICK_TEST = 48, 4
TIMED, ROUNDS = 6, 3
QUICK_ROWS = 200
BUILD_LIMIT, SIDE_LIMIT = 1800.0, 600.0
MOST_LOST = {"q8-0": 0.01, "q4-1": 0.02, "q4-0": 0.02}
COLUMNS = ("model", "form", "MB", "tokens/s, median", "each round", "ROUGE-L", "95 %")
PAGE = HERE.parent / "docs" / "how-to" / "make-it-smaller.md"
PICTURE = "shrinking.svg"
ON_PAGE = ("f16", "q4-0")
"""The forms that the page shows; RESULTS.md has all."""


@dataclass(frozen=True)
class Taught:
    """One way of teaching, which gives one model in 16 bits; `flags` are those of `smidgen build`."""

    name: str
    flags: tuple[str, ...]


TAUGHT = (
    Taught("whole vocabulary", ("--vocabulary", "whole")),
    Taught("trimmed", ("--vocabulary", "trimmed")),
    Taught("trimmed, 6 layers less", ("--vocabulary", "trimmed", "--drop-layers", "6")),
    Taught("trimmed, 27 % of neurons less", ("--vocabulary", "trimmed", "--drop-neurons", "0.27")),
)
QUICK_TAUGHT = (TAUGHT[1], TAUGHT[2])


def run(context: Context) -> None:
    """Teach each once; pack each in every form; measure what they write and, in turns, how fast; then ask `build` for a size, a speed."""
    train, test, wanted = _split(context)
    section = results.Section(
        NAME,
        "Smaller models",
        f"E2E's devset: {len(wanted)} inputs are kept apart with all their texts, and the other inputs are taught for "
        f"{QUICK_BUDGET if context.quick else BUDGET}, whatever is taught (healing after layers are left out is part of it). Each model is "
        "taught once, in the end with its matrices rounded as q4-0 stores them (`--qat q4-0`, as a build does that may ship few bits), and "
        "packed in every form. ROUGE-L is of the likeliest text against the best reference, on the inputs kept apart; "
        f"speed is of {TIMED} of them, one at a time, reading the prompt included, in turns. `build --max-size-mb` and "
        "`--min-tokens-per-second` are then asked for what some forms meet and others do not; they choose on rows of their own.",
        COLUMNS,
        facts={"load before": results.load_average()},
    )
    models: dict[tuple[str, str], Path] = {}
    for taught in QUICK_TAUGHT if context.quick else TAUGHT:
        folder = _taught(context, section, taught, train, test)
        for form in FORMS if folder is not None else ():
            assert folder is not None
            models[taught.name, form] = decoders.packed(folder, form, context.out / "models" / f"{NAME}-{_key(taught.name)}-{form}")
    quality = {model: _written(context, model, folder, list(wanted)) for model, folder in models.items()}
    speeds: dict[tuple[str, str], list[dict[str, Any]]] = {model: [] for model in models}
    for number in range(1 if context.quick else ROUNDS):
        turns = list(models.items())
        for model, folder in turns if number % 2 == 0 else reversed(turns):
            speeds[model].append(_timed(context, model, folder, list(wanted)[:TIMED], number))
    points = [_point(model, folder, quality[model], speeds[model], wanted) for model, folder in models.items()]
    _publish(context, section, points, [], [])
    lost = list(_lost(context, models))
    _publish(context, section, points, [], lost)
    _publish(context, section, points, list(_asked(context, section, points, (train, test), list(wanted)[:TIMED])), lost)


def _split(context: Context) -> tuple[Path, Path, dict[str, list[str]]]:
    """Files to teach and to test on, and the inputs of the second with all their texts. An input is on one side only."""
    rows = data.e2e(context.data, "devset")
    inputs = list(dict.fromkeys(text for text, _ in rows))
    apart = set(random.Random(NAME).sample(inputs, QUICK_TEST if context.quick else TEST))
    learnt = [row for row in rows if row[0] not in apart][: QUICK_ROWS if context.quick else None]
    wanted: dict[str, list[str]] = {}
    for text, answer in rows:
        if text in apart:
            wanted.setdefault(text, []).append(answer)
    train = data.write(learnt, context.out / "data" / f"{NAME}-train.csv", ("mr", "ref"))
    test = data.references([row for row in rows if row[0] in apart], context.out / "data" / f"{NAME}-test.jsonl", ("mr", "ref"))
    return train, test, wanted


def _build(context: Context, key: str, train: Path, test: Path, flags: Sequence[str]) -> tuple[Path, dict[str, Any]]:
    """`smidgen build`. Its steps are stored: what differs in the form alone is not taught again."""
    folder = classifiers.bundle(context, key)
    words = [*classifiers.CLI, "build", "--task", "write", "--data", str(train), "--test", str(test), "--input", "mr", "--label", "ref"]
    words += ["--seed", str(context.seeds[0]), "--out", str(folder), "--set", "gate.max_loss=1"]
    words += ["--time-budget", QUICK_BUDGET if context.quick else BUDGET, *flags, *context.build_flags]
    words += ["--threads", str(context.threads)] if context.threads else []

    def work() -> dict[str, Any]:
        ran = context.run(words, f"{key}-build", BUILD_LIMIT)
        return {**ran.costs(), "command": classifiers.shown(words)}

    return folder, context.measured(key, {"command": classifiers.shown(words), "rows": train.stat().st_size}, work, peer=False)


def _taught(context: Context, section: results.Section, taught: Taught, train: Path, test: Path) -> Path | None:
    """The bundle in 16 bits; None, with a note, where it could not be built."""
    folder, made = _build(context, f"{NAME}-{_key(taught.name)}", train, test, ("--compress", "none", "--qat", "q4-0", *taught.flags))
    if made["trouble"]:
        section.notes.append(f"{taught.name}: {made['trouble']}")
        return None
    return folder


def _side(context: Context, key: str, folder: Path, texts: Sequence[str]) -> dict[str, Any]:
    """What the engine writes for texts, one at a time, and how fast."""
    file = context.out / "data" / f"{NAME}-{len(texts)}-inputs.jsonl"
    file.write_text("".join(json.dumps(text) + "\n" for text in texts), encoding="utf-8")
    words = [sys.executable, "-m", "bench.decoding_side", "list", str(folder), "--texts", str(file)]
    words += ["--threads", str(context.used_threads)]

    def work() -> dict[str, Any]:
        ran = context.run(words, key, SIDE_LIMIT)
        return {"trouble": f"{key}: {ran.trouble}"} if ran.trouble else last_json(ran.stdout)

    return context.measured(key, {"texts": list(texts)}, work, peer=False)


def _written(context: Context, model: tuple[str, str], folder: Path, texts: Sequence[str]) -> dict[str, Any]:
    return _side(context, f"{NAME}-{_key(model[0])}-{model[1]}-texts", folder, texts)


def _timed(context: Context, model: tuple[str, str], folder: Path, texts: Sequence[str], number: int) -> dict[str, Any]:
    return _side(context, f"{NAME}-{_key(model[0])}-{model[1]}-speed-{number}", folder, texts)


def _point(
    model: tuple[str, str], folder: Path, written: dict[str, Any], timed: Sequence[dict[str, Any]], wanted: dict[str, list[str]]
) -> shrinking_plot.Point:
    """A model's numbers; None for what could not be measured."""
    speeds = [run["1"]["tokens_per_second"] for run in timed if not run.get("trouble")]
    found = rouge(written["1"]["texts"], wanted) if not written.get("trouble") else None
    return shrinking_plot.Point(*model, decoders.size_mb(folder), middle(speeds), tuple(speeds), found)


def rouge(texts: Sequence[str], wanted: dict[str, list[str]]) -> tuple[float, float, float]:
    """The mean ROUGE-L against the best reference, and its 95 % interval, as the task `write` has them."""
    from smidgen.core.forms import TextForm
    from smidgen.core.replies import Reply
    from smidgen.core.rows import Row
    from smidgen.tasks.write import part

    form = TextForm(instruction="", max_tokens=0, max_words=0, attributes=False, score=None)
    rows = [Row(text, answers) for text, answers in wanted.items()]
    found = part.measure(rows, [Reply(text, 0.0) for text in texts], form)["rougeL"]
    return found.value, found.low, found.high


def _lost(context: Context, models: dict[tuple[str, str], Path]) -> Iterator[results.Goal]:
    """What packing takes of ROUGE-L on all inputs of the official test, which nothing was chosen by: each form of the trimmed model against
    its 16 bits, text by text."""
    from smidgen.core.replies import Reply
    from smidgen.core.rows import Row
    from smidgen.stats.intervals import paired_grades
    from smidgen.tasks.write import part

    wanted: dict[str, list[str]] = {}
    for text, answer in data.e2e(context.data, "testset_w_refs"):
        wanted.setdefault(text, []).append(answer)
    rows = [Row(text, answers) for text, answers in wanted.items()][: QUICK_TEST if context.quick else None]
    grades: dict[str, Any] = {}
    for form in (FORMS[0], *MOST_LOST):
        folder = models.get(("trimmed", form))
        said = folder and _side(context, f"{NAME}-trimmed-{form}-official", folder, [str(row.input) for row in rows])
        if said and not said.get("trouble"):
            grades[form] = np.array(part.grading.grades(rows, [Reply(text, 0.0) for text in said["1"]["texts"]], {}))
    for form, most in MOST_LOST.items():
        what = f"ROUGE-L that {form} loses of 16 bits, trimmed, on {len(rows)} inputs of the official test"
        if FORMS[0] not in grades or form not in grades:
            yield results.Goal(what, f"at most {most}", "", None)
            continue
        change = paired_grades(grades[FORMS[0]], grades[form])
        got = f"{-change.value:.4f} ({-change.high:.4f} to {-change.low:.4f}); 16 bits: {grades[FORMS[0]].mean():.3f}"
        yield results.Goal(what, f"at most {most}", got, -change.value <= most)


@dataclass(frozen=True)
class Asked:
    """A build that was asked for a size or a speed, and what it shipped."""

    what: str
    shipped: str
    got: str
    met: bool | None


def _asked(
    context: Context, section: results.Section, points: Sequence[shrinking_plot.Point], files: tuple[Path, Path], texts: Sequence[str]
) -> Iterator[Asked]:
    """Builds of the trimmed model that must be under a size, or over a speed, that some forms meet and others do not. What they ship is
    weighed and timed anew: the numbers that the build chose by would meet its limit whatever they are worth."""
    own = {point.form: point for point in points if point.model == "trimmed"}
    if len(own) < len(FORMS) or own["q4-0"].speed is None:
        section.notes.append(
            f"build was not asked for a size or a speed: of {len(FORMS)} forms of the trimmed model {len(own)} were measured"
        )
        return
    size = round((own["q5-1"].size_mb + own["q8-0"].size_mb) / 2)
    speed = round(0.6 * own["q4-0"].speed)
    for flag, limit in (("--max-size-mb", size), ("--min-tokens-per-second", speed)):
        folder, made = _build(context, f"{NAME}-asked{flag}", *files, (flag, str(limit)))
        if made["trouble"]:
            section.notes.append(f"build {flag} {limit}: {made['trouble']}")
            yield Asked(f"build {flag} {limit}", "", "", None)
            continue
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        (chosen,) = [entry for entry in report["alternatives"] if entry["chosen"]]
        timed = _side(context, f"{NAME}-asked{flag}-speed", folder, texts)
        if timed.get("trouble"):
            section.notes.append(timed["trouble"])
            yield Asked(f"build {flag} {limit}", chosen["name"], "not timed", None)
            continue
        got = decoders.size_mb(folder) if flag == "--max-size-mb" else timed["1"]["tokens_per_second"]
        met = got <= limit if flag == "--max-size-mb" else got >= limit
        yield Asked(f"build {flag} {limit}", chosen["name"], f"{got:.0f}: {report['student']['chosen_because']}", met)


def _publish(
    context: Context,
    section: results.Section,
    points: Sequence[shrinking_plot.Point],
    asked: Sequence[Asked],
    lost: Sequence[results.Goal],
) -> None:
    section.rows = [_row(point) for point in points]
    section.goals = [*lost] + [results.Goal(one.what, "kept", f"{one.shipped}, {one.got}" if one.shipped else "", one.met) for one in asked]
    picture = shrinking_plot.draw(points)
    if picture:
        (context.results.parent / PICTURE).write_text(picture, encoding="utf-8")
        section.facts["plot"] = f"![size and speed against ROUGE-L]({PICTURE})"
        if not context.quick:
            (PAGE.parent.parent / "images" / PICTURE).write_text(picture, encoding="utf-8")
            PAGE.write_text(shown(PAGE.read_text(encoding="utf-8"), points), encoding="utf-8", newline="\n")
    results.publish(context, section)


def _row(point: shrinking_plot.Point) -> list[str]:
    each = ", ".join(f"{speed:.0f}" for speed in point.speeds)
    value, span = ("", "") if point.rouge is None else (f"{point.rouge[0]:.3f}", f"{point.rouge[1]:.3f} to {point.rouge[2]:.3f}")
    return [point.model, point.form, f"{point.size_mb:.1f}", results.number(point.speed), each, value, span]


def shown(page: str, points: Sequence[shrinking_plot.Point]) -> str:
    """The page of the documentation with the plot and a table of the most and the least exact form between its marks."""
    table = results.table(COLUMNS, [_row(point) for point in points if point.form in ON_PAGE])
    body = f"![Size and speed against ROUGE-L](../images/{PICTURE})\n\n{table}"
    begin, end = f"<!-- {NAME} -->", f"<!-- /{NAME} -->"
    return re.sub(re.escape(begin) + ".*?" + re.escape(end), lambda _: f"{begin}\n{body}\n{end}", page, flags=re.DOTALL)


def _key(name: str) -> str:
    return name.replace(",", "").replace(" ", "-")
