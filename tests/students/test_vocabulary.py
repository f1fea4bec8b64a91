"""A trimmed vocabulary: exact on what it keeps, pieces for everything else, and a model that computes the same numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.forms import span_form, text_form
from tests.students.tiny_decoder import tiny_decoder
from tokenizers import Tokenizer

from smidgen.bases import lookup
from smidgen.bases.lookup import find
from smidgen.core.errors import BaseError, TrainError
from smidgen.core.parts import Base, Training, Workspace
from smidgen.core.progress import Silent
from smidgen.core.rows import Row
from smidgen.gguf.architectures import shape_of
from smidgen.gguf.weights import read
from smidgen.parts import registry
from smidgen.students import decoder
from smidgen.students.decoder import DecoderSettings
from smidgen.students.decoder_training.adapters import frozen_of, model_of
from smidgen.students.decoder_training.files import base_weights, open_decoder
from smidgen.students.decoder_training.model import RowBlock
from smidgen.students.encoder_training.batches import encode
from smidgen.students.encoder_training.bert import FastBert
from smidgen.students.settings import TaggerSettings
from smidgen.students.tagger import part
from smidgen.students.vocabulary import MergeTable, frequent_for, newcomers, read_json, trim_decoder, trim_encoder

TEXTS = (
    "The brass lamp costs £24.50, and it's sold with a three-year guarantee.",
    "Wipe with a damp cloth; do not use bleach!\n\nHeight: 31 cm",
    "Café-style stoneware mugs, set of 4",
)
OTHERS = ("Thermodynamically improbable zeitgeist", "Žluťoučký kůň 🐎", "quixotic\tjuxtaposition", "日本語")


@pytest.fixture(scope="module")
def starter() -> Path:
    return find("smollm2").folder


def ids(tokenizer: Tokenizer, text: str) -> list[int]:
    found: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return found


@pytest.mark.parametrize("frequent", [0, 300])
def test_what_is_kept_is_tokenised_as_before_and_all_else_in_pieces(starter: Path, tmp_path: Path, frequent: int) -> None:
    whole = Tokenizer.from_file(str(starter / "tokenizer.json"))
    kept = MergeTable(starter).kept({at for text in TEXTS for at in ids(whole, text)}, frequent)
    assert kept == sorted(set(kept))
    assert len(kept) % 64 == 0
    assert max(frequent, 300) < len(kept) < 1500
    trim_decoder(starter, tmp_path, kept)
    trimmed = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert trimmed.get_vocab_size() == len(kept)
    for text in TEXTS:
        assert [kept[at] for at in ids(trimmed, text)] == ids(whole, text)
    # Words made of kept tokens alone, in other orders than before.
    for text in (TEXTS[1] + TEXTS[0], "lamp lamp brass", "damp guarantee, 31 mugs"):
        if set(ids(whole, text)) <= set(kept):
            assert [kept[at] for at in ids(trimmed, text)] == ids(whole, text)
    for text in OTHERS:
        assert trimmed.decode(ids(trimmed, text), skip_special_tokens=False) == text
        assert len(ids(trimmed, text)) > len(ids(whole, text))


def test_special_tokens_and_numbers_in_the_config_follow(starter: Path, tmp_path: Path) -> None:
    kept = MergeTable(starter).kept([40000], 0)
    trim_decoder(starter, tmp_path, kept)
    trimmed = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    before = json.loads((starter / "config.json").read_text(encoding="utf-8"))
    assert config["vocab_size"] == len(kept)
    assert kept[config["eos_token_id"]] == before["eos_token_id"]
    assert kept[trimmed.token_to_id("<|im_end|>")] == Tokenizer.from_file(str(starter / "tokenizer.json")).token_to_id("<|im_end|>")
    assert trimmed.encode("<|im_start|>user", add_special_tokens=False).ids[0] == trimmed.token_to_id("<|im_start|>")


def test_a_tokenizer_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text('{"model": {"type": "Unigram", "vocab": []}}', encoding="utf-8")
    with pytest.raises(BaseError, match="falls to bytes"):
        MergeTable(tmp_path).kept([1], 0)


def test_a_student_is_taught_and_exported_with_the_trimmed_vocabulary(tmp_path: Path) -> None:
    base = find(str(tiny_decoder(tmp_path / "tiny", whole=True)), family="decoder")
    rows = [Row(f"colour: {c}", f"A {c} vase for your home.", n) for n, c in enumerate(("red", "blue", "green", "grey"), 1)]
    counts = {}
    for vocabulary in ("whole", "trimmed"):
        folder = tmp_path / vocabulary
        folder.mkdir()
        settings = DecoderSettings(epochs=1, precision="f32", vocabulary=vocabulary, frequent_tokens=4096)
        decoder.part.fit(Training(rows, rows, text_form(), base, settings), Workspace(folder, 1, Silent()))
        out = tmp_path / f"{vocabulary}-export"
        out.mkdir()
        spec = decoder.part.export(folder, out)
        assert spec.options["cache"] == "f16", "so few tokens have room in 16 bits"
        counts[vocabulary] = Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab_size()
        vectors = {name: tensor.shape for name, tensor in read(out / spec.options["model"]).items()}["model.embed_tokens.weight"]
        assert vectors[0] == counts[vocabulary]
        assert len(decoder.part.raw(folder, ["colour: red"], 1)["texts"]) == 1
    assert counts["trimmed"] < counts["whole"] / 5
    stored = open_decoder(tmp_path / "trimmed")
    assert stored.kept is not None
    small, large = base_weights(stored.base, stored.kept), base_weights(stored.base, None)
    tokens = torch.tensor([[300, 400, 500, 600]])
    losses = []
    for weights, shape, own in ((small, stored.shape, tokens), (large, shape_of(base.folder), torch.tensor(stored.kept)[tokens])):
        model = model_of(weights, frozen_of(weights, shape), shape, [], torch.float32)
        if weights is large:
            model.output = model.output[torch.tensor(stored.kept)]
        losses.append(model.loss(RowBlock(own, torch.tensor([2]), tokens[0, 3:], torch.ones(1)), None, None, 1.0)[0])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_new_inputs_bring_as_many_new_tokens_as_stand_in_one_alone() -> None:
    inputs = [{1, 2, 90}, {1, 3, 90}, {1, 4}, {1, 2}]
    assert newcomers(inputs, set()) == 2 / 4, "3 and 4 stand in one input alone"
    assert newcomers(inputs, {3}) == 1 / 4, "what is kept anyhow is no news"
    assert newcomers([], set()) == 0


def test_the_fewest_frequent_tokens_are_kept_with_which_hardly_a_new_one_is_to_come(starter: Path) -> None:
    number = read_json(starter / "tokenizer.json")["model"]["vocab"]
    table = MergeTable(starter)
    rare, rarer = (table.kept([], most)[-1] for most in (6000, 12000))
    assert rare not in table.kept([], 4096)
    assert rarer not in table.kept([], 8192)
    often = [{number["\u0120the"]}] * 19
    assert frequent_for(table, [often], ()) == (4096, 0.0)
    assert frequent_for(table, [[*often, {rare}]], ()) == (4096, 0.05), "one in twenty may be new"
    assert frequent_for(table, [[*often[:9], {rare}]], ()) == (8192, 0.0)
    assert frequent_for(table, [[*often[:9], {rarer}]], ()) == (16384, 0.0)
    assert frequent_for(table, [[*often[:9], {rarer}]], (), (64, 128)) == (None, 0.1)
    assert frequent_for(table, [often, [{rarer}, {rare}]], ()) == (16384, 0.0), "inputs bring nothing new, values do"


@pytest.mark.parametrize(
    ("inputs", "whole"),
    [
        ([f"{colour} {thing}" for colour in ("red", "blue", "green") for thing in ("vase", "lamp", "mug")], False),
        ([f"about {word}" for word in ("zebra", "volcano", "turbine", "lantern", "monsoon", "penguin", "harpoon", "sulphur")], True),
        ([f"name: {name}; for: {who}" for name in ("zebra", "volcano", "turbine", "lantern") for who in "abcdefgh"], True),
    ],
)
def test_the_vocabulary_is_trimmed_where_new_inputs_bring_nothing_new(tmp_path: Path, inputs: list[str], whole: bool) -> None:
    """Words that each stand in one input alone say that the next input will bring another one. So do values that answers repeat, however
    many inputs are made of them."""
    base = find(str(tiny_decoder(tmp_path / "tiny", whole=True)), family="decoder")
    rows = [Row(text, f"A vase for your home, {text[6:].partition(';')[0]}.", number) for number, text in enumerate(inputs, 1)]
    (tmp_path / "student").mkdir()
    settings = DecoderSettings(epochs=1, precision="f32", frequent_tokens=256)
    decoder.part.fit(Training(rows, rows[:2], text_form(), base, settings), Workspace(tmp_path / "student", 1, Silent()))
    assert (open_decoder(tmp_path / "student").kept is None) == whole


KEPT = 4_000
ENCODER_TEXTS = ["Where is my order 4711?", "Jane Doe lives in Geneva, Switzerland.", "The invoice of 12 May was paid twice!"]


@pytest.fixture(scope="module")
def base() -> Path:
    return lookup.find("minilm").folder


@pytest.fixture(scope="module")
def trimmed(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trim_encoder(base, ENCODER_TEXTS, KEPT, tmp_path_factory.mktemp("trimmed") / "base")


def tokenizer(folder: Path) -> Tokenizer:
    found = Tokenizer.from_file(str(folder / "tokenizer.json"))
    found.no_padding()
    found.no_truncation()
    return found


def features(folder: Path, texts: list[str]) -> torch.Tensor:
    ids = [entry.ids for entry in tokenizer(folder).encode_batch(texts)]
    return encode(FastBert.load(folder, torch.float32), ids, np.arange(len(ids)))


def test_it_has_as_many_tokens_as_were_asked_for(base: Path, trimmed: Path) -> None:
    config = json.loads((trimmed / "config.json").read_text(encoding="utf-8"))
    model = FastBert.load(trimmed, torch.float32)
    assert tokenizer(trimmed).get_vocab_size() == config["vocab_size"] == len(model.word) == KEPT
    assert tokenizer(base).get_vocab_size() > KEPT


def test_texts_of_kept_pieces_are_read_and_computed_as_before(base: Path, trimmed: Path) -> None:
    common = "this is what we have to say about the house, and there are two more of them"
    texts = [*ENCODER_TEXTS, common]
    before, after = tokenizer(base).encode_batch(texts), tokenizer(trimmed).encode_batch(texts)
    assert [entry.tokens for entry in before] == [entry.tokens for entry in after]
    assert [entry.offsets for entry in before] == [entry.offsets for entry in after]
    assert after[0].tokens[0] == "[CLS]" and after[0].tokens[-1] == "[SEP]"
    assert torch.equal(features(base, texts), features(trimmed, texts))


def test_a_word_whose_piece_is_gone_is_read_by_shorter_ones(base: Path, trimmed: Path) -> None:
    gone = [piece for piece in tokenizer(base).get_vocab() if piece.isalpha() and piece.isascii() and len(piece) > 6]
    reader = tokenizer(trimmed)
    gone = [piece for piece in gone if reader.token_to_id(piece) is None][:500]
    assert len(gone) == 500
    for word in gone:
        tokens = reader.encode(word, add_special_tokens=False).tokens
        assert "[UNK]" not in tokens and len(tokens) > 1
        assert "".join(token.removeprefix("##") for token in tokens) == word


def test_single_characters_all_stay(base: Path, trimmed: Path) -> None:
    single = {piece for piece in tokenizer(base).get_vocab() if len(piece.removeprefix("##")) == 1}
    assert len(single) > 1_000
    assert single <= set(tokenizer(trimmed).get_vocab())


def test_a_base_that_is_small_enough_is_left_as_it_is(base: Path, tmp_path: Path) -> None:
    assert trim_encoder(base, ENCODER_TEXTS, 50_000, tmp_path / "base") == base
    assert not (tmp_path / "base").exists()


def test_too_few_tokens_are_refused(base: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainError, match=r"single characters.*1000.*train\.vocabulary"):
        trim_encoder(base, ENCODER_TEXTS, 1_000, tmp_path / "base")


def test_another_kind_of_tokenizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE", "vocab": {}}}), encoding="utf-8")
    with pytest.raises(TrainError, match=r"not a WordPiece.*BPE"):
        trim_encoder(tmp_path, ENCODER_TEXTS, 5_000, tmp_path / "base")


def test_a_tagger_learns_on_a_trimmed_base_and_is_served_with_it(base: Path, tmp_path: Path) -> None:
    rows = [Row(text, [{"start": 0, "end": 4, "label": "start"}]) for text in ENCODER_TEXTS]
    start = Base("minilm", base, "encoder", "x", "Apache-2.0", "here")
    settings = TaggerSettings(vocabulary=KEPT, epochs=1, precision="f32", max_length=32)
    (tmp_path / "fit").mkdir()
    part.fit(Training(rows, (), span_form(["start"]), start, settings, 0), Workspace(tmp_path / "fit", 1, Silent()))
    assert not (tmp_path / "fit" / "base").exists(), "what it started from is not kept"
    assert tokenizer(tmp_path / "fit").get_vocab_size() == KEPT
    spec = part.export(tmp_path / "fit", tmp_path / "out")
    served = registry.find("engines", "tagger").open(tmp_path / "out", spec.options, 1).run(ENCODER_TEXTS)["spans"]
    trained = part.raw(tmp_path / "fit", ENCODER_TEXTS, 1)["spans"]
    assert [[entry[:3] for entry in row] for row in served] == [[entry[:3] for entry in row] for row in trained]
    assert np.allclose([entry[3] for row in served for entry in row], [entry[3] for row in trained for entry in row], atol=1e-3)
