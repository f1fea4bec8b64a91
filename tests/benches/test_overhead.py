"""The bench of the gateway's overhead: an upstream that says known things, clients that keep time, and a table that says what was added."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bench import gateways, load, overhead, pacing, process
from bench.results import Section
from bench.shop import Shop
from bench.upstream import answer_to
from tests.bench_context import quick_context


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[process.Server]:
    """The real program, without its delay."""
    log = tmp_path_factory.mktemp("upstream") / "log"
    with process.serving([sys.executable, "-m", "bench.upstream", "--port", "{port}", "--delay", "0"], limit=60, log=log) as server:
        yield server


def asked(server: process.Server, body: Any, path: str = "/v1/chat/completions") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("POST", path, json.dumps(body))
    response = connection.getresponse()
    said = response.read().decode()
    connection.close()
    return response.status, said


def messages(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "big", "messages": [{"role": "user", "content": text}], **more}


def test_the_upstream_says_what_it_is_said_to_say(upstream: process.Server) -> None:
    status, said = asked(upstream, messages("where is it"))
    assert (status, json.loads(said)["choices"][0]["message"]["content"]) == (200, answer_to("where is it"))
    status, said = asked(upstream, messages("where is it", stream=True))
    events = [json.loads(line.removeprefix("data: ")) for line in said.split("\n\n") if line.startswith("data: {")]
    assert "".join(event["choices"][0]["delta"].get("content", "") for event in events) == answer_to("where is it")
    assert said.endswith("data: [DONE]\n\n") and events[-1]["choices"][0]["finish_reason"] == "stop"
    assert asked(upstream, {"model": "big"})[0] == 400


def test_the_upstream_fails_as_it_is_told(upstream: process.Server) -> None:
    assert asked(upstream, {"fail": 503}, "/manners")[0] == 200
    assert asked(upstream, messages("hm"))[0] == 503
    assert asked(upstream, {"fail": 0}, "/manners")[0] == 200
    assert asked(upstream, messages("hm"))[0] == 200


def test_each_request_is_due_in_its_own_part_of_a_second() -> None:
    due = pacing.moments(100, 2.0)
    assert len(due) == 200 and due == pacing.moments(100, 2.0) != pacing.moments(100, 2.0, seed=1)
    assert [int(moment * 100) for moment in due] == list(range(200))


def test_an_open_loop_asks_as_often_as_it_says(upstream: process.Server) -> None:
    found = pacing.pace(upstream.url, "chat", ["a", "b"], rate=50, seconds=1.0, warm=0.2, model="big")
    assert (found.answered, found.errors) == (50, {})
    assert 0 < found.p50 <= found.p99 and found.late <= found.p99


def test_a_request_that_waits_for_its_turn_has_waited(upstream: process.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """One connection, and answers that take a tenth of a second: of ten requests that are due within a tenth, the last waits for nine."""
    monkeypatch.setattr(pacing, "MOST_CONNECTIONS", 1)
    asked(upstream, {"delay": 0.1}, "/manners")
    found = pacing.pace(upstream.url, "chat", ["a"], rate=100, seconds=0.1, warm=0.0, model="big")
    asked(upstream, {"delay": 0.0}, "/manners")
    assert found.answered == 10 and found.at_once == 1 and found.p99 > 800 and found.late > 700


def test_what_the_open_loop_is_refused_is_an_error(upstream: process.Server) -> None:
    asked(upstream, {"fail": 500}, "/manners")
    found = pacing.pace(upstream.url, "chat", ["a"], rate=50, seconds=0.2, warm=0.0, model="big")
    asked(upstream, {"fail": 0}, "/manners")
    assert (found.answered, found.errors) == (0, {"500": 10})
    port = process.free_port()
    refused = pacing.pace(f"http://127.0.0.1:{port}", "chat", ["a"], rate=50, seconds=0.2, warm=0.0)
    assert (refused.answered, sum(refused.errors.values())) == (0, 10)
    with pytest.raises(ValueError, match="only a server on this machine"):
        pacing.pace("http://192.0.2.1:80", "chat", ["a"], rate=1, seconds=1)


def test_an_answer_in_chunks_is_whole_at_its_last_one() -> None:
    pieces = iter([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", b"0\r\n\r\n"])

    class Wire:
        def recv(self, most: int) -> bytes:
            return next(pieces)

    client = load.Client(("127.0.0.1", 1), 0, Wire())  # type: ignore[arg-type]
    assert (client.receive(), client.receive()) == (None, 200)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="only Linux says what a process's children took")
def test_the_time_of_children_counts(tmp_path: Path) -> None:
    work = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass\nprint('done', flush=True); input()"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {work!r}])"
    ran = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert ran.stdin is not None and ran.stdout is not None
    try:
        assert ran.stdout.readline() == b"done\n"
        used = process.Server(ran, 0).cpu_seconds()
        assert used is not None and used >= 0.25
    finally:
        ran.communicate(b"\n", timeout=60)
    assert process.Server(ran, 0).cpu_seconds() == 0.0


def test_both_sides_are_given_the_same_upstream_and_no_access_log(tmp_path: Path) -> None:
    url, texts = "http://127.0.0.1:1", tmp_path / "texts"
    shop = Shop(tmp_path / "bundle", {}, 0.5)
    ours = [gateways.smidgen("a", url, texts, tmp_path), gateways.local("b", url, texts, tmp_path, shop)]
    assert all("http://127.0.0.1:1/v1" in line.command and "--no-access-log" in line.command for line in ours)
    assert ours[1].model == "bundle" and shop.folder in ours[1].command
    theirs = gateways.litellm("LiteLLM", url, texts, tmp_path / "bin" / "python", tmp_path / "peer", 2)
    config = json.loads((tmp_path / "peer" / "config.yaml").read_text(encoding="utf-8"))
    assert config["model_list"][0]["litellm_params"]["api_base"] == "http://127.0.0.1:1/v1"
    assert theirs.peer and theirs.env["LITELLM_LOCAL_MODEL_COST_MAP"] == "True" and str(theirs.command[-3]) == "2"


def test_counters_are_read_by_one_label() -> None:
    page = (
        'smidgen_gateway_requests_total{answered_by="local",model="x",why=""} 3.0\n'
        'smidgen_gateway_requests_total{answered_by="local",model="y",why=""} 2.0\n'
        'smidgen_gateway_requests_total{answered_by="upstream",model="",why="passed"} 5.0\n'
    )
    assert overhead.counted(page, "smidgen_gateway_requests_total", "answered_by") == {"local": 5.0, "upstream": 5.0}


def found(p50: float, rate: float, **more: Any) -> dict[str, Any]:
    paced = {"p50": p50, "p99": 2 * p50, "late": 0.1, "errors": {}, "answered": 9, "core_ms": 1.0}
    return {"paced": paced, "full": {"rate": rate, "p50": 9.0, "p99": 90.0, "errors": {"500": 1}, "answered": 9}, **more}


def test_what_is_added_is_against_the_upstream_of_the_same_round(tmp_path: Path) -> None:
    done = {
        overhead.ALONE: [found(20.0, 2000), found(30.0, 2000), found(21.0, 2000)],
        overhead.PASSING: [found(21.5, 600), found(31.5, 800), found(22.4, 700)],
        overhead.LITELLM: [found(28.0, 100), found(38.0, 120), {"trouble": "exit 1"}],
        f"{overhead.LITELLM}, 2 workers": [found(29.0, 250), found(39.0, 260), found(40.0, 240)],
        f"{overhead.LOCAL}, linear": [found(3.0, 600, local_share=1.0, stored={"stored": 1.0, "queue_full": 3.0})],
    }
    context, section = quick_context(tmp_path), Section("overhead", "Overhead", "About.", overhead.COLUMNS)
    overhead._publish(context, section, done)
    goals = {goal.what: (goal.got, goal.met) for goal in section.goals}
    assert goals["passing at 100/s: added p50"] == ("1.50 ms", True) and goals["passing at 100/s: added p99"] == ("3.00 ms", True)
    assert goals["what LiteLLM adds at the median, its better way, against smidgen"] == ("5.3 times", True)
    assert goals["smidgen saturated against LiteLLM's better way"] == ("2.8 times", False)
    assert goals["local, linear: answers/s saturated"] == ("600", True) and goals["local, linear: share answered locally"][1] is True
    rows = {row[0]: row[1:] for row in section.rows}
    assert rows[overhead.ALONE][2:4] == ["", ""] and rows[f"{overhead.LOCAL}, linear"][-2:] == ["100.0%", "25.0%"]
    assert "LiteLLM proxy: exit 1" in section.notes and all(len(row) == len(overhead.COLUMNS) for row in section.rows)
