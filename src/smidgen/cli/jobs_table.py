"""The recurring jobs in captured traffic, for a terminal: what each is, what it costs, and how much a small model could answer."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING

from rich.markup import escape

from smidgen.cli.screen import out, print_line

if TYPE_CHECKING:
    from smidgen.flows.jobs.discovery import AnswerForm, FoundJob, FoundJobs
    from smidgen.flows.jobs.forecast import JobForecast


_SHOWN = 8
_LONGEST_FRAME = 160


def show(found: FoundJobs) -> None:
    """Print the jobs, the requests that belong to none, and the next step."""
    for job in found.jobs:
        _show(job)
    if not found.jobs:
        out.print("No recurring jobs yet: a job needs 20 requests that are alike.", soft_wrap=True)
    if found.others:
        why = "a system prompt that changes with each request makes each one a kind of its own"
        out.print(f"[dim]{found.others:,} other requests are of kinds that came fewer than 20 times; {why}[/]", soft_wrap=True)
    if found.unsuited:
        said = ", ".join(f"{count:,} {escape(why)}" for why, count in islice(found.unsuited.items(), _SHOWN))
        out.print(f"[dim]not for a small model: {said}[/]", soft_wrap=True)
    if lost := found.seen.words:
        out.print(f"[yellow]not captured:[/] {escape(lost)}", soft_wrap=True)
    buildable = next((job for job in found.jobs if job.task is not None), None)
    if buildable is not None:
        print_line(f"build one: smidgen learn my-line --job {buildable.id}")


def _show(job: FoundJob) -> None:
    tally = job.tally
    head = f"{escape(job.task)}?" if job.task else "no job for a small model"
    out.print(f"[bold]{job.id}[/]  {head}  {tally.requests:,} requests, {tally.distinct:,} distinct texts", soft_wrap=True)
    _line("known by", _known_by(job))
    asked = ", ".join(f"{name or 'no name'} ({count:,})" for name, count in tally.asked)
    _line("asked of", f"{asked}; {tally.upstream:,} answered upstream, {tally.local:,} here")
    for example in job.examples:
        _line("example", example)
    _line("answers", _answers(job.answers))
    _line("a month", _month(job))
    _line("repeated", f"{job.repeated:.1%} of the requests have a text that came before")
    if job.task is None:
        _line("small model", f"none: {job.why}")
    elif job.forecast is not None:
        _line("small model", _foreseen(job.forecast))
    out.print()


def _line(name: str, said: str) -> None:
    out.print(f"  [dim]{name:<12}[/]{escape(said)}", soft_wrap=True)


def _known_by(job: FoundJob) -> str:
    said = [f"its system prompt (template {job.template[:8]})"] if job.system else []
    if job.frame.begins:
        said.append(f"texts that begin {_quoted(job.frame.begins)}")
    if job.frame.ends:
        said.append(f"texts that end {_quoted(job.frame.ends)}")
    return ", ".join(said) or f"no system prompt, and nothing that stays in the texts (template {job.template[:8]})"


def _quoted(words: str) -> str:
    said = " ".join(words.split())
    half = _LONGEST_FRAME // 2
    return f'"{said}"' if len(said) <= _LONGEST_FRAME else f'"{said[:half]} … {said[-half:]}" ({len(words):,} characters)'


def _answers(form: AnswerForm) -> str:
    if form.kind == "labels":
        return f"{len(form.labels):,} labels: {_counted(form.labels)}"
    if form.kind == "fields":
        return f"JSON with the fields {_counted(form.fields)}"
    names = {"spans": "JSON lists of spans", "text": "free text", "none": "none stored", "masked": "masked as personal data"}
    if form.kind in names:
        return names[form.kind]
    return "of several kinds: " + ", ".join(f"{share:.0%} {kind}" for kind, share in form.shares.items())


def _counted(counts: Mapping[str, int]) -> str:
    more = f", and {len(counts) - _SHOWN:,} more" if len(counts) > _SHOWN else ""
    return ", ".join(f"{name} ({count:,})" for name, count in islice(counts.items(), _SHOWN)) + more


def _month(job: FoundJob) -> str:
    if job.month is None:
        return "unknown: less than a day is stored"
    said = f"about {job.month.requests:,.0f} requests"
    unpriced = job.tally.unpriced
    if not unpriced:
        return f"{said}, {job.month.cost_usd:,.2f} USD at the list price or the given one"
    if unpriced >= job.tally.upstream:
        return f"{said}; the model has no known price: give it with smidgen serve --price-in and --price-out"
    return f"{said}, {job.month.cost_usd:,.2f} USD at the list price or the given one; {unpriced:,} stored requests have no price"


def _foreseen(seen: JobForecast) -> str:
    found = ""
    if seen.agreement is not None:
        found = f" {seen.stand_in.capitalize()} agrees with the large model on {seen.agreement:.1%} of {seen.n:,} texts."
    if seen.share is None or seen.low is None or seen.high is None or seen.why:
        return f"{seen.why}.{found}"
    return (
        f"about {seen.share:.0%} of the texts answered here (nine draws of ten: {seen.low:.0%} to {seen.high:.0%}; "
        f"a certificate in {seen.likely:.0%} of them), at α = {seen.alpha:g}, δ = {seen.delta:g}.{found}"
    )
