"""The `[base]` section of a recipe."""

from __future__ import annotations

from smidgen.core.settings import Settings, setting


class BaseSettings(Settings):
    """Which pretrained weights to start from."""

    name: str = setting("minilm", "A starter (minilm), a model of the hub (hf:owner/name), or a folder.", flag="--base", min_length=1)


SETTINGS = BaseSettings
