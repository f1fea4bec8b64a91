"""Messages for seven sets of tools: a shop, a clinic, a home; and a workshop, a library (English), a salon, an energy supplier (German).
The test has sentences, names and values that training has not.

`python -m bench.own_tools DIR` writes `SET-tools.json`, `SET-train.jsonl` (30 rows a tool, and 30 without a call) and `SET-test.jsonl`; and
messages without a call that are near one, such as "until when can I cancel": `SET-near-train.jsonl`, which the bench does not teach, and
`SET-near-test.jsonl`.
A slot is `{argument}`; where an argument has a fixed set of values, a sentence has one of the words for it.
"""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

TRAIN, TEST_OF_TEMPLATE, TEST_OF_BUSINESS = 30, 4, 3
"""Training rows a tool; test rows of each sentence, in the first three sets and in the others."""
BUSINESSES: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("own_tools_businesses.json").read_text(encoding="utf-8"))
"""The other four: the day that `tomorrow` counts from, tools, values, sentences, messages without a call, and those that are near one."""
_SLOT = re.compile(r"\{(\w+)\}")

Spoken = Sequence[Any]
"""Values of an argument: each a text that is the value, or a pair of the words and the value."""

ORDER = {"type": "string", "pattern": "^FH-[0-9]{5}$", "description": "The order number."}
EMAIL = {"type": "string", "format": "email", "description": "The e-mail address of the order."}
ROOM = {"type": "string", "enum": ["kitchen", "living_room", "bedroom", "bathroom", "hall", "office"], "description": "The room."}
DATE = {"type": "string", "format": "date", "description": "The day."}


def tool(name: str, description: str, required: Sequence[str], **properties: Mapping[str, Any]) -> dict[str, Any]:
    """A tool in OpenAI's form."""
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return {"name": name, "description": description, "parameters": schema}


SETS: dict[str, list[dict[str, Any]]] = {
    "shop": [
        tool("order_status", "Say where an order is.", ["order", "email"], order=ORDER, email=EMAIL),
        tool("cancel_order", "Cancel an order that has not been sent.", ["order"], order=ORDER),
        tool(
            "change_address",
            "Change where an order is sent to.",
            ["order", "street", "postcode"],
            order=ORDER,
            street={"type": "string", "description": "Street and house number."},
            postcode={"type": "string", "description": "The post code."},
        ),
        tool(
            "start_return",
            "Send something back.",
            ["order", "reason"],
            order=ORDER,
            product={"type": "string", "description": "What is sent back."},
            reason={"type": "string", "enum": ["damaged", "wrong_item", "changed_mind", "late"]},
        ),
        tool(
            "find_products",
            "Search the shop's goods.",
            ["query"],
            query={"type": "string", "description": "What is looked for."},
            max_price={"type": "number", "description": "The most it may cost."},
        ),
        tool("check_stock", "Say whether goods are in stock.", ["product"], product={"type": "string"}, count={"type": "integer"}),
    ],
    "clinic": [
        tool("book_appointment", "Book a time with a doctor.", ["doctor", "date"], doctor={"type": "string"}, date=DATE),
        tool("cancel_appointment", "Cancel a booked time.", ["date"], date=DATE),
        tool(
            "opening_hours",
            "Say when the clinic is open.",
            [],
            day={"type": "string", "enum": ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]},
        ),
        tool("repeat_prescription", "Order a medicine again.", ["medicine"], medicine={"type": "string"}, packs={"type": "integer"}),
        tool(
            "test_results", "Give the result of a test.", ["test"], test={"type": "string", "enum": ["blood", "urine", "x_ray", "allergy"]}
        ),
    ],
    "home": [
        tool(
            "set_light",
            "Switch or dim a light.",
            ["room", "on"],
            room=ROOM,
            on={"type": "boolean", "description": "On or off."},
            brightness={"type": "integer", "minimum": 1, "maximum": 100},
        ),
        tool("set_temperature", "Set the heating of a room.", ["room", "degrees"], room=ROOM, degrees={"type": "number"}),
        tool(
            "lock_door",
            "Lock or unlock a door.",
            ["door", "locked"],
            door={"type": "string", "enum": ["front", "back", "garage"]},
            locked={"type": "boolean"},
        ),
        tool("play_music", "Play music.", ["artist"], artist={"type": "string"}, room=ROOM),
        tool("set_timer", "Set a timer.", ["minutes"], minutes={"type": "integer"}),
        tool("add_to_list", "Put things on the shopping list.", ["items"], items={"type": "array", "items": {"type": "string"}}),
    ],
}

