"""`smidgen init`: write a recipe with every setting explained, or one that comes with smidgen, and a data folder with an example."""

from __future__ import annotations

import importlib.resources
import re
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from smidgen.cli.screen import out, print_line
from smidgen.core.errors import InputError, UnknownPart
from smidgen.flows.sample_recipes import sample_names, sample_recipe
from smidgen.parts import registry
from smidgen.parts.recipe import template

_RECIPE = "smidgen.toml"
_README = """# Data

Put your own examples here, as CSV, TSV, JSONL, Parquet or XLSX: one row an example, one column with the text, one with the
wanted answer. The recipe names the file and both columns.

`{file}` shows the shape{note}. Look at your own file before you train on it:

    smidgen check {place} --task {task} --input {input} --label {label}

A second file that was written apart from the first makes the best test: name it as `test` under `[data]`.
"""


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write; made if it is not there.")] = Path(),
    task: Annotated[str | None, typer.Option(help=f"Kind of job: {', '.join(registry.names('tasks'))} (default: classify).")] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"A whole recipe with its sample data instead: {', '.join(sorted([*sample_names(), *registry.names('recipes')]))}.",
        ),
    ] = None,
) -> None:
    """Write a recipe with every setting explained, and sample data.

    You can build from it at once. It overwrites nothing. With --recipe, it writes one of the recipes that come with smidgen, with its
    sample data. The recipes routes, stock and trips are for `smidgen solve`, the others for `smidgen build`.

    Example: smidgen init my-model --task classify
    """
    if recipe is not None and task is not None:
        raise InputError("cli.recipe_names_its_own_task", recipe=recipe, task=task)
    files = _of_recipe(recipe, folder) if recipe is not None else _of_task(task or "classify", folder)
    if (folder / "smidgen.json").exists():
        raise InputError("cli.folder_has_bundle", value=str(folder))
    there = [file for file in files if file.exists()]
    if there:
        raise InputError("cli.file_to_write_already_exists", value=str(there[0]))
    for file, content in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("xb") as stream:
            stream.write(content)
    for file in files:
        out.print(f"[green]✓[/] {escape(str(file))}", soft_wrap=True)
    into = folder / "data" if (folder / "data").is_dir() else folder
    if recipe is not None and recipe in registry.names("recipes"):
        print_line(f"\nPut your tables in place of these, then: {registry.find('recipes', recipe).command(folder, _RECIPE)}")
    else:
        print_line(f"\nPut your examples into {into}, then: smidgen build {folder / _RECIPE}")


def _of_task(task: str, folder: Path) -> dict[Path, bytes]:
    """Return the files of a recipe with every setting of a task."""
    registry.find("tasks", task)
    example = _example(task)
    columns = _columns(example)
    text = example.read_text(encoding="utf-8") if example is not None else f"{','.join(columns)}\n"
    live: dict[str, dict[str, Any]] = {
        "data": {"train": "data/examples.csv", "input": columns[0], "label": columns[1]},
        "student": {"quality": "balanced"},
        "gate": {"max_loss": 0.01},
    }
    note = "" if example is not None else " (it holds no rows yet)"
    readme = _README.format(file="examples.csv", place="data/examples.csv", input=columns[0], label=columns[1], note=note, task=task)
    return _encoded(
        {
            folder / _RECIPE: template(task, live, _name(folder)),
            folder / "data" / "examples.csv": text,
            folder / "data" / "README.md": readme,
        }
    )


def _of_recipe(name: str, folder: Path) -> dict[Path, bytes]:
    """Return the files of a recipe that comes with smidgen: the recipe, its data files, and their descriptions.

    Raises UnknownPart for an unknown name.
    """
    if name in registry.names("recipes"):
        return {folder / file: content for file, content in registry.find("recipes", name).files(_RECIPE).items()}
    if name not in sample_names():
        raise UnknownPart("recipe", name, [*sample_names(), *registry.names("recipes")])
    sample = sample_recipe(name)
    folders = any((sample.folder / file).is_dir() for file in sample.task_files.values())
    if sample.members or folders or not {"input", "label"} <= set(sample.tree.get("data", {})):
        return {folder / _RECIPE: sample.text.encode("utf-8"), **{folder / file: content for file, content in sample.every_file().items()}}
    text, data = sample.text, sample.tree["data"]
    files = {}
    for key, name_of in {**sample.data_files, **sample.task_files}.items():
        files[folder / "data" / name_of] = sample.read(name_of)
        text = text.replace(f'{key} = "{name_of}"', f'{key} = "data/{name_of}"')
    place = f"data/{data['train']}"
    readme = _README.format(file=data["train"], place=place, input=data["input"], label=data["label"], note="", task=sample.tree["task"])
    return _encoded({folder / _RECIPE: text, **files, folder / "data" / "README.md": readme})


def _encoded(files: dict[Path, str]) -> dict[Path, bytes]:
    return {file: text.encode("utf-8") for file, text in files.items()}


def _example(task: str) -> Traversable | None:
    """Return the small example file of a task, if smidgen has one."""
    file = importlib.resources.files("smidgen") / "samples" / "init" / f"{task}.csv"
    return file if file.is_file() else None


def _columns(example: Traversable | None) -> list[str]:
    if example is None:
        return ["input", "output"]
    return example.read_text(encoding="utf-8").partition("\n")[0].strip().split(",")


def _name(folder: Path) -> str:
    """Return the model's name: the folder's name, in letters that are safe in a folder and a model name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", folder.resolve().name).strip("-.") or "my-model"


part = init
