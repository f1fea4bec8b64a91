"""`smidgen cost`: the answer in the first line, what it rests on below, and the same as JSON and as a chart."""

from __future__ import annotations

import datetime
import json
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from tests.certified_bundle import certified_bundle, pairs, write_pairs  # noqa: F401
from tests.line_versions import line_of

from smidgen.cli.main import code
from smidgen.core.errors import InputError, UnknownPart
from smidgen.flows.certify.certification import CertificateTerms, certify, revoke
from smidgen.flows.cost_report import reckon_cost
from smidgen.flows.local_model import load
from smidgen.judge import cost_estimate
from smidgen.judge.report import Report
from smidgen.judge.sections import AtRisk, CoveragePoint, DataFacts, RiskCoverage, SpeedFacts, StudentFacts, TeacherFacts, TrainingFacts
from smidgen.store.line import Line
from smidgen.usage import price_list
from smidgen.usage.break_even import CostSettings

PRICES = {
    "as_of": "2026-11-20",
    "models": [
        {"name": "Big", "input": 2.0, "output": 10.0, "date": "2026-11-20", "note": "until the end of the year"},
        {"name": "Small", "input": 0.1, "output": 0.5, "date": "2026-11-20"},
    ],
}


@pytest.fixture
def prices(tmp_path: Path) -> str:
    file = tmp_path / "prices.json"
    file.write_text(json.dumps(PRICES), encoding="utf-8")
    return str(file)


