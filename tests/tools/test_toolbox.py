"""Tools at work: look-ups, consent, whose data it is, and the log."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from smidgen.core.conversations import ProposedCall
from smidgen.core.errors import InputError, UnknownPart
from smidgen.store.calls import CallStore, LoggedCall, LookupLimit
from smidgen.tools.results import ToolResult, answer_text, card_of
from smidgen.tools.toolbox import MOST_FAILURES, MOST_FAILURES_FOR_ONE, MOST_FAILURES_OF_ORIGIN, Toolbox, ToolUser

from .shop_desk import DELIVERED, NIA, OPEN, OTHER, ShopDesk, call, shop_desk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[ShopDesk]:
    with shop_desk(tmp_path) as made:
        yield made


def proposed(desk: ShopDesk, tool: str = "cancel_order", who: ToolUser = NIA, **arguments: str) -> ProposedCall:
    found = desk.tools.propose(call(tool, **(arguments or OPEN)), who, "en")
    assert isinstance(found, ProposedCall), found
    return found


def status(desk: ShopDesk, order: str) -> str:
    with contextlib.closing(sqlite3.connect(desk.shop.database)) as base:
        return str(base.execute("SELECT status FROM orders WHERE order_id = ?", (order,)).fetchone()[0])


def test_an_order_is_shown_to_its_customer(desk: ShopDesk) -> None:
    result = desk.tools.run(call("order_status", **DELIVERED), NIA)
    assert result.status == "ok" and result.rows[0]["status"] == "delivered"
    tool = desk.tools.tool("order_status")
    assert answer_text(tool, DELIVERED, result, "en") == "Order FH-20103 was delivered on 2026-01-12."
    assert answer_text(tool, DELIVERED, result, "de") == "Die Bestellung FH-20103 wurde am 12.01.2026 geliefert."
    card = card_of(tool, result)
    assert card is not None and card.kind == "order" and card.items[0]["tracking"] == "NP955462995"


def test_a_post_code_is_a_proof_too(desk: ShopDesk) -> None:
    for code in ("LS19 9RY", "ls199ry"):
        assert desk.tools.run(call("order_status", order="FH-20103", contact=code), NIA).status == "ok"
    assert desk.tools.run(call("order_status", order="FH-20103", contact="EX4 4XH"), NIA).status == "nothing"
    for text in ("LS19", "%", "LS19 9R%", "leeds"):
        assert "expected form" in desk.tools.run(call("order_status", order="FH-20103", contact=text), NIA).reason


def test_a_wrong_pair_and_an_unknown_order_get_one_answer(desk: ShopDesk) -> None:
    tool = desk.tools.tool("order_status")
    answers = []
    for arguments in ({**DELIVERED, "contact": "other@example.com"}, {"order": "FH-99999", "contact": "other@example.com"}):
        begun = time.monotonic()
        result = desk.tools.run(call("order_status", **arguments), NIA)
        assert time.monotonic() - begun >= 0.03
        answers.append((result.status, result.rows, result.reason, answer_text(tool, {}, result, "en")))
    assert answers[0] == answers[1] and answers[0][0] == "nothing"


@pytest.mark.parametrize("tool", ["order_status", "cancel_order"])
def test_guesses_are_counted_and_then_refused(desk: ShopDesk, tool: str) -> None:
    """Also those of the guard of a call that would change something; a right pair is refused then too."""

    def guessed(who: ToolUser, **arguments: str) -> str:
        if tool == "order_status":
            return desk.tools.run(call(tool, **arguments), who).status
        found = desk.tools.propose(call(tool, **arguments), who)
        return found.status if isinstance(found, ToolResult) else "ok"

    seen = [guessed(NIA, order=OPEN["order"], contact=f"guess{number}@example.com") for number in range(MOST_FAILURES + 2)]
    assert seen == ["nothing"] * MOST_FAILURES + ["refused"] * 2
    assert guessed(NIA, **OPEN) == "refused"
    assert guessed(replace(NIA, conversation="a new one"), **OPEN) == "refused"
    assert guessed(OTHER, **OPEN) == "ok"
    desk.clock.move(minutes=16)
    assert guessed(NIA, **OPEN) == "ok"


def test_guesses_at_one_order_are_counted_over_all_who_ask(desk: ShopDesk) -> None:
    seen = [
        desk.tools.run(call("order_status", order="FH-20103", contact=f"g{number}@example.com"), ToolUser(f"conversation {number}")).status
        for number in range(MOST_FAILURES_FOR_ONE + 1)
    ]
    assert seen == ["nothing"] * MOST_FAILURES_FOR_ONE + ["refused"]


def test_a_guesser_does_not_lock_out_others_at_a_shared_address_nor_the_owner_of_an_order(desk: ShopDesk) -> None:
    def asked(visitor: int, origin: str, order: str, contact: str) -> str:
        who = ToolUser(f"conversation {visitor}", "widget", f"visitor {visitor}", origin)
        return desk.tools.run(call("order_status", order=order, contact=contact), who).status

    office, home = "198.51.100.1", "203.0.113.9"
    many = [asked(number, office, f"FH-2{number:04}", "guess@example.com") for number in range(MOST_FAILURES_OF_ORIGIN)]
    assert set(many) == {"nothing"}
    assert asked(0, office, "FH-20103", "guess@example.com") == "refused", "who has guessed guesses no more"
    assert asked(100, office, DELIVERED["order"], DELIVERED["contact"]) == "ok", "a customer at the same address is answered"
    assert [asked(101, office, "FH-20108", "guess@example.com") for _ in range(2)] == ["nothing", "refused"]
    for number in range(MOST_FAILURES_FOR_ONE):
        asked(200 + number, f"192.0.2.{number}", OPEN["order"], "guess@example.com")
    assert asked(300, home, OPEN["order"], OPEN["contact"]) == "ok", "the owner of an order under attack is answered"
    again = [asked(301 + number, "192.0.2.77", OPEN["order"], "guess@example.com") for number in range(2)]
    assert again == ["nothing", "refused"], "one guess is left to an origin, whatever it calls itself"
    agent = ToolUser("", "mcp", "", office)
    assert desk.tools.run(call("order_status", **DELIVERED), agent).status == "refused", "without a customer's address all count together"


def test_failed_look_ups_are_kept_up_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smidgen.store.calls._MOST_COUNTED", 4)
    with contextlib.closing(CallStore(tmp_path / "calls.db")) as store:
        for number in range(10):
            store.begin_lookup([LookupLimit(f"who {number}", 1, 900.0)], datetime.now(UTC))
        with contextlib.closing(sqlite3.connect(tmp_path / "calls.db")) as base:
            assert [row[0] for row in base.execute("SELECT who FROM failed_lookups ORDER BY number")] == [f"who {n}" for n in range(6, 10)]


def test_guesses_at_once_are_counted_too(desk: ShopDesk) -> None:
    def guess(number: int) -> str:
        return desk.tools.run(call("order_status", order="FH-20103", contact=f"g{number}@example.com"), NIA).status

    with ThreadPoolExecutor(8) as pool:
        seen = sorted(pool.map(guess, range(16)))
    assert seen == ["nothing"] * MOST_FAILURES + ["refused"] * (16 - MOST_FAILURES)


def test_right_look_ups_are_not_counted(desk: ShopDesk) -> None:
    seen = {desk.tools.run(call("order_status", **DELIVERED), NIA).status for _ in range(2 * MOST_FAILURES)}
    assert seen == {"ok"}


def test_nothing_changes_without_a_yes(desk: ShopDesk) -> None:
    refused = desk.tools.run(call("cancel_order", **OPEN), NIA)
    assert refused.status == "refused" and desk.shop.requests == [] and status(desk, OPEN["order"]) == "processing"
    waiting = proposed(desk)
    assert waiting.words == "Cancel order FH-20953 of hugh.whitcombe@example.com" and len(waiting.id) >= 30
    assert desk.shop.requests == []
    done = desk.tools.decide(waiting.id, NIA, yes=True)
    assert done.result.status == "ok" and status(desk, OPEN["order"]) == "cancelled"
    assert done.tool is not None and answer_text(done.tool, done.arguments, done.result) == "Order FH-20953 is cancelled."


def test_a_yes_counts_once_and_in_its_conversation_only(desk: ShopDesk) -> None:
    waiting = proposed(desk, "start_return", **DELIVERED)
    assert desk.tools.decide(waiting.id, OTHER, yes=True).tool is None
    assert desk.tools.decide(waiting.id[:-1] + ("y" if waiting.id.endswith("x") else "x"), NIA, yes=True).tool is None
    with ThreadPoolExecutor(6) as pool:
        decided = list(pool.map(lambda _: desk.tools.decide(waiting.id, NIA, yes=True), range(6)))
    assert [one.result.status for one in decided].count("ok") == 1 and len(desk.shop.requests) == 1


def test_a_no_and_time_end_a_call(desk: ShopDesk) -> None:
    waiting = proposed(desk)
    assert desk.tools.decide(waiting.id, NIA, yes=False).result.reason == "the customer said no"
    assert desk.tools.decide(waiting.id, NIA, yes=True).tool is None
    late = proposed(desk)
    desk.clock.move(minutes=15, seconds=1)
    assert desk.tools.decide(late.id, NIA, yes=True).result.reason == "it has expired"
    assert desk.shop.requests == []


def test_of_a_conversation_only_the_last_calls_wait(desk: ShopDesk) -> None:
    made = []
    for _ in range(5):
        made.append(proposed(desk).id)
        desk.clock.move(seconds=1)
    assert desk.tools.decide(made[0], NIA, yes=True).tool is None and desk.tools.decide(made[-1], NIA, yes=False).tool is not None


def test_a_tool_that_was_changed_needs_a_new_yes(desk: ShopDesk, tmp_path: Path) -> None:
    waiting = proposed(desk)
    others = [replace(tool, description="Cancel an order and tell everybody") for tool in desk.tools.tools]
    changed = Toolbox(others, desk.store, desk.shop.environment, now=desk.clock)
    assert "was changed" in changed.decide(waiting.id, NIA, yes=True).result.reason and desk.shop.requests == []


def test_the_guard_is_asked_again_before_the_call(desk: ShopDesk) -> None:
    waiting = proposed(desk)
    with contextlib.closing(sqlite3.connect(desk.shop.database)) as base:
        base.execute("UPDATE orders SET email = 'new@example.com' WHERE order_id = ?", (OPEN["order"],))
        base.commit()
    assert desk.tools.decide(waiting.id, NIA, yes=True).result.status == "nothing" and desk.shop.requests == []


def test_a_call_for_somebody_elses_order_is_not_even_proposed(desk: ShopDesk) -> None:
    found = desk.tools.propose(call("cancel_order", order=OPEN["order"], contact="nia.thorne@example.com"), NIA)
    assert isinstance(found, ToolResult) and found.status == "nothing"


def test_a_refusal_has_the_shops_words(desk: ShopDesk) -> None:
    done = desk.tools.decide(proposed(desk, **DELIVERED).id, NIA, yes=True)
    assert (done.result.status, done.result.code) == ("failed", "409") and done.tool is not None
    assert answer_text(done.tool, done.arguments, done.result, "de").startswith("Die Bestellung FH-20103 kann nicht mehr storniert")


def test_arguments_that_do_not_fit_are_refused(desk: ShopDesk) -> None:
    assert desk.tools.run(call("order_status", order="FH-20103"), NIA).reason == "missing: contact"
    found = desk.tools.propose(call("cancel_order", order="x", contact="nia@example.com"), NIA)
    assert isinstance(found, ToolResult) and "expected form" in found.reason
    with pytest.raises(UnknownPart, match="Did you mean 'order_status'"):
        desk.tools.run(call("order_state"), NIA)
    with pytest.raises(InputError, match="two tools have one name"):
        Toolbox([*desk.tools.tools, desk.tools.tools[0]], desk.store)


def test_every_call_is_logged_without_proofs_and_secrets(desk: ShopDesk) -> None:
    desk.tools.run(call("order_status", **DELIVERED), NIA)
    desk.tools.run(call("product_search", query="cushion", most=30), NIA)
    desk.tools.decide(proposed(desk).id, NIA, yes=True)
    log = desk.store.logged()
    assert [(one.tool, one.consent, one.status) for one in log] == [
        ("cancel_order", "yes", "ok"),
        ("product_search", "not needed", "ok"),
        ("order_status", "not needed", "ok"),
    ]
    assert log[0].arguments == {"order": "FH-20953", "contact": "•••"} and log[2].size > 100
    assert NIA.conversation not in str(log) and NIA.address not in str(log) and desk.shop.key not in str(log)
    assert len(desk.store.logged(conversation=NIA.conversation)) == 3 and desk.store.logged(conversation="other") == []
    raw = b"".join(file.read_bytes() for file in desk.shop.database.parent.glob("calls.sqlite3*"))
    assert b"nia.thorne" not in raw and desk.shop.key.encode() not in raw
    assert desk.store.forget_conversation(NIA.conversation) == 3 and desk.store.logged() == []


def test_a_dry_run_shows_the_exact_call_and_makes_none(desk: ShopDesk) -> None:
    sql = desk.tools.dry_run(call("order_status", order="FH-20103", contact="o'hara@example.com"))
    assert "order_id = 'FH-20103' AND (lower(email) = lower('o''hara@example.com')" in sql.call["shown"]
    assert sql.call["values"] == {"order": "FH-20103", "contact": "o'hara@example.com"} and not sql.waits
    http = desk.tools.dry_run(call("change_address", **OPEN, address='12 "Elm" Street'), "en")
    assert http.call["url"] == f"{desk.shop.url}/api/orders/FH-20953/address" and http.waits
    assert http.call["headers"]["Authorization"] == "Bearer •••" and desk.shop.key not in str(http)
    assert http.call["body"] == '{"contact": "hugh.whitcombe@example.com", "address": "12 \\"Elm\\" Street"}'
    assert http.words == 'Send order FH-20953 of hugh.whitcombe@example.com to: 12 "Elm" Street'
    assert desk.tools.dry_run(call("cancel_order")).missing == ("order", "contact")
    without = Toolbox(desk.tools.tools, desk.store, {}, now=desk.clock)
    assert "SHOP_URL" in without.dry_run(call("cancel_order", **OPEN)).fault
    assert desk.shop.requests == [] and desk.store.logged() == []


def test_products_are_found(desk: ShopDesk) -> None:
    found = desk.tools.run(call("product_search", query="cushion", most=30), NIA)
    assert found.status == "ok" and 1 <= len(found.rows) <= 6 and all(row["price"] <= 30 for row in found.rows)
    stock = desk.tools.run(call("stock", product="cu-002"), NIA)
    assert answer_text(desk.tools.tool("stock"), {}, stock, "en") == "Tamsin Linen Cushion 50: in stock."
    assert desk.tools.run(call("stock", product="flying carpet"), NIA).status == "nothing"


def test_a_server_that_is_down_changes_nothing(desk: ShopDesk) -> None:
    waiting = proposed(desk)
    desk.shop.close()
    result = desk.tools.decide(waiting.id, NIA, yes=True).result
    assert result.status == "failed" and "cannot be reached" in result.reason


def test_the_log_says_by_which_channel_and_from_where(desk: ShopDesk) -> None:
    who = replace(NIA, channel="widget", origin="203.0.113.9")
    desk.tools.run(call("order_status", **OPEN), who)
    desk.tools.decide(proposed(desk, who=who).id, who, True)
    logged = desk.store.logged()
    assert {one.channel for one in logged} == {"widget"} and len(logged) >= 2
    assert {one.origin for one in logged} == {desk.store.pseudonym("origin", "203.0.113.9")}


def test_an_older_store_of_calls_gets_the_new_column(tmp_path: Path) -> None:
    CallStore(tmp_path / "calls.db").close()
    with contextlib.closing(sqlite3.connect(tmp_path / "calls.db")) as old, old:
        old.execute("ALTER TABLE tool_calls DROP COLUMN origin")
        old.execute("UPDATE call_meta SET value = '1' WHERE name = 'version'")
    with contextlib.closing(CallStore(tmp_path / "calls.db")) as store:
        store.add(LoggedCall(datetime.now(UTC), "c", "widget", "", "t", {}, "yes", "ok", 1, 0.1, "", "o"))
        assert [one.origin for one in store.logged()] == ["o"]
