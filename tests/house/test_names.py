"""The public names and the version: what others build on."""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import tomllib
from pathlib import Path

import smidgen


def test_the_public_names_are_these() -> None:
    assert sorted(smidgen.__all__) == ["__version__", "build", "check", "load", "redactor"]
    for name in smidgen.__all__:
        assert hasattr(smidgen, name)


def test_their_arguments_are_these() -> None:
    assert list(inspect.signature(smidgen.build).parameters) == ["recipe", "out", "overrides", "fresh", "threads", "progress"]
    assert list(inspect.signature(smidgen.load).parameters) == ["path", "threads"]
    assert list(inspect.signature(smidgen.redactor).parameters) == ["bundle", "kinds", "threads", "known"]
    assert next(iter(inspect.signature(smidgen.check).parameters)) == "file"


def test_each_is_explained() -> None:
    explained = [inspect.getdoc(getattr(smidgen, name)) for name in ("build", "load", "check", "redactor")]
    assert all(explained) and len(explained) == 4


def test_a_class_name_occurs_once(nodes: dict[Path, list[ast.AST]]) -> None:
    """Two classes of one name make a reader ask which one is meant."""
    places: dict[str, list[str]] = {}
    for file, every in nodes.items():
        for node in every:
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(file.name)
    assert len(places) > 500
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


def test_the_version_is_one(root: Path) -> None:
    stated = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert smidgen.__version__ == stated == importlib.metadata.version("smidgen")
    assert f"## {stated}" in (root / "CHANGELOG.md").read_text(encoding="utf-8")
