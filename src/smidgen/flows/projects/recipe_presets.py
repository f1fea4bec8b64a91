"""Presets of the canvas: settings for common cases, which go over a recipe's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smidgen.parts import registry

_PRESETS: Mapping[str, Mapping[str, Any]] = {
    "fast": {"student": {"quality": "fast"}},
    "balanced": {"student": {"quality": "balanced"}},
    "best": {"student": {"quality": "best"}},
    "small": {"student": {"quality": "balanced", "max_size_mb": 25.0}},
    "strict": {"gate": {"max_loss": 0.005, "must_beat_baseline": True}},
    "relay": {
        "route": {
            "fallback": ["https://api.openai.com/v1"],
            "fallback_model": ["gpt-6-luna"],
            "quality": 0.95,
            "privacy": "mask",
            "capture": "answers",
        }
    },
}
_TAUGHT = {"data": {"teacher": {"source": "https://api.openai.com/v1", "model": "gpt-6-luna", "uses": ["label"], "budget_usd": 5.0}}}


def presets_of(task: str) -> dict[str, Mapping[str, Any]]:
    """The presets of a task, by name."""
    return {**_PRESETS, **({"taught": _TAUGHT} if registry.find("tasks", task).teachable else {})}
