"""Whether builds still give the same: record them at one commit, compare at another; and the part that is the same on every processor.

```sh
python -m tests.golden.builds record DIR      # build every case, and keep predictions, manifest, report, card, recipe, weights' hashes
python -m tests.golden.builds compare DIR     # build them again, and name every difference, to the last digit
python -m tests.golden.builds expect          # write tests/golden/builds/ anew: what test_builds.py expects on any machine
```

`record` and `compare` must run on one machine in one environment, for digits depend on the processor and on the libraries. What no two
runs have alike is left out by name: `TIMED` and `DRAWN` below, and nothing else.
"""

from __future__ import annotations

import argparse
import hashlib
import html
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from tests.golden.capturing import capture
from tests.golden.cases import BUNDLE, CASES, Case

ROOT = Path(__file__).resolve().parents[2]
EXPECTED = Path(__file__).with_name("builds")
LONGEST = 900.0
"""Seconds that a case may take on a busy machine."""

TIMED = frozenset(
    {
        *("created", "valid_until", "issued", "at", "time", "first", "last_seen"),
        *("seconds", "load_seconds", "energy_wh", "energy_method", "device", "peak_memory_mb", "cpu", "memory_gb", "system", "versions"),
        *("latency_ms", "latency_ms_p50", "latency_ms_p99", "texts_per_second", "tokens_per_second", "tokens_per_second_batched", "batch"),
        *("own_usd_per_million_texts", "smidgen_version"),
    }
)
"""Keys of what was timed, or is this machine's: their values are left out, wherever they stand."""
DRAWN = frozenset({"signature", "key", "seal", "marks", "compared_sha256", "tested_sha256"})
"""Keys of what is drawn by chance, or hashes what is timed: marks are of texts, under a salt."""
PACKED_TIMES = ("README.md", "report.html", "report.json", "recipe.toml")
"""Files of a bundle that hold times or places: their hashes are left out, their content is compared."""

_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?( ?UTC|Z|\+00:00)?")
_CARD = (
    re.compile(r"^(\| (?:one text, [^|]*|in batches of \d+|peak memory|time|energy|on) \|).*"),
    re.compile(r"^(Built ).*? by smidgen \S+?(?=\. )"),
    re.compile(r"^(Measured on ).*"),
)
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")
_UNITS = r"(?:ms|s|min|h|Wh|kWh)"
_PAGE_LABELS = ("Latency", "Texts a second", "Tokens a second", "Trained in", "Peak memory", "Ready in", "Time", "Energy")
_PAGE_LABELS += ("Device", "Processor", "Versions", "in batches of", "99th percentile")


class Broken(Exception):
    """A golden build that did not come to its end."""


# Building


def build(case: Case, folder: Path, sources: Path, threads: int = 1) -> dict[str, Any]:
    """Build a case in an empty folder with the smidgen in `sources`; what came out of it, without times."""
    found = build_together({case: folder}, sources, threads)[case]
    if isinstance(found, Broken):
        raise found
    return found


def build_together(places: Mapping[Case, Path], sources: Path, threads: int = 1) -> dict[Case, dict[str, Any] | Broken]:
    """Build cases one after the other in one process, each in an empty folder; what came out of each, without times."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SMIDGEN_", "PYTEST_"))}
    environment |= {"PYTHONPATH": os.pathsep.join((str(sources), str(ROOT)))}
    environment |= {"OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false", "PYTHONUTF8": "1", "COLUMNS": "140"}
    inputs = {case: _prepared(case, folder, environment, threads) for case, folder in places.items()}
    script, (first, *_) = str(Path(__file__).with_name("together.py")), places.values()
    command = [sys.executable, script, *map(str, places.values())]
    with (first / "log").open("w", encoding="utf-8") as log:
        subprocess.run(command, cwd=first, env=environment, stderr=log, timeout=LONGEST, check=False)
    said = (first / "log").read_text(encoding="utf-8")[-3000:]
    found: dict[Case, dict[str, Any] | Broken] = {}
    for case, folder in places.items():
        done = folder / "orders.done.json"
        answers = json.loads(done.read_text(encoding="utf-8")) if done.is_file() else []
        commands = json.loads((folder / "orders.json").read_text(encoding="utf-8"))
        if len(answers) < len(commands) or answers[-1]["code"]:
            found[case] = Broken(f"{case.name}: {answers[-1]['command'] if answers else 'smidgen'} failed\n{said}")
        else:
            found[case] = {"inputs": inputs[case], **_settled(_found(case, folder / "work", answers), folder)}
    return found


def _prepared(case: Case, folder: Path, environment: dict[str, str], threads: int) -> str:
    """Write a case's data and orders, and store its captured requests; a hash of all that it begins with."""
    work = folder / "work"
    work.mkdir(parents=True)
    commands = [[str(threads) if part == "THREADS" else part for part in command] for command in case.make(work)]
    inputs = _inputs(commands, work)
    if case.traffic is not None:
        own = {"SMIDGEN_HOME": str(folder / "home"), "SMIDGEN_TRAFFIC_URL": f"sqlite:///{(folder / 'traffic.db').as_posix()}"}
        capture(case.traffic(), folder, {**environment, **own})
    (folder / "orders.json").write_text(json.dumps(commands), encoding="utf-8")
    return inputs


