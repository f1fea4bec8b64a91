"""A lexicon of the words that state each attribute. It finds the attributes that a text states, omits or makes up.

A lexicon is learnt from pairs of attributes and texts. Values of an open key, such as a name, are stated by their own words, apart from
typing errors. Values of a closed key, such as a price range or yes and no, are stated in many ways, which are learnt. If one run of words
lies inside another, the longer one counts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.text.attribute_lists import attributes
from smidgen.text.words import (
    LONGEST_RUN,
    MARKS,
    NEGATED,
    PLAIN,
    Words,
    WordSequence,
    are_alike,
    find_run,
    key_words,
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


FEWEST_TEXTS = 4  # least texts that contain a run
_SUREST = 20.0  # least G²: with some ten thousand runs to choose from, lower values occur by chance
_SURE_OF_GROUPS = 10.0  # least G² if the texts of one input count once
_MOST_PER_FACT = 24
_MEANT = 0.4  # how far a run's texts must have its fact above chance, 0 for chance and 1 for always
_INSTEAD = 1.5  # how many times more often a run must occur in the unexplained texts than in the explained ones
_SAME_MEANING = 0.9  # a run within another keeps its meaning there if it goes with its fact at least this nearly as often

Mask = NDArray[np.bool_]
Counts = NDArray[np.int64]


class AssociationTable:
    """An index of texts by the runs of words that they contain.

    Attributes:
        runs: those in enough texts, and those asked for. A run in its negated and in its plain uses is also listed separately.
        number: the place of each in `runs`.
        rows: for each run, the numbers of the texts that contain it.
        sizes: (runs,) the number of those texts.
    """

    def __init__(self, texts: Sequence[WordSequence], groups: Sequence[int], asked: Iterable[Words] = ()) -> None:
        """`groups`: the numbers of the inputs that the texts were written from. Texts of one input repeat one another."""
        places: defaultdict[Words, set[int]] = defaultdict(set)
        denied: defaultdict[Words, set[int]] = defaultdict(set)
        for number, text in enumerate(texts):
            for _, _, words, negated in word_runs(text):
                places[words].add(number)
                if negated:
                    denied[words].add(number)
        plain = set(asked)
        kept = {words: rows for words, rows in places.items() if len(rows) >= FEWEST_TEXTS or words in plain}
        for words, rows in denied.items():
            if len(rows) >= FEWEST_TEXTS or words in plain:
                kept[NEGATED, *words] = rows
            others = places[words] - rows
            if (len(rows) >= FEWEST_TEXTS and len(others) >= FEWEST_TEXTS) or words in plain:
                kept[PLAIN, *words] = others
        self.runs = sorted(kept, key=lambda words: (len(words), words))
        self.number = {words: place for place, words in enumerate(self.runs)}
        self.rows = [np.array(sorted(kept[words]), dtype=np.int64) for words in self.runs]
        self.sizes: Counts = np.array([len(rows) for rows in self.rows], dtype=np.int64)
        self._row = np.concatenate([np.zeros(0, dtype=np.int64), *self.rows])
        self._run = np.repeat(np.arange(len(self.runs)), self.sizes)
        self._groups = np.asarray(groups, dtype=np.int64)

    def count(self, wanted: Mask) -> Counts:
        """(runs,) the number of wanted texts that contain each run; `wanted` is (texts,)."""
        return np.bincount(self._run[wanted[self._row]], minlength=len(self.runs))

    def spread(self, wanted: Mask) -> Counts:
        """(runs,) the number of groups of the wanted texts in which each run occurs."""
        inside = wanted[self._row]
        width = int(self._groups.max(initial=0)) + 1
        pairs = np.unique(self._run[inside] * width + self._groups[self._row[inside]])
        return np.bincount(pairs // width, minlength=len(self.runs))

    def meant(self, has: Mask) -> NDArray[np.float64]:
        """(runs,) how surely each run means a fact, up to 1 if every text with the run has it. It is 0 for runs that cannot express it,
        because too few of their texts have it, or those come from too few inputs."""
        base = float(has.mean()) if len(has) else 0.0
        surely = (self.count(has) / np.maximum(self.sizes, 1) - base) / max(1e-9, 1 - base)
        inside, outside = (len(np.unique(self._groups[rows])) for rows in (has, ~has))
        often = g2(self.spread(has), self.spread(~has), inside, outside) >= _SURE_OF_GROUPS
        meant: NDArray[np.float64] = np.where(often & (surely >= _MEANT), surely, 0.0)
        return meant

    def cover(self, has: Mask, allowed: Mask, first: Sequence[int] = ()) -> tuple[list[int], Mask]:
        """Choose runs that express a fact, best first, each for the texts that those before it leave, until none explains the rest.

        Also returns (texts,) the texts that are left.

        Args:
            has: (texts,) those with the fact.
            allowed: (runs,) the runs to choose from.
            first: runs that are chosen already; they are not returned.
        """
        left = has.copy()
        for run in first:
            left[self.rows[run]] = False
        met, outside = self.count(has), int((~has).sum())
        # A part of a chosen run occurs wherever the whole does; any other run must occur where the chosen ones do not.
        part = np.zeros(len(self.runs), dtype=np.bool_)
        for run in first:
            part[self._parts(run)] = True
        chosen: list[int] = []
        surely = np.where(allowed, self.meant(has), 0.0)
        while left.sum() >= FEWEST_TEXTS and len(chosen) < _MOST_PER_FACT:
            inside = self.count(left)
            total, done = int(left.sum()), max(1, int((has & ~left).sum()))
            instead = part | (inside * done >= _INSTEAD * (met - inside) * total)
            score = g2(inside, self.sizes - met, total, outside)
            # `for adults` comes before `for`, which is in more texts and means less.
            worth = np.where(instead & (inside >= FEWEST_TEXTS) & (score >= _SUREST), score * surely**2, 0.0)
            if not len(worth) or worth.max() <= 0:
                break
            chosen.append(int(worth.argmax()))
            part[self._parts(chosen[-1])] = True
            left[self.rows[chosen[-1]]] = False
        return chosen, left

    def _parts(self, run: int) -> list[int]:
        """The runs within a run, under every mark."""
        words = tuple(word for word in self.runs[run] if word not in MARKS)
        inner = {words[a:b] for a in range(len(words)) for b in range(a + 1, len(words) + 1)}
        return [self.number[found] for part in inner for found in (part, (NEGATED, *part), (PLAIN, *part)) if found in self.number]

    def owners(self, facts: Mapping[str, Sequence[Mask]]) -> dict[str, Mask]:
        """For each group of facts, (runs,) the runs that are more strongly tied to one of its facts than to any fact of another group.

        Attributes occur together in inputs, so a run that names one of them is also more frequent than by chance with the others: it
        belongs to the one that explains it best. A run that contains a run of another group, with its meaning there, belongs there too:
        `family friendly coffee` is not about coffee alone.
        """
        names = sorted(facts)
        every = [(number, has) for number, name in enumerate(names) for has in facts[name]]
        met = np.array([self.count(has) for _, has in every]).reshape(len(every), len(self.runs))
        score = np.array([g2(row, self.sizes - row, int(has.sum()), int((~has).sum())) for row, (_, has) in zip(met, every, strict=True)])
        if not len(self.runs) or not every:
            return {name: np.zeros(len(self.runs), dtype=np.bool_) for name in names}
        best, most = score.argmax(axis=0), score.max(axis=0)
        owner = np.where(most > 0, np.array([number for number, _ in every])[best], -1)
        share = met / np.maximum(self.sizes, 1)
        base = np.array([has.mean() for _, has in every])
        places = np.arange(len(self.runs))
        clear = (most >= _SUREST) & (share[best, places] >= (base + _MEANT * (1 - base))[best])
        final = owner.copy()
        for run in np.flatnonzero(most >= _SUREST):
            others = [part for part in self._parts(int(run)) if clear[part] and owner[part] != owner[run]]
            same = [part for part in others if share[best[part], run] >= _SAME_MEANING * share[best[part], part]]
            if same:
                final[run] = owner[max(same, key=lambda part: most[part])]
        return {name: final == number for number, name in enumerate(names)}


def g2(inside: Any, outside: Any, all_inside: int, all_outside: int) -> NDArray[np.float64]:
    """(n,) G², the log-likelihood ratio (Dunning 1993), of runs that occur in `inside` of `all_inside` texts with a fact and in `outside`
    of `all_outside` others; 0 for a run that is rarer with the fact than without."""
    table = np.array([[inside, all_inside - inside], [outside, all_outside - outside]], dtype=np.float64)
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / max(1, all_inside + all_outside)
    terms = np.where(table > 0, table * np.log(np.maximum(table, 1e-12) / np.maximum(expected, 1e-12)), 0.0)
    score: NDArray[np.float64] = np.where(table[0, 0] > expected[0, 0], 2 * terms.sum(axis=(0, 1)), 0.0)
    return score


# Every value's own words come first. Texts that they do not explain are explained by runs of words, chosen one after another by G²
# against the texts whose input lacks the value. The reliability of each key is measured on held-out texts; then all texts are used.

_MOST_LETTERS = 2_000_000
_FEWEST_PAIRS = 8
_WITH_ATTRIBUTES = 0.9  # least share of the inputs that must consist of attributes
_MOST_KEYS = 60
_MOST_VALUES = 300  # most values of a key
_ENOUGH = 12  # least texts of a value for learning its phrases
_FOLDS = 5
_OPEN = 0.85  # least share of an open key's texts that contain its values
_FEWEST_NAMES = 4  # least values of an open key
_VALUE_SURE = 0.8  # least share of the texts with a value's own words whose input has it, for these words to state it
_SHARED = 0.2  # least share of a phrase's texts with a value, for the phrase to mean that value too
_ALSO = 0.1  # least share of a value's otherwise unexplained texts that contain a phrase, for the phrase to mean it too
_AS_OFTEN = 0.6  # ... and how often such a phrase's texts must have that value, relative to all texts
_STATES = 0.85  # least share of a phrase's texts whose input has one of its values, for the phrase to state them
_EXPRESSED = 0.5  # least share of texts that express a key's value, for its absence to mean anything
_FALSE_ALARMS = 0.1  # most share of texts that state a key without support, for such a statement to mean anything
_YES = frozenset(("yes", "true", "y", "ja", "oui", "si", "sí", "1"))
_NO = frozenset(("no", "false", "n", "nein", "non", "nee", "0"))

Pair = tuple[list[Fact], WordSequence]


def learn_lexicon(pairs: Sequence[tuple[str, str]]) -> Lexicon | None:
    """Learn a lexicon from (input, text) pairs. None if the inputs are not attributes, the pairs are too few, or the texts do not state
    them."""
    chosen = _spread(pairs)
    read = [(given, text) for source, text in chosen if (given := attributes(source))]
    if len(read) < max(_FEWEST_PAIRS, _WITH_ATTRIBUTES * len(chosen)):
        return None
    made = [(given, read_words(text)) for given, text in read]
    folds = [group % _FOLDS for group in _groups([given for given, _ in made])]
    held = [pair for pair, fold in zip(made, folds, strict=True) if fold == 0]
    rest = [pair for pair, fold in zip(made, folds, strict=True) if fold]
    if len(rest) < _FEWEST_PAIRS:
        held = rest = made
    whole = _learnt(made, _reliable(_learnt(rest, {}), held))
    return whole if any(key.checked for key in whole.keys.values()) else None


def _groups(inputs: Sequence[Sequence[Fact]]) -> list[int]:
    """A number for each input, equal for equal attributes."""
    numbers: dict[tuple[Fact, ...], int] = {}
    return [numbers.setdefault(tuple(given), len(numbers)) for given in inputs]


def _spread(pairs: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    """All pairs, or, if there is more text than teaches anything new, an evenly spaced part."""
    letters = sum(len(text) for _, text in pairs)
    if letters <= _MOST_LETTERS:
        return pairs
    number = max(1, len(pairs) * _MOST_LETTERS // letters)
    return [pairs[int(place)] for place in np.linspace(0, len(pairs) - 1, number)]


def _reliable(lexicon: Lexicon, held: Sequence[Pair]) -> dict[str, tuple[bool, bool]]:
    """For each key, whether texts state it often enough for its absence to mean something, and seldom enough without support."""
    wanted: Counter[str] = Counter()
    covered: Counter[str] = Counter()
    alarms: Counter[str] = Counter()
    for given, text in held:
        facts = lexicon.compare(given, text)
        wanted.update(key for key, _ in (*facts.covered, *facts.missing))
        covered.update(key for key, _ in facts.covered)
        alarms.update({key for key, _ in facts.unsupported})
    return {
        key: (wanted[key] > 0 and covered[key] >= _EXPRESSED * wanted[key], alarms[key] <= _FALSE_ALARMS * len(held))
        for key in lexicon.keys
    }


def _learnt(pairs: Sequence[Pair], reliable: Mapping[str, tuple[bool, bool]]) -> Lexicon:
    """Learn a lexicon from these pairs. Every key is checked and trusted unless `reliable` says otherwise."""
    values: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for given, _ in pairs:
        for key, value in set(given):
            values[key][value] += 1
    keys = {}
    for key in sorted(sorted(values, key=lambda key: (-values[key].total(), key))[:_MOST_KEYS]):
        checked, trusted = reliable.get(key, (True, True))
        yes_no = all(value.casefold() in _YES | _NO for value in values[key])
        keys[key] = _key(key, [value for value, _ in values[key].most_common(_MOST_VALUES)], pairs, yes_no, checked, trusted)
    bare = Lexicon(keys, [])
    texts = [bare.named(given, text)[1] for given, text in pairs]
    return Lexicon(keys, _phrases([given for given, _ in pairs], texts, keys))


def _key(name: str, values: Sequence[str], pairs: Sequence[Pair], yes_no: bool, checked: bool, trusted: bool) -> LexiconKey:
    """A key, with the meaning of each value's own words."""
    if yes_no:
        return LexiconKey(False, False, True, checked, trusted, dict.fromkeys(values, AMBIGUOUS))
    own = {value: value_words(value) for value in values}
    written, anywhere, stated, fitting = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for given, text in pairs:
        plain = spoken(text.words)
        present = set(plain)
        others = [(key, value_words(value)) for key, value in given]
        for value, run in own.items():
            has = (name, value) in given
            met = bool(run) and run[0] in present and find_run(plain, run) >= 0
            written[value] += has
            anywhere[value] += met
            # `green` is also said of `sea green`; and a name may belong to another key, such as the pub nearby.
            stated[value] += met and (has or any(key == name and find_run(other, run) >= 0 for key, other in others))
            fitting[value] += met and (has or any(find_run(other, run) >= 0 for _, other in others))
    clear = all(fitting[value] >= _VALUE_SURE * anywhere[value] for value in values if anywhere[value] >= FEWEST_TEXTS)
    is_open = len(values) >= _FEWEST_NAMES and clear and stated.total() >= _OPEN * written.total()
    fits = fitting if is_open else stated
    worth = {}
    for value in values:
        if fits[value] >= _VALUE_SURE * anywhere[value]:
            worth[value] = STATES if is_open and anywhere[value] > 1 else COUNTS
        else:
            worth[value] = AMBIGUOUS if anywhere[value] >= FEWEST_TEXTS else COUNTS
    common = sum(count for count in written.values() if count >= _ENOUGH)
    return LexiconKey(is_open, 2 * common < written.total(), False, checked, trusted, worth)


