"""Run a decoder: `model.gguf` and `tokenizer.json`, on llama.cpp in a separate process."""

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
from smidgen.core.parts import Engine, Raw
from smidgen.core.rows import Text
from smidgen.engines import llama_chat
from smidgen.engines.llama_chat import (
    HELD,
    TOKENS,
    LlamaOptions,
    LlamaPrompt,
    LoadedAdapters,
    TriedSchemas,
    compact,
    files_of,
    inside,
    read,
)
from smidgen.engines.llama_process import LlamaProcess, Mailbox
from smidgen.engines.llama_protocol import Message, Piece, Pieces, piece
from smidgen.text.repetition import without_repetition


class WrittenText:
    """The text written so far for one input, after a given beginning."""

    def __init__(self, begun: str = "") -> None:
        self.begun = begun
        self.text: list[str] = []
        self.chances: list[float] = []
        self.count, self.finished = 0, 0.0

    def add(self, written: Piece) -> None:
        """Add a piece."""
        self.text.append(written.text)
        self.chances += [token.probability for token in written.tokens]
        self.count += written.count
        self.finished = float(written.finish == "stop")

    def whole(self) -> str:
        """The text; if it was cut, without the repetitions at its end."""
        text = "".join(self.text)
        return text if self.finished else without_repetition(text)


MOST_LOGPROBS = 20
MOST_STOPS = 16
LONGEST_STOP = 1000
MOST_LINES = 64
"""Most prompts that a process caches side by side, if it holds more adapters than slots."""


class LlamaEngine(Engine):
    """The engine. Its options are those of `LlamaOptions`."""

    name = "llama"

    def open(self, folder: Path, options: Mapping[str, Any], threads: int) -> LlamaRunner:
        """Start the process and load the model. Raises EngineError if a file is missing or damaged, or an option is invalid."""
        return self.together([(folder, options)], threads)[0]

    def shares(self, options: Mapping[str, Any], hashes: Mapping[str, str]) -> str:
        """The facts that models must share to be held once: the weights, by their hash, and how they are run."""
        asked = read(options)
        drafting = f"{asked.draft} {asked.draft_after} {asked.draft_most}" if asked.draft == "lookup" else asked.draft
        return f"{hashes.get(asked.model)} {asked.cache} {drafting}"

    def together(self, models: Sequence[tuple[Path, Mapping[str, Any]]], threads: int) -> list[LlamaRunner]:
        """Load models with equal `shares` in one process, which holds the weights once, and every adapter. It has the most and the longest
        slots that any of them needs, and ends when the last model is closed. The cache of each adapter stays while there is room. Raises
        EngineError as `open` does."""
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
        process.mailbox()  # load now, so that a damaged model fails here and not with the first request
        for runner in runners:
            runner.check_schema()
        return runners


