"""BANKING77 and CLINC150 as traffic: how much the loop answers locally, how often that disagrees with the large model, and what a shift
does to it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

from bench import data, replay_plot, results
from bench.context import Context
from smidgen.machine.processor import threads as thread_count

NAME = "replay"
SEEDS, QUICK_SEEDS = 40, 2
HELD_OUT = 0.2
"""Of captured texts, as `--capture-held-out` has it."""
ASIDE = 0.08
"""Of all texts, where those that are held out are always escalated."""
NOISE, NOISY_ALPHA = 0.09, 0.15
NOISY_SEEDS = 10
"""Where nothing is certified all is learnt from, which takes a minute a seed."""
SHIFT_AUDIT = 0.1
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


def run(context: Context) -> None:
    """Every data set and policy over all seeds; then shifts in mid-stream."""
    seeds = QUICK_SEEDS if context.quick else SEEDS
    section = results.Section(
        NAME,
        "The loop, replayed",
        "All texts of a data set, train and test, once each in random order, as requests to a gateway that has no label at first. What it "
        "escalates the large model answers (gold, or gold with errors at random), and that is what it learns from, whenever labels have "
        "grown by three tenths; it certifies with α = δ = 0.05 and audits 2 % of its answers. The rules are the product's, its student is "
        "`kernel` on the frozen starter encoder, taught in seconds; nothing goes over HTTP. “As served”: of what is "
        "escalated, a fifth "
        f"is held out. “Held out aside”: {ASIDE:.0%} of all texts are held out and always escalated, so that what certifies is like all of "
        "the traffic. Medians over the seeds, and in brackets the 5th and the 95th of a hundred; seeds over α: those in which more than α "
        "of all local answers disagreed.",
        COLUMNS,
        facts={"load before": results.load_average(), "seeds of each row": "from 0 on"},
    )
    traces: dict[str, list[Any]] = {}
    played: dict[str, Any] = {}
    for name, (train, test) in {"BANKING77": data.banking77(context.data), "CLINC150": data.clinc150(context.data, False)}.items():
        rows = [*train, *test][: 3000 if context.quick else None]
        played[name] = partial(_played, [text for text, _ in rows], *_embedded(rows))

    def play(name: str, how: str, seeds: int, **policy: Any) -> list[Any]:
        """The traces of a case, kept as soon as all of its seeds are there: a case takes many minutes."""
        from bench.replaying import Trace

        def work() -> dict[str, Any]:
            return {"traces": [trace.json() for trace in played[name](seeds, **policy)]}

        key = "-".join(re.findall(r"[a-z0-9]+", f"{NAME} {name} {how}".lower()))
        found = context.measured(key, {"seeds": seeds, "policy": policy}, work, peer=False)
        if found.get("kept"):
            section.facts[f"kept: {name}, {how}"] = f"measured {found['measured_at']}"
        return [Trace.of(trace) for trace in found["traces"]]

    def told(name: str, how: str, found: Sequence[Any], alpha: float = 0.05) -> None:
        section.rows.append(row(name, how, found, alpha))
        results.publish(context, section)

    for name in played:
        for how, more in (("as served", {}), ("held out aside", {"held_out": ASIDE, "aside": True})):
            found = traces[f"{name}, {how}"] = play(name, how, seeds, **more)
            section.goals += goals(name, how, found)
            (context.results.parent / replay_plot.FILE).write_text(replay_plot.draw(traces), encoding="utf-8")
            section.facts["plot"] = f"![share answered locally, disagreement and cost over time]({replay_plot.FILE})"
            told(name, how, found)
    for name in played:
        for how, shift in (("new intents", "new_intents"), ("a changed meaning", "changed_meaning")):
            for forget in (False, True):
                case = f"{how}, 10 % audited, {'old rows forgotten once revoked' if forget else 'as served'}"
                found = play(name, case, seeds, shift=shift, audit=SHIFT_AUDIT, forget=forget)
                section.notes.append(f"{name}, {case}: {_recovery(found)}")
                told(name, case, found)
    for name in played:
        for alpha, more in ((NOISY_ALPHA, f", α = {NOISY_ALPHA}"), (0.05, "")):
            case = f"a teacher wrong in {NOISE:.0%}, as served{more}"
            told(name, case, play(name, case, min(seeds, NOISY_SEEDS), noise=NOISE, alpha=alpha), alpha)
    results.publish(context, section)


def _embedded(rows: data.Rows) -> tuple[Any, Any, int]:
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
    from smidgen.data.sides import side

    texts, vectors, gold, classes = _GIVEN
    rng, order = drawn(len(texts), seed)
    right = gold
    if shift:
        right, order = getattr(replaying, shift)(gold, order, rng)
    said = replaying.noisy(right, classes, noise, rng) if noise else right
    sides = [side(texts[at], f"seed {seed}", held_out) for at in order]
    traffic = replaying.Traffic(vectors[order], right[order], said[order], sides, classes)
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
        f"{_middle([len(trace.promotions) for trace in traces]):.0f}",
        f"{sum(bool(trace.revocations) for trace in traces)} of {len(traces)}",
        f"{_middle([len(trace.audited) for trace in traces]):.0f}",
    ]


def goals(name: str, how: str, traces: Sequence[Any]) -> list[results.Goal]:
    """What is asked of it."""
    half = slice(len(traces[0].who) // 2, None)
    kept = sum(trace.disagreement() <= 0.05 for trace in traces) / len(traces)
    goals = [results.at_least(f"{name}, {how}: seeds within α", 0.95, kept, ".1%")]
    if name == "BANKING77":
        goals.append(results.at_least(f"{name}, {how}: local in the second half", 0.75, _middle([t.share(half) for t in traces]), ".1%"))
    goals.append(results.at_least(f"{name}, {how}: accuracy, all escalated: 100 %", 0.99, _middle([t.accuracy() for t in traces]), ".2%"))
    return goals


def _recovery(traces: Sequence[Any]) -> str:
    """When the first revocation after the shift came, and what share is local in the last tenth of the traffic."""
    n = len(traces[0].who)
    met = []
    for trace in traces:
        if after := [at for at in trace.revocations if at >= n // 2]:
            met.append((after[0] - n // 2, sum(n // 2 <= at <= after[0] for at in trace.audited)))
    before, last = slice(4 * n // 10, n // 2), slice(9 * n // 10, None)
    told = f"revoked in {len(met)} of {len(traces)} seeds"
    if met:
        told += f", {_middle([at for at, _ in met]):.0f} requests after the shift at the median (audits since then: "
        told += f"{_middle([count for _, count in met]):.0f}, {max(count for _, count in met)} at most)"
    shares = _middle([trace.share(before) for trace in traces]), _middle([trace.share(last) for trace in traces])
    risks = _middle([trace.disagreement(last) for trace in traces])
    return f"{told}; local before the shift {shares[0]:.1%}, in the last tenth {shares[1]:.1%}, of which {risks:.1%} disagree."


def _middle(values: Sequence[float]) -> float:
    import statistics

    return statistics.median(values)


def _spread(values: Sequence[float]) -> str:
    import numpy as np

    low, middle, high = np.quantile(values, (0.05, 0.5, 0.95))
    return f"{middle:.1%} ({low:.1%} to {high:.1%})"
