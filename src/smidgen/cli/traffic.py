"""`smidgen traffic`: show, export or delete what a gateway captured, and find recurring jobs in it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from smidgen.cli.flags import AsJson
from smidgen.cli.screen import Screen, errors, out, plain_table, print_json, print_line
from smidgen.core.errors import InputError
from smidgen.parts import registry

if TYPE_CHECKING:
    from smidgen.flows.jobs.discovery import AnswerForm, FoundJob, FoundJobs
    from smidgen.flows.jobs.forecast import JobForecast
    from smidgen.store.traffic.records import DeletedTraffic, TrafficCounts
    from smidgen.store.traffic.store import TrafficStore


_SHOWN = 8
_LONGEST_FRAME = 160


def traffic(
    delete_user: Annotated[str | None, typer.Option(metavar="ID", help="Delete all requests and feedback of this user.")] = None,
    delete_older: Annotated[
        int | None, typer.Option(metavar="DAYS", min=0, max=36_500, help="Delete everything that came at least this many days ago.")
    ] = None,
    delete_bundle: Annotated[str | None, typer.Option(metavar="NAME", help="Delete all requests to this bundle or model.")] = None,
    export: Annotated[Path | None, typer.Option(help="Write the pairs to learn from to this JSONL file.")] = None,
    bundle: Annotated[str | None, typer.Option(metavar="NAME", help="With --export: only the pairs of this bundle or model.")] = None,
    held_out: Annotated[
        bool, typer.Option("--held-out", help="With --export: the held-out pairs, which are never learnt from, instead of the others.")
    ] = False,
    jobs: Annotated[
        bool, typer.Option("--jobs", help="Show the recurring jobs, and how much of each a small model is likely to answer.")
    ] = False,
    corrections: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write what a support desk may learn from its conversations into this CSV file, for you to approve."
        ),
    ] = None,
    approved: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Read that file with your yes or no in the column approve, and store the decisions.")
    ] = None,
    into: Annotated[
        Path | None, typer.Option(metavar="RECIPE", help="Add all approved corrections to the data of this desk's recipe.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show, export or delete captured requests; find jobs in them.

    Requests are captured by `smidgen serve --capture answers`. What you delete is gone for good. `--corrections` and `--approved` review
    what a desk may learn from its conversations.

    Example: smidgen traffic --jobs
    """
    from smidgen.store.traffic.store import opened

    if corrections is not None or approved is not None or into is not None:
        registry.find("corrections", "desk")(corrections, approved, into, as_json)
        return
    deletions = [value for value in (delete_user, delete_older, delete_bundle) if value is not None]
    if len(deletions) + (export is not None) + jobs > 1:
        raise InputError("cli.one_thing_at_time_delete_export_or_jobs", deletions=len(deletions))
    if export is None and (bundle is not None or held_out):
        raise InputError("cli.bundle_and_held_out_need_export", value=bundle or "--held-out")
    with opened(make=False) as store:
        if delete_user is not None:
            _deleted(store.delete_user(delete_user), as_json)
        elif delete_older is not None:
            _deleted(store.delete_older(delete_older), as_json)
        elif delete_bundle is not None:
            _deleted(store.delete_asked(delete_bundle), as_json)
        elif export is not None:
            _exported(store, export, bundle, held_out, as_json)
        elif jobs:
            _jobs(store, as_json)
        else:
            _counted(store, as_json)


def _deleted(done: DeletedTraffic, as_json: bool) -> None:
    if as_json:
        print_json({"requests": done.requests, "feedback": done.feedback, "gone": done.gone})
    else:
        out.print(f"Deleted {_number(done.requests, 'request')} and {_number(done.feedback, 'piece')} of feedback.")
    if done.gone is None and not as_json:
        errors.print("The database was told to delete it. It does not say when the last byte leaves its tables, log and backups.")
    if done.gone is False:
        errors.print("Another program is reading the database's journal, which still holds texts. Run this again when that has ended.")
        raise typer.Exit(1)


