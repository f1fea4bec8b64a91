"""A lexicon of the words that state each attribute. It finds the attributes that a text states, omits or makes up.

A lexicon is learnt from pairs of attributes and texts (`lexicon_learning.py`). Values of an open key, such as a name, are stated by their
own words, apart from typing errors. Values of a closed key, such as a price range or yes and no, are stated in many ways, which are
learnt. If one run of words lies inside another, the longer one counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from smidgen.text.attribute_lists import attributes
from smidgen.text.words import (
    NEGATED,
    PLAIN,
    Words,
    WordSequence,
    are_alike,
    find_run,
    mark_negations,
    mentioned,
    read_words,
    spoken,
    value_words,
    word_runs,
)

Fact = tuple[str, str]
"""(key, value)."""

AMBIGUOUS, COUNTS, STATES = 0, 1, 2
"""The meaning of a value's own words: none, because they mostly mean something else; they express the value if the input has it; they
state it even if the input lacks it."""


@dataclass(frozen=True, slots=True)
class StatedFacts:
    """A text compared with its input's attributes.

    Attributes:
        covered: attributes that the text states.
        missing: attributes that it does not state.
        unsupported: attributes that it states and the input lacks, or has with another value.
    """

    covered: tuple[Fact, ...]
    missing: tuple[Fact, ...]
    unsupported: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class LexiconKey:
    """The lexicon's entry for the attributes of one key.

    Attributes:
        open: values are of an open set, such as names, and are stated in their own words.
        loose: values seldom repeat: descriptions, whose words may come in any order, or partly.
        yes_no: values are yes and no, whose own words state nothing.
        checked: training texts state it, so a text without it lacks something.
        trusted: training texts hardly ever state it without support, so a text that does makes something up.
        values: the known values, each with the meaning of its own words.
    """

    open: bool
    loose: bool
    yes_no: bool
    checked: bool
    trusted: bool
    values: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class LexiconPhrase:
    """A run of words about a key.

    Attributes:
        run: its words; the first may be a mark: the run holds only if negated, or only if not.
        key: of the attribute.
        means: the values that it may stand for, likeliest first.
        states: whether a text with it states one of these values; else it only expresses them if the input has them.
    """

    run: Words
    key: str
    means: tuple[str, ...]
    states: bool


@dataclass(frozen=True)
class Lexicon:
    """The keys and phrases learnt from training pairs."""

    keys: Mapping[str, LexiconKey]
    phrases: Sequence[LexiconPhrase]
    _by_run: dict[Words, list[LexiconPhrase]] = field(default_factory=dict, init=False, repr=False, compare=False)
    _names: dict[str, list[tuple[Words, Fact]]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for entry in self.phrases:
            self._by_run.setdefault(entry.run, []).append(entry)
        for key, known in self.keys.items():
            for value in known.values if known.open else ():
                if words := value_words(value):
                    self._names.setdefault(words[0], []).append((words, (key, value)))

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Lexicon:
        """Read a lexicon from the value that `json` wrote."""
        keys = {name: LexiconKey(**key) for name, key in value["keys"].items()}
        return cls(keys, [LexiconPhrase(tuple(run.split(" ")), key, tuple(means), states) for run, key, means, states in value["phrases"]])

    def json(self) -> dict[str, Any]:
        """The lexicon as JSON, for a bundle's form."""
        return {
            "keys": {name: asdict(key) for name, key in self.keys.items()},
            "phrases": [[" ".join(entry.run), entry.key, list(entry.means), entry.states] for entry in self.phrases],
        }

    def check(self, source: str, text: str) -> StatedFacts:
        """Compare a text with its input. Skips keys that no training text had, or that training texts mostly left out."""
        return self.compare(attributes(source), read_words(text))

    def compare(self, given: Sequence[Fact], text: WordSequence) -> StatedFacts:
        """Compare attributes with the words of a text, as `check` does."""
        names, rest = self.named(given, text)
        found = list(self._found(rest))
        expressed = {(entry.key, value) for entry in found for value in entry.means}
        words = spoken(text.words)
        wanted = [fact for fact in given if fact[0] in self.keys and self.keys[fact[0]].checked]
        covered = tuple(fact for fact in wanted if fact in expressed or self._verbatim(fact, words))
        own = [value_words(value) for _, value in given]
        against = {(entry.key, entry.means[0]) for entry in found if entry.states and not _supported(entry, given, own)}
        strange = [fact for run, fact in names if not any(find_run(words, run) >= 0 for words in own)]
        against |= {(key, value) for key, value in strange if self.keys[key].values.get(value) == STATES}
        return StatedFacts(
            covered,
            tuple(fact for fact in wanted if fact not in covered),
            tuple(sorted(fact for fact in against if self.keys[fact[0]].trusted)),
        )

    def named(self, given: Sequence[Fact], text: WordSequence) -> tuple[list[tuple[Words, Fact]], WordSequence]:
        """Values of open keys that occur in a text, longest first, and the text with each replaced by one word, because the name of a pub
        says nothing about its prices."""
        here: dict[str, list[tuple[Words, Fact]]] = {}
        for key, value in given:
            if key in self.keys and self.keys[key].open and (own := value_words(value)):
                here.setdefault(own[0], []).append((own, (key, value)))
        found: list[tuple[Words, Fact]] = []
        words: list[str] = []
        at = 0
        while at < len(text.words):
            names = [*here.get(text.words[at], ()), *self._names.get(text.words[at], ())]
            fits = [name for name in names if tuple(text.words[at : at + len(name[0])]) == name[0]]
            if fits:
                best = max(fits, key=lambda name: len(name[0]))
                found.append(best)
                words.append(f"<{best[1][0]}>")
                at += len(best[0])
            else:
                words.append(text.words[at])
                at += 1
        return found, mark_negations(words)

    def _verbatim(self, fact: Fact, words: Sequence[str]) -> bool:
        """Whether a value's own words occur in the text, at least nearly."""
        key, own = self.keys[fact[0]], value_words(fact[1])
        if not own or key.yes_no or key.values.get(fact[1]) == AMBIGUOUS:
            return False
        return find_run(words, own) >= 0 or are_alike(words, own) or (key.loose and mentioned(words, fact[1]))

    def _found(self, text: WordSequence) -> Iterator[LexiconPhrase]:
        """The phrases of a text, without those that lie inside longer ones."""
        met: list[tuple[int, int, list[LexiconPhrase]]] = []
        for first, last, words, negated in word_runs(text):
            special = self._by_run.get((NEGATED if negated else PLAIN, *words), [])
            told = {entry.key for entry in special}
            entries = [*special, *(entry for entry in self._by_run.get(words, ()) if entry.key not in told)]
            if entries:
                met.append((first, last, entries))
        for first, last, entries in met:
            if not any(a <= first and last <= b and b - a > last - first for a, b, _ in met):
                yield from entries


def _supported(entry: LexiconPhrase, given: Sequence[Fact], own: Sequence[Words]) -> bool:
    """Whether the input has one of the values that a phrase means, or contains the words of the phrase with any meaning."""
    return any(key == entry.key and value in entry.means for key, value in given) or any(find_run(words, entry.run) >= 0 for words in own)
