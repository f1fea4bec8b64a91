"""Personal data: the shipped model beside Presidio's default analyser, on two whole files of Presidio's evaluation."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import personal, results
from bench.context import HERE, Context, last_json
from bench.data import NoData
from bench.personal import Row, Span
from smidgen.flows.redaction_model import SHIPPED

NAME = "redaction"
LEAD = 0.05
FILES = {"synth_dataset_v2": "data/synth_dataset_v2.json", "generated_large": "tests/data/generated_large.json"}
COLUMNS = ("file", "system", "F1", "95 %", "precision", "recall", "F1 by overlap", "letters covered", "ms a text")
KINDS = ("person", personal.LOCATION, "organisation", "date", "phone", "email", "card", "iban", "id")
PEER_LIMIT = 1800.0
BUILD_LIMIT = 3600.0
ROOT = Path(__file__).parent.parent
THRESHOLD = 0.4
"""A threshold that is often set for Presidio; its own default is 0."""

_OURS = """
import json, sys, time
import smidgen
model = smidgen.load(sys.argv[3])
texts = json.load(open(sys.argv[1], encoding="utf-8"))
began = time.perf_counter()
found = [[[s["label"], s["start"], s["end"]] for s in model.predict([text])[0].output] for text in texts]
seconds = time.perf_counter() - began
json.dump(found, open(sys.argv[2], "w", encoding="utf-8"))
size = sum(file.stat().st_size for file in model.folder.rglob("*") if file.is_file())
print(json.dumps({"seconds": seconds, "megabytes": size / 1e6, "torch": "torch" in sys.modules}))
"""


def run(context: Context) -> None:
    """Both sides over both files."""
    section = results.Section(
        NAME,
        "Personal data",
        "The shipped model, which `recipes/redaction.toml` made, and Presidio's default analyser on texts that neither was made from: two "
        "files of the evaluation of Presidio, whole. The model learnt from templates and values that this project makes "
        "(`tools/redaction`), and every choice was made on templates kept apart there. A span is right where its first and last character "
        "and its kind are. Presidio has one type for places and addresses, so the two are one kind here, for both sides. What touches a "
        "title, an age, a nationality, a zip code, an IP address or a domain, and nothing else, is not held against anybody. Intervals are "
        "over templates, for the texts of one template are right or wrong together.",
        COLUMNS,
        facts={"load before": results.load_average()},
    )
    scored: dict[str, dict[str, Any]] = {}
    model = _model(context, section)
    if model is None:
        results.publish(context, section)
        return
    for name, path in FILES.items():
        rows = read(context.data / "presidio-pii" / path)
        rows = rows[:100] if context.quick else rows
        systems = {"smidgen": _smidgen(context, model, name, rows), **_presidio(context, name, rows, section)}
        scored[name] = {"rows": rows, "systems": systems}
    _fill(section, scored)
    results.publish(context, section)


def read(file: Path) -> list[Row]:
    """The rows of a test file."""
    if not file.is_file():
        raise NoData(f"{file} is not here")
    rows = []
    for entry in json.loads(file.read_text(encoding="utf-8")):
        spans = [(span["start_position"], span["end_position"], span["entity_type"]) for span in entry["spans"]]
        gold = tuple((start, end, personal.GOLD[name]) for start, end, name in spans if name in personal.GOLD)
        passed = tuple((start, end) for start, end, name in spans if name not in personal.GOLD)
        rows.append(Row(entry["full_text"], gold, passed, str(entry["template_id"])))
    return rows


def _model(context: Context, section: results.Section) -> Path | None:
    """The bundle that the package ships, whose data, recipe and making are in the house. A quick run makes one from a few texts instead, to
    see that the whole way works; None, with a note, where it does not."""
    if not context.quick:
        manifest = json.loads((SHIPPED / "smidgen.json").read_text(encoding="utf-8"))
        weights = manifest["files"]["model.onnx"]["sha256"][:16]
        section.facts["the model"] = f"the one in the package, made {manifest['created'][:16]} by the recipe; model.onnx {weights}"
        return SHIPPED
    folder, data = context.out / "bundles" / NAME, context.out / "data" / NAME
    make = [sys.executable, "-m", "tools.redaction", "--rows", "400", "--dev-rows", "100", "--out", str(data)]
    build = [sys.executable, "-m", "smidgen", "build", str(ROOT / "recipes" / "redaction.toml"), "--out", str(folder), "--fresh"]
    build += ["--set", f"data.train={data / 'train.jsonl'}", "--set", f"data.test={data / 'dev.jsonl'}"]
    build += ["--set", "gate.min_headline=0", "--set", "gate.min_agreement=0", "--set", "gate.max_loss=1"]

    def work() -> dict[str, Any]:
        for number, command in enumerate((make, build)):
            ran = context.run(command, f"{NAME}-build-{number}", BUILD_LIMIT)
            if ran.trouble:
                return {"trouble": ran.trouble}
        return {"seconds": ran.seconds}

    made = context.measured(f"{NAME}-build", {"build": [str(word) for word in build]}, work, peer=False)
    if made.get("trouble"):
        section.notes.append(f"the model: {made['trouble']}")
        return None
    section.facts["whole build"] = f"{made['seconds']:.0f} s"
    return folder


def _smidgen(context: Context, model: Path, name: str, rows: Sequence[Row]) -> dict[str, Any]:
    texts, out = _texts(context, name, rows), context.out / "raw" / f"{NAME}-{name}-smidgen.spans"
    out.parent.mkdir(parents=True, exist_ok=True)

    def work() -> dict[str, Any]:
        ran = context.run([sys.executable, "-c", _OURS, texts, out, model], f"{NAME}-{name}-smidgen", PEER_LIMIT)
        if ran.trouble:
            return {"trouble": ran.trouble}
        return {**last_json(ran.stdout), "found": json.loads(out.read_text(encoding="utf-8"))}

    result = context.measured(f"{NAME}-{name}-smidgen", {"rows": len(rows)}, work, peer=False)
    found = [
        [(start, end, personal.SMIDGEN[kind]) for kind, start, end in own if kind in personal.SMIDGEN] for own in result.get("found", [])
    ]
    return {**result, "spans": found}


def _presidio(context: Context, name: str, rows: Sequence[Row], section: results.Section) -> dict[str, dict[str, Any]]:
    python = context.peer("presidio")
    if python is None:
        return {}
    texts, out = _texts(context, name, rows), context.out / "raw" / f"{NAME}-{name}-presidio.spans"

    def work() -> dict[str, Any]:
        command = [python, HERE / "peers" / "presidio_peer.py", "--texts", texts, "--out", out]
        ran = context.run(command, f"{NAME}-{name}-presidio", PEER_LIMIT)
        if ran.trouble:
            return {"trouble": ran.trouble}
        return {**last_json(ran.stdout), "found": json.loads(out.read_text(encoding="utf-8"))}

    result = context.measured(f"{NAME}-{name}-presidio", {"rows": len(rows)}, work, peer=True)
    section.versions = result.get("versions", {})
    ways = {
        "Presidio, default": (0.0, False),
        f"Presidio, scores from {THRESHOLD}": (THRESHOLD, False),
        "Presidio, with organisations": (0.0, True),
        f"Presidio, with organisations, scores from {THRESHOLD}": (THRESHOLD, True),
    }
    return {way: {**result, "spans": [_peers(own, *how) for own in result.get("found", [])]} for way, how in ways.items()}


def _peers(found: Sequence[Any], least: float, organisations: bool) -> list[Span]:
    kept = [(n, a, b, s) for n, a, b, s in found if s >= least and (organisations or n != "ORGANIZATION")]
    return [(start, end, personal.PRESIDIO[name]) for name, start, end in personal.apart(kept) if name in personal.PRESIDIO]


def _texts(context: Context, name: str, rows: Sequence[Row]) -> Path:
    file = context.out / "data" / f"{NAME}-{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps([row.text for row in rows]), encoding="utf-8")
    return file


def _fill(section: results.Section, scored: dict[str, dict[str, Any]]) -> None:
    kinds: list[list[str]] = []
    for name, entry in scored.items():
        rows, best = entry["rows"], None
        for system, result in entry["systems"].items():
            if result.get("trouble"):
                section.notes.append(f"{system}: {result['trouble']}")
                continue
            found = [personal.counted(row, own) for row, own in zip(rows, result["spans"], strict=True)]
            exact, near = personal.strict(rows, found), personal.by_overlap(rows, found)
            section.rows.append(
                [
                    f"{name}, {len(rows):,} texts",
                    system,
                    f"{exact.f1:.1%}",
                    f"{exact.low:.1%} to {exact.high:.1%}",
                    f"{exact.precision:.1%}",
                    f"{exact.recall:.1%}",
                    f"{near.f1:.1%}",
                    f"{personal.covered(rows, result['spans']):.1%}",
                    results.number(1000 * result["seconds"] / len(rows), 1),
                ]
            )
            if system == "smidgen":
                ours = exact.f1
                section.facts["size of the shipped bundle"] = (
                    f"{result['megabytes']:.1f} MB; torch loaded: {'yes' if result['torch'] else 'no'}"
                )
            else:
                best = exact.f1 if best is None else max(best, exact.f1)
            for kind in KINDS if system in ("smidgen", "Presidio, with organisations") else ():
                alone = personal.of_kind(rows, found, kind)
                one, touched = personal.strict(*alone), personal.by_overlap(*alone)
                support = sum(len(row.gold) for row in alone[0])
                if support:
                    kinds.append(
                        [
                            name,
                            system,
                            kind,
                            str(support),
                            f"{one.f1:.1%}",
                            f"{one.precision:.1%}",
                            f"{one.recall:.1%}",
                            f"{touched.recall:.1%}",
                        ]
                    )
        section.goals.append(results.ahead(f"F1 against the best of Presidio's, {name}", ours, best, ".1%", LEAD))
    head = ("file", "system", "kind", "spans", "F1", "precision", "recall", "recall by overlap")
    section.notes.insert(0, "by kind.\n\n" + results.table(head, kinds))
