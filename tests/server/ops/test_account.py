"""The account over real HTTP: what requests took adds up exactly, over restarts, and whatever becomes of its file answers go on."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.certified_bundle import text
from tests.eventually import eventually
from tests.server.conftest import WordModel, running
from tests.server.gateway.test_auditor import right, says
from tests.server.gateway.test_certified import CHAT, SURE, UNSURE, asking, certify
from tests.upstream_stub import WHOLE, Said, Seen, UpstreamStub, chunk

from smidgen.cli.main import code
from smidgen.flows.local_model import Model
from smidgen.flows.status_report import read_account
from smidgen.gateway.certificate import Reference
from smidgen.gateway.upstreams import RetryPolicy
from smidgen.server.gateway import prices
from smidgen.server.ops import usage_account
from smidgen.store import spending_ledger
from smidgen.store import usage_records as accounts
from smidgen.store.usage_records import UsageKey, UsageTotals, today

SSE = {"Content-Type": "text/event-stream"}
DONE = b"data: [DONE]\n\n"
PATIENCE = RetryPolicy(tries=1)
LUNA = "gpt-6-luna"
"""0.10 and 0.50 dollars a million: 100 and 500 nanodollars a token."""
READ, WROTE = 100, 500


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def gateway(upstream: UpstreamStub, model: Model) -> Callable[..., Any]:
    """One over the bundle `support`; use it as a context manager, so that it can be stopped."""
    given = {"fallback": (upstream.url,), "fallback_model": (LUNA,), "pass_paths": ("/v1/**",)}
    return lambda **settings: running(model, patience=PATIENCE, **{**given, **settings})


def entries() -> dict[tuple[str, str, str], UsageTotals]:
    """All that is written, of today: what is estimated of energy and time is left out."""
    found = accounts.read(today()).entries
    assert {key.day for key in found} <= {today()}
    kept = {}
    for key, entry in found.items():
        assert entry.measured + entry.estimated >= 0
        entry.waited = entry.measured = entry.estimated = 0
        kept[key[1:]] = entry
    return kept


def metric(server: Any, start: str) -> float:
    lines = [line for line in server.client.get("/metrics").text.splitlines() if line.startswith(start)]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def size(body: dict[str, Any]) -> int:
    """Tokens that a request is estimated at: one for every three bytes."""
    return -(-len(json.dumps(body, separators=(",", ":"))) // 3)


def test_a_mixed_load_adds_up_exactly_over_restarts(gateway: Any, upstream: UpstreamStub, model: Model) -> None:
    certify(model)
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":30,"completion_tokens":4}}\n\n'
    zipped = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    uncounted = asking(UNSURE, stream=True)
    saved = 0
    for _ in range(3):  # twice it is started anew
        upstream.script = [
            Said(),
            Said(body=gzip.compress(WHOLE), headers=zipped),
            Said(pieces=[chunk("from "), chunk("above"), usage, DONE], headers=SSE),
            Said(pieces=[chunk("aaa"), chunk("bbbb"), DONE], headers=SSE),
            Said(),
            Said(),
            Said(),
            Said(status=500),
            Said(status=400, body=b'{"error":{"message":"no"}}'),
        ]
        with gateway() as server:
            for _ in range(5):
                told = server.post(CHAT, asking(SURE)).json()["smidgen"]["saved"]
                assert told["at_list_price_of"] == "GPT-6 Luna"
                saved += round(told["usd"] * 1e9)
            server.post(CHAT, asking(UNSURE))
            server.client.post(CHAT, json=asking(UNSURE), headers={"accept-encoding": "gzip"})
            server.post(CHAT, asking(UNSURE, stream=True, stream_options={"include_usage": True}))
            server.post(CHAT, uncounted)
            server.post(CHAT, asking("passed on", f"openai/{LUNA}"))
            server.post(CHAT, asking("passed on", "made-up-1"))
            server.post(CHAT, asking("passed on", "made-up-2"))
            assert server.post(CHAT, asking(UNSURE)).status_code == 502
            assert server.post(CHAT, asking(UNSURE)).status_code == 400
            assert server.post("/v1/classify", {"input": [SURE, UNSURE]}).status_code == 200
            assert server.post("/v1/classify", {"input": []}).status_code == 422
            server.client.get("/v1/models")
            server.client.get("/metrics")
    found = entries()
    local = found.pop(("support", "local", ""))
    assert (local.requests, local.errors, local.saved, local.unsaved, local.spent) == (15, 0, saved, 0, 0)
    assert local.read == local.read_estimated > 0 and local.written == local.written_estimated == 15
    direct = found.pop(("support", "local", "asked directly"))
    assert (direct.requests, direct.errors, direct.saved, direct.unsaved) == (3, 0, 0, 0)
    guessed = size(uncounted)
    given, got = 2 * 3 + 30 + guessed, 2 * 2 + 4 + 3  # seven bytes in two events
    nano = given * READ + got * WROTE
    estimated = guessed * READ + 3 * WROTE
    assert found == {
        ("support", "upstream", "score"): UsageTotals(
            requests=15,
            errors=3,
            read=3 * given,
            read_estimated=3 * guessed,
            written=3 * got,
            written_estimated=9,
            spent=3 * nano,
            spent_estimated=3 * estimated,
        ),
        ("support", "none", "score"): UsageTotals(requests=3, errors=3),
        ("(other)", "none", "refused"): UsageTotals(requests=3, errors=3),
        (LUNA, "upstream", "passed"): UsageTotals(requests=3, read=9, written=6, spent=3 * (3 * READ + 2 * WROTE)),
        ("(other)", "upstream", "passed"): UsageTotals(requests=6, read=18, written=12, unpriced=6),
    }
    (period, *_) = read_account()["periods"]
    support = next(one for one in period["models"] if one["model"] == "support")
    assert (support["requests"], support["local"], support["upstream"], support["none"]) == (36, 18, 15, 3)
    assert support["share_local"] == 18 / 36 and support["errors"] == 6
    assert support["latency_ms"]["local"]["answers"] == 18 and support["latency_ms"]["upstream"]["answers"] == 12
    assert support["why"]["local"] == {"certified": 15, "asked directly": 3}
    assert period["total"]["requests"] == 48 and support["spent"]["usd"] == 3 * nano / 1e9


def test_several_servers_share_it(gateway: Any, model: Model) -> None:
    certify(model)
    with gateway() as one, gateway() as other:
        for server in (one, other, one):
            server.post(CHAT, asking(SURE))
        one.client.get("/smidgen/account")
        found = other.client.get("/smidgen/account").json()["periods"][0]["models"]
        assert [(each["model"], each["requests"], each["local"]) for each in found] == [("support", 3, 3)]
    assert entries()[("support", "local", "")].requests == 3


def test_what_has_no_price_says_so(gateway: Any, model: Model, capsys: Any) -> None:
    certify(model)
    with gateway(fallback_model=("big",)) as server:
        assert "saved" not in server.post(CHAT, asking(SURE)).json()["smidgen"]
        server.post(CHAT, asking(UNSURE))
    found = entries()
    assert (found["support", "local", ""].unsaved, found["support", "local", ""].saved) == (1, 0)
    assert found["support", "upstream", "score"] == UsageTotals(requests=1, read=3, written=2, unpriced=1)
    assert code(["status"]) == 0
    shown = capsys.readouterr().out
    assert "no price" in shown and "1 sent requests and 1 saved ones" in shown and "--price-in" in shown
    with gateway(fallback_model=("big",), price_in=1.0, price_out=2.0) as server:
        server.post(CHAT, asking(SURE))
        server.post(CHAT, asking(UNSURE))
    found = entries()
    assert found["support", "upstream", "score"].spent == 3 * 1000 + 2 * 2000
    assert found["support", "local", ""].saved > 0 and found["support", "local", ""].unsaved == 1
    assert {price["source"] for price in read_account()["prices"]} == {"as given: --price-in, --price-out"}


def test_with_a_budget_it_says_what_the_ledger_says(gateway: Any, upstream: UpstreamStub, model: Model) -> None:
    upstream.script = [Said(), Said(pieces=[chunk("aaa"), DONE], headers=SSE), Said(pieces=[chunk("a")], cut=True, headers=SSE)]
    with gateway(budget_day=1.0) as server:
        for more in ({}, {"stream": True}, {"stream": True}):
            server.post(CHAT, asking(UNSURE, max_tokens=10, **more))
    entry, spent = entries()["support", "upstream", "no certificate"], spending_ledger.read(today())["all"]
    assert (
        (entry.spent, entry.spent_estimated, entry.requests)
        == (spent.nano, spent.estimated, spent.requests)
        == (
            spent.nano,
            spent.estimated,
            3,
        )
    )
    assert entry.spent > entry.spent_estimated > 0


def test_audits_are_counted_by_themselves_with_what_they_cost(gateway: Any, upstream: UpstreamStub, model: Model) -> None:
    certify(model, reference=Reference(kind="model"))

    def counted(seen: Seen) -> Said:
        whole = json.loads(right(seen).body)
        return Said(body=json.dumps({**whole, "usage": {"prompt_tokens": 7, "completion_tokens": 1}}).encode())

    upstream.answer = counted
    with gateway(audit_share=1.0) as server:
        server.post(CHAT, asking(SURE))
        eventually(lambda: metric(server, 'smidgen_audits_total{model="support",outcome="agreed"}') == 1.0)
        upstream.answer = lambda seen: says("I am not sure")
        server.post(CHAT, asking(SURE))
        eventually(lambda: metric(server, "smidgen_audits_total{") == 2.0)
    found = entries()
    assert found["support", "audit", "agreed"] == UsageTotals(requests=1, read=7, written=1, spent=7 * READ + WROTE)
    assert found["support", "audit", "disagreed"].requests == 1 and found["support", "local", ""].requests == 2
    assert found["support", "local", ""].spent == 0
    (period, *_) = read_account()["periods"]
    assert period["total"]["requests"] == 2 and period["total"]["audits"] == {"agreed": 1, "disagreed": 1}
    assert 0 < period["total"]["spent"]["of_that_audits_usd"] == period["total"]["spent"]["usd"]


def test_a_broken_file_stops_no_answer_and_loses_no_number(gateway: Any, model: Model, capsys: Any, caplog: Any) -> None:
    certify(model)
    accounts.place().write_bytes(b"no database" * 1000)
    with gateway() as server:
        for _ in range(3):
            assert server.post(CHAT, asking(SURE)).status_code == 200
        failed = server.client.get("/smidgen/account")
        assert failed.status_code == 503 and failed.json()["error"]["code"] == "account_unreadable"
        assert "sqlite" not in failed.text, "places of files are the operator's"
        assert metric(server, "smidgen_account_failures_total") >= 1
        assert code(["status", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)["account"]
        assert "error" in told and told["file"] == str(accounts.place())
        assert code(["status"]) == 0 and "The account cannot be read" in capsys.readouterr().out
        accounts.place().unlink()
        assert server.post(CHAT, asking(SURE)).status_code == 200
        mended = server.client.get("/smidgen/account").json()
        assert mended["periods"][0]["models"][0]["requests"] == 4 and mended["unwritten"] is False
    assert entries()[("support", "local", "")].requests == 4


def test_a_failure_is_told_once_a_minute(home: Path, caplog: Any) -> None:
    home.mkdir()
    accounts.place().write_bytes(b"no database" * 1000)
    with running(WordModel()) as server, caplog.at_level("WARNING", logger="smidgen.account"):
        server.post("/v1/classify", {"input": "shipping"})
        for _ in range(5):
            server.client.get("/smidgen/account")
        assert len([record for record in caplog.records if "could not be written" in record.message]) == 1


def test_a_day_ends_at_midnight_utc(gateway: Any, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    certify(model)
    days = iter(["2026-03-01", "2026-03-01", "2026-03-02"])
    clock = {"day": "2026-03-01"}
    monkeypatch.setattr(accounts, "today", lambda now=None: clock["day"])
    with gateway() as server:
        for day in days:
            clock["day"] = day
            server.post(CHAT, asking(SURE))
        server.client.get("/smidgen/account")
    found = accounts.read("2026-01-01")
    assert {key.day: entry.requests for key, entry in found.entries.items()} == {"2026-03-01": 2, "2026-03-02": 1}
    assert {wait.day for wait in found.waits} == {"2026-03-01", "2026-03-02"}
    assert {price.day for price in found.prices} == {"2026-03-01", "2026-03-02"}


def test_clients_cannot_make_up_rows_or_series(gateway: Any, upstream: UpstreamStub) -> None:
    with gateway() as server:
        for number in range(30):
            server.post(CHAT, asking("hello", f"model-{number}"))
            server.post(f"/v1/made/up/{number}", {"model": f"other-{number}"})
            server.client.get(f"/v1/files/{number}")
        server.post(CHAT, asking("hello", "x" * 5000))
        server.client.post(CHAT, content=b"{", headers={"content-type": "application/json"})
        shown = server.client.get("/metrics").text
    assert "model-1" not in shown and "other-1" not in shown and "xxxx" not in shown
    assert {key[0] for key in entries()} == {"(other)"}
    assert sum(entry.requests for entry in entries().values()) == 92


def test_a_number_that_no_database_takes_is_no_count(gateway: Any, upstream: UpstreamStub) -> None:
    body = json.loads(WHOLE) | {"usage": {"prompt_tokens": 10**400, "completion_tokens": 10**400}}
    upstream.answer = lambda seen: Said(body=json.dumps(body).encode())
    with gateway(cache="exact", cache_scope="all") as server:
        server.post(CHAT, asking("hello", LUNA))
        server.post(CHAT, asking("hello again", LUNA))
        assert server.post(CHAT, asking("hello", LUNA)).headers["x-smidgen-answered-by"] == "cache"
    found = entries()
    assert 0 < found[(LUNA, "upstream", "passed")].read == found[(LUNA, "upstream", "passed")].read_estimated < 1000
    assert found[(LUNA, "cache", "passed")].saved == 0


def test_a_client_that_hangs_up_is_counted_with_what_was_written(gateway: Any, upstream: UpstreamStub) -> None:
    held = threading.Event()
    upstream.script = [Said(pieces=[chunk("a piece"), chunk("never")], hold=held, headers=SSE)]
    with gateway() as server:
        with server.client.stream("POST", CHAT, json=asking("hello", LUNA, stream=True)) as response:
            next(response.iter_raw())
        eventually(lambda: bool(server.client.get("/smidgen/account").json()["periods"][0]["models"]))
        held.set()
        eventually(lambda: server.client.get("/smidgen/account").json()["periods"][0]["total"]["spent"]["usd"] > 0)
    found = sum((entry.requests for entry in entries().values()), 0), sum(entry.errors for entry in entries().values())
    assert found == (1, 1)
    assert sum(entry.spent for entry in entries().values()) == sum(entry.spent_estimated for entry in entries().values())


def test_a_stream_that_is_answered_here_is_counted_as_one_that_is_not(gateway: Any, model: Model) -> None:
    certify(model)
    with gateway() as server:
        told = server.post(CHAT, asking(SURE)).json()["smidgen"]["saved"]["usd"]
        assert server.post(CHAT, asking(SURE, stream=True)).headers["x-smidgen-answered-by"] == "local"
    assert entries()["support", "local", ""].saved == 2 * round(told * 1e9)


def test_without_a_gateway_nothing_is_saved_and_energy_is_told(home: Path) -> None:
    with running(WordModel()) as server:
        for _ in range(3):
            assert server.post(CHAT, asking("a refund please")).status_code == 200
        assert server.post(CHAT, asking("broken")).status_code == 500
        assert server.post(CHAT, asking("hello", "no-such")).status_code == 404
        assert server.post("/v1/embeddings", {"model": "support", "input": "x"}).status_code == 200
        found = server.client.get("/smidgen/account").json()
        assert metric(server, 'smidgen_answer_seconds_count{answered_by="local",model="support"}') == 4
        joules = metric(server, 'smidgen_energy_joules_total{answered_by="local"')
    total = found["periods"][0]["total"]
    assert (total["requests"], total["local"], total["none"], total["errors"]) == (6, 4, 2, 2)
    assert total["saved"] == {"usd": 0.0, "answers_without_price": 0} and total["spent"]["usd"] == 0
    energy = total["energy"]
    assert energy["measured_wh"] + energy["estimated_wh"] > 0 and 0 < energy["of_that_local_answers_wh"] * 3600 == pytest.approx(joules)
    assert found["notes"]["energy"]["estimated_wh"] == "estimate: 10 W a busy core"


def test_the_face_is_behind_the_key_and_bounded(home: Path) -> None:
    with running(WordModel(), api_key=("secret",)) as server:
        assert server.client.get("/smidgen/account").status_code == 401
        bearing = {"authorization": "Bearer secret"}
        found = server.client.get("/smidgen/account?days=9", headers=bearing).json()
        assert [period["days"] for period in found["periods"]] == [1, 7, 9] and found["kept"] is True
        assert server.client.get("/smidgen/account?days=401", headers=bearing).status_code == 422
        assert server.client.get("/smidgen/account?days=0", headers=bearing).status_code == 422


def test_without_an_account_nothing_is_kept(home: Path) -> None:
    with running(WordModel(), account=False) as server:
        assert server.post("/v1/classify", {"input": "shipping"}).status_code == 200
        assert server.client.get("/smidgen/account").json()["kept"] is False
        assert "smidgen_answer_seconds" not in server.client.get("/metrics").text
    assert not accounts.place().exists()


def test_it_is_written_while_the_server_runs(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_account, "EVERY_SECONDS", 0.02)
    with running(WordModel()) as server:
        server.post("/v1/classify", {"input": "shipping"})
        eventually(lambda: bool(accounts.read(today()).entries))
        (key,) = accounts.read(today()).entries
        assert key == UsageKey(today(), "support", "local", "asked directly")


def test_texts_are_not_in_it(gateway: Any, upstream: UpstreamStub, model: Model) -> None:
    certify(model)
    with gateway() as server:
        server.post(CHAT, asking(f"{text(3, 1)} swordfish"))
        server.post(CHAT, asking("swordfish", "swordfish-1"))
    stored = b"".join(file.read_bytes() for file in accounts.place().parent.glob("account.sqlite3*"))
    assert b"support" in stored and b"swordfish" not in stored


def test_responses_are_counted_as_chat_is(gateway: Any, upstream: UpstreamStub, model: Model) -> None:
    certify(model)
    body = {"object": "response", "status": "completed", "output": [], "usage": {"input_tokens": 9, "output_tokens": 3}}
    upstream.answer = lambda seen: Said(body=json.dumps(body).encode())
    with gateway() as server:
        told = server.post("/v1/responses", {"model": "support", "input": SURE, "store": False}).json()["smidgen"]["saved"]["usd"]
        server.post("/v1/responses", {"model": "support", "input": UNSURE, "store": False})
    found = entries()
    assert (found["support", "local", ""].requests, found["support", "local", ""].saved) == (1, round(told * 1e9))
    assert found["support", "upstream", "score"] == UsageTotals(requests=1, read=9, written=3, spent=9 * READ + 3 * WROTE)


def test_typed_questions_are_counted_under_a_few_words(gateway: Any, model: Model) -> None:
    certify(model)
    asked = {"sure": {"type": "noul", "instructions": "Is it `yes`?"}, "other": {"type": "noul", "instructions": "Is it `no`?"}}
    with gateway() as server:
        for said in (SURE, UNSURE):
            found = server.post("/v1/systemone", {"state": said, "questions": asked, "model": "support"})
            assert found.status_code == 200, found.text
    assert {key: entry.requests for key, entry in entries().items()} == {
        ("support", "local", ""): 1,
        ("support", "local", "some questions"): 1,
    }


def test_what_local_answers_saved_goes_by_what_was_measured(gateway: Any, upstream: UpstreamStub, model: Model) -> None:
    """A model that reads an instruction of its own and thinks before it writes takes more than the texts show."""
    certify(model)
    body = json.loads(WHOLE) | {"usage": {"prompt_tokens": 400, "completion_tokens": 120, "total_tokens": 520}}
    upstream.answer = lambda seen: Said(body=json.dumps(body).encode())
    with gateway() as server:
        guessed = server.post(CHAT, asking(SURE)).json()["smidgen"]["saved"]
        assert "estimated" in guessed["tokens"] and guessed["tokens"]["input"] < 50 and guessed["tokens"]["output"] < 5
        for _ in range(prices.LEAST_MEASURED):
            server.post(CHAT, asking(UNSURE))
        reply = server.post(CHAT, asking(SURE))
        told = reply.json()["smidgen"]["saved"]
        # Texts of one size are asked: so many tokens are read for each, and written.
        assert told["tokens"] == {"input": pytest.approx(400, rel=0.25), "output": 120, "measured_on": prices.LEAST_MEASURED}
        assert told["usd"] > 5 * guessed["usd"] and float(reply.headers["x-smidgen-saved"]) == told["usd"]
    saved = entries()["support", "local", ""].saved
    assert saved == round((guessed["usd"] + told["usd"]) * 1e9)


def test_sizes_follow_what_is_new() -> None:
    sizes = prices.UpstreamSizes()
    assert sizes.of("a", 10) is None
    for _ in range(5000):
        sizes.note("a", 10, 100, 2)
    for _ in range(5000):
        sizes.note("a", 10, 300, 8)
    given, got, requests = sizes.of("a", 10) or (0, 0, 0)
    assert given > 270 and got >= 7 and requests <= 2000 and sizes.of("b", 10) is None
    sizes.note("b", 0, 0, 0)
    assert sizes.of("b", 10) is None
