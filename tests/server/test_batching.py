"""Micro-batches: that they form, keep order, and keep one bad text from hurting its neighbours."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from smidgen.server.models import Batcher


def test_concurrent_requests_are_answered_together(serve, word_model):
    model = word_model()
    server = serve(model, max_batch=8)
    model.gate.clear()
    texts = [["shipping", "refund", "charge"][number % 3] for number in range(21)]
    with ThreadPoolExecutor(21) as pool:
        first = pool.submit(server.post, "/v1/classify", {"input": texts[0]})
        assert model.entered.wait(10)
        rest = [pool.submit(server.post, "/v1/classify", {"input": text}) for text in texts[1:]]
        while 'smidgen_queue_texts{model="support"} 21.0' not in server.client.get("/metrics").text:
            pass
        model.gate.set()
        replies = [future.result() for future in (first, *rest)]
    outputs = [reply.json()["results"][0]["output"] for reply in replies]
    wanted = {"shipping": "shipping", "refund": "billing/refund", "charge": "billing/charge"}
    assert outputs == [wanted[text] for text in texts]
    assert model.batches == [1, 8, 8, 4]
    metrics = server.client.get("/metrics").text
    assert 'smidgen_batch_texts_bucket{le="1.0",model="support"} 1.0' in metrics
    assert 'smidgen_batch_texts_bucket{le="8.0",model="support"} 4.0' in metrics
    assert 'smidgen_queue_texts{model="support"} 0.0' in metrics


def test_a_lone_request_goes_at_once(serve):
    server = serve()
    for text in ("shipping", "refund"):
        assert server.post("/v1/classify", {"input": text}).status_code == 200
    assert server.model.batches == [1, 1]


def test_a_large_request_is_split_and_keeps_order(serve):
    server = serve(max_batch=4)
    texts = ["shipping", "refund", "charge", "refund", "refund", "shipping"]
    reply = server.post("/v1/classify", {"input": texts, "top_k": 2}).json()
    assert [one["index"] for one in reply["results"]] == list(range(6))
    assert [one["output"].rpartition("/")[2] for one in reply["results"]] == texts
    assert all(len(one["alternatives"]) == 1 for one in reply["results"])
    assert server.model.seen == texts and sum(server.model.batches) == 6 and max(server.model.batches) <= 4


def test_one_bad_text_costs_its_neighbours_nothing(serve, word_model):
    model = word_model()
    server = serve(model)
    model.gate.clear()
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(server.post, "/v1/classify", {"input": "shipping"})
        assert model.entered.wait(10)
        rest = [pool.submit(server.post, "/v1/classify", {"input": text}) for text in ("refund", "broken", "charge")]
        while 'smidgen_queue_texts{model="support"} 4.0' not in server.client.get("/metrics").text:
            pass
        model.gate.set()
        assert [future.result().status_code for future in (first, *rest)] == [200, 200, 500, 200]
    assert model.batches == [1, 3, 1, 1, 1]
    assert server.post("/v1/classify", {"input": "refund"}).status_code == 200


def test_pairs(serve, word_model):
    model = word_model()
    model.manifest = type("Manifest", (), {"columns": type("Columns", (), {"input": ("question", "passage")})})
    server = serve(model)
    reply = server.post("/v1/classify", {"input": [["a refund", "b"], ["c", "shipping"]]}).json()
    assert [one["output"] for one in reply["results"]] == ["billing/refund", "shipping"]
    content = [{"type": "text", "text": "a"}, {"type": "text", "text": "refund"}]
    assert server.post("/v1/chat/completions", {"messages": [{"role": "user", "content": content}]}).status_code == 200
    assert model.seen == [("a refund", "b"), ("c", "shipping"), ("a", "refund")]
    assert server.post("/v1/classify", {"input": "refund"}).json()["error"]["code"] == "wrong_input"


def test_multi_label(serve, word_model):
    server = serve(word_model(multi_label=True))
    (one,) = server.post("/v1/classify", {"input": "refund of shipping"}).json()["results"]
    assert one["output"] == ["billing/refund", "shipping"]
    assert one["content"] == '["billing/refund", "shipping"]'
    assert 'label="shipping",model="support"} 1.0' in server.client.get("/metrics").text


def test_metrics_count_answers(serve):
    server = serve()
    server.post("/v1/classify", {"input": ["shipping", "shipping", "refund"]})
    server.client.get("/nowhere")
    metrics = server.client.get("/metrics").text
    for line in (
        'smidgen_answers_total{label="shipping",model="support"} 2.0',
        'smidgen_answers_total{label="billing/refund",model="support"} 1.0',
        'smidgen_answer_score_count{model="support"} 3.0',
        'smidgen_requests_total{method="POST",route="/v1/classify",status="200"} 1.0',
        'smidgen_requests_total{method="other",route="other",status="404"} 1.0',
        'smidgen_request_seconds_count{route="/v1/classify"} 1.0',
        'smidgen_model_info{bundle="0123456789ab",model="support",task="classify"} 1.0',
    ):
        assert re.search(rf"^{re.escape(line)}$", metrics, re.MULTILINE), line


def test_closing_answers_what_waits(word_model):
    async def go():
        batcher = Batcher("words", word_model().predict, max_batch=2, max_queue=10)
        asked = [asyncio.create_task(batcher.ask([text], 10)) for text in ("shipping", "refund", "charge")]
        await asyncio.sleep(0)
        await asyncio.to_thread(batcher.close)
        replies = [reply.output for task in asked for reply in await task]
        assert replies == ["shipping", "billing/refund", "billing/charge"]
        assert batcher.depth == 0 and not batcher.alive
        with pytest.raises(Exception, match="the server is stopping"):
            await batcher.ask(["refund"], 10)

    asyncio.run(go())


def test_cancelling_gives_up_the_place(word_model):
    async def go():
        model = word_model()
        model.gate.clear()
        batcher = Batcher(model.name, model.predict, max_batch=1, max_queue=3)
        asked = [asyncio.create_task(batcher.ask([text], 10)) for text in ("shipping", "refund", "charge")]
        await asyncio.sleep(0)
        assert batcher.depth == 3
        asked[1].cancel()
        await asyncio.sleep(0)
        assert batcher.depth == 2
        model.gate.set()
        assert (await asked[0])[0].output == "shipping" and (await asked[2])[0].output == "billing/charge"
        assert model.seen == ["shipping", "charge"]
        batcher.close()

    asyncio.run(go())


def test_memory_of_a_shared_engine_counts_once(serve, word_model):
    sleeper = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    try:
        models = [word_model(name) for name in ("one", "two", "three")]
        for model in models[:2]:
            model.pid = sleeper.pid
        server = serve(*models)
        lines = [line for line in server.client.get("/metrics").text.splitlines() if line.startswith("smidgen_resident_memory_bytes{")]
        if sys.platform == "linux":
            assert [line.rpartition(" ")[0] for line in lines] == [
                'smidgen_resident_memory_bytes{model="",process="server"}',
                'smidgen_resident_memory_bytes{model="one,two",process="engine"}',
            ]
    finally:
        sleeper.communicate()
    lines = [line for line in server.client.get("/metrics").text.splitlines() if line.startswith("smidgen_resident_memory_bytes{")]
    assert len(lines) == (1 if sys.platform == "linux" else 0), "a process that has ended holds nothing"
