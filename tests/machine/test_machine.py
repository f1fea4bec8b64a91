"""The machine's meters say what they measured, and how."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from smidgen.machine import memory, processor
from smidgen.usage import energy


def test_energy_without_counters_is_an_estimate_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "_RAPL", tmp_path / "none")
    meter = energy.EnergyMeter()
    end = time.process_time() + 0.05
    while time.process_time() < end:
        pass
    found = meter.read()
    assert found.method.startswith("estimate: 10 W a busy core")
    assert found.watt_hours >= 0.05 * 10 / 3600
    assert not energy.rapl_readable()


def test_energy_is_read_from_the_package_counters_and_unwraps_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "_RAPL", tmp_path)
    for name, start in (("intel-rapl:0", 1_000_000), ("intel-rapl:1", 9_000_000)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "energy_uj").write_text(str(start), encoding="ascii")
        (folder / "max_energy_range_uj").write_text("10000000", encoding="ascii")
    (tmp_path / "intel-rapl:0:0").mkdir()
    meter = energy.EnergyMeter()
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("5000000", encoding="ascii")
    (tmp_path / "intel-rapl:1" / "energy_uj").write_text("2000000", encoding="ascii")
    found = meter.read()
    # 4 J, and 3 J over the counter's end.
    assert found.watt_hours == pytest.approx(7 / 3600)
    assert found.method.startswith("rapl")


def test_threads_come_from_the_caller_then_the_environment_then_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIDGEN_THREADS", "3")
    assert processor.threads(5) == 5
    assert processor.threads() == 3
    monkeypatch.setenv("SMIDGEN_THREADS", "many")
    assert processor.threads() == processor.cores() >= 1


def test_memory_is_told_in_megabytes() -> None:
    resident, peak = memory.resident_mb(), memory.peak_mb()
    if resident is not None:
        assert 10 < resident < 100_000
        assert peak is not None
        assert peak >= resident * 0.9


def test_energy_in_short_says_whether_it_is_an_estimate() -> None:
    assert energy.Energy(0.416, "rapl: package counters of the processor").short() == "0.42 Wh"
    assert energy.Energy(1.5, "estimate: 10 W a busy core").short() == "1.50 Wh (estimate)"
