"""The run `jobs`: find recurring jobs in captured traffic; and a new project from one of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from smidgen.core.errors import InputError
from smidgen.data.splits import SplitSide
from smidgen.flows.jobs.discovery import find_job, find_jobs
from smidgen.flows.learn.traffic_rows import rows_of_pairs
from smidgen.parts import registry
from smidgen.parts.recipe import make
from smidgen.studio.flows.run_process import RunProgress
from smidgen.studio.flows.serving.live_traffic import captured
from smidgen.studio.store.data_rows import DataRow
from smidgen.studio.store.projects import Project, StudioStore
from smidgen.studio.store.runs import Run

SOURCE = "traffic"


def run_jobs(store: StudioStore, run: Run, progress: RunProgress) -> Mapping[str, Any]:
    """Find the recurring jobs in the requests that the project's server captured."""
    with captured(run.project) as traffic:
        if traffic is None:
            raise InputError("studio.nothing_was_captured_yet")
        found = find_jobs(traffic, progress=progress).json()
    return dict(json.loads(json.dumps(found, default=str)))


def project_of_job(store: StudioStore, project: str, job: str, name: str, author: str) -> Project:
    """Make a project from a job: its requests with the large model's answers as rows, those that are held out as test rows.

    Raises InputError if there is no such job, if no small model can do it, or if none of its answers can be read.
    """
    with captured(project) as traffic:
        if traffic is None:
            raise InputError("studio.nothing_was_captured_for_this_job_yet", value=job)
        found = find_job(traffic, job)
        assert found.task is not None  # find_job raises otherwise
        task, settings = registry.find("tasks", found.task), make({"task": found.task}, []).asked
        pairs = ((pair, ()) for pair in traffic.pairs(None, None, None, None, found.template) if found.frame.holds(pair.input))
        taken = rows_of_pairs(pairs, task, None, settings, found.template)
    rows = [
        DataRow(text, second, one.row.output, "train" if side is SplitSide.LEARNING else "test", SOURCE)
        for side, one in taken.rows
        if one.row.output is not None
        for text, second in [(one.row.input, None) if isinstance(one.row.input, str) else one.row.input]
    ]
    if not any(row.part == "train" for row in rows):
        why = next(iter(taken.unusable), "no answer was stored")
        raise InputError("studio.none_of_its_answers_can_be_read", value=why)
    made = store.create(name, found.task)
    store.rows(made.id).add(rows, author, "import", {"job": job, "project": project})
    return store.project(made.id)


part = run_jobs
