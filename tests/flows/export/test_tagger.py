"""The page of an exported tagger reads and decides as the tagger does: its scripts, run by Node, against the code that they are like."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smidgen.bases import lookup
from smidgen.engines.model_files import load_tokenizer
from smidgen.flows.export import onnx_web
from smidgen.tasks.extract import part as extract
from smidgen.text.tagging import TagChain, TaggerReader

TEXTS = [
    "Order 4711 was sent to Anna Müller on 3 May, for €49.90.",
    "naïve CAFÉ — “quoted” don't e-mail: a_b@c.de 45kg H2O iPhone",
    "日本語のテキスト and 한국어, Ελλάδα, Ω, İstanbul, ﬁne",
    "tabs\tand\nlines\r\nand\u00a0spaces\u2003here\u200b!\x07",
    "😀 an emoji 👨‍👩‍👧 family, then Bob",
    "²x ½ ⅷ ④ 1,000.50 [MASK] [SEP] ##ing",
    "",
    "   ",
    "x" * 250 + " end",
    "Long words of every kind, and Names Of People. " * 30,
]
FORM: dict[str, Any] = {
    **{"kinds": ["person", "order"], "only": False, "threshold": 0.35, "span_slope": 0.78, "span_shift": 0.21},
    **{"temperature": 2.3, "shift": 0.74},
}
SCRIPT = """
import fs from "fs";
import { tokenizer } from "./tokens.mjs";
import { answer, read } from "./tag.mjs";
const { texts, told, tables, tokens } = JSON.parse(fs.readFileSync(0));
const tokenize = tokenizer(JSON.parse(fs.readFileSync(tokens)));
console.log(JSON.stringify(texts.map((text, number) => {
  const reading = read(text, tokenize, told);
  return { windows: reading.windows, ...answer(reading, tables[number], told) };
})));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
@pytest.mark.parametrize("level", ["words", "runs", "characters"])
def test_the_page_reads_and_decides_as_the_tagger_does(level: str, tmp_path: Path) -> None:
    tokens = lookup.find("minilm").folder / "tokenizer.json"
    reader = TaggerReader.of(load_tokenizer(tokens), 64, level, True, 0)
    random = np.random.default_rng(5)
    transitions = random.normal(0, 1, (9, 9))
    readings = reader.read(TEXTS)
    windows = [[(reader.ids(r, w), reader.shapes(r, w)) for w in reader.windows(r)] for r in readings]
    tables = [[random.normal(0, 3, (len(ids), 9)).astype(np.float32) for ids, _ in each] for each in windows]
    told = {name: FORM[name] for name in onnx_web.DECIDED_BY["extract"]}
    told |= {"level": level, "shaped": True, "room": reader.room, "before": reader.before, "after": reader.after}
    told["transitions"] = transitions.tolist()
    page = files("smidgen.flows.export") / "web" / "extract"
    for name in ("tokens", "tag"):
        (tmp_path / f"{name}.mjs").write_text((page / f"{name}.js").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "run.mjs").write_text(SCRIPT, encoding="utf-8")
    given = {"texts": TEXTS, "told": told, "tokens": str(tokens), "tables": [[table.tolist() for table in each] for each in tables]}
    done = subprocess.run(["node", "run.mjs"], cwd=tmp_path, input=json.dumps(given), capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert len(found) == len(TEXTS) and len(windows[-1]) > 3

    for text, got, wanted in zip(TEXTS, found, windows, strict=True):
        assert [(window["ids"], window["shapes"]) for window in got["windows"]] == wanted, text
    chain = TagChain(transitions)
    raw = {"spans": [reader.spans(r, t, chain) for r, t in zip(readings, tables, strict=True)], "inputs": TEXTS}
    replies = extract.decode(raw, extract.read_form(FORM))
    assert sum(len(reply.output) for reply in replies) > 30
    for text, got, reply in zip(TEXTS, found, replies, strict=True):
        places = [0, *np.cumsum([len(letter.encode("utf-16-le")) // 2 for letter in text]).tolist()]
        spans = [{"start": places[s["start"]], "end": places[s["end"]], "label": s["label"]} for s in reply.output]
        assert [{name: span[name] for name in ("start", "end", "label")} for span in got["spans"]] == spans
        assert [span["text"] for span in got["spans"]] == reply.facts.get("texts", [])
        assert np.allclose([span["score"] for span in got["spans"]], reply.facts.get("scores", []), atol=1e-5)
        assert got["score"] == pytest.approx(reply.score, abs=1e-5)
