"""Turn the output of a tagger into calls: the tool is chosen, its arguments are found or chosen, and the call is checked.

A required argument that was not found is looked for by rule: by its pattern, as a date or an e-mail address, if the text has exactly one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from smidgen.core.forms import FieldForm
from smidgen.core.parts import Raw
from smidgen.core.replies import Reply
from smidgen.core.rows import Row
from smidgen.stats import action_metrics, calibration, field_values
from smidgen.tasks.action_form import ActionForm
from smidgen.tasks.action_plan import SharedArguments, edge_class
from smidgen.tasks.action_tools import missing_in, without_required
from smidgen.tasks.field_filling import FieldFiller, FieldsFound
from smidgen.tasks.field_parsing import Fits, stated_by_pattern, time_of, value_of
from smidgen.tasks.field_schema import Schema, kind_of
from smidgen.tasks.field_values import FieldValues
from smidgen.tasks.known_values import ListedValues
from smidgen.text import dates, numbers, stretches

_GRID = np.linspace(0.2, 0.8, 13)
_SURE = 1 - 1e-9
_NEARLY = 0.03
"""Share of the rows by which thresholds may differ and count as equally good."""
_LEAST_NEEDED = 0.3
"""The least probability of a value that the tool needs: a call without it would be asked for again."""
_LEAST_CHOSEN = 0.5
"""The least probability of a value that is chosen by the whole text though texts state it mostly."""
_BY_RULE = 0.8
"""The probability that a value found by rule alone is right, before calibration."""
_BY_LIST = 0.95
"""The probability that a value of a list is meant where a message has all of its words, before calibration."""
_LONGEST_TEXT = 2_000
"""Characters of a text in which rules look for a value."""
Codes: TypeAlias = Mapping[str, Mapping[Any, tuple[int, int]]]
"""By argument, the values whose form shows them in a text, each with its place."""
_WORD = re.compile(r"[^\W_]+(?:[-'’.&][^\W_]+)*")
_WHOLE = {"date": stretches.DAY, "time": stretches.TIME, "number": stretches.NUMBER}
"""The kind of stretch that states an argument of each kind."""


@dataclass(frozen=True)
class MadeCall:
    """A call before its score is calibrated. `chance`: the probability that all of it is right; `facts`: those of the reply."""

    call: dict[str, Any] | None
    chance: float
    facts: Mapping[str, Any]


class ActionFiller:
    """Make calls by the plan of a form; see `action_plan`."""

    def __init__(self, form: ActionForm, shared: SharedArguments) -> None:
        assert form.tagged is not None
        self._form, self._plan, self._shared = form, form.tagged, shared
        flat = FieldForm(schema=shared.schema, derived=False, instruction="", temperature=1.0, shift=0.0, tagged=form.tagged)
        self._filler = FieldFiller(FieldValues(shared.schema), flat, shared.fits)
        self._values = {name: FieldValues(without_required(schema)) for name, schema in shared.tools.items() if schema["properties"]}
        self._nodes = dict(field_values.schema_paths(shared.schema))
        self._ways = dict(zip(self._plan["kinds"], self._plan["ways"], strict=True))
        self._chosen = {choice["path"] for choice in self._plan["choices"]}
        self._known = {(tool["name"], name): ListedValues(values) for tool in form.tools for name, values in tool.get("values", {}).items()}

    def decode(self, raw: Raw) -> list[Reply]:
        """One reply per text: a call, or None. The score is the probability that all of it is right.

        Facts: `missing`, the required arguments that the text does not state; `scores`, the model's own uncalibrated probability of each
        argument; `spans`, where the text states it; `tool_score`, that of the tool.
        """
        made = self.made(raw, self._plan["threshold"], self._plan["abstain"])
        scores = calibration.platt_probability(
            calibration.logit([one.chance for one in made]), 1 / self._form.temperature, self._form.shift
        )
        likely = self._tools(raw)
        return [
            Reply(one.call, float(score), _others(tools, one.call), one.facts, chances=tools, calling=self._calling(raw, place))
            for place, (one, score, tools) in enumerate(zip(made, scores, likely, strict=True))
        ]

    def _calling(self, raw: Raw, place: int) -> Callable[[str], Reply]:
        """The reply that calls a given tool for one text. Its score is the probability that this call is right."""
        own: Raw = {name: [raw[name][place]] for name in ("spans", "choices", "inputs")}
        (tools,) = self._tools(own)

        def calling(tool: str) -> Reply:
            if tool not in self._shared.tools:
                raise KeyError(tool)
            kept = {**own, "spans": [self._own_spans(own["spans"][0], tool, own["inputs"][0])]}
            (reading,) = self._filler.read(kept)
            one = self._made(tool, {tool: 0.0, **tools}, reading, own["inputs"][0], self._plan["threshold"])
            (score,) = calibration.platt_probability(calibration.logit([one.chance]), 1 / self._form.temperature, self._form.shift)
            return Reply(one.call, float(score), (), one.facts, chances=tools)

        return calling

    def fitted(self, raw: Raw, rows: Sequence[Row]) -> dict[str, float]:
        """The thresholds with the most right tools, and then the most right arguments, on held-out rows."""
        gold = [row.output for row in rows]
        # Held-out rows are near the training rows, and later messages are not: of thresholds that are as good, the lowest.
        abstain = _lowest([_right_tools(self.made(raw, 0.5, float(one)), gold) for one in _GRID], len(rows))
        threshold = _middle([_right_arguments(self.made(raw, float(one), abstain), gold) for one in _GRID])
        return {"abstain": abstain, "threshold": threshold}

    def made(self, raw: Raw, threshold: float, abstain: float) -> list[MadeCall]:
        """The calls for texts, by two thresholds."""
        tools = self._tools(raw)
        named = [max(own, key=lambda name: own[name], default=None) for own in tools]
        # Not sure enough, or no call is likelier still: then there is none.
        named = [
            name if name is not None and own[name] >= max(abstain, 1 - sum(own.values())) else None
            for name, own in zip(named, tools, strict=True)
        ]
        kept = {
            **raw,
            "spans": [self._own_spans(spans, name, text) for spans, name, text in zip(raw["spans"], named, raw["inputs"], strict=True)],
        }
        return [
            self._made(name, own, reading, text, threshold)
            for name, own, reading, text in zip(named, tools, self._filler.read(kept), raw["inputs"], strict=True)
        ]

    def _tools(self, raw: Raw) -> list[dict[str, float]]:
        """The probability of each tool for each text, in a stable order; the rest up to 1 is that of no call."""
        values = self._plan["choices"][0]["values"]
        return [{name: float(chance) for name, chance in zip(values, own[0], strict=True) if name is not None} for own in raw["choices"]]

    def _own_spans(self, spans: Sequence[Sequence[float]], tool: str | None, text: str) -> list[Sequence[float]]:
        """The spans of arguments that the tool has. Those of a day, a time or a number take all of it."""
        if tool is None:
            return []
        own, kinds = self._shared.paths[tool], self._plan["kinds"]
        place = self._plan["choices"][0]["values"].index(tool)
        read = [span[:4] for span in spans if span[4:] == [place]] or [span[:4] for span in spans]
        kept = [self._edged(span, text) for span in read if kinds[int(span[2])] in own]
        if not any(self._ways[kinds[int(span[2])]]["kind"] in _WHOLE for span in kept):
            return kept
        known = stretches.stretches(text)
        merged: dict[tuple[int, int, int], float] = {}
        for start, end, kind, chance in kept:
            wanted = _WHOLE.get(self._ways[kinds[int(kind)]]["kind"])
            touched = [one for one in known if one[2] == wanted and one[0] < end and one[1] > start]
            place = (touched[0][0], touched[0][1]) if len(touched) == 1 else (int(start), int(end))
            merged[*place, int(kind)] = min(1.0, merged.get((*place, int(kind)), 0.0) + chance)
        return [[*place, chance] for place, chance in merged.items()]

    def _edged(self, span: Sequence[float], text: str) -> Sequence[float]:
        """A span with the whole of an e-mail address that it touches; else without signs and small words at its ends that training values
        do not have there."""
        way = self._ways[self._plan["kinds"][int(span[2])]]
        address = next((found for found in stretches.EMAIL_FORM.finditer(text) if found.start() < span[1] and span[0] < found.end()), None)
        if address is not None:
            return [min(span[0], address.start()), max(span[1], address.end()), *span[2:]]
        if "edges" not in way:
            return span
        words = [match.span() for match in _WORD.finditer(text, int(span[0]), int(span[1]))]
        first, last = way["edges"]
        while len(words) > 1 and edge_class(text[slice(*words[0])]) not in first:
            words = words[1:]
        while len(words) > 1 and edge_class(text[slice(*words[-1])]) not in last:
            words = words[:-1]
        return [words[0][0] if words else span[0], words[-1][1] if words else span[1], *span[2:]]

    def _made(self, tool: str | None, tools: Mapping[str, float], reading: FieldsFound, text: str, threshold: float) -> MadeCall:
        if tool is None:
            return MadeCall(None, min(_SURE, 1 - max(tools.values(), default=0.0)), {})
        paths, schema = self._shared.paths[tool], self._shared.tools[tool]
        needed = set(missing_in({}, schema)) | {path for path in paths.values() if "." in path}
        given: dict[str, Any] = {}
        scores: dict[str, float] = {}
        spans: dict[str, list[list[int]]] = {}
        whole = math.log(max(tools[tool], 1e-9))
        codes = {path: self._stated(path, text) for path in paths if _shows_itself(self._nodes[path])}
        for path, own in paths.items():
            named = known.named(text) if (known := self._known.get((tool, own))) is not None else None
            if named is not None:
                value, chance, places = named.value, _BY_LIST * named.share, [list(named.place)]
            else:
                value, chance, places = self._value(path, reading, text, threshold, own in needed, codes)
            whole += math.log(max(chance, 1e-9))
            if value is not None:
                given[own], scores[own] = value, round(chance, 6)
            if value is not None and places:
                spans[own] = places
        arguments = self._settled(tool, _nested(given, schema))
        found = {"missing": list(missing_in(arguments, schema)), "scores": scores, "spans": spans}
        facts = {"tool_score": round(tools[tool], 6), **{name: own for name, own in found.items() if own}}
        return MadeCall({"tool": tool, "arguments": arguments}, math.exp(whole), facts)

    def _stated(self, path: str, text: str) -> dict[Any, tuple[int, int]]:
        """The values of an argument that its schema shows in a text, each with its place."""
        return dict(_stated(self._nodes[path], text[:_LONGEST_TEXT], self._shared.fits[path], self._ways.get(path, {})))

    def _value(
        self, path: str, reading: FieldsFound, text: str, threshold: float, needed: bool, codes: Codes
    ) -> tuple[Any, float, list[list[int]]]:
        """The value of an argument, or None; the probability of that decision; and the places where the text states it."""
        by_rule = self._by_rule(path, text, codes) if needed or _shows_itself(self._nodes[path]) else None
        if by_rule is not None and _shows_itself(self._nodes[path]):
            return by_rule[0], _BY_RULE, [list(by_rule[1])]
        chosen = reading.chosen.get(path, (None, 1.0)) if path in self._chosen else None
        if path not in self._ways and chosen is not None:
            return *chosen, []
        if path in self._ways:
            way, found = self._ways[path], reading.found[path]
            sure = [one for one in found if one.chance >= (min(threshold, _LEAST_NEEDED) if needed else threshold)]
            kept = sure[: self._nodes[path].get("maxItems")] if way["list"] else sure[:1]
            if kept:
                kept = sorted(kept, key=lambda one: one.place)
                rest = found[len(kept) :] if way["list"] else []
                chance = math.prod([one.chance for one in kept]) * math.prod([1 - min(one.chance, _SURE) for one in rest])
                return ([one.value for one in kept] if way["list"] else kept[0].value), chance, [list(one.place) for one in kept]
            if chosen is not None and (chosen[0] is None or chosen[1] >= _LEAST_CHOSEN):  # the text has another word for the value
                return *chosen, []
            without = math.prod([1 - min(one.chance, _SURE) for one in found])
        else:
            without = 1.0
        if by_rule is not None:
            return by_rule[0], _BY_RULE, [list(by_rule[1])]
        return None, without, []

    def _by_rule(self, path: str, text: str, codes: Codes) -> tuple[Any, tuple[int, int]] | None:
        """The only value of a text by the schema's pattern or format, with its place; None if there is none, or more than one.

        Ignore a match inside another argument's match: the order FH-20104 does not state the post code 20104.
        """
        others = [place for other, own in codes.items() if other != path for place in own.values()]
        stated = codes[path] if path in codes else self._stated(path, text)
        found = {value: place for value, place in stated.items() if not any(_within(place, other) for other in others)}
        return next(iter(found.items())) if len(found) == 1 else None

    def _settled(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Arguments in the types and the order of the schema. Each value fits its own part; one that does not is left out."""
        values = self._values.get(tool)
        if values is None:
            return {}
        settled = values.settled(arguments)
        while values.fault(settled):
            settled = {name: value for name, value in settled.items() if not values.fault({name: value})}
            if len(settled) == len(arguments):  # the arguments do not fit together
                return {}
            arguments = settled
        return settled


