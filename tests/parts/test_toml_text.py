"""TOML texts that are changed and keep their words."""

from __future__ import annotations

import copy
import random
import tomllib
from pathlib import Path
from typing import Any

import pytest

from smidgen.parts.toml_text import edited, plain

SAMPLES = Path(__file__).resolve().parents[2] / "src" / "smidgen" / "samples" / "homeware"
TEXT = """# The file's own comment.

first = 1  # kept
words = '''
[not.a.table]
'''

# Of the table.
[shop]
# Of the list.
list = [
  1, # one
  2,
]
gone = true

[shop.inner]
a.b = 1

# The end.
"""


def test_what_is_not_changed_stays_letter_by_letter() -> None:
    tree = tomllib.loads(TEXT)
    tree["shop"]["gone"], tree["shop"]["new"] = False, "x"
    found = edited(TEXT, tree)
    assert found.kept and found.text == TEXT.replace("gone = true\n", 'gone = false\nnew = "x"\n')
    del tree["shop"]["gone"], tree["shop"]["new"]
    assert edited(TEXT, tree).text == TEXT.replace("gone = true\n", "")
    del tree["shop"]["inner"]
    tree["door"] = {"colour": "red"}
    found = edited(TEXT, tree)
    assert found.kept and tomllib.loads(found.text) == tree and found.text.count("#") == TEXT.count("#")


def test_a_new_order_is_written_with_each_entry_in_its_own_words() -> None:
    text = '[steps]\n"a/*" = "x" # any\n# of b\nb = "y"\n\n[after]\nc = 1\n'
    tree = {"steps": {"b": "y", "new": "z", "a/*": "x"}, "after": {"c": 1}}
    found = edited(text, tree)
    assert found.kept and found.text == '[steps]\n# of b\nb = "y"\nnew = "z"\n"a/*" = "x" # any\n\n[after]\nc = 1\n'
    assert list(tomllib.loads(found.text)["steps"]) == ["b", "new", "a/*"]


def test_a_layout_that_cannot_be_followed_is_written_anew_and_said_so() -> None:
    text = "# a comment\n[[rows]]\na = 1\n[[rows]]\na = 2\n"
    found = edited(text, {"rows": [{"a": 1}]})
    assert not found.kept and tomllib.loads(found.text) == {"rows": [{"a": 1}]}
    assert edited("this is no TOML", {"a": 1}) == edited("= 1", {"a": 1})
    assert not edited("this is no TOML", {"a": 1}).kept and edited("", {"a": 1}).kept


def changed(value: Any, chance: random.Random) -> Any:
    """A tree with some of its values changed, removed or added."""
    if isinstance(value, dict):
        names = [name for name in value if chance.random() > 0.12]
        if chance.random() < 0.1:
            chance.shuffle(names)
        made = {name: changed(value[name], chance) for name in names}
        if chance.random() < 0.2:
            made[chance.choice(["new", "a b", "ünï", "x.y"])] = chance.choice(
                [1, True, 0.5, 'a "q" \\ \t', 'two\nlines """\n\'', {"k": {"l": [1]}}, []]
            )
        return made
    return chance.choice(["other", 7, value, value, value])


@pytest.mark.parametrize("file", ["tools.toml", "desk_policy.toml", "support.toml"])
def test_any_change_says_exactly_the_new_tree(file: str) -> None:
    text = (SAMPLES / file).read_text(encoding="utf-8")
    tree, chance, kept = tomllib.loads(text), random.Random(4), 0
    assert edited(text, copy.deepcopy(tree)).text == text and tomllib.loads(plain(tree)) == tree
    for _ in range(60):
        wanted = changed(tree, chance)
        found = edited(text, wanted)
        assert tomllib.loads(found.text) == wanted
        kept += found.kept
    assert kept > 50
