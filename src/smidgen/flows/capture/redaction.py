"""Redact stored traffic: personal data is replaced, and a request that cannot be made safe is not stored."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from smidgen.core.errors import RedactionError
from smidgen.flows.capture.recurring_labels import RecurringLabels, spell_label
from smidgen.flows.capture.recurring_names import RecurringNames
from smidgen.flows.certify import losses
from smidgen.flows.redaction_model import Found, PersonalDataFinder, finder
from smidgen.privacy import text_patterns
from smidgen.privacy.policy import KINDS, Action, policy_of
from smidgen.privacy.public_names import PublicNames, has_sign
from smidgen.privacy.redactor import BESIDE_PERSON, Redactor, readable
from smidgen.privacy.request_masking import BodyWalk, FieldContext, masking
from smidgen.store.traffic.records import AuditAnswer, Exchange, Feedback, LateLabel
from smidgen.text.prompt_patterns import masked_pieces, prompt_kind


def texts_to_read(text: str) -> list[str]:
    """Return the texts for the model to read: the text itself, or if it is JSON, its strings and field names.

    Raises RedactionError for a text that cannot be read completely: too long, with half a character or bytes, or nested too deeply; and for
    an object with a repeated name, because only the last value would be read.
    """
    _refuse_repeated_names(text)
    found: dict[str, None] = {}
    walk = BodyWalk(lambda text, _: found.setdefault(text) or text, names=True)
    walk.text(text, FieldContext())
    if walk.unread:
        raise RedactionError("flows.text_has_parts_that_cannot_be_read", value=walk.unread[0])
    for one in found:
        readable(one)
    return list(found)


def mask_text(text: str, redactor: Redactor, kept: Callable[[str, str], bool] = lambda text, field: False) -> str:
    """Return the text with placeholders. JSON stays JSON.

    `kept` says whether a string, with the name of its field, stays unchanged. Raises RedactionError if a string cannot be made safe.
    """
    mask, short = masking(redactor)
    return BodyWalk(lambda text, label: text if kept(text, label.name) else mask(text, label), short, names=True).text(text, FieldContext())


def _refuse_repeated_names(text: str) -> None:
    """Raise RedactionError for JSON with a repeated name in an object."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            json.loads(text, object_pairs_hook=_pairs)
        except (ValueError, RecursionError):
            return


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise RedactionError("flows.object_has_name_twice", pairs=len(pairs))
    return found


MOST = 1_024
"""Most answers remembered at a time."""
LONGEST = 100
"""Most characters of a remembered answer: longer ones rarely repeat."""


class CleanAnswers:
    """The latest answers without personal data."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, None] = OrderedDict()

    def among(self, answers: Collection[str]) -> set[str]:
        """Return the answers that are remembered, and mark them as the latest."""
        known = {text for text in answers if text in self._known}
        for text in known:
            self._known.move_to_end(text)
        return known

    def note(self, answers: Iterable[str]) -> None:
        """Remember these answers."""
        self._known.update((text, None) for text in answers)
        while len(self._known) > MOST:
            self._known.popitem(last=False)


AnswerNames = Callable[[str], Collection[str]]
"""Returns the names that a bundle answers with, labels and fields, which are not personal."""
_MOST_PROMPTS = 4_096
"""Most system prompts remembered at a time: more than a batch has, so that none is dropped before its request is stored."""
_MOST_CHOICES = 4_096
"""Most requests whose choices are remembered for later feedback."""
_LONGEST_PROMPT = 8_000
"""Most characters of a prompt to search for names. Of a longer one, only numbers and dates are removed from its kind."""
_IDENTIFIER = re.compile(r"[^\W\d_]+(?:[_.:/-][^\W_]+)*[_.:/][^\W_]+(?:[_.:/-][^\W_]+)*|[a-z]+(?:-[a-z0-9]+)+")
"""Form of labels: `alexa_stop`, `iot.hue_lightup`, `play-radio`. A hyphen beside capitals is a name's (`Jean-Luc`)."""
_WORD = re.compile(r"[^\W_]+")
_Masking: TypeAlias = Callable[[str | None], str | None]


class TextFinder(Protocol):
    """Finds personal data in several texts in one batch."""

    def many(self, texts: Iterable[str]) -> Mapping[str, Found]:
        """Return the findings in each text."""
        ...


@dataclasses.dataclass(frozen=True)
class ExtraRedaction:
    """Redaction beyond the default: patterns, another model, and the kinds that are masked only beside a person."""

    patterns: Callable[[str], text_patterns.Spans] = text_patterns.usual_spans
    finding: TextFinder | None = None
    beside_person: frozenset[str] = BESIDE_PERSON


