"""A burst before a gateway that captures: how much of it is stored, on cores that are busy."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import gateways, process, results
from bench.context import Context, last_json
from bench.data import banking77
from bench.overhead import counted

NAME = "bursts"
REQUESTS, QUICK_REQUESTS = 3_000, 200
RATE = 270.0
BURNERS = 2
START_LIMIT, BURST_LIMIT, DRAIN_LIMIT = 120.0, 120.0, 400.0
_LOOK_SECONDS = 0.5
_BURN = "import time\nend = time.monotonic() + 600\nwhile time.monotonic() < end: pass"
COLUMNS = ("requests", "a second", "busy with", "answered", "p50 ms", "p99 ms", "stored", "dropped", "until all was stored, s", "peak MB")


def run(context: Context) -> None:
    """One burst of test messages of BANKING77, all of other texts, while other programs use every core."""
    section = results.Section(
        NAME,
        "A burst, captured",
        f"`smidgen serve --capture answers` before an upstream of 20 ms, redaction on, asked {REQUESTS:,} times at {RATE:.0f} requests a "
        f"second in an open loop while {BURNERS} other programs compute without a pause. The texts are test messages of BANKING77. What "
        "became of each request is read from `/metrics` once nothing waits any more; the time until then runs from the end of the burst, "
        "when the other programs end, too.",
        COLUMNS,
        facts={"load before": results.load_average()},
    )
    count = QUICK_REQUESTS if context.quick else REQUESTS
    _, test = banking77(context.data)
    texts = context.out / "data" / f"{NAME}.txt"
    texts.parent.mkdir(parents=True, exist_ok=True)
    texts.write_text("\n".join(" ".join(text.split()) for text, _ in test) + "\n", encoding="utf-8")
    found = context.measured(f"{NAME}-{count}", {"requests": count, "rate": RATE}, lambda: _burst(context, count, texts), peer=False)
    if trouble := found.get("trouble"):
        section.notes.append(str(trouble))
    else:
        outcomes = found["outcomes"]
        dropped = {name: int(number) for name, number in outcomes.items() if name != "stored" and number}
        load = found["load"]
        said = ", ".join(f"{number:,} {name}" for name, number in dropped.items()) or "0"
        section.rows = [
            [
                f"{count:,}",
                f"{RATE:.0f}",
                f"{BURNERS} programs",
                f"{load['answered']:,}",
                *(results.number(load[name], 1) for name in ("p50", "p99")),
                f"{outcomes['stored']:,.0f}",
                said,
                results.number(found["drain"], 1),
                results.number(found["peak_mb"]),
            ]
        ]
        section.goals = [results.at_most("requests of the burst that are not stored", 0, sum(dropped.values()), "")]
        if load["answered"] < count:
            section.notes.append(f"{count - load['answered']:,} requests were not answered in time: the machine was too busy for the burst")
    results.publish(context, section)


def _burst(context: Context, count: int, texts: Path) -> dict[str, Any]:
    homes = context.out / "homes" / NAME
    shutil.rmtree(homes, ignore_errors=True)
    upstream = [sys.executable, "-m", "bench.upstream", "--port", "{port}", "--delay", "0.02"]
    logs = context.out / "logs"
    try:
        with process.serving(upstream, limit=START_LIMIT, log=logs / f"{NAME}-upstream") as large:
            line = gateways.smidgen(NAME, large.url, texts, homes, ("--capture", "answers"))
            env = {**context.env(), **line.env}
            limit = START_LIMIT * context.patience
            with process.serving(line.command, limit=limit, log=logs / NAME, env=env, ready=line.ready) as server:
                return _asked(context, count, line, server)
    except process.NotReady as trouble:
        return {"trouble": str(trouble)}


def _asked(context: Context, count: int, line: gateways.Line, server: process.Server) -> dict[str, Any]:
    seconds = (count + 0.5) / RATE
    asked = ["--face", "chat", "--model", line.model, "--texts", line.texts, "--seconds", str(seconds), "--warm", "0", "--rate", str(RATE)]
    with _busy():
        ran = context.run([sys.executable, "-m", "bench.pacing", server.url, *asked], f"{NAME}-load", BURST_LIMIT)
    load = last_json(ran.stdout)
    began = time.perf_counter()
    outcomes: dict[str, float] = {}
    while sum(outcomes.values()) < load["answered"] and time.perf_counter() - began < DRAIN_LIMIT:
        time.sleep(_LOOK_SECONDS)
        with urllib.request.urlopen(f"{server.url}/metrics", timeout=30) as response:
            outcomes = counted(response.read().decode("utf-8"), "smidgen_capture_rows_total", "outcome")
    return {"load": load, "outcomes": outcomes, "drain": time.perf_counter() - began, "peak_mb": server.peak_mb()}


@contextlib.contextmanager
def _busy() -> Iterator[None]:
    """Programs that compute all the time, one a core."""
    burning = [subprocess.Popen([sys.executable, "-c", _BURN]) for _ in range(BURNERS)]
    try:
        yield
    finally:
        for one in burning:
            one.kill()
            one.wait()
