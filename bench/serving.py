"""A served classifier beside a `transformers` pipeline behind FastAPI: one text, batches, 32 clients, memory, start."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

from bench import classifiers, data, process, results
from bench.classifiers import CLI
from bench.context import HERE, Context, last_json

NAME = "serving"
ROUNDS = 3
SECONDS, QUICK_SECONDS = 8.0, 3.0
CLIENTS = 32
MODES = ("threadpool", "queue")
START_LIMIT, CALL_LIMIT = 120.0, 300.0
COLUMNS = (
    "system",
    "in process p50 ms",
    "p99 ms",
    "batch 32 texts/s",
    "batch 256 texts/s",
    "HTTP, 1 client p50 ms",
    "p99 ms",
    f"{CLIENTS} clients answers/s",
    "p50 ms",
    "p99 ms",
    "errors",
    "resident MB at start",
    "peak MB",
    "ready s",
    "torch loaded",
)


def run(context: Context) -> None:
    """Rounds in turn: smidgen, then the peer in each of its ways; every other round the other way about. Medians over the rounds."""
    train_rows, test_rows = data.banking77(context.data)
    if context.quick:
        train_rows, test_rows = data.quick(train_rows, test_rows)
    texts = context.out / "data" / f"{NAME}-texts.txt"
    texts.parent.mkdir(parents=True, exist_ok=True)
    texts.write_text("\n".join(" ".join(text.split()) for text, _ in test_rows) + "\n", encoding="utf-8")
    section = results.Section(
        NAME,
        "A served classifier",
        "The bundle of BANKING77's first seed against a `transformers` text-classification pipeline (f32, MiniLM with a head of as many "
        "outputs) behind FastAPI in two ways: an endpoint that calls the pipeline in the thread pool, and a queue whose worker takes what "
        "waits and calls it once, as the guide of transformers advises. Real test messages, one after the other; closed loop of raw-socket "
        "clients on the same machine; servers started anew for each round; medians over the rounds. Access logs are off on both sides.",
        COLUMNS,
        facts={"load before": results.load_average()},
    )
    folder = _bundle(context, train_rows, test_rows)
    if folder is None:
        section.notes.append("There is no bundle to serve: its build failed.")
        results.publish(context, section)
        return
    weights, outputs = _peer_weights(context, len({label for _, label in train_rows}))
    if outputs:
        section.notes.append("The peer serves the base with an untrained head of the same size: the same work for each text.")
    sides = ["smidgen", *(MODES if context.peer("transformers_server") else ())]
    done: dict[str, list[dict]] = {side: [] for side in sides}
    rounds = 1 if context.quick else ROUNDS
    for number in range(rounds):
        for side in sides if number % 2 == 0 else reversed(sides):
            done[side].append(_round(context, f"{NAME}-{side}-{number}", side, folder, weights, outputs, texts))
            _publish(context, section, done, folder)


def _round(context: Context, key: str, side: str, folder: Path, weights: Path, outputs: int, texts: Path) -> dict[str, Any]:
    """One side's round, measured or kept."""
    if side == "smidgen":
        return context.measured(key, {"bundle": folder.name}, lambda: _smidgen(context, folder, texts), peer=False)
    settings = {"mode": side, "weights": weights.name}
    return context.measured(key, settings, lambda: _peer(context, weights, outputs, texts, side), peer=True)


def _bundle(context: Context, train_rows: data.Rows, test_rows: data.Rows) -> Path | None:
    """The bundle of the bench `banking77_full`, or one that is built now."""
    for seed in context.seeds:
        folder = classifiers.bundle(context, f"banking77_full-smidgen-{seed}")
        if (folder / "smidgen.json").is_file():
            return folder
    train = data.write(train_rows, context.out / "data" / f"{NAME}-train.csv")
    test = data.write(test_rows, context.out / "data" / f"{NAME}-test.csv")
    key = f"{NAME}-bundle"
    made = classifiers.smidgen(context, key, train, test, context.seeds[0])
    return None if str(made.get("trouble", "")).startswith("build") else classifiers.bundle(context, key)


