"""`--to lmstudio`: the GGUF in the folder structure of LM Studio's models directory: publisher/model/file.gguf."""

from __future__ import annotations

import json
from pathlib import Path

from smidgen.bundles.open import Bundle
from smidgen.flows.export.decoder import DecoderBundle
from smidgen.flows.export.exporter import (
    SCHEMA,
    ExportNotes,
    ExportRefusal,
    copy_file,
    engine_of,
    instruction_of,
    measured_line,
    plain_name,
    schema_of,
    single_attempt_note,
    write_schema,
)

_PUBLISHER = "smidgen"


class LmStudio:
    """The target `lmstudio`."""

    summary = "the GGUF in the folders of LM Studio's models directory"

    def check(self, bundle: Bundle) -> None:
        """See `ExportTarget`. LM Studio runs models that write, and loads no adapters."""
        engine_of(bundle, ("llama",), "lmstudio")
        decoder = DecoderBundle.of(bundle)
        if decoder.adapter is not None:
            raise ExportRefusal("flows.lm_studio_loads_no_adapters", value=decoder.adapter.name)

    def write(self, bundle: Bundle, out: Path) -> ExportNotes:
        """See `ExportTarget`. The file is copied byte for byte: it contains metadata, tokens and template."""
        manifest = bundle.manifest
        decoder, name = DecoderBundle.of(bundle), plain_name(manifest.name)
        method = manifest.engine.method.upper().replace("-", "_")
        copy_file(bundle, decoder.model.name, out / _PUBLISHER / name / f"{name}-{method}.gguf")
        told = instruction_of(manifest)
        notes = [
            *write_schema(manifest, out, _FORMAT),
            f"Set the system prompt to the instruction that it was taught with: {told}"
            if told
            else "It was taught without an instruction: leave the system prompt empty.",
            "Set the temperature to 0 and the repeat penalty to 1: so it was measured.",
            *single_attempt_note(manifest),
            *(
                ["The model's file has no chat template: LM Studio will guess one, and ask otherwise than it was taught."]
                if not decoder.template
                else []
            ),
        ]
        command = f"lms import {_PUBLISHER}/{name}/{name}-{method}.gguf --user-repo {_PUBLISHER}/{name} --copy"
        text = _README.format(
            title=manifest.name,
            publisher=_PUBLISHER,
            measured=measured_line(manifest),
            command=command,
            notes="\n".join(f"- {n}" for n in notes),
            asked=_asked(decoder, name) if schema_of(manifest) else "",
        )
        (out / "README.md").write_text(text, encoding="utf-8", newline="\n")
        return ExportNotes(tuple(notes), (command,))


def _asked(decoder: DecoderBundle, name: str) -> str:
    """How to ask its server, which ignores the settings made in its window."""
    talk = json.dumps([*decoder.shown(), {"role": "user", "content": "a text"}], ensure_ascii=False)
    return _ASKED.replace("NAME", name.lower()).replace("MESSAGES", talk)


_FORMAT = f"LM Studio takes a schema with each request, as `response_format` of the type `json_schema`: send {SCHEMA} along."

_ASKED = """
With LM Studio's server running (`lms ls` shows the model's name there):

```python
import json
import urllib.request

with open("schema.json", encoding="utf-8") as file:
    schema = json.load(file)
held = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
asked = {"model": "NAME", "messages": MESSAGES, "temperature": 0, "response_format": held}
request = urllib.request.Request(
    "http://127.0.0.1:1234/v1/chat/completions", json.dumps(asked).encode(), {"Content-Type": "application/json"}
)
with urllib.request.urlopen(request) as answer:
    print(json.loads(json.load(answer)["choices"][0]["message"]["content"]))
```
"""

_README = """# {title} for LM Studio

{measured}

Copy the folder `{publisher}` into LM Studio's models directory (My Models shows where it is; `~/.lmstudio/models` where nothing was
changed), or let its command line do it:

```
{command}
```

{notes}
{asked}"""

part = LmStudio()
