"""The files that run a bundle in a browser: ONNX Runtime's web build and a tokenizer, three files of two npm packages.

They are fetched once, checked against the hashes below, and stored in smidgen's home. An installed npm fetches them, because it knows the
local mirror and proxy; else they come from a public copy of the npm registry, or from `SMIDGEN_WEB_RUNTIME_URL`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smidgen.core.errors import BaseError
from smidgen.core.progress import Progress, Silent
from smidgen.machine.processes import find_program
from smidgen.store.files import file_hash, home

NAME = "onnx-web"
"""Its name for `smidgen pull`."""

URL = "https://cdn.jsdelivr.net/npm"
URL_VARIABLE = "SMIDGEN_WEB_RUNTIME_URL"
_NPM_SECONDS = 600
_CONNECT_SECONDS = 5.0
_READ_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Asset:
    """One file: its npm package and version, its path in the package, its SHA-256, its greatest size in bytes, and its licence."""

    package: str
    version: str
    path: str
    sha256: str
    most: int
    licence: str

    @property
    def name(self) -> str:
        """The file's name without its path."""
        return self.path.rpartition("/")[2]


_ORT = ("onnxruntime-web", "1.30.0")
ASSETS = (
    Asset(*_ORT, "dist/ort.wasm.bundle.min.mjs", "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90", 1_000_000, "MIT"),
    Asset(*_ORT, "dist/ort-wasm-simd-threaded.wasm", "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2", 40_000_000, "MIT"),
    Asset(
        "@huggingface/tokenizers",
        "0.2.0",
        "dist/tokenizers.min.mjs",
        "258e46332101335ce8d95aed7745b19ac3b46d37f3e159a89cf894c2ea9b1d3a",
        1_000_000,
        "Apache-2.0",
    ),
)


def folder() -> Path:
    """The folder of the fetched files."""
    return home() / "web" / f"{_ORT[0]}-{_ORT[1]}"


def here() -> bool:
    """Whether all files are on this machine. `verified` checks their hashes."""
    return all((folder() / asset.name).is_file() for asset in ASSETS)


def verified(place: Path | None = None) -> Path:
    """The folder with the files, every one hashed. Raises BaseError, naming the file, if one is missing or differs from the published
    one."""
    place = place or folder()
    verified_files(place, [asset.name for asset in ASSETS])
    return place


def verified_files(place: Path, names: Sequence[str]) -> None:
    """Hash some of the files in a folder. Raises BaseError, naming the file, if one is missing or differs from the published one."""
    for asset in ASSETS:
        if asset.name not in names:
            continue
        file = place / asset.name
        if not file.is_file():
            raise BaseError("bases.file_of_web_runtime_is_missing", value=str(file))
        if file_hash(file) != asset.sha256:
            raise BaseError("bases.file_of_web_runtime_is_not_published", value=str(file), place=place)


def pull(progress: Progress | None = None) -> Path:
    """The folder with the files, fetched if missing. Raises BaseError if they cannot be fetched, or differ from the published ones."""
    if here():
        return verified()
    progress = progress or Silent()
    progress.start("fetch the web runtime (ONNX Runtime for browsers, 14 MB)")
    folder().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".web-", dir=folder().parent) as beside:
        box = Path(beside) / "new"
        box.mkdir()
        _fetch(box)
        verified(box)
        shutil.rmtree(folder(), ignore_errors=True)
        box.replace(folder())
    progress.finish("MIT and Apache-2.0, hashes verified")
    return verified()


def _fetch(box: Path) -> None:
    """Fetch by npm if it is installed, else from the public copy, or from the URL in the environment."""
    reasons = []
    if os.environ.get(URL_VARIABLE) is None and find_program("npm"):
        try:
            for package, version in dict.fromkeys((asset.package, asset.version) for asset in ASSETS):
                _by_npm(package, version, [asset for asset in ASSETS if asset.package == package], box)
            return
        except (BaseError, OSError, subprocess.TimeoutExpired, tarfile.TarError) as error:
            reasons.append(f"npm: {_first_line(error)}")
    try:
        _by_http(os.environ.get(URL_VARIABLE, URL).rstrip("/"), box)
    except BaseError as error:
        reasons.append(error.what)
        raise BaseError("bases.web_runtime_cannot_be_fetched", value=NAME, reasons="; ".join(reasons), folder=folder()) from error


def _by_npm(package: str, version: str, assets: Sequence[Asset], box: Path) -> None:
    npm = find_program("npm")
    assert npm is not None
    with tempfile.TemporaryDirectory() as place:
        command = [npm, "pack", "--silent", "--fetch-retries=0", "--pack-destination", place, f"{package}@{version}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_NPM_SECONDS, check=False, cwd=place)
        packed = list(Path(place).glob("*.tgz"))
        if done.returncode != 0 or not packed:
            raise BaseError((done.stderr.strip().splitlines() or ["it said nothing"])[0][:200], value=package, todo="Check the network.")
        wanted = {f"package/{asset.path}": asset for asset in assets}
        with tarfile.open(packed[0], "r|gz") as archive:
            for member in archive:
                asset = wanted.get(member.name)
                if asset is None or not member.isfile() or member.size > asset.most:
                    continue
                source = archive.extractfile(member)
                assert source is not None
                with source, (box / asset.name).open("wb") as target:
                    shutil.copyfileobj(source, target)


def _by_http(url: str, box: Path) -> None:
    import httpx

    timeout = httpx.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS)
    with httpx.Client(timeout=timeout, follow_redirects=True) as client:
        for asset in ASSETS:
            place = f"{url}/{asset.package}@{asset.version}/{asset.path}"
            try:
                with client.stream("GET", place) as reply, (box / asset.name).open("wb") as target:
                    reply.raise_for_status()
                    size = 0
                    for piece in reply.iter_bytes():
                        size += len(piece)
                        if size > asset.most:
                            raise BaseError("bases.mirror_sends_too_many_bytes", value=asset.name, place=place, most=asset.most)
                        target.write(piece)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise BaseError(f"{place}: {_first_line(error)}", value=asset.name, todo="Check the network.") from error


def _first_line(error: Exception) -> str:
    text = error.what if isinstance(error, BaseError) else str(error)
    return (text.strip().splitlines() or [type(error).__name__])[0][:200]
