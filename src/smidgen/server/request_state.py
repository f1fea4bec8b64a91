"""What is noted of a request while it is answered: the small model's replies, how long each part took, and its tokens and cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from starlette.types import Scope

from smidgen.core.replies import Reply
from smidgen.server.ops.prometheus import TextUsage
from smidgen.store.usage_records import UsageTotals

# The usage record of a request: what those who work on it note for the account. Numbers and names, no texts.
#
# It goes with the request's context, as the replies do. What is noted after the request is over, by a response that is
# closed late, still counts.

OTHER_MODEL = "(other)"
"""Stands for every model that is neither served, nor a fallback's, nor in the price list: clients may name any number of them."""
MOST_OF_ONE_ANSWER = 10**15
"""The most that one answer may add to a sum."""


@dataclass(slots=True)
class UsageRecord:
    """Of one request.

    Attributes:
        day: when it came, UTC.
        bundle: the bundle that it is for; empty for none.
        request_tokens: tokens of what it would have the large model read, estimated; 0 where nobody needs that.
        named: the model that it names, as the client wrote it; never stored.
        answered: whether a bundle answered it, whatever became of that answer.
        read, written: the bundle's tokens; `read_estimated`, `written_estimated`: of these, such as nobody counted.
        said: the bundle's words in tokens as `reply_json.token_count` counts them, whoever counts otherwise.
        avoided_tokens: tokens that the large model would have read and written, had it been asked in the place of who answered; None where
            it would not have been asked.
        paid: what the upstream took, in the fields of an entry that tell of that.
        late: takes what is noted of the upstream after the end; None before it.
    """

    day: str
    bundle: str = ""
    request_tokens: int = 0
    named: str = ""
    answered: bool = False
    read: int = 0
    written: int = 0
    read_estimated: int = 0
    written_estimated: int = 0
    said: int = 0
    avoided_tokens: tuple[int, int] | None = None
    paid: UsageTotals = field(default_factory=UsageTotals)
    late: Callable[[UsageTotals], None] | None = None

    def meant(self, bundle: str, named: object) -> None:
        """The gateway knows whom it is for: a bundle, or else the model that it names."""
        self.bundle, self.named = bundle, named if isinstance(named, str) else ""

    def local(self, model: str, read: int, written: int, said: int, *, counted: bool) -> None:
        """A bundle has answered. `counted`: its tokens are its own, and no estimate."""
        self.bundle, self.answered = self.bundle or model, True
        self.read += read
        self.written += written
        self.said += said
        if not counted:
            self.read_estimated += read
            self.written_estimated += written

    def upstream(self, paid: UsageTotals) -> None:
        """An upstream took this. Of tokens it can say that it took any number."""
        paid.bound(MOST_OF_ONE_ANSWER)
        if self.late is not None:
            self.late(paid)
        else:
            self.paid.add(paid)


_usage_record: ContextVar[UsageRecord | None] = ContextVar("smidgen_slip", default=None)


def current_usage() -> UsageRecord | None:
    """That of the request at hand; None where no account is kept."""
    return _usage_record.get()


@contextmanager
def recording_usage(record: UsageRecord) -> Iterator[UsageRecord]:
    """Within the block, this one is the current one."""
    token = _usage_record.set(record)
    try:
        yield record
    finally:
        _usage_record.reset(token)


def note_target(bundle: str, named: object) -> None:
    """Note whom the request is for."""
    record = _usage_record.get()
    if record is not None:
        record.meant(bundle, named)


def note_request_tokens(read: int) -> None:
    """The request would have the large model read about so many tokens."""
    record = _usage_record.get()
    if record is not None:
        record.request_tokens = read


def note_avoided_tokens(read: int, written: int | None) -> None:
    """The large model would have read so many tokens, and written so many; None: those that the bundle said."""
    record = _usage_record.get()
    if record is not None:
        record.avoided_tokens = (read, record.said if written is None else written)


def note_local_answers(model: str, read: Sequence[int], written: Sequence[int]) -> None:
    """A bundle has answered texts of these sizes, which are estimates."""
    record = _usage_record.get()
    if record is not None:
        record.local(model, sum(read), sum(written), sum(written), counted=False)


def note_written_text(model: str, said: int, usage: TextUsage | None) -> None:
    """A bundle has written a text to its end: tokens as it counted them; None where it did not."""
    record = _usage_record.get()
    if record is not None and usage is not None:
        record.local(model, usage.prompt, usage.written, said, counted=True)
    elif record is not None:
        record.local(model, 0, said, said, counted=False)


# What the doors inside of a request notice of it, for those outside: the small model's replies, and how long each took.

_OBSERVATION_KEY = "smidgen.observation"


@dataclass(slots=True)
class Observation:
    """`replies`: the small model's, also where the request escalated in the end. Seconds are None where it was not asked. `saved_usd`: what
    an answer from the cache would have cost; None where that is not known, or there was none."""

    replies: tuple[Reply, ...] = ()
    local_seconds: float | None = None
    upstream_seconds: float | None = None
    saved_usd: float | None = None


def observation_of(scope: Scope) -> Observation:
    """That of a request; one and the same for all who ask with its scope."""
    found = scope.setdefault(_OBSERVATION_KEY, Observation())
    assert isinstance(found, Observation)
    return found


# What the small models replied for a request, as it was before any face rounded it: for a door that decides by it.

_replies: ContextVar[list[Reply] | None] = ContextVar("smidgen_replies", default=None)


@contextmanager
def collecting_replies() -> Iterator[list[Reply]]:
    """The replies that are given within the block, in a list that fills."""
    replies: list[Reply] = []
    token = _replies.set(replies)
    try:
        yield replies
    finally:
        _replies.reset(token)


def note_replies(replies: Sequence[Reply]) -> None:
    """Tell of final replies."""
    seen = _replies.get()
    if seen is not None:
        seen += replies
