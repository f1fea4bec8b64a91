"""Running a group of exchanges against `smidgen serve`, and writing down what crossed the wire on both of its sides."""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests import commands
from tests.golden.bundles import write_home
from tests.golden.wire import SECONDS, Answer, Got, Head, Upstream, ask, upstream

FOLDER = Path(__file__).parent / "transcripts"
SERVER, UPSTREAM, SECOND, DEAD = "<server>", "<upstream>", "<second upstream>", "<dead>"
"""Addresses, host and port, in requests, flags and transcripts. Nothing listens at the last."""
QUIET = r"smidgen_requests_running 1\.0"
"""A line of /metrics, as a pattern: the request for them is the only one that is being answered."""
VIA = "<via>"
"""What the server calls itself among those that a request came through."""


@dataclass(frozen=True)
class Exchange:
    """One request, and all that comes of it.

    Attributes:
        name: what it shows.
        sent: the bytes that the client sends.
        answers: of the upstream, in order; past them it gives its usual one.
        second: of the second upstream.
        until: a line of /metrics, as a pattern, that is waited for in the end: what is written behind the request's back is there then.
        during: a request that is sent, and answered, while the upstream is at work on the first.
        hang_up: the client goes while the upstream is at work.
    """

    name: str
    sent: bytes
    answers: Sequence[Answer] = ()
    second: Sequence[Answer] = ()
    until: str = ""
    during: bytes = b""
    hang_up: bool = False


@dataclass(frozen=True)
class Group:
    """Exchanges with one server, in their order.

    Attributes:
        name: also of its transcript.
        flags: of `smidgen serve`; addresses and `<folder>` stand as in a transcript.
        exchanges: in order.
        usual: what the upstream answers where an exchange does not say.
        environment: variables of the server's.
        prepare: puts files into the folder, and returns the bundles to serve. The server's home is `home` in it.
    """

    name: str
    flags: Sequence[str]
    exchanges: Sequence[Exchange]
    usual: Answer
    environment: Sequence[tuple[str, str]] = ()
    prepare: Callable[[Path], Sequence[Path]] = lambda folder: ()


@dataclass(frozen=True)
class Rule:
    """What is not the same in every run, and what stands for it in a transcript."""

    name: str
    pattern: bytes
    instead: bytes
    beside: bytes = b""
    """Of a header, what the body must say for the rule to count."""

    def apply(self, text: bytes, body: bytes = b"") -> bytes:
        """The text with it."""
        return re.sub(self.pattern, self.instead, text) if self.beside in body else text


HEADERS = (
    Rule("the time of an answer", rb"^date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$", rb"date: <date>"),
    Rule("the id of a request that brings none", rb"^x-request-id: req_[0-9a-f]{24}$", rb"x-request-id: <request id>"),
    Rule("the name of the server among those passed through", rb"^(x-smidgen-via: (?:[0-9a-f]{24},)*)[0-9a-f]{24}$", rb"\1<via>"),
    Rule("the age of a cached answer", rb"^age: \d{1,2}$", rb"age: <seconds>"),
    Rule("the seconds to midnight", rb"^retry-after: \d{1,5}$", rb"retry-after: <seconds>", beside=b'"code":"budget_exceeded"'),
    Rule("the seconds until an upstream is tried again", rb"^retry-after: \d{1,2}$", rb"retry-after: <seconds>", beside=b"left alone for"),
)
"""For each header line, its name in small letters."""
BODIES = (
    Rule("the id of a completion", rb'(?<="id":")(chatcmpl|cmpl)-[0-9a-f]{24}(?=")', rb"\1-<id>"),
    Rule("the id of a response or an item", rb'(?<=id":")(resp_smidgen|msg)_[0-9a-f]{24}(?=")', rb"\1_<id>"),
    Rule("when something was made", rb'"(created|created_at|completed_at)":1[7-9]\d{8}(?=[,}])', rb'"\1":<time>'),
    Rule("the day when the server started", rb'"release_date":"20\d\d-\d\d-\d\d"', rb'"release_date":"<day>"'),
    Rule("the days of an account", rb'"(day|from|to)":"20\d\d-\d\d-\d\d"', rb'"\1":"<day>"'),
    Rule("times in an account", rb'"(mean|p50|p95|p99)":\d+(\.\d+)?(?=[,}])', rb'"\1":<ms>'),
    Rule("energy in an account", rb'"(measured_wh|estimated_wh|of_that_local_answers_wh)":[\d.e-]+(?=[,}])', rb'"\1":<wh>'),
    Rule("the hours to midnight", rb"in \d{1,2}\.\d hours", rb"in <n> hours"),
    Rule("the hours to midnight, as a value", rb'"hours":"\d{1,2}\.\d"', rb'"hours":"<n>"'),
    Rule("the seconds until an upstream is tried again", rb"left alone for \d{1,2} s more", rb"left alone for <n> s more"),
    Rule("the age of a cached answer", rb'"age":\d{1,2}(?=[,}])', rb'"age":<seconds>'),
)
"""For bodies of answers to the client."""
NOISE = Rule("digits of a score after the sixth, which differ between processors", rb"(?<![\w.])(-?\d\.\d{6})\d+(?![\w.])", rb"\1~")
"""For bodies of answers that no upstream wrote. The sixth digit stays, cut and not rounded. Most scores have six on the wire."""


