"""Corrections of a desk: what people answered that it could not, and replies with a thumb down, until the owner decides on each.

Nothing is learnt from a customer's words before the owner has approved them. A correction is deleted with its conversation.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, TypeAlias

import sqlalchemy as sql
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as pydantic_dataclass
from sqlalchemy.engine import Connection

from smidgen.core.errors import DataError
from smidgen.desk.store.codec import MOST_NAME, MOST_TEXT, clean, reply_from_json
from smidgen.desk.store.tables import CONVERSATIONS, CORRECTIONS, OPINIONS, PAIRS, TURNS, ConversationMissing
from smidgen.desk.store.turns import asked_before
from smidgen.store.database import Database

CorrectionState: TypeAlias = Literal["waiting", "approved", "rejected"]
CorrectionKind: TypeAlias = Literal["person_answered", "thumb_down", "proposed"]
"""`person_answered`: a person answered the customer. `thumb_down`: the customer did not like what the desk said. `proposed`: somebody of
the business said what the desk should have done."""

MOST_LISTED = 1_000


@pydantic_dataclass(frozen=True, slots=True, config=ConfigDict(json_schema_serialization_defaults_required=True))
class DeskCorrection:
    """A reply of the desk that may be wrong or missing, and what is right.

    Attributes:
        id: unique among all; the id of the turn that it came from.
        question: the customer's words, or the owner's wording of them.
        answer: a person's words, or the owner's; empty if nobody has answered.
        said, outcome: what the desk said, and its outcome; empty if it said nothing.
        intent: the recognised intent, or the owner's correction of it.
        comment: the customer's, beside a thumb down.
        document, quote: the document that holds the answer, and the words there, if the owner chose them.
        unanswerable: whether the owner says that the documents do not answer this question.
        by, decided: who decided, and when; or who proposed it, while it waits. Empty and None if nobody did. Times are in seconds since
            1970.
    """

    id: str
    kind: CorrectionKind
    desk: Annotated[str, Field(exclude=True)]
    conversation: str
    channel: str
    question: str
    answer: str
    said: str
    outcome: str
    intent: str
    comment: str
    time: float
    state: CorrectionState = "waiting"
    document: str = ""
    quote: str = ""
    unanswerable: bool = False
    by: str = ""
    decided: float | None = None


@dataclass(frozen=True, slots=True)
class CorrectionPage:
    """How many corrections a choice leaves, and some of them, the newest first."""

    total: int
    corrections: tuple[DeskCorrection, ...]


@dataclass(frozen=True, slots=True)
class CorrectionDecision:
    """An owner's decision on a correction, with all words as they are to be learnt."""

    state: CorrectionState
    question: str = ""
    answer: str = ""
    intent: str = ""
    document: str = ""
    quote: str = ""
    unanswerable: bool = False


