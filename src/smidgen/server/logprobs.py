"""Log probabilities of the tokens of a written text, in the two shapes that OpenAI's faces have for them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from smidgen.core.errors import RequestError
from smidgen.core.replies import Reply
from smidgen.server.served import Served

LEAST = 1e-9
"""The least probability that is told: JSON has no minus infinity."""


def need(model: Served, wanted: bool) -> None:
    """Raise RequestError where they are asked for and the model guesses tokens ahead: it has none of those."""
    if wanted and model.manifest.engine.options.get("draft", "none") != "none":
        raise RequestError(
            "the model guesses tokens ahead, and has no probabilities of those",
            value=model.name,
            todo="Leave out logprobs, or build the model with --draft none.",
            status=400,
            code="logprobs_not_supported",
            param="logprobs",
        )


def token(text: str, probability: float) -> dict[str, Any]:
    """A token in a chat completion."""
    return {"token": text, "logprob": logged(probability), "bytes": list(text.encode("utf-8"))}


def logged(probability: float) -> float:
    """A probability's natural logarithm."""
    return math.log(max(float(probability), LEAST))


def of_chat(replies: Iterable[Reply]) -> dict[str, Any]:
    """The field `logprobs` of a chat completion, of the pieces of one text. A character of several tokens has one entry, for the last."""
    content = [
        {**token(one.text, one.probability), "top_logprobs": [token(text, chance) for text, chance in one.top]}
        for reply in replies
        for one in reply.piece.tokens
    ]
    return {"content": content, "refusal": None}


def of_completion(replies: Iterable[Reply], start: int = 0) -> dict[str, Any]:
    """The field `logprobs` of a completion; `start` is where its text begins in the whole, in characters."""
    found = [one for reply in replies for one in reply.piece.tokens]
    offsets = []
    for one in found:
        offsets.append(start)
        start += len(one.text)
    return {
        "tokens": [one.text for one in found],
        "token_logprobs": [logged(one.probability) for one in found],
        "top_logprobs": [{text: logged(chance) for text, chance in one.top} for one in found],
        "text_offset": offsets,
    }
