"""The golden builds: tiny data, drawn from seeds, and the commands that make bundles, certificates and lines of them.

Words tell the answers, so that what is learnt is the same on every processor; some test rows are wrong on purpose, so that no metric is
simply 1. A case uses smidgen's commands and files alone.
"""

from __future__ import annotations

import csv
import itertools
import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.golden.tiny_bases import tiny_decoder, tiny_encoder

Command = tuple[str, ...]
BUNDLE = "bundle"

TELLING = {
    "billing": ("invoice", "charge", "receipt", "tax", "paid", "card"),
    "delivery": ("parcel", "courier", "late", "tracking", "driver", "van"),
    "returns": ("refund", "exchange", "broken", "damaged", "faulty", "back"),
    "stock": ("available", "sold", "restock", "size", "colours", "shelf"),
}
ELSEWHERE = ("weather", "football", "poem", "moon", "recipe", "joke")
FILLER = ("please", "hello", "today", "again", "my", "order", "the", "with", "about", "your", "shop", "now")
COLOURS = ("red", "blue", "green", "black", "white", "grey")
THINGS = ("vase", "lamp", "rug", "bowl", "chair", "mug")
CITIES = ("paris", "london", "rome", "madrid", "oslo", "vienna")
OTHERS = ("a", "an", "for", "home", "to", "want", "send", "is", "are", "in", "and", "it", "i", "we", "was", "were", "thanks", "nice", "on")
NUMBERS = tuple(str(number) for number in range(10))
WORDS = tuple(
    dict.fromkeys((*(w for ws in TELLING.values() for w in ws), *ELSEWHERE, *FILLER, *COLOURS, *THINGS, *CITIES, *OTHERS, *NUMBERS))
)
TRAIN = {"epochs": 30, "learning_rate": 0.005, "precision": "f32", "max_length": 32}
LENIENT = {"max_loss": 0.3, "min_agreement": 0.6}
WRITER = {"epochs": 30, "learning_rate": 0.01, "precision": "f32"}


@dataclass(frozen=True)
class Case:
    """One golden build.

    Attributes:
        name: of the case, and of its file of what is expected.
        make: writes its data into a folder and gives the commands, which run there.
        quick: whether the suite builds it; the others are for `record` and `compare`.
        near: how far scores and the like may be apart on another processor; None where a processor decides what is learnt: then no
            answer and no figure of another one's is held to what was recorded, only the shape of it all.
        batched: whether what is asked at the same time is added up together, so that the last digits of scores are not always the same.
        traffic: whether it needs captured requests: `(text, answer)` that a large model answers, for the model's name.
    """

    name: str
    make: Callable[[Path], Sequence[Command]]
    quick: bool = False
    near: float | None = 0.06
    batched: bool = False
    traffic: Callable[[], Sequence[tuple[str, str]]] | None = None


