"""Find recurring jobs: requests with the same words to the system, and, within them, texts in the same frame. A line can take one up."""

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
from smidgen.flows.certify.losses import unwrap_field
from smidgen.flows.embedding import Embed, embedder
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
    """Of `n` answers to different texts: what most of them are.

    Attributes:
        kind: what four of five are; `mixed` where they are of several kinds, `none` where there are no answers, `masked` where they are
            nothing but placeholders.
        shares: of each kind, 0..1.
        labels: how often each comes, as it is spelt most often, the most frequent first; where they are labels.
        fields: how many objects have each; where they are objects.
    """

    kind: Kind
    n: int
    shares: Mapping[str, float]
    labels: Mapping[str, int]
    fields: Mapping[str, int]

    def json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"kind": self.kind, "n": self.n, "shares": dict(self.shares), "labels": dict(self.labels), "fields": dict(self.fields)}


def form_of_answers(answers: Sequence[str]) -> AnswerForm:
    """The form of these answers, one for each text that differs. A short text is a label where it is the answer to another text, too."""
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
    """The task that answers so."""
    tasks: list[Task] = [registry.find("tasks", name) for name in registry.names("tasks")]
    return next(task for task in tasks if kind in task.answer_kinds)


def _merge_spellings(spelt: Counter[str]) -> dict[str, int]:
    """Labels that differ in capitals alone as one, as it is spelt most often."""
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
"""Of a template's requests the newest so many are read; all are counted."""
_EXAMPLES = 3
_LONGEST_EXAMPLE = 240
_MOSTLY = 0.5
"""Where there are words to the system, frames divide their requests if they hold so many of the texts."""
_LEAST_TEXTS = 10
_OFTEN_MASKED = 0.2
"""Where so many answers are nothing but placeholders, the rest of them does not tell what the job is."""
_DAYS = 30
_LEAST_WINDOW = timedelta(days=1)
_LEAST_FIXED = 24
"""Characters of a frame that must be known: less is no mark of a program."""


@dataclass(frozen=True)
class MonthlyVolume:
    """The volume of thirty days at the pace of all that is stored; None where less than a day is."""

    requests: float
    cost_usd: float


@dataclass(frozen=True)
class FoundJob:
    """Requests of one kind that come again and again.

    Attributes:
        id: stays as long as the program's prompt does.
        template: the hash of what its requests have in common: of its kind.
        exact: the hash of their template, where it is the same in all of them to the letter; empty where something in it varies.
        system: whether they have words to the system.
        frame: how their texts begin and end.
        tally: how many there are, and what they cost.
        repeated: the share of the requests whose text had come before.
        answers: what the large model's look like.
        task: that a small model would have; None where there is none, and `why` says why not.
        examples: some of the texts as they are stored, without their frame, shortened.
        month: at the present pace.
        forecast: what a small model is likely to answer alone; None where nobody asked.
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
        """JSON-ready."""
        facts = {**asdict(self), "answers": self.answers.json()}
        facts["tally"]["asked"] = dict(self.tally.asked)
        return facts


@dataclass(frozen=True)
class FoundJobs:
    """The jobs, the most frequent first, and what is none: requests of rarer kinds, and such as no small model can do, by why not. `seen`:
    how much of the traffic was stored."""

    jobs: tuple[FoundJob, ...]
    requests: int
    others: int
    unsuited: dict[str, int]
    first: datetime | None
    last: datetime | None
    days: int = field(default=_DAYS)
    seen: StoredShare = field(default_factory=lambda: StoredShare(0))

    def json(self) -> dict[str, Any]:
        """JSON-ready."""
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
    """The recurring jobs in a store of traffic. Takes seconds: of each template at most 10,000 requests are read.

    Args:
        forecasts: whether to foresee what a small model would answer of each.

    Raises TrafficError where the store cannot be read.
    """
    progress = progress or Silent()
    counts = store.counts()
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
    """The job of an id. Raises InputError where there is none, or a small model cannot have it."""
    jobs = find_jobs(store, forecasts=False).jobs
    job = next((one for one in jobs if one.id == id), None)
    if job is None:
        known = ", ".join(one.id for one in jobs[:10]) or "none yet"
        raise InputError("no recurring job has this id", value=id, todo=f"Name one of those in `smidgen traffic --jobs`: {known}.")
    if job.task is None:
        raise InputError(f"no small model can be made for this job: {job.why}", value=id, todo="Choose another.")
    return job


@dataclass(frozen=True)
class _JobRequests:
    """A job's requests before they are looked at: their frame, the frames that they do not stand in, the mark that names them."""

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
    """The frames of a template's texts with their marks."""
    found: dict[PromptFrame, str] = {}
    held = 0
    for group in find_frames(texts):
        frame = _known(group.frame)
        if frame.fixed >= _LEAST_FIXED:
            found.setdefault(frame, group.mark)
            held += len(group.places)
    return found if not system or held >= _MOSTLY * len(texts) else {}


