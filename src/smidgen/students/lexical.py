"""The baseline of taggers: a linear-chain conditional random field over words.

Its features are the forms of words and the names in the training rows. It was the best method before pretrained models, so it is a strong
baseline. Choices about the whole text are linear in its words and pairs of words.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smidgen.core.forms import Form
from smidgen.core.parts import EngineSpec, Raw, Student, Training, Workspace
from smidgen.core.progress import Progress
from smidgen.core.rows import Row, Text, joined
from smidgen.core.settings import Settings, setting
from smidgen.students.encoder import need_torch
from smidgen.text import tagging
from smidgen.text.tagging import LONGEST_NAME, MOST_CHARACTERS, TagChain, allowed_transitions, bioes_tags, features, name_of, tag_count

if TYPE_CHECKING:
    from torch import Tensor

_FILES = ("features.json", "lexical.safetensors")
Numbered = tuple[list[list[int]], NDArray[np.int64]]
"""A text: the feature numbers of each word, and its tags."""


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

    def why_not(self, form: Form) -> str:
        """Answers that no tagger can give."""
        return "the texts do not state the answers word by word" if form.tagging is None else ""

    def fit(self, training: Training, space: Workspace) -> None:
        """Train; takes seconds to a minute, so there is no checkpoint. Raises TrainError for a job without spans."""
        need_torch()
        from safetensors.torch import save_file

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
        tensors = _trained(numbers, len(kept), tag_count(len(kinds)), settings, training.seed, space.progress)
        table: dict[str, Any] = {"features": kept, "names": names, "level": level}
        if choices := [len(choice["values"]) for choice in training.tags.choices]:
            table |= {"choices": choices, "terms": _terms(training.rows, level)}
            tensors |= _chosen(training.rows, table)
        save_file(tensors, space.folder / _FILES[1])
        (space.folder / _FILES[0]).write_text(json.dumps(table, ensure_ascii=False), encoding="utf-8")

    def raw(self, folder: Path, texts: Sequence[Text], threads: int) -> Raw:
        """`spans` by torch, in the tagger's format: the reference for the engine."""
        return _computed(folder, texts)

    def export(self, folder: Path, out: Path) -> EngineSpec:
        """Copy the trained tables, which the engine reads directly."""
        out.mkdir(parents=True, exist_ok=True)
        for name in _FILES:
            shutil.copyfile(folder / name, out / name)
        return EngineSpec("lexical", _FILES)


def _spans(row: Row, kinds: Sequence[str]) -> list[tagging.CharacterSpan]:
    marked = row.output["spans"] if isinstance(row.output, Mapping) else row.output
    return [(span["start"], span["end"], kinds.index(span["label"])) for span in marked if span["label"] in kinds]


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


