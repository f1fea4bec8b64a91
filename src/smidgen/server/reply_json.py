"""JSON that the server sends: responses, and a reply, the same in every API: output, score, runners-up, usage, log probabilities."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import Response

from smidgen.core.errors import RequestError
from smidgen.core.replies import Reply
from smidgen.core.rows import Text, joined
from smidgen.server.models import ServedBundle

TOP_K = 4
"""Default number of answers to show: the best and its runners-up."""

_DIGITS = 6
_CHARS_PER_TOKEN = 4


def as_json(value: Any) -> bytes:
    """Return a value as JSON bytes. Invalid Unicode, which JSON can contain, is escaped; numpy scalars become numbers."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_as_plain_json).encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"), default=_as_plain_json).encode("ascii")


def answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON response directly, without validating or copying the value."""
    return Response(as_json(value), status, headers, media_type="application/json")


def _as_plain_json(value: Any) -> Any:
    """Return a numpy scalar or array as a JSON value."""
    for method in ("item", "tolist"):
        if hasattr(value, method):
            try:
                return getattr(value, method)()
            except ValueError:
                continue
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON")


class Alternative(BaseModel):
    """A runner-up."""

    output: Any = Field(description="What the answer would have been.")
    score: float = Field(description="How likely it is right, 0..1.")


class Extra(BaseModel):
    """The field `smidgen` of a chat completion or completion: what a chat message has no room for."""

    bundle: str = Field(description="Hash of the bundle that answered.")
    task: str = Field(description="The bundle's task.")
    output: Any = Field(description="The answer as a value: a label, a list of labels, an object, ...")
    score: float | None = Field(
        description="How likely the answer is right, calibrated, 0..1; of a text, the ROUGE-L to expect of it, or where the build kept too "
        "few texts apart to fit that, its tokens' mean probability. Null where the answer was not made as it was measured: "
        "`facts.unscored` says why."
    )
    alternatives: list[Alternative] = Field(description="Runners-up, best first.")
    facts: dict[str, Any] = Field(description="Anything else worth saying about the answer.")


class Usage(BaseModel):
    """Sizes, as OpenAI reports them: the model's own tokens if it writes, else one for every four characters."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: dict[str, int] | None = None


def reply_fields(reply: Reply, top_k: int = TOP_K) -> dict[str, Any]:
    """Return output, score, runners-up and facts of a reply. `top_k` includes the answer itself."""
    return {
        "output": reply.output,
        "score": None if "unscored" in reply.facts else round(float(reply.score), _DIGITS),
        "alternatives": [{"output": output, "score": round(float(score), _DIGITS)} for output, score in reply.alternatives[: top_k - 1]],
        "facts": dict(reply.facts),
    }


def smidgen_field(model: ServedBundle, reply: Reply) -> dict[str, Any]:
    """Return the field `smidgen`."""
    return {"bundle": model.id, "task": model.task.name, **reply_fields(reply)}


def usage(texts: list[Text], contents: list[str]) -> dict[str, int]:
    """Return estimated sizes; see `Usage`."""
    prompt, completion = sum(token_count(joined(text)) for text in texts), sum(token_count(content) for content in contents)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def counted_usage(replies: Sequence[Reply], each: int = 1, copies: int = 1) -> dict[str, Any]:
    """Return the usage of written texts, `each` for every prompt, in sequence.

    A prompt is counted once, written tokens once per copy.
    """
    sizes = [reply.piece.usage for reply in replies]
    prompt, cached = sum(size.prompt for size in sizes[::each]), sum(size.cached for size in sizes[::each])
    written = copies * sum(size.written for size in sizes)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "total_tokens": prompt + written,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def token_count(text: str) -> int:
    """Estimate a text's size in tokens."""
    return -(-len(text) // _CHARS_PER_TOKEN)


LEAST_LOGPROB = 1e-9
"""Smallest probability to report: JSON has no minus infinity."""


def require_logprobs(model: ServedBundle, wanted: bool) -> None:
    """Raise RequestError if log probabilities are wanted and the model drafts tokens, for which it has none."""
    if wanted and model.manifest.engine.options.get("draft", "none") != "none":
        raise RequestError(
            "server.drafted_tokens_have_no_logprobs", value=model.name, status=400, code="logprobs_not_supported", param="logprobs"
        )


def token_logprob(text: str, probability: float) -> dict[str, Any]:
    """Return a token as in a chat completion."""
    return {"token": text, "logprob": logged_tokens(probability), "bytes": list(text.encode("utf-8"))}


def logged_tokens(probability: float) -> float:
    """Return a probability's natural logarithm."""
    return math.log(max(float(probability), LEAST_LOGPROB))


def chat_logprobs(replies: Iterable[Reply]) -> dict[str, Any]:
    """Return the field `logprobs` of a chat completion, from the pieces of one text. A character of several tokens has one entry."""
    content = [
        {**token_logprob(one.text, one.probability), "top_logprobs": [token_logprob(text, chance) for text, chance in one.top]}
        for reply in replies
        for one in reply.piece.tokens
    ]
    return {"content": content, "refusal": None}


def completion_logprobs(replies: Iterable[Reply], start: int = 0) -> dict[str, Any]:
    """Return the field `logprobs` of a completion. `start`: offset of its text in the whole, in characters."""
    found = [one for reply in replies for one in reply.piece.tokens]
    offsets = []
    for one in found:
        offsets.append(start)
        start += len(one.text)
    return {
        "tokens": [one.text for one in found],
        "token_logprobs": [logged_tokens(one.probability) for one in found],
        "top_logprobs": [{text: logged_tokens(chance) for text, chance in one.top} for one in found],
        "text_offset": offsets,
    }
