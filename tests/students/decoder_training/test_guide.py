"""A student learns a guide's chances: on the examples' answers and on its own, of the same tokens, to the same weights after a stop."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.forms import text_form
from tests.students.decoder_training.test_pruning import Stopping
from tests.students.tiny_decoder import tiny_decoder, weights

from smidgen.bases.lookup import find
from smidgen.core.errors import TrainError
from smidgen.core.parts import Training, Workspace
from smidgen.core.progress import Silent
from smidgen.core.rows import Row
from smidgen.gguf.architectures import shape_of
from smidgen.students import decoder
from smidgen.students.decoder_training.adapters import FrozenWeights, LoraAdapters, frozen_of, model_of
from smidgen.students.decoder_training.examples import DecoderExample
from smidgen.students.decoder_training.files import describe_base, guide_model
from smidgen.students.decoder_training.generation import OwnAnswers, write
from smidgen.students.decoder_training.model import DecoderGuide, LlamaModel, RowBlock, divergence
from smidgen.students.decoder_training.prompts import plain_ids, tokenizer_of
from smidgen.students.decoder_training.training import DecoderTrainConfig, DecoderTrainer, block_of
from smidgen.students.processor import Workers
from smidgen.students.settings import DecoderSettings
from smidgen.students.vocabulary import MergeTable, ids_kept_of, tokenizer_hash

ROWS = [
    Row(f"colour: {c}; thing: {t}", f"A {c} {t}.", n)
    for n, (c, t) in enumerate([(c, t) for c in ("red", "blue") for t in ("vase", "rug")], 1)
]
STOP = (2,)
TOKENS = 3328
SHARP = 4
"""By what the last norm is more than a random model's, so that there is something to learn of its chances."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_decoder(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A guide of the same tokens: of more layers, and of other weights."""
    from safetensors.torch import save_file

    folder = tiny_decoder(tmp_path_factory.mktemp("large"), layers=3)
    # Its table is the small one's, so that the small one can say the same.
    table, norm = (weights(rows=TOKENS)[name] for name in ("model.embed_tokens.weight", "model.norm.weight"))
    own = {**weights(seed=7, layers=3, rows=TOKENS), "model.embed_tokens.weight": table, "model.norm.weight": norm * SHARP}
    save_file(own, folder / "model.safetensors")
    return folder


def small(folder: Path) -> tuple[LlamaModel, FrozenWeights]:
    found, shape = weights(rows=TOKENS), shape_of(folder)
    found["model.norm.weight"] = found["model.norm.weight"] * SHARP
    frozen = frozen_of(found, shape)
    return model_of(found, frozen, shape, [4, 5], torch.float32), frozen


def lessons(count: int = 6) -> list[DecoderExample]:
    random = np.random.default_rng(3)
    return [DecoderExample(np.append(random.integers(3, TOKENS, 7), 2), 3) for _ in range(count)]


def distance(model: LlamaModel, guide: LlamaModel, some: list[DecoderExample]) -> float:
    """KL of the guide's chances and the model's, nats a token."""
    block = block_of([(lesson,) for lesson in some])
    mine, theirs = ((m.last(block) @ m.output.T).log_softmax(-1) for m in (model, guide))
    return float((theirs.exp() * (theirs - mine)).sum(-1).mean())


@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_divergences_and_their_slopes_are_those_of_the_papers(beta: float, temperature: float) -> None:
    random = torch.Generator().manual_seed(2)
    own, seen = (torch.randn(5, 40, generator=random) * 2 for _ in range(2))
    own.requires_grad_()
    p, q = (seen / temperature).softmax(-1), (own / temperature).softmax(-1)
    mixed = beta * p + (1 - beta) * q
    kinds = {
        0.0: -(p * q.log()).sum(-1),
        0.3: beta * (p * (p / mixed).log()).sum(-1) + (1 - beta) * (q * (q / mixed).log()).sum(-1),
        1.0: (q * (q / p).log()).sum(-1),
    }
    wanted = kinds[beta] * temperature**2
    (slope,) = torch.autograd.grad(wanted.sum(), own)
    found, way = divergence(own.detach(), seen, temperature, beta)
    assert torch.allclose(found, wanted.detach(), atol=1e-5)
    assert torch.allclose(way, slope, atol=1e-5)
    same, none = divergence(seen, seen, temperature, 1.0)
    assert float(same.abs().max()) < 1e-5 and float(none.abs().max()) < 1e-5


def test_near_its_ends_the_divergence_between_is_small_as_it_was_published() -> None:
    """About beta (1 - beta) of the KL that stands there, as the generalised Jensen-Shannon divergence has it."""
    generator = torch.Generator().manual_seed(3)
    logits, seen = (torch.randn(4, 9, generator=generator) for _ in range(2))
    for end, near in ((0.0, 0.001), (1.0, 0.999)):
        whole, small = divergence(logits, seen, 1.0, end)[1], divergence(logits, seen, 1.0, near)[1]
        torch.testing.assert_close(small / (near * (1 - near)), whole, atol=0.02, rtol=0.02)
    assert whole.shape == (4, 9)


