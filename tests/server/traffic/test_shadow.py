"""Before there is a small model, over real HTTP: what passes is stored, its jobs are found, one is built, and then it is served."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import shutil
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests import commands
from tests.eventually import eventually
from tests.server.conftest import running
from tests.server.gateway.test_certified import CHAT, PATIENCE
from tests.server.traffic.test_capture import rows
from tests.upstream_stub import Said, Seen, UpstreamStub, upstream_stub

from smidgen.cli.main import code
from smidgen.core.errors import InputError
from smidgen.flows.learn.cycle import LearnResult, learn
from smidgen.flows.learn.settings import LearnSettings, LineCertificateSettings
from smidgen.flows.local_model import load
from smidgen.gateway import certificate as papers
from smidgen.gateway.route import RequestedModel
from smidgen.server.gateway.routing import JobMatcher, job_matcher
from smidgen.store import usage_records
from smidgen.store.line import Line
from smidgen.store.traffic.store import opened

LUNA = "gpt-6-luna"
SORT = "Sort the message of a customer. Answer with one word."
NAME = "Name the customer as JSON."
WORDS = {
    "billing": ("invoice", "charged", "receipt", "payment"),
    "delivery": ("parcel", "courier", "tracking", "shipped"),
    "returns": ("refund", "exchange", "broken", "label"),
}
FILLER = ("please", "hello", "urgent", "today", "again", "order", "with", "about")


def message(number: int) -> tuple[str, str]:
    """A message that differs from all others, and its label."""
    rng = random.Random(number)
    label = sorted(WORDS)[number % 3]
    said = [rng.choice(WORDS[label]), *rng.sample(FILLER, 3), f"n{number}"]
    rng.shuffle(said)
    return " ".join(said), label


def asking(text: str, system: str = "", name: str = LUNA) -> dict[str, Any]:
    before = [{"role": "system", "content": system}] if system else []
    return {"model": name, "messages": [*before, {"role": "user", "content": text}]}


def whole(said: str) -> Said:
    body = {
        **{"id": "c", "object": "chat.completion", "created": 1, "model": LUNA},
        "choices": [{"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 40, "completion_tokens": 2, "total_tokens": 42},
    }
    return Said(body=json.dumps(body).encode())


def answering(seen: Seen) -> Said:
    """A large model that does as it is told."""
    messages = json.loads(seen.body)["messages"]
    text, system = messages[-1]["content"], messages[0]["content"]
    if system == SORT:
        return whole(next((label for label, words in WORDS.items() if any(word in text.split() for word in words)), "other"))
    return whole(json.dumps({"customer": text.split()[-1], "said": text}) if system == NAME else f"You said: {text}. Tell me more.")


@dataclass
class Shadow:
    """What was learnt from shadow mode: the large model, the line, what `traffic --jobs` said before, what the learning came to."""

    upstream: UpstreamStub
    line: Line
    jobs: dict[str, Any]
    done: LearnResult


@pytest.fixture(scope="module")
def shadow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shadow]:
    """270 requests of the first job, 30 of the second, 24 of no job, through a gateway without any bundle; then a line is built of the
    first."""
    folder = tmp_path_factory.mktemp("shadow")
    with pytest.MonkeyPatch.context() as patch, upstream_stub() as upstream:
        patch.setenv("SMIDGEN_HOME", str(folder / "home"))
        patch.delenv("SMIDGEN_TRAFFIC_URL", raising=False)
        # Every line and every store draw their held-out rows by the same key: how many there are decides what can be certified.
        patch.setattr("smidgen.store.line.secrets.token_hex", lambda count: "5a" * count)
        upstream.answer = answering
        asked = [asking(message(number)[0], SORT) for number in range(270)]
        asked += [asking(message(number)[0], NAME) for number in range(300, 330)]
        asked += [asking(message(number)[0]) for number in range(400, 424)]
        random.Random(0).shuffle(asked)
        settings = {"fallback": (upstream.url,), "fallback_model": (LUNA,), "capture": "answers", "capture_redact": "allow"}
        with running(patience=PATIENCE, capture_held_out=0.5, **settings) as gateway:
            for body in asked:
                assert gateway.post(CHAT, body).headers["x-smidgen-answered-by"] == "upstream"
            rows(count=len(asked))
        found = json.loads(_printed("traffic", "--jobs", "--json"))
        id = next(job["id"] for job in found["jobs"] if job["task"] == "classify")
        wanted = LearnSettings(
            job=(id,),
            override=("student.kind=linear", "gate.max_loss=0.1", "gate.min_agreement=0.9"),
            certificate=LineCertificateSettings(alpha=0.1),
            threads=1,
        )
        done = learn(folder / "tickets", wanted)
        yield Shadow(upstream, Line(folder / "tickets"), found, done)


def _printed(*command: str) -> str:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert code(list(command)) == 0
    return said.getvalue()


def test_jobs_are_found_named_counted_and_foreseen(shadow: Shadow) -> None:
    sort, name, chat = shadow.jobs["jobs"]
    assert [job["tally"]["requests"] for job in (sort, name, chat)] == [270, 30, 24]
    assert (sort["task"], name["task"], chat["task"]) == ("classify", "extract", None)
    assert set(sort["answers"]["labels"]) == set(WORDS) and name["answers"]["fields"].keys() == {"customer", "said"}
    assert sort["tally"]["asked"] == {LUNA: 270} and sort["tally"]["cost_usd"] > 0 and sort["tally"]["unpriced"] == 0
    assert sort["month"] is None  # seconds are no month
    assert "no words in common" in chat["why"]
    seen = sort["forecast"]
    assert seen["agreement"] > 0.9 and (seen["share"] or seen["more"]) and seen["n"] < 200
    assert name["forecast"]["share"] is None


def test_the_line_learns_from_its_job_alone(shadow: Shadow) -> None:
    pointer = shadow.line.read()
    assert shadow.done.promoted, shadow.done.why
    assert [job.id for job in pointer.jobs] == [shadow.jobs["jobs"][0]["id"]]
    sides = shadow.done.rows
    assert sides["learning"] + sides["choosing"] + sides["certifying"] == 270 and sides["sources"] == {"upstream": sides["learning"]}
    assert shadow.done.certification is not None and shadow.done.certification.certificate is not None, shadow.done.why


def test_under_its_name_and_taken_for_its_job_it_is_served_by_its_certificate(shadow: Shadow) -> None:
    upstream = shadow.upstream
    before = len(upstream.seen)
    with closing(load(shadow.line.folder, 1)) as model:
        settings = {"fallback": (upstream.url,), "fallback_model": (LUNA,), "take": True, "audit_share": 0.0}
        settings |= {"capture": "answers", "capture_redact": "allow"}
        with running(model, patience=PATIENCE, when_upstream_fails="local", **settings) as gateway:

            def who(body: dict[str, Any]) -> tuple[str, str, str]:
                found = gateway.post(CHAT, body)
                said = found.json()["choices"][0]["message"]["content"] if found.status_code == 200 else str(found.status_code)
                return found.headers["x-smidgen-answered-by"], found.headers["x-smidgen-model"], said

            texts = [message(number) for number in range(1000, 1030)]
            named = [who(asking(text, SORT, "tickets")) for text, _ in texts]
            assert sum(by == "local" for by, _, _ in named) > 15
            assert all(said == label for (by, _, said), (_, label) in zip(named, texts, strict=True) if by == "local")
            # Under the large model's name the same: its words to the system say which job it is.
            taken = [who(asking(text, SORT)) for text, _ in texts]
            assert [by for by, _, _ in taken] == [by for by, _, _ in named]
            assert {model for by, model, _ in taken if by == "local"} == {"tickets"}
            sure = texts[[by for by, _, _ in named].index("local")][0]
            assert who(asking(sure, SORT + " "))[0] == "upstream"
            assert who(asking(sure))[0] == "upstream"
            assert who({**asking(sure, SORT), "tools": [{"type": "function", "function": {"name": "f"}}]})[0] == "upstream"
            # One that the line may not answer goes on under the name that it has.
            odd = "zzz qqq xxx"
            assert who(asking(odd, SORT)) == ("upstream", LUNA, "other")
            assert upstream.bodies[-1] == asking(odd, SORT)
            upstream.answer = lambda seen: Said(status=500)
            # Nor does it answer without a certificate what names another model.
            failed = gateway.post(CHAT, asking(odd, SORT))
            assert failed.status_code >= 500 and failed.headers["x-smidgen-answered-by"] == "none"
            assert gateway.post(CHAT, asking(odd, SORT, "tickets")).headers["x-smidgen-uncertified"] == "upstream failed"
            upstream.answer = answering
            stored = rows(count=324 + 65)
    local = [row for row in stored if row["answered_by"] == "local" and row["asked"] == LUNA]
    assert len(local) == sum(by == "local" for by, _, _ in taken)
    assert {row["bundle_id"] for row in local} == {shadow.line.read().champion} and all(row["tokens_out"] for row in local)
    assert len(upstream.seen) > before


def test_a_job_that_the_champions_certificate_never_saw_is_not_taken(
    shadow: Shadow, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line has taken it up, and goes on with a champion from before."""
    assert shadow.done.certification is not None and shadow.done.certification.certificate is not None
    (job,) = shadow.line.read().jobs
    assert shadow.done.certification.certificate.calibration.jobs == (job.scope,)
    shutil.copytree(shadow.line.folder, tmp_path / "tickets")
    line = Line(tmp_path / "tickets")
    champion = line.version(line.read().champion or "")
    known = papers.read(papers.place(champion))
    other = known.calibration.model_copy(update={"jobs": (job.model_copy(update={"begins": "Sort this: "}).scope,)})
    papers.write(known.model_copy(update={"calibration": other}).signed(), champion)
    shadow.upstream.answer = answering
    with closing(load(line.folder, 1)) as model:
        settings = {"fallback": (shadow.upstream.url,), "fallback_model": (LUNA,), "take": True, "audit_share": 0.0}
        with running(model, patience=PATIENCE, **settings) as gateway:
            named = [gateway.post(CHAT, asking(message(number)[0], SORT, "tickets")) for number in range(3000, 3010)]
            assert "local" in [found.headers["x-smidgen-answered-by"] for found in named], "who names the line has its certificate"
            for number in range(3000, 3010):
                found = gateway.post(CHAT, asking(message(number)[0], SORT))
                assert found.headers["x-smidgen-answered-by"] == "upstream" and found.headers["x-smidgen-escalated"].startswith("job")
                assert shadow.upstream.bodies[-1]["model"] == LUNA
    assert code(["learn", str(line.folder)]) == 0
    shown = capsys.readouterr().out
    assert 'model="tickets" in place of' in shown and "--take" not in shown


