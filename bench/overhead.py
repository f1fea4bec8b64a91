"""What a gateway adds to a request: smidgen and LiteLLM's proxy before an upstream of 20 ms, and smidgen's own answers."""

from __future__ import annotations

import re
import shutil
import sys
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench import gateways, process, results, shop
from bench.context import Context, last_json
from bench.gateways import Line

NAME = "overhead"
DELAY = 0.02
RATE = 100
CLIENTS = 64
ROUNDS = 3
SECONDS, QUICK_SECONDS = 15.0, 3.0
START_LIMIT, CALL_LIMIT = 300.0, 200.0
ALONE, PASSING, LITELLM, LOCAL = "upstream alone", "smidgen, passing", "LiteLLM proxy", "smidgen, local, captured"
COLUMNS = (
    "system",
    f"{RATE}/s p50 ms",
    "p99 ms",
    "added p50 ms",
    "added p99 ms",
    "its core ms a request",
    f"{CLIENTS} clients answers/s",
    "p50 ms",
    "p99 ms",
    "its core ms a request",
    "errors",
    "resident MB at start",
    "peak MB",
    "answered locally",
    "stored",
)


def run(context: Context) -> None:
    """Rounds in turn, every other one the other way about. Medians over the rounds; what is added, against the upstream of the round."""
    section = results.Section(
        NAME,
        "What a gateway adds",
        f"An upstream of {DELAY * 1e3:.0f} ms on this machine, a process of its own, and gateways before it, asked for chat completions by "
        f"raw-socket clients on the same cores. First {RATE} requests a second in an open loop, over connections that stay: each is due at "
        "a random moment of its hundredth of a second, the same moments for all, and its time runs from when it was due. “Added” is the "
        "difference to the upstream alone in the same round, of medians and of 99th percentiles. Then "
        f"{CLIENTS} clients in a closed loop. The texts are the test messages of the shop's inbox. “Passing”: no bundle, everything goes "
        "to the upstream. “Local”: a bundle that sorts the inbox into areas under a certificate, asked only what that lets it answer. "
        "Medians over the rounds; access logs are off on both sides; core ms: of the gateway's processes, threads that store among them.",
        COLUMNS,
        facts={"load before": results.load_average()},
    )
    texts = _texts(context, "texts", [text for text, _ in shop.areas("test")])
    upstream = [sys.executable, "-m", "bench.upstream", "--port", "{port}", "--delay", str(DELAY)]
    with process.serving(upstream, limit=START_LIMIT, log=context.out / "logs" / f"{NAME}-upstream") as server:
        lines = [Line(ALONE, texts=texts), *_lines(context, section, server.url, texts)]
        done: dict[str, list[dict[str, Any]]] = {line.name: [] for line in lines}
        for number in range(1 if context.quick else ROUNDS):
            for line in lines if number % 2 == 0 else reversed(lines):
                key = f"{NAME}-{line.key}-{number}"
                work = _work(context, line, server)
                done[line.name].append(context.measured(key, {"rate": RATE, "clients": CLIENTS}, work, peer=line.peer))
            _publish(context, section, done)


def _lines(context: Context, section: results.Section, upstream: str, texts: Path) -> list[Line]:
    """What is measured beside the upstream itself; what cannot be made is noted."""
    homes = context.out / "homes" / NAME
    shutil.rmtree(homes, ignore_errors=True)
    lines = [
        gateways.smidgen(PASSING, upstream, texts, homes / "passing"),
        gateways.smidgen("smidgen, passing, captured", upstream, texts, homes / "captured", ("--capture", "answers")),
        gateways.smidgen("smidgen, passing, --privacy mask", upstream, texts, homes / "mask", ("--privacy", "mask")),
    ]
    python = context.peer("litellm")
    if python is not None:
        folder = context.out / "peers" / "litellm"
        lines.append(gateways.litellm(LITELLM, upstream, texts, python, folder, 1))
        lines.append(gateways.litellm(f"{LITELLM}, 2 workers", upstream, texts, python, folder, 2))
    for student, flags in (("linear", ("--student", "linear")), ("encoder", ("--student", "encoder"))):
        if context.quick and student != "linear":
            continue
        try:
            train = shop.write(context.out / "data" / f"{NAME}-train.csv", shop.areas("train"))
            sample = shop.write(context.out / "data" / f"{NAME}-test.csv", shop.areas("test"))
            home = homes / f"local-{student}"
            made = shop.certified(context, shop.built(context, f"{NAME}-{student}", train, flags), sample, home)
        except shop.NoBundle as trouble:
            section.notes.append(str(trouble))
            continue
        own = _texts(context, f"texts-{student}", made.local)
        section.facts[f"local, {student}"] = f"{len(made.local)} of {len(made.answers)} texts are answered alone at α = {shop.ALPHA}"
        lines.append(gateways.local(f"{LOCAL}, {student}", upstream, own, home, made))
    return lines


