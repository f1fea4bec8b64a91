"""Find names that recur: one that several users with several keys write, never with the sign of a private person, is public.

As with labels, what many ask of says nothing about one of them. Beside a sign it is masked all the same.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from smidgen.privacy.public_names import has_sign, name_words
from smidgen.store.traffic.records import Exchange

USERS, KEYS = 5, 2
"""Fewest users and keys that wrote a name before it is public."""
_MOST = 10_000
"""Most names remembered. When there are more, the one unused longest goes, and its count begins anew."""

Findings = tuple[tuple[str, int, int], ...]


@dataclass(slots=True)
class _SeenName:
    """Hashes of the users and keys that wrote a name; whether a private person has it."""

    users: set[bytes] = field(default_factory=set)
    keys: set[bytes] = field(default_factory=set)
    private: bool = False


class RecurringNames:
    """Counts names in memory; a restart begins anew. For use by one thread."""

    def __init__(self) -> None:
        self._names: OrderedDict[tuple[str, ...], _SeenName] = OrderedDict()
        self._secret = secrets.token_bytes(16)

    def saw(self, one: Exchange, texts: Iterable[str], found: Mapping[str, Findings]) -> None:
        """Count the names in the texts of a request's question, before they are masked."""
        user = (one.user or "").strip()
        for text in texts:
            for kind, start, end in found[text]:
                if kind != "person" or not (words := name_words(text[start:end])):
                    continue
                seen = self._names.setdefault(words, _SeenName())
                self._names.move_to_end(words)
                seen.private = seen.private or has_sign(text, start, end)
                if user and one.key and not self._is_public(seen):
                    seen.users.add(self._hash(user))
                    seen.keys.add(self._hash(one.key))
        while len(self._names) > _MOST:
            self._names.popitem(last=False)

    def without_public(self, found: Mapping[str, Findings]) -> dict[str, Findings]:
        """Return the findings in each text without the names that are public by now."""
        return {
            text: tuple(span for span in spans if span[0] != "person" or not self._known(name_words(text[span[1] : span[2]])))
            for text, spans in found.items()
        }

    def _known(self, words: tuple[str, ...]) -> bool:
        seen = self._names.get(words)
        return seen is not None and self._is_public(seen)

    @staticmethod
    def _is_public(seen: _SeenName) -> bool:
        return not seen.private and len(seen.users) >= USERS and len(seen.keys) >= KEYS

    def _hash(self, text: str) -> bytes:
        return hashlib.blake2b(text.encode("utf-8", "replace"), key=self._secret, digest_size=12).digest()
