"""What alpha bounds of texts: likeness, attributes of the request, a judge's marks; and what is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.certified_bundle import certified_bundle, score, unlooked, write_pairs  # noqa: F401
from tests.forms import label_form, span_form, text_form
from tests.tasks.test_write import products
from tests.teacher_server import Fault, TeacherServer, teacher_server

from smidgen.bundles.open import open_bundle
from smidgen.core.errors import CertificateError, InputError, RecipeError, TeacherError
from smidgen.core.progress import Silent
from smidgen.core.replies import Reply
from smidgen.core.rows import Row
from smidgen.data.teacher.settings import TeacherSettings
from smidgen.flows.certify import certificate_status, losses
from smidgen.flows.certify.certification import CertificateTerms, IssuedCertificate, certify
from smidgen.flows.certify.losses import disagreement
from smidgen.flows.learn.cycle import learn
from smidgen.flows.learn.learning_rows import LineRow
from smidgen.flows.learn.line_certificate import certify_version, resolve_terms
from smidgen.flows.learn.settings import LearnSettings, LineCertificateSettings, TrafficSettings
from smidgen.gateway import certificate as papers
from smidgen.gateway import certificate_audit
from smidgen.gateway.certificate import Reference
from smidgen.stats.certification import ReferenceErrors
from smidgen.tasks import classify, write
from smidgen.tasks.classify import Classify
from smidgen.tasks.extract import Extract
from smidgen.tasks.write import Write, WriteSettings

NOW = datetime(2026, 1, 2, tzinfo=UTC)
FORM = write.part.form(products(), WriteSettings(instruction="Describe the lamp."))
COLOURS = ("red", "blue", "green", "black")
BY_REQUEST = CertificateTerms(alpha=0.1, loss="attributes", reference="request")


def lamp(number: int, colour: int, plug: int) -> str:
    return f"name: Lamp {number}; colour: {COLOURS[colour]}; plug: {('no', 'yes')[plug]}"


def lamps(count: int, start: int = 1_000) -> list[str]:
    return [lamp(start + number, number % 4, number // 4 % 2) for number in range(count)]


def described(text: str) -> Reply:
    """The writer: the higher the lamp's number goes within a hundred, the less sure it is; and of the least sure half, every other text
    leaves the plug out."""
    if text.count("; ") != 2:
        return Reply("A lamp.", 0.99)
    name, colour, plug = (part.split(": ")[1] for part in text.split("; "))
    place = int(name.split()[1]) % 100
    said = f"{name}: A {colour} lamp" + ("." if place >= 50 and place % 2 else f", {'with' if plug == 'yes' else 'without'} a plug.")
    return Reply(said, score(place))


@pytest.fixture
def writer(certified_bundle: Path) -> Any:  # noqa: F811
    manifest = open_bundle(certified_bundle).manifest.model_copy(update={"task": "write"})
    return SimpleNamespace(
        folder=certified_bundle,
        manifest=manifest,
        task=write.part,
        form=FORM,
        columns=("text", "intent"),
        name="writer",
        slots=0,
        predict=lambda texts: [described(text) for text in texts],
    )


@pytest.fixture
def server() -> Iterator[TeacherServer]:
    """A judge: 10 for a text that says how the plug is, 2 for one that does not."""
    with teacher_server(lambda messages: "10" if "plug." in messages[-1]["content"] else "2") as running:
        yield running


def by_request(writer: Any, tmp_path: Path, terms: CertificateTerms = BY_REQUEST, texts: list[str] | None = None) -> IssuedCertificate:
    rows = [(text, "no person wrote this") for text in texts or lamps(800)]
    return certify(writer, write_pairs(tmp_path / "c.csv", rows), terms, now=NOW)


def test_the_attributes_of_a_text_are_its_reference() -> None:
    text = lamp(7, 0, 1)
    wrong = ["Lamp 7: A red lamp, with a plug.", "Lamp 7: A red lamp.", "Lamp 7: A blue lamp, with a plug.", ""]
    assert write.part.checks.missed([text] * 4, wrong, FORM) == pytest.approx([0.0, 1 / 3, 2 / 4, 1.0])
    assert write.part.checks.missed(["Tell me of lamps."], ["A lamp."], FORM) == [None]
    plain = write.part.form([*products(8)], WriteSettings(attributes="off"))
    assert write.part.checks.missed([text], wrong[:1], plain) == [None]


def test_an_attribute_that_no_example_had_counts_as_left_out() -> None:
    text = f"{lamp(7, 0, 1)}; warranty: ten years"
    assert write.part.checks.missed([text], ["Lamp 7: A red lamp, with a plug and ten years of warranty."], FORM) == pytest.approx([1 / 4])
    assert write.part.checks.missed(["warranty: ten years; origin: Peru"], ["Of ten years."], FORM) == [1.0]


def test_what_cannot_be_checked_is_wholly_lost() -> None:
    assert losses.missed_attributes(write.part, FORM, lamp(7, 0, 1), Reply("Lamp 7: A red lamp, with a plug.", 0.9)) == 0.0
    assert losses.missed_attributes(write.part, FORM, "Tell me of lamps.", Reply("A lamp.", 0.9)) == 1.0
    assert losses.missed_attributes(classify.part, {}, "text", Reply("label", 0.9)) == 1.0


def test_a_certificate_by_attributes_needs_no_references(writer: Any, tmp_path: Path) -> None:
    done = by_request(writer, tmp_path)
    paper = done.certificate
    (entry,) = paper.answering
    assert (paper.measure, paper.reference.kind) == ("attributes", "request")
    assert "attributes" in paper.loss and "betting" in paper.method
    above = [text for text in lamps(800) if described(text).score >= entry.threshold]
    lost = sum(1 / 3 for text in above if "plug" not in described(text).output)
    assert entry.loss == pytest.approx(lost) and entry.loss > 0 and entry.bound <= 0.1
    again = papers.read(done.file)
    assert again.measure == "attributes" and again.content == paper.content


def test_a_stricter_claim_answers_less_and_an_impossible_one_nothing(writer: Any, tmp_path: Path) -> None:
    asked = [CertificateTerms(alpha=alpha, loss="attributes", reference="request") for alpha in (0.1, 0.04)]
    shares = []
    for terms in asked:
        unlooked()
        shares.append(by_request(writer, tmp_path, terms).certificate.share)
    assert shares[0] > shares[1] > 0
    with pytest.raises(CertificateError, match="no threshold can be certified"):
        by_request(writer, tmp_path, texts=[f"Tell me of lamp {number}." for number in range(400)])


def test_older_certificates_say_nothing_of_a_measure(writer: Any, tmp_path: Path) -> None:
    rows = [(text, described(text).output) for text in lamps(400)]
    done = certify(writer, write_pairs(tmp_path / "c.csv", rows), CertificateTerms(), now=NOW)
    assert done.certificate.measure == "" and "measure" not in json.loads(done.file.read_text(encoding="utf-8"))


def test_a_certificate_that_measures_otherwise_does_not_go_on_with_the_audits(writer: Any, tmp_path: Path) -> None:
    first = by_request(writer, tmp_path).certificate
    certificate_audit.declare(first, 0.1)
    certificate_audit.observe(writer.folder, first, 1.0, 0.1)
    rows = [(text, described(text).output) for text in lamps(800)]
    plain = certify(writer, write_pairs(tmp_path / "p.csv", rows), CertificateTerms(alpha=0.1), now=NOW).certificate
    assert not certificate_status._renews(first, plain) and certificate_audit.read_audit(plain).audits == 0
    assert certificate_status._renews(first, first)


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        (CertificateTerms(loss="attributes"), "the request itself is the reference"),
        (CertificateTerms(reference="request"), "the request itself is the reference"),
        (CertificateTerms(loss="judge"), "the judge is the reference"),
        (CertificateTerms(loss="judge", reference="judge"), "belong together"),
        (CertificateTerms(loss="judge", reference="judge", judge=ReferenceErrors(0, 50)), "no judge was named"),
    ],
)
def test_terms_that_do_not_go_together_are_refused(writer: Any, tmp_path: Path, terms: CertificateTerms, words: str) -> None:
    with pytest.raises(InputError, match=words):
        by_request(writer, tmp_path, terms)


def test_losses_that_a_task_does_not_know_are_refused(writer: Any) -> None:
    with pytest.raises(InputError, match="only written texts have a choice"):
        losses.choose_loss("attributes", classify.part, {})
    with pytest.raises(InputError, match="does not check attributes"):
        losses.choose_loss("attributes", write.part, FORM.model_copy(update={"attributes": False}))


def test_a_judges_marks_are_a_loss_and_its_error_is_paid(writer: Any, tmp_path: Path, server: TeacherServer) -> None:
    settings = TeacherSettings(source=server.url, model="judge-1", uses=("score",))
    file = write_pairs(tmp_path / "c.csv", [(text, "unread") for text in lamps(800)])
    shares = []
    for judge in (ReferenceErrors(0, 4000), ReferenceErrors(60, 4000)):
        terms = CertificateTerms(alpha=0.15, loss="judge", reference="judge", judge=judge, model="judge-1")
        unlooked()
        with losses.open_judge(writer, settings, 1, Silent()) as marks:
            paper = certify(writer, file, terms, marking=marks, now=NOW).certificate
        (entry,) = paper.answering
        above = [text for text in lamps(800) if described(text).score >= entry.threshold]
        assert entry.loss == pytest.approx(sum(0.8 for text in above if "plug." not in described(text).output))
        shares.append(paper.share)
    assert shares[0] > shares[1] > 0
    assert (paper.measure, paper.reference.model) == ("judge", "judge-1") and "judge-1" in paper.reference.words
    told = {json.dumps(body["messages"]) for body in server.seen}
    assert len(told) == len(server.seen) <= 800  # the second time nothing was asked again
    assert "Describe the lamp." in server.seen[0]["messages"][0]["content"]


def test_a_judge_that_gives_no_marks_certifies_nothing(writer: Any, tmp_path: Path, server: TeacherServer) -> None:
    server.answer = lambda messages: "rather good" if "Lamp 1001" in messages[-1]["content"] else "10"
    settings = TeacherSettings(source=server.url, model="judge-2", key_env="SMIDGEN_JUDGE_KEY", uses=("score",), attempts=1)
    texts = [(text, Reply("A lamp", 0.5)) for text in lamps(40)]
    with losses.open_judge(writer, settings, 1, Silent()) as marks:
        assert marks(*zip(*texts, strict=True)) == [1.0, 0.0, *[1.0] * 38]
        server.answer = lambda messages: "rather good"
        with pytest.raises(InputError, match="0 of 3 got a mark"):
            marks(lamps(3, start=9_000), [Reply("A lamp", 0.5)] * 3)
        server.refuses = lambda body: Fault(401)
        with pytest.raises(TeacherError, match=r"the judge could not be asked.*401.*SMIDGEN_JUDGE_KEY"):
            marks(lamps(3, start=9_500), [Reply("A lamp", 0.5)] * 3)


@pytest.mark.parametrize(("source", "words"), [("https://api.example.com/v1", "needs a budget"), ("a-bundle", "must be a URL")])
def test_a_judge_elsewhere_needs_a_budget_and_one_in_a_folder_is_none(writer: Any, source: str, words: str) -> None:
    settings = TeacherSettings(source=source)
    with pytest.raises((InputError, RecipeError), match=words), losses.open_judge(writer, settings, 1, Silent()):
        pass


def test_the_loop_goes_on_with_the_measure_of_the_champions_certificate(writer: Any, tmp_path: Path) -> None:
    before = by_request(writer, tmp_path).certificate
    terms = resolve_terms(LineCertificateSettings(), before, [], 1)
    assert (terms.loss, terms.reference, terms.alpha) == ("attributes", "request", 0.1)
    assert resolve_terms(LineCertificateSettings(reference="gold"), before, [], 1).loss == "likeness"


def test_the_loop_can_be_told_another_measure_than_the_champions(writer: Any, tmp_path: Path) -> None:
    by_attributes = by_request(writer, tmp_path).certificate
    back = resolve_terms(LineCertificateSettings(loss="likeness"), by_attributes, [], 1)
    assert (back.loss, back.reference) == ("likeness", "gold")
    forth = resolve_terms(LineCertificateSettings(loss="attributes"), None, [], 1)
    assert (forth.loss, forth.reference) == ("attributes", "request")
    with pytest.raises(InputError, match="the request itself is the reference"):
        LineCertificateSettings(loss="attributes", reference="gold")


def told(texts: list[str]) -> list[LineRow]:
    """Captured rows of these requests, whatever was answered."""
    return [LineRow(Row(text, "A lamp."), "upstream", NOW) for text in texts]


def test_the_loop_certifies_attributes_whatever_the_report_says_of_likeness(writer: Any) -> None:
    found = certify_version(
        writer, told(lamps(800)), LineCertificateSettings(alpha=0.1, loss="attributes"), None, 1, now=NOW, progress=Silent()
    )
    assert found.certificate is not None and found.looked
    assert (found.certificate.measure, found.certificate.reference.kind) == ("attributes", "request")


def test_a_challenger_that_checks_no_attributes_is_not_certified_by_them(writer: Any) -> None:
    without = SimpleNamespace(**{**vars(writer), "form": FORM.model_copy(update={"attributes": False})})
    found = certify_version(
        without, told(lamps(400)), LineCertificateSettings(alpha=0.1, loss="attributes"), None, 1, now=NOW, progress=Silent()
    )
    assert found.certificate is None and not found.looked and "does not check attributes" in found.why


def test_only_lines_that_write_have_a_choice_of_losses(tmp_path: Path) -> None:
    ask = LearnSettings(task="classify", certificate=LineCertificateSettings(loss="attributes"), traffic=TrafficSettings(use=False))
    with pytest.raises(InputError, match="only written texts have a choice"):
        learn(tmp_path / "line", ask)


def test_a_certificate_whose_reference_and_measure_do_not_agree_is_not_read(writer: Any, tmp_path: Path) -> None:
    done = by_request(writer, tmp_path)
    facts = json.loads(done.file.read_text(encoding="utf-8"))
    done.file.write_text(json.dumps({**facts, "reference": Reference(kind="gold").model_dump(exclude={"model"})}), encoding="utf-8")
    with pytest.raises(CertificateError, match="not valid"):
        papers.read(done.file)


DISAGREEMENT_FORM = label_form(["billing/refund", "shipping"])


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("billing/refund", 0.0),
        (' "Billing/Refund". ', 0.0),
        ("Label: billing/refund", 0.0),
        ('{"category": "billing/refund"}', 0.0),
        ("shipping", 1.0),
        ('{"category": "shipping"}', 1.0),
        ("It is surely billing/refund, I think", 1.0),
        ("I cannot help with that.", 1.0),
        ('{"category": "billing/refund", "sure": true}', 1.0),
        ("", 1.0),
    ],
)
def test_a_label(said: str, expected: float) -> None:
    assert disagreement(Classify(), DISAGREEMENT_FORM, "money back", Reply("billing/refund", 0.9), said) == expected


def test_several_labels_are_a_set() -> None:
    form = DISAGREEMENT_FORM.model_copy(update={"multi_label": True, "threshold": 0.5})
    reply = Reply(["billing/refund", "shipping"], 0.9)
    found = [disagreement(Classify(), form, "x", reply, said) for said in ("shipping, billing/refund", '{"labels": ["shipping"]}', "[]")]
    assert found == [0.0, 1.0, 1.0]


def test_spans_are_all_or_nothing() -> None:
    form = span_form(["name"], only=True)
    reply = Reply([{"start": 5, "end": 9, "label": "name"}], 0.9)
    same, other = '[{"text": "Anna", "label": "name"}]', '[{"text": "I am", "label": "name"}]'
    wrapped = '{"spans": [{"text": "Anna", "label": "name"}]}'
    found = [disagreement(Extract(), form, "I am Anna", reply, said) for said in (same, wrapped, other, "[]", "Anna")]
    assert found == [0.0, 0.0, 1.0, 1.0, 1.0]


def test_a_text_by_its_rouge() -> None:
    form = text_form(max_words=5)
    reply = Reply("a red stool of oak", 0.9)
    found = [disagreement(Write(), form, "x", reply, said) for said in ("a red stool of oak", "a red stool", "nothing alike", " ")]
    assert found[0] == 0.0 and 0.1 < found[1] < 0.5 and found[2:] == [1.0, 1.0]
    assert disagreement(Write(), form, "x", reply, "a red stool of oak " * 2000) == 1.0  # at once: the longer, the longer it would take


def test_a_task_that_no_teacher_knows_agrees_with_nobody() -> None:
    class Deaf(Classify):
        """No larger model can be asked."""

        teaching = None

    assert disagreement(Deaf(), label_form(), "x", Reply("a", 0.9), "a") == 1.0
