"""`--to lmstudio`: the GGUF in the folders that LM Studio's models directory has: publisher/model/file.gguf."""

from __future__ import annotations

from pathlib import Path

from smidgen.bundles.open import Bundle
from smidgen.core.errors import InputError
from smidgen.flows.export.decoder import Decoder
from smidgen.flows.export.target import Told, copied, engine_of, instruction_of, measured_line, once_only, plain_name

_PUBLISHER = "smidgen"


class LmStudio:
    """The target `lmstudio`."""

    summary = "the GGUF in the folders of LM Studio's models directory"

    def write(self, bundle: Bundle, out: Path) -> Told:
        """See `Target`. The file goes over byte for byte: metadata, tokens and template are in it. Raises InputError for an adapter."""
        manifest = engine_of(
            bundle, ("llama",), "lmstudio", "LM Studio runs models that write. Export it --to onnx-web, or serve it: smidgen serve."
        )
        decoder, name = Decoder.of(bundle), plain_name(manifest.name)
        if decoder.adapter is not None:
            raise InputError(
                "LM Studio loads no adapters, and this model is one beside its base's weights",
                value=decoder.adapter.name,
                todo="Build it without --adapter, or export it --to ollama or hf.",
            )
        method = manifest.engine.method.upper().replace("-", "_")
        copied(bundle, decoder.model.name, out / _PUBLISHER / name / f"{name}-{method}.gguf")
        told = instruction_of(manifest)
        notes = [
            f"Set the system prompt to the instruction that it was taught with: {told}"
            if told
            else "It was taught without an instruction: leave the system prompt empty.",
            "Set the temperature to 0 and the repeat penalty to 1: so it was measured.",
            *once_only(manifest),
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
        )
        (out / "README.md").write_text(text, encoding="utf-8", newline="\n")
        return Told(tuple(notes), (command,))


_README = """# {title} for LM Studio

{measured}

Copy the folder `{publisher}` into LM Studio's models directory (My Models shows where it is; `~/.lmstudio/models` where nothing was
changed), or let its command line do it:

```
{command}
```

{notes}
"""

part = LmStudio()
