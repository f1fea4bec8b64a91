"""The challenger: built from its base on the rows to learn from, in a folder of its own within the line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from smidgen.bundles.manifest import Lineage
from smidgen.bundles.open import read_manifest
from smidgen.core.errors import DataError
from smidgen.core.progress import Progress
from smidgen.flows.build import build
from smidgen.flows.learning import recipes
from smidgen.flows.learning.captured import MASKED, MASKED_TODO
from smidgen.flows.learning.material import Material, Taken, record, sources
from smidgen.flows.live import Model
from smidgen.judge import report
from smidgen.parts.recipe import Recipe
from smidgen.store.hashing import content_hash

ENOUGH_TO_TEST = 100
"""Held-out rows to choose by from which on they are the test rows of the build, too. Of fewer a gate would say little: then some of the
rows to learn from are kept apart."""

Columns = tuple[tuple[str, ...], str]
"""Names of the input's columns (two for pairs), and of the output's."""


@dataclass(frozen=True)
class Challenger:
    """A built bundle, and what it learnt from."""

    folder: Path
    columns: Columns
    material: Material


def built(
    recipe: Recipe,
    material: Material,
    work: Path,
    *,
    name: str,
    champion: Model | None,
    line: Path,
    threads: int | None,
    progress: Progress,
) -> Challenger:
    """Build it in the folder `work`, with its rows and all that is made on the way beside it, which go when `work` does.

    Raises:
        DataError: too few rows, or none.
        GateError: it is not good enough, or not the model that was trained.
    """
    material = _teachable(recipe, material)
    if not material.learning:
        masked = dict(material.unusable).get(MASKED, 0)
        raise DataError(
            "there are no rows to learn from",
            value=f"{name}: {masked:,} answers were masked as personal data" if masked else name,
            todo=f"{MASKED_TODO}."
            if masked
            else "Give some with --data, or serve with --capture answers and a --fallback that answers meanwhile.",
        )
    columns = _columns(champion, material.learning)
    rows = written(material.learning, columns, work, f"rows-{material.sha256[:12]}")
    known = {json.dumps(taken.row.output) for taken in material.learning}
    tests = [taken for taken in material.choosing if taken.heard]
    if recipe.task == "classify":
        tests = [taken for taken in tests if json.dumps(taken.row.output) in known]
    test = written(tests, columns, work, "choosing") if len(tests) >= ENOUGH_TO_TEST else None
    lineage = Lineage(
        parent=champion.id if champion is not None else None,
        sources=sources(material.learning),
        teacher=material.teachers,
        choosing=len(material.choosing),
        certifying=material.certifying_texts,
    )
    over = recipes.over(recipe, name, rows, test, columns, line)
    made = build(over, work / "bundle", threads=threads, progress=progress, lineage=lineage, listed=False, scratch=work)
    return Challenger(made.folder, columns, material)


def sha256(folder: Path) -> str:
    """The hash of all that a built bundle's answers and their tests depend on: of the same rows trained anew to the byte it is the same,
    whenever and wherever that was. Raises BundleError for a bundle that cannot be read."""
    manifest = read_manifest(folder)
    # A report tells of times, too; what a test takes from it is the curve, whose thresholds are tried.
    curve = report.read(folder / "report.json").risk_coverage
    files = {name: manifest.files[name].sha256 for name in manifest.engine.files}
    points = [[point.threshold, point.coverage, point.risk] for point in curve.points] if curve is not None else None
    return content_hash([manifest.task, manifest.form, manifest.engine.model_dump(mode="json"), files, points])


def written(rows: Sequence[Taken], columns: Columns, folder: Path, name: str) -> Path:
    """Rows as a data file."""
    file = folder / f"{name}.jsonl"
    with file.open("w", encoding="utf-8", errors="replace", newline="\n") as stream:
        for taken in rows:
            stream.write(json.dumps(record(taken.row.input, taken.row.output, columns), ensure_ascii=False) + "\n")
    return file


def _teachable(recipe: Recipe, material: Material) -> Material:
    """Without the rows of labels that stand once: nothing can be learnt of one, and nothing measured."""
    if recipe.task != "classify" or not all(isinstance(taken.row.output, str) for taken in material.learning):
        return material
    counts = Counter(taken.row.output for taken in material.learning)
    kept = tuple(taken for taken in material.learning if counts[taken.row.output] > 1)
    lone = len(material.learning) - len(kept)
    unusable = (*material.unusable, ("its label stands once among the rows to learn from", lone)) if lone else material.unusable
    return replace(material, learning=kept, unusable=unusable)


def _columns(champion: Model | None, rows: Sequence[Taken]) -> Columns:
    """The champion's names, so that files which it takes the next one takes, too."""
    names: tuple[str, ...] = ("first", "second") if not isinstance(rows[0].row.input, str) else ("input",)
    label = "output"
    if champion is not None:
        given, wanted = champion.columns
        remembered = tuple((given or "").split(","))
        names = remembered if len(remembered) == len(names) and all(remembered) else names
        label = wanted if wanted and "," not in wanted and wanted not in names else label
    return names, label
