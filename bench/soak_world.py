"""What the soak happens to: two models under certificates, an upstream, a gateway, a small disk and a clock, each of which can be made to
fail."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench import process, shop
from bench.classifiers import CLI
from bench.context import Context
from bench.gateways import BIG

FIRST, SECOND = "first", "second"
"""The lines. Of the first there are two versions, of which now one is the champion and now the other."""
PREFIXES = {FIRST: ("a1-", "a2-"), SECOND: ("b1-",)}
"""What the labels of each version begin with, but for what is out of scope: an answer tells whose it is."""
DELAY = 0.02
START_LIMIT = 120.0
_FAKETIME = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/local/lib/faketime/libfaketimeMT.so.1")


@dataclass(frozen=True)
class Version:
    """One version of a line: its id, its certificate's id, and what it says to each text."""

    id: str
    certificate: str
    made: shop.Shop


@dataclass
class Span:
    """A time in which something was so, in seconds of `time.monotonic`; without an end while it is still so."""

    began: float
    ended: float = float("inf")

    def meets(self, began: float, ended: float, slack: float = 0.0) -> bool:
        """Whether any of another span falls within it, or within `slack` seconds after it."""
        return began <= self.ended + slack and ended >= self.began


@dataclass
class World:
    """See above.

    Attributes:
        folder: where all of it lies but the home.
        home: smidgen's home, on a disk of its own where there could be one.
        versions: of each line, in order.
        down: when the gateway was killed, until it was ready again.
        reigns: of the first line's versions, when which one was the champion.
        ended: when no certificate was to be believed.
    """

    context: Context
    folder: Path
    home: Path
    own_disk: bool
    versions: dict[str, list[Version]] = field(default_factory=dict)
    down: list[Span] = field(default_factory=list)
    reigns: list[tuple[int, Span]] = field(default_factory=list)
    ended: list[Span] = field(default_factory=list)
    lives: list[list[tuple[float, float]]] = field(default_factory=list)
    port: int = 0
    upstream_port: int = 0
    _upstream: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _gateway: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _server: process.Server | None = None
    _sampling: threading.Event = field(default_factory=threading.Event)

    @property
    def clock(self) -> Path | None:
        """The library that makes a clock lie; None where this machine has none."""
        return next((file for pattern in _FAKETIME for file in sorted(Path("/").glob(pattern.lstrip("/")))), None)

    def start_upstream(self) -> None:
        """Have the large model answer."""
        command = [sys.executable, "-m", "bench.upstream", "--port", "{port}", "--delay", str(DELAY)]
        log = self.folder / "logs" / f"upstream-{time.monotonic():.0f}"
        self._upstream_server = self._upstream.enter_context(
            process.serving(command, limit=START_LIMIT, log=log, port=self.upstream_port or None)
        )
        self.upstream_port = self._upstream_server.port

    def kill_upstream(self) -> None:
        """End it as a crash would."""
        process.kill(self._upstream_server.process)
        self._upstream.close()

    def manners(self, **given: float) -> None:
        """Have the upstream be slow, or fail."""
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream_port, timeout=10)
        connection.request("POST", "/manners", json.dumps(given))
        connection.getresponse().read()
        connection.close()

    def start_gateway(self) -> None:
        """Serve, and wait until it is ready."""
        lines = [self.folder / name for name in self.versions]
        fallback = ["--fallback", f"http://127.0.0.1:{self.upstream_port}/v1", "--fallback-model", BIG, "--fallback-seconds", "10"]
        waits = ["--fallback-connect-seconds", "2", "--fallback-retry-seconds", "3", "--capture", "answers", "--no-access-log"]
        command = [*CLI, "serve", *lines, *fallback, *waits, "--port", "{port}"]
        env = {**self.context.env(), "SMIDGEN_HOME": str(self.home)}
        if self.clock is not None:
            env |= {"LD_PRELOAD": str(self.clock), "FAKETIME_TIMESTAMP_FILE": str(self._tells), "FAKETIME_CACHE_DURATION": "1"}
            env |= {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
        log = self.folder / "logs" / f"gateway-{len(self.lives)}"
        serving = process.serving(command, limit=START_LIMIT * self.context.patience, log=log, env=env, port=self.port or None)
        self._server = self._gateway.enter_context(serving)
        self.port = self._server.port
        self.lives.append([])
        if self.down and self.down[-1].ended == float("inf"):
            self.down[-1].ended = time.monotonic()

    def kill_gateway(self) -> None:
        """kill -9: nothing is finished, nothing is closed."""
        self.down.append(Span(time.monotonic()))
        assert self._server is not None
        server, self._server = self._server, None
        process.kill(server.process)
        self._gateway.close()

    def stop_gateway(self) -> int:
        """Ask it to stop; the code that it ends with."""
        assert self._server is not None
        server, self._server = self._server, None
        self._gateway.close()
        return int(server.process.returncode)

    def sample(self) -> None:
        """Write down how much memory the gateway has; once a second, until `close`, in a thread of its own."""
        while not self._sampling.wait(1.0):
            server = self._server
            resident = server.resident_mb() if server is not None else None
            if resident is not None and self.lives:
                self.lives[-1].append((time.monotonic(), resident))

    def promote(self, number: int) -> None:
        """Make a version of the first line its champion, as a person would who goes back."""
        words = [*CLI, "rollback", self.folder / FIRST, "--to", self.versions[FIRST][number].id]
        began = time.monotonic()
        ran = process.run(words, limit=120, log=self.folder / "logs" / f"rollback-{len(self.reigns)}", env={"SMIDGEN_HOME": str(self.home)})
        if ran.trouble:
            raise shop.NoBundle(f"the champion could not be changed: {ran.trouble}")
        self.reigns[-1][1].ended = began
        self.reigns.append((number, Span(time.monotonic())))

    def fill_disk(self) -> None:
        """Leave no byte on the disk of the home."""
        with contextlib.suppress(OSError), (self.home / "ballast").open("wb", buffering=0) as stream:
            for size in (1_000_000, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        if not stream.write(bytes(size)):
                            break

    def free_disk(self) -> None:
        """Give it back."""
        (self.home / "ballast").unlink(missing_ok=True)

    def set_clock(self, days: int) -> None:
        """Have the gateway's clock be so many days ahead."""
        self._tells.write_text(f"+{days}d\n" if days else "+0\n", encoding="ascii")

    @property
    def _tells(self) -> Path:
        return self.folder / "clock"

    def close(self) -> None:
        """End everything, and give the disk back."""
        self._sampling.set()
        self._gateway.close()
        self._upstream.close()
        if self.own_disk:
            subprocess.run(["umount", str(self.home)], check=False, capture_output=True, timeout=60)


def made(context: Context, folder: Path, disk_mb: int) -> World:
    """Build the models, certify them, and put them into their lines. Raises `shop.NoBundle`."""
    shutil.rmtree(folder, ignore_errors=True)
    home = folder / "home"
    (folder / "logs").mkdir(parents=True)
    home.mkdir()
    world = World(context, folder, home, own_disk=_mounted(home, disk_mb))
    world.set_clock(0)
    try:
        for name, prefixes in PREFIXES.items():
            world.versions[name] = [_version(world, name, prefix) for prefix in prefixes]
    except BaseException:
        world.close()
        raise
    world.reigns.append((len(PREFIXES[FIRST]) - 1, Span(time.monotonic())))
    return world


def _version(world: World, name: str, prefix: str) -> Version:
    """A version of a line, with labels of its own, under a certificate; it is the champion."""
    from smidgen.bundles.open import read_manifest
    from smidgen.flows.learn.promotion import promote
    from smidgen.gateway import certificate as papers
    from smidgen.store.line import Line, is_line

    context = world.context
    train = shop.write(context.out / "data" / f"soak-{prefix}train.csv", shop.areas("train", prefix))
    sample = shop.write(context.out / "data" / f"soak-{prefix}test.csv", shop.areas("test", prefix))
    bundle = shop.built(context, f"soak-{prefix}linear", train, ("--student", "linear"))
    line = Line(world.folder / name)
    before = line.read().champion if is_line(line.folder) else line.begin(name).champion
    work = line.folder / f".work-{prefix}" / "bundle"
    shutil.copytree(bundle, work)
    id = promote(line, work, by="hand", why="soak", instead_of=before)
    shutil.rmtree(work.parent)
    done = shop.certified(context, line.version(id), sample, world.home)
    paper = papers.read(papers.place(line.version(id)))
    assert read_manifest(line.version(id)).id == id
    return Version(id, paper.id, done)


def _mounted(home: Path, megabytes: int) -> bool:
    """A disk of its own for the home, where this user may mount one: a full one must not be everybody's."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    words = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "tmpfs", str(home)]
    return subprocess.run(words, check=False, capture_output=True, timeout=60).returncode == 0
