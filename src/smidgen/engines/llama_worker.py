"""The process that holds the model: `python -m smidgen.engines.llama_worker`. Started by `llama_process`; do not run it by hand.

It reads requests from its standard input and answers on its standard output; see `llama_protocol`. The first line says what to load. It
ends when its input ends, so it never outlives the process that started it.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
import threading
import urllib.request
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO

from smidgen.engines.llama_protocol import Message, PieceSender, packed, receive
from smidgen.machine import memory
from smidgen.text.infilling import first_of
from smidgen.text.repetition import RepetitionWatch

if TYPE_CHECKING:
    from xllamacpp import CommonParams, Server


# A slot's cache for one adapter is useless for another. llama.cpp gives a request to the slot with the most similar prompt, and prompts of
# one base are similar for all adapters. So slots are chosen here: one that last used the same adapter, else the one idle for longest.


class AdapterSlots:
    """The slots of a process, one for each request under way."""

    def __init__(self, count: int) -> None:
        self._lock = threading.Lock()
        self._free = list(range(count))  # the one idle for longest first
        self._last: dict[int, Hashable] = {}

    def take(self, adapter: Hashable) -> int:
        """Take a free slot for a request with this adapter. There always is one: there are as many callers as slots."""
        with self._lock:
            own = [slot for slot in self._free if self._last.get(slot) == adapter]
            slot = own[-1] if own else self._free[0]
            self._free.remove(slot)
            self._last[slot] = adapter
            return slot

    def give(self, slot: int) -> None:
        """Free the slot."""
        with self._lock:
            self._free.append(slot)


class StopFilter:
    """Passes a text up to the first stop string. `hit`: the stop string that was found, else None.

    `ends`: more stop strings, each with the number of its characters that are passed, too.
    """

    def __init__(self, stops: Sequence[str], ends: Mapping[str, int] = MappingProxyType({})) -> None:
        self._stops = {**ends, **{stop: 0 for stop in stops if stop}}
        self._held = ""
        self.hit: str | None = None

    def feed(self, text: str) -> str:
        """The part of the text so far that may be shown now. Empty after a hit."""
        if self.hit is not None:
            return ""
        self._held += text
        found = first_of(self._held, self._stops)
        if found:
            at, self.hit = found
            shown, self._held = self._held[: at + self._stops[self.hit]], ""
            return shown
        keep = self._unsure()
        shown, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return shown

    def rest(self) -> str:
        """Return the held-back text at the end."""
        shown, self._held = self._held, ""
        return shown

    def _unsure(self) -> int:
        """The number of characters at the end that may be the beginning of a stop string."""
        longest = 0
        for stop in self._stops:
            for size in range(min(len(stop) - 1, len(self._held)), longest, -1):
                if self._held.endswith(stop[:size]):
                    longest = size
                    break
        return longest


class LeadFilter:
    """Passes a text without its given beginning."""

    def __init__(self, lead: str) -> None:
        self._left = len(lead)

    def feed(self, text: str) -> str:
        """The part of the next piece that is shown."""
        size = min(self._left, len(text))
        self._left -= size
        return text[size:]


class LlamaRequest:
    """A request and its progress.

    The message holds `do` (`write` or `chat`) and `body` (llama.cpp's own); for `write`, `stop_ids`, `stops` and `ends`; in `context` the
    most tokens of prompt and answer together; in `loop` the most characters of repetition; in `lead` the beginning of the answer that is
    not shown; and in `together` the seconds of an answer that go into one message, joined into one piece or, with `apart`, as several. The
    replies are messages with the request's `id`: pieces, then one with `end` and `usage`, or one with `error`; `busy` while a prompt is
    read.
    """

    def __init__(self, message: Message, say: Callable[[Message], None]) -> None:
        self._id, self._chat, self._body = message["id"], message["do"] == "chat", message["body"]
        self._stop_ids = frozenset(message.get("stop_ids", ()))
        self._stops = StopFilter(message.get("stops", ()), message.get("ends", {}))
        self._lead, self._token_lead = LeadFilter(message.get("lead", "")), LeadFilter(message.get("lead", ""))
        self._say, self._parcels = say, PieceSender(say, message.get("together", 0.0), message.get("apart", False))
        self._top, self._context = message.get("top", 0), message.get("context", 0)
        self._loops = RepetitionWatch(message.get("loop", 0))
        self._error: dict[str, Any] | None = None
        self._end: str | None = None
        self._by_id = False  # whether one of `stop_ids` ended it
        self._usage = [0, 0, 0]  # tokens read, the part of them from the cache, written
        self._told = 0  # tokens that were put into pieces
        self._waiting: list[list[Any]] = []  # tokens without text: the last of them may be the end token, which is in no piece
        self.cancelled = False
        self.answered = False
        self._given = self._understood = 0  # chunks received, and chunks parsed

    @property
    def adapter(self) -> int | None:
        """The number of its adapter; None for none."""
        return next((entry["id"] for entry in self._body.get("lora", ()) if entry["scale"]), None)

    def answer(self, server: Server, slot: int | None = None) -> None:
        """Run the request to its end, in this slot if one is given. Any failure becomes its last reply."""
        if slot is not None:
            self._body["id_slot"] = slot
        handle = server.handle_chat_completions if self._chat else server.handle_completions
        if not self.cancelled:
            try:
                handle(json.dumps(self._body), self._take)
            except (RuntimeError, ValueError, TypeError, IndexError) as error:  # raised by llama.cpp while it parses a request
                self._error = {"code": 400, "message": str(error)}
            if self._given != self._understood:  # the library swallows exceptions that are raised while a chunk is read
                self._error = {"code": 500, "message": "an answer of llama.cpp could not be read"}
            if self._error is not None:
                self._parcels.flush()
                self._say({"id": self._id, "error": self._error})
            elif not self.cancelled:
                self._finish()
        self.answered = True

    def _finish(self) -> None:
        if self._end == "stop" and not self._by_id and self._stops.hit is None:
            self._waiting = self._waiting[:-1]
        if self._waiting:
            self._piece("", self._waiting, None)
        text = self._stops.rest() if self._stops.hit is None else ""
        self._parcels.flush()
        self._say({"id": self._id, "text": text, "end": self._end or "length", "usage": self._usage})

    def _take(self, line: str) -> bool:
        """Take one of llama.cpp's chunks. Returns whether to stop."""
        self._given += 1
        stop = self._read(line)
        self._understood += 1
        return stop

    def _read(self, line: str) -> bool:
        chunk = json.loads(line)
        if "error" in chunk:
            self._error = chunk["error"]
            return True
        if timings := chunk.get("timings"):
            cached = timings["cache_n"]
            self._usage = [cached + timings["prompt_n"], cached, timings["predicted_n"]]
        if "prompt_progress" in chunk:
            # If slots share their room, llama.cpp would let one prompt take the room of all.
            if 0 < self._context <= chunk["prompt_progress"].get("total", 0):
                self._error = {"code": 400, "type": "exceed_context_size_error", "message": f"the prompt has over {self._context} tokens"}
                return True
            self._say({"id": self._id, "busy": True})
            return self.cancelled
        for choice in chunk.get("choices", ()):
            if self._choice(choice):
                return True
        if 0 < self._context <= self._usage[0] + self._usage[2]:
            self._end = self._end or "length"
            return True
        return self.cancelled

    def _choice(self, choice: dict[str, Any]) -> bool:
        self._end = choice.get("finish_reason") or self._end
        delta = choice.get("delta")
        text = self._lead.feed(choice.get("text", "")) if delta is None else delta.get("content") or ""
        content = (choice.get("logprobs") or {}).get("content") or ()
        tokens = [
            [
                token["id"],
                self._token_lead.feed(token["token"]),
                token["logprob"],
                [[top["token"], top["logprob"]] for top in token["top_logprobs"][: self._top]],
            ]
            for token in content
        ]
        for place, token in enumerate(tokens):
            if token[0] in self._stop_ids:
                self._end, self._by_id = "stop", True
                # Of several tokens in one chunk, those before the end belong to the text.
                self._show("".join(before[1] for before in tokens[:place]), tokens[:place], delta)
                return True
        if text or tokens or delta:
            self._show(text, tokens, delta)
        if self._stops.hit is not None:
            self._end = "stop"
            return True
        if self._loops.feed(text):
            self._end = "length"
            return True
        return False

    def _show(self, text: str, tokens: list[list[Any]], delta: dict[str, Any] | None) -> None:
        if tokens and not text and not delta:
            self._waiting += tokens
            return
        waiting, self._waiting = self._waiting, []
        self._piece(self._stops.feed(text), waiting + tokens, delta)

    def _piece(self, text: str, tokens: list[list[Any]], delta: dict[str, Any] | None) -> None:
        # llama.cpp sends one of several tokens that make a character, but counts them all.
        count = max(0, self._usage[2] - self._told - self._by_id)
        self._told += count
        if not (text or tokens or delta or count):
            return
        message: Message = {"id": self._id, "text": text, "count": count, "tokens": tokens}
        if delta:
            message["delta"] = delta
        self._parcels.add(message)


READ_AT_ONCE = 512
"""Prompt tokens that are read between two checks for a new request, a cancelled one, or a token for another."""

FACTS_SECONDS = 30.0
"""Longest wait for llama.cpp's report of the loaded model."""


def main() -> None:
    """Load the model, and answer requests until the input ends."""
    # Ctrl-C reaches the whole process group, but the parent decides when this process ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source, answers = sys.stdin.buffer, _own_output()
    opening = receive(source)
    if opening is None:
        return
    speaker = MessageWriter(answers)
    try:
        server, key = _load(opening)
        facts = _facts(server, key)
    except (RuntimeError, ValueError, OSError) as error:
        speaker.say({"refused": str(error)})
        return
    rest = memory.IdleTrim(memory.trim) if memory.keep_freed() else None
    speaker.say({"ready": True, **facts})
    RequestQueue(server, speaker, opening["slots"], opening["lines"] if opening["adapters"] else 0, rest).work(source)


class MessageWriter:
    """Writes messages from many threads to the output, one at a time."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._lock = stream, threading.Lock()

    def say(self, message: Message) -> None:
        """Send a message. If nobody reads any more, the process ends."""
        line = packed(message)
        try:
            with self._lock:
                self._stream.write(line)
                self._stream.flush()
        except OSError:
            os._exit(0)


class RequestQueue:
    """Runs as many requests at a time as there are slots; the others wait in line, where they can be cancelled at once."""

    def __init__(self, server: Server, speaker: MessageWriter, slots: int, lines: int, rest: memory.IdleTrim | None = None) -> None:
        self._server, self._speaker, self._rest = server, speaker, rest
        # At most one request per slot, however many lines there are: each needs room for its whole context.
        self._slots = AdapterSlots(lines) if lines else None  # else llama.cpp chooses
        self._pool = ThreadPoolExecutor(slots, "request")
        self._requests: dict[int, LlamaRequest] = {}
        self._lock = threading.Lock()

    def work(self, source: BinaryIO) -> None:
        """Run until the input ends; unfinished requests are then dropped."""
        try:
            while (message := receive(source)) is not None:
                self._take(message)
        finally:
            # Exit without returning: threads of llama.cpp are still running, and nobody waits for their output.
            os._exit(0)

    def _take(self, message: Message) -> None:
        number = message["id"]
        with self._lock:
            if message["do"] == "cancel":
                if request := self._requests.get(number):
                    request.cancelled = True
                return
            request = self._requests[number] = LlamaRequest(message, self._speaker.say)
        self._pool.submit(self._answer, number, request)

    def _answer(self, number: int, request: LlamaRequest) -> None:
        # A request cancelled in line takes no slot, because that would discard another adapter's cache.
        slot = self._slots.take(request.adapter) if self._slots and not request.cancelled else None
        try:
            request.answer(self._server, slot)
        finally:
            if self._slots and slot is not None:
                self._slots.give(slot)
            if self._rest:
                self._rest.worked()
            if not request.answered:
                self._speaker.say({"id": number, "error": {"code": 500, "message": "llama.cpp's answer could not be read"}})
            with self._lock:
                self._requests.pop(number, None)


def _own_output() -> BinaryIO:
    """Reserve the standard output for messages: libraries' prints go to the error output."""
    own = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return own


def _load(opening: Message) -> tuple[Server, str]:
    """llama.cpp's server and the key to its HTTP interface."""
    import xllamacpp

    key = secrets.token_urlsafe(32)
    return xllamacpp.Server(params(opening, key)), key


def _facts(server: Server, key: str) -> Message:
    """The facts of the model: whether its template knows `tools`. Only llama.cpp's HTTP handlers report it."""
    request = urllib.request.Request(f"{server.listening_address}/props", headers={"Authorization": f"Bearer {key}"})
    # Without a proxy from the environment, because the request goes to this process.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=FACTS_SECONDS) as answer:
        facts = json.load(answer)
    return {"tools": bool(facts.get("chat_template_caps", {}).get("supports_tools"))}


def params(opening: Message, key: str) -> CommonParams:
    """llama.cpp's settings for this opening message."""
    import xllamacpp

    made = xllamacpp.CommonParams()
    made.model.path = opening["model"]
    made.n_parallel = opening["lines"]
    made.n_ctx = opening["context"] * opening["slots"]
    # More lines than slots share their room: the least recently used line gives way if a request needs it.
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
    # Only the machine's CPU, as measured; no network access; no more memory than requested.
    made.n_gpu_layers, made.offline, made.fit_params, made.cache_ram_mib = 0, True, False, 0
    # The library always starts its own web server, on a port of this machine. The key keeps others out.
    made.api_keys = [key]
    made.n_threads_http, made.ui, made.endpoint_slots, made.cors_origins = 1, False, False, ""
    made.verbosity = 1
    return made


if __name__ == "__main__":
    main()
