"""How each gateway of the overhead bench is started: smidgen in its ways, and LiteLLM's proxy, all before one upstream."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.classifiers import CLI
from bench.shop import Shop

BIG = "big"
"""What the upstream calls its model."""


@dataclass(frozen=True)
class Line:
    """One line of the table.

    Attributes:
        name: as the table says it.
        command: starts it; `{port}` becomes its port. Empty: the upstream is asked itself.
        env: more of its environment.
        ready: the path that answers 200 once it is ready.
        model: what requests ask for.
        texts: the file of texts that it is asked.
        peer: whether it is not smidgen's.
        local: whether all is to be answered by the bundle.
    """

    name: str
    command: Sequence[str | Path] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    ready: str = "/readyz"
    model: str = BIG
    texts: Path = Path()
    peer: bool = False
    local: bool = False

    @property
    def key(self) -> str:
        """Its name as a file's."""
        return "".join(sign if sign.isalnum() else "-" for sign in self.name)


def smidgen(name: str, upstream: str, texts: Path, home: Path, flags: Sequence[str] = ()) -> Line:
    """smidgen without a bundle: everything passes."""
    command = [*CLI, "serve", "--fallback", f"{upstream}/v1", "--fallback-model", BIG, "--port", "{port}", "--no-access-log", *flags]
    return Line(name, command, {"SMIDGEN_HOME": str(home)}, texts=texts)


def local(name: str, upstream: str, texts: Path, home: Path, shop: Shop, flags: Sequence[str] = ()) -> Line:
    """smidgen with a bundle under a certificate, asked only what that lets it answer; what is answered is captured."""
    command = [*CLI, "serve", shop.folder, "--fallback", f"{upstream}/v1", "--fallback-model", BIG, "--capture", "answers"]
    env = {"SMIDGEN_HOME": str(home)}
    return Line(name, [*command, "--port", "{port}", "--no-access-log", *flags], env, model=shop.folder.name, texts=texts, local=True)


def litellm(name: str, upstream: str, texts: Path, python: Path, folder: Path, workers: int) -> Line:
    """LiteLLM's proxy with one model and no database, its access log off as smidgen's is; it asks nobody for prices."""
    folder.mkdir(parents=True, exist_ok=True)
    model = {"model": f"openai/{BIG}", "api_base": f"{upstream}/v1", "api_key": "unused"}
    config = {"model_list": [{"model_name": BIG, "litellm_params": model}], "litellm_settings": {"telemetry": False}}
    settings = folder / "config.yaml"  # JSON is YAML
    settings.write_text(json.dumps(config), encoding="utf-8")
    logs = {"version": 1, "disable_existing_loggers": False, "loggers": {"uvicorn.access": {"level": "WARNING"}}}
    quiet = folder / "logs.json"
    quiet.write_text(json.dumps(logs), encoding="utf-8")
    program = python.parent / ("litellm.exe" if sys.platform == "win32" else "litellm")
    command = [program, "--config", settings, "--host", "127.0.0.1", "--port", "{port}", "--num_workers", str(workers)]
    env = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "LITELLM_MODE": "PRODUCTION"}
    ready = "/health/liveliness"
    return Line(name, [*command, "--log_config", quiet], env, ready=ready, texts=texts, peer=True)
