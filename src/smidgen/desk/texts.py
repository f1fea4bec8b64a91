"""The desk's own words in English and German, and how it recognises yes and no.

A policy may replace each text, by its name here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

TEXTS: Mapping[str, Mapping[str, str]] = {
    "greeting": {
        "en": "Hello! Ask me anything about orders, delivery, returns and our products.",
        "de": "Guten Tag! Fragen Sie mich zu Bestellungen, Lieferung, Rückgabe und unseren Produkten.",
    },
    "quoted_en": {
        "en": "Our documents say (in English): {text}",
        "de": "In unseren Unterlagen steht (auf Englisch): {text}",
    },
    "quoted_de": {
        "en": "Our documents say (in German): {text}",
        "de": "In unseren Unterlagen steht (auf Deutsch): {text}",
    },
    "may_answer": {
        "en": "I am not quite sure. One of these may answer it:\n\n{text}",
        "de": "Ganz sicher bin ich nicht. Eines davon könnte die Antwort sein:\n\n{text}",
    },
    "unanswered": {
        "en": "I could not find that in our documents, so I would rather not guess. Would you like to talk to a person?",
        "de": "Das finde ich nicht in unseren Unterlagen und möchte nicht raten. Möchten Sie mit einem Menschen sprechen?",
    },
    "near": {
        "en": "I am not certain, so I would rather not guess. It may stand under {places}. Would you like to talk to a person?",
        "de": "Ich bin nicht sicher und möchte nicht raten. Es könnte unter {places} stehen. Möchten Sie mit einem Menschen sprechen?",
    },
    "foreign": {
        "en": "I am sorry, I only understand {languages}. Would you like to talk to a person?",
        "de": "Es tut mir leid, ich verstehe nur {languages}. Möchten Sie mit einem Menschen sprechen?",
    },
    "unclear": {
        "en": "I am not sure what you mean. Could you say it in a full sentence?",
        "de": "Ich bin nicht sicher, was Sie meinen. Können Sie es in einem ganzen Satz sagen?",
    },
    "handed_over": {
        "en": "I am passing this to a colleague, who will read what we wrote and answer here.",
        "de": "Ich gebe das an eine Kollegin oder einen Kollegen weiter. Wir lesen den Verlauf und antworten Ihnen hier.",
    },
    "handed_over_closed": {
        "en": "I am passing this to a colleague. Nobody is here right now; we will answer when we are back.",
        "de": "Ich gebe das weiter. Gerade ist niemand da; wir antworten, sobald wir wieder da sind.",
    },
    "confirm": {"en": "Shall I do this? {call}", "de": "Soll ich das tun? {call}"},
    "cancelled": {"en": "All right, I have not changed anything.", "de": "In Ordnung, ich habe nichts geändert."},
    "done": {"en": "Done: {call}.", "de": "Erledigt: {call}."},
    "tried": {"en": "This would now be done: {call}.", "de": "Das würde jetzt geschehen: {call}."},
    "failed": {
        "en": "That did not work, and nothing was changed. Would you like to talk to a person?",
        "de": "Das hat nicht geklappt, und es wurde nichts geändert. Möchten Sie mit einem Menschen sprechen?",
    },
    "unknown": {
        "en": "I could not see whether that worked. A colleague will check, and tell you here.",
        "de": "Ich konnte nicht sehen, ob das geklappt hat. Wir prüfen es und sagen es Ihnen hier.",
    },
    "expired": {
        "en": "This question is no longer open, so I have not changed anything. Please ask again.",
        "de": "Diese Frage ist nicht mehr offen, ich habe nichts geändert. Bitte fragen Sie noch einmal.",
    },
    "nothing_found": {
        "en": "I found nothing for these details. Please check them.",
        "de": "Zu diesen Angaben habe ich nichts gefunden. Bitte prüfen Sie sie.",
    },
    "too_often": {
        "en": "That was tried too often. Please wait a while, or talk to a person.",
        "de": "Das wurde zu oft versucht. Bitte warten Sie etwas, oder sprechen Sie mit einem Menschen.",
    },
    "found": {"en": "Here is what I found.", "de": "Das habe ich gefunden."},
    "suggestions": {"en": "These may suit you.", "de": "Das könnte Ihnen gefallen."},
    "ask": {"en": "Please tell me the {names}.", "de": "Bitte nennen Sie mir noch: {names}."},
    "and": {"en": " and the ", "de": ", "},
    "both": {"en": " and ", "de": " und "},
    "or": {"en": " or ", "de": " oder "},
    "welcome": {"en": "You are welcome. Is there anything else?", "de": "Gern geschehen. Kann ich noch etwas für Sie tun?"},
    "goodbye": {"en": "Goodbye, and have a good day!", "de": "Auf Wiedersehen, und einen schönen Tag!"},
    "too_long": {
        "en": "This message is too long for me. Please shorten it.",
        "de": "Diese Nachricht ist zu lang für mich. Bitte kürzen Sie sie.",
    },
}

_YES = re.compile(
    r"(yes|yep|yeah|yup|sure|ok|okay|correct|confirm(ed)?|do it|go ahead|please do|yes please|that'?s right|right|"
    r"ja|jep|jawohl|gern|gerne|klar|stimmt|genau|richtig|mach das|machen sie das|bitte)"
)
_NO = re.compile(
    r"(no|nope|nah|stop|cancel|cancel that|don'?t|do not|no thanks|no thank you|never ?mind|leave it|wrong|"
    r"nein|nö|ne|nee|stopp|abbrechen|lieber nicht|doch nicht|falsch|lassen sie (es|das)|nicht)"
)
_FILLER = re.compile(
    r"\b(please|thanks|thank you|that'?s right|my|the|bitte|danke|then|well|hm+|oh|and|it|that|is|do|go ahead|i do|ja|yes|no|nein|das|es|"
    r"so|mach|machen sie)\b"
)
_LONGEST_DECISION = 40


def decision(message: str, call: str = "") -> bool | None:
    """Whether a short message says yes or no; None for anything else, which then decides nothing.

    `call`: the words of a call that waits. They may stand behind a yes ("yes, cancel it"); and whatever begins with a no is one, because
    then nothing is changed.
    """
    said = " ".join(re.sub(r"[^\w' ]+", " ", message.casefold()).split())
    if call and _REFUSAL.match(said):
        return False
    if not said or len(said) > _LONGEST_DECISION:
        return None
    known = frozenset(re.findall(r"\w+", call.casefold()))
    yes, no = _begins(_YES, said, known), _begins(_NO, said)
    return yes if yes != no else None


_REFUSAL = re.compile(
    r"((oh|ok|okay|actually|sorry|hm+|wait|hang on|ach|moment|halt) )*"
    r"(no|nope|nah|stop|don'?t|do not|never ?mind|cancel that|leave it|nein|nee|stopp|doch nicht|lieber nicht|lassen sie)\b"
)


def _begins(words: re.Pattern[str], said: str, known: frozenset[str] = frozenset()) -> bool:
    """Whether a text consists of such words, and at most fillers and `known` words after them."""
    found = words.match(said)
    if found is None or (found.end() < len(said) and said[found.end()] != " "):
        return False
    return set(_FILLER.sub(" ", said[found.end() :]).split()) <= known


_SMALL_TALK = {
    "greeting": re.compile(
        r"(hi|hello|hey|hiya|good (morning|afternoon|evening|day)|hallo|guten (tag|morgen|abend)|moin|servus|grüß gott)"
        r"( there| all| zusammen)?"
    ),
    "welcome": re.compile(
        r"((ok|okay|great|super|perfect|perfekt|prima|alles klar|cool|lovely) )?"
        r"(many thanks|thanks|thank you|thx|cheers|ta|danke|vielen dank|dankeschön|danke schön)"
        r"( (very much|so much|a lot|for (your|the) help|sehr|für (die|ihre) hilfe|bye))?"
    ),
    "goodbye": re.compile(r"((ok|okay) )?(bye|goodbye|bye bye|see you|tschüss|tschüs|ciao|auf wiedersehen|schönen tag( noch)?)"),
}


def small_talk(message: str) -> str:
    """The name of the text that answers a greeting, thanks or a goodbye; empty for any other message."""
    said = " ".join(re.sub(r"[^\w' ]+", " ", message.casefold()).split())
    return next((name for name, pattern in _SMALL_TALK.items() if pattern.fullmatch(said)), "")


LANGUAGE_NAMES: Mapping[str, Mapping[str, str]] = {
    "en": {"en": "English", "de": "German"},
    "de": {"en": "Englisch", "de": "Deutsch"},
}
"""The names of languages, by the language that says them."""
_ANGER = re.compile(
    r"\b(ridiculous|unacceptable|disgrace(ful)?|disgusting|furious|appalling|useless|fed up|rip.?off|scam|waste of time|worst|"
    r"unverschämt(heit)?|frechheit|inakzeptabel|unmöglich von|wütend|sauerei|betrug|abzocke|stinksauer|zumutung|nutzlos)\b",
    re.IGNORECASE,
)


def is_angry(message: str) -> bool:
    """Whether a message uses words of anger in English or German."""
    return _ANGER.search(message) is not None


_ENGLISH = """the and is are you my it to of for have has can do does what how where when which i'm i me please not with was your would
hello hi thanks thank bye"""
_GERMAN = """der die das und ist sind sie mein meine es zu für haben hat kann was wie wo wann welche ich bin mir bitte nicht mit war ihr ein
eine den dem wird auf noch hallo guten tag danke dank tschüss moin servus"""
_MARKS = {"en": frozenset(_ENGLISH.split()), "de": frozenset(_GERMAN.split())}
"""Common words of each language, by which a message shows its language."""


_FOREIGN = """je vous nous est les des une pour pas avec bonjour merci combien où quand livraison el los las una para por con está cuánto
cuándo dónde hola gracias envío quiero mi pedido il gli della che sono per quanto quando ciao grazie spedizione vorrei het een niet van
voor met hoeveel wanneer bestelling ik mijn nie jest czy ile kiedy dzień dobry proszę zamówienie não você quanto obrigado olá meu bir ve
için merhaba teşekkür sipariş ne zaman"""
_FOREIGN_WORDS = frozenset(_FOREIGN.split()) - frozenset().union(*_MARKS.values())
_LETTER = re.compile(r"[^\W\d_]")
_LATIN = re.compile(r"[A-Za-z\u00C0-\u024F]")


def is_foreign(text: str) -> bool:
    """Whether a message is clearly neither English nor German: in another script, or with common words of other languages only."""
    letters = _LETTER.findall(text)
    if len(letters) >= 3 and sum(_LATIN.match(letter) is not None for letter in letters) < len(letters) / 2:
        return True
    words = re.findall(r"[^\W\d_]+", text.casefold())
    known = sum(word in marks for word in words for marks in _MARKS.values())
    return sum(word in _FOREIGN_WORDS for word in words) >= max(2, known + 1)


def shown_language(text: str) -> str:
    """The language of a text by its common words, where they show it clearly; empty where not."""
    words = re.findall(r"[^\W\d_']+(?:'[^\W\d_]+)?", text.casefold())
    counts = sorted(((sum(word in marks for word in words), language) for language, marks in _MARKS.items()), reverse=True)
    return counts[0][1] if counts[0][0] > 2 * counts[1][0] else ""


def language_of(text: str, known: str, spoken: tuple[str, ...]) -> str:
    """The language of a message among those `spoken`, by its common words; the `known` one of the conversation, or the first spoken one,
    where it does not show."""
    words = re.findall(r"[^\W\d_']+(?:'[^\W\d_]+)?", text.casefold())
    counts = {language: sum(word in _MARKS[language] for word in words) for language in spoken if language in _MARKS}
    best = max(counts, key=lambda language: counts[language], default="")
    if best and counts[best] > max((count for language, count in counts.items() if language != best), default=0):
        return best
    return known if known in spoken else spoken[0]
