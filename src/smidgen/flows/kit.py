"""Write a kit: a folder that lets a machine without a network install smidgen, and build and serve with it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smidgen.bases import web_runtime
from smidgen.bases.lookup import pull
from smidgen.bases.starter import starters
from smidgen.core.errors import InputError, SmidgenError, UnknownPart
from smidgen.core.progress import Progress, Silent
from smidgen.core.version import VERSION
from smidgen.store.files import file_hash

SUMS = "SHA256SUMS"
_PIP_SECONDS = 3600
_MODE = 0o644


@dataclass(frozen=True, slots=True)
class Kit:
    """A finished kit: its folder, number of wheels, bases, whether it has the web runtime, and its size in bytes."""

    folder: Path
    wheels: int
    bases: tuple[str, ...]
    web: bool
    size: int


class KitError(SmidgenError):
    """A kit that cannot be made: pip cannot get or build a wheel."""


def write_kit(
    out: Path, *, train: bool = False, web: bool = False, bases: Sequence[str] | None = None, progress: Progress | None = None
) -> Kit:
    """Write a kit into the new or empty folder `out`. It appears complete or not at all.

    Args:
        train: whether the kit can build, not only serve.
        web: whether it includes the runtime for exports to the browser.
        bases: names of starters. None: those that `auto` takes if it can build, else none.

    Raises:
        InputError: the folder is not empty.
        UnknownPart: there is no such starter.
        KitError: pip cannot get or build a wheel.
        BaseError: a base or the web runtime cannot be fetched.
    """
    progress = progress or Silent()
    names = tuple(bases if bases is not None else [name for name, starter in starters().items() if starter.automatic] if train else ())
    for name in names:
        if name not in starters():
            raise UnknownPart("starter base", name, starters())
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError("flows.place_for_kit_is_not_empty_folder", value=str(out))
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as beside:
        fresh = Path(beside) / "new"
        (fresh / "wheels").mkdir(parents=True)
        progress.start("smidgen's own wheel")
        own = own_wheel(fresh / "wheels")
        progress.finish()
        progress.start("wheels of its dependencies")
        dependencies(own, ("train",) if train else ())
        progress.finish(f"{len(list((fresh / 'wheels').glob('*.whl'))) - 1}")
        for name in names:
            shutil.copytree(pull(name, progress).folder, fresh / "bases" / name)
        if web:
            runtime = web_runtime.pull(progress)
            shutil.copytree(runtime, fresh / "web" / runtime.name)
        _texts(fresh, train, names, web)
        files = _sums(fresh)
        if out.exists():
            out.rmdir()
        fresh.replace(out)
    size = sum((out / name).stat().st_size for name in files)
    return Kit(out, len(list((out / "wheels").glob("*.whl"))), names, web, size)


def own_wheel(out: Path) -> Path:
    """Build smidgen's wheel from the clone that is running. Raises KitError if there is no clone, or the wheel cannot be built."""
    clone = Path(__file__).resolve().parents[3]
    if not (clone / "pyproject.toml").is_file():
        raise KitError("flows.smidgen_was_not_installed_from_clone", value=str(clone))
    # If the build backend is installed, building without isolation needs no network.
    isolated = [] if _installed("hatchling") is None else ["--no-build-isolation"]
    _pip(["wheel", "--quiet", "--no-deps", *isolated, "--wheel-dir", str(out), str(clone)])
    return next(out.glob("smidgen-*.whl"))


def dependencies(own: Path, extras: Sequence[str]) -> None:
    """Download the wheels of smidgen's dependencies beside its own, in the versions installed here. Raises KitError if pip fails."""
    wanted = requirements(own, extras)
    with tempfile.TemporaryDirectory() as box:
        (Path(box) / "requirements.txt").write_text("\n".join(wanted) + "\n", encoding="utf-8")
        (Path(box) / "constraints.txt").write_text("\n".join(_versions()) + "\n", encoding="utf-8")
        told = ["-r", f"{box}/requirements.txt", "-c", f"{box}/constraints.txt"]
        _pip(["download", "--quiet", "--only-binary=:all:", "--dest", str(own.parent), *told])