class LlamaRunner:
    """A loaded decoder. Thread-safe; a request ends when its work is cancelled."""

    def __init__(self, folder: Path, options: LlamaOptions, process: LlamaProcess, adapters: LoadedAdapters) -> None:
        self.options = options
        self._prompt = LlamaPrompt(folder, options)
        self._adapters = adapters
        self._schemas = TriedSchemas(self._within)
        self._process = process
        self._closed = False

    def check_schema(self) -> None:
        """Raise EngineError, and close, if answers cannot be held to the bundle's schema."""
        if self.options.schema_of_answers:
            try:
                self._schemas.check(compact(self.options.schema_of_answers))
            except RequestError as error:
                self.close()
                raise EngineError(error.what, value=error.value, todo="Leave out patterns and formats, and build again.") from error

    def run(self, texts: Sequence[Text]) -> Raw:
        """Write an answer to each text, greedily: `texts`, a list of n str, and float32 arrays (n,):

        `probability`: mean of the probabilities of the written tokens, 0 for none; with drafting, only of tokens written in steps without a
            guess, because llama.cpp reports no others;
        `likelihood`: their product, 0 for none;
        `tokens`: the number of written tokens, without the end token;
        `finished`: 1 if the model ended by itself, 0 if `max_tokens`, the context or `loop` cut it: then `texts` contains the repeated part
            once.

        A text that the context cannot hold gets an empty answer and zeros. If the bundle has a schema, each answer fits it or was cut.
        Raises EngineError if the process dies.
        """
        return self._written(texts, [WrittenText() for _ in texts], {})

    def draw(self, texts: Sequence[Text], temperature: float, seed: int) -> Raw:
        """Write an answer to each text by random sampling; else as `run`. Equal seeds give equal answers."""
        return self._written(texts, [WrittenText() for _ in texts], _drawn(temperature, 1.0, seed))

    def extend(self, texts: Sequence[Text], begun: Sequence[str]) -> Raw:
        """Continue the beginnings of answers, greedily, without ending at once; as `run`, but returns only the additions. Without room for
        more, an addition is empty, and `finished` is 0."""
        rows = [WrittenText(answer) for answer in begun]
        self._written(texts, rows, self._no_end())
        return self._written(texts, rows, {})

    def _no_end(self) -> dict[str, Any]:
        """Settings for a few tokens, none of which ends the text."""
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
            # Twice the slots, so that a free slot finds its next text at once.
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
                    # The engine made the request, so an error in it comes from the model's files.
                    said = message["error"].get("message")
                    raise EngineError("engines.model_cannot_run_on_these_texts", value=said)
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
            max_tokens: most tokens; default, the bundle's own.
            temperature: 0 takes the likeliest token each time; 1 samples from the model's probabilities.
            top_p: samples from the likeliest tokens that together have this probability.
            seed: of the sampling; None for another each time.
            stop: one or several texts before which to end.
            grammar: a grammar (GBNF) that the text must fit.
            json_schema: a JSON schema that the text must fit.
            logprobs: how many of the likeliest tokens to report with each token, 0 to 20.
            adapter: name of the LoRA adapter; None for the bundle's own, or the model itself if it has none.
            begun: the beginning of the answer: it continues from there, does not end at once, and only the addition is given.

        Raises:
            RequestError: at once for invalid arguments; with the first piece for a schema or grammar that llama.cpp refuses.
            EngineError: the process died; the next request starts it again.
        """
        stops = _stops(stop)
        if self.options.schema_of_answers and (grammar is not None or json_schema is not None):
            raise _refused("engines.grammar_does_not_fit_own_schema", param="response_format")
        if grammar is not None and json_schema is not None:
            raise _refused("engines.grammar_and_json_schema_cannot_both_hold", value="grammar, json_schema", param="grammar")
        if not 0 <= logprobs <= MOST_LOGPROBS:
            raise _refused("engines.number_of_likeliest_tokens_is_out_of_range", value=logprobs, most=MOST_LOGPROBS, param="logprobs")
        if logprobs:
            self._need_all_probabilities("logprobs", logprobs)
        if not 0 <= temperature <= 100:
            raise _refused("engines.temperature_is_out_of_range", value=temperature, param="temperature")
        if not 0 < top_p <= 1:
            raise _refused("engines.top_p_is_out_of_range", value=top_p, param="top_p")
        if max_tokens is not None and max_tokens < 1:
            raise _refused("engines.max_tokens_is_out_of_range", value=max_tokens, param="max_tokens")
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
        """Write some tokens that cannot be the end, then others up to it."""
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

        Supports `tools`, `tool_choice`, `response_format`, `stop`, `logprobs` and the sampling settings; see `llama_chat`. Raises as
        `write` does.
        """
        if self.options.schema_of_answers:
            raise _refused("engines.model_answers_single_texts_only", param="messages")
        if body.get("logprobs"):
            self._need_all_probabilities("logprobs", body["logprobs"])
        knows_tools = bool(self._process.facts.get("tools"))
        asked, tools = llama_chat.request(body, self.options, self._prompt.specials, knows_tools)
        sent = {**asked, "loop": self.options.loop, "body": {**asked["body"], "lora": self._adapters.scales(adapter)}}
        pieces = self._pieces(sent, llama_chat.schema(asked["body"]))
        return pieces if tools is None else tools.read(pieces)

    def count(self, text: Text) -> int:
        """The number of tokens in a text's prompt. Raises RequestError if it is too long."""
        return len(self._prompt.ids(text))

    @property
    def pid(self) -> int | None:
        """The id of the model's process; None while none runs."""
        return self._process.pid

    def close(self) -> None:
        """End the process, once no other model needs it: requests under way then fail, and all later ones too. May be called twice."""
        if not self._closed:
            self._closed = True
            self._process.close()

    def _mailbox(self) -> Mailbox:
        if self._closed:
            raise EngineError("engines.model_is_closed", value=self.options.model)
        return self._process.mailbox()

    def _request(self, text: Text, more: Mapping[str, Any], max_tokens: int | None, adapter: str | None = None, begun: str = "") -> Message:
        held = bool(begun or self.options.schema_of_answers or {"grammar", "json_schema"} & more.keys())
        ids, lead = (self._prompt.ids(text), "") if held else self._prompt.split(text)
        most = min(max_tokens or self.options.max_tokens, self.options.context - len(ids))
        if begun:
            there = self._prompt.begun(begun)
            ids, most = [*ids, *there], most - len(there)
            if most < 1:
                raise _refused("engines.answer_has_all_its_tokens", value=len(there), param="max_tokens")
        body = {
            "prompt": ids,
            "n_predict": most,
            **GREEDY,
            **STREAMED,
            "n_probs": 1,
            "lora": self._adapters.scales(adapter),
            **({"json_schema": compact(self.options.schema_of_answers)} if self.options.schema_of_answers else {}),
            **({"grammar": beginning_with(lead)} if lead else {}),
            **more,
        }
        body["n_predict"] = min(most, body["n_predict"])
        limits = {"stop_ids": self.options.stop, "context": self.options.context, "loop": self.options.loop}
        ends = {} if held else self._prompt.ends(text)
        return {"do": "write", "body": body, "lead": lead, "ends": ends, **limits}

    def _need_all_probabilities(self, param: str, value: object) -> None:
        if self.options.draft != "none":
            raise _refused("engines.drafting_has_no_probabilities", value=value, param=param)

    def _within(self, grammar: str) -> str:
        """The first tokens that the model writes within a grammar, for any text."""
        lead = (*self.options.before, *self.options.after)[:1] or (0,)
        body = {"prompt": lead, "n_predict": TOKENS, **GREEDY, **STREAMED, "grammar": grammar, "lora": self._adapters.scales(None)}
        return "".join(written.text for written in self._pieces({"do": "write", "body": body}))

    def _pieces(self, request: Message, schema: Mapping[str, Any] | None = None) -> Pieces:
        # The request is sent when the first piece is wanted: an iterator that nobody reads costs nothing.
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
            raise _refused("engines.request_cannot_be_sent", value=str(error), param=None) from error
        finally:
            mailbox.close()


