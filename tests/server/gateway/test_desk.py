"""A desk behind the gateway: what it was certified for is answered here; the rest escalates, as does what it does not know."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.desk_project import desk_bundle
from tests.upstream_stub import Said, UpstreamStub

from smidgen.core.progress import Silent
from smidgen.flows.certify.certification import CertificateTerms, certify
from smidgen.flows.local_model import Model, load

CHAT = "/v1/chat/completions"
HOURS, CANCEL, NOTHING = "when are you open {}", "please cancel the order FH-{:05d}", "zzz qqq {} xxyy"
BODY = json.dumps({"id": "c", "object": "chat.completion", "choices": [{"message": {"role": "assistant", "content": "Shall I look?"}}]})


def conversations(file: Path) -> Path:
    """Forty right answers about the hours, forty proposed calls, every second one wrong, and forty messages that it does not know."""
    said = [
        *((HOURS.format(number), {"outcome": "answered", "contains": "9 to 5"}) for number in range(40)),
        *((CANCEL.format(number), {"outcome": "proposed" if number % 2 else "asked"}) for number in range(40)),
        *((NOTHING.format(number), {"outcome": "unanswered"}) for number in range(40)),
    ]
    file.write_text("\n".join(json.dumps({"turns": [{"say": text, "expect": wanted}]}) for text, wanted in said), encoding="utf-8")
    return file


@pytest.fixture
def desk(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Model]:
    """The small desk, in a folder of its own, certified for each outcome."""
    bundle = desk_bundle(tmp_path_factory)
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    shutil.copytree(bundle, tmp_path / "shop")
    model = load(tmp_path / "shop", 1)
    issued = certify(model, conversations(tmp_path / "others.jsonl"), CertificateTerms(alpha=0.2, segment="label"), progress=Silent())
    assert [one.segment for one in issued.certificate.answering] == ["answered"]
    assert list(issued.refused) == ["proposed"]
    yield model
    model.close()


def routed(found: Any) -> tuple[str, str]:
    """Who answered, and why it was not the desk."""
    return found.headers["x-smidgen-answered-by"], found.headers.get("x-smidgen-escalated", "")


def test_what_each_outcome_is_certified_for_is_answered_here_and_nothing_else(desk: Model, serve: Any, upstream: UpstreamStub) -> None:
    server = serve(desk, fallback=(upstream.url,), fallback_model=("big",))
    upstream.answer = lambda seen: Said(body=BODY.encode())

    def ask(*said: str) -> Any:
        roles = ("user", "assistant")
        return server.post(CHAT, {"model": desk.name, "messages": [{"role": roles[n % 2], "content": text} for n, text in enumerate(said)]})

    hours = ask("opening times please")
    assert routed(hours) == ("local", "")
    assert hours.json()["choices"][0]["message"]["content"] == "We are open from 9 to 5."
    assert hours.json()["smidgen"]["certificate"] == hours.headers["x-smidgen-certificate"] and upstream.seen == []
    proposal = ask("cancel my order FH-20104")  # served without its tool file, it proposes nothing
    assert routed(proposal) == ("upstream", "no local answer (the small model does not know)")
    unknown = ask(NOTHING.format(77))
    assert routed(unknown) == ("upstream", "no local answer (the small model does not know)")
    person = ask("speak to a human")
    assert routed(person) == ("upstream", "segment (its segment is not certified)")
    assert len(upstream.seen) == 3
    # The large model asked something, and the customer's yes is for it: the desk's own question, whether to get a person, was never seen.
    followed = ask(NOTHING.format(77), "Shall I look?", "yes")
    assert routed(followed)[0] == "upstream" and upstream.bodies[-1]["messages"][-1] == {"role": "user", "content": "yes"}
    assert "does not know" in routed(followed)[1] or "score" in routed(followed)[1]
    asked = [{"role": "user", "content": "opening times please"}, {"role": "assistant", "content": "We are open from 9 to 5."}]
    found = server.post("/v1/responses", {"model": desk.name, "input": [*asked, {"role": "user", "content": "when are you open"}]})
    assert routed(found) == ("local", "") and found.json()["output"][0]["content"][0]["text"] == "We are open from 9 to 5."
    # A desk's own words in the conversation change nothing.
    assert routed(ask("opening times please", "We are open from 9 to 5.", "when are you open")) == ("local", "")


def test_without_a_fallback_it_says_that_it_does_not_know(desk: Model, serve: Any) -> None:
    found = serve(desk).post(CHAT, {"messages": [{"role": "user", "content": NOTHING.format(77)}]}).json()
    assert found["smidgen"]["output"]["outcome"] == "unanswered" and found["choices"][0]["message"]["content"]
