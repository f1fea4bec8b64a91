"""Statements about a result: each is checked against its numbers, and a small model may write them anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from smidgen.core.errors import EngineError
from smidgen.plans.numbers import missing_numbers, numbers_in, strange_numbers
from smidgen.plans.solving import Solution, Statement
from smidgen.text import attribute_lists


def checked(solution: Solution) -> Solution:
    """The solution itself. Raises EngineError for a statement with a number that the result lacks: it would be made up."""
    known = numbers_in(solution.result)
    for statement in solution.statements:
        strange = strange_numbers(statement.text, known)
        if strange:
            raise EngineError("plans.written_sentence_states_unknown_numbers", value=statement.text, strange=", ".join(strange))
    return solution


@dataclass(frozen=True, slots=True)
class Rewritten:
    """Statements, and how many of them a model wrote.

    Attributes:
        statements: in their order.
        written: how many a model wrote; the others are the solver's own.
        refused: how many texts of the model were thrown away, because they lacked a fact or stated another number.
    """

    statements: tuple[Statement, ...]
    written: int
    refused: int


def rewritten(statements: Sequence[Statement], write: Callable[[Sequence[str]], Sequence[str]]) -> Rewritten:
    """The statements as a model writes them from their facts: `name: Oak stool; order: 40`.

    A text of the model stands only if it states every number and every name of the facts, and no other number. Otherwise the solver's own
    sentence stays.
    """
    with_facts = [statement for statement in statements if statement.facts]
    texts = (
        write([attribute_lists.written((name, str(value)) for name, value in one.facts.items()) for one in with_facts])
        if with_facts
        else []
    )
    by_statement = {id(statement): text.strip() for statement, text in zip(with_facts, texts, strict=True)}
    found, written = [], 0
    for statement in statements:
        text = by_statement.get(id(statement), "")
        stands = bool(text) and _states(text, statement)
        written += stands
        found.append(replace(statement, text=text) if stands else statement)
    return Rewritten(tuple(found), written, len(with_facts) - written)


def _states(text: str, statement: Statement) -> bool:
    values = list(statement.facts.values())
    named = all(value.casefold() in text.casefold() for value in values if isinstance(value, str))
    lost = any(missing_numbers(text, str(value)) for value in values)
    return named and not lost and not strange_numbers(text, values)
