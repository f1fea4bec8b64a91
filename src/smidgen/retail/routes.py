"""`/v1/recommend`: suggest items for what a customer bought, or for their words; smidgen's own plain face."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from smidgen.core.errors import RequestError
from smidgen.server.models import ServedBundle
from smidgen.server.reply_json import answer
from smidgen.server.request import face_request, face_router
from smidgen.server.service import Service

Id = Annotated[str, Field(min_length=1, max_length=200)]
Ids = Annotated[list[Id], Field(max_length=2_000)]


class RecommendRequest(BaseModel):
    """The history or the words of a customer, and limits of the suggestions."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"history": ["CE-001", "CE-005"], "n": 5}})

    model: str | None = Field(None, description="The name of a bundle; may be left out where one bundle is served.")
    history: Ids = Field(default_factory=list, description="Ids of what the customer bought, the latest last. None of them is suggested.")
    text: str = Field("", max_length=2_000, description="What the customer looks for, in words.")
    n: int = Field(10, ge=1, le=100, description="How many items to suggest.")
    exclude: Ids = Field(default_factory=list, description="Ids that are not suggested.")
    in_stock: bool = Field(False, description="Suggest only what was in stock when the model was built.")
    language: Literal["en", "de"] | None = Field(None, description="Language of the reasons; default: the model's own.")


class SuggestedItem(BaseModel):
    """A suggested item. Price, stock and links are those of the catalogue that the model was built with."""

    id: str
    name: str = Field(description="Its name in the catalogue; its id without one.")
    score: float = Field(description="What orders the items; no probability, and not comparable between requests.")
    reason: str = Field(description="Why it is suggested, in words. Each fact is from the orders or the catalogue.")
    price: str | None = None
    stock: int | None = None
    url: str | None = None
    image: str | None = None


class Suggestions(BaseModel):
    """The suggested items, the best first."""

    object: Literal["list"]
    model: str
    bundle: str
    because: Literal["bought", "similar", "words", "popular"] = Field(
        description="What the order stands on: purchases of other customers, texts of the goods in the history, the words of the request, "
        "or what sells best: nothing is known of this customer."
    )
    score: float | None = Field(description="How likely the next item is among the first ten, calibrated, 0..1; null for words.")
    unknown: list[str] = Field(description="Ids of the history that the model does not know.")
    items: list[SuggestedItem]


def face(service: Service) -> APIRouter:
    """Return the route."""
    router = face_router("smidgen")

    @router.post("/v1/recommend", response_model=Suggestions, response_model_exclude_unset=True, summary="Suggest items for a customer")
    async def recommend(body: RecommendRequest, request: Request) -> Response:
        asked = face_request(request)
        model = service.find(body.model, asked)
        _check(model, body)
        given = {"history": body.history, "text": body.text, "n": body.n, "exclude": body.exclude, "in_stock": body.in_stock}
        text = json.dumps({**given, "language": body.language or ""}, ensure_ascii=False)
        (reply,) = await service.ask(model, [text], asked, "history")
        facts: dict[str, Any] = dict(reply.facts)
        basis = {"because": facts["because"], "score": None if "unscored" in facts else round(float(reply.score), 6)}
        head = {"object": "list", "model": model.name, "bundle": model.id}
        return answer({**head, **basis, "unknown": facts.get("unknown", []), "items": facts["items"]})

    return router


def _check(model: ServedBundle, body: RecommendRequest) -> None:
    """Raise RequestError for a model that recommends nothing, or does not know the stock or texts that are asked for."""
    from smidgen.retail.tasks import RankedForm  # loaded already, unless this model recommends nothing

    if not isinstance(model.form, RankedForm):
        raise RequestError("retail.model_recommends_nothing", value=model.name, code="recommend_not_supported", param="model")
    known = model.form.listed
    if body.in_stock and not known.get("stocked"):
        raise RequestError("retail.model_knows_no_stock", value=model.name, code="stock_unknown", param="in_stock")
    if body.text.strip() and not known.get("described"):
        raise RequestError("retail.model_knows_no_texts", value=model.name, code="texts_unknown", param="text")


part_recommend = face
