"""A larger model as a judge of a bundle's texts, for a certificate whose loss comes from its marks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from smidgen.core.errors import InputError, TeacherError
from smidgen.core.progress import Progress
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, Text
from smidgen.data.teacher.settings import TeacherSettings
from smidgen.flows.build.teachers import open_remote
from smidgen.flows.certify.losses import Marking
from smidgen.flows.local_model import Model

_LEAST_MARKED = 0.95
_THOUGHT = 2_048
"""Tokens that a thinking judge may use for thinking."""


@contextmanager
def open_judge(model: Model, settings: TeacherSettings, threads: int | None, progress: Progress) -> Iterator[Marking]:
    """Open a judge over HTTP, and yield the function that marks this bundle's texts.

    Personal data is removed from what a remote judge is sent. Calls are cached, retried and kept within the budget, as a teacher's are. The
    function raises InputError if too few answers got a mark, and TeacherError if the judge cannot be asked.

    Raises InputError if the judge is not a URL, or no larger model can do the task; RecipeError if the budget is missing or the key
    invalid; RedactionError if the instruction cannot be made safe to send.
    """
    if not settings.url:
        raise InputError(
            "the judge must be a URL",
            value=settings.source,
            todo="Give the base URL of an OpenAI-compatible server (--judge http://127.0.0.1:8000/v1 --judge-model NAME).",
        )
    if not model.task.teachable:
        raise InputError("a judge cannot mark this task", value=model.manifest.task, todo="Leave --loss out.")
    roomy = settings.model_copy(update={"max_tokens": settings.max_tokens or _THOUGHT})
    judge = open_remote(roomy, model.task, model.form, (), None, False, threads)
    judge.thinks = True  # it may think, and unused tokens cost nothing

    def mark(texts: Sequence[Text], replies: Sequence[Reply]) -> list[float]:
        try:
            found = judge.scores([Row(text, str(reply.output)) for text, reply in zip(texts, replies, strict=True)], progress)
        except TeacherError as error:
            raise TeacherError(
                "the judge could not be asked",
                value=f"{error.what}: {error.value}",
                todo=f"Check --judge, --judge-model, the budget, and the key in {settings.key_env}.",
            ) from error
        marked = sum(score is not None for score in found)
        if marked < _LEAST_MARKED * len(found):
            raise InputError(
                "the judge did not mark the answers",
                value=f"{marked:,} of {len(found):,} got a mark from 0 to 10",
                todo="Check its key and budget, or name another with --judge-model. The marks so far are kept.",
            )
        if marked < len(found):
            progress.say(f"{len(found) - marked:,} answers got no mark, and count as wholly wrong")
        return [0.0 if score is None else score for score in found]

    try:
        yield mark
    finally:
        judge.close()
