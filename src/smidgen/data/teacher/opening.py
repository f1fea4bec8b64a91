"""How every conversation with a teacher begins: the job in the user's words, and the names that answers are held to.

Labels, kinds, fields and their choices are names, not running text: each is sent whole or not at all, so that what the teacher is asked for
stays what it was. A name that is personal has one stand-in, which is put back in what is answered.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from smidgen.core.parts import Form
from smidgen.data import forms
from smidgen.data.teacher.leaves import changed, masked
from smidgen.data.teacher.privacy import Find, Redactor


@dataclass(frozen=True)
class Opening:
    """What is told first.

    Attributes:
        description: what the job is.
        form: the task's form, as the teacher is told of it.
        redactor: what both went through, which all conversations go on from; None where nothing leaves this machine.
    """

    description: str
    form: Form
    redactor: Redactor | None = None

    def begun(self) -> Redactor:
        """The redactor of a new conversation."""
        return Redactor() if self.redactor is None else self.redactor.begun()

    def safe(self, redactor: Redactor) -> Callable[[Any], Any]:
        """What makes a text, or the texts in what JSON can hold, safe to be sent in that conversation. It raises RedactionError."""
        return _same if self.redactor is None else functools.partial(masked, redactor=redactor)


def opened(description: str, form: Form, find: Find | None) -> Opening:
    """The opening of conversations; without `find` they stay on this machine, and nothing is changed.

    Raises RedactionError where the description or a name cannot be made safe to send.
    """
    if find is None:
        return Opening(description, form)
    redactor = Redactor(find, forms=forms.usual)
    told = dict(form)
    if "kinds" in form:
        redactor.keep("text", "label")  # the names of the answer's own fields
    for name in ("labels", "kinds"):
        if name in form:
            told[name] = [redactor.name(label) for label in form[name]]
    if isinstance(form.get("unknown"), str):
        told["unknown"] = redactor.name(form["unknown"])
    if "schema" in form:
        told["schema"] = _schema(form["schema"], redactor)
    if isinstance(form.get("instruction"), str):
        told["instruction"] = redactor.mask(form["instruction"])
    return Opening(redactor.mask(description), told, redactor)


def _schema(node: Any, redactor: Redactor) -> Any:
    """A schema of the same form: its fields and choices by their names, its descriptions as texts, the rest as it is."""
    if isinstance(node, list):
        return [_schema(one, redactor) for one in node]
    if not isinstance(node, Mapping):
        return node
    made: dict[str, Any] = {}
    for key, value in node.items():
        if key == "properties":
            made[key] = {redactor.name(field): _schema(inner, redactor) for field, inner in value.items()}
        elif key == "required":
            made[key] = [redactor.name(field) for field in value]
        elif key == "enum":
            made[key] = [changed(one, lambda choice: redactor.name(choice, value=True)) for one in value]
        elif key == "description":
            made[key] = redactor.mask(value)
        elif key != "pattern" or redactor.name(value) == value:  # a pattern with stand-ins in it would fit nothing
            made[key] = _schema(value, redactor)
    return made


def _same(value: Any) -> Any:
    return value
