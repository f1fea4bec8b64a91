"""Export a bundle: open it, let the named target write another program's files, and put them in place whole."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from smidgen.bundles.manifest import Manifest, files_below
from smidgen.bundles.open import Bundle, find_bundle
from smidgen.core.errors import BundleError, InputError
from smidgen.core.forms import Form
from smidgen.core.progress import Progress, Silent
from smidgen.flows.local_model import read_task
from smidgen.parts import registry
from smidgen.store.files import file_hash

SCHEMA = "schema.json"
"""The file with the schema for answers, if the bundle's answers must fit one."""


@dataclass(frozen=True, slots=True)
class ExportNotes:
    """Notes on an export. `notes`: sentences on differences from the bundle. `commands`: the next commands to run in its folder."""

    notes: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


SERVE = "Serve it: smidgen serve."
"""The advice that fits any bundle."""


class ExportRefusal(InputError):
    """A bundle that a target cannot take. Its `todo` names an alternative to build, or is `SERVE`. `export` adds the targets that take the
    bundle."""


class ExportTarget(Protocol):
    """A way to export a bundle to another program. Its file's name is the target's name."""

    summary: str

    def check(self, bundle: Bundle) -> None:
        """Raise ExportRefusal for a bundle that cannot be exported so. Any bundle that passes can be written. Quick: copies nothing."""
        ...

    def write(self, bundle: Bundle, out: Path) -> ExportNotes:
        """Write the files of a bundle that passed `check` into the empty folder `out`."""
        ...


_WRITES = "llama"
"""The engine of models that write, which is all that Ollama, LM Studio and transformers run."""


def other_build(manifest: Manifest, engines: Sequence[str]) -> str:
    """The build that a program would take which runs one of the engines; `SERVE` where there is none."""
    if manifest.engine.engine == _WRITES:
        return SERVE
    task = registry.find("tasks", manifest.task)
    student = next((kind for kind in task.students if registry.find("students", kind).engine in engines), None)
    if student is not None:
        return f"Build one that is a graph alone: smidgen build with --student {student}."
    if _WRITES in engines and task.rows_name_labels:
        return "It runs models that write: for it, build again with --task write, which writes the label as a text."
    return SERVE


def engine_of(bundle: Bundle, wanted: Sequence[str], target: str) -> Manifest:
    """The manifest, if the bundle runs on one of the wanted engines. Raises ExportRefusal otherwise, with the build that would."""
    manifest = bundle.manifest
    if manifest.engine.engine not in wanted:
        raise ExportRefusal(
            f"a bundle of the task {manifest.task} that runs on the engine {manifest.engine.engine} cannot be exported to {target}",
            value=str(bundle.folder),
            todo=other_build(manifest, wanted),
        )
    return manifest


def copy_file(bundle: Bundle, name: str, to: Path) -> Path:
    """Copy a file of the bundle. Raises BundleError if the copy's hash differs from the manifest's."""
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(bundle.folder / name, to)
    if file_hash(to) != bundle.manifest.files[name].sha256:
        raise BundleError("flows.file_changed_while_it_was_copied", value=name, file=name)
    return to


def plain_name(name: str) -> str:
    """A bundle's name in letters, digits, dots and dashes, as other programs require."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._") or "model"


def licence_of(manifest: Manifest) -> str:
    """The licence of the pretrained weights, under which the weights are passed on; "unknown" if there is none."""
    return manifest.base.licence if manifest.base else "unknown"


def measured_line(manifest: Manifest) -> str:
    """The headline metric in a sentence, as measured on the bundle."""
    found = manifest.metrics.get(manifest.headline)
    if found is None:
        return "The bundle holds no measured quality."
    return (
        f"Measured on the bundle {manifest.id} through its own engine{', every answer held to its schema' if schema_of(manifest) else ''}: "
        f"{manifest.headline} {found.value:.3f} (95 %: {found.low:.3f} to {found.high:.3f}, {found.n} test rows)."
    )


def form_of(manifest: Manifest) -> Form:
    """The form of a bundle. Raises BundleError for one that nothing can be decided by."""
    return read_task(manifest)[1]


def single_attempt_note(manifest: Manifest) -> list[str]:
    """A note for a writer whose answers smidgen checks, because another program writes once. Empty if they are not checked."""
    task, form = read_task(manifest)
    if task.checks is None or not task.checks.attempts(form):
        return []
    return [
        "smidgen writes a text anew that leaves out or adds an attribute, and the measured quality counts that. Other programs write once: "
        "expect more such texts."
    ]


def schema_of(manifest: Manifest) -> dict[str, Any]:
    """The JSON schema that the bundle's engine enforces on every answer; empty if answers are free texts."""
    found: Any = manifest.engine.options.get("schema_of_answers") or {}
    return dict(found)