def extra_redaction(
    profile: str, given: tuple[str, ...] = (), bundle: Path | None = None, public: PublicNames | None = None
) -> ExtraRedaction:
    """Return the redaction that a border of this profile requires, with the actions given for single kinds and the user's own model.

    `public`: names that are nobody's, and are stored.

    Raises BundleError if the bundle must not be opened; InputError if it does not find spans, or the policy is invalid.
    """
    own = finder(bundle, threads=1, public=public) if bundle is not None else None
    known = own.kinds if own is not None else ()
    policy = policy_of(profile, given, known)
    left = policy.allowed({*KINDS, *known})
    wanted = [kind for kind in known if kind not in left]
    model = PersonalDataFinder(own.model, wanted, public=public) if own is not None and wanted else None
    # Kinds that the border masks anywhere are not stored either.
    beside_person = frozenset(kind for kind in BESIDE_PERSON if policy.of(kind) in (Action.BESIDE, Action.ALLOW))
    return ExtraRedaction(text_patterns.usual_with(kind for kind in KINDS if kind not in left), model, beside_person)


class CaptureRedactor:
    """Removes personal data from requests before they are stored. Placeholders are consistent within one request.

    Args:
        names: names that stay unchanged.
        finding: the model; default: the one that comes with smidgen, on one thread. Raises BundleError if there is none.
        besides: additional redaction, if the server's border lets less through.
        labels: answers that are not personal, whatever they look like. Each stays if it is the whole answer, in any case and with or
            without a full stop. Within a text, and in the question, it is masked like anything else.
        public: names that are nobody's, and stay; default: the shipped list.
        label_texts: number of different texts with the same short answer before it counts as such a label; 0: only named labels count.

    Attributes:
        recurring: the answers that turned out to be labels. The caller stores the new ones, and then calls `settled`.
    """

    def __init__(
        self,
        names: AnswerNames = lambda asked: (),
        finding: TextFinder | None = None,
        besides: ExtraRedaction | None = None,
        labels: Iterable[str] = (),
        label_texts: int = 0,
        public: PublicNames | None = None,
    ) -> None:
        self._names, self._labels = names, frozenset(map(spell_label, labels))
        self._finding: TextFinder = finder(threads=1, public=public or PublicNames()) if finding is None else finding
        self._besides = besides if besides is not None else ExtraRedaction()
        self._prompts: OrderedDict[str, str] = OrderedDict()
        self._harmless = CleanAnswers()
        self._choices: OrderedDict[str, tuple[str, ...]] = OrderedDict()
        self.recurring = RecurringLabels(label_texts, self._has_form)
        self._recurring_names = RecurringNames()

    def exchanges(self, given: Sequence[Exchange]) -> list[Exchange | None]:
        """Return each request with placeholders; None for one that cannot be made safe. Raises EngineError if the model cannot run."""
        inputs = [_readable((one.input,)) for one in given]
        outputs = [_readable((one.answer, one.local_output)) for one in given]
        whole = [own is not None and said is not None for own, said in zip(inputs, outputs, strict=True)]
        prompts = self._new_prompts(one for one in given if not one.odd)
        answers = _all(outputs, whole)
        new = answers - self._harmless.among(answers)
        found = self._found(_all(inputs, whole) | prompts | new)
        self._harmless.note(text for text in new if len(text) <= LONGEST and not found[text] and not self._by_pattern(text))
        found = {**dict.fromkeys(answers, ()), **found}
        for one, asked, may in zip(given, inputs, whole, strict=True):
            if may:
                self._recurring_names.saw(one, asked or (), found)
        found = self._recurring_names.without_public(found)
        for one, asked, may in zip(given, inputs, whole, strict=True):
            self._note_choices(one)
            if may:
                self.recurring.saw(one, _personal(one, asked or (), found))
        for words in prompts:
            self._note_prompt(words, found)
        return [
            self._exchange(one, found, (asked or [], said or []), self._is_new_label(one, asked or (), found)) if may else None
            for one, asked, said, may in zip(given, inputs, outputs, whole, strict=True)
        ]

    def feedback(self, said: Feedback, asked: str, key: str = "") -> Feedback:
        """Mask feedback on a request that named `asked` and came with the key of this hash.

        A correction that changes is marked: the request's own placeholders are no longer known, so it may not fit the stored text. Raises
        RedactionError if it cannot be made safe, EngineError if the model cannot run.
        """
        texts = _readable((said.corrected, said.comment))
        if texts is None:
            raise RedactionError("flows.feedback_cannot_be_searched", value=said.request_id)
        redactor = self._redactor(asked, self._found(texts))
        answered = self._answering(asked, redactor, key, self._choices.get(said.request_id, ()))
        safe = redactor.twice(
            lambda: dataclasses.replace(said, corrected=answered(said.corrected), comment=_masked(said.comment, redactor))
        )
        if said.corrected is not None and safe.corrected is not None and safe.corrected != said.corrected:
            self.recurring.wait(key, LateLabel(said.request_id, "corrected", said.corrected, stored=safe.corrected, time=said.time))
        return dataclasses.replace(safe, altered=said.altered or safe.corrected != said.corrected)

    def audited(self, found: AuditAnswer, asked: str, key: str = "") -> AuditAnswer | None:
        """Return the audited answer; None if it has personal data or cannot be made safe.

        It is not masked, because the request's own placeholders are no longer known, so it would not fit the stored text. Raises
        EngineError if the model cannot run.
        """
        texts = _readable((found.answer,))
        if texts is None:
            return None
        redactor = self._redactor(asked, self._found(texts))
        answered = self._answering(asked, redactor, key, self._choices.get(found.id, ()))
        try:
            if redactor.twice(lambda: answered(found.answer)) == found.answer:
                return found
        except (RedactionError, RecursionError):
            return None
        self.recurring.wait(key, LateLabel(found.id, "audit", found.answer, model=found.model))
        return None

    def _by_pattern(self, text: str) -> bool:
        """Return True if a pattern of personal data matches in a text."""
        return bool(Redactor(forms=self._besides.patterns).spans(text))

    def _has_form(self, answer: str) -> bool:
        """Return True if a pattern shows that an answer is personal data.

        A web address does not count, because a label may look like one: `a.b/c`.
        """
        try:
            return any(span["label"] != "url" for span in Redactor(forms=self._besides.patterns).spans(answer))
        except RedactionError:
            return True

    def _note_choices(self, one: Exchange) -> None:
        """Remember the values that a request allows for its answer, for later feedback."""
        if one.choices:
            self._choices[one.id] = one.choices
            while len(self._choices) > _MOST_CHOICES:
                self._choices.popitem(last=False)

    def _is_new_label(self, one: Exchange, asked: Iterable[str], found: Mapping[str, Found]) -> bool:
        """Return True if an answer that was not seen before is surely a label: an identifier that says nothing of the request.

        A name in it can only come from the request. So no word of it may be personal in the question, or stand in the system prompt other
        than in a list of identifiers.
        """
        said = losses.unwrap_field(one.answer or "").strip().removesuffix(".")
        if len(said) > LONGEST or not _IDENTIFIER.fullmatch(said) or self._has_form(said):
            return False
        words = set(_WORD.findall(said.casefold()))
        pieces = (text[start:end].casefold() for text in asked for _, start, end in found[text])
        if any(words & set(_WORD.findall(piece)) for piece in pieces):
            return False
        return not words <= set(_WORD.findall(one.system.casefold())) or _in_list(said, one.system)

    def _exchange(
        self, one: Exchange, found: Mapping[str, Found], texts: tuple[list[str], list[str]], is_new_label: bool
    ) -> Exchange | None:
        """Return a request with placeholders. `texts`: those of its question, and those of its answers."""
        redactor = self._redactor(one.asked, found)
        try:
            answered = self._answering(one.asked, redactor, one.key, one.choices, is_new_label)
            safe = redactor.twice(functools.partial(_safe, one, redactor, answered))
            safe = dataclasses.replace(safe, kind=self._kind(one))
        except (RedactionError, RecursionError):
            return None
        changed = [own for own, same in zip(texts, (safe.input == one.input, safe.answer == one.answer), strict=True) if not same]
        safe = dataclasses.replace(safe, doubtful=_in_doubt(texts[0], changed, found))
        if one.answer is not None and safe.answer != one.answer:
            self.recurring.wait(one.key, LateLabel(one.id, "answer", one.answer, stored=safe.answer or ""))
        return safe

    def _new_prompts(self, given: Iterable[Exchange]) -> set[str]:
        """Return the system prompts that were not read yet. Prompts repeat, so each is read once."""
        every = dict.fromkeys(words for one in given for words in masked_pieces(one.template))
        known = [words for words in every if words in self._prompts]
        for words in known:
            self._prompts.move_to_end(words)
        return {words for words in every if words not in self._prompts and len(words) <= _LONGEST_PROMPT and _is_readable(words)}

    def _note_prompt(self, words: str, found: Mapping[str, Found]) -> None:
        """Remember a system prompt without its personal data. One that cannot be made safe is only ever hashed, and stays."""
        try:
            self._prompts[words] = self._new_redactor(found).mask(words)
        except RedactionError:
            self._prompts[words] = words
        while len(self._prompts) > _MOST_PROMPTS:
            self._prompts.popitem(last=False)

    def _kind(self, one: Exchange) -> str:
        return one.kind if one.odd else prompt_kind(one.template, lambda words: self._prompts.get(words, words))

    def _found(self, texts: Collection[str]) -> Mapping[str, Found]:
        """Return the findings of all models in each text."""
        found = self._finding.many(texts)
        if self._besides.finding is None:
            return found
        more = self._besides.finding.many(texts)
        return {text: (*found[text], *more[text]) for text in texts}

    def _new_redactor(self, found: Mapping[str, Found]) -> Redactor:
        return Redactor(found.__getitem__, forms=self._besides.patterns, beside_person=self._besides.beside_person)

    def _redactor(self, asked: str, found: Mapping[str, Found]) -> Redactor:
        redactor = self._new_redactor(found)
        redactor.keep(*self._names(asked))
        return redactor

    def _answering(self, asked: str, redactor: Redactor, key: str, choices: Collection[str], is_new_label: bool = False) -> _Masking:
        """Return a function that masks an answer.

        An answer that is a named label, the bundle's own, one that recurs under this key, or surely a new one stays. So does a string in it
        that the request's own schema allows, or that recurs in its field.
        """
        own, recurring = frozenset(map(spell_label, self._names(asked))), self.recurring.labels(key)
        given = frozenset(choices)

        def kept(text: str, field: str) -> bool:
            return text in given or (bool(field) and self.recurring.is_value(key, field, text))

        def answered(said: str | None) -> str | None:
            if said is None:
                return None
            label = spell_label(losses.unwrap_field(said))
            return _answered(said, is_new_label or any(label in known for known in (self._labels, own, recurring)), redactor, kept)

        return answered


