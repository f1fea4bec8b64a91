"""Matrices rounded in teaching are those that Q4_0 stores: packing them loses nothing, and a stopped run goes on rounded."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.forms import text_form
from tests.students.tiny_decoder import tiny_decoder

from smidgen.bases.lookup import find
from smidgen.compress.gguf_method import part_q4_0
from smidgen.core.parts import Training, Workspace
from smidgen.core.progress import Silent
from smidgen.core.rows import Row
from smidgen.gguf.architectures import shape_of
from smidgen.gguf.weights import read
from smidgen.students import decoder
from smidgen.students.decoder import DecoderSettings
from smidgen.students.decoder_training.adapters import LoraAdapters, frozen_of, model_of, rounded
from smidgen.students.decoder_training.examples import examples_of
from smidgen.students.decoder_training.files import open_decoder, taught, weights_of
from smidgen.students.decoder_training.prompts import prompt_of, tokenizer_of
from smidgen.students.decoder_training.training import DecoderProgress, DecoderTrainConfig, DecoderTrainer
from smidgen.students.processor import Workers


class Killed(Exception):
    """A run's end in its midst."""


PAIRS = [(c, t) for c in ("red", "blue") for t in ("vase", "rug", "lamp")]
ROWS = [Row(f"colour: {c}; thing: {t}", f"A {c} {t}.", n) for n, (c, t) in enumerate(PAIRS, 1)]


def test_it_is_ggmls_q4_0() -> None:
    from gguf.quants import dequantize, quantize

    from gguf import GGMLQuantizationType

    matrix = torch.randn(48, 96, generator=torch.Generator().manual_seed(1))
    matrix[3, :32] = 0
    matrix[4, 5] = 9.0
    theirs = dequantize(quantize(matrix.numpy(), GGMLQuantizationType.Q4_0), GGMLQuantizationType.Q4_0)
    mine = rounded(matrix).numpy()
    # ggml rounds halves up and torch to even: nothing else may differ.
    assert np.mean(mine != theirs) < 0.001
    assert np.abs(mine - theirs).max() <= np.abs(matrix.numpy()).max() / 8 + 1e-6
    assert 0 < np.abs(mine - matrix.numpy()).mean() < 0.2
    torch.testing.assert_close(rounded(rounded(matrix)), rounded(matrix), rtol=2e-3, atol=0)
    odd = torch.randn(4, 40)
    assert torch.equal(rounded(odd), odd)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_what_is_taught_rounded_is_packed_without_loss(tmp_path: Path, method: str) -> None:
    base = find(str(tiny_decoder(tmp_path / "tiny")), family="decoder")
    errors = {}
    for qat in ("none", "q4-0"):
        folder, out, packed = (tmp_path / f"{qat}-{name}" for name in ("student", "f16", "packed"))
        folder.mkdir()
        out.mkdir()
        settings = DecoderSettings(method=method, epochs=6, batch_rows=4, precision="f32", qat=qat)
        decoder.part.fit(Training(ROWS, ROWS, text_form(), base, settings), Workspace(folder, 1, Silent()))
        assert open_decoder(folder).facts["rounded"] == (qat == "q4-0")
        spec = part_q4_0.apply(decoder.part.export(folder, out), out, packed, [])
        whole, small = taught(open_decoder(folder)), read(packed / str(spec.options["model"]))
        names = [name for name in whole if "proj" in name]
        assert len(names) == 14
        errors[qat] = max(float((small[name] - whole[name]).abs().max() / whole[name].abs().max()) for name in names)
    assert errors["q4-0"] < 0.002 < 0.03 < errors["none"]


@pytest.mark.parametrize(("most", "rounded_loss", "kept"), [(0.05, 1.02, True), (0.05, 1.12, False), (None, 9.0, True)])
def test_where_rounding_costs_too_much_it_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: float | None, rounded_loss: float, kept: bool
) -> None:
    """Held losses fall to 1 before matrices are rounded, and are `rounded_loss` from then on."""
    base = find(str(tiny_decoder(tmp_path / "tiny")), family="decoder")
    monkeypatch.setattr(decoder, "_ROUNDING_COSTS", most)
    before = iter([3.0, *[1.0] * 99])
    monkeypatch.setattr(DecoderTrainer, "held_loss", lambda self: rounded_loss if self.change.rounded else next(before))
    folder = tmp_path / "student"
    folder.mkdir()
    said: list[str] = []

    class RecordedProgress(Silent):
        def say(self, text: str) -> None:
            said.append(text)

    settings = DecoderSettings(epochs=6, batch_rows=4, precision="f32", qat="auto")
    decoder.part.fit(Training(ROWS, ROWS, text_form(), base, settings), Workspace(folder, 1, RecordedProgress()))
    facts = open_decoder(folder).facts
    assert facts["rounded"] is kept and rounded_loss in facts["held_loss"]
    assert any("trained without rounding" in text for text in said) is not kept


