"""A client of the Studio's API, for scripts: make projects, add data, build models, ask them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from smidgen.core.errors import SmidgenError

_FINISHED = frozenset({"done", "failed", "stopped"})
_POLL_SECONDS = 0.5


class StudioRefusal(SmidgenError):
    """A call that the Studio refused, or could not be reached for. `status`: the HTTP status; 0 without an answer."""

    def __init__(self, message: str, /, *, status: int = 0, **pieces: Any) -> None:
        self.status = status
        super().__init__(message, **pieces)


class StudioClient:
    """A session with a Studio. Its methods return the API's own JSON, described at `/api/v1/openapi.json`.

    Args:
        url: the link that `smidgen studio` printed, or the address of a Studio with accounts.
        name: the account's name, for an address.
        password: the account's password.
        timeout: longest wait for one answer, in seconds.

    Raises StudioRefusal, here and in every method, if the Studio refuses or does not answer.
    """

    def __init__(self, url: str, name: str | None = None, password: str | None = None, *, timeout: float = 60.0) -> None:
        link = httpx.URL(url)
        if link.scheme not in ("http", "https"):
            raise StudioRefusal("client.this_is_not_studio_link", value=url)
        base = link.copy_with(path="/", query=None)
        self._http = httpx.Client(base_url=base, timeout=timeout, headers={"X-Studio-Page": "1"}, trust_env=False)
        with ExitStack() as opened:
            opened.callback(self._http.close)
            if name is not None:
                self.call("POST", "session", {"name": name, "password": password or ""})
            else:
                self._send("GET", str(link))
            if self.call("GET", "session")["name"] is None:
                raise StudioRefusal("client.this_link_opens_no_session", value=str(base), status=401)
            opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """Call a route by its path below `/api/v1/`, and return the JSON of the answer; None for an empty one."""
        answer = self._send(method, f"/api/v1/{path}", json=body, params=query)
        return answer.json() if answer.content else None

    def projects(self) -> list[dict[str, Any]]:
        """List the projects, the last changed first."""
        found: list[dict[str, Any]] = self.call("GET", "projects")
        return found

    def create_project(self, name: str, task: str) -> dict[str, Any]:
        """Make an empty project for a task: classify, extract, write."""
        made: dict[str, Any] = self.call("POST", "projects", {"name": name, "task": task})
        return made

    def add_file(
        self, project: str, file: str | Path, *, input: str | None = None, label: str | None = None, part: str = "train"
    ) -> dict[str, Any]:
        """Add the rows of a file: CSV, TSV, JSONL, Parquet or XLSX.

        Args:
            project: the project's id.
            file: the file.
            input: the column of the texts; guessed if None.
            label: the column of the answers; guessed if None, and "" for a file without answers.
            part: "train", or "test" for rows that are never learnt from.
        """
        path = Path(file)
        with path.open("rb") as stream:
            answer = self._send("POST", f"/api/v1/projects/{project}/uploads", content=stream.read(), params={"name": path.name})
        seen = answer.json()
        columns = {
            "input": seen["input"] if input is None else [input],
            "label": seen["label"] if label is None else [label] if label else [],
        }
        added: dict[str, Any] = self.call("POST", f"projects/{project}/imports", {"upload": seen["upload"], "part": part, **columns})
        return added

    def start(self, project: str, kind: str, request: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Queue a run, such as a build, and return it at once."""
        run: dict[str, Any] = self.call("POST", f"projects/{project}/runs", {"kind": kind, "request": dict(request or {})})
        return run

    def build(self, project: str, recipe: Mapping[str, Any] | None = None, *, timeout: float = 86_400.0) -> dict[str, Any]:
        """Build a model and wait for it. `recipe` holds settings as in a recipe file: `{"student": {"quality": "fast"}}`."""
        return self.wait(self.start(project, "build", {"recipe": dict(recipe or {})})["id"], timeout=timeout)

    def wait(self, run: str, *, timeout: float = 86_400.0) -> dict[str, Any]:
        """Wait until a run is done, and return it. Raises StudioRefusal if it fails or is stopped, or takes longer, in seconds."""
        end = time.monotonic() + timeout
        while (found := self.call("GET", f"runs/{run}"))["state"] not in _FINISHED:
            if time.monotonic() > end:
                raise StudioRefusal("client.run_outlasts_timeout", value=f"{timeout:g} s")
            time.sleep(_POLL_SECONDS)
        if found["state"] != "done":
            error = found["error"] or {"message": f"the run was {found['state']}"}
            raise StudioRefusal(str(error["message"]), value=run, todo=str(error.get("todo") or "Mend what it says, then resume it."))
        ended: dict[str, Any] = found
        return ended

    def events(self, run: str) -> Iterator[dict[str, Any]]:
        """Follow a run: yield what it tells (`kind`: "begin", "step", "progress", "step_done", "remark"), until it has ended."""
        with self._http.stream("GET", f"/api/v1/runs/{run}/events", timeout=None) as answer:
            if answer.is_error:
                answer.read()
                raise _refusal(answer)
            kind = ""
            for line in answer.iter_lines():
                if line.startswith("event: "):
                    kind = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    if kind == "end":
                        return
                    yield json.loads(line.removeprefix("data: "))

    def _send(self, method: str, path: str, **given: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **given)
        except httpx.HTTPError as error:
            raise StudioRefusal("client.studio_does_not_answer", value=str(self._http.base_url), error=error) from error
        if answer.is_error:
            raise _refusal(answer)
        return answer


def _refusal(answer: httpx.Response) -> StudioRefusal:
    try:
        told = answer.json()["error"]
        what, todo = str(told["message"]), str(told.get("todo") or "Correct the call, then try again.")
    except (ValueError, KeyError, TypeError):
        what, todo = answer.reason_phrase or "an answer that is no JSON", "See that this is a Studio's address."
    return StudioRefusal(what, value=f"HTTP {answer.status_code}", todo=todo, status=answer.status_code)
