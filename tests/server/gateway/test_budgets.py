"""Budgets over real HTTP: what may cost too much does not leave, and what left is counted."""

from __future__ import annotations

import hashlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.eventually import eventually
from tests.server.conftest import WordModel
from tests.upstream_stub import WHOLE, Said, UpstreamStub, chunk, upstream_stub

from smidgen.cli import main
from smidgen.core.errors import InputError, SmidgenError
from smidgen.gateway.upstreams import RetryPolicy
from smidgen.server.gateway.budget_guard import budget_plan
from smidgen.server.settings import ServeSettings
from smidgen.store import spending_ledger
from smidgen.store.spending_ledger import NANO, ScopeSpending
from smidgen.store.usage_records import today
from smidgen.usage import price_list

CHAT = "/v1/chat/completions"
PATIENCE = RetryPolicy(tries=2, first=0.001, longest=0.002, total=2.0)
SSE = {"Content-Type": "text/event-stream"}
PRICE = {"price_in": 1.0, "price_out": 1000.0}
"""A token out is a million nanodollars, a token in a thousand."""


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SMIDGEN_FALLBACK_KEY", raising=False)
    return tmp_path / "home"


@pytest.fixture
def gateway(serve: Any, upstream: UpstreamStub) -> Any:
    """Start one over the word model `support`, which has no certificate."""
    given = {"fallback": (upstream.url,), "fallback_model": ("big",), "pass_paths": ("/v1/**",), **PRICE}
    return lambda **settings: serve(WordModel(), patience=PATIENCE, **{**given, **settings})


def asking(name: str = "support", most: int | None = 10, **more: Any) -> dict[str, Any]:
    limit = {} if most is None else {"max_tokens": most}
    return {"model": name, "messages": [{"role": "user", "content": "a refund please"}], **limit, **more}


def used(scope: str = "all") -> ScopeSpending:
    return spending_ledger.read(today()).get(scope, ScopeSpending())


def settled(requests: int, scope: str = "all") -> ScopeSpending:
    """What was spent, once so many requests are settled and nothing is set aside."""
    eventually(lambda: used(scope).requests == requests and not used(scope).held)
    found = used(scope)
    assert (found.requests, found.held) == (requests, 0)
    return found


def metric(running: Any, start: str) -> float:
    (line,) = [line for line in running.client.get("/metrics").text.splitlines() if line.startswith(start)]
    return float(line.rpartition(" ")[2])


def test_what_the_upstream_counted_is_what_is_spent(gateway: Any, upstream: UpstreamStub) -> None:
    running = gateway(budget_day=1.0)
    found = running.client.post(CHAT, json=asking(), headers={"accept-encoding": "gzip"})
    assert found.content == WHOLE and "accept-encoding" not in upstream.seen[0].headers
    assert settled(1) == ScopeSpending(nano=3 * 1_000 + 2 * 1_000_000, requests=1)
    assert metric(running, 'smidgen_budget_spent_usd{kind="counted",scope="all"}') == pytest.approx(0.002003)
    assert metric(running, 'smidgen_budget_limit_usd{scope="all"}') == 1.0
    assert used("model:big") == used("key:others") == used()


USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":30,"completion_tokens":4}}\n\n'
DONE = b"data: [DONE]\n\n"
COUNTED = 30 * 1_000 + 4_000_000


def test_a_stream_is_asked_for_what_it_takes_and_the_client_sees_what_it_asked_for(gateway: Any, upstream: UpstreamStub) -> None:
    pieces = [chunk("from "), chunk("above"), USAGE, DONE]
    upstream.answer = lambda seen: Said(pieces=pieces, headers=SSE)
    running = gateway(budget_day=1.0)
    for number, options in enumerate(({}, {"stream_options": None}, {"stream_options": {"include_usage": True}}), start=1):
        body = asking(stream=True, **options)
        seen = running.client.post(CHAT, json=body).content
        wanted = body["stream_options"] if options.get("stream_options") else {"include_usage": True}
        assert upstream.bodies[-1] == {**body, "model": "big", "stream_options": wanted}
        assert seen == b"".join(pieces if options.get("stream_options") else [*pieces[:2], DONE])
        assert settled(number) == ScopeSpending(nano=number * COUNTED, requests=number)
    assert gateway().client.post(CHAT, json=asking(stream=True)).content == b"".join(pieces)
    assert upstream.bodies[-1] == asking("big", stream=True), "without a budget it leaves as it came"


