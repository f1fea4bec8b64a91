"""Python tracebacks in a text: as the interpreter prints them, and as pytest does."""

from __future__ import annotations

import re
from dataclasses import dataclass

_HEAD = re.compile(r"^(?P<before>.*?)Traceback \(most recent call last\):\s*$")
_FRAME = re.compile(r'^\s*File "(?P<path>[^"]+)", line (?P<line>\d+)(?:, in (?P<function>.+))?\s*$')
_KIND = re.compile(r"^(?P<kind>[A-Za-z_][\w.]*)(?:: ?(?P<message>.*))?$")
_MARKS = re.compile(r"^\s*[~^]+[~^ ]*$")
_REPEATED = re.compile(r"^\s*\[Previous line repeated (?P<count>\d+) more times?\]\s*$")
_CAUSE = "The above exception was the direct cause of the following exception:"
_CONTEXT = "During handling of the above exception, another exception occurred:"
_PLACE = re.compile(r"^(?P<path>[^\s:][^:]*\.py):(?P<line>\d+): ?(?P<kind>[A-Za-z_][\w.]*)?\s*$")
_SAID = re.compile(r"^E {1,7}(?P<text>.*)$")
_FAULTY = re.compile(r"^> {3,}(?P<source>\S.*)$")
_MOST_LINES = 8
"""Lines of a message that are read."""


@dataclass(frozen=True, slots=True)
class TracebackFrame:
    """A place that the error went through.

    Attributes:
        path, line: as the traceback has them.
        function: the name of the function; `<module>` outside any, empty if it is not told.
        source: the line of code, without blanks around it; empty if it is not told.
        marked: the columns of the part of `source` at fault, from and before, counted from 0; None if it is not told.
        times: how often the place follows itself.
    """

    path: str
    line: int
    function: str = ""
    source: str = ""
    marked: tuple[int, int] | None = None
    times: int = 1


@dataclass(frozen=True, slots=True)
class RaisedError:
    """An error with its places, the outermost first.

    Attributes:
        kind: the name of its class, such as KeyError or json.decoder.JSONDecodeError.
        message: its text.
        frames: the places.
        after: how it came of the error before it: `cause` (raised from it), `context` (while it was handled), or empty.
    """

    kind: str
    message: str
    frames: tuple[TracebackFrame, ...]
    after: str = ""

    @property
    def name(self) -> str:
        """The name of its class without the module."""
        return self.kind.rpartition(".")[2]


def read_tracebacks(text: str) -> list[RaisedError]:
    """The errors of the last traceback in a text, in the order in which they were raised; empty if there is none."""
    lines = text.replace("\r\n", "\n").split("\n")
    found = _plain(lines)
    return found or _of_pytest(lines)


def _plain(lines: list[str]) -> list[RaisedError]:
    """The last chain that the interpreter printed, with or without something before each line."""
    heads = [(number, match["before"]) for number, line in enumerate(lines) if (match := _HEAD.match(line))]
    if not heads:
        last = [number for number, line in enumerate(lines) if _FRAME.match(line)]
        return _chain(lines[last[-1] :], []) if last else []
    begin = len(heads) - 1
    while begin > 0 and _link(lines[heads[begin - 1][0] : heads[begin][0]]):
        begin -= 1
    first, before = heads[begin]
    bare = [line.removeprefix(before) if before.strip() else line for line in lines[first:]]
    return _chain([line[len(line) - len(line.lstrip()) :] if _HEAD.match(line.lstrip()) else line for line in bare], [])


def _link(lines: list[str]) -> str:
    """How the error after these lines came of the one before."""
    for line in lines:
        if line.rstrip().endswith(_CAUSE):
            return "cause"
        if line.rstrip().endswith(_CONTEXT):
            return "context"
    return ""


def _chain(lines: list[str], found: list[RaisedError]) -> list[RaisedError]:
    after = ""
    while lines:
        error, lines = _one(lines, after)
        if error is None:
            break
        found.append(error)
        head = next((number for number, line in enumerate(lines) if _HEAD.match(line)), len(lines))
        after, lines = _link(lines[:head]), lines[head:]
        if not after:
            break
    return found


def _one(lines: list[str], after: str) -> tuple[RaisedError | None, list[str]]:
    """The error at the beginning of the lines, and the lines behind it."""
    frames: list[TracebackFrame] = []
    at = 1 if lines and _HEAD.match(lines[0]) else 0
    while at < len(lines):
        if place := _FRAME.match(lines[at]):
            frame, at = _frame(place, lines, at + 1)
            frames.append(frame)
        elif (again := _REPEATED.match(lines[at])) and frames:
            last = frames.pop()
            frames.append(TracebackFrame(last.path, last.line, last.function, last.source, last.marked, last.times + int(again["count"])))
            at += 1
        elif (kind := _KIND.match(lines[at])) and frames:
            rest = []
            for line in lines[at + 1 : at + 1 + _MOST_LINES]:
                if not line.strip() or _HEAD.match(line):
                    break
                rest.append(line)
            message = "\n".join([kind["message"] or "", *rest]).strip()
            return RaisedError(kind["kind"], message, tuple(frames), after), lines[at + 1 + len(rest) :]
        else:
            at += 1
    return None, []


def _frame(place: re.Match[str], lines: list[str], at: int) -> tuple[TracebackFrame, int]:
    """A frame with its line of code and its marks, and where the next begins."""
    source, marked = "", None
    if at < len(lines) and lines[at].startswith("    ") and not _FRAME.match(lines[at]) and not _MARKS.match(lines[at]):
        source, indent = lines[at].strip(), len(lines[at]) - len(lines[at].lstrip())
        at += 1
        if at < len(lines) and _MARKS.match(lines[at]):
            marks = lines[at].rstrip()
            marked = (len(marks) - len(marks.lstrip()) - indent, len(marks) - indent)
            at += 1
    return TracebackFrame(place["path"], int(place["line"]), place["function"] or "", source, marked), at


def _of_pytest(lines: list[str]) -> list[RaisedError]:
    """The last failure that pytest printed in its long form."""
    said: list[str] = []
    frames: list[TracebackFrame] = []
    found: list[RaisedError] = []
    source = ""
    for line in lines:
        if match := _FAULTY.match(line):
            source, said = match["source"].strip(), []
        elif match := _SAID.match(line):
            said.append(match["text"])
        elif place := _PLACE.match(line):
            frames.append(TracebackFrame(place["path"], int(place["line"]), "", source))
            if place["kind"]:
                told = _KIND.match(said[0]) if said else None
                message = "\n".join([*(said[:1] if told is None else [told["message"] or ""]), *said[1:_MOST_LINES]]).strip()
                kind = told["kind"] if told is not None and told["kind"].endswith(place["kind"].rpartition(".")[2]) else place["kind"]
                found, frames = [RaisedError(kind, message if said else "", tuple(frames))], []
            source = ""
    return found