def requirements(own: Path, extras: Sequence[str]) -> list[str]:
    """Return the requirements that a wheel declares, including those of some extras."""
    with zipfile.ZipFile(own) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        told = archive.read(name).decode("utf-8").partition("\n\n")[0]
    found = []
    for line in re.findall(r"^Requires-Dist: (.*)$", told, re.MULTILINE):
        need, _, marker = line.partition(";")
        extra = re.search(r"""extra\s*==\s*["']([\w-]+)["']""", marker)
        if extra is None or extra[1] in extras:
            rest = re.sub(r"""\s*(?:and\s*)?\(?extra\s*==\s*["'][\w-]+["']\)?""", "", marker).strip()
            found.append(f"{need.strip()}; {rest}" if rest else need.strip())
    return found


def _versions() -> list[str]:
    """Pin every package installed here. One installed from a folder has no version that an index knows."""
    own = {}
    for found in importlib.metadata.distributions():
        told = found.read_text  # of the package's own record, which is UTF-8
        if found.metadata["Name"] and not told("direct_url.json"):
            own[found.metadata["Name"]] = found.version
    return sorted(f"{name}=={version}" for name, version in own.items() if name.lower() not in ("smidgen", "pip", "setuptools"))


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _pip(arguments: Sequence[str]) -> None:
    command = [sys.executable, "-P", "-m", "pip", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PIP_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise KitError("flows.pip_did_not_end_in_time", value=" ".join(arguments[:2])) from None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise KitError("flows.pip_failed", value=" ".join(arguments[:2]), last=last[:300])


def _texts(out: Path, train: bool, bases: Sequence[str], web: bool) -> None:
    """Write the installing script and the README."""
    facts = {
        "smidgen": VERSION,
        "extra": "train" if train else "",
        "bases": list(bases),
        "web": web,
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
        "system": f"{platform.system()} {platform.machine()}",
    }
    (out / "kit.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8", newline="\n")
    script = Path(__file__).parent / "kit_install.py"
    shutil.copyfile(script, out / "install.py")
    holds = [f"- `wheels/`: smidgen {VERSION} and what it needs to {'build and serve' if train else 'serve'}"]
    holds += [f"- `bases/{name}/`: {starters()[name].title}, {starters()[name].licence}" for name in bases]
    holds += ["- `web/`: ONNX Runtime's web build, for `smidgen export --to onnx-web`"] if web else []
    text = _README.format(python=facts["python"], system=facts["system"], holds="\n".join(holds))
    (out / "README.md").write_text(text, encoding="utf-8", newline="\n")


def _sums(out: Path) -> list[str]:
    """Write every file's SHA-256 in the format of `sha256sum -c`. Returns the names of all files."""
    files = sorted(file.relative_to(out).as_posix() for file in out.rglob("*") if file.is_file())
    text = "".join(f"{file_hash(out / name)}  {name}\n" for name in files)
    (out / SUMS).write_text(text, encoding="utf-8", newline="\n")
    for name in [*files, SUMS]:
        if os.name == "posix":
            (out / name).chmod(_MODE)
    return [*files, SUMS]


def kit_digest(out: Path) -> str:
    """Return the SHA-256 of a kit's list of hashes. Compare it before you install; get it by another way than the kit."""
    return hashlib.sha256((out / SUMS).read_bytes()).hexdigest()


_README = """# smidgen for a machine without a network

For Python {python} on {system}. It holds

{holds}

Install it:

```
python{python} install.py smidgen-env
```

The script checks the SHA-256 of every file against `SHA256SUMS`, makes the environment `smidgen-env`, installs from `wheels/` alone, copies
the bases to where smidgen looks for them (`SMIDGEN_HOME`, else the user's cache folder), and runs `smidgen doctor`. It asks no network.

`SHA256SUMS` shows that the kit came whole, not who made it. Compare the hash of `SHA256SUMS`, which `smidgen kit` printed, by another way.
"""
