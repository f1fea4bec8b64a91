"""Changes of a problem: an object that a model or a person filled, checked against the solver's schema and the sentence it came from."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from smidgen.core.errors import InputError
from smidgen.core.printable import HALVES
from smidgen.plans.solving import Change, Solver
from smidgen.text import clock, dates, durations, names, numbers, relative_days

Predict = Callable[[list[str]], Sequence[tuple[float, Any]]]
"""The score and the output of a model for each of some texts."""


MAX_SENTENCE_LENGTH = 2_000
"""A model reads a sentence in parts, so a long one takes long."""


def checked_sentence(solver: Solver, sentence: str) -> str:
    """A sentence that a model can read. Raises InputError for one that is empty, too long or damaged."""
    if not sentence.strip():
        raise InputError(
            "plans.sentence_is_empty" if solver.examples else "plans.sentence_is_empty_and_has_no_example",
            value=sentence,
            example=_example(solver),
        )
    if len(sentence) > MAX_SENTENCE_LENGTH:
        value = f"{len(sentence):,} letters"
        raise InputError("plans.sentence_is_too_long", value=value, longest_sentence=MAX_SENTENCE_LENGTH)
    if "\0" in sentence or HALVES.search(sentence):
        raise InputError("plans.text_has_invalid_character", value=sentence)
    return sentence


def valid_change(solver: Solver, given: Any, sentence: str = "") -> Change:
    """The change without its empty fields. Raises InputError if the solver takes none, or not this one, naming the field. `sentence`: the
    one that it was read from."""
    if not solver.changes:
        raise InputError("plans.sentence_cannot_change_this_plan", value=solver.name)
    change = _without_empty(given)
    if not isinstance(change, Mapping) or not change:
        if sentence:
            raise InputError(
                "plans.sentence_tells_no_change" if solver.examples else "plans.sentence_tells_no_change_and_has_no_example",
                value=sentence,
                example=_example(solver),
            )
        raise InputError("plans.change_is_empty", value=_json(given), changes=", ".join(solver.changes.get("properties", {})))
    if HALVES.search(_json(change)):
        raise InputError("plans.text_has_invalid_character", value=str(change))
    from jsonschema import Draft202012Validator

    mistake = next(iter(sorted(Draft202012Validator(dict(solver.changes)).iter_errors(change), key=lambda one: list(one.path))), None)
    if mistake is not None:
        raise _misfit(solver, change, list(mistake.absolute_path), bool(sentence and solver.examples))
    return change


def _misfit(solver: Solver, change: Change, path: Sequence[Any], read: bool) -> InputError:
    """The error of a change that does not fit. `path`: of its mistake; empty where a field is missing or unknown. `read`: whether a model
    read it from a sentence, so that another sentence helps."""
    known, example = solver.changes.get("properties", {}), _example(solver)
    if path and path[0] in known:
        return InputError(
            "plans.read_change_does_not_fit_in_field" if read else "plans.change_does_not_fit_in_field",
            value=change[path[0]],
            field=path[0],
            permitted=_permitted(known[path[0]]),
            example=example,
        )
    strange = next((name for name in change if name not in known), None)
    name = next((name for name in solver.changes.get("required", ()) if name in known and name not in change), None)
    if strange is None and name is None:
        return InputError(
            "plans.read_change_does_not_fit" if read else "plans.change_does_not_fit",
            value=_json(change),
            permitted=_json(solver.changes),
            example=example,
        )
    if strange is None:
        return InputError(
            "plans.read_change_lacks_field" if read else "plans.change_lacks_field",
            value=_json(change),
            field=name,
            permitted=_permitted(known[name]),
            example=example,
        )
    if read:
        return InputError("plans.read_change_has_unknown_field", value=str(strange), example=example)
    near = difflib.get_close_matches(str(strange), list(known), n=1)
    return InputError(
        "plans.change_has_unknown_field_but_one_is_near" if near else "plans.change_has_unknown_field",
        value=str(strange),
        near=near[0] if near else None,
        known=", ".join(known),
    )


def _permitted(schema: Change) -> str:
    """A field's values in words: `a whole number from 0 to 365`; of another kind of schema, the schema itself."""
    if "enum" in schema:
        return f"one of: {', '.join(str(one) for one in schema['enum'] if one is not None)}"
    kinds = schema.get("type", "")
    kind = next((one for one in ([kinds] if isinstance(kinds, str) else kinds) if one != "null"), "")
    least, most = schema.get("minimum"), schema.get("maximum")
    if kind == "array" and schema.get("items") == {"type": "string"}:
        return "a list of texts"
    if kind == "string":
        return f"a text of at most {schema['maxLength']} letters" if "maxLength" in schema else "a text"
    if kind not in ("integer", "number"):
        return _json(schema)
    words = "a whole number" if kind == "integer" else "a number"
    if least is not None:
        words += f", {least} or more" if most is None else f" from {least} to {most}"
    return words


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


