"""What is planted is found, in the rows where it was planted; what is clean stays clean."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from smidgen.core.errors import DataError
from smidgen.core.rows import Row
from smidgen.data.inspection import Inspection, Survey, inspect
from smidgen.parts import registry
from smidgen.privacy.identifiers import KINDS, identifier_spans

SENTENCE = "amber birch cedar dune ember fjord grove heath inlet jetty knoll ledge marsh north ocean plain quay ridge shore tide"
WORDS = SENTENCE.split()


def rows_of(labels: Sequence[str], each: int = 12) -> list[Row]:
    """Rows whose texts have nothing in common."""
    random = np.random.default_rng(0)
    pairs = [(" ".join(random.choice(WORDS, 9)), label) for label in labels for _ in range(each)]
    return [Row(text, label, number) for number, (text, label) in enumerate(pairs, start=1)]


def look(rows: list[Row], **more: object) -> Inspection:
    return inspect(Survey(rows, **more))  # type: ignore[arg-type]


def kinds(inspection: Inspection) -> set[str]:
    return {finding.kind for finding in inspection.findings}


def test_written_texts_are_no_labels_however_often_they_repeat() -> None:
    rows = [Row(f"draft number {place} of a letter", f"letter {place // 2}", place) for place in range(120)]
    assert "counts.few" in kinds(look(rows)), "taken for labels"
    found = look(rows, named=False)
    assert not {"counts.few", "mislabels", "label_names.alike"} & kinds(found)
    counts = found.of("counts")
    assert counts is not None and "can be learnt from" in counts.text


def test_clean_rows_have_facts_only() -> None:
    found = look(rows_of(["apple", "banana", "orange"]))
    assert kinds(found) <= {"counts", "lengths", "language", "mislabels"}
    assert found.buildable
    counts = found.of("counts")
    assert counts is not None
    assert counts.details["labels"] == {"apple": 12, "banana": 12, "orange": 12}
    json.dumps(found.json())


def test_every_kind_of_finding_is_a_part() -> None:
    assert registry.names("data.findings") == ["labels", "language", "mislabels", "repeats", "texts"]


@pytest.mark.parametrize(
    ("labels", "kind", "severity", "buildable"),
    [
        (["a"] * 20, "counts.one", "error", False),
        (["a"] * 20 + ["b"] * 20 + ["c"], "counts.once", "warning", True),
        (["a"] * 20 + ["c"], "counts.left", "error", False),
        (["a"] * 20 + ["b"] * 3, "counts.few", "warning", True),
        (["a"] * 900 + ["b"] * 20 + ["c"] * 10, "counts.uneven", "warning", True),
    ],
)
def test_labels_with_too_few_rows(labels: list[str], kind: str, severity: str, buildable: bool) -> None:
    texts = rows_of(["x"], len(labels))
    found = look([Row(row.input, label, row.number) for row, label in zip(texts, labels, strict=True)])
    finding = found.of(kind)
    assert finding is not None
    assert (finding.severity, found.buildable) == (severity, buildable)
    assert finding.todo
    if kind == "counts.once":
        assert finding.rows == (41,) and "a build leaves out: 'c'" in finding.text


def test_a_rare_label_is_told_its_nearest() -> None:
    def meaning(texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([[float("wheel" in text or "access" in text), 0.1] for text in texts], dtype=np.float32)

    names = ["shop wheelchair"] * 20 + ["other spam"] * 20 + ["other accessibility"] + ["billing"] * 20 + ["others spam"] * 3
    rows = [Row(row.input, label, row.number) for row, label in zip(rows_of(["x"], len(names)), names, strict=True)]
    found, spelt = look(rows, embed=meaning), look(rows)
    once, few, once_spelt = found.of("counts.once"), spelt.of("counts.few"), spelt.of("counts.once")
    assert once is not None and once.details["nearest"] == {"other accessibility": "shop wheelchair"}
    assert few is not None and few.details["nearest"] == {"others spam": "other spam"}
    assert once_spelt is not None and once_spelt.details["nearest"]["other accessibility"] in ("other spam", "others spam")


def test_no_usable_row_is_an_error() -> None:
    fault = DataError("the text is empty", value="", todo="Fill it in.", file="a.csv", row=1, column="text")
    found = look([], unusable=[fault])
    finding = found.of("unusable")
    assert finding is not None
    assert finding.severity == "error"
    assert finding.details["reasons"] == {"the text is empty": 1}
    assert not found.buildable


def test_planted_duplicates_exact_and_near() -> None:
    rows = rows_of(["apple", "banana"], 40)
    exact = [Row(rows[n].input, rows[n].output, 100 + n) for n in (0, 5, 50)]
    close = [Row(f"{rows[n].input} indeed", rows[n].output, 200 + n) for n in (7, 60)]
    found = look(rows + exact + close)
    repeats, near = found.of("duplicates"), found.of("duplicates.near")
    assert repeats is not None
    assert near is not None
    assert set(repeats.rows) == {100, 105, 150}
    assert repeats.details["pairs"] == [[1, 100], [6, 105], [51, 150]]
    assert set(near.rows) == {207, 260}


def test_planted_conflicts() -> None:
    rows = rows_of(["apple", "banana"], 20)
    found = look([*rows, Row(str(rows[3].input).upper() + "!", "banana", 99)]).of("conflicts")
    assert found is not None
    assert set(found.rows) == {4, 99}
    assert found.details["labels"] == {"apple / banana": 1}


def test_planted_leaks_exact_and_near() -> None:
    rows = rows_of(["apple", "banana"], 40)
    test = [
        Row("something that the training rows do not hold at all", "apple", 1),
        Row(str(rows[10].input).capitalize() + ".", "apple", 2),
        Row(f"{rows[70].input} too", "banana", 3),
    ]
    found = look(rows, test=test)
    same, near = found.of("leakage"), found.of("leakage.near")
    assert same is not None
    assert near is not None
    assert same.details["pairs"] == [[11, 2]]
    assert [pair[:2] for pair in near.details["pairs"]] == [[71, 3]]
    assert "leakage" not in kinds(look(rows, test=test[:1]))


def test_lengths() -> None:
    rows = rows_of(["apple", "banana"])
    found = look([*rows, Row("word " * 400, "apple", 98), Row("k", "apple", 99)])
    long, short = found.of("lengths.long"), found.of("lengths.short")
    assert long is not None
    assert short is not None
    assert (long.rows, short.rows) == ((98,), (99,))


def test_languages() -> None:
    english = [Row(f"I would like to know when order {n} will be delivered to my house", "a", n) for n in range(30)]
    german = [Row(f"Ich möchte gerne wissen, wann die Bestellung {n} geliefert wird", "b", 100 + n) for n in range(10)]
    russian = [Row(f"Я хочу узнать, когда привезут мой заказ номер {n}", "b", 200 + n) for n in range(10)]
    finding = look(english + german + russian).of("language")
    assert finding is not None
    assert finding.severity == "warning"
    assert set(finding.details["languages"]) == {"en", "de", "ru"}
    assert finding.details["scripts"]["CYRILLIC"] == 10
    assert finding.rows == () and finding.details["base"] == "e5", "rows of mixed data are not offered for removal"
    most = look([*german, *(Row(f"{row.input} und danach", "a", row.number + 500) for row in german), *english[:3]]).of("language")
    assert most is not None and most.rows == () and most.details["base"] == "e5" and "pull e5" in most.todo
    few = look([*english, *(Row(f"{row.input} again", "a", row.number + 300) for row in english), *german[:2]]).of("language")
    assert few is not None and few.severity == "note" and set(few.rows) == {100, 101} and "base" not in few.details
    one = look(english).of("language")
    assert one is not None
    assert one.severity == "note"


PERSONAL = {
    "e-mail": ("write to jane.doe+x@mail.example.co.uk today", "that is at home@ 5 or so"),
    "IBAN": ("my account is GB82 WEST 1234 5698 7654 32, thanks", "my account is GB83 WEST 1234 5698 7654 32, thanks"),
    "payment card": ("card 4111 1111 1111 1111 was charged", "card 4111 1111 1111 1112 was charged"),
    "IP address": ("I came from 192.168.10.4 yesterday", "version 300.168.10.4 of 0.0.0.0"),
    "telephone number": ("call me on +44 20 7946 0958 after six", "order 123456789 of 2024-05-06 for 1,000,000"),
    "US social security number": ("ssn 123-45-6789 is mine", "ssn 666-45-6789 is not"),
    "Spanish DNI": ("mi dni es 12345678Z", "mi dni es 12345678A"),
    "UK national insurance number": ("it is AB 12 34 56 C", "it is GB 12 34 56 C"),
    "French social security number": ("le 2 55 08 14 168 025 38 voila", "le 2 55 08 14 168 025 39 voila"),
}


def test_personal_data_is_told_by_kind_and_checksum() -> None:
    for kind, (has, has_not) in PERSONAL.items():
        assert [found for found, _, _ in identifier_spans(has)] == [kind]
        assert [found for found, _, _ in identifier_spans(has_not)] == []
    assert set(PERSONAL) == {kind.name for kind in KINDS}


def test_personal_data_is_counted_and_never_shown() -> None:
    rows = rows_of(["apple", "banana"])
    hidden = [Row(has, "apple", 100 + place) for place, (has, _) in enumerate(PERSONAL.values())]
    finding = look(rows + hidden).of("personal")
    assert finding is not None
    assert finding.count == len(PERSONAL)
    assert finding.details["kinds"] == dict.fromkeys(PERSONAL, 1)
    shown = json.dumps(finding.json())
    for secret in ("jane", "4111", "5698", "7946", "6789", "192.168"):
        assert secret not in shown


def test_label_names_that_look_alike() -> None:
    labels = ["Refund Request", "refund_request", "delivery", "delivry", "invoice", "invoices", "tier 1", "tier 2", "order"]
    found = look(rows_of(labels))
    merged, alike = found.of("label_names"), found.of("label_names.alike")
    assert merged is not None
    assert alike is not None
    assert [set(names) for names in merged.details["variants"]] == [{"Refund Request", "refund_request"}]
    assert {tuple(pair) for pair in alike.details["pairs"]} == {
        ("delivery", "delivry", "one letter apart"),
        ("invoice", "invoices", "singular and plural"),
    }


def test_label_names_close_in_meaning() -> None:
    meaning = {"cost": [1.0, 0.0], "price": [0.99, 0.1], "colour": [0.0, 1.0]}

    def embed(texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([meaning.get(text, [len(text), 30.0]) for text in texts], dtype=np.float32)

    alike = look(rows_of(list(meaning)), embed=embed).of("label_names.alike")
    assert alike is not None
    assert [pair[:2] for pair in alike.details["pairs"]] == [["cost", "price"]]


def test_outputs_that_are_not_labels() -> None:
    rows = [Row(row.input, [{"start": 0, "end": 2, "label": "x"}], row.number) for row in rows_of(["a", "b"])]
    found = look(rows)
    assert found.buildable
    assert not kinds(found) & {"conflicts", "mislabels", "label_names", "counts.one"}
    several = [Row(row.input, ["a", "b"] if row.number % 2 else ["b"], row.number) for row in rows_of(["a", "b"])]
    counts = look(several).of("counts")
    assert counts is not None
    assert counts.details["labels"] == {"b": 24, "a": 12}


def test_labels_that_read_as_a_missing_value() -> None:
    found = look(rows_of(["apple", "banana"]) + [Row(f"text {n}", label, 100 + n) for n, label in enumerate(["NaN", "NA", "None", "NaN"])])
    missing = found.of("label_names.missing")
    assert missing is not None and missing.severity == "warning"
    assert missing.rows == (100, 101, 102, 103) and missing.details["labels"] == {"NaN": 2, "NA": 1, "None": 1}
    assert look(rows_of(["apple", "banana", "nanny", "nationality"])).of("label_names.missing") is None


def test_labels_in_two_unicode_forms() -> None:
    composed, apart = "caf\u00e9", "cafe\u0301"
    rows = [*rows_of([composed, "banana"]), Row("another text", apart, 100)]
    found = look(rows)
    variants = found.of("label_names")
    assert variants is not None and "NFC and NFD" in variants.text
    assert variants.details["variants"] == [{composed: 12, apart: 1}]
    assert found.of("counts.once") is None and found.buildable


def test_texts_in_two_unicode_forms() -> None:
    rows = [Row(f"caf\u00e9 number {n} {WORDS[n]}", "ab"[n % 2], n) for n in range(1, 19)] + [Row("cafe\u0301 is apart", "a", 30)]
    found = look(rows).of("duplicates.forms")
    assert found is not None and found.rows == (30,) and found.count == 1
    assert look(rows[:-1]).of("duplicates.forms") is None
    assert look([Row(f"cafe\u0301 {n}", "ab"[n % 2], n) for n in range(12)]).of("duplicates.forms") is None


def test_a_label_outside_the_scope_may_have_one_row() -> None:
    rows = [*rows_of(["Delivery", "Refund"]), Row("one more text", "oos", 100)]
    assert look(rows, unknown=frozenset(["oos"])).of("counts.once") is None
    left = look([*rows_of(["Delivery"]), *rows[-1:], Row("alone", "Refund", 101)], unknown=frozenset(["oos"]))
    assert left.of("counts.left") is not None, "the one label that is left cannot be told from another"


def test_a_spelling_that_is_seen_once_is_no_error() -> None:
    rows = [*rows_of(["Delivery", "Refund"]), Row("one more text", "delivery", 100)]
    found = look([*rows, Row("twice", "Ask", 102), Row("otherwise spelt", "ask", 103)])
    assert found.of("counts.once") is None and found.buildable, "a build reads them as two rows of one label"
    found = look(rows)
    assert found.of("counts.once") is None and found.buildable
    assert look([*rows, Row("yet another", "alone", 101)]).of("counts.once") is not None
