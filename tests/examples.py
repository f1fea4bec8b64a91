"""How many examples a property is tried with: fewer in the gate, all in `make test-all`."""

from __future__ import annotations

_FEWEST = 25
_SHARE = 4
in_gate = False
"""Whether this run leaves out what is marked thorough."""


def examples(number: int) -> int:
    """So many of that many."""
    return max(min(number, _FEWEST), number // _SHARE) if in_gate else number
