"""Each peer has an environment of its own, so that its versions are its own: `bench/.venv-<peer>`, made from `peers/<peer>.txt`."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from bench import process

HERE = Path(__file__).parent
PEERS = ("hf_trainer", "setfit", "transformers_server", "peft_loop", "presidio", "litellm", "implicit", "recbole")
_LIMIT = 3600.0


class NoPeer(Exception):
    """A peer that cannot be installed here."""


def python(peer: str, logs: Path) -> Path:
    """The interpreter of a peer's environment, which is made, or made up to date, first. Raises NoPeer."""
    wanted = HERE / "peers" / f"{peer}.txt"
    folder = HERE / f".venv-{peer}"
    interpreter = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    mark = folder / ".installed"
    stamp = hashlib.sha256(wanted.read_bytes() + sys.version.encode()).hexdigest()
    if interpreter.exists() and mark.is_file() and mark.read_text(encoding="ascii") == stamp:
        return interpreter
    print(f"installing {peer} into {folder.name} (once; some minutes)", flush=True)
    steps = [[sys.executable, "-m", "venv", folder], [interpreter, "-m", "pip", "install", "--quiet", "-r", wanted]]
    for number, step in enumerate(steps):
        ran = process.run(step, limit=_LIMIT, log=logs / f"install-{peer}-{number}")
        if ran.trouble:
            raise NoPeer(f"{peer} cannot be installed: {ran.trouble}")
    mark.write_text(stamp, encoding="ascii")
    return interpreter
