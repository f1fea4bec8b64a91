"""The budget of one run: what it may spend on a teacher, in dollars and in tokens."""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """Dollars for a million tokens in, and out."""

    tokens_in: float = 0.0
    tokens_out: float = 0.0

    def of(self, tokens_in: float, tokens_out: float) -> float:
        """Dollars."""
        return (tokens_in * self.tokens_in + tokens_out * self.tokens_out) / 1e6


@dataclass(frozen=True, slots=True)
class TokenCount:
    """A number of tokens in, and out."""

    given: int = 0
    got: int = 0

    def __add__(self, other: TokenCount) -> TokenCount:
        return TokenCount(self.given + other.given, self.got + other.got)

    def __sub__(self, other: TokenCount) -> TokenCount:
        return TokenCount(self.given - other.given, self.got - other.got)

    @property
    def total(self) -> int:
        """In and out together."""
        return self.given + self.got


class RunBudget:
    """What may be spent, what is spent, and what is set aside. Safe to use from several threads.

    Args:
        usd, tokens: the limits; None for none.
        price: of tokens.
    """

    def __init__(self, usd: float | None = None, tokens: int | None = None, price: TokenPrice | None = None) -> None:
        self.usd, self.tokens, self.price = usd, tokens, price or TokenPrice()
        self._spent = self._aside = TokenCount()
        self._lock = threading.Condition()

    @property
    def spent(self) -> TokenCount:
        """What all answers took, of this run and of earlier ones."""
        return self._spent

    @property
    def spent_usd(self) -> float:
        """The same in dollars."""
        return self.price.of(self._spent.given, self._spent.got)

    def share_left(self, plan: TokenCount) -> float:
        """How much of a plan the budget has room for: 1 where all of it fits."""
        with self._lock:
            used = self._spent + self._aside
        shares = [1.0]
        if self.tokens is not None and plan.total:
            shares.append((self.tokens - used.total) / plan.total)
        cost = self.price.of(plan.given, plan.got)
        if self.usd is not None and cost:
            shares.append((self.usd - self.price.of(used.given, used.got)) / cost)
        return max(0.0, min(shares))

    def reserve(self, most: TokenCount) -> bool:
        """Set tokens aside for a request. False, and nothing is set aside, where the budget could be passed by it.

        Where there would be room if requests on their way take less than was set aside for them, it waits for them.
        """
        with self._lock:
            while not self._fits(self._spent + self._aside + most):
                if not self._aside.total or not self._fits(self._spent + most):
                    return False
                self._lock.wait()
            self._aside = self._aside + most
            return True

    def _fits(self, after: TokenCount) -> bool:
        if self.tokens is not None and after.total > self.tokens:
            return False
        return self.usd is None or self.price.of(after.given, after.got) <= self.usd

    def settle(self, reserved: TokenCount, took: TokenCount) -> None:
        """A request is over: what was set aside for it is free again, and what it took is spent."""
        with self._lock:
            self._aside = self._aside - reserved
            self._spent = self._spent + took
            self._lock.notify_all()

    def charge(self, took: TokenCount) -> None:
        """Count what an earlier run has paid for, so that runs together stay within the budget."""
        self.settle(TokenCount(), took)
