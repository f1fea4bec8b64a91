"""The monthly saving of a first answer against a large model, with every assumption in sight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smidgen.core.errors import InputError
from smidgen.flows.cost_report import CostReport, reckon_cost
from smidgen.flows.projects.first_answer import shown_point
from smidgen.usage.break_even import CostSettings

REQUESTS = 10_000
"""Requests a month, until somebody says how many there are."""


@dataclass(frozen=True, slots=True)
class MonthlySaving:
    """A month's cost with the large model alone, and with the small one before it. In US dollars.

    Attributes:
        risk, share: the operating point: at most this share of its answers is wrong, and it answers this share.
        saved: `llm_usd` without `both_usd`; below 0 if both cost more.
        model: the large model; `models` are all of the price list, the cheapest first.
        assumptions: one sentence each.
    """

    risk: float
    share: float
    requests: int
    model: str
    models: tuple[str, ...]
    machine_usd_per_hour: float
    llm_usd: float
    both_usd: float
    saved: float
    assumptions: tuple[str, ...]


def monthly_saving(
    answer: Mapping[str, Any],
    risk: float | None = None,
    requests: int = REQUESTS,
    model: str | None = None,
    machine_usd_per_hour: float = 0.0,
) -> MonthlySaving:
    """Compute the saving of a first answer.

    Args:
        answer: as `first_answer.measure` gives it.
        risk: of the operating point; without it the one that is shown first.
        model: the large model; without it the one in the middle of the price list.
        machine_usd_per_hour: 0 for a machine that is there anyway.

    Raises InputError where the rows cannot show the risk, UnknownPart for a model that is not in the price list.
    """
    point = shown_point(answer["points"], risk)
    if point is None:
        raise InputError(
            "these rows cannot show how few answers would be wrong", value=risk, todo="Allow more wrong answers, or label more rows."
        )
    settings = CostSettings(
        requests_per_month=requests,
        tokens_in=answer["tokens_in"],
        tokens_out=answer["tokens_out"],
        share_local=point["coverage"],
        machine_usd_per_hour=machine_usd_per_hour,
        months=1,
    )
    found = reckon_cost(settings)
    names = tuple(one.model.name for one in found.against)
    chosen = _against(found, settings, model or names[len(names) // 2])
    month = chosen.against[0].found.months[0]
    return MonthlySaving(
        point["risk"], point["coverage"], requests, chosen.against[0].model.name, names, machine_usd_per_hour,
        month.llm_usd, month.hybrid_usd, month.llm_usd - month.hybrid_usd, chosen.assumptions,
    )  # fmt: skip


def _against(found: CostReport, settings: CostSettings, model: str) -> CostReport:
    """The comparison with one model."""
    return found if found.against[0].model.name == model else reckon_cost(settings.model_copy(update={"models": (model,)}))
