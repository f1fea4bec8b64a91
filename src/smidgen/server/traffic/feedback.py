"""`/v1/feedback`: feedback on an answer. It is on disk when the reply says so."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from smidgen.core.errors import RequestError
from smidgen.server.access import bears_key, from_other_origin
from smidgen.server.reply_json import answer
from smidgen.server.request import face_request, face_router, stored_id
from smidgen.server.service import Service
from smidgen.store.traffic.records import MOST_COMMENT, MOST_NAME, MOST_TEXT, Feedback

PATH = "/v1/feedback"


class FeedbackRequest(BaseModel):
    """Feedback on an answer: at least one of a verdict, a correction and a comment."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"request_id": "req_…", "verdict": "down", "corrected": "delivery/late"}}
    )

    request_id: str = Field(
        min_length=1,
        max_length=MOST_NAME,
        description="Of the answer: its header x-request-id, which OpenAI's clients call _request_id; or the id that an export has.",
    )
    verdict: Literal["up", "down"] | None = Field(None, description="A thumb.")
    corrected: Any = Field(
        None, description="The answer as it should have been: a text as a message's content has it, or a value that is stored as JSON."
    )
    comment: str | None = Field(None, max_length=MOST_COMMENT, description="Anything.")
    user: str | None = Field(None, max_length=MOST_NAME, description="Who says so, by the id that requests have. Only its hash is stored.")


class FeedbackReply(BaseModel):
    """Whether the feedback was stored."""

    object: Literal["feedback"]
    request_id: str
    stored: bool = Field(description="Whether it is on the disk. Where it is not, a wrong answer was taken out of the cache, and no more.")


def face(service: Service) -> APIRouter:
    """Return the route."""
    router = face_router("smidgen")

    @router.post(PATH, response_model=FeedbackReply, summary="Say whether an answer was right, or what it should have been")
    async def feedback(body: FeedbackRequest, request: Request) -> Response:
        asked = face_request(request)
        if from_other_origin(asked, service.settings.access.cors):
            raise RequestError("server.page_of_another_origin_sent_this", status=403, code="origin_not_allowed")
        wrong = body.verdict == "down" or body.corrected is not None
        key = asked.identity.key
        id = stored_id(body.request_id, key)
        admin = bears_key(request.scope, service.settings.access.admin_keys)
        taken_out = wrong and service.refuse is not None and service.refuse(id, None if admin else key)
        if service.recorder is None:
            if taken_out:
                return _done(body, stored=False)
            raise RequestError("server.server_stores_no_requests", value=body.request_id, status=404, code="not_captured")
        said = Feedback(
            request_id=id,
            time=datetime.now(UTC),
            verdict=body.verdict,
            corrected=_corrected(body.corrected),
            comment=body.comment,
            user=body.user,
            key=key,
            by_admin=admin,
        )
        if said.verdict is None and said.corrected is None and not (said.comment or "").strip():
            raise RequestError("server.feedback_says_nothing", value=body.request_id)
        try:
            async with asyncio.timeout(service.settings.limits.request_seconds):
                known = await asyncio.wrap_future(service.recorder.told(said))
        except TimeoutError:
            raise RequestError(
                "server.feedback_was_not_stored_in_time", value=body.request_id, status=503, code="feedback_not_stored"
            ) from None
        if not known and taken_out:
            return _done(body, stored=False)
        if not known:
            raise RequestError(
                "server.stored_request_is_unknown" if admin else "server.stored_request_of_key_is_unknown",
                value=body.request_id,
                status=404,
                code="request_not_found",
            )
        return _done(body, stored=True)

    return router


def _done(body: FeedbackRequest, stored: bool) -> Response:
    return answer({"object": "feedback", "request_id": body.request_id, "stored": stored})


def _corrected(value: Any) -> str | None:
    """Return a correction as stored. Raises RequestError, 422, if it is empty or too long."""
    text = value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if text is not None and (len(text) > MOST_TEXT or not text.strip()):
        raise RequestError("server.correction_is_empty_or_too_long", characters=len(text), most_text=MOST_TEXT, param="corrected")
    return text


part = face
