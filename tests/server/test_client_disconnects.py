"""Clients that hang up before a model that writes has said anything to them."""

from __future__ import annotations

import json
import socket
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.eventually import eventually

from smidgen.bundles.open import open_bundle
from smidgen.bundles.pack import pack
from smidgen.flows.local_model import load

from .conftest import running


def test_one_whose_prompt_is_being_read_frees_its_place(writer_bundle: Path, tmp_path: Path) -> None:
    """The engine says that it is busy at every 512 tokens that it reads; of a prompt of over 1,536 that is four times or more."""
    manifest = open_bundle(writer_bundle).manifest
    engine = manifest.engine.model_copy(update={"options": {**manifest.engine.options, "context": 2048, "slots": 1}})
    pack(writer_bundle, manifest.model_copy(update={"engine": engine}), tmp_path / "writer")
    with running(load(tmp_path / "writer", threads=1), request_seconds=600) as server:
        child, busy = server.model.runner._process._child, Counter[int]()
        deliver = child._deliver

        def noted(message: dict[str, Any]) -> None:
            busy[message["id"]] += "busy" in message
            deliver(message)

        child._deliver = noted
        body = json.dumps({"messages": [{"role": "user", "content": "word " * 1600}]})
        headers = ("Host: localhost", "Content-Type: application/json", f"Content-Length: {len(body)}", "\r\n")
        with socket.create_connection((urlsplit(server.url).hostname, urlsplit(server.url).port)) as client:
            client.sendall(("\r\n".join(("POST /v1/chat/completions HTTP/1.1", *headers)) + body).encode())
            eventually(lambda: busy.total() == 1)
            ((number, _),) = busy.items()
        eventually(lambda: not child._boxes)
        reply = server.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "word"}], "max_tokens": 1}, timeout=300)
        assert reply.status_code == 200 and busy[number] < 4, "its prompt was not read to the end"
        assert 'smidgen_queue_texts{model="writer"} 0.0' in server.client.get("/metrics").text
