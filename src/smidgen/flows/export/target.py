"""What every target of an export is given, and what it gives back."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from smidgen.bundles.manifest import Manifest
from smidgen.bundles.open import Bundle
from smidgen.core.errors import BundleError, InputError
from smidgen.store.hashing import file_hash

SCHEMA = "schema.json"
"""The file beside the model that answers are to be held to, where the bundle holds them to one."""


@dataclass(frozen=True, slots=True)
class ExportNotes:
    """What is to be said of an export: `notes`, sentences on what is not as in the bundle; `commands`, what to run next in its folder."""

    notes: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


SERVE = "Serve it: smidgen serve."
"""What can be done with any bundle."""


class ExportRefusal(InputError):
    """A bundle that a target cannot take. Its `todo` says what else could be built, or `SERVE`.
    `flows.exporting` adds the targets that take the bundle, after asking each."""


class ExportTarget(Protocol):
    """A way to hand a bundle to another program. Its file's name is the target's name."""

    summary: str

    def check(self, bundle: Bundle) -> None:
        """Raise Refusal for a bundle that cannot be handed over so. Whatever passes can be written. Quick: nothing is copied."""
        ...

    def write(self, bundle: Bundle, out: Path) -> ExportNotes:
        """Write the files of a bundle that passed `check` into the empty folder `out`."""
        ...


def engine_of(bundle: Bundle, wanted: Sequence[str], target: str, todo: str = SERVE) -> Manifest:
    """The manifest, where the bundle runs on one of the wanted engines. Raises Refusal where it does not."""
    manifest = bundle.manifest
    if manifest.engine.engine not in wanted:
        raise ExportRefusal(
            f"a bundle of the task {manifest.task} that runs on the engine {manifest.engine.engine} cannot be exported to {target}",
            value=str(bundle.folder),
            todo=todo,
        )
    return manifest


def copied(bundle: Bundle, name: str, to: Path) -> Path:
    """A file of the bundle, copied. Raises BundleError where the copy is not what the manifest says."""
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(bundle.folder / name, to)
    if file_hash(to) != bundle.manifest.files[name].sha256:
        raise BundleError("a file changed while it was copied", value=name, todo="Is the disk full? Export again.", file=name)
    return to


def plain_name(name: str) -> str:
    """A bundle's name in letters, digits, dots and dashes, as other programs want names."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._") or "model"


def licence_of(manifest: Manifest) -> str:
    """The licence of the pretrained weights, the one that the weights are passed on under; "unknown" where there is none."""
    return manifest.base.licence if manifest.base else "unknown"


def measured_line(manifest: Manifest) -> str:
    """The headline metric in a sentence, as it was measured on the bundle."""
    found = manifest.metrics.get(manifest.headline)
    if found is None:
        return "The bundle holds no measured quality."
    return (
        f"Measured on the bundle {manifest.id} through its own engine{', every answer held to its schema' if schema_of(manifest) else ''}: "
        f"{manifest.headline} {found.value:.3f} (95 %: {found.low:.3f} to {found.high:.3f}, {found.n} test rows)."
    )


def once_only(manifest: Manifest) -> list[str]:
    """What is to be said of a writer whose answers smidgen checks: another program writes once. Nothing, where they are not checked."""
    if not manifest.form.get("attempts"):
        return []
    return [
        "smidgen writes a text anew that leaves out or adds an attribute, and the measured quality counts that. Other programs write once: "
        "expect more such texts."
    ]


def schema_of(manifest: Manifest) -> dict[str, Any]:
    """The JSON schema that the bundle's engine holds every answer to; empty where answers are free texts."""
    found: Any = manifest.engine.options.get("schema_of_answers") or {}
    return dict(found)


def held(manifest: Manifest, out: Path, how: str) -> list[str]:
    """Write the schema of the answers into `out`, and return what is to be said of it: no model's file holds one, and without it nothing
    holds the answers to their form. Nothing, where answers are free texts. `how` says how the other program is given it."""
    schema = schema_of(manifest)
    if not schema:
        return []
    (out / SCHEMA).write_text(json.dumps(schema, ensure_ascii=False, indent=2) + "\n", encoding="utf-8", newline="\n")
    return [
        f"The measured quality holds only for answers that are held to {SCHEMA}: without it they may be no JSON, or have other fields. "
        f"{how} smidgen also takes what was cut, or does not fit, for no answer: check each one against the schema."
    ]


def instruction_of(manifest: Manifest) -> str:
    """What the model was told to do with each text; empty where it was told nothing."""
    found: Any = manifest.form.get("instruction") or ""
    return str(found)
