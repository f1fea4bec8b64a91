"""A quick run of the benches, for tests."""

from __future__ import annotations

from pathlib import Path

from bench.context import Context


def quick_context(folder: Path) -> Context:
    """One whose data, results and page lie in this folder."""
    return Context(
        data=folder,
        out=folder / "out",
        results=folder / "RESULTS.md",
        seeds=(0,),
        peer_seeds=None,
        threads=None,
        quick=True,
        peers=True,
        keep="none",
        build_flags=(),
        patience=1.0,
        command="python -m bench",
    )