class Address:
    """What is known of a run alone, ports above all, and what stands for it."""

    def __init__(self) -> None:
        self._known: list[tuple[bytes, bytes]] = []
        self._via = b""

    def add(self, name: str, port: int) -> None:
        """Call this port so."""
        self._known.append((name.encode(), f"127.0.0.1:{port}".encode()))

    def note_via(self, seen: Sequence[Got]) -> None:
        """Remember what the server calls itself to its upstream."""
        self._via = next((got.head.value(b"x-smidgen-via").rpartition(b",")[2] for got in seen), self._via)

    def filled(self, text: bytes) -> bytes:
        """With ports for names."""
        text = text.replace(VIA.encode(), self._via)
        for name, place in self._known:
            text = text.replace(name, place)
        return text

    def named(self, text: bytes) -> bytes:
        """With names for ports."""
        for name, place in self._known:
            text = text.replace(place, name)
        return text


@dataclass
class Running:
    """A group's server and its upstreams."""

    group: Group
    process: commands.Running
    first: Upstream
    second: Upstream
    address: Address
    port: int = 0

    def await_ready(self) -> None:
        """Returns when the server answers."""
        self.port = int(self.process.ready()["url"].rpartition(":")[2])
        self.address.add(SERVER, self.port)


@contextmanager
def started(group: Group, folder: Path) -> Iterator[Running]:
    """Its server, started in an empty folder; it need not be ready yet."""
    address = Address()
    with ExitStack() as stack:
        first, second = (stack.enter_context(upstream(group.usual)) for _ in range(2))
        dead = stack.enter_context(socket.socket())
        dead.bind(("127.0.0.1", 0))  # taken, and nobody listens
        for name, port in ((UPSTREAM, first.port), (SECOND, second.port), (DEAD, dead.getsockname()[1])):
            address.add(name, port)
        write_home(folder / "home")
        bundles = group.prepare(folder)
        flags = [address.filled(flag.replace("<folder>", str(folder)).encode()).decode() for flag in group.flags]
        ours = {
            name: value for name, value in os.environ.items() if not name.startswith("SMIDGEN_") and not name.lower().endswith("_proxy")
        }
        environment = {**ours, "SMIDGEN_HOME": str(folder / "home"), "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1", **dict(group.environment)}
        process = stack.enter_context(commands.smidgen("serve", *bundles, "--port", "0", "--json", *flags, environment=environment))
        yield Running(group, process, first, second, address)
        process.stop()


def transcript(running: Running) -> str:
    """All exchanges of a group that was started, one after the other, and the names of its metrics in the end."""
    running.await_ready()
    group = running.group
    head = [f"group: {group.name}", f"smidgen serve {' '.join(group.flags)}".strip()]
    head += [f"{name}={value}" for name, value in group.environment]
    parts = ["\n".join(head)]
    parts += [_exchange(running, place, exchange) for place, exchange in enumerate(group.exchanges, 1)]
    _await_metric(running, QUIET)
    parts.append("==== metrics: types, names and labels\n" + "\n".join(_metrics(running)))
    return "\n\n".join(parts) + "\n"


def exchanges_in(text: str) -> list[str]:
    """The exchanges of a transcript, each as it stands there."""
    return re.split(r"(?m)^(?=={4} \d)", text)[1:]


