"""`--to ollama`: a folder with the model's GGUF and a Modelfile, whose template gives the measured prompts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from smidgen.bundles.open import Bundle
from smidgen.flows.export.chat_template import fill_go_template, ollama_values, translate_template, write_single_turn
from smidgen.flows.export.decoder import DecoderBundle
from smidgen.flows.export.exporter import (
    SCHEMA,
    ExportNotes,
    ExportRefusal,
    copy_file,
    engine_of,
    form_of,
    instruction_of,
    licence_of,
    measured_line,
    plain_name,
    schema_of,
    single_attempt_note,
    write_schema,
)

_FENCE = '"""'
_PROBE = "name: Oak stool; colour: red"


class Ollama:
    """The target `ollama`."""

    summary = "a Modelfile beside the GGUF, for ollama create"

    def check(self, bundle: Bundle) -> None:
        """See `ExportTarget`. Ollama runs models that write, if their chat template can be translated to Go's."""
        engine_of(bundle, ("llama",), "ollama")
        decoder = DecoderBundle.of(bundle)
        template, system, _ = _template(decoder)
        odd = decoder.split_alike()
        if odd is not None:
            raise ExportRefusal("flows.prompt_as_one_text_has_other_tokens", value=odd)
        modelfile(decoder, template, system)

    def write(self, bundle: Bundle, out: Path) -> ExportNotes:
        """See `ExportTarget`."""
        manifest, decoder = bundle.manifest, DecoderBundle.of(bundle)
        template, system, notes = _template(decoder)
        copy_file(bundle, decoder.model.name, out / "model.gguf")
        if decoder.adapter is not None:
            copy_file(bundle, decoder.adapter.name, out / "adapter.gguf")
        (out / "Modelfile").write_text(modelfile(decoder, template, system), encoding="utf-8", newline="\n")
        notes = [*write_schema(manifest, out, _FORMAT), *notes]
        name = plain_name(manifest.name).lower()
        commands = (f"ollama create {name} -f Modelfile", f"ollama run {name}")
        readme = _README.format(
            title=manifest.name,
            measured=measured_line(manifest),
            commands="\n".join(commands),
            notes="\n".join(f"- {note}" for note in notes),
            asked=_ASKED.replace("NAME", name) if schema_of(manifest) else "",
        )
        (out / "README.md").write_text(readme, encoding="utf-8", newline="\n")
        return ExportNotes(tuple(notes), commands)


def modelfile(decoder: DecoderBundle, template: str, system: str) -> str:
    """The Modelfile. Raises ExportRefusal if a text cannot be written in one."""
    options, facts = decoder.options, decoder.bundle.manifest
    settings: list[tuple[str, Any]] = [("temperature", 0), ("repeat_penalty", 1)]
    if "context" in options:
        settings.append(("num_ctx", options["context"]))
    settings.append(("num_predict", most_tokens(decoder)))
    stops = [decoder.text([number]) for number in decoder.prompt.stop]
    lines = [
        f"# {facts.name} ({facts.task}), exported by smidgen {facts.smidgen_version} from the bundle {facts.id}.",
        "FROM ./model.gguf",
        *(["ADAPTER ./adapter.gguf"] if decoder.adapter is not None else []),
        f"TEMPLATE {_fenced(template)}",
        *([f"SYSTEM {_fenced(system)}"] if system else []),
        *(f"PARAMETER {name} {value}" for name, value in settings),
        *(f'PARAMETER stop "{stop}"' for stop in stops if stop and '"' not in stop and "\n" not in stop),
    ]
    if licence_of(facts) != "unknown":
        lines.append(f"LICENSE {_fenced(licence_of(facts))}")
    return "\n".join(lines) + "\n"


