"""Run a loaded model and write texts with it: stream pieces, score the whole, and try again if a text has a visible fault."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from smidgen.core.errors import EngineError, RequestError
from smidgen.core.forms import Form
from smidgen.core.parts import Raw, Runner, Task
from smidgen.core.replies import Reply
from smidgen.core.rows import Text, with_inputs
from smidgen.parts import registry


@contextmanager
def open_runner(engine: str, folder: Path, options: Mapping[str, Any], threads: int) -> Iterator[Runner]:
    """Open a runner, and release it at the end. Raises EngineError if the files cannot be loaded."""
    runner: Runner = registry.find("engines", engine).open(folder, options, threads)
    try:
        yield runner
    finally:
        release_runner(runner)


def release_runner(runner: Runner) -> None:
    """Release a runner's resources beyond memory: its process, if it has one."""
    close = getattr(runner, "close", None)
    if close is not None:
        close()


_DIGITS = 6
_UNMEASURED = {
    "temperature": "drawn by chance, where it was measured on the likeliest tokens",
    "json_schema": "held to a schema",
    "grammar": "held to a grammar",
    "stop": "it could end at a stop text",
}
"""Options under which a text is written in another way than it was measured, and the reason given for that."""


class _WriterOptions(Protocol):
    @property
    def slots(self) -> int: ...

    @property
    def max_tokens(self) -> int: ...


@runtime_checkable
class TextWriter(Protocol):
    """A runner that writes piece by piece, such as that of the engine `llama`.

    `options.slots`: number of texts that it writes side by side. `options.max_tokens`: length limit if a request has none, and the limit
    under which the model was measured.
    """

    @property
    def options(self) -> _WriterOptions:
        """The engine options."""
        ...

    def write(self, text: Text, **options: Any) -> Generator[Any, None, None]:
        """Yield the pieces of the answer to a text; with `begun`, only those that continue it."""
        ...

    def draw(self, texts: Sequence[Text], temperature: float, seed: int) -> Raw:
        """Write answers to texts, sampled at random."""
        ...

    def extend(self, texts: Sequence[Text], begun: Sequence[str]) -> Raw:
        """Continue the given beginnings of answers. Each must get at least one more token."""
        ...

    def chat(self, body: Mapping[str, Any]) -> Iterator[Any]:
        """Yield the pieces of the next turn of a conversation."""
        ...


def why_unscored(options: Mapping[str, Any]) -> str:
    """Return why a text written with these options has no score; empty if it has one."""
    return next((why for name, why in _UNMEASURED.items() if options.get(name)), "")


def measured_within(writer: TextWriter, options: Mapping[str, Any]) -> int | None:
    """Return the token limit under which the writer was measured if the request allows more, else None.

    A text that needs more tokens was cut in that measurement, and counted as wrong.
    """
    own = writer.options.max_tokens
    return own if (options.get("max_tokens") or 0) > own else None


