"""Choose the input and output columns: given, remembered from a bundle, named by default, or guessed."""

from __future__ import annotations

import difflib
import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from smidgen.core.errors import DataError
from smidgen.data.source import Record

INPUT_NAMES = (
    "text", "message", "query", "utterance", "question", "sentence", "body", "content", "review", "comment", "request",
    "prompt", "ticket", "description", "email", "title", "subject", "document",
    "nachricht", "anfrage", "frage", "mitteilung", "bewertung", "kommentar", "inhalt", "beschreibung", "betreff",
)  # fmt: skip
LABEL_NAMES = (
    "label", "labels", "intent", "category", "categories", "class", "target", "topic", "tag", "tags", "sentiment", "type",
    "queue", "team", "department", "answer", "response", "reply", "summary", "entities", "spans", "fields",
    "absicht", "kategorie", "thema", "stimmung", "abteilung", "antwort",
)  # fmt: skip


WRITTEN_NAMES = (
    "output", "description", "summary", "corrected", "product text", "product_text", "copy", "answer", "response", "reply", "target", "ref",
    "text", "beschreibung", "produkttext", "zusammenfassung", "antwort", "korrigiert",
)  # fmt: skip
"""Names of a column of finished texts."""
UNTOLD_NAMES = (
    "id", "key", "sku", "ean", "gtin", "upc", "index", "row", "number", "no", "nr", "nummer", "artikelnummer", "url", "link", "image",
    "picture", "photo", "bild", "foto", "column_1",
)  # fmt: skip
"""Names of columns that no text tells of."""
_TEXT_WORDS, _LONG_WORDS = 3.0, 8.0
"""Mean words of a cell from which a column of such a name is taken for finished texts, and any column for texts."""

_MOST_ABOVE = 30
"""Most rows above a table."""
_CODE = re.compile(r"[+-]?\d{1,3}|true|false", re.IGNORECASE)
_MOST_CODES, _ROWS_OF_A_CODE = 12, 4
"""Labels written as numbers: the most of them, and the fewest rows that each has on average."""


@dataclass(frozen=True, slots=True)
class ColumnChoice:
    """The chosen column (two for text pairs), and how it was chosen: `given`, `remembered`, `default` or `guessed`."""

    names: tuple[str, ...]
    how: str

    def __str__(self) -> str:
        return f"{','.join(self.names)} ({self.how})"

    @property
    def name(self) -> str:
        """The value for a flag: names joined by a comma."""
        return ",".join(self.names)


class NoHeader(DataError):
    """The first row looks like an example."""


class NoTextColumn(DataError):
    """No column looks like texts."""


