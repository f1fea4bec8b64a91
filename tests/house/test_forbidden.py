"""Nothing that a bundle or a file could make execute; no broad `except` but at the faces; no floor of unfinished work."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from .conftest import ROOT
from .test_floors import WINGS

FACES = ("cli", "server")
FACES_OF_WINGS = ("cli.py", "routes", "routes.py", "api")
EXECUTES = {"eval", "exec", "compile", "__import__"}
UNPICKLES = {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal", "cloudpickle"}


def where(file: Path, node: ast.AST) -> str:
    return f"{file.relative_to(ROOT).as_posix()}:{getattr(node, 'lineno', 0)}"


def test_no_pickle(nodes: dict[Path, list[ast.AST]]) -> None:
    seen, faults = 0, []
    for file, every in nodes.items():
        for node in every:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            seen += len(names)
            faults += [where(file, node) for name in names if name.partition(".")[0] in UNPICKLES]
    assert seen > 300
    assert faults == []


def test_weights_are_never_unpickled_by_torch_or_numpy(nodes: dict[Path, list[ast.AST]]) -> None:
    """`torch.load` and `numpy.load(allow_pickle=True)` execute what a file says."""
    seen, faults = 0, []
    for file, every in nodes.items():
        for call in (node for node in every if isinstance(node, ast.Call)):
            seen += 1
            if (
                isinstance(call.func, ast.Attribute)
                and call.func.attr == "load"
                and ast.unparse(call.func.value) in ("torch", "np", "numpy")
            ):
                faults.append(where(file, call))
            faults += [where(file, call) for keyword in call.keywords if keyword.arg == "allow_pickle"]
    assert seen > 1000
    assert faults == []


def test_nothing_executes_text(nodes: dict[Path, list[ast.AST]]) -> None:
    seen, faults = 0, []
    for file, every in nodes.items():
        for call in (node for node in every if isinstance(node, ast.Call)):
            seen += 1
            if isinstance(call.func, ast.Name) and call.func.id in EXECUTES:
                faults.append(where(file, call))
            for keyword in call.keywords:
                if keyword.arg == "shell" and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False):
                    faults.append(where(file, call))
            if getattr(call.func, "attr", "") in ("system", "popen", "getoutput") and ast.unparse(call.func) in (
                "os.system",
                "os.popen",
                "subprocess.getoutput",
            ):
                faults.append(where(file, call))
    assert seen > 1000
    assert faults == []


def test_broad_excepts_only_at_the_faces(nodes: dict[Path, list[ast.AST]]) -> None:
    """A broad `except` hides defects. The command line and the server catch what is left, report it, and go on."""
    seen, faults = 0, []
    for file, every in nodes.items():
        room, *inside = file.relative_to(ROOT / "src" / "smidgen").parts
        face = room in FACES or (room in (*WINGS, "studio") and inside[0] in FACES_OF_WINGS)
        for handler in (node for node in every if isinstance(node, ast.ExceptHandler)):
            seen += 1
            names = [] if handler.type is None else [ast.unparse(n) for n in getattr(handler.type, "elts", [handler.type])]
            if (not names or {"Exception", "BaseException"} & set(names)) and not face:
                faults.append(where(file, handler))
    assert seen > 30
    assert faults == []


def test_nothing_is_left_unfinished(modules: dict[Path, ast.Module]) -> None:
    words = re.compile(r"\b(TODO|FIXME|XXX|HACK|raise NotImplementedError)\b")
    faults = []
    for file in modules:
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            if words.search(line):
                faults.append(f"{file.relative_to(ROOT).as_posix()}:{number} {line.strip()}")
    assert len(modules) > 60
    assert faults == []


def test_no_file_is_a_drawer_for_leftovers(modules: dict[Path, ast.Module]) -> None:
    names = [file.relative_to(ROOT).as_posix() for file in modules]
    assert len(names) > 60
    assert [name for name in names if name.endswith(("utils.py", "helpers.py", "common.py", "misc.py"))] == []


def test_text_files_are_opened_with_their_encoding(nodes: dict[Path, list[ast.AST]]) -> None:
    """On Windows the default is not UTF-8."""
    seen, faults = 0, []
    for file, every in nodes.items():
        for call in (node for node in every if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            if call.func.attr in ("read_text", "write_text"):  # type: ignore[attr-defined]
                seen += 1
                if not any(keyword.arg == "encoding" for keyword in call.keywords):
                    faults.append(where(file, call))
    assert seen > 15
    assert faults == []
