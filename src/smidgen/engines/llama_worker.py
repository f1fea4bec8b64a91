"""The process that holds the model: `python -m smidgen.engines.llama_worker`. Started by `llama_process`, and of no use by hand.

It reads requests from its standard input and answers on its standard output; see `llama_wire`. The first line says what to load. It
ends when its input ends, so that it never outlives the process that started it.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, BinaryIO

from smidgen.engines import heap
from smidgen.engines.llama_request import Request
from smidgen.engines.llama_slots import Slots
from smidgen.engines.llama_wire import Message, packed, receive

if TYPE_CHECKING:
    from xllamacpp import CommonParams, Server

READ_AT_ONCE = 512
"""Tokens of prompts that are read before anything else is looked at: a new request, a cancelled one, a token for another."""

FACTS_SECONDS = 30.0
"""How long llama.cpp may take to say what it has loaded."""


def main() -> None:
    """Load, answer until the input ends, end."""
    # Ctrl-C goes to the whole group of processes: whoever started this one decides when it ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source, answers = sys.stdin.buffer, _own_output()
    opening = receive(source)
    if opening is None:
        return
    speaker = Speaker(answers)
    try:
        server, key = _load(opening)
        facts = _facts(server, key)
    except (RuntimeError, ValueError, OSError) as error:
        speaker.say({"refused": str(error)})
        return
    rest = heap.Rest(heap.give) if heap.keep() else None
    speaker.say({"ready": True, **facts})
    Desk(server, speaker, opening["slots"], opening["lines"] if opening["adapters"] else 0, rest).work(source)


class Speaker:
    """The output, one message at a time from many threads."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._lock = stream, threading.Lock()

    def say(self, message: Message) -> None:
        """Send a message. Where nobody listens any more, the process ends."""
        line = packed(message)
        try:
            with self._lock:
                self._stream.write(line)
                self._stream.flush()
        except OSError:
            os._exit(0)


class Desk:
    """Takes requests in, as many at a time as there are slots; the others wait in line, where they can be cancelled at once."""

    def __init__(self, server: Server, speaker: Speaker, slots: int, lines: int, rest: heap.Rest | None = None) -> None:
        self._server, self._speaker, self._rest = server, speaker, rest
        # No more at a time than there are slots, whatever the lines: each must have room for its whole context.
        self._slots = Slots(lines) if lines else None  # else llama.cpp chooses
        self._pool = ThreadPoolExecutor(slots, "request")
        self._requests: dict[int, Request] = {}
        self._lock = threading.Lock()

    def work(self, source: BinaryIO) -> None:
        """Until the input ends; what is not done by then is dropped."""
        try:
            while (message := receive(source)) is not None:
                self._take(message)
        finally:
            # Not by returning: threads of llama.cpp are at work, and nobody waits for what they write.
            os._exit(0)

    def _take(self, message: Message) -> None:
        number = message["id"]
        with self._lock:
            if message["do"] == "cancel":
                if request := self._requests.get(number):
                    request.cancelled = True
                return
            request = self._requests[number] = Request(message, self._speaker.say)
        self._pool.submit(self._answer, number, request)

    def _answer(self, number: int, request: Request) -> None:
        # One that was cancelled in line takes none: what another adapter has read there would be lost for nothing.
        slot = self._slots.take(request.adapter) if self._slots and not request.cancelled else None
        try:
            request.answer(self._server, slot)
        finally:
            if self._slots and slot is not None:
                self._slots.give(slot)
            if self._rest:
                self._rest.worked()
            if not request.answered:
                self._speaker.say({"id": number, "error": {"code": 500, "message": "llama.cpp said what could not be read"}})
            with self._lock:
                self._requests.pop(number, None)


def _own_output() -> BinaryIO:
    """The standard output for messages alone: whatever a library prints goes to the error output."""
    own = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return own


def _load(opening: Message) -> tuple[Server, str]:
    """llama.cpp's server and the key to its web face."""
    import xllamacpp

    key = secrets.token_urlsafe(32)
    return xllamacpp.Server(params(opening, key)), key


def _facts(server: Server, key: str) -> Message:
    """What is to be known of the model: whether its template knows `tools`. Only llama.cpp's web face tells."""
    request = urllib.request.Request(f"{server.listening_address}/props", headers={"Authorization": f"Bearer {key}"})
    # Not by way of a proxy that the environment names: it is this process that is asked.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=FACTS_SECONDS) as answer:
        facts = json.load(answer)
    return {"tools": bool(facts.get("chat_template_caps", {}).get("supports_tools"))}


def params(opening: Message, key: str) -> CommonParams:
    """llama.cpp's settings for what is to be opened."""
    import xllamacpp

    made = xllamacpp.CommonParams()
    made.model.path = opening["model"]
    made.n_parallel = opening["lines"]
    made.n_ctx = opening["context"] * opening["slots"]
    # More lines than slots share their room: what has rested longest gives way where a request needs it.
    made.kv_unified = opening["lines"] > opening["slots"]
    made.n_batch = made.n_ubatch = READ_AT_ONCE
    for cpu in (made.cpuparams, made.cpuparams_batch):
        cpu.n_threads = opening["threads"]
    if opening["cache"] == "q8_0":
        made.cache_type_k = made.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_Q8_0
    if opening["draft"] == "lookup":
        made.speculative.types = [xllamacpp.common_speculative_type.COMMON_SPECULATIVE_TYPE_NGRAM_SIMPLE]
        made.speculative.ngram_simple.size_n, made.speculative.ngram_simple.size_m = opening["draft_after"], opening["draft_most"]
    made.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(file, 1.0) for file in opening["adapters"]]
    made.lora_init_without_apply = True
    made.use_jinja = True
    # The machine's processor alone, as it was measured; nothing looked up on a network; no more memory than was asked for.
    made.n_gpu_layers, made.offline, made.fit_params, made.cache_ram_mib = 0, True, False, 0
    # The library cannot do without its own web server, on a port of this machine. Nobody else is to talk to it.
    made.api_keys = [key]
    made.n_threads_http, made.ui, made.endpoint_slots, made.cors_origins = 1, False, False, ""
    made.verbosity = 1
    return made


if __name__ == "__main__":
    main()
