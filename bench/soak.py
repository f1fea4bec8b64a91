"""Half an hour of mixed load while everything around the gateway fails: every client answered or told, by the right model."""

from __future__ import annotations

import json
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable

from bench import results, shop, soak_world
from bench.context import Context
from bench.load import percentile
from bench.soak_clients import ANSWERED, CUT, TOLD, Client, Ended, Log
from bench.soak_verdict import lost, slope, unexplained, wrong
from bench.soak_world import Span, World

NAME = "soak"
MINUTES, QUICK_MINUTES = 30.0, 1.0
CLIENTS = 12
DISK_MB = 64
DISK_MB_A_MINUTE = 16
COLUMNS = (
    "asked for",
    "requests",
    "answered here",
    "answered upstream",
    "told",
    "cut or refused by kill -9",
    "neither",
    "p50 ms",
    "p99 ms",
    "longest s",
)
Fault = tuple[float, str, Callable[[], None]]
"""When, in parts of the whole; what; and how."""


def run(context: Context) -> None:
    """The whole of it, once."""
    minutes = context.minutes or (QUICK_MINUTES if context.quick else MINUTES)
    section = results.Section(
        NAME,
        "Soak",
        f"{CLIENTS} clients ask `smidgen serve` with two lines for {minutes:g} minutes, one request after the other: texts that a "
        "certificate lets a bundle answer, texts that it does not, another model's name, a part of each as a stream; of some answers they "
        "say what they think. Meanwhile the upstream is slowed, killed and made to fail, the gateway is killed (`kill -9`) and started "
        "again, its disk is filled, its champion is changed and changed back, and its clock is set forward past the certificates' end, and "
        "back. The labels of each version of each line are its own, and what it says to each text was asked of it before. Each answer is "
        "compared with that, with the champion and the certificate of its time; each feedback that was acknowledged is looked for in the "
        "store in the end.",
        COLUMNS,
        facts={"load before": results.load_average()},
    )
    try:
        disk = int(DISK_MB + DISK_MB_A_MINUTE * minutes)
        world = soak_world.made(context, context.out / NAME, disk)
    except shop.NoBundle as trouble:
        section.notes.append(f"Not run: {trouble}.")
        results.publish(context, section)
        return
    log, story = Log(), []
    try:
        code = _soaked(context, world, log, story, minutes * 60)
        missing = lost(world.home / "traffic.db", log.stored)
    finally:
        world.close()
    _publish(context, section, world, log, story, missing, code)


def _soaked(context: Context, world: World, log: Log, story: list[str], seconds: float) -> int:
    """Load and faults; the code that the gateway ended with when it was asked to stop."""
    over = threading.Event()
    world.start_upstream()
    world.start_gateway()
    clients = [threading.Thread(target=Client(world, log, seed).run, args=(over,), daemon=True) for seed in range(CLIENTS)]
    threading.Thread(target=world.sample, daemon=True).start()
    began = time.monotonic()
    for client in clients:
        client.start()
    try:
        for part, what, fault in schedule(world):
            over.wait(max(0.0, began + part * seconds - time.monotonic()))
            story.append(f"{time.monotonic() - began:.0f} s {what}")
            context.say(f"{NAME}: {story[-1]}")
            fault()
        over.wait(max(0.0, began + seconds - time.monotonic()))
    finally:
        over.set()
    for client in clients:
        client.join(2 * 60.0)
    return world.stop_gateway()


def schedule(world: World) -> list[Fault]:
    """What goes wrong, and when. The clock comes last: what it has ended stays so."""

    def restart() -> None:
        world.kill_gateway()
        world.start_gateway()

    def past_the_end() -> None:
        world.set_clock(200)
        world.ended.append(Span(time.monotonic()))

    faults: list[Fault] = [
        (0.08, "upstream slowed to 2 s", lambda: world.manners(delay=2.0)),
        (0.13, "upstream quick again", lambda: world.manners(delay=soak_world.DELAY)),
        (0.18, "upstream killed", world.kill_upstream),
        (0.24, "upstream back", world.start_upstream),
        (0.30, "champion changed", lambda: world.promote(0)),
        (0.37, "gateway killed and started", restart),
        (0.58, "upstream fails with 500", lambda: world.manners(fail=500)),
        (0.62, "upstream answers again", lambda: world.manners(fail=0)),
        (0.66, "champion changed back", lambda: world.promote(1)),
        (0.72, "upstream's streams slowed", lambda: world.manners(pause=0.3)),
        (0.74, "upstream killed within streams", world.kill_upstream),
        (0.76, "upstream back", world.start_upstream),
        (0.80, "gateway killed and started", restart),
    ]
    if world.own_disk:
        faults += [(0.46, "disk full", world.fill_disk), (0.54, "disk free", world.free_disk)]
    if world.clock is not None:
        faults += [(0.90, "clock 200 days ahead", past_the_end), (0.95, "clock back", lambda: world.set_clock(0))]
    return sorted(faults, key=lambda fault: fault[0])


