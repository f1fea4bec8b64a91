"""Pairs from stored requests: which can be trained or measured on, whose answer counts, how many there are, and a file of them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from smidgen.core.errors import DataError
from smidgen.core.placeholders import PromptFrame, is_masked
from smidgen.core.replies import NOT_COMPARABLE, AnswerState
from smidgen.store.traffic.records import MOST_TEXT, TrafficPair, Whose, from_timestamp
from smidgen.store.traffic.tables import FEEDBACK, REQUESTS, of_template

# For training, the best answer of each request is used: a correction before an answer, and no answer that a person called wrong. Held-out
# requests are for measuring, and keep their answers: without the bad ones they would be an easier sample than the traffic.

_PAGE = 500
"""Requests read at once. A long walk holds no transaction between pages, so that deleted data can go meanwhile."""
_HTTP_OK = 200


@dataclass(slots=True)
class AnswerFeedback:
    """People's verdict on an answer. `corrected`: the newest correction; `usable`: whether it can be trained on; `down`: whether the newest
    verdict is a thumb down."""

    corrected: str | None = None
    usable: bool = True
    down: bool = False


def select_page(
    asked: str | None,
    held_out: bool | None,
    since: float | None,
    until: float | None,
    template: str | None,
    after: tuple[float, str] | None,
) -> sql.Select[Any]:
    """The next requests that could be pairs, after the time and id of the last one."""
    one = REQUESTS.c
    wanted = could_be(asked, held_out, since, until, template)
    if after is not None:
        wanted.append(after_place(after))
    return sql.select(REQUESTS).where(*wanted).order_by(one.time, one.id).limit(_PAGE)


def could_be(
    asked: str | None, held_out: bool | None, since: float | None, until: float | None, template: str | None
) -> list[sql.ColumnElement[bool]]:
    """The condition of every request that could be a pair."""
    one = REQUESTS.c
    # Of a held-out request that was cut, perhaps only the answer was too long: it counts.
    wanted: list[sql.ColumnElement[bool]] = [one.odd == "", one.input.is_not(None), sql.or_(sql.not_(one.truncated), one.held_out)]
    if asked is not None:
        wanted.append(one.asked == asked)
    if held_out is not None:
        wanted.append(one.held_out if held_out else sql.not_(one.held_out))
    if since is not None:
        wanted.append(one.time >= since)
    if until is not None:
        wanted.append(one.time < until)
    if template is not None:
        wanted.append(of_template(template))
    return wanted


def after_place(place: tuple[float, str]) -> sql.ColumnElement[bool]:
    """The condition of every request after this time and id."""
    one = REQUESTS.c
    return sql.or_(one.time > place[0], sql.and_(one.time == place[0], one.id > place[1]))


def feedback_by_request(connection: Connection, ids: Sequence[str]) -> dict[str, AnswerFeedback]:
    """People's verdicts on these requests' answers, by request."""
    found: dict[str, AnswerFeedback] = {}
    said = sql.select(FEEDBACK).where(FEEDBACK.c.request_id.in_(ids)).order_by(FEEDBACK.c.number)
    for row in connection.execute(said) if ids else ():
        one = found.setdefault(row.request_id, AnswerFeedback())
        if row.corrected is not None:
            one.corrected, one.usable = row.corrected, not (row.altered or row.truncated)
        if row.verdict is not None:
            one.down = row.verdict == "down"
    return found


def make_pair(row: Any, said: AnswerFeedback | None) -> TrafficPair | None:
    """The pair of a request; None if there is no answer to train on or, for a held-out one, to measure by."""
    return _measuring(row, said or AnswerFeedback()) if row.held_out else _teaching(row, said or AnswerFeedback())


def _teaching(row: Any, said: AnswerFeedback) -> TrafficPair | None:
    """The pair for training. A correction that cannot be used still shows that the upstream's answer is wrong. A thumb down for a local
    answer does not apply to the upstream's answer in its audit."""
    if said.corrected is not None:
        return _new_pair(row, said.corrected, "human") if said.usable and said.corrected.strip() else None
    if row.answered_by == "local" and row.audit_answer is not None and row.audit_answer.strip():
        return _new_pair(row, row.audit_answer, "upstream")
    return _new_pair(row, row.answer, "upstream") if _state(row) == "whole" and not said.down else None


def _measuring(row: Any, said: AnswerFeedback) -> TrafficPair | None:
    """The pair for measuring: the upstream's answer, whatever people say about it. If it is not a whole text, no answer agrees with it; if
    it is not known to have ended, there is no pair."""
    if row.truncated and len(row.input) >= MOST_TEXT:
        return None  # the input may have been cut
    state = _state(row)
    corrected = said.corrected if said.corrected is not None and said.usable and said.corrected.strip() else None
    if state == "whole":
        return _new_pair(row, row.answer, "upstream", state, corrected)
    if state in NOT_COMPARABLE:
        return _new_pair(row, "", "upstream", state, corrected)
    return _new_pair(row, corrected, "human", state) if corrected is not None else None


def _state(row: Any) -> AnswerState:
    """How the upstream answered; empty if it did not."""
    if row.answered_by != "upstream" or row.status != _HTTP_OK:
        return ""
    if row.truncated and row.answer is not None and len(row.answer) >= MOST_TEXT:
        return "long"
    state: AnswerState = row.answer_state
    if state in ("", "whole"):
        # An older smidgen did not store the state: an answer without text does not count as complete.
        return "whole" if row.answer is not None and row.answer.strip() else "blank"
    return state


