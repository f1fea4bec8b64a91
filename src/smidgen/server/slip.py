"""The slip of a request: what those who work on it note for the account, wherever they stand. Numbers and names, no texts.

It goes with the request's context, as the replies of `witness` do. What is noted after the request is over, by a response that is closed
late, still counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from smidgen.server.metering import Usage
from smidgen.store.account import Entry

OTHER = "(other)"
"""Stands for every model that is neither served, nor a fallback's, nor in the price list: clients may name any number of them."""
MOST = 10**15
"""The most that one answer may add to a sum."""


@dataclass(slots=True)
class Slip:
    """Of one request.

    Attributes:
        day: when it came, UTC.
        bundle: the bundle that it is for; empty for none.
        asks: tokens of what it would have the large model read, estimated; 0 where nobody needs that.
        named: the model that it names, as the client wrote it; never stored.
        answered: whether a bundle answered it, whatever became of that answer.
        read, written: the bundle's tokens; `read_estimated`, `written_estimated`: of these, such as nobody counted.
        said: the bundle's words in tokens as `answers.tokens` counts them, whoever counts otherwise.
        instead: tokens that the large model would have read and written, had it been asked in the place of who answered; None where it
            would not have been asked.
        paid: what the upstream took, in the fields of an entry that tell of that.
        late: takes what is noted of the upstream after the end; None before it.
    """

    day: str
    bundle: str = ""
    asks: int = 0
    named: str = ""
    answered: bool = False
    read: int = 0
    written: int = 0
    read_estimated: int = 0
    written_estimated: int = 0
    said: int = 0
    instead: tuple[int, int] | None = None
    paid: Entry = field(default_factory=Entry)
    late: Callable[[Entry], None] | None = None

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

    def upstream(self, paid: Entry) -> None:
        """An upstream took this. Of tokens it can say that it took any number."""
        paid.bound(MOST)
        if self.late is not None:
            self.late(paid)
        else:
            self.paid.add(paid)


_slip: ContextVar[Slip | None] = ContextVar("smidgen_slip", default=None)


def current() -> Slip | None:
    """That of the request at hand; None where no account is kept."""
    return _slip.get()


@contextmanager
def opened(slip: Slip) -> Iterator[Slip]:
    """Within the block, this one is the current one."""
    token = _slip.set(slip)
    try:
        yield slip
    finally:
        _slip.reset(token)


def meant(bundle: str, named: object) -> None:
    """See `Slip.meant`."""
    slip = _slip.get()
    if slip is not None:
        slip.meant(bundle, named)


def asks(read: int) -> None:
    """The request would have the large model read about so many tokens."""
    slip = _slip.get()
    if slip is not None:
        slip.asks = read


def instead(read: int, written: int | None) -> None:
    """The large model would have read so many tokens, and written so many; None: those that the bundle said."""
    slip = _slip.get()
    if slip is not None:
        slip.instead = (read, slip.said if written is None else written)


def local(model: str, read: Sequence[int], written: Sequence[int]) -> None:
    """A bundle has answered texts of these sizes, which are estimates."""
    slip = _slip.get()
    if slip is not None:
        slip.local(model, sum(read), sum(written), sum(written), counted=False)


def wrote(model: str, said: int, usage: Usage | None) -> None:
    """A bundle has written a text to its end: tokens as it counted them; None where it did not."""
    slip = _slip.get()
    if slip is not None and usage is not None:
        slip.local(model, usage.prompt, usage.written, said, counted=True)
    elif slip is not None:
        slip.local(model, 0, said, said, counted=False)
