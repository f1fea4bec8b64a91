"""Processor time of a request, of this source and of an older one, which take turns on one machine."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bench import gateways, process, results, shop
from bench.context import Context, last_json
from bench.gateways import Line

NAME = "turns"
BEFORE = "SMIDGEN_BENCH_BEFORE"
"""Names the root of the older source, such as `git worktree add /tmp/old 400b98b` makes one."""
ROUNDS, QUICK_ROUNDS = 6, 1
REQUESTS, QUICK_REQUESTS = 600, 200
CLIENTS = 4
START_LIMIT, LOAD_LIMIT = 120.0, 120.0
FEW = 20
"""Texts of the requests that the cache answers: all of them are kept before anything is measured."""
COLUMNS = ("request", "before, ms", "now, ms", "ratio, median", "least", "most", "rounds")
HERE = Path(__file__).parents[1]


def run(context: Context) -> None:
    """Each kind of request is asked of both sources in turn; every other round the other way about."""
    before = os.environ.get(BEFORE, "")
    section = results.Section(
        NAME,
        "A request, before and now",
        "Processor time of the serving process for one request, threads that store among it, by the system's count over "
        f"{REQUESTS:,} chat completions of {CLIENTS} raw-socket clients. Both sources serve at once and are asked in turn; a "
        "ratio is of two neighbours. The upstream answers at once, in its own process. “Passing”: no bundle. “Cache hit”: `--cache exact`, "
        "a text that was asked before. “Local”: a bundle that sorts the shop's inbox under a certificate.",
        COLUMNS,
        facts={"load before": results.load_average(), "before": _commit(before) if before else "none"},
    )
    if not before:
        section.notes.append(f"nothing was measured: {BEFORE} names no older source")
        results.publish(context, section)
        return
    trees = (Path(before), HERE)
    upstream = [sys.executable, "-m", "bench.upstream", "--port", "{port}", "--delay", "0"]
    with process.serving(upstream, limit=START_LIMIT, log=context.out / "logs" / f"{NAME}-upstream") as large:
        found = {line.name: _pairs(context, line, trees) for line in _lines(context, section, large.url)}
    for name, pairs in found.items():
        ratios = [now / then for then, now in pairs]
        medians = [results.number(statistics.median(column), 2) for column in zip(*pairs, strict=True)]
        told = [f"{value:.2f}" for value in (statistics.median(ratios), min(ratios), max(ratios))]
        section.rows.append([name, *medians, *told, str(len(pairs))])
        section.goals.append(results.at_most(f"{name}: processor time against before", 1.0, statistics.median(ratios), "", ".2f"))
    results.publish(context, section)


def _commit(root: str) -> str:
    found = subprocess.run(["git", "-C", root, "rev-parse", "--short", "HEAD"], capture_output=True, text=True)
    return found.stdout.strip() or Path(root).name


def _lines(context: Context, section: results.Section, upstream: str) -> list[Line]:
    """The kinds of request; a bundle that cannot be made is noted."""
    homes, data = context.out / "homes" / NAME, context.out / "data"
    shutil.rmtree(homes, ignore_errors=True)
    data.mkdir(parents=True, exist_ok=True)
    texts = [text for text, _ in shop.areas("test")]
    many, few = data / f"{NAME}.txt", data / f"{NAME}-few.txt"
    many.write_text("\n".join(texts) + "\n", encoding="utf-8")
    few.write_text("\n".join(texts[:FEW]) + "\n", encoding="utf-8")
    lines = [
        gateways.smidgen("passing", upstream, many, homes / "passing"),
        gateways.smidgen("passing, captured", upstream, many, homes / "captured", ("--capture", "answers")),
        gateways.smidgen("cache hit", upstream, few, homes / "cache", ("--cache", "exact", "--cache-scope", "all")),
    ]
    try:
        train = shop.write(data / f"{NAME}-train.csv", shop.areas("train"))
        sample = shop.write(data / f"{NAME}-test.csv", shop.areas("test"))
        made = shop.certified(context, shop.built(context, f"{NAME}-linear", train, ("--student", "linear")), sample, homes / "local")
    except shop.NoBundle as trouble:
        section.notes.append(str(trouble))
        return lines
    own = data / f"{NAME}-local.txt"
    own.write_text("\n".join(made.local) + "\n", encoding="utf-8")
    captured = gateways.local("local, captured", upstream, own, homes / "local", made)
    plain = [word for word in captured.command if word not in ("--capture", "answers")]
    return [*lines, Line("local", plain, captured.env, model=captured.model, texts=own, local=True), captured]


def _pairs(context: Context, line: Line, trees: Sequence[Path]) -> list[tuple[float, float]]:
    """Milliseconds of processor time for a request, before and now, round by round. The first round warms up, and is not counted."""
    home = Path(line.env["SMIDGEN_HOME"])
    with ExitStack() as stack:
        servers = []
        for side, tree in enumerate(trees):
            own = home.with_name(f"{line.key}-{side}")  # each has its own store, and the same certificate
            shutil.copytree(home, own) if home.is_dir() else own.mkdir(parents=True)
            env = {**context.env(), **line.env, "SMIDGEN_HOME": str(own), "PYTHONPATH": str(tree / "src")}
            log = context.out / "logs" / f"{NAME}-{line.key}-{side}"
            servers.append(stack.enter_context(process.serving(line.command, limit=START_LIMIT, log=log, env=env, ready=line.ready)))
        found = []
        for number in range(1 + (QUICK_ROUNDS if context.quick else ROUNDS)):
            order = (0, 1) if number % 2 == 0 else (1, 0)
            took = {side: _took(context, line, servers[side], f"{NAME}-{line.key}-{number}-{side}-load") for side in order}
            found.append((took[0], took[1]))
        return found[1:]


def _took(context: Context, line: Line, server: process.Server, key: str) -> float:
    """Milliseconds of processor time for a request of one load."""
    requests = QUICK_REQUESTS if context.quick else REQUESTS
    asked = ["--face", "chat", "--model", line.model, "--texts", line.texts, "--clients", str(CLIENTS), "--seconds", "60", "--warm", "0"]
    before = server.cpu_seconds() or 0.0
    ran = context.run([sys.executable, "-m", "bench.load", server.url, *asked, "--requests", str(requests)], key, LOAD_LIMIT)
    result = last_json(ran.stdout)
    return ((server.cpu_seconds() or 0.0) - before) * 1e3 / result["answered"]
