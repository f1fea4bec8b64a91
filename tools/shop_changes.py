"""Makes sentences that change a plan of orders, with what they mean: `python -m tools.shop_changes FILE`.

They teach the recipe `stock-changes`. Its test, `stock_changes_test.jsonl`, is written by hand, with other items, suppliers and wordings.
"""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Sequence
from pathlib import Path

SEED, ROWS = 5, 1_000
FIELDS = ("kind", "item", "supplier", "takes", "quantity", "day", "first", "last", "percent")
ITEMS = (
    "Brass Door Knob", "Willow Basket Large", "tea towels", "Cedar Chopping Board", "the copper kettle", "Larch Bench 120", "GL-014",
    "enamel pie dish", "Slate Cheese Board", "the wool throws", "Juniper Soap", "Felt Slippers 42", "Birch Coat Stand", "espresso cups",
    "KN-220", "Harbour Bath Mat", "the glass carafe", "Rowan Bread Bin", "Fir Cone Garland", "napkin rings", "Stoneware Bowl 18",
    "the picnic blanket", "Ash Serving Spoon", "Cotton Apron Navy", "Wire Fruit Basket", "SP-9", "sugar bowl", "Garden Lantern Small",
    "the folding chairs", "Linen Table Runner", "Cast Iron Trivet", "Mohair Cushion Grey", "watering can 5 l", "the bed linen",
    "Toast Rack",
    "TX-0071", "Beech Rolling Pin", "Hallway Mirror Round", "the oil lamp", "Terracotta Pot 22", "Merino Blanket", "salad servers",
)  # fmt: skip
SUPPLIERS = (
    "Norden Glass", "Weavers & Sons", "Atlas Imports", "Bright Ceramics", "Hofmann GmbH", "Valley Woodworks", "Silverdale", "the weaver",
    "Kettle & Co", "Lund Design", "Ostrava Ironworks", "Meadow Textiles", "our soap maker", "Castell", "Port Trading", "Iberia Cork",
)  # fmt: skip
SPANS = (
    "21 days", "3 weeks", "two weeks", "10 days", "six weeks", "a fortnight", "8 days", "a week", "four weeks", "30 days",
    "5 working days",
    "twelve days", "45 days", "one week", "9 weeks", "14 days",
)  # fmt: skip
DAYS = (
    "4 December", "Friday", "12 January 2027", "next Tuesday", "tomorrow", "the 15th of March", "3/2/2027", "2027-01-09", "Monday",
    "December 18th", "in two weeks", "22 Feb", "this Thursday", "1 May", "the day after tomorrow", "28 November 2026", "June 6",
    "Saturday",
)  # fmt: skip
RANGES = (
    ("4", "7 December", "from {0} to {1}"), ("Friday", "Sunday", "from {0} to {1}"), ("1 March", "15 March", "from {0} until {1}"),
    ("2027-02-01", "2027-02-14", "{0} to {1}"), ("next Monday", "next Saturday", "between {0} and {1}"), ("12 Jan", "20 Jan",
    "{0} – {1}"),
    ("tomorrow", "Thursday", "from {0} through {1}"), ("April 3", "April 10", "between {0} and {1}"), ("24 November", "30 November",
    "{0} to {1}"),
    ("the 5th of June", "the 9th of June", "from {0} to {1}"), ("18.12.2026", "24.12.2026", "{0} to {1}"), ("Monday", "Wednesday",
    "from {0} till {1}"),
)  # fmt: skip
OPENINGS = ("", "", "", "", "Please note: ", "Hi, ", "Just heard that ", "Update: ", "FYI ", "Heads up, ", "For the plan: ", "OK so ")
ENDINGS = ("", "", "", ".", ".", "!", ", thanks", ". Please replan.", ". Can you update the plan?")
TEMPLATES = {
    "lead_time": (
        "{supplier} takes {takes} now", "{supplier} now needs {takes} to deliver", "{supplier} delivers within {takes} from now on",
        "lead time of {supplier} goes up to {takes}", "{item} takes {takes} from now on",
        "it now takes {takes} until {item} is delivered",
        "{supplier} wrote that it takes them {takes}", "deliveries from {supplier} take {takes} at the moment",
        "{supplier} is back to {takes}", "lead time for {item}: {takes}", "we have to wait {takes} for {item} now",
        "{supplier} got faster, only {takes}", "{item} from {supplier} needs {takes}", "{supplier} has delays, {takes} instead",
        "count on {takes} with {supplier}", "the delivery time of {item} is {takes}",
    ),
    "delivery": (
        "{quantity} {item} arrive on {day}", "{quantity} pieces of {item} come {day}", "{supplier} delivers {quantity} {item} on {day}",
        "a delivery of {quantity} {item} is due {day}", "expecting {quantity} {item} {day}", "{day} we get {quantity} {item}",
        "{item}: {quantity} will be here {day}", "the {quantity} {item} we ordered arrive {day}", "{quantity} x {item} coming in {day}",
        "{supplier} ships {quantity} of {item}, here by {day}", "on {day} {quantity} {item} come in",
        "our order of {quantity} {item} is expected for {day}", "truck with {quantity} {item} {day}",
    ),
    "promotion": (
        "{item} is on offer {range}", "we promote {item} {range}", "promotion for {item} {range}", "{range} {item} is reduced",
        "{item} will be on sale {range}, {percent} % more expected", "we expect {percent}% more of {item} {range}",
        "campaign on {item} {range}: plus {percent} percent", "{item} gets into the newsletter {range}",
        "special price for {item} {range}",
        "planning an offer on {item} {range}, should sell {percent} percent more", "{item} 20 % off {range}", "sale of {item} {range}",
        "we advertise {item} {range} and count on {percent} % more", "discount week for {item}, {range}",
    ),
    "discontinued": (
        "{item} is discontinued", "we stop selling {item}", "{item} goes out of the range after {last}", "do not reorder {item} any more",
        "{item} is sold until {last} and not after", "no more {item}, we drop it", "take {item} out of the range",
        "{supplier} no longer makes {item}", "{item} will be delisted on {last}", "last day of {item} is {last}",
        "we are phasing out {item}",
        "{item} won't be sold any longer", "kick {item} out", "we only sell {item} until {last}",
    ),
    "stock": (
        "there are {quantity} {item} in stock", "I counted {quantity} {item}", "stock of {item} is {quantity}",
        "we only have {quantity} {item} left", "{item}: {quantity} on the shelf", "recount: {quantity} {item}",
        "the stock of {item} is wrong, there are {quantity}", "{quantity} of {item} lie in the store room",
        "inventory of {item}: {quantity}",
        "found {quantity} {item} when counting", "only {quantity} pieces of {item} are there", "{item} is at {quantity}",
    ),
}  # fmt: skip


