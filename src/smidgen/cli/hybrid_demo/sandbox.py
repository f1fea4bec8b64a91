"""The demo's sandbox: its own folder and home, smidgen's own commands in it, and a client of the gateway that runs there."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from smidgen.core.errors import InputError, SmidgenError

MARKER = "hybrid-demo.json"
"""A file that marks a folder made by the demo, which it may empty."""
LINE = "support"
_OWN = ("first", "first.csv", "gateway.log", "home", "share.svg", LINE, MARKER)
_LONGEST_COMMAND = 7200.0
_START_SECONDS = 300.0
_STOP_SECONDS = 150.0
_TAIL = 2000
_REQUEST_SECONDS = 60.0
_WAIT_SECONDS = 120.0
_PAUSE = 0.05


class DemoError(SmidgenError):
    """A command of the demo failed."""


class Sandbox:
    """The demo's working folder.

    Args:
        folder: created if missing; emptied if an earlier demo made it.

    Raises InputError if the folder holds anything that the demo did not make.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        strangers = sorted(entry.name for entry in self.folder.iterdir() if entry.name not in _OWN)
        ours = (self.folder / MARKER).is_file() or not any(self.folder.iterdir())
        if strangers or not ours:
            raise InputError("cli.folder_has_files_not_of_demo", folder=self.folder, strangers=", ".join(strangers) or "no " + MARKER)
        for name in _OWN:
            place = self.folder / name
            if place.is_dir():
                shutil.rmtree(place)
            elif name != MARKER:
                place.unlink(missing_ok=True)
        (self.folder / MARKER).write_text(
            json.dumps({"made_by": "smidgen demo --hybrid", "note": "its next run in this folder begins by emptying it"}) + "\n",
            encoding="utf-8",
        )
        self.home = self.folder / "home"
        self.home.mkdir()

    @property
    def line(self) -> Path:
        """The line's folder."""
        return self.folder / LINE

    def lend(self, base: Path) -> None:
        """Make a base of this machine available in the sandbox's home: with links if the system has them, else copied."""
        place = self.home / "bases" / base.name
        place.mkdir(parents=True)
        for file in base.iterdir():
            try:
                os.link(file, place / file.name)
            except OSError:  # another disk, or no links here
                shutil.copyfile(file, place / file.name)

    def run(self, *words: str) -> dict[str, Any]:
        """Run a command with `--json` in the folder and return its output. Raises DemoError if it fails."""
        command = [sys.executable, "-P", "-m", "smidgen", *words, "--json"]
        try:
            done = subprocess.run(
                command,
                cwd=self.folder,
                env=self._environment(),
                capture_output=True,
                text=True,
                encoding="utf-8",
                errors="replace",
                timeout=_LONGEST_COMMAND,
            )
        except subprocess.TimeoutExpired:
            raise DemoError("cli.command_of_demo_took_too_long", words=words[0], longest_command=f"{_LONGEST_COMMAND:.0f}") from None
        if done.returncode:
            raise DemoError(
                "cli.command_of_demo_failed",
                value=shown(words),
                returncode=done.returncode,
                stderr=done.stderr[-_TAIL:].strip(),
            )
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    @contextlib.contextmanager
    def serving(self, *words: str) -> Iterator[str]:
        """Run `smidgen serve` until the block ends; yields its URL and logs to a file.

        Raises DemoError if it does not start, or does not end well.
        """
        command = [sys.executable, "-P", "-m", "smidgen", "serve", *words, "--json"]
        log = self.folder / "gateway.log"
        flags = 0
        if sys.platform == "win32":  # only a process in its own group can be asked to stop there
            flags = subprocess.CREATE_NEW_PROCESS_GROUP
        with log.open("ab") as sink:
            process = subprocess.Popen(
                command, cwd=self.folder, env=self._environment(), stdout=subprocess.PIPE, stderr=sink, creationflags=flags
            )
            try:
                yield _ready(process, log)
            finally:
                code = _stop(process)
        if code:
            raise DemoError("cli.gateway_exited_with_error", given_code=code, log=log)

    def _environment(self) -> dict[str, str]:
        """Return this process's environment without the user's own smidgen settings and keys: no key may reach the recording."""
        plain = {name: value for name, value in os.environ.items() if not name.upper().startswith("SMIDGEN_")}
        return {**plain, "SMIDGEN_HOME": str(self.home), "PYTHONUTF8": "1"}