def bundle(folder: Path, **changes: Any) -> Path:
    """A folder with a report: 300 tokens in, 20 out, 50 texts a second, two hours of training."""
    speed, training = (
        SpeedFacts(texts_per_second=50.0, threads=2),
        TrainingFacts(seconds=7200.0, energy_wh=30.0, energy_method="rapl: counters"),
    )
    facts: dict[str, Any] = {
        "name": "shop",
        "task": "classify",
        "created": "2026-11-25T10:00:00Z",
        "student": StudentFacts(kind="encoder"),
        "speed": speed,
        "training": training,
        "cost": cost_estimate.estimate(300, 20, texts_per_second=50.0, machine_usd_per_hour=0.2),
        **changes,
    }
    folder.mkdir()
    (folder / "report.json").write_text(Report(**facts).json_text(), encoding="utf-8")
    return folder


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert code(["cost", *arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_the_first_line_is_the_answer(prices: str, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--requests-per-month", "500000", "--tokens-in", "400", "--tokens-out", "20", "--prices", prices, "--model", "Big"]
    assert code(["cost", *asked, "--machine-usd-per-hour", "0.1", "--build-hours", "10", "--build-usd-per-hour", "50"]) == 0
    lines = capsys.readouterr().out.splitlines()
    # A request costs 0.0008 + 0.0002 dollars, 500 a month; the machine 73 a month, building 500: 6,000 against 1,376.
    assert lines[0] == "Pays back in month 2: over 12 months $4,624 less than Big."
    # 400 a month go to the small model, 100 still to the large one: 500 + 12 * 173.
    assert lines[1] == "With 20 % still sent to Big: pays back in month 2: over 12 months $3,424 less than Big."
    shown = "\n".join(lines)
    assert "Month" in lines[3] and "Both (80 % here)" in lines[3] and len([line for line in lines if line.split()[:1] == ["12"]]) == 1
    for words in (
        "100 texts a second: assumed, because no bundle is named",
        "the small model answers 80 %, assumed",
        "until the end of the year",
        "$500, once",
        "$73.00 a month",
    ):
        assert words in " ".join(shown.split())


def test_what_never_pays_back_says_what_would_change_it(prices: str, capsys: pytest.CaptureFixture[str]) -> None:
    asked = [
        "--requests-per-month",
        "100000",
        "--tokens-in",
        "400",
        "--tokens-out",
        "20",
        "--prices",
        prices,
        "--machine-usd-per-hour",
        "0.1",
    ]
    assert told(capsys, *asked)["hints"] == ["Big is in the middle of the price list; name the model that you use with --model."]
    found = told(capsys, *asked, "--model", "Small")
    assert found["answer"].startswith("Never pays back")
    # 100,000 requests of 0.00005 dollars: 5 a month, 60 in a year; building costs an hour of the machine.
    assert "a month is cheaper from" in found["answer"] and found["hints"] == []
    free = told(capsys, *asked[:-2], "--machine-usd-per-hour", "0", "--build-usd-per-hour", "0.1", "--model", "Small")
    assert free["hints"] == [] and free["against"][0]["slm"]["saved_usd"] == pytest.approx(59.9)


def test_what_the_report_knows_is_not_asked(tmp_path: Path, prices: str, capsys: pytest.CaptureFixture[str]) -> None:
    point = CoveragePoint(threshold=0.6, coverage=0.913, risk=0.05, risk_low=0.04, risk_high=0.06)
    folder = bundle(
        tmp_path / "shop",
        risk_coverage=RiskCoverage(points=(point,), at=(AtRisk(wanted=0.05, point=point),)),
        data=DataFacts(test=400),
        teacher=TeacherFacts(source="url", usd=7.5),
    )
    found = told(capsys, str(folder), "--requests-per-month", "1000000", "--prices", prices)
    asked = found["asked"]
    assert (asked["tokens_in"], asked["tokens_out"], asked["texts_per_second"], asked["build_hours"]) == (300, 20, 50, 2)
    assert asked["machine_usd_per_hour"] == asked["build_usd_per_hour"] == 0, "the machine that is there"
    assert asked["share_local"] == found["share_local_from"]["share"] == 0.913 and found["share_local_from"]["source"] == "measured"
    assert [one["model"] for one in found["against"]] == ["Big", "Small"], "the one in the middle first, then the cheapest"
    rented = told(capsys, str(folder), "--requests-per-month", "1000000", "--prices", prices, "--machine-usd-per-hour", "0.2")
    small = rented["against"][1]
    assert small["usd_per_request"] == pytest.approx((300 * 0.1 + 20 * 0.5) / 1e6)
    assert small["build_usd"] == pytest.approx(2 * 0.2 + 7.5) and len(small["months"]) == 12
    assert small["slm"]["payback_month"] is None and "the machine costs $146 a month" in small["slm"]["why_never"]
    said = " ".join(found["assumptions"])
    assert "measured when the bundle was built, in batches with 2 threads" in said and "assumed. A bundle" not in said
    assert "The machine costs nothing, because you have it anyway" in said
    measured = "as its report measured on 400 test rows: with a score of 0.6 or more, 5 % of these answers are wrong"
    assert f"the small model answers 91.3 %, {measured}" in said and "$7.50 for the teacher" in said
    assert found["energy"] == {"training_wh": 30.0, "method": "rapl: counters"} and "30\N{NO-BREAK SPACE}Wh, measured" in said


def test_a_model_whose_every_score_is_too_often_wrong_answers_nothing(
    tmp_path: Path, prices: str, capsys: pytest.CaptureFixture[str]
) -> None:
    point = CoveragePoint(threshold=0.9, coverage=0.45, risk=0.2, risk_low=0.1, risk_high=0.3)
    curve = RiskCoverage(points=(point,), at=(AtRisk(wanted=0.05, point=None),))
    found = told(capsys, str(bundle(tmp_path / "shop", risk_coverage=curve)), "--requests-per-month", "1000", "--prices", prices)
    assert found["share_local_from"]["source"] == "measured" and found["asked"]["share_local"] == 0
    assert "its report measured no score with at most 5 % wrong answers" in " ".join(found["assumptions"])
    said = "".join(found["assumptions"] + found["answers"])
    assert "80 %" not in said, "what was measured is not assumed"


def test_energy_that_was_not_measured_is_not_told(tmp_path: Path, prices: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = bundle(tmp_path / "shop", training=TrainingFacts(seconds=60, energy_wh=1.0, energy_method="estimate: 10 W a busy core"))
    found = told(capsys, str(folder), "--requests-per-month", "1000", "--prices", prices)
    assert found["energy"] is None and "Training took" not in " ".join(found["assumptions"])


def test_flags_come_before_the_report(tmp_path: Path, prices: str, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--tokens-in", "100", "--texts-per-second", "2", "--machine-usd-per-hour", "0", "--build-hours", "0", "--share-local", "1"]
    found = told(
        capsys,
        str(bundle(tmp_path / "shop")),
        "--requests-per-month",
        "1000",
        "--prices",
        prices,
        *flags,
        "--growth",
        "5",
        "--model",
        "Small",
    )
    assert found["asked"]["tokens_in"] == 100 and found["asked"]["tokens_out"] == 20
    assert found["answers"] == ["Pays back in month 1: over 12 months $0.32 less than Small."]
    # 1,000 requests at 0.00002 dollars, growing by a twentieth: 0.02 * (1.05^12 - 1) / 0.05.
    assert found["against"][0]["llm_usd"] == pytest.approx(0.02 * (1.05**12 - 1) / 0.05)
    assert "as you say" in found["assumptions"][0]


def test_the_chart_is_written(tmp_path: Path, prices: str, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--requests-per-month", "500000", "--tokens-in", "400", "--tokens-out", "20", "--prices", prices]
    assert code(["cost", *asked, "--plot", str(tmp_path / "cost.svg")]) == 0
    assert f"The chart: {tmp_path / 'cost.svg'}" in " ".join(capsys.readouterr().out.replace("\n", " ").split())
    root = ElementTree.parse(tmp_path / "cost.svg").getroot()
    assert root.tag.endswith("svg") and "Big at $2 and $10 a million tokens in and out (2026-11-20)" in "".join(root.itertext())
    assert code(["cost", *asked, "--plot", str(tmp_path / "none" / "cost.svg")]) == 2


@pytest.mark.parametrize("name", ["cost.png", "cost", "cost.svg.pdf"])
def test_a_chart_whose_name_is_of_another_kind_is_refused(
    tmp_path: Path, prices: str, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    asked = ["--requests-per-month", "500000", "--tokens-in", "400", "--tokens-out", "20", "--prices", prices]
    assert code(["cost", *asked, "--plot", str(tmp_path / name)]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "the chart's file must end in .svg" in said and f"Name it {Path(name).stem}.svg" in said and not (tmp_path / name).exists()
    assert code(["cost", *asked, "--plot", str(tmp_path / "COST.SVG")]) == 0


def test_a_certificate_says_what_share_may_be_answered(certified_bundle: Path, tmp_path: Path, prices: str) -> None:  # noqa: F811
    asked = CostSettings(requests_per_month=1000, bundle=certified_bundle, tokens_in=1, tokens_out=1, prices=Path(prices))
    measured = reckon_cost(asked).local
    assert measured.source == "measured" and "certificate" not in measured.said
    with closing(load(certified_bundle, 1)) as model:
        paper = certify(model, write_pairs(tmp_path / "c.csv", pairs(1500, 3, start=20_000)), CertificateTerms()).certificate
    found = reckon_cost(asked)
    said = f"as its certificate says: {paper.answering[0].answered:,} of the 1,500 requests of its sample may be answered"
    assert found.asked.share_local == paper.share and said in " ".join(found.assumptions)
    assert {**found.json()["share_local_from"], "said": ""} == {
        "share": paper.share,
        "source": "certificate",
        "said": "",
        "certificate": paper.id,
    }
    told = reckon_cost(asked.model_copy(update={"share_local": 0.3}))
    assert (told.local.source, told.asked.share_local) == ("flag", 0.3) and "as you say" in " ".join(told.assumptions)
    revoke(certified_bundle, "new products")
    later = reckon_cost(asked)
    assert (later.local.source, later.asked.share_local) == ("measured", measured.share)
    assert "but support.certificate.json does not hold (revoked: new products" in " ".join(later.assumptions)


def test_of_a_line_its_champion_is_reckoned_with(certified_bundle: Path, tmp_path: Path, prices: str) -> None:  # noqa: F811
    line, (first, champion) = line_of(tmp_path / "line", 2)
    for number, id in enumerate((first, champion)):
        shutil.copyfile(certified_bundle / "report.json", line.version(id) / "report.json")
        told = json.loads((line.version(id) / "report.json").read_text(encoding="utf-8"))
        told["speed"]["texts_per_second"] = 100.0 + number
        (line.version(id) / "report.json").write_text(json.dumps(told), encoding="utf-8")
    found = reckon_cost(CostSettings(requests_per_month=1000, bundle=line.folder, tokens_in=1, tokens_out=1, prices=Path(prices)))
    assert found.asked.texts_per_second == 101.0 and found.asked.bundle == line.version(champion)
    empty = Line(tmp_path / "empty")
    empty.begin("empty")
    with pytest.raises(InputError, match="no champion yet"):
        reckon_cost(CostSettings(requests_per_month=1000, bundle=empty.folder, tokens_in=1, tokens_out=1, prices=Path(prices)))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--requests-per-month", "5"], "the tokens of a request are unknown"),
        (["none", "--requests-per-month", "5"], "there is no bundle here"),
        (["--requests-per-month", "5", "--tokens-in", "1", "--tokens-out", "1", "--model", "Bigg"], "Did you mean 'Big'?"),
        (["--requests-per-month", "0"], "must be greater than or equal to 1"),
        ([], "--requests-per-month"),
    ],
)
def test_what_cannot_be_reckoned_is_wrong_usage(prices: str, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    assert code(["cost", *arguments, "--prices", prices]) == 2
    assert words in capsys.readouterr().err


def test_old_prices_are_said_to_be_old(prices: str) -> None:
    asked = CostSettings(requests_per_month=1000, tokens_in=1, tokens_out=1, prices=Path(prices))
    late = " ".join(reckon_cost(asked, datetime.date(2027, 4, 1)).assumptions)
    assert "That is 132 days ago: look them up." in late
    assert "days ago" not in " ".join(reckon_cost(asked, datetime.date(2026, 11, 25)).assumptions)


def test_an_old_price_in_a_new_list_is_said_to_be_old(tmp_path: Path) -> None:
    own = tmp_path / "own.json"
    aged = json.loads(json.dumps(PRICES))
    aged["models"][0]["date"] = "2020-05-01"
    own.write_text(json.dumps(aged), encoding="utf-8")
    asked, day = CostSettings(requests_per_month=1000, tokens_in=1, tokens_out=1, prices=own), datetime.date(2026, 11, 25)
    assert "Old are the prices of Big of 2020-05-01 (2399 days): look them up." in " ".join(reckon_cost(asked, day).assumptions)
    assert "Old" not in " ".join(reckon_cost(asked.model_copy(update={"models": ("Small",)}), day).assumptions), (
        "one that is not used does not matter"
    )


@pytest.mark.parametrize("name", ["gpt-6-luna", "openai/gpt-6-luna", "GPT 6 Luna", "gpt_6_luna", "gpt-6 LUNA"])
def test_a_model_may_be_spelt_as_the_gateway_knows_it(name: str) -> None:
    found = reckon_cost(CostSettings(requests_per_month=1000, tokens_in=1, tokens_out=1, model=(name, "GPT-6 Luna")))
    assert [one.model.name for one in found.against] == ["GPT-6 Luna"]


def test_a_spelling_of_two_models_is_none_of_either(tmp_path: Path) -> None:
    own = tmp_path / "own.json"
    twins = [{"name": name, "input": 1, "output": 1, "date": "2026-11-20"} for name in ("us/Big", "eu/Big", "\u5927")]
    own.write_text(json.dumps({"as_of": "2026-11-20", "models": twins}), encoding="utf-8")
    asked = CostSettings(requests_per_month=1000, tokens_in=1, tokens_out=1, prices=own)
    assert [one.model.name for one in reckon_cost(asked.model_copy(update={"models": ("EU/big",)})).against] == ["eu/Big"]
    for name in ("big", "/"):
        with pytest.raises(UnknownPart):
            reckon_cost(asked.model_copy(update={"models": (name,)}))


def test_the_packaged_list_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, "--requests-per-month", "1000", "--tokens-in", "300", "--tokens-out", "20", "--model", "claude haiku 5.5")
    assert [one["model"] for one in found["against"]] == ["Claude Haiku 5.5"]
    assert found["prices_as_of"] == price_list.read()["as_of"] and found["against"][0]["date"]
