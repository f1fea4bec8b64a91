"""A server on a free loopback port, with bundles that need no weights: the real classify task over word counts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import uvicorn
from tests.certified_bundle import certified_bundle  # noqa: F401
from tests.forms import label_form
from tests.upstream_stub import UpstreamStub, upstream_stub

from smidgen.core.errors import RequestError
from smidgen.core.replies import Reply
from smidgen.core.rows import Text, joined
from smidgen.flows.local_model import Model, load
from smidgen.gateway.upstreams import RetryPolicy
from smidgen.server.app import create_app
from smidgen.server.process import config_of, take_port, url_of
from smidgen.server.settings import ServeSettings
from smidgen.tasks.classify import Classify

LABELS = ("billing/charge", "billing/refund", "shipping")


class WordModel:
    """Says the label whose words are in the text. `broken` in a text makes it fail; `hold` closes a gate that `predict` waits at."""

    def __init__(
        self, name: str = "support", labels: Sequence[str] = LABELS, unknown: str | None = None, multi_label: bool = False
    ) -> None:
        self.name = name
        self.id = "0123456789ab"
        self.slots = self.at_once = 0
        self.pid: int | None = None
        self.manifest = None
        self.task = Classify()
        facts: dict[str, Any] = {}
        if unknown:
            facts |= {"unknown": unknown, "unknown_examples": 0, "unknown_threshold": 0.9}
        if multi_label:
            facts["threshold"] = 0.5
        self.form = label_form(labels, multi_label=multi_label, **facts)
        self.batches: list[int] = []
        self.seen: list[Text] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def predict(self, texts: Sequence[Text]) -> list[Reply]:
        self.batches.append(len(texts))
        self.seen += texts
        self.entered.set()
        assert self.gate.wait(20)
        if any("broken" in joined(text) for text in texts):
            raise ValueError("a secret text")
        off = -3.0 if self.form.multi_label else 0.0
        words = [set(label.replace("/", " ").split()) for label in self.form.labels]
        logits = [[off + 3.0 * len(each & set(joined(text).lower().split())) for each in words] for text in texts]
        return self.task.decode({"logits": np.array(logits, dtype=np.float32)}, self.form)

    def embed(self, texts: Sequence[Text]) -> list[Reply]:
        """A vector of two numbers; `vectorless` in a text: this model has none."""
        if any("vectorless" in joined(text) for text in texts):
            raise RequestError("this model has no embeddings", value=self.name, todo="Ask another.", code="embeddings_not_supported")
        return [Reply([0.6, -0.8] if "refund" in joined(text) else [1.0, 0.0], 1.0) for text in texts]

    def close(self) -> None:
        self.closed = True


class Running:
    """A server at work: its URL, a plain client, its models."""

    def __init__(self, url: str, models: Sequence[WordModel], client: httpx.Client) -> None:
        self.url, self.models, self.model, self.client = url, models, next(iter(models), None), client

    def post(self, path: str, body: Any, **more: Any) -> httpx.Response:
        return self.client.post(path, json=body, **more)


@contextmanager
def running(*models: Any, patience: RetryPolicy | None = None, **settings: Any) -> Iterator[Running]:
    """A server at work, stopped in the end. `patience` is with the fallback."""
    chosen = ServeSettings(**({"port": 0, "access_log": False} | settings))
    bound = take_port(chosen.listen)
    server = uvicorn.Server(config_of(create_app(models, chosen, patience), chosen.limits.drain_seconds))
    started = threading.Event()
    startup = server.startup

    async def tell(sockets: Any = None) -> None:
        await startup(sockets)
        started.set()

    server.startup = tell  # type: ignore[method-assign]
    thread = threading.Thread(target=server.run, args=([bound],), daemon=True)
    thread.start()
    assert started.wait(20)
    try:
        with httpx.Client(base_url=url_of(bound), timeout=120) as client:
            yield Running(url_of(bound), models, client)
    finally:
        for model in models:
            if hasattr(model, "gate"):
                model.gate.set()
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


class _Hasty:
    """asyncio as uvicorn's server sees it in the tests: what it sleeps between two looks is a tenth of a second otherwise."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / 10)


@pytest.fixture(scope="session", autouse=True)
def _hasty_servers() -> Iterator[None]:
    """A server stops as soon as it is told to: there are hundreds of them."""
    patch = pytest.MonkeyPatch()
    patch.setattr("uvicorn.server.asyncio", _Hasty())
    yield
    patch.undo()


@pytest.fixture
def serve() -> Iterator[Callable[..., Running]]:
    """Start servers; all are stopped at the end."""
    with ExitStack() as stack:
        yield lambda *models, **settings: stack.enter_context(running(*(models or (WordModel(),)), **settings))


@pytest.fixture
def word_model() -> type[WordModel]:
    return WordModel


def error_of(response: httpx.Response, status: int) -> dict[str, Any]:
    """The error of a response, after checking that it has OpenAI's shape, and beside it all of a message's code and values or none."""
    assert response.status_code == status, response.text
    error: dict[str, Any] = response.json()["error"]
    assert set(error) - {"message", "type", "param", "code"} in (set(), {"message_code", "values", "value"})
    assert {"message", "type", "param", "code"} <= set(error)
    assert isinstance(error["message"], str) and error["message"]
    assert isinstance(error["type"], str) and isinstance(error["code"], str)
    return error


@pytest.fixture
def error() -> Callable[[httpx.Response, int], dict[str, Any]]:
    return error_of


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Audits ask again at once."""
    monkeypatch.setattr("smidgen.server.gateway.auditor.WAITS", (0.0, 0.0))


@pytest.fixture
def upstream() -> Iterator[UpstreamStub]:
    """A large model's server."""
    with upstream_stub() as stub:
        yield stub


@pytest.fixture
def model(certified_bundle: Path) -> Iterator[Model]:  # noqa: F811
    """The bundle `support`, loaded."""
    opened = load(certified_bundle, 1)
    yield opened
    opened.close()