def _within(place: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether a place is a part of another, and not all of it."""
    return other[0] <= place[0] and place[1] <= other[1] and place != other


def _shows_itself(node: Schema) -> bool:
    """Whether the form of an argument's value shows which words state it, whatever stands around them."""
    return kind_of(node)[0] == "string" and (node.get("pattern") is not None or node.get("format") == "email") and "enum" not in node


def _stated(node: Schema, text: str, fits: Fits, way: Mapping[str, Any]) -> Iterator[tuple[Any, tuple[int, int]]]:
    """Every value of a text that a pattern, a format or a type of the schema shows. `way`: how training texts state it, if they do."""
    kind, pattern = kind_of(node)[0], node.get("pattern")
    if kind in ("integer", "number"):
        for start, end in _of_kind(text, stretches.NUMBER):
            number = numbers.read(text[start:end], way.get("mark", "."))
            if number is not None and fits(number):
                yield number, (start, end)
    elif way.get("kind") == "time":
        for start, end in _of_kind(text, stretches.TIME):
            time = time_of(text[start:end], way["late"])
            if time is not None and fits(time):
                yield time, (start, end)
    elif kind == "string" and pattern is not None:
        yield from stated_by_pattern(pattern, text, fits)
    elif kind == "string" and node.get("format") == "email":
        yield from ((match.group(), match.span()) for match in stretches.EMAIL_FORM.finditer(text) if fits(match.group()))
    elif kind == "string" and node.get("format") == "date":
        known = way.get("kind") == "date"
        for start, end in _of_kind(text, stretches.DAY):
            told = text[start:end]
            day = value_of(told, dict(way), fits) if known else dates.read(told)
            if day is not None and fits(day) and (known or not dates.either_way(told)):
                yield day, (start, end)


def _of_kind(text: str, kind: str) -> list[tuple[int, int]]:
    return [(start, end) for start, end, own in stretches.stretches(text) if own == kind]


def _nested(given: Mapping[str, Any], schema: Schema, before: str = "") -> dict[str, Any]:
    """Arguments from values by path. An object without any value is left out."""
    made: dict[str, Any] = {}
    for name, node in schema["properties"].items():
        path = f"{before}{name}"
        if "properties" in node:
            if inner := _nested(given, node, f"{path}."):
                made[name] = inner
        elif path in given:
            made[name] = given[path]
    return made


def _others(tools: Mapping[str, float], call: Mapping[str, Any] | None) -> tuple[tuple[Any, float], ...]:
    """The two other likeliest tools, as calls without arguments; no call is one of them."""
    every: list[tuple[str | None, float]] = [*tools.items(), (None, max(0.0, 1 - sum(tools.values())))]
    own = None if call is None else call["tool"]
    best = sorted((one for one in every if one[0] != own), key=lambda one: -one[1])[:2]
    return tuple((None if name is None else {"tool": name, "arguments": {}}, chance) for name, chance in best)


def _right_tools(made: Sequence[MadeCall], gold: Sequence[Any]) -> int:
    return sum(action_metrics.tool_of(one.call) == action_metrics.tool_of(row) for one, row in zip(made, gold, strict=True))


def _right_arguments(made: Sequence[MadeCall], gold: Sequence[Any]) -> int:
    """Right arguments minus wrong ones."""
    pairs = [(action_metrics.argument_pairs(row), action_metrics.argument_pairs(one.call)) for one, row in zip(made, gold, strict=True)]
    return sum(2 * field_values.count_shared(a, b) - b.total() for a, b in pairs)


def _lowest(worth: Sequence[int], rows: int) -> float:
    """The lowest of the thresholds that are worth most, or nearly."""
    return float(_GRID[int(np.argmax(np.array(worth) >= max(worth) - max(1, round(_NEARLY * rows))))])


def _middle(worth: Sequence[int]) -> float:
    """The middle of the thresholds that are worth most."""
    best = _GRID[np.array(worth) == max(worth)]
    return float(best[np.abs(best - np.median(best)).argmin()])
