"""Find labels that are likely wrong, by confident learning, or contradicted by newer rows.

Confident learning as in Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels" (JAIR 2021), and in
cleanlab: out-of-sample probabilities, a threshold per class (its mean self-confidence), candidates in the off-diagonal of the confident
joint, ranked by margin. It is stricter in three ways, because frozen features judge worse than the model that will be trained:

- two judges with different errors must name the same other class: a softmax regression trained on the folds without the row, and the
  labels of the nearest other rows;
- thresholds are held between `LOWEST` and `HIGHEST`, so that a weak judge is not believed on a guess;
- the given class must be nearly ruled out.

With 150 of 3,000 BANKING77 labels flipped at random this finds 85 % of them, and 76 % of its findings were flipped; plain confident
learning on the same probabilities finds 70 %, with 69 %. docs/log.md has the results for a teacher's labels.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.core.errors import MissingExtra
from smidgen.core.rows import Row, joined
from smidgen.data.row_selection import Embed
from smidgen.stats import kernel_ridge
from smidgen.stats.kernel_ridge import Floats32

LEAST_ROWS = 20
"""Least rows for judging labels."""
LEAST_AGREEMENT = 0.75
"""Judges that agree with a smaller share of the labels are not believed about the others. With one label in twenty flipped, in twelve
samples of six sets, 8 to 10 of 10 doubts were flipped rows above it and 3 to 8 below."""
LOWEST_AGREEMENT = 0.5
"""A lower bound for programs that leave out doubtful rows (a teacher's labels, `data.select`): losing a good row costs little."""
CLEAR = 0.8
"""Probability from which a proposed label is taken without a person reading the row."""
SHOWN = 0.6
"""Probability of the proposed label from which a row is shown to a person."""
_LEAST_TOLD = 5
"""Least rows of each of two labels for telling them apart; and the share of them that the judges must get right, by chance one half."""
_TOLD_APART = 0.8
MOST_CELLS = 50_000_000
"""Most rows times labels that are held at once, as 4-byte numbers."""
FOLDS = 5
LOWEST, HIGHEST = 0.35, 0.5
RULED_OUT = 0.05
"""Probability under which the given class is ruled out. With few classes each gets a share of every neighbourhood's noise, so `_FEW`
over their number is used if it is larger."""
_FEW = 0.4
_PENALTY = 0.1
"""L2 weight of the regression, on features of length one."""
_STEPS = 60
_NEIGHBOURS = 10
_NEARNESS = 10.0
"""Rate at which a neighbour's vote falls with its cosine distance."""
_FLOOR = 0.002
_WIDTH = 300
_WORDS = 20_000

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SuspectLabel:
    """A row whose label is likely wrong.

    Attributes:
        place: the row's place among the judged rows.
        given, proposed: its label, and the one that fits better.
        given_chance, proposed_chance: out-of-sample probability of each, 0..1.
    """

    place: int
    given: str
    proposed: str
    given_chance: float
    proposed_chance: float

    @property
    def margin(self) -> float:
        """How much more likely the proposed class is."""
        return self.proposed_chance - self.given_chance

    @property
    def clear(self) -> bool:
        """Whether the proposal may be taken without a person reading the row: the judges are sure of it and rule out the given label."""
        return self.proposed_chance >= CLEAR and self.given_chance <= 1 - CLEAR


@dataclass(frozen=True, slots=True)
class LabelJudgement:
    """The probabilities that two judges give each class, neither of which has seen the row's label.

    Attributes:
        names: the classes, sorted.
        given: the class of each row as labelled, (n,).
        crossed: probabilities from regressions on the other folds, (n, classes).
        near: probabilities from the nearest other rows, (n, classes).
    """

    names: tuple[str, ...]
    given: NDArray[np.int64]
    crossed: Array
    near: Array

    @property
    def agreement(self) -> float:
        """Share of the labels that the judges would give too, 0..1: a measure of their reliability."""
        return float((self._chances().argmax(axis=1) == self.given).mean())

    def doubts(self, least: float = LEAST_AGREEMENT) -> list[SuspectLabel]:
        """Rows that are likely mislabelled, by falling margin; none if the judges agree with fewer than `least` of the labels, 0..1."""
        chances, given = self._chances(), self.given
        if self.agreement < least:
            return []
        number = np.arange(len(given))
        own = chances[number, given]
        sums = np.bincount(given, weights=own, minlength=chances.shape[1])
        thresholds = np.clip(sums / np.maximum(np.bincount(given, minlength=chances.shape[1]), 1), LOWEST, HIGHEST)
        best = chances.argmax(axis=1)
        agreed = (self.crossed.argmax(axis=1) == best) & (self.near.argmax(axis=1) == best) & (best != given)
        wrong = agreed & (chances[number, best] >= thresholds[best]) & (own < max(RULED_OUT, _FEW / chances.shape[1]))
        found = [
            SuspectLabel(i, self.names[given[i]], self.names[best[i]], float(own[i]), float(chances[i, best[i]]))
            for i in np.flatnonzero(wrong).tolist()
        ]
        return sorted(found, key=lambda doubt: (-doubt.margin, doubt.place))

    def sure_doubts(self) -> list[SuspectLabel]:
        """The doubts that are shown to people: fewer and surer ones. Those who read ten good rows for one wrong one stop reading."""
        return [doubt for doubt in self.doubts() if doubt.proposed_chance >= SHOWN]

    def tells_apart(self, one: str, other: str) -> bool:
        """Whether the judges, of these two classes alone, mostly name the one that a row has: then the two mean different things."""
        if one not in self.names or other not in self.names:
            return False
        pair = [self.names.index(one), self.names.index(other)]
        chances = self._chances()[:, pair]
        right = []
        for place, name in enumerate(pair):
            rows = chances[self.given == name]
            if len(rows) < _LEAST_TOLD:
                return False
            right.append(float((rows[:, place] > rows[:, 1 - place]).mean()))
        return sum(right) / 2 >= _TOLD_APART

    def _chances(self) -> Array:
        return np.asarray((self.crossed + self.near) / 2, dtype=np.float32)


def judge_labels(texts: Sequence[str], labels: Sequence[str], vectors: Array | None = None) -> LabelJudgement:
    """Judge every label by models that have not seen it.

    Args:
        texts: the texts, (n).
        labels: the label of each.
        vectors: an embedding of each text, (n, width); without it words alone are used.

    Raises:
        MissingExtra: scikit-learn is not installed.
    """
    names = tuple(sorted(set(labels)))
    index = {name: number for number, name in enumerate(names)}
    given = np.array([index[label] for label in labels], dtype=np.int64)
    words = _weights(texts)
    reduced = _reduced(words)
    if vectors is None:
        features, places = words, reduced
    else:
        places = _unit(vectors)
        features = np.concatenate([places, reduced], axis=1)
    return LabelJudgement(names, given, _crossed(features, given, len(names)), _neighbours(places, given, len(names)))


def word_vectors(texts: Sequence[str]) -> Array:
    """A vector of length one for each text, (n, width), of the words it holds: for where there is no base.

    Raises MissingExtra: scikit-learn is not installed.
    """
    return _reduced(_weights(texts))


def review_labels(own: Sequence[Row], taught: Sequence[Row], unknown: Set[str], embed: Embed | None) -> tuple[list[Row | None], str]:
    """Review a teacher's labels by all other rows: correct a wrong label if the right one is clear, else leave its row out.

    Returns one entry for each taught row: the row, the row with another label, or None; and why nothing was judged, empty if it was.

    Args:
        own: the user's rows, each with one label.
        taught: rows that a teacher labelled.
        unknown: labels for "none of these"; texts under them have nothing in common, so they cannot be judged.
        embed: makes vectors of texts; without it words alone are used.
    """
    kept: list[Row | None] = list(taught)
    places = [place for place, row in enumerate(taught) if row.output not in unknown]
    known = [row for row in own if row.output not in unknown]
    rows = [*known, *(taught[place] for place in places)]
    labels = [str(row.output) for row in rows]
    number = len(set(labels))
    if number < 2 or len(rows) < LEAST_ROWS:
        return kept, "there are too few rows to judge by"
    if len(rows) * number > MOST_CELLS:
        return kept, f"{len(rows):,} rows of {number:,} labels are more than are judged"
    texts = [joined(row.input) for row in rows]
    judgement = judge_labels(texts, labels, None if embed is None else embed(texts))
    if judgement.agreement < LOWEST_AGREEMENT:
        return kept, f"the judges would give only {judgement.agreement:.0%} of the labels again"
    for doubt in judgement.doubts(LOWEST_AGREEMENT):
        if doubt.place >= len(known):  # the user's own rows are never doubted
            place = places[doubt.place - len(known)]
            kept[place] = replace(taught[place], output=doubt.proposed, shares=()) if doubt.clear else None
    return kept, ""


def _crossed(features: Any, given: NDArray[np.int64], classes: int) -> Array:
    """Probabilities from softmax regressions, each trained on the other folds. Folds are drawn within classes, so that none loses one."""
    random = np.random.default_rng(0)
    fold = np.empty(len(given), dtype=np.int64)
    shuffled = random.permutation(len(given))
    # Order the rows by class, shuffled within, and deal them out in turn: this spreads every class over the folds.
    fold[shuffled[np.argsort(given[shuffled], kind="stable")]] = np.arange(len(given)) % FOLDS
    found = np.zeros((len(given), classes), dtype=np.float32)
    for number in range(FOLDS):
        apart = fold == number
        weights, bias = _regression(features[~apart], given[~apart], classes)
        found[apart] = _softmax(np.asarray(features[apart] @ weights) + bias)
    return found


def _regression(features: Any, given: NDArray[np.int64], classes: int) -> tuple[Array, Array]:
    """Softmax regression by L-BFGS; features are dense or sparse, (n, width). Returns weights (width, classes) and bias (classes,)."""
    try:
        from scipy.optimize import minimize
    except ImportError as error:
        raise MissingExtra("scipy", "train") from error
    rows, width = features.shape
    number = np.arange(rows)
    turned = features.T.tocsr() if hasattr(features, "tocsr") else features.T

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        both = flat.reshape(width + 1, classes).astype(np.float32)
        weights, bias = both[:-1], both[-1]
        guess = _softmax(np.asarray(features @ weights) + bias)
        value = -np.log(np.maximum(guess[number, given], 1e-12)).sum(dtype=np.float64) + _PENALTY / 2 * float((weights * weights).sum())
        guess[number, given] -= 1.0
        slope = np.empty_like(both)
        slope[:-1] = np.asarray(turned @ guess) + _PENALTY * weights
        slope[-1] = guess.sum(axis=0)
        return value / rows, slope.astype(np.float64).ravel() / rows

    start = np.zeros((width + 1) * classes)
    best = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS, "maxcor": 8}).x
    both = best.reshape(width + 1, classes).astype(np.float32)
    return both[:-1], both[-1]