def _in_list(said: str, prompt: str) -> bool:
    """Return True if an identifier stands in a prompt beside another one, as in a list of labels."""
    name, apart = re.escape(said), r"[\s\"'`]*[,;|\n][\s\"'`*-]*"
    beside = f"(?:{_IDENTIFIER.pattern})"
    return re.search(rf"(?<![\w.]){beside}{apart}{name}(?!\w)|(?<![\w.]){name}{apart}{beside}", prompt, re.IGNORECASE) is not None


def _safe(one: Exchange, redactor: Redactor, answered: _Masking) -> Exchange:
    input = _masked(one.input, redactor)
    return dataclasses.replace(
        one,
        input=input,
        answer=answered(one.answer),
        local_output=_masked(one.local_output, redactor),
        altered=one.altered or input != one.input,
    )


def _answered(said: str, is_label: bool, redactor: Redactor, kept: Callable[[str, str], bool]) -> str:
    """Return an answer with placeholders. A label stays, alone or as the only value of an object, whose field name is still redacted."""
    if not is_label:
        return mask_text(said, redactor, kept)
    if losses.unwrap_field(said) is said:
        return said
    ((field, held),) = json.loads(said).items()
    (safe,) = json.loads(mask_text(json.dumps({field: 0}), redactor, kept))
    return said if safe == field else json.dumps({safe: held}, ensure_ascii=False)


