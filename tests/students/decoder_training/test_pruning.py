"""Layers are dropped where they change least, the rest learns from the whole, and what is exported is what was taught."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.forms import text_form
from tests.students.tiny_decoder import tiny_decoder

from smidgen.bases.lookup import find
from smidgen.core.errors import TrainError
from smidgen.core.parts import Training, Workspace
from smidgen.core.progress import Silent
from smidgen.core.rows import Row
from smidgen.engines import llama
from smidgen.gguf.architectures import shape_of
from smidgen.gguf.weights import read
from smidgen.students import decoder
from smidgen.students.decoder import DecoderSettings
from smidgen.students.decoder_training.adapters import FrozenWeights, FullMatrices, LoraAdapters, WeightChange, frozen_of, model_of
from smidgen.students.decoder_training.examples import DecoderExample
from smidgen.students.decoder_training.files import StoredDecoder, open_decoder, weights_of
from smidgen.students.decoder_training.model import DecoderGuide, LlamaModel, RowBlock
from smidgen.students.decoder_training.pruning import healer, lasting_layers, lasting_neurons, narrowed, neurons_left, shortened
from smidgen.students.decoder_training.training import DecoderTrainConfig, DecoderTrainer
from smidgen.students.processor import Workers

PAIRS = [(c, t) for c in ("red", "blue") for t in ("vase", "rug", "lamp")]
ROWS = [Row(f"colour: {c}; thing: {t}", f"A {c} {t}.", n) for n, (c, t) in enumerate(PAIRS, 1)]


def tiny(folder: Path, shift: float = 0.0, layers: int = 2) -> tuple[LlamaModel, FrozenWeights]:
    weights, random = weights_of(tiny_decoder(folder, layers=layers, whole=True)), torch.Generator().manual_seed(9)
    shape = shape_of(folder)
    weights = {name: tensor + shift * torch.randn(tensor.shape, generator=random) for name, tensor in weights.items()}
    frozen = frozen_of(weights, shape)
    return model_of(weights, frozen, shape, [4, 5], torch.float32), frozen


def block() -> RowBlock:
    ids = torch.randint(3, 49152, (2, 6), generator=torch.Generator().manual_seed(5))
    return RowBlock(ids, torch.tensor([2, 3, 9]), torch.tensor([7, 8, 11]), torch.tensor([0.5, 1.0, 2.0]))


def test_the_guides_chances_are_what_is_learnt(tmp_path: Path) -> None:
    model, frozen = tiny(tmp_path / "a")
    guide, _ = tiny(tmp_path / "b", shift=0.05)
    change = LoraAdapters(model.shape, frozen, 2, 4.0, torch.Generator().manual_seed(1), torch.float32)
    workers, one = Workers(1), block()
    for _, up in change.tensors.values():
        up += 0.02
    change.merge(model, workers)
    mine, theirs = (m.last(one) @ m.output.T for m in (model, guide))
    for share in (0.0, 0.5, 1.0):
        wanted = share * theirs.softmax(-1)
        wanted[torch.arange(3), one.targets] += 1 - share
        expected = float(-(wanted * mine.log_softmax(-1)).sum(-1) @ one.weights)
        gradients = change.empty_gradients()
        with torch.no_grad():
            assert model.loss(one, gradients, change, 1.0, DecoderGuide(guide, share))[0] == pytest.approx(expected, rel=1e-4)
            assert model.loss(one, None, None, 1.0, DecoderGuide(guide, share))[0] == pytest.approx(expected, rel=1e-4)
        # The gradient is the slope of that loss.
        key, step = ("down", 1), 0.05
        slopes = []
        for way in (step, -step):
            change.tensors[key][1][3, 1] += way
            change.merge(model, workers)
            with torch.no_grad():
                slopes.append(model.loss(one, None, None, 1.0, DecoderGuide(guide, share))[0])
            change.tensors[key][1][3, 1] -= way
        change.merge(model, workers)
        assert float(gradients.sums[key][1][3, 1]) == pytest.approx((slopes[0] - slopes[1]) / (2 * step), rel=0.02, abs=1e-3)
    workers.close()


def test_a_model_is_its_own_best_pupil(tmp_path: Path) -> None:
    model, frozen = tiny(tmp_path)
    change = LoraAdapters(model.shape, frozen, 2, 4.0, torch.Generator().manual_seed(1), torch.float32)
    gradients, workers = change.empty_gradients(), Workers(1)
    change.merge(model, workers)
    workers.close()
    with torch.no_grad():
        model.loss(block(), gradients, change, 1.0, DecoderGuide(model, 1.0))
    seen = [float(tensor.abs().max()) for group in gradients.sums.values() for tensor in group]
    assert len(seen) == 16
    assert max(seen) < 1e-5


def test_those_that_change_least_go_and_the_ends_stay() -> None:
    assert lasting_layers([0.0, 0.5, 0.1, 0.3, 0.2, 0.0], 2) == [0, 1, 3, 5]
    assert lasting_layers([0.0, 0.5, 0.1, 0.3, 0.2, 0.0], 0) == [0, 1, 2, 3, 4, 5]
    with pytest.raises(TrainError, match="too few layers"):
        lasting_layers([0.1] * 6, 4)


def test_a_layer_that_does_nothing_has_no_influence_and_its_loss_changes_nothing(tmp_path: Path) -> None:
    model, frozen = tiny(tmp_path, layers=5)
    for place in ("out", "down"):
        getattr(model.layers[2], place).zero_()
        frozen.layers[2][place].zero_()
    change = LoraAdapters(model.shape, frozen, 2, 4.0, torch.Generator().manual_seed(1), torch.float32)
    random = np.random.default_rng(0)
    lessons = [DecoderExample(random.integers(3, 49152, 8), 3) for _ in range(6)]
    teacher = DecoderTrainer(model, change, lessons, lessons, DecoderTrainConfig(steps=4, batch=2, checks=2), Workers(2))
    influences = teacher.influences().tolist()
    assert len(influences) == 5
    assert influences[2] == pytest.approx(0.0, abs=1e-6)
    assert all(value > 1e-4 for number, value in enumerate(influences) if number != 2)
    before = teacher.held_loss()
    layers = lasting_layers(influences, 1)
    assert layers == [0, 1, 3, 4]
    healed = healer(teacher, shortened(change, layers), teacher.course)
    assert healed.held_loss() == pytest.approx(before, rel=1e-5)
    healed.run(lambda _: None)
    assert min(healed.losses) < before
    teacher.workers.close()


@pytest.mark.thorough
def test_a_shortened_student_is_taught_stopped_resumed_and_exported(tmp_path: Path) -> None:
    one, other = taught_twice(tmp_path, drop_layers=2)
    assert one.layers == other.layers and one.layers is not None and len(one.layers) == 4
    assert one.shape.layers == 4
    names = {name.split(".")[2] for name in exported(one, tmp_path / "out") if name.startswith("model.layers")}
    assert names == {"0", "1", "2", "3"}
    assert math.isfinite(min(one.facts["held_loss"]))


def taught_twice(tmp_path: Path, **left_out: Any) -> tuple[StoredDecoder, StoredDecoder]:
    """A decoder of six layers that is taught in one go, and one that is stopped while it is taught again; both are the same."""
    base = find(str(tiny_decoder(tmp_path / "tiny", layers=6, whole=True)), family="decoder")
    training = Training(ROWS, ROWS, text_form(), base, DecoderSettings(epochs=5, batch_rows=4, precision="f32", **left_out))
    changes = []
    for stop in (None, "heal decoder"):
        folder = tmp_path / str(stop)
        folder.mkdir()
        if stop is not None:
            with pytest.raises(KeyboardInterrupt):
                decoder.part.fit(training, Workspace(folder, 1, Stopping(stop)))
            assert (folder / "checkpoint.safetensors").is_file()
        decoder.part.fit(training, Workspace(folder, 1, Silent()))
        assert not list(folder.glob("*ing.safetensors")) and not (folder / "checkpoint.safetensors").exists()
        changes.append(open_decoder(folder))
    one, other = changes
    assert (one.folder / "change.safetensors").read_bytes() == (other.folder / "change.safetensors").read_bytes()
    return one, other


def exported(stored: StoredDecoder, out: Path) -> dict[str, torch.Tensor]:
    """The tensors of its file, which the engine writes the same texts with as torch does."""
    out.mkdir()
    spec = decoder.part.export(stored.folder, out)
    assert spec.engine == decoder.part.engine
    runner = llama.part.open(out, spec.options, 1)
    text = [row.input for row in ROWS[:2]]
    assert runner.run(text)["texts"] == decoder.part.raw(stored.folder, text, 1)["texts"]
    runner.close()
    return read(out / str(spec.options["model"]))


class Stopping(Silent):
    """A progress that is stopped in the middle of a step of a name."""

    def __init__(self, title: str) -> None:
        self._title, self._now = title, ""

    def start(self, step: str, total: int | None = None) -> None:
        self._now = step

    def advance(self, units: int = 1, **facts: float | str) -> None:
        if self._now == self._title:
            raise KeyboardInterrupt


@pytest.mark.parametrize("method", ["lora", "full"])
def test_neurons_that_say_nothing_go_first_and_their_loss_changes_nothing(tmp_path: Path, method: str) -> None:
    model, frozen = tiny(tmp_path, layers=3)
    inner = model.shape.inner
    random = np.random.default_rng(0)
    silent = [sorted(random.permutation(inner)[: inner // 3].tolist()) for _ in range(3)]
    for number, gone in enumerate(silent):
        frozen.layers[number]["down"][:, gone] = 0.0
    generator = torch.Generator().manual_seed(1)
    change: WeightChange = (
        FullMatrices(model.shape, frozen) if method == "full" else LoraAdapters(model.shape, frozen, 2, 4.0, generator, torch.float32)
    )
    if isinstance(change, LoraAdapters):
        for (place, number), (down, up) in change.tensors.items():
            up += 0.02 * torch.randn(up.shape, generator=generator)
            if place == "down":
                down[:, silent[number]] = 0.0
    lessons = [DecoderExample(random.integers(3, 49152, 8), 3) for _ in range(6)]
    teacher = DecoderTrainer(model, change, lessons, lessons, DecoderTrainConfig(steps=4, batch=2, checks=2), Workers(2))
    change.merge(model, teacher.workers)
    before, activity = teacher.held_loss(), teacher.activity()
    assert activity.shape == (3, inner) and bool((activity > 0).all())
    neurons = lasting_neurons(activity, change, 1 / 3)
    assert [sorted({*range(inner)} - {*kept}) for kept in neurons] == silent
    less = narrowed(change, neurons)
    assert less.shape.inner == inner - inner // 3
    healed = healer(teacher, less, teacher.course)
    assert healed.held_loss() == pytest.approx(before, rel=1e-5)
    healed.run(lambda _: None)
    assert min(healed.losses) < before
    teacher.workers.close()


def test_as_many_stay_as_packed_forms_can_store() -> None:
    assert (neurons_left(1536, 0.25), neurons_left(1536, 0.27), neurons_left(1536, 0.5)) == (1152, 1120, 768)
    for inner, share in ((64, 0.1), (64, 0.8), (1536, 0.005)):
        with pytest.raises(TrainError, match="cannot be dropped"):
            neurons_left(inner, share)


@pytest.mark.thorough
@pytest.mark.parametrize("layers", [0, 2])
def test_a_narrowed_student_is_taught_stopped_resumed_and_exported(tmp_path: Path, layers: int) -> None:
    one, other = taught_twice(tmp_path, drop_neurons=0.5, drop_layers=layers)
    assert one.neurons == other.neurons and one.neurons is not None and len(one.neurons) == 6 - layers
    tensors = exported(one, tmp_path / "out")
    assert tensors["model.layers.0.mlp.down_proj.weight"].shape[1] == one.shape.inner == len(one.neurons[0])


def test_what_cannot_be_left_out_is_refused_before_teaching(tmp_path: Path) -> None:
    base = find(str(tiny_decoder(tmp_path / "tiny", whole=True)), family="decoder")
    folder = tmp_path / "student"
    folder.mkdir()
    with pytest.raises(TrainError, match="cannot be dropped"):
        decoder.part.fit(Training(ROWS, ROWS, text_form(), base, DecoderSettings(drop_neurons=0.01)), Workspace(folder, 1, Silent()))
    assert not list(folder.iterdir())
    with pytest.raises(ValueError, match="drop_neurons"):
        DecoderSettings(drop_neurons=0.25, adapter=True)
