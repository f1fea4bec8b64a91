"""Serve a project's model: start `smidgen serve` as a process of its own, find it again, stop it, and say how it ended.

The server outlives the Studio. What is to run is in the database; the files that it reads lie in a folder of the project: the keys' hashes,
the fallback's key (readable by this user alone), the captured requests, and its log.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from smidgen.bundles.open import folder_of, read_manifest
from smidgen.core.errors import InputError, SmidgenError
from smidgen.flows.operating_point import OperatingPoint, operating_point
from smidgen.gateway.route_settings import LocalMode
from smidgen.gateway.upstreams import checked_url
from smidgen.machine.child_process import module_command, start_detached
from smidgen.machine.processes import name_process, process_runs
from smidgen.parts.recipe import ROUTE, parsed, written
from smidgen.store import files
from smidgen.store.files import home
from smidgen.store.line import Line, is_line
from smidgen.store.traffic.tables import URL_ENV
from smidgen.studio.flows.models.built_models import model_folder
from smidgen.studio.flows.models.project_point import newest_model, project_point
from smidgen.studio.flows.recipes.project_recipe import recipe_tree
from smidgen.studio.flows.serving.shown import ShownKind, public_address, shown_kind
from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.servers import ServerRecord, ServerStore

ServerState = Literal["stopped", "starting", "running", "silent", "failed"]

LINE = "line"
"""In place of a model's id: the champion of the project's line, whichever it is."""
NO_MODEL = ""
"""In place of a model's id: none. All requests go to the fallback, and are captured."""
_FIRST_PORT, _PORTS = 8090, 200
_LOG_HEAD = 65_536
_START_SECONDS = 90.0
_HEALTH_SECONDS = 1.5
_STOP_SECONDS = 12.0
_DRAIN_SECONDS = 5
_LOG_LINES = 12
_MOST_LOG = 20_000
_FALLBACK_KEY = "SMIDGEN_FALLBACK_KEY"
_OF_RECIPE = (
    *("budget_day", "max_output_tokens", "privacy", "privacy_kind", "cache", "cache_scope", "cache_similarity", "cache_hours"),
    *("quality", "audit_share", "held_out_aside", "when_upstream_fails"),
)
"""The settings of the recipe's `[route]` that hold: its limits. Where requests go, and what is kept, is chosen when serving starts."""
_NOT_INHERITED = (
    *("SMIDGEN_API_KEY", "SMIDGEN_ADMIN_KEY", _FALLBACK_KEY, "SMIDGEN_STUDIO_URL", URL_ENV),
    *("SMIDGEN_CONVERSATIONS_URL", "SMIDGEN_CALLS_URL"),
)
"""Variables of the Studio's own environment that would give the server other keys or places than the project's."""


class ServingSettings(BaseModel):
    """How a project's model is served. It holds no key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(default=NO_MODEL, max_length=50, description="A finished build, `line` for the line's champion, or empty for none.")
    port: int = Field(default=0, ge=0, le=65535, description="0 takes a free one, which then stays.")
    fallback: str = Field(default="", max_length=1000, description="Base URL of the large model's server; empty for none.")
    fallback_model: str = Field(default="", max_length=200, description="The name of the large model there.")
    price_in: float | None = Field(default=None, ge=0, le=1e6, description="US dollars per million tokens read; null for the list price.")
    price_out: float | None = Field(
        default=None, ge=0, le=1e6, description="US dollars per million tokens written; null for the list price."
    )
    local: LocalMode = Field(
        default="certified",
        description="Which answers the model gives itself: those that its certificate covers, those from its operating point on, or none.",
    )
    local_score: float | None = Field(
        default=None, ge=0, le=1, description="Smallest score with which it answers itself; null for its operating point."
    )
    redact: bool = Field(default=True, description="Whether personal data is taken out before a request is stored.")
    days: int = Field(default=30, ge=1, le=3650, description="Days for which requests are kept.")

    @model_validator(mode="before")
    @classmethod
    def _read_former_name(cls, given: Any) -> Any:
        """Read `uncertified_score`, as it was stored before there were modes."""
        if not isinstance(given, Mapping) or "uncertified_score" not in given:
            return given
        rest = {name: value for name, value in given.items() if name != "uncertified_score"}
        score = given["uncertified_score"]
        return rest if score is None else {"local": "measured", "local_score": score, **rest}


@dataclass(frozen=True)
class ServerStatus:
    """The server of a project now.

    Attributes:
        url: its address; empty while it does not run.
        name: the name under which requests ask for the model; empty for none.
        message: why it does not answer; empty otherwise.
        log: its last lines, if it has failed.
        process: the number of its process; 0 without one.
        desk: whether it shows a desk to customers.
        redrawn: whether the recipe's `[route]` has changed since it was started. The next start follows it.
    """

    state: ServerState
    settings: ServingSettings
    url: str = ""
    name: str = ""
    started: float | None = None
    message: str = ""
    log: tuple[str, ...] = ()
    process: int = 0
    desk: bool = False
    redrawn: bool = False


def serving_folder(project: str) -> Path:
    """The folder of a project's server, which only this user may read."""
    folder = home() / "studio" / "serving" / project
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError):
        folder.chmod(0o700)
    return folder


