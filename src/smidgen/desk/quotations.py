"""Quotations that may answer a message: the candidates of the member `answer`, each with the signs that speak for it."""

from __future__ import annotations

import math
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from smidgen.core.conversations import Citation
from smidgen.core.replies import Reply
from smidgen.desk.members import Member
from smidgen.search.question_words import COMMON, TellingWords, stem, stems_of, words_of

MOST_CANDIDATES = 8
_LONGEST_PASSAGE = 4_000
_LONGEST_READ = 300
_KEPT = 4_096
"""Passages whose intents are kept."""
_LEAST, _MOST = -5.0, 7.0
_COMMON = frozenset(stem(word) for word in COMMON)
_SHORT = 7
"""Words of a message that may be a follow-up."""
_FOLLOWS = re.compile(
    r"^\W*(and|what about|how about|but|also|then|so|or|und|was ist mit|wie ist es mit|und was|aber|auch|oder|dann)\b|"
    r"\b(it|its|that one|this one|those|these|they|them|there|the same|das|dies|diese[rsn]?|dort|dafür|davon|damit|sie|ihn)\b[\s?!.]*$",
    re.IGNORECASE,
)
_LEAST_WORDS, _MOST_QUESTIONS = 3, 3
_NO_THING = """about again also another bigger cost costs different does dort dafür damit davon einer eines far few gleiche größere here
kleinere kostet kosten large larger less little long longer many more most much one ones other others same small smaller still then there
those too viel viele yet"""
_NAMES_NOTHING = COMMON | set(_NO_THING.split())
"""Words that say nothing about the thing that is spoken of."""


@dataclass(frozen=True, slots=True)
class Quotation:
    """Words of a document that may answer, with their place and the signs for them (`confidence.KINDS["answer"]`)."""

    citation: Citation
    signs: Mapping[str, float]
    question: str
    """The question that found it: the message, or the message with the question before."""


class QuotationSigns:
    """Finds the signs of quotations.

    Args:
        words: how telling each word is among the desk's passages; None if they are unknown.
        intents: the member that recognises intents; None without one.
        no_intent: its label for texts without one.
    """

    def __init__(self, words: TellingWords | None, intents: Member | None, no_intent: str = "") -> None:
        self._words, self._intents, self._no_intent = words, intents, no_intent
        self._kept: OrderedDict[str, Mapping[str, float]] = OrderedDict()
        self._lock = threading.Lock()

    def signs(
        self, question: str, intent: Mapping[str, float], passage: Mapping[str, Any], alone: float, with_earlier: float
    ) -> dict[str, float]:
        """The signs of a passage for a question: log odds of the answer by the question alone and with the one before it, whether the
        passage is about the intent that the message shows, and how much of the question's words it has."""
        about = " ".join(str(passage.get(name) or "") for name in ("heading", "question", "text"))
        return {
            "alone": round(alone, 4),
            "with_earlier": round(with_earlier, 4),
            "agreement": round(self._agreement(intent, passage), 4),
            "coverage": round(self._coverage(question, about), 4),
        }

    def _agreement(self, intent: Mapping[str, float], passage: Mapping[str, Any]) -> float:
        """The probability that the message and the passage have one intent."""
        if self._intents is None or not intent:
            return 0.0
        title = str(passage.get("question") or passage.get("heading") or passage.get("title") or "")
        both = [self._about(text) for text in (title, str(passage.get("text", ""))[:_LONGEST_READ]) if text.strip()]
        shared = (sum(share * intent.get(label, 0.0) for label, share in one.items() if label != self._no_intent) for one in both)
        return min(1.0, max(shared, default=0.0))

    def _about(self, text: str) -> Mapping[str, float]:
        """The intents that a text of a document shows. They are kept: documents say the same again and again."""
        assert self._intents is not None
        with self._lock:
            if text in self._kept:
                self._kept.move_to_end(text)
                return self._kept[text]
        found = chances_of(self._intents(text))
        with self._lock:
            self._kept[text] = found
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return found

    def _coverage(self, question: str, about: str) -> float:
        asked = [one for one in dict.fromkeys(stems_of(question)) if one not in _COMMON]
        if not asked:
            return 0.0
        said = frozenset(stems_of(about))
        return self._words.covered(asked, said) if self._words is not None else sum(one in said for one in asked) / len(asked)


