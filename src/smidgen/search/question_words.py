"""Words of questions and passages: stems, how telling they are, and the kind of answer that a question asks for."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

_WORD = re.compile(r"[^\W_]+")
_STEM = 5
"""Characters of a word that are compared: `deliver`, `delivery` and `delivered` are one."""
_COMMON_WORDS = """
    a an the and or but if of to in on at by for with from as is are was were be been being am do does did doing have has had having
    i me my mine we us our you your yours he him his she her it its they them their this that these those there here what which who whom
    whose when where why how can could may might must shall should will would not no so too very just about into out up down than then
    any some get got please tell hi hello want need like know let s t re ll ve d m don
    der die das den dem des ein eine einen einem einer eines und oder aber wenn von zu zum zur im in auf an am bei für mit aus als ist
    sind war waren sein bin hat haben hatte habe ich mich mir mein meine meinen wir uns unser unsere sie ihr ihre ihren ihnen er es man
    dies diese dieser dieses was welche welcher welches wer wen wem wann wo warum wie kann können darf muss müssen soll sollte wird
    werden würde nicht kein keine auch noch nur bitte sich
    el la los las un una unos unas y o pero si de del a al en por para con como es son era ser estar está qué cuál cuáles quién cuándo
    dónde cómo cuánto mi mis su sus me se lo no le nos
    le les un une des et ou du au aux en dans par pour avec ce cette ces est sont je vous nous il elle que qui quel quelle où
"""
COMMON = frozenset(_COMMON_WORDS.split())
_COMMON_WEIGHT = 0.15
_AMOUNT = re.compile(
    r"[$£€¥]\s?\d|\d\s?(?:[$£€¥%]|euro?s?\b|pounds?\b|dollars?\b|cents?\b|percent\b|prozent\b|usd\b|gbp\b|chf\b)", re.IGNORECASE
)
_NUMBERS = r"\b(?:one|two|three|four|five|six|seven|eight|nine|ten|zwei|drei|vier|fünf|sechs|sieben|acht|neun|zehn|dos|tres|cuatro|cinco)\b"
_TIME = re.compile(
    r"\b\d+(?:[.,:]\d+)?\s?(?:am|pm|h|uhr|seconds?|sekunden|min\w*|hours?|stunden?|days?|tagen?|tage|weeks?|wochen?|months?|monaten?|years?|"
    r"jahren?|working|business|werktag\w*|días?|horas?|años?|mes\w*)\b|\b(?:1[0-9]|20)\d\d\b|"
    r"\b(?:mon|tues|wednes|thurs|fri|satur|sun)day|\b(?:mon|diens|donners|frei|sams|sonn)tag|mittwoch|"
    r"\b(?:jan|feb|mar|mär|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)[a-z]*\b|"
    rf"{_NUMBERS}\s(?:\w+\s)?(?:hours?|days?|weeks?|months?|years?|tage?n?|wochen|monate?n?|jahre?n?|stunden|días?|años?)\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(rf"\d|{_NUMBERS}", re.IGNORECASE)
_NAME = re.compile(r"(?<=[\w,;:] )[A-ZÄÖÜ][\w'-]+")
_OF_COST = r"how much|what .{0,30}\b(?:cost|price|fee|charge)|price of|wie ?viel kostet|was koste[nt]|preis|gebühr|cuánto cuesta"
_OF_TIME = (
    r"how (?:long|soon|fast|quick)|wie (?:lange|schnell)|cuánto (?:tiempo|tarda)|\bwhen\b|\bwann\b|cuándo|what (?:time|year|date|day)|"
    r"welche[mns]? (?:jahr|tag|datum|monat)|qué año|\bopen(?:ing)?\b|\bhours\b|öffnungszeit|geöffnet"
)
_OF_NUMBER = (
    r"how (?:many|much|old|big|large|tall|far)|wie ?viele?\b|wie (?:alt|groß|hoch|weit)|cuánt[oa]s?\b|what (?:percent|number)|prozent"
)
_OF_NAME = r"\bwho\b|\bwer\b|\bwen\b|\bwem\b|quién|\bwhere\b|\bwo\b|\bwohin\b|dónde|which (?:country|city|person)"
_KINDS = ((_OF_COST, _AMOUNT), (_OF_TIME, _TIME), (_OF_NUMBER, _NUMBER), (_OF_NAME, _NAME))
_YES_OR_NO = re.compile(
    r"\W*(?:can|do|does|is|are|will|may|could|am|have|has|did|would|kann|können|könnt|darf|dürfen|muss|müssen|ist|sind|gibt|gibts|hat|habt|"
    r"haben|wird|werden|nehmt|nehmen|bekomme|geht|braucht|brauche|es|son|hay|puedo|pueden|tienen|tiene)\b",
    re.IGNORECASE,
)
_ASKS = tuple((re.compile(asks, re.IGNORECASE), has) for asks, has in _KINDS)


def words_of(text: str) -> list[str]:
    """The words of a text, in small letters."""
    return _WORD.findall(unicodedata.normalize("NFC", text).casefold())


def stem(word: str) -> str:
    """A word as it is compared: its plain beginning. Numbers stay whole."""
    if word.isascii() and word.isdigit():
        return word
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", word) if not unicodedata.combining(letter))
    return (plain[:-1] if len(plain) > 3 and plain.endswith("s") and not plain.endswith("ss") else plain)[:_STEM]


def stems_of(text: str) -> list[str]:
    """The stems of a text's words, in order."""
    return [stem(word) for word in words_of(text)]


_COMMON_STEMS = frozenset(map(stem, COMMON))


def is_telling(stem: str) -> bool:
    """Whether a stem is of no word that any text has."""
    return stem not in _COMMON_STEMS


class TellingWords:
    """How telling each stem is among some texts: rare ones tell more, and words that any text has hardly anything."""

    def __init__(self, texts: Iterable[Iterable[str]]) -> None:
        counts: Counter[str] = Counter()
        total = 0
        for stems in texts:
            counts.update(set(stems))
            total += 1
        self._counts, self._total = counts, max(1, total)

    def of(self, stem: str) -> float:
        """The weight of a stem, from 0.1."""
        told = math.log(1 + self._total / (0.5 + self._counts.get(stem, 0)))
        return told * (1.0 if is_telling(stem) else _COMMON_WEIGHT)

    def most_missing(self, asked: Sequence[str], stems: frozenset[str]) -> float:
        """How telling the most telling of the asked words is that is not among some stems: 0 for none, 1 for a word of no text."""
        return max((self.of(one) for one in asked if is_telling(one) and one not in stems), default=0.0) / math.log(1 + self._total / 0.5)

    def covered(self, asked: Sequence[str], stems: frozenset[str]) -> float:
        """The share of the asked words, by their weights, that are among some stems: 0..1."""
        weights = {one: self.of(one) for one in asked}
        total = sum(weights.values())
        return sum(weight for one, weight in weights.items() if one in stems) / total if total else 0.0


def kind_fits(question: str, sentence: str) -> float:
    """1 if the sentence has what the question asks for (an amount, a time, a number, a name), -1 if not, 0 if it asks for none."""
    for asks, has in _ASKS:
        if asks.search(question):
            return 1.0 if has.search(sentence) else -1.0
    return 0.0


def asks_yes_or_no(question: str) -> float:
    """1 if a question begins as one that wants a yes or a no, else 0."""
    return float(_YES_OR_NO.match(question) is not None)
