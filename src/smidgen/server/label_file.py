"""The file of labels: answers of the large model that are nobody's data though they may look like it, one a line. They are stored as they
are."""

from __future__ import annotations

from pathlib import Path

from smidgen.core.errors import InputError
from smidgen.core.stand_ins import STAND_IN
from smidgen.flows.learning.captured import LONGEST_LABEL
from smidgen.server.settings import ServeSettings

MOST = 10_000
"""Labels in a file."""
_MOST_BYTES = 4_000_000


def check(settings: ServeSettings) -> None:
    """Raise InputError for labels that nothing is captured for, and as `read` does."""
    if settings.capture_labels is not None and settings.capture == "off":
        raise InputError(
            "labels stay as they are in what is captured, and nothing is",
            value="--capture-labels",
            todo="Add --capture answers, or leave it out.",
        )
    labels_of(settings)


def labels_of(settings: ServeSettings) -> tuple[str, ...]:
    """The labels that the settings name; none where they name no file. Raises as `read` does."""
    return () if settings.capture_labels is None else read(settings.capture_labels.expanduser())


def read(file: Path) -> tuple[str, ...]:
    """The labels in a file in UTF-8, in its order; blanks around them and empty lines count nowhere.

    Raises InputError for a file that cannot be read, is too large or has no label, and for a line that no label could be.
    """
    try:
        if file.exists() and not file.is_file():  # to open a pipe would wait for whoever writes into it
            raise _wrong("the file of labels is no file", str(file), "Name a file with one label a line.")
        with file.open("rb") as stream:
            content = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        raise _wrong(f"the file of labels cannot be read ({error.strerror})", str(file), "Check the path after --capture-labels.") from None
    if len(content) > _MOST_BYTES:
        raise _wrong("the file of labels is too large", f"{file}: over {_MOST_BYTES:,} bytes", f"It has {MOST:,} labels at most.")
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise _wrong("the file of labels is not a text in UTF-8", str(file), "Save it as UTF-8, one label a line.") from None
    labels: dict[str, None] = {}
    for number, line in enumerate(lines, 1):
        label = line.strip()
        if len(label) > LONGEST_LABEL:
            todo = f"A label has {LONGEST_LABEL} characters at most: a longer answer is none."
            raise _wrong("a line is too long for a label", f"{file}, line {number}: {len(label)} characters", todo)
        if STAND_IN.search(label):
            raise _wrong("a stand-in is no label", f"{file}, line {number}: {label}", "Write what the large model answers in its place.")
        if label:
            labels[label] = None
    if not labels:
        raise _wrong("the file of labels has none", str(file), "Write one label a line, as the large model answers it.")
    if len(labels) > MOST:
        raise _wrong("the file has too many labels", f"{file}: {len(labels):,}", f"Name {MOST:,} at most.")
    return tuple(labels)


def _wrong(what: str, value: str, todo: str) -> InputError:
    return InputError(what, value=value, todo=todo)
