"""The champion of a line certified at another alpha, without training."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.certified_bundle import pairs

from smidgen.cli import main
from smidgen.core.errors import InputError
from smidgen.flows.certify.certification import certificate_standing
from smidgen.flows.learn import holdout, line_data
from smidgen.flows.learn.learning_rows import LearningRows
from smidgen.flows.learn.line_certificate import CertificateRequest, recertify
from smidgen.flows.learn.line_data import CaptureFilter
from smidgen.flows.local_model import load
from smidgen.store.line import Line
from smidgen.store.traffic.records import Exchange
from smidgen.store.traffic.store import opened

from .test_gathering import NOW, _home, line, recipe, store  # noqa: F401


@pytest.fixture
def filled(line: Line, store: Any) -> Line:  # noqa: F811
    """A line with captured rows, of which its champion answers every ninth or so otherwise than the large model."""
    rows = pairs(3000, 3, 0.0, 0.6, 20_000)
    store.add(
        [
            Exchange(f"r{number}", NOW, "support", "/v1/chat/completions", text, "upstream", answer=said, model="big", answer_state="whole")
            for number, (text, said) in enumerate(rows)
        ]
    )
    return line


def material(line: Line) -> Any:  # noqa: F811
    with closing(load(line.folder, 1)) as model:
        return line_data.collect_rows(line, line.read(), recipe(), model.form, CaptureFilter())


def again(line: Line, **asked: Any) -> Any:  # noqa: F811
    with closing(load(line.folder, 1)) as model:
        return recertify(model, CertificateRequest(likely=0.0, **asked))


def test_another_alpha_needs_no_training_and_is_a_look_of_its_own(filled: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smidgen.flows.learn.challenger.build", lambda *given, **more: pytest.fail("nothing is trained"))
    champion, held = filled.read().champion, material(filled)
    strict = again(filled, alpha=0.002)
    assert strict.certificate is None and not certificate_standing(filled.folder).valid and strict.n == held.certifying_texts > 300
    assert strict.outlook is not None and (strict.outlook.needed or 10**9) > strict.n
    looks = filled.read().looks
    assert looks == int(strict.looked)
    done = again(filled, alpha=0.1)
    assert done.certificate is not None and done.certificate.alpha == 0.1 and done.certificate.calibration.n == held.certifying_texts
    assert done.certificate.reference.kind == "model" and done.certificate.reference.model == "big"
    assert f"look {looks + 1} at rows that stay" in done.certificate.method
    pointer = filled.read()
    assert (pointer.looks, pointer.champion) == (looks + 1, champion) and certificate_standing(filled.folder).valid
    other = again(filled)
    assert other.certificate is not None and other.certificate.alpha == 0.1, "where nothing is said the terms stay"
    assert filled.read().looks == looks + 2


def test_what_a_version_learnt_from_certifies_nothing(filled: Line) -> None:
    """Half of the rows that are held out now were learnt from once: the line has that in writing."""
    held = material(filled).certifying
    known = held[: len(held) // 2]
    holdout.record_seen(filled, filled.read().champion or "", LearningRows(tuple(known), (), ()))
    done = again(filled, alpha=0.1)
    assert done.certificate is not None and done.certificate.calibration.n == len(held) - len(known)


def test_without_held_out_rows_nothing_is_looked_at(filled: Line) -> None:
    with opened() as traffic:
        traffic.delete_older(0)
    done = again(filled, alpha=0.1)
    assert done.certificate is None and "no held-out rows" in done.why and filled.read().looks == 0


def test_the_command_says_what_came_of_it(filled: Line, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.code(["certify", str(filled.folder), "--alpha", "0.1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["certified"] and told["certificate"]["alpha"] == 0.1
    assert main.code(["certify", str(filled.folder), "--alpha", "0.001"]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "not certified" in said and "to a certificate:" in said
    assert main.code(["certify", str(filled.folder), "--segment", "shop"]) == 2
    assert "give calibration pairs with --data" in " ".join(capsys.readouterr().err.split())
    version = filled.version(filled.read().champion or "")
    assert main.code(["certify", str(version)]) == 2
    assert "one thing at a time" in " ".join(capsys.readouterr().err.split())


def test_a_bundle_by_itself_keeps_no_rows(filled: Line) -> None:
    folder: Path = filled.version(filled.read().champion or "")
    with closing(load(folder, 1)) as model, pytest.raises(InputError, match="only a line"):
        recertify(model, CertificateRequest())
