"""A version of a line is certified on no text that it, or another version, learnt from or was chosen by; and looks are counted."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.certified_bundle import LABELS, answer, pairs, write_pairs
from tests.certified_bundle import text as text_of
from tests.line_versions import line_of, version
from tests.recorded_progress import RecordedProgress

from smidgen.bundles.manifest import Lineage
from smidgen.bundles.open import read_manifest
from smidgen.bundles.pack import pack
from smidgen.core.errors import BundleError, CertificateError, InputError
from smidgen.core.progress import Silent
from smidgen.core.rows import Row
from smidgen.data.splits import SplitSide, assign_held_side, assign_side
from smidgen.flows.certify.certification import CertificateTerms, IssuedCertificate, certify, revoke
from smidgen.flows.learn import holdout, line_data
from smidgen.flows.learn.learning_rows import LearningRows, LineRow
from smidgen.flows.learn.promotion import promote
from smidgen.flows.local_model import load
from smidgen.store.line import Line, LineBusy
from smidgen.store.traffic.pairs import export_pairs
from smidgen.store.traffic.records import Exchange
from smidgen.store.traffic.store import opened

NOW = datetime(2026, 6, 1, tzinfo=UTC)
GIVEN = pairs(3000, 3, 0.0, 0.1, start=20_000)
FOREIGN = pairs(1500, 4, start=60_000)
Pairs = list[tuple[str, str]]


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SMIDGEN_TRAFFIC_URL", raising=False)
    monkeypatch.setattr("smidgen.store.line.secrets.token_hex", lambda size: "5e" * size)  # the same texts are held out each time


@pytest.fixture
def line(tmp_path: Path) -> Line:
    """With a first version, and rows that were given to it."""
    made, _ = line_of(tmp_path / "support", 1)
    line_data.keep_batch(made, [Row(given, wanted) for given, wanted in GIVEN], "data", learnt=False, now=NOW - timedelta(days=1))
    return made


def learnt(line: Line, sources: dict[str, int], texts: LearningRows | None = None) -> str:
    """A version that the line learnt, of these texts where they are written down; its id."""
    number = 8 + 2 * len(line.versions())
    made = version(line, number)
    manifest = read_manifest(made).model_copy(update={"lineage": Lineage(sources=sources)})
    made = line.folder / f".work-{number + 1}" / "bundle"
    pack(line.folder / f".work-{number}" / "bundle", manifest, made)
    if texts is not None:
        holdout.record_seen(line, read_manifest(made).id, texts)
    return promote(line, made, by="learn", why="a test", instead_of=line.read().champion)


def on(line: Line, wanted: SplitSide) -> Pairs:
    """Of the given rows, those on one side."""
    pointer = line.read()
    return [row for row in GIVEN if assign_side(row[0], pointer.key, pointer.held_out) is wanted]


def run(folder: Path, file: Path, progress: Silent | None = None, **terms: float) -> IssuedCertificate:
    with closing(load(folder, 1)) as model:
        return certify(model, file, CertificateTerms(**terms), now=NOW, progress=progress)  # type: ignore[arg-type]


def taken(rows: Pairs) -> tuple[LineRow, ...]:
    return tuple(LineRow(Row(given, wanted), "upstream", NOW) for given, wanted in rows)


def test_a_file_that_the_line_learns_from_is_refused_in_both_places(line: Line, tmp_path: Path) -> None:
    id = learnt(line, {"data": 2000}, LearningRows((), (), ()))
    file = write_pairs(tmp_path / "more.csv", GIVEN)
    for folder in (line.folder, line.version(id)):
        with pytest.raises(InputError, match="most rows stand in the data that the line learns from"):
            run(folder, file)
    assert line.read().looks == 0


def test_rows_that_learn_or_choose_are_left_out_and_the_rest_is_a_look(line: Line, tmp_path: Path) -> None:
    id = learnt(line, {"data": 2000}, LearningRows((), (), ()))
    learning, choosing, certifying = (on(line, wanted) for wanted in SplitSide)
    assert len(choosing) > 300 and len(certifying) > 450
    said = RecordedProgress()
    spelt = [(given.upper() + " !", wanted) for given, wanted in learning[:200]]
    done = run(line.version(id), write_pairs(tmp_path / "c.csv", [*spelt, *choosing, *certifying]), said)
    assert (done.certificate.n, done.certificate.calibration.left_out) == (len(certifying), 200 + len(choosing))
    assert any(f"{len(choosing):,} rows left out: their texts choose between the versions of the line" in one for one in said.said)
    assert done.certificate.method.endswith("look 1 at rows that stay, tested at δ/2") and line.read().looks == 1
    assert run(line.folder, tmp_path / "c.csv").certificate.method.endswith("look 2 at rows that stay, tested at δ/6")


def test_a_look_at_which_nothing_is_seen_is_taken_back(line: Line, tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match="pairs are needed"):
        run(line.folder, write_pairs(tmp_path / "few.csv", on(line, SplitSide.CERTIFYING)[:30]))
    assert line.read().looks == 0
    with pytest.raises(CertificateError):
        run(line.folder, write_pairs(tmp_path / "c.csv", on(line, SplitSide.CERTIFYING)), alpha=0.002)
    bad = [(given, LABELS[given.count("w") % 2]) for given, _ in on(line, SplitSide.CERTIFYING)]
    with pytest.raises(CertificateError, match="no number of pairs would do"):
        run(line.folder, write_pairs(tmp_path / "bad.csv", bad), alpha=0.3)
    assert line.read().looks == 1, "what was seen stays counted, though it gave nothing"


def test_while_the_line_learns_nobody_else_looks(line: Line, tmp_path: Path) -> None:
    file = write_pairs(tmp_path / "c.csv", on(line, SplitSide.CERTIFYING))
    with line.learning(), pytest.raises(LineBusy):
        run(line.folder, file)
    assert run(line.folder, file).certificate.n == len(on(line, SplitSide.CERTIFYING))


def test_rows_from_elsewhere_have_the_whole_level(line: Line, tmp_path: Path) -> None:
    id = learnt(line, {"data": 2000}, LearningRows((), (), ()))
    done = run(line.version(id), write_pairs(tmp_path / "c.csv", FOREIGN))
    assert done.certificate.n == 1500 and "look" not in done.certificate.method
    assert line.read().looks == 0


def test_what_was_captured_learnt_and_deleted_since_is_still_known(line: Line, tmp_path: Path) -> None:
    id = learnt(line, {"upstream": 500}, LearningRows(taken(FOREIGN[:300]), taken(FOREIGN[300:500]), taken(FOREIGN[500:700])))
    done = run(line.version(id), write_pairs(tmp_path / "c.csv", FOREIGN))
    assert (done.certificate.n, done.certificate.calibration.left_out) == (1000, 500)
    assert done.certificate.method.endswith("δ/2"), "two hundred of them the line has tested on"
    said = (line.folder / "rows" / "seen.txt").read_text(encoding="ascii")
    assert "message" not in said and len(said.splitlines()) == 701


def test_of_an_export_of_held_out_requests_the_certifying_side_alone_certifies(line: Line, tmp_path: Path) -> None:
    id = learnt(line, {"data": 2000}, LearningRows((), (), ()))
    with opened() as store:
        store.add([exchange(number) for number in range(2500)])
        count = export_pairs(store.pairs("support", held_out=True), tmp_path / "held.jsonl").pairs
        export_pairs(store.pairs("support", held_out=False), tmp_path / "learnt.jsonl")
        texts = {pair.input for pair in store.pairs("support", True)}
    certifying = [given for given in texts if assign_held_side(given, line.read().key) is SplitSide.CERTIFYING]
    assert count == len(texts) > 350
    said = RecordedProgress()
    with closing(load(line.version(id), 1)) as model:
        done = certify(model, tmp_path / "held.jsonl", CertificateTerms(), input="input", label="output", now=NOW, progress=said)
        assert (done.certificate.n, line.read().looks) == (len(certifying), 1)
        with pytest.raises(InputError, match="most rows stand in the data that the line learns from"):
            certify(model, tmp_path / "learnt.jsonl", CertificateTerms(), input="input", label="output", now=NOW)


def exchange(number: int) -> Exchange:
    return Exchange(
        id=f"r{number}",
        time=NOW - timedelta(hours=2) + timedelta(seconds=number),
        asked="support",
        path="/v1/chat/completions",
        input=text_of(number % 100, 80_000 + number),
        answered_by="upstream",
        model="big",
        answer=answer(number % 100),
        answer_state="whole",
    )


def test_what_was_held_out_before_a_revocation_certifies_no_more(line: Line, tmp_path: Path) -> None:
    run(line.folder, write_pairs(tmp_path / "first.csv", FOREIGN))
    revoke(line.folder, "new products", NOW)
    with pytest.raises(InputError, match="no row of the sample can test"):
        run(line.folder, write_pairs(tmp_path / "c.csv", on(line, SplitSide.CERTIFYING)))
    assert line.read().fresh_since == NOW and line.read().looks == 0


@pytest.mark.parametrize("file", ["line.json", "rows/seen.txt", "rows/learnt.txt", "batch"])
def test_where_the_lines_records_cannot_be_read_nothing_is_certified(line: Line, tmp_path: Path, file: str) -> None:
    id = learnt(line, {"upstream": 500}, LearningRows(taken(FOREIGN[:300]), (), ()))
    place = line.rows(line.read().rows[0].sha256) if file == "batch" else line.folder / file
    place.write_bytes(b"\xff nonsense")
    with pytest.raises(BundleError):
        run(line.version(id), write_pairs(tmp_path / "c.csv", pairs(1500, 5, start=90_000)))
    assert not list((line.folder / "versions").glob("*.certificate.json"))


def test_without_its_line_a_version_is_not_certified(line: Line, tmp_path: Path) -> None:
    id = learnt(line, {"upstream": 500}, LearningRows(taken(FOREIGN[:300]), (), ()))
    line.file.unlink()
    with pytest.raises(BundleError, match="the version's line is missing"):
        run(line.version(id), write_pairs(tmp_path / "c.csv", FOREIGN))


def test_of_a_version_of_an_older_smidgen_what_is_not_known_is_not_supposed(line: Line, tmp_path: Path) -> None:
    given = learnt(line, {"data": 2000, "original": 200})
    done = run(line.version(given), write_pairs(tmp_path / "c.csv", FOREIGN))
    assert done.certificate.n == sum(assign_held_side(text, line.read().key) is not SplitSide.CHOOSING for text, _ in FOREIGN)
    captured = learnt(line, {"data": 2000, "upstream": 200})
    with pytest.raises(BundleError, match="there is no record of the captured texts"):
        run(line.version(captured), tmp_path / "c.csv")