_ROOMS = ("kitchen", ("living room", "living_room"), "bedroom", "bathroom", "hall", "office")
_TEST_ROOMS = ("kitchen", ("living room", "living_room"), ("lounge", "living_room"), "bedroom", "bathroom", ("hallway", "hall"), "office")
_STATES = {"on": True, "off": False}
VALUES: dict[str, dict[str, tuple[Spoken, Spoken]]] = {
    "shop": {
        "email": (
            (
                "anna.berg@mail.example",
                "tom@home.example",
                "j.smith@post.example",
                "lee_k@web.example",
                "maria@shop.example",
                "p.o@mail.example",
            ),
            ("henrik.dahl@inbox.example", "sue77@letters.example", "omar-f@work.example", "nina@studio.example"),
        ),
        "street": (
            ("12 Mill Lane", "4 Park Road", "88 High Street", "7 Station Road", "31 Church Street", "9 Elm Close", "150 London Road"),
            ("26 Harbour View", "3 Queen's Terrace", "61 Victoria Avenue", "18 Old Quarry Lane"),
        ),
        "postcode": (("LS1 4DY", "M3 2BW", "BS8 1TH", "EH6 5NA", "NR2 1AB", "SW4 7JR"), ("CF10 2EQ", "G12 8QH", "OX4 1DP", "TR1 2SJ")),
        "product": (
            ("oak stool", "blue mug", "linen towel", "brass lamp", "wool blanket", "glass vase", "bread bin", "tea tray"),
            ("cork coaster", "copper kettle", "striped rug", "bamboo shelf", "cast iron pan"),
        ),
        "query": (
            (
                "table lamps",
                "a green cushion",
                "wine glasses",
                "cotton sheets",
                "a wall clock",
                "garden lights",
                "storage baskets",
                "a door mat",
            ),
            ("bath mats", "a pepper mill", "velvet curtains", "picture frames", "a washing basket"),
        ),
        "max_price": (
            (("£20", 20), ("35 pounds", 35), ("£49.50", 49.5), ("60 pounds", 60), ("£100", 100)),
            (("£15", 15), ("80 pounds", 80), ("£27.90", 27.9)),
        ),
        "count": ((("two", 2), ("4", 4), ("six", 6), ("12", 12), ("3", 3)), (("five", 5), ("8", 8), ("20", 20))),
    },
    "clinic": {
        "doctor": (
            ("Dr Patel", "Dr Jones", "Dr Weber", "Dr Okafor", "Dr Lindqvist", "Dr Moore"),
            ("Dr Silva", "Dr Nakamura", "Dr Hughes", "Dr Kowalski"),
        ),
        "date": (
            (
                ("3 March", "2027-03-03"),
                ("14 April", "2027-04-14"),
                ("May 6", "2027-05-06"),
                ("22 June", "2027-06-22"),
                ("July 1st", "2027-07-01"),
                ("9 February", "2027-02-09"),
            ),
            (("17 March", "2027-03-17"), ("August 4", "2027-08-04"), ("the 12th of May", "2027-05-12"), ("30 September", "2027-09-30")),
        ),
        "day": (
            (
                ("Monday", "monday"),
                ("Tuesday", "tuesday"),
                ("Wednesday", "wednesday"),
                ("Thursday", "thursday"),
                ("Friday", "friday"),
                ("Saturday", "saturday"),
                ("Sunday", "sunday"),
            ),
            (("Mondays", "monday"), ("Tuesday", "tuesday"), ("Saturdays", "saturday"), ("sunday", "sunday"), ("Thursday", "thursday")),
        ),
        "medicine": (
            ("ibuprofen", "metformin", "my asthma spray", "amlodipine", "the blue inhaler", "omeprazole", "insulin"),
            ("ramipril", "simvastatin", "cetirizine", "the eye drops"),
        ),
        "packs": ((("two", 2), ("three", 3), ("1", 1), ("4", 4)), (("2", 2), ("five", 5), ("6", 6))),
        "test": (
            (
                ("blood test", "blood"),
                ("urine test", "urine"),
                ("X-ray", "x_ray"),
                ("allergy test", "allergy"),
                ("blood work", "blood"),
                ("x-ray", "x_ray"),
            ),
            (("blood sample", "blood"), ("urine sample", "urine"), ("x-ray", "x_ray"), ("allergy check", "allergy")),
        ),
    },
    "home": {
        "room": (_ROOMS, _TEST_ROOMS),
        "on": (tuple(_STATES.items()), tuple(_STATES.items())),
        "brightness": ((("20", 20), ("50", 50), ("75", 75), ("ten", 10), ("100", 100)), (("30", 30), ("sixty", 60), ("85", 85))),
        "degrees": ((("21", 21), ("19.5", 19.5), ("18", 18), ("22", 22), ("twenty", 20)), (("17", 17), ("20.5", 20.5), ("23", 23))),
        "door": (
            (("front door", "front"), ("back door", "back"), ("garage", "garage")),
            (("front door", "front"), ("back door", "back"), ("garage door", "garage")),
        ),
        "artist": (
            ("Nina Simone", "The Beatles", "Mozart", "Queen", "Miles Davis", "Abba", "Bob Marley", "Vivaldi"),
            ("David Bowie", "Fleetwood Mac", "Chopin", "Radiohead", "Aretha Franklin"),
        ),
        "minutes": (
            (("5", 5), ("ten", 10), ("15", 15), ("20", 20), ("45", 45), ("3", 3)),
            (("7", 7), ("twelve", 12), ("25", 25), ("90", 90)),
        ),
        "item": (
            ("milk", "eggs", "bread", "apples", "coffee", "butter", "rice", "soap"),
            ("tomatoes", "cheese", "bin bags", "oat milk", "pasta", "dish soap"),
        ),
    },
}


