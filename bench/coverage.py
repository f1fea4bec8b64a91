"""Whether the interval that a build prints of few rows covers the accuracy on a later test."""

from __future__ import annotations

import json
import random
import tempfile
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import data, results
from bench.context import Context

if TYPE_CHECKING:
    from smidgen.core.replies import Reply
    from smidgen.judge.report import Report

NAME = "coverage"
SIZES, DRAWS, LATER, WANTED = (300, 1000), 40, 4000, 0.9
_MEANS = ("later", "foretold", "rare")
_SHOWN = {"test": "its test rows", "crossed": "cross-validation"}


def run(context: Context) -> None:
    """Build the student `linear` on each draw of rows, and measure it on later rows. The first of `--seeds` chooses the draws: 1 for 40 to
    79."""
    first = DRAWS * context.seeds[0]
    section = results.Section(
        NAME,
        "Intervals of builds from few rows",
        f"{DRAWS} draws of rows at random from all rows of the data set, each a whole build with the student `linear` (no base is needed). "
        "Each build prints the accuracy on its own test rows with a 95 % interval, and below 400 test rows that of cross-validation over "
        f"all rows. Then it answers {LATER:,} of the rows that were not drawn. Covered: its accuracy there lies in the interval. Labels "
        "with one row are left out of a build. Its note says which share of later texts has such a label, or one without any row "
        "(“foretold”), and that the accuracy does not count these; here they do not count, either.",
        ("data", "rows", "interval of", "builds", "covered", "width, median", "measured", "later", "unknown labels: foretold", "later"),
        facts={"load before": results.load_average(), "seeds": f"{first} to {first + DRAWS - 1}"},
    )
    sets = {"BANKING77": data.banking77(context.data), "CLINC150": data.clinc150(context.data, False)}
    for size in (100,) if context.quick else SIZES:
        for name, (pool, test) in sets.items():
            found = [_drawn(context, name, [*pool, *test], size, draw) for draw in range(first, first + (2 if context.quick else DRAWS))]
            for kind, words in _SHOWN.items():
                builds = [one for one in found if one.get(kind) is not None]
                if builds:
                    section.rows.append(_row(name, size, words, kind, builds))
                    share = sum(_covers(one, kind) for one in builds) / len(builds)
                    section.goals.append(results.at_least(f"{name}, {size:,} rows, {words}", WANTED, share, ".0%"))
            results.publish(context, section)


def drawn_rows(every: data.Rows, size: int, draw: int) -> tuple[data.Rows, data.Rows]:
    """Rows drawn at random, and later ones that were not drawn."""
    drawn = set(random.Random(f"{NAME}-{size}-{draw}").sample(range(len(every)), size))
    later = random.Random(draw).sample([row for place, row in enumerate(every) if place not in drawn], LATER)
    return [every[place] for place in sorted(drawn)], later


def answered(
    context: Context, folder: Path, rows: data.Rows, later: data.Rows, draw: int, more: dict[str, Any]
) -> tuple[list[Reply], Report, set[str]]:
    """Replies to later texts of a model built from rows, its report, and the labels that it knows."""
    from smidgen.flows.build.pipeline import build
    from smidgen.flows.local_model import load
    from smidgen.judge import report
    from smidgen.parts import recipe

    train = data.write(rows, folder / "train.csv")
    tree = {"name": "draw", "task": "classify", "seed": draw, "data": {"train": str(train)}, "student": {"kind": "linear"}, **more}
    build(recipe.make(tree, (), folder=folder), folder / "bundle", listed=False, threads=context.used_threads)
    with closing(load(folder / "bundle", context.used_threads)) as model:
        return model.predict([text for text, _ in later]), report.read(folder / "bundle" / "report.json"), set(model.form.labels)


def _drawn(context: Context, name: str, every: data.Rows, size: int, draw: int) -> dict[str, Any]:
    """Build from rows drawn at random. Returns the printed accuracy with its interval, and the accuracy on rows that were not drawn."""
    from smidgen.stats.classification_metrics import rare_share

    kept = context.out / NAME / f"{name}-{size}-{draw}.json"
    if context.keep == "all" and kept.is_file():
        return dict(json.loads(kept.read_text(encoding="utf-8")))
    rows, later = drawn_rows(every, size, draw)
    with tempfile.TemporaryDirectory() as place:
        replies, known, known_labels = answered(context, Path(place), rows, later, draw, {})
    right = [(reply.output == label, label in known_labels) for reply, (_, label) in zip(replies, later, strict=True)]
    crossed = known.cross_validation.metric if known.cross_validation is not None else None
    own = known.metrics["accuracy"]
    facts: dict[str, Any] = {
        "later": sum(good for good, named in right if named) / sum(named for _, named in right),
        "rare": 1 - sum(named for _, named in right) / len(right),
        "foretold": rare_share(Counter(label for _, label in rows).values())
        if len(known_labels) < len({label for _, label in rows})
        else 0.0,
        "test": [own.value, own.low, own.high],
    }
    if crossed is not None:
        facts["crossed"] = [crossed.value, crossed.low, crossed.high]
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(facts), encoding="utf-8")
    return facts


def _covers(one: dict[str, Any], kind: str) -> bool:
    _, low, high = one[kind]
    return bool(low <= one["later"] <= high)


def _row(name: str, size: int, words: str, kind: str, builds: list[dict[str, Any]]) -> list[str]:
    widths = sorted(one[kind][2] - one[kind][1] for one in builds)
    means = [sum(values) / len(builds) for values in ([one[kind][0] for one in builds], *([one[of] for one in builds] for of in _MEANS))]
    covered = sum(_covers(one, kind) for one in builds)
    return [
        name,
        f"{size:,}",
        words,
        str(len(builds)),
        f"{covered / len(builds):.1%} ({covered} of {len(builds)})",
        f"{widths[len(widths) // 2]:.1%}",
        *(f"{mean:.1%}" for mean in means),
    ]