def test_what_a_stream_does_not_say_counts_in_full(gateway: Any, upstream: UpstreamStub) -> None:
    """Hidden reasoning is billed, and nobody sees it."""
    upstream.script = [Said(pieces=[chunk("aaa"), DONE], headers=SSE), Said(pieces=[chunk("aaa")] * 30 + [DONE], headers=SSE)]
    running = gateway(budget_day=1.0)
    body = asking(stream=True)
    running.client.post(CHAT, json=body)
    size = len(json.dumps(body, separators=(",", ":")))
    most = (size + 1024) * 1_000 + 10_000_000
    assert settled(1) == ScopeSpending(nano=most, estimated=most, requests=1)
    running.client.post(CHAT, json=body)
    seen = -(-size // 3) * 1_000 + 30_000_000  # thirty events, where ten tokens were allowed
    assert settled(2).nano == most + seen


def test_an_upstream_that_knows_no_such_wish_is_asked_without_it(gateway: Any, upstream: UpstreamStub, error: Any) -> None:
    strict = Said(status=422, body=b'{"error": {"message": "stream_options: extra inputs are not permitted"}}')
    upstream.answer = lambda seen: strict if b"stream_options" in seen.body else Said(pieces=[chunk("a"), USAGE, DONE], headers=SSE)
    running = gateway(budget_day=1.0)
    found = running.client.post(CHAT, json=asking(stream=True))
    assert found.content == chunk("a") + USAGE + DONE and upstream.bodies[-1] == asking("big", stream=True)
    assert settled(1) == ScopeSpending(nano=COUNTED, requests=1)
    refused = Said(status=400, body=b'{"error": {"message": "no"}}')
    upstream.answer = lambda seen: refused
    assert running.client.post(CHAT, json=asking(stream=True)).content == refused.body and len(upstream.seen) == 4
    assert running.client.post(CHAT, json=asking()).content == refused.body and len(upstream.seen) == 5
    assert settled(1).nano == COUNTED


def test_past_the_budget_nothing_leaves_and_the_client_is_told_when_it_may(gateway: Any, upstream: UpstreamStub, error: Any) -> None:
    running = gateway(budget_day=0.015)
    upstream.answer = lambda seen: Said(body=b'{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":10}}')
    assert running.post(CHAT, asking()).status_code == 200
    settled(1)
    refused = running.post(CHAT, asking())
    told = error(refused, 429)
    assert told["code"] == "budget_exceeded" and "the budget for today" in told["message"] and "00:00 UTC" in told["message"]
    assert 0 < int(refused.headers["retry-after"]) <= 86_400 and refused.headers["x-should-retry"] == "false"
    assert refused.headers["x-smidgen-answered-by"] == "none" and len(upstream.seen) == 1
    assert running.post(CHAT, asking(most=3)).status_code == 200  # what fits still goes
    assert metric(running, 'smidgen_budget_refused_total{scope="all"}') == 1.0
    assert running.client.get("/v1/models").status_code == running.client.get("/v1/files").status_code == 200


def test_by_policy_the_bundles_answer_comes_marked(gateway: Any, upstream: UpstreamStub) -> None:
    running = gateway(budget_day=0.0, when_upstream_fails="local")
    found = running.post(CHAT, asking())
    assert (found.status_code, found.headers["x-smidgen-uncertified"]) == (200, "over budget")
    assert found.json()["smidgen"]["uncertified"] == "over budget" and upstream.seen == []
    lines = running.client.get("/metrics").text
    assert 'smidgen_gateway_requests_total{answered_by="local",model="support",why="over budget"} 1.0' in lines


def test_many_at_once_do_not_pass_it(gateway: Any, upstream: UpstreamStub) -> None:
    held = threading.Event()
    upstream.answer = lambda seen: Said() if held.wait(20) else Said(status=500)
    running = gateway(budget_day=0.035)  # three requests of ten tokens, and no fourth
    with ThreadPoolExecutor(12) as pool:
        asked = [pool.submit(running.post, CHAT, asking()) for _ in range(12)]
        eventually(lambda: sum(one.done() for one in asked) >= 9)
        held.set()
        statuses = sorted(one.result().status_code for one in asked)
    assert statuses == [200] * 3 + [429] * 9 and len(upstream.seen) == 3
    assert settled(3).used <= 35_000_000


def test_keys_and_models_have_their_own(gateway: Any, tmp_path: Path, upstream: UpstreamStub, error: Any) -> None:
    file = tmp_path / "budgets.toml"
    shop = hashlib.sha256(b"sk-shop").hexdigest()[:16]
    file.write_text(f'[key.shop]\nsha256 = "{shop}"\nday = 0\n[model."GPT-6 Luna"]\nday = 0\n[others]\nday = 100\n', encoding="utf-8")
    running = gateway(budgets=str(file))
    told = error(running.post(CHAT, asking(), headers={"authorization": "Bearer sk-shop"}), 429)
    assert "key shop" in told["message"] and "sk-shop" not in told["message"]
    both = {"x-api-key": "sk-other", "authorization": "Bearer sk-shop"}
    assert "key shop" in error(running.post(CHAT, asking(), headers=both), 429)["message"], "the key that this server checks"
    assert running.post(CHAT, asking(), headers={"authorization": "Bearer sk-other"}).status_code == 200
    assert running.post(CHAT, asking()).status_code == 200
    assert "model GPT-6 Luna" in error(running.post(CHAT, asking("openai/gpt-6-luna")), 429)["message"]
    assert settled(2, "key:others").nano == used("model:big").nano > 0 and used("key:shop") == ScopeSpending()


def test_the_next_upstream_is_asked_where_its_model_has_money_left(gateway: Any, tmp_path: Path, upstream: UpstreamStub) -> None:
    file = tmp_path / "budgets.toml"
    file.write_text("[model.dear]\nday = 0\n", encoding="utf-8")
    with upstream_stub() as second:
        running = gateway(fallback=(upstream.url, second.url), fallback_model=("dear", "cheap"), budgets=str(file))
        found = running.post(CHAT, asking())
        assert (found.content, found.headers["x-smidgen-model"]) == (WHOLE, "cheap")
        assert (len(upstream.seen), len(second.seen)) == (0, 1)
    assert settled(1, "model:cheap").nano > 0


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, asking("gpt-unheard-of")),
        (CHAT, {**asking("gpt-6-luna"), "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}),
        ("/v1/images/generations", {"model": "gpt-6-luna", "prompt": "x"}),
        ("/v1/responses", {"model": "gpt-6-luna", "input": "x", "background": True}),
        (CHAT, [1]),
    ],
    ids=["no price", "an image", "another path", "background", "no object"],
)
def test_what_has_no_known_price_does_not_leave(gateway: Any, upstream: UpstreamStub, error: Any, path: str, body: Any) -> None:
    running = gateway(fallback_model=("gpt-6-luna",), price_in=(), price_out=(), budget_day=100.0)
    assert error(running.post(path, body), 403)["code"] == "cost_unknown"
    assert upstream.seen == [] and spending_ledger.read(today()) == {}


