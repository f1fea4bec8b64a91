"""Importing smidgen loads nothing heavy; serving never loads what training needs."""

from __future__ import annotations

import json
from pathlib import Path

from .conftest import Fresh

HEAVY = ("numpy", "onnxruntime", "torch", "transformers", "sklearn", "scipy", "polars", "tokenizers", "fastapi", "pydantic", "rich")
TRAINING = ("torch", "transformers", "sklearn", "onnx", "scipy", "huggingface_hub")

_LOADED = "import sys, json; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"


def loaded(fresh: Fresh, code: str) -> set[str]:
    """Top-level modules in memory after some code has run in a process of its own."""
    return set(json.loads(fresh("-c", f"{code}\n{_LOADED}").stdout.splitlines()[-1]))


def test_importing_smidgen_loads_nothing_heavy(fresh: Fresh) -> None:
    modules = loaded(fresh, "import smidgen; smidgen.__version__")
    assert "smidgen" in modules
    assert sorted(modules & set(HEAVY)) == []


def test_the_command_line_opens_without_heavy_rooms(fresh: Fresh) -> None:
    """`smidgen --version` must answer at once: numpy and the engines wait until a verb needs them."""
    modules = loaded(fresh, "from smidgen.cli.main import code; code(['--version'])")
    assert "typer" in modules
    assert sorted(modules & {"numpy", "onnxruntime", "torch", "transformers", "sklearn", "polars", "fastapi"}) == []


def test_near_texts_are_found_without_torch(fresh: Fresh) -> None:
    """What `serve --cache semantic` opens: the starter encoder, in an engine."""
    modules = loaded(
        fresh, "from smidgen.flows.embedding import open_cache_encoder; assert open_cache_encoder()('where is my parcel') is not None"
    )
    assert {"smidgen", "onnxruntime"} <= modules
    assert sorted(modules & {"torch", "transformers", "sklearn", "scipy"}) == []


def test_serving_never_loads_torch(fresh: Fresh, bundle: Path) -> None:
    """Open a real bundle, make the whole HTTP application, answer through both: nothing of training is in memory."""
    code = f"""
from smidgen.cli import serve, predict, eval as evaluation, chat
from smidgen.flows.local_model import load
from smidgen.server.app import create_app
from fastapi.testclient import TestClient
model = load({str(bundle)!r}, threads=1)
assert len(model.predict(["where is my parcel", "cancel my order please"])) == 2
with TestClient(create_app([model]), base_url="http://127.0.0.1") as client:
    asked = {{"model": model.name, "messages": [{{"role": "user", "content": "do you take amex"}}]}}
    answer = client.post("/v1/chat/completions", json=asked)
    assert answer.status_code == 200, answer.text
"""
    modules = loaded(fresh, code)
    assert {"smidgen", "onnxruntime", "fastapi"} <= modules
    assert sorted(modules & set(TRAINING)) == []