def _peer_weights(context: Context, labels: int) -> tuple[Path, int]:
    """The model that the Hugging Face Trainer made, or else the base and the number of outputs for a fresh head."""
    for seed in context.seeds:
        folder = context.out / "peers" / f"banking77_full-hf_trainer-{seed}"
        if (folder / "model.safetensors").is_file():
            return folder, 0
    return context.base(), labels


def _smidgen(context: Context, folder: Path, texts: Path) -> dict[str, Any]:
    """One round of smidgen: in process, then served."""
    seconds = QUICK_SECONDS if context.quick else SECONDS
    threads = ["--threads", str(context.threads)] if context.threads else []
    timed = [sys.executable, "-m", "bench.in_process", folder, "--texts", texts, "--seconds", str(seconds / 2), *threads]
    serve = [*CLI, "serve", folder, "--port", "{port}", "--no-access-log", *threads]
    return _measure(context, "smidgen", timed, serve, texts, ("classify", "chat"), folder.name)


def _peer(context: Context, weights: Path, outputs: int, texts: Path, mode: str) -> dict[str, Any]:
    """One round of the peer: in process, then served."""
    seconds = QUICK_SECONDS if context.quick else SECONDS
    script = [context.peer("transformers_server"), HERE / "peers" / "transformers_server.py", "--model", weights]
    script += ["--labels", str(outputs)] if outputs else []
    timed = [*script, "--time", texts, "--seconds", str(seconds / 2)]
    return _measure(context, mode, timed, [*script, "--port", "{port}", "--mode", mode], texts, ("peer",), "")


def _measure(
    context: Context, side: str, timed: list[Any], serve: list[Any], texts: Path, faces: tuple[str, ...], model: str
) -> dict[str, Any]:
    ran = context.run(timed, f"{NAME}-{side}-in-process", CALL_LIMIT)
    if ran.trouble:
        return {"side": side, "trouble": ran.trouble}
    result: dict[str, Any] = {"side": side, "in_process": last_json(ran.stdout)}
    log = context.out / "logs" / f"{NAME}-{side}-server"
    try:
        with process.serving(serve, limit=START_LIMIT * context.patience, log=log, env=context.env()) as server:
            result |= {"ready_seconds": server.ready_seconds, "resident_mb": server.resident_mb()}
            for face in faces:
                result[f"one_{face}"] = _load(context, server, face, texts, 1, model)
            result["many"] = _load(context, server, faces[0], texts, CLIENTS, model)
            result |= {"resident_after_mb": server.resident_mb(), "peak_mb": server.peak_mb(), "torch_loaded": server.maps_torch()}
    except process.NotReady as trouble:
        result["trouble"] = str(trouble)
    else:
        silent = [name for name in (*(f"one_{face}" for face in faces), "many") if not result[name]["answered"]]
        if silent:
            result["trouble"] = f"no request was answered in {silent[0]}: {result[silent[0]].get('trouble') or result[silent[0]]['errors']}"
    return result


def _load(context: Context, server: process.Server, face: str, texts: Path, clients: int, model: str) -> dict[str, Any]:
    seconds = QUICK_SECONDS if context.quick else SECONDS
    command = [sys.executable, "-m", "bench.load", server.url, "--face", face, "--texts", texts, "--clients", str(clients)]
    ran = context.run([*command, "--seconds", str(seconds), "--model", model], f"{NAME}-load-{face}-{clients}", CALL_LIMIT)
    try:
        return last_json(ran.stdout)
    except ValueError:
        return {"trouble": ran.trouble or "no result", "answered": 0, "errors": {"load": 1}}


