"""Names that are nobody's: companies, products, works, famous people, assistants, words. Files and stored traffic keep them.

The border does not use this: what leaves for the large model is masked in doubt. Also here: a street without a number is a place.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from smidgen.core.errors import InputError

KNOWN_HELP = "A name that is nobody's, such as a product or an assistant: it stays, unless a private person has it. May be repeated."
MOST_KNOWN = 1_000
"""Most names that a user may give."""
_LONGEST = 100
_BRANDS, _PLACES, _KNOWN = "brands", "places", "known"
_FILE = Path(__file__).with_name("public_names.txt")
_SHARED_SECTIONS = frozenset({"people", "assistants", "words"})
"""Sections whose names private people may have as well."""
_WORD = re.compile(r"[^\W_]+(?:[&.'’][^\W_]+)*")
_MOST_WORDS = 6
_FILLERS = frozenset(
    ("the", "a", "an", "at", "in", "on", "of", "for", "to", "by", "from", "and", "or", "hey", "ok", "okay", "some", "app", "new", "please")
)
"""Words of a finding that name nobody."""
_NAMED_KINDS = frozenset({"person", "place", "address"})
"""Kinds that a public name is mistaken for. What is a company already stays only where the user knows it."""

_RELATION = (
    r"(?:friend|buddy|mate|brother|sister|husband|wife|son|daughter|mom|mum|mother|dad|father|cousin|aunt|auntie|uncle|niece|nephew"
    r"|grandma|grandpa|grandmother|grandfather|boss|colleague|coworker|neighbou?r|landlord|landlady|tenant|partner|girlfriend|boyfriend"
    r"|fiancee?|roommate"
    r"|plumber|electrician|gardener|cleaner|driver|client|customer|patient|doctor|dentist|nurse|lawyer|teacher|tutor|assistant|manager|kid|baby|child)"
)
_RELATION_DE = (
    r"(?:mein|dein|sein|ihr|unser|eu)(?:e|en|em|er|es|re|ren|rem)?\s+(?:mann|frau|bruder|schwester|sohn|tochter|vater|mutter|mama|papa"
    r"|onkel|tante|oma|opa|cousine?|neffe|nichte|freund|freundin|kolleg(?:e|en|in)|chef|chefin|nachbar|nachbarin|vermieter|vermieterin"
    r"|kund(?:e|en|in)|patient|patientin|partner|partnerin|kind)"
)
_SOMEBODY_BEFORE = re.compile(
    r"(?:\b(?:mr|mrs|ms|miss|mx|dr|doctor|prof|professor|sir|madam|herr|herrn|frau|señora?|monsieur|madame|auntie?|uncle|grandma|grandpa)\.?"
    rf"|\b(?:my|our|your|his|her|their)\s+(?:[^\W\d_]+\s+)?{_RELATION},?|\b{_RELATION_DE},?"
    r"|\b(?:my name is(?: going to be| now)?|my name (?:will|should) be|my name's|name:|(?<!your )(?<!your new )name is|i am|i'm|this is"
    r"|under the name(?: of)?|named"
    r"|mein name ist|auf den namen|ich bin|ich heiße)"
    r"|\b(?:regards|wishes|sincerely|yours|grüße|grüßen|gruß|lg|mfg),?)\s+\Z",
    re.IGNORECASE,
)
"""A title, a relation, an introduction or a closing right before a name: a private person's, whatever the name."""
_RELATION_AFTER = re.compile(
    rf"\s*(?:,\s*)?(?:(?:he|she|they)\s+)?(?:is\s+|are\s+)?(?:my|our|his|her|their)\s+(?:[^\W\d_]+\s+)?{_RELATION}\b", re.IGNORECASE
)
_OWNS_AFTER = re.compile(
    r"(?:['’]?s)?\s+(?:birthday|number|phone|mobile|e-?mail|address|mom|mum|mother|dad|father|wife|husband|sister|brother|son|daughter|kids?"
    r"|house|place|home|family|party|wedding|recital|appointment|room|funeral|surgery|salary|landlord)\b",
    re.IGNORECASE,
)
"""A possession of people right after a name. Of a company it may be a number or an address: after a single word it is masked in doubt."""
_CONTACT = re.compile(
    r"\b(?:call|phone|ring|dial|text|message|msg|e-?mail|mail|sms|facetime|whatsapp|(tell|ask|remind)|invite|meet|met|visit|contact|pay|marry"
    r"|congratulate|reach|fire|hire|calling|texting|emailing|meeting|paying|inviting"
    r"|rufe?|schreibe?|sage?|frage?|grüße?|erinnere|triff|treffe|besuche?|überweise?)\s+\Z",
    re.IGNORECASE,
)
_TOWARDS = re.compile(r"\b(?:to|with|from|for|and|is|was|did|does|has|an|mit|von|für|und|ist|hat|war)\s+\Z", re.IGNORECASE)
"""Words before a name that private people often have: in doubt it is theirs."""
_BESIDE = re.compile(r"\b(?:to|with|an|mit)\s+\Z", re.IGNORECASE)
_REACHED = re.compile(r"@|(?:\d[ ()./-]{0,2}){7}")
"""An address or a telephone number in the text: a name there may be somebody's."""
_PUBLIC_BEFORE = re.compile(
    r"(?:\b(?:songs?|music|tracks?|albums?|lyrics|movies?|films?|books?|novels?|poems?|paintings?|something)\s+(?:by|of|from|starring|called)"
    r"|\b(?:band|singer|actor|actress|rapper|president|senator|composer|philosopher)"
    r"|\b(?:spell|spelling (?:of|for)|spell the word|synonyms? (?:of|for)|definition of)"
    r"|\b(?:your (?:new )?name (?:to|is|should be|will be)|call yourself|rename yourself|(?:re)?nam(?:e|ing) you|call(?:ing)? you"
    r"|you(?: are|'re)?(?: going to| will|'ll)? be called))\s+\Z",
    re.IGNORECASE,
)
"""What is by or named so is a public person, a word, or the assistant itself."""
_THINGS = (
    r"(?:restaurant|grill|pizzeria|steakhouse|bistro|diner|cafe|café|bakery"
    r"|deli|tavern|taqueria|brewery|barbecue|bbq|buffet"
    r"|(?:crab|fish|burger|pizza|coffee|wine|sports|steak|taco|noodle|book|gift|video|ice cream) (?:shack|house|shop|bar|store)"
    r"|airlines|airport|stadium|bridge|tower|museum|recipe"
    r"|sauce|soup|salad|pie|chicken|pizza|burger|sandwich"
    r"|cake)"
)
_THING_AFTER = re.compile(rf"(?:['’]s)? {_THINGS}\b", re.IGNORECASE)
_NOT_AFTER = re.compile(r"['’]t\b", re.IGNORECASE)
"""The rest of `hasn't`."""
_THING_LAST = re.compile(rf" {_THINGS}\Z", re.IGNORECASE)
_NUMBER_WORDS = (
    "one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty sixty seventy eighty ninety hundred"
)
_HOUSE = re.compile(rf"\d|\b(?:{'|'.join(_NUMBER_WORDS.split())}|p\.? ?o\.? box|box|apartment|apt|flat|unit|suite)\b", re.IGNORECASE)
"""What a street has where it is somebody's address."""
_ROAD = re.compile(
    r"(?:i|us|a|m|e|b|route|highway|hwy|interstate)[ -]?\d{1,3}(?:\s+(?:north|south|east|west|northbound|southbound))?", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class _PublicName:
    """A public name in a text.

    Attributes:
        start, end: its place.
        section: of the list; `known` for the user's own.
        often: whether private people often have it.
        single: whether it is one word.
    """

    start: int
    end: int
    section: str
    often: bool
    single: bool


class PublicNames:
    """The shipped list of public names, and the user's own.

    Args:
        known: the user's own names, of products and assistants.

    Raises InputError for too many names, or one that is empty or too long.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        own = list(known)
        if len(own) > MOST_KNOWN:
            raise InputError("privacy.too_many_known_names_are_given", value=f"{len(own):,}", most_known=MOST_KNOWN)
        for name in own:
            if not name_words(name) or len(name) > _LONGEST:
                raise InputError("privacy.known_name_is_empty_or_too_long", value=name[:_LONGEST], longest=_LONGEST)
        self._names = {**_shipped(), **{name_words(name): _KNOWN for name in own}}

    def private(
        self, text: str, found: Iterable[tuple[str, int, int]], *, places: bool, companies: bool = False
    ) -> Iterator[tuple[str, int, int]]:
        """Yield the findings (kind, start, end) without those that are nobody's.

        `places`: whether places are looked for; a street without a number then becomes one, and so does a place taken for a person.
        `companies`: whether companies are looked for wherever they stand; a listed one then becomes one, whatever it was taken for.
        """
        spans = list(found)
        if not spans:
            return
        public = [name for name in self._occurrences(text) if not _is_somebody(text, name)]
        for kind, start, end in spans:
            sections = _covering(text, start, end, public) if kind in _NAMED_KINDS or kind == "organisation" else frozenset()
            if kind == "organisation" and sections != {_KNOWN}:
                sections = frozenset()
            if sections and (kind == "person" or _PLACES not in sections):
                if _PLACES in sections and places:
                    yield "place", start, end
                elif _BRANDS in sections and companies:
                    yield "organisation", start, end
                continue
            if kind == "person" and _is_thing(text, start, end):
                continue
            if kind == "id" and _ROAD.fullmatch(text[start:end].strip()):
                continue
            yield "place" if places and kind == "address" and not _HOUSE.search(text[start:end]) else kind, start, end

    def _occurrences(self, text: str) -> list[_PublicName]:
        """Return the listed names in a text; of names that begin at the same word, the longest."""
        words = list(_WORD.finditer(text))
        plain = [_plain(word[0]) for word in words]
        found: list[_PublicName] = []
        at = 0
        while at < len(words):
            for size in range(min(_MOST_WORDS, len(words) - at), 0, -1):
                last = words[at + size - 1][0].casefold()
                owner = [_plain(last[:-2])] if last.endswith(("'s", "’s")) else []
                spelt = ((*plain[at : at + size - 1], word) for word in (plain[at + size - 1], *owner))
                section = next((self._names[name] for name in spelt if name in self._names), None)
                if section is not None:
                    place = words[at].start(), words[at + size - 1].end()
                    found.append(_PublicName(*place, section.removesuffix("*"), section.endswith("*"), size == 1))
                    at += size - 1
                    break
            at += 1
        return found


def _is_somebody(text: str, name: _PublicName) -> bool:
    """Return True if the words around a public name show a private person."""
    before, after = text[max(0, name.start - 60) : name.start], text[name.end : name.end + 40]
    if _SOMEBODY_BEFORE.search(before) or _RELATION_AFTER.match(after) or (name.single and _OWNS_AFTER.match(after)):
        return True
    if not name.often and name.section not in _SHARED_SECTIONS:
        return False
    if _REACHED.search(text) or (name.often and _TOWARDS.search(before)):
        return True
    contact = _CONTACT.search(before)
    return contact is not None and not (name.section == "assistants" and contact[1] is not None)


def has_sign(text: str, start: int, end: int) -> bool:
    """Return True if a name that was found shows a private person: by the words around it, or as a given name with a surname.

    A name without a sign is masked in doubt.
    """
    before, after = text[max(0, start - 60) : start], text[end : end + 40]
    return bool(
        len(name_words(text[start:end])) > 1
        or _REACHED.search(text)
        or _SOMEBODY_BEFORE.search(before)
        or _CONTACT.search(before)
        or _BESIDE.search(before)
        or _RELATION_AFTER.match(after)
        or _OWNS_AFTER.match(after)
    )


def _is_thing(text: str, start: int, end: int) -> bool:
    """Return True if the words around a finding show that it is a public person, a word, or a thing, and none shows a private person."""
    before, after = text[max(0, start - 60) : start], text[end : end + 40]
    if _SOMEBODY_BEFORE.search(before) or _RELATION_AFTER.match(after) or _OWNS_AFTER.match(after) or _CONTACT.search(before):
        return False
    return bool(
        _PUBLIC_BEFORE.search(before) or _THING_AFTER.match(after) or _NOT_AFTER.match(after) or _THING_LAST.search(text[start:end])
    )


def _covering(text: str, start: int, end: int, public: Iterable[_PublicName]) -> frozenset[str]:
    """Return the sections of the public names that every word of a finding belongs to, except words that name nobody; else none."""
    names = [name for name in public if name.start < end and start < name.end]
    words = [(start + word.start(), start + word.end(), word[0]) for word in _WORD.finditer(text[start:end])]
    known = all(word.casefold() in _FILLERS or any(name.start < after and at < name.end for name in names) for at, after, word in words)
    return frozenset(name.section for name in names) if known else frozenset()


def _plain(word: str) -> str:
    """Return a word as the list has it: in small letters, without an apostrophe."""
    return word.casefold().replace("’", "'").replace("'", "")


def name_words(name: str) -> tuple[str, ...]:
    """Return the words of a name as the list has them."""
    return tuple(_plain(word) for word in _WORD.findall(name))


@functools.cache
def _shipped() -> dict[tuple[str, ...], str]:
    """Return the names in the list, as words, with their sections; a * follows the section of a name that private people have."""
    names: dict[tuple[str, ...], str] = {}
    for part in _FILE.read_text(encoding="utf-8").split("\n[")[1:]:
        section, _, listed = part.partition("]")
        for name in " ".join(listed.split()).split(","):
            if words := name_words(name):
                names[words] = section + "*" * name.strip().endswith("*")
    return names
