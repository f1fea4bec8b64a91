"""A version is put into its line whole or not at all, whenever the process is killed; what is left over is swept up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.certified_bundle import text
from tests.line_versions import add, id_of, line_of, version

from smidgen.bundles.open import find_bundle
from smidgen.cli import main
from smidgen.core.errors import BundleError, InputError
from smidgen.flows import evaluation, prediction
from smidgen.flows.certify import certification
from smidgen.flows.export import exporter
from smidgen.flows.learn import promotion
from smidgen.flows.learn.promotion import roll_back
from smidgen.flows.local_model import load
from smidgen.gateway import certificate as papers
from smidgen.gateway import revocation
from smidgen.gateway.certificate_status import CertificateState
from smidgen.server import process
from smidgen.store.line import Line, LineBusy

STEPS = ("certificate", "bundle", "pointer", "after")

_KILLED = """
import os, signal, sys
from pathlib import Path
from smidgen.flows.learn.promotion import promote
from smidgen.store.line import Line

folder, made, before, step = sys.argv[1:]
real, seen = Path.replace, []

def replace(self, target):
    seen.append(self)
    if len(seen) == 1 + ("certificate", "bundle", "pointer", "after").index(step):
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, target)

Path.replace = replace
promote(Line(Path(folder)), Path(made), by="learn", why="", instead_of=before)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
@pytest.mark.parametrize("step", STEPS)
def test_killed_between_any_two_steps_the_line_serves_and_learns_on(tmp_path: Path, step: str) -> None:
    line, ids = line_of(tmp_path / "support", 1)
    made = version(line, 1)
    new = id_of(made)
    papers.place(made).write_text("{}", encoding="utf-8")
    command = [sys.executable, "-c", _KILLED, str(line.folder), str(made), ids[0], step]
    done = subprocess.run(command, env=os.environ, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    champion = new if step == "after" else ids[0]
    assert find_bundle(line.folder).bundle.id == champion == line.read().champion
    if step == "after":
        assert papers.place(line.version(new)).is_file()
    promotion.sweep_line(line)
    assert line.versions() == sorted([champion, *([ids[0]] if step == "after" else [])], key=line.versions().index)
    assert not list(line.folder.glob(".work-*"))
    nextone = add(line, 2, champion)
    assert find_bundle(line.folder).bundle.id == nextone


def test_the_certificate_is_there_before_the_version_and_both_before_the_pointer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line, ids = line_of(tmp_path / "support", 1)
    made = version(line, 1)
    papers.place(made).write_text("{}", encoding="utf-8")
    seen: list[tuple[str, bool, bool]] = []
    point = Line.point

    def noted(self: Line, id: str, **more: object) -> object:
        seen.append((id, papers.place(self.version(id)).is_file(), self.version(id).is_dir()))
        return point(self, id, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Line, "point", noted)
    id = promotion.promote(line, made, by="learn", why="", instead_of=ids[0])
    assert seen == [(id, True, True)] and not made.exists()


def test_a_champion_that_changed_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    line, ids = line_of(tmp_path / "support", 2)
    with pytest.raises(LineBusy, match="meanwhile"):
        promotion.promote(line, version(line, 2), by="learn", why="", instead_of=ids[0])
    assert line.read().champion == ids[1]


def test_old_versions_are_swept_up_but_for_those_to_go_back_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promotion, "KEPT", 2)
    line, ids = line_of(tmp_path / "support", 5)
    stale = papers.place(line.version(ids[0]))
    stale.write_text("{}", encoding="utf-8")
    revoked = line.folder / "versions" / f"{ids[0]}.revocations.json"
    revoked.write_text("{}", encoding="utf-8")
    promotion.sweep_line(line)
    assert set(line.versions()) == set(ids[2:])
    assert not stale.exists() and revoked.exists()


def test_rolling_back_goes_back_step_by_step_and_tells_of_the_certificate(tmp_path: Path) -> None:
    line, ids = line_of(tmp_path / "support", 3)
    done = roll_back(line.folder, reason="a bad day")
    assert (done.before, done.champion, done.standing.state) == (ids[2], ids[1], CertificateState.NONE)
    assert line.read().history[-1].why == "a bad day" and line.read().history[-1].by == "rollback"
    assert roll_back(line.folder).champion == ids[0]
    with pytest.raises(InputError, match="no earlier champion"):
        roll_back(line.folder)
    assert roll_back(line.folder, ids[2]).champion == ids[2]
    with pytest.raises(InputError, match="is serving already"):
        roll_back(line.folder, ids[2])
    with pytest.raises(InputError, match="no such version"):
        roll_back(line.folder, "0" * 12)