def _publish(context: Context, section: results.Section, world: World, log: Log, story: list[str], missing: list[str], code: int) -> None:
    ends = log.ends
    faults = Counter(found for end in ends if (found := wrong(world, end)))
    neither = unexplained(ends, world.down)
    longest = max(world.lives, key=len, default=[])
    changes = [span.began for _, span in world.reigns]
    growth, peak = slope(longest, changes), max((size for life in world.lives for _, size in life), default=None)
    section.facts["what happened"] = "; ".join(story)
    (world.folder / "memory.json").write_text(json.dumps({"lives": world.lives, "changes": changes}))
    section.facts["gateway down"] = ", ".join(f"{span.ended - span.began:.1f} s" for span in world.down)
    if peak is not None and longest:
        section.facts["resident memory"] = (
            f"in the longest of {len(world.lives)} lives ({longest[-1][0] - longest[0][0]:.0f} s) {longest[0][1]:.0f} MB at its beginning, "
            f"{statistics.median(size for _, size in longest):.0f} at the median, {longest[-1][1]:.0f} at its end; "
            f"at most {peak:.0f} in any"
        )
    kinds = list(dict.fromkeys(end.kind for end in ends))
    section.rows = [_row(kind, [end for end in ends if end.kind == kind], neither) for kind in sorted(kinds)]
    section.rows.append(_row("all", ends, neither))
    section.goals = [
        _none("answers from a wrong bundle, or under a certificate that does not stand", sum(faults.values())),
        _none(f"feedback acknowledged and lost, of {len(log.stored):,}", len(missing)),
        _none("requests neither answered nor told, but for those that kill -9 cut", len(neither)),
        results.at_most("resident memory, growth in the longest life after its first quarter", 1, slope(longest), "MB a minute", ".2f"),
        results.at_most("the same between changes of champion, each of which is a step", 1, growth, "MB a minute", ".2f"),
        results.Goal("stops when it is told to", "code 0", f"code {code}", code == 0),
    ]
    section.notes += [f"{count:,} wrong: {what}" for what, count in faults.items()]
    details = Counter(f"{end.kind}: {end.how} ({end.detail})" for end in neither)
    section.notes += [f"{count:,} neither answered nor told: {what}" for what, count in details.items()]
    if not world.own_disk:
        section.notes.append("The disk was not filled: this user cannot mount one.")
    if world.clock is None:
        section.notes.append("The clock was not set: this machine has no libfaketime.")
    here = Counter(end.bundle for end in ends if end.headers.get("x-smidgen-answered-by") == "local" and end.how == ANSWERED)
    named = [(f"{name} {number}", one.id) for name, all in world.versions.items() for number, one in enumerate(all, 1)]
    section.facts["answered here by"] = ", ".join(f"{here[id]:,} {name}" for name, id in named)
    told = Counter(end.detail for end in ends if end.how == TOLD)
    section.facts["told by"] = ", ".join(f"{count:,} {status}" for status, count in told.most_common())
    why = Counter(end.headers["x-smidgen-escalated"].partition(" (")[0] for end in ends if "x-smidgen-escalated" in end.headers)
    section.facts["escalated for"] = ", ".join(f"{count:,} {reason}" for reason, count in why.most_common())
    results.publish(context, section)


def _row(kind: str, ends: list[Ended], neither: list[Ended]) -> list[str]:
    by = Counter(end.headers.get("x-smidgen-answered-by", "") for end in ends if end.how == ANSWERED)
    took = sorted((end.ended - end.began) * 1e3 for end in ends if end.how == ANSWERED)
    odd = {id(end) for end in neither}
    whole = [sum(end.how == how for end in ends) for how in (TOLD, CUT)]
    here = by["local"] + (by[""] if kind == "feedback" else 0)
    mine = sum(id(end) in odd for end in ends)
    cut = whole[1] - sum(id(end) in odd and end.how == CUT for end in ends)
    counts = [len(ends), here, by["upstream"], whole[0], cut, mine]
    longest = max((end.ended - end.began for end in ends), default=0.0)
    return [kind, *(f"{count:,}" for count in counts), *(results.number(percentile(took, q), 1) for q in (0.5, 0.99)), f"{longest:.1f}"]


def _none(what: str, count: int) -> results.Goal:
    return results.Goal(what, "none", f"{count:,}", count == 0)