def line_folder(project: str) -> Path:
    """The folder of a project's line, which may not exist."""
    return home() / "studio" / "lines" / project


def traffic_url(project: str) -> str:
    """The URL of the store of a project's captured requests."""
    return f"sqlite:///{serving_folder(project) / 'traffic.db'}"


def served_folder(store: StudioStore, project: str, model: str) -> Path | None:
    """The bundle or line that is served for a model's id; None for no model. Raises InputError if there is no such one."""
    if model == NO_MODEL:
        return None
    if model == LINE:
        folder = line_folder(project)
        if not is_line(folder):
            raise InputError("studio.project_has_no_line_of_versions_yet", value=project)
        return folder
    return model_folder(store, project, model)


def served_name(folder: Path) -> str:
    """The name under which requests ask for the bundle or line in a folder."""
    return Line(folder).read().name if is_line(folder) else read_manifest(folder_of(folder)).name


def newest_name(store: StudioStore, project: str) -> str:
    """The name of a project's newest model; empty if it has none."""
    newest = newest_model(store, project)
    folder = None if newest is None else served_folder(store, project, newest)
    return "" if folder is None else served_name(folder)


def kind_of(folder: Path) -> ShownKind | None:
    """How the bundle or line in a folder is shown to customers; None if it is not."""
    return shown_kind(read_manifest(folder_of(folder)).engine.engine)


def limits_of(store: StudioStore, project: str, running: bool) -> dict[str, Any]:
    """The settings of the recipe that limit what goes to the large model: those that the server was started with, or would be."""
    if running:
        file = _route_file(project)
        return dict(parsed(file.read_text(encoding="utf-8"), file.name)[ROUTE]) if file.is_file() else {}
    given = recipe_tree(store.project(project)).get(ROUTE) or {}
    return {name: given[name] for name in _OF_RECIPE if name in given}


def uncalled_tools(store: StudioStore, project: str, model: str) -> list[str]:
    """The tools that the desk of a model's id could not call, because no tool file is known; empty for another model, or with mistakes in
    the file, which the start tells."""
    try:
        folder = served_folder(store, project, model)
        kind = None if folder is None else kind_of(folder)
        return [] if folder is None or kind is None else kind.uncalled(store, project, folder_of(folder))
    except SmidgenError:
        return []


def _drawn(store: StudioStore, project: str) -> dict[str, Any]:
    """Which answers the model gives itself, and where the rest goes, as the recipe says: of several fallbacks the first, with its price."""
    route = recipe_tree(store.project(project)).get(ROUTE) or {}
    firsts = {name: value[0] if isinstance(value, list) and value else value for name, value in route.items()}
    if (score := firsts.get("uncertified_score")) is not None:  # as recipes called it before there were modes
        firsts = {"local": "measured", "local_score": score, **firsts}
    names = ("fallback", "fallback_model", "price_in", "price_out", "local", "local_score")
    return {name: firsts[name] for name in names if firsts.get(name) not in (None, [])}