def _phrases(inputs: Sequence[Sequence[Fact]], texts: Sequence[WordSequence], keys: Mapping[str, LexiconKey]) -> list[LexiconPhrase]:
    """The phrases of all closed keys."""
    closed = {name: key for name, key in keys.items() if not key.open}
    own = {(name, value): _own(name, value, key) for name, key in closed.items() for value in key.values}
    table = AssociationTable(texts, _groups(inputs), {tuple(word for word in run if word not in MARKS) for run in own.values() if run})
    sets = [set(given) for given in inputs]
    has: dict[Fact, Mask] = {fact: np.array([fact in given for given in sets], dtype=np.bool_) for fact in own}
    present = {name: np.array([any(key == name for key, _ in given) for given in inputs], dtype=np.bool_) for name in closed}
    enough = {name: [value for value in key.values if has[name, value].sum() >= _ENOUGH] for name, key in closed.items()}
    owners = table.owners({name: [*(has[name, value] for value in values), present[name]] for name, values in enough.items()})
    found = []
    for name, key in closed.items():
        counts = {value: table.count(has[name, value]) for value in key.values}
        chosen: dict[int, str] = {}
        left: dict[str, Mask] = {}
        for value in key.values:
            place = table.number.get(own[name, value], -1)
            first = [place] if place >= 0 and counts[value][place] >= _VALUE_SURE * table.sizes[place] else []
            runs: list[int] = []
            if value in enough[name]:
                runs, left[value] = table.cover(has[name, value], owners[name], first)
            for run in (*first, *runs):
                chosen.setdefault(run, value)
        also = {value: _also(table, counts[value], has[name, value], rows, ~present[name]) for value, rows in left.items()}
        found += [
            _phrase(table, run, name, counts, [value, *(other for other, runs in also.items() if runs[run] and other != value)])
            for run, value in chosen.items()
        ]
        if key.yes_no:
            able = {value: table.meant(has[name, value]) > 0 for value in key.values}
            found += _opposites([entry for entry in found if entry.key == name], key, table, able)
    return found


