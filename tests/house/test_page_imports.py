"""In the Studio's page no module imports itself over others, types included."""

from __future__ import annotations

import graphlib
import os
import re
from pathlib import Path

import pytest

IMPORT = re.compile(r'(?:from|import)\s*\(?\s*"(\.[^"]+)"')
ENDINGS = ("", ".ts", ".tsx", "/index.ts", "/index.tsx")


def imports_in(folder: Path) -> dict[str, set[str]]:
    """What each TypeScript module of a folder imports of the others, by their paths in it."""
    modules = {file.relative_to(folder).as_posix(): file for file in sorted(folder.rglob("*.ts*"))}
    found: dict[str, set[str]] = {}
    for name, file in modules.items():
        targets = [os.path.normpath(f"{Path(name).parent}/{target}") for target in IMPORT.findall(file.read_text(encoding="utf-8"))]
        reached = [Path(target).as_posix() + ending for target in targets for ending in ENDINGS]
        found[name] = {target for target in reached if target in modules}
    return found


def test_no_circle(root: Path) -> None:
    graph = imports_in(root / "studio" / "src")
    assert len(graph) > 200 and sum(map(len, graph.values())) > 1000, "few imports were found"
    graphlib.TopologicalSorter(graph).prepare()


def test_a_circle_is_found(tmp_path: Path) -> None:
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "Page.tsx").write_text('import { Card } from "./Card";\n', encoding="utf-8")
    (tmp_path / "page" / "Card.tsx").write_text('import type { Part } from "../form";\n', encoding="utf-8")
    (tmp_path / "form.ts").write_text('import {\n  Page,\n} from "./page/Page";\n', encoding="utf-8")
    with pytest.raises(graphlib.CycleError, match=r"page/Card\.tsx"):
        graphlib.TopologicalSorter(imports_in(tmp_path)).prepare()
