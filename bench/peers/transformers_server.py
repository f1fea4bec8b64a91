"""Peer: a `transformers` text-classification pipeline (f32) behind FastAPI.

Two ways, both measured, and the faster one is what smidgen is compared with:
- threadpool: a plain `def` endpoint that calls the pipeline, as most people write it; FastAPI runs it in its pool of threads.
- queue: one worker that takes what waits, at most 32 texts, and calls the pipeline once, as the guide of transformers advises.

With `--time FILE` it serves nothing: it times the pipeline in process and prints one JSON object.
Runs in an environment of its own and imports nothing of smidgen.
"""

import argparse
import asyncio
import json
import statistics
import threading
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

MAX_BATCH = 32


def load(folder: Path, labels: int | None):
    """The pipeline. A base without a classification head gets a fresh one of `labels` outputs: the same work, no use of the answers."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

    config = {"num_labels": labels} if labels else {}
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32, **config)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.model_max_length = 128
    return pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")


def application(classify, mode: str):
    """The FastAPI application around a pipeline."""
    from fastapi import FastAPI
    from pydantic import BaseModel

    class Ask(BaseModel):
        text: str

    waiting: asyncio.Queue[tuple[str, asyncio.Future[Any]]] = asyncio.Queue()

    async def work() -> None:
        while True:
            jobs = [await waiting.get()]
            while len(jobs) < MAX_BATCH and not waiting.empty():
                jobs.append(waiting.get_nowait())
            answers = await asyncio.to_thread(classify, [text for text, _ in jobs], batch_size=len(jobs), truncation=True)
            for (_, future), answer in zip(jobs, answers, strict=True):
                if not future.done():
                    future.set_result(answer)

    @asynccontextmanager
    async def lifespan(_: FastAPI):
        worker = asyncio.create_task(work())
        yield
        worker.cancel()

    app = FastAPI(lifespan=lifespan)

    @app.get("/readyz")
    def ready() -> dict[str, str]:
        return {"status": "ready"}

    if mode == "threadpool":
        lock = threading.Lock()

        @app.post("/classify")
        def one(ask: Ask) -> dict[str, Any]:
            # The tokenizer of transformers sets its truncation on a shared object and is not safe in several threads at once.
            with lock:
                return classify(ask.text, truncation=True)[0]

    else:

        @app.post("/classify")
        async def queued(ask: Ask) -> dict[str, Any]:
            future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            await waiting.put((ask.text, future))
            return await future

    return app


def timed(classify, texts: list[str], seconds: float, batch: int) -> dict[str, float]:
    """Median and 99th percentile of one text, and texts a second in batches, in process."""
    for text in texts[:10]:
        classify(text, truncation=True)
    took = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(took) < 20:
        began = time.perf_counter()
        classify(texts[len(took) % len(texts)], truncation=True)
        took.append((time.perf_counter() - began) * 1e3)
    took.sort()
    block = [texts[number % len(texts)] for number in range(max(batch * 8, 256))]
    classify(block[:batch], batch_size=batch, truncation=True)
    done, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        classify(block, batch_size=batch, truncation=True)
        done += len(block)
    rate = done / (time.perf_counter() - began)
    return {"p50": statistics.median(took), "p99": took[int(0.99 * (len(took) - 1))], "texts_per_second": rate, "singles": len(took)}


def main() -> None:
    """Serve on loopback, or time in process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, type=Path, help="folder of a fine-tuned classifier, or of the base (then with --labels)")
    parser.add_argument("--labels", type=int, help="outputs of the fresh head where the folder has none")
    parser.add_argument("--port", type=int, default=8091)
    parser.add_argument("--mode", choices=("threadpool", "queue"), default="queue")
    parser.add_argument("--time", type=Path, help="a file of texts, one a line: time the pipeline on it instead of serving")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--batch", type=int, default=MAX_BATCH)
    given = parser.parse_args()
    classify = load(given.model, given.labels)
    if given.time:
        import importlib.metadata

        import torch

        texts = given.time.read_text(encoding="utf-8").splitlines()
        facts = timed(classify, texts, given.seconds, given.batch)
        versions = {name: importlib.metadata.version(name) for name in ("torch", "transformers", "fastapi", "uvicorn")}
        print(json.dumps({**facts, "batch": given.batch, "threads": torch.get_num_threads(), "versions": versions}))
        return
    import uvicorn

    classify("ready")
    uvicorn.run(application(classify, given.mode), host="127.0.0.1", port=given.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