def _texts(context: Context, name: str, texts: Sequence[str]) -> Path:
    file = context.out / "data" / f"{NAME}-{name}.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return file


def _work(context: Context, line: Line, upstream: process.Server) -> Callable[[], dict[str, Any]]:
    """One line of one round."""

    def work() -> dict[str, Any]:
        if not line.command:
            return {"side": line.name, **_loads(context, line, upstream)}
        log = context.out / "logs" / f"{NAME}-{line.key}-server"
        env = {**context.env(), **line.env}
        try:
            with process.serving(line.command, limit=START_LIMIT * context.patience, log=log, env=env, ready=line.ready) as server:
                start = {"resident_mb": server.resident_mb(), "ready_seconds": server.ready_seconds}
                loads = _loads(context, line, server)
                return {"side": line.name, **start, **loads, "peak_mb": server.peak_mb(), **_told(line, server)}
        except process.NotReady as trouble:
            return {"side": line.name, "trouble": str(trouble)}

    return work


def _loads(context: Context, line: Line, server: process.Server) -> dict[str, Any]:
    seconds = QUICK_SECONDS if context.quick else SECONDS
    asked = ["--face", "chat", "--model", line.model, "--texts", line.texts, "--seconds", str(seconds), "--warm", "2"]
    found = {}
    for name, module, more in (("paced", "pacing", ["--rate", str(RATE)]), ("full", "load", ["--clients", str(CLIENTS)])):
        before = server.cpu_seconds()
        ran = context.run([sys.executable, "-m", f"bench.{module}", server.url, *asked, *more], f"{NAME}-{name}", CALL_LIMIT)
        after = server.cpu_seconds()
        try:
            result = last_json(ran.stdout)
        except ValueError:
            result = {"answered": 0, "errors": {ran.trouble or "no result": 1}}
        if before is not None and after is not None and result["answered"]:
            # The load's first seconds are not counted, and cost as much: by their share of the time.
            result["core_ms"] = (after - before) * 1e3 / result["answered"] * seconds / (seconds + 2)
        found[name] = result
    silent = [name for name, result in found.items() if not result["answered"]]
    return {**found, **({"trouble": f"no request was answered in {silent[0]}: {found[silent[0]]['errors']}"} if silent else {})}


def _told(line: Line, server: process.Server) -> dict[str, Any]:
    """Of smidgen's own counters: the share that the bundle answered, and what became of what was to be stored."""
    if line.peer:
        return {}
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=30) as response:
        page = response.read().decode("utf-8")
    by = counted(page, "smidgen_gateway_requests_total", "answered_by")
    stored = counted(page, "smidgen_capture_rows_total", "outcome")
    told: dict[str, Any] = {"local_share": by.get("local", 0.0) / sum(by.values())} if by else {}
    return told | ({"stored": stored} if any(stored.values()) else {})


def counted(page: str, name: str, label: str) -> dict[str, float]:
    """A counter of a page of metrics, by one of its labels."""
    found: dict[str, float] = {}
    for labels, value in re.findall(rf"^{name}\{{(.*)\}} (\S+)$", page, re.MULTILINE):
        which = re.search(rf'{label}="([^"]*)"', labels)
        if which:
            found[which.group(1)] = found.get(which.group(1), 0.0) + float(value)
    return found


