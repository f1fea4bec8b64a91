"""What kind of model a folder holds."""

from __future__ import annotations

import json
from pathlib import Path

from smidgen.core.errors import BaseError


def family_of(folder: Path) -> str:
    """`decoder` for a model that writes (config.json names an architecture ...ForCausalLM), else `encoder`. Raises BaseError where
    config.json cannot be read."""
    file = folder / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BaseError("the model's config cannot be read", value=str(file), todo="Fetch or save the model anew.") from error
    found = config.get("architectures") if isinstance(config, dict) else None
    return "decoder" if any(str(name).endswith("ForCausalLM") for name in found or ()) else "encoder"
