"""Who answers, the small model or the large one: smidgen's score and the routers of others, by the area under quality over cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from bench import data, results, routers_plot
from bench.context import Context

NAME = "routers"
SEEDS, QUICK_SEEDS = 12, 2
NOISE = 0.09
LARGE = {0.0: "gold", NOISE: f"wrong in {NOISE:.0%}"}
HEADS = (("linear", ("BANKING77", "CLINC150"), LARGE), ("kernel", ("BANKING77",), {0.0: "gold"}))
"""Heads on frozen vectors, with the data sets and the large models that they are measured with: the second takes a minute a seed."""
QUICK_ROUTING = 60
BUILT = ("BANKING77",)
"""Data sets of which `smidgen build` makes a small model, with one seed."""
TIMES = 1000
"""Draws of the bootstrap."""
GAP, RISK = 0.8, 0.05
"""Share of the gap whose cost is shown, and of wrong answers at which it is shown how many the small model can give."""
COLUMNS = (
    "data, small model, large model",
    "router",
    "seeds",
    "area",
    "APGR",
    f"{GAP:.0%} of the gap at",
    f"alone, {RISK:.0%} wrong",
    "smidgen ahead, points of area",
)
Scores = dict[str, Any]
"""(m,) numbers by router, and those of both models' answers."""


@dataclass(frozen=True)
class Found:
    """One case over its seeds.

    Attributes:
        name: data set, small model and large model.
        rankings: for each router, and for one that knows both answers, a `cost_quality.Ranking` a seed.
        ahead: for each other router, the mean by which smidgen's area is larger and its 95 % interval.
    """

    name: str
    rankings: Mapping[str, Sequence[Any]]
    ahead: Mapping[str, tuple[float, float, float]]


def run(context: Context) -> None:
    """Heads on frozen vectors over all seeds, then whole builds with one."""
    from bench import routed

    seeds = QUICK_SEEDS if context.quick else SEEDS
    section = _section(context, seeds)
    found: list[Found] = []
    sets = {"BANKING77": data.banking77(context.data), "CLINC150": data.clinc150(context.data, False)}
    texts = {name: _embedded(context, name, *rows) for name, rows in sets.items()}
    routing = QUICK_ROUTING if context.quick else routed.ROUTING
    for head, names, larges in HEADS:
        taught = {"linear": routed.linear, "kernel": routed.kernel}[head]
        for name in names:
            for noise, large in larges.items():
                case = f"{name}, {head} head, {large}"
                draw = partial(taught, texts[name], noise=noise, routing=routing)
                _add(context, section, found, case, [_kept(context, f"{case}-{seed}", seed, partial(draw, seed)) for seed in range(seeds)])
    for name in () if context.quick else BUILT:
        try:
            cases = routed.built(context, name, texts[name], context.seeds[0])
        except routed.NotBuilt as trouble:
            context.troubles.append(f"the encoder on {name} was not measured: {trouble}")
            continue
        for noise, large in LARGE.items():
            _add(context, section, found, f"{name}, encoder, {large}", [scored(cases(noise), context.seeds[0])])
    results.publish(context, section)