def _teacher(folder: Path, **course: object) -> DecoderTrainer:
    """Of a tiny decoder in `folder`, for nine steps."""
    prompt, shape, weights = prompt_of(folder), shape_of(folder), weights_of(folder)
    lessons = examples_of(ROWS, prompt, tokenizer_of(folder), 256).lessons
    frozen = frozen_of(weights, shape)
    model = model_of(weights, frozen, shape, list(prompt.before), torch.float32)
    change = LoraAdapters(shape, frozen, 4, 8.0, torch.Generator().manual_seed(0), torch.float32)
    plan = replace(DecoderTrainConfig(steps=9, batch=3, checks=3, rounded_from=2 / 3, patience=9), **course)  # type: ignore[arg-type]
    return DecoderTrainer(model, change, lessons, lessons, plan, Workers(1))


def test_what_is_hopeless_is_given_up_early_and_the_rest_is_taught_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounded, the held loss is higher by more than three times what it may be: at the next look matrices are free again."""
    teacher, seen = _teacher(tiny_decoder(tmp_path), steps=18, checks=9, rounding_costs=0.05), []
    before = iter([3.0 - 0.1 * look for look in range(99)])
    monkeypatch.setattr(DecoderTrainer, "held_loss", lambda self: 9.0 if self.change.rounded else next(before))
    teacher.run(lambda now: seen.append(teacher.change.rounded))
    teacher.workers.close()
    # Looks after every fifth step and the last; the matrices are rounded after twelve, and seen to be hopeless after fifteen.
    assert seen == [False] * 12 + [True] * 2 + [False] * 4
    assert teacher.rounding_given_up
    assert not teacher.change.rounded
    assert teacher.losses == pytest.approx([3.0, 2.9, 2.8, 2.7])


def test_what_was_given_up_stays_so_in_a_run_that_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny_decoder(tmp_path)
    plan = {"steps": 18, "checks": 9, "rounding_costs": 0.05}
    stopped, resumed, seen = _teacher(folder, **plan), _teacher(folder, **plan), []
    before = iter([3.0 - 0.1 * look for look in range(99)])
    monkeypatch.setattr(DecoderTrainer, "held_loss", lambda self: 9.0 if self.change.rounded else next(before))

    def kill(now: DecoderProgress) -> None:
        if now.step == 15:
            raise Killed

    with pytest.raises(Killed):
        stopped.run(kill)
    resumed.resume(stopped.state())
    resumed.run(lambda now: seen.append(resumed.change.rounded))
    assert seen == [False] * 3
    assert resumed.rounding_given_up
    for one in (stopped, resumed):
        one.workers.close()


def test_a_run_that_was_stopped_goes_on_rounded(tmp_path: Path) -> None:
    folder = tiny_decoder(tmp_path)
    whole, stopped, resumed = (_teacher(folder) for _ in range(3))
    whole.run(lambda _: None)

    def kill(now: DecoderProgress) -> None:
        if now.step == 7:
            raise Killed

    with pytest.raises(Killed):
        stopped.run(kill)
    assert stopped.change.rounded
    resumed.resume(stopped.state())
    resumed.run(lambda _: None)
    assert resumed.change.rounded
    assert whole.losses == resumed.losses
    assert len(whole.parameters) == 16
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(whole.parameters, resumed.parameters, strict=True))
    for one in (whole, stopped, resumed):
        one.workers.close()


@pytest.mark.parametrize(
    ("settings", "rounded_last"),
    [
        ({}, True),
        ({"adapter": True}, False),
        ({"method": "full"}, False),
        ({"method": "full", "qat": "q4-0"}, True),
        ({"qat": "none"}, False),
    ],
)
def test_what_is_rounded_where_nothing_is_asked(settings: dict[str, object], rounded_last: bool) -> None:
    assert (decoder._rounded_from(DecoderSettings.model_validate(settings)) is not None) == rounded_last


def test_an_adapter_cannot_be_rounded() -> None:
    with pytest.raises(ValueError, match="kept apart from them"):
        DecoderSettings(adapter=True, qat="q4-0")


def test_looks_are_evenly_apart_though_steps_are_counted_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under a budget of time the number of steps changes after each of them: looks come every so many steps all the same."""
    teacher, looks = _teacher(tiny_decoder(tmp_path), steps=60, checks=6, rounded_from=None), []

    def held_loss(self: DecoderTrainer) -> float:
        looks.append(self.step)
        return 3.0 - self.step / 100

    monkeypatch.setattr(DecoderTrainer, "held_loss", held_loss)
    teacher.run(lambda now: teacher.limit(60 + now.step % 2 * 6))
    teacher.workers.close()
    assert len(looks) >= 6
    assert all(10 <= later - earlier <= 11 for earlier, later in pairwise(looks[:-1]))