def _publish(context: Context, section: results.Section, done: dict[str, list[dict]], folder: Path) -> None:
    ours = _medians(done["smidgen"])
    peers = {side: _medians(runs) for side, runs in done.items() if side != "smidgen" and runs}
    fastest = max((p["many"] for p in peers.values() if p["many"]), default=None)
    section.rows = [_row(f"smidgen ({_shipped(folder)})", ours)]
    section.rows += [_row(f"transformers and FastAPI, {side}", facts) for side, facts in peers.items()]
    section.facts["rounds"] = (
        f"{max(len(runs) for runs in done.values())}, each load {QUICK_SECONDS if context.quick else SECONDS:g} s after 1 s of warm-up"
    )
    if ours["chat_p50"] is not None:
        section.facts["the same text through /v1/chat/completions"] = f"p50 {ours['chat_p50']:.2f} ms with one client"
    section.goals = [
        results.at_most("one text in process, p50", 2, ours["p50"], "ms", ".2f"),
        results.at_most("one text over HTTP, p50", 4, ours["one_p50"], "ms", ".2f"),
        results.at_least("texts/s in batches", 1300, _largest(ours["batch_32"], ours["batch_256"]), ",.0f"),
        results.times(f"answers/s under {CLIENTS} clients against the peer's faster way", 3, ours["many"], fastest),
        results.at_most("resident memory of the serving process", 200, _largest(ours["resident"], ours["after"]), "MB", ".0f"),
        results.at_most("time to ready", 2, ours["ready"], "s", ".2f"),
        results.Goal(
            "torch never imported",
            "not in its memory",
            "loaded" if ours["torch"] else "not loaded",
            None if ours["torch"] is None else not ours["torch"],
        ),
    ]
    for runs in done.values():
        section.notes += [f"{run['side']}: {run['trouble']}" for run in runs if run.get("trouble")]
        section.versions = next(
            (run["in_process"]["versions"] for run in runs if run.get("in_process", {}).get("versions")), section.versions
        )
    results.publish(context, section)


def _medians(runs: list[dict]) -> dict[str, Any]:
    """One system's medians over the rounds that worked."""
    good = [run for run in runs if not run.get("trouble")]

    def over(*path: str) -> float | None:
        values = []
        for run in good:
            value: Any = run
            for step in path:
                value = value.get(step) if isinstance(value, dict) else None
            if isinstance(value, int | float) and not math.isnan(value):
                values.append({"value": float(value)})
        return results.median(values, "value")

    one = next((name for run in good for name in ("one_classify", "one_peer") if name in run), "one_classify")
    return {
        "p50": over("in_process", "p50"),
        "p99": over("in_process", "p99"),
        "batch_32": over("in_process", "texts_per_second"),
        "batch_256": over("in_process", "texts_per_second_256"),
        "one_p50": over(one, "p50"),
        "one_p99": over(one, "p99"),
        "chat_p50": over("one_chat", "p50"),
        "many": over("many", "rate"),
        "many_p50": over("many", "p50"),
        "many_p99": over("many", "p99"),
        "errors": sum(sum(run[part]["errors"].values()) for run in good for part in (one, "one_chat", "many") if part in run),
        "resident": over("resident_mb"),
        "after": over("resident_after_mb"),
        "peak": over("peak_mb"),
        "ready": over("ready_seconds"),
        "torch": next((run["torch_loaded"] for run in good if run.get("torch_loaded") is not None), None),
    }


def _row(name: str, facts: dict[str, Any]) -> list[str]:
    number = results.number
    return [
        name,
        *(number(facts[key], 2) for key in ("p50", "p99")),
        *(number(facts[key]) for key in ("batch_32", "batch_256")),
        *(number(facts[key], 2) for key in ("one_p50", "one_p99")),
        number(facts["many"]),
        *(number(facts[key], 1) for key in ("many_p50", "many_p99")),
        str(facts["errors"]),
        *(number(facts[key]) for key in ("resident", "peak")),
        number(facts["ready"], 2),
        {True: "yes", False: "no", None: ""}[facts["torch"]],
    ]


def _shipped(folder: Path) -> str:
    return str(classifiers.from_report(folder)["shipped"])


def _largest(*values: float | None) -> float | None:
    """The largest of the values that are there."""
    return max((value for value in values if value is not None), default=None)
