"""Quantised graphs: small, close to the original, and the same for a text whoever it comes with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smidgen.compress.int8 import even, quantise
from smidgen.compress.int8 import part_int8_dynamic as dynamic
from smidgen.compress.int8 import part_int8_static as static
from smidgen.core.errors import EngineError
from smidgen.core.parts import EngineSpec
from smidgen.core.rows import Text
from smidgen.engines.onnx import part as engine
from smidgen.students.encoder_training.onnx_export import ExportedHead, bert

pytest.importorskip("onnx")

VOCABULARY, WIDTH, WIDE, LAYERS = 400, 32, 64, 3
SAMPLE: list[Text] = [" ".join(f"w{(start * 7 + step * step) % 390}" for step in range(3 + start % 9)) for start in range(60)]
ASKED: list[Text] = [*SAMPLE[:20], ("w1 w2 w3", "w4 w5"), "w9", ""]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, EngineSpec]:
    """A small BERT with random weights and a few channels far larger than the rest, as trained ones have."""
    import onnx
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    folder = tmp_path_factory.mktemp("exported")
    rng = np.random.default_rng(5)

    def random(*shape: int) -> np.ndarray:
        return rng.normal(0, 1 / np.sqrt(shape[-1]), shape).astype(np.float32)

    tensors = {
        "embeddings.word_embeddings.weight": random(VOCABULARY, WIDTH),
        "embeddings.position_embeddings.weight": random(64, WIDTH),
        "embeddings.token_type_embeddings.weight": random(2, WIDTH),
        "head.weight": random(7, WIDTH) * 3,
        "head.bias": random(7),
    }
    norms = ["embeddings.LayerNorm"]
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        shapes = dict.fromkeys(("attention.self.query", "attention.self.key", "attention.self.value"), (WIDTH, WIDTH))
        shapes |= {"attention.output.dense": (WIDTH, WIDTH), "intermediate.dense": (WIDE, WIDTH), "output.dense": (WIDTH, WIDE)}
        for kind, shape in shapes.items():
            tensors[f"{name}.{kind}.weight"], tensors[f"{name}.{kind}.bias"] = random(*shape), random(shape[0])
        norms += [f"{name}.attention.output.LayerNorm", f"{name}.output.LayerNorm"]
    for norm in norms:
        tensors[f"{norm}.weight"], tensors[f"{norm}.bias"] = np.ones(WIDTH, np.float32), random(WIDTH)
        tensors[f"{norm}.weight"][3] = 12.0
    config = {"num_hidden_layers": LAYERS, "num_attention_heads": 4, "hidden_size": WIDTH, "layer_norm_eps": 1e-12, "hidden_act": "gelu"}
    onnx.save_model(bert(config, tensors, ExportedHead(normalize=True, max_length=48)), folder / "model.onnx")
    words = {"[UNK]": 1, "[PAD]": 0, "[CLS]": 2, "[SEP]": 3, **{f"w{number}": number + 4 for number in range(VOCABULARY - 4)}}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder, EngineSpec("onnx", ("model.onnx", "tokenizer.json"), {"max_length": 48})


def _rows(array: np.ndarray) -> np.ndarray:
    return array / np.linalg.norm(array, axis=1, keepdims=True)


@pytest.mark.parametrize("method", [dynamic, static], ids=lambda part: part.name)
def test_close_and_small_and_alone_as_in_company(method: object, exported: tuple[Path, EngineSpec], tmp_path: Path) -> None:
    folder, spec = exported
    made = method.apply(spec, folder, tmp_path / "small", SAMPLE)
    assert made == EngineSpec("onnx", spec.files, spec.options, method.name)
    assert (tmp_path / "small" / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()
    assert (tmp_path / "small" / "model.onnx").stat().st_size < 0.6 * (folder / "model.onnx").stat().st_size
    full = engine.open(folder, spec.options, 1).run(ASKED)
    runner = engine.open(tmp_path / "small", made.options, 2)
    small = runner.run(ASKED)
    cosines = (_rows(full["embedding"]) * _rows(small["embedding"])).sum(1)
    assert cosines.min() > 0.99
    for row, text in enumerate(ASKED):
        assert np.abs(runner.run([text])["logits"][0] - small["logits"][row]).max() < 1e-4
    assert row == 22


def test_every_linear_layer_and_the_word_table_are_int8(exported: tuple[Path, EngineSpec], tmp_path: Path) -> None:
    import onnx

    folder, spec = exported
    seen = 0
    for method in (dynamic, static):
        method.apply(spec, folder, tmp_path / method.name, SAMPLE)
        graph = onnx.load_model(tmp_path / method.name / "model.onnx").graph
        assert sum(node.op_type == "MatMulIntegerToFloat" for node in graph.node) == 4 * LAYERS
        tables = [entry for entry in graph.initializer if list(entry.dims) == [VOCABULARY, WIDTH]]
        assert [entry.data_type for entry in tables] == [onnx.TensorProto.INT8]
        head = next(entry for entry in graph.initializer if entry.name == "head.weight")
        assert head.data_type == onnx.TensorProto.FLOAT
        seen += 1
    assert seen == 2


def test_static_needs_texts(exported: tuple[Path, EngineSpec], tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="sample"):
        static.apply(exported[1], exported[0], tmp_path / "small", [])


def test_a_damaged_model_is_refused(exported: tuple[Path, EngineSpec], tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"\xff" * 100)
    (tmp_path / "tokenizer.json").write_bytes((exported[0] / "tokenizer.json").read_bytes())
    with pytest.raises(EngineError, match=r"model\.onnx"):
        dynamic.apply(exported[1], tmp_path, tmp_path / "small", [])


def test_quantise_keeps_zero_and_the_largest() -> None:
    weight = np.array([[0.0, 2.0, -0.5], [0.0, -1.0, 0.5]], np.float32)
    quantised, scale = quantise(weight, axis=0)
    assert quantised.tolist() == [[0, 127, -127], [0, -64, 127]]
    assert np.allclose(quantised[:, 1:] * scale[:, 1:], weight[:, 1:], atol=2 / 254)
    assert quantise(weight, axis=1)[1].shape == (2, 1)


def test_even_takes_from_the_large_channel() -> None:
    seen = (np.array([-1.0, -100.0, 0.0]), np.array([1.0, 50.0, 0.0]))
    factor = even(seen, np.ones((3, 4)))
    assert factor[1] / factor[0] == pytest.approx(100**0.8, rel=1e-4)
    assert np.isfinite(factor).all() and (factor > 0).all()


@pytest.mark.filterwarnings("ignore")
def test_a_traced_architecture_is_quantised_too(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    import onnx
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, models, pre_tokenizers

    torch.manual_seed(2)
    config = transformers.DistilBertConfig(vocab_size=60, dim=32, n_layers=2, n_heads=2, hidden_dim=64, max_position_embeddings=40)
    encoder = transformers.AutoModel.from_config(config)
    tensors = dict(encoder.state_dict()) | {"head.weight": torch.randn(4, 32), "head.bias": torch.zeros(4)}
    source = tmp_path / "student"
    source.mkdir()
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, source / "model.safetensors")
    config.save_pretrained(source)
    (source / "smidgen_student.json").write_text('{"max_length": 24}', encoding="utf-8")
    tokenizer = Tokenizer(models.WordLevel({f"w{number}": number for number in range(60)}, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(source / "tokenizer.json"))
    from smidgen.students.encoder_training.onnx_export import export_encoder

    spec = export_encoder(source, tmp_path / "full")
    full = engine.open(tmp_path / "full", spec.options, 1).run(SAMPLE)["embedding"]
    seen = 0
    for method in (dynamic, static):
        made = method.apply(spec, tmp_path / "full", tmp_path / method.name, SAMPLE)
        small = engine.open(tmp_path / method.name, made.options, 1).run(SAMPLE)["embedding"]
        assert (_rows(full) * _rows(small)).sum(1).min() > 0.99
        graph = onnx.load_model(tmp_path / method.name / "model.onnx").graph
        assert sum(node.op_type == "MatMulIntegerToFloat" for node in graph.node) == 6 * 2
        seen += 1
    assert seen == 2
