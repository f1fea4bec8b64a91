"""Convert a chat request for llama.cpp: prompt, tools, schema, refused options.

Supported options are passed on, impossible ones are refused, the rest is left out. llama.cpp makes the prompt of the conversation by the
template in the model's own file. Special tokens inside a message are broken up here, so no user can end their own message and begin the
system's.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from smidgen.core.errors import EngineError, RequestError
from smidgen.core.rows import Text, joined
from smidgen.core.settings import Settings, setting
from smidgen.engines.llama_protocol import Message, Piece, Pieces, packed
from smidgen.engines.model_files import load_tokenizer
from smidgen.text.infilling import in_order, read_part, repeats, without_last

TokenId = Annotated[int, Field(ge=0)]
HELD = ("cache", "draft", "draft_after", "draft_most")
"""The options of a process, equal for all models in it."""


class LlamaOptions(Settings):
    """The llama engine's options. An unknown name is refused, because the model would be served differently from how it was measured."""

    model: str = setting("model.gguf", "The weights, a file in the bundle's folder.")
    before: tuple[TokenId, ...] = setting((), "Token ids before the text.")
    between: tuple[TokenId, ...] = setting((), "Token ids between the two texts of a pair; none: a line break.")
    after: tuple[TokenId, ...] = setting((), "Token ids after the text.")
    reach: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=0)]] | None = setting(
        None, "Most characters of the two texts of a pair that are read: of the end of the first, and of the beginning of the second."
    )
    behind_first: bool = setting(
        False, "Of a pair, the second text is read first: what somebody types then stands at the end, and the rest need not be read again."
    )
    stop: tuple[TokenId, ...] = setting((), "Token ids that end what is written; the model file's own end tokens always do.")
    max_tokens: int = setting(256, "Tokens written at most, where the request does not say.", ge=1)
    context: int = setting(2048, "Tokens of one prompt and what is written after it, together.", ge=16, le=1_048_576)
    slots: int = setting(4, "Texts written side by side.", ge=1, le=64)
    cache: Literal["q8_0", "f16"] = setting("q8_0", "How the keys and values of tokens already read are kept.")
    draft: Literal["none", "lookup"] = setting("none", "`lookup` guesses the next tokens from repeats in the text, and checks the guesses.")
    draft_after: int = setting(6, "For `lookup`: how many tokens must stand earlier in the text just so.", ge=1, le=64)
    draft_most: int = setting(
        16, "For `lookup`: how many tokens are guessed at most; fewer than `draft_after` are not guessed.", ge=1, le=64
    )
    schema_of_answers: dict[str, Any] = setting({}, "JSON schema that all that is written must fit; empty for free text.")
    loop: int = setting(
        0, "Characters that a text may go round in circles before it is cut, as copies of one run of characters; 0: any number.", ge=0
    )
    adapters: dict[str, str] = setting({}, "LoRA adapters, by name: GGUF files in the bundle's folder.")
    adapter: str | None = setting(None, "The adapter that a request has where it names none; none: the model itself.")


def read(given: Mapping[str, Any]) -> LlamaOptions:
    """Check the options. Raises EngineError that names the first invalid one."""
    try:
        found = LlamaOptions.model_validate(dict(given))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        known = ", ".join(LlamaOptions.model_fields)
        raise EngineError("engines.engine_option_is_invalid", value=first["msg"], where=where, known=known) from error
    if found.adapter is not None and found.adapter not in found.adapters:
        raise EngineError("engines.engine_option_adapter_is_unknown", value=found.adapter)
    return found


def inside(folder: Path, name: str) -> Path:
    """A file that the options name. Raises EngineError if it is missing, or lies outside the folder."""
    file = folder / name
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise EngineError("engines.engine_options_name_file_outside_bundle", value=name)
    if not file.is_file():
        raise EngineError("engines.file_of_model_is_missing", value=name)
    return file