def _neighbours(places: Array, given: NDArray[np.int64], classes: int) -> Array:
    """Probabilities from the labels of the nearest other rows, nearer ones counting more. `places` are vectors of length one."""
    found = np.full((len(given), classes), _FLOOR, dtype=np.float32)
    most = min(_NEIGHBOURS, len(given) - 1)
    # 64 MB of similarities at a time.
    step = max(1, (16 << 20) // len(given))
    for start in range(0, len(given), step):
        near = places[start : start + step] @ places.T
        rows = np.arange(len(near))
        near[rows, start + rows] = -np.inf
        closest = np.argpartition(-near, most - 1, axis=1)[:, :most]
        votes = np.exp(_NEARNESS * (np.take_along_axis(near, closest, axis=1) - 1))
        for place in range(most):
            found[start + rows, given[closest[:, place]]] += votes[:, place]
    shares: Array = found / found.sum(axis=1, keepdims=True)
    return shares


def _weights(texts: Sequence[str]) -> Any:
    """TF-IDF of words and word pairs, a sparse (n, words) matrix with rows of length one."""
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
    except ImportError as error:
        raise MissingExtra("scikit-learn", "train") from error
    rare = 2 if len(texts) > 200 else 1
    vectoriser = TfidfVectorizer(
        ngram_range=(1, 2), min_df=rare, max_features=_WORDS, sublinear_tf=True, token_pattern=r"(?u)\b\w+\b", dtype=np.float32
    )
    return vectoriser.fit_transform(["_" if not text.strip() else f"{text} _" for text in texts])


def _reduced(words: Any) -> Array:
    """The words' matrix reduced by a truncated SVD, rows of length one."""
    from sklearn.decomposition import TruncatedSVD

    width = min(_WIDTH, words.shape[1] - 1, words.shape[0] - 1)
    if width < 1:
        return np.ones((words.shape[0], 1), dtype=np.float32)
    return _unit(TruncatedSVD(width, random_state=0).fit_transform(words))


def _unit(vectors: NDArray[Any]) -> Array:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-9), dtype=np.float32)


