"""A tokenizer for the engines' tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from smidgen.engines.llama import LlamaRunner

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "my", "card", "has", "not", "come", "yet", "##s", "refund", "please", "a", "?", "."]


@pytest.fixture
def tokenizer_file(tmp_path: Path) -> Path:
    """A WordPiece tokenizer of sixteen pieces, whose file says to pad and to cut otherwise than the engine must."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordPiece({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.enable_padding(length=12)
    tokenizer.enable_truncation(5)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


@pytest.fixture(scope="session")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small decoder: `model.gguf`, a link to the starter base, and its `tokenizer.json`."""
    from smidgen.bases import lookup

    from .llama_model import write_tokenizer

    folder = tmp_path_factory.mktemp("decoder")
    base = lookup.find("smollm2").folder / "SmolLM2-135M-Instruct.Q4_1.gguf"
    (folder / "model.gguf").symlink_to(base)
    write_tokenizer(base, folder / "tokenizer.json")
    return folder


@pytest.fixture(scope="session")
def babbler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a decoder of random weights, loaded in a moment, whose template knows tools."""
    from .llama_model import TOOL_TEMPLATE, write_tiny

    return write_tiny(tmp_path_factory.mktemp("babbler"), TOOL_TEMPLATE)


@pytest.fixture(scope="session")
def writer(decoder: Path) -> Iterator[LlamaRunner]:
    """One loaded decoder for all tests that do not hurt it."""
    from smidgen.engines.llama import part

    from .llama_model import options

    runner = part.open(decoder, options(), 1)
    yield runner
    runner.close()
