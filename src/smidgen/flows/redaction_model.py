"""The redaction model: finds personal data that follows no pattern. It comes with smidgen, or is the user's own bundle."""

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
from smidgen.privacy.public_names import PublicNames
from smidgen.privacy.redactor import BESIDE_PERSON, HIDDEN, Redactor

SHIPPED = Path(__file__).parent.parent / "shipped" / "redaction"
"""The bundle that comes with smidgen. `python -m tools.ship` puts it there."""

SLICE = 5_000
"""Characters that are read at once if other requests wait for their turn."""
OVERLAP = 1_000
"""Characters that neighbouring pieces of a long text share. A finding in either piece counts."""
ALL = "all"
"""Stands for every kind, anywhere in a text."""
KEPT = 4_096
"""Number of one-piece texts whose findings are cached: a row that comes with many questions is read once."""

_IDENTIFIER = re.compile(r"(?<![\w@./:\\-])[^\W_]+(?:_[^\W_]+)+(?!\w|[@/\\-]|[.:]\w)")
"""A word with underscores, such as a label or a field name. The model reads its parts as words. File names and addresses do not match.

In such a word, only a name of two words is personal: `john_smith`, but not the doctor of `doctor_bye`.
"""

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
"""Pattern that a finding of the shipped model must match, line breaks aside: a name has no digits, a web address has a dot between letters.
Other findings are codes, versions and words."""

Found = tuple[tuple[str, int, int], ...]
"""Kind, start and end (exclusive) of each piece of personal data in one text."""


class PersonalDataFinder:
    """Find personal data in texts of any length with a model.

    Args:
        model: a loaded bundle of the task extract that finds spans.
        kinds: the kinds to find; all that the model knows if empty. A town, a company or a date counts only beside a person, unless its
            kind is named here; `all` names every kind.
        forms: for each kind, a pattern that a whole finding must match; others are dropped.
        public: names that are nobody's, and stay; None if every finding counts, as at the border.

    Raises:
        InputError: the bundle does not find spans, or does not know a kind.
    """

    def __init__(
        self,
        model: Model,
        kinds: Sequence[str] = (),
        forms: Mapping[str, re.Pattern[str]] | None = None,
        public: PublicNames | None = None,
    ) -> None:
        if not isinstance(model.form, SpanForm):
            raise InputError("flows.this_bundle_does_not_find_spans", value=f"{model.name} ({model.manifest.task})")
        known = model.form.kinds
        kinds = known if ALL in kinds else kinds
        strange = [kind for kind in kinds if kind not in known]
        if strange:
            raise InputError("flows.redaction_model_does_not_know_this_kind", value=strange[0], known=", ".join(known))
        self.model = model
        self.kinds = known
        self._wanted, self._forms = frozenset(kinds or known), forms or {}
        self._public = public
        self.beside_person = BESIDE_PERSON - frozenset(kinds)
        self._short = functools.lru_cache(KEPT)(lambda text: self.many([text])[text])

    def __call__(self, text: str) -> Found:
        """Return the personal data in one text."""
        return self._short(text) if len(text) <= PIECE else self.many([text])[text]

    def many(self, texts: Iterable[str], between: Callable[[], None] | None = None) -> dict[str, Found]:
        """Return the personal data in each of these texts, which are read in batches.

        With `between`, each batch is limited to a slice's characters, and `between` is called before it. An exception from it ends the
        reading.
        """
        found: dict[str, set[tuple[str, int, int]]] = {text: set() for text in texts}
        parts = [part for text in found for part in _parts(text, None if between is None else SLICE)]
        for together in [parts] if between is None else _few(parts):
            if between is not None:
                between()
            for part, reply in zip(together, self.model.predict([part.plain for part in together]), strict=True):
                spans = [(span["label"], span["start"], span["end"]) for span in reply.output if self._counts(span, part.plain)]
                placed = ((kind, *part.written(start, end)) for kind, start, end in spans)
                found[part.text].update(_outside_identifiers(part.text, placed))
        return {text: tuple(sorted(self._private(text, own), key=lambda span: span[1:])) for text, own in found.items()}

    def _private(self, text: str, found: Iterable[tuple[str, int, int]]) -> Iterable[tuple[str, int, int]]:
        if self._public is None:
            return found
        companies = "organisation" in self._wanted and "organisation" not in self.beside_person
        return self._public.private(text, found, places="place" in self._wanted, companies=companies)

    def _counts(self, span: Mapping[str, Any], text: str) -> bool:
        """Return True if a span has a wanted kind, and matches that kind's pattern."""
        form = self._forms.get(span["label"])
        looks = form is None or form.fullmatch(" ".join(text[span["start"] : span["end"]].split())) is not None
        return span["label"] in self._wanted and looks


