"""Run TF-IDF with a linear classifier: `terms.json` and `linear.safetensors`, in numpy.

The analysis is exactly scikit-learn's `TfidfVectorizer` with its defaults and `sublinear_tf=True`, once on words and once on runs of
characters within words (`char_wb`), side by side.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.core.errors import EngineError
from smidgen.core.parts import Engine, Raw
from smidgen.core.rows import Text, joined
from smidgen.engines.model_files import Tensors
from smidgen.machine.processor import one_thread

_WORD = re.compile(r"(?u)\b\w\w+\b")
_SPACES = re.compile(r"\s\s+")
_LONGEST_GRAM = 16
_MOST_CHARACTERS = 10_000_000


class LinearEngine(Engine):
    """The engine. `terms.json` holds two lists, `words` and `letters`, of the n-grams in the order of the columns.

    `linear.safetensors` holds `words.idf`, `letters.idf`, `weight` (outputs, words + letters), f32 or f16, and `bias` (outputs,).
    Options:

    words: least and most words of an n-gram ([1, 2]).
    letters: least and most characters of a run ([3, 4]).
    max_characters: characters read of a text (100,000).
    """

    name = "linear"

    def open(self, folder: Path, options: Mapping[str, Any], threads: int) -> LinearRunner:
        """Load both files. Raises EngineError if one is missing or damaged, or they do not fit each other."""
        try:
            terms = json.loads((folder / "terms.json").read_text(encoding="utf-8"))
            words, letters = list(terms["words"]), list(terms["letters"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EngineError("engines.terms_cannot_be_loaded", error=error) from error
        tensors = Tensors(folder / "linear.safetensors")
        weight = tensors.get("weight", None, len(words) + len(letters))
        bias = tensors.get("bias", len(weight)).astype(np.float32)
        # A text reads whole columns: this layout makes each of them contiguous in memory.
        rows = np.ascontiguousarray(weight.T)
        word_grams, letter_grams = _grams(options, "words", (1, 2)), _grams(options, "letters", (3, 4))
        most = options.get("max_characters", 100_000)
        if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= _MOST_CHARACTERS:
            raise EngineError("engines.engine_option_max_characters_is_invalid", value=most)
        kinds = (
            _Vectorizer(words, tensors.get("words.idf", len(words)), 0, lambda text: words_of(text, *word_grams)),
            _Vectorizer(letters, tensors.get("letters.idf", len(letters)), len(words), lambda text: letters_of(text, *letter_grams)),
        )
        return LinearRunner(kinds, rows, bias, most)


def _grams(options: Mapping[str, Any], name: str, otherwise: tuple[int, int]) -> tuple[int, int]:
    """The checked least and greatest size of an n-gram. Raises EngineError if they are out of range or in the wrong order."""
    given = options.get(name, otherwise)
    pair = tuple(given) if isinstance(given, list | tuple) else ()
    fits = len(pair) == 2 and all(isinstance(n, int) and not isinstance(n, bool) for n in pair) and 1 <= pair[0] <= pair[1] <= _LONGEST_GRAM
    if not fits:
        raise EngineError("engines.engine_option_is_not_two_numbers", value=given, name=name, longest_gram=_LONGEST_GRAM)
    return pair[0], pair[1]


class _Vectorizer:
    """One vectorizer: its n-grams, and the place of their first row in the weights."""

    def __init__(self, terms: Sequence[str], idf: NDArray[Any], start: int, grams: Callable[[str], list[str]]) -> None:
        self._places = {term: place for place, term in enumerate(terms)}
        self._idf, self._start, self._grams = idf.astype(np.float64), start, grams

    def __len__(self) -> int:
        """The number of its terms."""
        return len(self._places)

    def features(self, text: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Rows of the weights, and the text's values there: (1 + ln count) * idf, scaled to length 1."""
        counts = Counter(map(self._places.get, self._grams(text)))
        del counts[None]  # what is no term
        places = np.fromiter(counts.keys(), np.int64, len(counts))
        values = (np.log(np.fromiter(counts.values(), np.float64, len(counts))) + 1.0) * self._idf[places]
        length = float(np.sqrt(values @ values))
        return places + self._start, values / length if length else values


class LinearRunner:
    """A loaded linear classifier."""

    def __init__(self, kinds: Sequence[_Vectorizer], rows: NDArray[Any], bias: NDArray[np.float32], most: int) -> None:
        # What has no terms finds nothing in a text.
        self._kinds, self._rows, self._bias, self._most = [kind for kind in kinds if len(kind)], rows, bias, most

    def run(self, texts: Sequence[Text]) -> Raw:
        """`logits` (n, outputs), float32: the margins. A pair is read as one text, its halves joined by a line break."""
        logits = np.tile(self._bias, (len(texts), 1))
        with one_thread():
            for row, text in enumerate(texts):
                lowered = joined(text)[: self._most].lower()
                for kind in self._kinds:
                    places, values = kind.features(lowered)
                    logits[row] += values.astype(np.float32) @ self._rows[places].astype(np.float32, copy=False)
        return {"logits": logits}


def words_of(text: str, least: int, most: int) -> list[str]:
    """Runs of `least` to `most` words of two or more letters, as scikit-learn's `word` analyzer."""
    words = _WORD.findall(text)
    return [" ".join(words[at : at + size]) for size in range(least, most + 1) for at in range(len(words) - size + 1)]


def letters_of(text: str, least: int, most: int) -> list[str]:
    """Runs of `least` to `most` characters within words, a space at each edge, as scikit-learn's `char_wb` analyzer."""
    grams: list[str] = []
    for word in _SPACES.sub(" ", text).split():
        edged = f" {word} "
        for size in range(least, most + 1):
            grams += [edged[at : at + size] for at in range(max(1, len(edged) - size + 1))]
            if len(edged) <= size:  # a short word counts once
                break
    return grams


part = LinearEngine()
