"""What was consumed: by the counters where they can be read, by their share of what the machine did; else an estimate."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from smidgen.usage import energy
from smidgen.usage.energy import Consumption, seconds_of

TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class Machine:
    """A machine of files: a package, all busy time, and one other process."""

    def __init__(self, folder: Path) -> None:
        self.package = folder / "powercap" / "intel-rapl:0"
        self.proc = folder / "proc"
        (self.proc / "77").mkdir(parents=True)
        self.package.mkdir(parents=True)
        (self.package / "max_energy_range_uj").write_text("1000000000", encoding="ascii")
        self.set(joules=100, busy=50.0, other=3.0)

    def set(self, joules: float, busy: float, other: float) -> None:
        (self.package / "energy_uj").write_text(str(int(joules * 1e6)), encoding="ascii")
        user = round(busy * TICKS)
        (self.proc / "stat").write_text(f"cpu  {user} 0 0 99999 8888 0 0 7777 0 0\ncpu0 1 1\nbtime 1\n", encoding="ascii")
        fields = ["S", *["0"] * 10, str(round(other * TICKS)), *["0"] * 40]
        (self.proc / "77" / "stat").write_text(f"77 (an (odd) name) {' '.join(fields)}\n", encoding="utf-8")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    made = Machine(tmp_path)
    monkeypatch.setattr(energy, "_RAPL", made.package.parent)
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(made.proc))
    clock = iter([1.0, 1.0, 3.0, 4.0, 4.0, 4.0])
    monkeypatch.setattr(time, "process_time", lambda: next(clock))
    yield made


def test_measured_energy_is_shared_out_by_processor_time(machine: Machine) -> None:
    meter = Consumption()
    meter.note([77])  # it is new: what it took before is not of this time
    machine.set(joules=180, busy=60.0, other=6.0)
    meter.note([77, 4711])
    found = meter.take()
    assert (found.own, found.others) == (2.0, {77: pytest.approx(3.0)})
    assert found.measured == pytest.approx(80 * 5 / 10) and found.estimated == 0.0
    machine.set(joules=20, busy=62.0, other=6.0)  # the counter has gone round: 840 J
    meter.note([77])
    assert meter.take().measured == pytest.approx(840 * 1 / 2)
    meter.note([77])  # nothing was done
    assert meter.take().measured == 0.0 and meter.take().seconds == 0.0


def test_what_was_noted_is_kept_until_it_is_taken_and_counters_that_vanish_make_it_an_estimate(machine: Machine) -> None:
    meter = Consumption()
    meter.note([77])
    machine.set(joules=180, busy=60.0, other=6.0)
    meter.note([77])
    (machine.package / "energy_uj").unlink()
    meter.note([77])
    found = meter.take()
    assert found.own == 3.0 and found.measured == pytest.approx(40.0) and found.estimated == 10.0


def test_without_counters_it_is_an_estimate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "_RAPL", tmp_path / "none")
    meter = Consumption()
    end = time.process_time() + 0.05
    while time.process_time() < end:
        pass
    meter.note([])
    found = meter.take()
    assert found.own >= 0.05 and found.estimated == pytest.approx(10 * found.own) and found.measured == 0.0


def test_another_process_is_seen_as_long_as_it_runs() -> None:
    busy = "import time\nwhile time.process_time() < 0.2: pass\nprint('done', flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", busy], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline()
        seconds = seconds_of(other.pid)
        other.communicate(b"\n")
    assert seconds is not None and seconds >= 0.19
    assert seconds_of(other.pid) is None
