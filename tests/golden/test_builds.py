"""Tiny builds of each form still give what they gave: answers, manifest, report, recipe, certificate and line, on whatever processor."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from tests.golden.builds import EXPECTED, ROOT, Broken, build, build_together, differences, portable
from tests.golden.cases import CASES, Case

QUICK = [case for case in CASES if case.quick]
ALONE = ("label-encoder", "span-tagger")
"""Loading what trains them reads the stopwatch, and whether there is time to cross-validate them hangs by a few readings."""
HOW = "Where the change is meant: python -m tests.golden.builds expect --only"


def expected(name: str) -> Any:
    return json.loads((EXPECTED / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[Case, dict[str, Any] | Broken]:
    """What came out of all of them, built in one process but for those `ALONE`: loading what trains them takes longer than most of them."""
    folder = tmp_path_factory.mktemp("golden")
    places = {case: folder / case.name / "case" for case in QUICK}
    groups = [[case] for case in QUICK if case.name in ALONE] + [[case for case in QUICK if case.name not in ALONE]]
    return {case: found for group in groups for case, found in build_together({case: places[case] for case in group}, ROOT / "src").items()}


@pytest.mark.parametrize("case", QUICK, ids=lambda case: case.name)
def test_a_build_gives_what_it_gave(case: Case, built: dict[Case, dict[str, Any] | Broken]) -> None:
    came = built[case]
    assert isinstance(came, dict), came
    found = json.loads(json.dumps(portable(came, loose=case.near is None)))
    changed = list(differences(expected(case.name), found, near=case.near or 0.06))
    assert not changed, "\n".join([f"{case.name} is built otherwise than before:", *changed[:40], f"{HOW} {case.name}"])


def test_every_form_is_built_and_every_file_belongs_to_a_case() -> None:
    names = {case.name for case in QUICK}
    assert {file.stem for file in EXPECTED.glob("*.json")} == names and len({case.name for case in CASES}) == len(CASES)
    forms = [made["manifest"]["form"] for name in names for made in expected(name)["bundles"].values()]
    for key in ("labels", "unknown", "schema", "tagged", "attributes"):
        assert any(form.get(key) for form in forms), f"no quick build has {key} in its form"
    assert any(form.get("multi_label") for form in forms) and len(forms) >= len(names) >= 7


def broken(name: str, *path: str | int, value: Any = None) -> tuple[Any, Any]:
    """What is expected of a case, and the same with another value at a place, or without it."""
    whole = expected(name)
    other = copy.deepcopy(whole)
    place = other["bundles"]["bundle"]
    for step in path[:-1]:
        place = place[step]
    if value is None:
        del place[path[-1]]
    else:
        assert type(place[path[-1]]) is type(value) and place[path[-1]] != value
        place[path[-1]] = value
    return whole, other


FAULTS: list[tuple[tuple[str | int, ...], Any]] = [
    (("manifest", "form", "labels"), ["returns", "billing", "delivery", "stock"]),
    (("manifest", "form", "temperature"), 1.0),
    (("manifest", "seal"), None),
    (("manifest", "data", "rows", "train"), 159),
    (("report", "metrics", "accuracy", "value"), 0.8747),
    (("report", "metrics", "accuracy", "low"), 0.7413),
    (("report", "environment", "seed"), 0),
    (("report", "risk_coverage"), None),
    (("report", "mistakes", 0, "why"), "no reason"),
    (("report", "data", "sha256"), "0" * 64),
    (("report", "data", "source"), "train.csv, 170 rows"),
    (("recipe", 0), 'name = "other"'),
    (("card", -1), "# Another heading"),
]


@pytest.mark.parametrize(("path", "value"), FAULTS, ids=lambda part: str(part)[:60])
def test_a_difference_is_seen_on_any_machine(path: tuple[str | int, ...], value: Any) -> None:
    whole, other = broken("label-linear", *path, value=value)
    assert list(differences(whole, whole, near=0.002)) == []
    assert len(list(differences(whole, other, near=0.002))) >= 1


def test_what_another_processor_gives_is_the_same_and_to_the_last_digit_it_is_not() -> None:
    whole = expected("label-linear")
    temperature = whole["bundles"]["bundle"]["manifest"]["form"]["temperature"]
    whole, other = broken("label-linear", "manifest", "form", "temperature", value=temperature * 1.01)
    assert list(differences(whole, other, near=0.06)) == []
    (told,) = differences(whole, other)
    assert told.startswith("/bundles/bundle/manifest/form/temperature: ") and str(temperature) in told


def test_the_order_of_keys_counts_where_bytes_do() -> None:
    one, other = {"a": 1, "b": 2}, {"b": 2, "a": 1}
    assert list(differences(one, other, near=0.06)) == [] and len(list(differences(one, other))) == 1


def test_a_build_that_fails_is_no_build(tmp_path: Path) -> None:
    with pytest.raises(Broken, match=r"bad: .*'check', 'missing.csv'"):
        build(Case("bad", lambda folder: [("check", "missing.csv", "--json")]), tmp_path / "case", ROOT / "src")
