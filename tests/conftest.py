"""What many tests share: a home of their own, the sample shop's rows, and one tiny bundle built by the real flow."""

from __future__ import annotations

import contextlib
import csv
import gc
import importlib
import importlib.resources
import json
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import certifi
import pytest
from tests import examples
from tests.made_once import made_once

LABELS = (
    "account/delete",
    "account/login",
    "contact/human",
    "damage/arrived_broken",
    "delivery/late",
    "order/cancel",
    "order/invoice",
    "payment/failed",
    "payment/methods",
    "product/care",
    "return/how_to",
    "shop/opening_hours",
)
"""The twelve labels of the tiny bundle."""

ROWS_PER_LABEL = 12
UNKNOWN = "out_of_scope"


# Else each of the hundreds of processes that tests start would compile smidgen anew, and pytest every file of tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
os.environ["LANGUAGE"] = "en"  # also where whoever runs the tests reads messages in another language
# Thousands of tests stay in memory, and trees of the source: to look through them for garbage took a third of some rooms' time.
gc.set_threshold(50_000, 20, 20)

_BEGAN = time.monotonic()
_CPU_OF_WORKERS: list[float] = []


def _cpu_seconds() -> float:
    """The processor time of this process, and of those that it started and that have ended."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


_MEMORY_DISK = Path("/dev/shm")
_MEMORY_BYTES = 8 * 1024**3
"""What must be free for the tests' files to lie in memory."""


