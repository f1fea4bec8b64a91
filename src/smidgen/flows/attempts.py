"""A text with a fault that can be seen is written anew, and the best of all is given.

The first text is the likeliest one. Where the task finds a fault in it (an attribute of the input that it leaves out, one that the input
does not have), the text is written once more with values that the model knows in place of those that it does not, which are then put back.
Where a fault is left, the text goes on where it had ended: what a model has not said yet is mostly what it says next. Then others are
drawn, one after another, until one has no fault; else the one with the fewest is taken, and of those with as few the likeliest. Best of n
under a verifier (Cobbe et al. 2021), where the verifier is a lexicon that was learnt from the examples.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from typing import Any

import numpy as np

from smidgen.core.errors import RequestError
from smidgen.core.parts import Checking, Form, Raw, Runner, Task
from smidgen.core.rows import Text
from smidgen.flows.runners import asked
from smidgen.flows.written import Writer, measured_within

TEMPERATURE = 0.5
"""Low: what is drawn keeps to the likely words, and differs in what it says."""

SENTENCES = 2
"""How often a text is made longer, as long as that helps."""


def improved(task: Task, form: Form, runner: Runner, texts: Sequence[Text], raw: Raw) -> Raw:
    """The raw output of `runner` for `texts`, with what was written anew in place of texts with faults; `inputs` beside it."""
    raw = asked(raw, texts)
    if not isinstance(task, Checking) or not isinstance(runner, Writer) or not task.attempts(form):
        return raw
    best = {name: list(values) for name, values in raw.items()}
    faults = task.faults(raw, form)

    def better(places: Sequence[int], found: Raw) -> list[int]:
        """Take what is better of other texts for these places; the places that have it."""
        taken = []
        for place, count, row in zip(places, task.faults(found, form), _rows(found), strict=True):
            if (count, -row["probability"]) < (faults[place], -best["probability"][place]):
                faults[place] = count
                taken.append(place)
                for name, value in row.items():
                    best[name][place] = value
        return taken

    swaps = {place: swap for place, count in enumerate(faults) if count and (swap := task.stand_in(texts[place], form)) is not None}

    def shown(places: Sequence[int]) -> list[Text]:
        return [swaps[place].text if place in swaps else texts[place] for place in places]

    def own(places: Sequence[int], found: Raw) -> Raw:
        """What was written for `shown` texts as answers to the own ones; where that cannot be, nothing, and not finished."""
        back = [swaps[place].back(text) if place in swaps else text for place, text in zip(places, found["texts"], strict=True)]
        finished = np.where([text is None for text in back], 0.0, found["finished"])
        return asked({**found, "texts": [text or "" for text in back], "finished": finished}, [texts[place] for place in places])

    if places := list(swaps):
        better(places, own(places, runner.run(shown(places))))
    places = [place for place, count in enumerate(faults) if count]
    for _ in range(SENTENCES):
        places = [place for place in places if faults[place]]
        if places:
            begun = {name: [values[place] for place in places] for name, values in best.items()}
            there = [swaps[place].there(text) if place in swaps else text for place, text in zip(places, begun["texts"], strict=True)]
            places = better(places, _longer(begun, own(places, runner.extend(shown(places), there))))
    for seed in range(1, task.attempts(form) + 1):
        if places := [place for place, count in enumerate(faults) if count]:
            better(places, own(places, runner.draw(shown(places), TEMPERATURE, seed)))
    return {name: values if isinstance(raw[name], list) else np.asarray(values, raw[name].dtype) for name, values in best.items()}


def _longer(begun: Mapping[str, Sequence[Any]], added: Raw) -> Raw:
    """Texts with what was added to them; `probability` is the mean over the tokens of both."""
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
    return asked(made, added["inputs"])


def checks(task: Task, form: Form, text: Text) -> bool:
    """Whether a text's answer may be written anew, so that nothing of it can be given before all of it is there."""
    return isinstance(task, Checking) and task.attempts(form) > 0 and task.checks(text, form)


