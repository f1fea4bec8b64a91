"""The ONNX engine: every text is read as the tokenizer says, answered alone as in company, and in its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smidgen.core.errors import EngineError
from smidgen.core.rows import Text
from smidgen.engines.model_files import CHARACTERS_A_TOKEN, ModelTokenizer
from smidgen.engines.onnx import BATCH_TOKENS, batches, part

onnx = pytest.importorskip("onnx")

MAX_LENGTH = 9
TEXTS: list[Text] = [
    "my card has not come yet ?",
    "a",
    ("my card", "refund please"),
    "",
    "refund refund",
    "CARDS please",
    "a " * 500,
    ("a " * 40, "card ?"),
    "zebra",
    "card",
]


def echo_model(file: Path, with_types: bool = True) -> None:
    """A graph whose outputs say what it was given: sums over the tokens that are not masked, which padding must not change."""
    from onnx import TensorProto, helper

    inputs = ["input_ids", "attention_mask", *(["token_type_ids"] if with_types else [])]
    nodes = [
        helper.make_node("Mul", ["input_ids", "attention_mask"], ["ids"]),
        helper.make_node("Mul", ["ids", "ids"], ["squares"]),
        helper.make_node("ReduceSum", ["ids", "last"], ["sum"], keepdims=1),
        helper.make_node("ReduceSum", ["squares", "last"], ["sum_of_squares"], keepdims=1),
        helper.make_node("ReduceSum", ["attention_mask", "last"], ["length"], keepdims=1),
        helper.make_node("ReduceSum", [inputs[-1], "last"], ["types"], keepdims=1),
        helper.make_node("Concat", ["sum", "sum_of_squares", "length", "types"], ["facts"], axis=1),
        helper.make_node("Cast", ["facts"], ["logits"], to=TensorProto.FLOAT),
    ]
    graph = helper.make_graph(
        nodes,
        "echo",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "tokens"]) for name in inputs],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor("last", TensorProto.INT64, [1], [-1])],
    )
    onnx.save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), file)


def expected(file: Path, text: Text) -> list[int]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_LENGTH)
    encoding = tokenizer.encode(*((text,) if isinstance(text, str) else text))
    return [sum(encoding.ids), sum(number**2 for number in encoding.ids), len(encoding.ids), sum(encoding.type_ids)]


@pytest.mark.parametrize("threads", [1, 3])
def test_every_text_is_read_whole_and_answered_in_its_place(threads: int, tokenizer_file: Path) -> None:
    echo_model(tokenizer_file.with_name("model.onnx"))
    runner = part.open(tokenizer_file.parent, {"max_length": MAX_LENGTH}, threads)
    wanted = np.array([expected(tokenizer_file, text) for text in TEXTS], np.float32)
    assert (runner.run(TEXTS)["logits"] == wanted).all()
    assert (runner.run(TEXTS * 40)["logits"] == np.tile(wanted, (40, 1))).all()
    for row, text in enumerate(TEXTS):
        assert (runner.run([text])["logits"][0] == wanted[row]).all()
    assert row == 9
    assert wanted[:, 2].max() == MAX_LENGTH, "a long text is cut at max_length"
    assert wanted[2, 3] > 0, "the second half of a pair is marked"


def test_no_texts_no_rows(tokenizer_file: Path) -> None:
    echo_model(tokenizer_file.with_name("model.onnx"))
    assert part.open(tokenizer_file.parent, {}, 2).run([])["logits"].shape == (0, 4)


def test_a_graph_without_token_types(tokenizer_file: Path) -> None:
    echo_model(tokenizer_file.with_name("model.onnx"), with_types=False)
    raw = part.open(tokenizer_file.parent, {"max_length": MAX_LENGTH}, 1).run(TEXTS)
    assert raw["logits"][:, 0].tolist() == [expected(tokenizer_file, text)[0] for text in TEXTS]


def test_a_text_of_any_size_costs_no_more(tokenizer_file: Path) -> None:
    tokens = ModelTokenizer(tokenizer_file.parent, MAX_LENGTH)
    long = "card " * 1_000_000
    asked: list[str] = []
    encode = tokens._tokenizer

    class Watch:
        def encode(self, text: str, pair: str | None, add_special_tokens: bool) -> object:
            asked.append(text)
            return encode.encode(text, pair, add_special_tokens=add_special_tokens)

    tokens._tokenizer = Watch()  # type: ignore[assignment]
    assert len(tokens.encode([long])[0].ids) == MAX_LENGTH
    assert [len(text) for text in asked] == [MAX_LENGTH * CHARACTERS_A_TOKEN]


def test_wanted_outputs(tokenizer_file: Path) -> None:
    echo_model(tokenizer_file.with_name("model.onnx"))
    with pytest.raises(EngineError, match="logits"):
        part.open(tokenizer_file.parent, {"outputs": ["probabilities"]}, 1)


def _cut(folder: Path) -> None:
    file = folder / "model.onnx"
    file.write_bytes(file.read_bytes()[:200])


def _noise(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"\x00\xff" * 300)


def _no_model(folder: Path) -> None:
    (folder / "model.onnx").unlink()


def _no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def _torn_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"model": {', encoding="utf-8")


def _other_json(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"version": "1.0"}', encoding="utf-8")


@pytest.mark.parametrize("damage", [_cut, _noise, _no_model, _no_tokenizer, _torn_tokenizer, _other_json])
def test_damaged_files_are_refused_by_name(damage: object, tokenizer_file: Path) -> None:
    echo_model(tokenizer_file.with_name("model.onnx"))
    damage(tokenizer_file.parent)
    name = "tokenizer.json" if "tokenizer" in damage.__name__ or "json" in damage.__name__ else "model.onnx"
    with pytest.raises(EngineError, match=name.replace(".", r"\.")):
        part.open(tokenizer_file.parent, {}, 1)


def test_a_model_that_fails_while_it_runs(tokenizer_file: Path) -> None:
    from onnx import TensorProto, helper

    fixed = helper.make_graph(
        [helper.make_node("Add", ["input_ids", "five"], ["sum"]), helper.make_node("Cast", ["sum"], ["logits"], to=TensorProto.FLOAT)],
        "fixed",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["n", "tokens"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", "tokens"])],
        [helper.make_tensor("five", TensorProto.INT64, [5], [0] * 5)],
    )
    model = helper.make_model(fixed, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save_model(model, tokenizer_file.with_name("model.onnx"))
    runner = part.open(tokenizer_file.parent, {"max_length": MAX_LENGTH}, 1)
    with pytest.raises(EngineError, match="max_length"):
        runner.run([TEXTS[0]])


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_batches_hold_each_row_once_and_little_padding(threads: int) -> None:
    rng = np.random.default_rng(4)
    lengths = np.minimum(rng.geometric(0.07, 2000) + 2, 128).tolist()
    plan = batches(lengths, threads)
    assert sorted(row for rows in plan for row in rows) == list(range(2000))
    padded = sum(len(rows) * max(lengths[row] for row in rows) for rows in plan)
    assert padded < 1.1 * sum(lengths)
    assert max(len(rows) * max(lengths[row] for row in rows) for rows in plan) <= BATCH_TOKENS
    assert len(plan) < 1000


def test_batches_share_out_work() -> None:
    assert len(batches([16] * 16, 1)) == 1
    assert [len(rows) for rows in batches([16] * 16, 2)] == [8, 8]
    assert len(batches([4, 4, 4], 2)) == 1, "too little to share"
    assert batches([500], 2) == [[0]]
    assert batches([], 2) == []
