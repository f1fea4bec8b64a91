"""The form of a model that calls tools."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Annotated, Any

from pydantic import Field, StrictStr

from smidgen.core.forms import AnswerShape, Coefficient, Form, Renaming, TagSet, Temperature, TextMark, WritingTerms
from smidgen.stats import field_values
from smidgen.tasks import action_tools
from smidgen.tasks.action_tools import ToolFacts


class ActionForm(Form):
    """A call of one of some tools, or none.

    Attributes:
        tools: the tools; see `action_tools.ToolFacts`.
        instruction: the instruction for a model that writes.
        temperature, shift: the curve from an answer's likelihood to the probability that all of it is right.
        tagged: how a tagger makes calls; see `action_plan`. None for a model that writes them.
        today: the day that `tomorrow` and the like count from, as YYYY-MM-DD; None for the day of reading.
    """

    tools: Annotated[tuple[dict[str, Any], ...], Field(min_length=1, max_length=action_tools.MOST_TOOLS)]
    instruction: StrictStr
    temperature: Temperature
    shift: Coefficient
    tagged: dict[str, Any] | None = None
    today: StrictStr | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The tools."""
        return action_tools.called(self.tools)

    @property
    def tagging(self) -> TagSet | None:
        """The tool as a choice, and the arguments, which are found in the text or chosen too."""
        return TagSet(tuple(self.tagged["kinds"]), tuple(self.tagged["choices"])) if self.tagged is not None else None

    @property
    def writing(self) -> WritingTerms:
        """The instruction, and the schema of every answer."""
        return WritingTerms(self.instruction, schema=self.call_schema)

    @property
    def call_schema(self) -> dict[str, Any]:
        """The JSON schema of every answer: a call of one of the tools, in which any argument may be missing; or null."""
        return {"anyOf": [{"type": "null"}, *map(_call_of, self.tools)]}

    @property
    def json_answers(self) -> bool:
        """An object, or null."""
        return True

    @property
    def pipeline(self) -> str:
        """A classifier of words, or a writer."""
        return "text-generation" if self.tagged is None else "token-classification"

    @property
    def shape(self) -> AnswerShape:
        """JSON."""
        return "value"

    @property
    def listed(self) -> dict[str, Any]:
        """The tools, as OpenAI's API names them."""
        shown = ({name: own for name, own in tool.items() if name != "values"} for tool in self.tools)
        return {"tools": [{"type": "function", "function": tool} for tool in shown]}

    @property
    def answer_keys(self) -> tuple[str, ...]:
        """The names in a call."""
        return ("tool", "arguments")

    @property
    def columns(self) -> tuple[str, ...]:
        """The tool, and the arguments of all tools."""
        return ("tool", *self._arguments)

    def cells(self, output: Any, facts: Mapping[str, Any]) -> list[Any]:
        """The tool, and the values of its arguments."""
        if output is None:
            return [None] * len(self.columns)
        found = field_values.values_by_path(output["arguments"])
        return [output["tool"], *("; ".join(map(str, found[path])) if path in found else None for path in self._arguments)]

    def marks(self, output: Any, facts: Mapping[str, Any]) -> tuple[TextMark, ...]:
        """The places where the text states an argument."""
        scores = facts.get("scores") or {}
        found = ((start, end, path) for path, places in (facts.get("spans") or {}).items() for start, end in places)
        return tuple(TextMark(start, end, path, scores.get(path)) for start, end, path in sorted(found))

    def purpose(self, quote: Callable[[str], str]) -> str:
        """The tools."""
        lines = "\n".join(f"- {quote(action_tools.told(tool))}" for tool in self.tools)
        return (
            "It reads a message and answers with a call of one of these tools, as JSON with `tool` and `arguments`, or with null where "
            "none fits. It calls nothing itself. Each argument fits the tool's schema. What the message does not state is left out, and "
            f"named as missing where the tool needs it.\n\n{lines}"
        )

    @property
    def limits(self) -> tuple[str, ...]:
        """Several calls, and running them."""
        return (
            "Messages that ask for several calls: it gives one.",
            "Running a call that changes something without the yes of the person that it concerns.",
        )

    def uncalibrated(self) -> ActionForm:
        """The form in which an answer's score is its likelihood."""
        return self.model_copy(update={"temperature": 1.0, "shift": 0.0})

    def renamed(self, by: Renaming) -> ActionForm:
        """A copy with other descriptions and instruction; names of tools and arguments stay, as calls need them."""
        tools = tuple({**tool, "description": by.text(tool["description"])} for tool in self.tools)
        return self.model_copy(update={"tools": tools, "instruction": by.text(self.instruction)})

    @cached_property
    def _arguments(self) -> tuple[str, ...]:
        paths = (path for tool in self.tools for path, _ in field_values.schema_paths(tool["parameters"]))
        return tuple(dict.fromkeys(paths))


def _call_of(tool: ToolFacts) -> dict[str, Any]:
    arguments = action_tools.without_required(tool["parameters"])
    properties = {"tool": {"type": "string", "enum": [tool["name"]]}, "arguments": arguments}
    return {"type": "object", "properties": properties, "required": ["tool", "arguments"], "additionalProperties": False}
