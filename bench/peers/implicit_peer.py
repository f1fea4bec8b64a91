"""The package `implicit` on the rows in a folder: nearest items by cosine and BM25, and ALS; settings chosen on the held-out rows.

python implicit_peer.py FOLDER: reads fit.jsonl, held.jsonl and test.jsonl, writes implicit.json.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender
from scipy.sparse import csr_matrix

FIRST = 10


def read(file: Path) -> list[tuple[list[str], str]]:
    """Histories with their next items."""
    return [tuple(json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]


def matrix(histories: list[list[int]], items: int) -> csr_matrix:
    """A row for each history, with 1 for each item."""
    rows = np.repeat(np.arange(len(histories)), [len(history) for history in histories])
    columns = np.concatenate([np.asarray(history, dtype=np.int64) for history in histories])
    return csr_matrix((np.ones(len(columns), np.float32), (rows, columns)), shape=(len(histories), items))


def gains(model, histories: list[list[int]], wanted: np.ndarray, items: int) -> np.ndarray:
    """The worth of the wanted item's place among the first ten, for each history."""
    asked, found = matrix(histories, items), []
    for start in range(0, len(histories), 1000):
        part = asked[start : start + 1000]
        anew = {"recalculate_user": True} if hasattr(model, "recalculate_user") else {}  # a model of factors knows only taught customers
        ids, _ = model.recommend(np.arange(part.shape[0]), part, N=FIRST, filter_already_liked_items=True, **anew)
        hit = ids == wanted[start : start + 1000, None]
        found.append((hit / np.log2(np.arange(FIRST) + 2)).sum(axis=1))
    return np.concatenate(found)


def main() -> None:
    """Fit each family with each of its settings, keep the best on the held-out rows, and answer the test rows."""
    folder = Path(sys.argv[1])
    rows = {name: read(folder / f"{name}.jsonl") for name in ("fit", "held", "test")}
    ids = sorted({id for part in rows.values() for history, item in part for id in (*history, item)})
    places = {id: place for place, id in enumerate(ids)}
    taught = matrix([[places[id] for id in (*history, item)] for history, item in rows["fit"]], len(ids))
    held = [[places[id] for id in history] for history, _ in rows["held"]]
    test = [[places[id] for id in history] for history, _ in rows["test"]]
    next_held, next_test = (np.array([places[item] for _, item in rows[name]]) for name in ("held", "test"))
    families = {
        "implicit, cosine": [(f"K {k}", CosineRecommender(K=k)) for k in (50, 200, 500)],
        "implicit, BM25": [(f"K {k}, K1 {k1}", BM25Recommender(K=k, K1=k1, B=0.2)) for k in (200, 500) for k1 in (0.4, 1.2)],
        "implicit, ALS": [
            (
                f"{factors} factors, regularisation {reg}",
                AlternatingLeastSquares(factors=factors, regularization=reg, iterations=20, random_state=0),
            )
            for factors in (64, 128)
            for reg in (0.01, 1.0)
        ],
    }
    out = {}
    for name, tried in families.items():
        began, best = time.perf_counter(), None
        for settings, model in tried:
            model.fit(taught, show_progress=False)
            value = gains(model, held, next_held, len(ids)).mean()
            if best is None or value > best[0]:
                best = (value, settings, model)
        seconds = time.perf_counter() - began
        out[name] = {"gains": gains(best[2], test, next_test, len(ids)).tolist(), "seconds": seconds, "settings": best[1]}
    (folder / "implicit.json").write_text(json.dumps(out), encoding="utf-8")


if __name__ == "__main__":
    main()
