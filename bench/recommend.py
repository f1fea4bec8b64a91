"""The next purchase of customers, on a public file of game purchases: full ranking, the last item of each customer held out."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench import data, process, results
from bench.context import HERE, Context

NAME = "recommend"
PEER, TEACHER = "implicit", "recbole"
COLUMNS = ("system", "hit rate @10", "95 %", "NDCG@10", "95 %", "smidgen ahead by (hit rate)", "95 %", "chosen on held-out rows", "fit s")
_LIMIT = 3600.0
_PAIRS = "smidgen, pairs alone"
_MINUTES = 240.0
"""The longest teaching of SASRec; with --quick a few seconds. On two quiet cores an epoch takes some minutes."""
_MOST_ITEMS, _QUICK_ITEMS = 6_000, 1_000
"""Items that smidgen and EASE weigh, the commonest. smidgen weighs 20,000 by itself, which takes many minutes on two cores."""


@dataclass(frozen=True)
class Ranked:
    """One system on one seed: the worth of each test row (0 for a miss), the seconds of its fit, and its settings."""

    gains: Any
    seconds: float
    settings: str


def sequences(folder: Path) -> list[list[str]]:
    """Each customer's items in their order."""
    file = folder / "games-sequences" / "Video.txt"
    if not file.is_file():
        raise data.NoData(f"{file} is not here")
    found: dict[str, list[str]] = defaultdict(list)
    for line in file.read_text(encoding="utf-8").splitlines():
        user, item = line.split()
        found[user].append(item)
    return list(found.values())


def run(context: Context) -> None:
    """smidgen, EASE as published, popularity, `implicit`, and RecBole's SASRec, on the same customers."""
    customers = sequences(context.data)
    if context.quick:
        customers = customers[:1500]
    section = results.Section(
        NAME,
        "What customers buy next",
        f"Purchases of video games ({len(customers):,} customers, {len({item for items in customers for item in items}):,} items; Amazon "
        "reviews in order of time). The last item of every customer with two items or more is the test; it is ranked among all items but "
        "those that the customer has. The item before it of 2,000 customers, drawn by seed, chooses settings; no side learns it. "
        f"smidgen and EASE weigh the {_MOST_ITEMS:,} commonest items (of themselves 20,000), the others all. smidgen adds pairs with "
        "rarer items by their nearest, and a transformer that it teaches for at most ten minutes; “pairs alone” is without it. SASRec has "
        "RecBole's own settings, is stopped by the same held-out rows, and is run on the first seed alone. "
        "Intervals: Wilson's for the hit rate, bootstrap over customers for NDCG, paired for the difference. The table has the first seed, "
        "and below it the others' hit rates. Seeds change only which customers choose settings.",
        COLUMNS,
        facts={"load before": results.load_average(), "seeds": ", ".join(map(str, context.seeds))},
    )
    found: dict[str, list[Ranked]] = defaultdict(list)
    for seed in context.seeds:
        for name, ranked in _systems(context, customers, seed).items():
            found[name].append(ranked)
        section.rows = _rows(found)
        section.notes = [f"{name}, each seed: {', '.join(f'{_hits(one):.2%}' for one in runs)}." for name, runs in found.items()]
        results.publish(context, section)
    ours = _median(found["smidgen"])
    section.goals = [results.ahead(f"hit rate against {name}", ours, _median(runs)) for name, runs in found.items() if name != "smidgen"]
    results.publish(context, section)


def _systems(context: Context, customers: Sequence[Sequence[str]], seed: int) -> dict[str, Ranked]:
    """Every system on one seed."""
    from smidgen.core.rows import Row
    from smidgen.retail import tasks as recommend

    # As the task divides orders, but with every customer in the test.
    several = [[(item, number) for number, item in enumerate(items)] for items in customers if len(set(items)) > 1]
    single = len(customers) - len(several)
    kept, recommend._MOST_TEST = recommend._MOST_TEST, len(several)
    try:
        divided = recommend._divided(several, single, 0, seed)
    finally:
        recommend._MOST_TEST = kept
    rows: tuple[Sequence[Row], ...] = (divided.fit, divided.held, divided.test)
    made = _own(context, seed, *rows)
    if context.peers:
        made |= _peer(context, PEER, seed, [], *rows)
    if context.with_peer(seed) and seed == context.seeds[0]:
        made |= _peer(context, TEACHER, seed, [str(0.1 if context.quick else _MINUTES * context.patience)], *rows)
    return made


