"""The border of the gateway: how much of the personal data in two files of Presidio's evaluation would not leave, kind by kind, by patterns
alone and with the redaction model. It measures no time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench import results
from bench.context import Context
from bench.data import NoData
from bench.redaction import FILES

NAME = "border"
COLUMNS = ("file", "type in the file", "spans", "patterns, wholly", "with the model, wholly", "95 %", "with the model, at least touched")
ASIDE = frozenset({"AGE", "TITLE", "PREFIX", "NATIONALITY", "NRP"})
"""Types that no kind is meant for."""
_RESAMPLES = 2000


@dataclass(frozen=True)
class Text:
    """A text of a file, with what is personal in it: start, end (exclusive) and the file's own type."""

    text: str
    gold: tuple[tuple[int, int, str], ...]
    template: str


def run(context: Context) -> None:
    """Both ways over both files."""
    section = results.Section(
        NAME,
        "The border: what does not leave",
        "Of each piece of personal data in two files of Presidio's evaluation, which neither side was made from, whether a stand-in takes "
        "its place before a request leaves the gateway (`smidgen serve --privacy health`): wholly, so that none of its letters and digits "
        "is left, by whatever kind it is called; or at least touched. Patterns alone (forms and check digits), and patterns with the "
        "redaction model that comes with smidgen. Types are the files' own; titles, nationalities and ages, which are not meant to be "
        "masked (ages under 90), are left out. Intervals are over templates, of the share that is wholly masked. What is masked without "
        "need is counted by `overmasking`. No time is measured.",
        COLUMNS,
    )
    for name, path in FILES.items():
        texts = read(context.data / "presidio-pii" / path)
        texts = texts[:100] if context.quick else texts
        found = {way: _found(context, name, way, texts) for way in ("patterns", "model")}
        section.rows += table(f"{name}, {len(texts):,} texts", texts, found["patterns"], found["model"])
    results.publish(context, section)


def read(file: Path) -> list[Text]:
    """The texts of a file."""
    if not file.is_file():
        raise NoData(f"{file} is not here")
    return [
        Text(
            entry["full_text"],
            tuple(
                (span["start_position"], span["end_position"], span["entity_type"])
                for span in entry["spans"]
                if span["entity_type"] not in ASIDE
            ),
            str(entry["template_id"]),
        )
        for entry in json.loads(file.read_text(encoding="utf-8"))
    ]


def finder(way: str) -> Callable[[str], list[tuple[int, int]]]:
    """Where stand-ins would be put in a text, by patterns alone or with the model."""
    from smidgen.flows.redaction_model import finder as model
    from smidgen.privacy import text_patterns
    from smidgen.privacy.redactor import Redactor, nothing

    find = model() if way == "model" else nothing
    return lambda text: [
        (span["start"], span["end"]) for span in Redactor(find, forms=text_patterns.every_span, beside_person=frozenset()).spans(text)
    ]


def table(name: str, texts: list[Text], patterns: list[Any], model: list[Any]) -> list[list[str]]:
    """A row a type, and one over all."""
    types = sorted({kind for text in texts for _, _, kind in text.gold})
    rows = []
    for shown, kinds in [*((kind, {kind}) for kind in types), ("all", set(types))]:
        spans = sum(kind in kinds for text in texts for _, _, kind in text.gold)
        low, high = interval(texts, model, kinds)
        shares = [f"{share(texts, patterns, kinds, whole=True):.1%}", f"{share(texts, model, kinds, whole=True):.1%}"]
        rows.append([name, shown, f"{spans:,}", *shares, f"{low:.1%} to {high:.1%}", f"{share(texts, model, kinds, whole=False):.1%}"])
    return rows


def share(texts: list[Text], found: list[Any], kinds: Iterable[str], *, whole: bool) -> float:
    """Of the spans of these kinds, the share that is covered: wholly, or in one letter or digit at least."""
    counts = _counts(texts, found, set(kinds), whole=whole)
    return float(counts[:, 0].sum() / max(counts[:, 1].sum(), 1))


def interval(texts: list[Text], found: list[Any], kinds: Iterable[str]) -> tuple[float, float]:
    """95 % of the share that is wholly covered, over templates: texts of one template are right or wrong together."""
    counts = _counts(texts, found, set(kinds), whole=True)
    places = {name: place for place, name in enumerate(dict.fromkeys(text.template for text in texts))}
    by_template = np.zeros((len(places), 2))
    np.add.at(by_template, [places[text.template] for text in texts], counts)
    by_template = by_template[by_template[:, 1] > 0]
    even = np.full(len(by_template), 1 / len(by_template))
    draws = np.random.default_rng(0).multinomial(len(by_template), even, size=_RESAMPLES) @ by_template
    low, high = np.percentile(draws[:, 0] / draws[:, 1], (2.5, 97.5))
    return float(low), float(high)


def _counts(texts: list[Text], found: list[Any], kinds: set[str], *, whole: bool) -> np.ndarray:
    """Of each text the spans of these kinds that are covered, and all of them."""
    counts = []
    for text, own in zip(texts, found, strict=True):
        gold = [(start, end) for start, end, kind in text.gold if kind in kinds]
        counts.append((sum(_covered(text.text, span, own, whole) for span in gold), len(gold)))
    return np.array(counts, dtype=float)


def _covered(text: str, span: tuple[int, int], found: Iterable[tuple[int, int]], whole: bool) -> bool:
    places = [place for place in range(*span) if text[place].isalnum()] or list(range(*span))
    hidden = [any(start <= place < end for start, end in found) for place in places]
    return all(hidden) if whole else any(hidden)


def _found(context: Context, name: str, way: str, texts: list[Text]) -> list[Any]:
    def work() -> dict[str, Any]:
        find = finder(way)
        return {"found": [find(text.text) for text in texts]}

    result = context.measured(f"{NAME}-{name}-{way}", {"texts": len(texts)}, work, peer=False)
    return [[tuple(span) for span in own] for own in result["found"]]
