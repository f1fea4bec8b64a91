"""How a reply looks in JSON, the same through every face."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field

from smidgen.core.replies import Reply
from smidgen.core.rows import Text, joined
from smidgen.server.served import Served

TOP_K = 4
"""Answers shown where the request does not say: the best and its runners-up."""

_DIGITS = 6
_CHARS_PER_TOKEN = 4


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
    """Sizes, as OpenAI reports them. The model's own tokens where it writes; elsewhere one for every four characters: bundles do not
    bill by the token."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: dict[str, int] | None = None


def verdict(reply: Reply, top_k: int = TOP_K) -> dict[str, Any]:
    """Output, score, runners-up and facts of a reply. `top_k` counts the answer itself."""
    return {
        "output": reply.output,
        "score": None if "unscored" in reply.facts else round(float(reply.score), _DIGITS),
        "alternatives": [{"output": output, "score": round(float(score), _DIGITS)} for output, score in reply.alternatives[: top_k - 1]],
        "facts": dict(reply.facts),
    }


def extra(model: Served, reply: Reply) -> dict[str, Any]:
    """The field `smidgen`."""
    return {"bundle": model.id, "task": model.task.name, **verdict(reply)}


def usage(texts: list[Text], contents: list[str]) -> dict[str, int]:
    """See `Usage`."""
    prompt, completion = sum(tokens(joined(text)) for text in texts), sum(tokens(content) for content in contents)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def counted(replies: Sequence[Reply], each: int = 1, copies: int = 1) -> dict[str, Any]:
    """The usage of texts that were written, `each` for every prompt, one after the other. A prompt is counted once, what was written as
    often as it is given: in `copies`."""
    sizes = [reply.piece.usage for reply in replies]
    prompt, cached = sum(size.prompt for size in sizes[::each]), sum(size.cached for size in sizes[::each])
    written = copies * sum(size.written for size in sizes)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "total_tokens": prompt + written,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def tokens(text: str) -> int:
    """A text's size in tokens, as `usage` counts them."""
    return -(-len(text) // _CHARS_PER_TOKEN)