def test_nobody_goes_back_to_a_damaged_version(tmp_path: Path) -> None:
    line, ids = line_of(tmp_path / "support", 2)
    file = line.version(ids[0]) / "terms.json"
    file.write_bytes(file.read_bytes()[:-1] + b" ")
    with pytest.raises(BundleError, match=r"terms\.json"):
        roll_back(line.folder)
    assert line.read().champion == ids[1]


def test_a_line_is_taken_wherever_a_bundle_is(tmp_path: Path) -> None:
    line, ids = line_of(tmp_path / "line", 2, name="shop")
    data = tmp_path / "test.csv"
    data.write_text(f"text,intent\n{text(0, 1)},no\n{text(1, 1)},yes\n", encoding="utf-8")
    model = load(line.folder, 1)
    assert (model.name, model.id, model.line.folder) == ("shop", ids[1], line.folder)  # type: ignore[union-attr]
    assert evaluation.evaluate(model, data).metrics["accuracy"].value == 0.0  # the last version says it the other way round
    out = tmp_path / "out.jsonl"
    assert prediction.predict(model, str(data), str(out)).answered == 2
    assert certification.certificate_standing(line.folder).state is CertificateState.NONE
    with pytest.raises(InputError, match="linear"):
        exporter.export(line.folder, "ollama", tmp_path / "there")  # it is opened, and refused for what it is
    roll_back(line.folder)
    again = load(line.folder, 1)
    assert again.id == ids[0] and evaluation.evaluate(again, data).metrics["accuracy"].value == 1.0


def test_a_line_without_a_champion_and_a_champion_that_is_another_bundle_are_refused(tmp_path: Path) -> None:
    empty = Line(tmp_path / "empty")
    empty.begin("empty")
    with pytest.raises(InputError, match="no champion yet"):
        load(empty.folder)
    line, ids = line_of(tmp_path / "support", 2)
    line.version(ids[1]).rename(tmp_path / "aside")
    line.version(ids[0]).rename(line.version(ids[1]))
    with pytest.raises(BundleError, match="another bundle"):
        load(line.folder)


def test_a_version_brings_what_is_revoked_of_it_and_loses_nothing_that_was(tmp_path: Path) -> None:
    line, ids = line_of(tmp_path / "support", 1)
    made = version(line, 1)
    id = id_of(made)
    now = datetime(2026, 6, 1, tzinfo=UTC)
    revocation.revoke(made, "ab" * 16, "there", now)
    revocation.revoke(line.version(id), "cd" * 16, "here before", now)
    promotion.promote(line, made, by="learn", why="", instead_of=ids[0])
    assert {one.certificate for one in revocation.list_revocations(line.version(id))} == {"ab" * 16, "cd" * 16}


@pytest.mark.parametrize("where", ["source", "target"])
def test_a_damaged_record_stays_damaged_where_it_is_carried(tmp_path: Path, where: str) -> None:
    source, target = tmp_path / "a" / "bundle", tmp_path / "b" / "bundle"
    for bundle, damaged in ((source, where == "source"), (target, where == "target")):
        bundle.mkdir(parents=True)
        revocation.revoke(bundle, "ab" * 16, "found", datetime(2026, 6, 1, tzinfo=UTC))
        if damaged:
            revocation.place(bundle).write_bytes(b"{")
    revocation.carry(source, target)
    assert revocation.place(target).read_bytes() == b"{"
    assert [one.at for one in revocation.list_revocations(target)] == [None]
    assert revocation.find_revocation(target, "ef" * 16) is not None  # it revokes all


def test_what_a_killed_learning_left_goes_when_somebody_opens_the_line(tmp_path: Path) -> None:
    line, _ = line_of(tmp_path / "support", 2)

    def left() -> Path:
        folder = line.folder / ".work-killed"
        folder.mkdir(exist_ok=True)
        (folder / "rows.jsonl").write_text("what somebody asked", encoding="utf-8")
        return folder

    folder = left()
    with line.learning():
        promotion.remove_killed_learning(line)
        assert folder.exists()  # somebody is at work on it
    promotion.remove_killed_learning(line)
    assert not folder.exists()
    left()
    roll_back(line.folder)
    assert not folder.exists()


def test_serving_a_line_takes_away_what_a_killed_learning_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line, _ = line_of(tmp_path / "support", 1)
    (line.folder / ".work-killed").mkdir()
    (line.folder / ".work-killed" / "rows.jsonl").write_text("what somebody asked", encoding="utf-8")
    served: list[bool] = []
    monkeypatch.setattr(process, "run", lambda *_: served.append((line.folder / ".work-killed").exists()))
    assert main.code(["serve", str(line.folder), "--port", "0"]) == 0
    assert served == [False]
