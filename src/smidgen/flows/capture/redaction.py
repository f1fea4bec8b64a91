"""Redact what is stored of traffic: it has no personal data in it, and what cannot be made safe is not stored."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from smidgen.core.errors import RedactionError
from smidgen.flows.capture.recurring_labels import RecurringLabels, spell_label
from smidgen.flows.certify import losses
from smidgen.flows.redaction_model import Found, PersonalDataFinder, finder
from smidgen.privacy import text_patterns
from smidgen.privacy.policy import KINDS, Action, policy_of
from smidgen.privacy.redactor import BESIDE_PERSON, Redactor, readable
from smidgen.privacy.request_masking import BodyWalk, FieldContext, masking
from smidgen.store.traffic.records import AuditAnswer, Exchange, Feedback, LateLabel
from smidgen.text.prompt_patterns import masked_pieces, prompt_kind


def texts_to_read(text: str) -> list[str]:
    """The texts to read in it: itself, or where it is JSON its texts and the names of its fields.

    Raises RedactionError for what cannot be read whole: a text that is too long, holds half a character or bytes, or is nested too deeply,
    and an object that has a name twice, for only the last would be kept.
    """
    _refuse_repeated_names(text)
    found: dict[str, None] = {}
    walk = BodyWalk(lambda text, _: found.setdefault(text) or text, names=True)
    walk.text(text, FieldContext())
    if walk.unread:
        raise RedactionError("a text holds what cannot be read", value=walk.unread[0], todo="Leave it out.")
    for one in found:
        readable(one)
    return list(found)


def mask_text(text: str, redactor: Redactor, kept: Callable[[str, str], bool] = lambda text, field: False) -> str:
    """The text with placeholders; JSON stays JSON. Where it is `kept`, or one of its texts (with the name of its field) or names of fields
    is, that stays as it is. Raises RedactionError where one of its texts cannot be made safe."""
    mask, short = masking(redactor)
    return BodyWalk(lambda text, label: text if kept(text, label.name) else mask(text, label), short, names=True).text(text, FieldContext())


def _refuse_repeated_names(text: str) -> None:
    """Raise RedactionError for JSON in which an object has a name twice."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            json.loads(text, object_pairs_hook=_pairs)
        except (ValueError, RecursionError):
            return


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise RedactionError("an object has a name twice", value=f"{len(pairs)} fields", todo="Give each name once.")
    return found


MOST = 1_024
"""Answers that are known at a time."""
LONGEST = 100
"""Characters of one: longer ones hardly ever come again."""


class CleanAnswers:
    """The latest of them."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, None] = OrderedDict()

    def among(self, answers: Collection[str]) -> set[str]:
        """Those that were read before. They count as the latest."""
        known = {text for text in answers if text in self._known}
        for text in known:
            self._known.move_to_end(text)
        return known

    def note(self, answers: Iterable[str]) -> None:
        """Know these."""
        self._known.update((text, None) for text in answers)
        while len(self._known) > MOST:
            self._known.popitem(last=False)


AnswerNames = Callable[[str], Collection[str]]
"""Of a bundle by its name: the names that it answers with, labels and fields, which are nobody's."""
_MOST_PROMPTS = 4_096
"""Words to the system that are known at a time: more than a batch has, so that none goes before its request is stored."""
_MOST_CHOICES = 4_096
"""Requests whose choices are known at a time, for what is said of them later."""
_LONGEST_PROMPT = 8_000
"""Characters of a prompt that is read for names; of a longer one numbers and dates alone are left out of its kind."""
_Masking: TypeAlias = Callable[[str | None], str | None]


class TextFinder(Protocol):
    """A finder of personal data in several texts, read together."""

    def many(self, texts: Iterable[str]) -> Mapping[str, Found]:
        """Of each text, what is personal in it."""
        ...


@dataclasses.dataclass(frozen=True)
class ExtraRedaction:
    """The further redaction of what is stored: by patterns that have these among them, by another model, and which kinds
    are taken out only beside a person."""

    patterns: Callable[[str], text_patterns.Spans] = text_patterns.usual_spans
    finding: TextFinder | None = None
    beside_person: frozenset[str] = BESIDE_PERSON