def _own(context: Context, seed: int, fit: Sequence[Any], held: Sequence[Any], test: Sequence[Any]) -> dict[str, Ranked]:
    """smidgen's student `ease`, EASE as published (no recency; its ridge chosen on the same held-out rows), and popularity."""
    from smidgen.core.parts import Training, Workspace
    from smidgen.core.progress import Silent
    from smidgen.retail.ranking import GoodsRanking, RankingWeights
    from smidgen.retail.students.ease import EaseSettings, history_ranking
    from smidgen.retail.students.popular import popular_ranking, popular_tables
    from smidgen.retail.students.purchases import PairWeights, held_out_gains, read_purchases

    most = _QUICK_ITEMS if context.quick else _MOST_ITEMS
    folder = context.out / f"{NAME}-material"
    folder.mkdir(parents=True, exist_ok=True)
    ids = sorted({id for row in (*fit, *held, *test) for id in (*json.loads(row.input), row.output)})
    goods = [{"id": id, "name": id, "text": "", "listed": True} for id in ids]
    (folder / "goods.json").write_text(json.dumps({"language": "en", "goods": goods}), encoding="utf-8")
    purchases = read_purchases(Training(fit, held, None, None, EaseSettings(), material=folder))  # type: ignore[arg-type]
    places = {id: place for place, id in enumerate(ids)}
    asked = replace(purchases, histories=_numbers(test, places), next_items=_wanted(test, places))
    made: dict[str, Ranked] = {}

    said: list[str] = []

    class Told(Silent):
        """Remembers the settings that were chosen, those for rarer items too."""

        def finish(self, note: str = "") -> None:
            said.extend([note.partition(":")[0]] if note else [])

    for name, budget in (("smidgen", "20s" if context.quick else "10m"), (_PAIRS, "0")):
        said.clear()
        began = time.perf_counter()
        space = Workspace(folder, context.used_threads, Told())
        ranking = history_ranking(purchases, EaseSettings(most_items=most, time_budget=budget), space, seed)
        seconds = time.perf_counter() - began
        made[name] = Ranked(held_out_gains(ranking, asked), seconds, "; ".join(said))
        del ranking
    began = time.perf_counter()
    weights, best = PairWeights(purchases, most, 1000), (-1.0, 0.0, None)
    for ridge in (100.0, 250.0):
        tables = weights.pairs_alone(ridge, popular_tables(purchases))
        plain = GoodsRanking(purchases.goods, purchases.texts, tables, RankingWeights(decay=1.0, window=1000), "en")
        value = float(held_out_gains(plain, purchases).mean())
        if value > best[0]:
            best = (value, ridge, plain)  # type: ignore[assignment]
        weights.forget()
    assert best[2] is not None
    made["EASE"] = Ranked(held_out_gains(best[2], asked), time.perf_counter() - began, f"ridge {best[1]:g}")
    began = time.perf_counter()
    popular = popular_ranking(purchases)
    made["popularity"] = Ranked(held_out_gains(popular, asked), time.perf_counter() - began, "")
    return made


def _numbers(rows: Sequence[Any], places: dict[str, int]) -> list[Any]:
    import numpy as np

    return [np.array([places[id] for id in json.loads(row.input)], dtype=np.int64) for row in rows]


def _wanted(rows: Sequence[Any], places: dict[str, int]) -> Any:
    import numpy as np

    return np.array([places[row.output] for row in rows], dtype=np.int64)


def _peer(
    context: Context, name: str, seed: int, more: Sequence[str], fit: Sequence[Any], held: Sequence[Any], test: Sequence[Any]
) -> dict[str, Ranked]:
    """A package in an environment of its own, on the same rows; its settings chosen, or its teaching stopped, by the same held-out rows."""
    import numpy as np

    out = context.out / f"{NAME}-{seed}"
    out.mkdir(parents=True, exist_ok=True)
    told, rows = out / f"{name}.json", {"fit": fit, "held": held, "test": test}
    texts = {part: "\n".join(json.dumps([json.loads(row.input), row.output]) for row in some) for part, some in rows.items()}
    same = all((out / f"{part}.jsonl").is_file() and (out / f"{part}.jsonl").read_text(encoding="utf-8") == texts[part] for part in texts)
    if not (context.keep in ("peers", "all") and same and told.is_file()):
        python = context.peer(name)
        if python is None:
            return {}
        for part, text in texts.items():
            (out / f"{part}.jsonl").write_text(text, encoding="utf-8")
        command = [python, HERE / "peers" / f"{name}_peer.py", out, *more]
        ran = process.run(command, limit=max(_LIMIT, 2 * 60 * _MINUTES) * context.patience, log=out / name, env=context.env())
        if ran.trouble:
            context.troubles.append(f"{name}: {ran.trouble}")
            return {}
    found = json.loads(told.read_text(encoding="utf-8"))
    return {system: Ranked(np.array(facts["gains"]), facts["seconds"], facts["settings"]) for system, facts in found.items()}


def _hits(one: Ranked) -> float:
    return float((one.gains > 0).mean())


def _median(runs: Sequence[Ranked]) -> float:
    return sorted(map(_hits, runs))[(len(runs) - 1) // 2]


def _rows(found: dict[str, list[Ranked]]) -> list[list[str]]:
    """The first seed of each system, with intervals and the paired difference."""
    from smidgen.stats.intervals import mean_share, paired_change, wilson

    ours, rows = found["smidgen"][0], []
    for name, runs in found.items():
        one = runs[0]
        hits = one.gains > 0
        low, high = wilson(int(hits.sum()), len(hits))
        span = mean_share(one.gains)
        ahead: Callable[[float], str] = "{:+.2%}".format
        change = paired_change(hits, ours.gains > 0) if name != "smidgen" else None
        rows.append(
            [
                name,
                f"{hits.mean():.2%}",
                f"{low:.2%} to {high:.2%}",
                f"{one.gains.mean():.4f}",
                f"{span[0]:.4f} to {span[1]:.4f}",
                ahead(change.value) if change else "",
                f"{ahead(change.low)} to {ahead(change.high)}" if change else "",
                one.settings,
                results.number(one.seconds),
            ]
        )
    return rows