def _proposed(store: StudioStore, project: str) -> ServingSettings:
    """The settings that a first start proposes: the newest model, and what the recipe says."""
    newest = newest_model(store, project) or NO_MODEL
    known = {"model": newest, "local": _usual_mode(store, project, newest)}
    try:
        return ServingSettings(**{**known, **_drawn(store, project)})
    except ValidationError:  # the canvas says what is wrong with the recipe's
        return ServingSettings.model_validate(known)


def _redrawn(store: StudioStore, project: str, record: ServerRecord) -> ServingSettings:
    """The settings of the last start, with what has changed in the recipe since."""
    last = ServingSettings(**record.settings["serving"])
    now = _drawn(store, project)
    before = record.settings.get("drawn", now)
    gone = {name: ServingSettings.model_fields[name].default for name in before if name not in now}
    if "local" in gone:
        gone["local"] = _usual_mode(store, project, last.model)
    changed = {name: value for name, value in now.items() if before.get(name) != value}
    try:
        return ServingSettings(**{**last.model_dump(), **gone, **changed}) if gone or changed else last
    except ValidationError:
        return last


def _differs(store: StudioStore, project: str, record: ServerRecord, settings: ServingSettings) -> bool:
    """Whether the recipe's `[route]` is another than when the server was started."""
    now = _drawn(store, project)
    limited = settings.fallback != "" and limits_of(store, project, True) != limits_of(store, project, False)
    return record.settings.get("drawn", now) != now or limited


def _usual_mode(store: StudioStore, project: str, model: str) -> LocalMode:
    """Certified where a certificate holds, or nothing was measured; else measured."""
    point = served_point(store, project, model)
    return "certified" if point is None or point.chosen_by == "certificate" else "measured"


def served_point(store: StudioStore, project: str, model: str) -> OperatingPoint | None:
    """The operating point of a build, or of the line's champion; None without a model, or where nothing was measured."""
    if model == NO_MODEL:
        return None
    if model == LINE:
        return operating_point(folder_of(line_folder(project))) if is_line(line_folder(project)) else None
    return project_point(store, store.project(project), model)


def write_keys(store: StudioStore, project: str) -> None:
    """Write the file of the keys that the server takes. Until a first key is made, programs on this machine need none; nobody may call a
    desk that the internet reaches."""
    keys = ServerStore(store.database).keys(project)
    lines = [f"{key.hash} {key.id}" for key in keys if key.revoked is None] if keys else ["*"]
    if not keys and public_address(project):
        # The internet reaches this server: its visitors need no key, and nobody may call anything else.
        lines = [f"{hashlib.sha256(secrets.token_bytes(32)).hexdigest()} nobody"]
    files.write(serving_folder(project) / "keys.txt", ("\n".join(lines) + "\n").encode("ascii"), 0o600)


def has_fallback_key(project: str) -> bool:
    """Whether a key for the fallback is kept."""
    return (serving_folder(project) / "secrets.toml").is_file()


def keep_fallback_key(project: str, key: str) -> None:
    """Keep the key for the fallback in a file that only this user may read; an empty one removes it."""
    file = serving_folder(project) / "secrets.toml"
    if not key:
        file.unlink(missing_ok=True)
        return
    if not all("!" <= letter <= "~" for letter in key) or len(key) > 4096:
        raise InputError("studio.key_has_character_that_is_not_allowed", characters=len(key))
    files.write(file, f"{_FALLBACK_KEY} = {json.dumps(key)}\n".encode("ascii"), 0o600)


