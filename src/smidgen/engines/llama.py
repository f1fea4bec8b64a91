"""Runs a decoder: `model.gguf` and `tokenizer.json`, on llama.cpp in a process of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.core.errors import EngineError, RequestError, SmidgenError
from smidgen.core.parts import Raw
from smidgen.core.rows import Text
from smidgen.engines import llama_chat
from smidgen.engines.llama_chat import TOKENS, LlamaPrompt, TriedSchemas, compact
from smidgen.engines.llama_options import HELD, LlamaOptions, LoadedAdapters, files_of, inside, read
from smidgen.engines.llama_process import LlamaProcess, Mailbox
from smidgen.engines.llama_protocol import Message, Piece, Pieces, piece
from smidgen.engines.model_files import AGAIN
from smidgen.text.repetition import without_repetition


class WrittenText:
    """The text written so far for one input, after the beginning that was given."""

    def __init__(self, begun: str = "") -> None:
        self.begun = begun
        self.text: list[str] = []
        self.chances: list[float] = []
        self.count, self.finished = 0, 0.0

    def add(self, written: Piece) -> None:
        """Take a piece."""
        self.text.append(written.text)
        self.chances += [token.probability for token in written.tokens]
        self.count += written.count
        self.finished = float(written.finish == "stop")

    def whole(self) -> str:
        """The text; of one that was cut without what it said over and over in the end."""
        text = "".join(self.text)
        return text if self.finished else without_repetition(text)


MOST_LOGPROBS = 20
MOST_STOPS = 16
LONGEST_STOP = 1000
MOST_LINES = 64
"""Prompts that a process keeps side by side, where it holds more adapters than it has slots."""


class LlamaEngine:
    """The engine. Its options are those of `llama_options.LlamaOptions`."""

    name = "llama"

    def open(self, folder: Path, options: Mapping[str, Any], threads: int) -> LlamaRunner:
        """Start the process and load the model. Raises EngineError where a file is missing or damaged, or an option cannot be."""
        return self.together([(folder, options)], threads)[0]

    def shares(self, options: Mapping[str, Any], hashes: Mapping[str, str]) -> str:
        """The facts that models must share to be held once: the weights, by their hash, and how they are run. See `core.parts.Sharing`."""
        asked = read(options)
        drafting = f"{asked.draft} {asked.draft_after} {asked.draft_most}" if asked.draft == "lookup" else asked.draft
        return f"{hashes.get(asked.model)} {asked.cache} {drafting}"

    def together(self, models: Sequence[tuple[Path, Mapping[str, Any]]], threads: int) -> list[LlamaRunner]:
        """Models that have in common what `shares` says, in one process, which holds the weights once, and every adapter. It has as many
        slots, and as long ones, as the model with the most, and ends when the last is closed. What was read with each adapter is kept where
        there is room in these. Raises EngineError as `open` does."""
        asked = [read(options) for _, options in models]
        files = [files_of(folder, options.adapters) for (folder, _), options in zip(models, asked, strict=True)]
        held, slots = sum(map(len, files)), max(options.slots for options in asked)
        process = LlamaProcess(
            {
                "model": str(inside(models[0][0], asked[0].model)),
                "adapters": [str(file) for named in files for file in named.values()],
                "threads": max(1, threads),
                "context": max(options.context for options in asked),
                "slots": slots,
                "lines": max(slots, min(held, MOST_LINES)),
                **asked[0].model_dump(include=set(HELD)),
            }
        )
        first, runners = 0, []
        for (folder, _), options, named in zip(models, asked, files, strict=True):
            runners.append(LlamaRunner(folder, options, process.shared(), LoadedAdapters(named, options.adapter, first, held)))
            first += len(named)
        process.mailbox()  # loads: a damaged model is told now, not with the first request
        for runner in runners:
            runner.check_schema()
        return runners


class LlamaRunner:
    """A loaded decoder. Many threads may ask it at once, each for itself; a question ends when its work is called off."""

    def __init__(self, folder: Path, options: LlamaOptions, process: LlamaProcess, adapters: LoadedAdapters) -> None:
        self.options = options
        self._prompt = LlamaPrompt(folder, options.before, options.after, options.context)
        self._adapters = adapters
        self._schemas = TriedSchemas(self._within)
        self._process = process
        self._closed = False

    def check_schema(self) -> None:
        """Raise EngineError, and end, where answers cannot be held to the schema of the bundle."""
        if self.options.schema_of_answers:
            try:
                self._schemas.check(compact(self.options.schema_of_answers))
            except RequestError as error:
                self.close()
                raise EngineError(error.what, value=error.value, todo="Leave out patterns and formats, and build again.") from error

    def run(self, texts: Sequence[Text]) -> Raw:
        """Write an answer to each text, greedily: `texts`, a list of n str, and float32 arrays (n,):

        `probability`: mean of the probabilities of the tokens written, 0 where there is none; with drafting, of those that were written in
            steps without a guess, for llama.cpp tells no others;
        `likelihood`: their product, 0 where there is none;
        `tokens`: how many were written, the end token not counted;
        `finished`: 1 where the model ended by itself, 0 where `max_tokens`, the context or `loop` cut it: then `texts` has once what
            it said over and over in the end.

        A text that the context cannot hold gets an empty text and zeros. Where the bundle has a schema, what is written fits it or was cut.
        Raises EngineError where the process dies.
        """
        return self._written(texts, [WrittenText() for _ in texts], {})

    def draw(self, texts: Sequence[Text], temperature: float, seed: int) -> Raw:
        """Write an answer to each text by drawing at random; else as `run`. The same seed draws the same."""
        return self._written(texts, [WrittenText() for _ in texts], _drawn(temperature, 1.0, seed))

    def extend(self, texts: Sequence[Text], begun: Sequence[str]) -> Raw:
        """Continue the beginnings of answers, greedily, without ending at once; as `run`, but of what is
        added alone. Where there is no room for more, nothing is, and `finished` is 0."""
        rows = [WrittenText(answer) for answer in begun]
        self._written(texts, rows, self._no_end())
        return self._written(texts, rows, {})

    def _no_end(self) -> dict[str, Any]:
        """A few tokens, none of which ends the text."""
        return {"ignore_eos": True, "logit_bias": [[number, False] for number in self.options.stop], "n_predict": _NO_END}

    def _written(self, texts: Sequence[Text], rows: Sequence[WrittenText], more: Mapping[str, Any]) -> Raw:
        if texts:
            mailbox = self._mailbox()
            try:
                self._fill(texts, rows, mailbox, more)
            finally:
                mailbox.close()
        return {
            "texts": [row.whole() for row in rows],
            "probability": _floats([float(np.mean(row.chances)) if row.chances else 0.0 for row in rows]),
            "likelihood": _floats([math.prod(row.chances) if row.chances else 0.0 for row in rows]),
            "tokens": _floats([row.count for row in rows]),
            "finished": _floats([row.finished for row in rows]),
        }

    def _fill(self, texts: Sequence[Text], rows: Sequence[WrittenText], mailbox: Mailbox, more: Mapping[str, Any]) -> None:
        asked: dict[int, WrittenText] = {}
        waiting = iter(zip(texts, rows, strict=True))
        left = True
        while left or asked:
            # Twice the slots: one that comes free finds its next text at once.
            while left and len(asked) < 2 * self.options.slots:
                text, row = next(waiting, (None, None))
                if text is None or row is None:
                    left = False
                    break
                try:
                    request = {**self._request(text, more, None, begun=row.begun + "".join(row.text)), "together": _WHOLE_SECONDS}
                except RequestError:
                    row.finished = 0.0
                    continue
                asked[mailbox.ask(request)] = row
            if asked:
                message = mailbox.take()
                if "error" in message:
                    # The engine made the request: what is wrong with it is wrong with the model's files.
                    said = message["error"].get("message")
                    raise EngineError("the model cannot run on these texts", value=said, todo=AGAIN)
                asked[message["id"]].add(piece(message))
                if "end" in message:
                    del asked[message["id"]]

    def write(
        self,
        text: Text,
        *,
        max_tokens: int | None = None,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int | None = None,
        stop: str | Sequence[str] = (),
        grammar: str | None = None,
        json_schema: Mapping[str, Any] | None = None,
        logprobs: int = 0,
        adapter: str | None = None,
        begun: str = "",
    ) -> Pieces:
        """Write an answer to a text, piece by piece. Closing the iterator cancels the request and frees its slot.

        Args:
            text: the text; a pair is joined by a line break.
            max_tokens: tokens at most; default, the bundle's own.
            temperature: 0 takes the likeliest token each time; 1 draws as the model says.
            top_p: draws from the likeliest tokens that together have this probability.
            seed: of the drawing; None for another each time.
            stop: one or several texts before which to end.
            grammar: a grammar (GBNF) that the text must fit.
            json_schema: a JSON schema that the text must fit.
            logprobs: how many of the likeliest tokens are given with each token, 0 to 20.
            adapter: name of the LoRA adapter; None for the bundle's own, or the model itself where it has none of its own.
            begun: how the answer begins: it goes on from there, does not end at once, and only what is added is given.

        Raises:
            RequestError: at once for what cannot be asked; with the first piece for what llama.cpp refuses (a schema, a grammar).
            EngineError: the process died; the next request starts it again.
        """
        stops = _stops(stop)
        if self.options.schema_of_answers and (grammar is not None or json_schema is not None):
            raise _refused("the model answers in its own schema", "grammar or json_schema", "Leave it out.", "response_format")
        if grammar is not None and json_schema is not None:
            raise _refused("a grammar and a JSON schema cannot both hold", "grammar, json_schema", "Give one of them.", "grammar")
        if not 0 <= logprobs <= MOST_LOGPROBS:
            raise _refused("so many likeliest tokens cannot be given", logprobs, f"Ask for 0 to {MOST_LOGPROBS}.", "logprobs")
        if logprobs:
            self._need_all_probabilities("logprobs", logprobs)
        if not 0 <= temperature <= 100:
            raise _refused("the temperature cannot be", temperature, "Give a number from 0, mostly not over 2.", "temperature")
        if not 0 < top_p <= 1:
            raise _refused("top_p cannot be", top_p, "Give a number over 0, and 1 at most.", "top_p")
        if max_tokens is not None and max_tokens < 1:
            raise _refused("max_tokens cannot be", max_tokens, "Give at least 1.", "max_tokens")
        more: dict[str, Any] = {"n_probs": max(1, logprobs)}
        if temperature > 0:
            more |= _drawn(temperature, top_p, seed)
        if grammar is not None:
            more["grammar"] = grammar
        if json_schema is not None:
            more["json_schema"] = dict(json_schema)
        asked = {"stops": stops, "top": logprobs}
        if begun:
            return self._longer(text, more, max_tokens, adapter, begun, asked)
        return self._pieces({**self._request(text, more, max_tokens, adapter), **asked}, json_schema)

    def _longer(
        self, text: Text, more: Mapping[str, Any], max_tokens: int | None, adapter: str | None, begun: str, asked: Mapping[str, Any]
    ) -> Pieces:
        """Some tokens that cannot be the end, then others up to it."""
        first = self._request(text, {**more, **self._no_end()}, max_tokens, adapter, begun)
        with closing(self._pieces({**first, **asked})) as pieces:
            for written in pieces:
                begun, usage = begun + written.text, written.usage
                yield replace(written, finish=None, usage=None)
        try:
            second = self._request(text, more, max_tokens, adapter, begun)
        except RequestError:  # no room for more
            yield Piece(finish="length", usage=usage)
            return
        with closing(self._pieces({**second, **asked})) as pieces:
            yield from pieces

    def chat(self, body: Mapping[str, Any], adapter: str | None = None) -> Pieces:
        """Write the next turn of a conversation, piece by piece: OpenAI's body of a chat completion, by the model's own template.

        `tools`, `tool_choice`, `response_format`, `stop`, `logprobs` and the settings of drawing are understood; see `llama_chat`.
        Raises as `write` does.
        """
        if self.options.schema_of_answers:
            raise _refused("the model answers single texts in its own schema", "a conversation", "Send one message.", "messages")
        if body.get("logprobs"):
            self._need_all_probabilities("logprobs", body["logprobs"])
        knows_tools = bool(self._process.facts.get("tools"))
        asked, tools = llama_chat.request(body, self.options, self._prompt.specials, knows_tools)
        sent = {**asked, "loop": self.options.loop, "body": {**asked["body"], "lora": self._adapters.scales(adapter)}}
        pieces = self._pieces(sent, llama_chat.schema(asked["body"]))
        return pieces if tools is None else tools.read(pieces)

    def count(self, text: Text) -> int:
        """Tokens of the prompt that a text makes. Raises RequestError where it is too long."""
        return len(self._prompt.ids(text))

    @property
    def pid(self) -> int | None:
        """The number of the model's process; None while none runs."""
        return self._process.pid

    def close(self) -> None:
        """End the process, once no other model needs it: requests in flight then fail. Every later one does. May be called twice."""
        if not self._closed:
            self._closed = True
            self._process.close()

    def _mailbox(self) -> Mailbox:
        if self._closed:
            raise EngineError("the model is closed", value=self.options.model, todo="Open it again.")
        return self._process.mailbox()

    def _request(self, text: Text, more: Mapping[str, Any], max_tokens: int | None, adapter: str | None = None, begun: str = "") -> Message:
        ids = self._prompt.ids(text)
        most = min(max_tokens or self.options.max_tokens, self.options.context - len(ids))
        if begun:
            there = self._prompt.begun(begun)
            ids, most = [*ids, *there], most - len(there)
            if most < 1:
                raise _refused("the answer has all the tokens that it may have", len(there), "Allow more.", "max_tokens")
        body = {
            "prompt": ids,
            "n_predict": most,
            **GREEDY,
            **STREAMED,
            "n_probs": 1,
            "lora": self._adapters.scales(adapter),
            **({"json_schema": compact(self.options.schema_of_answers)} if self.options.schema_of_answers else {}),
            **more,
        }
        body["n_predict"] = min(most, body["n_predict"])
        return {"do": "write", "body": body, "stop_ids": self.options.stop, "context": self.options.context, "loop": self.options.loop}

    def _need_all_probabilities(self, param: str, value: object) -> None:
        if self.options.draft != "none":
            raise _refused("the model guesses tokens ahead, and has no probabilities of those", value, "Leave it out.", param)

    def _within(self, grammar: str) -> str:
        """The first tokens that are written within a grammar, whatever the text."""
        lead = (*self.options.before, *self.options.after)[:1] or (0,)
        body = {"prompt": lead, "n_predict": TOKENS, **GREEDY, **STREAMED, "grammar": grammar, "lora": self._adapters.scales(None)}
        return "".join(written.text for written in self._pieces({"do": "write", "body": body}))

    def _pieces(self, request: Message, schema: Mapping[str, Any] | None = None) -> Pieces:
        # Nothing is asked before the first piece is wanted: an iterator that nobody reads costs nothing.
        mailbox = self._mailbox()
        try:
            if schema is not None:
                self._schemas.check(schema)
            mailbox.ask({**request, "together": _STREAM_SECONDS, "apart": True})
            while True:
                message = mailbox.take()
                if "error" in message:
                    raise _failure(message["error"])
                for part in message.get("parts", (message,)):
                    yield piece(part)
                if "end" in message:
                    return
        except ValueError as error:
            raise _refused("the request cannot be sent", str(error), "Send a smaller one.", None) from error
        finally:
            mailbox.close()


