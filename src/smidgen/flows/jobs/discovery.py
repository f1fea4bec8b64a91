"""Find recurring jobs: requests with the same system prompt and, within them, texts in the same frame. A line can take a job up."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from smidgen.core.errors import InputError, MissingExtra
from smidgen.core.parts import Task
from smidgen.core.placeholders import PLACEHOLDER, UNFRAMED, PromptFrame, is_masked
from smidgen.core.progress import Progress, Silent
from smidgen.data.row_selection import Embed
from smidgen.flows.certify.losses import unwrap_field
from smidgen.flows.embedding import embedder
from smidgen.flows.jobs.forecast import JobForecast, forecast
from smidgen.flows.learn.traffic_rows import label_of
from smidgen.parts import registry
from smidgen.store.line import MOST_JOBS, Line, LineJob, LinePointer
from smidgen.store.traffic.queries import KindTotals, PromptKind
from smidgen.store.traffic.records import StoredShare, TrafficPair
from smidgen.store.traffic.store import TrafficStore, opened
from smidgen.text.near_duplicates import fold_text
from smidgen.text.prompt_patterns import LEAST, find_frames

Kind = Literal["labels", "fields", "spans", "text", "masked", "mixed", "none"]

_NEARLY_ALL = 0.8
_MOST_SHOWN = 200
_FEW_PER_LABEL = 2


@dataclass(frozen=True)
class AnswerForm:
    """The form of most of `n` answers to different texts.

    Attributes:
        kind: the kind of four in five answers; `mixed` if no kind reaches that, `none` without answers, `masked` if they are only
            placeholders.
        shares: share of each kind, 0..1.
        labels: for labels: the count of each, in its most frequent spelling, the most frequent first.
        fields: for objects: how many have each field.
    """

    kind: Kind
    n: int
    shares: Mapping[str, float]
    labels: Mapping[str, int]
    fields: Mapping[str, int]

    def json(self) -> dict[str, Any]:
        """Return the form, JSON-ready."""
        return {"kind": self.kind, "n": self.n, "shares": dict(self.shares), "labels": dict(self.labels), "fields": dict(self.fields)}


def form_of_answers(answers: Sequence[str]) -> AnswerForm:
    """Return the form of these answers to different texts. A short answer is a label if another text got the same one."""
    named = [label_of(unwrap_field(answer)) for answer in answers]
    often = Counter(name.casefold() for name in named if name is not None)
    kinds: list[str] = []
    spelt: Counter[str] = Counter()
    fields: Counter[str] = Counter()
    for answer, name in zip(answers, named, strict=True):
        value = _parsed(answer)
        if name is not None and often[name.casefold()] >= _FEW_PER_LABEL:
            kinds.append("labels")
            spelt[name] += 1
        elif is_masked(answer, answer):
            kinds.append("masked")
        elif isinstance(value, Mapping):
            kinds.append("fields")
            fields.update(str(key) for key in value)
        elif isinstance(value, list) and all(isinstance(one, Mapping) and "label" in one for one in value):
            kinds.append("spans")
        else:
            kinds.append("text")
    counts = Counter(kinds)
    shares = {kind: round(count / len(kinds), 4) for kind, count in counts.most_common()}
    kind: Any = "none" if not kinds else next((name for name, share in shares.items() if share >= _NEARLY_ALL), "mixed")
    labels = _merge_spellings(spelt) if kind == "labels" else {}
    return AnswerForm(kind, len(answers), shares, labels, dict(fields.most_common(_MOST_SHOWN)) if kind == "fields" else {})


def task_of(kind: Kind) -> Task:
    """Return the task whose answers are of this kind."""
    tasks: list[Task] = [registry.find("tasks", name) for name in registry.names("tasks")]
    return next(task for task in tasks if kind in task.answer_kinds)


def _merge_spellings(spelt: Counter[str]) -> dict[str, int]:
    """Merge labels that differ only in case, in the most frequent spelling."""
    names: dict[str, str] = {}
    totals: Counter[str] = Counter()
    for label, count in spelt.most_common():
        totals[names.setdefault(label.casefold(), label)] += count
    return dict(totals.most_common(_MOST_SHOWN))


def _parsed(answer: str) -> Any:
    if answer.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(answer)
    except (ValueError, RecursionError):
        return None


MOST_TEMPLATES = 40
MOST_READ = 10_000
"""Most requests of a template to read, the newest ones. All are counted."""
_EXAMPLES = 3
_LONGEST_EXAMPLE = 240
_MOSTLY = 0.5
"""With a system prompt, frames split a template only if they hold at least this share of its texts."""
_LEAST_TEXTS = 10
_OFTEN_MASKED = 0.2
"""If at least this share of the answers is only placeholders, the others do not show what the job is."""
_DAYS = 30
_LEAST_WINDOW = timedelta(days=1)
_LEAST_FIXED = 24
"""Fewest known characters of a frame: less does not identify a program."""


@dataclass(frozen=True)
class MonthlyVolume:
    """Volume of thirty days at the average pace of all stored traffic. `FoundJob` has None if less than a day is stored."""

    requests: float
    cost_usd: float


@dataclass(frozen=True)
class FoundJob:
    """A recurring kind of request.

    Attributes:
        id: constant as long as the program's prompt is.
        template: hash of the common part of its requests.
        exact: hash of their template if it is identical in all of them; empty if it varies.
        system: whether they have a system prompt.
        frame: the beginning and end that their texts share.
        tally: number of requests, and their cost.
        repeated: share of the requests whose text had come before.
        answers: form of the large model's answers.
        task: the task of a small model for the job; None if there is none: `why` says why.
        examples: some stored texts, without their frame, shortened.
        month: volume at the present pace.
        forecast: the share that a small model is likely to answer alone; None if not asked for.
    """

    id: str
    template: str
    exact: str
    path: str
    system: bool
    frame: PromptFrame
    tally: KindTotals
    repeated: float
    answers: AnswerForm
    task: str | None
    why: str
    examples: tuple[str, ...]
    month: MonthlyVolume | None
    forecast: JobForecast | None

    def json(self) -> dict[str, Any]:
        """Return the job, JSON-ready."""
        facts = {**asdict(self), "answers": self.answers.json()}
        facts["tally"]["asked"] = dict(self.tally.asked)
        return facts


@dataclass(frozen=True)
class FoundJobs:
    """The jobs, the most frequent first, and counts of other requests.

    Attributes:
        others: requests of rarer kinds.
        unsuited: requests that no small model can answer, by reason.
        seen: share of the traffic that was stored.
    """

    jobs: tuple[FoundJob, ...]
    requests: int
    others: int
    unsuited: dict[str, int]
    first: datetime | None
    last: datetime | None
    days: int = field(default=_DAYS)
    seen: StoredShare = field(default_factory=lambda: StoredShare(0))

    def json(self) -> dict[str, Any]:
        """Return the jobs, JSON-ready."""
        return {
            "requests": self.requests,
            "first": self.first.isoformat() if self.first else None,
            "last": self.last.isoformat() if self.last else None,
            "month_days": self.days,
            "jobs": [job.json() for job in self.jobs],
            "others": self.others,
            "unsuited": self.unsuited,
            "traffic": self.seen.json(),
        }


def find_jobs(store: TrafficStore, *, forecasts: bool = True, progress: Progress | None = None) -> FoundJobs:
    """Find the recurring jobs in a store of traffic. Takes seconds: at most 10,000 requests of each template are read.

    Args:
        forecasts: whether to predict the share that a small model would answer.

    Raises TrafficError if the store cannot be read.
    """
    progress = progress or Silent()
    counts = store.totals()
    window = counts.last - counts.first if counts.first is not None and counts.last is not None else timedelta()
    embed: Embed | None = None
    if forecasts:
        with suppress(MissingExtra):
            embed = embedder()
    templates = [one for one in store.templates(MOST_TEMPLATES) if one.requests >= LEAST]
    progress.start("jobs", len(templates))
    jobs: list[FoundJob] = []
    for template in templates:
        jobs += _of(store, template, window, embed, forecasts)
        progress.advance()
    progress.finish(f"{len(jobs)} in {counts.requests:,} requests")
    unsuited = store.unsuited(MOST_TEMPLATES)
    mine = sum(job.tally.requests for job in jobs)
    jobs.sort(key=lambda job: (-job.tally.requests, job.id))
    others = max(0, counts.requests - mine - sum(unsuited.values()))
    return FoundJobs(tuple(jobs), counts.requests, others, unsuited, counts.first, counts.last, seen=store.seen())


def find_job(store: TrafficStore, id: str) -> FoundJob:
    """Return the job with an id. Raises InputError if there is none, or no small model can do it."""
    jobs = find_jobs(store, forecasts=False).jobs
    job = next((one for one in jobs if one.id == id), None)
    if job is None:
        known = ", ".join(one.id for one in jobs[:10]) or "none yet"
        raise InputError("flows.no_recurring_job_has_this_id", value=id, known=known)
    if job.task is None:
        raise InputError("flows.no_small_model_can_be_made_for_this_job", value=id, why=job.why)
    return job


@dataclass(frozen=True)
class _JobRequests:
    """Requests of one kind: their frame, the frames that exclude them, and the mark that identifies them."""

    frame: PromptFrame
    without: tuple[PromptFrame, ...]
    mark: str


def _of(store: TrafficStore, template: PromptKind, window: timedelta, embed: Embed | None, forecasts: bool) -> Iterator[FoundJob]:
    pairs = list(store.pairs(None, None, store.newest(template.hash, MOST_READ), None, template.hash))
    texts = list(dict.fromkeys(pair.input for pair in pairs))
    frames = _frames(texts, template.system)
    for kind in _kinds(texts, frames):
        tally = store.tally(template.hash, kind.frame, kind.without)
        if tally.requests < LEAST:
            continue
        own = [pair for pair in pairs if kind.frame.holds(pair.input) and not any(other.holds(pair.input) for other in kind.without)]
        yield _job(template, kind, own, tally, window, _ForecastInputs(store.held_out, embed, forecasts))


def _frames(texts: Sequence[str], system: bool) -> dict[PromptFrame, str]:
    """Return the frames of a template's texts with their marks."""
    found: dict[PromptFrame, str] = {}
    held = 0
    for group in find_frames(texts):
        frame = _known(group.frame)
        if frame.fixed >= _LEAST_FIXED:
            found.setdefault(frame, group.mark)
            held += len(group.places)
    return found if not system or held >= _MOSTLY * len(texts) else {}


