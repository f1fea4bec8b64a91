"""The lock files: every package that the image and the checks install, with its version and its hashes.

python -m tools.locks           write requirements/serve.lock and requirements/ci.lock anew
python -m tools.locks --sbom    write dist/sbom.cdx.json, the bill of materials of what serves (CycloneDX)

`serve.lock` is what the image installs. `ci.lock` is what the checks install, without PyTorch and what comes with it: which build of it a
machine needs differs. Both need the package `uv`, the bill `cyclonedx-bom`: `pip install uv cyclonedx-bom`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "requirements"
LOCKS: dict[str, tuple[str, ...]] = {"serve.lock": (), "ci.lock": ("train", "test", "docs")}
"""Each lock with the extras that it has."""
_LEFT_OUT = ("torch", "triton", "setuptools", "cuda-*", "nvidia-*")
_PACKAGE = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


def main(arguments: list[str]) -> int:
    """Write what is asked for. Returns the exit code."""
    if arguments == ["--sbom"]:
        return bill()
    for name, extras in LOCKS.items():
        compile_lock(name, extras)
        print(f"wrote requirements/{name}, {len(packages(name))} packages")
    return 0


def compile_lock(name: str, extras: tuple[str, ...]) -> None:
    """Resolve one lock, for every system and Python that smidgen runs on."""
    command = ["uv", "pip", "compile", "--quiet", "pyproject.toml", "--universal", "--python-version", "3.11", "--generate-hashes"]
    command += ["--no-header", "--no-annotate", "--output-file", f"requirements/{name}", *(f"--extra={extra}" for extra in extras)]
    subprocess.run(command, cwd=ROOT, check=True)
    file = FOLDER / name
    file.write_text(kept(file.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")


def kept(text: str) -> str:
    """A lock without the packages that come with PyTorch."""
    blocks = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)
    names = re.compile("|".join(name.replace("*", ".*") for name in _LEFT_OUT))
    return "".join(block for block in blocks if (found := _PACKAGE.match(block)) is None or not names.fullmatch(found[1]))


def packages(name: str) -> dict[str, list[str]]:
    """The versions of each package of a lock; several where systems need different ones."""
    found: dict[str, list[str]] = {}
    for package, version in _PACKAGE.findall((FOLDER / name).read_text(encoding="utf-8")):
        found.setdefault(package, []).append(version)
    return found


def bill() -> int:
    """Write the bill of materials of what serves."""
    (ROOT / "dist").mkdir(exist_ok=True)
    command = ["cyclonedx-py", "requirements", "requirements/serve.lock", "--pyproject", "pyproject.toml", "--output-reproducible"]
    return subprocess.run([*command, "--of", "JSON", "-o", "dist/sbom.cdx.json"], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
