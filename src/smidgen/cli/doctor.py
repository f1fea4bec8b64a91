"""`smidgen doctor`: check this machine, and show how to fix what is missing."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import platform
import re
import shutil
import socket
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Annotated, Literal

import typer
from rich.markup import escape

from smidgen.bases.starter import Starter, starters
from smidgen.cli.screen import out, print_json
from smidgen.core.errors import BaseError, MachineError, install_line
from smidgen.machine.memory import available_mb, total_mb
from smidgen.machine.processor import processor
from smidgen.parts import registry
from smidgen.store.files import home
from smidgen.store.sqlite_wal import resets_safely
from smidgen.store.step_results import prune, size_of, step_folders
from smidgen.usage.energy import rapl_readable

_MARKS = {"ok": "[green]ok     [/]", "warn": "[yellow]warn   [/]", "missing": "[red]missing[/]"}


def doctor(
    online: Annotated[bool, typer.Option("--online", help="Also ask whether the model hub can be reached (two seconds at most).")] = False,
    clean: Annotated[
        bool, typer.Option("--clean", help="Remove the stored results of build steps that no running build uses, and say what that freed.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the checks, or what was freed, as JSON.")] = False,
) -> int:
    """Show what this machine can do and how to fix what is missing.

    It exits with 1 only where something is broken that smidgen cannot do without.

    Example: smidgen doctor --online
    """

    if clean:
        freed = prune(step_folders(), 0)
        left = size_of(step_folders())
        if as_json:
            print_json({"freed_bytes": freed, "left_bytes": left})
        else:
            kept = f"; {left / 1e6:,.0f} MB are in use by a running build" if left else ""
            out.print(f"Freed {freed / 1e6:,.0f} MB of build results{kept}. Your models and data are untouched.")
        return 0
    found = list(checks(online))
    broken = [check.name for check in found if check.required and check.state == "missing"]
    if as_json:
        print_json({"ok": not broken, "checks": [asdict(check) for check in found]})
        return int(bool(broken))
    width = max(len(check.name) for check in found)
    for check in found:
        out.print(f"{_MARKS[check.state]} {check.name:<{width}}  {escape(check.value)}", soft_wrap=True)
        if check.mend:
            out.print(f"{'':{width + 8}}  [dim]→ {escape(check.mend)}[/]", soft_wrap=True)
    if broken:
        out.print(f"\n[red]Broken:[/] {', '.join(broken)}. smidgen does not work until this is fixed.")
    elif any(check.state == "missing" for check in found):
        out.print("\nThis machine can serve. To build, it needs the missing parts above.")
    else:
        out.print("\nThis machine can build and serve.")
    return int(bool(broken))


part = doctor


State = Literal["ok", "warn", "missing"]

PORT = 8080
_PYTHONS = ((3, 11), (3, 13))
_SERVING = ("onnxruntime", "tokenizers", "safetensors", "fastapi", "uvicorn", "polars", "xllamacpp")
_TRAINING = ("torch", "transformers", "onnx", "scikit-learn", "scipy", "huggingface-hub", "gguf")
_POOLS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "SMIDGEN_THREADS")
_FREE_GB = 2.0
_MEMORY_MB = 2_000
_HUB = "https://huggingface.co"
_HUB_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check. `mend`: the command or step that fixes it; `required`: smidgen does not work without it."""

    name: str
    state: State
    value: str
    mend: str = ""
    required: bool = False


def checks(online: bool = False) -> Iterator[Check]:
    """Run every check, in the order shown. `online` also asks the model hub, for at most two seconds."""
    yield _python()
    yield from _processor()
    yield _memory()
    yield from _disk()
    yield _sqlite()
    yield from (_serving(package) for package in _SERVING)
    yield from (_training(package) for package in _TRAINING)
    yield from (_wing(wing.name, wing.value) for wing in sorted(importlib.metadata.entry_points(group="smidgen.wings")))
    yield from _bases()
    yield _energy()
    yield from _thread_variables()
    yield _port()
    if online:
        yield _hub()


def _python() -> Check:
    version = platform.python_version()
    if _PYTHONS[0] <= sys.version_info[:2] <= _PYTHONS[1]:
        return Check("python", "ok", version, required=True)
    low, high = (".".join(map(str, bound)) for bound in _PYTHONS)
    return Check("python", "missing", version, f"make the environment with Python {low} to {high}: make demo PYTHON=python{high}", True)


def _processor() -> Iterator[Check]:
    cpu = processor()
    if cpu.cores >= 2:
        yield Check("cores", "ok", f"{cpu.cores} ({cpu.name})")
    else:
        yield Check("cores", "warn", f"{cpu.cores} ({cpu.name})", "training on one core takes twice as long; allow the process another")
    if cpu.bf16:
        yield Check("bf16", "ok", ", ".join(flag for flag in cpu.flags if "bf16" in flag))
    else:
        yield Check("bf16", "warn", "not in this processor", "training runs in f32, at about half the speed")
    if cpu.int8:
        yield Check("int8", "ok", ", ".join(flag for flag in cpu.flags if "bf16" not in flag) or "supported")
    else:
        yield Check("int8", "warn", "not in this processor", "int8 models may be slower here; each build measures and chooses")


def _memory() -> Check:
    total, free = total_mb(), available_mb()
    value = f"{free / 1e3:.1f} of {total / 1e3:.1f} GB free"
    if free < _MEMORY_MB:
        return Check("memory", "warn", value, f"training takes up to {_MEMORY_MB / 1e3:g} GB: close other programs")
    return Check("memory", "ok", value)


