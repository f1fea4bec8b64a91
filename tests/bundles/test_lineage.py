"""The lineage in a manifest: written where there is one, and nothing is changed where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.certified_bundle import certified_bundle  # noqa: F401

from smidgen.bundles.card import model_card
from smidgen.bundles.manifest import EngineEntry, Lineage, Manifest
from smidgen.bundles.open import open_bundle, read_manifest
from smidgen.bundles.pack import pack
from smidgen.core.errors import BundleError
from smidgen.core.forms import LabelForm

PLAIN = Manifest(
    name="old",
    created="2026-01-01T00:00:00+00:00",
    smidgen_version="0.1.0",
    task="classify",
    form={"labels": ["a", "b"], "multi_label": False},
    engine=EngineEntry(engine="linear", files=("terms.json",)),
)

FORM = LabelForm(labels=("a", "b"), multi_label=False, temperature=1.0)


def test_a_bundle_from_before_keeps_its_id_and_its_seal() -> None:
    """The id of this manifest as it was computed before there were lineages: bundles that lie about must open, under their own ids."""
    assert PLAIN.sealed().id == "280cc092defa"
    assert b"lineage" not in PLAIN.canonical() and b"lineage" not in PLAIN.pretty()


def test_a_lineage_is_packed_read_and_sealed(certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    found = Lineage(parent="a" * 12, sources={"original": 700, "upstream": 30}, teacher=("big",), choosing=40, certifying=60)
    manifest = read_manifest(certified_bundle)
    pack(certified_bundle, manifest.model_copy(update={"lineage": found}), tmp_path / "next")
    opened = open_bundle(tmp_path / "next")
    assert opened.manifest.lineage == found and opened.id != manifest.id
    file = tmp_path / "next" / "smidgen.json"
    file.write_text(file.read_text(encoding="utf-8").replace('"upstream": 30', '"upstream": 31'), encoding="utf-8")
    with pytest.raises(BundleError, match="changed after packing"):
        open_bundle(tmp_path / "next")


def test_the_card_says_where_a_version_comes_from() -> None:
    lineage = Lineage(parent="b" * 12, sources={"original": 1700, "human": 3}, teacher=("big",), choosing=40, certifying=60)
    card = model_card(PLAIN.model_copy(update={"lineage": lineage}), FORM, {})
    for said in (
        "`bbbbbbbbbbbb`",
        "1,700 of the first version, 3 people's",
        "| answered by | big |",
        "40 rows to choose by, 60 to certify on",
    ):
        assert said in card
    assert "version before" not in model_card(PLAIN, FORM, {})
