"""The encoder student: its passes against transformers, its checkpoints, its training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.forms import label_form

from smidgen.core.forms import LabelForm
from smidgen.core.parts import Base, Training, Workspace
from smidgen.core.progress import Silent
from smidgen.core.rows import Row
from smidgen.students.encoder import EncoderSettings, part
from smidgen.students.encoder_training import training as course
from smidgen.students.encoder_training.batches import pack, plan_epoch, plan_pairs, split_lengths, tokenize
from smidgen.students.encoder_training.bert import FastBert

WORDS = (
    *("where", "is", "my", "parcel", "please", "i", "want", "to", "return", "the", "lamp"),
    *("cancel", "order", "refund", "money", "late", "broken", "plate", "help", "thanks"),
)
SIZE = 5 + len(WORDS)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two layers of width 32; weights from a fixed seed."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("tiny-bert")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=SIZE,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        attn_implementation="eager",
    )
    BertModel(config, add_pooling_layer=False).eval().save_pretrained(folder)
    known = {token: number for number, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])}
    tokenizer = Tokenizer(models.WordPiece(known, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    assert json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"] == "bert"
    return folder


TEXTS = ["where is my parcel", "cancel order please i want money", "broken", ("late parcel", "refund the money please"), "help"]
FORM = label_form("abc")


def rows(n: int, seed: int = 0) -> list[Row]:
    """Texts whose label is which of three words they hold."""
    rng = np.random.default_rng(seed)
    marks = {"a": "refund", "b": "parcel", "c": "lamp"}
    found = []
    for number in range(n):
        label = "abc"[number % 3]
        words = [*rng.choice([w for w in WORDS if w not in marks.values()], rng.integers(1, 8)), marks[label]]
        found.append(Row(" ".join(rng.permutation(words)), label, number + 1))
    return found


def training(base: Path, data: list[Row], form: LabelForm = FORM, **settings: Any) -> Training:
    given = EncoderSettings(**{"epochs": 3, "batch_rows": 8, "precision": "f32", **settings})
    return Training(data, (), form, Base("tiny", base, "0" * 64, "Apache-2.0", "here"), given, seed=1)


def reference(base: Path) -> Any:
    from transformers import BertModel

    return BertModel.from_pretrained(base, add_pooling_layer=False, attn_implementation="eager").eval()


def test_features_and_gradients_are_those_of_transformers(tiny_base: Path) -> None:
    model = FastBert.load(tiny_base, torch.float32)
    ids = tokenize(tiny_base / "tokenizer.json", TEXTS, 32, SIZE)
    assert any(number >= SIZE for number in ids[3])
    batch = pack(ids, np.arange(len(ids)))
    features = model.forward(batch, train=True)
    wanted = torch.randn(features.shape, generator=torch.Generator().manual_seed(0))
    model.backward(wanted)
    theirs, pooled = reference(tiny_base), []
    for row in batch.rows:
        tokens = torch.tensor([ids[row]])
        states = theirs(input_ids=tokens % SIZE, token_type_ids=tokens // SIZE, attention_mask=torch.ones_like(tokens)).last_hidden_state
        pooled.append(states.mean(1)[0])
    expected = torch.stack(pooled)
    assert torch.allclose(features, expected, atol=1e-5)
    expected.backward(wanted)
    named = dict(theirs.named_parameters())
    seen = 0
    for layer, gradients in enumerate(model._g):
        mine = gradients["up.w"]
        assert torch.allclose(mine, named[f"encoder.layer.{layer}.intermediate.dense.weight"].grad, atol=1e-4)
        qkv = torch.cat([named[f"encoder.layer.{layer}.attention.self.{n}.weight"].grad for n in ("query", "key", "value")])
        assert torch.allclose(gradients["qkv.w"], qkv, atol=1e-4)
        seen += 1
    assert seen == 2


def test_it_learns_and_writes_what_it_learnt(tiny_base: Path, tmp_path: Path) -> None:
    data = rows(120)
    part.fit(training(tiny_base, data, epochs=12, learning_rate=3e-3), Workspace(tmp_path, 2, Silent()))
    fresh = rows(60, seed=5)
    logits = part.raw(tmp_path, [row.input for row in fresh], 1)["logits"]
    right = np.mean([FORM.labels[number] == row.output for number, row in zip(logits.argmax(1), fresh, strict=True)])
    assert right > 0.9
    assert not (tmp_path / "checkpoint.safetensors").exists()


def test_a_killed_training_goes_on_to_the_same_weights(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    whole.mkdir()
    torn.mkdir()
    job = training(tiny_base, rows(48))
    part.fit(job, Workspace(whole, 2, Silent()))
    real, calls = course.write_checkpoint, []

    def killed(trainer: Any, file: Path) -> None:
        real(trainer, file)
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(course, "write_checkpoint", killed)
    with pytest.raises(KeyboardInterrupt):
        part.fit(job, Workspace(torn, 2, Silent()))
    assert (torn / "checkpoint.safetensors").is_file()
    part.fit(job, Workspace(torn, 2, Silent()))
    assert (whole / "model.safetensors").read_bytes() == (torn / "model.safetensors").read_bytes()


def test_the_same_seed_gives_the_same_model_and_another_does_not(tiny_base: Path, tmp_path: Path) -> None:
    import dataclasses

    job = training(tiny_base, rows(30), epochs=1)
    made = []
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        folder = tmp_path / name
        folder.mkdir()
        part.fit(dataclasses.replace(job, seed=seed), Workspace(folder, 2, Silent()))
        made.append((folder / "model.safetensors").read_bytes())
    assert made[0] == made[1] != made[2]


def test_several_labels_and_class_weights_train(tiny_base: Path, tmp_path: Path) -> None:
    data = [Row(f"{row.input} refund parcel", sorted({row.output, "a"})) for row in rows(40)]
    form = label_form("abc", multi_label=True, class_weights="balanced")
    part.fit(training(tiny_base, data, form, epochs=1), Workspace(tmp_path, 1, Silent()))
    assert part.raw(tmp_path, ["refund"], 1)["logits"].shape == (1, 3)


def test_other_encoders_go_through_transformers(tmp_path: Path, tiny_base: Path) -> None:
    from transformers import DistilBertConfig, DistilBertModel

    base, out = tmp_path / "distil", tmp_path / "out"
    out.mkdir()
    torch.manual_seed(0)
    config = DistilBertConfig(vocab_size=SIZE, dim=32, n_layers=2, n_heads=4, hidden_dim=64, max_position_embeddings=64)
    DistilBertModel(config).save_pretrained(base)
    (base / "tokenizer.json").write_bytes((tiny_base / "tokenizer.json").read_bytes())
    part.fit(training(base, rows(90), epochs=12, learning_rate=3e-3), Workspace(out, 1, Silent()))
    fresh = rows(30, seed=6)
    logits = part.raw(out, [row.input for row in fresh], 1)["logits"]
    assert np.mean([FORM.labels[n] == row.output for n, row in zip(logits.argmax(1), fresh, strict=True)]) > 0.8


def test_batches_hold_every_row_once_and_waste_little() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 40, 500)
    plan = plan_epoch(lengths, 1, 0, 32, 4096)
    assert sorted(np.concatenate(plan).tolist()) == list(range(500))
    assert [p.tolist() for p in plan] == [p.tolist() for p in plan_epoch(lengths, 1, 0, 32, 4096)]
    assert [p.tolist() for p in plan] != [p.tolist() for p in plan_epoch(lengths, 1, 1, 32, 4096)]
    ordered = np.sort(lengths)
    padded = sum((hi - lo) * ordered[hi - 1] for lo, hi in split_lengths(ordered.tolist()))
    assert padded < 1.1 * lengths.sum()


def test_batches_of_pairs_hold_every_row_once_and_another_of_its_class() -> None:
    targets = np.repeat(np.arange(9), [1, 2, 3, 4, 5, 6, 7, 8, 9])
    plan = plan_pairs(targets, 1, 0, 8)
    assert sorted(np.concatenate(plan).tolist()) == list(range(45))
    flat = targets[np.concatenate(plan)].tolist()
    alone = sum(own not in flat[max(0, at - 1) : at] + flat[at + 1 : at + 2] for at, own in enumerate(flat))
    assert alone <= 5, "the odd row of each of five classes"
    assert [p.tolist() for p in plan] == [p.tolist() for p in plan_pairs(targets, 1, 0, 8)]
    assert [p.tolist() for p in plan] != [p.tolist() for p in plan_pairs(targets, 2, 0, 8)]


def test_belief_that_is_shared_out_is_learnt_as_it_is_shared(tiny_base: Path, tmp_path: Path) -> None:
    """Rows of one text whose belief is shared 70 to 30 are answered so; a row of no weight is not learnt at all."""
    shared = [Row("where is the parcel", "a", n, 1.0, (("a", 0.7), ("b", 0.3))) for n in range(60)]
    sure = [Row("cancel the order", "c", n) for n in range(60)]
    ignored = [Row("cancel the order", "b", n, 1e-6) for n in range(60)]
    # Many rows a class: the recipe for few adds terms of its own.
    data = training(tiny_base, [*shared, *sure, *ignored], epochs=12, learning_rate=3e-3, label_smoothing=0.0, token_drop=0.0)
    part.fit(data, Workspace(tmp_path, 1, Silent()))
    logits = part.raw(tmp_path, ["where is the parcel", "cancel the order"], 1)["logits"].astype(float)
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert chances[0] == pytest.approx([0.7, 0.3, 0.0], abs=0.06)
    assert chances[1].argmax() == 2 and chances[1, 1] < 0.1


def test_the_loss_of_belief_is_the_divergence_at_a_temperature() -> None:
    from smidgen.students.encoder_training.training import RowBelief

    plain = [Row("x", "a"), Row("y", "b")]
    assert RowBelief.of(plain, ["a", "b", "c"], 2.0) is None
    rows = [Row("x", "a", 0, 1.0, (("a", 0.5), ("c", 0.5))), Row("y", "b", 0, 3.0)]
    belief = RowBelief.of(rows, ["a", "b", "c"], 2.0)
    assert belief is not None
    logits, targets = torch.tensor([[1.0, 0.0, -1.0], [0.0, 2.0, 0.0]]), torch.tensor([0, 1])
    soft = torch.tensor([0.5**0.5, 0.0, 0.5**0.5])
    soft = soft / soft.sum()
    kept = soft > 0
    first = 4 * (soft[kept] * (soft[kept].log() - torch.log_softmax(logits[0] / 2, 0)[kept])).sum()
    second = -torch.log_softmax(logits[1], 0)[1]
    found = belief.loss(logits, targets, torch.tensor([0, 1]), 0.0, None)
    assert float(found) == pytest.approx(float((first + 3 * second) / 4), abs=1e-6)