def test_an_audit_of_what_was_taken_costs_what_the_model_that_was_named_costs(shadow: Shadow) -> None:
    shadow.upstream.answer = answering
    with closing(load(shadow.line.folder, 1)) as model:
        settings = {"fallback": (shadow.upstream.url,), "fallback_model": (LUNA,), "take": True, "audit_share": 1.0}
        with running(model, patience=PATIENCE, **settings) as gateway:
            by = [gateway.post(CHAT, asking(message(number)[0], SORT)).headers["x-smidgen-answered-by"] for number in range(2000, 2010)]
            eventually(lambda: 'smidgen_audits_total{model="tickets"' in gateway.client.get("/metrics").text)
    assert "local" in by
    audits = [entry for key, entry in usage_records.read("").entries.items() if key.model == "tickets" and key.by == "audit"]
    assert sum(entry.read for entry in audits) > 0 and sum(entry.unpriced for entry in audits) == 0
    assert sum(entry.spent for entry in audits) > 0


def test_commands_say_what_comes_next(shadow: Shadow, capsys: pytest.CaptureFixture[str]) -> None:
    assert code(["traffic", "--jobs"]) == 0
    shown = capsys.readouterr().out
    for said in (
        "classify?",
        "3 labels:",
        "its system prompt",
        "unknown: less than a day is stored",
        "smidgen learn my-line --job",
    ):
        assert said in shown
    assert code(["learn", str(shadow.line.folder)]) == 0
    shown = capsys.readouterr().out
    assert f'model="tickets" in place of model="{LUNA}"' in shown and "--take" in shown
    assert code(["traffic", "--jobs", "--delete-older", "3"]) == 2
    assert code(["learn", str(shadow.line.folder), "--job", "ffffffff"]) == 2
    assert "no recurring job has this id" in capsys.readouterr().err.replace("\n", " ")


