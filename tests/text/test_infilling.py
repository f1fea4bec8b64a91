"""Gaps in texts: marks in a prompt, the part that is read, what counts as filled."""

from __future__ import annotations

from smidgen.text.infilling import first_lines, is_filled, likeness, read_marks, read_part, repeats, without_last, without_repeat


def test_marks_divide_a_prompt() -> None:
    assert read_marks("<|fim_prefix|>a = <|fim_suffix|>\nb<|fim_middle|>") == ("a = ", "\nb")
    assert read_marks("<fim_prefix>a<fim_suffix>b<fim_middle>") == ("a", "b")
    assert read_marks("# other.py\n<|fim_prefix|>a<|fim_suffix|><|fim_middle|>begun") == ("# other.py\nabegun", "")
    for plain in ("a = 1", "<|fim_prefix|>a", "<|fim_prefix|>a<|fim_suffix|>b", "<|fim_middle|><|fim_suffix|>"):
        assert read_marks(plain) is None


def test_the_text_ahead_begins_at_a_place_that_stays_while_somebody_types() -> None:
    text = "".join(f"line_{number} = {number}\n" for number in range(400))
    starts = []
    for length in range(1000, 3000):
        ahead, _ = read_part(text[:length], "", (400, 0))
        assert 150 <= len(ahead) <= 400 and text[:length].endswith(ahead) and text[length - len(ahead) - 1] == "\n"
        starts.append(length - len(ahead))
    assert len(starts) == 2000 and starts == sorted(starts) and len(set(starts)) <= 12


def test_what_is_read_is_read_whole_a_second_time() -> None:
    ahead, behind = "x = 1\n" * 300 + "y = ", "\n" + "z = 2\n" * 300
    once = read_part(ahead, behind, (500, 100))
    assert read_part(*once, (500, 100)) == once and len(once[1]) <= 100 and once[1].endswith("\n")
    assert read_part("short", "text", (500, 100)) == ("short", "text")
    assert read_part("a" * 1000, "b" * 1000, (500, 100)) == ("a" * 500, "b" * 100), "lines without an end"


def test_only_the_lines_that_are_missing_count() -> None:
    assert is_filled("return a\n\n\ndef next():", "return a")
    assert is_filled("    return a  \n", "return a")
    assert is_filled("a = 1\n    b = 2\n", "a = 1\n\n    b = 2")
    assert not is_filled("return b", "return a") and not is_filled("", "return a") and not is_filled("a = 1", "a = 1\nb = 2")
    assert first_lines("\n a \n\nb\n", 2) == "a\nb"
    assert likeness("return a\nmore", "return a") == 1.0 and 0.5 < likeness("return ab", "return a") < 1.0 and likeness("", "x") == 0.0


def test_the_last_token_is_written_anew_where_it_may_be_a_beginning() -> None:
    words = ["self", "._", "sto", ":\n", "    ", "\ufffd", ""]

    def decode(ids: list[int]) -> str:
        return "".join(words[number] for number in ids)

    assert without_last([0, 1, 2], "self._sto", decode) == ([0, 1], "sto")
    assert without_last([3, 4], "x:\n    ", decode) == ([3], "    ")
    kept = [([0, 3], "self:\n"), ([0, 5], "self\u20ac"), ([0, 6], "self"), ([], ""), ([0, 2], "self._other")]
    for ids, ahead in kept:
        assert without_last(ids, ahead, decode) == (ids, "")
    assert len(kept) == 5


def test_a_filling_ends_where_it_repeats_what_stands_behind() -> None:
    def filled(ahead: str, behind: str, written: str) -> str:
        return without_repeat(written, repeats(ahead, behind))

    ahead = "def total(prices):\n    result = "
    assert filled(ahead, "\n    return result\n", "sum(prices)\n    return result\n\ndef") == "sum(prices)"
    assert filled(ahead, "\n    return result\n", "[]\n    for price in prices:\n        add(price)\n    return result") == (
        "[]\n    for price in prices:\n        add(price)"
    ), "several lines"
    assert filled(ahead, "\n\n\n    return result", "0\n\n\n    return result") == "0", "blank lines between"
    assert filled(ahead, "\n\n    return result", "0\n    return result") == "0"
    assert filled(ahead, "\n    return result", "0\n    return results") == "0"
    assert filled(ahead, "\n    else:\n", "0\n    else: pass") == "0\n    else: pass", "a short line must be repeated to its end"
    assert filled(ahead, "\n    else:\n", "0\n    else:\n        x") == "0"
    closed = "[\n        1,\n    ]\n    ]\n    return result"
    assert filled(ahead, "\n    ]\n    return result", closed) == "[\n        1,\n    ]", "a bracket may stand twice"
    assert filled(ahead + "sum(", ")\n    return result\n", "prices)\n    return result") == "prices", "the rest of the line"
    assert filled(ahead + "sum(", ")\n    return result\n", "max(prices)") == "max(prices)"
    assert filled(ahead + "sum(", ") + 1\n", "prices\nmore") == "prices", "a gap inside a line has one line"
    assert filled("x = 1\n", "y = 2222\nz = 3\n", "a = 1\ny = 2222\n") == "a = 1\n", "the last of whole lines has its own end"
    for nothing in ("", "\n", "\n)\n]\n", "\n    "):
        assert repeats(ahead, nothing) == {}
    assert repeats(ahead, "\n" + "x" * 1000) == {}