class Corrections:
    """The corrections. Safe for several threads and processes. Each method raises ConversationError if the database fails."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database, self._clock = database, clock

    def listed(self, state: CorrectionState | None = "waiting", desk: str = "", offset: int = 0, limit: int = 50) -> CorrectionPage:
        """Corrections in a state, the newest first; all for None."""
        found = _found().subquery()
        wanted = [found.c.desk == desk] if desk else []
        if state is not None:
            wanted.append(sql.func.coalesce(found.c.state, "waiting") == state)
        page = sql.select(found).where(*wanted).order_by(found.c.time.desc(), found.c.turn)
        page = page.offset(max(0, offset)).limit(max(1, min(limit, MOST_LISTED)))
        with self._database.reading() as connection:
            total = connection.scalar(sql.select(sql.func.count()).select_from(found).where(*wanted))
            return CorrectionPage(int(total or 0), tuple(_read(connection, row) for row in connection.execute(page)))

    def correction(self, id: str) -> DeskCorrection:
        """The correction with an id. Raises ConversationMissing if there is none."""
        with self._database.reading() as connection:
            return _one(connection, id)

    def propose(self, conversation: str, turn: str, proposal: CorrectionDecision, by: str) -> DeskCorrection:
        """Write down what the desk should have done at one of its turns; it waits for a decision. A later proposal replaces it.

        An empty question stands for the customer's words before the turn. Raises ConversationMissing if the desk said no such thing.
        """
        with self._database.writing() as connection:
            found = connection.execute(sql.select(TURNS).where(TURNS.c.id == turn, TURNS.c.conversation == conversation)).first()
            if found is None or found.author != "desk":
                raise ConversationMissing("desk.conversation_has_no_such_turn", value=turn[:MOST_NAME])
            question = proposal.question.strip() or asked_before(connection, conversation, found.number)
            values = _stored(replace(proposal, state="waiting", question=question), by, self._clock())
            connection.execute(sql.delete(CORRECTIONS).where(CORRECTIONS.c.turn == turn))
            connection.execute(sql.insert(CORRECTIONS).values(turn=turn, conversation=conversation, proposed=1, **values))
            return _one(connection, turn)

    def decide(self, id: str, decision: CorrectionDecision, by: str) -> DeskCorrection:
        """Write down what the owner decided on a correction; a later decision replaces it. `by` names the person.

        Raises ConversationMissing if there is none with this id, DataError for words that are too long.
        """
        stored = _stored(decision, by, self._clock())
        with self._database.writing() as connection:
            known = _one(connection, id)
            proposed = int(connection.scalar(sql.select(CORRECTIONS.c.proposed).where(CORRECTIONS.c.turn == id)) or 0)
            if proposed and decision.state == "waiting":  # only its row knows what was proposed
                connection.execute(sql.update(CORRECTIONS).where(CORRECTIONS.c.turn == id).values(state="waiting"))
                return _one(connection, id)
            connection.execute(sql.delete(CORRECTIONS).where(CORRECTIONS.c.turn == id))
            if decision.state != "waiting":
                connection.execute(sql.insert(CORRECTIONS).values(turn=id, conversation=known.conversation, proposed=proposed, **stored))
            return _one(connection, id)


def _stored(decision: CorrectionDecision, by: str, now: float) -> dict[str, Any]:
    """The columns of a decision. Raises DataError for words that are too long."""
    words = {"question": decision.question, "answer": decision.answer, "intent": decision.intent, "quote": decision.quote}
    if long := [name for name, text in words.items() if len(text) > MOST_TEXT]:
        raise DataError("desk.correction_is_too_long", value=long[0], most_text=MOST_TEXT)
    values: dict[str, Any] = {name: clean(text) for name, text in words.items()}
    values |= {"state": decision.state, "document": clean(decision.document, MOST_NAME), "by": clean(by, MOST_NAME)}
    return {**values, "unanswerable": int(decision.unanswerable), "decided": now}


def _found() -> sql.Select[Any]:
    """Select the turns that may be corrected, with the decision of the owner where there is one."""
    decided = [CORRECTIONS.c[name].label(name) for name in _DECIDED]
    own = [CORRECTIONS.c.question.label("own_question"), CORRECTIONS.c.answer.label("own_answer"), CORRECTIONS.c.intent.label("own_intent")]
    pairs = sql.select(
        PAIRS.c.turn.label("turn"), sql.literal("person_answered").label("kind"), PAIRS.c.conversation, PAIRS.c.question,
        PAIRS.c.answer, sql.literal("").label("comment"), PAIRS.c.time,
    )  # fmt: skip
    thumbs = sql.select(
        OPINIONS.c.turn.label("turn"), sql.literal("thumb_down").label("kind"), OPINIONS.c.conversation, sql.literal("").label("question"),
        sql.literal("").label("answer"), OPINIONS.c.comment, OPINIONS.c.time,
    ).where(OPINIONS.c.verdict == "down")  # fmt: skip
    others = (
        sql.exists().where(PAIRS.c.turn == CORRECTIONS.c.turn),
        sql.exists().where(OPINIONS.c.turn == CORRECTIONS.c.turn, OPINIONS.c.verdict == "down"),
    )
    proposed = sql.select(
        CORRECTIONS.c.turn.label("turn"), sql.literal("proposed").label("kind"), CORRECTIONS.c.conversation,
        sql.literal("").label("question"), sql.literal("").label("answer"), sql.literal("").label("comment"), CORRECTIONS.c.decided,
    ).where(CORRECTIONS.c.proposed == 1, *(sql.not_(one) for one in others))  # fmt: skip
    both = sql.union_all(pairs, thumbs, proposed).subquery()
    joined = both.join(CONVERSATIONS, CONVERSATIONS.c.id == both.c.conversation).outerjoin(CORRECTIONS, CORRECTIONS.c.turn == both.c.turn)
    return sql.select(both, CONVERSATIONS.c.desk, CONVERSATIONS.c.channel, *decided, *own).select_from(joined)


_DECIDED = ("state", "document", "quote", "unanswerable", "by", "decided")


def _one(connection: Connection, id: str) -> DeskCorrection:
    found = _found().subquery()
    row = connection.execute(sql.select(found).where(found.c.turn == id)).first()
    if row is None:
        raise ConversationMissing("desk.correction_is_not_stored", value=id[:MOST_NAME])
    return _read(connection, row)


def _read(connection: Connection, row: Any) -> DeskCorrection:
    """A correction with the desk's reply that it is about, and the question before that."""
    told: Mapping[str, Any] = row._mapping
    mine = TURNS.c.conversation == row.conversation
    number = connection.scalar(sql.select(TURNS.c.number).where(TURNS.c.id == row.turn)) or 0
    before = sql.select(TURNS).where(mine, TURNS.c.author == "desk", TURNS.c.number <= number).order_by(TURNS.c.number.desc()).limit(1)
    desk = connection.execute(before).first()
    reply = reply_from_json(json.loads(desk.reply)) if desk is not None and desk.reply else None
    question = row.question
    if not question and desk is not None:
        question = asked_before(connection, row.conversation, desk.number)
    decided = row.state is not None
    return DeskCorrection(
        row.turn,
        row.kind,
        row.desk,
        row.conversation,
        row.channel,
        row.own_question if decided else question,
        row.own_answer if decided else row.answer,
        desk.text if desk is not None else "",
        reply.outcome if reply is not None else "",
        row.own_intent if decided else (reply.intent if reply is not None else ""),
        row.comment,
        row.time,
        **{name: told[name] for name in _DECIDED if name != "unanswerable"} if decided else {},
        unanswerable=bool(row.unanswerable),
    )
