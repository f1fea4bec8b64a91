"""The list of bundles that were met here."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from smidgen.store import files


@pytest.fixture(autouse=True)
def _empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))


def folders(tmp_path: Path, count: int) -> list[Path]:
    made = [tmp_path / f"bundle-{number}" for number in range(count)]
    for folder in made:
        folder.mkdir()
    return made


def test_the_last_remembered_comes_first_and_once(tmp_path: Path) -> None:
    one, two = folders(tmp_path, 2)
    for folder in (one, two, one):
        files.remember_bundle(folder)
    assert files.known_bundles() == [one.resolve(), two.resolve()]


def test_what_is_gone_is_not_listed(tmp_path: Path) -> None:
    one, two = folders(tmp_path, 2)
    files.remember_bundle(one)
    files.remember_bundle(two)
    one.rmdir()
    assert files.known_bundles() == [two.resolve()]


def test_a_damaged_list_is_an_empty_one(tmp_path: Path) -> None:
    (one,) = folders(tmp_path, 1)
    files.remember_bundle(one)
    (tmp_path / "home" / "shelf.json").write_text('{"not": "a list"}', encoding="utf-8")
    assert files.known_bundles() == []
    files.remember_bundle(one)
    assert files.known_bundles() == [one.resolve()]


def test_two_at_once_lose_nothing(tmp_path: Path) -> None:
    made = folders(tmp_path, 20)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(files.remember_bundle, made))
    assert sorted(files.known_bundles()) == sorted(folder.resolve() for folder in made)
