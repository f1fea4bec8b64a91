"""The page of an exported tagger of fields makes the objects that the task makes: its scripts, run by Node, against the code that they are
like; and the whole export of a built bundle, in Chromium where there is one."""

from __future__ import annotations

import importlib.resources
import json
import random
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.forms import field_form

from smidgen.core.rows import Row
from smidgen.flows.export import onnx_web
from smidgen.flows.export.exporter import ExportRefusal
from smidgen.tasks import field_parsing
from smidgen.tasks.extract import ExtractSettings
from smidgen.tasks.fields import ExtractFields
from smidgen.text import dates, numbers

NODE = pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
PAGES = importlib.resources.files("smidgen.flows.export") / "web"


def node(folder: Path, script: str, given: Any) -> Any:
    """What a script prints, run beside the pages' own ones, as JSON."""
    for name in {name for names in onnx_web.SCRIPTS.values() for name in names if not name.endswith("page.js")}:
        (folder / name.rpartition("/")[2]).write_text((PAGES / name).read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    (folder / "run.js").write_text('import fs from "fs";\n' + script, encoding="utf-8")
    done = subprocess.run(
        ["node", "run.js"], cwd=folder, input=json.dumps(given), capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


NUMBERS = [
    *("1,250.50", "1.250,50", "£45", "5kg", "two", "twenty-five", "a dozen", "half a dozen", "a couple", "-3", "−7,5", "minus twelve"),
    *(
        "- £ 12",
        "x3",
        "2x",
        "A12",
        "1 000 000",
        "1\u202f234,5",
        "1'234",
        "0,125",
        "1,125",
        "12,34,567",
        "007",
        "one hundred and five",
        "٣٤",
    ),
    *("two thousand and nine", "hundred", "a hundred", "three million two hundred thousand", "five and six", "both", "minus-four", "1.2.3"),
    *("9007199254740991", "no number", "", "½", "twenty one", "ninety-nine dozen", "€ 1.999,00", "10%", "3rd", "e5", "５", "12 of 14"),
]
DATES = [
    *("2026-03-03", "3/3/2026", "03.03.26", "3 March", "March 3rd, 2026", "3. März 2026", "04/05/2026", "13/02/99", "12.31.2024", "1 août"),
    *("29 Feb", "29 February 2023", "31 April", "May 2nd", "2nd of May", "Sept 12", "12-Sep-2024", "5 de mayo de 2020", "3 March 12 mugs"),
    *(
        "3 March 10:30",
        "3 March 5pm",
        "4/5",
        "2/30",
        "99/99/9999",
        "0000-01-01",
        "on 7 juillet",
        "1st Jan '99",
        "yesterday",
        "",
        "mar 3",
        "٣ March",
    ),
]
WORDS = [
    "",
    " a  b ",
    "FH-20231",
    "fh 20231",
    "Oak Stool",
    "OAK STOOL",
    "yes",
    "No!",
    "money back",
    "Money-Back please",
    "straße",
    "STRASSE",
    "A+",
    "a-",
]
WAYS: list[dict[str, Any]] = [
    {"kind": "words", "values": ["money_back", "another", "A+", "A-", "Straße"]},
    {"kind": "words", "values": [True, False]},
    {"kind": "words", "values": [1, 2, 25]},
    {"kind": "text", "ways": [["lower"], ["title"], ["layout", ["FH-", 5], "same"], ["written"]], "shapes": {"a 9": 2, "a": 1}},
    {"kind": "text", "ways": [["layout", [2, "-", 5], "upper"], ["upper"], ["same"]], "shapes": {}},
]


@NODE
def test_words_become_the_same_values(tmp_path: Path) -> None:
    ways = [{"kind": "number", "mark": mark} for mark in ".,"]
    ways += [{"kind": "date", "day_first": first, "year": year, "pivot": 69} for first in (True, False) for year in (None, 2024)]
    asked = [(words, way) for way in [*ways, *WAYS] for words in [*NUMBERS, *DATES, *WORDS]]
    script = """
import { ways } from "./ways.js";
const { asked, told } = JSON.parse(fs.readFileSync(0));
const valueOf = ways(told);
console.log(JSON.stringify(asked.map(([words, way]) => valueOf(words, way, () => true))));
"""
    got = node(tmp_path, script, {"asked": asked, "told": {"numbers": numbers.vocabulary(), "months": dates.months()}})
    wanted = [field_parsing.value_of(words, way, lambda value: True) for words, way in asked]
    assert [(one, mine, his) for one, mine, his in zip(asked, wanted, got, strict=True) if (mine, type(mine)) != (his, type(his))] == []
    assert len(asked) > 900 and sum(value is not None for value in wanted) > 300


def sample(name: str) -> list[dict[str, Any]]:
    file = importlib.resources.files("smidgen") / "samples" / "homeware" / f"{name}.jsonl"
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@NODE
def test_objects_and_scores_are_those_of_the_task(tmp_path: Path) -> None:
    """On the sample's texts: spans that say the values, and others at random, with chances at random."""
    schema = str(importlib.resources.files("smidgen") / "samples" / "homeware" / "fields_schema.json")
    rows = [Row(row["text"], row["fields"], number) for number, row in enumerate(sample("fields_train"), 1)]
    form = ExtractFields(ExtractSettings).form(rows, ExtractSettings(schema_file=schema))
    assert form.tagged is not None
    form = form.model_copy(update={"temperature": 1.7, "shift": -0.2, "tagged": {**form.tagged, "threshold": 0.45}})
    task, drawn = ExtractFields(ExtractSettings, form), random.Random(3)
    kinds, choices = form.tagged["kinds"], form.tagged["choices"]
    raw: dict[str, list[Any]] = {"spans": [], "choices": [], "inputs": []}
    for row in [*task.targets.spans(rows, form), *task.targets.spans(rows, form)]:
        text = str(row.input)
        said = [[span["start"], span["end"], kinds.index(span["label"]), drawn.random()] for span in row.output["spans"]]
        for _ in range(6):
            start = drawn.randrange(max(1, len(text) - 1))
            said.append([start, min(len(text), start + drawn.randint(1, 12)), drawn.randrange(len(kinds)), drawn.random() * 0.6])
        raw["spans"].append([[start, end, kind, round(chance, 6)] for start, end, kind, chance in said if start < end])
        weights = [[drawn.random() for _ in choice["values"]] for choice in choices]
        raw["choices"].append([[round(one / sum(own), 6) for one in own] for own in weights])
        raw["inputs"].append(text)
    script = """
import { filler } from "./fill.js";
const { told, raw } = JSON.parse(fs.readFileSync(0));
const fill = filler(told);
console.log(JSON.stringify(raw.inputs.map((text, place) => fill({
  letters: [...text], choices: raw.choices[place],
  likely: raw.spans[place].map(([start, end, kind, chance]) => ({ start, end, kind, chance })),
}))));
"""
    got = node(tmp_path, script, {"told": onnx_web.fields_told(form), "raw": raw})
    replies = task.decode(raw, form)
    assert len(got) == len(replies) > 300 and sum(reply.output is not None for reply in replies) > 50
    for text, own, reply in zip(raw["inputs"], got, replies, strict=True):
        assert own["output"] == reply.output, text
        assert own["score"] == pytest.approx(reply.score, abs=1e-9)
        if reply.output is not None:
            assert list(own["output"]) == list(reply.output), "in the schema's order"
            assert own["scores"] == reply.facts["scores"] and own["spans"] == reply.facts.get("spans", {})


def deep() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "type": "object",
        "properties": {
            "id": {**text, "pattern": r"^[A-Z]{2}-\d{3}$", "maxLength": 6},
            "when": {"type": ["string", "null"], "format": "date"},
            "mail": {"type": ["string", "null"], "format": "email"},
            "key": {"type": ["string", "null"], "format": "uuid"},
            "count": {"type": ["integer", "null"], "minimum": 1, "exclusiveMaximum": 10},
            "ratio": {"type": ["number", "null"], "exclusiveMinimum": 0},
            "sure": {"type": ["boolean", "null"]},
            "tags": {"type": "array", "items": {**text, "minLength": 2}, "minItems": 1, "maxItems": 2},
            "who": {
                "type": ["object", "null"],
                "properties": {"name": text, "age": {"type": "integer"}},
                "required": ["name"],
                "additionalProperties": False,
            },
        },
        "required": ["id", "tags", "who"],
        "additionalProperties": False,
    }


@NODE
def test_what_fits_a_schema_fits_it_in_the_browser(tmp_path: Path) -> None:
    good = {"id": "FH-123", "tags": ["ab"], "who": {"name": "Anna"}}
    uuid = "123e4567-e89b-12d3-a456-426614174000"
    changes = [
        *({"id": text} for text in ("FH-12", "fh-123", " FH-123 ", "FH-1234", "FH-١٢٣", "", "x\0")),
        *({"when": text} for text in ("2024-02-29", "2023-02-29", "2024-2-1", "soon", None)),
        *({"mail": text} for text in ("a@b", "a", " ")),
        *({"key": text} for text in (uuid, uuid[:-1], uuid.upper(), "x")),
        *({"count": number} for number in (0, 1, 9, 10, 2.5, 3.0)),
        *({"ratio": number} for number in (0, 0.5, -1)),
        *({"sure": value} for value in (True, False)),
        *({"tags": value} for value in ([], ["a"], ["ab", "cd"], ["ab", "cd", "ef"])),
        *({"who": value} for value in (None, {"age": 3}, {"name": "A", "age": 3}, {"name": " "})),
    ]
    values = [{**good, **change} for change in changes]
    script = """
import { fault, settled } from "./schema.js";
const { schema, values } = JSON.parse(fs.readFileSync(0));
console.log(JSON.stringify(values.map((value) => { const made = settled(value, schema); return fault(made, schema) ? null : made; })));
"""
    got = node(tmp_path, script, {"schema": onnx_web.browser_schema(deep()), "values": values})
    task = ExtractFields(ExtractSettings, field_form(deep()))
    wanted: list[Any] = []
    for value in values:
        try:
            wanted.append(task.place("", value))
        except ValueError:
            wanted.append(None)
    assert got == wanted
    assert len(values) == 38 and 10 < sum(one is not None for one in wanted) < 30


PATTERNS = [
    r"^\d+$",
    r"\w+-\w+",
    r"[\w.-]+@[a-z]+",
    r"a{2,3}b{4}",
    r"[]x]+\]",
    r"x{y}",
    r"\A\S+\Z",
    r"a\-b\_c",
    r"[^\d\s]+",
    r"(?:ab|c)?\.",
    r"\W\D",
]
PROBES = ["123", "٣٤", "a-b", "a.b-c@xyz", "aabbbb", "]x]", "x{y}", " a ", "a-b_c", "no digits", "ab.", "é-ß", "- x", "", "_", "1\n"]


@NODE
def test_patterns_are_read_alike(tmp_path: Path) -> None:
    script = """
const { patterns, probes } = JSON.parse(fs.readFileSync(0));
console.log(JSON.stringify(patterns.map((pattern) => probes.map((text) => new RegExp(pattern, "u").test(text)))));
"""
    probes = [probe for probe in PROBES if not probe.endswith("\n")]
    got = node(tmp_path, script, {"patterns": [onnx_web.browser_pattern(pattern) for pattern in PATTERNS], "probes": probes})
    assert got == [[re.search(pattern, text) is not None for text in probes] for pattern in PATTERNS]
    assert len(got) == 11 and any(map(any, got))


@pytest.mark.parametrize("pattern", [r"[\W]", r"\1", r"a++", r"\x41", r"\N{DIGIT ONE}"])
def test_a_pattern_that_a_browser_reads_otherwise_is_refused(pattern: str) -> None:
    with pytest.raises(ExportRefusal, match="interpret"):
        onnx_web.browser_pattern(pattern)
