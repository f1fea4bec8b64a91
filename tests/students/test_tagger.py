"""The tagger: its gradients, its loss, what it learns, its checkpoints, and that the engine serves what was trained."""

from __future__ import annotations

import dataclasses
import itertools
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.forms import field_form, span_form
from tests.students.test_encoder import WORDS, tiny_base  # noqa: F401

from smidgen.core.errors import EngineError, TrainError
from smidgen.core.parts import Base, Training, Workspace
from smidgen.core.progress import Silent
from smidgen.core.rows import Row
from smidgen.engines.tagger import part as engine
from smidgen.parts import registry
from smidgen.students.encoder_training import training as course
from smidgen.students.encoder_training.batches import pack, units_of
from smidgen.students.encoder_training.bert import NEGATIVE, ShapedBert
from smidgen.students.lexical import LexicalSettings
from smidgen.students.settings import TaggerSettings
from smidgen.students.tagger import part
from smidgen.students.tagger_training import _mixed, chain_loss, choice_loss
from smidgen.text import tagging

FORM = span_form(["thing", "wish"])


def rows(count: int, seed: int = 0) -> list[Row]:
    """Texts of the tiny vocabulary. `lamp` and `plate` are things, with `broken` before them where it is; `refund money` is a wish."""
    rng = np.random.default_rng(seed)
    filler = [word for word in WORDS if word not in ("lamp", "plate", "broken", "refund", "money")]
    made = []
    for number in range(count):
        pieces: list[tuple[str, str | None]] = [(str(word), None) for word in rng.choice(filler, rng.integers(2, 6))]
        for name in (["broken lamp", "lamp", "broken plate", "refund money"][i] for i in rng.permutation(4)[: rng.integers(0, 3)]):
            pieces.insert(int(rng.integers(0, len(pieces) + 1)), (name, "wish" if name.startswith("refund") else "thing"))
        text, spans = "", []
        for word, label in pieces:
            start = len(text) + bool(text)
            text = f"{text} {word}".strip()
            if label:
                spans.append({"start": start, "end": len(text), "label": label})
        made.append(Row(text, spans, number + 1))
    return made


def training(folder: Path, data: list[Row], **settings: Any) -> Training:
    base = Base("tiny", folder, "encoder", "x", "Apache-2.0", "here")
    return Training(data, (), FORM, base, TaggerSettings(precision="f32", max_length=32, **settings), 5)


def outputs(raw: Any) -> list[list[tuple[int, int, int]]]:
    return [[(int(a), int(b), int(kind)) for a, b, kind, chance in found if chance > 0.5] for found in raw["spans"]]


def gold(data: list[Row]) -> list[list[tuple[int, int, int]]]:
    return [[(span["start"], span["end"], FORM.kinds.index(span["label"])) for span in row.output] for row in data]


def test_gradients_of_shapes_and_units_are_those_of_autograd(tiny_base: Path) -> None:  # noqa: F811
    from transformers import BertModel

    model = ShapedBert.load(tiny_base, torch.float32)
    model.learn(3)
    ids = [[2, 7, 8, 9, 3], [2, 6, 10, 3]]
    shapes = [[0, 1, 1, 2, 0], [0, 2, 0, 0]]
    pieces = [np.array([[0, 2], [2, 3]]), np.array([[0, 1], [1, 2]])]
    size = len(model.word)
    batch = pack([[n + size * s for n, s in zip(*row, strict=True)] for row in zip(ids, shapes, strict=True)], np.array([0, 1]))
    batch = dataclasses.replace(batch, units=units_of(batch, pieces, 1))
    features = model.forward(batch, train=True)
    weight = torch.randn(features.shape, generator=torch.Generator().manual_seed(1))
    model.backward(weight)

    theirs = BertModel.from_pretrained(tiny_base, add_pooling_layer=False, attn_implementation="eager").eval()
    table = theirs.embeddings.token_type_embeddings
    table.weight = torch.nn.Parameter(table.weight[:1].detach().repeat(3, 1))
    found = []
    for row in batch.rows:
        states = theirs(input_ids=torch.tensor([ids[row]]), token_type_ids=torch.tensor([shapes[row]])).last_hidden_state[0]
        found += [states[1 + a : 1 + b].mean(0) for a, b in pieces[row]]
    mine = torch.stack(found)
    assert torch.allclose(features, mine, atol=1e-5)
    (mine * weight).sum().backward()
    assert table.weight.grad is not None
    assert torch.allclose(model.grads[-3 * model.hidden :].view(3, -1), table.weight.grad, atol=1e-4)
    down = theirs.encoder.layer[0].output.dense.weight.grad
    assert down is not None
    assert torch.allclose(model._g[0]["down.w"], down, atol=1e-4)