def labelled(count: int, seed: int, *, only: slice = slice(0, 6), wrong: int = 0, several: bool = False, outside: int = 0) -> list[Any]:
    """`(text, label)` rows, every text another; the first `wrong` have another label than their text says.

    Args:
        only: which of the telling words of each label occur.
        several: whether every third text has two labels, joined by `|`.
        outside: how many rows more fit no label.
    """
    draw, labels = random.Random(seed), list(TELLING)
    seen: set[str] = set()
    made: list[tuple[str, str]] = []
    while len(made) < count + outside:
        number = len(made)
        own = [labels[number % 4], *([labels[(number + 1 + number // 4 % 3) % 4]] if several and number % 3 == 0 else [])]
        told = [draw.choice(TELLING[label][only]) for label in own] if number < count else [draw.choice(ELSEWHERE)]
        words = [*told, *draw.sample(FILLER, 4)]
        draw.shuffle(words)
        if (text := " ".join(words)) in seen:
            continue
        seen.add(text)
        answer = "|".join(sorted(own)) if number < count else "out_of_scope"
        made.append((text, labels[(labels.index(own[0]) + 1) % 4] if number < wrong else answer))
    return made


def _table(file: Path, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([names, *rows])


def _lines(file: Path, rows: Iterable[Any]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _recipe(folder: Path, tree: dict[str, Any]) -> None:
    """Write recipe.toml; values are JSON, which TOML reads where there is no null."""
    top = [f"{name} = {json.dumps(value)}" for name, value in tree.items() if not isinstance(value, dict)]
    for name, section in tree.items():
        if isinstance(section, dict):
            top += ["", f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in section.items())]
    (folder / "recipe.toml").write_text("\n".join(top) + "\n", encoding="utf-8")


def _build(*more: str) -> Command:
    return ("build", "recipe.toml", "--out", BUNDLE, "--threads", "THREADS", "--quiet", *more)


def _asked(bundle: str, data: str) -> list[Command]:
    """A bundle's predictions, and what it is worth on the same rows."""
    return [("predict", bundle, "--data", data, "--out", "predictions.jsonl", "--threads", "THREADS"), _measured(bundle, data)]


def _measured(bundle: str, data: str) -> Command:
    return ("eval", bundle, "--data", data, "--threads", "THREADS", "--json")


def _classify(folder: Path, kind: str, method: str = "none", rows: int = 160, /, **more: Any) -> list[Command]:
    """Write rows, a recipe and a base, and give the commands of a classifier. `apart`: whether a test file is given."""
    apart = more.pop("apart", True)
    data = {name: more.pop(name) for name in ("several", "outside") if name in more}
    _table(folder / "train.csv", ("text", "intent"), labelled(rows, 1, **data))
    data |= {"outside": data["outside"] // 4} if "outside" in data else {}
    _table(folder / "test.csv", ("text", "intent"), labelled(40, 2, wrong=5, **data))
    tree: dict[str, Any] = {
        "name": "golden",
        "task": "classify",
        "seed": 7,
        "data": {"train": "train.csv", "test": "test.csv", "input": "text", "label": "intent", "licence": "Apache-2.0", "holdout": 0.2},
        "student": {"kind": kind},
        "compress": {"method": method},
        "gate": LENIENT,
    }
    if not apart:
        del tree["data"]["test"]
    if kind in ("encoder", "static", "kernel", "auto"):
        tiny_encoder(folder / "base", WORDS)
        tree["base"] = {"name": "base"}
    _recipe(folder, {**tree, **more})
    return [_build(), *_asked(BUNDLE, "test.csv")]


def _linear(folder: Path) -> list[Command]:
    """The usual one, with a check of its data and a certificate from a file."""
    commands = _classify(folder, "linear")
    _table(folder / "calibration.csv", ("text", "intent"), labelled(500, 21, wrong=12))
    commands += [
        ("certify", BUNDLE, "--data", "calibration.csv", "--alpha", "0.1", "--delta", "0.1", "--threads", "THREADS", "--json"),
        ("certify", BUNDLE, "--show", "--json"),
    ]
    return [
        *commands,
        ("check", "train.csv", "--test", "test.csv", "--input", "text", "--label", "intent", "--threads", "THREADS", "--json"),
    ]


def _several(folder: Path) -> list[Command]:
    return _classify(folder, "linear", classify={"multi_label": True}, several=True, apart=False)


def _outside(folder: Path) -> list[Command]:
    return _classify(folder, "linear", "none", 240, outside=60)


def _kernel(folder: Path) -> list[Command]:
    return _classify(folder, "kernel", "int8-dynamic")


def _encoder(folder: Path) -> list[Command]:
    return _classify(folder, "encoder", "int8-dynamic", 240, outside=60, train=TRAIN)


def _static(folder: Path) -> list[Command]:
    return _classify(folder, "static", train={"epochs": 10})


def _encoder_several(folder: Path) -> list[Command]:
    return _classify(folder, "encoder", "int8-static", 240, classify={"multi_label": True}, several=True, train=TRAIN)


def _unseen(folder: Path) -> list[Command]:
    """Out of scope without a row of it: learnt from in-scope rows alone."""
    return _classify(folder, "kernel", "none", 240, classify={"unknown": "elsewhere"})


def _chosen(folder: Path) -> list[Command]:
    """The best of all students in all forms: encoder, static, both together."""
    return _classify(folder, "auto", "auto", 240, student={"kind": "auto", "quality": "best"}, train={**TRAIN, "epochs": 4})


def _taught(folder: Path) -> list[Command]:
    """Few rows, and more that another bundle labels."""
    commands = _classify(folder, "linear")
    teacher = ("build", "recipe.toml", "--out", "teacher", "--threads", "THREADS", "--quiet")
    _table(folder / "few.csv", ("text", "intent"), labelled(60, 51))
    _table(folder / "unlabelled.csv", ("text",), [(text,) for text, _ in labelled(200, 52)])
    files = ("--data", "few.csv", "--test", "test.csv", "--unlabelled", "unlabelled.csv", "--input", "text", "--label", "intent")
    more = ("--student", "linear", "--compress", "none", "--teacher", "teacher", "--seed", "7")
    taught = ("build", "--task", "classify", *files, *more, "--out", BUNDLE, "--threads", "THREADS", "--quiet")
    return [teacher, taught, *commands[1:]]


def _described(draw: random.Random) -> tuple[str, list[dict[str, Any]]]:
    """A message that names goods and a city, and where they stand in it."""
    parts: list[tuple[str, str]] = [(draw.choice(("please", "hello", "today", "now", "again")), "")]
    parts += [(word, "") for word in draw.sample(("i", "want", "send", "my", "order", "the", "nice"), 3)]
    parts += [(f"{draw.choice(COLOURS)} {draw.choice(THINGS)}", "product")]
    parts += [("to", ""), (draw.choice(CITIES), "city")] if draw.random() < 0.7 else []
    parts += [(draw.choice(("thanks", "please", "now")), "")]
    text, spans = "", []
    for words, label in parts:
        text += " " if text else ""
        spans += [{"start": len(text), "end": len(text) + len(words), "label": label}] if label else []
        text += words
    return text, spans


def _spans(folder: Path, kind: str, method: str) -> list[Command]:
    draw = random.Random(3)
    rows = list(dict(_described(draw) for _ in range(200)).items())
    # Some test rows lack a span, or have one of another kind.
    test = [(text, spans[:-1] if number < 4 else spans) for number, (text, spans) in enumerate(rows[130:170])]
    for name, chosen in (("train", rows[:130]), ("test", test)):
        _table(folder / f"{name}.csv", ("text", "spans"), [(text, json.dumps(spans)) for text, spans in chosen])
    tiny_encoder(folder / "base", WORDS)
    tree = {
        "name": "golden",
        "task": "extract",
        "seed": 7,
        "data": {"train": "train.csv", "test": "test.csv", "input": "text", "label": "spans", "holdout": 0.2},
        "base": {"name": "base"},
        "student": {"kind": kind},
        "compress": {"method": method},
        "gate": LENIENT,
    }
    _recipe(folder, tree | ({"train": TRAIN} if kind == "tagger" else {}))
    return [_build(), *_asked(BUNDLE, "test.csv")]


def _tagger(folder: Path) -> list[Command]:
    return _spans(folder, "tagger", "int8-dynamic")


def _lexical(folder: Path) -> list[Command]:
    return _spans(folder, "lexical", "none")


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "thing": {"type": "string", "maxLength": 12},
        "count": {"type": ["integer", "null"], "minimum": 1},
        "wish": {"enum": ["money_back", "another"]},
    },
    "required": ["thing", "count", "wish"],
}


def _orders() -> list[tuple[str, dict[str, Any]]]:
    """Messages with a thing, sometimes how many, and a wish; a few say something else than they are marked with."""
    made = []
    for thing in THINGS:
        for number in range(1, 10):
            count = number if number % 3 else None
            amount = f"{count} " if count else ""
            made.append((f"i want to send {amount}{thing} back please", {"thing": thing, "count": count, "wish": "money_back"}))
            made.append(
                (f"is my {amount}{thing} order available {'now' * (number % 2)}", {"thing": thing, "count": count, "wish": "another"})
            )
    draw = random.Random(4)
    draw.shuffle(made)
    return [(text, {**fields, "thing": "vase"} if number < 6 else fields) for number, (text, fields) in enumerate(made)]


def _fields(folder: Path, kind: str, method: str, fields: Sequence[str] = ("thing", "count", "wish"), **more: Any) -> list[Command]:
    """Commands of a model that gives these fields."""
    rows = [{"text": text, "fields": {name: told[name] for name in fields}} for text, told in _orders()]
    test = 12 if kind == "decoder" else 24
    _lines(folder / "train.jsonl", rows[4:-test])
    _lines(folder / "test.jsonl", [*rows[:4], *rows[-test:]])
    schema = {**SCHEMA, "properties": {name: SCHEMA["properties"][name] for name in fields}, "required": fields}
    (folder / "schema.json").write_text(json.dumps(schema), encoding="utf-8")
    (tiny_encoder if kind == "tagger" else tiny_decoder)(folder / "base", WORDS)
    tree = {
        "name": "golden",
        "task": "extract",
        "seed": 7,
        "data": {"train": "train.jsonl", "test": "test.jsonl", "input": "text", "label": "fields", "holdout": 0.2},
        "extract": {"schema_file": "schema.json"},
        "base": {"name": "base"},
        "student": {"kind": kind, "baseline": "none"},
        "compress": {"method": method},
        "gate": LENIENT,
    }
    _recipe(folder, {**tree, **more})
    return [_build(), *_asked(BUNDLE, "test.jsonl")]


def _filled(folder: Path) -> list[Command]:
    return _fields(folder, "tagger", "int8-dynamic", train={**TRAIN, "epochs": 120})


def _written(folder: Path) -> list[Command]:
    """A thing and a wish, which a word each tells."""
    return _fields(folder, "decoder", "none", ("thing", "wish"), train={**WRITER, "epochs": 60, "vocabulary": "whole"})


def _written_whole(folder: Path) -> list[Command]:
    student = {"kind": "decoder", "baseline": "full"}
    return _fields(folder, "decoder", "q8-0", student=student, train={**WRITER, "vocabulary": "trimmed", "frequent_tokens": 256})


def _texts(folder: Path, rows: Sequence[tuple[str, str]], method: str, **more: Any) -> list[Command]:
    tiny_decoder(folder / "base", WORDS)
    _table(folder / "train.csv", ("given", "text"), rows[6:])
    _table(folder / "test.csv", ("given", "text"), rows[:6])
    tree = {
        "name": "golden",
        "task": "write",
        "seed": 7,
        "data": {"train": "train.csv", "test": "test.csv", "input": "given", "label": "text", "holdout": 0.2},
        "base": {"name": "base"},
        "student": {"kind": "decoder", "baseline": "none"},
        "compress": {"method": method},
        "gate": LENIENT,
    }
    _recipe(folder, {**tree, **more})
    return [_build(), *_asked(BUNDLE, "test.csv")]


def _products(things: int = 6) -> list[tuple[str, str]]:
    """Attributes and a text that states them; of fewer things the text says nothing of the colour, which a word alone tells."""
    draw = random.Random(5)
    rows = []
    for colour, thing, number in itertools.product(COLOURS, THINGS[:things], range(1 if things == 6 else 2)):
        said = f"a {colour} {thing} for your home" if things == 6 else f"a {thing} for your home, {('nice', 'for you')[number]}"
        rows.append((f"colour: {colour}; thing: {thing}" + f"; size: {number + 1}" * (things != 6), said))
    draw.shuffle(rows)
    return [(given, text if number else "a nice vase in your shop") for number, (given, text) in enumerate(rows)]


def _attributes(folder: Path) -> list[Command]:
    more = {"attributes": "on", "attempts": 0}
    return _texts(folder, _products(3), "q8-0", train={**WRITER, "vocabulary": "whole"}, write=more)


def _attributes_asked(folder: Path) -> list[Command]:
    student = {"kind": "decoder", "baseline": "full"}
    more = {"train": {**WRITER, "vocabulary": "trimmed", "frequent_tokens": 256}, "write": {"instruction": "Write."}}
    return _texts(folder, _products(), "none", student=student, **more)


def _drafts() -> list[tuple[str, str]]:
    """Sentences with a wrong verb, and right ones; every fourth is right already."""
    draw, made = random.Random(6), {}
    while len(made) < 54:
        one, many = f"the {draw.choice(COLOURS)} {draw.choice(THINGS)}", draw.choice(FILLER[:4])
        right = f"{many} {one} is in {draw.choice(CITIES)} and it was nice"
        given = right if len(made) % 4 == 0 else right.replace(" is ", " are ").replace(" was ", " were " if len(made) % 3 else " was ")
        made[given] = right
    return list(made.items())


def _editing(folder: Path) -> list[Command]:
    train = {**WRITER, "vocabulary": "whole", "draft": "lookup"}
    return _texts(folder, _drafts(), "q8-0", train=train, write={"instruction": "Correct the mistakes."})


def _adapter(folder: Path) -> list[Command]:
    return _texts(folder, _products(), "none", train={**WRITER, "vocabulary": "whole", "adapter": True})


def _learnt(folder: Path) -> list[Command]:
    """A line that begins with a bundle which knows half of the words, and learns from a file with all of them."""
    _classify(folder, "linear")
    _table(folder / "train.csv", ("text", "intent"), labelled(160, 1, only=slice(0, 3)))
    _lines(folder / "more.jsonl", [{"text": text, "intent": label} for text, label in labelled(1000, 31)])
    learn = ("learn", "line", "--from", BUNDLE, "--data", "more.jsonl", "--no-traffic", "--alpha", "0.1", "--threads", "THREADS", "--json")
    return [_build(), learn, *_asked("line", "test.csv")]


def _from_traffic(folder: Path) -> list[Command]:
    """A line that is born from what a large model answered to captured requests."""
    _table(folder / "test.csv", ("text", "intent"), labelled(40, 2, wrong=5))
    options = ("--task", "classify", "--set", "student.kind=linear", "--alpha", "0.1", "--threads", "THREADS", "--json")
    return [("traffic", "--json"), ("learn", "line", "--asked", "big", *options), *_asked("line", "test.csv")]


def _requests() -> list[tuple[str, str]]:
    return labelled(700, 41, wrong=6)


CASES = (
    Case("label-linear", _linear, quick=True, near=0.002),
    Case("label-several", _several, quick=True, near=0.002),
    Case("label-outside", _outside),
    Case("label-kernel", _kernel),
    Case("label-encoder", _encoder, quick=True),
    Case("label-static", _static),
    Case("label-encoder-several", _encoder_several),
    Case("label-unseen", _unseen),
    Case("label-chosen", _chosen),
    Case("label-taught", _taught),
    Case("span-tagger", _tagger, quick=True),
    Case("span-lexical", _lexical),
    Case("fields-filled", _filled, quick=True, near=None),
    Case("fields-written", _written, quick=True, near=None, batched=True),
    Case("fields-written-whole", _written_whole, batched=True),
    Case("text-attributes", _attributes, quick=True, near=None, batched=True),
    Case("text-attributes-asked", _attributes_asked, batched=True),
    Case("text-editing", _editing, batched=True),
    Case("text-adapter", _adapter, batched=True),
    Case("learn-file", _learnt, quick=True, near=0.002),
    Case("learn-traffic", _from_traffic, traffic=_requests),
)
