"""Every error says what happened, with which value, and what to do."""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path

import pytest

from smidgen.core import errors
from smidgen.core.errors import MissingExtra, SmidgenError, UnknownPart

from .conftest import ROOT
from .test_messages import codes_in


def every_class() -> list[type[SmidgenError]]:
    """Every error class of the house, wherever it is defined."""
    for file in sorted((ROOT / "src" / "smidgen").rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        if "Error)" in text or "SmidgenError" in text:
            name = ".".join(file.relative_to(ROOT / "src").with_suffix("").parts).removesuffix(".__init__")
            if not name.endswith("__main__"):
                importlib.import_module(name)
    found: list[type[SmidgenError]] = []
    waiting: list[type[SmidgenError]] = [SmidgenError]
    while waiting:
        kind = waiting.pop()
        found.append(kind)
        waiting += kind.__subclasses__()
    return sorted((kind for kind in set(found) if kind.__module__.startswith("smidgen.")), key=lambda kind: kind.__name__)


CLASSES = every_class()


def made(kind: type[SmidgenError]) -> SmidgenError:
    """One of the kind; those with arguments of their own get a plain value for each."""
    if kind is UnknownPart:
        return UnknownPart("task", "clasify", ["classify", "write"])
    if kind is MissingExtra:
        return MissingExtra("torch", "train")
    more = {
        name: {} if "Mapping" in str(parameter.annotation) else "a-word"
        for name, parameter in inspect.signature(kind).parameters.items()
        if parameter.default is inspect.Parameter.empty
        and name not in ("message", "value", "todo")
        and parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }
    return kind("the thing is broken", value="this value", todo="Do that instead.", **more)


def test_all_of_them_were_seen() -> None:
    at_home = {name for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, SmidgenError)}
    assert len(CLASSES) >= 12
    assert {kind.__name__ for kind in CLASSES} >= at_home


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_a_message_says_what_with_which_value_and_what_to_do(kind: type[SmidgenError]) -> None:
    error = made(kind)
    message = str(error)
    for piece in (error.what, errors.shown(error.value), error.todo):
        assert piece and piece in message
    assert error.exit_code in (1, 2)
    assert (kind.__doc__ or "").strip()


def test_an_unknown_name_is_answered_with_what_was_meant() -> None:
    message = str(UnknownPart("task", "clasify", ["write", "classify"]))
    assert "Did you mean 'classify'?" in message and "classify, write" in message


def test_a_missing_extra_names_a_line_that_can_be_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No package index has smidgen: the line names the clone, or, where there is none, a kit."""
    clone = Path(errors.__file__).resolve().parents[3]
    assert (clone / "pyproject.toml").is_file() and f"pip install -e '{clone}[train]'" in str(MissingExtra("torch", "train"))
    monkeypatch.setattr(errors, "__file__", str(tmp_path / "lib" / "site-packages" / "smidgen" / "core" / "errors.py"))
    assert "--no-index --find-links KIT/wheels 'smidgen[postgres]'" in str(MissingExtra("psycopg", "postgres"))


def test_the_tree_at_the_top_of_the_file_is_the_real_one() -> None:
    drawn = errors.__doc__ or ""
    names = [kind.__name__ for kind in CLASSES if kind.__module__ == "smidgen.core.errors"]
    assert len(names) >= 11
    assert [name for name in names if name not in drawn] == []


def test_every_raise_fills_in_all_three(nodes: dict[Path, list[ast.AST]]) -> None:
    """Wherever one is made in the source, it has a code of the catalogue, or its three pieces, none of them an empty text."""
    kinds = {kind.__name__ for kind in CLASSES} - {"UnknownPart", "MissingExtra"}
    seen, faults = 0, []
    for file, every in nodes.items():
        for call in (node for node in every if isinstance(node, ast.Call)):
            name = call.func.id if isinstance(call.func, ast.Name) else call.func.attr if isinstance(call.func, ast.Attribute) else ""
            if name not in kinds:
                continue
            seen += 1
            given = {keyword.arg: keyword.value for keyword in call.keywords}
            if "todo" not in given and call.args and (codes_in(call.args[0]) or not _is_text(call.args[0])):
                continue  # a code of the catalogues, see test_messages; a helper or an error that is raised again passes one on
            pieces = [call.args[0] if call.args else given.get("what"), given.get("value"), given.get("todo")]
            if any(piece is None or _empty(piece) for piece in pieces):
                faults.append(f"{file.name}:{call.lineno} {name}")
    assert seen > 80
    assert faults == []


def _is_text(piece: ast.expr) -> bool:
    return isinstance(piece, ast.Constant | ast.JoinedStr | ast.BinOp)


def _empty(piece: ast.expr) -> bool:
    """Whether a text is written out and holds nothing."""
    return isinstance(piece, ast.Constant) and isinstance(piece.value, str) and not piece.value.strip()


def test_no_error_is_raised_bare(nodes: dict[Path, list[ast.AST]]) -> None:
    """What reaches a user is of our tree. Python's own errors are for contracts between files (a parser's ValueError, a KeyError)."""
    allowed = {
        "ValueError",
        "KeyError",
        "TypeError",
        "StopIteration",
        "FileNotFoundError",
        "OSError",
        "Exit",
        "HTTPException",
        "RuntimeError",
    }
    kinds = {kind.__name__ for kind in CLASSES}
    seen, strangers = 0, []
    for file, every in nodes.items():
        for node in every:
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name):
                seen += 1
                name = node.exc.func.id
                if name[0].isupper() and name not in kinds | allowed:
                    strangers.append(f"{file.name}:{node.lineno} {name}")
    assert seen > 80
    assert strangers == []
