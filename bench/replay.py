"""BANKING77 and CLINC150 as traffic: how much the loop answers locally, and how often that disagrees with the large model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench import replay_plot, results
from bench.context import Context
from bench.replay_cases import Cases, middle

NAME = "replay"
ASIDE = 0.08
"""Of all texts, where those that are held out are always escalated."""
OVERALL = (0.01, 0.015)
"""Of all requests, what may be answered locally and disagree, on average. The rows that certify are those that escalated, which are harder
than the traffic, so that less is lost than is asked for: the second was chosen after the first had lost 0.6 of a point on BANKING77."""


def run(context: Context) -> None:
    """Every data set and policy over all seeds."""
    cases = Cases(
        context,
        NAME,
        "The loop, replayed",
        "All texts of a data set, train and test, once each in random order, as requests to a gateway that has no label at first. What it "
        "escalates the large model answers (as gold has it), and that is what it learns from, whenever labels have "
        "grown by three tenths; it certifies with α = δ = 0.05 and audits 2 % of its answers. The rules are the product's, its student is "
        "`kernel` on the frozen starter encoder, taught in seconds; nothing goes over HTTP. “As served”: of what is escalated, a fifth "
        f"is held out. “Held out aside”: {ASIDE:.0%} of all texts are held out and always escalated, so that what certifies is like all of "
        "the traffic. “--overall”: certificates ask besides that on average at most so much of all requests is answered locally and "
        "disagrees.",
    )
    traces: dict[str, list[Any]] = {}
    aside: dict[str, Any] = {"held_out": ASIDE, "aside": True}
    ways: tuple[tuple[str, dict[str, Any]], ...] = (
        ("as served", {}),
        *((f"as served, --overall {most:g}", {"overall": most}) for most in OVERALL),
        ("held out aside", aside),
    )
    for how, policy in ways:
        for name in cases.names:
            found = traces[f"{name}, {how}"] = cases.play(name, how, **policy)
            cases.section.goals += goals(name, how, found)
            (context.results.parent / replay_plot.FILE).write_text(replay_plot.draw(traces), encoding="utf-8")
            cases.section.facts["plot"] = f"![share answered locally, disagreement and cost over time]({replay_plot.FILE})"
            cases.tell(name, how, found)


def goals(name: str, how: str, traces: Sequence[Any]) -> list[results.Goal]:
    """What is asked of it."""
    half = slice(len(traces[0].who) // 2, None)
    kept = sum(trace.disagreement() <= 0.05 for trace in traces) / len(traces)
    goals = [results.at_least(f"{name}, {how}: seeds within α", 0.95, kept, ".1%")]
    if name == "BANKING77":
        goals.append(results.at_least(f"{name}, {how}: local in the second half", 0.75, middle([t.share(half) for t in traces]), ".1%"))
    goals.append(results.at_least(f"{name}, {how}: accuracy, all escalated: 100 %", 0.99, middle([t.accuracy() for t in traces]), ".2%"))
    return goals
