"""Measure needless masking: texts and names that hold nothing personal and are altered all the same, beside the share of personal data
that is masked. By the policies `mask` (the default) and `health` (every kind, wherever it stands). It measures no time."""

from __future__ import annotations

import csv
import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import border, results
from bench.border import Text
from bench.context import HERE, Context
from bench.data import NoData
from bench.label_names import labels, tool_names
from bench.redaction import FILES
from smidgen.stats.intervals import wilson

NAME = "overmasking"
COLUMNS = ("what", "policy", "of", "altered without need", "share", "95 %", "altered as (kinds)", "personal spans", "wholly masked", "95 %")
POLICIES: Mapping[str, tuple[str, ...]] = {"mask": (), "health": ("all",), "files": (), "files, every kind": ("all",)}
"""The policies of the border, and redaction of files and stored traffic, which leaves public names; with the kinds that are asked for."""
TEXTS = HERE / "overmasking_texts.jsonl"
SHORT = HERE / "short_requests.jsonl"
"""Short requests with private names, famous people, companies, streets, assistants and games. The list of public names was tuned on the
half `tuning` of the first set, and the rules on the half `first` of the second one, which was written before that."""
HALVES = ("tuning", "blind", "first", "second")
TRUTH = HERE / "overmasking_truth.json"
DRAWN = {"banking77": 400, "clinc150": 600}
"""How many texts of each data set are drawn, and were read by a person."""
SEED = 20261128
DRAWN_KIND = "personal"
"""The kind of all spans of drawn texts, which have none in the truth."""
EITHER = "either"
"""The kind of a span that may be masked or not: a user name, a weekday beside a name."""
WAYS = ("names", "answers")
"""How a label is given: as a name (`Redactor.name`), as a whole answer (`Redactor.mask`)."""
MOST_ALTERED = 2.0
LEAST_RECALL = 0.88
_SHOWN = 12
_QUICK = 40

Found = list[tuple[int, int, str]]


@dataclass(frozen=True)
class Share:
    """Of so many texts how many were altered without need, and as which kinds: a text counts once for each kind."""

    of: int
    altered: int
    kinds: Counter[str]

    @property
    def percent(self) -> float:
        """The share in per cent."""
        return 100 * self.altered / max(self.of, 1)


def run(context: Context) -> None:
    """Every set by every policy."""
    section = results.Section(
        NAME,
        "What is masked without need",
        "The share of texts that redaction alters though it need not: a text counts where some masked span overlaps nothing that is "
        "personal. What is personal was marked by hand in 400 test messages of BANKING77 and 600 requests of CLINC150, drawn at random, "
        "and in texts that were written for this bench (39 domains, four languages; nothing else was made from them). Names of private "
        "people, addresses and numbers are personal; a town, a company or a day only beside a person. `mask` is the default of "
        "`smidgen.redactor()`; `health` masks every kind wherever it stands, so towns, companies and days count against it here. Beside it "
        "stands the share of personal spans that are wholly masked, here and in two files of Presidio's evaluation. A label is altered "
        "where it does not stay as it is, as a name that the user gives (`Redactor.name`) or as a whole answer (`Redactor.mask`). "
        "Intervals: Wilson's for texts, over templates (for own texts: over texts) for spans.",
        COLUMNS,
    )
    sets = {name: drawn(context.data, name) for name in DRAWN}
    sets["own texts"] = own(TEXTS)
    sets |= {f"short requests, {half} half": short(SHORT, half) for half in HALVES}
    if context.quick:
        sets = {name: texts[:_QUICK] for name, texts in sets.items()}
    for name, texts in sets.items():
        for policy in POLICIES:
            found = _found(context, name, policy, texts)
            section.rows += rows(name, policy, texts, found)
            if policy == "mask":
                share = altered(texts, found)
                section.goals.append(results.at_most(f"{name}, altered without need", MOST_ALTERED, share.percent, "%", ".1f"))
    _presidio(context, section)
    _names(context, section)
    results.publish(context, section)


def drawn(folder: Path, name: str) -> list[Text]:
    """The sample of a data set, with what was marked in it."""
    truth = json.loads(TRUTH.read_text(encoding="utf-8"))[name]
    return [
        Text(text, tuple((start, end, DRAWN_KIND) for start, end in truth.get(key(text), ())), str(number))
        for number, text in enumerate(sample(folder, name))
    ]


