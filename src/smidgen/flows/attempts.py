"""A text with a fault that can be seen is written anew, and the best of all is given.

The first text is the likeliest one. Where the task finds a fault in it (an attribute of the input that it leaves out, one that the input
does not have), others are drawn, one after another, until one has none; else the one with the fewest is taken, and of those with as few the
likeliest. Best of n under a verifier (Cobbe et al. 2021), where the verifier is a lexicon that was learnt from the examples.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np

from smidgen.core.parts import Checking, Form, Raw, Runner, Task
from smidgen.core.rows import Text
from smidgen.flows.runners import asked
from smidgen.flows.written import Writer

TEMPERATURE = 0.5
"""Low: what is drawn keeps to the likely words, and differs in what it says."""


def improved(task: Task, form: Form, runner: Runner, texts: Sequence[Text], raw: Raw) -> Raw:
    """The raw output of `runner` for `texts`, with what was written anew in place of texts with faults; `inputs` beside it."""
    raw = asked(raw, texts)
    if not isinstance(task, Checking) or not isinstance(runner, Writer) or not task.attempts(form):
        return raw
    best = {name: list(values) for name, values in raw.items()}
    faults = task.faults(raw, form)
    for seed in range(1, task.attempts(form) + 1):
        places = [place for place, count in enumerate(faults) if count]
        if not places:
            break
        some = [texts[place] for place in places]
        drawn = asked(runner.draw(some, TEMPERATURE, seed), some)
        for place, count, row in zip(places, task.faults(drawn, form), _rows(drawn), strict=True):
            if (count, -row["probability"]) < (faults[place], -best["probability"][place]):
                faults[place] = count
                for name, value in row.items():
                    best[name][place] = value
    return {name: values if isinstance(raw[name], list) else np.asarray(values, raw[name].dtype) for name, values in best.items()}


def checks(task: Task, form: Form, text: Text) -> bool:
    """Whether a text's answer may be written anew, so that nothing of it can be given before all of it is there."""
    return isinstance(task, Checking) and task.attempts(form) > 0 and task.checks(text, form)


def best(task: Task, form: Form, writer: Writer, text: Text, options: Mapping[str, Any]) -> Generator[Any, None, None]:
    """The pieces of the best answer to one text, as `improved` would choose it: those of the likeliest, or of one that was drawn.

    While they are written come pieces without a text; closing it then ends the writing. Raises what the writer raises.
    """
    assert isinstance(task, Checking)
    kept: list[Any] = []
    rank = (math.inf, 0.0)
    for seed in range(task.attempts(form) + 1):
        drawn = {"temperature": TEMPERATURE, "seed": seed} if seed else {}
        pieces = []
        with closing(writer.write(text, **{**options, **drawn})) as written:
            for piece in written:
                pieces.append(piece)
                # Nothing of it may be shown yet; but whoever waits sees that it goes on, and can end it.
                yield replace(piece, text="", count=0, tokens=(), finish=None, usage=None)
        chances = [token.probability for piece in pieces for token in piece.tokens]
        likely = float(np.mean(chances)) if chances else 0.0
        whole = {"texts": ["".join(piece.text for piece in pieces)], "finished": np.array([pieces[-1].finish == "stop"], np.float32)}
        (count,) = task.faults(asked(whole, [text]), form)
        if (count, -likely) < rank:
            kept, rank = pieces, (count, -likely)
        if not count:
            break
    yield from kept


def _rows(raw: Raw) -> Iterator[dict[str, Any]]:
    for number in range(len(raw["texts"])):
        yield {name: values[number] for name, values in raw.items()}