def _personal(one: Exchange, asked: Iterable[str], found: Mapping[str, Found]) -> set[str]:
    """Return the personal data in an answer, including pieces that are personal in the question."""
    said = _readable((one.answer,)) or []
    pieces = {text[start:end] for text in said for _, start, end in found.get(text, ())}
    folded = (one.answer or "").casefold()
    return pieces | {piece for text in asked for _, start, end in found[text] if (piece := text[start:end]).casefold() in folded}


def _in_doubt(asked: Iterable[str], changed: Iterable[Iterable[str]], found: Mapping[str, Found]) -> bool:
    """Return True if a name was masked that has the sign of a private person neither where it was masked nor in the question."""
    masked = [(text, span) for texts in changed for text in texts for span in found[text] if span[0] == "person"]
    shown = masked + [(text, span) for text in asked for span in found[text] if span[0] == "person"]
    sure = {text[start:end].casefold() for text, (_, start, end) in shown if has_sign(text, start, end)}
    return any(text[start:end].casefold() not in sure for text, (_, start, end) in masked)


def _masked(text: str | None, redactor: Redactor) -> str | None:
    return None if text is None else mask_text(text, redactor)


def _all(texts: Iterable[list[str] | None], whole: Iterable[bool]) -> set[str]:
    """Return the texts of the requests that can be read completely."""
    return {text for own, may in zip(texts, whole, strict=True) if may for text in own or ()}


def _is_readable(text: str) -> bool:
    try:
        readable(text)
    except RedactionError:
        return False
    return True


def _readable(texts: Iterable[str | None]) -> list[str] | None:
    """Return the texts for the model; None if one of them cannot be read completely."""
    try:
        return [leaf for text in texts if text is not None for leaf in texts_to_read(text)]
    except (RedactionError, RecursionError):
        return None
