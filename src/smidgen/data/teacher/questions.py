"""Questions to a teacher, its answers, and the folder that stores answers already paid for."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from smidgen.usage.budgets import TokenCount

_MESSAGE_TEMPLATE_TOKENS = 32
_TEMPLATE_TOKENS = 64
"""Tokens that a chat template may add to each message, and to all of them: more than any known template does."""


@dataclass(frozen=True, slots=True)
class TeacherQuestion:
    """A question to a teacher: one chat completion.

    Attributes:
        messages: (role, content) pairs, as a chat completion takes them.
        max_tokens: the most tokens of the answer.
        temperature: of sampling.
        vote: number of the vote: distinguishes repeated askings of one question.
        schema: JSON of the schema for the answer, for servers that support one; empty for none.
    """

    messages: tuple[tuple[str, str], ...]
    max_tokens: int
    temperature: float = 0.0
    vote: int = 0
    schema: str = ""

    @property
    def most_tokens_in(self) -> int:
        """An upper bound of the messages' tokens: a token of today's tokenizers is at least one byte of UTF-8."""
        return (
            _TEMPLATE_TOKENS
            + len(self.schema.encode("utf-8", "replace"))
            + sum(_MESSAGE_TEMPLATE_TOKENS + len(content.encode("utf-8", "replace")) for _, content in self.messages)
        )


class NoAnswerReason(StrEnum):
    """Why a question has no answer."""

    BUDGET = "the budget is used up"
    REFUSED = "the teacher's server refused it"
    PRIVATE = "personal data could not be redacted"


@dataclass(frozen=True, slots=True)
class TeacherAnswer:
    """A teacher's answer, or why there is none.

    Attributes:
        text: the answer; empty if there is none.
        tokens_in, tokens_out: the tokens of question and answer.
        finished: False if it was cut at `max_tokens`.
        stored: True if it came from an earlier run.
        thought: True if its model reasoned first: the tokens include that, the text does not.
        why_not: why there is no answer; None if there is one.
        seconds: until it came; 0 if that is not known.
    """

    text: str
    tokens_in: int = 0
    tokens_out: int = 0
    finished: bool = True
    stored: bool = False
    thought: bool = False
    why_not: NoAnswerReason | None = None
    seconds: float = 0.0


LIMIT_BYTES = 1_000_000_000
_BLOCK = 4096


class AnswerStore:
    """A folder of answers that were paid for, so that a killed run pays nothing twice. Keys are hex hashes.

    Before a request is sent, its greatest possible cost is marked in a file. A killed run leaves its mark behind, and the next one counts
    it as spent, because it may have been.

    Args:
        folder: its path; created if missing, readable by its owner alone, because answers may repeat the questions.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def get(self, key: str) -> tuple[TeacherAnswer, TokenCount] | None:
        """A stored answer, and the tokens paid for it; None if there is none, or it cannot be read."""
        found = _read(self._file(key, "json"))
        if found is None or not isinstance(found.get("text"), str):
            return None
        took = _tokens(found, "in", "out")
        finished, thought = found.get("finished") is not False, found.get("thought") is True
        took_time = found.get("seconds")
        seconds = float(took_time) if isinstance(took_time, int | float) else 0.0
        answer = TeacherAnswer(found["text"], took.given, took.got, finished, stored=True, thought=thought, seconds=seconds)
        return answer, took + _tokens(found, "lost_in", "lost_out")

    def put(self, key: str, answer: TeacherAnswer, lost: TokenCount) -> None:
        """Store an answer and remove its mark; `lost` is the possible cost of earlier tries."""
        entry = {
            "text": answer.text,
            "in": answer.tokens_in,
            "out": answer.tokens_out,
            "finished": answer.finished,
            "lost_in": lost.given,
            "lost_out": lost.got,
            "seconds": round(answer.seconds, 4),
            **({"thought": True} if answer.thought else {}),
        }
        _write(self._file(key, "json"), entry)
        self._file(key, "sent").unlink(missing_ok=True)

    def marked(self, key: str) -> TokenCount:
        """The tokens that tries of this question without an answer may have cost."""
        found = _read(self._file(key, "sent"))
        return TokenCount() if found is None else _tokens(found, "in", "out")

    def mark(self, key: str, most: TokenCount) -> None:
        """Record, before a request is sent, the possible cost of all its tries; zero tokens remove the mark."""
        if most.total:
            _write(self._file(key, "sent"), {"in": most.given, "out": most.got})
        else:
            self._file(key, "sent").unlink(missing_ok=True)

    def prune(self, limit: int = LIMIT_BYTES) -> None:
        """Remove the oldest answers until the rest takes at most `limit` bytes on disk."""
        files = []
        for folder in self._folder.iterdir():
            for entry in folder.iterdir() if folder.is_dir() else ():
                with contextlib.suppress(FileNotFoundError):  # another build removed or replaced it
                    files.append((entry.stat(), entry))
        kept = 0
        for status, file in sorted(files, key=lambda pair: pair[0].st_mtime, reverse=True):
            kept += -(-status.st_size // _BLOCK) * _BLOCK
            if kept > limit:
                file.unlink(missing_ok=True)

    def _file(self, key: str, kind: str) -> Path:
        return self._folder / key[:2] / f"{key}.{kind}"


def _read(file: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _write(file: Path, entry: Mapping[str, Any]) -> None:
    """Write in one move: a kill leaves the old file or the new one."""
    file.parent.mkdir(exist_ok=True, mode=0o700)
    part = file.with_name(f"{file.name}.{os.getpid()}-{threading.get_ident()}.part")
    part.write_text(json.dumps(entry, ensure_ascii=False), encoding="utf-8")
    part.replace(file)


def _tokens(entry: Mapping[str, Any], given: str, got: str) -> TokenCount:
    numbers = [entry.get(name) for name in (given, got)]
    whole = [number if isinstance(number, int) and number > 0 else 0 for number in numbers]
    return TokenCount(whole[0], whole[1])
