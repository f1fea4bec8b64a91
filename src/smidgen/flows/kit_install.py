"""Install smidgen from the kit that this file lies in. Needs only Python, and no network.

python install.py ENVIRONMENT
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

KIT = Path(__file__).resolve().parent
SUMS = "SHA256SUMS"
_BLOCK = 1 << 20


def main() -> int:
    """Check the kit, install it, copy its bases, and run smidgen doctor. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Install smidgen from this kit, without a network.")
    parser.add_argument("environment", type=Path, help="The folder of the environment to make.")
    parser.add_argument("--no-deps", action="store_true", help="Install smidgen's own wheel alone.")
    parser.add_argument("--no-doctor", action="store_true", help="Do not run smidgen doctor in the end.")
    asked = parser.parse_args()
    facts = json.loads((KIT / "kit.json").read_text(encoding="utf-8"))
    have = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if have != facts["python"]:
        return failed(f"the kit is for Python {facts['python']}, and this is {have}: run it with python{facts['python']}")
    if fault := altered():
        return failed(fault)
    say(f"Every file of {KIT} has its hash.")
    venv.create(asked.environment, with_pip=True)
    folder = asked.environment / ("Scripts" if os.name == "nt" else "bin")
    python = folder / ("python.exe" if os.name == "nt" else "python")
    wanted = f"smidgen[{facts['extra']}]" if facts["extra"] and not asked.no_deps else "smidgen"
    command = [
        str(python),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-index",
        "--find-links",
        str(KIT / "wheels"),
        "--disable-pip-version-check",
    ]
    if subprocess.run([*command, *(["--no-deps"] if asked.no_deps else []), wanted], check=False).returncode != 0:
        return failed("pip could not install from wheels/")
    if not asked.no_deps:
        script = "from smidgen.store.files import home; print(home())"
        home = Path(subprocess.run([str(python), "-c", script], check=True, capture_output=True, text=True).stdout.strip())
        for kind in ("bases", "web"):
            for place in sorted((KIT / kind).glob("*")):
                say(f"{place.name} -> {home / kind / place.name}")
                shutil.copytree(place, home / kind / place.name, dirs_exist_ok=True)
    say(f"Installed: {folder / 'smidgen'}")
    return 0 if asked.no_doctor else subprocess.run([str(python), "-m", "smidgen", "doctor"], check=False).returncode


def altered() -> str:
    """Return how the kit differs from its list of hashes; empty if it does not."""
    listed = {}
    for line in (KIT / SUMS).read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition("  ")
        listed[name] = digest
    present = {file.relative_to(KIT).as_posix() for file in KIT.rglob("*") if file.is_file()} - {SUMS}
    if listed.keys() != present:
        return f"the kit lacks or adds files: {', '.join(sorted(listed.keys() ^ present)[:3])}"
    return next((f"{name} is not the file that was packed" for name, digest in listed.items() if hashed(KIT / name) != digest), "")


def hashed(file: Path) -> str:
    """Return the SHA-256 of a file, as hex."""
    found = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(text + "\n")


def failed(text: str) -> int:
    """Print an error, and return the exit code of a failure."""
    sys.stderr.write(f"error: {text}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