def _known(frame: PromptFrame) -> PromptFrame:
    """Cut the frame's end behind its last placeholder: placeholders are numbered from the start of a text, so the number differs between
    texts."""
    return PromptFrame(frame.begins, PLACEHOLDER.split(frame.ends)[-1])


def _kinds(texts: Sequence[str], frames: dict[PromptFrame, str]) -> Iterator[_JobRequests]:
    """Yield one kind per frame, and one for texts outside all frames. Texts that also fit a longer frame belong to that one."""
    for frame, mark in frames.items():
        inner = tuple(other for other in frames if other != frame and len(other.begins + other.ends) > len(frame.begins + frame.ends))
        shared = tuple(other for other in inner if any(frame.holds(text) and other.holds(text) for text in texts))
        yield _JobRequests(frame, shared, mark)
    if not frames or any(not any(frame.holds(text) for frame in frames) for text in texts):
        yield _JobRequests(UNFRAMED, tuple(frames), "the rest" if frames else "")


@dataclass(frozen=True)
class _ForecastInputs:
    """Inputs of a forecast: the store's share of held-out texts, an encoder, and whether forecasts are asked for."""

    held_out: float
    embed: Embed | None
    forecasts: bool


def _job(
    template: PromptKind, kind: _JobRequests, pairs: Sequence[TrafficPair], tally: KindTotals, window: timedelta, sight: _ForecastInputs
) -> FoundJob:
    taught = {fold_text(pair.input): pair for pair in pairs if not pair.held_out}  # each text's latest pair
    answers = form_of_answers([pair.reference for pair in taught.values()])
    task, why = _task(template, kind, answers, tally.distinct)
    shown = list(taught.values())[-_EXAMPLES:]
    foreseen = None
    if sight.forecasts and task is not None:
        why = registry.find("tasks", task).not_foreseen
        foreseen = JobForecast(None, why) if why else None
        if foreseen is None:
            texts, said = [kind.frame.bare(pair.input) for pair in taught.values()], [pair.reference for pair in taught.values()]
            foreseen = forecast(texts, said, tally.distinct, sight.held_out, sight.embed)
    month = None
    if window >= _LEAST_WINDOW:
        months = timedelta(days=_DAYS) / window
        month = MonthlyVolume(tally.requests * months, tally.cost_usd * months)
    return FoundJob(
        id=hashlib.blake2b(f"{template.hash}\0{kind.mark}".encode("utf-8", "surrogatepass"), digest_size=4).hexdigest(),
        template=template.hash,
        exact=template.exact,
        path=template.path,
        system=template.system,
        frame=kind.frame,
        tally=tally,
        repeated=1 - tally.distinct / tally.requests,
        answers=answers,
        task=task,
        why=why,
        examples=tuple(_short(kind.frame.bare(pair.input)) for pair in shown),
        month=month,
        forecast=foreseen,
    )


