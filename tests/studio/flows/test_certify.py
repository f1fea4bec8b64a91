"""A certificate from the Studio: issued on rows that the model has never seen; what is missing otherwise; revoked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.certified_bundle import pairs
from tests.studio_model import do, project_with_model

from smidgen.core.errors import SmidgenError
from smidgen.studio.flows.certify import run_certify
from smidgen.studio.flows.serving.certificates import fresh_rows, read_certificate, revoke_certificate
from smidgen.studio.store.data_rows import DataRow
from smidgen.studio.store.projects import StudioStore


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StudioStore]:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SMIDGEN_TRAFFIC_URL", f"sqlite:///{tmp_path}/none.db")  # put back after a run has named another
    opened = StudioStore(f"sqlite:///{tmp_path}/studio.db")
    yield opened
    opened.close()


def add_tests(store: StudioStore, project: str, rows: list[tuple[str, str]]) -> None:
    store.rows(project).add([DataRow(text, output=label, part="test") for text, label in rows], "ann", "import", {})


def test_a_certificate_is_issued_on_rows_that_the_model_never_saw_and_revoked(store: StudioStore, tmp_path: Path) -> None:
    project, model = project_with_model(store, tmp_path / "models")
    before = read_certificate(store, project, model)
    assert (before.state, before.rows, before.fewest, before.certificate) == ("none", 0, 59, None)
    told = do(store, project, run_certify, "certify", {"model": model}).result
    assert told is not None and not told["certified"] and "no row to test on" in told["why"]

    seen = pairs(200, 1)[:50]
    add_tests(store, project, [*pairs(30, 3, start=5_000), *seen])
    assert len(fresh_rows(store, project, model)) == 30  # what it learnt from tests nothing
    few = do(store, project, run_certify, "certify", {"model": model}).result
    assert few is not None and not few["certified"] and few["facts"]["tests"][0]["pairs_missing"] == 29

    add_tests(store, project, pairs(1_500, 4, start=20_000))
    issued = do(store, project, run_certify, "certify", {"model": model, "alpha": 0.1}).result
    assert issued is not None and issued["certified"] and issued["certificate"]["alpha"] == 0.1
    assert issued["certificate"]["calibration"]["n"] == 1_530
    now = read_certificate(store, project, model)
    assert now.valid and now.certificate is not None and now.audits is not None and now.audits["audits"] == 0

    revoke_certificate(store, project, model, "the shop sells other goods")
    assert read_certificate(store, project, model).state == "revoked"


def test_an_impossible_request_is_refused(store: StudioStore, tmp_path: Path) -> None:
    project, model = project_with_model(store, tmp_path / "models")
    unfit = ({"model": model, "alpha": 2.0}, {"model": model, "unknown": 1}, {"model": "0" * 12}, {"model": "line"}, {"model": ""})
    for request in unfit:
        with pytest.raises(SmidgenError, match=r"cannot be used|no such|no line"):
            do(store, project, run_certify, "certify", request)
    assert len(unfit) == 5
