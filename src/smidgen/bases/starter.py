"""The starter bases: small data files that say what there is, where it comes from, and what its files must hash to."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path

from smidgen.core.bases import Base
from smidgen.core.errors import BaseError
from smidgen.store.hashing import file_hash
from smidgen.store.home import home
from smidgen.store.weights import weight_files


@dataclass(frozen=True, slots=True)
class Starter:
    """One starter base. `files` maps names to SHA-256; `weights` is the file that stands for the base; `hub` is its hub repository."""

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

    @property
    def folder(self) -> Path:
        """Where its files lie once they are fetched."""
        return home() / "bases" / self.name

    def here(self) -> bool:
        """Whether all its files are on this machine. Sizes and hashes are checked by `verify`."""
        return all((self.folder / name).is_file() for name in self.files)

    def verify(self, folder: Path | None = None) -> Base:
        """The base, every file hashed. Raises BaseError, naming the file, where one is missing or is not the published one."""
        folder = folder or self.folder
        for name, expected in self.files.items():
            file = folder / name
            if not file.is_file():
                raise BaseError("a file of the base is missing", value=str(file), todo=f"Run: smidgen pull {self.name}")
            if file_hash(file) != expected:
                raise BaseError(
                    "a file of the base is not the published one (SHA-256 differs)",
                    value=str(file),
                    todo=f"Delete {folder} and run: smidgen pull {self.name}",
                )
        if weight_files(folder) != [folder / self.weights]:
            raise BaseError(
                "beside the base's weights lie others, which would be read in their place",
                value=str(folder),
                todo=f"Delete the folder and run: smidgen pull {self.name}",
            )
        return Base(self.name, folder, self.files[self.weights], self.licence, self.source, self.family)


@functools.cache
def starters() -> dict[str, Starter]:
    """All starter bases by name."""
    found = {}
    for file in sorted((Path(__file__).parent / "starters").glob("*.toml")):
        entry = tomllib.loads(file.read_text(encoding="utf-8"))
        package = entry.pop("package")
        found[entry["name"]] = Starter(
            **entry,
            package=package["name"],
            package_version=package["version"],
            package_folder=package["folder"],
            megabytes=package["megabytes"],
        )
    return found
