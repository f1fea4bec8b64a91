"""A client that asks a teacher many questions: each once, within the budget and the rate limit, with retries."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

from smidgen.core.errors import TeacherError
from smidgen.core.progress import Progress
from smidgen.data.teacher.chat_completions import ChatCompletions, QuestionRefused, ServerBusy, without_reasoning
from smidgen.data.teacher.questions import AnswerStore, NoAnswerReason, TeacherAnswer, TeacherQuestion
from smidgen.data.teacher.settings import TeacherSettings
from smidgen.store.files import content_hash
from smidgen.usage.budgets import RunBudget, TokenCount


class RateLimiter:
    """Space requests evenly, and send none while the server asks for a pause. Thread-safe.

    Args:
        per_minute: the most requests in a minute; None for any number.
        stop: ends every wait when it is set.
    """

    def __init__(self, per_minute: int | None, stop: threading.Event) -> None:
        self._gap = 60.0 / per_minute if per_minute else 0.0
        self._next = self._held = 0.0
        self._stop = stop
        self._lock = threading.Lock()

    def wait(self) -> bool:
        """Wait for a turn. False if the work was stopped meanwhile."""
        with self._lock:
            turn = max(self._next, time.monotonic())
            self._next = turn + self._gap
        while (left := turn - time.monotonic()) > 0:
            if self._stop.wait(min(left, 1.0)):
                return False
            with self._lock:
                # A pause that the server asks of one request applies to all.
                turn = max(turn, self._held)
        return not self._stop.is_set()

    def hold(self, seconds: float) -> None:
        """Send nothing for this many seconds."""
        with self._lock:
            self._held = max(self._held, time.monotonic() + seconds)
            self._next = max(self._next, self._held)


FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
"""Seconds before the second try, doubled at each try up to the longest."""
LONGEST_AFTER = 600.0
"""Seconds of a `Retry-After` above which the run ends."""
_REFUSALS = 8
"""Refusals before any answer after which the server, not the question, is at fault."""


class TeacherClient:
    """Ask a teacher over HTTP: each question once, from the store if it was answered before, within the budget and the rate limit.

    Args:
        settings: of the teacher; `source` is a URL.
        key: the secret; None for none.
        folder: the folder of stored answers.
        budget: the budget of the run.
        fresh: whether to ignore answers of earlier runs.
    """

    def __init__(self, settings: TeacherSettings, key: str | None, folder: Path, budget: RunBudget, fresh: bool = False) -> None:
        assert settings.source is not None
        self.budget = budget
        self.stored = self.sent = self.retried = 0
        self._settings = settings
        self._cache = AnswerStore(folder)
        self._fresh = fresh
        self._asked: set[str] = set()
        self._stop = threading.Event()
        self._pace = RateLimiter(settings.requests_per_minute, self._stop)
        self._wire = ChatCompletions(
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
        """Close the connections, and remove the oldest answers if there are too many."""
        self._wire.close()
        self._cache.prune()

    def ask(self, questions: Sequence[TeacherQuestion], title: str, progress: Progress) -> list[TeacherAnswer]:
        """One answer for each question, in order. Equal questions are asked once.

        Raises TeacherError if the server cannot be asked; earlier answers stay stored.
        """
        keys = [self._key(question) for question in questions]
        distinct = dict(zip(keys, questions, strict=True))
        known = self._stored_answers(distinct)
        found: dict[str, TeacherAnswer] = {}
        progress.start(title, len(distinct))
        with ThreadPoolExecutor(self._settings.concurrency, thread_name_prefix="teacher") as pool:
            running = {pool.submit(self._answer_or_stop, key, question, known[key]): key for key, question in distinct.items()}
            try:
                for done in as_completed(running):
                    found[running[done]] = done.result()
                    progress.advance(1, dollars=round(self.budget.spent_usd, 4))
            finally:
                if len(found) < len(distinct):  # one failed, or the user stopped it: start no other
                    self._stop.set()
                    pool.shutdown(wait=True, cancel_futures=True)
        self._say_limits(progress)
        progress.finish(f"{sum(answer.why_not is None for answer in found.values())} answers")
        return [found[key] for key in keys]

    def _say_limits(self, progress: Progress) -> None:
        """Report once each setting that the server does not accept."""
        lines = {
            "the teacher's server takes no schema: its answers are held to it by words alone": not self._wire.holds,
            "the teacher's server takes no temperature: it samples as it always does": not self._wire.dialect.heated,
        }
        for line in [line for line, holds in lines.items() if holds and line not in self._told]:
            self._told.add(line)
            progress.say(line)

    def _key(self, question: TeacherQuestion) -> str:
        """The hash of all that an answer depends on."""
        asked = [
            question.messages,
            question.max_tokens,
            question.temperature,
            question.vote,
            *([question.schema] if question.schema else []),
        ]
        return content_hash({"url": self._settings.source, "model": self._settings.model, "asked": asked})

    def _stored_answers(self, keys: Iterable[str]) -> dict[str, TeacherAnswer | None]:
        """The stored answer to each question, or None. Charges the cost of earlier runs for all of them before the first new one is sent,
        so that all runs together stay within the budget."""
        known: dict[str, TeacherAnswer | None] = {}
        for key in keys:
            again = key in self._asked
            self._asked.add(key)
            stored = self._cache.get(key) if again or not self._fresh else None
            known[key] = stored[0] if stored is not None else None
            if not again:
                self.budget.charge(stored[1] if stored is not None else self._cache.marked(key))
        return known

    def _answer_or_stop(self, key: str, question: TeacherQuestion, known: TeacherAnswer | None) -> TeacherAnswer:
        """Answer one question; if the server cannot be asked, start no other."""
        try:
            return self._one(key, question, known)
        except TeacherError:
            self._stop.set()
            raise

    def _one(self, key: str, question: TeacherQuestion, known: TeacherAnswer | None) -> TeacherAnswer:
        if known is not None:
            with self._lock:
                self.stored += 1
            return without_reasoning(known)  # an older smidgen stored answers with their reasoning
        most = TokenCount(question.most_tokens_in, question.max_tokens)
        lost = self._cache.marked(key)
        why = ""
        for attempt in range(self._settings.attempts):
            if not self._pace.wait():
                return TeacherAnswer("", why_not=NoAnswerReason.BUDGET)
            if not self.budget.reserve(most):
                return TeacherAnswer("", why_not=NoAnswerReason.BUDGET)
            try:
                self._cache.mark(key, lost + most)
            except OSError as error:  # nothing was sent: release the reserved amount for other requests
                self.budget.settle(most, TokenCount())
                raise _store_error(error) from error
            try:
                found = self._send(question, most)
            except TeacherError:
                self._fail(key, most, TokenCount(), lost)
                raise
            if isinstance(found, TeacherAnswer):
                self.budget.settle(most, TokenCount(found.tokens_in, found.tokens_out))
                try:
                    self._cache.put(key, found, lost)
                except OSError as error:
                    raise _store_error(error) from error
                return found
            if isinstance(found, QuestionRefused):
                self._fail(key, most, TokenCount(), lost)
                return self._refusal(found)
            took = most if found.paid else TokenCount()
            lost = lost + took
            self._fail(key, most, took, lost)
            why = found.why
            self._back_off(found, attempt)
        raise TeacherError(
            f"the teacher's server keeps failing ({why})",
            value=f"{self._settings.source}, {self._settings.attempts} tries",
            todo="Run the same command again later: what was answered is kept, and is not paid for again.",
        )

    def _send(self, question: TeacherQuestion, most: TokenCount) -> TeacherAnswer | ServerBusy | QuestionRefused:
        with self._lock:
            self.sent += 1
        answer = self._wire.send(question)
        if not isinstance(answer, TeacherAnswer):
            return answer
        with self._lock:
            self._taken += 1
        given = answer.tokens_in if answer.tokens_in >= 0 else most.given
        got = answer.tokens_out if answer.tokens_out >= 0 else most.got
        return replace(answer, tokens_in=given, tokens_out=got)

    def _fail(self, key: str, most: TokenCount, took: TokenCount, lost: TokenCount) -> None:
        """End a try without an answer: charge its possible cost, and keep that marked."""
        self.budget.settle(most, took)
        self._cache.mark(key, lost)

    def _back_off(self, busy: ServerBusy, attempt: int) -> None:
        """Wait as long as the server asks, or twice as long at every try, with jitter so that not all requests come back at once."""
        if busy.after is not None and busy.after > LONGEST_AFTER:
            raise TeacherError(
                f"the teacher's server asks for a wait of {busy.after / 60:.0f} minutes ({busy.why})",
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

    def _refusal(self, refused: QuestionRefused) -> TeacherAnswer:
        with self._lock:
            self._refused += 1
            hopeless = not self._taken and self._refused >= _REFUSALS
        if hopeless:
            raise TeacherError(
                f"the teacher's server refuses every question ({refused.why})",
                value=self._settings.source,
                todo="Check the model's name, and whether it takes this many tokens.",
            )
        return TeacherAnswer("", why_not=NoAnswerReason.REFUSED)


def _store_error(error: OSError) -> TeacherError:
    return TeacherError(
        "the teacher's answers cannot be stored, and would be paid for again",
        value=str(error),
        todo="Make room in smidgen's folder, then run the same command again: what was answered is kept.",
    )
