"""The kernel tagger: a frozen pretrained encoder with a head that tags words, and kernel heads for choices. Taught in seconds.

Few examples move a whole encoder too far: it learns their words by heart. A frozen one still knows what other words mean.
"""

from __future__ import annotations

import json
import random
import re
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.core.errors import TrainError
from smidgen.core.forms import Form, TagSet
from smidgen.core.parts import EngineSpec, Raw, Student, Training, Workspace
from smidgen.core.progress import Progress
from smidgen.core.rows import Row, Text, evenly, joined
from smidgen.core.settings import Settings, setting
from smidgen.stats import kernel_ridge
from smidgen.stats.kernel_ridge import Floats32
from smidgen.students.encoder import need_torch
from smidgen.students.settings import FACTS
from smidgen.text import tag_heads, tagging
from smidgen.text.tag_heads import TagHeads, signs_vector, text_vector, word_features, words_vector
from smidgen.text.tagging import MOST_CHARACTERS, TagChain, TaggerInput, TaggerReader, bioes_tags, tag_count, unit_spans
from smidgen.text.word_classes import OPEN, class_of

if TYPE_CHECKING:
    from torch import Tensor

_FILES = ("tag_heads.json", "tag_heads.safetensors")
_WORD = re.compile(r"[^\W\d_]{3,}")
_RATES, _DECAY, _DROPPED = (0.05, 0.02), 0.02, 0.2
_MOST_LANDMARKS = 4_000


class KernelTaggerSettings(Settings):
    """Settings of a kernel tagger."""

    epochs: int = setting(30, "Passes over the training rows, for the head that tags words.", ge=1, le=500)
    batch_rows: int = setting(32, "Rows of one step.", ge=1, le=1024)
    copies: int = setting(
        3, "Copies of each row with other words in place of its spans, so that the words around a span count more.", ge=0, le=20
    )
    lexical: float = setting(
        0.2,
        "How much of the likeness of two texts is that of their words, for the first choice; for others three times as much.",
        ge=0,
        le=0.3,
    )
    gamma: float | None = setting(
        None, "How fast likeness falls off between two texts (default: 2; more for a base whose vectors lie close together).", gt=0, le=50
    )
    ridge: float = setting(kernel_ridge.RIDGE, "Regularisation: larger trusts single rows less.", gt=0, le=1000)
    max_length: int = setting(
        256, "Tokens of a window; longer texts are read in windows that share half with their neighbours.", ge=16, le=512
    )


