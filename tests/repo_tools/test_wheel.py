"""The wheel as people install it: made from the sdist, with the Studio's page, which opens where there is no Node."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import httpx
import pytest
from tests.house.conftest import ROOT
from tools.studio_page import PAGE

pytestmark = [
    pytest.mark.thorough,
    pytest.mark.skipif(not (PAGE / "index.html").is_file(), reason="the page was not built: make studio"),
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that the sdist of this checkout gives."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("built")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", folder], cwd=ROOT, check=True)
    (packed,) = folder.glob("*.tar.gz")
    with tarfile.open(packed) as archive:
        archive.extractall(folder / "sdist", filter="data")
    (tree,) = (folder / "sdist").iterdir()
    assert not (tree / "studio" / "node_modules").exists() and (tree / "studio" / "package.json").is_file()
    subprocess.run([sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder], cwd=tree, check=True)
    (found,) = folder.glob("*.whl")
    return found


def test_it_carries_every_file_of_the_page(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name.partition("studio/dist/")[2] for name in archive.namelist() if name.startswith("smidgen/studio/dist/")}
    built = {file.relative_to(PAGE).as_posix() for file in PAGE.rglob("*") if file.is_file()}
    assert packed == built and len(built) > 20


def test_it_opens_the_studio_without_node(wheel: Path, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    # What it needs is here already: nothing is fetched.
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", installed, wheel]
    subprocess.run(install, check=True)
    environment = {**os.environ, "PATH": str(tmp_path), "PYTHONPATH": str(installed), "SMIDGEN_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-P", "-m", "smidgen", "studio", "--json", "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            link = json.loads(process.stdout.readline())["url"]
            with httpx.Client(follow_redirects=True, trust_env=False) as client:
                page = client.get(link)
                script = re.search(r'src="(/assets/[^"]+\.js)"', page.text)
                assert page.status_code == 200 and script is not None
                assert (
                    client.get(str(page.url.join(script[1]))).content
                    == (installed / "smidgen" / "studio" / "dist" / script[1][1:]).read_bytes()
                )
        finally:
            process.terminate()
