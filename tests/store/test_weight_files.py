"""A graph that would read weights from another file is found without the library of the format, whatever level it hides them on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from smidgen.bundles.manifest import EngineEntry, Manifest
from smidgen.bundles.open import open_bundle
from smidgen.bundles.pack import pack
from smidgen.core.errors import BundleError, EngineError
from smidgen.engines.onnx import open_session
from smidgen.store.weight_files import external_tensor


def outside(where: str = "../secret.bin") -> TensorProto:
    """A tensor that a runtime would read from a file beside the folder."""
    tensor = TensorProto(name="hidden", data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=where)
    return tensor


def within() -> TensorProto:
    return numpy_helper.from_array(np.ones(2, np.float32), "plain")


def graph(*nodes: onnx.NodeProto, initializers: tuple[TensorProto, ...] = ()) -> onnx.GraphProto:
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])
    return helper.make_graph(list(nodes) or [helper.make_node("Identity", ["plain"], ["y"])], "g", [], [y], list(initializers))


def model(*nodes: onnx.NodeProto, initializers: tuple[TensorProto, ...] = ()) -> onnx.ModelProto:
    return helper.make_model(graph(*nodes, initializers=initializers), ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def branch(tensor: TensorProto) -> onnx.NodeProto:
    """An `If` whose branches make a constant of a tensor."""
    inner = graph(helper.make_node("Constant", [], ["y"], value=tensor))
    return helper.make_node("If", ["flag"], ["y"], then_branch=inner, else_branch=inner)


def sparse(tensor: TensorProto) -> onnx.ModelProto:
    made = model(initializers=(within(),))
    entry = made.graph.sparse_initializer.add()
    entry.values.CopyFrom(tensor)
    entry.indices.CopyFrom(numpy_helper.from_array(np.zeros(2, np.int64), "at"))
    return made


def called(tensor: TensorProto) -> onnx.ModelProto:
    made = model(initializers=(within(),))
    node = helper.make_node("Constant", [], ["z"], value=tensor)
    made.functions.append(helper.make_function("own", "f", [], ["z"], [node], [helper.make_opsetid("", 17)]))
    return made


def listed(tensor: TensorProto) -> onnx.ModelProto:
    node = helper.make_node("Identity", ["plain"], ["y"])
    node.attribute.add(name="many", type=onnx.AttributeProto.TENSORS).tensors.append(tensor)
    return model(node, initializers=(within(),))


WHERE: dict[str, Callable[[TensorProto], onnx.ModelProto]] = {
    "an initializer": lambda tensor: model(initializers=(within(), tensor)),
    "a constant": lambda tensor: model(helper.make_node("Constant", [], ["y"], value=tensor)),
    "a branch": lambda tensor: model(branch(tensor)),
    "a branch of a branch": lambda tensor: model(
        helper.make_node("If", ["flag"], ["y"], then_branch=graph(branch(tensor)), else_branch=graph(branch(within())))
    ),
    "a sparse initializer": sparse,
    "a function": called,
    "a list of tensors": listed,
}


@pytest.mark.parametrize("place", WHERE)
def test_a_tensor_of_another_file_is_found_wherever_it_is(place: str, tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(WHERE[place](outside()).SerializeToString())
    assert external_tensor(file) == "hidden"
    file.write_bytes(WHERE[place](within()).SerializeToString())
    assert external_tensor(file) is None


def test_either_sign_of_another_file_is_enough(tmp_path: Path) -> None:
    """What names the file and what says that there is one: a runtime may go by either."""
    file, alone = tmp_path / "model.onnx", outside()
    alone.ClearField("external_data")
    named = outside()
    named.data_location = TensorProto.DEFAULT
    for tensor in (alone, named):
        file.write_bytes(model(initializers=(tensor,)).SerializeToString())
        assert external_tensor(file) == "hidden"


def test_a_bundle_with_such_a_graph_does_not_open_and_no_session_does(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(np.array([3, 4], np.float32).tobytes())
    made = model(helper.make_node("Identity", ["hidden"], ["y"]), initializers=(outside(),))
    (folder / "model.onnx").write_bytes(made.SerializeToString())
    manifest = Manifest(
        name="x",
        created="2026-01-01T00:00:00Z",
        smidgen_version="0.1.0",
        task="classify",
        form={"labels": ["a", "b"]},
        engine=EngineEntry(engine="onnx", files=("model.onnx",)),
    )
    pack(folder, manifest, tmp_path / "bundle")  # sealed as if it were whole
    with pytest.raises(BundleError, match=r"'hidden' from another file") as caught:
        open_bundle(tmp_path / "bundle")
    assert caught.value.file == "model.onnx"
    with pytest.raises(EngineError, match="reads a tensor from another file"):
        open_session(folder / "model.onnx")


def test_a_graph_that_is_cut_off_or_none_at_all_reaches_no_runtime(tmp_path: Path) -> None:
    whole = model(initializers=(within(),)).SerializeToString()
    file = tmp_path / "model.onnx"
    broken = [b"", b"\xff" * 40, whole[:-3], b"\x0b\x0c", bytes(range(256)), whole + b"\x3a\x7f"]
    for content in broken:
        file.write_bytes(content)
        with pytest.raises(EngineError, match="whole ONNX file"):
            open_session(file)
    assert len(broken) == 6


@given(st.binary(min_size=1, max_size=400))
def test_whatever_the_bytes_it_ends(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.onnx"
    file.write_bytes(content)
    try:
        found = external_tensor(file)
    except ValueError:
        return
    try:
        known = onnx.ModelProto.FromString(content)
    except Exception:  # noqa: BLE001
        return
    held = [*known.graph.initializer, *(s.values for s in known.graph.sparse_initializer)]
    assert found is not None or not any(tensor.data_location == TensorProto.EXTERNAL for tensor in held)
