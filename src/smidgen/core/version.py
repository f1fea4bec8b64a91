"""The version of smidgen, for bundles, reports and `smidgen --version`. A test compares it with `pyproject.toml`."""

from __future__ import annotations

VERSION = "0.1.0"
