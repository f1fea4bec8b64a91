"""A price list of one's own: what it may be, and that every mistake names its entry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from smidgen.core.errors import InputError, RecipeError
from smidgen.judge import cost_estimate
from smidgen.usage import price_list

GOOD: dict[str, Any] = {"name": "Own", "input": 0.5, "output": 2, "date": "2026-11-01"}


def written(folder: Path, value: Any) -> Path:
    file = folder / "prices.json"
    file.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return file


def test_a_list_needs_no_more_than_names_prices_and_dates(tmp_path: Path) -> None:
    table = price_list.read(written(tmp_path, {"as_of": "2026-11-02", "models": [GOOD]}))
    assert table["models"] == [{**GOOD, "provider": "", "source": "", "note": ""}]
    (model,) = cost_estimate.estimate(1000, 100, texts_per_second=None, table=table).models
    assert model.name == "Own" and model.usd_per_million_texts == pytest.approx(1000 * 0.5 + 100 * 2)
    assert price_list.read() == price_list.read(price_list.packaged())


@pytest.mark.parametrize(
    ("change", "mistake"),
    [
        ({"input": "0.5"}, "entry 2 (Own): input: dollars per million tokens are expected, 0 or more, not '0.5'"),
        ({"output": -1}, "entry 2 (Own): output: dollars per million tokens are expected, 0 or more, not -1"),
        ({"input": True}, "entry 2 (Own): input: dollars"),
        ({"date": "last week"}, "entry 2 (Own): date: a date such as 2026-11-25 is expected, not 'last week'"),
        ({"note": 5}, "entry 2 (Own): note: a text is expected, not 5"),
        ({"ouput": 2}, "entry 2 (Own): there is no field 'ouput'; did you mean 'output'?"),
        ({"name": "other"}, "entry 2 (other): entry 1 has this name, too"),
        ({"name": " "}, "entry 2: name: a text is expected, not ' '"),
    ],
)
def test_a_mistake_is_named_with_its_entry(tmp_path: Path, change: dict[str, Any], mistake: str) -> None:
    models = [{**GOOD, "name": "Other"}, {**GOOD, **change}]
    with pytest.raises(RecipeError) as caught:
        price_list.read(written(tmp_path, {"as_of": "2026-11-02", "models": models}))
    assert len(caught.value.mistakes) == 1 and caught.value.mistakes[0].startswith(mistake)
    assert str(price_list.packaged()) in str(caught.value)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    table = {"as_of": "soon", "models": [{"name": "A", "input": 1}, "B", {**GOOD, "output": None}]}
    with pytest.raises(RecipeError) as caught:
        price_list.read(written(tmp_path, table))
    assert caught.value.mistakes == (
        "as_of: a date such as 2026-11-25 is expected, not 'soon'",
        "entry 1 (A): output is missing",
        "entry 1 (A): date is missing",
        "entry 2: an object is expected, not 'B'",
        "entry 3 (Own): output: dollars per million tokens are expected, 0 or more, not None",
    )


@pytest.mark.parametrize("text", ["[]", '{"as_of": "2026-11-02", "models": []}', '{"as_of": "2026-11-02"}'])
def test_a_list_without_entries_is_none(tmp_path: Path, text: str) -> None:
    with pytest.raises(RecipeError, match="the price list has mistakes"):
        price_list.read(written(tmp_path, text))


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be read.*No such file"):
        price_list.read(tmp_path / "none.json")
    with pytest.raises(InputError, match="not JSON"):
        price_list.read(written(tmp_path, "name,input"))
    (tmp_path / "latin.json").write_bytes(b'{"as_of": "\xe9"}')
    with pytest.raises(InputError, match="UTF-8"):
        price_list.read(tmp_path / "latin.json")