def test_a_higher_temperature_makes_more_of_what_is_unlikely() -> None:
    seen, own = torch.tensor([[8.0, 1.0, 0.0]]), torch.zeros(1, 3)
    pulls = [divergence(own, seen, t, 0.0)[1][0] / t for t in (1.0, 4.0)]
    assert float(-pulls[0][0]) > 0.66, "at 1 nearly all of the pull is to the likeliest"
    assert float(pulls[1][1]) < float(pulls[0][1]) - 0.05


@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_the_student_comes_nearer_to_its_guide(base: Path, larger: Path, beta: float) -> None:
    model, frozen = small(base)
    guide = guide_model(larger, base, base, None, [4, 5], torch.float32)
    change = LoraAdapters(model.shape, frozen, 8, 16.0, torch.Generator().manual_seed(0), torch.float32)
    some, workers = lessons(), Workers(2)
    before = distance(model, guide, some)
    course = DecoderTrainConfig(steps=25, batch=6, rate=2e-2, decay=0.0)
    DecoderTrainer(model, change, some, (), course, workers, DecoderGuide(guide, 1.0, 1.0, beta)).run(lambda now: None)
    workers.close()
    assert before > 0.5
    assert distance(model, guide, some) < 0.6 * before


def test_what_the_student_drew_is_learnt_of_the_guide_alone(base: Path, larger: Path) -> None:
    model, _ = small(base)
    guide = guide_model(larger, base, base, None, [4, 5], torch.float32)
    own = lessons(2)
    block = block_of([(own[0],), (DecoderExample(own[1].ids, own[1].answer, 1.0, drawn=True),)])
    assert block.drawn is not None and block.drawn.tolist() == [False] * 3 + [True] * 3
    mine, theirs = (m.last(block) @ m.output.T for m in (model, guide))
    pull = divergence(mine, theirs, 2.0, 0.5)[0]
    answers = torch.nn.functional.cross_entropy(mine, block.targets, reduction="none")
    wanted = torch.cat([0.75 * answers[:3] + 0.25 * pull[:3], pull[3:]])
    found, weight = model.loss(block, None, None, 1.0, DecoderGuide(guide, 0.25, 2.0, 0.5))
    assert weight == 6 and found == pytest.approx(float(wanted.sum()), rel=1e-5)
    assert block_of([(own[0],)]).drawn is None


def test_draws_come_from_the_student_and_end(base: Path) -> None:
    model, _ = small(base)
    workers, batch = Workers(2), [(lesson,) for lesson in lessons(12)]
    sources = [group[0].ids[:-3].tolist() for group in batch]
    drawn = OwnAnswers(1.0, 5, STOP, 1).put(model, batch, 4, workers)
    assert len(drawn) == 12 and all(len(group) == 1 and group[0].drawn for group in drawn)
    ends = 0
    for (one,), source in zip(drawn, sources, strict=True):
        assert one.ids[: len(source)].tolist() == source and 1 <= one.answer == len(one.ids) - len(source) <= 6
        ended = int(one.ids[-1]) in STOP
        assert ended or one.answer == 5, "it ends, or has as many tokens as are allowed"
        ends += ended
    same, other = (OwnAnswers(1.0, 5, STOP, 1).put(model, batch, step, workers) for step in (4, 5))
    ids = [[group[0].ids.tolist() for group in some] for some in (drawn, same, other)]
    assert ids[0] == ids[1] != ids[2], "a step that is done again draws the same, the next one does not"
    # A student that is sure of itself draws what it would write.
    model.output *= 1e4
    sure = OwnAnswers(1.0, 5, STOP, 1).put(model, batch, 4, workers)
    written = write(model, sources, STOP, 5, workers)
    assert [group[0].ids[len(source) :].tolist() for group, source in zip(sure, sources, strict=True)] == [
        [*one.ids, *([2] if one.finished else [])] for one in written
    ]
    half = OwnAnswers(0.5, 5, STOP, 1).put(model, batch, 0, workers)
    assert 2 <= sum(group[0].drawn for group in half) <= 10, "of the others the answers stay the examples'"
    workers.close()


def test_a_drawn_answer_ends_where_the_student_ends(base: Path) -> None:
    model, _ = small(base)
    workers, batch = Workers(1), [(lesson,) for lesson in lessons(4)]
    model.table[:] = 1.0
    for layer in model.layers:
        for matrix in (layer.out, layer.down):
            matrix.zero_()
    model.output.zero_()
    model.output[2] = 1.0
    drawn = OwnAnswers(1.0, 50, STOP).put(model, batch, 0, workers)
    workers.close()
    assert [group[0].ids[-1] for group in drawn] == [2] * 4 and [group[0].answer for group in drawn] == [1] * 4