class ReadSentence(NamedTuple):
    """A sentence as a model read it: the words that were read, and the `rest` after them, which may tell another change."""

    score: float
    output: Any
    words: str = ""
    rest: str = ""


def reading(predict: Predict, solver: Solver, known: Mapping[str, Iterable[str]]) -> Predict:
    """A model that reads sentences about a problem whose names are known, by kind. It sees usual names in their place, so it need not tell
    how far a name goes and what it names; then the solver corrects what it found."""
    kind = {name: one for one, own in known.items() for name in own if one in solver.usual}
    several = {name for one, own in known.items() for name in own if kind.get(name) not in (None, one)}
    found = names.by_folded(name for name in kind if name not in several)

    def read(texts: list[str]) -> list[tuple[float, Any]]:
        masked = [_with_usual_names(text, found, kind, solver.usual) for text in texts]
        made = []
        for text, (_, words, named), (score, output) in zip(texts, masked, predict([text for text, *_ in masked]), strict=True):
            made.append(
                (score, solver.settled(_with_own_names(output, words, text), text, named) if isinstance(output, Mapping) else output)
            )
        return made

    return read


def _with_usual_names(
    text: str, found: Mapping[str, str], kind: Mapping[str, str], usual: Mapping[str, Sequence[str]]
) -> tuple[str, dict[str, str], dict[str, list[str]]]:
    """A text with usual names in place of known ones, the words that each stands for, and all words of known names by kind. Of more names
    than there are usual ones, the last stay."""
    free = {one: [name for name in own if name.casefold() not in text.casefold()] for one, own in usual.items()}
    given: dict[str, str] = {}
    words: dict[str, str] = {}
    named: dict[str, dict[str, str]] = {}
    made, place = "", 0
    for start, end, name in names.find(text, found):
        named.setdefault(kind[name], {}).setdefault(name, text[start:end])
        if name not in given and free[kind[name]]:
            given[name] = free[kind[name]].pop(0)
            words[given[name]] = text[start:end]
        if name in given:
            made, place = made + text[place:start] + given[name], end
    return made + text[place:], words, {one: list(own.values()) for one, own in named.items()}


def _with_own_names(output: Change, words: Mapping[str, str], text: str) -> dict[str, Any]:
    """A model's output with the problem's own names put back. Beside one, a list drops words that belong to none: `lane 2`."""
    made: dict[str, Any] = {}
    for name, value in output.items():
        if isinstance(value, str):
            made[name] = next(iter(_known_names_in(value, words)), value)
        elif isinstance(value, list):
            meant = [_known_names_in(one, words) if isinstance(one, str) else [] for one in value]
            small = any(meant) and text != text.casefold()
            kept = [own or [one] for own, one in zip(meant, value, strict=True) if own or not (small and str(one).islower())]
            made[name] = list(dict.fromkeys(one for own in kept for one in own)) if words else value
        else:
            made[name] = value
    return made


def _known_names_in(value: str, words: Mapping[str, str]) -> list[str]:
    """The known names in a value, without the words beside them; else the one name that the value is part of."""
    small = value.casefold()
    inside = [one for one in words if one.casefold() in small]
    inside = inside or [one for one in words if len(value) > 2 and small in one.casefold()][:1]
    return [words[one] for one in sorted(inside, key=lambda one: small.find(one.casefold()))]


def read_sentence(sentence: str, predict: Predict, known: Iterable[str] = ()) -> ReadSentence:
    """The first change in a sentence. Where the model finds none in the whole, misses something, or is not sure, it reads the beginning
    and the rest as two changes.

    Args:
        predict: the score and the output of a model for each of some texts.
        known: names that the problem knows; see `unread`.
    """
    score, output = predict([sentence])[0]
    change = _without_empty(output)
    least = 0.0 if not change else _LIKELY if unread(sentence, change, known) else score
    whole = ReadSentence(score, output, sentence)
    if change and least == score >= _SURE:
        return whole
    parts = [(sentence[: cut.start()].strip(), sentence[cut.end() :].strip()) for cut in _CUT.finditer(sentence)][:_CUTS_TRIED]
    parts = [(first, rest) for first, rest in parts if first and rest]
    read = predict([text for part in parts for text in part]) if parts else []
    found = [
        ReadSentence(one * other, first, words, rest)
        for (words, rest), (one, first), (other, last) in zip(parts, read[::2], read[1::2], strict=True)
        # More than two changes: the rest as a whole may have none.
        if _without_empty(first) and (_without_empty(last) or (_CUT.search(rest) and not change))
    ]
    best = max(found, key=lambda one: one.score, default=whole)
    return best if best.score > least else whole


_LIKELY = 0.5
"""Where the reading of the whole leaves something out, parts that are likelier than this are taken."""
_SURE = 0.8
_CUT = re.compile(r"(?<=\w)[.;!]\s+|[;\n]\s*|,?\s+(?:and|also|plus|then|und)\s+|,\s+|\s+[-–+]\s+", re.IGNORECASE)
"""Where a sentence may end and another begin."""
_CUTS_TRIED = 12