class KernelTaggerStudent(Student):
    """The student `kernel-tagger`."""

    name = "kernel-tagger"
    summary = "A small pretrained encoder as it comes, with heads that tag words and make choices: taught in seconds, best with few rows."
    settings = KernelTaggerSettings
    base_family = "encoder"
    frozen = True
    engine = "kernel-tagger"
    learns = "spans"

    def why_not(self, form: Form) -> str:
        """Answers that no tagger can give."""
        return "the texts do not state the answers word by word" if form.tagging is None else ""

    def fit(self, training: Training, space: Workspace) -> None:
        """Fit the heads; it takes seconds to a minute, so there is no checkpoint.

        Raises:
            MissingExtra: torch is not installed.
            TrainError: there is no base, or its tokenizer reads none of the texts.
        """
        need_torch()
        from safetensors.numpy import save_file

        from smidgen.students.encoder_training.bert import positions

        if training.base is None:
            raise TrainError("students.kernel_tagger_needs_base", value="none")
        settings = training.settings if isinstance(training.settings, KernelTaggerSettings) else KernelTaggerSettings()
        base, plan = training.base.folder, training.tags
        rows = [*training.rows, *_copies(training.rows, settings.copies, training.seed)]
        level = tagging.coarsest_level((joined(row.input), _spans(row, plan.kinds)) for row in rows)
        gamma = settings.gamma or kernel_ridge.gamma_for(*training.base.cosines)
        settings = settings.model_copy(update={"gamma": gamma})
        facts = {"level": level, "max_length": min(settings.max_length, positions(base)), "gamma": gamma}
        space.progress.start("read texts")
        encoder = FrozenEncoder(base, facts, space.threads)
        readings, states = encoder.read([joined(row.input) for row in rows])
        if not any(len(reading.units) for reading in readings):
            raise TrainError("students.tokenizer_of_base_reads_none_of_texts", value=str(base))
        tensors, index = _tag_head(rows, plan, encoder, readings, states, settings, training.seed, space.progress)
        if plan.choices:
            vectors = np.stack([text_vector(own) for own in states[: len(training.rows)]])
            tensors |= _choice_heads(training.rows, vectors, plan, encoder, settings)
            facts["lexical"], facts["own"] = _lexical(plan, settings), plan.choices[0].get("kinds", [])
            facts["signs"] = _signs(plan, settings)
        else:
            tensors |= {tag_heads.LANDMARKS: np.zeros((1, encoder.width), np.float32), tag_heads.CHOSEN: np.zeros((1, 0), np.float32)}
        save_file({name: np.ascontiguousarray(tensor, np.float32) for name, tensor in tensors.items()}, space.folder / _FILES[1])
        facts |= {"features": index, "choices": [len(choice["values"]) for choice in plan.choices]}
        (space.folder / _FILES[0]).write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")
        for name in ("config.json", "tokenizer.json", "model.safetensors"):
            shutil.copyfile(base / name, space.folder / name)

    def raw(self, folder: Path, texts: Sequence[Text], threads: int) -> Raw:
        """`spans` and `choices`, with the states of the encoder by torch in f32."""
        facts = json.loads((folder / _FILES[0]).read_text(encoding="utf-8"))
        encoder = FrozenEncoder(folder, facts, threads)
        whole = [joined(text)[:MOST_CHARACTERS] for text in texts]
        readings, states = encoder.read(whole)
        return _heads(folder, facts).raw(whole, encoder.reader, readings, states)

    def export(self, folder: Path, out: Path) -> EngineSpec:
        """The encoder as an ONNX graph that gives the state of every token, the tokenizer, and the heads."""
        import tempfile

        from safetensors.numpy import load_file, save_file

        from smidgen.students.encoder_training.onnx_export import export_encoder

        facts = json.loads((folder / _FILES[0]).read_text(encoding="utf-8"))
        with tempfile.TemporaryDirectory() as name:
            place, tensors = Path(name), load_file(folder / "model.safetensors")
            width = json.loads((folder / "config.json").read_text(encoding="utf-8"))["hidden_size"]
            # The export's head runs on every token: the identity gives the states themselves.
            own = {"head.weight": np.eye(width, dtype=np.float32), "head.bias": np.zeros(width, dtype=np.float32)}
            save_file({**{key: np.asarray(value, np.float32) for key, value in tensors.items()}, **own}, place / "model.safetensors")
            (place / FACTS).write_text(json.dumps({"pooling": "tokens", "max_length": facts["max_length"]}), encoding="utf-8")
            for file in ("config.json", "tokenizer.json"):
                shutil.copyfile(folder / file, place / file)
            spec = export_encoder(place, out)
        for file in _FILES:
            shutil.copyfile(folder / file, out / file)
        return replace(spec, engine="kernel-tagger", files=(*spec.files, *_FILES))


class FrozenEncoder:
    """An encoder as it comes, which gives the states of tokens."""

    def __init__(self, folder: Path, facts: Mapping[str, Any], threads: int) -> None:
        import torch
        from tokenizers import Tokenizer

        from smidgen.students.encoder import load_encoder, vocabulary_of

        self._model, self._threads = load_encoder(folder, torch.float32), threads
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.width = self._model.hidden
        self.reader = TaggerReader.of(tokenizer, facts["max_length"], facts["level"], False, vocabulary_of(folder))

    def read(self, texts: Sequence[str]) -> tuple[list[TaggerInput], list[list[Floats32]]]:
        """Each text's units and pieces, and the states (tokens, width) of each of its windows."""
        import torch

        from smidgen.students.encoder import workers_for
        from smidgen.students.tagger_training import scores_of

        readings = self.reader.read(texts)
        workers = workers_for(self._model, self._threads)
        try:
            return readings, scores_of(self._model, self.reader, readings, torch.eye(self.width), torch.zeros(self.width), workers)
        finally:
            workers.close()


def _copies(rows: Sequence[Row], times: int, seed: int) -> list[Row]:
    """Rows with other words in place of their spans: those of another row's span of this kind, with other digits, or words at random."""
    rng = random.Random(f"{seed} copies")
    words = [word for row in rows for word in _WORD.findall(joined(row.input)) if class_of(word) == OPEN] or ["thing"]
    known: dict[str, list[str]] = {}
    for row in rows:
        for span in _marked(row):
            known.setdefault(span["label"], []).append(joined(row.input)[span["start"] : span["end"]])
    made = []
    for row in (row for row in rows if _marked(row)):
        for _ in range(times):
            text, spans, at = "", [], 0
            for span in sorted(_marked(row), key=lambda span: int(span["start"])):
                old = joined(row.input)[span["start"] : span["end"]]
                new = _other_words(old, rng.choice(known[span["label"]]), words, rng)
                text += joined(row.input)[at : span["start"]]
                spans.append({**span, "start": len(text), "end": len(text) + len(new)})
                text, at = text + new, span["end"]
            text += joined(row.input)[at:]
            output = {**row.output, "spans": spans} if isinstance(row.output, Mapping) else spans
            made.append(replace(row, input=text, output=output))
    return made


