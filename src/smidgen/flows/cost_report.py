"""Compare costs: from a bundle's report and a price list to a break-even, with every assumption in words."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from smidgen.bundles.open import folder_of, read_manifest
from smidgen.core.errors import InputError, UnknownPart
from smidgen.core.quantities import count, dollars, duration, rate, watt_hours
from smidgen.flows.certify.certificate_status import certificate_subject
from smidgen.flows.operating_point import WANTED_ERROR, answers_nothing, operating_point
from smidgen.gateway import certificate as papers
from smidgen.gateway.certificate_status import check_certificate
from smidgen.judge import cost_estimate
from smidgen.judge.charts import standalone
from smidgen.judge.month_chart import month_chart
from smidgen.judge.report import Report, read
from smidgen.judge.sections import ModelPrice
from smidgen.usage import break_even, price_list
from smidgen.usage.break_even import HOURS_A_MONTH, BreakEven, CostCase, CostSettings, compute_break_even, share_percent

ASSUMED = 0.8


@dataclass(frozen=True, slots=True)
class LocalShare:
    """The share of requests that the small model answers.

    Attributes:
        share: from 0 to 1.
        source: where the figure comes from.
        said: the source as a clause.
        certificate: id of the certificate that it comes from, else empty.
    """

    share: float
    source: Literal["flag", "certificate", "measured", "assumed"]
    said: str
    certificate: str = ""


def local_share(told: float | None, bundle: Path | None, report: Report | None = None, now: datetime.datetime | None = None) -> LocalShare:
    """Return the share that the small model answers: as given, else at the bundle's operating point, else a default.

    It is 0 if the report measured the bundle, and no score keeps wrong answers rare enough.

    Raises BundleError if there is a certificate and the bundle's manifest cannot be read.
    """
    if told is not None:
        return LocalShare(told, "flag", "as you say")
    point = operating_point(bundle, report=report, now=now) if bundle is not None else None
    if point is None and answers_nothing(report):
        return LocalShare(0.0, "measured", f"its report measured no score with at most {share_percent(WANTED_ERROR)} wrong answers")
    if bundle is None or point is None:
        return LocalShare(ASSUMED, "assumed", "assumed")
    if point.measured_on == "certificate":
        paper = papers.read(papers.place(bundle))
        answered = sum(entry.answered for entry in paper.answering)
        said = f"as its certificate says: {answered:,} of the {paper.n:,} requests of its sample may be answered"
        return LocalShare(point.share, "certificate", f"{said} ({papers.place(bundle).name})", paper.id)
    said = (
        f"as its report measured on {count(point.rows)} test rows: with a score of {point.threshold or 0.0:.3g} or more, "
        f"{share_percent(round(point.error, 3))} of these answers are wrong"
    )
    place = papers.place(bundle)
    if place.exists():
        standing = check_certificate(bundle, certificate_subject(read_manifest(bundle)), now)
        said += f"; but {place.name} does not hold ({standing.state.value}: {standing.why}), and until a new one does, everything escalates"
    return LocalShare(point.share, "measured", said)


TEXTS_PER_SECOND = 100.0
"""Assumed answers per second if no bundle is given: classifiers are faster, writers slower."""
BUILD_HOURS = 1.0


@dataclass(frozen=True, slots=True)
class LargeModelCost:
    """One large model, its cost per request, and the break-even against it."""

    model: ModelPrice
    usd_per_request: float
    found: BreakEven


@dataclass(frozen=True, slots=True)
class CostReport:
    """The comparison. Its headline figures are about the first model in `against`.

    Attributes:
        asked: the settings, with defaults filled in.
        against: the large models, as named; or all of the list, the one in the middle first, then the cheapest first.
        assumptions: one sentence each.
        as_of: date of the price list.
        energy: measured energy, with `method`; None if not measured.
        local: the share that the small model answers if both are used, and its source.
    """

    asked: CostSettings
    against: tuple[LargeModelCost, ...]
    assumptions: tuple[str, ...]
    as_of: str
    energy: Mapping[str, Any] | None
    local: LocalShare

    @property
    def answers(self) -> tuple[str, ...]:
        """One sentence about the small model alone, and one about both together if some requests are escalated."""
        name, months, first = self.against[0].model.name, self.asked.months, self.against[0].found
        share = self.asked.share_local or 0.0
        alone = break_even.payback_answer(name, months, first.slm)
        return (alone, break_even.payback_answer(name, months, first.hybrid, 1 - share)) if 0 < share < 1 else (alone,)

    @property
    def hints(self) -> tuple[str, ...]:
        """Changes that would alter the answer, one sentence each: another large model."""
        found, first, said = self.asked, self.against[0], list[str]()
        if not found.models and len(self.against) > 1:
            said.append(f"{first.model.name} is in the middle of the price list; name the model that you use with --model.")
        return tuple(said)

    def chart(self) -> str:
        """Draw the months against the first model, as an SVG file."""
        asked, first = self.asked, self.against[0]
        heading = f"{count(asked.requests_per_month)} requests a month" + (
            f", {asked.growth_percent:+g} % from month to month" if asked.growth_percent else ""
        )
        below = (
            f"{first.model.name} at {_usd(first.model.input_usd)} and {_usd(first.model.output_usd)} a million tokens in and out "
            f"({first.model.date}); both: {share_percent(asked.share_local or 0.0)} answered by the small model"
        )
        return standalone(month_chart(first.found, first.model.name, heading, below))

    def json(self) -> dict[str, Any]:
        """Return the report, JSON-ready."""
        asked = {name: str(value) if isinstance(value, Path) else value for name, value in self.asked.model_dump().items()}
        return {
            "answer": self.answers[0],
            "answers": list(self.answers),
            "hints": list(self.hints),
            "asked": asked,
            "share_local_from": asdict(self.local),
            "prices_as_of": self.as_of,
            "against": [
                {
                    "model": one.model.name,
                    **one.model.model_dump(include={"provider", "input_usd", "output_usd", "date", "source", "note"}),
                    "usd_per_request": one.usd_per_request,
                    **asdict(one.found),
                }
                for one in self.against
            ],
            "energy": self.energy,
            "assumptions": list(self.assumptions),
        }


def reckon_cost(asked: CostSettings, today: datetime.date | None = None, table: Mapping[str, Any] | None = None) -> CostReport:
    """Compare the costs.

    `table`: prices as `price_list.read` gives them, in place of the list that `asked` names.

    Raises:
        InputError: there is no bundle in the folder, or the line has no champion; the tokens of a request are unknown; or the price list
            cannot be read.
        RecipeError: the price list has mistakes.
        UnknownPart: a model is not in the list.
        BundleError: the report cannot be read, or the manifest of a bundle that has a certificate.
    """
    table = table or price_list.read(asked.prices)
    if asked.bundle is not None:
        asked = asked.model_copy(update={"bundle": folder_of(asked.bundle)})
    report = _report(asked.bundle)
    local = local_share(asked.share_local, asked.bundle, report)
    full = _with_defaults(asked, report).model_copy(update={"share_local": local.share})
    assert full.tokens_in is not None and full.tokens_out is not None and full.machine_usd_per_hour is not None
    priced = cost_estimate.estimate(full.tokens_in, full.tokens_out, texts_per_second=None, table=table).models
    case = _case(full, report)
    against = []
    for model in _chosen(priced, asked.models):
        each = model.usd_per_million_texts / 1e6
        against.append(LargeModelCost(model, each, compute_break_even(replace(case, usd_per_request=each))))
    said = (
        *_of_the_machine(asked, report, case, against[0], local),
        *_of_the_calls(asked, full, table, [one.model for one in against], today),
        *_of_building(asked, full, report, case),
    )
    return CostReport(full, tuple(against), said, table["as_of"], _energy(report), local)


def _report(bundle: Path | None) -> Report | None:
    if bundle is None:
        return None
    if not bundle.is_dir():
        raise InputError("flows.there_is_no_bundle_here", value=str(bundle))
    return read(bundle / "report.json")


def _with_defaults(asked: CostSettings, report: Report | None) -> CostSettings:
    """Fill in the defaults, except the share of the small model."""
    costs = report.cost if report else None
    tokens_in = asked.tokens_in if asked.tokens_in is not None else costs.tokens_in if costs else None
    tokens_out = asked.tokens_out if asked.tokens_out is not None else costs.tokens_out if costs else None
    if tokens_in is None or tokens_out is None:
        raise InputError("flows.tokens_of_request_are_unknown")
    machine = asked.machine_usd_per_hour or 0.0
    seconds = report.training.seconds if report else None
    measured = (report.speed.texts_per_second if report else None) or None
    found = {
        "tokens_in": tokens_in,
        "tokens_out": tokens_out,
        "machine_usd_per_hour": machine,
        "texts_per_second": _first(asked.texts_per_second, measured, TEXTS_PER_SECOND),
        "build_hours": _first(asked.build_hours, None if seconds is None else seconds / 3600, BUILD_HOURS),
        "build_usd_per_hour": _first(asked.build_usd_per_hour, machine),
    }
    return asked.model_copy(update=found)


def _first(*values: float | None) -> float:
    return next(value for value in values if value is not None)


def _case(full: CostSettings, report: Report | None) -> CostCase:
    taught = (report.teacher.usd if report and report.teacher else None) or 0.0
    return CostCase(
        requests=full.requests_per_month,
        growth=full.growth_percent / 100,
        months=full.months,
        usd_per_request=0.0,
        share_local=full.share_local or 0.0,
        machine_usd_per_hour=full.machine_usd_per_hour or 0.0,
        texts_per_second=full.texts_per_second or TEXTS_PER_SECOND,
        busy=cost_estimate.BUSY,
        build_usd=(full.build_hours or 0.0) * (full.build_usd_per_hour or 0.0) + taught,
    )


def _chosen(models: Sequence[ModelPrice], names: Sequence[str]) -> list[ModelPrice]:
    """Return the named models in order. Without names all: the one in the middle of the prices first, then the others, the cheapest first.

    Names may be spelt as requests spell them.
    """
    if not names:
        ranked = sorted(models, key=lambda model: model.usd_per_million_texts)
        return [usual := ranked[len(ranked) // 2], *(model for model in ranked if model is not usual)]
    exact = {model.name.casefold(): model for model in models}
    # In a user's own list, two names may share this spelling. It then stands for neither.
    times = Counter(price_list.spelt(model.name) for model in models)
    alike = {spelling: model for model in models if times[spelling := price_list.spelt(model.name)] == 1 and spelling}
    found: dict[str, ModelPrice] = {}
    for name in names:
        model = exact.get(name.casefold()) or alike.get(price_list.spelt(name))
        if model is None:
            raise UnknownPart("model of the price list", name, [model.name for model in models])
        found.setdefault(model.name, model)
    return list(found.values())


def _of_the_machine(asked: CostSettings, report: Report | None, case: CostCase, first: LargeModelCost, local: LocalShare) -> Iterator[str]:
    speed = f"A machine answers {rate(case.texts_per_second)} texts a second"
    if asked.texts_per_second is not None:
        yield f"{speed}, as you say."
    elif report and report.speed.texts_per_second:
        threads = f" with {report.speed.threads} threads" if report.speed.threads else ""
        yield f"{speed}: measured when the bundle was built, in batches{threads}, on that machine."
    else:
        why = "the report does not say" if report else "no bundle is named"
        yield f"{speed}: assumed, because {why}. A bundle's folder, or --texts-per-second, makes it exact."
    most = max(month.machines for month in first.found.months)
    if case.machine_usd_per_hour == 0:
        yield (
            f"The machine costs nothing, because you have it anyway: it can answer {count(case.capacity)} requests a month. A rented one "
            f"costs about {_usd(cost_estimate.MACHINE_USD_PER_HOUR)} an hour (--machine-usd-per-hour)."
        )
    else:
        yield (
            f"{'One machine is' if most == 1 else f'Up to {most} machines are'} paid for day and night ({HOURS_A_MONTH:g} hours a month) "
            f"at {_usd(case.machine_usd_per_hour)} an hour, {dollars(case.machine_usd)} a month each, and planned to work "
            f"{share_percent(case.busy)} of the time: {count(case.capacity)} requests a month each. A machine that you have anyway costs 0."
        )
    if 0 < case.share_local < 1:
        yield f"Where both are used the small model answers {share_percent(round(case.share_local, 3))}, {local.said}."
    elif local.source == "measured" and case.share_local == 0:
        yield f"Before a large model the small one would answer nothing by itself: {local.said}. Say another share with --share-local."


def _of_the_calls(
    asked: CostSettings, full: CostSettings, table: Mapping[str, Any], models: Sequence[ModelPrice], today: datetime.date | None
) -> Iterator[str]:
    model = models[0]
    whose = "as you say" if asked.tokens_in is not None and asked.tokens_out is not None else "as the bundle's report estimates them"
    yield (
        f"A call to a large model has {count(full.tokens_in)} tokens in and {count(full.tokens_out)} out, {whose}; no reasoning tokens, "
        "list prices, no discount for batches or repeated prompts."
    )
    day = today or datetime.date.today()
    age = price_list.age(table["as_of"], day)
    old = f" That is {age} days ago: look them up." if age > price_list.OLD_DAYS else ""
    ages = {f"{one.name} of {one.date}": price_list.age(one.date, day) for one in models}
    aged = [f"{name} ({days} days)" for name, days in ages.items() if days > price_list.OLD_DAYS]
    old += f" Old are the prices of {', '.join(aged)}: look them up." if aged and not old else ""
    note = f" {model.name}: {model.note}." if model.note else ""
    yield f"Prices as of {table['as_of']}, from {asked.prices or price_list.packaged()}; edit a copy and name it with --prices.{old}{note}"
    if full.growth_percent:
        yield f"Requests change by {full.growth_percent:+g} % from month to month."


def _of_building(asked: CostSettings, full: CostSettings, report: Report | None, case: CostCase) -> Iterator[str]:
    hours = full.build_hours or 0.0
    if asked.build_hours is not None:
        said = "as you say"
    elif report and report.training.seconds is not None:
        said = "as training took; trials and measuring are not in it"
    else:
        said = "assumed"
    whose = "a machine's" if asked.build_usd_per_hour is None else "as you say"
    teacher = report.teacher if report else None
    taught = f" and {dollars(teacher.usd)} for the teacher" if teacher and teacher.usd else ""
    yield (
        f"Building takes {duration(3600 * hours)} ({said}) at {_usd(full.build_usd_per_hour or 0.0)} an hour ({whose}){taught}: "
        f"{dollars(case.build_usd)}, once. Your own hours are in it only if you put them in."
    )
    energy = _energy(report)
    if energy is not None:
        yield f"Training took {watt_hours(energy['training_wh'])}, measured ({energy['method']}); electricity is part of a machine's price."


def _usd(usd: float) -> str:
    """Format a price as listed, with every digit."""
    return f"${usd:,.10g}"


def _energy(report: Report | None) -> dict[str, Any] | None:
    """Return the energy read from the processor's own counters. Estimates do not count."""
    found = report.training if report else None
    if found is None or found.energy_wh is None or not (found.energy_method or "").startswith("rapl"):
        return None
    return {"training_wh": found.energy_wh, "method": found.energy_method}