class LoadedAdapters:
    """The adapters of one model among those that its process holds.

    Args:
        files: the model's own, by name.
        usual: the default adapter of a request; None for the model itself.
        first: the number of other models' adapters before these.
        held: the number of adapters in the process.
    """

    def __init__(self, files: Mapping[str, Path], usual: str | None, first: int = 0, held: int | None = None) -> None:
        self.names = list(files)
        self._usual, self._first = usual, first
        self._held = len(files) if held is None else held

    def scales(self, name: str | None) -> list[dict[str, float]]:
        """The weight of each adapter of the process in a request: 1 for the chosen one, 0 for the others.

        Raises RequestError, with the available names, for an unknown name.
        """
        name = self._usual if name is None else name
        if name is not None and name not in self.names:
            close = difflib.get_close_matches(name, self.names, n=1)
            raise RequestError(
                "engines.model_has_no_adapters"
                if not self.names
                else "engines.no_adapter_has_this_name_but_one_is_near"
                if close
                else "engines.no_adapter_has_this_name",
                value=name,
                near=close[0] if close else None,
                available=", ".join(self.names),
                status=404,
                code="adapter_not_found",
                param="adapter",
            )
        chosen = self._first + self.names.index(name) if name is not None else None
        return [{"id": number, "scale": float(number == chosen)} for number in range(self._held)]


def files_of(folder: Path, named: Mapping[str, str]) -> dict[str, Path]:
    """The files of a model's adapters, by name. Raises EngineError if one is missing, or lies outside the folder."""
    return {name: inside(folder, file) for name, file in named.items()}


_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,64}")

_SAY = """You can call these functions:
{functions}
To call one, answer with nothing but a JSON object: {{"name": the function's name, "arguments": {{...}}}}."""


