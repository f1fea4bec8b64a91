"""Floor 2: ways to make a model smaller, and the `[compress]` section of a recipe."""

from __future__ import annotations

from smidgen.core.settings import Settings, setting


class CompressSettings(Settings):
    """How the trained model is made smaller and faster before packing."""

    method: str = setting(
        "auto",
        "auto: methods are measured on this machine and the best that passes the gate is kept; for a model that writes, the smallest that "
        "loses at most a point. none: none. Or a method by name.",
        flag="--compress",
    )


SETTINGS = CompressSettings
