"""Nothing but the service holds what is served: what an old champion takes is free once it has ended."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.line_versions import line_of
from tests.upstream_stub import upstream_stub

from smidgen.cli import main
from smidgen.flows import local_model
from smidgen.flows.local_model import Model
from smidgen.server import process
from smidgen.server.service import Service

STORED = ("--capture", "answers", "--capture-redact", "allow")
GATEWAY = ("--fallback-model", "big", "--cache", "exact", "--cache-scope", "all", "--audit-share", "0.5", "--privacy", "mask")


@pytest.fixture(autouse=True)
def quick_collections() -> Iterator[None]:
    """The collector passes over what was there before, which is much where many tests have run."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize("flags", [(), STORED, (*STORED, *GATEWAY)], ids=["plain", "stored", "gateway"])
@pytest.mark.parametrize("said", [(), ("--json",)], ids=["words", "json"])
def test_what_the_command_opened_is_held_by_the_service_alone(
    flags: tuple[str, ...], said: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    line, _ = line_of(tmp_path / "support", 1)
    opened: list[weakref.ref[Model]] = []
    services: list[Service] = []
    held: list[bool] = []
    load_all, init = local_model.load_all, Service.__init__

    def load_noted(folders: Sequence[Path | str], *more: Any) -> list[Model]:
        models = load_all(folders, *more)
        if list(folders) == [line.folder]:
            opened.extend(weakref.ref(model) for model in models)
        return models

    def init_noted(self: Service, models: Sequence[Any], *more: Any) -> None:
        init(self, models, *more)
        services.append(self)

    async def replaced() -> None:
        (service,), (new,) = services, load_all([line.folder], 1)
        await service.retire(service.replace(new))
        new.close()

    def run(app: Any, bound: Any, settings: Any, ready: Any) -> None:
        ready()
        held.extend(one() is not None for one in opened)
        asyncio.run(replaced())
        gc.collect()
        held.extend(one() is not None for one in opened)

    monkeypatch.setattr(local_model, "load_all", load_noted)
    monkeypatch.setattr(Service, "__init__", init_noted)
    monkeypatch.setattr(process, "run", run)
    with upstream_stub() as upstream:
        fallback = ("--fallback", upstream.url) if "--privacy" in flags else ()
        assert main.code(["serve", str(line.folder), "--port", "0", "--threads", "1", *said, *flags, *fallback]) == 0
    assert held == [True, False]