def write_schema(manifest: Manifest, out: Path, how: str) -> list[str]:
    """Write the schema of the answers into `out`, and return a note on it, because no model file contains one and without it answers may
    have any form. Empty if answers are free texts. `how`: how to give it to the other program."""
    schema = schema_of(manifest)
    if not schema:
        return []
    (out / SCHEMA).write_text(json.dumps(schema, ensure_ascii=False, indent=2) + "\n", encoding="utf-8", newline="\n")
    return [
        f"The measured quality holds only for answers that are held to {SCHEMA}: without it they may be no JSON, or have other fields. "
        f"{how} smidgen also takes what was cut, or does not fit, for no answer: check each one against the schema."
    ]


def instruction_of(manifest: Manifest) -> str:
    """The instruction that the model was given for each text; empty for none."""
    return form_of(manifest).writing.instruction


ROOM = "flows.export"
"""The room of the targets: one file each."""


_MODE = 0o644


@dataclass(frozen=True)
class ExportResult:
    """A finished export: the bundle, the target, the folder, and the notes on it."""

    name: str
    id: str
    target: str
    folder: Path
    told: ExportNotes

    def json(self) -> dict[str, Any]:
        """The value that `smidgen export --json` prints: every file with its SHA-256 and size in bytes."""
        files = {
            name: {"sha256": file_hash(self.folder / name), "size": (self.folder / name).stat().st_size}
            for name in files_below(self.folder)
        }
        facts = {"name": self.name, "bundle": self.id, "to": self.target, "folder": str(self.folder), "files": files}
        return {**facts, "notes": list(self.told.notes), "commands": list(self.told.commands)}


def export(bundle: Path, target: str, out: Path | None = None, progress: Progress | None = None) -> ExportResult:
    """Write a bundle as the files of another program.

    Args:
        bundle: the folder of a bundle or a line; every hash is checked first.
        target: the program to export for.
        out: the folder to make, new or empty; default: the bundle's name and the target's, in the current folder.

    Raises:
        UnknownPart: there is no such target.
        InputError: the bundle cannot be exported so (the message gives alternatives), or `out` is not empty.
        BundleError: the bundle must not be opened.
    """
    progress = progress or Silent()
    part: ExportTarget = registry.find(ROOM, target)
    progress.start(f"export to {target}")
    opened = find_bundle(bundle).bundle
    place = out or Path(f"{plain_name(opened.manifest.name)}-{target}")
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise InputError("flows.folder_for_export_is_not_empty", value=str(place))
    try:
        part.check(opened)
    except ExportRefusal as refusal:
        raise InputError(refusal.what, value=refusal.value, todo=other_targets(opened, target, refusal.todo)) from refusal
    place.parent.mkdir(parents=True, exist_ok=True)
    # Made beside its place and renamed into it, so that there is never half an export.
    with tempfile.TemporaryDirectory(prefix=f".{place.name}-", dir=place.parent) as beside:
        fresh = Path(beside) / "new"
        fresh.mkdir()
        told = part.write(opened, fresh)
        _set_modes(fresh)
        if place.exists():
            place.rmdir()
        fresh.replace(place)
    progress.finish(str(place))
    return ExportResult(opened.manifest.name, opened.id, target, place, told)


def other_targets(bundle: Bundle, target: str, todo: str = SERVE) -> str:
    """Advice for a bundle that a target does not take: the other targets that take it, and serving."""
    others = [name for name in registry.names(ROOM) if name != target and is_taken(bundle, name)]
    offer = f"Export it --to {' or '.join(others)}, or serve it: smidgen serve." if others else SERVE
    return offer if todo == SERVE else f"{todo} {offer}"


@dataclass(frozen=True, slots=True)
class TargetState:
    """A target, and why it does not take a bundle with what to do about it; empty where it does."""

    name: str
    summary: str
    why: str
    todo: str


def target_states(bundle: Bundle) -> list[TargetState]:
    """Every target, those that take the bundle first."""
    found = []
    for name in registry.names(ROOM):
        part: ExportTarget = registry.find(ROOM, name)
        why = todo = ""
        try:
            part.check(bundle)
        except ExportRefusal as refusal:
            why, todo = refusal.what, refusal.todo
        found.append(TargetState(name, part.summary, why, todo))
    return sorted(found, key=lambda one: bool(one.why))


def is_taken(bundle: Bundle, target: str) -> bool:
    """Whether a target takes a bundle."""
    try:
        registry.find(ROOM, target).check(bundle)
    except ExportRefusal:
        return False
    return True


def _set_modes(folder: Path) -> None:
    """Make every file readable by all, writable by its owner, and not executable."""
    for file in folder.rglob("*"):
        if file.is_file():
            file.chmod(_MODE)
