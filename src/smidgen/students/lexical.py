"""The baseline of taggers: a linear-chain conditional random field over words.

Its features are the forms of words and the names in the training rows. It was the best method before pretrained models, so it is a strong
baseline.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from smidgen.core.parts import EngineSpec, Raw, Student, Training, Workspace
from smidgen.core.rows import Row, Text, joined
from smidgen.core.settings import Settings, setting
from smidgen.students.encoder import need_torch
from smidgen.text import tagging
from smidgen.text.tagging import LONGEST_NAME, bioes_tags, features, name_of, tag_count

_FILES = ("features.json", "lexical.safetensors")


class LexicalSettings(Settings):
    """The baseline's settings."""

    epochs: int = setting(12, "Passes over the training rows.", ge=1, le=200)
    learning_rate: float = setting(0.1, "Rate of the first step.", gt=0, le=10)
    batch_rows: int = setting(32, "Rows of one step.", ge=1, le=1024)
    decay: float = setting(1e-4, "How strongly weights are drawn to nothing.", ge=0, le=1)
    max_features: int = setting(300_000, "Most features that are kept, the commonest.", ge=100)


class LexicalStudent(Student):
    """The student `lexical`."""

    name = "lexical"
    summary = "A conditional random field on words, endings, spellings and known names: the baseline of taggers."
    settings = LexicalSettings
    learns = "spans"
    engine = "lexical"

    def fit(self, training: Training, space: Workspace) -> None:
        """Train; takes seconds to a minute, so there is no checkpoint. Raises TrainError for a job without spans."""
        need_torch()
        from safetensors.torch import save_file

        from smidgen.students.lexical_training import LexicalTrainingConfig, trained

        settings = training.settings if isinstance(training.settings, LexicalSettings) else LexicalSettings()
        kinds = training.tags.kinds
        level = tagging.coarsest_level((joined(row.input), _spans(row, kinds)) for row in training.rows)
        names, hidden = _names(training.rows, kinds, level)
        seen: Counter[str] = Counter()
        rows: list[tuple[list[list[str]], Any]] = []
        for row, own in zip(training.rows, hidden, strict=True):
            text = joined(row.input)
            found = tagging.units(text, level)
            if found:
                words = features([text[start:end] for start, end in found], names, own)
                rows.append((words, bioes_tags(tagging.unit_spans(found, _spans(row, kinds)), len(found))))
                seen.update(entry for word in words for entry in word)
        # With enough rows, a feature that was seen once is dropped.
        kept = [entry for entry, times in seen.most_common(settings.max_features) if times > 1 or len(rows) < 200]
        index = {entry: place for place, entry in enumerate(kept)}
        numbers = [([[index[entry] for entry in word if entry in index] for word in words], gold) for words, gold in rows]
        course = LexicalTrainingConfig(settings.epochs, settings.batch_rows, settings.learning_rate, settings.decay)
        tensors = trained(numbers, len(kept), tag_count(len(kinds)), course, training.seed, space.progress)
        save_file(tensors, space.folder / _FILES[1])
        table = {"features": kept, "names": names, "level": level}
        (space.folder / _FILES[0]).write_text(json.dumps(table, ensure_ascii=False), encoding="utf-8")

    def raw(self, folder: Path, texts: Sequence[Text], threads: int) -> Raw:
        """`spans` by torch, in the tagger's format: the reference for the engine."""
        from smidgen.students.lexical_training import computed

        return computed(folder, texts)

    def export(self, folder: Path, out: Path) -> EngineSpec:
        """Copy the trained tables, which the engine reads directly."""
        out.mkdir(parents=True, exist_ok=True)
        for name in _FILES:
            shutil.copyfile(folder / name, out / name)
        return EngineSpec("lexical", _FILES)


def _spans(row: Row, kinds: Sequence[str]) -> list[tagging.CharacterSpan]:
    return [(span["start"], span["end"], kinds.index(span["label"])) for span in row.output if span["label"] in kinds]


def _names(rows: Sequence[Row], kinds: Sequence[str], level: str) -> tuple[dict[str, int], list[set[str]]]:
    """The names in the rows, each with its most frequent kind; and for each row the names that no other row has."""
    seen: dict[str, Counter[int]] = {}
    own: list[set[str]] = []
    for row in rows:
        text = joined(row.input)
        found: set[str] = set()
        for start, end, kind in _spans(row, kinds):
            words = [text[start:end][a:b] for a, b in tagging.units(text[start:end], level)]
            if 0 < len(words) <= LONGEST_NAME:
                name = name_of(words)
                found.add(name)
                seen.setdefault(name, Counter())[kind] += 1
        own.append(found)
    rows_with = Counter(name for found in own for name in found)
    return {name: kinds_of.most_common(1)[0][0] for name, kinds_of in seen.items()}, [
        {name for name in found if rows_with[name] == 1} for found in own
    ]


part = LexicalStudent()
