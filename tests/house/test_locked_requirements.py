"""What is installed is locked: by version and by hash, for the image and the checks, and as the project's own requirements allow it."""

from __future__ import annotations

import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tools import locks

from .conftest import ROOT


def needed(extras: tuple[str, ...]) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    return [Requirement(line) for line in lines]


def test_each_requirement_is_locked_at_a_version_that_it_allows() -> None:
    """After a change of pyproject.toml: make lock."""
    seen, faults = 0, []
    for name, extras in locks.LOCKS.items():
        held = {canonicalize_name(package): versions for package, versions in locks.packages(name).items()}
        for need in needed(extras):
            if need.name == "torch":  # which build of it a machine needs differs
                continue
            seen += 1
            versions = held.get(canonicalize_name(need.name), [])
            if not versions or not all(need.specifier.contains(Version(version), prereleases=True) for version in versions):
                faults.append(f"{name}: {need} is locked at {versions}")
    assert faults == []
    assert seen > 60


def test_every_locked_package_has_its_hashes() -> None:
    seen = 0
    for name in locks.LOCKS:
        text = (locks.FOLDER / name).read_text(encoding="utf-8")
        blocks = [block for block in re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE) if block.strip()]
        assert [block.splitlines()[0] for block in blocks if not re.search(r"--hash=sha256:[0-9a-f]{64}", block)] == []
        seen += len(blocks)
    assert seen > 150


def test_the_image_has_no_pytorch_and_is_not_run_by_root() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert {"torch", "transformers", "onnx"} & locks.packages("serve.lock").keys() == set()
    assert "--require-hashes" in text and re.search(r"^USER (?!root)", text, re.MULTILINE) and "HEALTHCHECK" in text
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
    files = [file for line in copied for file in line.split()]
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert [file for file in files if not (ROOT / file).exists() or f"!{file}" not in ignored] == []
    assert len(files) >= 5


def test_a_lock_leaves_out_what_comes_with_pytorch() -> None:
    left = "torch==2.1 \\\n    --hash=sha256:a\n", "nvidia-cublas==1 ; x \\\n    --hash=sha256:c\ncuda-toolkit==1\n"
    text = f"{left[0]}numpy==2.0 \\\n    --hash=sha256:b\n{left[1]}torchx==1\n"
    assert locks.kept(text) == "numpy==2.0 \\\n    --hash=sha256:b\ntorchx==1\n"


def test_no_private_part_of_httpcore_is_read_under_an_open_range() -> None:
    text = (ROOT / "src" / "smidgen" / "server" / "gateway" / "transport.py").read_text(encoding="utf-8")
    assert re.findall(r"(?<!self)\.(_[a-z]\w*)", re.sub(r"self\._\w+", "self", text)) == []