def _has_room_in_memory() -> bool:
    """Whether this machine has a disk in memory, with enough room on it and in memory itself."""
    with contextlib.suppress(OSError, ValueError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        (free,) = (int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
        return min(free, shutil.disk_usage(_MEMORY_DISK).free) >= _MEMORY_BYTES and os.access(_MEMORY_DISK, os.W_OK)
    return False


def pytest_configure(config: pytest.Config) -> None:
    """Try properties with fewer examples in the gate; before the tests are imported. Put the tests' files into memory, if it has room: the
    product waits for the disk at each write that must outlive a power cut, which no test can see."""
    examples.in_gate = "not thorough" in config.getoption("markexpr")
    if "PYTEST_DEBUG_TEMPROOT" not in os.environ and _has_room_in_memory():
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(_MEMORY_DISK)


def pytest_collection_finish() -> None:
    """Let the collector pass over what has been collected."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that started this worker of pytest-xdist how much processor time it took."""
    if "tests.commands" in sys.modules:
        sys.modules["tests.commands"].close()
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["cpu"] = _cpu_seconds()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Keep what a worker told."""
    _CPU_OF_WORKERS.append(getattr(node, "workeroutput", {}).get("cpu", 0.0))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say which files took longest, and how long all tests would take on two quiet cores: `make test` is to stay below 600 s."""
    seconds = Counter[str]()
    for reports in terminalreporter.stats.values():
        for report in reports:
            seconds[getattr(report, "nodeid", "").partition("::")[0]] += getattr(report, "duration", 0.0)
    for file, took in seconds.most_common(10):
        terminalreporter.write_line(f"{took:6.1f} s {file}")
    cpu = sum(_CPU_OF_WORKERS) if _CPU_OF_WORKERS else _cpu_seconds()
    terminalreporter.write_line(f"{time.monotonic() - _BEGAN:.0f} s, {cpu:.0f} s of processor time: {cpu / 2:.0f} s on two quiet cores")


@pytest.fixture(scope="session", autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Step results and lists of this run go into a folder of its own; the bases and the web runtime, which are large and
    never written to, are shared."""
    from smidgen.store.files import home

    shared = home()
    own = tmp_path_factory.mktemp("home")
    patch = pytest.MonkeyPatch()
    patch.setenv("SMIDGEN_HOME", str(own))
    for name in ("bases", "web"):
        (shared / name).mkdir(exist_ok=True)
        with contextlib.suppress(OSError):  # Windows without the right to make links: they are fetched anew
            (own / name).symlink_to(shared / name, target_is_directory=True)
    yield
    patch.undo()


@pytest.fixture(scope="session", autouse=True)
def _few_certificates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Clients trust one authority in place of some hundred, which each of them would read anew; they speak plain HTTP."""
    first, end, _ = Path(certifi.where()).read_text(encoding="utf-8").partition("-----END CERTIFICATE-----\n")
    file = tmp_path_factory.mktemp("trusted") / "one.pem"
    file.write_text(first + end, encoding="utf-8")
    patch = pytest.MonkeyPatch()
    patch.setenv("SSL_CERT_FILE", str(file))
    yield
    patch.undo()


QUICK_BUILDS = (
    ("smidgen.flows.build.cross_fitting", "QUICK", -1.0),
    ("smidgen.flows.build.timing", "_SECONDS", 0.05),
    ("smidgen.flows.build.timing", "_BATCH", 16),
    ("smidgen.flows.build.timing", "_WRITTEN_SINGLES", 2),
    ("smidgen.flows.build.timing", "_WRITTEN_BATCH", 4),
)
"""What a build reads in these modules, in the tests."""


def quick_environment() -> dict[str, str]:
    """The environment of a process whose builds, and those of the processes that it starts, are as quick as those in this one."""
    from tests.commands import OUTGOING

    paths = [str(OUTGOING), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), "SMIDGEN_TEST_QUICK_BUILDS": json.dumps(QUICK_BUILDS)}


@pytest.fixture(scope="session", autouse=True)
def _quick_builds() -> Iterator[None]:
    """Builds time each form that they make for a moment only, and train five times more only where cross-validation is asked for: how fast
    a machine is must not decide what a test's build does. What serving takes is not measured: that starts a process, which loads the bundle
    once more."""
    from smidgen.flows.build import reporting
    from smidgen.flows.build.footprint import Footprint

    patch = pytest.MonkeyPatch()
    patch.setattr(reporting, "footprint", SimpleNamespace(measure_footprint=lambda bundle, threads: Footprint(0.5, 200.0)))
    for module, name, value in QUICK_BUILDS:
        patch.setattr(importlib.import_module(module), name, value)
    yield
    patch.undo()


def shop(name: str) -> list[tuple[str, str]]:
    """(text, intent) rows of the sample shop's `support_train` or `support_test`."""
    file = importlib.resources.files("smidgen") / "samples" / "homeware" / f"{name}.csv"
    with file.open(encoding="utf-8", newline="") as stream:
        return [(row["text"], row["intent"]) for row in csv.DictReader(stream)]


def write_csv(file: Path, rows: list[tuple[str, str]]) -> Path:
    """Rows as a CSV with the sample's columns."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "intent"])
        writer.writerows(rows)
    return file


def few(rows: list[tuple[str, str]], each: int) -> list[tuple[str, str]]:
    """The first `each` rows of every label of the tiny bundle, and as many out-of-scope rows."""
    seen: Counter[str] = Counter()
    chosen = []
    for text, label in rows:
        if (label in LABELS or label == UNKNOWN) and seen[label] < each:
            seen[label] += 1
            chosen.append((text, label))
    return chosen


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A small training file and its test file, of the sample shop: twelve intents and out-of-scope messages. Beside them `base`, an encoder
    that is taught in seconds."""

    def make(folder: Path) -> None:
        from tests.short_base import short_base

        write_csv(folder / "train.csv", few(shop("support_train"), ROWS_PER_LABEL))
        write_csv(folder / "test.csv", few(shop("support_test"), 5))
        short_base(folder / "base")

    folder = made_once(tmp_path_factory, "tiny-rows", make)
    return folder / "train.csv", folder / "test.csv"


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory, tiny: tuple[Path, Path]) -> Path:
    """One tiny bundle, built by the real flow on real weights, once for all processes that run tests. Tests that alter it must copy it
    first."""
    from smidgen.flows.build.pipeline import build
    from smidgen.parts import recipe

    train, test = tiny
    wanted = recipe.make(
        {
            "name": "tiny",
            "task": "classify",
            "data": {"train": str(train), "test": str(test), "input": "text", "label": "intent"},
            "base": {"name": str(train.with_name("base"))},
            "student": {"kind": "encoder"},
            "train": {"epochs": 4, "learning_rate": 1e-3},
            # So few rows: a single changed answer would be more than the usual gate allows.
            "gate": {"max_loss": 0.1, "min_agreement": 0.9},
        }
    )
    return made_once(tmp_path_factory, "tiny", lambda out: build(wanted, out / "tiny", threads=1)) / "tiny"


WRITER_INSTRUCTION = "Answer in one short sentence."


@pytest.fixture(scope="session")
def writer_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that writes: the starter decoder as it is, asked by a prompt of its own, two texts at a time."""
    from smidgen.bases import lookup
    from smidgen.bundles.manifest import EngineEntry, Manifest
    from smidgen.bundles.pack import pack
    from smidgen.core.rows import Row
    from smidgen.students.decoder_training.prompts import prompt_of
    from smidgen.tasks.write import WriteSettings, part

    base = lookup.find("smollm2").folder
    folder = tmp_path_factory.mktemp("writer")
    (folder / "files").mkdir()
    shutil.copyfile(next(base.glob("*.gguf")), folder / "files" / "model.gguf")
    shutil.copyfile(base / "tokenizer.json", folder / "files" / "tokenizer.json")
    options = {"model": "model.gguf", "max_tokens": 16, "context": 512, "slots": 2, **prompt_of(base, WRITER_INSTRUCTION).json()}
    manifest = Manifest(
        name="writer",
        created="2026-01-01T00:00:00+00:00",
        smidgen_version="0.1.0",
        task="write",
        form=part.form([Row("a", "b c"), Row("d", "e f")], WriteSettings(instruction=WRITER_INSTRUCTION)).facts(),
        engine=EngineEntry(engine="llama", files=("model.gguf", "tokenizer.json"), options=options, method="q4_1"),
        student="decoder",
        headline="rougeL",
    )
    pack(folder / "files", manifest, folder / "bundle")
    shutil.rmtree(folder / "files")
    return folder / "bundle"


@pytest.fixture
def dropped_solver(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The solver of `tests/dropped_solvers`, found beside those that ship."""
    import smidgen.plans.solvers
    from smidgen.parts import registry

    monkeypatch.setattr(
        smidgen.plans.solvers, "__path__", [*smidgen.plans.solvers.__path__, str(Path(__file__).parent / "dropped_solvers")]
    )
    registry.forget()
    yield
    registry.forget()
