"""`/v1/recommend` and chat with a recommender, over HTTP."""

from __future__ import annotations

from collections.abc import Sequence

import httpx
import numpy as np
import pytest
from tests.retail.shelf import shelf
from tests.server.conftest import WordModel

from smidgen.core.replies import Reply
from smidgen.core.rows import Text
from smidgen.retail.engines import GoodsRunner
from smidgen.retail.tasks import RankedForm
from smidgen.retail.tasks import part_recommend as part


class ShopModel(WordModel):
    """The small shop, as a loaded bundle."""

    def __init__(self, described: bool = True, stocked: bool = True) -> None:
        super().__init__("shop")
        self.task = part  # type: ignore[assignment]
        self.form = RankedForm(items=4, described=described, stocked=stocked, language="en", slope=1.0, shift=0.0)  # type: ignore[assignment]
        embed = (lambda texts: np.array([[0.0, 0.0, 1.0]] * len(texts), np.float32)) if described else None
        self.runner = GoodsRunner(shelf(near=0.05 if described else 0.0), embed)

    def predict(self, texts: Sequence[Text]) -> list[Reply]:
        return part.decode(self.runner.run(texts), self.form)


@pytest.fixture
def post(serve):
    server = serve(ShopModel(), WordModel())

    def send(**body) -> httpx.Response:
        return httpx.post(f"{server.url}/v1/recommend", json={"model": "shop", **body}, timeout=20)

    send.url = server.url
    return send


def test_for_a_history(post) -> None:
    found = post(history=["mug", "unheard"], n=2).json()
    assert (found["object"], found["model"], found["because"], found["unknown"]) == ("list", "shop", "bought", ["unheard"])
    assert [item["id"] for item in found["items"]] == ["lamp", "bowl"] and 0 < found["score"] < 1
    lamp = found["items"][0]
    assert lamp == {
        "id": "lamp",
        "name": "Alder Lamp",
        "price": "£69.00",
        "stock": 2,
        "reason": "4 customers bought it and Kelp Mug",
        "score": lamp["score"],
    }


def test_excluded_in_stock_and_in_german(post) -> None:
    found = post(history=["mug"], exclude=["lamp"], in_stock=True, language="de").json()
    assert [(item["id"], item["reason"]) for item in found["items"]] == [("rug", "ähnlich wie Kelp Mug")]


def test_for_words_and_for_a_stranger(post) -> None:
    words, stranger = post(text="a jute rug").json(), post().json()
    assert (words["because"], words["score"], words["items"][0]["id"]) == ("words", None, "rug")
    assert (stranger["because"], stranger["items"][0]["reason"]) == ("popular", "popular: bought by 9 customers")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"n": 0}, 422, "invalid_request"),
        ({"n": 101}, 422, "invalid_request"),
        ({"history": [""]}, 422, "invalid_request"),
        ({"history": ["x"] * 2001}, 422, "invalid_request"),
        ({"histroy": []}, 422, "invalid_request"),
        ({"model": "support"}, 422, "recommend_not_supported"),
        ({"model": "none"}, 404, "model_not_found"),
    ],
)
def test_bad_requests(post, body: dict, status: int, code: str) -> None:
    answer = post(**body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_what_this_shop_does_not_know(serve) -> None:
    server = serve(ShopModel(described=False, stocked=False))
    codes = [
        httpx.post(f"{server.url}/v1/recommend", json=body).json()["error"]["code"] for body in ({"in_stock": True}, {"text": "a mug"})
    ]
    assert codes == ["stock_unknown", "texts_unknown"]


def test_as_a_chat(post) -> None:
    said = httpx.post(
        f"{post.url}/v1/chat/completions", json={"model": "shop", "messages": [{"role": "user", "content": "mug"}]}, timeout=20
    ).json()
    assert said["choices"][0]["message"]["content"].startswith("1. lamp Alder Lamp, £69.00 (4 customers bought it and Kelp Mug)\n2. bowl")
    assert said["smidgen"]["output"][:2] == ["lamp", "bowl"]
