"""The texts that the redaction model learns from: the same for the same seed, spans where they are, two sides that share nothing."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from tools.redaction import formats
from tools.redaction.lookalikes import LOOKALIKES
from tools.redaction.rows import Row, rows
from tools.redaction.sources import Source
from tools.redaction.templates import Choice, Node, Slot, parse, spelled, templates
from tools.redaction.values import SLOTS, fill

from smidgen.data import identifiers

ROOT = Path(__file__).parents[2]
KINDS = {"person", "place", "address", "organisation", "date", "phone", "email", "card", "iban", "id", "ip", "url"}


@pytest.fixture(scope="module")
def made() -> list[Row]:
    return rows(1500, seed=3)


def slots(nodes: tuple[Node, ...]) -> list[Slot]:
    found = []
    for node in nodes:
        if isinstance(node, Slot):
            found.append(node)
        elif isinstance(node, Choice):
            found += [slot for among in node.among for slot in slots(among)]
    return found


def test_the_same_seed_gives_the_same_rows(made: list[Row]) -> None:
    assert rows(1500, seed=3) == made
    assert rows(20, seed=4) != made[:20]


def test_another_process_gives_the_same_rows(tmp_path: Path) -> None:
    """Sets of strings have another order in each; 400 rows of Italian cities among others would show it."""
    written = []
    for salt in ("1", "2"):
        out = tmp_path / salt
        command = [sys.executable, "-m", "tools.redaction", "--rows", "400", "--dev-rows", "100", "--out", str(out)]
        subprocess.run(command, check=True, capture_output=True, cwd=ROOT, timeout=120, env={**os.environ, "PYTHONHASHSEED": salt})
        written.append((out / "train.jsonl").read_bytes() + (out / "dev.jsonl").read_bytes())
    assert written[0] == written[1]


def test_every_span_is_what_it_says(made: list[Row]) -> None:
    seen: Counter[str] = Counter()
    for row in made:
        at = 0
        for span in row.spans:
            assert at <= span["start"] < span["end"] <= len(row.text), "spans are in order and apart"
            words = row.text[span["start"] : span["end"]]
            assert words == words.strip()
            at = span["end"]
            seen[span["label"]] += 1
            if span["label"] in ("phone", "card", "ip"):
                assert any(sign.isdigit() or sign == ":" for sign in words), words
            if span["label"] == "email":
                assert "@" in words
    assert set(seen) == KINDS
    assert min(seen.values()) >= 5
    assert sum(not row.spans for row in made) > 30, "texts without anything personal belong to it"


def test_no_text_comes_twice(made: list[Row]) -> None:
    assert len({row.text for row in made}) == len(made) == 1500


def test_the_two_sides_share_no_template_and_hardly_a_name() -> None:
    ours, theirs = templates(False), templates(True)
    assert len(ours) > 300 and len(theirs) > 40
    assert not {template.nodes for template in ours} & {template.nodes for template in theirs}
    names = [{Source(random.Random(seed), dev).person("", "").last for seed in range(300)} for dev in (False, True)]
    assert len(names[0] & names[1]) <= 3, "only lists too short to be parted are shared"


def test_every_slot_of_every_template_can_be_filled() -> None:
    source = Source(random.Random(0), False)
    seen = {(slot.name, slot.language) for dev in (False, True) for template in templates(dev) for slot in slots(template.nodes)}
    for name, language in sorted(seen):
        assert fill(source, name, language, "").text.strip(), name
    assert {name for name, _ in seen} <= set(SLOTS) | set(LOOKALIKES)
    assert len(seen) > 100


def test_notation() -> None:
    nodes = parse(r"[a|b[c|d]|] {de.city:x}\n\[{person}\]")
    said = {"".join(node if isinstance(node, str) else "_" for node in spelled(nodes, random.Random(seed))) for seed in range(60)}
    assert said == {"a _\n[_]", "bc _\n[_]", "bd _\n[_]", " _\n[_]"}
    assert slots(nodes) == [Slot("city", "de", "x"), Slot("person", "", "")]
    with pytest.raises(ValueError, match="not closed"):
        parse("[a|b")


def test_checksums_hold() -> None:
    rng = random.Random(1)
    cards, ibans = [formats.card(rng) for _ in range(200)], [formats.iban(rng) for _ in range(200)]
    assert all(identifiers.luhn(card) for card in cards)
    assert all(identifiers.iban(code) for code in ibans)
    assert len(set(cards)) == len(set(ibans)) == 200


def test_the_names_of_one_person_belong_together() -> None:
    source, met = Source(random.Random(2), False), 0
    for _ in range(100):
        source.begin()
        first, last = (fill(source, name, "", "a").text for name in ("first", "last_only"))
        email = fill(source, "email", "", "a").text.casefold()
        assert fill(source, "first", "", "a").text == first
        met += any(re.sub(r"[^a-z]", "", name.casefold())[:4] in email for name in (first, last))
    assert met > 50
