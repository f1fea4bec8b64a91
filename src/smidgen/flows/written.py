"""From the pieces of a text, as an engine writes it, to replies: one for each piece, then the whole with its score."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from smidgen.core.errors import EngineError
from smidgen.core.parts import Raw
from smidgen.core.replies import Reply
from smidgen.core.rows import Text

_DIGITS = 6
_UNMEASURED = {
    "temperature": "drawn by chance, where it was measured on the likeliest tokens",
    "json_schema": "held to a schema",
    "grammar": "held to a grammar",
    "stop": "it could end at a stop text",
}
"""Options under which a text is not what was measured, and why."""


class _Options(Protocol):
    @property
    def slots(self) -> int: ...

    @property
    def max_tokens(self) -> int: ...


@runtime_checkable
class Writer(Protocol):
    """A runner that writes piece by piece: the engine `llama` has one. `options.slots` is how many texts it writes side by side, and
    `options.max_tokens` how long they are at most where a request does not say: so they were when it was measured."""

    @property
    def options(self) -> _Options:
        """Its engine options."""
        ...

    def write(self, text: Text, **options: Any) -> Generator[Any, None, None]:
        """The pieces of what it writes for a text; with `begun`, of what it adds to that."""
        ...

    def draw(self, texts: Sequence[Text], temperature: float, seed: int) -> Raw:
        """What it writes for texts, drawn by chance."""
        ...

    def extend(self, texts: Sequence[Text], begun: Sequence[str]) -> Raw:
        """What it adds to the beginnings of its answers, behind which it may not end at once."""
        ...

    def chat(self, body: Mapping[str, Any]) -> Iterator[Any]:
        """The pieces of what it writes in a conversation."""
        ...


def unmeasured(options: Mapping[str, Any]) -> str:
    """Why a text that is written with these options has no score; empty where it has one."""
    return next((why for name, why in _UNMEASURED.items() if options.get(name)), "")


def measured_within(writer: Writer, options: Mapping[str, Any]) -> int | None:
    """How many tokens a text had at most, its end among them, when the writer was measured, where a request allows more; else None. A text
    that needs more than those was cut then, and counted as wrong."""
    own = writer.options.max_tokens
    return own if (options.get("max_tokens") or 0) > own else None


def replies(
    pieces: Iterator[Any], whole: Callable[[Raw], Reply], unscored: str = "", within: int | None = None
) -> Generator[Reply, None, None]:
    """A reply for each piece, whose output is what it adds; then the final one, with the last piece beside it.

    Args:
        pieces: as a `Writer` gives them; closed in the end, however that comes.
        whole: makes the reply of the raw output of one text.
        unscored: why the whole has no score; empty where it has one.
        within: the tokens, its end among them, that a text may have for a score; None where it has no more of them anyway.
    """
    texts: list[str] = []
    chances: list[float] = []
    count = 0
    try:
        for piece in pieces:
            texts.append(piece.text)
            chances += [token.probability for token in piece.tokens]
            count += piece.count
            if piece.finish is None:
                yield Reply(piece.text, 0.0, final=False, piece=piece)
                continue
            likely = float(np.mean(chances)) if chances else 0.0
            # The end is not counted, and needs a token of its own.
            if within is not None and count >= within:
                unscored = unscored or f"it took more than the {within:,} tokens that it was measured within"
            found = whole(
                {
                    "texts": ["".join(texts)],
                    "probability": np.array([likely], np.float32),
                    "tokens": np.array([count], np.float32),
                    "finished": np.array([piece.finish == "stop"], np.float32),
                }
            )
            facts = {
                **found.facts,
                **({"probability": round(likely, _DIGITS)} if chances else {}),  # beside tools there are none
                **({"unscored": unscored} if unscored else {}),
            }
            yield replace(found, score=0.0 if unscored else found.score, facts=facts, piece=piece)
            return
        raise EngineError("the engine gave no end to a text", value=f"{count} tokens", todo="Send the request again.")
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()