def unread(sentence: str, change: Change, known: Iterable[str]) -> list[str]:
    """Times, days, numbers and known names of a sentence that no value of the change has: the model may have missed them."""
    counts = {value for value in _leaves(change) if isinstance(value, int | float)}
    taken = bytearray(len(sentence))
    for value in _leaves(change):
        if isinstance(value, str):
            _take(taken, [match.span() for match in re.finditer(re.escape(value), sentence, re.IGNORECASE)])
    found = []
    for start, end in _names_and_quantities(sentence, known):
        if not any(taken[start:end]):
            words = sentence[start:end]
            found += [] if _amounts(words) & counts else [words]
            _take(taken, [(start, end)])
    return found


def _amounts(words: str) -> set[float | None]:
    """The number in some words, and a duration in each unit: `2 hours` are 120 minutes."""
    seconds = durations.read(words)
    return {numbers.read(words), *((seconds / size for size in durations.UNITS.values()) if seconds is not None else ())}


_NEUTRAL = re.compile(
    r"a|an|the|our|is|are|and|please|pls|note that|today|now|hi|hello|ok|okay|thanks|thank you|pieces?|pcs|units?|each", re.IGNORECASE
)
"""Words that change nothing in a sentence."""
_WORD = re.compile(r"[\w'’]+|[^\w\s.,;:!()–-]")


def doubts(sentence: str, change: Change, solver: Solver, known: Iterable[str]) -> list[str]:
    """Why a sentence may not change a plan without a person; empty if it may.

    Each of its words must be a verb of this kind of change, a known name or a quantity of the change, or a word that changes
    nothing. So a negation, a condition, another tense, another object or somebody who says so leaves a word over.
    """
    telling = solver.telling.get(str(change.get("kind", "")))
    if telling is None:
        return ["a sentence never makes this kind of change without a person"]
    taken = bytearray(len(sentence))
    names_known = {_normalised(name) for name in known}
    named = False
    for value in _leaves(change):
        spans = _spans_of(re.escape(value), sentence) if isinstance(value, str) and value.strip() else []
        if isinstance(value, str) and _normalised(value) in names_known:
            named = named or bool(spans)
            _take(taken, spans)
    quantities = [value for value in _leaves(change) if isinstance(value, str)]
    counts = {value for value in _leaves(change) if isinstance(value, int | float)}
    for start, end in _quantities(sentence):
        inside = any(
            left <= start and end <= right for value in quantities if value for left, right in _spans_of(re.escape(value), sentence)
        )
        if inside or _amounts(sentence[start:end]) & counts:
            _take(taken, [(start, end)])
    verbs = [span for span in _spans_of(telling.verbs, sentence) if not any(taken[slice(*span)])]
    _take(taken, verbs)
    _take(taken, _spans_of(telling.beside, sentence) if telling.beside else [])
    _take(taken, _spans_of(_NEUTRAL.pattern, sentence))
    left = [match.group() for match in _WORD.finditer(sentence) if not all(taken[slice(*match.span())])]
    found = [] if verbs else ["no word of the sentence tells this change"]
    found += [] if named else ["the sentence names nothing of the plan in full"]
    return [*found, f"not accounted for: {', '.join(left)}"] if left else found


def _quantities(sentence: str) -> list[tuple[int, int]]:
    return [span for reader in (durations, dates, clock, relative_days, numbers) for span in reader.find(sentence)]


def _spans_of(pattern: str, sentence: str) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer(rf"(?<![\w'’])(?:{pattern})(?![\w'’])", sentence, re.IGNORECASE)]


def _take(taken: bytearray, spans: Iterable[tuple[int, int]]) -> None:
    for start, end in spans:
        taken[start:end] = b"\x01" * (end - start)


def _normalised(name: str) -> str:
    return " ".join(word[:-1] if len(word) > 3 and word.endswith("s") else word for word in names.folded(name).split())


def _names_and_quantities(sentence: str, known: Iterable[str]) -> Iterator[tuple[int, int]]:
    for name in sorted(known, key=len, reverse=True):
        yield from (match.span() for match in re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", sentence, re.IGNORECASE))
    yield from ((start, end) for start, end in _quantities(sentence) if sentence[start:end].casefold() not in _UNSPECIFIC)


_UNSPECIFIC = frozenset(("one", "single", "both", "today", "tonight", "yesterday", "heute", "gestern"))


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping | list):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _leaves(one)
    else:
        yield value


def _without_empty(given: Any) -> Any:
    if not isinstance(given, Mapping):
        return given
    kept = {name: _without_empty(value) for name, value in given.items()}
    return {name: value for name, value in kept.items() if value is not None and value != "" and value != []}


def _example(solver: Solver) -> str | None:
    return next(iter(solver.examples), None)
