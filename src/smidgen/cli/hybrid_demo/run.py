"""The run of the demo: its plan, then a first version, the gateway before the recording, requests, and learning in between."""

from __future__ import annotations

import csv
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from smidgen.bases import lookup
from smidgen.cli.hybrid_demo import recorded_model
from smidgen.cli.hybrid_demo.recorded_model import Recording
from smidgen.cli.hybrid_demo.sandbox import LINE, DemoError, GatewayAnswer, GatewayClient, Sandbox, shown
from smidgen.core.errors import InputError
from smidgen.core.progress import Progress
from smidgen.judge.charts import local_share, standalone
from smidgen.parts import registry
from smidgen.server.traffic.recorder import OUTCOMES
from smidgen.store import files

INTENTS = (
    *("account/delete", "account/login", "account/loyalty_points", "account/newsletter"),
    *("contact/human", "damage/arrived_broken", "delivery/abroad", "delivery/late", "feedback/praise"),
    *("order/cancel", "order/gift_wrap", "order/invoice"),
    *("payment/discount_code", "payment/failed", "payment/gift_card", "payment/methods"),
    *("product/care", "product/material", "return/how_to", "shop/opening_hours", "out_of_scope"),
)
"""The demo's intents, of the sample's 41. There are about 60 different messages of each, too few to certify much with all 41."""
MOST_OF_ONE = 62
"""Most messages of one intent. Of messages that belong nowhere, the sample has five times as many."""
_EACH = 100
_CHART = "share.svg"


@dataclass(frozen=True)
class DemoPlan:
    """Settings of a run.

    Attributes:
        intents: labels whose messages are sent.
        own: examples per label that the shop has sorted itself, from which the first version learns.
        learn_at: numbers of requests after which it learns.
        requests: most requests; None for all messages.
        student: the student of the versions after the first.
        alpha, delta: those of the certificates.
        held_out: share of the captured texts used to compare and certify.
        audit_share: share of the local answers that are also asked of the recording.
        price_of: large model whose list price is used to count savings.
        seed: seed of the order of the messages.
    """

    intents: tuple[str, ...] = INTENTS
    own: int = 16
    learn_at: tuple[int, ...] = (500, 800)
    requests: int | None = None
    student: str = "kernel"
    alpha: float = 0.20
    delta: float = 0.05
    held_out: float = 0.6
    audit_share: float = 0.05
    price_of: str = "gpt-6.1-terra"
    seed: int = 0


FAST = DemoPlan(learn_at=(800,))
"""A shorter plan, with one learning run instead of two."""


def dealt(plan: DemoPlan, recording: Recording) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the shop's own examples with their right labels, and the messages to send, in order. No text is in both, and none comes twice.

    Raises InputError if no message is left to send.
    """
    rows = [(text, label) for text, label in recording.right.items() if label in plan.intents]
    random.Random(plan.seed).shuffle(rows)
    seen: Counter[str] = Counter()
    own, rest = [], []
    for text, label in rows:
        seen[label] += 1
        if seen[label] <= plan.own:
            own.append((text, label))
        elif seen[label] <= MOST_OF_ONE:
            rest.append(text)
    coming = rest[: plan.requests]
    if not own or not coming:
        raise InputError("cli.no_message_is_left_to_send", examples=len(own), coming=len(coming))
    return own, coming


def words_to_the_system(labels: Sequence[str]) -> str:
    """Return a system prompt with which a large model sorts a message."""
    return (
        f"You sort the messages that a homeware shop gets. Answer with one of these labels, and nothing else: {', '.join(sorted(labels))}."
    )


@dataclass
class Stretch:
    """A stretch of consecutive requests, from number `first` to, when it is over, number `upto`.

    Attributes:
        disagree: local answers that differ from the recording.
        wrong: local and recorded answers that differ from the sample's own label.
        recorded_wrong: of all these requests, those that the recording answers wrongly.
    """

    first: int
    upto: int
    requests: int = 0
    local: int = 0
    disagree: int = 0
    wrong: int = 0
    recorded_wrong: int = 0
    saved_usd: float = 0.0

    @property
    def share(self) -> float:
        """Share of the requests that were answered locally."""
        return self.local / self.requests if self.requests else 0.0

    def add(self, answer: GatewayAnswer, recorded: str, right: str) -> None:
        """Count one more request."""
        self.requests += 1
        self.local += answer.local
        self.disagree += answer.local and answer.text != recorded
        self.wrong += answer.text != right
        self.recorded_wrong += recorded != right
        self.saved_usd += answer.saved_usd


@dataclass(frozen=True)
class LearningRun:
    """One learning run: the number of requests before it, its seconds, and its JSON output."""

    at: int
    seconds: float
    result: Mapping[str, Any]

    @property
    def promoted(self) -> bool:
        """Whether a new version was promoted."""
        return bool(self.result["outcome"] == "promoted")

    @property
    def certificate(self) -> Mapping[str, Any] | None:
        """The new version's certificate; None if it has none."""
        found = self.result.get("certificate") or {}
        return found.get("certificate") if found.get("certified") else None

    def json(self) -> dict[str, Any]:
        """Return facts for JSON, without the line's own paths."""
        kept = ("outcome", "why", "champion", "before", "challenger", "contest", "certificate", "rows")
        return {"after_requests": self.at, "seconds": round(self.seconds, 1), **{name: self.result.get(name) for name in kept}}


