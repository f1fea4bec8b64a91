"""Neurons that say nothing can go without a change, the rest learns from the whole, and what is exported is what was taught."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.students.test_shortening import ROWS, exported, taught_twice, tiny
from tests.students.tiny_decoder import tiny_decoder

from smidgen.bases.lookup import find
from smidgen.core.errors import TrainError
from smidgen.core.parts import Training, Workspace
from smidgen.core.progress import Silent
from smidgen.students import decoder
from smidgen.students.decoder import DecoderSettings
from smidgen.students.decoder_training.adapters import FullMatrices, LoraAdapters, WeightChange
from smidgen.students.decoder_training.examples import DecoderExample
from smidgen.students.decoder_training.pruning import healer, lasting_neurons, narrowed, neurons_left
from smidgen.students.decoder_training.training import DecoderTrainConfig, DecoderTrainer
from smidgen.students.processor import Workers


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
        with pytest.raises(TrainError, match="cannot be left out"):
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
    with pytest.raises(TrainError, match="cannot be left out"):
        decoder.part.fit(Training(ROWS, ROWS, {}, base, DecoderSettings(drop_neurons=0.01)), Workspace(folder, 1, Silent()))
    assert not list(folder.iterdir())
    with pytest.raises(ValueError, match="drop_neurons"):
        DecoderSettings(drop_neurons=0.25, adapter=True)
