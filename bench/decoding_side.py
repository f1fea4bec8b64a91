"""One side of `decoding`: writes texts with a decoder, by smidgen's engine or by bare xllamacpp. Prints how fast as one JSON object.

python -m bench.decoding_side stream FOLDER --texts texts.jsonl --threads 2 --clients 1,8
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.decoders import options_of

WARM_UP = 2
WHOLE_ROUNDS = 4
"""So many texts a client, where there are several clients."""

Ask = Callable[[str], tuple[str, int]]
"""A text to what is written for it, and how many tokens that took, the end token among them."""


def main() -> None:
    """Write all texts one after the other; then with so many clients at once, each asking again as soon as it is answered."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("side", choices=("stream", "list", "bare", "same"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--texts", type=Path, required=True, help="texts, a JSON string a line")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--clients", default="1", help="numbers of clients, with commas")
    parser.add_argument("--draft", choices=("none", "lookup"), default="none")
    given = parser.parse_args()
    texts = [json.loads(line) for line in given.texts.read_text(encoding="utf-8").splitlines()]
    options = {**options_of(given.folder), "draft": given.draft}
    found: dict[str, Any] = {"side": given.side, "draft": given.draft}
    if given.side in ("stream", "list"):
        loads = engine(given.side, given.folder, options, given.threads)
    else:
        loads = bare(given.side, given.folder, options, given.threads)
    ask, ask_all = loads
    for text in texts[:WARM_UP]:
        ask(text)
    for clients in map(int, given.clients.split(",")):
        asked = texts if clients == 1 else [texts[number % len(texts)] for number in range(WHOLE_ROUNDS * clients)]
        began = time.perf_counter()
        answers = [ask(text) for text in asked] if clients == 1 else ask_all(asked, clients)
        seconds = time.perf_counter() - began
        tokens = sum(count for _, count in answers)
        found[str(clients)] = {
            "tokens": tokens,
            "seconds": seconds,
            "tokens_per_second": tokens / seconds,
            "texts": [written for written, _ in answers],
        }
    print(json.dumps(found), flush=True)
    os._exit(0)  # not by returning: threads of llama.cpp may still be at work, and the measuring is done


def engine(side: str, folder: Path, options: Mapping[str, Any], threads: int) -> tuple[Ask, Callable[..., list[tuple[str, int]]]]:
    """smidgen's engine, its model in a process of its own: `stream` as an answer is streamed over HTTP, `list` as `predict` asks."""
    from smidgen.engines.llama import Llama

    runner = Llama().open(folder, options, threads)

    def streamed(text: str) -> tuple[str, int]:
        pieces = list(runner.write(text))
        usage = pieces[-1].usage
        assert usage is not None
        return "".join(piece.text for piece in pieces), usage.written

    def listed(asked: Sequence[str], clients: int = 1) -> list[tuple[str, int]]:
        raw = runner.run(asked)
        counts = zip(raw["tokens"], raw["finished"], strict=True)
        return [(text, int(tokens + end)) for text, (tokens, end) in zip(raw["texts"], counts, strict=True)]

    if side == "list":
        return lambda text: listed([text])[0], listed
    return streamed, lambda asked, clients: at_once(streamed, asked, clients)


def bare(side: str, folder: Path, options: Mapping[str, Any], threads: int) -> tuple[Ask, Callable[..., list[tuple[str, int]]]]:
    """xllamacpp in this process, asked for whole answers: `bare` with llama.cpp's own settings, `same` with those of smidgen's engine."""
    import xllamacpp

    from smidgen.engines.llama_options import read
    from smidgen.engines.llama_prompt import Prompt
    from smidgen.engines.llama_worker import params

    asked = read(options)
    if side == "same":
        opening = {"model": str(folder / asked.model), "adapters": [], "threads": threads, "context": asked.context}
        settings = params({**opening, "slots": asked.slots, "cache": asked.cache, "draft": asked.draft}, "unused")
    else:
        settings = xllamacpp.CommonParams()
        settings.model.path = str(folder / asked.model)
        settings.n_parallel, settings.n_ctx, settings.n_gpu_layers = asked.slots, asked.context * asked.slots, 0
        for cpu in (settings.cpuparams, settings.cpuparams_batch):
            cpu.n_threads = threads
    server = xllamacpp.Server(settings)
    prompt = Prompt(folder, asked.before, asked.after, asked.context)

    def whole(text: str) -> tuple[str, int]:
        body = {"prompt": prompt.ids(text), "n_predict": asked.max_tokens, "temperature": 0.0, "samplers": ["top_k"], "top_k": 1}
        said: list[str] = []
        server.handle_completions(json.dumps(body), lambda line: bool(said.append(line)))
        answer = json.loads(said[-1])
        if "choices" not in answer:
            sys.exit(f"llama.cpp said {said[-1][:300]}")
        return answer["choices"][0]["text"], answer["usage"]["completion_tokens"]

    return whole, lambda some, clients: at_once(whole, some, clients)


def at_once(ask: Ask, texts: Sequence[str], clients: int) -> list[tuple[str, int]]:
    """So many clients, each with one request at a time, until all texts are written; the answers in the order of the texts."""
    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(ask, texts))


if __name__ == "__main__":
    main()