def _exchange(running: Running, place: int, exchange: Exchange) -> str:
    for one, answers in ((running.first, exchange.answers), (running.second, exchange.second)):
        one.script[:], one.seen[:] = list(answers), []
        for event in (one.came, one.left, one.client_has_it):
            event.clear()
    sent = running.address.filled(exchange.sent)
    got: list[Got] = []
    between: list[Got] = []
    if exchange.hang_up:
        _hang_up(running, sent, begun=exchange.answers[0].pieces is not None)
    elif exchange.during:
        got, between = _with_another(running, exchange, sent)
    else:
        held = any(answer.hold for answer in exchange.answers)
        got = ask(running.port, sent, running.first.client_has_it if held else None)
    if exchange.until:
        _await_metric(running, exchange.until)
    lines = [f"==== {place:02d} {exchange.name}", "---- client sends", *_request(exchange.sent)]
    running.address.note_via(running.first.seen)
    for name, one, answers in (("upstream", running.first, exchange.answers), ("second upstream", running.second, exchange.second)):
        assert not one.script, f"{exchange.name}: the {name} was asked {len(one.seen)} times, and {len(answers)} answers are there"
        for number, seen in enumerate(one.seen):
            lines += [f"---- {name} gets", *_message(running, seen, ours=False)]
            answer = answers[number] if number < len(answers) else running.group.usual
            lines += [f"---- {name} answers", *_told(answer, number >= len(answers))]
    for other in between:
        lines += ["---- meanwhile another client sent", *_request(exchange.during), "---- and got", *_message(running, other)]
    for message in got:
        lines += ["---- client gets", *_message(running, message)]
    if exchange.hang_up:
        lines.append("---- client hangs up, and the upstream sees its connection closed")
    return "\n".join(lines)


def _hang_up(running: Running, sent: bytes, begun: bool) -> None:
    """Send it, and go. `begun`: not before something of the answer has come."""
    with socket.create_connection(("127.0.0.1", running.port), timeout=SECONDS) as connection:
        connection.sendall(sent)
        assert running.first.came.wait(SECONDS), "the request did not get to the upstream"
        got = b""
        while begun and not got.partition(b"\r\n\r\n")[2]:
            got += connection.recv(1 << 16)
    assert running.first.left.wait(SECONDS), "the upstream's connection stays open after the client has gone"


def _with_another(running: Running, exchange: Exchange, sent: bytes) -> tuple[list[Got], list[Got]]:
    release = exchange.answers[0].release
    assert release is not None, "the first answer must wait to be released"
    release.clear()
    got: list[Got] = []
    asking = threading.Thread(target=lambda: got.extend(ask(running.port, sent)))
    asking.start()
    try:
        assert running.first.came.wait(SECONDS), "the request did not get to the upstream"
        between = ask(running.port, running.address.filled(exchange.during))
    finally:
        release.set()
        asking.join(SECONDS)
    return got, between


def _await_metric(running: Running, pattern: str) -> None:
    """Ask for the metrics until one of their lines is so."""
    until = time.monotonic() + SECONDS
    while True:
        text = _asked_metrics(running)
        if re.search(f"(?m)^{pattern}$", text):
            return
        assert time.monotonic() < until, f"no metric became {pattern}:\n{text}"
        time.sleep(0.02)


def _asked_metrics(running: Running) -> str:
    headers = [("Host", SERVER)]
    key = next((value for flag, value in zip(running.group.flags, running.group.flags[1:], strict=False) if flag == "--admin-key"), "")
    headers += [("Authorization", f"Bearer {key}")] if key else []
    until = time.monotonic() + SECONDS
    while True:
        (got,) = ask(running.port, running.address.filled(request("GET", "/metrics", headers=headers)))
        if got.head.first.endswith(b" 200 OK"):
            return got.body.decode("utf-8")
        assert time.monotonic() < until, got
        time.sleep(0.02)  # one request at a time is let in, and the last one is just leaving


def _metrics(running: Running) -> list[str]:
    """Types, names and labels, with the buckets of a histogram in one line; of what is counted one by one, how often. Without what the
    process and Python say of themselves. Of energy there is the type alone: for whom some was measured differs from run to run."""
    lines: dict[str, list[str]] = {}
    for line in _asked_metrics(running).splitlines():
        name, _, value = line.rpartition(" ")
        if line.startswith("# TYPE "):
            lines[line] = []
        elif not line.startswith("#") and not name.partition("{")[0].endswith("_created"):
            bound = re.search(r',?\ble="([^"]+)"', name)
            plain = re.sub(r',?\ble="[^"]+"', "", name).replace("{,", "{")
            lines.setdefault(plain, [])
            lines[plain] += [bound[1]] if bound else [value.removesuffix(".0")] if _is_counted(name) else []
    named = {name: values for name, values in lines.items() if not _UNTOLD.match(name)}
    return [f"{name} {' '.join(values)}".strip() for name, values in sorted(named.items())]