def sentence(rng: random.Random) -> dict[str, object]:
    """One sentence and what it means."""
    kind = rng.choice(list(TEMPLATES))
    template = rng.choice(TEMPLATES[kind])
    start, end, form = rng.choice(RANGES)
    values = {
        "item": _with_article(rng, rng.choice(ITEMS)),
        "supplier": rng.choice(SUPPLIERS),
        "takes": rng.choice(SPANS),
        "quantity": str(rng.choice([rng.randint(1, 30), rng.randint(10, 400), 1200])),
        "day": rng.choice(DAYS),
        "last": rng.choice(DAYS),
        "percent": str(rng.choice([10, 15, 25, 30, 40, 50, 60, 80, 100, 120, 150, 200])),
        "range": form.format(start, end),
    }
    used = set(re.findall(r"\{(\w+)\}", template))
    body = template.format(**values)
    if rng.random() < 0.5:
        body = body[0].upper() + body[1:]
    text = f"{rng.choice(OPENINGS)}{body}{rng.choice(ENDINGS)}"
    text = text.lower() if rng.random() < 0.1 else text
    said: dict[str, object] = dict.fromkeys(FIELDS)
    said["kind"] = kind
    said |= {name: values[name] for name in used & {"item", "supplier", "takes", "day", "last"}}
    if isinstance(said["item"], str):
        said["item"] = said["item"].removeprefix("the ")  # the name of an item has no article
    said |= {name: int(values[name]) for name in used & {"quantity", "percent"}}
    if "range" in used:
        said |= {"first": start, "last": end}
    if text == text.lower():
        said = {name: value.lower() if isinstance(value, str) else value for name, value in said.items()}
    # As they stand in the text: the first letter of a sentence may be large.
    said |= {
        name: found[0] for name, value in said.items() if isinstance(value, str) and name != "kind" and (found := _as_written(value, text))
    }
    return {"text": text, "change": said}


def _with_article(rng: random.Random, item: str) -> str:
    """An item as people say it: names now and then with an article, codes without."""
    plain = any(letter.isdigit() for letter in item) or item.startswith("the ")
    return item if plain or rng.random() < 0.6 else f"the {item}"


def _as_written(value: str, text: str) -> list[str]:
    return re.findall(re.escape(value), text, re.IGNORECASE)


def main(arguments: Sequence[str]) -> int:
    """Write the sentences, each once."""
    rng, rows = random.Random(SEED), dict[str, dict[str, object]]()
    while len(rows) < ROWS:
        row = sentence(rng)
        rows[str(row["text"])] = row
    Path(arguments[0]).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows.values()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
