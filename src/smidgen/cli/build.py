"""`smidgen build`: build a bundle from a recipe, or from flags alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from smidgen.cli import screen
from smidgen.cli.flags import Overrides, flags, given_tree, with_recipe_flags
from smidgen.cli.next_steps import command_line, next_step
from smidgen.cli.screen import Screen, out, print_json, print_line
from smidgen.core.errors import InputError
from smidgen.core.settings import Settings, is_file, is_with_data, settings_of
from smidgen.parts import registry
from smidgen.parts.recipe import Recipe, make, owners_of, read

_TASKS = registry.names("tasks")


def _sections() -> Iterator[tuple[str, type[Settings]]]:
    """Yield the recipe sections of every task, with each of its students.

    If two sections would give the same flag, the first one gets it.
    """
    for task in _TASKS:
        for student in registry.find("tasks", task).students:
            yield from owners_of(task, student).items()


FLAGS = flags(_sections())
_FIRST = ("data", "test", "input", "label", "student", "quality", "min_quality")
"""Settings shown in the first panel of help, besides --task, --out and --set."""
_RUN = "Run"


def build(
    recipe: Annotated[Path | None, typer.Argument(help="A recipe (TOML). Without one, the flags say it all.")] = None,
    task: Annotated[str | None, typer.Option(help=f"Kind of job, such as classify or extract. One of: {', '.join(_TASKS)}.")] = None,
    to: Annotated[Path | None, typer.Option("--out", help="Folder of the bundle (default: the recipe's name beside it).")] = None,
    name: Annotated[str | None, typer.Option(rich_help_panel=_RUN, help="Name of the model (default: the bundle folder's).")] = None,
    seed: Annotated[
        int | None, typer.Option(rich_help_panel=_RUN, help="The only source of randomness (default: the recipe's, else 0).")
    ] = None,
    override: Overrides = None,
    threads: Annotated[int | None, typer.Option(min=1, rich_help_panel=_RUN, help="Threads to compute with (default: one a core).")] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", rich_help_panel=_RUN, help="Do every step anew, even where a stored result fits.")
    ] = False,
    errors: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=_RUN,
            help="Write the rows that a model which learnt from the others answers wrong: cross-validation over all rows, five more "
            "trainings. .csv (in the dialect of the data), .tsv, .xlsx or .jsonl.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", rich_help_panel=_RUN, help="Print the report as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", rich_help_panel=_RUN, help="No progress.")] = False,
    **given: Any,
) -> None:
    """Build a small model from examples, measure it and pack it.

    A build that was stopped goes on where it stopped: run the same command again.

    Example: smidgen build --task classify --data train.csv --input text --label category --out my-model
    """
    made = _recipe(recipe, task, to, name, seed, override or [], given)
    target = to or made.folder / made.name
    from smidgen.flows.build.pipeline import build as build_bundle

    with Screen(quiet=quiet or as_json) as screen:
        built = build_bundle(made, target, fresh=fresh, threads=threads, progress=screen, errors=errors)
    if as_json:
        print_json(built.report.model_dump(mode="json"))
        return
    from smidgen.cli.report_summary import print_report

    print_report(built.report)
    out.print(f"\nThe model is in [bold]{escape(str(built.folder))}[/] (built in {built.seconds:.0f} s).", soft_wrap=True)
    print_line(f"Its report: {built.folder / 'report.html'}")
    if errors is not None:
        said = f"{built.errors:,} errors over all rows" if built.errors is not None else "no errors written, for too few rows"
        print_line(f"{said}: {errors}")
    if not quiet:
        verbs = ("serve",) if registry.find("tasks", built.report.task).pair else ("chat", "serve")  # nobody talks in gaps
        next_step(*(command_line(verb, built.folder) for verb in verbs))


def _recipe(
    file: Path | None, task: str | None, to: Path | None, name: str | None, seed: int | None, overrides: list[str], given: dict[str, Any]
) -> Recipe:
    """Read the recipe file, or make a recipe from the flags. Flags given with a file override its settings."""
    if file is None and task is None:
        raise InputError("cli.neither_recipe_nor_task_is_given", value=" ".join(sys.argv[1:]))
    tree: dict[str, Any] = {}
    folder = Path()
    if file is not None:
        base = read(file)
        tree, folder = base.given(), base.folder
    if task is not None:
        tree["task"] = task
    if seed is not None:
        tree["seed"] = seed
    if name is not None:
        tree["name"] = name
    elif file is None and to is not None:
        tree["name"] = to.resolve().name
    if file is not None and given.get("data") is not None:
        _drop_settings_of_own_rows(tree, given, overrides)
    for section, values in given_tree(FLAGS, given).items():
        # Paths on the command line are relative to the current folder, not to the recipe's folder.
        files = ("train", "test", "unlabelled") if section == "data" else _files(section)
        values = {key: str(Path(value).resolve()) if key in files and value != "-" else value for key, value in values.items()}
        if section == "data.teacher" and "source" in values and "://" not in values["source"]:
            values = {**values, "source": str(Path(values["source"]).resolve())}
        tree[section] = {**tree.get(section, {}), **values}
    if given.get("data") is not None:
        tree = _with_own_columns(tree, folder, given, overrides)
    return make(tree, overrides, folder=folder, source=str(file or "the command line"))


def _drop_settings_of_own_rows(tree: dict[str, Any], given: Mapping[str, Any], overrides: Sequence[str]) -> None:
    """Take settings out of a recipe that belong to its own rows, such as its test file, and print which. One that is given replaces it."""
    flags_of = {(section, name): f"--{parameter.replace('_', '-')}" for parameter, (section, name, _) in FLAGS.items()}
    named = {FLAGS[parameter][:2] for parameter, value in given.items() if parameter in FLAGS and value is not None}
    for section, owner in _sections():
        for name, field in settings_of(owner).items():
            held = tree.get(section, {})
            again = (section, name) in named or any(override.startswith(f"{section}.{name}=") for override in overrides)
            if again or name not in held or not is_with_data(field):
                continue
            how = flags_of.get((section, name), f"--set {section}.{name}=")
            said = f"{section}.{name} of the recipe ({held[name]}) is left out: it belongs to the recipe's own rows. Name yours: {how}"
            screen.errors.print(f"[dim]{escape(said)}[/]", soft_wrap=True)
            tree[section] = {key: value for key, value in held.items() if key != name}


def _with_own_columns(tree: dict[str, Any], folder: Path, given: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A recipe with the columns of the table on the command line, where its task tells what each is for."""
    from smidgen.flows.table_columns import with_columns_of

    named = [".".join(FLAGS[parameter][:2]) for parameter, value in given.items() if parameter in FLAGS and value is not None]
    found, said = with_columns_of(tree, str(tree.get("task", "")), folder, {*named, *(one.partition("=")[0] for one in overrides)})
    for line in said:
        screen.errors.print(f"[dim]{escape(line)}[/]", soft_wrap=True)
    return found


def _files(section: str) -> list[str]:
    """Return the settings of a section that are files."""
    return [setting for owner, setting, field in FLAGS.values() if owner == section and is_file(field)]


part = with_recipe_flags(build, FLAGS, _FIRST)
