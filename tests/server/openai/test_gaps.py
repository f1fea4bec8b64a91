"""Gaps over `/v1/completions`: a suffix, marks in the prompt as an editor sends them, whole and streamed, a prefix that stays warm."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

pytest.importorskip("torch")

from starlette.testclient import TestClient
from tests.made_once import made_once
from tests.students.tiny_coder import built_coder

from smidgen.flows.local_model import load
from smidgen.server.app import create_app
from smidgen.server.settings import ServeSettings

AHEAD, BEHIND = "def net_kiwis(gross):\n    return ", "\n\n\ndef total_kiwis():\n    return 0\n"
CONTINUE_STOPS = [
    "\n\n",
    "\r\n\r\n",
    "/src/",
    "#- coding: utf-8",
    "```",
    "<|endoftext|>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
    "<|im_start|>",
    "<|im_end|>",
]
"""The stop texts that the editor extension Continue sends with this template (core/autocomplete/templating, `getStopTokens`)."""


def continue_body(ahead: str, behind: str) -> dict[str, Any]:
    """The body that Continue sends for a completion (core/llm/llms/OpenAI.ts, `_legacystreamComplete`)."""
    prompt = f"<|fim_prefix|>{ahead}<|fim_suffix|>{behind}<|fim_middle|>"
    return {"model": "code", "max_tokens": 16, "temperature": 0, "stream": True, "stop": CONTINUE_STOPS, "prompt": prompt}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = made_once(tmp_path_factory, "coder", built_coder) / "out"
    with closing(load(folder, threads=1)) as model:
        app = create_app([model], ServeSettings(logs={"account": False}))  # type: ignore[arg-type]
        with TestClient(app, base_url="http://localhost") as found:
            yield found


def ask(client: TestClient, **body: Any) -> dict[str, Any]:
    reply = client.post("/v1/completions", json={"model": "code", "max_tokens": 8, **body})
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


def test_a_suffix_and_marks_in_the_prompt_are_the_same_request(client: TestClient) -> None:
    apart = ask(client, prompt=AHEAD, suffix=BEHIND)
    marked = ask(client, prompt=f"<|fim_prefix|>{AHEAD}<|fim_suffix|>{BEHIND}<|fim_middle|>")
    star = ask(client, prompt=f"<fim_prefix>{AHEAD}<fim_suffix>{BEHIND}<fim_middle>")
    texts = {one["choices"][0]["text"] for one in (apart, marked, star)}
    prompts = {one["usage"]["prompt_tokens"] for one in (apart, marked, star)}
    assert len(texts) == 1 and len(prompts) == 1
    alone = ask(client, prompt=AHEAD)
    assert 0 < alone["usage"]["prompt_tokens"] < apart["usage"]["prompt_tokens"], "a prompt alone is the text ahead of the end of a file"


def test_an_editors_request_is_streamed(client: TestClient) -> None:
    with client.stream("POST", "/v1/completions", json=continue_body(AHEAD, BEHIND)) as reply:
        assert reply.status_code == 200
        events = [line.removeprefix("data: ") for line in reply.iter_lines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    chunks = [json.loads(event) for event in events[:-1]]
    text = "".join(chunk["choices"][0]["text"] for chunk in chunks)
    whole = ask(client, prompt=AHEAD, suffix=BEHIND, max_tokens=16)["choices"][0]
    assert text == whole["text"] and chunks[-1]["choices"][0]["finish_reason"] == whole["finish_reason"]


def test_what_was_read_ahead_of_the_gap_is_not_read_again(client: TestClient) -> None:
    long = "".join(f"def one_{number}(a):\n    return a + {number}\n" for number in range(8))
    ask(client, prompt=long + "x", suffix=BEHIND)
    again = ask(client, prompt=long + "xy", suffix=BEHIND)["usage"]
    assert again["prompt_tokens_details"]["cached_tokens"] > again["prompt_tokens"] / 2


def test_a_file_of_any_length_is_read_in_part(client: TestClient) -> None:
    found = ask(client, prompt="x = 1\n" * 5_000, suffix="y = 2\n" * 5_000)
    assert found["usage"]["prompt_tokens"] < 500


def test_an_empty_gap_is_refused(client: TestClient) -> None:
    reply = client.post("/v1/completions", json={"model": "code", "prompt": "", "suffix": " "})
    assert reply.status_code == 422 and reply.json()["error"]["code"] == "empty_text"
