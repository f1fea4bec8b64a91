"""Changes of a problem: an object that a model or a person filled, checked against the solver's schema and the sentence it came from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from smidgen.core.errors import InputError
from smidgen.core.solving import Change, Solver
from smidgen.text import clock, dates, durations, numbers, relative_days


def valid_change(solver: Solver, given: Any, sentence: str = "") -> Change:
    """The change without its empty fields. Raises InputError if the solver takes none, or not this one, naming the field. `sentence`: the
    one that it was read from."""
    if not solver.changes:
        raise InputError("a sentence cannot change this kind of plan", value=solver.name, todo="Change its tables, and solve it again.")
    change = _filled(given)
    if not isinstance(change, Mapping) or not change:
        raise InputError("no change was found in the sentence", value=sentence or str(given), todo=_todo(solver))
    from jsonschema import Draft202012Validator

    mistake = next(iter(sorted(Draft202012Validator(dict(solver.changes)).iter_errors(change), key=lambda one: list(one.path))), None)
    if mistake is not None:
        place = ".".join(str(step) for step in mistake.absolute_path)
        what = f"the change does not fit ({place + ': ' if place else ''}{mistake.message})"
        raise InputError(what, value=str(dict(change)), todo=_todo(solver))
    return change


class ReadSentence(NamedTuple):
    """A sentence as a model read it: the words that were read, and the `rest` after them, which may tell another change."""

    score: float
    output: Any
    words: str = ""
    rest: str = ""


def read_sentence(sentence: str, predict: Callable[[list[str]], Sequence[tuple[float, Any]]], names: Iterable[str] = ()) -> ReadSentence:
    """The first change that a sentence tells. Where the whole tells none, leaves something out, or the model is not sure of it, its
    beginning may tell one, and the rest another.

    Args:
        predict: the score and the output of a model for each of some texts.
        names: those that the problem knows; see `unread`.
    """
    score, output = predict([sentence])[0]
    told = _filled(output)
    least = 0.0 if not told else _LIKELY if unread(sentence, told, names) else score
    whole = ReadSentence(score, output, sentence)
    if told and least == score >= _CLEAR:
        return whole
    parts = [(sentence[: cut.start()].strip(), sentence[cut.end() :].strip()) for cut in _CUT.finditer(sentence)][:_MOST_CUTS]
    parts = [(first, rest) for first, rest in parts if first and rest]
    read = predict([text for part in parts for text in part]) if parts else []
    found = [
        ReadSentence(one * other, first, words, rest)
        for (words, rest), (one, first), (other, last) in zip(parts, read[::2], read[1::2], strict=True)
        # More than two changes: the rest tells none as a whole.
        if _filled(first) and (_filled(last) or (_CUT.search(rest) and not told))
    ]
    best = max(found, key=lambda one: one.score, default=whole)
    return best if best.score > least else whole


_LIKELY = 0.5
"""Where the reading of the whole leaves something out, parts that are likelier than this are taken."""
_CLEAR = 0.8
_CUT = re.compile(r"(?<=\w)[.;!]\s+|[;\n]\s*|,?\s+(?:and|also|plus|then|und)\s+|,\s+|\s+[-–+]\s+", re.IGNORECASE)
"""Where a sentence may end and another begin."""
_MOST_CUTS = 12


def unread(sentence: str, change: Change, names: Iterable[str]) -> list[str]:
    """Times, days and numbers of a sentence, and names that the problem knows, that are in no value of the change: the reading may lack
    something."""
    said = [value for value in _leaves(change) if isinstance(value, str)]
    counts = {value for value in _leaves(change) if isinstance(value, int | float)}
    taken = bytearray(len(sentence))
    for words in said:
        for match in re.finditer(re.escape(words), sentence, re.IGNORECASE):
            taken[match.start() : match.end()] = b"\x01" * len(match.group())
    found = []
    for start, end in _telling(sentence, names):
        words = sentence[start:end]
        seconds = durations.read(words)
        known = {numbers.read(words), *((seconds / size for size in durations.UNITS.values()) if seconds is not None else ())}
        if not any(taken[start:end]):
            found += [] if known & counts else [words]
            taken[start:end] = b"\x01" * (end - start)
    return found


def _telling(sentence: str, names: Iterable[str]) -> Iterator[tuple[int, int]]:
    """The places of known names, then of times, stretches of time, days and numbers; they may overlap."""
    for name in sorted(names, key=len, reverse=True):
        yield from (match.span() for match in re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", sentence, re.IGNORECASE))
    found = [span for reader in (durations, dates, clock, relative_days, numbers) for span in reader.find(sentence)]
    yield from ((start, end) for start, end in found if sentence[start:end].casefold() not in _TELL_LITTLE)


_TELL_LITTLE = frozenset(("one", "single", "both", "today", "tonight", "yesterday", "heute", "gestern"))


def _leaves(value: Any) -> Iterator[Any]:
    """The values in an object or a list, at any depth."""
    if isinstance(value, Mapping | list):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _leaves(one)
    else:
        yield value


def _filled(given: Any) -> Any:
    """A value without the fields that are null, empty texts or empty lists."""
    if not isinstance(given, Mapping):
        return given
    kept = {name: _filled(value) for name, value in given.items()}
    return {name: value for name, value in kept.items() if value is not None and value != "" and value != []}


def _todo(solver: Solver) -> str:
    return f'Say it as in: "{solver.examples[0]}"' if solver.examples else "Say what changes, and where."