def test_nothing_is_taken_without_a_job_or_for_two_lines_at_once(shadow: Shadow, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no line that is served has a job"):
        job_matcher([])
    (job,) = shadow.line.read().jobs
    assert job.told and not job.model_copy(update={"system": False}).told and not job.model_copy(update={"varies": True}).told
    body = asking(message(1)[0], SORT)
    with opened(make=False) as store:
        one = JobMatcher({"a": [job]}, store.template)
        two = JobMatcher({"a": [job], "b": [job]}, store.template)
    found = one(CHAT, body)
    assert found is not None and (found.bundle, found.names_bundle) == ("a", False)
    assert two(CHAT, body) is None and one(CHAT, {**body, "response_format": {"type": "json_object"}}) is None
    assert one(CHAT, {"messages": body["messages"]}) is None
    assert one("/v1/responses", {"model": LUNA, "input": "hello"}) is None
    # What it may answer is asked of it as of any other.
    assert found.at_least(0.95) == RequestedModel("a", 0.95, names_bundle=False, jobs=frozenset([job.scope]), model=LUNA)
    assert code(["serve", str(shadow.line.folder), "--take"]) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="stop signals are POSIX")
def test_a_server_without_a_bundle_says_at_its_start_what_it_stores(tmp_path: Path) -> None:
    flags = ["--fallback", "http://127.0.0.1:9/v1", "--fallback-model", LUNA, "--port", "0"]
    stored = ["--capture", "answers", "--capture-redact", "allow", "--capture-days", "7"]
    with commands.smidgen("serve", *flags, *stored, environment={**os.environ, "SMIDGEN_HOME": str(tmp_path)}) as running:
        said: list[str] = []
        while not said or "traffic --jobs" not in said[-1]:
            said.append(running.stdout.readline())
            assert said[-1], said
    told = "chat, completions and responses are stored with their answers, with the personal data in them, for 7 days"
    assert any(told in line for line in said)