def test_the_given_price_is_that_of_the_fallbacks_own_model_alone(gateway: Any, upstream: UpstreamStub, error: Any) -> None:
    running = gateway(budget_day=1.0)
    assert error(running.post(CHAT, asking("gpt-unheard-of")), 403)["code"] == "cost_unknown"
    assert upstream.seen == [] and [running.post(CHAT, asking(name)).status_code for name in ("support", "big", "gpt-6-luna")] == [200] * 3


def test_the_given_price_counts_where_the_list_has_another(gateway: Any, upstream: UpstreamStub) -> None:
    running = gateway(budget_day=1.0, fallback_model=("gpt-6-luna",))
    for number, name in enumerate(("support", "gpt-6-luna", "openai/GPT-6 Luna"), start=1):
        found = running.post(CHAT, asking(name))
        assert float(found.headers["x-smidgen-cost"]) == pytest.approx(0.002003)
        assert settled(number).nano == number * 2_003_000


def test_the_price_list_is_read_once(gateway: Any, monkeypatch: Any) -> None:
    running = gateway(budget_day=1.0)
    read: list[str] = []
    monkeypatch.setattr(price_list, "read", lambda *given: read.append("read"))
    assert [running.post(CHAT, asking(f"unheard-of-{number}")).status_code for number in range(3)] == [403] * 3
    assert read == []


