"""Examples with other values: changed alike in input and answers, only where answers repeat them, and never the rows themselves."""

from __future__ import annotations

import pytest
from tests.forms import text_form

from smidgen.bases.lookup import find
from smidgen.core.rows import Row
from smidgen.students.decoder_training.examples import chosen, in_circles, with_other_values
from smidgen.students.decoder_training.prompts import common_words, prompt_of, tokenizer_of
from smidgen.text.attribute_lists import attributes

WORDS = ("harbour", "velvet", "copper", "meadow")
NAMES = ("Kindle Box", "Nell Mug", "Arden Lamp", "Fern Bowl")
MATERIALS = ("oak", "brass", "stoneware")


def rows(count: int = 24) -> list[Row]:
    made = []
    for n in range(count):
        name, material, price = NAMES[n % 4], MATERIALS[n % 3], ("cheap", "dear")[n % 2]
        source = f"name: {name}; material: {material}; price: {price}; size: {n + 3} cm; washable: yes"
        made.append(Row(source, f"{name} is made of {material} and {n + 3} cm wide, at a {'low' if n % 2 == 0 else 'high'} price.", n + 1))
    return made


def test_what_is_changed_is_changed_in_both_and_nothing_else_is() -> None:
    given = rows()
    made = with_other_values(given, WORDS, 0)
    assert made[: len(given)] == given
    more = made[len(given) :]
    assert len(more) == len(given)
    for old, new in zip(given, more, strict=True):
        before, after = dict(attributes(str(old.input))), dict(attributes(str(new.input)))
        assert list(before) == list(after)
        assert {key for key in before if before[key] != after[key]} == {"name", "material"}
        for key in ("name", "material"):
            assert after[key] in str(new.output) and before[key] not in str(new.output)
            assert len(after[key].split()) == len(before[key].split())
        assert after["name"].istitle() and after["material"].islower()
        words = str(new.output).replace(after["name"], before["name"]).replace(after["material"], before["material"])
        assert words == old.output
        assert (new.number, new.weight) == (old.number, old.weight)
    assert with_other_values(given, WORDS, 0) == made
    assert with_other_values(given, WORDS, 1) != made


def test_answers_to_one_input_are_changed_alike() -> None:
    given = [*rows(), Row(rows()[0].input, "Oh, the Kindle Box of oak!", 99)]
    more = [row for row in with_other_values(given, WORDS, 0)[len(given) :] if row.number in (1, 99)]
    assert len(more) == 2
    assert more[0].input == more[1].input
    name = dict(attributes(str(more[0].input)))["name"]
    assert all(name in str(row.output) for row in more)


@pytest.mark.parametrize("answer", ["It is made of wood.", "The Kindle Boxes are of oak wood."])
def test_a_value_that_an_answer_does_not_repeat_stays(answer: str) -> None:
    odd = Row("name: Kindle Box; material: oak; price: cheap; size: 99 cm; washable: yes", answer, 99)
    more = [row for row in with_other_values([*rows(), odd], WORDS, 0)[25:] if row.number == 99]
    assert all("Kindle Box" in str(row.input) for row in more)
    assert ("oak" in answer) == bool(more)


def test_words_are_common_ones() -> None:
    words = common_words(tokenizer_of(find("smollm2").folder))
    assert len(words) == 6000 == len(set(words))
    assert all(word.islower() and 4 <= len(word) <= 9 for word in words)
    assert {"house", "water", "music"} <= set(words)


GOOD = [f"the blue lamp is {word} and stands on the desk" for word in ("small", "tall", "round", "bright", "new", "old")]
ODD = [f"{number} {number} {number}" for number in range(14)]


def test_the_best_are_found_behind_others() -> None:
    rows = [Row("lamp", [*ODD, *GOOD])]
    assert {row.output for row in chosen(rows, text_form(), 6)} == set(GOOD)


def test_as_many_are_taught_as_are_asked_for() -> None:
    rows = [Row("lamp", answer, number) for number, answer in enumerate([*ODD, *GOOD], start=1)]
    assert len(chosen(rows, text_form(), 16)) == 16
    assert [row.output for row in chosen(rows, text_form(), 100)] == [*ODD, *GOOD]


def test_one_answer_in_four_goes_round_in_circles_and_its_copies_are_not_to_come() -> None:
    folder = find("smollm2").folder
    prompt, tokenizer = prompt_of(folder, ""), tokenizer_of(folder)
    given = [Row(f"note {n}", f"No fever. Takes aspirin, {n} mg a day. Comes again in May.", n) for n in range(24)]
    made = in_circles(given, prompt, tokenizer, 400, 0)
    assert len(made) == 6
    for one in made:
        written = one.ids[-one.answer :].tolist()
        first, last = one.repeated
        head, again, rest = (tokenizer.decode(part) for part in (written[:first], written[first:last], written[last:-1]))
        number = int(tokenizer.decode(one.ids[: -one.answer].tolist()).split("note ")[1].split()[0])
        assert head + rest == given[number].output, "without its copies it is the answer"
        part = next(part for part in ("No fever.", "Takes aspirin,", f"{number} mg a day.", "Comes again in May.") if head.endswith(part))
        assert again in [f" {part}" * times for times in (1, 2, 3)]
        assert written[-1] == prompt.stop[0]
        assert one.weights.tolist() == [1.0] * first + [-1.0] * (last - first) + [1.0] * (one.answer - last)
        assert one.mass == one.answer - (last - first)
    assert {len(one.ids) for one in in_circles(given, prompt, tokenizer, 400, 1)} != {len(one.ids) for one in made}
    assert in_circles(given[:3], prompt, tokenizer, 400, 0) == []
    assert in_circles(given, prompt, tokenizer, 20, 0) == [], "no example is longer than may be"
    twice = [Row("note", "Yes. Yes.", n) for n in range(8)]
    assert in_circles(twice, prompt, tokenizer, 400, 0) == [], "what comes twice in the answer may do so"
    assert len(in_circles([Row(f"note {n}", "No fever.", n) for n in range(2_000)], prompt, tokenizer, 400, 0)) == 250