def _section(context: Context, seeds: int) -> results.Section:
    from bench import routed, routing

    return results.Section(
        NAME,
        "Routers: quality over cost",
        "Each test request is answered by a small model, or by a large one at cost 1. A router gives each a score, and those with the "
        "smallest scores go to the large model; quality is the share of all answers that are right. The area is the mean quality over "
        "all costs from 0 to 1 (every threshold), and APGR, RouteLLM's average performance gap recovered, is (area − quality of the "
        "small model) ÷ (quality of the large one − quality of the small one): 0.5 at random. The large model is right (gold), or wrong "
        f"in {NOISE:.0%} of all texts at random. The linear head and the kernel head, that of the student `kernel`, stand on frozen "
        "vectors of the starter encoder and learn from the large model's answers; the encoder is `smidgen build` on gold labels, and "
        "answers through `smidgen predict`. Routers learn from "
        f"{routed.ROUTING:,} training rows that the small model did not learn from, as many as a certificate's calibration sample: "
        "their texts, the small model's answers, and whether the large model says the same. What a method leaves open is chosen by "
        f"{routing.FOLDS}-fold cross-validation on these rows. smidgen's score, the margin and the committee learn nothing from them. "
        f"“{GAP:.0%} of the gap at” is the cost at which that share of it is recovered (RouteLLM's CPT), “alone, {RISK:.0%} wrong” the "
        "largest share of requests that the small model answers with at most so many errors; both are read off the test set. "
        "“Knows both answers” is the best there could be. Means over the seeds, which draw the rows, the errors and the students; "
        f"intervals: 95 %, paired bootstrap over seeds and test requests, {TIMES:,} draws, each interval by itself.",
        COLUMNS,
        facts={"load before": results.load_average(), "seeds": f"0 to {seeds - 1} of the heads, {context.seeds[0]} of the encoder"},
    )


def _embedded(context: Context, name: str, train: data.Rows, test: data.Rows) -> Any:
    import numpy as np

    from bench import routed
    from smidgen.flows.embedding import embedder

    if context.quick:
        train, test = data.quick(train, test)
    rows = [*train, *test]
    labels = sorted({label for _, label in rows})
    gold = np.array([labels.index(label) for _, label in rows])
    file = context.out / "raw" / f"{NAME}-vectors-{name}.npy"
    if context.keep != "all" or not file.is_file():
        embed = embedder(threads=context.threads)
        assert embed is not None, "the starter encoder: smidgen pull minilm"
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, embed([text for text, _ in rows]))
    return routed.Texts(rows, np.load(file), gold, len(train), labels)


def _kept(context: Context, key: str, seed: int, case: Callable[[], Any]) -> Scores:
    """What `scored` says of a case, stored as soon as it is there, so that a run that is stopped goes on with `--keep all`."""
    import numpy as np

    file = context.out / "raw" / f"{NAME}-{key.replace(' ', '-').replace(',', '').replace('%', '')}.npz"
    if context.keep == "all" and file.is_file():
        with np.load(file) as stored:
            return dict(stored)
    found = scored(case(), seed)
    np.savez(file, **found)
    context.say(f"{NAME}: {key}")
    return found


def scored(case: Any, seed: int, routers: Mapping[str, Any] | None = None) -> Scores:
    """(m,) the score of each router for each test request; and under `small` and `large` whether that model is right."""
    from bench import routing

    chosen = routing.ROUTERS if routers is None else routers
    found = {
        key: router(case.routing, case.agreed, case.test, seed)
        for key, router in chosen.items()
        if key != "committee" or case.test.doubt is not None
    }
    return {**found, "small": case.small, "large": case.large}


def _add(context: Context, section: results.Section, found: list[Found], name: str, kept: Sequence[Scores]) -> None:
    """A case measured, and the page written with it."""
    from bench import cost_quality

    one = measured(name, kept)
    found.append(one)
    for router, ranked in one.rankings.items():
        section.rows.append(_row(one, router, ranked))
    section.goals += _goals(one)
    section.notes += _together(one)
    (context.results.parent / routers_plot.FILE).write_text(
        routers_plot.draw(
            {each.name: {key: [cost_quality.curve(one) for one in value] for key, value in each.rankings.items()} for each in found}
        ),
        encoding="utf-8",
    )
    section.facts["plot"] = f"![quality over the share that is escalated, by router]({routers_plot.FILE})"
    results.publish(context, section)
    context.say(f"{NAME}: {name}")


