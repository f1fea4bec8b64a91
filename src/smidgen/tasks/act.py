"""Act: from a message to the call of a tool, with its arguments; or to none. It proposes calls and runs none."""

from __future__ import annotations

import datetime
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from smidgen.core.abilities import Dialogue, PartialCredit, ProjectFiles, StudentTargets, TaskPage, Teaching, ToolCalls
from smidgen.core.errors import DataError, RecipeError
from smidgen.core.forms import AnswerOutline, Form
from smidgen.core.parts import Raw, Task
from smidgen.core.quantities import Metric
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, Text
from smidgen.core.settings import Settings, setting
from smidgen.core.tool_calls import ToolAnswer, ToolsAsked
from smidgen.stats import action_metrics, calibration
from smidgen.tasks import action_answer, action_plan, action_tools, teacher_answers
from smidgen.tasks.action_filling import ActionFiller
from smidgen.tasks.action_form import ActionForm
from smidgen.tasks.action_plan import SharedArguments
from smidgen.tasks.action_tools import ToolFacts
from smidgen.tasks.field_values import FieldValues, written
from smidgen.tools.definition import Tool

_NO_CALL = ("", "null", "none")
"""Cells that mean no call."""


class ActSettings(Settings):
    """Settings of calls."""

    tools: str | None = setting(
        None,
        "File with the tools: a TOML file, or a JSON list of names, descriptions and schemas of arguments.",
        flag="--tools",
        file=True,
    )
    today: str | None = setting(
        None,
        "The day that words such as tomorrow count from, as YYYY-MM-DD, in rows and messages. Default: the day of reading.",
        flag="--today",
        pattern=r"^\d{4}-\d{2}-\d{2}$",
    )


class CallCredit(PartialCredit):
    """The tool and each argument count for themselves."""

    def overlap(self, one: Any, other: Any) -> float:
        """F1 of the tool and the arguments."""
        return action_metrics.call_overlap(one, other)

    def by_heart(self, rows: Sequence[Row], form: ActionForm) -> list[Any]:
        """The most frequent call of the other rows."""
        counts = Counter(written(row.output) if row.output is not None else "null" for row in rows)
        found = []
        for row in rows:
            others = counts - Counter([written(row.output) if row.output is not None else "null"])
            found.append(json.loads(others.most_common(1)[0][0]) if others else None)
        return found


class CallTeaching(Teaching):
    """A larger model answers with a call as JSON."""

    def instruction(self, form: ActionForm) -> str:
        """The tools, and the form of a call."""
        tools = json.dumps([{name: own for name, own in tool.items() if name != "values"} for tool in form.tools], ensure_ascii=False)
        return (
            "Which tool does the message ask for? Answer with JSON and nothing else: "
            '{"tool": its name, "arguments": {...}} by its schema, or null if no tool fits. Leave out arguments that the message does not '
            f"state, even if the tool needs them. Never guess a value. The tools:\n{tools}"
        )

    def read(self, answer: str, form: ActionForm, text: Text = "") -> dict[str, Any] | None:
        """The call in a larger model's answer. Raises ValueError if it is none, or does not fit its tool."""
        if answer.strip().strip("`").strip().lower() in _NO_CALL:
            return None
        try:
            found = _call(teacher_answers.json_in(answer))
        except ValueError:
            raise ValueError("it is no call") from None
        try:
            return _checked(found, form.tools, _values_of(form.tools))
        except ValueError:
            raise ValueError("it does not fit the tools") from None


class ArgumentDialogue(Dialogue):
    """A message that answers a question for missing arguments is read with those before it."""

    def text(self, messages: Sequence[Mapping[str, Any]]) -> Text | None:
        """The messages of the user since the model last answered anything but such a question."""
        said: list[str] = []
        for place in range(len(messages) - 1, -1, -1):
            if messages[place]["role"] == "user":
                said.insert(0, messages[place]["content"])
            elif messages[place]["role"] != "assistant" or not action_answer.is_asking(messages[place]["content"]):
                break
        return "\n".join(said) if len(said) > 1 and messages[-1]["role"] == "user" else None