def _known(frame: PromptFrame) -> PromptFrame:
    """A frame with the end behind its last placeholder: those are counted from the beginning of a text, and say another number in the
    next."""
    return PromptFrame(frame.begins, PLACEHOLDER.split(frame.ends)[-1])


def _kinds(texts: Sequence[str], frames: dict[PromptFrame, str]) -> Iterator[_JobRequests]:
    """One a frame, and what stands in none. A frame that also holds texts of another one is no kind by itself: theirs go first."""
    for frame, mark in frames.items():
        inner = tuple(other for other in frames if other != frame and len(other.begins + other.ends) > len(frame.begins + frame.ends))
        shared = tuple(other for other in inner if any(frame.holds(text) and other.holds(text) for text in texts))
        yield _JobRequests(frame, shared, mark)
    if not frames or any(not any(frame.holds(text) for frame in frames) for text in texts):
        yield _JobRequests(UNFRAMED, tuple(frames), "the rest" if frames else "")


@dataclass(frozen=True)
class _ForecastInputs:
    """The inputs of forecasts: the store's share of held-out texts, an encoder, whether they are asked for."""

    held_out: float
    embed: Embed | None
    forecasts: bool


def _job(
    template: PromptKind, kind: _JobRequests, pairs: Sequence[TrafficPair], tally: KindTotals, window: timedelta, sight: _ForecastInputs
) -> FoundJob:
    taught = {fold_text(pair.input): pair for pair in pairs if not pair.held_out}  # each text as it came last
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
    """The task that a small model would have, or why there is none."""
    if kind.without:
        return None, "nothing tells these requests from those of the other jobs with the same words to the system"
    if distinct < _LEAST_TEXTS:
        return None, f"only {distinct} of their texts differ: that is too little to learn from"
    if answers.kind == "none":
        return None, "no answers of the large model to them are stored"
    if answers.shares.get("masked", 0.0) >= _OFTEN_MASKED:
        why = f"{answers.shares['masked']:.0%} of the answers were masked as personal data, and nobody knows what they were"
        return None, f"{why}. Where they are labels, name them with smidgen serve --capture-labels FILE"
    if answers.kind == "mixed":
        return None, "the answers are of several kinds, and no request says which: give each kind a prompt of its own"
    if answers.kind == "labels" and len(answers.labels) < 2:
        return None, "the answer is always the same"
    if answers.kind == "text" and not template.system and not kind.frame:
        return None, "they have no words to the system, and share none of their own: nothing says that they are one job"
    return task_of(answers.kind).name, ""


def _short(text: str) -> str:
    said = " ".join(text.split())
    return said if len(said) <= _LONGEST_EXAMPLE else said[: _LONGEST_EXAMPLE - 1] + "…"


def job_for_line(id: str, url: str | None = None) -> LineJob:
    """The job of an id in the store of traffic, as a line remembers it.

    Raises InputError where there is none, or a small model cannot have it; TrafficError where nothing was captured.
    """
    with opened(url, make=False) as store:
        job = find_job(store, id)
    assert job.task is not None  # of one that a small model can have
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
    """The line with this job among its own. `task` is the one that it has, or is to have; None for that of its jobs.

    Raises InputError where the job is of another task, or the line has too many.
    """

    def added(before: LinePointer) -> LinePointer:
        # That of the same prompt as an older smidgen told it apart, to the letter, is a part of it.
        part = (job.exact, job.frame)
        others = tuple(known for known in before.jobs if known.id != job.id and (known.template, known.frame) != part)
        wanted = task or next((known.task for known in others), job.task)
        if wanted != job.task:
            raise InputError(
                "the job is of another task than the line", value=f"{job.task}, not {wanted}", todo="Begin another line with this job."
            )
        if len(others) >= MOST_JOBS:
            raise InputError("the line has too many jobs", value=len(others), todo="Begin another line with this job.")
        return before.model_copy(update={"jobs": (*others, job)})

    return line.change(added)
