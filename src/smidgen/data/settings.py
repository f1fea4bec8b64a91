"""The `[data]` section of a recipe."""

from __future__ import annotations

from smidgen.core.settings import Settings, setting


class DataSettings(Settings):
    """The files of examples, their columns, and the share held out."""

    train: str | None = setting(None, "File of examples to learn from: CSV, TSV, JSONL, Parquet or XLSX.", flag="--data")
    test: str | None = setting(
        None, "File of examples that are only ever measured on; without it, a part of the training file is kept apart.", flag="--test"
    )
    unlabelled: str | None = setting(
        None,
        "File of inputs without outputs: a teacher labels them (`[data.teacher]`). Outputs that stand there are not read.",
        flag="--unlabelled",
    )
    select: int | None = setting(
        None,
        "Learn from this many rows, chosen to cover the rest: of a large file, those that teach most (default: all).",
        flag="--select",
        ge=2,
    )
    input: str | None = setting(
        None, "Column of the text; two names joined by a comma for text pairs (`question,passage`).", flag="--input"
    )
    label: str | None = setting(
        None, "Column of the wanted output. For the task extract: several, one for each field, joined by commas.", flag="--label"
    )
    holdout: float = setting(0.1, "Share of the training rows kept apart for choosing when to stop and for calibration.", gt=0.0, le=0.5)
    test_share: float = setting(0.15, "Share of the rows kept apart as the test set where no test file is given.", gt=0.0, le=0.5)
    max_rows: int | None = setting(None, "Read at most this many rows of a file.", ge=1)
    max_cell: int = setting(1_000_000, "Most characters that one cell may hold.", ge=1_000, le=100_000_000)
    dedupe: bool = setting(True, "Train on one copy of rows that repeat an input and its output exactly.")
    encoding: str | None = setting(None, "Text encoding of the files, where it is not found by itself (`cp1252`).")
    sheet: str | None = setting(None, "Worksheet of an XLSX file; the first one that is not empty unless named.")
    licence: str | None = setting(None, "Licence of the data (an SPDX identifier, or a sentence), for the model card.")


SETTINGS = DataSettings