def _task(template: PromptKind, kind: _JobRequests, answers: AnswerForm, distinct: int) -> tuple[str | None, str]:
    """Return the task of a small model for these requests, or the reason for having none."""
    if kind.without:
        return None, "these requests cannot be told from those of other jobs with the same system prompt"
    if distinct < _LEAST_TEXTS:
        return None, f"they have only {distinct} different texts, too few to learn from"
    if answers.kind == "none":
        return None, "the large model's answers to them are not stored"
    if answers.shares.get("masked", 0.0) >= _OFTEN_MASKED:
        why = f"{answers.shares['masked']:.0%} of the answers were masked as personal data, so they are unknown"
        return None, f"{why}. If they are labels, name them with smidgen serve --capture-labels FILE"
    if answers.kind == "mixed":
        return None, "the answers are of several kinds, and no request says which: give each kind a prompt of its own"
    if answers.kind == "labels" and len(answers.labels) < 2:
        return None, "the answer is always the same"
    if answers.kind == "text" and not template.system and not kind.frame:
        return None, "they have no system prompt and no words in common: nothing shows that they are one job"
    return task_of(answers.kind).name, ""


def _short(text: str) -> str:
    said = " ".join(text.split())
    return said if len(said) <= _LONGEST_EXAMPLE else said[: _LONGEST_EXAMPLE - 1] + "…"


