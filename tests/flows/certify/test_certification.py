"""Certifying a real bundle, whose answers are known, on pairs whose errors are drawn."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError
from tests.certified_bundle import WORDS, answer, certified_bundle, make, pairs, score, unlooked, write_pairs  # noqa: F401
from tests.recorded_progress import RecordedProgress

from smidgen.bundles.open import open_bundle
from smidgen.core.errors import CertificateError, DataError, InputError
from smidgen.core.progress import Silent
from smidgen.core.replies import Reply
from smidgen.flows.build.pipeline import build
from smidgen.flows.certify.certification import (
    CertificateTerms,
    IssuedCertificate,
    certificate_standing,
    certificate_subject,
    certify,
    revoke,
)
from smidgen.flows.certify.settings import PromiseSettings
from smidgen.flows.local_model import load
from smidgen.gateway import certificate as papers
from smidgen.gateway.certificate_status import CertificateState, Decision, check_certificate
from smidgen.judge import report
from smidgen.parts import recipe
from smidgen.stats.certification import ReferenceErrors
from smidgen.stats.risk_bounds import binomial_upper_bound
from smidgen.tasks import write

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def run(bundle: Path, file: Path, progress: Silent | None = None, **terms: Any) -> IssuedCertificate:
    with closing(load(bundle, 1)) as model:
        return certify(model, file, CertificateTerms(**terms), now=NOW, progress=progress)


def test_a_bundle_is_certified_and_its_certificate_says_how(certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    rows = pairs(1500, 3, start=20_000)
    before = sorted((file.name, file.read_bytes()) for file in certified_bundle.iterdir())
    done = run(certified_bundle, write_pairs(tmp_path / "calibration.csv", rows))
    paper = done.certificate
    (entry,) = paper.answering
    # What it says is counted again, from what the bundle is known to answer.
    kept = [(given, wanted) for given, wanted in rows if score(int(given[1:3])) >= entry.threshold - 1e-6]
    errors = sum(answer(int(given[1:3])) != wanted for given, wanted in kept)
    assert (entry.n, entry.answered, entry.loss) == (1500, len(kept), errors)
    assert entry.bound == pytest.approx(binomial_upper_bound(errors, len(kept), 0.05)) and entry.bound <= 0.05
    assert 0.3 < entry.share < 0.9
    assert paper.valid_until == NOW + timedelta(days=90) and paper.reference.kind == "gold"
    assert paper.statement.startswith("of the requests answered locally, at most α = 0.05 disagree with the reference, with confidence 1−δ")
    assert "2026-08-30" in paper.statement
    found = check_certificate(certified_bundle, certificate_subject(open_bundle(certified_bundle).manifest), NOW)
    assert found.valid and found.decide(entry.threshold, now=NOW) is Decision.ANSWER
    assert found.decide(entry.threshold - 0.01, now=NOW) is Decision.ESCALATE
    assert done.file == certified_bundle.parent / "support.certificate.json"
    assert sorted((file.name, file.read_bytes()) for file in certified_bundle.iterdir()) == before


def test_a_bundle_that_is_not_good_enough_gets_none_and_what_was_there_stays(certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    run(certified_bundle, write_pairs(tmp_path / "good.csv", pairs(1500, 3, start=20_000)))
    kept = papers.place(certified_bundle).read_bytes()
    with pytest.raises(CertificateError, match="no number of pairs would do") as caught:
        run(certified_bundle, write_pairs(tmp_path / "bad.csv", pairs(800, 4, 0.3, start=20_000)))
    (test,) = caught.value.facts["tests"]  # type: ignore[misc]
    assert test["pairs_needed"] is None and test["best_risk"] > 0.2
    assert papers.place(certified_bundle).read_bytes() == kept


def test_what_may_be_lost_of_all_requests_is_asked_for_and_said(certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    file = write_pairs(tmp_path / "calibration.csv", pairs(1500, 3, start=20_000))
    plain = run(certified_bundle, file).certificate
    unlooked()
    whole = run(certified_bundle, file, overall=0.01).certificate
    unlooked()
    assert "overall" not in plain.facts() and "of all requests" not in plain.statement
    assert whole.facts()["overall"] == 0.01 and whole.share < plain.share
    assert "and of all requests on average at most 0.01 are answered locally and disagree, for traffic exchangeable" in whole.statement
    assert (whole.answering[0].loss + 1) / 1501 <= 0.01 < (plain.answering[0].loss + 1) / 1501
    assert papers.read(papers.place(certified_bundle)) == whole
    assert check_certificate(certified_bundle, certificate_subject(open_bundle(certified_bundle).manifest), NOW).valid
    with pytest.raises(CertificateError, match=r"keep alpha, but with them [\d.]+ of all 1,500 pairs are lost") as caught:
        run(certified_bundle, file, overall=0.0001)
    assert "--overall" in str(caught.value.todo) or "pairs would do" in str(caught.value.todo)


def test_too_few_pairs_say_how_many_more(certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    with pytest.raises(CertificateError, match="59 pairs are needed, 19 more than these 40") as caught:
        run(certified_bundle, write_pairs(tmp_path / "few.csv", pairs(40, 5, start=20_000)))
    assert caught.value.facts["certified"] is False and caught.value.exit_code == 1
    with pytest.raises(CertificateError, match=r"about [\d,]+ pairs would do, [\d,]+ more than these 200: draw a new sample"):
        run(certified_bundle, write_pairs(tmp_path / "some.csv", pairs(200, 6, 0.035, 0.05, start=20_000)))
    with pytest.raises(CertificateError, match=r"lowest risk seen at any threshold is 100.0%. More pairs do not help"):
        run(certified_bundle, write_pairs(tmp_path / "wrong.csv", pairs(300, 7, 1.0, 1.0, start=20_000)))
    with pytest.raises(CertificateError, match="More pairs do not help"):
        run(certified_bundle, write_pairs(tmp_path / "few-wrong.csv", pairs(40, 8, 1.0, 1.0, start=30_000)))
    assert not papers.place(certified_bundle).exists()


def test_the_bundles_own_data_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    train = write_pairs(tmp_path / "train.csv", pairs(200, 1))
    bundle = make(tmp_path / "models", recipe=f'name = "support"\ntask = "classify"\n[data]\ntrain = {json.dumps(str(train))}\n')
    with pytest.raises(InputError, match="the bundle's training data"):
        run(bundle, train)
    with pytest.raises(InputError, match="trained on"):
        run(bundle, write_pairs(tmp_path / "copy.csv", pairs(200, 1), ["a"] * 200))  # another file, the same rows
    with pytest.raises(InputError, match="tested on"):
        run(bundle, write_pairs(tmp_path / "test.csv", pairs(600, 2, start=10_000)))
    with pytest.raises(InputError, match="most rows stand in the data"):
        run(bundle, write_pairs(tmp_path / "most.csv", [*pairs(200, 1), *pairs(50, 9, start=20_000)]))


def test_a_built_bundle_knows_its_training_and_test_files(tiny: tuple[Path, Path], tmp_path: Path) -> None:
    """The whole way, by a build: with the recipe's files in place, and with copies whose files it has never seen."""
    train, test = tiny
    sections: dict[str, Any] = {
        "name": "small",
        "task": "classify",
        "data": {"train": str(train), "test": str(test), "input": "text", "label": "intent"},
        "student": {"kind": "linear"},
    }
    bundle = build(recipe.make(sections), tmp_path / "small", threads=1).folder
    assert report.read(bundle / "report.json").data.test_sha256 is not None
    for file, met in ((train, "the bundle's training data"), (test, "the bundle's test data")):
        with pytest.raises(InputError, match=met):
            run(bundle, file)
        copy = tmp_path / f"copy-of-{file.name}"
        copy.write_text(file.read_text(encoding="utf-8") + "\n", encoding="utf-8")
        with pytest.raises(InputError, match=r"the data that the bundle was (trained|tested) on"):
            run(bundle, copy)