def test_a_guide_of_other_tokens_is_refused(base: Path, larger: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for file in larger.iterdir():
        (other / file.name).write_bytes(file.read_bytes())
    told = json.loads((other / "tokenizer.json").read_text(encoding="utf-8"))
    merges = told["model"]["merges"]
    merges[0], merges[1] = merges[1], merges[0]
    (other / "tokenizer.json").write_text(json.dumps(told), encoding="utf-8")
    assert tokenizer_hash(other) != tokenizer_hash(base) == tokenizer_hash(larger)
    assert ids_kept_of(base, other) is None
    with pytest.raises(TrainError, match=r"tokens are not the student's.*needs the student's tokens"):
        guide_model(other, base, base, None, [], torch.float32)
    training = Training(
        ROWS, (), text_form(), find(str(base)), DecoderSettings(epochs=1, precision="f32", guide="x"), guide=find(str(other))
    )
    with pytest.raises(TrainError, match="tokens are not the student's"):
        decoder.part.fit(training, Workspace(tmp_path, 1, Silent()))


def test_a_trimmed_student_sees_the_guide_s_own_chances_of_what_is_kept(base: Path, larger: Path, tmp_path: Path) -> None:
    tokenizer = tokenizer_of(base)
    kept = MergeTable(base).kept(plain_ids(tokenizer, "A red vase for your home."), 300)
    describe_base(tmp_path, base, kept)
    new = {old: at for at, old in enumerate(kept)}
    ids = plain_ids(tokenizer, "A red vase")
    whole = guide_model(larger, base, base, None, [], torch.float32)
    part = guide_model(larger, base, tmp_path, kept, [], torch.float32)
    assert part.output.shape[0] == part.table.shape[0] == part.shape.vocabulary == len(kept) < 1000
    answers = torch.arange(len(ids))
    blocks = [RowBlock(torch.tensor([some]), answers, answers, torch.ones(len(ids))) for some in (ids, [new[at] for at in ids])]
    full = (whole.last(blocks[0]) @ whole.output.T).softmax(-1)[:, kept]
    trimmed = (part.last(blocks[1]) @ part.output.T).softmax(-1)
    assert torch.allclose(trimmed, full / full.sum(-1, keepdim=True), atol=1e-6)
    assert torch.allclose(trimmed.sum(-1), torch.ones(len(ids)))
    # A guide that was itself trimmed so is known as that, and then its own tokens are the student's.
    assert ids_kept_of(base, tmp_path) == kept and ids_kept_of(tmp_path, base) is None and ids_kept_of(base, larger) is None


@pytest.mark.thorough
@pytest.mark.parametrize("more", [{}, {"on_policy": 0.6, "guide_beta": 0.5, "guide_temperature": 2.0, "vocabulary": "whole"}])
def test_a_stopped_guided_run_ends_as_one_that_was_not(
    base: Path, larger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, object]
) -> None:
    monkeypatch.setattr(decoder, "_CHECKPOINT_SECONDS", 0.0)
    settings = DecoderSettings.model_validate({"epochs": 4, "batch_rows": 4, "precision": "f32", "guide": str(larger), **more})
    training = Training(ROWS, (), text_form(max_tokens=6), find(str(base)), settings, guide=find(str(larger)))
    told, changes = [], []
    for stop in (None, 2):
        folder = tmp_path / str(stop)
        folder.mkdir()
        progress = RecordedProgress(told)
        if stop is not None:
            with pytest.raises(KeyboardInterrupt):
                decoder.part.fit(training, Workspace(folder, 1, StoppingLater("teach decoder", stop)))
            assert (folder / "checkpoint.safetensors").is_file()
        decoder.part.fit(training, Workspace(folder, 1, progress))
        changes.append((folder / "change.safetensors").read_bytes())
    assert changes[0] == changes[1]
    said = "60% of answers drawn by the student" if more else "on the examples' answers"
    assert any(line == f"guided by {larger}, {said}" for line in told)
    alone = tmp_path / "alone"
    alone.mkdir()
    plain = settings.model_copy(update={"guide": None, "on_policy": 0.0})
    decoder.part.fit(Training(ROWS, (), text_form(max_tokens=6), find(str(base)), plain), Workspace(alone, 1, Silent()))
    assert (alone / "change.safetensors").read_bytes() != changes[0], "the guide makes a difference"


def test_drawing_without_a_guide_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="need a guide"):
        DecoderSettings(on_policy=0.5)
    assert DecoderSettings(on_policy=0.5, guide="x").on_policy == 0.5


class RecordedProgress(Silent):
    """A progress that notes what is said."""

    def __init__(self, told: list[str]) -> None:
        self._told = told

    def say(self, text: str) -> None:
        self._told.append(text)


class StoppingLater(Stopping):
    """One that is stopped at the n-th step."""

    def __init__(self, title: str, after: int) -> None:
        super().__init__(title)
        self._left = after

    def advance(self, units: int = 1, **facts: float | str) -> None:
        self._left -= 1
        if self._left < 0:
            super().advance(units, **facts)