def job_for_line(id: str) -> LineJob:
    """Return the job with an id from the store of traffic, as a line remembers it.

    Raises InputError if there is none, or no small model can do it; TrafficError if nothing was captured.
    """
    with opened(make=False) as store:
        job = find_job(store, id)
    assert job.task is not None  # find_job raises otherwise
    asked = next((name for name, _ in job.tally.asked), "")
    begins, ends = job.frame.begins, job.frame.ends
    return LineJob(
        id=job.id,
        template=job.template,
        exact="" if job.exact == job.template else job.exact,
        varies=not job.exact,
        system=job.system,
        begins=begins,
        ends=ends,
        task=job.task,
        asked=asked,
    )


def take_up_job(line: Line, job: LineJob, task: str | None) -> LinePointer:
    """Add a job to the line, and return the line's pointer. `task` is the line's, or None to take that of its jobs.

    Raises InputError if the job has another task, or the line has too many jobs.
    """

    def added(before: LinePointer) -> LinePointer:
        # An older smidgen told prompts apart to the letter. Its job for a variant of this prompt is part of this job.
        part = (job.exact, job.frame)
        others = tuple(known for known in before.jobs if known.id != job.id and (known.template, known.frame) != part)
        wanted = task or next((known.task for known in others), job.task)
        if wanted != job.task:
            raise InputError("flows.job_is_of_another_task_than_line", task=job.task, wanted=wanted)
        if len(others) >= MOST_JOBS:
            raise InputError("flows.line_has_too_many_jobs", value=len(others))
        return before.model_copy(update={"jobs": (*others, job)})

    return line.change(added)
