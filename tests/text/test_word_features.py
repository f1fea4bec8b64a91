"""What a lexical tagger sees of a word."""

from __future__ import annotations

from smidgen.text.tagging import features, name_of

WORDS = ["The", "colon", "cancer", "gene", "APC2"]


def test_a_word_is_described_with_its_neighbours() -> None:
    found = features(WORDS, {})
    assert {"w=colon", "w-1=the", "w1=cancer", "w2=gene", "ww+1=colon cancer", "a3=col", "z2=on"} <= set(found[1])
    assert "p=Aa" in found[0] and "p=A0" in found[4] and "s=6" in found[4]
    assert len(found) == 5 and features([], {}) == []


def test_known_names_are_marked_longest_first() -> None:
    names = {name_of(["Colon", "Cancer"]): 0, name_of(["cancer"]): 1, name_of(["gene"]): 2}
    found = features(WORDS, names)
    assert [[entry for entry in word if entry.startswith("n=")] for word in found] == [[], ["n=first 0"], ["n=last 0"], ["n=one 2"], []]
    hidden = features(WORDS, names, {"colon cancer"})
    assert [[entry for entry in word if entry.startswith("n=")] for word in hidden] == [[], [], ["n=one 1"], ["n=one 2"], []]


def test_a_name_at_the_end_of_the_text_is_found() -> None:
    assert "n=one 0" in features(["a", "lamp"], {"lamp": 0})[1]
    assert not any(entry.startswith("n=") for entry in features(["a"], {"a lamp": 0})[0])
