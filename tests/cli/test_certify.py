"""`smidgen certify`: given, shown, revoked, refused; with the exit codes that scripts go by."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.certified_bundle import certified_bundle, make, pairs, write_pairs  # noqa: F401

from smidgen.cli.main import code
from smidgen.gateway import certificate as papers
from smidgen.gateway import certificate_audit
from smidgen.store.files import home


def test_its_whole_life(certified_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    file = write_pairs(tmp_path / "calibration.csv", pairs(1500, 3, start=20_000))
    bundle = str(certified_bundle)
    assert code(["certify", bundle, "--show", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["state"] == "none"
    assert code(["certify", bundle, "--data", str(file), "--alpha", "0.05", "--delta", "0.05", "--threads", "1", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["certified"] and said["certificate"]["answering"][0]["n"] == 1500 and Path(said["file"]).is_file()
    assert code(["certify", bundle, "--show"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "at most α = 0.05 disagree with the reference" in shown and "valid: until" in shown and "the line" not in shown
    paper = papers.read(papers.place(certified_bundle))
    certificate_audit.observe(certified_bundle, paper, 1.0)
    assert code(["certify", bundle, "--show"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "the line since its last revocation: 1 audits, versions: 1, loss 1, evidence" in shown and "of 40, which would revoke" in shown
    assert code(["certify", bundle, "--revoke", "new products"]) == 0
    assert "everything escalates" in capsys.readouterr().out
    assert code(["certify", bundle, "--show"]) == 1
    told = capsys.readouterr()
    line = certificate_audit.read_state(paper).line
    assert line is not None and line.audit.audits == 0, "a revocation begins the line's audits anew"
    assert "revoked: new products" in " ".join(told.out.split()) and "Everything escalates" in told.err
    assert code(["certify", bundle, "--data", str(file), "--threads", "1"]) == 2


def test_what_may_be_lost_of_all_requests(certified_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    file = write_pairs(tmp_path / "calibration.csv", pairs(1500, 3, start=20_000))
    assert code(["certify", str(certified_bundle), "--data", str(file), "--overall", "0.01", "--threads", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["certificate"]["overall"] == 0.01
    assert code(["certify", str(certified_bundle), "--show"]) == 0
    assert "of all requests on average at most 0.01 are answered locally and disagree" in " ".join(capsys.readouterr().out.split())
    assert code(["certify", str(certified_bundle), "--data", str(file), "--overall", "2", "--threads", "1"]) == 2
    assert "--overall: must be less than 1" in " ".join(capsys.readouterr().err.split())


def test_no_certificate_is_exit_1_with_what_is_missing(
    certified_bundle: Path,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = write_pairs(tmp_path / "few.csv", pairs(40, 3, start=20_000))
    assert code(["certify", str(certified_bundle), "--data", str(file), "--threads", "1", "--json"]) == 1
    told = capsys.readouterr()
    facts = json.loads(told.out)
    assert facts["certified"] is False and facts["tests"][0]["pairs_missing"] == 19
    assert "59 pairs are needed, 19 more than these 40" in " ".join(told.err.split())


def test_the_chance_is_told_beforehand_and_a_test_that_would_fail_need_not_be_made(
    certified_bundle: Path,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    few = str(write_pairs(tmp_path / "few.csv", pairs(70, 3, start=20_000)))
    flags = ["certify", str(certified_bundle), "--threads", "1"]
    assert code([*flags, "--data", few, "--likely", "0.8", "--json"]) == 1
    told = capsys.readouterr()
    facts = json.loads(told.out)
    assert facts["certified"] is False and 0 <= facts["forecast"]["chance"] < 0.8 and facts["n"] == 70
    said = " ".join(told.err.split())
    assert "no test was made" in said and "70 pairs give a certificate with a chance of" in said and "the chance is 80%" in said
    assert not (home() / "looks").exists() or not list((home() / "looks").iterdir()), "nothing was spent"
    many = str(write_pairs(tmp_path / "many.csv", pairs(1500, 3, start=20_000)))
    assert code([*flags, "--data", many, "--likely", "0.8"]) == 0
    assert "1,500 pairs give a certificate with a chance of 100%, and then some" in " ".join(capsys.readouterr().err.split())


def test_what_could_not_be_checked_is_printed_with_the_certificate_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    bundle = str(make(tmp_path / "models", recipe='name = "support"\ntask = "classify"\n[data]\ntrain = "gone/train.csv"\n'))
    file = str(write_pairs(tmp_path / "calibration.csv", pairs(1500, 3, start=20_000)))
    assert code(["certify", bundle, "--data", file, "--threads", "1", "--json"]) == 0
    (sentence,) = json.loads(capsys.readouterr().out)["certificate"]["unchecked"]
    assert "train.csv is not at hand" in sentence
    assert code(["certify", bundle, "--show"]) == 0
    assert f"not checked: {sentence}" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["--show", "--revoke", "x"],
        ["--data", "x.csv", "--show"],
        ["--data", "x.csv", "--reference", "judge", "--judge-errors", "many"],
        ["--data", "x.csv", "--reference", "rumour"],
        ["--data", "no-such.csv"],
        ["--data", "x.csv", "--alpha", "2"],
        ["--data", "x.csv", "--loss", "judge", "--judge-errors", "0/50"],
        ["--data", "x.csv", "--judge", "http://127.0.0.1:1/v1"],
        ["--data", "x.csv", "--loss", "judge", "--judge", "http://api.example.com/v1", "--judge-errors", "0/50"],
        ["--data", "x.csv", "--loss", "attributes", "--reference", "gold"],
        ["--data", "x.csv", "--loss", "attributes"],
    ],
)
def test_wrong_usage_is_exit_2(certified_bundle: Path, flags: list[str]) -> None:  # noqa: F811
    assert code(["certify", str(certified_bundle), *flags]) == 2


def test_a_judge_whose_texts_would_go_unencrypted_is_refused_by_its_flag(
    certified_bundle: Path,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = ["--data", "x.csv", "--loss", "judge", "--judge", "http://api.example.com/v1", "--judge-errors", "0/50"]
    assert code(["certify", str(certified_bundle), *asked]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "--judge cannot be used" in said and "unencrypted" in said