def test_rows_that_the_bundle_knows_are_left_out_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    train = write_pairs(tmp_path / "train.csv", pairs(200, 1))
    bundle = make(tmp_path / "models", recipe=f'name = "support"\ntask = "classify"\n[data]\ntrain = {json.dumps(str(train))}\n')
    known = [(given.upper() + "!", wanted) for given, wanted in pairs(200, 1)[:5]]
    said = RecordedProgress()
    done = run(bundle, write_pairs(tmp_path / "mixed.csv", [*known, *pairs(1500, 3, start=20_000)]), said)
    assert (done.certificate.n, done.certificate.calibration.left_out) == (1500, 5)
    assert any("5 rows left out" in line for line in said.said) and done.certificate.unchecked == ()
    assert "of the requests answered locally (but for texts that the bundle was made from), at most" in done.certificate.statement


def test_a_text_that_comes_again_and_again_is_not_left_out_for_having_been_answered_wrongly(
    certified_bundle: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    """The report shows a few of its test rows, picked because they went wrong. In traffic that repeats itself they come, too."""
    reported, _ = pairs(600, 2, start=10_000)[0]
    word = int(reported[1:3])
    wrong = [(reported, "no" if answer(word) == "yes" else "yes")] * 300
    others = pairs(1500, 3, 0.0, 0.0, start=20_000)
    each = run(certified_bundle, write_pairs(tmp_path / "repeats.csv", [*wrong, *others])).certificate
    assert (each.n, each.calibration.left_out) == (1800, 0)
    unlooked()
    done = run(certified_bundle, tmp_path / "repeats.csv", distinct=True)
    assert (done.certificate.n, done.certificate.calibration.left_out) == (1501, 0)
    said = "how often each text comes: each stands once here, and 299 times that one came again are left out"
    assert done.certificate.unchecked == (said,)
    (entry,) = done.certificate.answering
    assert entry.answered == sum(score(WORDS.index(given.split()[0])) >= entry.threshold for given, _ in {*wrong, *others})
    assert entry.loss == (score(word) >= entry.threshold), "it counts, once"


def test_what_cannot_be_checked_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    bundle = make(tmp_path / "models", recipe='name = "support"\ntask = "classify"\n[data]\ntrain = "gone/train.csv"\n')
    said = RecordedProgress()
    done = run(bundle, write_pairs(tmp_path / "new.csv", pairs(1500, 3, start=20_000)), said)
    assert done.certificate.unchecked == ("whether texts stand in the training data, for train.csv is not at hand",)
    assert any("train.csv is not at hand" in line for line in said.said)


def test_labels_as_segments_have_thresholds_of_their_own(certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    """What is answered `yes` is wrong half of the time, so that it is not certified; `no` is."""
    rows = [(given, "no" if place % 2 else wanted) for place, (given, wanted) in enumerate(pairs(3000, 3, 0.0, 0.1, start=20_000))]
    done = run(certified_bundle, write_pairs(tmp_path / "c.csv", rows), segment="label")
    (entry,) = done.certificate.answering
    assert (done.certificate.by, entry.segment, list(done.refused)) == ("label", "no", ["yes"])
    found = certificate_standing(certified_bundle, NOW)
    decided = [found.decide(0.999, name, NOW) for name in ("no", "yes", None, "maybe")]
    assert decided == [Decision.ANSWER, Decision.ESCALATE, Decision.ESCALATE, Decision.ESCALATE]


def test_a_column_as_segments(certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    rows = pairs(3000, 3, 0.0, 0.1, start=20_000)
    shops = ["north" if place % 2 else "south" if place % 50 else "" for place in range(2990)] + ["west"] * 10
    done = run(certified_bundle, write_pairs(tmp_path / "c.csv", rows, shops), segment="shop")
    assert [entry.segment for entry in done.certificate.answering] == ["north", "south"]
    assert done.refused == {"west": "10 pairs, too few for any test"}
    # Delta is shared by the two.
    entry = done.certificate.answering[0]
    assert entry.bound == pytest.approx(binomial_upper_bound(round(entry.loss), entry.answered, 0.025))
    with pytest.raises(DataError, match="shopp"):
        run(certified_bundle, tmp_path / "c.csv", segment="shopp")


def test_no_segment_with_enough_pairs(certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    rows = pairs(300, 3, start=20_000)
    with pytest.raises(CertificateError, match="in no segment enough"):
        run(certified_bundle, write_pairs(tmp_path / "c.csv", rows, [str(place // 10) for place in range(300)]), segment="shop")


def test_a_judge_enters_the_bound(certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    file = write_pairs(tmp_path / "c.csv", pairs(3000, 3, 0.0, 0.2, start=20_000))
    gold = run(certified_bundle, file)
    unlooked()
    judged = run(certified_bundle, file, reference="judge", judge=ReferenceErrors(1, 2000))
    unlooked()
    assert judged.certificate.reference.judge is not None
    assert judged.certificate.share < gold.certificate.share
    assert judged.certificate.answering[0].bound > 0.03
    assert "1 of 2000" in judged.certificate.reference.words
    with pytest.raises(CertificateError, match="have more of its verdicts reviewed"):
        run(certified_bundle, file, reference="judge", judge=ReferenceErrors(10, 100))


def test_a_revoked_sample_is_not_taken_again(certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    file = write_pairs(tmp_path / "c.csv", pairs(1500, 3, start=20_000))
    run(certified_bundle, file)
    assert certificate_standing(certified_bundle, NOW).valid
    assert len(revoke(certified_bundle, "new products", NOW)) == 3
    assert (certificate_standing(certified_bundle, NOW).state, "new products" in certificate_standing(certified_bundle, NOW).why) == (
        CertificateState.REVOKED,
        True,
    )
    with pytest.raises(InputError, match="a revoked certificate"):
        run(certified_bundle, file)
    run(certified_bundle, write_pairs(tmp_path / "new.csv", pairs(1500, 8, start=30_000)))
    assert certificate_standing(certified_bundle, NOW).valid


def test_another_bundle_in_its_place_is_not_certified(certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    run(certified_bundle, write_pairs(tmp_path / "c.csv", pairs(1500, 3, start=20_000)))
    other = make(tmp_path / "more", seed=1)
    certified_bundle.rename(tmp_path / "old")
    other.rename(certified_bundle)
    assert certificate_standing(certified_bundle, NOW).state is CertificateState.BUNDLE


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"alpha": 0.0}, "alpha is out of range"),
        ({"delta": 1.0}, "delta is out of range"),
        ({"alpha": float("nan")}, "alpha is out of range"),
        ({"overall": 0.0}, "overall is out of range"),
        ({"overall": 1.0}, "overall is out of range"),
        ({"valid_days": 0}, "valid_days is out of range"),
        ({"reference": "judge"}, "belong together"),
        ({"judge": ReferenceErrors(1, 10)}, "belong together"),
        ({"reference": "judge", "judge": ReferenceErrors(11, 10)}, "K wrong of N"),
        ({"reference": "judge", "judge": ReferenceErrors(0, 0)}, "K wrong of N"),
        ({"reference": "judge", "judge": ReferenceErrors(0, 10), "model": "big"}, "large model's name"),
    ],
)
def test_terms_that_cannot_be_are_refused(certified_bundle: Path, tmp_path: Path, terms: dict[str, Any], said: str) -> None:  # noqa: F811
    with pytest.raises(InputError, match=said):
        run(certified_bundle, tmp_path / "unread.csv", **terms)


@pytest.mark.parametrize(
    "terms",
    [{"alpha": 0.0}, {"delta": 1.0}, {"alpha": float("nan")}, {"overall": 0.0}, {"overall": 1.0}, {"valid_days": 0}, {"valid_days": 3651}],
    ids=str,
)
def test_a_promise_out_of_range_is_refused(terms: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(terms))):
        PromiseSettings(**terms)


def test_a_revocation_needs_a_reason_and_a_certificate(certified_bundle: Path) -> None:  # noqa: F811
    with pytest.raises(InputError, match="needs a reason"):
        revoke(certified_bundle, " ")
    with pytest.raises(CertificateError, match="there is no certificate"):
        revoke(certified_bundle, "why")
    assert certificate_standing(certified_bundle).state is CertificateState.NONE


def test_texts_are_certified_by_their_loss(certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    """A writer in the bundle's place: it copies its input but for its last words, the more of them the less sure it is."""

    def written(texts: list[str]) -> list[Reply]:
        words = [given.split() for given in texts]
        return [Reply(" ".join([*told[:4], *["other"] * (int(told[0][1:]) // 20)]), score(int(told[0][1:]))) for told in words]

    bundle = open_bundle(certified_bundle)
    manifest = bundle.manifest.model_copy(update={"task": "write"})
    model = SimpleNamespace(
        folder=certified_bundle,
        manifest=manifest,
        task=write.part,
        form={},
        columns=("text", "intent"),
        name="writer",
        slots=0,
        predict=written,
    )
    rows = [(given, given) for given, _ in pairs(800, 3, start=20_000)]
    done = certify(model, write_pairs(tmp_path / "c.csv", rows), CertificateTerms(alpha=0.15), now=NOW)  # type: ignore[arg-type]
    (entry,) = done.certificate.answering
    assert "betting" in done.certificate.method and "ROUGE-L" in done.certificate.loss
    assert 0 < entry.loss / entry.answered < entry.bound <= 0.15
    assert entry.n == 800 and 0.4 < entry.share < 1.0