def test_the_loss_is_the_likelihood_of_the_path() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, between = torch.randn(2, 4, 5, generator=generator), torch.randn(5, 5, generator=generator)
    may, opens, closes = (torch.zeros(m.shape).masked_fill(~torch.from_numpy(m), NEGATIVE) for m in tagging.allowed_transitions(1))
    tags, sizes = torch.tensor([[0, 1, 2, 3], [4, 0, 0, 0]]), torch.tensor([4, 2])
    wanted = 0.0
    for row in range(2):
        size = int(sizes[row])
        weights = {}
        for path in itertools.product(range(5), repeat=size):
            steps = sum(float(between[a, b] + may[a, b]) for a, b in itertools.pairwise(path))
            weights[path] = sum(float(logits[row, i, t]) for i, t in enumerate(path)) + steps + float(opens[path[0]] + closes[path[-1]])
        total = np.logaddexp.reduce(list(weights.values()))
        wanted += total - weights[tuple(tags[row, :size].tolist())]
    assert float(chain_loss(logits, tags, sizes, between + may, opens, closes)) == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("kind", ["tagger", "lexical"])
def test_it_learns_and_is_served_as_trained(kind: str, tiny_base: Path, tmp_path: Path) -> None:  # noqa: F811
    student, trained, out = registry.find("students", kind), tmp_path / "trained", tmp_path / "out"
    trained.mkdir()
    job = training(tiny_base, rows(400), epochs=14, learning_rate=4e-3)
    if kind == "lexical":
        job = dataclasses.replace(job, base=None, settings=LexicalSettings())
    student.fit(job, Workspace(trained, 2, Silent()))
    fresh = rows(60, seed=9)
    # Longer than a window; nothing that a tokenizer keeps; nothing at all.
    texts = [*(row.input for row in fresh), " ".join(str(row.input) for row in fresh[:12]), "\N{ZERO WIDTH SPACE}", ""]
    reference = student.raw(trained, texts, 1)
    found = outputs(reference)
    right = np.mean([a == b for a, b in zip(found, gold(fresh), strict=False)])
    assert right > 0.9
    shift, long = 0, []
    for row in fresh[:12]:
        long += [(a + shift, b + shift, k) for a, b, k in gold([row])[0]]
        shift += len(row.input) + 1
    assert len(set(long) ^ set(found[60])) <= 2
    assert found[61:] == [[], []]
    spec = student.export(trained, out)
    assert all((out / name).is_file() for name in spec.files)
    served = registry.find("engines", spec.engine).open(out, spec.options, 2).run(texts)
    assert outputs(served) == found
    chances = [[np.array([entry[3] for entry in own]) for own in raw["spans"]] for raw in (reference, served)]
    assert all(np.allclose(a, b, atol=1e-3) for a, b in zip(*chances, strict=True) if len(a) == len(b))
    assert not (trained / "checkpoint.safetensors").exists()


