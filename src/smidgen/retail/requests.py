"""A request for suggestions: a customer's history, or words, or both, with limits. It comes as a text, since models answer texts."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from smidgen.data.item_ids import LONGEST_ID, MOST_IDS, QUANTITY

MAX_ITEMS = 100
"""Items that one request may ask for."""
USUAL = 10
"""Items that are suggested if no number is named."""
MAX_TEXT_LENGTH = 2_000
_BETWEEN = re.compile(r"[,;|\n\r\t]+")
_CODE = re.compile(r"(?=[^\W\d_])[\w./-]*\d[\w./-]*")
"""An id that no catalogue knows: letters and digits without a space. It is reported as unknown, not searched for in texts."""
LANGUAGES = ("en", "de")
_AMOUNT = r"\d{1,6}(?:[.,]\d{1,2})?"
_MONEY = r"(?:£|€|\$|pounds?|quid|euros?|dollars?|pfund|gbp|eur|usd)"
_HISTORY_WORDS = re.compile(
    r"\b(?:go(?:es)? (?:well )?with|match(?:es)?|suits?|pairs? with|beside|bought|buys?|have|has|own|owns|similar to|"
    r"pass(?:t|en)(?: gut)? (?:zu|zum|zur)|dazu|gekauft|habe|hat|besitzt?|ähnlich)\b",
    re.IGNORECASE,
)
"""Words that name the history: what goes with an item, or what was bought."""
_STOP_WORDS = re.compile(
    r"a|an|and|any|anything|are|auch|bei|beside|bitte|bought|buy|buys|can|could|customer|d|das|dazu|dem|den|der|die|"
    r"do|does|ein|eine|einem|einen|einer|empfehlen|es|etwas|for|from|für|gekauft|go|goes|good|gut|habe|haben|has|"
    r"hat|have|he|her|him|i|ich|is|ist|it|jemand|kunde|kundin|können|könnte|man|match|matches|me|mein|meine|meinem|"
    r"meiner|mir|my|nice|noch|of|or|our|own|owns|pair|pairs|passen|passt|please|recommend|s|schlagen|she|sie|"
    r"similar|sind|somebody|someone|something|suggest|suit|suits|that|the|their|them|there|they|thing|things|this|"
    r"to|und|uns|unser|unsere|us|vor|was|we|welche|welches|well|wer|what|which|who|wir|with|would|würde|you|your|zu|"
    r"zum|zur|ähnlich",
    re.IGNORECASE,
)
"""Words without meaning for the search."""
_NO_NAMES: Mapping[str, str] = MappingProxyType({})
_PRICE_LIMIT = re.compile(
    r"\b(?:under|below|less than|up to|at most|max(?:imum)?|no more than|cheaper than|within|"
    r"unter|bis(?: zu)?|höchstens|maximal|weniger als|nicht mehr als|günstiger als|billiger als)\s*"
    rf"(?:{_MONEY}\s*(?P<before>{_AMOUNT})|(?P<after>{_AMOUNT})\s*{_MONEY}(?!\w))",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class SuggestionRequest:
    """A parsed request.

    Attributes:
        history: ids of what the customer bought, the latest last.
        text: what they look for, in words, without the price.
        count: how many items to suggest.
        exclude: ids that are never suggested.
        in_stock: whether to suggest only what is in stock.
        language: of the reasons; empty for the model's own.
        most: the highest price that the words name; None if they name none.
    """

    history: tuple[str, ...] = ()
    text: str = ""
    count: int = USUAL
    exclude: frozenset[str] = frozenset()
    in_stock: bool = False
    language: str = ""
    most: float | None = None


def written(history: Collection[str]) -> str:
    """A history as the text of a request."""
    return json.dumps(list(history), ensure_ascii=False)


def parse_request(text: str, known: Collection[str], named: Mapping[str, str] = _NO_NAMES) -> SuggestionRequest:
    """A request from its text: a JSON object of a request, a JSON list of ids, ids separated by commas or lines, or words.

    What is neither JSON nor made of ids is read as words. Where they ask what goes with items, or say what was bought, the ids and names in
    them are the history.

    Args:
        text: the request.
        known: the ids of the catalogue.
        named: ids by name, in lower case; of names that one item has.
    """
    text = text.strip()
    if text[:1] in ("{", "["):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, list):
            return SuggestionRequest(history=_ids(found))
        if isinstance(found, dict):
            return _from_object(found)
    parts = [part.strip() for part in _BETWEEN.split(text[: MOST_IDS * 50]) if part.strip()]
    bare = [match[1] if part not in known and (match := QUANTITY.fullmatch(part)) else part for part in parts]
    if bare and (2 * sum(part in known for part in bare) >= len(bare) or all(_CODE.fullmatch(part) for part in bare)):
        return SuggestionRequest(history=tuple(bare[-MOST_IDS:]))
    words, most = _price_limit(text)
    history, rest = _history_in_sentence(words, known, named) if _HISTORY_WORDS.search(words) else ((), words)
    return SuggestionRequest(history=history, text=rest, most=most)


def _history_in_sentence(words: str, known: Collection[str], named: Mapping[str, str]) -> tuple[tuple[str, ...], str]:
    """The items in a sentence, by id or name in its order, and the words beside them; without an item, all words."""
    folded = words.casefold()
    codes = ((match.start(), match[0].rstrip("./-")) for match in _CODE.finditer(words))
    found = [(start, start + len(id), id) for start, id in codes if id in known]
    for name, id in named.items():
        place = folded.find(name)
        if (
            place >= 0
            and not folded[place + len(name) : place + len(name) + 1].isalnum()
            and not folded[max(0, place - 1) : place].isalnum()
        ):
            found.append((place, place + len(name), id))
    spans: list[tuple[int, int, str]] = []
    for one in sorted(found, key=lambda one: (one[0], one[0] - one[1])):
        if not spans or one[0] >= spans[-1][1]:  # of two names that begin alike, the longer one
            spans.append(one)
    if not spans:
        return (), words
    rest = words
    for start, end, _ in reversed(spans):
        rest = f"{rest[:start]} {rest[end:]}"
    meaningful = any(not _STOP_WORDS.fullmatch(word) for word in re.findall(r"\w+", rest))
    return tuple(dict.fromkeys(id for _, _, id in spans)), " ".join(rest.split()) if meaningful else ""


def _from_object(found: Mapping[str, Any]) -> SuggestionRequest:
    count, words, language = found.get("n", USUAL), found.get("text", ""), found.get("language", "")
    words, most = _price_limit(words) if isinstance(words, str) else ("", None)
    whole = isinstance(count, int) and not isinstance(count, bool)
    return SuggestionRequest(
        history=_ids(found.get("history")),
        text=words,
        count=min(MAX_ITEMS, max(1, count)) if whole else USUAL,
        exclude=frozenset(_ids(found.get("exclude"))),
        in_stock=found.get("in_stock") is True,
        language=language if language in LANGUAGES else "",
        most=most,
    )


def _price_limit(text: str) -> tuple[str, float | None]:
    """The words of a text without the highest price that they name, and that price: `a mug under £20`; None if they name none."""
    text = text.strip()[:MAX_TEXT_LENGTH]
    found = _PRICE_LIMIT.search(text)
    if found is None:
        return text, None
    amount = (found["before"] or found["after"]).replace(",", ".")
    return " ".join(f"{text[: found.start()]} {text[found.end() :]}".split()).strip(" ,;"), float(amount)


def _ids(found: Any) -> tuple[str, ...]:
    if not isinstance(found, list):
        return ()
    plain = [str(part).strip() for part in found[-MOST_IDS:] if isinstance(part, str | int) and not isinstance(part, bool)]
    return tuple(part for part in plain if 0 < len(part) <= LONGEST_ID)
