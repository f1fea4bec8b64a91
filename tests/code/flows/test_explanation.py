"""An explained traceback: own lines, changed files, code of others."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from smidgen.code.flows.explanation import excerpt, explained
from smidgen.core.errors import InputError

TOLD = """Traceback (most recent call last):
  File "/srv/app/shop/till.py", line 3, in pay
    return total(order) / people
KeyError: 'bun'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/srv/app/main.py", line 1, in <module>
    pay({}, 0)
  File "/srv/app/shop/till.py", line 3, in pay
    return total(order) / people
           ~~~~~~~~~~~~~^~~~~~~~
ZeroDivisionError: division by zero
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "till.py").write_text("from x import total\ndef pay(order, people):\n    return total(order) / people\n", "utf-8")
    (tmp_path / "main.py").write_text("pay({}, 0)\n", "utf-8")
    return tmp_path


def test_own_lines_are_found_by_the_end_of_their_path(repository: Path) -> None:
    first, second = explained(TOLD, repository)
    assert (first.link, second.link) == ("", "while this was handled, there came")
    assert [place.shown for place in second.shown_places] == ["shop/till.py:3", "main.py:1"]
    assert second.causes[0] == "`people` was 0."
    assert second.causes[1] == "`people` is a parameter of `pay`, called in main.py:1: `pay({}, 0)`."
    assert excerpt(second.places[-1], 1) == [(2, "def pay(order, people):"), (3, "    return total(order) / people"), (4, "")]
    assert second.json()["places"][0] == {
        **{"file": "shop/till.py", "line": 3, "function": "pay", "source": "return total(order) / people"},
        "changed": False,
    }


def test_a_file_that_was_changed_since_is_said_and_not_read(repository: Path) -> None:
    (repository / "shop" / "till.py").write_text("def pay(order, people):\n\n    return 1 / other\n", "utf-8")
    told = explained(TOLD, repository)[-1]
    assert told.causes == ()
    assert told.remarks == ("shop/till.py:3 has another text than the traceback: the file was changed since, or is another. Run it again.",)


def test_code_of_others_is_named_and_not_explained(repository: Path) -> None:
    other = TOLD.replace(
        "ZeroDivisionError", '  File "/venv/lib/python3.11/site-packages/x/y.py", line 9, in z\n    a / b\nZeroDivisionError'
    )
    told = explained(other, repository)[-1]
    assert told.causes == ()
    assert told.remarks == ("It was raised in code of others (x/y.py:9), which shop/till.py:3 calls.",)


def test_without_a_line_of_the_repository_the_message_alone_is_explained(tmp_path: Path) -> None:
    text = TOLD.replace("ZeroDivisionError: division by zero", "ModuleNotFoundError: No module named 'yaml'")
    told = explained(text, tmp_path)[-1]
    assert told.causes == ("No package with `yaml` is installed where the program ran.", "If it is not one of yours: `pip install PyYAML`.")
    assert told.remarks == ("No line of the traceback is in your code: its files are of another folder, or have other names.",)


def test_a_text_without_a_traceback_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no traceback"):
        explained("it does not work", tmp_path)


def test_a_new_file_that_git_does_not_know_yet_is_the_users_own(tmp_path: Path) -> None:
    for name in ("old.py", "new.py"):
        (tmp_path / name).write_text(f"def f(x):\n    return int(x)  # {name}\n", encoding="utf-8")
    for words in (["init", "-q"], ["add", "old.py"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    said = f'Traceback (most recent call last):\n  File "{tmp_path}/new.py", line 2, in f\n    return int(x)  # new.py\nTypeError: bad\n'
    (told,) = explained(said, tmp_path)
    assert [place.file.path for place in told.shown_places] == ["new.py"] and not told.remarks
