"""Labels that a line would forget: those that its champion has, and that no row to learn from has any more.

Once a label is answered locally nothing of it escalates, so that nothing of it comes anew but what is audited, and what was captured
before goes with `--capture-days`. A version without the label may win and be certified all the same: the rows that compare and certify are
escalations, too.
"""

from __future__ import annotations

from collections.abc import Sequence

from smidgen.core.parts import Form

_SHOWN = 5


def lost(champion: Form, challenger: Form) -> tuple[str, ...]:
    """The champion's labels that the challenger has not, in the champion's order; none of models without labels."""
    known = set(_labels(challenger))
    return tuple(label for label in _labels(champion) if label not in known)


def why(labels: Sequence[str], champion: Form) -> str:
    """Why a challenger without these is kept out, and what to do, without a full stop."""
    more = f" and {len(labels) - _SHOWN:,} more" if len(labels) > _SHOWN else ""
    return (
        f"it does not know {len(labels):,} of the champion's {len(_labels(champion)):,} labels any more "
        f"({', '.join(labels[:_SHOWN])}{more}), for too few rows to learn from have them: what is answered locally has no answer of the "
        "large model but for audits, and captured rows go after --capture-days. Give rows of these labels with --data, let the server keep "
        "some of each for longer (--capture-keep-days 365), audit more (--audit-share), or let it forget them (--fewer-labels promote)"
    )


def _labels(form: Form) -> list[str]:
    named = [*form.get("labels", ()), form.get("unknown")]
    return [label for label in named if isinstance(label, str)]
