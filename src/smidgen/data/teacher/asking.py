"""Asks a teacher many questions: each once, from the store where it was answered before, within the budget, at the pace, with patience."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

from smidgen.core.errors import TeacherError
from smidgen.core.progress import Progress
from smidgen.data.teacher.budget import Budget, Tokens
from smidgen.data.teacher.cache import Cache
from smidgen.data.teacher.exchange import Answer, Question, Why
from smidgen.data.teacher.pace import Pace
from smidgen.data.teacher.settings import TeacherSettings
from smidgen.data.teacher.thinking import spoken
from smidgen.data.teacher.wire import Busy, Refused, Wire
from smidgen.store.hashing import content_hash

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds before the second try; the most that doubling comes to."""
LONGEST_AFTER = 600.0
"""A server that wants to be left alone for longer has closed for the day."""
_REFUSALS = 8
"""So many refusals in a row, and none taken before, are of the server, not of the questions."""


class Asker:
    """A teacher over HTTP.

    Args:
        settings: of the teacher; `source` is a URL.
        key: the secret; None for none.
        folder: where answers are kept.
        budget: what may be spent.
        fresh: do not take answers of earlier runs.
    """

    def __init__(self, settings: TeacherSettings, key: str | None, folder: Path, budget: Budget, fresh: bool = False) -> None:
        assert settings.source is not None
        self.budget = budget
        self.stored = self.sent = self.retried = 0
        self._settings = settings
        self._cache = Cache(folder)
        self._fresh = fresh
        self._asked: set[str] = set()
        self._stop = threading.Event()
        self._pace = Pace(settings.requests_per_minute, self._stop)
        self._wire = Wire(
            settings.source,
            settings.model,
            key,
            local=settings.local,
            timeout=settings.timeout,
            concurrency=settings.concurrency,
            again=self._pace.wait,
        )
        self._lock = threading.Lock()
        self._refused = self._taken = 0
        self._told: set[str] = set()

    def close(self) -> None:
        """Let the connections go, and the oldest answers where there are too many."""
        self._wire.close()
        self._cache.prune()

    def ask(self, questions: Sequence[Question], title: str, progress: Progress) -> list[Answer]:
        """One answer a question, in order. Equal questions are asked once.

        Raises TeacherError where the server cannot be asked; what was answered until then is kept.
        """
        keys = [self._key(question) for question in questions]
        distinct = dict(zip(keys, questions, strict=True))
        known = self._begun(distinct)
        found: dict[str, Answer] = {}
        progress.start(title, len(distinct))
        with ThreadPoolExecutor(self._settings.concurrency, thread_name_prefix="teacher") as pool:
            running = {pool.submit(self._or_stop, key, question, known[key]): key for key, question in distinct.items()}
            try:
                for done in as_completed(running):
                    found[running[done]] = done.result()
                    progress.advance(1, dollars=round(self.budget.spent_usd, 4))
            finally:
                if len(found) < len(distinct):  # one failed, or the user stopped it: no other is begun
                    self._stop.set()
                    pool.shutdown(wait=True, cancel_futures=True)
        self._tell(progress)
        progress.finish(f"{sum(answer.why_not is None for answer in found.values())} answers")
        return [found[key] for key in keys]

    def _tell(self, progress: Progress) -> None:
        """Say once what the server does not take of what it is asked."""
        lines = {
            "the teacher's server takes no schema: its answers are held to it by words alone": not self._wire.holds,
            "the teacher's server takes no temperature: it samples as it always does": not self._wire.dialect.heated,
        }
        for line in [line for line, holds in lines.items() if holds and line not in self._told]:
            self._told.add(line)
            progress.say(line)

    def _key(self, question: Question) -> str:
        """All that an answer depends on."""
        asked = [
            question.messages,
            question.max_tokens,
            question.temperature,
            question.vote,
            *([question.schema] if question.schema else []),
        ]
        return content_hash({"url": self._settings.source, "model": self._settings.model, "asked": asked})

    def _begun(self, keys: Iterable[str]) -> dict[str, Answer | None]:
        """What is known of each question. What earlier runs paid for any of them counts before the first new one is sent, so that runs
        together stay within the budget in whatever order their questions come."""
        known: dict[str, Answer | None] = {}
        for key in keys:
            again = key in self._asked
            self._asked.add(key)
            stored = self._cache.get(key) if again or not self._fresh else None
            known[key] = stored[0] if stored is not None else None
            if not again:
                self.budget.charge(stored[1] if stored is not None else self._cache.marked(key))
        return known

    def _or_stop(self, key: str, question: Question, known: Answer | None) -> Answer:
        """One question; where the server cannot be asked, no other is begun."""
        try:
            return self._one(key, question, known)
        except TeacherError:
            self._stop.set()
            raise

    def _one(self, key: str, question: Question, known: Answer | None) -> Answer:
        if known is not None:
            with self._lock:
                self.stored += 1
            return spoken(known)  # older ones were kept with what was thought
        most = Tokens(question.most_tokens_in, question.max_tokens)
        lost = self._cache.marked(key)
        why = ""
        for attempt in range(self._settings.attempts):
            if not self._pace.wait():
                return Answer("", why_not=Why.BUDGET)
            if not self.budget.reserve(most):
                return Answer("", why_not=Why.BUDGET)
            try:
                self._cache.mark(key, lost + most)
            except OSError as error:  # nothing was sent: what was set aside is for others, who may be waiting for it
                self.budget.settle(most, Tokens())
                raise _unkept(error) from error
            try:
                found = self._sent(question, most)
            except TeacherError:
                self._gave_up(key, most, Tokens(), lost)
                raise
            if isinstance(found, Answer):
                self.budget.settle(most, Tokens(found.tokens_in, found.tokens_out))
                try:
                    self._cache.put(key, found, lost)
                except OSError as error:
                    raise _unkept(error) from error
                return found
            if isinstance(found, Refused):
                self._gave_up(key, most, Tokens(), lost)
                return self._refusal(found)
            took = most if found.paid else Tokens()
            lost = lost + took
            self._gave_up(key, most, took, lost)
            why = found.why
            self._back_off(found, attempt)
        raise TeacherError(
            f"the teacher's server fails again and again ({why})",
            value=f"{self._settings.source}, {self._settings.attempts} tries",
            todo="Run the same command again later: what was answered is kept, and is not paid for again.",
        )

    def _sent(self, question: Question, most: Tokens) -> Answer | Busy | Refused:
        with self._lock:
            self.sent += 1
        answer = self._wire.send(question)
        if not isinstance(answer, Answer):
            return answer
        with self._lock:
            self._taken += 1
        given = answer.tokens_in if answer.tokens_in >= 0 else most.given
        got = answer.tokens_out if answer.tokens_out >= 0 else most.got
        return replace(answer, tokens_in=given, tokens_out=got)

    def _gave_up(self, key: str, most: Tokens, took: Tokens, lost: Tokens) -> None:
        """A try without an answer: what it may have cost is spent, and stays marked."""
        self.budget.settle(most, took)
        self._cache.mark(key, lost)

    def _back_off(self, busy: Busy, attempt: int) -> None:
        """Wait as long as the server asks, or twice as long at every try, by chance more or less, so that not all come back at once."""
        if busy.after is not None and busy.after > LONGEST_AFTER:
            raise TeacherError(
                f"the teacher's server wants to be asked again in {busy.after / 60:.0f} minutes ({busy.why})",
                value=self._settings.source,
                todo="Run the same command again then: what was answered is kept, and is not paid for again.",
            )
        with self._lock:
            self.retried += 1
        if busy.after is not None:
            self._pace.hold(busy.after)
        if attempt + 1 < self._settings.attempts:
            wait = busy.after if busy.after is not None else min(LONGEST_WAIT, FIRST_WAIT * 2**attempt) * random.uniform(0.5, 1.0)
            self._stop.wait(wait)

    def _refusal(self, refused: Refused) -> Answer:
        with self._lock:
            self._refused += 1
            hopeless = not self._taken and self._refused >= _REFUSALS
        if hopeless:
            raise TeacherError(
                f"the teacher's server refuses every question ({refused.why})",
                value=self._settings.source,
                todo="Check the model's name, and whether it takes this many tokens.",
            )
        return Answer("", why_not=Why.REFUSED)


def _unkept(error: OSError) -> TeacherError:
    return TeacherError(
        "the teacher's answers cannot be kept, and what is not kept would be paid for again",
        value=str(error),
        todo="Make room in smidgen's folder, then run the same command again: what was answered is kept.",
    )