def _publish(context: Context, section: results.Section, done: dict[str, list[dict[str, Any]]]) -> None:
    facts = {name: _medians(runs, done[ALONE]) for name, runs in done.items()}
    section.facts["rounds"] = (
        f"{max(len(runs) for runs in done.values())}, each load {QUICK_SECONDS if context.quick else SECONDS:g} s after 2 s of warm-up"
    )
    late = results.median([run["paced"] for run in done[ALONE] if "paced" in run], "late")
    section.facts["the clients themselves"] = f"sent 99 of 100 requests within {late:.1f} ms of when they were due" if late else ""
    section.rows = [_row(name, found) for name, found in facts.items()]
    ours, peers = facts[PASSING], [found for name, found in facts.items() if name.startswith(LITELLM)]
    least = min((found["added_p50"] for found in peers if found["added_p50"]), default=None)
    most = max((found["rate"] for found in peers if found["rate"]), default=None)
    section.goals = [
        results.at_most(f"passing at {RATE}/s: added p50", 2, ours["added_p50"], "ms", ".2f"),
        results.at_most(f"passing at {RATE}/s: added p99", 10, ours["added_p99"], "ms", ".2f"),
        results.times("what LiteLLM adds at the median, its better way, against smidgen", 3, least, ours["added_p50"]),
        results.times("smidgen saturated against LiteLLM's better way", 3, ours["rate"], most),
    ]
    for name, found in facts.items():
        if not name.startswith(LOCAL):
            continue
        student = name.rpartition(", ")[2]
        section.goals += [
            results.at_least(f"local, {student}: answers/s saturated", 500, found["rate"], ",.0f"),
            results.at_most(f"local, {student}, at {RATE}/s: p50", 5, found["p50"], "ms", ".2f"),
            results.at_most(f"local, {student}, at {RATE}/s: p99", 20, found["p99"], "ms", ".2f"),
            results.at_least(f"local, {student}: share answered locally", 1.0, found["local_share"], ".1%"),
        ]
    section.notes += [f"{name}: {run['trouble']}" for name, runs in done.items() for run in runs if run.get("trouble")]
    results.publish(context, section)


def _medians(runs: list[dict[str, Any]], alone: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over the rounds that worked; what was added, against the upstream of the same round."""
    good = [(run, base) for run, base in zip(runs, alone, strict=False) if not run.get("trouble") and not base.get("trouble")]

    def over(pick: Callable[[dict[str, Any], dict[str, Any]], float | None]) -> float | None:
        return results.median([{"value": pick(run, base)} for run, base in good], "value")

    return {
        "p50": over(lambda run, base: run["paced"]["p50"]),
        "p99": over(lambda run, base: run["paced"]["p99"]),
        "added_p50": over(lambda run, base: run["paced"]["p50"] - base["paced"]["p50"] if run is not base else None),
        "added_p99": over(lambda run, base: run["paced"]["p99"] - base["paced"]["p99"] if run is not base else None),
        "core": over(lambda run, base: run["paced"].get("core_ms")),
        "rate": over(lambda run, base: run["full"]["rate"]),
        "full_p50": over(lambda run, base: run["full"]["p50"]),
        "full_p99": over(lambda run, base: run["full"]["p99"]),
        "full_core": over(lambda run, base: run["full"].get("core_ms")),
        "errors": sum(sum(run[part]["errors"].values()) for run, _ in good for part in ("paced", "full")),
        "resident": over(lambda run, base: run.get("resident_mb")),
        "peak": over(lambda run, base: run.get("peak_mb")),
        "local_share": over(lambda run, base: run.get("local_share")),
        "stored": over(lambda run, base: _stored(run)),
    }


def _stored(run: dict[str, Any]) -> float | None:
    """Of what was to be stored, the share that was by the time that the load was over, or has a place in the queue."""
    outcomes = run.get("stored")
    return outcomes["stored"] / sum(outcomes.values()) if outcomes else None


def _row(name: str, found: dict[str, Any]) -> list[str]:
    number = results.number
    local = name.startswith(LOCAL)
    return [
        name,
        *(number(found[key], 2) for key in ("p50", "p99")),
        *("" if local else number(found[key], 2) for key in ("added_p50", "added_p99")),
        number(found["core"], 2),
        number(found["rate"]),
        *(number(found[key], 1) for key in ("full_p50", "full_p99")),
        number(found["full_core"], 2),
        str(found["errors"]),
        *(number(found[key]) for key in ("resident", "peak")),
        f"{found['local_share']:.1%}" if local and found["local_share"] is not None else "",
        "" if found["stored"] is None else f"{found['stored']:.1%}",
    ]
