"""The manifest `smidgen.json`, which describes a bundle, and the rules for files in a bundle."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from smidgen.core.errors import BundleError
from smidgen.core.parts import EngineSpec

FORMAT_VERSION = 1
"""The format version that this smidgen writes, and the only one that it opens."""

MANIFEST = "smidgen.json"
MAX_MANIFEST_BYTES = 8 * 1024 * 1024
"""A larger manifest is refused unread. Ten thousand labels take 400 kB."""

ALLOWED_SUFFIXES = frozenset({".json", ".md", ".toml", ".html", ".svg", ".png", ".onnx", ".gguf", ".safetensors", ".txt"})
"""Kinds of file that a bundle may hold. None of them can execute."""

_RESERVED = frozenset({"con", "prn", "aux", "nul", *(f"{device}{number}" for device in ("com", "lpt") for number in range(1, 10))})


def name_fault(name: str) -> str | None:
    """Why a file of this name may not be in a bundle; None if it may. The rules are equal on every system."""
    if not name or len(name) > 200 or not name.isprintable():
        return "its name is empty, over 200 characters, or not printable"
    if "\\" in name or ":" in name:
        return "its name has a backslash or a colon, which lead out of the folder on some systems"
    if name.startswith("/") or any(step in ("", ".", "..") for step in name.split("/")):
        return "its path leads out of the folder, or is not the shortest"
    for step in name.split("/"):
        if step.startswith(".") or step.endswith((".", " ")) or step.split(".")[0].lower() in _RESERVED:
            return "its name is hidden, reserved, or ends in a way that some systems change"
    if PurePosixPath(name).suffix not in ALLOWED_SUFFIXES:
        return f"its kind is not one that a bundle may hold ({' '.join(sorted(ALLOWED_SUFFIXES))})"
    return None


def _safe(name: str) -> str:
    fault = name_fault(name)
    if fault:
        raise ValueError(fault)
    return name


FileName = Annotated[str, AfterValidator(_safe)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _ManifestPart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class FileEntry(_ManifestPart):
    """A file of the bundle: its hash and its size in bytes."""

    sha256: Sha256
    size: int = Field(ge=0)


class EngineEntry(_ManifestPart):
    """How the bundle is run; the fields of `EngineSpec`."""

    engine: str
    files: tuple[FileName, ...]
    options: dict[str, Any] = Field(default_factory=dict)
    method: str = "fp32"

    @staticmethod
    def of(spec: EngineSpec) -> EngineEntry:
        """The entry for a spec."""
        return EngineEntry(engine=spec.engine, files=spec.files, options=spec.options, method=spec.method)

    def spec(self) -> EngineSpec:
        """The spec of this entry."""
        return EngineSpec(engine=self.engine, files=self.files, options=dict(self.options), method=self.method)


class Columns(_ManifestPart):
    """Names of the columns in the data that the bundle was built from."""

    input: str | tuple[str, ...] = "input"
    label: str = "output"


class BaseEntry(_ManifestPart):
    """The pretrained weights that the student was trained from; the fields of `core.parts.Base`, without its folder."""

    name: str
    sha256: Sha256
    licence: str = "unknown"
    source: str = ""


class DataEntry(_ManifestPart):
    """The data: hash of the training rows, the number of rows in each part, and the licence."""

    sha256: Sha256
    rows: dict[str, int] = Field(default_factory=dict)
    licence: str = "unknown"


class Licence(_ManifestPart):
    """A link of the licence chain: a component and its licence."""

    what: str
    licence: str
    source: str = ""


class Lineage(_ManifestPart):
    """The origin of a line's version.

    Attributes:
        parent: the id of the champion when it was made; None for the first.
        sources: training rows by the source of their outputs: `original` and `data` (given by the user), `upstream` (a large model's
            answers), `human` (corrected by a person).
        teacher: the large models that answered, by the requested names; empty for none.
        choosing: held-out rows for the comparison with its parent.
        certifying: held-out rows for its certificate.
    """

    parent: Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")] | None = None
    sources: dict[str, int] = Field(default_factory=dict)
    teacher: tuple[str, ...] = ()
    choosing: int = Field(default=0, ge=0)
    certifying: int = Field(default=0, ge=0)


class MetricInterval(_ManifestPart):
    """A metric with its 95 % interval; the fields of `core.quantities.Metric`."""

    value: float
    low: float
    high: float
    n: int


class Manifest(_ManifestPart):
    """The content of `smidgen.json`.

    Attributes:
        format_version: of the bundle format; see `FORMAT_VERSION`.
        name: the user's name for the model.
        created: ISO 8601, in UTC.
        smidgen_version: the version that packed it.
        task: name of the task part.
        form: labels or schema, and the fitted decision (temperature, thresholds), which the task reads; see `core.forms.Form`.
        engine: how to run it.
        columns: the columns of input and label in its data.
        files: every file but the manifest, by name; filled in by packing.
        base: its pretrained weights; None for a student without a base.
        data: its training data; None if unknown.
        licences: the licence chain: base, data, result.
        student: name of the student part.
        settings: of the student.
        metrics: the headline metrics, measured on the packed files through the engine.
        headline: name of the bundle's main metric, for tables.
        lineage: the origin of a line's version; written only if set, so that other bundles keep their bytes.
        seal: SHA-256 of the rest of the manifest, hex; see `sealed`.
    """

    format_version: int = FORMAT_VERSION
    name: str = Field(min_length=1, max_length=200)
    created: str
    smidgen_version: str
    task: str
    form: dict[str, Any]
    engine: EngineEntry
    columns: Columns = Columns()
    files: dict[FileName, FileEntry] = Field(default_factory=dict)
    base: BaseEntry | None = None
    data: DataEntry | None = None
    licences: tuple[Licence, ...] = ()
    student: str = ""
    settings: dict[str, Any] = Field(default_factory=dict)
    metrics: dict[str, MetricInterval] = Field(default_factory=dict)
    headline: str = ""
    lineage: Lineage | None = None
    seal: str = ""

    def sealed(self) -> Manifest:
        """A copy with its seal: the SHA-256 of all the rest. It detects accidents and careless edits, not someone who seals anew."""
        return self.model_copy(update={"seal": hashlib.sha256(self._rest()).hexdigest()})

    @property
    def whole(self) -> bool:
        """Whether the seal matches the content."""
        return self.seal == hashlib.sha256(self._rest()).hexdigest()

    def _rest(self) -> bytes:
        return self.model_copy(update={"seal": ""}).canonical()

    @property
    def id(self) -> str:
        """The bundle's id: 12 hex digits of the SHA-256 of the manifest's content. Any change of any file changes it."""
        return hashlib.sha256(self.canonical()).hexdigest()[:12]

    def canonical(self) -> bytes:
        """The content in canonical form: sorted keys, no spaces, UTF-8."""
        return json.dumps(self._facts(), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")

    def pretty(self) -> bytes:
        """The content in the form that is written to disk."""
        return (json.dumps(self._facts(), indent=2, ensure_ascii=False) + "\n").encode("utf-8")

    def _facts(self) -> dict[str, Any]:
        """All fields that are written. Bundles from before lineages have none, and must keep their seal and their id."""
        return self.model_dump(mode="json", exclude={"lineage"} if self.lineage is None else None)


MAX_FILES = 1000
"""A folder with more files is not a bundle."""


def files_below(folder: Path) -> list[str]:
    """Names of all files in a folder and below, relative, with `/`, sorted.

    Raises:
        BundleError: there is a link, something that is neither file nor folder, or more than `MAX_FILES` files.
    """
    return sorted(_walk(folder))


def _walk(folder: Path) -> Iterator[str]:
    seen = 0
    pending = [(folder, "")]
    while pending:
        place, prefix = pending.pop()
        with os.scandir(place) as entries:
            for entry in entries:
                name = prefix + entry.name
                seen += 1
                if seen > MAX_FILES:
                    raise BundleError("bundles.there_are_too_many_files", max_files=MAX_FILES, file=name)
                if entry.is_symlink() or (hasattr(entry, "is_junction") and entry.is_junction()):
                    raise BundleError("bundles.there_is_link_in_folder", value=name, file=name)
                if entry.is_dir(follow_symlinks=False):
                    pending.append((Path(entry.path), name + "/"))
                elif entry.is_file(follow_symlinks=False):
                    yield name
                else:
                    raise BundleError("bundles.folder_has_something_not_a_file", value=name, file=name)
