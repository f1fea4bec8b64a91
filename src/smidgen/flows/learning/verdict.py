"""Whether the challenger takes the champion's place, and why, in words."""

from __future__ import annotations

from dataclasses import dataclass

from smidgen.flows.learning.contest import Contest
from smidgen.flows.learning.reach import Reach


@dataclass(frozen=True)
class Verdict:
    """See above. `why` is a sentence without a full stop."""

    promote: bool
    why: str


def judged(contest: Contest | None, certified: bool, champion_certified: bool, anyway: bool, reach: Reach | None = None) -> Verdict:
    """The rule.

    A challenger is promoted where it is better; where it is certified and the champion is not: that one answers nothing, so there is
    nothing to lose; or where both are certified and it answers more: what it answers is promised to be as good. But one that is shown to be
    worse, and not by less than the margin, stays out all the same. One without a certificate is promoted only where that is the policy; but
    the first of a line always is: without a certificate everything escalates, as it did before there was one.

    Args:
        contest: None where there is no champion.
        certified: whether the challenger got a certificate.
        champion_certified: whether the champion's holds now.
        anyway: whether one that is better is promoted without a certificate.
        reach: how much each would answer, where both are certified and that was looked at.
    """
    if contest is None:
        return Verdict(True, "it is the first of its line" + ("" if certified else "; without a certificate everything escalates"))
    shown = _shown(contest)
    if contest.won and certified:
        return Verdict(True, f"it is better: {shown}")
    if contest.won and anyway:
        return Verdict(True, f"it is better, and goes without a certificate as was asked for: {shown}")
    if contest.won:
        return Verdict(False, f"it is better, but could not be certified (--uncertified promote would take it): {shown}")
    if certified and not champion_certified and contest.behind:
        return Verdict(False, f"it is certified, but worse, and not shown to be so by less than {contest.margin:.1%}: {shown}")
    if certified and not champion_certified:
        return Verdict(True, f"it is certified, which the champion is not, and not shown to be worse: {shown}")
    if not champion_certified:
        return Verdict(False, f"it could not be certified: {shown}")
    if certified and reach is not None and reach.more and not contest.behind:
        return Verdict(True, f"it answers more under its certificate, and is not shown to be worse: {_reached(reach)}. Right: {shown}")
    more = f"; nor to answer more: {_reached(reach)}" if reach is not None else ""
    return Verdict(False, f"it could not be shown to be better: {shown}{more}")


def matters(contest: Contest | None, champion_certified: bool, more: bool = False) -> bool:
    """Whether a certificate would change what becomes of the challenger, or what it answers: each test for one is paid for by the next.

    `more`: whether it is expected to answer more than the champion does under its own.
    """
    return contest is None or contest.won or (not contest.behind and (more or not champion_certified))


def _reached(reach: Reach) -> str:
    return (
        f"{reach.challenger:.1%} against {reach.champion:.1%} of {reach.n:,} held-out rows, {reach.gained:,} more, {reach.lost:,} fewer, "
        f"p = {reach.p:.3g} (tested at {reach.level:.3g})"
    )


def _shown(contest: Contest) -> str:
    if contest.champion is None or contest.challenger is None:
        return "no held-out rows to compare on"
    return (
        f"{contest.challenger:.1%} against {contest.champion:.1%} on {contest.n:,} held-out rows, "
        f"{contest.gained:,} better and {contest.lost:,} worse, p = {contest.p:.3g} (look {contest.look}, tested at {contest.level:.3g})"
    )
