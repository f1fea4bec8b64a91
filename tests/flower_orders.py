"""Messages to a flower shop with the fields that they state: easy enough for a model that learns in seconds."""

from __future__ import annotations

import csv
import io

LEXICAL = {"student": {"kind": "lexical", "baseline": "none"}}
_NAMES = ("Anna Weber", "Mia Koch", "Jonas Frank", "Lena Vogt", "Paul Brandt", "Nora Stein", "Emil Hahn", "Clara Wolf")
_FLOWERS = ("tulips", "roses", "peonies", "lilies", "daisies")
_DAYS = ("Monday", "Tuesday", "Friday", "Saturday")
_FORMS = (
    "Hello, this is {name}. I would like {amount} {flower} for {day}, please.",
    "{name} here, please put {amount} {flower} aside until {day}.",
    "Good morning, {amount} {flower} for pickup {day}. Thanks, {name}",
    "My name is {name} and I need {amount} {flower}.",
)


def orders(count: int = 80) -> list[dict[str, str]]:
    """Rows as a spreadsheet has them: `number`, `message`, and a column for each field; an empty cell where nothing is said."""
    rows = []
    for place in range(count):
        form = _FORMS[place % len(_FORMS)]
        name, flower = _NAMES[place * 3 % len(_NAMES)], _FLOWERS[place * 7 % len(_FLOWERS)]
        amount, day = str(3 + place * 11 % 50), _DAYS[place // 4 % len(_DAYS)]
        message = form.format(name=name, flower=flower, amount=amount, day=day)
        said = {"customer": name, "flower": flower, "amount": amount, "day": day if "{day}" in form else ""}
        rows.append({"number": f"A-{place:04}", "message": message, **said})
    return rows


def as_csv(rows: list[dict[str, str]]) -> str:
    """The rows as the text of a CSV file."""
    out = io.StringIO()
    table = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return out.getvalue()
