"""A recording in place of the large model: its answers, and a server on this machine that returns them like a large model's API.

The answers are the sample's own labels, with some errors that a file lists and explains. Every reply says that it is a recording. A text
that was not recorded is refused: no answer is made up.
"""

from __future__ import annotations

import contextlib
import csv
import importlib.resources
import io
import itertools
import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from smidgen.core.errors import DataError
from smidgen.store.files import rows_hash

MARK = "a recording, not a model"
"""The note in every reply and on every screen."""
FILE = "support_recording.json"
SAMPLES = ("support_train.csv", "support_test.csv")


@dataclass(frozen=True)
class Recording:
    """Recorded answers by their texts.

    Attributes:
        answers: the recorded label of each text, in the order of the sample's files.
        right: the sample's own label of each text.
        about: how the recording was made, in words.
    """

    answers: Mapping[str, str]
    right: Mapping[str, str]
    about: str

    @property
    def labels(self) -> list[str]:
        """All labels in the answers, sorted."""
        return sorted(set(self.answers.values()))

    @property
    def wrong(self) -> int:
        """How many answers differ from the sample's own labels."""
        return sum(self.answers[text] != label for text, label in self.right.items())


def sample() -> list[tuple[str, str]]:
    """Return (text, label) of every message of the sample shop in order, each text once."""
    found: dict[str, str] = {}
    for name in SAMPLES:
        content = (importlib.resources.files("smidgen") / "samples" / "homeware" / name).read_text(encoding="utf-8")
        for row in csv.DictReader(io.StringIO(content, newline="")):
            found.setdefault(row["text"], row["intent"])
    return list(found.items())


def read() -> Recording:
    """Read the recording that comes with smidgen. Raises DataError if the sample's messages have changed since it was made."""
    rows = sample()
    facts = json.loads((importlib.resources.files("smidgen") / "samples" / "homeware" / FILE).read_text(encoding="utf-8"))
    if facts["sample_sha256"] != rows_hash(rows):
        raise DataError("cli.recording_does_not_match_sample", value=FILE, file=FILE)
    said = [label for _, label in rows]
    for number, label in facts["errors"].items():
        said[int(number)] = label
    return Recording(dict(zip((text for text, _ in rows), said, strict=True)), dict(rows), facts["about"])


_MOST_BYTES = 1_000_000
_IDLE_SECONDS = 120.0
_CHAT, _MODELS = "/v1/chat/completions", "/v1/models"


class _RecordedServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


@contextlib.contextmanager
def served(recording: Recording) -> Iterator[str]:
    """Serve the recording on a free port of the loopback until the block ends; yields the base URL."""
    server = _RecordedServer(("127.0.0.1", 0), _handler(recording))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="recording", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(recording: Recording) -> type[BaseHTTPRequestHandler]:
    numbers = itertools.count(1)

    class Handler(BaseHTTPRequestHandler):
        disable_nagle_algorithm = True
        timeout = _IDLE_SECONDS

        def do_GET(self) -> None:
            """Send the list of models, which has one entry."""
            if self.path != _MODELS:
                self._refuse(404, "not_found", f"there is nothing at {self.path[:80]}")
                return
            self._send(200, {"object": "list", "data": [{"id": MARK, "object": "model", "created": 0, "owned_by": "smidgen's sample"}]})

        def do_POST(self) -> None:
            """Send the recorded answer."""
            length = self.headers.get("content-length", "")
            if not length.isdigit() or int(length) > _MOST_BYTES:
                self.close_connection = True  # the unread rest would be taken for the next request
                self._refuse(413, "too_large", f"a body of at most {_MOST_BYTES:,} bytes, with its length, is taken")
                return
            content = self.rfile.read(int(length))
            if self.path != _CHAT:
                self._refuse(404, "not_found", f"it answers at {_CHAT} alone")
                return
            try:
                body = json.loads(content)
            except (ValueError, RecursionError):
                self._refuse(400, "bad_json", "the body is not JSON")
                return
            if isinstance(body, dict) and body.get("stream"):
                self._refuse(400, "no_stream", "it does not stream: leave stream out")
                return
            said = recording.answers.get(_text(body))
            if said is None:
                self._refuse(404, "not_in_the_recording", "this text was not recorded, and nothing is made up. Ask a message of the sample")
                return
            self._send(200, _reply(next(numbers), said))

        def _refuse(self, status: int, code: str, why: str) -> None:
            error = {"message": f"{MARK}: {why}.", "type": "invalid_request_error", "param": None, "code": code}
            self._send(status, {"error": error})

        def _send(self, status: int, value: Any) -> None:
            content = json.dumps(value, ensure_ascii=False).encode("utf-8")
            with contextlib.suppress(OSError):  # the client may have gone
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                if self.close_connection:
                    self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Print nothing: the demo uses the screen."""

    return Handler


def _text(body: Any) -> str:
    """Return the only user message; empty if there are none or several, or it has no text."""
    messages = body.get("messages") if isinstance(body, dict) else None
    said = (
        [one.get("content") for one in messages if isinstance(one, dict) and one.get("role") == "user"]
        if isinstance(messages, list)
        else []
    )
    return said[0] if len(said) == 1 and isinstance(said[0], str) else ""


def _reply(number: int, said: str) -> dict[str, Any]:
    """Return a chat completion. It has no `usage`: a recording reads and writes no tokens."""
    return {
        "id": f"recording-{number}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": MARK,
        "system_fingerprint": MARK,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}],
    }
