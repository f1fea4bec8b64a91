"""The usage record of a request, for the account: numbers and names, no texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from smidgen.server.ops.prometheus import TextUsage
from smidgen.store.usage_records import UsageTotals

OTHER_MODEL = "(other)"
"""Stands for every model that is neither served, nor a fallback's, nor in the price list: clients may name any number of them."""
MOST_OF_ONE_ANSWER = 10**15
"""The most that one answer may add to a sum."""


@dataclass(slots=True)
class UsageRecord:
    """The usage of one request. A response that is closed late, after the request is over, still adds to it.

    Attributes:
        day: the day of its arrival, UTC.
        bundle: the bundle that it is for; empty for none.
        request_tokens: tokens that it would have the large model read, estimated; 0 where that is not needed.
        named: the model that it names, as the client wrote it; never stored.
        answered: whether a bundle answered it, also if that answer was not used.
        read, written: the bundle's tokens; `read_estimated`, `written_estimated`: those of them that are estimated.
        avoided_tokens: tokens that the large model would have read and written in place of a local answer; None if it would not have been
            asked.
        paid: the upstream's usage and cost, in the fields of an entry.
        late: takes the upstream's usage that is noted after the end; None before the end.
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
    avoided_tokens: tuple[int, int] | None = None
    paid: UsageTotals = field(default_factory=UsageTotals)
    late: Callable[[UsageTotals], None] | None = None

    def meant(self, bundle: str, named: object) -> None:
        """Note the bundle that it is for, or else the model that it names."""
        self.bundle, self.named = bundle, named if isinstance(named, str) else ""

    def answered_texts(self, model: str, read: Sequence[int], written: Sequence[int]) -> None:
        """A bundle has answered texts of these sizes, which are estimates."""
        self._local(model, sum(read), sum(written), counted=False)

    def wrote_text(self, model: str, said: int, usage: TextUsage | None) -> None:
        """Add the tokens of a text that a bundle wrote to its end: as counted (`usage`), else as estimated from the text (`said`)."""
        if usage is not None:
            self._local(model, usage.prompt, usage.written, counted=True)
        else:
            self._local(model, 0, said, counted=False)

    def upstream(self, paid: UsageTotals) -> None:
        """An upstream took this. Of tokens it can say that it took any number."""
        paid.bound(MOST_OF_ONE_ANSWER)
        if self.late is not None:
            self.late(paid)
        else:
            self.paid.add(paid)

    def _local(self, model: str, read: int, written: int, *, counted: bool) -> None:
        self.bundle, self.answered = self.bundle or model, True
        self.read += read
        self.written += written
        if not counted:
            self.read_estimated += read
            self.written_estimated += written