GREEDY = {"temperature": 0.0, "samplers": ["top_k"], "top_k": 1}
"""The likeliest token each time."""

STREAMED = {"stream": True, "cache_prompt": True, "return_progress": True, "timings_per_token": True, "post_sampling_probs": False}
"""Piece by piece, with an exact count of tokens, from what of the prompt is known already."""


_WHOLE_SECONDS = 0.25
"""Of an answer that is wanted whole: the process still says now and then that it lives."""

_STREAM_SECONDS = 0.012
"""Of an answer that is streamed: tokens that come faster than anybody reads wake the process that asked for several at a time."""

_NO_END = 3
"""Tokens that an answer which goes on has at least: enough for the model to be in another sentence."""


def _drawn(temperature: float, top_p: float, seed: int | None) -> dict[str, Any]:
    """Sampling as OpenAI does it: the temperature first, then `top_p`, and nothing else."""
    drawn: dict[str, Any] = {"temperature": temperature, "top_p": top_p, "samplers": ["temperature", "top_p"]}
    return drawn if seed is None else {**drawn, "seed": seed % 2**32}


def _failure(error: Mapping[str, Any]) -> SmidgenError:
    """Word llama.cpp's failure as our error: its 4xx are the request's fault."""
    status, said = int(error.get("code", 500)), str(error.get("message", ""))
    if 400 <= status < 500:
        long = error.get("type") == "exceed_context_size_error"
        todo = "Send a shorter text." if long else "Change the request."
        code = "context_length_exceeded" if long else "invalid_request"
        return RequestError("the model cannot answer this request", value=said, todo=todo, status=400, code=code)
    return EngineError("llama.cpp could not answer", value=said, todo="Send the request again; if it stays so, build the bundle again.")


def _stops(stop: str | Sequence[str]) -> list[str]:
    stops = [stop] if isinstance(stop, str) else list(stop)
    if len(stops) > MOST_STOPS or any(not one or len(one) > LONGEST_STOP for one in stops):
        todo = f"Give at most {MOST_STOPS} texts of 1 to {LONGEST_STOP} characters."
        raise _refused("these stop texts cannot be", stops, todo, "stop")
    return stops


def _refused(what: str, value: object, todo: str, param: str | None) -> RequestError:
    return RequestError(what, value=value, todo=todo, status=400, param=param)


def _floats(values: Sequence[float]) -> NDArray[np.float32]:
    return np.asarray(values, np.float32).reshape(len(values))


part = LlamaEngine()