def test_a_body_that_can_be_read_in_two_ways_does_not_leave(gateway: Any, upstream: UpstreamStub, error: Any) -> None:
    body = b'{"model": "big", "max_tokens": 100000, "messages": [], "max_tokens": 1}'
    found = gateway(budget_day=1.0).client.post(CHAT, content=body, headers={"content-type": "application/json"})
    assert error(found, 403)["code"] == "cost_unknown" and upstream.seen == []


def test_a_refusal_costs_nothing_and_an_upstream_that_is_away_neither(gateway: Any, upstream: UpstreamStub, error: Any) -> None:
    upstream.script = [Said(status=400, body=b'{"error": {"message": "no"}}'), Said(status=503), Said(status=503)]
    running = gateway(budget_day=1.0)
    assert [running.post(CHAT, asking()).status_code for _ in range(2)] == [400, 503]
    away = gateway(budget_day=1.0, fallback=("http://127.0.0.1:9/v1",))
    assert error(away.post(CHAT, asking()), 502)["code"] == "upstream_failed"
    eventually(lambda: not used().held)
    assert used() == ScopeSpending() and len(upstream.seen) == 3


def test_what_may_have_been_done_counts_in_full(gateway: Any, upstream: UpstreamStub) -> None:
    upstream.script = [Said(body=WHOLE, cut=True), Said(status=200, body=b"not json")]
    running = gateway(budget_day=1.0)
    with pytest.raises(Exception):  # noqa: B017 the connection is closed: what came is not the whole
        running.post(CHAT, asking())
    cut = settled(1)
    assert cut.estimated == cut.nano > 10_000_000
    running.post(CHAT, asking())
    assert settled(2).nano == 2 * cut.nano


