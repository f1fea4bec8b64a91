"""The page: complete, self-contained, safe with any text, and honest about what was not measured."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from smidgen.core import quantities
from smidgen.judge import cost_estimate, page, wording
from smidgen.judge.report import Report
from smidgen.judge.sections import (
    AtRisk,
    BaselineFacts,
    BuildAlternative,
    Delta,
    Measured,
    Stated,
    StudentFacts,
    TeacherFacts,
    WrittenSample,
)
from smidgen.usage.break_even import CostCase, compute_break_even

from . import writers

VOID = {"wbr", "meta", "link", "br", "hr", "img", "input"}
SECTIONS = ("alone", "mistakes", "labels", "more", "alternatives", "cost", "served", "made")


class Reader(HTMLParser):
    """Collects elements and text, and checks that every element is closed where it was opened."""

    def __init__(self, html):
        super().__init__()
        self.open, self.seen, self.words = [], [], []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.mark.parametrize("classes", [2, 6, 40, 77, 300])
def test_all_sections_are_there(make_report, classes):
    html = page.render(make_report(classes=classes, n=max(400, classes * 4)))
    reader = Reader(html)
    assert [attributes["id"] for tag, attributes in reader.seen if tag == "section"] == list(SECTIONS)
    titles = re.findall(r'<title id="([a-z-]+)-title">', html)
    assert titles == ["risk-coverage", "reliability", "heat-map", "learning", "alternatives"]
    assert "of 100 right" in reader.text and "worth it" in reader.text
    assert sum(tag == "tr" for tag, _ in reader.seen) > classes
    assert len(html) < 1_500_000


def test_nothing_is_asked_of_any_server(make_report):
    html = page.render(make_report())
    reader = Reader(html)
    links = [value for _, attributes in reader.seen for name, value in attributes.items() if name in ("src", "href", "action", "data")]
    assert links and all(link.startswith("#") for link in links)
    assert not {"link", "img", "iframe", "object", "base", "form"} & {tag for tag, _ in reader.seen}
    style = "".join(re.findall(r"<style>(.*?)</style>", html, re.S))
    assert "url(" not in style and "@import" not in style
    script = "".join(re.findall(r"<script>(.*?)</script>", html, re.S))
    assert not re.search(r"fetch|XMLHttp|import\s|https?:", script)
    assert set(re.findall(r"https?://[^\"'<\s]+", html)) == {"http://www.w3.org/2000/svg"}


ATTACK = "</style></script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&"


def test_text_of_the_user_stays_text(make_report):
    labels = [ATTACK, "fine", 'quote" onmouseover="alert(3)']
    made = make_report(
        labels=labels, text=ATTACK + " {} {}", name=ATTACK, command=ATTACK, student=StudentFacts(kind=ATTACK, chosen_because=ATTACK)
    )
    reader = Reader(page.render(made))
    assert sum(tag == "script" for tag, _ in reader.seen) == 1 and sum(tag == "style" for tag, _ in reader.seen) == 1
    assert "img" not in {tag for tag, _ in reader.seen}
    assert not [name for _, attributes in reader.seen for name in attributes if name.startswith("on")]
    assert reader.text.count("alert(1)") > 5


def test_labels_that_were_left_out_are_named(make_report):
    made = make_report()
    assert "Left out" not in Reader(page.render(made)).text
    names = ("press", *(f"rare {place}" for place in range(40)))
    told = Reader(page.render(made.model_copy(update={"data": made.data.model_copy(update={"left_out": names})}))).text
    assert "one row is too few to be learnt and measured: press, rare 0, " in told and "and 11 more." in told and "rare 39" not in told


def test_charts_are_well_formed_and_named(make_report):
    html = page.render(make_report(labels=["a<b", "c&d", 'e"f']))
    charts = re.findall(r"<svg.*?</svg>", html, re.S)
    assert len(charts) == 5
    for chart in charts:
        root = ElementTree.fromstring(chart)
        assert root.get("role") == "img" and root.get("aria-labelledby")
        assert root[0].text and root[1].text
        numbers = re.findall(r'\b(?:x|y|x1|x2|y1|y2|cx|cy|r|width|height)="([^"]+)"', chart)
        assert numbers and all(re.fullmatch(r"-?\d+(\.\d+)?", number) for number in numbers)


def test_what_was_not_measured_says_so():
    bare = Report(name="bare", task="classify", created="2026-11-25T00:00:00Z", student=StudentFacts(kind="encoder"))
    reader = Reader(page.render(bare))
    assert [attributes["id"] for tag, attributes in reader.seen if tag == "section"] == list(SECTIONS)
    assert "The model was not measured." in reader.text
    assert reader.text.lower().count("not measured") >= 10
    assert "None" not in reader.text and "nan" not in reader.text.lower().split()


def test_a_perfect_model_has_no_mistakes(make_report, simulated):
    made = make_report(mistakes=(), confusion_pairs=(), metrics={"accuracy": Measured(value=1.0, low=0.99, high=1.0, n=400)})
    text = Reader(page.render(made)).text
    assert "Answers all 400 test texts right." in text and "every test text was answered right" in text


def test_a_task_without_labels(make_report):
    made = make_report(
        task="write", headline="rougeL", metrics={"rougeL": Measured(value=0.683, low=0.67, high=0.69, n=630)}, per_class=(), confusion=None
    )
    assert "ROUGE-L is 0.683." in Reader(page.render(made)).text


def test_a_writer_has_sections_of_its_own():
    made = writers.report()
    reader = Reader(page.render(made))
    names = ["samples", "measured", "alone", "alternatives", "cost", "served", "made"]
    assert [attributes["id"] for tag, attributes in reader.seen if tag == "section"] == names
    assert [attributes["href"] for tag, attributes in reader.seen if tag == "a"] == [f"#{name}" for name in names]
    assert re.findall(r'<title id="([a-z-]+)-title">', page.render(made)) == ["risk-coverage", "reliability", "alternatives"]
    assert f"ROUGE-L is {made.metrics['rougeL'].value:.3f}." in reader.text
    for words in (
        "Teaching was worth it",
        "Tokens a second",
        "The base, prompted",
        "to the letter",
        "Something made up",
        "not said",
        "lifts",
    ):
        assert words in reader.text, words
    for words in ("Labels", "Confusion", "mistaken for", "Accuracy", "of 100 right", "None", "nan"):
        assert words not in reader.text.split("How it was made")[0], words
    assert sum("samples" in attributes.get("class", "").split() for tag, attributes in reader.seen if tag == "ol") == 3, (
        "usual, weakest, changed"
    )
    assert sum(tag == "blockquote" for tag, _ in reader.seen) == len(made.samples) == 18


def test_what_a_writer_makes_up_is_marked_and_what_it_leaves_out_is_named():
    sample = WrittenSample(
        text="name: Oak stool; colour: red; care: wipe clean",
        wanted=("A red stool.",),
        got="A Blue stool, blueish, in <b>oak</b>.",
        grade=0.5,
        score=0.4,
        missing=(Stated(key="colour", value="red"),),
        unsupported=(Stated(key="colour", value="blue"), Stated(key="family", value="yes")),
    )
    shown = page.shown_sample(sample, checked=True)
    assert shown.written == "A <mark>Blue</mark> stool, blueish, in &lt;b&gt;oak&lt;/b&gt;."
    assert shown.elsewhere == (Stated(key="family", value="yes"),)
    assert [(fact.key, fact.missed) for fact in shown.given] == [("name", False), ("colour", True), ("care", False)]
    assert page.shown_sample(sample, checked=False).given == ()
    made = writers.report(samples=(sample,))
    assert "made up: family <b>yes</b>" in page.render(made)


def test_samples_span_what_is_usual_before_they_are_folded():
    made = writers.report()
    usual, weakest = page.usual(made.samples), page.weakest(made.samples)
    assert len(usual) == 12 and len(weakest) == 6
    grades = [sample.grade for sample in usual]
    assert grades[:4] == sorted(grades[:4], reverse=True) and grades[0] == max(grades)
    assert max(sample.grade for sample in weakest) <= min(grades)
    perfect = [sample.model_copy(update={"grade": 1.0}) for sample in made.samples]
    assert page.weakest(perfect) == [] and len(page.usual(perfect)) == 12


def test_the_base_is_not_blamed_for_what_it_does_better():
    made = writers.report()
    assert "The base makes something up" in wording.verdict(made)[1]
    better = {**made.baseline.metrics, "unsupported": Measured(value=0.0, low=0.0, high=0.1, n=300)}
    assert "makes something up" not in wording.verdict(writers.report(baseline=made.baseline.model_copy(update={"metrics": better})))[1]


@pytest.mark.parametrize("made", ["report", "prose"])
def test_text_of_a_writer_stays_text(made):
    sample = WrittenSample(text=ATTACK, wanted=(ATTACK,), got=ATTACK, grade=0.5, score=0.5, unsupported=(Stated(key=ATTACK, value=ATTACK),))
    reader = Reader(page.render(getattr(writers, made)(samples=(sample,), name=ATTACK)))
    assert sum(tag == "script" for tag, _ in reader.seen) == 1 and "img" not in {tag for tag, _ in reader.seen}
    assert not [name for _, attributes in reader.seen for name in attributes if name.startswith("on")]
    assert reader.text.count("alert(1)") >= 4


def test_a_writer_that_was_hardly_measured_says_so():
    bare = Report(
        name="bare", task="write", created="2026-11-25T00:00:00Z", headline="rougeL", graded=True, student=StudentFacts(kind="decoder")
    )
    text = Reader(page.render(bare)).text
    assert "The model was not measured." in text and text.lower().count("not measured") >= 6 and "None" not in text


def test_charts_of_a_writer_are_in_grades():
    charts = re.findall(r"<svg.*?</svg>", page.render(writers.report()), re.S)
    assert len(charts) == 3
    for chart in charts:
        assert "ROUGE-L" in chart and ElementTree.fromstring(chart) is not None
    assert "Mean ROUGE-L of the answered" in charts[0] and "0.9<" in charts[0]
    assert "Score of the text" in charts[1] and "%" not in charts[2]


def change(low, value, high):
    return BaselineFacts(name="linear", seconds=23.0, change=Delta(low=low, value=value, high=high))


def prompted(low, value, high):
    return BaselineFacts(name="prompted", change=Delta(low=low, value=value, high=high))


@pytest.mark.parametrize(
    ("baseline", "worth", "words"),
    [
        (prompted(0.06, 0.08, 0.1), "yes", "Teaching was worth it: ROUGE-L is 0.080 above that of the base asked with examples"),
        (prompted(0.001, 0.004, 0.007), "barely", "by only 0.004"),
        (prompted(-0.01, 0.002, 0.014), "no", "not shown to be better"),
        (prompted(-0.04, 0.02, 0.07), "open", "too few to tell"),
        (prompted(-0.03, -0.02, -0.01), "no", "worse than the base asked with examples by 0.020"),
        (None, "open", "not compared"),
    ],
)
def test_the_verdict_on_a_writer_is_honest(baseline, worth, words):
    found, sentence = wording.verdict(writers.report(baseline=baseline))
    assert found == worth and words in sentence


def test_scores_that_tell_nothing_are_not_praised():
    told = writers.report()
    assert "lifts the mean ROUGE-L" in wording.alone(told)
    assert [round(choice.share, 1) for choice in wording.selected(told)] == pytest.approx([0.75, 0.5, 0.25], abs=0.1)
    points = tuple(point.model_copy(update={"risk": 0.5, "risk_low": 0.4, "risk_high": 0.6}) for point in told.risk_coverage.points)
    flat = told.model_copy(update={"risk_coverage": told.risk_coverage.model_copy(update={"points": points})})
    assert "do not tell its better texts from its worse" in wording.alone(flat)
    assert wording.alone(told.model_copy(update={"risk_coverage": None})) == ""


@pytest.mark.parametrize(
    ("baseline", "worth", "words"),
    [
        (change(0.016, 0.024, 0.033), "yes", "worth it: 2.4 points more right"),
        (change(0.001, 0.004, 0.007), "barely", "by only 0.4 points"),
        (change(-0.01, 0.002, 0.014), "no", "not shown to be better"),
        (change(-0.004, 0.167, 0.312), "open", "too few to tell"),
        (change(-0.03, -0.02, -0.01), "no", "is better by 2.0 points"),
        (None, "open", "not compared"),
    ],
)
def test_the_verdict_is_honest(make_report, baseline, worth, words):
    found, sentence = wording.verdict(make_report(baseline=baseline))
    assert found == worth and words in sentence


def test_questions_made_of_the_documents_words_do_not_speak_for_a_search_by_words(make_report):
    made = make_report(baseline=change(-0.17, -0.09, -0.01))
    made = made.model_copy(update={"data": made.data.model_copy(update={"made": True})})
    worth, sentence = wording.verdict(made)
    assert worth == "open" and "made by rules from the documents' own words" in sentence


def test_a_simple_model_is_not_compared_with_itself(make_report):
    alone = (BuildAlternative(name="linear fp32", student="linear", chosen=True),)
    made = make_report(baseline=change(-0.001, 0.0, 0.001), student=StudentFacts(kind="linear"), alternatives=alone)
    worth, sentence = wording.verdict(made)
    assert worth == "open" and "the simple model itself (linear), as you asked. No language model was tried" in sentence
    beside = (*alone, BuildAlternative(name="encoder fp32", student="encoder", why_not="12 times slower"))
    assert "1 other model was tried and not chosen" in wording.verdict(made.model_copy(update={"alternatives": beside}))[1]


def test_a_headline_that_is_no_accuracy_is_not_called_one(make_report):
    f1 = Measured(value=0.87, low=0.84, high=0.9, n=400)
    made = make_report(headline="f1", metrics={"f1": f1}, baseline=change(0.016, 0.024, 0.033), confusion=None, confusion_pairs=())
    assert "F1 is 2.4 points above that of the simple model" in wording.verdict(made)[1]
    html = page.render(made)
    chart = html[html.index('<svg class="chart alternatives"') :]
    assert ">F1</text>" in chart[: chart.index("</svg>")] and ">F1</th>" in html
    assert "Accuracy" not in chart[: chart.index("</svg>")] and "Accuracy</th>" not in html


def test_mistakes_without_pairs_are_not_denied(make_report):
    made = make_report(confusion_pairs=(), confusion=None)
    assert made.mistakes
    told = Reader(page.render(made)).text
    assert "Nothing" not in told and "the mistakes above are labels left out or added" in told
    spans = {"headline": "f1", "metrics": {"f1": Measured(value=0.8, low=0.7, high=0.9, n=400)}}
    assert "mistaken for what" not in Reader(page.render(make_report(confusion_pairs=(), confusion=None, **spans))).text
    none = Reader(page.render(make_report(confusion_pairs=(), mistakes=()))).text
    assert "Nothing: every test text was answered right." in none


def test_a_model_whose_scores_assure_nothing_is_not_said_to_know(make_report):
    made = make_report()
    none = made.risk_coverage.model_copy(update={"at": tuple(AtRisk(wanted=wanted) for wanted in (0.01, 0.02, 0.05))})
    told = Reader(page.render(made.model_copy(update={"risk_coverage": none}))).text
    assert "pass nothing on its score alone" in told and "says how sure it is" not in told
    assert "says how sure it is" in Reader(page.render(made)).text


def test_only_a_model_of_one_label_a_text_is_said_to_give_every_text_one(make_report):
    said = "every text gets one, however strange"
    assert said in Reader(page.render(make_report())).text
    assert said not in Reader(page.render(make_report(confusion=None))).text


def test_the_cost_of_a_machine_is_that_of_the_command(make_report):
    """A machine is paid for by the month: the page names no cost of a million texts that only a machine at work all day would have."""
    made = make_report()
    told = Reader(page.render(made)).text
    month = compute_break_even(
        CostCase(
            requests=1.0,
            growth=0.0,
            months=1,
            usd_per_request=made.cost.models[-1].usd_per_million_texts / 1e6,
            share_local=1.0,
            machine_usd_per_hour=made.cost.machine_usd_per_hour,
            texts_per_second=made.cost.texts_per_second,
            busy=cost_estimate.BUSY,
            build_usd=0.0,
        )
    )
    assert f"costs {quantities.dollars(month.months[0].slm_usd)} a month, busy or not" in told
    assert page.cost_bars(made.cost)[-1]["cheaper_from"] == month.slm.from_requests
    assert f"{quantities.large(month.slm.from_requests)} texts a month" in told.replace(" million", f"{quantities.NBSP}million")
    assert f"{quantities.dollars(made.cost.own_usd_per_million_texts)} on" not in told and "This model your machine" not in told
    assert page.own_month(cost_estimate.estimate(500, 10, texts_per_second=None)) is None


def test_a_chart_alone_in_its_row_keeps_the_size_of_its_letters(make_report):
    """Without a table beside it the chart has the page's whole width: it must not grow into it, and its letters with it."""
    made = make_report()
    html = page.render(made.model_copy(update={"learning_curve": made.learning_curve.model_copy(update={"labels": ()})}))
    widths = dict(re.findall(r'<svg class="chart ([a-z-]+)"[^>]*? style="max-width:([0-9.]+)px"', html))
    assert {"learning", "reliability", "risk-coverage"} <= set(widths)
    assert all(float(widths[name]) <= 1.15 * 480 for name in ("learning", "reliability", "risk-coverage"))


