"""A call in words: dates as the language writes them, choices by their title or their code in words."""

from __future__ import annotations

from smidgen.tools.definition import Tool

SCHEMA = {
    "type": "object",
    "properties": {
        "day": {"type": "string", "format": "date"},
        "speed": {"enum": ["NEXT_DAY", "standard"]},
        "size": {"oneOf": [{"const": "S", "title": "small"}, {"const": "L", "title": "large"}]},
        "days": {"type": "array", "items": {"type": "string", "format": "date"}},
        "order": {"type": "string", "pattern": "^[0-9-]+$"},
    },
}
GIVEN = {"day": "2026-12-03", "speed": "NEXT_DAY", "size": "L", "order": "2026-12-03"}


def test_a_call_is_told_in_the_words_of_its_language() -> None:
    tool = Tool("book", "Book", SCHEMA, words={"en": "Book {day}, {speed}, {size}, for {order}", "de": "Buchen: {day}, {speed}"})
    assert tool.wording(GIVEN, "en") == "Book 3 December 2026, next day, large, for 2026-12-03"
    assert tool.wording(GIVEN, "de") == "Buchen: 03.12.2026, next day (size: large, order: 2026-12-03)"
    assert tool.wording({"days": ["2026-12-03", "2026-12-04"]}).endswith("(days: 3 December 2026, 4 December 2026)")


def test_a_choice_has_the_title_that_the_tool_gives_it_in_the_language() -> None:
    titles = {"speed": {"en": "delivery", "de": "Lieferung"}, "speed.NEXT_DAY": {"en": "tomorrow", "de": "morgen"}}
    tool = Tool("book", "Book", SCHEMA, words={"": "Book {day}"}, titles=titles)
    assert tool.wording({"speed": "NEXT_DAY", "gift": True}, "de").endswith("(Lieferung: morgen, gift: ja)")
    assert tool.wording({"speed": "NEXT_DAY", "gift": True}, "en").endswith("(delivery: tomorrow, gift: yes)")
    assert tool.wording({"speed": ["NEXT_DAY", "standard"]}, "de").endswith("(Lieferung: morgen, standard)")


def test_what_is_no_code_stays_as_it_is() -> None:
    tool = Tool("book", "Book", SCHEMA, words={"": "{speed} {day}"})
    assert tool.wording({"speed": "standard", "day": "tomorrow"}) == "standard tomorrow"
    assert tool.wording({"speed": "UNKNOWN_TO_US", "day": "2026-02-31"}) == "UNKNOWN_TO_US 2026-02-31"
