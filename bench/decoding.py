"""How fast a decoder writes: smidgen's engine beside bare xllamacpp, a trimmed vocabulary beside the whole one, drafting beside none."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import classifiers, data, decoders, results
from bench.context import HERE, Context, last_json

NAME = "decoding"
ROUNDS = 4
TEXTS, QUICK_TEXTS = 12, 2
EACH = 4
"""Texts of each client, where there are several."""
TOKENS, QUICK_TOKENS = 64, 8
CLIENTS, QUICK_CLIENTS = 8, 2
LIMIT, BUILD_LIMIT = 300.0, 1800.0
INSTRUCTION = "Write a text about the restaurant that states all of these attributes."
SIDES = {
    "stream": "smidgen's engine, streamed",
    "list": "smidgen's engine, a list of texts",
    "bare": "xllamacpp in this process, its own settings",
    "same": "xllamacpp in this process, the engine's settings",
}
FORMS = ("q8-0", "q4-0")
RECIPE = "grammar-correction"
COLUMNS = (
    "what",
    "rounds",
    "tokens/s, one text at a time",
    "each round",
    "tokens/s, many clients",
    "each round",
    "processor ms a token, one and many",
    "tokens written",
    "MB",
)

Found = dict[str, list[dict[str, Any]]]


def run(context: Context) -> None:
    """Three comparisons, each in rounds in turn, every other round the other way about; the page is written after each comparison."""
    clients = QUICK_CLIENTS if context.quick else CLIENTS
    texts, alone, singles = _texts(context)
    section = results.Section(
        NAME,
        "How fast a decoder writes",
        f"SmolLM2-135M. The first two comparisons: the starter base, taught nothing (speed does not depend on what was taught), its "
        f"vocabulary whole, and trimmed to the tokens of E2E's devset as `--vocabulary trimmed` does; {TEXTS} inputs of E2E, one after "
        f"the other, and by {clients} clients at once, greedily, {TOKENS} tokens at most, reading the prompt included. smidgen's engine "
        f"has its model in a process of its own; xllamacpp is called in the process that asks, for whole texts. The third: drafts of the "
        f"recipe `{RECIPE}`, corrected with prompt-lookup drafting and without. Each line of each round is a process of its own, in turns.",
        COLUMNS,
        facts={"load before": results.load_average()},
    )
    whole, trimmed = _models(context)
    many = ("--singles", str(singles), "--clients", str(clients))
    beside: Found = {}
    _rounds(context, beside, "beside", [(side, side, trimmed["q4-0"], texts, many, "none") for side in SIDES])
    _publish(context, section, beside, {}, {}, clients, whole, trimmed)
    cut: Found = {}
    models = [(f"{kind} {form}", folders[form]) for form in FORMS for kind, folders in (("whole", whole), ("trimmed", trimmed))]
    _rounds(context, cut, "cut", [(name, "stream", folder, alone, (), "none") for name, folder in models])
    _publish(context, section, beside, cut, {}, clients, whole, trimmed)
    drafted: Found = {}
    corrections = _corrections(context, section)
    if corrections is not None:
        folder, drafts = corrections
        _rounds(context, drafted, "drafting", [(draft, "stream", folder, drafts, (), draft) for draft in ("none", "lookup")])
    _publish(context, section, beside, cut, drafted, clients, whole, trimmed)


def _texts(context: Context) -> tuple[Path, Path, int]:
    """Inputs of E2E, spread evenly over those that there are: those that are asked one at a time with those of many clients after them,
    the first ones alone, and how many those are. None stands there twice: what was read once would not be read again."""
    inputs = list(dict.fromkeys(text for text, _ in data.e2e(context.data, "devset")))
    singles, clients = (QUICK_TEXTS, QUICK_CLIENTS) if context.quick else (TEXTS, CLIENTS)
    count = singles + EACH * clients
    chosen = inputs[:: len(inputs) // count][:count]
    return _written(context, "inputs", chosen), _written(context, "singles", chosen[:singles]), singles


def _written(context: Context, name: str, texts: Sequence[str]) -> Path:
    file = context.out / "data" / f"{NAME}-{name}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(text) + "\n" for text in texts), encoding="utf-8")
    return file


def _models(context: Context) -> tuple[dict[str, Path], dict[str, Path]]:
    """The base with its whole vocabulary and with the trimmed one, by form."""
    pairs = data.e2e(context.data, "devset")
    home, tokens = context.out / "models", QUICK_TOKENS if context.quick else TOKENS
    made: list[dict[str, Path]] = []
    for name, trimmed in (("whole", False), ("trimmed", True)):
        context.say(f"{NAME}: the base, vocabulary {name}, as {' and '.join(FORMS)}")
        source = decoders.untaught(home / f"{NAME}-{name}", pairs, INSTRUCTION, tokens, trimmed=trimmed)
        made.append({form: decoders.packed(source, form, home / f"{NAME}-{name}-{form}") for form in FORMS})
    return made[0], made[1]


def _corrections(context: Context, section: results.Section) -> tuple[Path, Path] | None:
    """A bundle of the recipe, that of the bench `recipes` or one that is built now, and the drafts of its test file."""
    found = [classifiers.bundle(context, f"recipes-{RECIPE}-{seed}") for seed in context.seeds]
    folder = next((one for one in found if (one / "smidgen.json").is_file()), classifiers.bundle(context, f"{NAME}-{RECIPE}"))
    if not (folder / "smidgen.json").is_file():
        # A model that is half taught repeats its draft as a finished one does, which is what drafting lives on.
        brief = ["--set", "train.epochs=1"] if context.quick else ["--set", "train.epochs=3"]
        loose = ["--set", "gate.min_headline=0", "--set", "gate.max_loss=1"]
        build = [*classifiers.CLI, "build", HERE.parent / "recipes" / f"{RECIPE}.toml", "--out", folder, *brief, *loose]
        build += ["--threads", str(context.threads)] if context.threads else []
        context.say(f"{NAME}: building {RECIPE}")
        ran = context.run(build, f"{NAME}-build", BUILD_LIMIT)
        if ran.trouble:
            section.notes.append(f"Drafting was not measured: the build of `{RECIPE}` failed, {ran.trouble}")
            return None
    with (HERE.parent / "src" / "smidgen" / "samples" / "homeware" / "corrections_test.csv").open(encoding="utf-8", newline="") as stream:
        drafts = [row["draft"] for row in csv.DictReader(stream)]
    return folder, _written(context, "drafts", drafts[: 2 * QUICK_TEXTS] if context.quick else drafts)


def _rounds(context: Context, found: Found, group: str, lines: Sequence[tuple[str, str, Path, Path, tuple[str, ...], str]]) -> None:
    """Each line (name, side, model, texts, more words, drafting) once a round."""
    found.update({name: [] for name, *_ in lines})
    for number in range(1 if context.quick else ROUNDS):
        for name, side, folder, texts, more, draft in lines if number % 2 == 0 else reversed(lines):
            key = f"{NAME}-{group}-{name.replace(' ', '-')}-{number}"
            words = [sys.executable, "-m", "bench.decoding_side", side, folder, "--texts", texts, "--draft", draft, *more]
            words += ["--threads", context.used_threads]
            found[name].append(_side(context, key, [str(word) for word in words], name))


def _side(context: Context, key: str, words: list[str], name: str) -> dict[str, Any]:
    def work() -> dict[str, Any]:
        ran = context.run(words, key, LIMIT)
        return {"trouble": f"{name}: {ran.trouble}"} if ran.trouble else last_json(ran.stdout)

    return context.measured(key, {"what": name, "words": [Path(word).name for word in words[1:]]}, work, peer=False)


def _publish(
    context: Context,
    section: results.Section,
    beside: Found,
    cut: Found,
    drafted: Found,
    clients: int,
    whole: dict[str, Path],
    trimmed: dict[str, Path],
) -> None:
    many = str(clients)
    sizes = {f"{kind} {form}": decoders.size_mb(model[form]) for kind, model in (("whole", whole), ("trimmed", trimmed)) for form in FORMS}
    section.rows = [_row(SIDES[side], runs, many, sizes["trimmed q4-0"]) for side, runs in beside.items()]
    section.rows += [_row(f"{name.split()[1]}, vocabulary {name.split()[0]}", runs, many, sizes[name]) for name, runs in cut.items()]
    section.rows += [_row(f"corrections, drafting {name}", runs, many, None) for name, runs in drafted.items()]
    troubles = [str(run["trouble"]) for found in (beside, cut, drafted) for runs in found.values() for run in runs if run.get("trouble")]
    section.notes = list(dict.fromkeys([*(note for note in section.notes if note.startswith("Drafting")), *troubles]))
    section.facts["texts as streamed by the engine"] = ", ".join(
        f"{SIDES[side]} {equal(beside.get('stream', []), beside.get(side, []), '1')}" for side in SIDES if side != "stream"
    )
    section.facts["texts with drafting as without"] = equal(drafted.get("none", []), drafted.get("lookup", []), "1")
    section.goals = [
        *_near("one text at a time, streamed", beside, "stream", "1"),
        *_near("one text at a time, a list", beside, "list", "1"),
        *_near(f"{clients} clients, streamed", beside, "stream", many),
        *_near(f"{clients} at once, a list", beside, "list", many),
        *[_ratio(f"trimmed against whole, {form}", 1.2, cut, f"trimmed {form}", f"whole {form}") for form in FORMS],
        _ratio("drafting against none, corrections", 1.5, drafted, "lookup", "none"),
        _equal_texts(drafted),
    ]
    results.publish(context, section)


def _row(name: str, runs: Sequence[dict[str, Any]], many: str, size: float | None) -> list[str]:
    good = [run for run in runs if not run.get("trouble")]
    speeds = [[run[clients]["tokens_per_second"] for run in good if clients in run] for clients in ("1", many)]
    cells = [cell for found in speeds for cell in (results.number(middle(found), 1), ", ".join(f"{speed:.1f}" for speed in found))]
    spent = [middle([run[n]["cpu_ms_a_token"] for run in good if n in run and run[n].get("cpu_ms_a_token")]) for n in ("1", many)]
    cells.append(", ".join(results.number(value, 2) for value in spent if value is not None))
    written = ", ".join(sorted({str(run["1"]["tokens"]) for run in good}))
    return [name, str(len(good)), *cells, written, results.number(size, 1)]


def speed(found: Found, name: str, clients: str) -> float | None:
    """The median over the rounds, tokens a second; None where it was not measured."""
    return middle([run[clients]["tokens_per_second"] for run in found.get(name, []) if clients in run])


def middle(values: Sequence[float]) -> float | None:
    """The median; None of nothing."""
    return results.median([{"value": value} for value in values], "value")


def _near(what: str, found: Found, side: str, clients: str) -> list[results.Goal]:
    """Goals to reach 95 % of the faster way of calling xllamacpp in process."""
    ours = speed(found, side, clients)
    best = max((value for name in ("bare", "same") if (value := speed(found, name, clients)) is not None), default=None)
    share = None if not ours or not best else ours / best
    return [results.at_least(f"{what}, against the faster of the two in process", 0.95, share, ".1%")]


def _ratio(what: str, factor: float, found: Found, large: str, small: str) -> results.Goal:
    ours, theirs = speed(found, large, "1"), speed(found, small, "1")
    if not ours or not theirs:
        return results.Goal(what, f"{factor:g} times", "", None)
    return results.Goal(what, f"{factor:g} times", f"{ours / theirs:.2f} times", ours / theirs >= factor)


def equal(first: Sequence[dict[str, Any]], second: Sequence[dict[str, Any]], clients: str) -> str:
    """How many texts are the same in the two, of all that were compared."""
    pairs = [pair for a, b in zip(first, second, strict=False) if clients in a and clients in b for pair in _paired(a, b, clients)]
    return f"{sum(a == b for a, b in pairs)} of {len(pairs)} the same" if pairs else "not measured"


def _paired(first: dict[str, Any], second: dict[str, Any], clients: str) -> list[tuple[str, str]]:
    return list(zip(first[clients]["texts"], second[clients]["texts"], strict=True))


def _equal_texts(drafted: Found) -> results.Goal:
    got = equal(drafted.get("none", []), drafted.get("lookup", []), "1")
    same = None if got == "not measured" else len(set(got.split(" the")[0].split(" of "))) == 1
    return results.Goal("texts with drafting as without", "all the same", "" if same is None else got, same)
