"""`smidgen status`: from files alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.certified_bundle import certified_bundle  # noqa: F401
from tests.gateway.test_certificates import paper
from tests.line_versions import line_of

from smidgen.bundles.open import read_manifest
from smidgen.cli.main import code
from smidgen.cli.serve import _remember
from smidgen.flows.certify import certificate_status, certification
from smidgen.flows.certify.certificate_status import certificate_subject
from smidgen.gateway import certificate as papers
from smidgen.gateway.certificate import Certificate, Reference
from smidgen.store import bundle_list, spending_ledger
from smidgen.store.spending_ledger import NANO, Reservation, SpendingLedger
from smidgen.usage.daily_budget import today


def certified(bundle: Path) -> Certificate:
    """A certificate that holds now."""
    from datetime import UTC, datetime, timedelta

    now = datetime.now(UTC) - timedelta(minutes=1)
    subject = certificate_subject(read_manifest(bundle))
    facts = {"bundle": subject, "reference": Reference(kind="model"), "created": now, "valid_until": now + timedelta(days=9)}
    signed = paper(**facts).signed()
    papers.write(signed, bundle)
    return signed


def told(capsys: Any) -> Any:
    assert code(["status", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_what_is_known_of_a_bundle_and_of_the_day(certified_bundle: Path, capsys: Any) -> None:  # noqa: F811
    assert told(capsys)["bundles"] == [] and not spending_ledger.place().exists()
    _remember([certified_bundle])
    (bare,) = told(capsys)["bundles"]
    assert (bare["name"], bare["certificate"]["state"], bare["audits"]) == ("support", "none", None)
    signed = certified(certified_bundle)
    certificate_status.take_in(certified_bundle, signed, 1.0, 0.02)
    book = SpendingLedger()
    held = book.hold(today(), {"all": None, "model:big": None}, NANO)
    assert isinstance(held, Reservation)
    book.settle(held, NANO // 4, estimated=True)
    book.hold(today(), {"all": None}, NANO)
    found = told(capsys)
    (bundle,) = found["bundles"]
    assert bundle["certificate"]["state"] == "valid" and bundle["certificate"]["reference"] == "the large model (no name of it is known)"
    assert (bundle["audits"]["audits"], bundle["audits"]["losses"], bundle["audits"]["needed"]) == (1, 1.0, 20.0)
    assert found["spending"]["scopes"] == {
        "all": {"usd": 0.25, "of_that_estimated_usd": 0.25, "set_aside_usd": 1.0, "requests": 1},
        "model:big": {"usd": 0.25, "of_that_estimated_usd": 0.25, "set_aside_usd": 0.0, "requests": 1},
    }
    certification.revoke(certified_bundle, "new products")
    assert told(capsys)["bundles"][0]["certificate"]["state"] == "revoked"


def test_it_is_shown_as_tables(certified_bundle: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    bundle_list.remember(certified_bundle)
    signed = certified(certified_bundle)
    certificate_status.take_in(certified_bundle, signed, 0.0, 0.02)
    assert code(["status"]) == 0
    shown = capsys.readouterr().out
    assert "valid" in shown and "of 20" in shown and "Nothing was spent under a budget" in shown


def test_what_cannot_be_read_is_said(certified_bundle: Path, capsys: Any) -> None:  # noqa: F811
    bundle_list.remember(certified_bundle)
    certified(certified_bundle)
    signed = papers.read(papers.place(certified_bundle))
    certificate_status.take_in(certified_bundle, signed, 0.0, 1.0)
    state = next((spending_ledger.place().parent / "audits").glob("*.json"))
    state.write_bytes(b"[]")
    spending_ledger.place().write_bytes(b"no database" * 1000)
    found = told(capsys)
    assert "error" in found["bundles"][0]["audits"] and "ledger" in found["spending"]["error"]
    assert code(["status"]) == 0 and "cannot be read" in capsys.readouterr().out
    (certified_bundle / "smidgen.json").write_bytes(b"{")
    (broken,) = told(capsys)["bundles"]
    assert "error" in broken and code(["status"]) == 0


def test_serving_remembers_where_it_can(certified_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    def full(folder: Path) -> None:
        raise OSError("read-only")

    monkeypatch.setattr(bundle_list, "remember", full)
    _remember([certified_bundle])
    assert bundle_list.known() == []


def test_of_a_line_its_champion_is_meant(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    line, ids = line_of(tmp_path / "line", 2)
    _remember([line.folder])
    (found,) = told(capsys)["bundles"]
    assert (found["id"], found["folder"]) == (ids[1], str(line.folder.resolve()))
    line.point(ids[0], by="rollback", why="back", instead_of=ids[1])
    (found,) = told(capsys)["bundles"]
    assert found["id"] == ids[0]