class PromptedTools:
    """The functions of a request, and which of them may, must or must not be called.

    A model whose own template knows no tools is told of them in the system message, and calls are read out of its text. Where a call is
    demanded (`tool_choice` is `required` or names a function) the text is held to the functions' schemas, so the call is always well
    formed. Where it is left to the model (`auto`), a text that is a call is taken for one, and any other is an answer.
    """

    def __init__(self, tools: Any, choice: Any) -> None:
        self._functions = _functions(tools)
        choice = "auto" if choice is None else choice
        if isinstance(choice, Mapping):
            name = (choice.get("function") or {}).get("name") if isinstance(choice.get("function"), Mapping) else None
            if name not in self._functions:
                names = ", ".join(self._functions)
                raise _refused("engines.tool_choice_names_no_function", value=name, names=names, param="tool_choice")
            self._functions, choice = {name: self._functions[name]}, "required"
        if choice not in ("auto", "none", "required"):
            raise _refused("engines.tool_choice_is_invalid", value=choice, param="tool_choice")
        self.demanded, self.offered = choice == "required", choice != "none"

    def schema(self) -> dict[str, Any]:
        """The JSON schema of a call."""
        calls = [
            {
                "type": "object",
                "properties": {"name": {"const": name}, "arguments": function.get("parameters") or {"type": "object"}},
                "required": ["name", "arguments"],
                "additionalProperties": False,
            }
            for name, function in self._functions.items()
        ]
        return calls[0] if len(calls) == 1 else {"anyOf": calls}

    def messages(self, messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The conversation in plain texts: the functions in the system message, earlier calls and their results as messages."""
        plain = [_plain(message) for message in messages]
        if not self.offered:
            return plain
        functions = "\n".join(json.dumps(function, ensure_ascii=False) for function in self._functions.values())
        say = _SAY.format(functions=functions)
        if plain and plain[0].get("role") in ("system", "developer"):
            return [{**plain[0], "content": f"{_message_text(plain[0].get('content'))}\n\n{say}"}, *plain[1:]]
        return [{"role": "system", "content": say}, *plain]

    def read(self, pieces: Pieces) -> Pieces:
        """The pieces, with a text that is a call converted to one. A text is held back while it may be a call."""
        with contextlib.closing(pieces):
            held: list[Piece] = []
            text, maybe = "", self.offered
            for piece in pieces:
                if not maybe:
                    yield piece
                    continue
                held.append(piece)
                text += piece.text
                maybe = text.lstrip()[:1] in ("", "{")
                if maybe and piece.finish is not None:
                    call = self._call(text) if piece.finish == "stop" else None
                    if call is not None:
                        yield Piece(count=sum(one.count for one in held), delta={"tool_calls": [call]})
                        yield Piece(finish="tool_calls", usage=piece.usage)
                        return
                    maybe = False
                if not maybe:
                    yield from held

    def _call(self, text: str) -> dict[str, Any] | None:
        try:
            made = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not isinstance(made, dict) or made.get("name") not in self._functions or not isinstance(made.get("arguments"), dict):
            return None
        function = {"name": made["name"], "arguments": json.dumps(made["arguments"], ensure_ascii=False)}
        return {"index": 0, "id": f"call_{secrets.token_hex(12)}", "type": "function", "function": function}


def _functions(tools: Any) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for tool in tools if isinstance(tools, list) else [tools]:
        function = tool.get("function") if isinstance(tool, Mapping) and tool.get("type") == "function" else None
        name = function.get("name") if isinstance(function, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(name, str) or not _NAME.fullmatch(name) or name in found:
            raise _refused("engines.tool_cannot_be_used", value=tool, param="tools")
        found[name] = function
    return found


def _plain(message: Mapping[str, Any]) -> dict[str, Any]:
    if message.get("role") == "tool":
        return {"role": "user", "content": f"The function's result: {_message_text(message.get('content'))}"}
    calls = message.get("tool_calls")
    if isinstance(calls, list) and calls:
        said = [_message_text(message.get("content")), *(_said(call) for call in calls)]
        return {"role": message.get("role"), "content": "\n".join(line for line in said if line)}
    return dict(message)


def _said(call: Any) -> str:
    function = call.get("function") if isinstance(call, Mapping) else None
    if not isinstance(function, Mapping):
        raise _refused("engines.earlier_call_cannot_be_read", value=call, param="messages")
    try:
        arguments = json.loads(function.get("arguments") or "{}")
    except (TypeError, ValueError) as error:
        raise _refused("engines.arguments_of_earlier_call_are_not_json", value=call, param="messages") from error
    return json.dumps({"name": function.get("name"), "arguments": arguments}, ensure_ascii=False)


def _message_text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return content if isinstance(content, str) else ""


def _refused(code: str, *, param: str, **pieces: Any) -> RequestError:
    return RequestError(code, status=400, param=param, **pieces)


PASSED = (
    "messages",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "temperature",
    "top_p",
    "seed",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "reasoning_effort",
)
"""Fields that llama.cpp gets unchanged, except special tokens. Its own fields (`lora`, `id_slot`, `n_keep`, ...) are not for callers."""

PENALTIES = ("presence_penalty", "frequency_penalty")
"""Penalties make a token less likely if it occurs among the last ones, including the prompt. llama.cpp looks at 64."""

BREAK = "\u2060"
"""A word joiner: invisible, and enough to turn a special token into plain characters."""


def request(
    body: Mapping[str, Any], options: LlamaOptions, specials: Sequence[str], knows_tools: bool
) -> tuple[Message, PromptedTools | None]:
    """The request for the model's process, and a reader of tool calls if llama.cpp does not read them.

    `knows_tools`: whether the model's template supports tools. Raises RequestError for a body that cannot be answered.
    """
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        raise _refused("engines.there_are_no_messages", value=messages, param="messages")
    for number, message in enumerate(messages):
        _only_text(message.get("content"), f"messages[{number}].content")
    if body.get("n") not in (None, 1):
        raise _refused("engines.only_one_answer_is_possible", value=body["n"], param="n")
    most = body.get("max_completion_tokens") or body.get("max_tokens") or options.max_tokens
    if not isinstance(most, int) or isinstance(most, bool) or most < 1:
        raise _refused("engines.max_tokens_is_out_of_range", value=most, param="max_tokens")
    tools = PromptedTools(body["tools"], body.get("tool_choice")) if body.get("tools") and not knows_tools else None
    if tools is not None:
        body = {**body, "messages": tools.messages(messages), "tools": None, "tool_choice": None, "parallel_tool_calls": None}
        if tools.demanded:
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "call", "schema": tools.schema()}}
    broken = _Breaker(specials)
    asked = {name: broken.all(body[name]) for name in PASSED if body.get(name) is not None}
    top = body.get("top_logprobs") or 0
    if not isinstance(top, int) or not 0 <= top <= 20:
        raise _refused("engines.number_of_likeliest_tokens_is_out_of_range", value=top, most=20, param="top_logprobs")
    if asked.get("temperature"):
        asked["samplers"] = ["penalties", "temperature", "top_p"]
        asked.setdefault("top_p", 1.0)  # llama.cpp's default is smaller, and a single message is sampled from all tokens
    else:
        # A penalty changes which token is the likeliest, so it comes first; without one, nothing does.
        penalties = ["penalties"] if any(asked.get(name) for name in PENALTIES) else []
        asked |= {"temperature": 0.0, "samplers": [*penalties, "top_k"], "top_k": 1}
    asked |= {"max_tokens": min(most, options.context), "stream": True, "cache_prompt": True, "return_progress": True}
    asked |= {"timings_per_token": True, "post_sampling_probs": False}
    if not asked.get("tools"):  # llama.cpp gives no probabilities together with tools
        asked |= {"logprobs": True, "top_logprobs": max(1, top)}
    return {"do": "chat", "body": asked, "stop_ids": options.stop, "top": top, "context": options.context}, tools


def schema(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The JSON schema in a body's `response_format`; None if there is none."""
    asked = body.get("response_format")
    wrapped = asked.get("json_schema") if isinstance(asked, Mapping) else None
    found = wrapped.get("schema") if isinstance(wrapped, Mapping) else None
    return found if isinstance(found, Mapping) else None


class _Breaker:
    """Breaks up special tokens in all texts of a JSON value."""

    def __init__(self, specials: Sequence[str]) -> None:
        longest_first = sorted((special for special in specials if len(special) > 1), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def all(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._pattern.sub(lambda found: found[0][0] + BREAK + found[0][1:], value) if self._pattern else value
        if isinstance(value, Mapping):
            return {self.all(key): self.all(inner) for key, inner in value.items()}
        return [self.all(inner) for inner in value] if isinstance(value, list | tuple) else value


def _only_text(content: Any, where: str) -> None:
    """Refuse content that is not text: llama.cpp would fetch an image from its address."""
    parts = content if isinstance(content, list) else []
    if any(not isinstance(part, dict) or part.get("type") != "text" for part in parts):
        raise _refused("engines.model_reads_only_text", value=where, param=where)


MARK = "#>"
TOKENS = 4
"""Enough to write the mark, however the model splits it."""
_KEPT = 256
_STEP = 1e-9


class TriedSchemas:
    """The schemas of one model that have been tried. `written` gives the first tokens that the model writes within a grammar.

    llama.cpp passes over a schema that it cannot hold a text to (a reference to nowhere, an unknown kind of field), and writes as if there
    were none. So each new schema is tried: after a mark that nothing but the schema's grammar would write first.
    """

    def __init__(self, written: Callable[[str], str]) -> None:
        self._written = written
        self._held: OrderedDict[str, bool] = OrderedDict()

    def check(self, schema: Mapping[str, Any]) -> None:
        """Raise RequestError for a schema that cannot be enforced, ValueError for one that is not JSON."""
        line = packed(dict(schema)).decode("ascii").strip()
        held = self._held.get(line)
        if held is None:
            held = self._written(grammar(line)).startswith(MARK)
            self._held[line] = held
            while len(self._held) > _KEPT:
                self._held.popitem(last=False)
        if not held:
            raise RequestError(
                "engines.answer_cannot_be_held_to_schema", value=line, status=400, code="invalid_json_schema", param="response_format"
            )


def grammar(schema: str) -> str:
    """A grammar for the mark followed by the schema's JSON, in the language of llguidance, which llama.cpp uses for schemas."""
    return f'%llguidance {{}}\nstart: "{MARK}" value\nvalue: %json {schema}'


def compact(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with a single spelling of JSON, the one in training: no blanks; and numbers with at most nine decimals, because an
    uncertain model may write zeros without end."""
    return {**_bounded(schema), "x-guidance": {"whitespace_flexible": False, "item_separator": ",", "key_separator": ":"}}


def _bounded(node: Mapping[str, Any]) -> dict[str, Any]:
    kinds = node.get("type")
    made = dict(node)
    if "number" in (kinds if isinstance(kinds, list) else [kinds]) and "enum" not in node:
        made.setdefault("multipleOf", _STEP)
    if "properties" in node:
        made["properties"] = {name: _bounded(inner) for name, inner in node["properties"].items()}
    if "items" in node:
        made["items"] = _bounded(node["items"])
    return made


CHARACTERS_A_TOKEN = 100
"""A text with more characters per token of context is not even tokenised: it cannot fit."""


class LlamaPrompt:
    """Token ids of prompts, equal in training and in serving. Special tokens in a text become plain characters."""

    def __init__(self, folder: Path, options: LlamaOptions) -> None:
        self._tokenizer = load_tokenizer(folder / "tokenizer.json")
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._tokenizer.encode_special_tokens = True
        self._before, self._between, self._after = list(options.before), list(options.between), list(options.after)
        self._reach, self._context, self._behind_first = options.reach, options.context, options.behind_first

    @property
    def specials(self) -> list[str]:
        """The texts of the special tokens."""
        return [token.content for token in self._tokenizer.get_added_tokens_decoder().values() if token.special]

    def begun(self, answer: str) -> list[int]:
        """The ids of the beginning of an answer, which follow those of the prompt."""
        return [int(number) for number in self._tokenizer.encode(answer, add_special_tokens=False).ids]

    def split(self, text: Text) -> tuple[list[int], str]:
        """The prompt's ids, and the text with which the answer must begin because its token is left out of them; see `without_last`."""
        found = self.ids(text)
        if not self._behind_first or isinstance(text, str):
            return found, ""
        return without_last(found, text[0], lambda ids: str(self._tokenizer.decode(ids)))

    def ends(self, text: Text) -> dict[str, int]:
        """Where a filling begins to repeat what stands behind its gap; see `repeats`. Empty for a text without a gap."""
        return {} if self._reach is None or isinstance(text, str) else repeats(*text)

    def ids(self, text: Text) -> list[int]:
        """The prompt's ids. Raises RequestError if it leaves no room for even one token, or is empty."""
        if self._reach is not None and not isinstance(text, str):
            text = in_order(read_part(*text, self._reach), self._behind_first)
        plain = joined(text)
        parts = text if self._between and not isinstance(text, str) else (plain,)
        if len(plain) > self._context * CHARACTERS_A_TOKEN:
            raise self._too_long(f"{len(plain)} characters")
        found = [*self._before, *self.begun(parts[0])]
        for part in parts[1:]:
            found += [*self._between, *self.begun(part)]
        found += self._after
        if not found:
            raise RequestError("engines.prompt_is_empty", value=plain, status=400, code="empty_prompt", param="prompt")
        if len(found) >= self._context:
            raise self._too_long(f"{len(found)} tokens")
        return found

    def _too_long(self, length: str) -> RequestError:
        return RequestError(
            "engines.text_is_too_long_for_model",
            length=length,
            context=self._context,
            status=400,
            code="context_length_exceeded",
            param="prompt",
        )
