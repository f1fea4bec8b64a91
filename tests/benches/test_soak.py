"""The soak's verdicts: what they let pass is what the page says was right."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from bench import shop, soak, soak_clients, soak_verdict
from bench.results import Section
from bench.shop import Shop
from bench.soak_clients import ANSWERED, CUT, HANGS, TOLD, Ended, Log
from bench.soak_world import FIRST, SECOND, Span, Version, World
from tests.bench_context import quick_context

SAID = {"where is it": ("delivery", 0.9), "hm": ("payment", 0.3)}


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Two lines; of the first the champion was its second version until 100, then its first. The gateway was down from 200 to 210, and from
    300 on no certificate stood."""
    made = World(quick_context(tmp_path), tmp_path, tmp_path, own_disk=False)
    for line, names in ((FIRST, ("a1", "a2")), (SECOND, ("b1",))):
        for name in names:
            answers = {text: (f"{name}-{label}", score) for text, (label, score) in SAID.items()}
            made.versions.setdefault(line, []).append(Version(f"id-{name}", f"paper-{name}", Shop(tmp_path / name, answers, 0.6)))
    made.reigns = [(1, Span(0.0, 100.0)), (0, Span(101.0))]
    made.down, made.ended = [Span(200.0, 210.0)], [Span(300.0)]
    return made


def local(began: float, line: str = SECOND, name: str = "b1", **other: Any) -> Ended:
    headers = {"x-smidgen-answered-by": "local", "x-smidgen-model": line, "x-smidgen-certificate": f"paper-{name}"}
    headers |= {"x-smidgen-score": "0.900000", **other.pop("headers", {})}
    content = other.pop("content", f"{name}-delivery")
    return Ended("local", line, "where is it", began, began + 1, ANSWERED, "200", headers, content, f"id-{name}")


def test_the_right_answer_of_the_right_champion_passes(world: World) -> None:
    assert soak_verdict.wrong(world, local(50.0)) == ""
    assert soak_verdict.wrong(world, local(50.0, FIRST, "a2")) == "" == soak_verdict.wrong(world, local(150.0, FIRST, "a1"))
    assert soak_verdict.wrong(world, local(103.0, FIRST, "a2")) == "", "the pointer was changed a moment ago"
    upstream = {"x-smidgen-answered-by": "upstream"}
    assert soak_verdict.wrong(world, Ended("passing", "", "hm", 1, 2, ANSWERED, "200", upstream, "upstream: hm")) == ""
    assert soak_verdict.wrong(world, Ended("passing", "", "hm", 1, 2, TOLD, "503")) == ""


@pytest.mark.parametrize(
    ("end", "why"),
    [
        (local(50.0, content="b1-payment"), "the bundle's answer is another"),
        (local(50.0, SECOND, "a1"), "a bundle answered that is none of the line's"),
        (local(150.0, FIRST, "a2"), "a champion answered that is none any more"),
        (local(50.0, FIRST, "a1"), "a champion answered that is none any more"),
        (local(50.0, headers={"x-smidgen-model": FIRST}), "a bundle answered that was not asked"),
        (local(50.0, headers={"x-smidgen-certificate": "paper-a1"}), "under another certificate"),
        (local(50.0, headers={"x-smidgen-score": "0.3"}), "under the certificate's threshold"),
        (local(50.0, headers={"x-smidgen-score": "nan"}), "under the certificate's threshold"),
        (local(50.0, headers={"x-smidgen-uncertified": "upstream failed"}), "an answer that no certificate covers"),
        (local(320.0), "under a certificate that had ended"),
        (Ended("passing", "", "hm", 1, 2, ANSWERED, "200", {"x-smidgen-answered-by": "upstream"}, "upstream: h"), "the upstream's answer"),
        (Ended("passing", "", "hm", 1, 2, ANSWERED, "200", {}, "upstream: hm"), "answered by None"),
    ],
)
def test_what_should_not_have_been_given_is_found(world: World, end: Ended, why: str) -> None:
    assert soak_verdict.wrong(world, end).startswith(why)