def sentence(template: str, values: Mapping[str, tuple[Spoken, Spoken]], side: int, draw: random.Random) -> tuple[str, dict[str, Any]]:
    """A sentence with words in its slots, and its arguments. `{=name:value}` sets an argument that no word names; `{items}` takes one to
    three things."""
    arguments: dict[str, Any] = {}
    for name, value in re.findall(r"\{=(\w+):(\w+)\}", template):
        arguments[name] = {"true": True, "false": False}.get(value, value)
    template = re.sub(r"\{=\w+:\w+\}", "", template)

    def word(match: re.Match[str]) -> str:
        name = match[1]
        if name == "order":
            number = draw.randint(10_000, 99_999)
            arguments[name] = f"FH-{number}"
            return draw.choice((f"FH-{number}", f"FH-{number}", f"fh-{number}", f"FH {number}"))
        if name == "items":
            arguments[name] = draw.sample(list(values["item"][side]), draw.randint(1, 3))
            return " and ".join(filter(None, (", ".join(arguments[name][:-1]), arguments[name][-1])))
        said = draw.choice(list(values[name][side]))
        arguments[name] = said if isinstance(said, str) else said[1]
        return said if isinstance(said, str) else said[0]

    return _SLOT.sub(word, template), arguments


def rows(name: str, side: int, draw: random.Random) -> list[dict[str, Any]]:
    """The rows of a set for training (0) or for the test (1)."""
    from bench.own_tools_sentences import NO_CALL, SENTENCES

    business = BUSINESSES.get(name) or {"values": VALUES[name], "sentences": SENTENCES[name], "no_call": NO_CALL[name]}
    made = []
    for called, templates in business["sentences"].items():
        own = list(templates[side])
        count = TRAIN if side == 0 else (TEST_OF_BUSINESS if name in BUSINESSES else TEST_OF_TEMPLATE) * len(own)
        for place in range(count):
            text, arguments = sentence(own[place % len(own)], business["values"], side, draw)
            made.append({"input": text, "output": {"tool": called, "arguments": arguments}})
    made += [{"input": text, "output": None} for text in business["no_call"][side]]
    return made


def near(name: str, side: int) -> list[dict[str, Any]]:
    """Messages without a call that are near one, for training (0) or for the test (1)."""
    from bench.own_tools_sentences import NEAR

    every = BUSINESSES[name]["near"] if name in BUSINESSES else NEAR[name]
    return [{"input": text, "output": None} for text in every[side]]


def write(folder: Path, seed: int = 0) -> None:
    """Write the files of every set."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, tools in {**SETS, **{name: own["tools"] for name, own in BUSINESSES.items()}}.items():
        (folder / f"{name}-tools.json").write_text(json.dumps(tools, indent=1), encoding="utf-8")
        for side, part in enumerate(("train", "test")):
            made = {part: rows(name, side, random.Random(f"{seed} {name} {part}")), f"near-{part}": near(name, side)}
            for place, own in made.items():
                lines = [json.dumps(row, ensure_ascii=False) for row in own]
                (folder / f"{name}-{place}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