def _inputs(commands: Sequence[Sequence[str]], work: Path) -> str:
    """A hash of all that a case begins with: its commands, its data and base, and how chance is kept out."""
    told = hashlib.sha256(json.dumps(commands).encode() + Path(__file__).with_name("seeded.py").read_bytes())
    for file in sorted(path for path in work.rglob("*") if path.is_file()):
        told.update(file.relative_to(work).as_posix().encode() + hashlib.sha256(file.read_bytes()).digest())
    return told.hexdigest()


def _found(case: Case, work: Path, answers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {"case": case.name, "said": {}, "bundles": {}}
    for number, answer in enumerate(answers, 1):
        if "--json" in answer["command"]:
            found["said"][f"{number} {answer['command'][0]}"] = json.loads(answer["said"])
    predictions = work / "predictions.jsonl"
    if predictions.is_file():
        found["predictions"] = [json.loads(line) for line in predictions.read_text(encoding="utf-8").splitlines()]
    folders = {BUNDLE: work / BUNDLE} if (work / BUNDLE).is_dir() else {}
    pointer = work / "line" / "line.json"
    if pointer.is_file():
        found["line"] = json.loads(pointer.read_text(encoding="utf-8"))
        turns = [turn["champion"] for turn in found["line"]["history"]]
        folders |= {f"version {at}": pointer.parent / "versions" / name for at, name in enumerate(turns, 1)}
    for name, folder in folders.items():
        found["bundles"][name] = _bundle(folder)
        certificate = folder.parent / f"{folder.name}.certificate.json"
        if certificate.is_file():
            found["bundles"][name]["certificate"] = json.loads(certificate.read_text(encoding="utf-8"))
    return found


def _bundle(folder: Path) -> dict[str, Any]:
    """All of a bundle that can be compared."""

    def text(name: str) -> str:
        return (folder / name).read_text(encoding="utf-8")

    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {
        "files": {
            name: "" if name in (*PACKED_TIMES, "smidgen.json") else hashlib.sha256(path.read_bytes()).hexdigest()
            for name, path in files.items()
        },
        "manifest": json.loads(text("smidgen.json")),
        "report": json.loads(text("report.json")),
        "recipe": text("recipe.toml").splitlines(),
        "card": text("README.md").splitlines(),
        "page": list(_page(text("report.html"))),
    }


def _page(page: str) -> Iterator[str]:
    """What a reader of the report page sees, piece by piece."""
    page = re.sub(r"<style.*?</style>|<script.*?</script>", "", page, flags=re.DOTALL)
    for piece in re.sub(r"<[^>]+>", "\n", page).splitlines():
        if piece := html.unescape(piece).strip():
            yield piece


# Leaving out what no two runs have alike


def _settled(found: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The same without times, ids and places."""
    names = {str(folder.resolve()): "FOLDER", str(folder): "FOLDER"}
    hashes = [_identity(made["manifest"]) for made in found["bundles"].values()]
    for number, identity in enumerate(dict.fromkeys(hashes), 1):
        names |= {identity: f"BUNDLE {number}", identity[:12]: f"BUNDLE {number}"}
    for made in found["bundles"].values():
        for name in PACKED_TIMES:
            made["manifest"]["files"][name] = "left out"
        made["card"] = [_card_line(line) for line in made["card"]]
        made["page"] = list(_page_lines(made["page"]))
    for at, identity in enumerate(dict.fromkeys(_certificates(found)), 1):
        names[identity] = f"CERTIFICATE {at}"
    return _without(found, re.compile("|".join(map(re.escape, names))) if names else None, names)  # type: ignore[no-any-return]


def _identity(manifest: dict[str, Any]) -> str:
    """A bundle's hash, as its certificates have it; the id is its first twelve digits."""
    whole = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(whole.encode("utf-8")).hexdigest()


def _certificates(tree: Any) -> Iterator[str]:
    """The ids of certificates, wherever they stand."""
    if isinstance(tree, dict):
        if "alpha" in tree and isinstance(tree.get("id"), str):
            yield tree["id"]
        for value in tree.values():
            yield from _certificates(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _certificates(value)


def _without(tree: Any, pattern: re.Pattern[str] | None, names: dict[str, str]) -> Any:
    if isinstance(tree, dict):
        return {
            key: f"left out: {_kind(value)}" if key in TIMED | DRAWN and value is not None else _without(value, pattern, names)
            for key, value in tree.items()
        }
    if isinstance(tree, list):
        return [_without(value, pattern, names) for value in tree]
    if isinstance(tree, str):
        told = pattern.sub(lambda match: names[match[0]], tree) if pattern else tree
        return _MOMENT.sub("MOMENT", told)
    return tree


def _kind(value: Any) -> str:
    return "number" if isinstance(value, int | float) else "text" if isinstance(value, str) else "more"


def _card_line(line: str) -> str:
    for pattern in _CARD:
        line = pattern.sub(r"\1 left out", line)
    return line


def _page_lines(lines: Sequence[str]) -> Iterator[str]:
    """The page's pieces without what was timed."""
    before, timed = "", False
    for line in lines:
        here = re.fullmatch(rf"[<~]?[\d.,]+\s{_UNITS}", line) is not None
        # In the table of alternatives the texts a second stand behind the latency.
        here |= timed and re.fullmatch(r"[\d.,]+(\s[bm]illion)?", line) is not None
        here |= before in _PAGE_LABELS or (line.startswith(_PAGE_LABELS) and line not in _PAGE_LABELS)
        here |= (
            re.search(r"texts a month|texts in it|billion texts|MB of memory|core-seconds|Made by smidgen on|texts a second", line)
            is not None
        )
        yield "left out" if here else line
        before, timed = line, here


# What is the same on every processor


_LEARNT = re.compile(
    r"score|temperature|ece|brier|confidence|threshold|belief|knots|weights|/area$|largest_score_change|probabilit|/at/|bound|offset|/facts/|shift|slope"
)
"""Paths of figures that come out of learnt weights: another processor gives slightly others."""
_SAME = 1e-4
_LEFT_OUT_ELSEWHERE = re.compile(
    r"/bins$|/points$|/page$|/card$|/manifest/files$|/base_sha256$|/cost/models$|/as_of$|/last$|/cost/assumption$|/learning_curve"
    r"|/predictions/\d+/alternatives$"
)
_COUNTED = frozenset({"n", "p", "predicted", "gained", "lost"})
_ANSWERED = frozenset({"predictions", "mistakes", "samples", "fillings", "changed", "confusion", "confusion_pairs", "knots", "score"})
_BATCHED = 2e-6


def portable(found: dict[str, Any], *, loose: bool = False) -> dict[str, Any]:
    """What another machine gives, too: without hashes of weights, and of long tables and pages their shape.

    Args:
        loose: whether answers and figures are left out as well; see `Case.near`.
    """
    kept: dict[str, Any] = _shaped({name: value for name, value in found.items() if name != "inputs"}, "")
    for name, made in found["bundles"].items():
        kept["bundles"][name]["files"] = sorted(made["files"])
        kept["bundles"][name]["card"] = [line for line in made["card"] if line.startswith("#")]
    return _loosened(kept) if loose else kept  # type: ignore[no-any-return]


def _loosened(tree: Any) -> Any:
    """The same without figures and answers, so far as they are not settings."""
    if isinstance(tree, dict):
        made = {key: "left out" if key in _COUNTED | _ANSWERED else _loosened(value) for key, value in tree.items()}
        told = tree.get("predictions")
        return {**made, "predictions": [len(told), *(sorted(told[0]) if told else [])]} if isinstance(told, list) else made
    if isinstance(tree, list):
        return [_loosened(value) for value in tree]
    return "number" if isinstance(tree, float) else tree


def _shaped(tree: Any, path: str) -> Any:
    if _LEFT_OUT_ELSEWHERE.search(path):
        first = tree[0] if isinstance(tree, list) and tree else None
        return sorted(first) if isinstance(first, dict) else sorted(tree) if isinstance(tree, dict) else "left out"
    if isinstance(tree, dict):
        return {key: _shaped(value, f"{path}/{key}") for key, value in tree.items()}
    if isinstance(tree, list):
        made = [_shaped(value, f"{path}/{at}") for at, value in enumerate(tree)]
        # Errors stand in the order of their scores, and those not chosen, too.
        ordered = path.endswith(("/mistakes", "/samples", "/fillings", "/changed", "/alternatives"))
        return sorted(made, key=lambda entry: json.dumps([entry.get("row"), entry.get("output"), entry.get("name")])) if ordered else made
    return float(f"{tree:.5g}") if isinstance(tree, float) else tree


def differences(expected: Any, found: Any, path: str = "", *, near: float = 0.0, batched: bool = False) -> Iterator[str]:
    """What differs, each with where it stands.

    Args:
        near: how far figures that come out of learnt weights may be apart; 0: nothing may differ in its last digit.
        batched: whether their seventh digits may differ all the same; see `Case.batched`.
    """
    if isinstance(expected, dict) and isinstance(found, dict):
        if not near and list(expected) != list(found) and set(expected) == set(found):
            yield f"{path}: the order of keys, {list(expected)} before, {list(found)} now"
        for key in dict.fromkeys((*expected, *found)):
            if key not in found or key not in expected:
                yield f"{path}/{key}: {'gone' if key in expected else 'new'}, {json.dumps(expected.get(key, found.get(key)))[:200]}"
            else:
                yield from differences(expected[key], found[key], f"{path}/{key}", near=near, batched=batched)
    elif isinstance(expected, list) and isinstance(found, list):
        if len(expected) != len(found):
            yield f"{path}: {len(expected)} entries before, {len(found)} now"
        for at, (one, other) in enumerate(zip(expected, found, strict=False)):
            yield from differences(one, other, f"{path}/{at}", near=near, batched=batched)
    elif (near and _like(expected, found, path, near)) or (batched and _jittered(expected, found, path)):
        return
    elif type(expected) is not type(found) or expected != found:
        yield f"{path}: {json.dumps(expected)[:300]} before, {json.dumps(found)[:300]} now"


def _jittered(expected: Any, found: Any, path: str) -> bool:
    return isinstance(expected, float) and isinstance(found, float) and bool(_LEARNT.search(path)) and abs(expected - found) <= _BATCHED


def _like(expected: Any, found: Any, path: str, near: float) -> bool:
    """Whether two values are the same but for what processors do otherwise."""
    if isinstance(expected, str) and isinstance(found, str):
        if _NUMBER.sub("#", expected) != _NUMBER.sub("#", found):
            return False
        figures = [[float(one.replace(",", "").rstrip(".")) for one in _NUMBER.findall(text)] for text in (expected, found)]
        return all(abs(one - other) <= 0.06 * max(1.0, abs(one)) for one, other in zip(*figures, strict=True))
    if isinstance(expected, bool) or isinstance(found, bool) or not (isinstance(expected, float) or isinstance(found, float)):
        return False
    if not (isinstance(expected, int | float) and isinstance(found, int | float)):
        return False
    allowed = near if _LEARNT.search(path) else _SAME
    return abs(expected - found) <= allowed * max(1.0, abs(expected))


# The commands


def about(sources: Path) -> dict[str, Any]:
    """Which commit, on which machine, with which libraries."""

    def git(*arguments: str) -> str:
        asked = ["git", "-C", str(sources), *arguments]
        return subprocess.run(asked, capture_output=True, text=True, check=True, timeout=60).stdout.strip()

    cpu = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", cpu.read_text(encoding="utf-8")) if cpu.is_file() else None
    libraries = ("torch", "onnxruntime", "onnx", "tokenizers", "numpy", "scikit-learn", "scipy", "xllamacpp", "safetensors")
    return {
        "commit": git("rev-parse", "HEAD"),
        "changed": bool(git("status", "--porcelain", "--", ".")),
        "machine": {"cpu": model[1] if model else platform.processor(), "system": platform.platform(), "python": platform.python_version()},
        "libraries": {name: metadata.version(name) for name in libraries},
    }


def _each(cases: Sequence[Case], sources: Path) -> Iterator[tuple[Case, dict[str, Any]]]:
    """Build the cases one after the other, in a folder of the same name each time."""
    for case in cases:
        folder = Path(tempfile.mkdtemp(prefix="golden-"))
        try:
            yield case, build(case, folder / "case", sources)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def record(out: Path, cases: Sequence[Case], sources: Path) -> int:
    """Build the cases and write what came out of them."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "about.json").write_text(json.dumps(about(sources), indent=1), encoding="utf-8")
    for case, found in _each(cases, sources):
        (out / f"{case.name}.json").write_text(json.dumps(found, indent=1, ensure_ascii=False), encoding="utf-8")
        print(f"{case.name}: recorded", flush=True)
    return 0


def compare(out: Path, cases: Sequence[Case], sources: Path) -> int:
    """Build the cases again and print every difference; 1 where there is one, 2 where it was recorded elsewhere."""
    before, now = json.loads((out / "about.json").read_text(encoding="utf-8")), about(sources)
    others = [name for name in ("machine", "libraries") if before[name] != now[name]]
    if others:
        print(f"recorded with another {', another '.join(others)}: record again, at the commit before (--sources)", file=sys.stderr)
        return 2
    print(f"{before['commit'][:12]} before, {now['commit'][:12]}{' and changes' if now['changed'] else ''} now")
    changed = 0
    for case, found in _each(cases, sources):
        recorded = json.loads((out / f"{case.name}.json").read_text(encoding="utf-8"))
        if recorded["inputs"] != found["inputs"]:
            print(f"{case.name}: not compared, for its data or commands are others than were recorded", flush=True)
            changed += 1
            continue
        lines = list(differences(recorded, json.loads(json.dumps(found)), batched=case.batched))
        changed += bool(lines)
        print(f"{case.name}: {len(lines)} differences" if lines else f"{case.name}: the same", flush=True)
        for line in lines[:20]:
            print(f"  {line}")
    print(f"{len(cases) - changed} of {len(cases)} the same")
    return int(changed > 0)


def expect(cases: Sequence[Case], sources: Path) -> int:
    """Write what the tests expect of the quick cases."""
    EXPECTED.mkdir(exist_ok=True)
    for case, found in _each([case for case in cases if case.quick], sources):
        text = json.dumps(portable(found, loose=case.near is None), indent=1, ensure_ascii=False, sort_keys=True)
        (EXPECTED / f"{case.name}.json").write_text(text + "\n", encoding="utf-8")
        print(f"{case.name}: written", flush=True)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.golden.builds", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("what", choices=("record", "compare", "expect"))
    parser.add_argument("folder", nargs="?", type=Path, help="of the recording")
    parser.add_argument("--only", action="append", choices=[case.name for case in CASES], help="this case; may be repeated")
    parser.add_argument("--sources", type=Path, default=ROOT / "src", help="the smidgen to build with: the folder src of a checkout")
    asked = parser.parse_args(arguments)
    cases = [case for case in CASES if not asked.only or case.name in asked.only]
    if asked.what == "expect":
        return expect(cases, asked.sources.resolve())
    if asked.folder is None:
        parser.error("name the folder of the recording")
    return (record if asked.what == "record" else compare)(asked.folder, cases, asked.sources.resolve())


if __name__ == "__main__":
    sys.exit(main())
