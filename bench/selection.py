"""Rows that are chosen against rows at random: accuracy by the number of rows, on BANKING77 and CLINC150."""

from __future__ import annotations

from typing import Any

from bench import classifiers, data, results
from bench.context import Context

NAME = "selection"
SIZES = (2, 5, 10, 20, 40)
DRAWS = 5
BUILT = 20
"""Rows a label that a whole build is made with, chosen and at random."""


def run(context: Context) -> None:
    """The student `kernel` on the frozen base at every size, then whole builds at one."""
    section = results.Section(
        NAME,
        "Rows chosen against rows at random",
        "Accuracy on the official test set by the number of training rows. The head is a kernel one, on the frozen base (a second instead "
        f"of minutes); at random is the mean of {DRAWS} draws from the whole, and of as many with equal parts of each label. Without "
        "labels: chosen from the texts alone; with some: 5 rows of each label at random are known, and the others are chosen by what they "
        "cover and how doubtful they are. With labels: equal parts of each label, likely wrong ones left out. Choosing takes seconds. "
        "“Built” are whole builds by `smidgen build --select N`.",
        (
            "data",
            "rows",
            "at random",
            "chosen, no labels",
            "5 a label known: random more",
            "chosen more",
            "labels: random, equal parts",
            "chosen",
        ),
        facts={"load before": results.load_average()},
    )
    built: dict[str, dict[str, Any]] = {}
    for name, (train, test) in {"BANKING77": data.banking77(context.data), "CLINC150": data.clinc150(context.data, False)}.items():
        if context.quick:
            train, test = data.quick(train, test)
        curve = _curve(name, train, test, (2, 5) if context.quick else SIZES)
        section.rows += curve
        section.goals += _goals(name, curve)
        results.publish(context, section)
    train, test = data.banking77(context.data)
    if context.quick:
        train, test = data.quick(train, test)
    count = (3 if context.quick else BUILT) * len({label for _, label in train})
    whole = data.write(train, context.out / "data" / f"{NAME}-all.csv")
    some = data.write(data.few(train, 3 if context.quick else BUILT, 0), context.out / "data" / f"{NAME}-some.csv")
    file = data.write(test, context.out / "data" / f"{NAME}-test.csv")
    built["chosen"] = classifiers.smidgen(context, f"{NAME}-chosen", whole, file, 0, ("--select", str(count)))
    built["random"] = classifiers.smidgen(context, f"{NAME}-random", some, file, 0)
    for how, result in built.items():
        said = (
            f"{result['accuracy']:.2%} ({result['low']:.2%} to {result['high']:.2%})" if "accuracy" in result else result.get("trouble", "")
        )
        section.notes.append(f"BANKING77, built with {count:,} rows, {'chosen' if how == 'chosen' else 'at random, equal parts'}: {said}.")
    if all("accuracy" in result for result in built.values()):
        section.goals.append(results.ahead(f"BANKING77, built, {count:,} rows", built["chosen"]["accuracy"], built["random"]["accuracy"]))
    results.publish(context, section)


def _curve(name: str, train: data.Rows, test: data.Rows, sizes: tuple[int, ...]) -> list[list[str]]:
    import numpy as np

    from smidgen.core.rows import Row
    from smidgen.data import row_selection
    from smidgen.flows.build.examples import sound_rows
    from smidgen.flows.embedding import embedder
    from smidgen.stats import kernel_ridge

    embed = embedder()
    if embed is None:
        raise data.NoData("the starter encoder is not here: smidgen pull minilm")
    texts, labels = [text for text, _ in train], [label for _, label in train]
    names = sorted(set(labels))
    vectors, asked = embed(texts), embed([text for text, _ in test])
    place_of = {text: place for place, text in reversed(list(enumerate(texts)))}
    known = lambda wanted: np.stack([vectors[place_of[text]] for text in wanted])  # noqa: E731
    targets, gold = np.array([names.index(label) for label in labels]), np.array([names.index(label) for _, label in test])
    rng = np.random.default_rng(0)

    def accuracy(places: Any) -> float:
        head = kernel_ridge.fit(vectors[places], np.eye(len(names), dtype=np.float32)[targets[places]])
        return float((head.scores(asked).argmax(axis=1) == gold).mean())

    def equal(each: int, seed: int) -> Any:
        draw = np.random.default_rng(seed)
        return np.concatenate([draw.permutation(np.flatnonzero(targets == number))[:each] for number in range(len(names))])

    def mean(values: list[float]) -> float:
        return sum(values) / len(values)

    good = sound_rows(texts, labels, vectors, None)
    start = equal(5, 1)
    rest = np.setdiff1d(np.arange(len(train)), start)
    rows = []
    for each in sizes:
        count = each * len(names)
        if count >= len(train):
            continue
        more = row_selection.select_unlabelled(
            [Row(texts[p]) for p in rest], min(count, len(rest)), [Row(texts[p], labels[p]) for p in start], known, 0
        )
        chosen = [good[p] for p in row_selection.select_labelled(vectors[good], [labels[p] for p in good], count, 0)]
        found = (
            mean([accuracy(rng.permutation(len(train))[:count]) for _ in range(DRAWS)]),
            accuracy(row_selection.select_unlabelled([Row(text) for text in texts], count, (), known, 0)),
            mean([accuracy(np.concatenate([start, rng.permutation(rest)[:count]])) for _ in range(DRAWS)]),
            accuracy(np.concatenate([start, rest[more]])),
            mean([accuracy(equal(each, seed)) for seed in range(DRAWS)]),
            accuracy(chosen),
        )
        rows.append([name, f"{count:,}", *(f"{value:.1%}" for value in found)])
    return [*rows, [name, f"{len(train):,} (all)", f"{accuracy(np.arange(len(train))):.1%}", *[""] * 5]]


def _goals(name: str, curve: list[list[str]]) -> list[results.Goal]:
    """Chosen rows are ahead at every size, and how few of them come within a point of the whole."""
    value = lambda cell: float(cell.rstrip("%")) / 100  # noqa: E731
    measured, whole = curve[:-1], value(curve[-1][2])
    wins = [sum(value(row[chosen]) > value(row[random]) for row in measured) for random, chosen in ((2, 3), (4, 5), (6, 7))]
    ahead = results.Goal(
        f"{name}: chosen ahead of random, of {len(measured)} sizes: no labels, some known, labels",
        "all",
        ", ".join(map(str, wins)),
        all(win == len(measured) for win in wins),
    )
    near = next((row[1] for row in measured if value(row[7]) >= whole - 0.01), None)
    return [
        ahead,
        results.Goal(f"{name}: chosen rows within a point of all rows ({whole:.1%})", "fewer than all", near or "none", bool(near)),
    ]