def _exported(store: TrafficStore, file: Path, bundle: str | None, held_out: bool, as_json: bool) -> None:
    from smidgen.store.traffic.pairs import export_pairs

    done = export_pairs(store.pairs(bundle, held_out=held_out), file)
    if as_json:
        print_json({"out": str(file), "pairs": done.pairs, "masked": done.masked, "held_out": held_out})
        return
    out.print(f"[bold]{escape(str(file))}[/]: {done.pairs:,} pairs", soft_wrap=True)
    if done.masked:
        todo = "if they are labels, name them with smidgen serve --capture-labels FILE"
        out.print(f"[dim]{done.masked:,} answers are left out, because they were masked as personal data; {todo}[/]", soft_wrap=True)


def _jobs(store: TrafficStore, as_json: bool) -> None:
    from smidgen.flows.jobs.discovery import find_jobs

    with Screen(quiet=as_json) as screen:
        found = find_jobs(store, progress=screen)
    if as_json:
        print_json({"store": store.place, **found.json()})
    else:
        _show_jobs(found)


def _counted(store: TrafficStore, as_json: bool) -> None:
    counts, seen = store.totals(), store.seen()
    labels = list(dict.fromkeys(label.replace("\n", ": ") for _, label in store.labels()))
    if as_json:
        facts = {"store": store.place, "held_out_share": store.held_out, **counts.json(), "traffic": seen.json(), "labels": labels}
        print_json(facts)
        return
    _print(counts)
    if labels:
        more = f", and {len(labels) - _SHOWN:,} more (--json)" if len(labels) > _SHOWN else ""
        out.print(f"recurring answers, stored as they are: {escape(', '.join(labels[:_SHOWN]))}{more}", soft_wrap=True)
    if lost := seen.words:
        out.print(f"[yellow]not captured:[/] {escape(lost)}", soft_wrap=True)
    out.print(f"[dim]{escape(store.place)}; {store.held_out:.0%} of the texts are held out, and never learnt from[/]", soft_wrap=True)


def _number(count: int, one: str) -> str:
    return f"{count:,} {one}{'' if count == 1 else 's'}"


def _print(counts: TrafficCounts) -> None:
    table = plain_table("asked", "requests", right=(1,))
    for name, count in counts.asked.items():
        table.add_row(escape(name), f"{count:,}")
    if counts.asked:
        out.print(table)
    said = [
        _number(counts.requests, "request"),
        f"{counts.local:,} answered here",
        f"{counts.upstream:,} upstream",
        *([f"{counts.cached:,} from the cache"] if counts.cached else []),
        f"{counts.unanswered:,} unanswered",
    ]
    out.print("; ".join(said), soft_wrap=True)
    out.print(f"{_number(counts.feedback, 'piece')} of feedback, {counts.corrected:,} with a correction; {counts.held_out:,} held out")
    if counts.first is not None and counts.last is not None:
        out.print(f"{counts.first:%Y-%m-%d %H:%M} to {counts.last:%Y-%m-%d %H:%M} UTC")
    out.print(f"spent at list price: {counts.cost_usd:.4f} USD; saved: {counts.saved_usd:.4f} USD")


def _show_jobs(found: FoundJobs) -> None:
    """Print the jobs, the requests that belong to none, and the next step."""
    for job in found.jobs:
        _show_job(job)
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


def _show_job(job: FoundJob) -> None:
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
        return f"{len(form.labels):,} labels: {_most_frequent(form.labels)}"
    if form.kind == "fields":
        return f"JSON with the fields {_most_frequent(form.fields)}"
    names = {"spans": "JSON lists of spans", "text": "free text", "none": "none stored", "masked": "masked as personal data"}
    if form.kind in names:
        return names[form.kind]
    return "of several kinds: " + ", ".join(f"{share:.0%} {kind}" for kind, share in form.shares.items())


def _most_frequent(counts: Mapping[str, int]) -> str:
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


part = traffic
