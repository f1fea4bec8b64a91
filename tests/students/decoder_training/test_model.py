"""The hand-written decoder computes what transformers computes: losses, gradients, what it writes, what comes out of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.students.tiny_decoder import KINDS, tiny_decoder

from smidgen.core.errors import BaseError
from smidgen.gguf.architectures import shape_of
from smidgen.students.decoder_training import generation
from smidgen.students.decoder_training.adapters import (
    FullMatrices,
    LoraAdapters,
    WeightChange,
    factors,
    frozen_of,
    model_of,
    parts,
    unfolded,
)
from smidgen.students.decoder_training.examples import DecoderExample
from smidgen.students.decoder_training.files import weights_of
from smidgen.students.decoder_training.generation import write
from smidgen.students.decoder_training.model import RowBlock
from smidgen.students.decoder_training.training import block_of, grouped
from smidgen.students.processor import Workers

LENGTHS = (9, 7, 5)
ANSWER = 3


@pytest.fixture(scope="module", params=list(KINDS))
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_decoder(tmp_path_factory.mktemp("tiny"), request.param, whole=True)


def moved(base: Path, kind: type[WeightChange]) -> tuple[dict[str, torch.Tensor], WeightChange]:
    """The weights, and a change of them that is not nothing."""
    weights, shape = weights_of(base), shape_of(base)
    frozen, random = frozen_of(weights, shape), torch.Generator().manual_seed(3)
    change: WeightChange = (
        LoraAdapters(shape, frozen, 4, 8.0, random, torch.float32) if kind is LoraAdapters else FullMatrices(shape, frozen)
    )
    for tensor in change.parameters():
        tensor += torch.randn(tensor.shape, generator=random) * 0.05
    return weights, change


def transformer(base: Path, weights: dict[str, torch.Tensor]) -> torch.nn.Module:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, attn_implementation="eager")
    model.load_state_dict({**weights, "lm_head.weight": weights["model.embed_tokens.weight"]})
    return model.eval()


def weight_of(row: int, size: int, place: int) -> float:
    return -2.0 if row == 2 and place == size - ANSWER else 0.5 + row


def lesson(before: list[int]) -> tuple[RowBlock, list[list[int]]]:
    """Three rows of different lengths whose last tokens are the answers, and the same as plain lists. The second token of the last row is
    not to come."""
    ids = torch.randint(3, 49152, (len(LENGTHS), max(LENGTHS)), generator=torch.Generator().manual_seed(5))
    answers, targets, weights = [], [], []
    for row, size in enumerate(LENGTHS):
        for place in range(size - ANSWER - 1, size - 1):
            answers.append(row * max(LENGTHS) + place)
            targets.append(int(ids[row, place + 1]))
            weights.append(weight_of(row, size, place))
    block = RowBlock(ids, torch.tensor(answers), torch.tensor(targets), torch.tensor(weights))
    return block, [[*before, *ids[row, :size].tolist()] for row, size in enumerate(LENGTHS)]


@pytest.mark.parametrize("before", [[5, 6, 7, 8], []])
@pytest.mark.parametrize("kind", [LoraAdapters, FullMatrices])
def test_losses_and_gradients_are_those_of_transformers(base: Path, before: list[int], kind: type[WeightChange]) -> None:
    weights, change = moved(base, kind)
    shape = shape_of(base)
    model = model_of(weights, change.frozen, shape, before, torch.float32)
    workers = Workers(1)
    change.merge(model, workers)
    workers.close()
    block, rows = lesson(before)
    gradients = change.empty_gradients()
    with torch.no_grad():
        loss, weight = model.loss(block, gradients, change, 1.0)
        alone, _ = model.loss(block, None, None, 1.0)
    reference = transformer(base, unfolded(weights, change))
    expected, unlikely = torch.zeros(()), torch.zeros(())
    for number, (row, size) in enumerate(zip(rows, LENGTHS, strict=True)):
        chances = reference(torch.tensor([row])).logits[0].log_softmax(-1)
        for place in range(size - ANSWER - 1, size - 1):
            chance, of = chances[len(before) + place, row[len(before) + place + 1]], weight_of(number, size, place)
            if of > 0:
                expected = expected - chance * of
            else:
                unlikely = unlikely + torch.log1p(-chance.exp()) * of
    (expected + unlikely).backward()
    assert loss == pytest.approx(float(expected.detach()), rel=1e-5) and float(unlikely.detach()) > 0
    assert alone == pytest.approx(loss, rel=1e-5)
    assert weight == pytest.approx(float(block.weights[block.weights > 0].sum()))
    named = dict(reference.named_parameters())
    gemma = shape.gemma
    norms = {"qkv": "input_layernorm", "gate_up": "pre_feedforward_layernorm" if gemma else "post_attention_layernorm"}
    for (place, number), found in gradients.sums.items():
        # The gradient of a folded matrix is that of the plain one over the norm's weights.
        whole = torch.cat([named[name].grad for name, _ in parts(shape, place, number)])
        whole = whole / (weights[f"model.layers.{number}.{norms[place]}.weight"] + gemma) if place in norms else whole
        if isinstance(change, LoraAdapters):
            down, up = change.tensors[(place, number)]
            wanted = change.scale * up.T @ whole, change.scale * whole @ down.T
        else:
            wanted = (whole,)
        for mine, theirs in zip(found, wanted, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-5 * float(theirs.abs().max()) + 1e-7)


@pytest.mark.parametrize("before", [[5, 6, 7, 8], []])
def test_answers_to_one_input_are_computed_as_if_each_had_its_own(base: Path, before: list[int]) -> None:
    weights, change = moved(base, LoraAdapters)
    model = model_of(weights, change.frozen, shape_of(base), before, torch.float32)
    workers = Workers(1)
    change.merge(model, workers)
    workers.close()
    random = np.random.default_rng(2)
    sources = [random.integers(3, 49152, size) for size in (6, 4)]
    lessons = [
        DecoderExample(np.concatenate([source, random.integers(3, 49152, size)]), size, 0.5 + size)
        for source, sizes in zip(sources, ([3, 5, 2], [4]), strict=True)
        for size in sizes
    ]
    together, apart = grouped(lessons, 100), [(lesson,) for lesson in lessons]
    assert [len(group) for group in together] == [3, 1]
    assert [len(group) for group in grouped(lessons, 15)] == [2, 1, 1], "no row is longer than a block may be"
    found = []
    for groups in (together, apart):
        gradients = change.empty_gradients()
        with torch.no_grad():
            found.append((*model.loss(block_of(groups), gradients, change, 1.0), gradients))
    assert found[0][:2] == pytest.approx(found[1][:2], rel=1e-5)
    for key, group in found[0][2].sums.items():
        for mine, theirs in zip(group, found[1][2].sums[key], strict=True):
            assert float(theirs.abs().max()) > 0
            torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-5 * float(theirs.abs().max()) + 1e-7)


@pytest.mark.parametrize("before", [[5, 6, 7, 8], []])
def test_it_writes_what_transformers_writes(base: Path, before: list[int]) -> None:
    weights, change = moved(base, LoraAdapters)
    model = model_of(weights, change.frozen, shape_of(base), before, torch.float32)
    workers = Workers(2)
    change.merge(model, workers)
    prompts = [[11, 12, 13], [21, 22, 23, 24, 25, 26], [31, 32]]
    found = write(model, prompts, [2], 8, workers)
    workers.close()
    reference = transformer(base, unfolded(weights, change))
    for prompt, written in zip(prompts, found, strict=True):
        ids, chances = [*before, *prompt], []
        with torch.no_grad():
            for _ in range(8):
                likely = reference(torch.tensor([ids])).logits[0, -1].softmax(-1)
                ids.append(int(likely.argmax()))
                chances.append(float(likely.max()))
        assert written.ids == ids[len(before) + len(prompt) :]
        assert written.probability == pytest.approx(sum(chances) / 8, rel=1e-3)
        assert not written.finished


@pytest.mark.parametrize(
    ("places", "count", "sizes"),
    [
        ([100] * 70, 1, [32, 32, 6]),
        ([100] * 10, 2, [5, 5]),
        ([2000] * 40, 1, [16, 16, 8]),
        ([*[100] * 20, *[3000] * 12], 1, [20, 10, 2]),
        ([40000, 50000], 1, [1, 1]),
    ],
)
def test_batches_of_long_texts_have_fewer_rows(places: list[int], count: int, sizes: list[int]) -> None:
    found = generation._batches(range(len(places)), places, count)
    assert [place for batch in found for place in batch] == list(range(len(places)))
    assert [len(batch) for batch in found] == sizes


def test_what_is_written_does_not_depend_on_the_batches(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights, change = moved(base, LoraAdapters)
    model = model_of(weights, change.frozen, shape_of(base), [5, 6], torch.float32)
    workers, prompts = Workers(1), [[11, 12, 13], [21, 22, 23, 24, 25, 26], [31, 32], [41]]
    change.merge(model, workers)
    together = write(model, prompts, [2], 8, workers)
    monkeypatch.setattr(generation, "_PLACES", 1)
    alone = write(model, prompts, [2], 8, workers)
    workers.close()
    assert [one.ids for one in alone] == [one.ids for one in together]
    assert len({tuple(one.ids) for one in alone}) == 4


def test_writing_ends_at_the_end_token(base: Path) -> None:
    weights, change = moved(base, LoraAdapters)
    model = model_of(weights, change.frozen, shape_of(base), [], torch.float32)
    workers = Workers(1)
    (free,) = write(model, [[11, 12, 13]], [2], 8, workers)
    (ended,) = write(model, [[11, 12, 13]], [free.ids[3]], 8, workers)
    workers.close()
    assert ended.ids == free.ids[: free.ids.index(free.ids[3])]
    assert ended.finished and not free.finished


def test_a_base_that_would_be_computed_wrongly_is_refused(base: Path, tmp_path: Path) -> None:
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    odd: list[dict[str, object]] = [{"model_type": "mistral"}, {"model_type": "llama", "attention_bias": True}]
    odd += [{"rope_parameters": None, "rope_scaling": {"rope_type": "yarn"}}]
    if config["model_type"] == "gemma3_text":
        odd += [{"final_logit_softcapping": 30.0}, {"query_pre_attn_scalar": 64}, {"layer_types": ["full_attention"] * 7}]
    else:
        odd += [{"use_sliding_window": True}, {"hidden_act": "gelu"}]
    for change in odd:
        (tmp_path / "config.json").write_text(json.dumps({**config, **change}), encoding="utf-8")
        with pytest.raises(BaseError, match="cannot be trained"):
            shape_of(tmp_path)


def test_an_adapter_for_others_is_the_change_that_was_taught(base: Path) -> None:
    weights, change = moved(base, LoraAdapters)
    assert isinstance(change, LoraAdapters)
    taught = unfolded(weights, change)
    found = factors(weights, change)
    assert len(found) == shape_of(base).layers * 7
    for name, (down, up) in found.items():
        torch.testing.assert_close(weights[name] + change.scale * up @ down, taught[name], rtol=1e-4, atol=1e-5)
        assert not torch.equal(taught[name], weights[name])