class ActionCalls(ToolCalls):
    """Calls of the tools that the model was built with, and of those that a request brings."""

    def texts(self, asked: ToolsAsked, form: ActionForm) -> list[str]:
        """Descriptions of tools that the model was not built with."""
        return action_answer.texts_of(asked, form)

    def answer(self, text: Text, reply: Reply, asked: ToolsAsked, form: ActionForm, vectors: Sequence[Sequence[float]] = ()) -> ToolAnswer:
        """A call with all arguments that its tool needs, a question for those that are missing, or nothing."""
        return action_answer.answer(text, reply, asked, form, vectors)

    def words(self, reply: Reply, form: ActionForm) -> str:
        """The call in words, by the tool's description."""
        if reply.output is None:
            return "No tool fits."
        tool = next((tool for tool in form.tools if tool["name"] == reply.output["tool"]), {})
        told = Tool(reply.output["tool"], str(tool.get("description", "")), tool.get("parameters", {}))
        missing = [told.title(name) for name in told.required if name not in reply.output["arguments"]]
        return told.wording(reply.output["arguments"]) + (f"; missing: {', '.join(missing)}" if missing else "")


class ToolFiles(ProjectFiles):
    """Tools with their examples, and a table of messages with calls."""

    kinds = MappingProxyType({"tools": "act.tools", "calls": "data.train"})

    def rows(self, settings: ActSettings) -> list[Row]:
        """The examples of the tools."""
        found = action_tools.examples(settings.tools) if settings.tools is not None else []
        return [Row(message, call, number) for number, (message, call) in enumerate(found, start=1)]


class CallPage(TaskPage):
    """Calls as JSON."""

    def outline(self, outputs: Sequence[Any], settings: ActSettings) -> AnswerOutline:
        """JSON."""
        return AnswerOutline("value")

    def likely(self, cells: Sequence[Any]) -> float:
        """The share of cells that hold a call."""
        found = 0
        for cell in cells:
            try:
                found += part.parse(cell, ActSettings()) is not None
            except ValueError:
                continue
        return found / len(cells) if cells else 0.0


class CallTargets(StudentTargets):
    """A tagger learns the places that state arguments, and the choices; a decoder learns JSON.

    Args:
        form: the form, once it is known.
    """

    def __init__(self, form: ActionForm | None) -> None:
        self._form = form

    def shared(self, form: ActionForm) -> SharedArguments:
        """The shared arguments of a form: those of its own form, unless it has other tools."""
        if self._shared is not None and self._form is not None and self._form.tools == form.tools:
            return self._shared
        return SharedArguments(form.tools)

    @cached_property
    def _shared(self) -> SharedArguments | None:
        return SharedArguments(self._form.tools) if self._form is not None else None

    def spans(self, rows: Sequence[Row], form: ActionForm) -> list[Row]:
        """The rows to train a tagger on: the places that state arguments, and the choices."""
        assert form.tagged is not None
        return action_plan.marked_rows(rows, form.tagged, self.shared(form))

    def text(self, output: Any, form: ActionForm) -> str:
        """The call as a model should write it: JSON without blanks."""
        return "null" if output is None else written(output)

    def replanned(self, rows: Sequence[Row], form: ActionForm) -> ActionForm:
        """The form with the plan of these rows, for the same tools."""
        plan = action_plan.plan_for([row.input for row in rows], [row.output for row in rows], form.tools, form.today)
        return form.model_copy(update={"tagged": plan})