def unlike(task: Task, form: Form, text: Text, options: Mapping[str, Any]) -> str:
    """Why the best answer with these options may be another one than was measured; empty where it is not. The tokens of a stand-in are not
    those of the text that is given: with `logprobs` there is none."""
    assert isinstance(task, Checking)
    odd = options.get("logprobs") and task.stand_in(text, form) is not None
    return "with the probabilities of its tokens, no stand-in is written" if odd else ""


def best(task: Task, form: Form, writer: Writer, text: Text, options: Mapping[str, Any]) -> Generator[Any, None, None]:
    """The pieces of the best answer to one text, as `improved` would choose it: those of the likeliest, made longer or not, or of one that
    was drawn.

    Where more tokens are allowed than it was measured within, it is chosen within those all the same, or the choice would be another one;
    and what is cut then goes on.

    While they are written come pieces without a text; closing it then ends the writing. Raises what the writer raises for the likeliest.
    """
    assert isinstance(task, Checking)
    within = measured_within(writer, options)
    more_asked, options = options, {**options, **({"max_tokens": within} if within is not None else {})}

    def worth(pieces: Sequence[Any]) -> tuple[int, float]:
        chances = [token.probability for piece in pieces for token in piece.tokens]
        whole = {"texts": [_text(pieces)], "finished": np.array([pieces[-1].finish == "stop"], np.float32)}
        (count,) = task.faults(asked(whole, [text]), form)
        return count, -float(np.mean(chances)) if chances else 0.0

    kept = yield from _quietly(writer.write(text, **options))
    rank = worth(kept)
    swap = task.stand_in(text, form) if rank[0] and not options.get("logprobs") else None
    shown = text if swap is None else swap.text

    def own(pieces: list[Any]) -> list[Any] | None:
        """What was written for the text that was shown, as pieces of an answer to the own one."""
        if swap is None:
            return pieces
        back = swap.back(_text(pieces))
        tokens = tuple(token for piece in pieces for token in piece.tokens)
        return None if back is None else [replace(pieces[-1], text=back, count=sum(piece.count for piece in pieces), tokens=tokens)]

    def tried(**more: Any) -> Generator[Any, None, list[Any] | None]:
        """Another one; None where it cannot be written: for a stand-in, or for more behind what there is, the room may not do."""
        try:
            return own((yield from _quietly(writer.write(shown, **{**options, **more}))))
        except RequestError:
            return None

    def better(other: list[Any] | None) -> bool:
        """Take another one if it is better."""
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
        if not better(_together(kept, added) if added else None):
            break
    for seed in range(1, task.attempts(form) + 1):
        if not rank[0]:
            break
        better((yield from tried(temperature=TEMPERATURE, seed=seed)))
    if within is not None and kept[-1].finish != "stop":
        with suppress(RequestError):  # the context has no room for more
            kept = _together(kept, (yield from _quietly(writer.write(text, **{**more_asked, "begun": _text(kept)}))))
    yield from kept


def _quietly(written: Generator[Any, None, None]) -> Generator[Any, None, list[Any]]:
    """The pieces, as a list in the end; while they come, one without a text for each."""
    pieces = []
    with closing(written):
        for piece in written:
            pieces.append(piece)
            # Nothing of it may be shown yet; but whoever waits sees that it goes on, and can end it.
            yield replace(piece, text="", count=0, tokens=(), finish=None, usage=None)
    return pieces


def _together(begun: Sequence[Any], added: Sequence[Any]) -> list[Any]:
    """The pieces of a text and those of what was added: one end, and the tokens of both."""
    first, last = begun[-1], added[-1]
    usage = last.usage and first.usage and replace(first.usage, written=first.usage.written + sum(piece.count for piece in added))
    return [*begun[:-1], replace(first, finish=None, usage=None), *added[:-1], replace(last, usage=usage)]


def _text(pieces: Sequence[Any]) -> str:
    return "".join(piece.text for piece in pieces)


def _rows(raw: Raw) -> Iterator[dict[str, Any]]:
    for number in range(len(raw["texts"])):
        yield {name: values[number] for name, values in raw.items()}