def test_only_a_kill_explains_a_cut_and_nothing_a_wait_without_end() -> None:
    def cut(began: float, ended: float, how: str = CUT) -> Ended:
        return Ended("local", SECOND, "hm", began, ended, how)

    explained = [cut(199.0, 200.5), cut(205.0, 205.1), cut(150.0, 201.0)]
    odd = [cut(190.0, 195.0), cut(220.0, 221.0), cut(205.0, 265.0, HANGS)]
    assert soak_verdict.unexplained([*explained, *odd, cut(1.0, 2.0, TOLD), cut(1.0, 2.0, ANSWERED)], [Span(200.0, 210.0)]) == odd


def test_lost_feedback_is_found(tmp_path: Path) -> None:
    store = tmp_path / "traffic.db"
    with sqlite3.connect(store) as connection:
        connection.execute("CREATE TABLE feedback (request_id TEXT, verdict TEXT)")
        connection.executemany("INSERT INTO feedback VALUES (?, ?)", [("a", "up"), ("b", "up")])
    connection.close()
    assert soak_verdict.lost(store, {"a": "up", "b": "down", "c": "up"}) == ["b", "c"]


def test_growth_is_of_what_comes_after_the_first_quarter() -> None:
    level = [(float(second), 200.0 if second < 50 else 300.0) for second in range(400)]
    assert soak_verdict.slope(level) == pytest.approx(0.0)
    assert soak_verdict.slope([(float(second), second / 6) for second in range(400)]) == pytest.approx(10.0)
    # A step at a change of champion is none, what grows on both sides of it is.
    steps = [(float(second), 200.0 + 30.0 * (second >= 200)) for second in range(400)]
    assert soak_verdict.slope(steps) > 3 and soak_verdict.slope(steps, [200.0]) == pytest.approx(0.0)
    assert soak_verdict.slope([(at, size + at / 60) for at, size in steps], [200.0]) == pytest.approx(1.0)
    assert soak_verdict.slope(steps, [float(at) for at in range(0, 400, 30)]) is None
    assert soak_verdict.slope(level[:60]) is None and soak_verdict.slope([]) is None


def test_a_stream_is_whole_where_it_says_so() -> None:
    piece = b'data: {"system_fingerprint":"x","choices":[{"delta":{"content":"one "}}]}\n\n'
    assert soak_clients.read_stream(piece + piece + b"data: [DONE]\n\n") == (ANSWERED, "one one ", "x")
    assert soak_clients.read_stream(piece)[0] == CUT
    assert soak_clients.read_stream(piece + b'data: {"error":{"message":"it broke off"}}\n\n')[0] == TOLD
    assert soak_clients.read_whole(b"{")[0] == CUT


def test_every_fault_is_taken_back(world: World) -> None:
    steps = [what for _, what, _ in soak.schedule(world)]
    assert [part for part, _, _ in soak.schedule(world)] == sorted(part for part, _, _ in soak.schedule(world))
    for fault, mended in (("slowed to 2 s", "quick again"), ("killed", "back"), ("changed", "changed back"), ("fails", "answers again")):
        at = next(place for place, what in enumerate(steps) if fault in what)
        assert any(mended in what for what in steps[at:]), fault


def test_the_page_says_what_was_wrong(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log([local(50.0), local(50.0, content="b1-payment"), Ended("passing", "", "hm", 1, 9, CUT, "OSError")], {"a": "up"})
    world.lives = [[(float(second), 200.0) for second in range(300)]]
    section = Section("soak", "Soak", "About.", soak.COLUMNS)
    soak._publish(world.context, section, world, log, ["1 s nothing"], ["a"], 0)
    assert [goal.met for goal in section.goals] == [False, False, False, True, True, True]
    assert section.rows[-1][:7] == ["all", "3", "2", "0", "0", "0", "1"]
    page = world.context.results.read_text(encoding="utf-8")
    assert "1 wrong: the bundle's answer is another" in page and "1 neither answered nor told: passing: cut (OSError)" in page


def test_areas_are_the_first_part_of_intents() -> None:
    rows = shop.areas("test", "a1-")
    assert len(rows) == 578 and {label for _, label in rows} > {"a1-delivery", "out_of_scope"}
    assert all("/" not in label for _, label in rows)
