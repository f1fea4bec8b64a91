"""The shop's texts to learn writing from keep what they promise: written apart, nothing left out, nothing made up."""

from __future__ import annotations

import csv
import importlib.resources
import json
import re

import pytest

from smidgen.cli.main import code
from smidgen.text.attribute_lists import attributes

HOME = importlib.resources.files("smidgen") / "samples" / "homeware"
FILES = {
    "descriptions": ("attributes", "description", 160, 40),
    "summaries": ("message", "summary", 120, 30),
    "corrections": ("draft", "corrected", 200, 50),
}
"""Columns, and the fewest rows of train and test."""
SMALL = {"a", "the", "and", "or", "of", "in", "at", "on", "with", "to", "for", "if", "you", "like", "no", "do", "not", "then", "now", "up"}


def rows(name: str, part: str) -> list[tuple[str, str]]:
    with (HOME / f"{name}_{part}.csv").open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        first, second = FILES[name][:2]
        assert reader.fieldnames == [first, second]
        return [(row[first], row[second]) for row in reader]


def described() -> list[tuple[str, str, str]]:
    found = [(part, given, text) for part in ("train", "test") for given, text in rows("descriptions", part)]
    assert len(found) >= 200
    return found


def stem(word: str) -> str:
    """A word without its ending, so that `washed` is `wash`."""
    word = word.replace("-", "")
    for ending in ("'s", "ing", "ies", "ed", "es", "s", "d", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:[.'’-][^\W_]+)*", text.lower())


@pytest.mark.parametrize("name", FILES)
def test_rows_enough_each_once_and_small(name: str) -> None:
    train, test = rows(name, "train"), rows(name, "test")
    assert len(train) >= FILES[name][2] and len(test) >= FILES[name][3]
    for part in (train, test):
        assert len({given for given, _ in part}) == len(part)
        assert all(given.strip() == given and text.strip() == text and given and text for given, text in part)
    assert not {text for _, text in train if name != "corrections"} & {text for _, text in test}
    assert len("".join(given + text for given, text in train + test)) < 100_000


@pytest.mark.parametrize("name", FILES)
def test_the_house_s_own_check_finds_no_near_duplicates_leaks_or_personal_data(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = FILES[name][:2]
    files = [str(HOME / f"{name}_train.csv"), "--test", str(HOME / f"{name}_test.csv")]
    assert code(["check", *files, "--task", "write", "--input", first, "--label", second, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["buildable"]
    assert {finding["severity"] for finding in found["findings"]} == {"note"}, found["findings"]


def test_a_description_states_every_attribute() -> None:
    left_out = []
    for part, given, text in described():
        stated = {stem(word) for word in words(text)}
        pairs = attributes(given)
        assert len(pairs) >= 5 and pairs[0][0] == "name"
        left_out += [
            f"{part}: {pairs[0][1]}: {key} {value}"
            for key, value in pairs
            if any(stem(word) not in stated for word in words(value) if word not in SMALL)
        ]
    assert left_out == []


def test_a_description_gives_no_number_that_it_was_not_given() -> None:
    strange = []
    for part, given, text in described():
        known = set(words(given))
        strange += [f"{part}: {word} in {text!r}" for word in words(text) if re.search(r"\d", word) and word not in known]
    assert strange == []


def test_the_products_are_new_ones() -> None:
    """What the shop sells already has its own facts in products.csv; a second set would contradict them."""
    with (HOME / "products.csv").open(encoding="utf-8", newline="") as stream:
        sold = {row["name"] for row in csv.DictReader(stream)}
    named = [attributes(given)[0][1] for _, given, _ in described()]
    assert len(sold) == 120 and len(set(named)) == len(named)
    assert not sold & set(named)


def test_a_summary_is_short_and_speaks_of_the_message() -> None:
    seen = 0
    for part in ("train", "test"):
        for message, summary in rows("summaries", part):
            seen += 1
            assert len(summary) < len(message)
            assert 1 <= len(re.findall(r"[.!?](?=\s|$)", re.sub(r"\b(Mr|Mrs|Ms|Rev|Col|[A-Z])\.", r"\1", summary))) <= 2, summary
            numbers = {word for word in words(summary) if re.search(r"\d", word)}
            said = message.lower()
            assert all(re.sub(r"(st|nd|rd|th)$", "", number) in said for number in numbers - {"30-day", "14-day"}), (summary, numbers)
    assert seen >= 150


def test_some_drafts_are_right_already_and_most_are_not() -> None:
    for part, least in (("train", 15), ("test", 4)):
        found = rows("corrections", part)
        right = sum(draft == corrected for draft, corrected in found)
        assert least <= right <= len(found) // 5
        assert all(corrected[0].isupper() and corrected[-1] in ".!?" for _, corrected in found)
