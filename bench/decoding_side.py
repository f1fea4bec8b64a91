"""One side of `decoding`: writes texts with a decoder, by smidgen's engine or by bare xllamacpp. Prints how fast as one JSON object.

python -m bench.decoding_side stream FOLDER --texts texts.jsonl --threads 2 --singles 12 --clients 8
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

WARM_UP = ("Hello.", "Write one word.")
"""None of the texts that are timed: a prompt that was read before would not be read again."""

Ask = Callable[[str], tuple[str, int]]
"""A text to what is written for it, and how many tokens that took, the end token among them."""
Loaded = tuple[Ask, Callable[..., list[tuple[str, int]]], int | None]
"""How one text is asked for, how many are, and the number of the process that the model is in, where it is another than this."""


def main() -> None:
    """Write texts one after the other; then others with so many clients at once, each asking again as soon as it is answered."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("side", choices=("stream", "list", "bare", "same"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--texts", type=Path, required=True, help="texts, a JSON string a line")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--singles", type=int, help="texts that are written one at a time (default: all); the others with all clients")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--draft", choices=("none", "lookup"), default="none")
    given = parser.parse_args()
    texts = [json.loads(line) for line in given.texts.read_text(encoding="utf-8").splitlines()]
    options = {**options_of(given.folder), "draft": given.draft}
    found: dict[str, Any] = {"side": given.side, "draft": given.draft}
    opens = engine if given.side in ("stream", "list") else bare
    ask, ask_all, pid = opens(given.side, given.folder, options, given.threads)
    for text in WARM_UP:
        ask(text)
    singles = len(texts) if given.singles is None else given.singles
    for clients, asked in ((1, texts[:singles]), (given.clients, texts[singles:])):
        if not asked:
            continue
        began, spent = time.perf_counter(), cpu_seconds(pid)
        answers = [ask(text) for text in asked] if clients == 1 else ask_all(asked, clients)
        seconds, after = time.perf_counter() - began, cpu_seconds(pid)
        tokens = sum(count for _, count in answers)
        found[str(clients)] = {
            "tokens": tokens,
            "seconds": seconds,
            "tokens_per_second": tokens / seconds,
            "cpu_ms_a_token": None if spent is None or after is None else 1e3 * (after - spent) / tokens,
            "texts": [written for written, _ in answers],
        }
    print(json.dumps(found), flush=True)
    os._exit(0)  # not by returning: threads of llama.cpp may still be at work, and the measuring is done


def engine(side: str, folder: Path, options: Mapping[str, Any], threads: int) -> Loaded:
    """smidgen's engine, its model in a process of its own: `stream` as an answer is streamed over HTTP, `list` as `predict` asks."""
    from smidgen.engines.llama import LlamaEngine

    runner = LlamaEngine().open(folder, options, threads)

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
        return lambda text: listed([text])[0], listed, runner.pid
    return streamed, lambda asked, clients: at_once(streamed, asked, clients), runner.pid


def bare(side: str, folder: Path, options: Mapping[str, Any], threads: int) -> Loaded:
    """xllamacpp in this process, asked for whole answers: `bare` with llama.cpp's own settings, `same` with those of smidgen's engine."""
    import xllamacpp

    from smidgen.engines.llama_chat import HELD, LlamaPrompt, read
    from smidgen.engines.llama_worker import params

    asked = read(options)
    if side == "same":
        opening = {"model": str(folder / asked.model), "adapters": [], "threads": threads, "context": asked.context}
        settings = params({**opening, "slots": asked.slots, "lines": asked.slots, **asked.model_dump(include=set(HELD))}, "unused")
    else:
        settings = xllamacpp.CommonParams()
        settings.model.path = str(folder / asked.model)
        settings.n_parallel, settings.n_ctx, settings.n_gpu_layers = asked.slots, asked.context * asked.slots, 0
        for cpu in (settings.cpuparams, settings.cpuparams_batch):
            cpu.n_threads = threads
    server = xllamacpp.Server(settings)
    prompt = LlamaPrompt(folder, asked)

    def whole(text: str) -> tuple[str, int]:
        body = {"prompt": prompt.ids(text), "n_predict": asked.max_tokens, "temperature": 0.0, "samplers": ["top_k"], "top_k": 1}
        said: list[str] = []
        server.handle_completions(json.dumps(body), lambda line: bool(said.append(line)))
        answer = json.loads(said[-1])
        if "choices" not in answer:
            sys.exit(f"llama.cpp said {said[-1][:300]}")
        return answer["choices"][0]["text"], answer["usage"]["completion_tokens"]

    return whole, lambda some, clients: at_once(whole, some, clients), None


def cpu_seconds(pid: int | None) -> float | None:
    """Processor seconds that this process and the one with this number have used; None where the system does not say."""
    if pid is None:
        return time.process_time()
    file = Path(f"/proc/{pid}/stat")
    if not file.is_file():
        return None
    fields = file.read_text(encoding="utf-8").rpartition(")")[2].split()
    return time.process_time() + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def at_once(ask: Ask, texts: Sequence[str], clients: int) -> list[tuple[str, int]]:
    """So many clients, each with one request at a time, until all texts are written; the answers in the order of the texts."""
    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(ask, texts))


if __name__ == "__main__":
    main()