def header(cells: Sequence[object], file: str, named: bool = True) -> tuple[str, ...]:
    """Column names from the first row: trimmed, unique, not empty. A column without a name is called by its number (`column_3`), and the
    second of a name `name_2`.

    `named`: false where the first row is an example; then every column is called by its number.
    """
    if not named:
        return tuple(f"column_{place}" for place in range(1, len(cells) + 1))
    names = ["" if cell is None else str(cell).strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise DataError("data.header_row_is_empty", cells=len(cells), file=file)
    seen: dict[str, None] = {}
    for place, name in enumerate(names, start=1):
        wanted, copy = name or f"column_{place}", 1
        free = wanted
        while free in seen or (copy > 1 and free in names):
            copy += 1
            free = f"{wanted}_{copy}"
        seen[free] = None
    return tuple(seen)


def rows_above(rows: Sequence[Sequence[object]]) -> int:
    """How many of the first rows of a table of cells are titles and dates of an export: half as many filled cells as usual, or fewer."""
    filled = [sum(cell is not None and bool(str(cell).strip()) for cell in cells) for cells in rows]
    usual = statistics.median([count for count in filled if count] or [0])
    first = next((place for place, count in enumerate(filled) if 2 * count > usual), 0)
    return first if first <= _MOST_ABOVE else 0


def resolve(wanted: str, columns: Sequence[str], file: str, flag: str, most: int) -> tuple[str, ...]:
    """The columns that a user named: one name, or up to `most` joined by commas. Raises DataError for one that is not in the file."""
    names = _parted(wanted, columns)
    if len(names) > most:
        raise DataError("data.too_many_columns_for_option", value=wanted, flag=flag, most=most, file=file)
    for name in names:
        if name not in columns:
            raise _missing(name, columns, file, flag)
    return names


def choose_input(columns: Sequence[str], sample: Sequence[Record], file: str, given: str | None, remembered: str | None) -> ColumnChoice:
    """Choose the input column. Raises DataError if the given one is missing, or none can be guessed."""
    known = _known(columns, file, given, remembered, "--input", 2)
    if known:
        return known
    plain = _by_name(columns, ("input",))
    if plain:
        return ColumnChoice((plain,), "default")
    texts = {name: _texts(sample, name) for name in columns}
    named = _by_name([name for name in columns if texts[name]], INPUT_NAMES)
    if named:
        return ColumnChoice((named,), "guessed")
    scores = {name: _prose(texts[name]) for name in columns}
    best = max(columns, key=lambda name: scores[name])
    if scores[best] <= 0:
        raise NoTextColumn("data.no_column_looks_like_text", value=", ".join(columns), file=file)
    return ColumnChoice((best,), "guessed")


def choose_label(
    columns: Sequence[str],
    sample: Sequence[Record],
    file: str,
    given: str | None,
    remembered: str | None,
    taken: Sequence[str],
    most: int = 1,
) -> ColumnChoice | None:
    """Choose the output column, not one of `taken`; None if none is given and none looks like one. `most` names may be given, joined by
    commas."""
    known = _known(columns, file, given, remembered, "--label", most)
    if known:
        return known
    free = [name for name in columns if name not in taken]
    plain = _by_name(free, ("output",))
    if plain:
        return ColumnChoice((plain,), "default")
    named = _by_name(free, LABEL_NAMES)
    if named:
        return ColumnChoice((named,), "guessed")
    scores = {name: _labelness(_texts(sample, name)) for name in free}
    likely = [name for name in free if scores[name] > 0]
    if not likely:
        codes = next((name for name in free if _are_codes([record.get(name) for record in sample])), None)
        return None if codes is None else _not_an_example(codes, map(str, (record.get(codes) for record in sample)), columns, file)
    best = max(likely, key=lambda name: scores[name])
    return _not_an_example(best, _texts(sample, best), columns, file)


def _not_an_example(name: str, values: Iterable[str], columns: Sequence[str], file: str) -> ColumnChoice:
    """The guess of a column of labels. Raises NoHeader where its name is one of them."""
    if name in values:
        raise NoHeader("data.first_row_looks_like_example", value=", ".join(columns), file=file)
    return ColumnChoice((name,), "guessed")


def choose_written(columns: Sequence[str], sample: Sequence[Record]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns of a file of finished texts: those that a text is written from, and the one that holds it (none where no column looks
    like one). The former are one column of texts, or the columns of a table of goods."""
    words = {name: _mean_words(_cells(sample, name)) for name in columns}
    filled = [name for name in columns if words[name] > 0]
    named = _by_name([name for name in filled if words[name] >= _TEXT_WORDS], WRITTEN_NAMES)
    long = [name for name in filled if words[name] >= _LONG_WORDS]
    # Of two texts, the shorter one sums up the other.
    best = min(long, key=lambda name: words[name]) if len(long) == 2 else max(long, key=lambda name: words[name], default=None)
    label = named or (best if len(filled) > 1 else None)
    others = [name for name in filled if name != label]
    plain = _by_name(others, ("input", "attributes"))
    wordiest = max(others, key=lambda name: words[name], default=None)
    if plain is None and wordiest is not None and words[wordiest] >= _LONG_WORDS:
        plain = wordiest
    if plain is not None:
        return (plain,), () if label is None else (label,)
    goods = [name for name in others if name.casefold().strip() not in UNTOLD_NAMES and not _are_links(_cells(sample, name))]
    return tuple(goods or others), () if label is None else (label,)


def _cells(sample: Sequence[Record], name: str) -> list[str]:
    """The filled plain cells of a column as texts; a list of texts as one."""
    values = (as_text(record.get(name)) for record in sample)
    return [text for value in values if isinstance(value, str | int | float) and (text := str(value).strip())]


def as_text(value: object) -> object:
    """A cell; a list of texts, such as sentences, as one text."""
    return " ".join(value) if isinstance(value, list) and value and all(isinstance(one, str) for one in value) else value


def _mean_words(values: Sequence[str]) -> float:
    return sum(len(value.split()) for value in values) / len(values) if values else 0.0


def _are_links(values: Sequence[str]) -> bool:
    return bool(values) and all(value.startswith(("http://", "https://")) for value in values)


def _known(columns: Sequence[str], file: str, given: str | None, remembered: str | None, flag: str, most: int) -> ColumnChoice | None:
    if given is not None:
        return ColumnChoice(resolve(given, columns, file, flag, most), "given")
    if remembered is not None:
        names = _parted(remembered, columns)
        if all(name in columns for name in names):
            return ColumnChoice(names, "remembered")
    return None


def _parted(joined: str, columns: Sequence[str]) -> tuple[str, ...]:
    """Names joined by commas. A column's own name may hold commas: the longest name that fits is taken."""
    if joined in columns:
        return (joined,)
    known, most = set(columns), 1 + max((name.count(",") for name in columns), default=0)
    pieces, names = joined.split(","), []
    while pieces:
        whole = [",".join(pieces[:count]).strip() for count in range(min(most, len(pieces)), 0, -1)]
        name = next((one for one in whole if one in known), whole[-1])
        names.append(name)
        pieces = pieces[1 + name.count(",") :]
    return tuple(names)


def _missing(name: str, columns: Sequence[str], file: str, flag: str) -> DataError:
    folded = {column.casefold(): column for column in columns}
    close = difflib.get_close_matches(name.casefold(), list(folded), n=1)
    return DataError(
        "data.no_such_column_but_one_is_near" if close else "data.no_such_column",
        value=name,
        folded=folded[close[0]] if close else None,
        flag=flag,
        columns=", ".join(columns),
        file=file,
        column=name,
    )


def _by_name(columns: Sequence[str], wanted: Sequence[str]) -> str | None:
    folded = {column.casefold().strip(): column for column in reversed(columns)}
    return next((folded[name] for name in wanted if name in folded), None)


def _texts(sample: Sequence[Record], name: str) -> list[str]:
    return [value for record in sample if isinstance(value := record.get(name), str) and value.strip()]


def _prose(values: Sequence[str]) -> float:
    """Score how much a column looks like prose: long, mostly distinct texts of several words."""
    if not values:
        return 0.0
    distinct = len(set(values)) / len(values)
    words = sum(value.count(" ") + 1 for value in values) / len(values)
    letters = sum(any(character.isalpha() for character in value) for value in values) / len(values)
    return distinct * letters * words if words >= 1.5 or len(values[0]) > 3 else 0.0


def _are_codes(values: Sequence[object]) -> bool:
    """Whether values are labels written as numbers or as true and false: few of them, each of them often."""
    told = [str(value).strip() for value in values if value is not None and value != ""]
    kinds = set(told)
    few = 2 <= len(kinds) <= min(_MOST_CODES, len(told) / _ROWS_OF_A_CODE)
    return few and all(_CODE.fullmatch(kind) for kind in kinds)


def _labelness(values: Sequence[str]) -> float:
    """Score how much a column looks like labels: few, short, repeated values that are not numbers."""
    if len(values) < 2:
        return 0.0
    kinds = set(values)
    repeated = 1 - len(kinds) / len(values)
    length = sum(map(len, values)) / len(values)
    letters = sum(any(character.isalpha() for character in kind) for kind in kinds) / len(kinds)
    return repeated * letters if length <= 60 and len(kinds) >= 2 and repeated >= 0.2 else 0.0
