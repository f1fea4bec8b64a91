"""A decoder that fills in fields, behind the faces: each request has a slot of the engine's from when it comes until it is answered or
given up, and the answer is that of the bundle by itself."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.eventually import eventually

from smidgen.bundles.open import open_bundle
from smidgen.bundles.pack import pack
from smidgen.flows.local_model import load

from .conftest import Running, running

NOTE = "it says nothing of when the parcel should come, nor of where it should go. " * 2
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"colour": {"type": "string", "enum": ["red", "blue"]}, "note": {"type": "string", "enum": [NOTE.strip()]}},
    "required": ["colour", "note"],
    "additionalProperties": False,
}
TEXTS = ["A red ball, please.", "The blue one.", "Any lamp.", "Is there a blue rug?"]


@pytest.fixture(scope="module")
def server(writer_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The starter decoder, held to a schema whose answers take some seconds; two slots."""
    manifest = open_bundle(writer_bundle).manifest
    options = {**manifest.engine.options, "schema_of_answers": SCHEMA, "max_tokens": 300, "context": 1024}
    form = {"schema": SCHEMA, "derived": False, "instruction": "Fill in.", "temperature": 2.0, "shift": 0.5}
    changed = {"name": "orders", "task": "extract", "form": form, "headline": "f1"}
    engine = manifest.engine.model_copy(update={"options": options})
    folder = tmp_path_factory.mktemp("fields") / "orders"
    pack(writer_bundle, manifest.model_copy(update={**changed, "engine": engine}), folder)
    with running(load(folder, threads=1), request_seconds=600) as at_work:
        yield at_work


def asked(server: Running) -> int:
    """The requests that the engine has, being written or in line."""
    return len(server.model.runner._process._child._boxes)


def ask(server: Running, text: str, **more: Any) -> httpx.Response:
    body = {"messages": [{"role": "user", "content": text}]}
    return server.client.post("/v1/chat/completions", json=body, **more)


def waiting(server: Running) -> bool:
    return 'smidgen_queue_texts{model="orders"} 0.0' not in server.client.get("/metrics").text


def test_one_that_comes_while_another_is_written_is_written_beside_it(server: Running) -> None:
    assert server.model.at_once == 0 and server.model.slots == 2
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(ask, server, TEXTS[0])
        eventually(lambda: asked(server) == 1)
        second = pool.submit(ask, server, TEXTS[1])
        eventually(lambda: asked(server) == 2)
        assert not first.done()
        third = pool.submit(ask, server, TEXTS[2])
        replies = [future.result() for future in (first, second, third)]
    assert [reply.status_code for reply in replies] == [200] * 3 and not waiting(server)


def test_the_answers_are_those_of_the_bundle_by_itself(server: Running) -> None:
    texts = TEXTS[:3]  # one more than there are slots
    wanted = [server.model.predict([text])[0] for text in texts]
    results = server.post("/v1/classify", {"input": texts}).json()["results"]
    assert [one["output"] for one in results] == [reply.output for reply in wanted]
    assert [one["score"] for one in results] == pytest.approx([reply.score for reply in wanted], abs=0.05)
    assert [one["facts"] for one in results] == [dict(reply.facts) for reply in wanted]
    reply = ask(server, TEXTS[0]).json()
    assert json.loads(reply["choices"][0]["message"]["content"]) == wanted[0].output
    assert reply["smidgen"]["score"] == pytest.approx(wanted[0].score, abs=1e-3) and 0 < wanted[0].score < 1
    refused = ask(server, "lamp " * 1100).json()["choices"][0]["message"]
    assert refused["content"] is None and "too long" in refused["refusal"]


def test_a_client_that_hangs_up_frees_its_slot(server: Running) -> None:
    whole = ask(server, TEXTS[0]).elapsed.total_seconds()
    with ThreadPoolExecutor(2) as pool:
        gone = [pool.submit(ask, server, text, timeout=whole / 3) for text in TEXTS[1:3]]
        eventually(lambda: asked(server) == 2)
        for future in gone:
            with pytest.raises(httpx.ReadTimeout):
                future.result()
    assert eventually(lambda: asked(server) == 0) < whole / 3, "what nobody waits for is not written to its end"
    assert not waiting(server) and ask(server, TEXTS[3]).status_code == 200


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_dead_process_costs_its_requests_and_starts_again(
    server: Running, error: Callable[[httpx.Response, int], dict[str, Any]]
) -> None:
    with ThreadPoolExecutor(1) as pool:
        failing = pool.submit(ask, server, TEXTS[0])
        eventually(lambda: asked(server) == 1)
        os.kill(server.model.runner.pid, signal.SIGKILL)
        found = failing.result()
    assert error(found, 503)["code"] == "engine_unavailable" and found.headers["retry-after"] == "1"
    assert ask(server, TEXTS[0]).status_code == 200