def _disk() -> Iterator[Check]:
    try:
        place = home()
    except MachineError as error:
        yield Check("cache folder", "missing", f"{error.what}: {error.value}", "set SMIDGEN_HOME to another folder", required=True)
        return
    if not os.access(place, os.W_OK):
        yield Check("cache folder", "missing", f"{place} cannot be written to", "set SMIDGEN_HOME to another folder", required=True)
        return
    free = shutil.disk_usage(place).free / 1e9
    if free < _FREE_GB:
        yield Check("cache folder", "warn", f"{free:.1f} GB free at {place}", "free some space, or set SMIDGEN_HOME to another disk")
    else:
        yield Check("cache folder", "ok", f"{free:.1f} GB free at {place}", required=True)
    taken = size_of(step_folders())
    if taken:
        yield Check(
            "build results", "ok", f"{taken / 1e9:.1f} GB; the least recently used go first", "to remove them: smidgen doctor --clean"
        )


def _sqlite() -> Check:
    """Check whether Python's SQLite has the bug that can corrupt a database in WAL mode. smidgen's own writers avoid it
    (`store/sqlite_wal.py`)."""
    version = sqlite3.sqlite_version
    if resets_safely():
        return Check("sqlite", "ok", version)
    mend = "smidgen avoids it; let no other program write to its databases"
    return Check("sqlite", "warn", f"{version} has the WAL-reset bug (fixed in 3.51.3)", mend)


def _serving(package: str) -> Check:
    """Check a package that serving needs: it must be installed and load (a wheel of the wrong kind does not load)."""
    try:
        version = importlib.metadata.version(package)
        importlib.import_module(package)
    except (importlib.metadata.PackageNotFoundError, ImportError, OSError) as error:
        return Check(package, "missing", f"does not load ({error})", "pip install --force-reinstall smidgen", required=True)
    return Check(package, "ok", version, required=True)


def _training(package: str) -> Check:
    """Check a package of the extra `train`. Only its version is looked up, because loading it takes seconds."""
    try:
        return Check(package, "ok", importlib.metadata.version(package))
    except importlib.metadata.PackageNotFoundError:
        return Check(package, "missing", "not installed; building needs it, serving does not", install_line("train"))


def _wing(name: str, package: str) -> Check:
    """Check a wing: its package must be there, and what its extra, of the same name, installs."""
    if package not in registry.wings():
        return Check(f"wing {name}", "warn", "not installed", "pip install --force-reinstall smidgen")
    lacking = []
    for requirement in importlib.metadata.requires("smidgen") or ():
        wanted = re.match(rf"([\w.-]+)[^;]*;\s*extra == ['\"]{name}['\"]", requirement)
        if wanted and not _installed(wanted[1]):
            lacking.append(wanted[1])
    if lacking:
        return Check(f"wing {name}", "warn", f"some of it needs {', '.join(lacking)}, not installed", install_line(name))
    return Check(f"wing {name}", "ok", "complete")


def _installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _bases() -> Iterator[Check]:
    with contextlib.suppress(MachineError):  # without a home there are no bases, and the check of the folder reports it
        for starter in starters().values():
            if starter.automatic or starter.here():
                yield _base(starter)


def _base(starter: Starter) -> Check:
    name = f"base {starter.name}"
    if not starter.here():
        return Check(name, "missing", f"{starter.title}, not fetched ({starter.megabytes} MB)", f"smidgen pull {starter.name}")
    try:
        starter.verify()
    except BaseError as error:
        mend = f"delete {starter.folder}, then: smidgen pull {starter.name}"
        return Check(name, "missing", f"{error.what}: {error.value}", mend)
    return Check(name, "ok", f"{starter.title}, hashes verified")


def _energy() -> Check:
    if rapl_readable():
        return Check("energy counters", "ok", "RAPL")
    return Check("energy counters", "warn", "RAPL cannot be read", "energy is estimated, and reports say so")


def _thread_variables() -> Iterator[Check]:
    """Check variables that make thread pools compete for the cores: the most common reason for a model that is ten times too slow."""
    cores, found = processor().cores, False
    for name in _POOLS:
        value = os.environ.get(name, "")
        if value.isdigit() and int(value) > cores:
            found = True
            yield Check(name, "warn", f"{value} threads on {cores} cores", f"unset {name}, or set it to at most {cores}")
    if os.environ.get("OMP_WAIT_POLICY", "").lower() == "active":
        found = True
        yield Check("OMP_WAIT_POLICY", "warn", "active: idle threads spin", "unset OMP_WAIT_POLICY")
    if not found:
        yield Check("thread variables", "ok", "none slows models down")


def _port() -> Check:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if os.name == "posix":  # as the server binds: it can use a port in TIME_WAIT
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", PORT))
        except OSError:
            return Check(f"port {PORT}", "warn", "in use", "choose another: smidgen serve DIR --port 8081")
    return Check(f"port {PORT}", "ok", "free")


def _hub() -> Check:
    import httpx

    place = os.environ.get("HF_ENDPOINT", _HUB).rstrip("/")
    try:
        status = httpx.head(place, timeout=_HUB_SECONDS, follow_redirects=True).status_code
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        mend = "starter bases come with pip; for others use a local folder, or set HF_ENDPOINT to a mirror"
        return Check("model hub", "warn", f"{place} does not answer ({type(error).__name__})", mend)
    return Check("model hub", "ok", f"{place} answers ({status})")
