"""One case of the replays: a data set and a policy, played over seeds and kept as soon as it is done; what a page says of it."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

from bench import data, results
from bench.context import Context
from smidgen.machine.processor import threads as thread_count

SEEDS, QUICK_SEEDS, QUICK_ROWS = 40, 2, 3000
HELD_OUT = 0.2
"""Of captured texts, as `--capture-held-out` has it."""
COLUMNS = (
    "data",
    "how",
    "seeds",
    "local, all",
    "local, second half",
    "disagree, of the local",
    "seeds over α",
    "accuracy",
    "promotions",
    "revoked",
    "audits",
)
READ = (
    "Medians over the seeds, and in brackets the 5th and the 95th of a hundred; seeds over α: those in which more than α of all local "
    "answers disagreed."
)


class Cases:
    """The cases of one page: it is published after each, for a case takes many minutes.

    Attributes:
        names: of the data sets.
        section: the page.
    """

    def __init__(self, context: Context, name: str, title: str, about: str) -> None:
        self.context, self.name = context, name
        facts = {"load before": results.load_average(), "seeds of each row": "from 0 on"}
        self.section = results.Section(name, title, f"{about} {READ}", COLUMNS, facts=facts)
        self._played: dict[str, Any] = {}
        sets = {"BANKING77": data.banking77(context.data), "CLINC150": data.clinc150(context.data, False)}
        for data_set, (train, test) in sets.items():
            rows = [*train, *test][: QUICK_ROWS if context.quick else None]
            self._played[data_set] = partial(_played, [text for text, _ in rows], *embedded(rows))

    @property
    def names(self) -> list[str]:
        """The data sets, in the order of the page."""
        return list(self._played)

    def play(self, data_set: str, how: str, most: int = SEEDS, **policy: Any) -> list[Any]:
        """The traces of a case over its seeds, `most` of them at most; kept under the name of the data set and of how it is run."""
        from bench.replaying import Trace

        seeds = min(most, QUICK_SEEDS if self.context.quick else SEEDS)

        def work() -> dict[str, Any]:
            return {"traces": [trace.json() for trace in self._played[data_set](seeds, **policy)]}

        key = "-".join(re.findall(r"[a-z0-9]+", f"replay {data_set} {how}".lower()))
        found = self.context.measured(key, {"seeds": seeds, "policy": policy}, work, peer=False)
        if found.get("kept"):
            self.section.facts[f"kept: {data_set}, {how}"] = f"measured {found['measured_at']}"
        return [Trace.of(trace) for trace in found["traces"]]

    def tell(self, data_set: str, how: str, found: Sequence[Any], alpha: float = 0.05) -> None:
        """A line of the table, and the page as it is now."""
        self.section.rows.append(row(data_set, how, found, alpha))
        results.publish(self.context, self.section)


def embedded(rows: data.Rows) -> tuple[Any, Any, int]:
    """Of rows the texts' vectors (n, width), of length one, the labels by their numbers (n,), and how many there are."""
    import numpy as np

    from smidgen.flows.embedding import embedder

    embed = embedder()
    assert embed is not None, "the starter encoder: smidgen pull minilm"
    labels = sorted({label for _, label in rows})
    return embed([text for text, _ in rows]), np.array([labels.index(label) for _, label in rows]), len(labels)


def _played(
    texts: Sequence[str],
    vectors: Any,
    gold: Any,
    classes: int,
    seeds: int,
    *,
    held_out: float = HELD_OUT,
    noise: float = 0.0,
    shift: str = "",
    **policy: Any,
) -> list[Any]:
    """A trace for each seed, which draws the order, the sides, the noise and the audits."""
    with ProcessPoolExecutor(thread_count(None), get_context("spawn"), _given, (texts, vectors, gold, classes)) as pool:
        return list(pool.map(partial(_one, held_out=held_out, noise=noise, shift=shift, policy=policy), range(seeds)))


_GIVEN: list[Any] = []
"""What a process was given when it began: texts, vectors, labels, how many there are."""


def _given(*what: Any) -> None:
    """Begin a process: one thread for the products of numpy and of scipy, which have a library each."""
    import scipy.linalg  # noqa: F401
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    _GIVEN[:] = what


def _one(seed: int, held_out: float, noise: float, shift: str, policy: dict[str, Any]) -> Any:
    """One seed, on one core."""
    from bench import replaying
    from smidgen.data.splits import assign_side

    texts, vectors, gold, classes = _GIVEN
    rng, order = drawn(len(texts), seed)
    right, usual, middle = gold, None, None
    if shift:
        right, order, usual = getattr(replaying, shift)(gold, order, rng)
        usual, middle = usual[order], len(order) // 2
    said = replaying.noisy(right, classes, noise, rng) if noise else right
    sides = [assign_side(texts[at], f"seed {seed}", held_out) for at in order]
    traffic = replaying.Traffic(vectors[order], right[order], said[order], sides, classes, middle, usual)
    return replaying.Gateway(traffic, replaying.Policy(**policy), seed).run()


def drawn(n: int, seed: int) -> tuple[Any, Any]:
    """A seed's source of chance, and the order in which texts come."""
    import numpy as np

    rng = np.random.default_rng([seed, 7])
    return rng, rng.permutation(n)


def row(name: str, how: str, traces: Sequence[Any], alpha: float) -> list[str]:
    """A line of the table."""
    half = slice(len(traces[0].who) // 2, None)
    over = sum(trace.disagreement() > alpha for trace in traces)
    return [
        name,
        how,
        str(len(traces)),
        _spread([trace.share() for trace in traces]),
        _spread([trace.share(half) for trace in traces]),
        _spread([trace.disagreement() for trace in traces]),
        f"{over} of {len(traces)}",
        _spread([trace.accuracy() for trace in traces]),
        f"{middle([len(trace.promotions) for trace in traces]):.0f}",
        f"{sum(bool(trace.revocations) for trace in traces)} of {len(traces)}",
        f"{middle([len(trace.audited) for trace in traces]):.0f}",
    ]


def middle(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)


def _spread(values: Sequence[float]) -> str:
    import numpy as np

    low, middle, high = np.quantile(values, (0.05, 0.5, 0.95))
    return f"{middle:.1%} ({low:.1%} to {high:.1%})"