def sample(folder: Path, name: str) -> list[str]:
    """The texts that were drawn from a data set and read: test messages of BANKING77; test requests of CLINC150, out of scope and in it."""
    file = folder / name / ("test.csv" if name == "banking77" else "data_full.json")
    if not file.is_file():
        raise NoData(f"{file} is not here")
    if name == "banking77":
        with file.open(encoding="utf-8", newline="") as stream:
            texts = [row["text"] for row in csv.DictReader(stream)]
    else:
        parts = json.loads(file.read_text(encoding="utf-8"))
        texts = [text for part in ("test", "oos_test") for text, _ in parts[part]]
    return random.Random(SEED).sample(texts, DRAWN[name])


def key(text: str) -> str:
    """The name of a text in the truth file, which holds no text of a data set."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def own(file: Path) -> list[Text]:
    """The texts that were written for this bench: one JSON object a line. The template says the domain and the line."""
    entries = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [
        Text(entry["text"], tuple((start, end, kind) for start, end, kind in entry["spans"]), f"{entry['domain']} {number}")
        for number, entry in enumerate(entries)
    ]


def short(file: Path, half: str) -> list[Text]:
    """One half of the short requests."""
    entries = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [
        Text(entry["text"], tuple((start, end, DRAWN_KIND) for start, end, _ in entry["spans"]), str(number))
        for number, entry in enumerate(entries)
        if entry["half"] == half
    ]


def needless(text: Text, found: Iterable[tuple[int, int, str]]) -> list[str]:
    """The kinds of masked spans that overlap nothing personal."""
    return [kind for start, end, kind in found if not any(start < b and a < end for a, b, _ in text.gold)]


def altered(texts: Sequence[Text], found: Sequence[Iterable[tuple[int, int, str]]]) -> Share:
    """How many texts are altered without need."""
    kinds: Counter[str] = Counter()
    number = 0
    for text, masked in zip(texts, found, strict=True):
        needed_not = set(needless(text, masked))
        number += bool(needed_not)
        kinds.update(needed_not)
    return Share(len(texts), number, kinds)


def rows(name: str, policy: str, texts: Sequence[Text], found: Sequence[Found]) -> list[list[str]]:
    """A row of all texts; of own texts also rows of their parts, and by the default policy of each kind of personal span."""
    kinds = sorted({kind for text in texts for _, _, kind in text.gold} - {EITHER, DRAWN_KIND})
    table = [_share_cells(name, policy, altered(texts, found)) + _recall_cells(texts, found, kinds)]
    for part, chosen in parts(texts).items() if kinds else ():
        ours, masked = [texts[place] for place in chosen], [found[place] for place in chosen]
        table.append(_share_cells(f"{name}, {part}", policy, altered(ours, masked)) + _recall_cells(ours, masked, kinds))
    each = kinds if policy == "mask" else ()
    return table + [[f"{name}, {kind}", policy, *[""] * 5, *_recall_cells(texts, found, [kind])] for kind in each]


def parts(texts: Sequence[Text]) -> dict[str, list[int]]:
    """Places of texts that hold nothing personal, that are written in small letters, and that are not English."""
    foreign = ("deutsch", "francais", "espanol")
    return {
        "nothing personal": [place for place, text in enumerate(texts) if not text.gold],
        "small letters": [place for place, text in enumerate(texts) if text.text == text.text.lower()],
        "German, French, Spanish": [place for place, text in enumerate(texts) if text.template.startswith(foreign)],
    }


def masker(policy: str) -> Callable[[str], Found]:
    """A function that gives the masked spans of a text under a policy. Each text is a conversation of its own."""
    from smidgen.flows.redaction_model import finder
    from smidgen.privacy import text_patterns
    from smidgen.privacy.public_names import PublicNames
    from smidgen.privacy.redactor import Redactor

    model = finder(kinds=POLICIES[policy], public=PublicNames() if policy.startswith("files") else None)

    def find(text: str) -> Found:
        redactor = Redactor(model, forms=text_patterns.usual_spans, beside_person=model.beside_person)
        return [(span["start"], span["end"], span["label"]) for span in redactor.spans(text)]

    return find


def changed(policy: str, names: Iterable[str], *, as_name: bool) -> list[str]:
    """The names that do not stay as they are, given as names or as whole answers; one that is refused counts as well."""
    import smidgen
    from smidgen.core.errors import RedactionError

    other = []
    for name in names:
        redactor = smidgen.redactor(kinds=POLICIES[policy])
        try:
            kept = (redactor.name(name) if as_name else redactor.mask(name)) == name
        except RedactionError:
            kept = False
        if not kept:
            other.append(name)
    return other


def _share_cells(name: str, policy: str, share: Share) -> list[str]:
    low, high = wilson(share.altered, share.of)
    kinds = ", ".join(f"{kind} {number}" for kind, number in share.kinds.most_common())
    return [name, policy, f"{share.of:,}", f"{share.altered:,}", f"{share.percent:.1f}%", f"{low:.1%} to {high:.1%}", kinds]


def _recall_cells(texts: Sequence[Text], found: Sequence[Found], kinds: Sequence[str]) -> list[str]:
    """How many personal spans there are, the share that is wholly masked, and its interval."""
    spans = sum(kind in kinds for text in texts for _, _, kind in text.gold)
    if not spans:
        return ["", "", ""]
    places = [[(start, end) for start, end, _ in masked] for masked in found]
    low, high = border.interval(list(texts), places, kinds)
    return [f"{spans:,}", f"{border.share(list(texts), places, kinds, whole=True):.1%}", f"{low:.1%} to {high:.1%}"]


def _presidio(context: Context, section: results.Section) -> None:
    """The share of personal data that is masked in two files of Presidio's evaluation, each and together."""
    files = {name: border.read(context.data / "presidio-pii" / path) for name, path in FILES.items()}
    for policy in POLICIES:
        texts: list[Text] = []
        found: list[Found] = []
        for name, every in files.items():
            some = every[:_QUICK] if context.quick else every
            ours = [Text(text.text, text.gold, f"{name} {text.template}") for text in some]
            masked = _found(context, name, policy, ours)
            section.rows.append(_recall_row(f"presidio-pii, {name}", policy, ours, masked))
            texts, found = texts + ours, found + masked
        section.rows.append(_recall_row("presidio-pii, both", policy, texts, found))
        if policy == "health":
            places = [[(start, end) for start, end, _ in masked] for masked in found]
            recall = border.share(texts, places, _kinds(texts), whole=True)
            section.goals.append(results.at_least("presidio-pii, wholly masked (health)", LEAST_RECALL, recall, ".1%"))