GREEDY = {"temperature": 0.0, "samplers": ["top_k"], "top_k": 1}
"""Settings for taking the likeliest token each time."""

STREAMED = {"stream": True, "cache_prompt": True, "return_progress": True, "timings_per_token": True, "post_sampling_probs": False}
"""Settings for streaming, with exact token counts and reuse of the cached prompt."""


_WHOLE_SECONDS = 0.25
"""Seconds of a whole answer that go into one message: the process still reports from time to time."""

_STREAM_SECONDS = 0.012
"""Seconds of a streamed answer that go into one message: faster single tokens would wake the reader too often."""

_NO_END = 3
"""Least tokens of a continued answer: enough to lead the model into another sentence."""


def beginning_with(text: str) -> str:
    """A grammar (GBNF) of all texts that begin with this one."""
    spelt = "".join(f"\\x{ord(sign):02x}" if sign in '"\\' or sign < " " else sign for sign in text)
    return f'root ::= "{spelt}" [^\\x00]*'


def _drawn(temperature: float, top_p: float, seed: int | None) -> dict[str, Any]:
    """Sampling as OpenAI does it: first the temperature, then `top_p`, and nothing else."""
    drawn: dict[str, Any] = {"temperature": temperature, "top_p": top_p, "samplers": ["temperature", "top_p"]}
    return drawn if seed is None else {**drawn, "seed": seed % 2**32}


def _failure(error: Mapping[str, Any]) -> SmidgenError:
    """Convert llama.cpp's failure to our error: a 4xx is the request's fault."""
    status, said = int(error.get("code", 500)), str(error.get("message", ""))
    if 400 <= status < 500:
        long = error.get("type") == "exceed_context_size_error"
        code = "context_length_exceeded" if long else "invalid_request"
        return RequestError(
            "engines.request_is_too_long_for_model" if long else "engines.model_cannot_answer_this_request",
            value=said,
            status=400,
            code=code,
        )
    return EngineError("engines.llama_cpp_could_not_answer", value=said)


def _stops(stop: str | Sequence[str]) -> list[str]:
    stops = [stop] if isinstance(stop, str) else list(stop)
    if len(stops) > MOST_STOPS or any(not one or len(one) > LONGEST_STOP for one in stops):
        raise _refused("engines.stop_texts_are_invalid", value=stops, most=MOST_STOPS, longest=LONGEST_STOP, param="stop")
    return stops


def _refused(code: str, *, param: str | None, **pieces: Any) -> RequestError:
    return RequestError(code, status=400, param=param, **pieces)


def _floats(values: Sequence[float]) -> NDArray[np.float32]:
    return np.asarray(values, np.float32).reshape(len(values))


part = LlamaEngine()