def test_numbers_in_words():
    space = quantities.NBSP
    assert quantities.percent(0.9406) == f"94.1{space}%" and quantities.percent(None) == "not measured"
    assert quantities.percent(0.99999) == f"over 99.9{space}%" and quantities.percent(1.0) == f"100.0{space}%"
    assert quantities.percent(0.00001) == f"under 0.1{space}%" and quantities.percent(0.0) == f"0.0{space}%"
    assert quantities.of_hundred(0.94) == "94 of 100" and quantities.of_hundred(0.998) == "more than 99 of 100"
    assert quantities.points(0.024) == "+2.4" and quantities.points(-0.0001) == "0.0" and quantities.points(-0.024) == "−2.4"
    assert quantities.duration(264) == f"4{space}min 24{space}s" and quantities.duration(0.41) == f"0.4{space}s"
    assert quantities.duration(7500) == f"2{space}h 5{space}min"
    assert quantities.milliseconds(0.06) == f"0.06{space}ms" and quantities.milliseconds(1.31) == f"1.3{space}ms"
    assert quantities.dollars(0.004) == "under $0.01" and quantities.dollars(1249.3) == "$1,249" and quantities.dollars(0.04) == "$0.04"
    assert quantities.large(587_231) == "587,000" and quantities.large(5_870_485) == f"5.9{space}million" and quantities.large(412) == "412"
    assert quantities.large(2_436_561_552) == f"2.4{space}billion" and quantities.large(62_000_000) == f"62{space}million"
    assert quantities.megabytes(23.4) == f"23{space}MB" and quantities.megabytes(1234) == f"1.2{space}GB"