def _recall_row(name: str, policy: str, texts: list[Text], found: list[Found]) -> list[str]:
    return [name, policy, f"{len(texts):,}", *[""] * 4, *_recall_cells(texts, found, _kinds(texts))]


def _kinds(texts: Iterable[Text]) -> list[str]:
    return sorted({kind for text in texts for _, _, kind in text.gold})


def _names(context: Context, section: results.Section) -> None:
    """Labels of every data set, and names and choices of tools, in both ways."""
    reached: Counter[str] = Counter()
    for names, are_labels in [*((own, True) for own in labels(context.data)), *((own, False) for own in tool_names(context.data))]:
        shown = names.names[:_QUICK] if context.quick else names.names
        for policy in POLICIES:
            other = _changed(context, names.title, policy, shown)
            section.rows.append(names_row(names.title, policy, len(shown), other))
            if policy == "mask":
                reached.update({way: len(few) for way, few in other.items() if are_labels})
                section.notes += [
                    f"{names.title}, altered as {way} by `{policy}`: {', '.join(f'`{name}`' for name in few[:_SHOWN])}"
                    + (", ..." if len(few) > _SHOWN else "")
                    for way, few in other.items()
                    if few
                ]
    for way in WAYS:
        section.goals.append(results.at_most(f"labels of all sets, altered as {way}", 0, reached[way], "labels"))


def names_row(title: str, policy: str, of: int, other: Mapping[str, Sequence[str]]) -> list[str]:
    """A row of names: how many are altered in each way; the share and its interval are those of whole answers."""
    low, high = wilson(len(other["answers"]), of)
    cells = [title, policy, f"{of:,}", ", ".join(f"{len(few):,} as {way}" for way, few in other.items())]
    return [*cells, f"{len(other['answers']) / max(of, 1):.1%}", f"{low:.1%} to {high:.1%}", "", "", "", ""]


def _found(context: Context, name: str, policy: str, texts: Sequence[Text]) -> list[Found]:
    def work() -> dict[str, Any]:
        find = masker(policy)
        return {"found": [find(text.text) for text in texts]}

    slug = name.replace(" ", "-")
    result = context.measured(f"{NAME}-{slug}-{policy}", {"texts": _digest(text.text for text in texts)}, work, peer=False)
    return [[(start, end, kind) for start, end, kind in masked] for masked in result["found"]]


def _changed(context: Context, title: str, policy: str, shown: Sequence[str]) -> dict[str, list[str]]:
    def work() -> dict[str, Any]:
        return {"other": {way: changed(policy, shown, as_name=way == "names") for way in WAYS}}

    slug = title.replace(" ", "-").replace(",", "")
    other = context.measured(f"{NAME}-{slug}-{policy}", {"names": _digest(shown)}, work, peer=False)["other"]
    return {way: list(other[way]) for way in WAYS}


def _digest(texts: Iterable[str]) -> str:
    """Texts that changed are measured anew."""
    return hashlib.sha256("\0".join(texts).encode("utf-8")).hexdigest()
