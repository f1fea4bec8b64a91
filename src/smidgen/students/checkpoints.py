"""Train an encoder with a checkpoint after each epoch, from which a killed run goes on to identical weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from smidgen.core.errors import TrainError
from smidgen.core.parts import Workspace
from smidgen.students.encoder_training.training import EncoderTrainer, TrainingProgress

_NAME = "checkpoint.safetensors"


def train(trainer: EncoderTrainer, space: Workspace, student: str) -> None:
    """Train to the end, from the checkpoint in the space's folder if there is one.

    Raises TrainError if the loss becomes infinite or NaN.
    """
    file = space.folder / _NAME
    if file.is_file():
        trainer.load_state_dict(load_file(str(file)))
    else:
        trainer.init_head()
    space.progress.start(f"train {student}", trainer.total_steps)
    if trainer.step:
        space.progress.say(f"going on after epoch {trainer.epoch} of {trainer.cfg.epochs}, where an earlier run stopped")
        space.progress.advance(trainer.step)

    def stepped(now: TrainingProgress) -> None:
        if not np.isfinite(now.loss):
            raise TrainError(
                "the loss is no longer a number", value=f"step {now.step}", todo="Lower the rate: --set train.learning_rate=1e-4"
            )
        space.progress.advance(1, loss=now.loss, epoch=f"{now.epoch + 1}/{trainer.cfg.epochs}")

    def epoch_done(done: EncoderTrainer) -> None:
        if done.epoch < done.cfg.epochs:
            store(done.state_dict(), file)

    trainer.run(stepped, epoch_done)


def forget(space: Workspace) -> None:
    """Remove the checkpoint, once the trained model is saved."""
    (space.folder / _NAME).unlink(missing_ok=True)


def store(state: Mapping[str, Any], file: Path) -> None:
    """Write tensors and numbers to a new file and rename it over the old checkpoint: a kill while writing loses nothing."""
    tensors = {name: value if isinstance(value, torch.Tensor) else torch.tensor(value) for name, value in state.items()}
    fresh = file.with_suffix(".new")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, fresh)
    fresh.replace(file)