class ModelServers:
    """Starts, finds and stops the servers of all projects. One object lives as long as the Studio."""

    def __init__(self, store: StudioStore) -> None:
        self._store, self._records = store, ServerStore(store.database)
        self._started: dict[int, subprocess.Popen[bytes]] = {}

    def status(self, project: str) -> ServerStatus:
        """The server now: its process is looked for, and asked for its health. One that has ended by itself is written down as such."""
        record = self._records.get(project)
        if record is None:
            return ServerStatus("stopped", _proposed(self._store, project))
        if not record.wanted:
            error = record.error or {}
            state: ServerState = "failed" if record.error else "stopped"
            settings = _redrawn(self._store, project, record)
            return ServerStatus(state, settings, started=record.started, message=error.get("message", ""), log=tuple(error.get("log", ())))
        settings = ServingSettings(**record.settings["serving"])
        number = int(record.process.partition(" ")[0])
        name = str(record.settings["name"])
        if not self._runs(number, record.process):
            return self._buried(project, record, settings)
        url, desk = f"http://127.0.0.1:{settings.port}", bool(record.settings.get("desk"))
        if url in _log(project) and _is_healthy(settings.port):  # else another program may answer there
            redrawn = _differs(self._store, project, record, settings)
            return ServerStatus("running", settings, url, name, record.started, process=number, desk=desk, redrawn=redrawn)
        young = time.time() - (record.started or 0) < _START_SECONDS
        message = "" if young else "The process runs, but its address does not answer."
        state = "starting" if young else "silent"
        return ServerStatus(state, settings, url, name, record.started, message, process=number, desk=desk)

    def start(self, project: str, settings: ServingSettings, author: str) -> ServerStatus:
        """Start the server. It answers some seconds later: `status` says when.

        Raises InputError if it runs already, if there is nothing to serve, or if the port is taken.
        """
        now = self.status(project)
        if now.state in ("starting", "running", "silent"):
            raise InputError("studio.server_runs_already", value=now.url)
        folder = served_folder(self._store, project, settings.model)
        _check(settings, folder)
        port = settings.port or _free_port(project)
        if not _is_free(port):
            raise InputError("studio.port_is_in_use_by_another_program", value=port)
        settings = settings.model_copy(update={"port": port})
        kind = None if folder is None else kind_of(folder)
        desk = None if kind is None else kind.write_file(self._store, project)
        name = served_name(folder) if folder is not None else ""
        stored = {"serving": settings.model_dump(), "name": name, "desk": desk is not None, "drawn": _drawn(self._store, project)}
        write_keys(self._store, project)
        place = serving_folder(project)
        limits = limits_of(self._store, project, False) if settings.fallback else {}
        _route_file(project).unlink(missing_ok=True)
        if limits:
            files.write(_route_file(project), written({ROUTE: limits}).encode("utf-8"), 0o600)
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
        environment[URL_ENV] = traffic_url(project)
        if kind is not None:
            environment |= kind.environment(project)
        with (place / "log.txt").open("wb") as log:
            process = start_detached(_command(project, settings, folder, desk, self._least(project, settings)), log, environment)
        self._started[process.pid] = process
        self._records.started(project, stored, author, name_process(process.pid))
        return self.status(project)

    def serve_newest(self, project: str, author: str) -> ServerStatus:
        """Serve the newest model in place of the running one, with the same settings, but from its own operating point on."""
        now = self.status(project)
        newest = newest_model(self._store, project)
        if newest is None or now.settings.model in (LINE, newest):
            raise InputError("studio.there_is_no_newer_model", value=now.settings.model)
        self.stop(project)
        return self.start(project, now.settings.model_copy(update={"model": newest, "local_score": None}), author)

    def _least(self, project: str, settings: ServingSettings) -> float | None:
        """The score from which the model answers by itself."""
        if settings.local_score is not None:
            return settings.local_score
        point = served_point(self._store, project, settings.model)
        return None if point is None or point.chosen_by == "certificate" else point.threshold

    def stop(self, project: str) -> ServerStatus:
        """Stop the server: running requests may end first. A server that does not run stays stopped."""
        record = self._records.get(project)
        if record is None or not record.wanted:
            return self.status(project)
        number = int(record.process.partition(" ")[0])
        if self._runs(number, record.process):
            self._kill(number, record.process)
        self._records.ended(project, None, record.process)
        return self.status(project)

    def forget(self, project: str) -> None:
        """Stop the server of a project that is about to be deleted, and remove its files: keys, captured requests, the line."""
        self.stop(project)
        for folder in (serving_folder(project), line_folder(project)):
            shutil.rmtree(folder, ignore_errors=True)
        line_folder(project).with_suffix(".json").unlink(missing_ok=True)

    def _kill(self, number: int, process: str) -> None:
        for sign, seconds in ((signal.SIGTERM, _STOP_SECONDS), (getattr(signal, "SIGKILL", signal.SIGTERM), _STOP_SECONDS)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, sign)
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                if not self._runs(number, process):
                    return
                time.sleep(0.05)

    def _runs(self, number: int, process: str) -> bool:
        started = self._started.get(number)
        if started is not None and started.poll() is not None:
            del self._started[number]
            return False
        return process_runs(process)

    def _buried(self, project: str, record: ServerRecord, settings: ServingSettings) -> ServerStatus:
        """Write down that a server has ended by itself."""
        log = _last_lines(serving_folder(project) / "log.txt")
        message = "The server ended by itself. Its last lines say why." if log else "The server was killed: it left no word."
        self._records.ended(project, {"message": message, "log": list(log)}, record.process)
        return ServerStatus("failed", settings, started=record.started, message=message, log=log)


