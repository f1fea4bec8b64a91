"""Texts that are a large share of the traffic, and whether the small model's answers to them are known to be right.

A certificate is about a share. One wrong answer to a text that is a tenth of the requests breaks a promise of 5 % by itself, and no test on
distinct texts can see it. So requests are counted by text. A text that makes up more than a fifth of alpha is answered here only if its own
answer is known to be right: the certificate's sample has the text with this very answer, or the reference was asked for this text. With
a fifth, no text of unknown worth can use up more than that part of what the promise allows.

Counts are kept in memory for each opened bundle, as keyed hashes, and begin anew when the server starts. They follow Misra and Gries
(1982): a bounded table, whose error is known and counted against the text.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Sequence

from smidgen.core.replies import Reply
from smidgen.gateway import certificate as papers
from smidgen.gateway.certificate import Certificate
from smidgen.gateway.sample_reuse import RowFingerprints
from smidgen.text.near_duplicates import fold_text

MOST_OF_ALPHA = 0.2
"""Part of alpha from which on a text is heavy."""
_LEAST = 1000
"""Requests before any share counts: of fewer, chance makes too much."""
_MOST_TEXTS = 4096
_WINDOW = 100_000
"""Requests after which all counts are halved, so that old ones fade."""
_AGAIN_SECONDS = 60.0
"""Time between two attempts to ask the reference about one text."""


class HeavyTexts:
    """The texts of the requests that one bundle would answer under its certificate. Use it in one thread."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._key = now, secrets.token_bytes(32)
        self._total, self._missed = 0, 0
        self._counts: dict[bytes, int] = {}
        self._right: dict[bytes, bool] = {}
        self._unlabelled: set[bytes] = set()
        self._asked: dict[bytes, float] = {}
        self._paper = ""

    def escalates(self, text: str, replies: Sequence[Reply], paper: Certificate) -> bool:
        """Count a request, and say whether it escalates: its text is heavy, and its answer is not known to be right."""
        name = self._name(text)
        self._count(name)
        upper = self._counts.get(name, 0) + self._missed
        if self._total < _LEAST or upper <= MOST_OF_ALPHA * paper.alpha * self._total:
            return False
        if paper.id != self._paper:  # another reference may say otherwise
            self._right, self._unlabelled, self._asked, self._paper = {}, set(), {}, paper.id
        if name not in self._right and name not in self._unlabelled:
            if _labelled(text, replies, paper):
                self._settle(name, True)
            elif len(self._unlabelled) < _MOST_TEXTS:
                self._unlabelled.add(name)
        return not self._right.get(name, False)

    def take_check(self, text: str) -> bool:
        """Whether the reference is to be asked about a heavy text now: not where it has answered, or was asked a moment ago."""
        name, now = self._name(text), self._now()
        if name in self._right or now - self._asked.get(name, -_AGAIN_SECONDS) < _AGAIN_SECONDS:
            return False
        self._asked = {one: at for one, at in self._asked.items() if now - at < _AGAIN_SECONDS} | {name: now}
        return True

    def settle(self, text: str, right: bool) -> None:
        """Remember what the reference says of the bundle's answer to this text."""
        self._settle(self._name(text), right)

    def _settle(self, name: bytes, right: bool) -> None:
        if len(self._right) >= _MOST_TEXTS:
            del self._right[next(iter(self._right))]
        self._right[name] = right

    def _count(self, name: bytes) -> None:
        self._total += 1
        if name in self._counts or len(self._counts) < _MOST_TEXTS:
            self._counts[name] = self._counts.get(name, 0) + 1
        else:
            self._missed += 1
            self._counts = {one: count - 1 for one, count in self._counts.items() if count > 1}
        if self._total >= _WINDOW:
            self._total, self._missed = self._total // 2, self._missed // 2
            self._counts = {one: count // 2 for one, count in self._counts.items() if count > 1}

    def _name(self, text: str) -> bytes:
        return hashlib.blake2b(fold_text(text).encode("utf-8", "surrogatepass"), key=self._key, digest_size=16).digest()


def _labelled(text: str, replies: Sequence[Reply], paper: Certificate) -> bool:
    """Whether the certificate's sample has this text with this answer. Known on the machine that signed it."""
    if len(replies) != 1 or not paper.calibration.marks or paper.key != papers.own_public_key():
        return False
    try:
        sample = RowFingerprints.read(paper.calibration.marks)
        return RowFingerprints.of([(fold_text(text), replies[0].output)], papers.signing_key()).share_in(sample) == 1.0
    except (ValueError, TypeError):
        return False