def quotations_of(
    ask: Callable[[str], Reply], message: str, earlier: str, intent: Mapping[str, float], signs: QuotationSigns
) -> list[Quotation]:
    """The quotations for a message: what the member finds for it alone and, after an earlier question, for both together."""
    questions = [message, f"{earlier} {message}"] if earlier else [message]
    found: dict[tuple[str, str], tuple[Mapping[str, Any], str, list[float]]] = {}
    for place, question in enumerate(questions):
        for output, chance, passage in candidates_of(ask(question)):
            entry = found.setdefault((output["id"], output["text"]), (passage, question, [_LEAST] * len(questions)))
            entry[2][place] = log_odds(chance)
    made = []
    for (document, text), (passage, question, odds) in list(found.items())[:MOST_CANDIDATES]:
        own = signs.signs(message, intent, passage, odds[0], odds[-1])
        made.append(Quotation(_citation(document, text, passage), own, question))
    return made


def candidates_of(reply: Reply) -> list[tuple[Mapping[str, str], float, Mapping[str, Any]]]:
    """The candidates of a reply of the member `answer`, also of one that it does not give: output, chance and passage."""
    told = [(reply.output, reply.score)] if isinstance(reply.output, Mapping) else []
    passages = [one for one in reply.facts.get("passages", ()) if isinstance(one, Mapping)]
    found = []
    for output, chance in (*told, *reply.alternatives):
        if not isinstance(output, Mapping):
            continue
        passage = next((one for one in passages if one.get("id") == output["id"] and output["text"] in str(one.get("text", ""))), None)
        if passage is not None:
            found.append((output, chance, passage))
    return found


def chances_of(reply: Reply) -> Mapping[str, float]:
    """The probability of each label in a reply, as far as it names them."""
    if reply.chances is not None:
        return reply.chances
    named = {str(reply.output): reply.score} if isinstance(reply.output, str) else {}
    return named | {str(label): chance for label, chance in reply.alternatives}


def citation_of(reply: Reply) -> Citation:
    """The citation of an answer that the member gives."""
    facts, text = reply.facts, str(reply.output["text"])
    around = next((str(one["text"]) for one in facts.get("passages", ()) if text in str(one["text"])), "")
    return Citation(
        document=str(reply.output["id"]),
        title=str(facts.get("title") or reply.output["id"]),
        text=text,
        start=int(facts.get("start", 0)),
        end=int(facts.get("end", 0)),
        heading=_heading(facts),
        page=facts.get("page"),
        url=str(facts.get("url") or ""),
        passage=around[:_LONGEST_PASSAGE],
    )


def _citation(document: str, text: str, passage: Mapping[str, Any]) -> Citation:
    around = str(passage["text"])
    start = int(passage.get("start", 0)) + around.index(text)
    return Citation(
        document=document,
        title=str(passage.get("title") or document),
        text=text,
        start=start,
        end=start + len(text),
        heading=_heading(passage),
        page=passage.get("page"),
        url=str(passage.get("url") or ""),
        passage=around[:_LONGEST_PASSAGE],
    )


def _heading(passage: Mapping[str, Any]) -> str:
    """The headings over a passage, the nearest last; over an entry of questions and answers that is its question."""
    return " > ".join(str(passage[name]) for name in ("heading", "question") if passage.get(name))


def log_odds(chance: float) -> float:
    """The log odds of a probability, within bounds."""
    if not 0 < chance < 1:
        return _MOST if chance >= 1 else _LEAST
    return min(_MOST, max(_LEAST, math.log(chance / (1 - chance))))


def is_follow_up(message: str) -> bool:
    """Whether a message is short and leans on an earlier one: "and for a larger one?", "what about Ireland?"."""
    return len(message.split()) <= _SHORT and _FOLLOWS.search(message) is not None


def questions_in(message: str) -> list[str]:
    """The questions in a message that can stand alone, where it has several; else none."""
    parts = [part.strip() for part in re.findall(r"[^?]+\?", message)]
    whole = [part for part in parts if len(part.split()) >= _LEAST_WORDS and not is_follow_up(part)]
    return whole if 1 < len(whole) == len(parts) <= _MOST_QUESTIONS else []


def leans(message: str) -> bool:
    """Whether a message cannot be understood without an earlier one: it is a follow-up, and names nothing."""
    return is_follow_up(message) and not [word for word in words_of(message) if len(word) > 2 and word not in _NAMES_NOTHING]