def _command(project: str, settings: ServingSettings, folder: Path | None, desk: Path | None, least: float | None) -> list[str]:
    """The command of the server. No argument of it is secret: every user of the machine may read them."""
    place = serving_folder(project)
    flags: Mapping[str, Any] = {
        "--port": settings.port,
        "--capture": "answers",
        "--capture-days": settings.days,
        "--capture-redact": "mask" if settings.redact else "allow",
        "--key-file": place / "keys.txt",
        "--drain-seconds": _DRAIN_SECONDS,
        "--fallback": settings.fallback or None,
        "--fallback-model": settings.fallback_model if settings.fallback else None,
        "--price-in": settings.price_in if settings.fallback else None,
        "--price-out": settings.price_out if settings.fallback else None,
        "--local": settings.local,
        "--local-score": least,
        "--recipe": _route_file(project) if _route_file(project).is_file() else None,
        "--desk": desk,
        "--allow-host": urlsplit(public_address(project)).hostname if desk is not None and public_address(project) else None,
        "--secrets": place / "secrets.toml" if settings.fallback and has_fallback_key(project) else None,
    }
    flags_given = [str(part) for name, value in flags.items() if value is not None for part in (name, value)]
    return module_command("smidgen", "serve", *([str(folder)] if folder is not None else []), *flags_given)


def _route_file(project: str) -> Path:
    return serving_folder(project) / "route.toml"


def _check(settings: ServingSettings, folder: Path | None) -> None:
    if folder is None and not settings.fallback:
        raise InputError("studio.there_is_nothing_to_serve")
    if bool(settings.fallback) != bool(settings.fallback_model):
        raise InputError("studio.large_model_needs_address_and_name", value=settings.fallback or settings.fallback_model)
    if settings.local == "never" and not settings.fallback:
        raise InputError("studio.nobody_would_answer", value="never")
    if settings.fallback:
        checked_url(settings.fallback)
    if (settings.price_in is None) != (settings.price_out is None):
        raise InputError("studio.price_has_two_parts")


def _log(project: str) -> str:
    """The beginning of the server's log, in which it tells its address as soon as it answers, without spaces and line ends."""
    try:
        with (serving_folder(project) / "log.txt").open(encoding="utf-8", errors="replace") as stream:
            return "".join(stream.read(_LOG_HEAD).split())
    except OSError:
        return ""


def _is_healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_HEALTH_SECONDS)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        return answer.status == 200 and answer.read(100).replace(b" ", b"") == b'{"status":"ok"}'
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as attempt:
        if sys.platform != "win32":
            attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port(project: str) -> int:
    """A free port. Each project begins its search elsewhere, so that two that start at once do not take the same one."""
    first = zlib.crc32(project.encode()) % _PORTS
    found = next((port for step in range(_PORTS) if _is_free(port := _FIRST_PORT + (first + step) % _PORTS)), None)
    if found is not None:
        return found
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as attempt:
        attempt.bind(("127.0.0.1", 0))
        return int(attempt.getsockname()[1])


def _last_lines(log: Path) -> tuple[str, ...]:
    if not log.is_file():
        return ()
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - _MOST_LOG))
        lines = stream.read().decode("utf-8", "replace").splitlines()
    return tuple(line[:500] for line in lines if line.strip())[-_LOG_LINES:]