def test_a_score_that_was_not_fitted_is_no_rouge_to_expect():
    made = writers.report()
    assert made.calibration is not None and made.calibration.fitted
    fitted = Reader(page.render(made)).text
    raw = Reader(page.render(made.model_copy(update={"calibration": made.calibration.model_copy(update={"fitted": False})}))).text
    assert "A score is the ROUGE-L to expect" in fitted and "expected 0." in fitted and "what the model expected" in fitted
    assert "mean probability of a text's tokens" in raw and "score 0." in raw
    for words in ("to expect of a text", "expected 0.", "what the model expected"):
        assert words not in raw, words


def test_a_teacher_has_a_section_of_its_own(make_report):
    taught = TeacherFacts(
        source="https://llm.example/v1",
        model="large-<b>model</b>",
        uses=("label",),
        quality=Measured(value=0.91, low=0.88, high=0.93, n=308),
        needed=0.85,
        because="what the rows teach alone",
        alone=0.853,
        expected_low=0.88,
        expected_high=0.91,
        questions=9233,
        stored=120,
        redacted=17,
        tokens_in=1_200_000,
        tokens_out=45_000,
        usd=1.25,
        budget_usd=5.0,
        pool=9233,
        asked=9000,
        kept=8400,
        corrected=210,
        dropped={"near a test text": 12, "votes differ": 588},
        generated=100,
        generated_kept=80,
        generated_dropped={"too long": 20},
    )
    html = page.render(make_report().model_copy(update={"teacher": taught}))
    reader = Reader(html)
    ids = [attributes["id"] for tag, attributes in reader.seen if tag == "section"]
    assert ids.index("teacher") == ids.index("served") - 1
    assert 'href="#teacher"' in html and "<b>model</b>" not in html
    for words in (
        "8,400 of 9,233 unlabelled texts",
        "91.0 %",
        "85.3 %",
        "votes differ 588",
        "too long 20",
        "17 texts before they left",
        "$1.25",
        "on 308 of your training rows, not the test rows",
        "Not among them: the teacher, large-<b>model</b>. Its accuracy is 91.0 % (88.0 to 93.0)",
        "on 308 of the training rows, not the test rows: other texts, so the two are no comparison",
    ):
        assert words in reader.text.replace("\xa0", " "), words
    local = Reader(page.render(make_report().model_copy(update={"teacher": TeacherFacts(source="my-bundle", local=True, kept=5, pool=9)})))
    assert "nothing left it" in local.text and "What it cost" in local.text
    assert "The teacher" not in Reader(page.render(make_report())).text
