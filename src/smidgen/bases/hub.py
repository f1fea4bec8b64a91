"""A base from the model hub, by the hub's own client: its cache, its offline switches (HF_HUB_OFFLINE), its mirror (HF_ENDPOINT)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from smidgen.bases.folder import family_of
from smidgen.core.errors import BaseError, MissingExtra
from smidgen.core.parts import Base
from smidgen.store.weight_files import safetensors_files, weights_hash

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


def download(repository: str, out: Path, files: Sequence[str]) -> None:
    """Put single files of a hub repository into `out`. Raises BaseError where the hub cannot be reached."""
    for name in files:
        try:
            hub = _client()
            hub.hf_hub_download(repository, name, local_dir=out)
        except (OSError, ValueError) as error:
            raise _unreachable(f"hf:{repository}", error) from error


def find(repository: str) -> Base:
    """A model of the hub, encoder or decoder, from the hub's cache where it is whole, else fetched.

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
        raise BaseError(
            "the model has no model.safetensors, nor an index of several",
            value=f"hf:{repository}",
            todo="Choose a model that is published as safetensors.",
        )
    source = f"https://huggingface.co/{repository}"
    return Base(f"hf:{repository}", folder, weights_hash(weights), _licence(folder), source, family_of(folder))


def _whole(folder: Path) -> bool:
    """Whether what the cache holds is all there: a fetch may have been stopped between two of several weight files."""
    try:
        return (folder / "config.json").is_file() and bool(safetensors_files(folder))
    except BaseError:
        return False


def _client() -> Any:
    # Read by the client when it is imported: without it a silent network is waited for much longer.
    os.environ.setdefault("HF_HUB_ETAG_TIMEOUT", _CONNECT_SECONDS)
    os.environ.setdefault("HF_HUB_DOWNLOAD_TIMEOUT", "30")
    try:
        import huggingface_hub
    except ImportError:
        raise MissingExtra("huggingface-hub", "train") from None
    return huggingface_hub


def _licence(folder: Path) -> str:
    """The licence in the model card's header, as the hub names it; "unknown" where it says none."""
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
    return BaseError(
        f"the model hub did not give the base ({type(error).__name__}: {reason[:160]})",
        value=name,
        todo="Offline ways: use the starter (`--base minilm`, fetched by `smidgen pull minilm`); name a local folder with config.json, "
        "tokenizer.json and model.safetensors; copy a hub cache here and set HF_HOME; or set HF_ENDPOINT to a mirror you can reach.",
    )