_UNTOLD = re.compile(r"(# TYPE )?(process|python)_|# TYPE \w+_created|smidgen_energy_joules")


def _is_counted(name: str) -> bool:
    """Whether a metric's value is the same in every run: requests that were counted, but for those that ask for the metrics."""
    return (
        re.match(r"smidgen_(gateway_requests|upstream_errors|upstream_retries|privacy_\w+|budget_refused|cache_\w+|requests)_total", name)
        is not None
        and '"/metrics"' not in name
    )


def request(method: str, path: str, body: bytes = b"", headers: Sequence[tuple[str, str]] = ()) -> bytes:
    """The bytes of a request, with a length where there is a body."""
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    if body and not any(name.lower() in ("content-length", "transfer-encoding") for name, _ in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("utf-8") + b"\r\n\r\n" + body


def _request(sent: bytes) -> list[str]:
    """As the client sent it, each line as it is."""
    head, _, body = sent.partition(b"\r\n\r\n")
    return [*(_shown(line) for line in head.split(b"\r\n")), *_body(body)]


def _told(answer: Answer, usual: bool) -> list[str]:
    """What the upstream was to answer, in short where that is told elsewhere."""
    if usual:
        return ["(its usual answer)"]
    if answer.silent and answer.pieces is None:
        return ["(nothing)"]
    if answer.raw is not None:
        return ["(these bytes, and closes)", *_body(answer.raw)]
    lines = [answer.status, *(f"{name}: {value}" for name, value in answer.headers)]
    if answer.pieces is None:
        return [*lines, *_body(answer.body), *(["(and breaks off)"] if answer.cut else [])]
    wait = ["(waits until the client has the first piece)"] if answer.hold else []
    rest = ["(and breaks off)"] if answer.cut else ["(and no more)"] if answer.silent else []
    return [*lines, *wait, *_body(b"".join(answer.pieces)), *rest]


def _message(running: Running, got: Got, ours: bool = True) -> list[str]:
    """A message by the rules. `ours`: it is the server's answer, else what the upstream was sent."""
    body = running.address.named(got.body)
    for rule in BODIES if ours else ():
        body = rule.apply(body)
    if ours and got.head.value(b"x-smidgen-answered-by") != b"upstream":
        body = NOISE.apply(body)
    lines = [_shown(got.head.first), *(_shown(line) for line in _head(running, got.head, got.body, body))]
    if got.first is not None and len(got.first) < len(got.body):
        lines += ["(before the upstream went on)", *_body(running.address.named(got.first))]
    lines += _body(body)
    return [*lines, "(and breaks off)"] if got.end != "whole" else lines


def _head(running: Running, head: Head, came: bytes, told: bytes) -> Iterator[bytes]:
    """Header lines by the rules. A length that is that of the body is told as that of the body by the rules."""
    for line in head.lines:
        name, _, value = line.partition(b":")
        line = running.address.named(line)
        if name.lower() == b"content-length" and value.strip() == str(len(came)).encode():
            line = name + b": " + str(len(told)).encode()
        low = name.lower() + line[len(name) :]
        for rule in HEADERS:
            changed = rule.apply(low, came)
            if changed != low:
                line = name + changed[len(name) :]
                break
        yield line


def _body(body: bytes) -> list[str]:
    """A body as lines, each behind a bar; one that ends with a line break has a sign for it."""
    if not body:
        return []
    pieces = body.split(b"\n")
    return [f"| {_shown(piece)}⏎" for piece in pieces[:-1]] + ([f"| {_shown(pieces[-1])}"] if pieces[-1] else [])


def _shown(line: bytes) -> str:
    """Bytes as text: what cannot be printed stands as ‹hex›, and a long run of one sign in short."""
    text = re.sub(r"(.)\1{299,}", lambda run: f"{run[1]}‹{len(run[0])} times›", line.decode("utf-8", "surrogateescape"))
    return "".join(
        sign if sign.isprintable() else "".join(f"‹{byte:02x}›" for byte in sign.encode("utf-8", "surrogateescape")) for sign in text
    )
