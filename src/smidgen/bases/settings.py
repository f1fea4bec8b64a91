"""The `[base]` section of a recipe."""

from __future__ import annotations

from smidgen.core.settings import Settings, setting

AUTO = "auto"
"""The name that stands for the starter of the family that is needed."""


class BaseSettings(Settings):
    """Which pretrained weights to start from."""

    name: str = setting(
        AUTO,
        "auto: the starter of the student's family (minilm, smollm2); a model of the hub (hf:owner/name), or a folder.",
        flag="--base",
        min_length=1,
    )


SETTINGS = BaseSettings
