"""The documentation says what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from tools.reference import __main__ as reference
from tools.reference import errors, http

from smidgen.core.settings import settings_of
from smidgen.parts import registry
from smidgen.parts.recipe import owners_of


def test_the_reference_is_current(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    reference.main(["--check"])
    assert capsys.readouterr().out.strip() == "current"


def test_every_metric_of_the_server_is_in_the_reference(root: Path) -> None:
    page = _text(root / "docs" / "reference" / "metrics.md")
    sources = sorted((root / "src" / "smidgen" / "server").rglob("*.py"))
    lines = [line for file in sources for line in _text(file).splitlines() if "ContextVar" not in line]
    named = {name for line in lines for name in re.findall(r"\"(smidgen_[a-z_]+)\"", line)}
    assert len(named) >= 45
    assert [name for name in sorted(named) if f"`{name}" not in page] == []


def test_every_setting_is_in_the_reference(root: Path) -> None:
    page = _text(root / "docs" / "reference" / "recipe.md")
    tasks = registry.names("tasks")
    owners = [owner for task in tasks for student in registry.names("students") for owner in owners_of(task, student).values()]
    named = {name for owner in owners for name in settings_of(owner)}
    assert len(named) >= 100
    assert [name for name in sorted(named) if f"| `{name}` |" not in page] == []


def test_every_page_is_in_the_menu_and_every_entry_is_a_page(root: Path) -> None:
    site = yaml.load((root / "mkdocs.yml").read_text(encoding="utf-8"), Loader=_Loader)
    left_out = [name.strip("/") for name in site["exclude_docs"].split()]
    assert left_out == ["log.md"], "the log is for whoever works on smidgen; every other page is for its users"
    listed = sorted([*_pages(site["nav"]), *left_out])
    there = sorted(file.relative_to(root / "docs").as_posix() for file in (root / "docs").rglob("*.md"))
    assert listed == there
    assert len(listed) >= 20


def test_a_how_to_guide_is_short_and_begins_with_a_command(root: Path) -> None:
    guides = sorted((root / "docs" / "how-to").glob("*.md"))
    assert len(guides) >= 10
    for guide in guides:
        text = _text(guide)
        assert "```" in text.partition("\n## ")[0], f"{guide.name} shows no command before its first section"
        prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        words = [word for word in prose.split() if re.search(r"\w", word)]
        assert len(words) <= 700, f"{guide.name} has {len(words)} words"


def test_the_pages_speak_of_the_project_only(root: Path) -> None:
    """No machine's paths, no one's registry."""
    files = [root / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile", "NOTICE")]
    files += sorted((root / "docs").rglob("*.md")) + sorted((root / "src").rglob("*.py")) + sorted((root / "tests").rglob("*.py"))
    strange = re.compile(r"/work/|/root/|/home/\w|/opt/wheels|pyenv")
    faults = [f"{file.name}: {found.group()}" for file in files if (found := strange.search(_text(file)))]
    assert len(files) > 100
    assert [fault for fault in faults if not fault.startswith("test_pages.py")] == []


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def _pages(menu: object) -> list[str]:
    if isinstance(menu, str):
        return [menu]
    entries = menu if isinstance(menu, list) else list(menu.values()) if isinstance(menu, dict) else []
    return [page for entry in entries for page in _pages(entry)]


class _Loader(yaml.SafeLoader):
    """MkDocs' own tags (`!!python/name:…`) are names to us."""


_Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda loader, suffix, node: suffix)


def test_the_reference_notices_what_it_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error code, a header or a reason to escalate that the source has and no page explains."""
    told = dict(errors.CODES)
    monkeypatch.setattr(errors, "CODES", {code: words for code, words in told.items() if code != "timeout"})
    with pytest.raises(ValueError, match="the code timeout is not told"):
        errors.parts()
    monkeypatch.setattr(errors, "CODES", {**told, "no_such_code": ((400,), "Nothing.")})
    with pytest.raises(ValueError, match="no_such_code: no such code in the source"):
        errors.parts()
    monkeypatch.setattr(http, "SAID", {name: words for name, words in http.SAID.items() if name != "x-smidgen-score"})
    with pytest.raises(ValueError, match="x-smidgen-score"):
        http.parts()
