"""`/metrics` says what the last look at a bundle's traffic found, and nothing where nobody looked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.server.conftest import Running, WordModel

from smidgen.watch import drift_record

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def gauges(running: Running) -> list[str]:
    return [line for line in running.client.get("/metrics").text.splitlines() if line.startswith("smidgen_drift_")]


def test_the_last_look_is_shown(serve: Callable[..., Running], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path))
    model = WordModel()
    running = serve(model)
    assert gauges(running) == []
    found = {"alarm": True, "moved": ["words"], "tests": [{"what": "words", "size": 0.25}]}
    drift_record.change(model.id, model.name, lambda known: known.model_copy(update={"looks": 3}).looked(3, NOW, NOW, found))
    shown = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in gauges(running)}
    assert shown == {
        'smidgen_drift_alarm{model="support"}': 1.0,
        'smidgen_drift_size{model="support",what="words"}': 0.25,
        'smidgen_drift_looks{model="support"}': 3.0,
        'smidgen_drift_looked_timestamp_seconds{model="support"}': NOW.timestamp(),
    }
    drift_record.place(model.id, model.name).write_bytes(b"{")
    assert gauges(running) == [], "what cannot be read is left out, and the rest is shown"
    assert running.client.get("/metrics").status_code == 200