def _softmax(scores: Array) -> Array:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    total: Array = powers / powers.sum(axis=1, keepdims=True)
    return total


CONTRADICTION_LANDMARKS = 2048
WORSE = 0.4
"""Excess of the error near an older row from which it counts as contradicted."""
SMOOTH = 1.0
"""Ridge of the regression of errors: larger than a classifier's, because single errors are mostly noise."""
LEAST_NEWER = 20
"""Least newer rows; with fewer, nothing counts as contradicted."""
LEAST_KEPT = 2
"""Least rows that a label keeps: if fewer would be left, none counts as contradicted, or the label could not be learnt any more."""

Labels = NDArray[np.int64]


def contradicted_rows(older: Floats32, said: Labels, newer: Floats32, says: Labels) -> NDArray[np.bool_]:
    """(n,) which of the older rows newer ones contradict; none if there are fewer than `LEAST_NEWER` newer ones.

    After a change of meanings, most older rows still hold: to forget all of them costs more than the change did. So a head on frozen
    vectors is fitted on the older rows. Its 0/1 errors are regressed on the vectors by the same kernel, once on the newer rows, and once on
    the older ones, each left out. An older row is contradicted if the first regression is much higher there than the second. Neighbours
    outweigh single errors; a label whose rows err as a whole shows after a few; rows that were hard before contradict nothing.

    Args:
        older, newer: (n, width) and (m, width) unit vectors.
        said, says: (n,) and (m,) label numbers, in one numbering.
    """
    none = np.zeros(len(older), dtype=bool)
    if not len(older) or len(newer) < LEAST_NEWER:
        return none
    names = np.unique(said)
    head = kernel_ridge.fit(older, (said[:, None] == names).astype(np.float32), landmarks=CONTRADICTION_LANDMARKS)
    now, then = (
        (names[scores.argmax(axis=1)] != right).astype(np.float32)[:, None]
        for scores, right in ((head.scores(newer), says), (head.left_out, said))
    )
    here, there = (
        kernel_ridge.fit(x, errors, ridge=SMOOTH, landmarks=CONTRADICTION_LANDMARKS) for x, errors in ((newer, now), (older, then))
    )
    worse = here.scores(older) - there.left_out
    found = worse[:, 0] > WORSE
    counts = np.bincount(np.concatenate([said[~found], says]), minlength=int(max(said.max(), says.max())) + 1)
    return np.asarray(found & (counts[said] >= LEAST_KEPT))