def _also(table: AssociationTable, met: Counts, has: Mask, left: Mask, without: Mask) -> Mask:
    """(runs,) those that may also mean a value that some of its texts state in no other way.

    Three conditions: a good share of those texts contain the run; hardly any text whose input lacks the key does; and the texts with the
    run have the value about as often as all texts do. A run with another meaning has the value far less often, except by writing errors.
    """
    inside, outside = table.count(left), table.count(without)
    enough = (inside >= FEWEST_TEXTS) & (inside >= _ALSO * left.sum())
    fits: Mask = enough & (outside * int(left.sum()) * 3 <= inside * int(without.sum())) & (met >= _AS_OFTEN * has.mean() * table.sizes)
    return fits


def _opposites(found: Sequence[LexiconPhrase], key: LexiconKey, table: AssociationTable, able: Mapping[str, Mask]) -> list[LexiconPhrase]:
    """Swap yes and no in phrases of the opposite negation, unless the texts contradict that."""
    known = {entry.run for entry in found}
    made = []
    for entry in found:
        other = [value for value in key.values if (value.casefold() in _YES) != (entry.means[0].casefold() in _YES)]
        if entry.run[0] in MARKS and len(entry.means) == 1 and other:
            run = (NEGATED if entry.run[0] == PLAIN else PLAIN, *entry.run[1:])
            place = table.number.get(run, -1)
            if run not in known and (place < 0 or able[other[0]][place]):
                made.append(LexiconPhrase(run, entry.key, tuple(other), False))
    return made


def _own(name: str, value: str, key: LexiconKey) -> Words:
    """The run of words that states a value before anything is learnt: its own words, or its key's for yes and no; empty if that is too
    long."""
    run = key_words(name) if key.yes_no else value_words(value)
    if not run or len(run) > LONGEST_RUN:
        return ()
    if key.yes_no:
        return (PLAIN if value.casefold() in _YES else NEGATED, *run)
    return run


def _phrase(table: AssociationTable, run: int, key: str, counts: Mapping[str, Counts], sure: Sequence[str]) -> LexiconPhrase:
    """Make a phrase of a run. It means the values in `sure`, and those that the inputs of its texts often have."""
    total = int(table.sizes[run])
    met = {value: int(count[run]) for value, count in counts.items()}
    means = [
        value
        for value, count in sorted(met.items(), key=lambda item: (-item[1], item[0]))
        if count >= max(1, _SHARED * total) or value in sure
    ]
    # Half a text is added: a phrase seen twice that fitted both times is not yet sure to fit.
    states = total > 2 and sum(met[value] for value in means) >= _STATES * (total + 0.5)
    return LexiconPhrase(table.runs[run], key, tuple(means), states)
