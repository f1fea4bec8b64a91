"""Answers that people put right: captured requests that they reviewed, and answers that they corrected, become rows of the project."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pydantic.dataclasses import dataclass

from smidgen.core.errors import InputError
from smidgen.store.traffic.records import Feedback
from smidgen.store.traffic.requests import RequestFilter, StoredRequest
from smidgen.studio.flows.data.imports import parse_output
from smidgen.studio.flows.serving.live_traffic import captured
from smidgen.studio.store.data_rows import DataRow, DataVersion, ProjectRows, RowFilter
from smidgen.studio.store.projects import Project, StudioStore
from smidgen.studio.store.servers import ServerStore

SOURCE = "traffic"
_PAGE = 200


@dataclass(frozen=True)
class ReviewQueue:
    """Requests to look at, those first that the model was least sure of. `waiting` counts all of them; `done` those that were reviewed."""

    waiting: int
    done: int
    requests: Sequence[StoredRequest]


def read_queue(store: StudioStore, project: str, limit: int) -> ReviewQueue:
    """The next requests to look at. Texts that are held out are left out: they measure, and nothing learns from them."""
    reviewed = ServerStore(store.database).reviewed(project)
    found: list[StoredRequest] = []
    total = 0
    with captured(project) as traffic:
        if traffic is None:
            return ReviewQueue(0, len(reviewed), ())
        offset = 0
        while True:
            total, page = traffic.requests(RequestFilter(group="to_review"), offset, _PAGE, "least_sure")
            found += [request for request in page if request.id not in reviewed]
            offset += _PAGE
            if len(found) >= limit or offset >= total:
                break
        gone = traffic.count_among(RequestFilter(group="to_review"), reviewed)
    return ReviewQueue(total - gone, len(reviewed), found[:limit])


def skip_request(store: StudioStore, project: str, request: str, author: str) -> None:
    """Leave a request out of the queue."""
    _find(project, request)
    ServerStore(store.database).review(project, request, "skipped", author)


def label_request(store: StudioStore, project: str, request: str, output: Any, author: str) -> DataVersion:
    """Add a request with its right answer to the project's data, as a version; the answer is kept with the captured request, too, so that
    the line learns from it.

    Raises InputError for an answer that the task does not take, and for a request that is not there any more.
    """
    found = _find(project, request)
    answer = parse_output(store.project(project), output, found.input)
    if answer is None:
        raise InputError("studio.no_answer_was_chosen", value="nothing")
    row = DataRow(found.input or "", output=answer, source=SOURCE)
    version = store.rows(project).add([row], author, "review", {"source": SOURCE, "output": answer})
    said = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
    with captured(project) as traffic:
        if traffic is not None:
            traffic.feedback(Feedback(request, datetime.now(UTC), corrected=said, comment="review", by_admin=True))
    ServerStore(store.database).review(project, request, "labelled", author)
    return version


def _find(project: str, request: str) -> StoredRequest:
    with captured(project) as traffic:
        found = traffic.find_request(request) if traffic is not None else None
    if found is None or not found.input or found.held_out:
        raise InputError("studio.this_request_cannot_be_reviewed", value=request)
    return found


PLAYGROUND = "playground"
"""The source of rows that were added here."""


@dataclass(frozen=True, slots=True)
class Correction:
    """A correction: its version (None if every row said so already), how many rows it relabelled, and whether it added one."""

    version: DataVersion | None
    relabelled: int
    added: bool


def correct(rows: ProjectRows, project: Project, text: str, second: str | None, output: Any, author: str) -> Correction:
    """Write down the right answer to a text. Raises InputError where the task does not take the answer."""
    if output is None:
        raise InputError("studio.correction_needs_answer", value="none")
    placed = parse_output(project, output, (text, second) if second else text)
    same = [row for row in rows.each(where=RowFilter(input=text)) if (row.second or None) == (second or None)]
    if not same:
        row = DataRow(text, second or None, placed, "train", PLAYGROUND)
        return Correction(rows.add([row], author, "add", {"source": PLAYGROUND}), 0, True)
    wrong = [row.key for row in same if row.output != placed]
    if not wrong:
        return Correction(None, 0, False)
    details: Mapping[str, Any] = {"output": placed, "rows": len(wrong), "source": PLAYGROUND}
    return Correction(rows.change(wrong, lambda row: replace(row, output=placed), author, "relabel", details), len(wrong), False)
