"""Ask a large model that a person names what a model of theirs answers, to see the two side by side."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field
from typing import Any
from urllib.parse import urlsplit

from pydantic import ConfigDict, ValidationError
from pydantic.dataclasses import dataclass

from smidgen.core.abilities import Teaching
from smidgen.core.errors import InputError, RequestError, TeacherError
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, Text, joined
from smidgen.data.teacher.client import ChatCompletions, QuestionRefused, ServerBusy
from smidgen.data.teacher.questions import TeacherQuestion
from smidgen.data.teacher.settings import TeacherSettings
from smidgen.flows.local_model import Model
from smidgen.gateway.upstreams import checked_url
from smidgen.machine.addresses import on_this_machine

_TOKENS = 2_048
_SECONDS = 60.0
_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class LargeModel:
    """An OpenAI-compatible server, a model of it, and its key, which is sent to it and stored nowhere."""

    url: str
    model: str
    key: str = field(default="", repr=False)

    @property
    def host(self) -> str:
        """Where the texts go."""
        return urlsplit(self.url).hostname or ""


@dataclass(frozen=True, slots=True, config=ConfigDict(json_schema_serialization_defaults_required=True))
class LargeAnswer:
    """The large model's answer to a text: as the task's own value and as a text; or why there is none. `said`: its own words, cut."""

    output: Any
    text: str
    seconds: float
    why_not: str = ""
    said: str = ""


def ask_large(model: Model, texts: Sequence[Text], large: LargeModel) -> list[LargeAnswer]:
    """Ask the large model to do the model's job on some texts, each once.

    Raises RequestError for an address, a name or a key that cannot be used, and where the server does not take part at all.
    """
    teaching, sources = model.task.teaching, model.task.teacher_sources
    if teaching is None:
        raise RequestError("studio.large_model_cannot_do_this_job", value=model.task.name, code="not_teachable")
    url = _checked(large)
    wire = ChatCompletions(
        url, large.model, large.key or None, local=on_this_machine(large.host), timeout=_SECONDS, concurrency=_AT_ONCE, again=lambda: True
    )
    try:
        rows = [Row(text) for text in texts]
        if sources is not None:
            rows = list(sources.attach(rows, model.task.cell_settings(model.form), model.predict(texts)))
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="large-model") as pool:
            return list(pool.map(lambda row: _asked(wire, model, teaching, row.input), rows))
    except TeacherError as error:
        todo = "Check the address, the model's name and the key."
        what = error.what.replace("the teacher's server", "the large model's server")
        raise RequestError(what, value=large.host, todo=todo, status=502, code="large_model_failed") from None
    finally:
        wire.close()


def _asked(wire: ChatCompletions, model: Model, teaching: Teaching, text: Text) -> LargeAnswer:
    question = TeacherQuestion((("system", teaching.instruction(model.form)), ("user", joined(text))), _TOKENS)
    began = time.perf_counter()
    found = wire.send(question)
    seconds = time.perf_counter() - began
    if isinstance(found, ServerBusy | QuestionRefused):
        return LargeAnswer(None, "", seconds, f"The large model did not answer: {found.why}.")
    if not found.finished:
        return LargeAnswer(None, "", seconds, "The large model's answer was cut short.", found.text[:500])
    try:
        output = teaching.read(found.text, model.form, text)
    except ValueError as error:
        return LargeAnswer(None, "", seconds, f"The large model's answer cannot be used: {error}.", found.text[:500])
    return LargeAnswer(output, model.task.content(Reply(output, 1.0)), seconds)


def _checked(large: LargeModel) -> str:
    """The address, with a slash at its end removed. Texts and the key go to it encrypted, or stay on this machine."""
    todo = "Give the address that an OpenAI client is given, such as https://api.example.com/v1 or http://127.0.0.1:11434/v1."
    try:
        url = checked_url(large.url)
        TeacherSettings(source=url, model=large.model)
    except InputError as error:
        what = error.what.replace("fallback URL", "address")
        raise RequestError(what, value=error.value, todo=todo, param="url", code="invalid_address") from None
    except ValidationError as error:
        reason = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        raise RequestError("studio.address_cannot_be_used", value=large.host, reason=reason, param="url", code="invalid_address") from None
    if not (large.key.isascii() and large.key.isprintable() and " " not in large.key) and large.key:
        raise RequestError("studio.key_has_characters_that_are_not_allowed", param="key", code="invalid_key")
    return url