def _outside_identifiers(text: str, found: Iterable[tuple[str, int, int]]) -> Iterator[tuple[str, int, int]]:
    """Yield the spans outside identifiers, and names of two words inside them."""
    identifiers = [match.span() for match in _IDENTIFIER.finditer(text)] if "_" in text else []
    for kind, start, end in found:
        inside = any(begin <= start and end <= ends for begin, ends in identifiers)
        if not inside or (kind == "person" and "_" in text[start:end]):
            yield kind, start, end


@dataclass(frozen=True, slots=True)
class _TextPart:
    """A part of a text as the model reads it, with the position of each of its characters in the unescaped text."""

    text: str
    plain: str
    places: Sequence[int]
    meant: UnescapedText

    def written(self, start: int, end: int) -> tuple[int, int]:
        """Return the position in the original text of a finding from `start` to `end`."""
        return self.meant.place(self.places[start]), self.meant.place(self.places[end - 1] + 1)


def _few(parts: Sequence[_TextPart]) -> Iterator[list[_TextPart]]:
    """Group parts in order, each group no longer than a slice."""
    few: list[_TextPart] = []
    for part in parts:
        if few and sum(len(one.plain) for one in few) + len(part.plain) > SLICE:
            yield few
            few = []
        few.append(part)
    if few:
        yield few


def _parts(text: str, piece: int | None = None) -> Iterator[_TextPart]:
    """Cut a text into overlapping parts of `piece` characters (default `PIECE`).

    The model reads a text as a person sees it: escapes decoded, without invisible characters, letters of another width as usual ones, the
    underscores of identifiers as spaces.
    """
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


def redactor(
    bundle: Path | str | None = None, kinds: Sequence[str] = (), threads: int | None = None, known: Sequence[str] = ()
) -> Redactor:
    """Return a redactor for one conversation; see `smidgen.redactor`."""
    model = finder(bundle, kinds, threads, PublicNames(known))
    return Redactor(model, forms=text_patterns.usual_spans, beside_person=model.beside_person)


def finder(
    bundle: Path | str | None = None, kinds: Sequence[str] = (), threads: int | None = None, public: PublicNames | None = None
) -> PersonalDataFinder:
    """Return a finder of personal data with the shipped model, loaded once, or with the bundle in a folder.

    With `public`, names that are nobody's stay: for files and stored traffic, not for what leaves this machine.

    Raises:
        BundleError: the bundle must not be opened; or this smidgen comes without a model.
        InputError: the bundle does not find spans, or does not know a kind.
    """
    if bundle is None:
        return PersonalDataFinder(_shipped(SHIPPED, threads), kinds, _FORMS, public)
    return PersonalDataFinder(load(bundle, threads), kinds, public=public)


@functools.cache
def _shipped(folder: Path, threads: int | None) -> Model:
    if not folder.exists():
        raise BundleError("flows.redaction_model_is_not_included", value=folder.name)
    return load(folder, threads)


def open_border(
    profile: str, given: tuple[str, ...] = (), bundle: Path | None = None, threads: int | None = None, most: int = MOST_CHARACTERS
) -> Border:
    """Open a border with the policy of a profile and the actions given for single kinds.

    `most`: most characters of a request. The model is loaded only if the policy needs it. Raises BundleError if the model must not be
    opened or is missing; InputError for an invalid policy, and for a bundle that does not find spans.
    """
    if bundle is None and not needs_model(policy_of(profile, given)):
        return Border(policy_of(profile, given), None, most=most)
    model = finder(bundle, (), threads)
    return Border(policy_of(profile, given, model.kinds), model, model.kinds, most)


def needs_model(policy: Policy) -> bool:
    """Return True if the policy masks or blocks a kind that follows no pattern."""
    return any(policy.of(kind) is not Action.ALLOW for kind in ("person", "place", "address", "organisation", "date", "id", "phone"))