@dataclass
class DemoTally:
    """Counts of the whole demo."""

    stretches: list[Stretch] = field(default_factory=list)
    lessons: list[LearningRun] = field(default_factory=list)

    @property
    def whole(self) -> Stretch:
        """All requests as one stretch."""
        found = Stretch(1, self.stretches[-1].upto if self.stretches else 0)
        for one in self.stretches:
            found.requests += one.requests
            found.local += one.local
            found.disagree += one.disagree
            found.wrong += one.wrong
            found.recorded_wrong += one.recorded_wrong
            found.saved_usd += one.saved_usd
        return found

    @property
    def certified(self) -> bool:
        """Whether any version was certified and promoted."""
        return any(lesson.promoted and lesson.certificate is not None for lesson in self.lessons)

    def json(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        whole = self.whole
        return {
            "requests": whole.requests,
            "answered_here": whole.local,
            "share": whole.share,
            "disagree": whole.disagree,
            "wrong": whole.wrong,
            "recorded_wrong": whole.recorded_wrong,
            "saved_usd": whole.saved_usd,
            "stretches": [{**asdict(one), "share": one.share} for one in self.stretches],
            "learnings": [lesson.json() for lesson in self.lessons],
        }


class DemoWatcher(Protocol):
    """Is told about the events of the run as they happen."""

    def ran(self, command: str) -> None:
        """A smidgen command is about to run."""
        ...

    def moved(self, tally: DemoTally, now: str) -> None:
        """The tally has changed; `now` says in a few words what is running."""
        ...

    def ended(self, stretch: Stretch, tally: DemoTally) -> None:
        """A stretch of requests is over."""
        ...

    def learnt(self, lesson: LearningRun, tally: DemoTally) -> None:
        """A learning run is over."""
        ...


@dataclass(frozen=True)
class DemoOutcome:
    """The results of a run: its tally, the outcomes of the gateway's audits and captured requests, the paths, and how long it took."""

    tally: DemoTally
    audits: dict[str, int]
    captured: dict[str, int]
    stage: Sandbox
    chart: Path
    seconds: float
    recording: Recording
    plan: DemoPlan

    def json(self) -> dict[str, Any]:
        """Return the facts for JSON."""
        return {
            "large_model": recorded_model.MARK,
            "about_the_recording": self.recording.about,
            "intents": list(self.plan.intents),
            "alpha": self.plan.alpha,
            "delta": self.plan.delta,
            "price_of": self.plan.price_of,
            **self.tally.json(),
            "audits": self.audits,
            "captured": self.captured,
            "folder": str(self.stage.folder),
            "line": str(self.stage.line),
            "chart": str(self.chart),
            "seconds": round(self.seconds, 1),
        }


def base_of(plan: DemoPlan, progress: Progress) -> Path | None:
    """Return the path of the base for the plan's student, fetched if needed; None if the student needs none. Raises BaseError."""
    family = registry.find("students", plan.student).base_family
    return lookup.find("auto", progress, family).folder if family else None


def run(folder: Path, plan: DemoPlan, watcher: DemoWatcher, base: Path | None, threads: int | None = None) -> DemoOutcome:
    """Run the demo.

    Args:
        folder: where everything is written; see `Sandbox`.
        plan: the settings of the run.
        watcher: is told about its events.
        base: the result of `base_of`.
        threads: threads per command; None for one per core.

    Raises:
        InputError: the folder holds something else, or the plan leaves no message.
        DemoError: a command or the gateway failed, or its counts differ from those of the replies.
    """
    began = time.monotonic()
    recorded = recorded_model.read()
    own, coming = dealt(plan, recorded)
    stage = Sandbox(folder)
    if base is not None:
        stage.lend(base)
    more = () if threads is None else ("--threads", str(threads))
    _write(stage.folder / "first.csv", own)
    build = ("build", "--task", "classify", "--data", "first.csv", "--input", "text", "--label", "intent", "--student", "linear")
    commands = _Commands(stage, watcher, more)
    commands.run(*build, "--out", "first")
    commands.run("learn", LINE, "--from", "first")
    with recorded_model.served(recorded) as large:
        gateway = (
            *(LINE, "--port", "0", "--fallback", large, "--fallback-model", plan.price_of, "--capture", "answers"),
            *("--capture-held-out", f"{plan.held_out:g}", "--audit-share", f"{plan.audit_share:g}"),
        )
        watcher.ran(shown(("serve", *gateway)))
        system = words_to_the_system(plan.intents)
        with stage.serving(*gateway, *more) as url, GatewayClient(url, LINE, system) as client:
            tally = _played(client, coming, plan, recorded, commands, watcher)
            client.until_stored(len(coming))
            audits, captured = _checked(client, tally)
    chart = stage.folder / _CHART
    _draw(chart, tally, plan)
    return DemoOutcome(tally, audits, captured, stage, chart, time.monotonic() - began, recorded, plan)


class _Commands:
    """Runs smidgen's commands in the sandbox, and tells the watcher."""

    def __init__(self, stage: Sandbox, watcher: DemoWatcher, more: Sequence[str]) -> None:
        self._stage, self._watcher, self._more = stage, watcher, more

    def run(self, *words: str) -> dict[str, Any]:
        self._watcher.ran(shown(words))
        return self._stage.run(*words, *self._more)

    def learn(self, plan: DemoPlan) -> dict[str, Any]:
        terms = ("--alpha", f"{plan.alpha:g}", "--delta", f"{plan.delta:g}", "--reference", "model")
        student = (f"student.kind={plan.student}", "compress.method=none")
        return self.run("learn", LINE, *terms, *(word for setting in student for word in ("--set", setting)))


def _played(
    client: GatewayClient, coming: Sequence[str], plan: DemoPlan, recorded: Recording, commands: _Commands, watcher: DemoWatcher
) -> DemoTally:
    """Send all requests one after the other, with the learning runs between them."""
    tally = DemoTally()
    ends = sorted({*range(_EACH, len(coming), _EACH), *(at for at in plan.learn_at if at < len(coming)), len(coming)})
    start = 0
    for end in ends:
        stretch = Stretch(start + 1, end)
        tally.stretches.append(stretch)
        for text in coming[start:end]:
            stretch.add(client.ask(text), recorded.answers[text], recorded.right[text])
            watcher.moved(tally, "requests")
        watcher.ended(stretch, tally)
        start = end
        if end in plan.learn_at and end < len(coming):
            watcher.moved(tally, "the last requests are stored")
            client.until_stored(end)
            watcher.moved(tally, "learning; the gateway goes on serving")
            begun = time.monotonic()
            result = commands.learn(plan)
            if result["champion"] is not None:
                client.until_serving(result["champion"])
            lesson = LearningRun(end, time.monotonic() - begun, result)
            tally.lessons.append(lesson)
            watcher.learnt(lesson, tally)
    return tally


def _checked(client: GatewayClient, tally: DemoTally) -> tuple[dict[str, int], dict[str, int]]:
    """Return the audits and the captured requests by outcome. Raises DemoError if the gateway's counts differ."""
    whole = tally.whole
    name = "smidgen_gateway_requests_total"
    counted = {who: round(client.counted(name, model=LINE, answered_by=who)) for who in ("local", "upstream")}
    found = {"local": whole.local, "upstream": whole.requests - whole.local}
    if counted != found:
        raise DemoError("cli.gateway_counts_differ_from_answers", counted=counted, found=found)
    outcomes = ("agreed", "disagreed", "dropped", "withheld", "unanswered", "failed")
    audits = {outcome: round(client.counted("smidgen_audits_total", model=LINE, outcome=outcome)) for outcome in outcomes}
    kept = {outcome: round(client.counted("smidgen_capture_rows_total", outcome=outcome)) for outcome in OUTCOMES}
    return audits, kept


def _write(file: Path, rows: Sequence[tuple[str, str]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "intent"])
        writer.writerows(rows)


def _draw(file: Path, tally: DemoTally, plan: DemoPlan) -> None:
    points = [(one.upto, one.share) for one in tally.stretches]
    turns = [(lesson.at, f"{lesson.result['champion'][:6]}") for lesson in tally.lessons if lesson.promoted]
    whole = tally.whole
    below = f"{whole.disagree} of {whole.local:,} local answers disagree with the recording; at most {plan.alpha:.0%} may"
    chart = local_share(points, turns, f"Answered here, in place of {recorded_model.MARK}", below)
    if chart is not None:
        files.write(file, standalone(chart).encode("utf-8"))
