"""One hostile tenant beside three others, behind one gateway with a privacy border: the others notice little of it."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from bench import process, results
from bench.classifiers import CLI
from bench.context import Context
from bench.gateways import BIG
from bench.load import percentile

NAME = "tenants"
MINUTES, QUICK_MINUTES = 4.0, 0.5
OTHERS = ("one", "two", "three")
HOSTILE = "hostile"
HOSTILE_CLIENTS = 12
LONG = 100_000
"""Characters of the hostile tenant's long texts."""
THINK = 0.25
DELAY = 0.02
_ODD = "".join(f"{chr(0x41 + number % 26)}{number:x} {chr(0x400 + number % 200)} " for number in range(LONG // 2))[: 3 * LONG]
"""Many tokens for its length."""
PATIENCE = 120.0
COLUMNS = ("who", "beside whom", "requests", "errors", "p50 ms", "p99 ms")
_SAID = "Margaret Holloway (m.holloway@example.org) asks for a refund of order {number}, and lives in Hamburg."


@dataclass
class Log:
    """Milliseconds of the good answers and what went wrong, of one tenant or several in one part of the bench."""

    took: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)


def run(context: Context) -> None:
    """The whole of it, once."""
    minutes = context.minutes or (QUICK_MINUTES if context.quick else MINUTES)
    section = results.Section(
        NAME,
        "Tenants",
        f"Three tenants ask `smidgen serve --privacy mask` for {minutes / 2:g} minutes, one short request after the other; then for as "
        f"long beside a fourth, whose {HOSTILE_CLIENTS} clients send texts of {LONG:,} characters, longer ones, paths that are not "
        "allowed, bodies that are no JSON, and requests that they hang up on. All share one key for the upstream.",
        COLUMNS,
        facts={"load before": results.load_average()},
    )
    who: list[tuple[str, Asking]] = [(name, _short) for name in OTHERS]
    with contextlib.ExitStack() as stack:
        port = process.free_port()
        upstream = [sys.executable, "-m", "bench.upstream", "--port", str(port), "--delay", str(DELAY)]
        logs = context.out / "logs"
        stack.enter_context(process.serving(upstream, limit=30 * context.patience, log=logs / f"{NAME}-upstream", port=port))
        keys = [word for name in (*OTHERS, HOSTILE) for word in ("--api-key", name)]
        fallback = ["--fallback", f"http://127.0.0.1:{port}/v1", "--fallback-model", BIG, "--privacy", "mask", "--no-access-log"]
        env = {**context.env(), "SMIDGEN_HOME": str(context.out / NAME), "SMIDGEN_FALLBACK_KEY": "shared"}
        command = [*CLI, "serve", *fallback, *keys, "--port", "{port}"]
        server = stack.enter_context(process.serving(command, limit=120 * context.patience, log=logs / NAME, env=env))
        _asked(server.port, 5.0, who)  # what is asked first loads what is loaded late
        alone = _asked(server.port, minutes * 30, who)
        beside = _asked(server.port, minutes * 30, [*who, *((HOSTILE, _hostile) for _ in range(HOSTILE_CLIENTS))])
    quiet, loud = (_together([found[name] for name in OTHERS]) for found in (alone, beside))
    section.rows = [*(_row(name, "the other two", alone[name]) for name in OTHERS), _row("all three", "nobody else", quiet)]
    section.rows += [*(_row(name, "the hostile one", beside[name]) for name in OTHERS), _row("all three", "the hostile one", loud)]
    section.rows.append(_row(HOSTILE, "them", beside[HOSTILE]))
    before, after = (percentile(sorted(log.took), 0.99) if log.took else None for log in (quiet, loud))
    errors = sum(quiet.errors.values()) + sum(loud.errors.values())
    section.goals = [
        results.Goal("errors of the three", "none", f"{errors:,}", errors == 0 and bool(loud.took)),
        results.at_most(
            "their p99 beside the hostile one, in parts of their p99 alone", 2, after / before if after and before else None, "", ".2f"
        ),
    ]
    section.notes += [f"{count:,} answers of {status} to the hostile tenant" for status, count in beside[HOSTILE].errors.most_common()]
    results.publish(context, section)


Asking = Callable[[http.client.HTTPConnection, str, random.Random], int]
"""Sends one request; the status of its answer. Raises OSError or HTTPException where there is none."""


def _asked(port: int, seconds: float, clients: list[tuple[str, Asking]]) -> dict[str, Log]:
    """What became of all requests, by tenant."""
    logs = {name: Log() for name, _ in clients}
    over = time.monotonic() + seconds
    lock = threading.Lock()

    def one(name: str, ask: Asking, seed: int) -> None:
        draw = random.Random(seed)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        while time.monotonic() < over:
            began = time.monotonic()
            try:
                status = str(ask(connection, name, draw))
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                status = type(error).__name__
            with lock:
                if status == "200":
                    logs[name].took.append((time.monotonic() - began) * 1e3)
                else:
                    logs[name].errors[status] += 1
            if name != HOSTILE:
                time.sleep(draw.expovariate(1 / THINK))
        connection.close()

    threads = [threading.Thread(target=one, args=(name, ask, seed), daemon=True) for seed, (name, ask) in enumerate(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds + 2 * PATIENCE)
    return logs


def _short(connection: http.client.HTTPConnection, key: str, draw: random.Random) -> int:
    """What a usual client asks."""
    return _sent(connection, key, "POST", "/v1/chat/completions", _chat(_SAID.format(number=draw.randrange(10**6))))


def _hostile(connection: http.client.HTTPConnection, key: str, draw: random.Random) -> int:
    """What one asks that means harm, or has a fault."""
    kind = draw.choice(("long", "long", "longer", "path", "broken", "gone"))
    if kind == "path":
        return _sent(connection, key, "DELETE", f"/v1/files/file-{draw.randrange(10**6)}", b"")
    if kind == "broken":
        return _sent(connection, key, "POST", "/v1/chat/completions", b"{" * 10_000)
    text = f"{draw.randrange(10**9)} {_ODD}"[: 3 * LONG if kind == "longer" else LONG]  # no text comes twice: none is known already
    if kind != "gone":
        return _sent(connection, key, "POST", "/v1/chat/completions", _chat(text))
    gone = http.client.HTTPConnection("127.0.0.1", connection.port, timeout=PATIENCE)
    gone.request("POST", "/v1/chat/completions", _chat(text), _headers(key))
    time.sleep(0.5)
    gone.close()
    raise ConnectionAbortedError("hung up")


def _sent(connection: http.client.HTTPConnection, key: str, method: str, path: str, body: bytes) -> int:
    connection.request(method, path, body, _headers(key))
    response = connection.getresponse()
    response.read()
    return response.status


def _headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}


def _chat(text: str) -> bytes:
    return json.dumps({"model": BIG, "messages": [{"role": "user", "content": text}]}).encode()


def _together(logs: list[Log]) -> Log:
    whole = Log()
    for log in logs:
        whole.took += log.took
        whole.errors += log.errors
    return whole


def _row(name: str, beside: str, log: Log) -> list[str]:
    took = sorted(log.took)
    times = [results.number(percentile(took, share), 1) if took else "–" for share in (0.5, 0.99)]
    return [name, beside, f"{len(took) + sum(log.errors.values()):,}", f"{sum(log.errors.values()):,}", *times]
