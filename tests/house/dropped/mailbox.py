"""Mailbox: the label of a text is the folder that its file is in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from smidgen.core.abilities import ProjectFiles
from smidgen.core.errors import DataError
from smidgen.core.forms import LabelForm
from smidgen.core.parts import Raw, Task
from smidgen.core.quantities import Metric
from smidgen.core.replies import Reply
from smidgen.core.rows import Row
from smidgen.core.settings import Settings, setting
from smidgen.stats import calibration, classification_metrics


class MailboxSettings(Settings):
    """The mailbox."""

    mailbox: str | None = setting(None, "Folder of folders with text files.", flag="--mailbox", file=True)


class MailboxFiles(ProjectFiles):
    """A folder of folders with text files."""

    kinds = MappingProxyType({"documents": "mailbox.mailbox"})

    def rows(self, settings: MailboxSettings) -> list[Row]:
        """One row a file."""
        if settings.mailbox is None:
            raise DataError("no mailbox is named", value="mailbox.mailbox", todo="Name a folder with --mailbox.")
        return _rows(Path(settings.mailbox))

    def rows_in(self, file: Path, settings: MailboxSettings) -> list[Row] | None:
        """The files of another mailbox."""
        return _rows(file) if file.is_dir() else None


class Mailbox(Task):
    """The task `mailbox`."""

    name = "mailbox"
    summary = "Sort texts as the folders of a mailbox do."
    settings = MailboxSettings
    students = ("linear",)
    baseline = ""
    headline = "accuracy"
    form_type = LabelForm
    files = MailboxFiles()

    def parse(self, value: Any, settings: MailboxSettings) -> str:
        """A folder's name."""
        return str(value)

    def form(self, rows: Sequence[Row], settings: MailboxSettings) -> LabelForm:
        """The folders."""
        return LabelForm(labels=tuple(sorted({row.output for row in rows})), multi_label=False, temperature=1.0)

    def strata(self, rows: Sequence[Row]) -> list[str]:
        """The folder."""
        return [row.output for row in rows]

    def decode(self, raw: Raw, form: LabelForm) -> list[Reply]:
        """The likeliest folder."""
        chances = calibration.softmax(np.asarray(raw["logits"], dtype=np.float64), form.temperature)
        return [Reply(form.labels[int(row.argmax())], float(row.max())) for row in chances]

    def measure(self, rows: Sequence[Row], replies: Sequence[Reply], form: LabelForm) -> dict[str, Metric]:
        """accuracy."""
        return {"accuracy": classification_metrics.accuracy([row.output for row in rows], [reply.output for reply in replies])}


def _rows(folder: Path) -> list[Row]:
    files = sorted(folder.glob("*/*.txt"))
    return [Row(file.read_text(encoding="utf-8"), file.parent.name, number) for number, file in enumerate(files, start=1)]


part = Mailbox()
