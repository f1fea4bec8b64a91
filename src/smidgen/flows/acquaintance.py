"""What a bundle knows of the data it was made from: a sample that it has met says nothing of how it does on others. Of a version of a line
it is the line that knows."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from smidgen.core.errors import DataError, InputError
from smidgen.core.rows import Text, joined
from smidgen.data import near
from smidgen.data.read import open_table
from smidgen.flows.learning import own as own_texts
from smidgen.flows.learning.own import Own, Use
from smidgen.flows.live import Model
from smidgen.judge.report import Report
from smidgen.store.hashing import file_hash

_TRAINING = "training"
TESTED_ON = "the data that the bundle was tested on"


@dataclass(frozen=True)
class Acquaintance:
    """What is known.

    Attributes:
        hashes: of rows as read, and of files, with what each is.
        texts: folded, of rows that it was made from or measured on. Of a file all of them are known, or none: the few that its report
            shows were picked by whether the answers were right, and a sample without those would be an easier one.
        unchecked: what cannot be told, in words.
        own: what its line knows, of a version of one.
        taught: of `texts`, those of the training data.
    """

    hashes: dict[str, str]
    texts: frozenset[str]
    unchecked: tuple[str, ...]
    own: Own | None = None
    taught: frozenset[str] = frozenset()

    @property
    def whose(self) -> str:
        """Whose data it is that a text stands in, before "from"."""
        return "the bundle was made" if self.own is None else "the line learns"

    def refuse(self, file_sha256: str, rows_sha256: str, name: str) -> None:
        """Raise InputError where a file, or its rows, are those that the bundle was made from or measured on."""
        met = self.hashes.get(file_sha256) or self.hashes.get(rows_sha256)
        if met:
            raise InputError(
                f"this is {met}",
                value=name,
                todo="Give pairs that were used neither for training nor for choosing the model: only they show how it does on others.",
            )

    def knows(self, text: Text) -> bool:
        """Whether a text, but for case, punctuation and spaces, stands in a file that it was made from or measured on, or is one that its
        line learns from."""
        return near.folded(joined(text)) in self.texts or self.use(text) == "learnt"

    def learnt(self, text: Text) -> bool:
        """Whether a text, but for case, punctuation and spaces, stands in the data that it was trained on, or its line learns from it."""
        return near.folded(joined(text)) in self.taught or self.use(text) == "learnt"

    def use(self, text: Text) -> Use:
        """What its line has of a text; nothing for a bundle by itself."""
        return self.own.use(text) if self.own is not None else ""


def acquainted(model: Model, report: Report, now: datetime) -> Acquaintance:
    """What the bundle's manifest, report and recipe say, and what the files that the recipe names hold, where they are still there; of a
    version, what its line has kept and written down. Raises as `learning.own.of_version` does."""
    own = own_texts.of_version(model.folder, model.manifest, now)
    hashes: dict[str, str] = {}
    unchecked: list[str] = []
    training = model.manifest.data.sha256 if model.manifest.data is not None else report.data.sha256
    if training is not None:
        hashes[training] = "the data that the bundle was trained on"
    else:
        unchecked.append("whether this is the training data, for the bundle does not say what it was made from")
    if report.data.test_sha256 is not None:
        hashes[report.data.test_sha256] = TESTED_ON
    texts, taught = set[str](), set[str]()
    # A version that was learnt is built of files that went with the learning.
    files = _named(model.folder) if own is None or model.manifest.lineage is None else {}
    for role, name in files.items():
        file = _found(name, model.folder)
        if file is None:
            unchecked.append(f"whether texts stand in the {role} data, for {Path(name).name} is not at hand")
            continue
        hashes[file_hash(file)] = f"the bundle's {role} data"
        try:
            table = open_table(file, remembered=model.columns, need_label=False)
            found = {joined(table.text(number, record)) for number, record in table.records() if _whole(record, table.input.names)}
            texts |= found
            if role == _TRAINING:
                taught |= found
        except DataError as error:
            unchecked.append(f"whether texts stand in the {role} data ({error})")
    return Acquaintance(hashes, frozenset(map(near.folded, texts)), tuple(unchecked), own, taught=frozenset(map(near.folded, taught)))


def _named(folder: Path) -> dict[str, str]:
    """The data files that the bundle's recipe names, by what they were."""
    try:
        data = tomllib.loads((folder / "recipe.toml").read_text(encoding="utf-8")).get("data", {})
    except (OSError, ValueError):
        return {}
    named = {role: data.get(key) for role, key in ((_TRAINING, "train"), ("test", "test"))} if isinstance(data, dict) else {}
    return {role: name for role, name in named.items() if isinstance(name, str) and name != "-"}


def _found(name: str, folder: Path) -> Path | None:
    """A recipe's paths start from where it lay, which the bundle does not know: here, or beside the bundle, is likely."""
    places = (Path(name).expanduser(), folder.resolve().parent / name)
    return next((place for place in places if place.is_file()), None)


def _whole(record: dict[str, Any], names: tuple[str, ...]) -> bool:
    return all(isinstance(record.get(name), str) and record[name].strip() and "\0" not in record[name] for name in names)
