"""The tutorial "Learn from traffic" works as it is printed: its files, its commands, in their order."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from smidgen.store.files import home

from .conftest import ROOT

PAGE = ROOT / "docs" / "tutorials" / "learn-from-traffic.md"
_SWITCH_SECONDS = 3.0
"""A running server goes back within two; one more for a busy machine."""
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```", re.DOTALL | re.MULTILINE)


class Terminal:
    """Types the lines of a tutorial: files are written, servers go on running, everything else is waited for.

    Args:
        folder: where it works.
        ports: what takes the place of the page's ports.
    """

    def __init__(self, folder: Path, ports: dict[str, str]) -> None:
        self._folder, self._ports = folder, ports
        self._servers: list[subprocess.Popen[bytes]] = []
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SMIDGEN_")}
        self._environment = {**kept, "SMIDGEN_HOME": str(folder / "home"), "PYTHONUTF8": "1"}

    def type(self, kind: str, block: str) -> str:
        """Everything that a block of the page prints."""
        for old, new in self._ports.items():
            block = block.replace(old, new)
        if kind == "python":
            name, _, text = block.removeprefix("# ").partition("\n")
            (self._folder / name).write_text(text, encoding="utf-8")
            return ""
        return "".join(self.run(line) for line in block.splitlines())

    def run(self, line: str) -> str:
        """What a command prints; nothing of a server, once it is ready."""
        program, *words = shlex.split(line)
        command = [sys.executable, *(["-m", "smidgen"] if program == "smidgen" else []), *words]
        if words[0] == "serve":
            server = subprocess.Popen([*command, "--json"], cwd=self._folder, env=self._environment, stdout=subprocess.PIPE)
            self._servers.append(server)
            assert server.stdout is not None and b'"url"' in server.stdout.readline()
            return ""
        done = subprocess.run(command, cwd=self._folder, env=self._environment, capture_output=True, text=True, encoding="utf-8")
        assert done.returncode == 0, f"{line}: {done.stderr[-2000:]}"
        return done.stdout + done.stderr

    def close(self) -> None:
        """Stop the servers, the last one first."""
        for server in reversed(self._servers):
            server.send_signal(signal.SIGTERM)
            server.wait(60)


@contextmanager
def terminal(folder: Path) -> Iterator[Terminal]:
    """A terminal in the folder, with a home that has this machine's bases."""
    (folder / "home").mkdir()
    (folder / "home" / "bases").symlink_to(home() / "bases")
    shown = Terminal(folder, {"9000": str(free_port()), "8080": str(free_port())})
    try:
        yield shown
    finally:
        shown.close()


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_the_page_has_the_steps_that_the_run_looks_at() -> None:
    kinds = [(kind, block.splitlines()[0]) for kind, block in BLOCK.findall(PAGE.read_text(encoding="utf-8"))]
    assert [line for kind, line in kinds if kind == "python"] == ["# messages.py", "# send.py"]
    assert len([line for kind, line in kinds if kind == "sh"]) == 10


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform == "win32", reason="servers are asked to stop by a signal")
def test_learning_from_traffic_works_as_it_is_printed(tmp_path: Path) -> None:
    with terminal(tmp_path) as shown:
        shown.run("smidgen init shop --recipe support")
        shown.run("smidgen build shop/smidgen.toml --student linear --set gate.min_headline=0.5 --baseline none")
        said = []
        for kind, block in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
            back, again, rest = block.partition("smidgen rollback tickets\n")
            if again:
                said.append(shown.type(kind, back + again))
                time.sleep(_SWITCH_SECONDS)
            said.append(shown.type(kind, rest if again else block))
            print("=====", said[-1], sep="\n")
            if block == "python send.py first.csv\n":
                until_stored(shown, 1850)
    text = "\n".join(said)
    first, second, after = [counts(line) for line in text.splitlines() if line.startswith("{'")]
    assert first == {"upstream": 1900}
    assert "promoted" in text and "certificate: of the distinct texts answered locally" in text
    assert second["local"] >= 100
    assert list(after) == ["upstream"], "two seconds after going back the new version still answered"


RETAIL = ROOT / "docs" / "tutorials" / "retail.md"


@pytest.mark.thorough
def test_what_to_order_works_as_it_is_printed(tmp_path: Path) -> None:
    """But for the chat, which waits for a person, and the reader. The page's notes on the data are the run's, word for word."""
    page = RETAIL.read_text(encoding="utf-8")
    lines = [line for kind, block in BLOCK.findall(page) if kind == "sh" for line in block.splitlines()]
    with terminal(tmp_path) as shown:
        shown.run("smidgen solve stock --help")
        text = ""
        for line in lines:
            if "sales=sales.csv" in line:
                for name in ("sales.csv", "stock.csv"):
                    (tmp_path / name).write_bytes((tmp_path / "shop" / name).read_bytes())
            if not line.startswith("smidgen chat") and "reader" not in line and "words" not in line:  # the reader takes minutes to build
                text += shown.run(f"{line} --yes" if "--change" in line else line)
    notes = [line for line in re.findall(r"^· .*$", page, re.MULTILINE) if "…" not in line]
    flat = " ".join(text.split())
    assert [note for note in notes if note not in flat] == [] and len(notes) == 4
    assert (
        len(lines) == 10
        and "Stoke Pottery (5 items): lead time 28 days, was 14" in text
        and " of Tamsin Linen Cushion 45 today, because about 13.9 a day" in flat
    )


def until_stored(shown: Terminal, least: int) -> None:
    """Wait for what the gateway still holds to be stored."""
    for _ in range(120):
        if json.loads(shown.run("smidgen traffic --json"))["requests"] >= least:
            return
        time.sleep(1)
    raise AssertionError(f"fewer than {least} requests were stored")


def counts(line: str) -> dict[str, int]:
    """A printed dict of counts."""
    return {name: int(count) for name, count in re.findall(r"'(\w+)': (\d+)", line)}