def most_tokens(decoder: DecoderBundle) -> int:
    """The most tokens of an answer: the task's own setting if there is one; else the room that the context leaves.

    The bundle's own bound comes from the longest training answer, to end repetitive texts, and a request to smidgen can raise it. Ollama's
    bound holds for every request, so it must not cut answers that the task may need.
    """
    options = decoder.options
    asked = form_of(decoder.bundle.manifest).writing.max_tokens
    if asked:
        return asked
    context = int(options.get("context", 2048))
    prompt = len(decoder.prompt.before) + len(decoder.prompt.after)
    return max(int(options.get("max_tokens", 1)), (context - prompt) // 2)


def _template(decoder: DecoderBundle) -> tuple[str, str, list[str]]:
    """The template in Go's language, the system message, and notes.

    A prompt that equals the chat template's becomes a template for conversations. Any other (a base that never learnt to chat, a prompt
    with examples in it) becomes one that answers each message alone, as the bundle does.
    """
    manifest = decoder.bundle.manifest
    system, notes = instruction_of(manifest), [_SPECIALS, _DIGITS, *single_attempt_note(manifest)]
    wanted = decoder.asked(_PROBE)
    if decoder.template is not None:
        render = decoder.render()
        talk = [*decoder.shown(), {"role": "user", "content": _PROBE}]
        try:
            if render(talk, True) == wanted:
                found = _begun(decoder, translate_template(render))
                _prove(decoder, found, talk, wanted)
                return found, system, [_TALK, *notes]
        except ValueError as error:
            raise ExportRefusal("flows.model_chat_template_cannot_be_written", value=decoder.model.name, error=error) from error
    try:
        found = write_single_turn(_cut(decoder, decoder.text(decoder.prompt.before)), decoder.text(decoder.prompt.after))
        _prove(decoder, found, [{"role": "user", "content": _PROBE}], wanted)
    except ValueError as error:
        raise ExportRefusal("flows.prompt_cannot_be_written_in_go_template", value=decoder.model.name, error=error) from error
    return found, "", [_ALONE, *notes]


def _begun(decoder: DecoderBundle, template: str) -> str:
    """The template without its first token if llama.cpp adds that by itself, because it would occur twice. Raises ValueError if that token
    opens turns too, and not only the conversation, with and without a system message."""
    if not decoder.begins:
        return template
    if template.count(decoder.begins) > 2:
        raise ValueError("the token that opens a conversation opens its turns too")
    return template.replace(decoder.begins, "")


def _cut(decoder: DecoderBundle, text: str) -> str:
    return text.removeprefix(decoder.begins)


def _prove(decoder: DecoderBundle, template: str, talk: list[Any], wanted: str) -> None:
    """Check that the filled-in template equals the bundle's prompt. Raises ValueError if not."""
    if decoder.begins + fill_go_template(template, ollama_values(talk)) != wanted:
        raise ValueError("filled in, it does not give the prompt that the bundle was measured with")


def _fenced(text: str) -> str:
    if _FENCE in text or "\r" in text:
        raise ExportRefusal("flows.text_cannot_be_written_in_modelfile", value=text)
    return f"{_FENCE}{text}{_FENCE}"


_TALK = "A message is asked as the bundle asks it. Conversations follow the model's chat template; it was not measured on them."
_ALONE = "Each message is answered by itself, as the bundle does; what was said before is not told to the model."
_SPECIALS = "Ollama reads a special token inside a text as that token; the bundle's own engine reads it as plain characters."
_DIGITS = "Ollama's llama.cpp may be another version than the one measured, and keep its cache in 16 bits: answers can differ by a word."
_FORMAT = f"Ollama takes a schema with each request, as `format`, and none in a Modelfile; `ollama run` writes freely. Send {SCHEMA} along."

_ASKED = """
```python
import json
import urllib.request

with open("schema.json", encoding="utf-8") as file:
    schema = json.load(file)
asked = {"model": "NAME", "messages": [{"role": "user", "content": "a text"}], "format": schema, "stream": False}
request = urllib.request.Request("http://127.0.0.1:11434/api/chat", json.dumps(asked).encode(), {"Content-Type": "application/json"})
with urllib.request.urlopen(request) as answer:
    print(json.loads(json.load(answer)["message"]["content"]))
```
"""

_README = """# {title} for Ollama

{measured}

In this folder:

```
{commands}
```

{notes}
{asked}"""

part = Ollama()