_ARTICLE = re.compile(r"(?:the|an?|some|der|die|das|den|dem|eine?|einen|einem|einer)\s+", re.IGNORECASE)
_AS_KNOWN = 0.5


def _other_words(old: str, known: str, words: Sequence[str], rng: random.Random) -> str:
    """Words in place of a span: another span's, with other digits; or words of the rows at random, with the article of the old one."""
    if any(letter.isdigit() for letter in known):
        return re.sub(r"\d", lambda _: str(rng.randint(1, 9)), known)
    if any(letter.isdigit() for letter in old) or rng.random() < _AS_KNOWN:
        return known
    article = _ARTICLE.match(old)
    bare = old[article.end() :] if article else old
    made = " ".join(rng.choice(words) for _ in range(rng.choice((1, 1, 2, 2, 3))))
    made = made.title() if bare[:1].isupper() else made
    return f"{article.group() if article else ''}{made}"


def _tag_head(
    rows: Sequence[Row],
    plan: TagSet,
    encoder: FrozenEncoder,
    readings: Sequence[TaggerInput],
    states: Sequence[Sequence[Floats32]],
    settings: KernelTaggerSettings,
    seed: int,
    progress: Progress,
) -> tuple[dict[str, Any], list[str]]:
    """The tensors of the head that tags words, by maximum likelihood; and the features of words, in the order of their rows."""
    import torch

    from smidgen.students.encoder_training.bert import NEGATIVE
    from smidgen.students.tagger_training import chain_loss

    kept = [place for place, reading in enumerate(readings) if len(reading.units)]
    written = [word_features(joined(rows[place].input), readings[place]) for place in kept]
    seen = Counter(entry for words in written for word in words for entry in word)
    features = [entry for entry, times in seen.items() if times > 1]
    index = {entry: place for place, entry in enumerate(features)}
    numbers = [[[index[entry] for entry in word if entry in index] for word in words] for words in written]
    hidden = [torch.from_numpy(encoder.reader.unit_scores(readings[place], states[place])).float() for place in kept]
    gold = [_tags(rows[place], readings[place], plan.kinds) for place in kept]
    tags = tag_count(len(plan.kinds))
    words, transitions = torch.zeros(len(features) or 1, tags, requires_grad=True), torch.zeros(tags, tags, requires_grad=True)
    weight, bias = torch.zeros(encoder.width, tags, requires_grad=True), torch.zeros(tags, requires_grad=True)
    own = [(words, _RATES[0], _DECAY), (weight, _RATES[1], _DECAY), (bias, _RATES[1], 0.0), (transitions, _RATES[1], 0.0)]
    optimiser = torch.optim.AdamW([{"params": [tensor], "lr": rate, "weight_decay": decay} for tensor, rate, decay in own])
    barred = [
        torch.zeros(mask.shape).masked_fill(~torch.from_numpy(mask), NEGATIVE) for mask in tagging.allowed_transitions(len(plan.kinds))
    ]
    rng, drops = np.random.default_rng([seed, 7]), torch.Generator().manual_seed(seed)
    batches = max(1, len(kept) // settings.batch_rows)
    progress.start("train kernel-tagger", settings.epochs * batches)
    for _ in range(settings.epochs):
        for part in np.array_split(rng.permutation(len(kept)), batches):
            sizes = [len(gold[place]) for place in part]
            inner = torch.cat([hidden[place] for place in part])
            inner = inner * (torch.rand(inner.shape, generator=drops) > _DROPPED) / (1 - _DROPPED)
            logits = _summed([word for place in part for word in numbers[place]], words) + inner @ weight + bias
            grid = torch.nn.utils.rnn.pad_sequence(list(torch.split(logits, sizes)), batch_first=True)
            right = torch.nn.utils.rnn.pad_sequence([gold[place] for place in part], batch_first=True)
            loss = chain_loss(grid, right, torch.tensor(sizes), transitions + barred[0], barred[1], barred[2]) / len(part)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            progress.advance(1, loss=float(loss.detach()))
    named = {tag_heads.STATES: weight, tag_heads.WORDS: words, tag_heads.BIAS: bias, tag_heads.CHAIN: transitions}
    return {name: tensor.detach().numpy() for name, tensor in named.items()}, features


def _tags(row: Row, reading: TaggerInput, kinds: Sequence[str]) -> Tensor:
    import torch

    units = [(int(start), int(end)) for start, end in reading.units]
    return torch.from_numpy(bioes_tags(unit_spans(units, _spans(row, kinds)), len(units)))


def _summed(words: Sequence[Sequence[int]], weight: Tensor) -> Tensor:
    """The sums of the rows of each word's features."""
    import torch

    offsets = torch.tensor(np.concatenate([[0], np.cumsum([len(word) for word in words])[:-1]]), dtype=torch.int64)
    flat = torch.tensor([entry for word in words for entry in word], dtype=torch.int64)
    return torch.nn.functional.embedding_bag(flat, weight, offsets, mode="sum")


def _choice_heads(
    rows: Sequence[Row], vectors: Floats32, plan: TagSet, encoder: FrozenEncoder, settings: KernelTaggerSettings
) -> dict[str, Any]:
    """Landmarks, the vectors of the rows and of texts that describe values; and the weights of each value of each choice."""
    described = [
        (number, place, text)
        for number, choice in enumerate(plan.choices)
        for place, own in enumerate(choice.get("texts", ()))
        for text in ([own] if isinstance(own, str) else own)
        if text
    ]
    kept = list(evenly(range(len(rows)), _MOST_LANDMARKS))
    marks, texts = vectors[kept], [joined(rows[row].input) for row in kept]
    if described:
        _, states = encoder.read([text for _, _, text in described])
        marks = np.concatenate([marks, np.stack([text_vector(own) for own in states])])
        texts += [text for _, _, text in described]
    words, spoken = (np.stack([vector(text) for text in texts]) for vector in (words_vector, signs_vector))
    columns = []
    signs = _signs(plan, settings)
    for number, (choice, share) in enumerate(zip(plan.choices, _lexical(plan, settings), strict=True)):
        known = [(place, rows[row].output["choices"][number]) for place, row in enumerate(kept)]
        known = [(place, value) for place, value in known if value >= 0]
        known += [(len(kept) + place, value) for place, (own, value, _) in enumerate(described) if own == number]
        table = np.zeros((len(marks), len(choice["values"])), np.float32)
        if known:
            targets = np.eye(len(choice["values"]), dtype=np.float32)[[value for _, value in known]]
            places = np.array([place for place, _ in known])
            both = np.concatenate([np.sqrt(1 - share) * marks[places], np.sqrt(share) * words[places]], axis=1)
            if signs and number == 0:
                both = np.concatenate([np.sqrt(1 - signs) * both, np.sqrt(signs) * spoken[places]], axis=1)
            both = both.astype(np.float32)
            head = kernel_ridge.fit(both, targets, gamma=settings.gamma or kernel_ridge.GAMMA, ridge=settings.ridge, landmarks=len(places))
            # A repeated text is one landmark, at its first place.
            _, first = np.unique(both, axis=0, return_index=True)
            table[places[np.sort(first)]] = head.weights
        columns.append(table)
    return {
        tag_heads.LANDMARKS: np.concatenate([marks, words, *([spoken] if signs else [])], axis=1),
        tag_heads.CHOSEN: np.concatenate(columns, axis=1),
    }


_SIGNS = 0.2


def _signs(plan: TagSet, settings: KernelTaggerSettings) -> float:
    """How much the likeness of signs counts for the first choice, where it is what a text asks for; else nothing."""
    return _as_steep(_SIGNS, settings) if plan.choices[0].get("kinds") is not None else 0.0


def _as_steep(share: float, settings: KernelTaggerSettings) -> float:
    """A weight beside that of meaning, such as the weight of word overlap, scaled with the kernel.

    A steeper kernel, for a base whose vectors lie close together, sharpens the similarity of meaning alone.
    """
    return share * kernel_ridge.GAMMA / (settings.gamma or kernel_ridge.GAMMA)


def _lexical(plan: TagSet, settings: KernelTaggerSettings) -> list[float]:
    """How much the likeness of words counts for each choice: most for what one word tells, such as on and off."""
    own = _as_steep(settings.lexical, settings)
    return [own if place == 0 else 3 * own for place in range(len(plan.choices))]


def _marked(row: Row) -> list[dict[str, Any]]:
    """The spans of a row, which may have choices too."""
    found: list[dict[str, Any]] = row.output["spans"] if isinstance(row.output, Mapping) else row.output
    return found


def _spans(row: Row, kinds: Sequence[str]) -> list[tagging.CharacterSpan]:
    return [(span["start"], span["end"], kinds.index(span["label"])) for span in _marked(row) if span["label"] in kinds]


def _heads(folder: Path, facts: Mapping[str, Any]) -> TagHeads:
    """The heads in a folder."""
    from safetensors.numpy import load_file

    tensors = load_file(folder / _FILES[1])
    index = {entry: place for place, entry in enumerate(facts["features"])}
    states, words, bias = (tensors[name] for name in (tag_heads.STATES, tag_heads.WORDS, tag_heads.BIAS))
    chain, marks, chosen = TagChain(tensors[tag_heads.CHAIN]), tensors[tag_heads.LANDMARKS], tensors[tag_heads.CHOSEN]
    shares, own = facts.get("lexical", ()), facts.get("own", ())
    signs = facts.get("signs", 0.0)
    return TagHeads(index, states, words, bias, chain, marks, chosen, facts["choices"], facts["gamma"], shares, own, signs)


part = KernelTaggerStudent()
