"""The redaction model: finds the personal data that has no form. It comes with smidgen, or is a bundle of the user's own."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from smidgen.core.errors import BundleError, InputError
from smidgen.core.forms import SpanForm
from smidgen.flows.local_model import Model, load
from smidgen.privacy import encodings, text_patterns
from smidgen.privacy.border import MOST_CHARACTERS, PIECE, Border
from smidgen.privacy.encodings import UnescapedText
from smidgen.privacy.policy import Action, Policy, policy_of
from smidgen.privacy.redactor import BESIDE_PERSON, HIDDEN, Redactor

SHIPPED = Path(__file__).parent.parent / "shipped" / "redaction"
"""The bundle that comes with smidgen; `python -m tools.ship` puts it there."""

SLICE = 5_000
"""Characters that are read at once where others wait for their turn."""
OVERLAP = 1_000
"""Characters that neighbouring pieces of a long text share; what either of them shows is taken out."""
ALL = "all"
"""In place of kinds: every kind, wherever it stands."""
KEPT = 4_096
"""Texts of one piece whose findings are remembered: rows that are shown with many questions are read once."""

_IDENTIFIER = re.compile(r"(?<![\w@./:\\-])[^\W_]+(?:_[^\W_]+)+(?!\w|[@/\\-]|[.:]\w)")
"""A word with underscores, as labels and fields are named: the model reads its parts as words. Names of files and addresses are none.
Only a name of two words is personal in it: `john_smith`, and not the doctor of `doctor_bye`."""

_FORMS: Mapping[str, re.Pattern[str]] = {
    "person": re.compile(r"[^\d]*[^\W\d_][^\d]*"),
    "email": re.compile(r".*@.*"),
    "url": re.compile(r".*[^\W\d]\.[^\W\d].*|.*://.*"),
    "ip": re.compile(r".*[.:].*[.:].*"),
    "phone": re.compile(r"(?:\D*\d){5}.*"),
    "card": re.compile(r"(?:\D*\d){8}.*"),
    "iban": re.compile(r"(?:\W*\w){10}.*"),
    "id": re.compile(r"\D*\d.*"),
}
"""The form that a finding of the shipped model must have, line breaks aside: a name has no digits, a web address has a dot between letters.
Findings that do not are codes, versions and words."""

Found = tuple[tuple[str, int, int], ...]
"""Of one text: the kind, the start and the end (exclusive) of each piece of personal data."""


class PersonalDataFinder:
    """A model that finds personal data in texts of any length.

    Args:
        model: a loaded bundle of the task extract, that finds spans.
        kinds: what it is to find; all that it knows where there are none. A town, a company or a day counts only beside a person, unless
            its kind is named here; `all` names every kind.
        forms: by kind, what a finding must look like as a whole; others are dropped.

    Raises:
        InputError: the bundle does not find spans, or knows no such kind.
    """

    def __init__(self, model: Model, kinds: Sequence[str] = (), forms: Mapping[str, re.Pattern[str]] | None = None) -> None:
        if not isinstance(model.form, SpanForm):
            raise InputError(
                "this bundle does not find spans",
                value=f"{model.name} ({model.manifest.task})",
                todo="Name a bundle of the task extract, whose rows have spans.",
            )
        known = model.form.kinds
        kinds = known if ALL in kinds else kinds
        strange = [kind for kind in kinds if kind not in known]
        if strange:
            raise InputError("the redaction model knows no such kind", value=strange[0], todo=f"It knows: {', '.join(known)}.")
        self.model = model
        self.kinds = known
        self._wanted, self._forms = frozenset(kinds or known), forms or {}
        self.beside_person = BESIDE_PERSON - frozenset(kinds)
        self._short = functools.lru_cache(KEPT)(lambda text: self.many([text])[text])

    def __call__(self, text: str) -> Found:
        """The personal data in one text."""
        return self._short(text) if len(text) <= PIECE else self.many([text])[text]

    def many(self, texts: Iterable[str], between: Callable[[], None] | None = None) -> dict[str, Found]:
        """The personal data in each of these texts, which are read together; with `between` no more than a slice's characters at once, and
        it is called before each time: what it raises ends the reading."""
        found: dict[str, set[tuple[str, int, int]]] = {text: set() for text in texts}
        parts = [part for text in found for part in _parts(text, None if between is None else SLICE)]
        for together in [parts] if between is None else _few(parts):
            if between is not None:
                between()
            for part, reply in zip(together, self.model.predict([part.plain for part in together]), strict=True):
                spans = [(span["label"], span["start"], span["end"]) for span in reply.output if self._counts(span, part.plain)]
                placed = ((kind, *part.written(start, end)) for kind, start, end in spans)
                found[part.text].update(_outside_identifiers(part.text, placed))
        return {text: tuple(sorted(own, key=lambda span: span[1:])) for text, own in found.items()}

    def _counts(self, span: Mapping[str, Any], text: str) -> bool:
        """Whether a span is of a kind that is wanted, and looks like one of that kind."""
        form = self._forms.get(span["label"])
        looks = form is None or form.fullmatch(" ".join(text[span["start"] : span["end"]].split())) is not None
        return span["label"] in self._wanted and looks


def _outside_identifiers(text: str, found: Iterable[tuple[str, int, int]]) -> Iterator[tuple[str, int, int]]:
    """The spans that are no part of an identifier, and in one, names of two words."""
    identifiers = [match.span() for match in _IDENTIFIER.finditer(text)] if "_" in text else []
    for kind, start, end in found:
        inside = any(begin <= start and end <= ends for begin, ends in identifiers)
        if not inside or (kind == "person" and "_" in text[start:end]):
            yield kind, start, end


@dataclass(frozen=True, slots=True)
class _TextPart:
    """A stretch of a text as it is read: for each of its characters the place that it has in the text as that is meant."""

    text: str
    plain: str
    places: Sequence[int]
    meant: UnescapedText

    def written(self, start: int, end: int) -> tuple[int, int]:
        """Where in the text something is that was read from `start` to `end`."""
        return self.meant.place(self.places[start]), self.meant.place(self.places[end - 1] + 1)


def _few(parts: Sequence[_TextPart]) -> Iterator[list[_TextPart]]:
    """Parts in their order, together no longer than a slice is."""
    few: list[_TextPart] = []
    for part in parts:
        if few and sum(len(one.plain) for one in few) + len(part.plain) > SLICE:
            yield few
            few = []
        few.append(part)
    if few:
        yield few


def _parts(text: str, piece: int | None = None) -> Iterator[_TextPart]:
    """A text in pieces of so many characters (`PIECE`) that overlap. It is read as a reader sees it: its escapes as
    they are meant, without invisible characters, letters of another width as the usual ones, the underscores of identifiers as blanks."""
    meant = encodings.unescape(text)
    plain, places = meant.plain, cast(Sequence[int], range(len(meant.plain)))
    if not plain.isascii() or HIDDEN.search(plain):
        letters = [HIDDEN.sub("", unicodedata.normalize("NFKC", HIDDEN.sub("", letter))) for letter in plain]
        plain = "".join(letters)
        places = [place for place, letter in enumerate(letters) for _ in letter]
    plain = _IDENTIFIER.sub(lambda match: match[0].replace("_", " "), plain)
    piece = piece or PIECE
    for start in range(0, max(1, len(plain) - OVERLAP), piece - OVERLAP):
        yield _TextPart(text, plain[start : start + piece], places[start : start + piece], meant)


def redactor(bundle: Path | str | None = None, kinds: Sequence[str] = (), threads: int | None = None) -> Redactor:
    """A redactor of one conversation; see `smidgen.redactor`."""
    model = finder(bundle, kinds, threads)
    return Redactor(model, forms=text_patterns.usual_spans, beside_person=model.beside_person)


def finder(bundle: Path | str | None = None, kinds: Sequence[str] = (), threads: int | None = None) -> PersonalDataFinder:
    """The model that finds personal data: the shipped one, opened once, or the bundle in a folder.

    Raises:
        BundleError: the bundle must not be opened; no model comes with this smidgen.
        InputError: the bundle does not find spans, or knows no such kind.
    """
    if bundle is None:
        return PersonalDataFinder(_shipped(SHIPPED, threads), kinds, _FORMS)
    return PersonalDataFinder(load(bundle, threads), kinds)


@functools.cache
def _shipped(folder: Path, threads: int | None) -> Model:
    if not folder.exists():
        raise BundleError(
            "the redaction model does not come with this smidgen",
            value=folder.name,
            todo="Install a release that has it, or build recipes/redaction.toml and name its folder "
            "(`smidgen.redactor(DIR)`, `smidgen redact FILE --bundle DIR`).",
        )
    return load(folder, threads)


def open_border(
    profile: str, given: tuple[str, ...] = (), bundle: Path | None = None, threads: int | None = None, most: int = MOST_CHARACTERS
) -> Border:
    """A border by the policy of a profile, with what was said of single kinds, for requests of at most so many characters. The model is
    only opened where the policy needs it.

    Raises BundleError where the model must not be opened or does not come with this smidgen, InputError for a policy that cannot be, and
    for a bundle that does not find spans.
    """
    if bundle is None and not _needs_model(policy_of(profile, given)):
        return Border(policy_of(profile, given), None, most=most)
    model = finder(bundle, (), threads)
    return Border(policy_of(profile, given, model.kinds), model, model.kinds, most)


def _needs_model(policy: Policy) -> bool:
    """Whether it masks or blocks anything that has no form."""
    return any(policy.of(kind) is not Action.ALLOW for kind in ("person", "place", "address", "organisation", "date", "id", "phone"))
