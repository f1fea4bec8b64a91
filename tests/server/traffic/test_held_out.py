"""Texts that are held out always escalate where that is asked for, by the text as it came, and are stored on that side."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from tests.certified_bundle import answer, text
from tests.server.gateway.test_auditor import right
from tests.server.gateway.test_certified import CHAT, PATIENCE, asking, certify
from tests.server.traffic.test_capture import rows
from tests.upstream_stub import UpstreamStub

from smidgen.cli import main
from smidgen.core.errors import InputError
from smidgen.flows.local_model import Model
from smidgen.store.traffic.store import opened

ASIDE = {"capture": "answers", "capture_redact": "allow", "capture_held_out": 0.3, "held_out_aside": True, "audit_share": 0.0}


@pytest.fixture
def gateway(serve: Any, upstream: UpstreamStub, model: Model) -> Callable[..., Any]:
    def start(**settings: Any) -> Any:
        upstream.answer = right
        return serve(model, patience=PATIENCE, **{"fallback": (upstream.url,), "fallback_model": ("big",), **ASIDE, **settings})

    return start


def test_what_is_held_out_escalates_and_says_so_and_the_rest_is_answered(gateway: Any, model: Model) -> None:
    paper = certify(model)
    running = gateway()
    asked = [text(3, number) for number in range(40)]
    found = {said: running.post(CHAT, asking(said)) for said in asked}
    with opened() as store:
        held = {said for said in asked if store.holds_out(said)}
    assert 4 <= len(held) <= 22
    for said, reply in found.items():
        assert reply.json()["choices"][0]["message"]["content"] == answer(3)
        assert reply.headers["x-smidgen-answered-by"] == ("upstream" if said in held else "local")
        assert reply.headers.get("x-smidgen-escalated") == ("held out (its text is kept to measure on)" if said in held else None)
        assert reply.headers["x-smidgen-certificate"] == paper.id
    stored = {row["input"]: (row["answered_by"], row["held_out"], row["why"]) for row in rows(count=40)}
    assert stored == {said: ("upstream", 1, "held out") if said in held else ("local", 0, "") for said in asked}
    with opened() as store:
        pairs = list(store.pairs("support", None))
    assert {pair.input for pair in pairs} == held and all(pair.held_out and pair.why == "held out" for pair in pairs)


def test_without_the_option_it_is_answered(gateway: Any, model: Model) -> None:
    certify(model)
    running = gateway(held_out_aside=False)
    assert {running.post(CHAT, asking(text(3, number))).headers["x-smidgen-answered-by"] for number in range(20)} == {"local"}


def test_the_side_is_that_of_the_text_as_it_came(gateway: Any, model: Model) -> None:
    """What is stored is another text, which by itself might fall on the other side."""
    certify(model)
    running = gateway(capture_redact="mask", threads=1)
    asked = [f"{text(3, number)} Margaret Holloway" for number in range(12)]
    by = {said: running.post(CHAT, asking(said)).headers["x-smidgen-answered-by"] for said in asked}
    assert set(by.values()) == {"local", "upstream"}
    for row in rows(count=12):
        said = row["input"].replace("[PERSON_1]", "Margaret Holloway")
        assert row["altered"] and row["held_out"] == (by[said] == "upstream")


@pytest.mark.parametrize("lacks", [{"capture": "off"}, {"capture_held_out": 0.0}])
def test_it_is_refused_where_nothing_is_held_out(gateway: Any, model: Model, lacks: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        gateway(**lacks)


def test_the_command_says_what_it_lacks(capsys: pytest.CaptureFixture[str], certified_bundle: Any) -> None:
    assert main.code(["serve", str(certified_bundle), "--held-out-aside"]) == 2
    assert "--fallback" in capsys.readouterr().err
    flags = ["--fallback", "http://127.0.0.1:9/v1", "--fallback-model", "big", "--held-out-aside"]
    assert main.code(["serve", str(certified_bundle), *flags]) == 2
    assert "--capture answers" in capsys.readouterr().err and os.environ["SMIDGEN_HOME"]