def _new_pair(row: Any, reference: str, whose: Whose, state: AnswerState = "whole", corrected: str | None = None) -> TrafficPair:
    return TrafficPair(
        id=row.id,
        time=from_timestamp(row.time),
        asked=row.asked,
        bundle_id=row.bundle_id,
        input=row.input,
        reference=reference,
        whose=whose,
        held_out=row.held_out,
        answered_by=row.answered_by,
        local_output=row.local_output,
        local_score=row.local_score,
        model=row.audit_model if row.answered_by == "local" else row.model,
        state=state,
        corrected=corrected,
        altered=row.altered,
        doubtful=row.doubtful,
        why=row.why,
    )


# The database counts pairs without reading any answer, because the count is asked for every half minute, of a store of any size.
# The rule is that of `make_pair`, in SQL. SQL trims blanks only, so an answer of nothing but line breaks counts.

_OK = 200


def count_pairs(
    reading: Callable[[], AbstractContextManager[Connection]],
    asked: str | None,
    since: float | None,
    until: float | None,
    template: str | None,
    frames: Sequence[PromptFrame],
) -> int:
    """Count the pairs of both sides. With frames, their texts are read, and nothing else.

    Args:
        reading: opens a connection to read by.
        asked, since, until, template: as in `select_page`.
        frames: a text must have one of them; empty for any text.
    """
    one = REQUESTS.c
    wanted = [*could_be(asked, None, since, until, template), _is_pair()]
    if not frames:
        with reading() as connection:
            return int(connection.scalar(sql.select(sql.func.count()).select_from(REQUESTS).where(*wanted)) or 0)
    found = 0
    after: tuple[float, str] | None = None
    while True:
        behind = [] if after is None else [after_place(after)]
        texts = sql.select(one.time, one.id, one.input).where(*wanted, *behind).order_by(one.time, one.id).limit(_PAGE)
        with reading() as connection:
            rows = connection.execute(texts).all()
        if not rows:
            return found
        after = (rows[-1].time, rows[-1].id)
        found += sum(any(frame.holds(row.input) for frame in frames) for row in rows)


def _is_pair() -> sql.ColumnElement[bool]:
    one, said = REQUESTS.c, FEEDBACK.c
    unusable = sql.or_(said.altered, said.truncated, sql.func.trim(said.corrected) == "")
    corrected = _newest(sql.case((unusable, 0), else_=1), said.corrected.is_not(None))
    verdict = _newest(said.verdict, said.verdict.is_not(None))
    upstream = sql.and_(one.answered_by == "upstream", one.status == _OK)
    whole = sql.and_(upstream, one.answer_state.in_(("", "whole")), one.answer.is_not(None))
    teaching = sql.or_(
        corrected == 1,
        sql.and_(corrected.is_(None), one.answered_by == "local", one.audit_answer.is_not(None)),
        sql.and_(corrected.is_(None), whole, sql.func.coalesce(verdict, "") != "down"),
    )
    measuring = sql.and_(
        sql.not_(sql.and_(one.truncated, sql.func.length(one.input) >= MOST_TEXT)),
        sql.or_(sql.and_(upstream, one.answer_state != "broken"), corrected == 1),
    )
    return sql.or_(sql.and_(sql.not_(one.held_out), teaching), sql.and_(one.held_out, measuring))


def _newest(what: Any, where: sql.ColumnElement[bool]) -> sql.ScalarSelect[Any]:
    """The newest feedback of a kind on a request; NULL if there is none."""
    said = FEEDBACK.c
    mine = sql.select(what).where(said.request_id == REQUESTS.c.id, where).order_by(said.number.desc()).limit(1)
    return mine.correlate(REQUESTS).scalar_subquery()


@dataclass(frozen=True)
class TrafficExport:
    """Number of pairs written, and number of answers left out because they were masked as personal data."""

    pairs: int
    masked: int


def export_pairs(pairs: Iterable[TrafficPair], file: Path) -> TrafficExport:
    """Write pairs as a file for `smidgen build` and `smidgen certify`.

    Each line is a JSON object with `input`, `output` (the reference; null if it is incomplete), `whose` output it is, and its origin.

    A masked answer is not written: the label `[PLACE_1]` would stand for many. A pair to learn from is then left out; a held-out one gets
    the output null.

    The file appears when it is complete, and only its owner may read it. Raises DataError if it cannot be written.
    """
    draft = file.with_name(f".{file.name}.{os.getpid()}.part")
    count = masked = 0
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8", newline="\n") as stream:
            for pair in pairs:
                facts = pair.json()
                said = facts.pop("reference") or None
                if is_masked(pair.reference, pair.input):
                    masked += 1
                    if not pair.held_out:
                        continue
                    said = None
                row = {"input": facts.pop("input"), "output": said, **facts}
                stream.write(json.dumps(row, ensure_ascii=False) + "\n")
                count += 1
        draft.replace(file)
    except OSError as error:
        raise DataError("flows.file_cannot_be_written", value=error.strerror or type(error).__name__, file=str(file)) from None
    finally:
        draft.unlink(missing_ok=True)
    return TrafficExport(count, masked)
