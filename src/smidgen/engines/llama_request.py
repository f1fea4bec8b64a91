"""One request inside the model's process: asks llama.cpp, watches what it writes, and says where it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from smidgen.core.loops import Loops
from smidgen.engines.llama_parcels import Parcels
from smidgen.engines.llama_stops import Stops
from smidgen.engines.llama_wire import Message

if TYPE_CHECKING:
    from xllamacpp import Server


class Request:
    """A request and what has come of it so far.

    The message holds `do` (`write` or `chat`), `body` (llama.cpp's own), for `write` `stop_ids` and `stops`, in `context` how many tokens
    prompt and answer may have together, in `loop` how many characters an answer may go round in circles, and in `together` how many seconds
    of an answer may go in one message, as one piece or, with `apart`, as several. The replies are messages with the request's `id`: pieces,
    then one with `end` and `usage`, or one with `error`; `busy` while a prompt is read.
    """

    def __init__(self, message: Message, say: Callable[[Message], None]) -> None:
        self._id, self._chat, self._body = message["id"], message["do"] == "chat", message["body"]
        self._stop_ids = frozenset(message.get("stop_ids", ()))
        self._stops = Stops(message.get("stops", ()))
        self._say, self._parcels = say, Parcels(say, message.get("together", 0.0), message.get("apart", False))
        self._top, self._context = message.get("top", 0), message.get("context", 0)
        self._loops = Loops(message.get("loop", 0))
        self._error: dict[str, Any] | None = None
        self._end: str | None = None
        self._by_id = False  # whether one of `stop_ids` ended it
        self._usage = [0, 0, 0]  # tokens read, of them from the cache, written
        self._told = 0  # tokens that were put into pieces
        self._waiting: list[list[Any]] = []  # tokens without text: the last of them may be the end token, which is in no piece
        self.cancelled = False
        self.answered = False
        self._given = self._understood = 0  # chunks

    @property
    def adapter(self) -> int | None:
        """The number of its adapter; None where it has none."""
        return next((entry["id"] for entry in self._body.get("lora", ()) if entry["scale"]), None)

    def answer(self, server: Server, slot: int | None = None) -> None:
        """Run it to its end, in this slot where one is given. Any failure becomes its last reply."""
        if slot is not None:
            self._body["id_slot"] = slot
        handle = server.handle_chat_completions if self._chat else server.handle_completions
        if not self.cancelled:
            try:
                handle(json.dumps(self._body), self._take)
            except (RuntimeError, ValueError, TypeError, IndexError) as error:  # what llama.cpp throws while it reads a request
                self._error = {"code": 400, "message": str(error)}
            if self._given != self._understood:  # what is raised while a chunk is read, the library drops
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
        """One of llama.cpp's chunks. Returns whether to stop."""
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
            # Where lines share their room, llama.cpp would let one prompt take that of all.
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
        text = choice.get("text", "") if delta is None else delta.get("content") or ""
        content = (choice.get("logprobs") or {}).get("content") or ()
        tokens = [
            [token["id"], token["token"], token["logprob"], [[top["token"], top["logprob"]] for top in token["top_logprobs"][: self._top]]]
            for token in content
        ]
        for place, token in enumerate(tokens):
            if token[0] in self._stop_ids:
                self._end, self._by_id = "stop", True
                # Of several tokens in one chunk, those before the end are the text's.
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
        # llama.cpp sends one of the several tokens that may make a character, but counts them all.
        count = max(0, self._usage[2] - self._told - self._by_id)
        self._told += count
        if not (text or tokens or delta or count):
            return
        message: Message = {"id": self._id, "text": text, "count": count, "tokens": tokens}
        if delta:
            message["delta"] = delta
        self._parcels.add(message)
