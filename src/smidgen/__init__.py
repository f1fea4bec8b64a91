"""smidgen: small language models from your own examples, trained, checked and served on an ordinary CPU."""

from __future__ import annotations

__version__ = "0.1.0"