def extra_redaction(profile: str, given: tuple[str, ...] = (), bundle: Path | None = None) -> ExtraRedaction:
    """The redaction that a border of this profile asks for, with what was said of single kinds, and with the model of the user's own bundle
    where it finds by that.

    Raises BundleError where the bundle must not be opened, InputError where it does not find spans, and for a policy that cannot be.
    """
    own = finder(bundle, threads=1) if bundle is not None else None
    known = own.kinds if own is not None else ()
    policy = policy_of(profile, given, known)
    left = policy.allowed({*KINDS, *known})
    wanted = [kind for kind in known if kind not in left]
    model = PersonalDataFinder(own.model, wanted) if own is not None and wanted else None
    # What the border masks wherever it stands is not stored either.
    beside_person = frozenset(kind for kind in BESIDE_PERSON if policy.of(kind) in (Action.BESIDE, Action.ALLOW))
    return ExtraRedaction(text_patterns.usual_with(kind for kind in KINDS if kind not in left), model, beside_person)


class CaptureRedactor:
    """Takes personal data out of what is to be stored, with placeholders that are the same within one request.

    Args:
        names: what must stay as it is.
        finding: the model; by default the one that comes with smidgen, on one thread. Raises BundleError where there is none.
        besides: what is taken out besides, where the same server lets less across its border.
        labels: answers that are nobody's data, whatever they look like. Each stays where it is the whole of an answer, in capitals or not,
            with a dot behind it or without; within a text, and in what was asked, it is masked like anything else.
        label_texts: how many different texts must get a short answer for it to be such a label; 0: only those that were named are.

    Attributes:
        recurring: the answers that turned out to be labels; what became known is to be stored, and said so.
    """

    def __init__(
        self,
        names: AnswerNames = lambda asked: (),
        finding: TextFinder | None = None,
        besides: ExtraRedaction | None = None,
        labels: Iterable[str] = (),
        label_texts: int = 0,
    ) -> None:
        self._names, self._labels = names, frozenset(map(spell_label, labels))
        self._finding: TextFinder = finder(threads=1) if finding is None else finding
        self._besides = besides if besides is not None else ExtraRedaction()
        self._prompts: OrderedDict[str, str] = OrderedDict()
        self._harmless = CleanAnswers()
        self._choices: OrderedDict[str, tuple[str, ...]] = OrderedDict()
        self.recurring = RecurringLabels(label_texts, self._has_form)

    def exchanges(self, given: Sequence[Exchange]) -> list[Exchange | None]:
        """Each request with placeholders; None for one that cannot be made safe. Raises EngineError where the model cannot run."""
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
            self._note_choices(one)
            if may:
                self.recurring.saw(one, _personal(one, asked or (), found))
        for words in prompts:
            self._note_prompt(words, found)
        return [self._exchange(one, found) if may else None for one, may in zip(given, whole, strict=True)]

    def feedback(self, said: Feedback, asked: str, key: str = "") -> Feedback:
        """Mask feedback on a request that named `asked` and came with the key of this hash. A correction that was changed is
        marked: the request's own placeholders are not known any more, so that it may not fit its text. Raises RedactionError where it
        cannot be made safe, EngineError where the model cannot run."""
        texts = _readable((said.corrected, said.comment))
        if texts is None:
            raise RedactionError(
                "the feedback holds what cannot be read for personal data", value=said.request_id, todo="Send shorter, plain text."
            )
        redactor = self._redactor(asked, self._found(texts))
        answered = self._answering(asked, redactor, key, self._choices.get(said.request_id, ()))
        safe = redactor.twice(
            lambda: dataclasses.replace(said, corrected=answered(said.corrected), comment=_masked(said.comment, redactor))
        )
        if said.corrected is not None and safe.corrected is not None and safe.corrected != said.corrected:
            self.recurring.wait(key, LateLabel(said.request_id, "corrected", said.corrected, stored=safe.corrected, time=said.time))
        return dataclasses.replace(safe, altered=said.altered or safe.corrected != said.corrected)

    def audited(self, found: AuditAnswer, asked: str, key: str = "") -> AuditAnswer | None:
        """The audited answer where it holds no personal data; None where it does, or cannot be made safe: the request's own placeholders
        are not known any more, so that it would not fit its text. Raises EngineError where the model cannot run."""
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
        """Whether anything in a text is personal by its form."""
        return bool(Redactor(forms=self._besides.patterns).spans(text))

    def _has_form(self, answer: str) -> bool:
        """Whether an answer is, by its form, personal data that no label is. What looks like a web address may be one: `a.b/c`."""
        try:
            return any(span["label"] != "url" for span in Redactor(forms=self._besides.patterns).spans(answer))
        except RedactionError:
            return True

    def _note_choices(self, one: Exchange) -> None:
        """Remember the values that a request lets its answer have, for what is said of it later."""
        if one.choices:
            self._choices[one.id] = one.choices
            while len(self._choices) > _MOST_CHOICES:
                self._choices.popitem(last=False)

    def _exchange(self, one: Exchange, found: Mapping[str, Found]) -> Exchange | None:
        redactor = self._redactor(one.asked, found)
        try:
            answered = self._answering(one.asked, redactor, one.key, one.choices)
            safe = redactor.twice(functools.partial(_safe, one, redactor, answered))
            safe = dataclasses.replace(safe, kind=self._kind(one))
        except (RedactionError, RecursionError):
            return None
        if one.answer is not None and safe.answer != one.answer:
            self.recurring.wait(one.key, LateLabel(one.id, "answer", one.answer, stored=safe.answer or ""))
        return safe

    def _new_prompts(self, given: Iterable[Exchange]) -> set[str]:
        """Words to the system that were not read yet. A prompt mostly comes again and again: it is read once."""
        every = dict.fromkeys(words for one in given for words in masked_pieces(one.template))
        known = [words for words in every if words in self._prompts]
        for words in known:
            self._prompts.move_to_end(words)
        return {words for words in every if words not in self._prompts and len(words) <= _LONGEST_PROMPT and _is_readable(words)}

    def _note_prompt(self, words: str, found: Mapping[str, Found]) -> None:
        """Know some words to the system without what is personal in them. What cannot be made safe is only ever hashed, and stays."""
        try:
            self._prompts[words] = self._new_redactor(found).mask(words)
        except RedactionError:
            self._prompts[words] = words
        while len(self._prompts) > _MOST_PROMPTS:
            self._prompts.popitem(last=False)

    def _kind(self, one: Exchange) -> str:
        return one.kind if one.odd else prompt_kind(one.template, lambda words: self._prompts.get(words, words))

    def _found(self, texts: Collection[str]) -> Mapping[str, Found]:
        """The findings of all models in each text."""
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

    def _answering(self, asked: str, redactor: Redactor, key: str, choices: Collection[str]) -> _Masking:
        """The answer as it is stored: itself where it is a label, of those that were named, the bundle's own or those that recur under
        this key. Of the choices that the request's own schema gives it, each stays wherever it is a whole text in it, and so does a value
        that recurs in its field."""
        own, recurring = frozenset(map(spell_label, self._names(asked))), self.recurring.labels(key)
        given = frozenset(choices)

        def kept(text: str, field: str) -> bool:
            return text in given or (bool(field) and self.recurring.is_value(key, field, text))

        def answered(said: str | None) -> str | None:
            if said is None:
                return None
            label = spell_label(losses.unwrap_field(said))
            return _answered(said, any(label in known for known in (self._labels, own, recurring)), redactor, kept)

        return answered


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
    """An answer with placeholders; as it is where it is a label and nothing else, or an object whose only value is one. The name of that
    field is read all the same."""
    if not is_label:
        return mask_text(said, redactor, kept)
    if losses.unwrap_field(said) is said:
        return said
    ((field, held),) = json.loads(said).items()
    (safe,) = json.loads(mask_text(json.dumps({field: 0}), redactor, kept))
    return said if safe == field else json.dumps({safe: held}, ensure_ascii=False)


def _personal(one: Exchange, asked: Iterable[str], found: Mapping[str, Found]) -> set[str]:
    """The personal data in an answer, by itself or because it is personal in the question."""
    said = _readable((one.answer,)) or []
    pieces = {text[start:end] for text in said for _, start, end in found.get(text, ())}
    folded = (one.answer or "").casefold()
    return pieces | {piece for text in asked for _, start, end in found[text] if (piece := text[start:end]).casefold() in folded}


def _masked(text: str | None, redactor: Redactor) -> str | None:
    return None if text is None else mask_text(text, redactor)


def _all(texts: Iterable[list[str] | None], whole: Iterable[bool]) -> set[str]:
    """The texts of those requests that can be read whole."""
    return {text for own, may in zip(texts, whole, strict=True) if may for text in own or ()}


def _is_readable(text: str) -> bool:
    try:
        readable(text)
    except RedactionError:
        return False
    return True


def _readable(texts: Iterable[str | None]) -> list[str] | None:
    """The texts that the model is to read; None where one of them cannot be read whole."""
    try:
        return [leaf for text in texts if text is not None for leaf in texts_to_read(text)]
    except (RedactionError, RecursionError):
        return None
