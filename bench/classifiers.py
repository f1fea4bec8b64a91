"""One classifier, made and measured: smidgen's through its command line, a peer's through its script. Both results have one shape."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from bench.context import HERE, Context, last_json

BUILD_LIMIT, EVAL_LIMIT = 2400.0, 900.0
CLI = (sys.executable, "-m", "smidgen")


def smidgen(context: Context, key: str, train: Path, test: Path, seed: int, flags: tuple[str, ...] = ()) -> dict[str, Any]:
    """`smidgen build`, then `smidgen eval` on the same test file, as a user would.

    Returns accuracy with its interval and the other metrics, seconds of the whole build, of its training, peak memory, latency, size,
    what was shipped; `trouble` where either failed.
    """
    flags = (*flags, *context.build_flags)
    build = [*CLI, *build_words(train, test, seed), "--out", str(bundle(context, key)), *flags]
    if context.threads:
        build += ["--threads", str(context.threads)]

    def work() -> dict[str, Any]:
        built = context.run(build, f"{key}-build", BUILD_LIMIT)
        facts: dict[str, Any] = {"side": "smidgen", "seed": seed, "build": built.costs(), "command": shown(build)}
        if built.trouble:
            return {**facts, "trouble": f"build: {built.trouble}"}
        return {**facts, **from_report(bundle(context, key)), **evaluated(context, key, test), "total_seconds": built.seconds}

    return context.measured(key, {"command": shown(build), "rows": len(train.read_bytes())}, work, peer=False)


def build_words(train: Path, test: Path, seed: int) -> list[str]:
    """The words of the build, without its output folder."""
    files = ["--data", str(train), "--test", str(test), "--input", "text", "--label", "category"]
    return ["build", "--task", "classify", *files, "--seed", str(seed), "--fresh"]


def bundle(context: Context, key: str) -> Path:
    """Where the bundle of a run lies."""
    return context.out / "bundles" / key


def evaluated(context: Context, key: str, test: Path) -> dict[str, Any]:
    """What `smidgen eval` says of a bundle."""
    command = [*CLI, "eval", str(bundle(context, key)), "--data", str(test), "--json"]
    if context.threads:
        command += ["--threads", str(context.threads)]
    ran = context.run(command, f"{key}-eval", EVAL_LIMIT)
    if ran.trouble:
        return {"trouble": f"eval: {ran.trouble}"}
    try:
        answer = last_json(ran.stdout)
    except ValueError as error:
        return {"trouble": f"eval: {error}"}
    metrics = answer["metrics"]
    return {
        "n": answer["n"],
        "accuracy": metrics["accuracy"]["value"],
        "low": metrics["accuracy"]["low"],
        "high": metrics["accuracy"]["high"],
        "metrics": metrics,
        "latency_ms": answer["latency_ms"],
        "texts_per_second": answer.get("texts_per_second"),
        "eval": ran.costs(),
    }


def from_report(folder: Path, metric: str = "accuracy") -> dict[str, Any]:
    """What the bundle's own report and files say: what was shipped, how long it trained, how large it is, the baseline's metric."""
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    student, training, baseline = report.get("student") or {}, report.get("training") or {}, report.get("baseline") or {}
    files = [file for file in folder.rglob("*") if file.is_file()]
    serving = [file for file in files if file.suffix in (".onnx", ".gguf", ".safetensors") or file.name == "tokenizer.json"]
    return {
        "shipped": f"{student.get('kind')} {student.get('method')}",
        "train_seconds": training.get("seconds"),
        "baseline": (baseline.get("metrics") or {}).get(metric, {}).get("value"),
        "baseline_seconds": baseline.get("seconds"),
        "size_mb": sum(file.stat().st_size for file in serving) / 1e6,
        "folder_mb": sum(file.stat().st_size for file in files) / 1e6,
    }


def speed(folder: Path) -> dict[str, Any]:
    """The speeds that the bundle's own report gives, as they were measured in the build."""
    told = json.loads((folder / "report.json").read_text(encoding="utf-8")).get("speed") or {}
    return {name: told.get(name) for name in ("tokens_per_second", "tokens_per_second_batched", "latency_ms_p50", "peak_memory_mb")}


def peer(context: Context, key: str, name: str, script: str, words: list[str], limit: float) -> dict[str, Any] | None:
    """A peer's script in its own environment; None where the peer is not here."""
    interpreter = context.peer(name)
    if interpreter is None:
        return None
    command = [str(interpreter), str(HERE / "peers" / script), "--base", str(context.base()), "--label", "category", *words]

    def work() -> dict[str, Any]:
        ran = context.run(command, key, limit)
        facts: dict[str, Any] = {"side": name, "build": ran.costs(), "command": shown(command)}
        if ran.trouble:
            return {**facts, "trouble": ran.trouble}
        try:
            answer = last_json(ran.stdout)
        except ValueError as error:
            return {**facts, "trouble": str(error)}
        from smidgen.stats.intervals import wilson

        low, high = wilson(answer["correct"], answer["n"])
        return {**facts, **answer, "low": low, "high": high, "total_seconds": ran.seconds}

    return context.measured(key, {"command": shown(command)}, work, peer=True)


def shown(command: list[str]) -> str:
    """A command as it is written down: without the folders of this machine."""
    words = [
        Path(word).name if word == sys.executable or word.endswith((".csv", "python", "python.exe", ".py")) else word for word in command
    ]
    return " ".join(Path(word).name if Path(word).is_absolute() else word for word in words)