class Act(Task):
    """The task `act`.

    Args:
        form: the form, once it is known: outputs are then checked by its tools.
    """

    name = "act"
    summary = "Choose the tool that a message asks for, and its arguments: look up an order, book a time, switch a light."
    settings = ActSettings
    students: tuple[str, ...] = ("kernel-tagger", "tagger")
    baseline = "lexical"
    headline = "exact_match"
    quick = {"student": {"kind": "kernel-tagger"}}  # noqa: RUF012
    form_type = ActionForm
    teaching = CallTeaching()
    partial_credit = CallCredit()
    files = ToolFiles()
    multilingual = True
    loss_words = "the call is not exactly the reference"
    dialogue = ArgumentDialogue()
    calls = ActionCalls()
    page = CallPage()

    def __init__(self, form: ActionForm | None = None) -> None:
        self._form = form
        self.targets: CallTargets = CallTargets(form)

    def formed(self, form: Form) -> Task:
        """The task of these tools."""
        return Act(form) if isinstance(form, ActionForm) else self

    def parse(self, value: Any, settings: ActSettings) -> dict[str, Any] | None:
        """A call, or JSON of one; None for an empty cell or `null`. Raises ValueError with the reason for anything else."""
        if isinstance(value, str):
            if value.strip().lower() in _NO_CALL:
                return None
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                raise ValueError('JSON is expected, such as {"tool": "order_status", "arguments": {"order": "A-1"}}, or null') from None
        return _call(value)

    def place(self, text: Text, output: Any) -> dict[str, Any] | None:
        """The call with its arguments in the order and the types of the tool's schema. Raises ValueError if it does not fit. Arguments
        that the tool needs may be missing. Before the form is known, calls stay unchanged."""
        return output if self._form is None else _checked(output, self._form.tools, self._values)

    def form(self, rows: Sequence[Row], settings: ActSettings) -> ActionForm:
        """The form: the tools, and the plan for a tagger. Raises DataError for rows that cannot teach it, RecipeError for tools that cannot
        be used."""
        if settings.tools is None:
            raise RecipeError("tasks.no_tools_are_named", value="act.tools")
        tools = action_tools.read(settings.tools)
        values = _values_of(tools)
        calls = [_checked_row(row, tools, values) for row in rows]
        counts = Counter(action_metrics.tool_of(call) for call in calls)
        if not counts:
            raise DataError("tasks.there_are_no_messages_with_calls")
        if not any(call is not None for call in calls):
            raise DataError("tasks.no_row_has_call", rows=len(rows))
        if len(counts) < 2:
            raise DataError("tasks.every_row_calls_same_tool", value=next(iter(counts)))
        instruction = "Answer with the call of a tool as JSON, or with null if none fits. Tools: " + "; ".join(
            map(action_tools.told, tools)
        )
        today = _day(settings.today)
        plan = action_plan.plan_for([row.input for row in rows], calls, tools, today)
        return ActionForm(tools=tuple(tools), instruction=instruction, temperature=1.0, shift=0.0, tagged=plan, today=today)

    def form_fault(self, form: ActionForm, raw: Raw | None = None) -> str:
        """Why a form cannot decide anything: tools that cannot be read, a plan that names unknown arguments, or other choices than the
        model's."""
        tools, mistakes = action_tools.normal(list(form.tools))
        if mistakes:
            return f"the tools cannot be used ({mistakes[0]})"
        if form.tagged is None:
            return "there is no plan for the model's output" if raw is not None and "spans" in raw else ""
        return action_plan.fault(form.tagged, SharedArguments(tools), raw)

    def strata(self, rows: Sequence[Row]) -> list[str]:
        """The tool, with the arguments that are missing or given, so that rare combinations are split evenly."""
        return [_kind(row.output) for row in rows]

    def calibrate(self, raw: Raw, rows: Sequence[Row], form: ActionForm, settings: ActSettings) -> ActionForm:
        """The form with thresholds for the tool and its arguments, and a curve from a call's likelihood to the probability that all of it
        is right."""
        if "spans" in raw:
            assert form.tagged is not None
            fitted = ActionFiller(form, self.targets.shared(form)).fitted(raw, rows)
            form = form.model_copy(update={"tagged": {**form.tagged, **fitted}})
        else:
            form = form.model_copy(update={"tagged": None})
        plain = self.decode(raw, form.uncalibrated())
        right = [action_metrics.equal_calls(row.output, reply.output) for row, reply in zip(rows, plain, strict=True)]
        steep, shift = calibration.fit_platt(calibration.logit([reply.score for reply in plain]), right)
        return form.model_copy(update={"temperature": 1 / steep, "shift": shift})

    def decode(self, raw: Raw, form: ActionForm) -> list[Reply]:
        """One reply per text: a call that fits its tool, or None. The fact `missing` names required arguments that the text does not
        state: such a call is not complete, and the arguments must be asked for."""
        if "spans" in raw:
            return ActionFiller(form, self.targets.shared(form)).decode(raw)
        likely = np.asarray(raw["likelihood"], dtype=np.float64)
        scores = calibration.platt_probability(calibration.logit(likely), 1 / form.temperature, form.shift)
        values = self._values if self._form is form else _values_of(form.tools)
        made = []
        for place, text in enumerate(raw["texts"]):
            facts: dict[str, Any] = {"tokens": int(raw["tokens"][place])}
            try:
                if raw["finished"][place] < 0.5:
                    raise ValueError("it was cut")
                call = _checked(_call(json.loads(text)), form.tools, values)
            except (ValueError, RecursionError) as error:
                made.append(Reply(None, 0.0, facts={**facts, "refused": f"what was written is no call ({error})"}))
                continue
            if call is not None and (missing := _missing(call, form.tools)):
                facts["missing"] = missing
            made.append(Reply(call, float(scores[place]), facts=facts))
        return made

    def measure(self, rows: Sequence[Row], replies: Sequence[Reply], form: ActionForm) -> dict[str, Metric]:
        """exact_match: the right tool with exactly the right arguments, or rightly none. See `action_metrics.measure_calls`."""
        return action_metrics.measure_calls([row.output for row in rows], [reply.output for reply in replies])

    def content(self, reply: Reply) -> str:
        """The call as JSON, or `null`."""
        return json.dumps(reply.output, ensure_ascii=False)

    @cached_property
    def _values(self) -> dict[str, FieldValues]:
        return _values_of(self._form.tools) if self._form is not None else {}


