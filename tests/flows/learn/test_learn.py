"""Learning for real: a student that trains in seconds, on rows of made-up words whose meaning is known."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from tests.recorded_progress import RecordedProgress

from smidgen.bundles.open import open_bundle
from smidgen.cli import main
from smidgen.core.errors import DataError, InputError
from smidgen.core.placeholders import PLACEHOLDER
from smidgen.flows.build.pipeline import build
from smidgen.flows.capture.redaction import CaptureRedactor
from smidgen.flows.certify.certification import certificate_standing, revoke
from smidgen.flows.evaluation import evaluate
from smidgen.flows.learn.cycle import LearnResult, learn
from smidgen.flows.learn.learning_rows import OUTDATED
from smidgen.flows.learn.line_data import count_new_pairs
from smidgen.flows.learn.settings import LearnSettings, LineCertificateSettings, NewLineSettings, TrafficSettings
from smidgen.flows.learn.traffic_rows import MASKED
from smidgen.flows.local_model import load
from smidgen.parts import recipe
from smidgen.store.line import Line
from smidgen.store.traffic.records import Exchange, Feedback
from smidgen.store.traffic.store import opened

LABELS = ("billing", "delivery", "returns", "shipping")
_LETTERS = random.Random(0)
WORDS = {label: ["".join(_LETTERS.sample("abcdefghijklmnopqrstuvwxyz", 7)) for _ in range(12)] for label in LABELS}
"""Words that look like nothing: whoever knows some of a label knows nothing of the others."""
FILLER = ("please", "hello", "urgent", "today", "again", "the", "order", "with")
NOW = datetime(2026, 6, 1, tzinfo=UTC)
NO_CAPTURE = TrafficSettings(use=False)


def rows(count: int, seed: int, words: slice = slice(0, 12), wrong: float = 0.0) -> list[tuple[str, str]]:
    """Texts with one telling word each, and their labels; some of them wrong."""
    rng = random.Random(seed)
    made = []
    for number in range(count):
        label = LABELS[number % 4]
        said = [rng.choice(WORDS[label][words]), *rng.sample(FILLER, 4), f"n{seed}{number}"]
        rng.shuffle(said)
        made.append((" ".join(said), rng.choice(LABELS) if rng.random() < wrong else label))
    return made


def write(file: Path, made: list[tuple[str, str]]) -> Path:
    file.write_text("".join(json.dumps({"text": text, "intent": label}) + "\n" for text, label in made), encoding="utf-8")
    return file


@pytest.fixture(scope="module", autouse=True)
def _one_key() -> Iterator[None]:
    """Every line draws its held-out rows by the same key: how many there are decides what can be certified."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("smidgen.store.line.secrets.token_hex", lambda count: "5a" * count)
        yield


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that knows half of the words."""
    folder = tmp_path_factory.mktemp("base")
    data = write(folder / "first.jsonl", rows(160, 1, slice(0, 6)))
    wanted = recipe.make(
        {
            "name": "support",
            "task": "classify",
            "data": {"train": str(data), "input": "text", "label": "intent"},
            "student": {"kind": "linear"},
            "gate": {"max_loss": 0.1, "min_agreement": 0.9},
        }
    )
    return build(wanted, folder / "support", threads=1).folder


@pytest.fixture(scope="module")
def learnt(base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Line, LearnResult, list[str]]:
    """A line that began with it, and learnt from rows with all the words; what was said."""
    folder, said = tmp_path_factory.mktemp("line"), RecordedProgress()
    more = write(folder / "more.jsonl", rows(1300, 2))
    done = learn(folder / "support", LearnSettings(start=base, data=(more,), traffic=NO_CAPTURE, threads=1), said)
    return Line(folder / "support"), done, said.said


def copy(line: Line, to: Path) -> Line:
    """A copy of a line, to be changed."""
    shutil.copytree(line.folder, to)
    return Line(to)


def test_a_better_challenger_is_certified_and_promoted(learnt: tuple[Line, LearnResult, list[str]], base: Path) -> None:
    line, done, said = learnt
    assert done.promoted, done.why
    assert done.comparison is not None and done.comparison.won
    assert done.comparison.champion is not None and done.comparison.champion < 0.8 < (done.comparison.challenger or 0)
    pointer = line.read()
    assert pointer.champion == done.champion == done.challenger != done.before
    assert [(turn.by, turn.champion) for turn in pointer.history] == [("hand", open_bundle(base).id), ("learn", done.champion)]
    assert certificate_standing(line.folder).valid and done.certification is not None and done.certification.certificate is not None
    assert done.certification.certificate.reference.kind == "gold" and done.certification.certificate.unchecked == ()
    assert any("160 rows of the first version are kept" in one for one in said)
    assert not list(line.folder.glob(".work-*"))


def test_the_lineage_says_which_rows_and_whose(learnt: tuple[Line, LearnResult, list[str]]) -> None:
    line, done, _ = learnt
    assert done.champion is not None
    manifest = open_bundle(line.version(done.champion)).manifest
    assert manifest.lineage is not None and manifest.data is not None
    assert manifest.lineage.parent == done.before
    assert manifest.lineage.sources == done.rows["sources"] and manifest.lineage.sources["original"] == 160
    assert manifest.lineage.choosing == done.rows["choosing"] >= 80 and manifest.lineage.certifying == done.rows["certifying"] >= 120
    assert sum(manifest.lineage.sources.values()) + manifest.lineage.choosing + manifest.lineage.certifying == 1460
    assert manifest.columns.input == "text" and manifest.columns.label == "intent"  # files that the old one took the new one takes


def test_it_does_better_on_rows_that_nobody_saw(learnt: tuple[Line, LearnResult, list[str]], base: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "test.jsonl", rows(200, 9))
    before, after = (evaluate(load(place, 1), file).metrics["accuracy"].value for place in (base, learnt[0].folder))
    assert before < 0.75 and after > 0.95


def test_the_same_rows_again_teach_nothing_new(learnt: tuple[Line, LearnResult, list[str]], tmp_path: Path) -> None:
    line = copy(learnt[0], tmp_path / "line")
    again = learn(line.folder, LearnSettings(traffic=NO_CAPTURE, threads=1))
    assert (again.outcome, again.why, again.champion) == ("kept", "there is nothing new to learn from", learnt[1].champion)
    assert again.challenger is None and line.read().last is not None
    # Asked for on other terms it is another matter.
    stricter = learn(line.folder, LearnSettings(traffic=NO_CAPTURE, threads=1, certificate=LineCertificateSettings(alpha=0.01)))
    assert stricter.outcome == "kept" and stricter.challenger is not None and "could not be" in stricter.why


def test_what_is_not_better_is_kept_out_and_it_says_why(
    learnt: tuple[Line, LearnResult, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = copy(learnt[0], tmp_path / "line")
    bad = write(tmp_path / "bad.jsonl", rows(700, 3, wrong=0.9))
    arguments = ["learn", str(line.folder), "--data", str(bad), "--no-traffic", "--threads", "1", "--json"]
    assert main.code(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["outcome"] == "kept", found["why"]
    assert found["champion"] == learnt[1].champion and found["challenger"] not in (None, found["champion"])
    assert "could not be" in found["why"] and found["contest"]["better"] is False
    assert line.read().champion == learnt[1].champion and line.versions() == learnt[0].versions()
    assert main.code(["rollback", str(line.folder), "--json"]) == 0
    back = json.loads(capsys.readouterr().out)
    assert (back["champion"], back["before"], back["certificate"]["state"]) == (learnt[1].before, learnt[1].champion, "none")


def capture(pairs: list[tuple[str, str]], asked: str, start: datetime, *, corrected: int = 0) -> None:
    """Requests that a large model answered, a minute apart; the last ones' answers were then put right by a person. Held-out ones were
    right before: what people say of them changes nothing of what the large model said."""
    with opened() as store:
        made = [
            Exchange(
                id=f"{asked}-{start:%j}-{number}",
                time=start + timedelta(minutes=number),
                asked=asked,
                path="/v1/chat/completions",
                input=text,
                answered_by="upstream",
                model="big",
                answer="delivery" if number >= len(pairs) - corrected and not store._sides.held_out(text, "") else label.capitalize(),
            )
            for number, (text, label) in enumerate(pairs)
        ]
        store.add(made)
        for exchange, (_, label) in list(zip(made, pairs, strict=True))[len(pairs) - corrected :]:
            assert store.feedback(Feedback(exchange.id, exchange.time + timedelta(hours=1), "down", label))


@pytest.fixture
def traffic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIDGEN_TRAFFIC_URL", f"sqlite:///{tmp_path / 'traffic.db'}")


def test_from_zero_it_learns_what_the_large_model_answers(traffic: None, tmp_path: Path) -> None:
    line, start = Line(tmp_path / "support"), NOW - timedelta(days=3)
    ask = LearnSettings(task="classify", override=("student.kind=linear",), certificate=LineCertificateSettings(alpha=0.1), threads=1)
    with pytest.raises(DataError, match="no rows to learn from"):
        learn(line.folder, ask)
    assert not line.folder.exists(), "what failed leaves nothing behind"
    capture(rows(1100, 5), "support", start, corrected=30)
    assert count_new_pairs(line, TrafficSettings()) == 1100
    with opened() as store:
        store.add_outcomes({"stored": 1100, "queue_full": 275}, start)
    done = learn(line.folder, ask)
    assert done.rows["traffic"]["share_lost"] == 0.2 and "275 of 1,375 requests since" in done.rows["traffic"]["says"]
    assert done.promoted and "the first of its line" in done.why
    assert set(done.rows["sources"]) == {"upstream", "human"} and done.rows["teachers"] == ["big"]
    champion = open_bundle(line.version(done.champion or ""))
    assert champion.manifest.form["labels"] == [label.capitalize() for label in LABELS]  # as it is answered most often
    assert (
        champion.manifest.lineage is not None and champion.manifest.lineage.parent is None and champion.manifest.lineage.teacher == ("big",)
    )
    held = {pair.input for pair in held_out("support")}
    learnt_from = done.rows["learning"]
    assert learnt_from + done.rows["choosing"] + done.rows["certifying"] == 1100 and len(held) == 1100 - learnt_from > 150
    standing = certificate_standing(line.folder)
    assert standing.valid and standing.certificate is not None
    assert standing.certificate.reference.kind == "model" and standing.certificate.alpha == 0.1
    # What is captured stays in the store alone, where it can be deleted.
    (seen,) = (line.folder / "rows").iterdir()
    assert not any(word in seen.read_text(encoding="ascii") for word in FILLER)
    assert count_new_pairs(line, TrafficSettings()) == 0


def test_the_second_learning_reads_again_what_the_line_was_born_from(traffic: None, tmp_path: Path) -> None:
    """It is born from requests that named the large model. Later ones name the line, and the large model answers only what the line is
    unsure of: here two labels of four."""
    line = Line(tmp_path / "support")
    born = LearnSettings(
        task="classify",
        override=("student.kind=linear",),
        traffic=TrafficSettings(asked="big"),
        certificate=LineCertificateSettings(alpha=0.1),
        threads=1,
    )
    capture(rows(1100, 5), "big", NOW - timedelta(days=3))
    first = learn(line.folder, born)
    assert first.promoted and first.rows["learning"] > 700
    escalated = [(text, label) for text, label in rows(400, 6) if label in LABELS[:2]]
    capture(escalated, "support", NOW - timedelta(days=1))
    again = learn(line.folder, born.model_copy(update={"traffic": TrafficSettings()}))
    assert again.challenger is not None and "labels any more" not in again.why
    assert again.rows["learning"] > first.rows["learning"] + 100, "the new rows stand beside the old ones"
    assert again.rows["certifying"] > first.rows["certifying"]
    assert again.sources == ("requests that asked for support", "requests that asked for big")
    held = {pair.input for pair in (*held_out("big"), *held_out("support"))}
    assert again.rows["choosing"] + again.rows["certifying"] == len(held) and len(held) > 200, "what is held out stays so"
    assert open_bundle(line.version(again.champion or "")).manifest.form["labels"] == [label.capitalize() for label in LABELS]


def test_a_first_learning_that_fails_leaves_no_folder_and_touches_nothing_else(traffic: None, tmp_path: Path) -> None:
    few = write(tmp_path / "few.jsonl", rows(3, 1))
    mine = tmp_path / "mine"
    mine.mkdir()
    for folder in (tmp_path / "new", mine):
        with pytest.raises(DataError):
            learn(
                folder,
                LearnSettings(task="classify", data=(few,), input="text", label="intent", override=("student.kind=linear",), threads=1),
            )
    assert not (tmp_path / "new").exists() and mine.is_dir() and not list(mine.iterdir())
    line = Line(tmp_path / "begun")
    key = line.begin("begun").key
    with pytest.raises(DataError):
        learn(line.folder, LearnSettings(task="classify", threads=1))
    assert line.read().key == key, "a line that was there before stays"


def colleagues(count: int) -> list[Exchange]:
    """Messages that the large model sorts by who answers them."""
    made = []
    for number, (text, label) in enumerate(rows(count, 8)):
        answer = dict(zip(LABELS, ("Anna Schmidt", "Peter Brown", "Maria Lopez", "other"), strict=True))[label]
        facts: dict[str, Any] = {"asked": "support", "path": "/v1/chat/completions", "answered_by": "upstream", "model": "big"}
        made.append(
            Exchange(id=f"c{number}", time=NOW + timedelta(minutes=number), input=text, answer=answer, answer_state="whole", **facts)
        )
    return made


def test_from_zero_labels_that_look_like_personal_data_are_learnt_where_they_are_named_and_else_not(traffic: None, tmp_path: Path) -> None:
    overrides = ("student.kind=linear", "gate.max_loss=0.1", "gate.min_agreement=0.9")
    ask = LearnSettings(task="classify", traffic=TrafficSettings(asked="support"), override=overrides, threads=1)
    with opened() as store:
        store.add([one for one in CaptureRedactor().exchanges(colleagues(60)) if one is not None and one.answer != "other"])
        assert all(PLACEHOLDER.fullmatch(pair.reference) for pair in store.pairs("support", None))
    with pytest.raises(DataError, match="no rows to learn from") as told:
        learn(tmp_path / "masked", ask)
    assert "answers were masked as personal data" in told.value.value and "--capture-labels" in told.value.todo
    with opened() as store:
        store.delete_asked("support")
        named = CaptureRedactor(labels=("anna schmidt", "Peter Brown", "Maria Lopez"))
        store.add([one for one in named.exchanges(colleagues(200)) if one is not None])
    done = learn(tmp_path / "named", ask)
    champion = open_bundle(Line(tmp_path / "named").version(done.champion or ""))
    assert champion.manifest.form["labels"] == ["Anna Schmidt", "Maria Lopez", "Peter Brown", "other"]
    assert done.rows["unusable"].get(MASKED) is None and done.rows["certifying_masked"] == 0


def held_out(asked: str) -> list[Any]:
    with opened() as store:
        return list(store.pairs(asked, True))


def test_after_a_revocation_only_what_was_held_out_since_certifies(
    learnt: tuple[Line, LearnResult, list[str]], traffic: None, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    line = copy(learnt[0], tmp_path / "line")
    now = datetime.now(UTC)
    # It is revoked on this machine, for every copy: the other tests' lines have it, too.
    for file in revoke(line.folder, "the audit found it", now):
        request.addfinalizer(file.unlink)
    capture(rows(900, 6), "support", now + timedelta(days=1))
    ask = LearnSettings(threads=1, margin=0.1, certificate=LineCertificateSettings(alpha=0.2, reference="model"))
    # Rows from before are learnt from. Of those that were held out from the start none chooses or certifies.
    done = learn(line.folder, ask, now=now + timedelta(days=3))
    assert done.rows["sources"]["data"] > 600
    assert done.rows["choosing"] + done.rows["certifying"] == len(held_out("support")) > 100
    assert done.rows["unusable"]["held out, but too old"] > 200
    assert done.promoted, done.why
    assert certificate_standing(line.folder, now + timedelta(days=3)).valid
    # The new champion's own certificate holds. What was found out about the older rows stays found out.
    capture(rows(300, 10), "support", now + timedelta(days=4))
    again = learn(line.folder, ask, now=now + timedelta(days=5))
    assert again.challenger is not None
    assert again.rows["choosing"] + again.rows["certifying"] == len(held_out("support"))
    assert again.rows["unusable"]["held out, but too old"] == done.rows["unusable"]["held out, but too old"]


def test_after_a_change_of_meaning_the_old_rows_are_left_out_by_since(
    learnt: tuple[Line, LearnResult, list[str]], traffic: None, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    line = copy(learnt[0], tmp_path / "line")
    now = datetime.now(UTC)
    for file in revoke(line.folder, "the audit found it", now):
        request.addfinalizer(file.unlink)
    renamed = {label: LABELS[(place + 1) % 4] for place, label in enumerate(LABELS)}  # all labels mean something else now
    capture([(text, renamed[label]) for text, label in rows(900, 6)], "support", now + timedelta(days=1))
    later = now + timedelta(days=3)
    ask = LearnSettings(threads=1, traffic=TrafficSettings(since=now), certificate=LineCertificateSettings(alpha=0.2, reference="model"))
    done = learn(line.folder, ask, now=later)
    assert done.rows["choosing"] + done.rows["certifying"] == len(held_out("support"))
    assert done.promoted, done.why
    assert certificate_standing(line.folder, later).valid


def test_after_a_change_of_some_meanings_it_learns_the_new_ones_without_a_hand(
    traffic: None, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, start = Line(tmp_path / "support"), NOW - timedelta(days=9)
    ask = LearnSettings(task="classify", override=("student.kind=linear",), certificate=LineCertificateSettings(alpha=0.2), threads=1)
    capture(rows(900, 5), "support", start)
    assert learn(line.folder, ask, now=start + timedelta(days=1)).promoted
    for file in revoke(line.folder, "the audit found it", start + timedelta(days=2)):
        request.addfinalizer(file.unlink)
    swapped = {**dict(zip(LABELS, LABELS, strict=True)), LABELS[0]: LABELS[1], LABELS[1]: LABELS[0]}
    capture([(text, swapped[label]) for text, label in rows(1000, 6)], "support", start + timedelta(days=3))
    monkeypatch.setattr("smidgen.flows.learn.cycle.embedder", lambda *_: words)
    done = learn(line.folder, ask.model_copy(update={"line": NewLineSettings()}), now=start + timedelta(days=4))
    assert done.rows["unusable"][OUTDATED] > 250, "of two of four labels the older rows"
    assert done.promoted, done.why
    model = load(line.folder, 1)
    with closing(model):
        fresh = rows(200, 7)
        said = [reply.output for reply in model.predict([text for text, _ in fresh])]
    right = [answer == swapped[label].capitalize() for answer, (_, label) in zip(said, fresh, strict=True)]
    assert sum(right) / len(right) > 0.8


def words(texts: Sequence[str]) -> Any:
    """Texts as the words that are in them, of length one."""
    found = np.zeros((len(texts), 512), np.float32)
    for row, text in enumerate(texts):
        for word in text.lower().split():
            found[row, zlib.crc32(word.encode()) % 512] += 0.2 if word in FILLER else 1
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)


@pytest.mark.skipif(os.name == "nt", reason="open files cannot be removed")
def test_what_was_captured_lies_nowhere_but_in_the_store_when_it_has_learnt(
    learnt: tuple[Line, LearnResult, list[str]], traffic: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = copy(learnt[0], tmp_path / "line")
    home, temporary = tmp_path / "home", tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("SMIDGEN_HOME", str(home))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    said = [(f"{text} zanzibar", label) for text, label in rows(60, 11)]
    capture(said, "support", datetime.now(UTC))
    done = learn(line.folder, LearnSettings(threads=1))
    assert done.challenger is not None and done.rows["sources"]["upstream"] > 30
    assert not (home / "steps").exists() and list(temporary.iterdir()) == [] and not list(line.folder.glob(".work-*"))
    files = [file for folder in (line.folder, home) for file in folder.rglob("*") if file.is_file()]
    # A word of a text may be a term of a model that learnt it, and a report shows some of its test rows: no whole text is anywhere else.
    assert len(files) > 10
    held = {file.name: content for file in files if file.name != "report.json" and b"zanzibar" in (content := file.read_bytes())}
    assert set(held) <= {"terms.json"}, "the terms of a model, and no file of texts"
    assert not [text for text, _ in said for content in held.values() if text.encode() in content]


def test_a_line_is_begun_by_what_says_what_it_should_do(base: Path, learnt: tuple[Line, LearnResult, list[str]], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no task for a new one"):
        learn(tmp_path / "new", LearnSettings())
    assert not (tmp_path / "new").exists()
    line = copy(learnt[0], tmp_path / "line")
    with pytest.raises(InputError, match="has a champion already"):
        learn(line.folder, LearnSettings(start=base))
    with pytest.raises(InputError, match="another task"):
        learn(line.folder, LearnSettings(task="write"))
    for wrong in ({"level": 0.0}, {"margin": 1.0}, {"max_rows": 1}, {"hold_out": 1.0}):
        with pytest.raises(ValidationError):
            LearnSettings(**wrong)


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_killed_while_it_learns_the_line_serves_on_and_learns_again(learnt: tuple[Line, LearnResult, list[str]], tmp_path: Path) -> None:
    line = copy(learnt[0], tmp_path / "line")
    more = write(tmp_path / "more.jsonl", rows(300, 8))
    command = [sys.executable, "-m", "smidgen", "learn", str(line.folder), "--data", str(more), "--no-traffic", "--threads", "1"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "train linear" not in (said := process.stderr.readline()) and said:
            pass
        process.kill()
    assert said and list(line.folder.glob(".work-*"))
    assert load(line.folder, 1).id == learnt[1].champion
    again = learn(line.folder, LearnSettings(traffic=NO_CAPTURE, threads=1))
    assert again.challenger is not None and again.rows["sources"]["data"] > learnt[1].rows["sources"]["data"]  # its rows were kept
    assert not list(line.folder.glob(".work-*"))


@pytest.mark.skipif(sys.platform == "win32", reason="stop signals are POSIX")
def test_on_a_schedule_it_goes_on_until_it_is_told_to_stop(
    learnt: tuple[Line, LearnResult, list[str]], traffic: None, tmp_path: Path
) -> None:
    line = copy(learnt[0], tmp_path / "line")
    command = [sys.executable, "-m", "smidgen", "learn", str(line.folder), "--every", "1h", "--json", "--threads", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8") as process:
        try:
            assert process.stdout is not None
            first = json.loads(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=30)
    assert (first["outcome"], first["why"]) == ("kept", "there is nothing new to learn from")
    assert process.returncode == 0 and log == ""


def test_taken_in_alone_a_bundle_serves_as_it_is(base: Path, tmp_path: Path) -> None:
    began = time.time()
    done = learn(tmp_path / "support", LearnSettings(start=base, traffic=NO_CAPTURE))
    assert (done.outcome, done.champion) == ("kept", open_bundle(base).id)
    assert load(tmp_path / "support", 1).predict([f"{WORDS['billing'][3]} please"])[0].output == "billing"
    assert Line(tmp_path / "support").read().history[0].at.timestamp() >= began - 1
