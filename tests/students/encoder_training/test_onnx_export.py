"""The exported graph computes what torch computes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from smidgen.core.errors import TrainError
from smidgen.core.rows import Text
from smidgen.engines.onnx import part as engine
from smidgen.students.encoder_training.onnx_export import export_encoder

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "my", "card", "has", "not", "come", "yet", "##s", "refund", "please", "a", "?", "."]
TEXTS: list[Text] = ["card", "my cards has not come yet ?", "please refund", ("my card ?", "a refund please"), "a . " * 40, ""]


def tiny_tokenizer(file: Path) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordPiece({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(file))


def tiny_student(folder: Path, config: object, **facts: object) -> torch.nn.Module:
    """A student with random weights in `folder`; returns its encoder."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(7)
    encoder = transformers.AutoModel.from_config(config).eval()
    with torch.no_grad():
        for parameter in encoder.parameters():  # fresh norms and biases are ones and zeros, which would hide mistakes
            parameter.add_(torch.randn_like(parameter) * 0.1)
    tensors = {name: tensor.contiguous() for name, tensor in encoder.state_dict().items() if not name.startswith("pooler.")}
    width = config.hidden_size
    tensors |= {"head.weight": torch.randn(5, 9 if facts.get("kernel") else width), "head.bias": torch.randn(5)}
    if facts.get("kernel"):
        tensors["head.landmarks"] = torch.nn.functional.normalize(torch.randn(9, width), dim=1)
    if facts.get("hidden"):
        tensors |= {"hidden.weight": torch.randn(width, width), "hidden.bias": torch.randn(width)}
    save_file(tensors, folder / "model.safetensors")
    config.save_pretrained(folder)
    tiny_tokenizer(folder / "tokenizer.json")
    (folder / "smidgen_student.json").write_text(json.dumps({"max_length": 24, **facts}), encoding="utf-8")
    return encoder


def reference(encoder: torch.nn.Module, folder: Path, texts: list[Text], **facts: object) -> tuple[np.ndarray, np.ndarray]:
    """Logits and pooled features, one text at a time, written plainly."""
    from safetensors.torch import load_file
    from tokenizers import Tokenizer

    tensors = load_file(folder / "model.safetensors")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(24)
    logits, features = [], []
    for text in texts:
        encoding = tokenizer.encode(*((text,) if isinstance(text, str) else text))
        extra = {"token_type_ids": torch.tensor([encoding.type_ids])} if encoder.config.model_type == "bert" else {}
        with torch.no_grad():
            states = encoder(input_ids=torch.tensor([encoding.ids]), **extra).last_hidden_state[0]
        pooled = states[0] if facts.get("pooling") == "cls" else states.mean(0)
        if facts.get("normalize") or facts.get("scale") or facts.get("kernel"):
            pooled = pooled / pooled.norm()
        head, x = tensors["head.weight"], pooled
        if facts.get("hidden"):
            x = torch.nn.functional.gelu(tensors["hidden.weight"] @ x + tensors["hidden.bias"])
        if facts.get("kernel"):
            x = torch.stack([torch.exp(-facts["kernel"] * (x - mark).square().sum() / 2) for mark in tensors["head.landmarks"]])
        if facts.get("scale"):
            head = facts["scale"] * head / head.norm(dim=1, keepdim=True)
        given = head @ x + tensors["head.bias"]
        if gain := facts.get("arsinh"):
            given = gain * (given + (given**2 + 1).sqrt()).log()
        logits.append(given.numpy())
        features.append(pooled.numpy())
    return np.stack(logits), np.stack(features)


def tiny_bert(**changes: object) -> object:
    facts = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "max_position_embeddings": 40}
    return transformers.BertConfig(vocab_size=len(WORDS), hidden_size=16, **{**facts, **changes})


HEADS: list[dict[str, object]] = [
    {},
    {"pooling": "cls"},
    {"normalize": True},
    {"scale": 12.5},
    {"normalize": True, "hidden": "gelu"},
    {"kernel": 2.0},
    {"kernel": 2.0, "arsinh": 4.0},
]


@pytest.mark.parametrize("facts", HEADS, ids=str)
def test_bert_is_what_torch_computes(facts: dict[str, object], tmp_path: Path) -> None:
    encoder = tiny_student(tmp_path / "student", tiny_bert(), **facts)
    spec = export_encoder(tmp_path / "student", tmp_path / "out")
    raw = engine.open(tmp_path / "out", spec.options, threads=2).run(TEXTS)
    logits, features = reference(encoder, tmp_path / "student", TEXTS, **facts)
    assert spec.engine == "onnx" and spec.options == {"max_length": 24}
    assert np.abs(raw["logits"] - logits).max() < 1e-4
    assert np.abs(raw["embedding"] - features).max() < 1e-4
    assert raw["logits"].dtype == raw["embedding"].dtype == np.float32


def test_fast_gelu(tmp_path: Path) -> None:
    encoder = tiny_student(tmp_path / "student", tiny_bert(hidden_act="gelu_new"))
    spec = export_encoder(tmp_path / "student", tmp_path / "out")
    raw = engine.open(tmp_path / "out", spec.options, threads=1).run(TEXTS)
    assert np.abs(raw["logits"] - reference(encoder, tmp_path / "student", TEXTS)[0]).max() < 1e-4


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("facts", [{"normalize": True}, {"kernel": 2.0}, {"kernel": 2.0, "arsinh": 4.0}], ids=str)
def test_another_architecture_is_traced(facts: dict[str, object], tmp_path: Path) -> None:
    config = transformers.DistilBertConfig(
        vocab_size=len(WORDS), dim=16, n_layers=2, n_heads=2, hidden_dim=24, max_position_embeddings=40, pad_token_id=0
    )
    encoder = tiny_student(tmp_path / "student", config, **facts)
    spec = export_encoder(tmp_path / "student", tmp_path / "out")
    raw = engine.open(tmp_path / "out", spec.options, threads=1).run(TEXTS)
    logits, features = reference(encoder, tmp_path / "student", TEXTS, **facts)
    assert np.abs(raw["logits"] - logits).max() < 1e-4
    assert np.abs(raw["embedding"] - features).max() < 1e-4


def test_a_lacking_tensor_is_named(tmp_path: Path) -> None:
    tiny_student(tmp_path / "student", tiny_bert())
    config = json.loads((tmp_path / "student" / "config.json").read_text(encoding="utf-8"))
    (tmp_path / "student" / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}), encoding="utf-8")
    with pytest.raises(TrainError, match=r"encoder\.layer\.2"):
        export_encoder(tmp_path / "student", tmp_path / "out")


def test_an_unknown_head_is_refused(tmp_path: Path) -> None:
    tiny_student(tmp_path / "student", tiny_bert(), pooling="max")
    with pytest.raises(TrainError, match="pooling"):
        export_encoder(tmp_path / "student", tmp_path / "out")