def shown(words: Sequence[str]) -> str:
    """Return a command as a user would type it."""
    return " ".join(["smidgen", *(f'"{word}"' if " " in word else word for word in words)])


def _ready(process: subprocess.Popen[bytes], log: Path) -> str:
    """Wait until the server prints its URL, and return it."""
    assert process.stdout is not None
    late = threading.Timer(_START_SECONDS, process.kill)
    late.start()
    try:
        said = _line(process.stdout)
    finally:
        late.cancel()
    try:
        url = json.loads(said)["url"]
    except (ValueError, KeyError, TypeError):
        tail = log.read_text(encoding="utf-8", errors="replace")[-_TAIL:].strip() if log.is_file() else ""
        raise DemoError("cli.gateway_did_not_start", value=said[:200].decode("utf-8", "replace"), log=log, tail=tail) from None
    return str(url)


def _line(stream: IO[bytes]) -> bytes:
    return stream.readline(100_000)


def _stop(process: subprocess.Popen[bytes]) -> int:
    """Ask the process to stop, and kill it if it does not. Returns its exit code."""
    if process.poll() is None:
        if sys.platform == "win32":
            process.send_signal(signal.CTRL_BREAK_EVENT)
        else:
            process.send_signal(signal.SIGTERM)
    try:
        code = process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait()
    if process.stdout is not None:
        process.stdout.close()
    return code


@dataclass(frozen=True)
class GatewayAnswer:
    """A reply: the text, whether it was answered locally, and the dollars that this saved."""

    text: str
    local: bool
    saved_usd: float


class GatewayClient:
    """Asks one gateway. Use it as a context manager."""

    def __init__(self, url: str, model: str, system: str) -> None:
        self._model, self._system = model, system
        self._http = httpx.Client(base_url=url, timeout=_REQUEST_SECONDS, trust_env=False)

    def __enter__(self) -> GatewayClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._http.close()

    def ask(self, text: str) -> GatewayAnswer:
        """Send one message as any program would. Raises DemoError if no answer comes."""
        messages = [{"role": "system", "content": self._system}, {"role": "user", "content": text}]
        reply = self._got("POST", "/v1/chat/completions", {"model": self._model, "messages": messages, "temperature": 0})
        body = reply.json()
        saved = (body.get("smidgen") or {}).get("saved") or {}
        return GatewayAnswer(
            str(body["choices"][0]["message"]["content"]), reply.headers["x-smidgen-answered-by"] == "local", float(saved.get("usd", 0.0))
        )

    def serving(self) -> str:
        """Return the id of the version that answers now."""
        return str(self._got("GET", f"/v1/models/{self._model}").json()["smidgen"]["bundle"])

    def counted(self, metric: str, **labels: str) -> float:
        """Return the sum of a counter over all its series with these labels."""
        families = text_string_to_metric_families(self._got("GET", "/metrics").text)
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == metric and labels.items() <= sample.labels.items()
        )

    def until_stored(self, requests: int) -> None:
        """Wait until the gateway has processed this many captured requests. Raises DemoError if it does not."""
        self._until("cli.gateway_did_not_store_requests", lambda: self.counted("smidgen_capture_rows_total") >= requests, value=requests)

    def until_serving(self, champion: str) -> None:
        """Wait until a version answers. Raises DemoError if it does not."""
        self._until("cli.gateway_did_not_take_champion", lambda: self.serving() == champion, value=champion)

    def _until(self, code: str, true: Callable[[], bool], *, value: object) -> None:
        end = time.monotonic() + _WAIT_SECONDS
        while not true():
            if time.monotonic() > end:
                raise DemoError(code, value=value)
            time.sleep(_PAUSE)

    def _got(self, method: str, path: str, body: Any = None) -> httpx.Response:
        try:
            reply = self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise DemoError("cli.gateway_cannot_be_reached", value=f"{path}: {error}") from None
        if reply.status_code != 200:
            raise DemoError("cli.gateway_answered_with_http_error", value=reply.text[:300], path=path, status_code=reply.status_code)
        return reply