def _day(today: str | None) -> str | None:
    """A day as the settings give it. Raises RecipeError if there is no such day."""
    try:
        return None if today is None else datetime.date.fromisoformat(today).isoformat()
    except ValueError:
        raise RecipeError("tasks.there_is_no_such_day", today=today) from None


def _call(value: Any) -> dict[str, Any] | None:
    """A call of the form `{"tool", "arguments"}`; `name` and `function` are read too, as OpenAI's API has them."""
    if value is None or value == {}:
        return None
    if isinstance(value, Mapping) and isinstance(value.get("function"), Mapping):
        value = value["function"]
    if not isinstance(value, Mapping):
        raise ValueError("an object with tool and arguments is expected, or null")
    name = value.get("tool", value.get("name"))
    arguments = value.get("arguments")
    if strange := set(value) - {"tool", "name", "arguments"}:
        raise ValueError(f"a call has tool and arguments, not {sorted(strange)[0]!r}")
    if name is None and not arguments:
        return None
    if not isinstance(name, str) or not name.strip():
        raise ValueError("the call names no tool")
    if isinstance(arguments, str):
        arguments = json.loads(arguments or "{}")
    if not isinstance(arguments or {}, Mapping):
        raise ValueError("the arguments of a call are an object")
    return {"tool": name.strip(), "arguments": dict(arguments or {})}


def _values_of(tools: Sequence[ToolFacts]) -> dict[str, FieldValues]:
    return {tool["name"]: FieldValues(action_tools.without_required(tool["parameters"])) for tool in tools}


def _checked(call: Mapping[str, Any] | None, tools: Sequence[ToolFacts], values: Mapping[str, FieldValues]) -> dict[str, Any] | None:
    """A call in the types and the order of its tool's schema. Raises ValueError if it does not fit."""
    if call is None:
        return None
    own = values.get(call["tool"])
    if own is None:
        raise ValueError(f"{call['tool']!r} is none of the tools, which are {', '.join(action_tools.called(tools))}")
    given = {name: value for name, value in call["arguments"].items() if value is not None}
    settled = {name: value for name, value in own.settled(given).items() if value is not None}
    if fault := own.fault(settled):
        raise ValueError(fault)
    return {"tool": call["tool"], "arguments": settled}


def _checked_row(row: Row, tools: Sequence[ToolFacts], values: Mapping[str, FieldValues]) -> dict[str, Any] | None:
    try:
        return _checked(row.output, tools, values)
    except ValueError as error:
        raise DataError("tasks.call_does_not_fit_its_tool", value=row.output, error=error, row=row.number or None) from error


def _missing(call: Mapping[str, Any], tools: Sequence[ToolFacts]) -> list[str]:
    schema = next(tool["parameters"] for tool in tools if tool["name"] == call["tool"])
    return list(action_tools.missing_in(call["arguments"], schema))


def _kind(call: Mapping[str, Any] | None) -> str:
    return "" if call is None else f"{call['tool']}({','.join(sorted(call['arguments']))})"


part = Act()
