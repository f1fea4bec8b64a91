"""Which stored requests can be learnt from or measured on, and whose answer counts.

To learn from, the best of each request is taken: a correction before an answer, and nothing that someone called wrong. Held-out requests
measure, and are taken as they went: left out for what became of them, the bad ones first, they would be an easier sample than the traffic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from smidgen.core.answer_state import UNLIKE, AnswerState
from smidgen.store.traffic.shapes import MOST_TEXT, Pair, Whose, moment
from smidgen.store.traffic.tables import FEEDBACK, REQUESTS, of_template

_PAGE = 500
"""Requests that are read at once: a long walk holds no transaction, in whose time nothing that was deleted could go."""
_ANSWERED = 200


@dataclass(slots=True)
class Judgement:
    """What people say of an answer. `corrected`: the newest correction; `usable`: whether it can be learnt from; `down`: whether the newest
    verdict is a thumb down."""

    corrected: str | None = None
    usable: bool = True
    down: bool = False


def page(
    asked: str | None,
    held_out: bool | None,
    since: float | None,
    until: float | None,
    template: str | None,
    after: tuple[float, str] | None,
) -> sql.Select[Any]:
    """The next requests that could be pairs, behind the time and id of the last one."""
    one = REQUESTS.c
    wanted = could_be(asked, held_out, since, until, template)
    if after is not None:
        wanted.append(behind(after))
    return sql.select(REQUESTS).where(*wanted).order_by(one.time, one.id).limit(_PAGE)


def could_be(
    asked: str | None, held_out: bool | None, since: float | None, until: float | None, template: str | None
) -> list[sql.ColumnElement[bool]]:
    """What is so of every request that could be a pair."""
    one = REQUESTS.c
    # Of a held-out request that was cut it may be the answer that is too long: that one counts.
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


def behind(place: tuple[float, str]) -> sql.ColumnElement[bool]:
    """What is so of every request behind this time and id."""
    one = REQUESTS.c
    return sql.or_(one.time > place[0], sql.and_(one.time == place[0], one.id > place[1]))


def judged(connection: Connection, ids: Sequence[str]) -> dict[str, Judgement]:
    """What people say of these requests' answers."""
    found: dict[str, Judgement] = {}
    said = sql.select(FEEDBACK).where(FEEDBACK.c.request_id.in_(ids)).order_by(FEEDBACK.c.number)
    for row in connection.execute(said) if ids else ():
        one = found.setdefault(row.request_id, Judgement())
        if row.corrected is not None:
            one.corrected, one.usable = row.corrected, not (row.altered or row.truncated)
        if row.verdict is not None:
            one.down = row.verdict == "down"
    return found


def pair(row: Any, said: Judgement | None) -> Pair | None:
    """The pair of a request; None where there is no answer to learn from, or, of a held-out one, none to measure by."""
    return _measuring(row, said or Judgement()) if row.held_out else _teaching(row, said or Judgement())


def _teaching(row: Any, said: Judgement) -> Pair | None:
    """A correction that cannot be used still says that the upstream's answer is wrong. What a thumb down says of a local answer it does not
    say of what the upstream answered in its audit."""
    if said.corrected is not None:
        return _pair(row, said.corrected, "human") if said.usable and said.corrected.strip() else None
    if row.answered_by == "local" and row.audit_answer is not None and row.audit_answer.strip():
        return _pair(row, row.audit_answer, "upstream")
    return _pair(row, row.answer, "upstream") if _state(row) == "whole" and not said.down else None


def _measuring(row: Any, said: Judgement) -> Pair | None:
    """What the upstream answered is its answer, whatever anyone says of it. An answer that is no whole text is one that none agrees with;
    one that is not known to have ended says nothing."""
    if row.truncated and len(row.input) >= MOST_TEXT:
        return None  # it may be the input that was cut
    state = _state(row)
    corrected = said.corrected if said.corrected is not None and said.usable and said.corrected.strip() else None
    if state == "whole":
        return _pair(row, row.answer, "upstream", state, corrected)
    if state in UNLIKE:
        return _pair(row, "", "upstream", state, corrected)
    return _pair(row, corrected, "human", state) if corrected is not None else None


def _state(row: Any) -> AnswerState:
    """How the upstream answered; empty where it did not."""
    if row.answered_by != "upstream" or row.status != _ANSWERED:
        return ""
    if row.truncated and row.answer is not None and len(row.answer) >= MOST_TEXT:
        return "long"
    state: AnswerState = row.answer_state
    if state in ("", "whole"):
        # An older smidgen did not say how: what it kept no text of is not taken to have gone well.
        return "whole" if row.answer is not None and row.answer.strip() else "blank"
    return state


def _pair(row: Any, reference: str, whose: Whose, state: AnswerState = "whole", corrected: str | None = None) -> Pair:
    return Pair(
        id=row.id,
        time=moment(row.time),
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
        why=row.why,
    )