def _trained(rows: Sequence[Numbered], size: int, tags: int, settings: LexicalSettings, seed: int, progress: Progress) -> dict[str, Tensor]:
    """`weight` (features, tags) and `transitions` (tags, tags), f32, by maximum likelihood: the mean over the second half of the passes,
    which is steadier than the last values (Polyak and Juditsky 1992)."""
    import torch

    from smidgen.students.encoder_training.bert import NEGATIVE
    from smidgen.students.tagger_training import chain_loss

    weight, transitions = torch.zeros(size, tags, requires_grad=True), torch.zeros(tags, tags, requires_grad=True)
    mean = [torch.zeros(size, tags), torch.zeros(tags, tags)]
    squares = [torch.full((size, tags), 1e-6), torch.full((tags, tags), 1e-6)]
    barred = [torch.zeros(mask.shape).masked_fill(~torch.from_numpy(mask), NEGATIVE) for mask in allowed_transitions((tags - 1) // 4)]
    rng = np.random.default_rng([seed, 5])
    batches = max(1, len(rows) // settings.batch_rows)
    progress.start("train lexical", settings.epochs * batches)
    kept = 0
    for epoch in range(settings.epochs):
        # Rows of similar length together: a batch takes as many chain steps as its longest row.
        order = sorted(rng.permutation(len(rows)).tolist(), key=lambda place: len(rows[place][1]))
        for part in (np.array_split(order, batches)[place] for place in rng.permutation(batches)):
            batch = [rows[place] for place in part]
            sizes = [len(gold) for _, gold in batch]
            logits = _emissions([word for words, _ in batch for word in words], weight)
            grid = torch.nn.utils.rnn.pad_sequence(list(torch.split(logits, sizes)), batch_first=True)
            gold = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(gold) for _, gold in batch], batch_first=True)
            loss = chain_loss(grid, gold, torch.tensor(sizes), transitions + barred[0], barred[1], barred[2]) / len(batch)
            found = torch.autograd.grad(loss, (weight, transitions))
            with torch.no_grad():
                for parameter, gradient, square in zip((weight, transitions), found, squares, strict=True):
                    gradient = gradient + settings.decay * parameter
                    square.addcmul_(gradient, gradient)
                    parameter.addcdiv_(gradient, square.sqrt(), value=-settings.learning_rate)
            progress.advance(1, loss=float(loss.detach()) / max(1.0, float(np.mean(sizes))))
        if epoch >= settings.epochs // 2:
            kept += 1
            for total, parameter in zip(mean, (weight, transitions), strict=True):
                total += (parameter.detach() - total) / kept
    return {"weight": mean[0], "transitions": mean[1]}


_CHOICE_STEPS, _CHOICE_DECAY = 120, 1e-3


def _terms(rows: Sequence[Row], level: str) -> list[str]:
    """The features of whole texts, the commonest first; those seen once are left out."""
    seen = Counter(entry for row in rows for entry in _text_features(row.input, level))
    return [entry for entry, times in seen.most_common() if times > 1]


def _text_features(text: Text, level: str) -> list[str]:
    whole = joined(text)[:MOST_CHARACTERS]
    return tagging.text_features([whole[start:end] for start, end in tagging.units(whole, level)])


def _chosen(rows: Sequence[Row], table: Mapping[str, Any]) -> dict[str, Tensor]:
    """`choices.weight` (terms + 1, values), its last row for every text, by maximum likelihood with all rows at once."""
    import torch

    from smidgen.students.tagger_training import choice_loss

    index = {entry: place for place, entry in enumerate(table["terms"])}
    numbers = [[index[entry] for entry in _text_features(row.input, table["level"]) if entry in index] for row in rows]
    gold = torch.tensor([row.output["choices"] for row in rows], dtype=torch.int64)
    weight = torch.zeros(len(index) + 1, sum(table["choices"]), requires_grad=True)
    squares = torch.full(weight.shape, 1e-6)
    for _ in range(_CHOICE_STEPS):
        loss = choice_loss(_choice_weights(numbers, weight), gold, table["choices"]) / len(rows)
        (gradient,) = torch.autograd.grad(loss, (weight,))
        with torch.no_grad():
            gradient = gradient + _CHOICE_DECAY * weight
            squares.addcmul_(gradient, gradient)
            weight.addcdiv_(gradient, squares.sqrt(), value=-0.3)
    return {"choices.weight": weight.detach()}


def _choice_weights(texts: Sequence[Sequence[int]], weight: Tensor) -> Tensor:
    """Log weights [texts, values]: the sum over a text's terms, over the square root of their number, and the last row."""
    import torch

    last = len(weight) - 1
    sums = _emissions([[*text, last] for text in texts], weight) - weight[last]
    sizes = torch.tensor([max(1, len(text)) for text in texts]).sqrt()[:, None]
    return sums / sizes + weight[last]


def _computed(folder: Path, texts: Sequence[Text]) -> Raw:
    """`spans` of texts by the trained baseline in `folder`, and `choices` if it makes any."""
    from safetensors.torch import load_file

    table: dict[str, Any] = json.loads((folder / _FILES[0]).read_text(encoding="utf-8"))
    tensors = load_file(folder / _FILES[1])
    index = {entry: place for place, entry in enumerate(table["features"])}
    chain = TagChain(tensors["transitions"].numpy())
    found = []
    for text in (joined(text)[:MOST_CHARACTERS] for text in texts):
        units = tagging.units(text, table["level"])
        words = features([text[start:end] for start, end in units], table["names"])
        numbers = [[index[entry] for entry in word if entry in index] for word in words]
        likely = chain.spans(_emissions(numbers, tensors["weight"]).numpy()) if units else []
        found.append([[units[a][0], units[b][1], kind, round(chance, 6)] for a, b, kind, chance in likely])
    if not table.get("choices"):
        return {"spans": found}
    terms = {entry: place for place, entry in enumerate(table["terms"])}
    numbers = [[terms[entry] for entry in _text_features(text, table["level"]) if entry in terms] for text in texts]
    weights = _choice_weights(numbers, tensors["choices.weight"]).numpy()
    return {"spans": found, "choices": [tagging.choice_probabilities([row[None]], table["choices"]) for row in weights]}


def _emissions(words: Sequence[Sequence[int]], weight: Tensor) -> Tensor:
    """Log weights [words, tags]: the sum over each word's features."""
    import torch

    offsets = torch.tensor(np.concatenate([[0], np.cumsum([len(word) for word in words])[:-1]]), dtype=torch.int64)
    flat = torch.tensor([entry for word in words for entry in word], dtype=torch.int64)
    return torch.nn.functional.embedding_bag(flat, weight, offsets, mode="sum")


part = LexicalStudent()
