"""Learns a lexicon from pairs of attributes and texts, and tries it on texts that it was not learnt from.

Every value's own words are taken first. What they leave unexplained is explained by runs of words, chosen one after another by G² against
the texts whose input lacks the value. How reliable each key is, is measured on texts kept apart, before the lexicon is learnt from all.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from smidgen.stats.associations import FEWEST, Counts, Mask, Table
from smidgen.stats.attributes import attributes
from smidgen.stats.lexicon import AMBIGUOUS, COUNTS, STATES, Fact, Key, Lexicon, Phrase
from smidgen.stats.wording import LONGEST_RUN, MARKS, NEGATED, PLAIN, Wording, Words, find, key_words, spoken, value_words, wording

_MOST_LETTERS = 2_000_000
_FEWEST_PAIRS = 8
_WITH_ATTRIBUTES = 0.9  # share of the inputs that must consist of attributes
_MOST_KEYS = 60
_MOST_VALUES = 300  # of a key
_ENOUGH = 12  # texts of a value from which its phrases are learnt
_FOLDS = 5
_OPEN = 0.85  # an open key's values stand in this share of its texts
_FEWEST_NAMES = 4  # an open key has this many values
_SURE = 0.8  # a value's own words state it where this share of the texts with them have it as input
_SHARED = 0.2  # share of a phrase's texts from which it may as well mean that value
_ALSO = 0.1  # share of a value's texts that do not say it otherwise, from which a phrase that stands in them may as well mean it
_AS_OFTEN = 0.6  # ... and how often it must have that value, where 1 is as often as all texts
_STATES = 0.85  # share of a phrase's texts whose input has one of the values that it means, for a phrase that states them
_EXPRESSED = 0.5  # share of texts that must express a key's value for its lack to mean anything
_FALSE_ALARMS = 0.1  # share of texts that may state a key without support, for such a statement to mean anything
_YES = frozenset(("yes", "true", "y", "ja", "oui", "si", "sí", "1"))
_NO = frozenset(("no", "false", "n", "nein", "non", "nee", "0"))

Pair = tuple[list[Fact], Wording]


def learn(pairs: Sequence[tuple[str, str]]) -> Lexicon | None:
    """A lexicon of (input, text) pairs. None where the inputs are not attributes, or the pairs too few, or the texts do not state them."""
    chosen = _spread(pairs)
    read = [(given, text) for source, text in chosen if (given := attributes(source))]
    if len(read) < max(_FEWEST_PAIRS, _WITH_ATTRIBUTES * len(chosen)):
        return None
    made = [(given, wording(text)) for given, text in read]
    folds = [group % _FOLDS for group in _groups([given for given, _ in made])]
    held = [pair for pair, fold in zip(made, folds, strict=True) if fold == 0]
    rest = [pair for pair, fold in zip(made, folds, strict=True) if fold]
    if len(rest) < _FEWEST_PAIRS:
        held = rest = made
    whole = _learnt(made, _reliable(_learnt(rest, {}), held))
    return whole if any(key.checked for key in whole.keys.values()) else None


def _groups(inputs: Sequence[Sequence[Fact]]) -> list[int]:
    """A number for each input, the same for the same attributes."""
    numbers: dict[tuple[Fact, ...], int] = {}
    return [numbers.setdefault(tuple(given), len(numbers)) for given in inputs]


def _spread(pairs: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    """All pairs, or where there is more text than teaches anything new, some from all over."""
    letters = sum(len(text) for _, text in pairs)
    if letters <= _MOST_LETTERS:
        return pairs
    number = max(1, len(pairs) * _MOST_LETTERS // letters)
    return [pairs[int(place)] for place in np.linspace(0, len(pairs) - 1, number)]


def _reliable(lexicon: Lexicon, held: Sequence[Pair]) -> dict[str, tuple[bool, bool]]:
    """Of each key, whether texts state it often enough for its lack to mean something, and seldom enough without support."""
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
    """A lexicon of these pairs, in which every key is checked and trusted but for what `reliable` says of it."""
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


def _key(name: str, values: Sequence[str], pairs: Sequence[Pair], yes_no: bool, checked: bool, trusted: bool) -> Key:
    """A key, with what the own words of each of its values are worth."""
    if yes_no:
        return Key(False, False, True, checked, trusted, dict.fromkeys(values, AMBIGUOUS))
    own = {value: value_words(value) for value in values}
    written, anywhere, stated, fitting = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for given, text in pairs:
        plain = spoken(text.words)
        present = set(plain)
        others = [(key, value_words(value)) for key, value in given]
        for value, run in own.items():
            has = (name, value) in given
            met = bool(run) and run[0] in present and find(plain, run) >= 0
            written[value] += has
            anywhere[value] += met
            # `green` is said of what is `sea green` too; and a name may be that of another key, the pub near by.
            stated[value] += met and (has or any(key == name and find(other, run) >= 0 for key, other in others))
            fitting[value] += met and (has or any(find(other, run) >= 0 for _, other in others))
    clear = all(fitting[value] >= _SURE * anywhere[value] for value in values if anywhere[value] >= FEWEST)
    is_open = len(values) >= _FEWEST_NAMES and clear and stated.total() >= _OPEN * written.total()
    fits = fitting if is_open else stated
    worth = {}
    for value in values:
        if fits[value] >= _SURE * anywhere[value]:
            worth[value] = STATES if is_open and anywhere[value] > 1 else COUNTS
        else:
            worth[value] = AMBIGUOUS if anywhere[value] >= FEWEST else COUNTS
    common = sum(count for count in written.values() if count >= _ENOUGH)
    return Key(is_open, 2 * common < written.total(), False, checked, trusted, worth)


def _phrases(inputs: Sequence[Sequence[Fact]], texts: Sequence[Wording], keys: Mapping[str, Key]) -> list[Phrase]:
    """The phrases of all closed keys."""
    closed = {name: key for name, key in keys.items() if not key.open}
    own = {(name, value): _own(name, value, key) for name, key in closed.items() for value in key.values}
    table = Table(texts, _groups(inputs), {tuple(word for word in run if word not in MARKS) for run in own.values() if run})
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
            first = [place] if place >= 0 and counts[value][place] >= _SURE * table.sizes[place] else []
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


def _also(table: Table, met: Counts, has: Mask, left: Mask, without: Mask) -> Mask:
    """(runs,) those that may also mean a value which some of its texts state in no other way.

    A good share of those texts hold the run; hardly any text whose input lacks the key does; and the texts with the run have the value
    about as often as any do. A run that means another value has it far less often, but for the slips of those who wrote the texts.
    """
    inside, outside = table.count(left), table.count(without)
    enough = (inside >= FEWEST) & (inside >= _ALSO * left.sum())
    fits: Mask = enough & (outside * int(left.sum()) * 3 <= inside * int(without.sum())) & (met >= _AS_OFTEN * has.mean() * table.sizes)
    return fits


def _opposites(found: Sequence[Phrase], key: Key, table: Table, able: Mapping[str, Mask]) -> list[Phrase]:
    """What means yes means no where it is denied, and the other way round, unless the texts tell otherwise."""
    known = {entry.run for entry in found}
    made = []
    for entry in found:
        other = [value for value in key.values if (value.casefold() in _YES) != (entry.means[0].casefold() in _YES)]
        if entry.run[0] in MARKS and len(entry.means) == 1 and other:
            run = (NEGATED if entry.run[0] == PLAIN else PLAIN, *entry.run[1:])
            place = table.number.get(run, -1)
            if run not in known and (place < 0 or able[other[0]][place]):
                made.append(Phrase(run, entry.key, tuple(other), False))
    return made


def _own(name: str, value: str, key: Key) -> Words:
    """The run of words that states a value before anything is learnt: its own, or of a yes or no its key's; none where that is too long."""
    run = key_words(name) if key.yes_no else value_words(value)
    if not run or len(run) > LONGEST_RUN:
        return ()
    if key.yes_no:
        return (PLAIN if value.casefold() in _YES else NEGATED, *run)
    return run


def _phrase(table: Table, run: int, key: str, counts: Mapping[str, Counts], sure: Sequence[str]) -> Phrase:
    """A run as a phrase. It means the values in `sure`, and what the inputs of the texts that hold it have more often than others."""
    total = int(table.sizes[run])
    met = {value: int(count[run]) for value, count in counts.items()}
    means = [
        value
        for value, count in sorted(met.items(), key=lambda item: (-item[1], item[0]))
        if count >= max(1, _SHARED * total) or value in sure
    ]
    # Half a text too many: what was seen twice and fitted both times is not yet sure to fit.
    states = total > 2 and sum(met[value] for value in means) >= _STATES * (total + 0.5)
    return Phrase(table.runs[run], key, tuple(means), states)
