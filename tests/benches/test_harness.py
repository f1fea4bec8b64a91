"""The bench harness: a number in RESULTS.md is only as good as what measured it."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from bench import data, load, process, results
from bench.context import Context, last_json
from tests.bench_context import quick_context


class Echo(BaseHTTPRequestHandler):
    """Answers what it is asked; a text `bad` gets 500."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(500 if json.loads(body)["text"] == "bad" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """A client that hangs up is no error."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    server = Server(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return replace(quick_context(tmp_path), seeds=(0, 1))


def test_a_load_ends_at_its_number_of_requests(url: str) -> None:
    result = load.load(url, "peer", ["a", "b"], clients=3, seconds=30, requests=40, warm=0)
    assert 40 <= result.answered <= 42
    assert result.errors == {}
    assert 0 < result.p50 <= result.p99


def test_a_refused_answer_is_an_error_and_no_answer(url: str) -> None:
    result = load.load(url, "peer", ["good", "bad"], clients=1, seconds=30, requests=10, warm=0)
    assert result.answered == 10
    assert result.errors["500"] in (9, 10)


def test_a_server_that_only_fails_ends_the_load(url: str) -> None:
    result = load.load(url, "peer", ["bad"], clients=2, seconds=30, warm=0)
    assert (result.answered, result.rate) == (0, 0.0)
    assert load.MOST_ERRORS <= result.errors["500"] <= load.MOST_ERRORS + 2


def test_only_this_machine_is_put_under_load() -> None:
    with pytest.raises(ValueError, match="only a server on this machine"):
        load.load("http://192.0.2.1:80", "peer", ["a"], clients=1, seconds=1)


def test_percentiles_by_nearest_rank() -> None:
    values = [float(number) for number in range(1, 101)]
    assert (load.percentile(values, 0.50), load.percentile(values, 0.99), load.percentile(values, 1.0)) == (50.0, 99.0, 100.0)
    assert load.percentile([7.0], 0.99) == 7.0


def test_a_program_past_its_limit_is_ended_with_its_children(tmp_path: Path) -> None:
    child = "import os, pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); time.sleep(60)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}, sys.argv[1]])"
    pid_file = tmp_path / "pid"
    ended: list[process.Ran] = []
    run = threading.Thread(
        target=lambda: ended.append(process.run([sys.executable, "-c", parent, pid_file], limit=6, log=tmp_path / "log"))
    )
    run.start()
    assert _within(5, pid_file.is_file), "the child did not start"
    run.join(30)
    assert ended[0].timed_out
    assert ended[0].trouble.startswith("stopped after")
    if process.POSIX:
        assert _within(10, lambda: _gone(int(pid_file.read_text())))


def test_a_program_is_measured_and_its_failure_told(tmp_path: Path) -> None:
    code = "import os, sys; x = bytearray(60_000_000); print(os.environ.get('OMP_NUM_THREADS')); sys.exit('no such column')"
    ran = process.run([sys.executable, "-c", code], limit=60, log=tmp_path / "log", env={"OMP_NUM_THREADS": "3"})
    assert (ran.code, ran.stdout.strip()) == (1, "3")
    assert "no such column" in ran.trouble
    if process.POSIX:
        assert ran.peak_mb is not None and ran.peak_mb > 60
        assert ran.cpu_seconds is not None and ran.cpu_seconds > 0


def test_thread_counts_of_the_environment_do_not_leak_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    ran = process.run([sys.executable, "-c", "import os; print(os.environ.get('OMP_NUM_THREADS'))"], limit=60, log=tmp_path / "log")
    assert ran.stdout.strip() == "None"


def test_a_draw_has_so_many_rows_of_each_label_and_is_the_seeds_own() -> None:
    rows = [(f"text {number}", f"label {number % 7}") for number in range(210)]
    draw = data.few(rows, 5, seed=1)
    assert Counter(label for _, label in draw) == {f"label {number}": 5 for number in range(7)}
    assert len(set(draw)) == 35 and set(draw) <= set(rows)
    assert draw == data.few(rows, 5, seed=1) != data.few(rows, 5, seed=2)


def test_missing_data_is_said(tmp_path: Path) -> None:
    with pytest.raises(data.NoData, match=r"train\.csv"):
        data.banking77(tmp_path)
    with pytest.raises(data.NoData, match=r"data_full\.json"):
        data.clinc150(tmp_path, out_of_scope=True)


def test_a_section_takes_the_place_of_its_older_self_alone(context: Context) -> None:
    for name, cell in (("one", "first|x"), ("two", r"second \1"), ("one", "third")):
        results.publish(context, results.Section(name, name.title(), "About.", ("a",), [[cell]]))
    page = context.results.read_text(encoding="utf-8")
    assert page.count("<!-- one -->") == page.count("<!-- two -->") == 1
    assert "first" not in page and "third" in page and r"second \1" in page
    assert page.index("<!-- one -->") < page.index("<!-- two -->")


def test_a_row_shows_the_median_and_every_run_and_what_failed() -> None:
    runs = [
        {"accuracy": value, "low": value - 0.01, "high": value + 0.01, "total_seconds": 10.0, "build": {}, "shipped": "encoder fp32"}
        for value in (0.94, 0.92, 0.93)
    ]
    row = results.run_row("smidgen", [*runs, {"trouble": "exit 1"}])
    assert row[1:5] == ["3", "93.00%", "92.00% to 94.00%", "94.00%, 92.00%, 93.00%"]
    assert "1 failed: exit 1" in row[-1]
    assert results.run_row("smidgen", [{"trouble": "exit 1"}])[-1] == "failed: exit 1"


def test_goals_are_met_missed_or_not_measured() -> None:
    goals = [
        results.at_least("accuracy", 0.94, 0.9399),
        results.at_least("accuracy", 0.94, None),
        results.at_most("p50", 2, 2.0, "ms"),
        results.ahead("accuracy", 0.94, 0.93, margin=0.02),
        results.times("rate", 3, 300, 100),
        results.times("rate", 3, None, 100),
    ]
    assert [goal.met for goal in goals] == [False, None, True, False, True, None]


def test_results_are_kept_where_the_settings_agree(context: Context) -> None:
    made: list[int] = []

    def work() -> dict[str, object]:
        made.append(1)
        return {"rate": len(made)}

    context.measured("key", {"epochs": 1}, work, peer=True)
    context.keep = "peers"
    assert context.measured("key", {"epochs": 1}, work, peer=True)["rate"] == 1
    assert context.measured("key", {"epochs": 2}, work, peer=True)["rate"] == 2
    assert context.measured("key", {"epochs": 2}, work, peer=False)["rate"] == 3


def test_the_last_json_object_is_found_behind_other_output() -> None:
    assert last_json('loading\n{"n": 3}\n') == {"n": 3}
    assert last_json('{\n "n": 3\n}\n') == {"n": 3}
    with pytest.raises(ValueError, match="no JSON object"):
        last_json("nothing here")


def _gone(pid: int) -> bool:
    """Whether a process has ended; a zombie has."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").split()[2] == "Z"
    except OSError:
        return True


def _within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Whether something comes to hold in so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.05)
    return False