def test_a_killed_training_goes_on_to_the_same_weights(
    tiny_base: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    whole.mkdir()
    torn.mkdir()
    job = training(tiny_base, rows(40), epochs=4)
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
    part.fit(job, Workspace(torn, 2, Silent()))
    for name in ("model.safetensors", "chain.safetensors"):
        assert (whole / name).read_bytes() == (torn / name).read_bytes()


def test_other_architectures_train_too(tiny_base: Path, tmp_path: Path) -> None:  # noqa: F811
    """By transformers: a BERT whose activation the hand-written passes do not cover."""
    base, trained, out = tmp_path / "base", tmp_path / "trained", tmp_path / "out"
    shutil.copytree(tiny_base, base)
    trained.mkdir()
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    (base / "config.json").write_text(json.dumps({**config, "hidden_act": "relu"}), encoding="utf-8")
    part.fit(training(base, rows(400), epochs=14, learning_rate=4e-3), Workspace(trained, 1, Silent()))
    fresh = rows(40, seed=9)
    texts = [row.input for row in fresh]
    reference = part.raw(trained, texts, 1)
    assert np.mean([a == b for a, b in zip(outputs(reference), gold(fresh), strict=True)]) > 0.8
    spec = part.export(trained, out)
    assert not spec.options["shaped"]
    assert outputs(registry.find("engines", spec.engine).open(out, spec.options, 1).run(texts)) == outputs(reference)


def test_the_baseline_says_that_it_finds_spans_alone(tmp_path: Path) -> None:
    rows = [Row("two oak chairs", {"colour": "oak"})]
    with pytest.raises(TrainError, match="finds spans"):
        registry.find("students", "lexical").fit(
            Training(rows, (), field_form({}), None, LexicalSettings()), Workspace(tmp_path, 1, Silent())
        )


CHOICES_FORM = field_form(
    {},
    tagged={"kinds": ["thing", "wish"], "choices": [{"path": "a", "values": [True, False]}, {"path": "b", "values": ["x", "y", None]}]},
)


def chosen(row: Row) -> list[int]:
    """Whether the text speaks of something broken; whether of a refund, or else of a lamp, or of neither."""
    text = str(row.input)
    return [0 if "broken" in text else 1, 0 if "refund" in text else 1 if "lamp" in text else 2]


def marked(count: int, seed: int = 0) -> list[Row]:
    return [replace(row, output={"spans": row.output, "choices": chosen(row)}) for row in rows(count, seed)]


def test_the_loss_is_the_likelihood_of_the_choices_that_are_known() -> None:
    logits = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
    first, second = logits[:, :2].log_softmax(1), logits[:, 2:].log_softmax(1)
    wanted = -(first[0, 1] + second[0, 2] + second[1, 0])
    assert float(choice_loss(logits, torch.tensor([[1, 2], [-1, 0]]), (2, 3))) == pytest.approx(float(wanted), abs=1e-6)


def test_it_learns_spans_and_choices_and_is_served_as_trained(tiny_base: Path, tmp_path: Path) -> None:  # noqa: F811
    trained, out = tmp_path / "trained", tmp_path / "out"
    trained.mkdir()
    job = replace(training(tiny_base, marked(400), epochs=24, learning_rate=4e-3), form=CHOICES_FORM)
    part.fit(job, Workspace(trained, 1, Silent()))
    fresh = rows(40, seed=9)
    # Longer than a window; nothing at all.
    texts = [*(str(row.input) for row in fresh), " ".join(str(row.input) for row in fresh[:12]), ""]
    reference = part.raw(trained, texts, 1)
    assert np.mean([a == b for a, b in zip(outputs(reference), gold(fresh), strict=False)]) > 0.9
    taken = [[int(np.argmax(own)) for own in choices] for choices in reference["choices"]]
    assert np.mean([a == chosen(row) for a, row in zip(taken, fresh, strict=False)]) > 0.9
    spec = part.export(trained, out)
    assert spec.options["choices"] == [2, 3]
    served = engine.open(out, spec.options, 1).run(texts)
    assert outputs(served) == outputs(reference) and len(served["choices"]) == 42
    flat = [[chance for choices in raw["choices"] for own in choices for chance in own] for raw in (reference, served)]
    assert len(flat[0]) == 42 * 5 and np.allclose(*flat, atol=1e-3)
    assert all(sum(own) == pytest.approx(1, abs=1e-4) for choices in served["choices"] for own in choices)
    for choices, said in (([], "different tags"), ([2, 4], "different tags"), ([5, 0], "option 'choices' is invalid")):
        with pytest.raises(EngineError, match=said):
            engine.open(out, {**spec.options, "choices": choices}, 1)


def test_a_share_of_the_base_is_mixed_in(tmp_path: Path) -> None:
    save_file({"bert.a": torch.zeros(2), "bert.b": torch.zeros(3)}, tmp_path / "model.safetensors")
    trained = {"a": torch.tensor([1.0, 2.0]), "b": torch.ones(2), "head": torch.ones(1)}
    assert _mixed(trained, tmp_path, 0.0) is trained
    mixed = _mixed(trained, tmp_path, 0.25)
    assert mixed["a"].tolist() == [0.75, 1.5] and mixed["b"] is trained["b"] and mixed["head"] is trained["head"]
    with pytest.raises(TrainError, match="none of the trained weights"):
        _mixed({"c": torch.ones(1)}, tmp_path, 0.25)
