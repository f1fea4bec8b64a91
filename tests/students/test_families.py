"""Every family of decoders goes the whole way: taught, trimmed, written as a GGUF, and served as it was taught."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from tests.forms import text_form
from tests.llama import told
from tests.students.sentencepieces import TEXTS, sentencepieces
from tests.students.tiny_decoder import KINDS, tiny_decoder
from tokenizers import Tokenizer

from smidgen.bases.lookup import find
from smidgen.core.errors import BaseError, TrainError
from smidgen.core.parts import Training, Workspace
from smidgen.core.progress import Silent
from smidgen.core.rows import Row
from smidgen.gguf.tokenizer import BYTE, CONTROL, vocabulary_of
from smidgen.students import decoder
from smidgen.students.decoder import DecoderSettings
from smidgen.students.decoder_training.files import model_in, open_decoder
from smidgen.students.decoder_training.generation import write
from smidgen.students.decoder_training.prompts import plain_ids, prompt_of, tokenizer_of
from smidgen.students.processor import Workers
from smidgen.students.vocabulary import MergeTable, trim_decoder, trimmable

ROWS = [
    Row(f"colour: {colour}, material: {of}", f"A {colour} vase of {of} for your home.", number)
    for number, (colour, of) in enumerate([(colour, of) for colour in ("red", "blue") for of in ("brass", "stoneware")], 1)
]


def base_of(kind: str, folder: Path) -> Path:
    """A tiny base; a Gemma with pieces of SentencePiece."""
    tiny_decoder(folder, kind)
    if kind == "gemma3":
        sentencepieces(folder)
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        ends = {"bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0}
        (folder / "config.json").write_text(json.dumps(config | ends), encoding="utf-8")
    return folder


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "llama"])
def test_what_is_served_is_what_was_taught(kind: str, tmp_path: Path) -> None:
    base, student, out = find(str(base_of(kind, tmp_path / "base")), family="decoder"), tmp_path / "student", tmp_path / "out"
    student.mkdir()
    out.mkdir()
    settings = DecoderSettings(epochs=12, precision="f32", vocabulary="trimmed", frequent_tokens=100, learning_rate=0.01, qat="none")
    decoder.part.fit(Training(ROWS, ROWS, text_form(), base, settings), Workspace(student, 1, Silent()))
    spec = decoder.part.export(student, out)
    stored = open_decoder(student)
    assert stored.kept is not None and stored.shape.vocabulary < 2500
    prompt, tokenizer, workers = prompt_of(student), tokenizer_of(student), Workers(1)
    asked = [[*plain_ids(tokenizer, row.input), *prompt.after] for row in ROWS]
    taught = write(model_in(stored, workers), asked, prompt.stop, 12, workers)
    workers.close()
    engine = told(out / spec.options["model"], [[*prompt.before, *ids] for ids in asked], count=12)
    for own, (ids, likely, _) in zip(taught, engine.written, strict=True):
        ids = ids[: len(own.ids)]
        assert ids == own.ids and len(ids) >= 4
        assert [pytest.approx(chance, abs=0.02) for chance in own.chances[:4]] == [2.718281828**value for value in likely[:4]]


def test_a_layer_of_a_gemma_cannot_be_left_out(tmp_path: Path) -> None:
    base = find(str(base_of("gemma3", tmp_path / "base")), family="decoder")
    (tmp_path / "student").mkdir()
    with pytest.raises(TrainError, match=r"no layer of a Gemma can be dropped.*--drop-neurons"):
        training = Training(ROWS, ROWS, text_form(), base, DecoderSettings(drop_layers=2))
        decoder.part.fit(training, Workspace(tmp_path / "student", 1, Silent()))


def test_pieces_are_llama_cpp_s_whole_and_trimmed(tmp_path: Path) -> None:
    """Texts of known words, of others and of characters that no token has: the same ids in both, before trimming and after."""
    from smidgen.gguf.weights import write as write_gguf
    from smidgen.students.decoder_training.files import weights_of

    base, chance = base_of("gemma3", tmp_path / "base"), random.Random(3)
    assert trimmable(base)
    whole = Tokenizer.from_file(str(base / "tokenizer.json"))
    used = {at for text in TEXTS[:2] for at in plain_ids(whole, text)}
    kept = MergeTable(base).kept(used, 40)
    trim_decoder(base, tmp_path / "less", kept)
    less = Tokenizer.from_file(str(tmp_path / "less" / "tokenizer.json"))
    assert whole.token_to_id("日") not in kept and whole.token_to_id("<unused0>") not in kept
    assert {whole.token_to_id(name) for name in ("<end_of_turn>", "<0x00>", "<0xFF>")} <= set(kept)
    for text in TEXTS[:2]:
        assert [kept[at] for at in plain_ids(less, text)] == plain_ids(whole, text)
    assert less.decode(plain_ids(less, TEXTS[2]), skip_special_tokens=False) == TEXTS[2]
    pieces = ("the ", "lamp", " ", "  ", "vase", "\n", "日本", "é", "🙂", "£", "3", "<", ".", "Height", "x")
    texts = [*TEXTS, *("".join(chance.choices(pieces, k=chance.randint(1, 12))) for _ in range(100))]
    weights = weights_of(base)
    for folder, tokenizer in ((base, whole), (tmp_path / "less", less)):
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        rows = config["vocab_size"]
        cut = weights | {"model.embed_tokens.weight": weights["model.embed_tokens.weight"][:rows]}
        write_gguf(tmp_path / "model.gguf", cut, config, folder, template=None, eos_id=1, name="small")
        split = told(tmp_path / "model.gguf", texts=texts).split
        assert [text for text, ids in zip(texts, split, strict=True) if ids != plain_ids(tokenizer, text)] == []


def test_a_vocabulary_of_pieces_is_told_by_scores(tmp_path: Path) -> None:
    folder = sentencepieces(tmp_path)
    found = vocabulary_of(folder, 1000)
    assert (found.model, found.merges, len(found.scores)) == ("llama", (), 1000)
    assert (found.kinds[0], found.kinds[8]) == (CONTROL, BYTE)
    made = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    made["normalizer"] = {"type": "Prepend", "prepend": "▁"}
    (folder / "tokenizer.json").write_text(json.dumps(made), encoding="utf-8")
    assert not trimmable(folder)
    with pytest.raises(BaseError, match="not of a kind that can be written"):
        vocabulary_of(folder, 1000)


def test_a_gguf_of_pieces_gives_their_tokenizer_back(tmp_path: Path) -> None:
    """What a bundle of a Gemma is exported with: config and tokenizer are drawn out of its GGUF."""
    from smidgen.gguf.architectures import shape_of
    from smidgen.gguf.config import write_missing_files
    from smidgen.gguf.weights import write as write_gguf
    from smidgen.students.decoder_training.files import weights_of

    base, out, chance = base_of("gemma3", tmp_path / "base"), tmp_path / "out", random.Random(5)
    out.mkdir()
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    write_gguf(out / "model.gguf", weights_of(base), config, base, template=None, eos_id=1, name="small")
    write_missing_files(out, out / "model.gguf")
    assert shape_of(out) == shape_of(base)
    own, drawn = (Tokenizer.from_file(str(folder / "tokenizer.json")) for folder in (base, out))
    pieces = ("the ", "lamp", "  ", "日", "é", "🙂", "vas", "e")
    texts = [*TEXTS, *("".join(chance.choices(pieces, k=9)) for _ in range(50))]
    assert [text for text in texts if plain_ids(drawn, text) != plain_ids(own, text)] == []
    assert len(texts) == 53


def test_a_gguf_of_a_stretched_llama_says_how(tmp_path: Path) -> None:
    from smidgen.gguf.architectures import shape_of
    from smidgen.gguf.config import write_missing_files
    from smidgen.gguf.weights import write as write_gguf
    from smidgen.students.decoder_training.files import weights_of

    base, out = base_of("llama3", tmp_path / "base"), tmp_path / "out"
    out.mkdir()
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    write_gguf(out / "model.gguf", weights_of(base), config, base, template=None, eos_id=2, name="small")
    write_missing_files(out, out / "model.gguf")
    assert shape_of(out).stretch == pytest.approx(shape_of(base).stretch) and shape_of(base).stretch
