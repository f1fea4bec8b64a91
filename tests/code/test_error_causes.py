"""Causes of errors: real programs that fail, and what is said of them."""

from __future__ import annotations

import runpy
import sys
import traceback
from pathlib import Path

import pytest

from smidgen.code.error_causes import CauseContext, causes
from smidgen.code.own_code import OwnCode
from smidgen.code.repository import CodeFile
from smidgen.code.tracebacks import read_tracebacks

SHOP = """import json
import re

PRICES = {"bun": 2, "roll": 3}
taken = 0


class Order:
    def __init__(self, customer, lines):
        self.customer, self.lines = customer, lines

    def total(self):
        return sum(PRICES[name] * count for name, count in self.lines)

    def oops():
        return 1


def find(name, people):
    for person in people:
        if person == name:
            return person


def number(text):
    found = re.match(r"[0-9]+", text)
    return found.group(0)


def mean(values):
    return sum(values) / len(values)


def take():
    taken += 1


def price(table, name):
    return table[name]


def again(n):
    return again(n + 1)
"""
CASES = {
    'Order("a", [("bunn", 1)]).total()': (
        "`PRICES[name]` asks for the key 'bunn' (`name` was 'bunn'), and `PRICES` does not have it.",
        "Similar: `bun`.",
    ),
    'price({}, "x")': (
        "`table[name]` asks for the key 'x' (`name` was 'x'), and `table` does not have it.",
        '`table` is a parameter of `price`, called in main.py:4: `price({}, "x")`.',
    ),
    'find("x", []).upper()': (
        "`find('x', [])` was None, and None has no `upper`.",
        "`find` (shop.py:19) can end without a value: see shop.py:20.",
    ),
    'number("abc")': (
        "`found` was None, and None has no `group`.",
        '`found` was last set before in shop.py:26: `found = re.match(r"[0-9]+", text)`.',
        "`match` gives None for a text that does not match.",
    ),
    "mean([])": ("`len(values)` was 0: `values` was empty.",),
    "take()": (
        "`take` assigns to `taken` (shop.py:35), so it is a local name in all of it, and on this way it has no value yet.",
        "To change the `taken` of the module, declare `global taken`.",
    ),
    'Order("a")': ("shop.py:9 defines `__init__(self, customer, lines)`.",),
    'Order("a", line=[])': (
        "`Order.__init__` has no parameter `line`.",
        "Similar: `lines`.",
        "shop.py:9 defines `__init__(self, customer, lines)`.",
    ),
    'Order("a", []).totl()': (
        "`Order('a', [])` was of the type `Order`, which has no `totl`.",
        "Similar: `total`.",
        "`Order` is defined in shop.py:8.",
    ),
    "Order.totl": ("`Order` has no `totl`.", "Similar: `total`.", "`Order` is defined in shop.py:8."),
    'Order("a", []).oops()': (
        "shop.py:15 defines `oops()`.",
        "It is a method without `self` as its first parameter: the object itself is passed too.",
        "It was called as `Order('a', []).oops()`.",
    ),
    'int("3,5")': ("`int` cannot read '3,5'.", "It has a comma; Python wants a point."),
    't = "2.5"\n    int(t)': (
        "`t` was '2.5'. `int` cannot read '2.5'.",
        "It has a point: `int` takes none. `float` does.",
        '`t` was last set before in main.py:4: `t = "2.5"`.',
    ),
    "a, b = [1, 2, 3]": ("2 names, `(a, b)`, were to take what is in `[1, 2, 3]`, which had more values.",),
    "rows = []; rows[0]": ("`rows` was empty, so `rows[0]` does not exist.",),
    'json.loads("")': ("The text is empty, or does not begin as JSON does; a page of HTML or a message of an error does not, either.",),
    "itertools.chain()": ("`itertools` is a module of Python that the file does not import: `import itertools`.",),
    "pirce({}, 1)": ("`pirce` is not defined where main.py:4 uses it.", "Similar: `price`."),
    "import yaml3": ("No package with `yaml3` is installed where the program ran.", "If it is not one of yours: `pip install yaml3`."),
    "import cv2.x": (
        "No package with `cv2` is installed where the program ran.",
        "If it is not one of yours: `pip install opencv-python`.",
    ),
    "from shop import Oder": ("shop.py defines no `Oder`.", "Similar: `Order`."),
    'x = "a" + 1': ("In `'a' + 1` `1` was of the type `int`, which cannot be joined to a `str`.",),
    '1 < "a"': ("`1` was of the type `int`, and `'a'` of the type `str`.",),
    "x = [3].sort()[0]": ("`[3].sort()` was None.", "`sort` changes the list and gives None."),
    "list = 3; list(4)": ("`list` was of the type `int`, which is not callable.", "main.py:4 gives Python's `list` another value."),
    "for k in find(1, []): pass": ("`find(1, [])` was None.", "`find` (shop.py:19) can end without a value: see shop.py:20."),
    'rows = [{"a": [1]}]\n    rows[0]["a"][3]': ("`rows[0]['a']` has fewer elements than `rows[0]['a'][3]` needs.",),
    "for k in range(1, [2]): pass": ("`[2]` was of the type `list`.",),
    'k = "a"\n    [1][k]': ("`k` was of the type `str`.", '`k` was last set before in main.py:4: `k = "a"`.'),
    "1 in 2": ("`2` was of the type `int`.",),
    "1 / 0": ("The divisor is 0.",),
    "a, b = [1]": ("2 names, `(a, b)`, were to take what is in `[1]`, which had 1 value.",),
    "len(None)": ("`None` was None.",),
    "{[]: 1}": ("A `list` was used as a key or put into a set; a `tuple` or a text can be.",),
    "assert mean([1]) == 2": ("`mean([1]) == 2` is not true.",),
    r'b"\xff\xfe".decode()': ("The text is not in utf-8: byte number 0 is 0xff.", 'It begins as UTF-16 does: `encoding="utf-16"`.'),
    "max([])": ("`[]` was empty.",),
    'import os; os.environ["NOPE_X"]': ("The environment variable 'NOPE_X' is not set where the program ran.",),
    'open("shp.py")': (
        "There was no file or folder 'shp.py'.",
        "The path is relative: it starts from the folder in which the program was started.",
        "Similar: `shop.py`.",
    ),
    "again(1)": ("`again` calls itself without an end.",),
    # Nothing is certain:
    "sum([1, 'a'])": (),
    "raise KeyError": (),
    "raise ValueError('x')": (),
    "raise OSError(5, 'disk')": (),
}


