"""The OpenAPI document, and the page that shows it without a network."""

from __future__ import annotations

import re

from smidgen.parts import registry
from smidgen.server.app import FACE_ROOMS

FACES = {
    "server": {"classify", "preview-page", "recommend", "visitor-routes", "webhooks"},
    "server.openai": {"chat", "completions", "embeddings", "models", "responses"},
    "server.systemone": {"endpoint"},
    "server.traffic": {"feedback"},
    "server.ops": {"monitoring", "pages"},
    "server.mcp": {"model-tools"},
}


def test_faces_are_found():
    assert set(FACES) == set(FACE_ROOMS)
    assert {room: set(registry.names(room)) for room in FACE_ROOMS} == FACES


def test_openapi_tells_requests_replies_and_errors(serve):
    spec = serve().client.get("/openapi.json").json()
    posts = {path: methods["post"] for path, methods in spec["paths"].items() if "post" in methods}
    texts = {"/v1/chat/completions", "/v1/completions", "/v1/responses"}
    assert set(posts) == texts | {"/v1/classify", "/v1/systemone", "/v1/embeddings", "/v1/feedback", "/v1/recommend"}
    for operation in posts.values():
        assert operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        for status in ("4XX", "5XX"):
            assert operation["responses"][status]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/ErrorReply"}
    assert posts["/v1/classify"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith("/Verdicts")
    assert "HTTPValidationError" not in spec["components"]["schemas"]
    assert {"/healthz", "/readyz", "/metrics", "/v1/models"} <= set(spec["paths"])


def test_docs_load_nothing_from_elsewhere(serve):
    response = serve().client.get("/docs")
    assert response.status_code == 200 and response.headers["content-type"].startswith("text/html")
    assert not re.search(r"https?://|//[a-z]+\.", response.text)
    assert "default-src 'none'" in response.headers["content-security-policy"]


def test_replies_are_what_openapi_says(serve):
    """Replies are sent as made, so that they fit their models is checked here."""
    from smidgen.server.classify import Verdicts
    from smidgen.server.openai.chat import ChatCompletion
    from smidgen.server.openai.completions import Completion
    from smidgen.server.openai.models import ModelCard, ModelList
    from smidgen.server.openai.responses import ResponseObject
    from smidgen.server.systemone.endpoint import SystemOneReply

    server = serve()
    messages = [{"role": "user", "content": "refund"}]
    questions = {
        "a": {"type": "noul", "instructions": "shipping"},
        "b": {"type": "choice", "criteria": {"shipping": None, "billing": None}},
        "c": {"type": "score", "criteria": ["shipping", "billing"]},
    }
    for model, response in (
        (Verdicts, server.post("/v1/classify", {"input": "refund"})),
        (ChatCompletion, server.post("/v1/chat/completions", {"messages": messages, "logprobs": True})),
        (Completion, server.post("/v1/completions", {"prompt": "refund"})),
        (ResponseObject, server.post("/v1/responses", {"input": "refund"})),
        (SystemOneReply, server.post("/v1/systemone", {"state": "refund", "questions": questions})),
        (ModelList, server.client.get("/v1/models")),
        (ModelCard, server.client.get("/v1/models/support")),
    ):
        assert response.status_code == 200, response.text
        assert model.model_validate(response.json(), extra="forbid").model_dump(exclude_unset=True) == response.json()