def stream_replies(
    pieces: Iterator[Any], whole: Callable[[Raw], Reply], unscored: str = "", within: int | None = None
) -> Generator[Reply, None, None]:
    """Yield a reply for each piece, whose output is the added text; then the final one, with the last piece.

    Args:
        pieces: from a `TextWriter`; always closed at the end.
        whole: makes the reply from the raw output of one text.
        unscored: why the whole has no score; empty if it has one.
        within: most tokens, including the end token, for a text to have a score; None for no limit.
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
            # The end token is not in the count, but takes a token of the limit.
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
                **({"probability": round(likely, _DIGITS)} if chances else {}),  # tool calls have none
                **({"unscored": unscored} if unscored else {}),
            }
            yield replace(found, score=0.0 if unscored else found.score, facts=facts, piece=piece)
            return
        raise EngineError("flows.engine_did_not_finish_text", count=count)
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()


# Best of n under a verifier (Cobbe et al. 2021). The verifier is a lexicon learnt from the examples.
#
# The first text is the likeliest one. The task finds its faults: an attribute of the input that it leaves out, or one that the input does
# not have. If there are any, the text is written once more with known values in place of unknown ones, which are then put back. If a fault
# remains, the text is continued past its end, because a model's next words mostly say what it has left out. Then others are sampled until
# one has no fault. Otherwise the text with the fewest faults is taken, and among these the likeliest.

TEMPERATURE = 0.5
"""Low, so that samples keep to likely words but vary in content."""

SENTENCES = 2
"""Most times that a text is extended, as long as that helps."""


def improve(task: Task, form: Form, runner: Runner, texts: Sequence[Text], raw: Raw) -> Raw:
    """Return `raw`, the output of `runner` for `texts`, with faulty texts replaced by better ones if any are found; adds `inputs`."""
    raw = with_inputs(raw, texts)
    checks = task.checks
    if checks is None or not isinstance(runner, TextWriter) or not checks.attempts(form):
        return raw
    best = {name: list(values) for name, values in raw.items()}
    faults = checks.faults(raw, form)

    def better(places: Sequence[int], found: Raw) -> list[int]:
        """Take the better ones of other texts for these places. Returns the places that changed."""
        taken = []
        for place, count, row in zip(places, checks.faults(found, form), _rows(found), strict=True):
            if (count, -row["probability"]) < (faults[place], -best["probability"][place]):
                faults[place] = count
                taken.append(place)
                for name, value in row.items():
                    best[name][place] = value
        return taken

    swaps = {place: swap for place, count in enumerate(faults) if count and (swap := checks.substitute(texts[place], form)) is not None}

    def shown(places: Sequence[int]) -> list[Text]:
        return [swaps[place].text if place in swaps else texts[place] for place in places]

    def own(places: Sequence[int], found: Raw) -> Raw:
        """Turn answers to the `shown` texts into answers to the original ones; empty and unfinished if that is not possible."""
        back = [swaps[place].back(text) if place in swaps else text for place, text in zip(places, found["texts"], strict=True)]
        finished = np.where([text is None for text in back], 0.0, found["finished"])
        return with_inputs({**found, "texts": [text or "" for text in back], "finished": finished}, [texts[place] for place in places])

    if places := list(swaps):
        better(places, own(places, runner.run(shown(places))))
    places = [place for place, count in enumerate(faults) if count]
    for _ in range(SENTENCES):
        places = [place for place in places if faults[place]]
        if places:
            begun = {name: [values[place] for place in places] for name, values in best.items()}
            there = [swaps[place].there(text) if place in swaps else text for place, text in zip(places, begun["texts"], strict=True)]
            places = better(places, _append(begun, own(places, runner.extend(shown(places), there))))
    for seed in range(1, checks.attempts(form) + 1):
        if places := [place for place, count in enumerate(faults) if count]:
            better(places, own(places, runner.draw(shown(places), TEMPERATURE, seed)))
    return {name: values if isinstance(raw[name], list) else np.asarray(values, raw[name].dtype) for name, values in best.items()}


def _append(begun: Mapping[str, Sequence[Any]], added: Raw) -> Raw:
    """Join texts with their continuations; `probability` is the mean over the tokens of both."""
    tokens = [np.asarray(part["tokens"], np.float64) for part in (begun, added)]
    chances = [np.asarray(part["probability"], np.float64) for part in (begun, added)]
    every = np.maximum(tokens[0] + tokens[1], 1)
    made: dict[str, Any] = {
        "texts": [first + second for first, second in zip(begun["texts"], added["texts"], strict=True)],
        "probability": ((chances[0] * tokens[0] + chances[1] * tokens[1]) / every).astype(np.float32),
        "tokens": (tokens[0] + tokens[1]).astype(np.float32),
        "finished": np.asarray(added["finished"], np.float32),
    }
    if "likelihood" in begun:
        made["likelihood"] = np.asarray(begun["likelihood"], np.float32) * np.asarray(added["likelihood"], np.float32)
    return with_inputs(made, added["inputs"])


def is_checked(task: Task, form: Form, text: Text) -> bool:
    """Return True if an answer is checked and may be written again, so that it cannot be streamed."""
    return task.checks is not None and task.checks.attempts(form) > 0 and task.checks.applies(text, form)


def why_unlike_measured(task: Task, form: Form, text: Text, options: Mapping[str, Any]) -> str:
    """Return why the best answer with these options may differ from the one measured; empty if it does not.

    The tokens of a stand-in are not those of the text returned, so with `logprobs` no stand-in is used.
    """
    odd = options.get("logprobs") and task.checks is not None and task.checks.substitute(text, form) is not None
    return "with the probabilities of its tokens, no stand-in is written" if odd else ""


def write_best(task: Task, form: Form, writer: TextWriter, text: Text, options: Mapping[str, Any]) -> Generator[Any, None, None]:
    """Yield the pieces of the best answer to one text, chosen as `improve` does.

    If the request allows more tokens than the model was measured with, the choice is still made within those, so that it stays the same; a
    text that was cut then continues.

    While texts are written, pieces without text are yielded. Closing the generator then stops the writing. Raises the writer's errors for
    the likeliest text.
    """
    checks = task.checks
    assert checks is not None
    within = measured_within(writer, options)
    more_asked, options = options, {**options, **({"max_tokens": within} if within is not None else {})}

    def worth(pieces: Sequence[Any]) -> tuple[int, float]:
        chances = [token.probability for piece in pieces for token in piece.tokens]
        whole = {"texts": [_text(pieces)], "finished": np.array([pieces[-1].finish == "stop"], np.float32)}
        (count,) = checks.faults(with_inputs(whole, [text]), form)
        return count, -float(np.mean(chances)) if chances else 0.0

    kept = yield from _withhold(writer.write(text, **options))
    rank = worth(kept)
    swap = checks.substitute(text, form) if rank[0] and not options.get("logprobs") else None
    shown = text if swap is None else swap.text

    def own(pieces: list[Any]) -> list[Any] | None:
        """Turn the pieces written for the shown text into pieces of an answer to the original one."""
        if swap is None:
            return pieces
        back = swap.back(_text(pieces))
        tokens = tuple(token for piece in pieces for token in piece.tokens)
        return None if back is None else [replace(pieces[-1], text=back, count=sum(piece.count for piece in pieces), tokens=tokens)]

    def tried(**more: Any) -> Generator[Any, None, list[Any] | None]:
        """Write another text; None if there is no room for it: a stand-in, or a continuation, may be too long."""
        try:
            return own((yield from _withhold(writer.write(shown, **{**options, **more}))))
        except RequestError:
            return None

    def better(other: list[Any] | None) -> bool:
        """Take another text if it is better."""
        nonlocal kept, rank
        if not other or (other_rank := worth(other)) >= rank:
            return False
        kept, rank = other, other_rank
        return True

    if swap is not None:
        better((yield from tried()))
    for _ in range(SENTENCES):
        if not rank[0]:
            break
        added = yield from tried(begun=_text(kept) if swap is None else swap.there(_text(kept)))
        if not better(_join_pieces(kept, added) if added else None):
            break
    for seed in range(1, checks.attempts(form) + 1):
        if not rank[0]:
            break
        better((yield from tried(temperature=TEMPERATURE, seed=seed)))
    if within is not None and kept[-1].finish != "stop":
        with suppress(RequestError):  # the context has no room for more
            kept = _join_pieces(kept, (yield from _withhold(writer.write(text, **{**more_asked, "begun": _text(kept)}))))
    yield from kept


def _withhold(written: Generator[Any, None, None]) -> Generator[Any, None, list[Any]]:
    """Collect the pieces and return them. Meanwhile, yield one without text for each."""
    pieces = []
    with closing(written):
        for piece in written:
            pieces.append(piece)
            # The text must not be shown yet, but the client sees progress and can cancel.
            yield replace(piece, text="", count=0, tokens=(), finish=None, usage=None)
    return pieces


def _join_pieces(begun: Sequence[Any], added: Sequence[Any]) -> list[Any]:
    """Join the pieces of a text and of its continuation: one end, and the tokens of both."""
    first, last = begun[-1], added[-1]
    usage = last.usage and first.usage and replace(first.usage, written=first.usage.written + sum(piece.count for piece in added))
    return [*begun[:-1], replace(first, finish=None, usage=None), *added[:-1], replace(last, usage=usage)]


def _text(pieces: Sequence[Any]) -> str:
    return "".join(piece.text for piece in pieces)


def _rows(raw: Raw) -> Iterator[dict[str, Any]]:
    for number in range(len(raw["texts"])):
        yield {name: values[number] for name, values in raw.items()}
