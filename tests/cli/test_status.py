"""`smidgen status`: from files alone."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.certified_bundle import certified_bundle  # noqa: F401
from tests.gateway.test_certificate import paper
from tests.line_versions import line_of

from smidgen.bundles.open import read_manifest
from smidgen.cli.main import code
from smidgen.cli.screen import out
from smidgen.cli.serve import _remember
from smidgen.flows.certify import certification
from smidgen.flows.certify.certificate_status import certificate_subject
from smidgen.flows.status_report import read_account
from smidgen.gateway import certificate as papers
from smidgen.gateway import certificate_audit
from smidgen.gateway.certificate import Certificate, Reference
from smidgen.store import files, spending_ledger
from smidgen.store import usage_records as accounts
from smidgen.store.spending_ledger import NANO, Reservation, SpendingLedger
from smidgen.store.usage_records import WAIT_ERROR, DayPrice, UsageKey, UsageSums, UsageTotals, WaitBucket, today, wait_bucket


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
    certificate_audit.observe(certified_bundle, signed, 1.0, 0.02)
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
    files.remember_bundle(certified_bundle)
    signed = certified(certified_bundle)
    certificate_audit.observe(certified_bundle, signed, 0.0, 0.02)
    assert code(["status"]) == 0
    shown = capsys.readouterr().out
    assert "valid" in shown and "of 20" in shown and "Nothing was spent under a budget" in shown


def test_what_cannot_be_read_is_said(certified_bundle: Path, capsys: Any) -> None:  # noqa: F811
    files.remember_bundle(certified_bundle)
    certified(certified_bundle)
    signed = papers.read(papers.place(certified_bundle))
    certificate_audit.observe(certified_bundle, signed, 0.0, 1.0)
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

    monkeypatch.setattr(files, "remember_bundle", full)
    _remember([certified_bundle])
    assert files.known_bundles() == []


def test_of_a_line_its_champion_is_meant(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    line, ids = line_of(tmp_path / "line", 2)
    _remember([line.folder])
    (found,) = told(capsys)["bundles"]
    assert (found["id"], found["folder"]) == (ids[1], str(line.folder.resolve()))
    assert found["name"] == line.read().name != read_manifest(line.version(ids[1])).name, "requests name the line"
    assert code(["status"]) == 0
    assert f"{line.folder.resolve()}, version {ids[1]}: " in capsys.readouterr().out
    line.point(ids[0], by="rollback", why="back", instead_of=ids[1])
    (found,) = told(capsys)["bundles"]
    assert found["id"] == ids[0]


NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))


def write(back: int, requests: int, now: datetime = NOW, **more: int) -> None:
    """So many local answers of 20 ms, and one escalated, so many days ago."""
    day = today(now - timedelta(days=back))
    local, up = UsageKey(day, "support", "local", ""), UsageKey(day, "support", "upstream", "score")
    waits = Counter(
        {
            WaitBucket(day, "support", "local", wait_bucket(0.02)): requests,
            WaitBucket(day, "support", "upstream", wait_bucket(0.5)): 1,
        }
    )
    entries = {
        local: UsageTotals(requests=requests, waited=20_000 * requests, saved=NANO, **more),
        up: UsageTotals(requests=1, spent=2 * NANO),
    }
    price = DayPrice(day, "gpt-6-luna", 0.1, 0.5, "list price of GPT-6 Luna on 2026-09-22")
    accounts.add(UsageSums(entries, waits, {price}), f"back-{back}", 1, day)


def test_days_are_added_up_and_those_before_are_left_out() -> None:
    for back, requests in ((0, 3), (6, 5), (7, 7), (29, 11), (30, 13)):
        write(back, requests)
    found = read_account(30, NOW)
    spans = [(period["days"], period["from"], period["total"]["local"], period["total"]["upstream"]) for period in found["periods"]]
    assert spans == [(1, "2026-03-31", 3, 1), (7, "2026-03-25", 8, 2), (30, "2026-03-02", 26, 4)]
    assert [(one["day"], one["models"][0]["local"]) for one in found["by_day"]] == [
        ("2026-03-31", 3),
        ("2026-03-25", 5),
        ("2026-03-24", 7),
        ("2026-03-02", 11),
    ]
    week = found["periods"][1]["total"]
    assert week["share_local"] == 0.8 and (week["spent"]["usd"], week["saved"]["usd"]) == (4.0, 2.0)
    assert week["latency_ms"]["local"]["p50"] == pytest.approx(20, rel=WAIT_ERROR) and week["latency_ms"]["local"]["mean"] == 20.0
    assert [period["days"] for period in read_account(3, NOW)["periods"]] == [1, 3]
    assert read_account(400, NOW)["periods"][-1]["total"]["local"] == 39


def test_it_is_shown_with_the_certificate_and_the_audits_beside(
    certified_bundle: Path,  # noqa: F811
    capsys: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files.remember_bundle(certified_bundle)
    certified(certified_bundle)
    now = datetime.now(UTC)
    write(0, 9, now, estimated=3_600_000_000)
    write(3, 9, now)
    for why, count in (("agreed", 4), ("disagreed", 1), ("unanswered", 2)):
        accounts.add(UsageSums({UsageKey(today(now), "support", "audit", why): UsageTotals(requests=count)}), why, 1, today(now))
    for width in (160, 80):
        monkeypatch.setattr(out, "_width", width)
        assert code(["status", "--days", "7"]) == 0
        shown = capsys.readouterr().out
        assert f"today, {today(now)} UTC" in shown and "last 7 days" in shown and "last 30" not in shown
        for cell in ("valid, 4 of 5 agreed", "90%", "$2.0000", "~$1.0000", "21 / 21", "~1 Wh", "10 W a busy core", "GPT-6 Luna on"):
            assert cell in shown, (width, cell)
        assert "…" not in shown and "cached" not in shown
    accounts.add(UsageSums({UsageKey(today(now), "support", "cache", "score"): UsageTotals(requests=10)}), "cache", 1, today(now))
    assert code(["status", "--days", "1"]) == 0
    shown = capsys.readouterr().out
    assert "cached: share" in shown and "45%" in shown and "50%" in shown
    assert code(["status", "--json", "--days", "2"]) == 0
    told = json.loads(capsys.readouterr().out)["account"]
    assert [period["days"] for period in told["periods"]] == [1, 2] and told["periods"][0]["total"]["audits"]["disagreed"] == 1


def test_a_name_in_square_brackets_is_no_colour(capsys: Any) -> None:
    name, day = "[red]team[/red]", today()
    accounts.add(UsageSums({UsageKey(day, name, "local", ""): UsageTotals(requests=1)}), "one", 1, day)
    assert code(["status", "--days", "1"]) == 0
    assert name in capsys.readouterr().out


def test_where_nothing_was_counted_it_says_so(capsys: Any) -> None:
    assert code(["status", "--days", "1"]) == 0
    assert f"No request was counted on {today()} (UTC)." in capsys.readouterr().out
    write(5, 2, datetime.now(UTC))
    assert code(["status"]) == 0
    shown = capsys.readouterr().out
    assert "nothing" in shown and "last 30 days: the same" in shown
    assert code(["status", "--days", "0"]) == 2
