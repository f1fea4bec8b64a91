"""Requests to the gateway in OpenAI's wire format, and what the gateway itself counts of them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from smidgen.cli.hybrid.stage import StageError

_SECONDS = 60.0
_WAIT_SECONDS = 120.0
_PAUSE = 0.05


@dataclass(frozen=True)
class Answer:
    """A reply: the text, whether it came from here, and what that saved, in dollars."""

    text: str
    local: bool
    saved_usd: float


class Client:
    """Asks one gateway. Use it as a context manager."""

    def __init__(self, url: str, model: str, system: str) -> None:
        self._model, self._system = model, system
        self._http = httpx.Client(base_url=url, timeout=_SECONDS, trust_env=False)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._http.close()

    def ask(self, text: str) -> Answer:
        """One message, asked as any program would. Raises StageError where no answer comes."""
        messages = [{"role": "system", "content": self._system}, {"role": "user", "content": text}]
        reply = self._got("POST", "/v1/chat/completions", {"model": self._model, "messages": messages, "temperature": 0})
        body = reply.json()
        saved = (body.get("smidgen") or {}).get("saved") or {}
        return Answer(
            str(body["choices"][0]["message"]["content"]), reply.headers["x-smidgen-answered-by"] == "local", float(saved.get("usd", 0.0))
        )

    def serving(self) -> str:
        """The id of the version that answers now."""
        return str(self._got("GET", f"/v1/models/{self._model}").json()["smidgen"]["bundle"])

    def counted(self, metric: str, **labels: str) -> float:
        """The sum of a counter over all its series with these labels."""
        families = text_string_to_metric_families(self._got("GET", "/metrics").text)
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == metric and labels.items() <= sample.labels.items()
        )

    def until_stored(self, requests: int) -> None:
        """Wait until the gateway has dealt with so many captured requests. Raises StageError where it does not."""
        self._until(lambda: self.counted("smidgen_capture_rows_total") >= requests, "the gateway did not store what it captured", requests)

    def until_serving(self, champion: str) -> None:
        """Wait until a version answers. Raises StageError where it does not."""
        self._until(lambda: self.serving() == champion, "the gateway did not take the new champion", champion)

    def _until(self, true: Any, what: str, value: object) -> None:
        end = time.monotonic() + _WAIT_SECONDS
        while not true():
            if time.monotonic() > end:
                raise StageError(what, value=value, todo="Its log, gateway.log in the demo's folder, says why.")
            time.sleep(_PAUSE)

    def _got(self, method: str, path: str, body: Any = None) -> httpx.Response:
        try:
            reply = self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise StageError(
                "the gateway cannot be reached", value=f"{path}: {error}", todo="See gateway.log in the demo's folder."
            ) from None
        if reply.status_code != 200:
            raise StageError(f"the gateway answered {path} with HTTP {reply.status_code}", value=reply.text[:300], todo="See gateway.log.")
        return reply
