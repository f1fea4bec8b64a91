"""A bundle that writes, behind the gateway, and the command as a process."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import openai
import pytest
from tests import commands
from tests.server.conftest import running
from tests.upstream_stub import Said, UpstreamStub, chunk, upstream_stub

from smidgen.flows.certify.certificate_status import certificate_subject
from smidgen.flows.local_model import load
from smidgen.gateway import certificate as papers
from smidgen.gateway.certificate import Certificate, CertificateSample, CertifiedSegment, Reference
from smidgen.gateway.certificate_status import CertificateState, CertificateStatus

FRANCE = "What is the capital of France?"


@pytest.fixture
def upstream() -> Iterator[UpstreamStub]:
    with upstream_stub() as stub:
        stub.answer = lambda seen: Said(pieces=[chunk("from above")], headers={"Content-Type": "text/event-stream"})
        yield stub


def paper(model: Any) -> Certificate:
    now = datetime.now(UTC) - timedelta(minutes=1)
    return Certificate(
        id="0" * 31 + "1",
        statement=papers.statement(0.3, 0.05, now + timedelta(days=9)),
        bundle=certificate_subject(model.manifest),
        task="write",
        loss="1 − ROUGE-L of the best reference",
        reference=Reference(kind="gold"),
        alpha=0.3,
        delta=0.05,
        answering=(CertifiedSegment(threshold=0.5, n=1000, answered=700, loss=20.0, bound=0.2),),
        method="betting",
        calibration=CertificateSample(file_sha256="c" * 64, rows_sha256="d" * 64, n=1000),
        created=now,
        valid_until=now + timedelta(days=9),
        smidgen_version="0.1.0",
    )


def test_a_written_text_is_judged_whole_and_then_streamed(
    writer_bundle: Path, upstream: UpstreamStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(writer_bundle, threads=1)
    held = CertificateStatus(CertificateState.VALID, "for this test", paper(model))
    monkeypatch.setattr("smidgen.server.gateway.certificates.status_reader", lambda folder, manifest, large: lambda: held)
    with (
        running(model, fallback=(upstream.url,), fallback_model=("big",)) as gateway,
        openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="k", max_retries=0) as client,
    ):

        def asked(**more: Any) -> tuple[str, str, str]:
            raw = client.chat.completions.with_raw_response.create(
                model="writer", messages=[{"role": "user", "content": FRANCE}], stream=True, **more
            )
            said = "".join(one.choices[0].delta.content or "" for one in raw.parse() if one.choices)
            return raw.headers["x-smidgen-answered-by"], raw.headers.get("x-smidgen-escalated", ""), said

        assert asked() == ("local", "", "The capital of France is Paris.")
        who, why, _ = asked(temperature=1.3, seed=1)
        assert who == "upstream" and why.startswith("score (it has none: drawn by chance")
        who, why, _ = asked(max_tokens=3)
        assert who == "upstream" and why == "no local answer (max_tokens cuts it short)"
        who, why, _ = asked(stop=["zebra"])
        assert who == "upstream" and why == "request (the field stop)"
        assert asked(max_tokens=400) == ("local", "", "The capital of France is Paris.")
        # It was measured within fewer tokens than this text needs: then it was cut, and counted as wrong.
        monkeypatch.setattr(model.runner, "options", model.runner.options.model_copy(update={"max_tokens": 5}))
        assert asked()[:2] == ("upstream", "score (it is under the certificate's threshold)")
        assert asked(max_tokens=400)[:2] == ("upstream", "score (it has none: it took more than the 5 tokens that it was measured within)")
        who, why, _ = asked(max_completion_tokens=400)
        assert who == "upstream" and why.startswith("score (it has none: it took more")
    assert [body["model"] for body in upstream.bodies] == ["big"] * 6


def test_a_text_has_a_score_within_exactly_the_tokens_that_it_was_measured_within(
    writer_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its end needs a token, too. Who has no certificate may still ask for more."""
    with closing(load(writer_bundle, threads=1)) as model:
        *_, free = model.write(FRANCE, max_tokens=400)
        tokens = free.facts["tokens"]
        assert "unscored" not in free.facts and free.score > 0 and free.facts["finished"]
        options = model.runner.options
        seen = []
        for own in (tokens + 1, tokens, tokens - 1):
            monkeypatch.setattr(model.runner, "options", options.model_copy(update={"max_tokens": own}))
            (measured,) = model.predict([FRANCE])
            *_, more = model.write(FRANCE, max_tokens=400)
            assert more.output == free.output and more.facts["finished"]
            seen.append((measured.facts["finished"], "unscored" not in more.facts, more.score > 0))
        assert seen == [(True,) * 3, (False,) * 3, (False,) * 3]


@pytest.mark.skipif(sys.platform == "win32", reason="stop signals are POSIX")
def test_the_command_is_a_gateway_without_a_bundle_and_its_log_has_no_key(upstream: UpstreamStub) -> None:
    flags = ["--fallback", upstream.url, "--fallback-model", "big", "--port", "0", "--json"]
    with commands.smidgen("serve", *flags, environment={**os.environ, "SMIDGEN_FALLBACK_KEY": "key-1"}) as process:
        ready = process.ready()
        assert ready["models"] == []
        with openai.OpenAI(base_url=f"{ready['url']}/v1", api_key="mine", max_retries=0) as client:
            pieces = client.chat.completions.create(model="gpt-x", messages=[{"role": "user", "content": FRANCE}], stream=True)
            assert [piece.choices[0].delta.content for piece in pieces] == ["from above"]
        assert process.stop() == 0
        assert upstream.seen[0].headers["authorization"] == "Bearer key-1"
        assert "POST /v1/chat/completions 200" in process.log and "key-1" not in process.log and FRANCE not in process.log
