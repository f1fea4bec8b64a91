"""The order of the demo: a first version, the gateway before the recording, requests, and learning in between."""

from __future__ import annotations

import csv
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from smidgen.bases import lookup
from smidgen.cli.hybrid_demo import plan as plans
from smidgen.cli.hybrid_demo import recorded_model
from smidgen.cli.hybrid_demo.plan import DemoPlan
from smidgen.cli.hybrid_demo.recorded_model import Recording
from smidgen.cli.hybrid_demo.results import DemoTally, GatewayClient, LearningRun, Stretch
from smidgen.cli.hybrid_demo.sandbox import LINE, DemoError, Sandbox, shown
from smidgen.core.progress import Progress
from smidgen.judge.charts import lines
from smidgen.judge.charts.axes import standalone
from smidgen.parts import registry
from smidgen.server.traffic.recorder import OUTCOMES
from smidgen.store import atomic_file

_EACH = 100
_CHART = "share.svg"


class DemoWatcher(Protocol):
    """A listener to the events of a run."""

    def ran(self, command: str) -> None:
        """A command of smidgen's is about to run."""
        ...

    def moved(self, tally: DemoTally, now: str) -> None:
        """The tally has changed; `now` names the present work in a few words."""
        ...

    def ended(self, stretch: Stretch, tally: DemoTally) -> None:
        """A stretch of requests is over."""
        ...

    def learnt(self, lesson: LearningRun, tally: DemoTally) -> None:
        """A learning is over."""
        ...


@dataclass(frozen=True)
class DemoOutcome:
    """The result of a run: its tally, the gateway's audits and captures, the folders, and how long it took."""

    tally: DemoTally
    audits: dict[str, int]
    captured: dict[str, int]
    stage: Sandbox
    chart: Path
    seconds: float
    recording: Recording
    plan: DemoPlan

    def json(self) -> dict[str, Any]:
        """JSON-ready."""
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
    """The folder of the base of the plan's student, fetched if it is not here; None where it needs no base. Raises BaseError."""
    family = registry.find("students", plan.student).base_family
    return lookup.find("auto", progress, family).folder if family else None


def run(folder: Path, plan: DemoPlan, watcher: DemoWatcher, base: Path | None, threads: int | None = None) -> DemoOutcome:
    """Run the demo.

    Args:
        folder: the folder of everything; see `Sandbox`.
        plan: the plan of the run.
        watcher: listens to the run.
        base: the base's folder, from `base_of`.
        threads: that each command computes with; None for one a core.

    Raises:
        InputError: the folder holds something else, or the plan leaves no message.
        DemoError: a command or the gateway failed, or its counts are not those of the replies.
    """
    began = time.monotonic()
    recorded = recorded_model.read()
    own, coming = plans.dealt(plan, recorded)
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
        system = plans.words_to_the_system(plan.intents)
        with stage.serving(*gateway, *more) as url, GatewayClient(url, LINE, system) as client:
            tally = _played(client, coming, plan, recorded, commands, watcher)
            client.until_stored(len(coming))
            audits, captured = _checked(client, tally)
    chart = stage.folder / _CHART
    _draw(chart, tally, plan)
    return DemoOutcome(tally, audits, captured, stage, chart, time.monotonic() - began, recorded, plan)


class _Commands:
    """Runs smidgen's commands on the stage, and says so."""

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
    """All requests, one after the other, and the learnings between them."""
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
    """Audits and captured requests by outcome. Raises DemoError where the gateway's counts differ."""
    whole = tally.whole
    name = "smidgen_gateway_requests_total"
    counted = {who: round(client.counted(name, model=LINE, answered_by=who)) for who in ("local", "upstream")}
    found = {"local": whole.local, "upstream": whole.requests - whole.local}
    if counted != found:
        raise DemoError(
            "the gateway's counts differ from the answers that came",
            value=f"{counted}, not {found}",
            todo="This is a defect: please report it.",
        )
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
    chart = lines.local_share(points, turns, f"Answered here, in place of {recorded_model.MARK}", below)
    if chart is not None:
        atomic_file.write(file, standalone(chart).encode("utf-8"))
