"""Build the challenger by the champion's recipe on the rows to learn from, in a folder of its own within the line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from smidgen.bundles.manifest import Lineage
from smidgen.bundles.open import read_manifest
from smidgen.core.errors import DataError
from smidgen.core.forms import Form
from smidgen.core.progress import Progress
from smidgen.core.settings import is_file
from smidgen.data.tables import DataTable, table_in_memory
from smidgen.flows.build.pipeline import build
from smidgen.flows.build.work import GivenTables
from smidgen.flows.learn.learning_rows import LearningRows, LineRow, count_sources, file_record
from smidgen.flows.learn.traffic_rows import MASKED
from smidgen.flows.local_model import Model
from smidgen.judge import report
from smidgen.parts import recipe as recipes
from smidgen.parts import registry
from smidgen.parts.recipe import Recipe, make, owners_of
from smidgen.store.files import content_hash

# The recipe of the next version: the champion's own, applied to the rows of the line.

_NOT_AGAIN = ("train", "test", "unlabelled", "select", "input", "label", "max_rows", "encoding", "sheet")
"""Data settings that describe the previous version's files and are not inherited."""


def recipe_of_bundle(folder: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Return the recipe by which a bundle was built. Raises RecipeError if it has none that can be read."""
    found = recipes.read(folder / "recipe.toml")
    return make(explicit_settings(found), overrides, folder=Path.cwd(), source=str(folder / "recipe.toml"))


def explicit_settings(recipe: Recipe) -> dict[str, Any]:
    """Return the settings of a recipe that differ from the defaults.

    A bundle's recipe writes out every default. Left in, the defaults of [train], which are those of one student, would bind the next build.
    """
    tree: dict[str, Any] = {"name": recipe.name, "task": recipe.task, "seed": recipe.seed}
    for name, section in recipe.sections.items():
        fields = type(section).model_fields
        plain = section.model_dump(mode="json", exclude_none=True)
        kept = {key: value for key, value in plain.items() if getattr(section, key) != fields[key].get_default(call_default_factory=True)}
        if kept:
            tree[name] = kept
    return tree


def recipe_over(recipe: Recipe, name: str, given: GivenTables, folder: Path, line: Path) -> Recipe:
    """Return the recipe with its data replaced by these rows. It asks no teacher again, because the rows include the teacher's answers."""
    tree = explicit_settings(recipe)
    tree.pop("data.teacher", None)
    data = {key: value for key, value in tree.get("data", {}).items() if key not in _NOT_AGAIN}
    data |= {"train": given.train.name, "input": ",".join(given.train.input.names), "label": given.train.columns[-1]}
    if given.test is not None:
        data["test"] = given.test.name
    tree |= {"name": name, "data": data}
    job = tree.get(recipe.task, {})
    for key, field in owners_of(recipe.task)[recipe.task].model_fields.items():
        if is_file(field) and job.get(key):
            places = (recipe.folder / Path(job[key]).expanduser(), line / job[key])
            job = {**job, key: str(next((place.resolve() for place in places if place.is_file()), places[0]))}
    if job:
        tree[recipe.task] = job
    return make(tree, folder=folder, source="the line's recipe")


# The challenger: trained from its base on the rows to learn from, in a folder of its own within the line.

ENOUGH_TO_TEST = 100
"""With at least this many rows in the selection set, the build uses them as its test rows, too. With fewer, a gate would say little, and
the build sets apart some of the rows to learn from."""

Columns = tuple[tuple[str, ...], str]
"""Names of the input columns (two for pairs) and of the output column."""


@dataclass(frozen=True)
class BuiltChallenger:
    """A built bundle, the rows it learnt from, and these rows as the tables that the build took."""

    folder: Path
    material: LearningRows
    given: GivenTables


def build_challenger(
    recipe: Recipe,
    material: LearningRows,
    work: Path,
    *,
    name: str,
    champion: Model | None,
    line: Path,
    threads: int | None,
    progress: Progress,
) -> BuiltChallenger:
    """Build the challenger in the folder `work`. Intermediate files lie there, too, and go with it. The rows stay in memory.

    Raises:
        DataError: there are no rows, or too few.
        GateError: the challenger misses its gate, or the packed bundle does not answer as the trained model does.
    """
    material = _teachable(recipe, material)
    if not material.learning:
        masked = dict(material.unusable).get(MASKED, 0)
        raise DataError(
            "flows.there_are_no_unmasked_rows_to_learn_from" if masked else "flows.there_are_no_rows_to_learn_from",
            value=f"{name}: {masked:,} answers were masked as personal data" if masked else name,
        )
    columns = _columns(champion, material.learning)
    train = tabled(material.learning, columns, f"rows-{material.sha256[:12]}.jsonl")
    known = {json.dumps(taken.row.output) for taken in material.learning}
    tests = [taken for taken in material.choosing if taken.heard]
    if registry.find("tasks", recipe.task).rows_name_labels:
        tests = [taken for taken in tests if json.dumps(taken.row.output) in known]
    given = GivenTables(train, tabled(tests, columns, "choosing.jsonl") if len(tests) >= ENOUGH_TO_TEST else None)
    lineage = Lineage(
        parent=champion.id if champion is not None else None,
        sources=count_sources(material.learning),
        teacher=material.teachers,
        choosing=len(material.choosing),
        certifying=material.certifying_texts,
    )
    over = recipe_over(recipe, name, given, work, line)
    made = build(over, work / "bundle", given=given, threads=threads, progress=progress, lineage=lineage, listed=False, scratch=work)
    return BuiltChallenger(made.folder, material, given)


def hash_bundle(folder: Path) -> str:
    """Hash everything that a bundle's answers and their tests depend on.

    Training again on the same rows, with the same result to the byte, gives the same hash at any time and place. Raises BundleError for a
    bundle that cannot be read.
    """
    manifest = read_manifest(folder)
    # The report also holds times, which vary. Only its curve, whose thresholds are tested, goes into the hash.
    curve = report.read(folder / "report.json").risk_coverage
    files = {name: manifest.files[name].sha256 for name in manifest.engine.files}
    points = [[point.threshold, point.coverage, point.risk] for point in curve.points] if curve is not None else None
    return content_hash([manifest.task, manifest.form, manifest.engine.model_dump(mode="json"), files, points])


def tabled(rows: Sequence[LineRow], columns: Columns, name: str) -> DataTable:
    """Return rows as a table. Its cells are plain JSON with valid characters, because a bundle shows them."""
    records = [file_record(taken.row.input, taken.row.output, columns) for taken in rows]
    plain = [json.loads(json.dumps(record, ensure_ascii=False).encode("utf-8", "replace")) for record in records]
    return table_in_memory(name, plain, *columns)


def _teachable(recipe: Recipe, material: LearningRows) -> LearningRows:
    """Drop rows whose label occurs once: such a label can be neither learnt nor measured."""
    if not registry.find("tasks", recipe.task).rows_name_labels or not all(
        isinstance(taken.row.output, str) for taken in material.learning
    ):
        return material
    counts = Counter(taken.row.output for taken in material.learning)
    kept = tuple(taken for taken in material.learning if counts[taken.row.output] > 1)
    lone = len(material.learning) - len(kept)
    unusable = (*material.unusable, ("its label stands once among the rows to learn from", lone)) if lone else material.unusable
    return replace(material, learning=kept, unusable=unusable)


def _columns(champion: Model | None, rows: Sequence[LineRow]) -> Columns:
    """Return the champion's column names, so that the next version reads the same files."""
    names: tuple[str, ...] = ("first", "second") if not isinstance(rows[0].row.input, str) else ("input",)
    label = "output"
    if champion is not None:
        given, wanted = champion.columns
        remembered = tuple((given or "").split(","))
        names = remembered if len(remembered) == len(names) and all(remembered) else names
        label = wanted if wanted and "," not in wanted and wanted not in names else label
    return names, label


# Labels that a line would forget: the champion has them, and no row to learn from has them any more.
#
# Once a label is answered locally, its requests no longer escalate. New rows of it come only from audits, and older captured rows go with
# `--capture-days`. A version without the label may still win and be certified, because the rows that compare and certify are escalations,
# too.

_SHOWN = 5


def find_lost_labels(champion: Form, challenger: Form) -> tuple[str, ...]:
    """Return the champion's labels that the challenger lacks, in the champion's order. Empty for models without labels."""
    known = set(challenger.options)
    return tuple(label for label in champion.options if label not in known)


def why_kept_out(labels: Sequence[str], champion: Form) -> str:
    """Say why a challenger without these labels is kept out, and what to do. No full stop."""
    more = f" and {len(labels) - _SHOWN:,} more" if len(labels) > _SHOWN else ""
    return (
        f"it does not know {len(labels):,} of the champion's {len(champion.options):,} labels any more "
        f"({', '.join(labels[:_SHOWN])}{more}), for too few rows to learn from have them: what is answered locally has no answer of the "
        "large model but for audits, and captured rows go after --capture-days. Give rows of these labels with --data, let the server keep "
        "some of each for longer (--capture-keep-days 365), audit more (--audit-share), or let it forget them (--fewer-labels promote)"
    )
