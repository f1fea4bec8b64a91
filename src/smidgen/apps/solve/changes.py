"""Changes of a problem: an object that a model or a person filled, checked against the solver's schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smidgen.core.errors import InputError
from smidgen.core.solving import Change, Solver


def valid_change(solver: Solver, given: Any) -> Change:
    """The change without its empty fields. Raises InputError if the solver takes none, or not this one, naming the field."""
    if not solver.changes:
        raise InputError("a sentence cannot change this kind of plan", value=solver.name, todo="Change its tables, and solve it again.")
    change = _filled(given)
    if not isinstance(change, Mapping) or not change:
        raise InputError("no change was found in the sentence", value=str(given), todo=_todo(solver))
    from jsonschema import Draft202012Validator

    mistake = next(iter(sorted(Draft202012Validator(dict(solver.changes)).iter_errors(change), key=lambda one: list(one.path))), None)
    if mistake is not None:
        place = ".".join(str(step) for step in mistake.absolute_path)
        what = f"the change does not fit ({place + ': ' if place else ''}{mistake.message})"
        raise InputError(what, value=str(dict(change)), todo=_todo(solver))
    return change


def _filled(given: Any) -> Any:
    """A value without the fields that are null, empty texts or empty lists."""
    if not isinstance(given, Mapping):
        return given
    kept = {name: _filled(value) for name, value in given.items()}
    return {name: value for name, value in kept.items() if value is not None and value != "" and value != []}


def _todo(solver: Solver) -> str:
    return f'Say it as in: "{solver.examples[0]}"' if solver.examples else "Say what changes, and where."
