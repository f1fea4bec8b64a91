"""A small solver: buy the dearest things of a list that a purse pays. It stands in for any solver in tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from smidgen.core.errors import DataError, InputError
from smidgen.core.settings import Settings, setting
from smidgen.plans.solving import Change, ProblemTable, Solution, SolutionTable, Solver, Statement, Telling


class ShoppingSettings(Settings):
    """A shopping list."""

    things: str = setting(..., "Table of things with their prices.", file=True)
    purse: int = setting(10, "Money to spend.", ge=0)


@dataclass(frozen=True)
class Shopping:
    prices: Mapping[str, int]
    purse: int


class ShoppingSolver(Solver):
    name = "shopping"
    title = "Shopping"
    summary = "buy what the purse pays"
    settings = ShoppingSettings
    changes: Mapping[str, Any] = MappingProxyType(
        {
            "type": "object",
            "properties": {"thing": {"type": "string"}, "price": {"type": "integer", "minimum": 0}},
            "required": ["thing", "price"],
            "additionalProperties": False,
        }
    )
    examples = ("The lamp costs 4 now.",)
    telling: Mapping[str, Telling] = MappingProxyType({"": Telling("costs")})

    def names(self, problem: Shopping) -> Mapping[str, list[str]]:
        return {"thing": list(problem.prices)}

    def read(self, settings: Any, tables: Mapping[str, ProblemTable]) -> Shopping:
        table, prices = tables["things"], {}
        for number, row in table.rows:
            if not str(row["price"]).isdigit():
                todo = "Give a whole number."
                raise DataError("the price is no number", value=row["price"], todo=todo, file=table.file, row=number, column="price")
            prices[str(row["thing"])] = int(row["price"])
        return Shopping(prices, settings.purse)

    def changed(self, problem: Shopping, change: Change) -> Shopping:
        if change["thing"] not in problem.prices:
            raise InputError("no such thing is on the list", value=change["thing"], todo="Name one of the list.")
        return replace(problem, prices={**problem.prices, change["thing"]: change["price"]})

    def shown_change(self, problem: Shopping, change: Change) -> str:
        return f"{change['thing']}: price {self.changed(problem, change).prices[change['thing']]}, was {problem.prices[change['thing']]}"

    def solve(self, problem: Shopping, seconds: float, before: Mapping[str, Any] | None = None) -> Solution:
        left, bought = problem.purse, {}
        for thing, price in sorted(problem.prices.items(), key=lambda entry: -entry[1]):
            if price <= left:
                bought[thing], left = price, left - price
        result = {"bought": bought, "left": left, "again": before is not None}
        said = [Statement(f"Buy the {thing} for {price}.", {"thing": thing, "price": price}) for thing, price in bought.items()]
        said.append(Statement(f"{left + (99 if problem.purse == 13 else 0)} are left."))
        status: Any = "infeasible" if not bought else "solved" if len(bought) == len(problem.prices) else "partly"
        table = SolutionTable("Things to buy", ("thing", "price"), list(bought.items()))
        picture = {"purse": '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><circle r="4"/></svg>'}
        files = {f"{thing}.txt": b"buy" for thing in bought}
        return Solution(status, result, said, ["Prices are whole numbers."], {"things": table}, picture, files)


part = ShoppingSolver()
