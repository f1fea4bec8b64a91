"""The version, once: bundles, reports and `smidgen --version` say it. `pyproject.toml` says the same; a test holds them together."""

from __future__ import annotations

VERSION = "0.1.0"