def test_what_broke_off_counts_in_full_whatever_it_said_of_itself(gateway: Any, upstream: UpstreamStub) -> None:
    said = {"choices": [{"index": 0, "delta": {"content": "a"}}], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    pieces = [b"data: " + json.dumps(said).encode() + b"\n\n"]
    upstream.script = [Said(pieces=pieces, headers=SSE, cut=True), Said(pieces=[chunk("a")], headers=SSE, cut=True)]
    running = gateway(budget_day=1.0)
    for number in (1, 2):
        assert running.post(CHAT, asking(stream=True)).status_code == 200
        spent = settled(number)
        assert spent.estimated == spent.nano > number * 10_000_000


def test_a_count_that_says_nothing_of_what_was_written_is_none(gateway: Any, upstream: UpstreamStub) -> None:
    said = {"choices": [{"index": 0, "message": {"content": "seven b"}}], "usage": {"prompt_tokens": 1}}
    upstream.script = [Said(body=json.dumps(said).encode())]
    running = gateway(budget_day=1.0)
    assert running.post(CHAT, asking()).status_code == 200
    spent = settled(1)
    assert spent.estimated == spent.nano > 3_000_000


def test_what_a_server_in_between_gave_up_on_may_have_been_done(gateway: Any, upstream: UpstreamStub) -> None:
    upstream.script = [Said(status=504), Said(status=524), Said(status=520, body=b"{}"), Said(status=502), Said(status=502)]
    running = gateway(budget_day=1.0)
    assert running.post(CHAT, asking()).status_code == 502
    twice = settled(1)
    assert twice.estimated == twice.nano > 20_000_000
    assert running.post("/v1/responses", {"model": "big", "input": "hello", "max_output_tokens": 10}).status_code == 520
    assert 10_000_000 < settled(2).nano - twice.nano < 20_000_000
    assert running.post(CHAT, asking()).status_code == 502
    assert settled(2).nano < 2 * twice.nano, "a failure of the upstream's own costs nothing"


def test_a_client_that_hangs_up_has_spent_it(gateway: Any, upstream: UpstreamStub) -> None:
    held = threading.Event()
    upstream.answer = lambda seen: Said() if held.wait(20) else Said(status=500)
    running = gateway(budget_day=1.0)
    with pytest.raises(Exception):  # noqa: B017 a timeout of the client's own
        running.client.post(CHAT, json=asking(), timeout=0.3)
    found = settled(1)
    held.set()
    assert found.estimated == found.nano > 10_000_000


def test_a_client_that_hangs_up_after_the_first_token_has_spent_all(gateway: Any, upstream: UpstreamStub) -> None:
    held = threading.Event()
    upstream.script = [Said(pieces=[chunk("a"), chunk("b"), b"data: [DONE]\n\n"], headers=SSE, hold=held)]
    running = gateway(budget_day=1.0)
    with running.client.stream("POST", CHAT, json=asking(stream=True)) as found:
        assert next(found.iter_raw()) == chunk("a")
    spent = settled(1)
    held.set()
    assert spent.estimated == spent.nano > 10_000_000


def test_what_was_spent_outlives_the_server(gateway: Any, upstream: UpstreamStub, error: Any) -> None:
    first = gateway(budget_day=0.013)
    upstream.answer = lambda seen: Said(body=b'{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":10}}')
    assert first.post(CHAT, asking()).status_code == 200
    settled(1)
    assert error(gateway(budget_day=0.013).post(CHAT, asking()), 429)["code"] == "budget_exceeded"


def test_a_ledger_that_cannot_be_read_is_no_way_round(
    gateway: Any, upstream: UpstreamStub, own_home: Path, monkeypatch: Any, error: Any
) -> None:
    running = gateway(budget_day=1.0)

    def broken(*given: Any) -> Any:
        raise OSError("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr(spending_ledger.SpendingLedger, "hold", broken)
        told = error(running.post(CHAT, asking()), 503)
    assert "cannot be written down" in told["message"] and "disk" not in told["message"] and upstream.seen == []
    assert running.post(CHAT, asking()).status_code == 200
    # Another file in its place: the one that a server has mapped must not shrink under it.
    damaged = own_home / "damaged"
    damaged.write_bytes(b"no database" * 1000)
    for file in own_home.glob("spending.sqlite3-*"):
        file.unlink()
    damaged.replace(spending_ledger.place())
    with pytest.raises(SmidgenError, match="no budget can be kept"):
        gateway(budget_day=1.0)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"fallback_model": ("big",)}, "does not have this model"),
        ({"fallback_model": ("big",), "price_in": 1.0}, "needs two numbers"),
        ({"fallback": (), "fallback_model": ()}, "no fallback"),
    ],
)
def test_a_budget_that_cannot_be_kept_is_refused_at_the_start(settings: dict[str, Any], says: str) -> None:
    given = {"fallback": ("http://127.0.0.1:9/v1",), "budget_day": 1.0, **settings}
    with pytest.raises(InputError, match=says):
        budget_plan(ServeSettings(**given))


def test_the_command_says_so_before_it_serves(capsys: Any) -> None:
    given = ["serve", "--fallback", "http://127.0.0.1:9/v1", "--fallback-model", "gpt-unheard-of", "--budget-day", "5"]
    assert main.code(given) == 2
    assert "--price-in" in capsys.readouterr().err


def test_without_a_budget_there_is_no_ledger(gateway: Any, own_home: Path) -> None:
    assert gateway().post(CHAT, asking()).content == WHOLE
    assert not spending_ledger.place().exists()


def test_tokens_beyond_all_counting_count_as_what_was_set_aside(gateway: Any, upstream: UpstreamStub) -> None:
    upstream.answer = lambda seen: Said(body=b'{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1%s}}' % (b"0" * 40))
    running = gateway(budget_day=5.0)
    assert running.post(CHAT, asking("big")).status_code == 200
    eventually(lambda: used().nano)
    found = used()
    assert found.held == 0 and 0 < found.nano < 5 * NANO