def measured(name: str, kept: Sequence[Scores]) -> Found:
    """Each router's curve for each seed, and smidgen's area against that of each other."""
    import numpy as np

    from bench import cost_quality

    rankings = {
        key: [cost_quality.ranking(one[key], one["small"], one["large"]) for one in kept]
        for key in kept[0]
        if key not in ("small", "large")
    }
    rankings[routers_plot.IDEAL] = [cost_quality.ideal(one["small"], one["large"]) for one in kept]
    seeds, requests = cost_quality.draws(len(kept), len(kept[0]["small"]), TIMES, np.random.default_rng(9))
    drawn = {key: [cost_quality.areas(ranked, requests) for ranked in value] for key, value in rankings.items()}
    middles = {key: _mean(cost_quality.area(ranked) for ranked in value) for key, value in rankings.items()}
    ahead = {
        key: (middles["smidgen"] - middles[key], *cost_quality.difference(drawn["smidgen"], drawn[key], seeds))
        for key in rankings
        if key != "smidgen"
    }
    return Found(name, rankings, ahead)


def _row(one: Found, router: str, ranked: Sequence[Any]) -> list[str]:
    from bench import cost_quality

    shares = [cost_quality.recovered(each) for each in ranked]
    small = [float(each.small.mean()) for each in ranked]
    large = [_large(each) for each in ranked]
    gap = all(high > low for low, high in zip(small, large, strict=True))
    costs = [cost_quality.cost_of(each, low + GAP * (high - low)) for each, low, high in zip(ranked, small, large, strict=True)]
    name = f"{one.name}: alone {_mean(small):.2%} and {_mean(large):.2%}"
    return [
        name,
        f"**{router}**" if router == "smidgen" else router,
        str(len(ranked)),
        f"{_mean(map(cost_quality.area, ranked)):.2%}",
        f"{_mean(shares):.3f}" if gap else "no gap",
        f"{_mean(costs):.1%}" if gap else "",
        f"{_mean(cost_quality.alone(each, RISK) for each in ranked):.1%}" if router != routers_plot.IDEAL else "",
        _points(one.ahead[router]) if router in one.ahead else "",
    ]


def _goals(one: Found) -> list[results.Goal]:
    """Ahead of each router that learns from routing rows: those that read the text, and those that read the score, too."""
    from bench import routing

    goals = []
    for what, of in (("routers that read the text", routing.TEXT), ("routers that read the score, too", routing.COMBINED)):
        least = min((key for key in of if key in one.ahead), key=lambda key: one.ahead[key][1])
        before = sum(one.ahead[key][1] > 0 for key in of if key in one.ahead)
        goals.append(
            results.Goal(
                f"{one.name}: ahead of {len(of)} {what}",
                "lower ends over 0",
                f"{before} of {len(of)}; least of {least}: {_points(one.ahead[least])}",
                before == len(of),
            )
        )
    return goals


def _together(one: Found) -> list[str]:
    """Where both models together are better than the large one alone: how good they are at best, by smidgen's score."""
    ranked = one.rankings["smidgen"]
    best, alone = _mean(map(_peak, ranked)), _mean(map(_large, ranked))
    if best <= alone:
        return []
    cost = _mean(map(_peak_cost, ranked))
    told = f"{one.name}: by smidgen's score, {best:.2%} of all answers are right where {cost:.0%} escalate, and {alone:.2%} where all do."
    return [f"{told} That is the best point of the curve, read off the test set."]


def _points(ahead: tuple[float, float, float]) -> str:
    middle, low, high = (100 * value for value in ahead)
    return f"{middle:+.2f} ({low:+.2f} to {high:+.2f})"


def _large(ranked: Any) -> float:
    return float(ranked.small.mean() + ranked.gains.mean())


def _peak(ranked: Any) -> float:
    from bench import cost_quality

    return float(cost_quality.curve(ranked)[1].max())


def _peak_cost(ranked: Any) -> float:
    from bench import cost_quality

    costs, qualities = cost_quality.curve(ranked)
    return float(costs[int(qualities.argmax())])


def _mean(values: Any) -> float:
    import statistics

    return statistics.fmean(values)
