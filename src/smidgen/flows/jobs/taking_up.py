"""A line takes up a recurring job: from then on it learns from the captured requests of that job, and from no others."""

from __future__ import annotations

from smidgen.core.errors import InputError
from smidgen.flows.jobs.finding import job_of
from smidgen.store.line import MOST_JOBS, Job, Line, Pointer
from smidgen.store.traffic.store import opened


def found(id: str, url: str | None = None) -> Job:
    """The job of an id in the store of traffic, as a line remembers it.

    Raises InputError where there is none, or a small model cannot have it; TrafficError where nothing was captured.
    """
    with opened(url, make=False) as store:
        job = job_of(store, id)
    assert job.task is not None  # of one that a small model can have
    asked = next((name for name, _ in job.tally.asked), "")
    begins, ends = job.frame.begins, job.frame.ends
    return Job(
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


def remembered(line: Line, job: Job, task: str | None) -> Pointer:
    """The line with this job among its own. `task` is the one that it has, or is to have; None for that of its jobs.

    Raises InputError where the job is of another task, or the line has too many.
    """

    def added(before: Pointer) -> Pointer:
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