@pytest.mark.parametrize("statement", CASES)
def test_a_cause_is_said_exactly(statement: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    main = f"from shop import *\n\ndef main():\n    {statement}\n\nmain()\n"
    (tmp_path / "shop.py").write_text(SHOP, encoding="utf-8")
    (tmp_path / "main.py").write_text(main, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "shop", raising=False)
    with pytest.raises(Exception) as raised:
        runpy.run_path(str(tmp_path / "main.py"), run_name="__main__")
    monkeypatch.delitem(sys.modules, "shop", raising=False)
    error = read_tracebacks("".join(traceback.format_exception(raised.value)))[-1]
    own = OwnCode([CodeFile("shop.py", SHOP), CodeFile("main.py", main)])
    places = [place for frame in error.frames if (place := own.place(frame)) is not None]
    assert places and not places[-1].changed
    said = causes(CauseContext(error, places, own))
    assert tuple(said[: len(CASES[statement])]) == CASES[statement]
    assert bool(said) == bool(CASES[statement])


def test_a_file_that_hides_a_module_of_python_is_named() -> None:
    own = OwnCode([CodeFile("random.py", "x = 1\n"), CodeFile("game.py", "import random\nrandom.choice([1])\n")])
    frame = 'Traceback (most recent call last):\n  File "/app/game.py", line 2, in <module>\n    random.choice([1])\n'
    (error,) = read_tracebacks(f"{frame}AttributeError: module 'random' has no attribute 'choice'\n")
    places = [place for one in error.frames if (place := own.place(one)) is not None]
    assert causes(CauseContext(error, places, own))[0] == "Your file random.py hides Python's own module `random`."
