"""Jobs are found in what was captured, told apart, counted and foreseen; a line then learns of its job alone."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from smidgen.core.errors import InputError
from smidgen.core.placeholders import PromptFrame
from smidgen.flows.jobs import discovery
from smidgen.flows.jobs import forecast as forecasting
from smidgen.flows.jobs.discovery import FoundJob, find_job, find_jobs
from smidgen.flows.jobs.forecast import forecast
from smidgen.flows.learn import line_data
from smidgen.flows.learn.settings import TrafficSettings
from smidgen.parts.recipe import make
from smidgen.store.line import Line
from smidgen.store.traffic.records import Exchange
from smidgen.store.traffic.store import TrafficStore, opened
from smidgen.text.prompt_patterns import prompt_kind

NOW = datetime(2026, 5, 1, tzinfo=UTC)
LABELS = ("billing", "delivery", "returns")
FRAME = PromptFrame("Sort this message of a customer by its subject. Answer with one word.\n\nMessage: ", "\n\nSubject:")


def said(number: int) -> tuple[str, str]:
    """A text that differs from all others, and its label."""
    rng = random.Random(number)
    label = LABELS[number % 3]
    return f"{''.join(rng.sample('abcdefghijklmnop', 9))} {label}word {number}", label


class Filled:
    """A store, and what is put into it."""

    def __init__(self, store: TrafficStore) -> None:
        self._store, self.count = store, 0
        self._waiting: list[Exchange] = []

    def add(self, text: str, answer: str, system: str = "", **more: Any) -> None:
        self.count += 1
        facts: dict[str, Any] = {
            "id": f"r{self.count}",
            "time": NOW + timedelta(minutes=10 * self.count),
            "asked": "gpt-6-luna",
            "path": "/v1/chat/completions",
            "answered_by": "upstream",
            "answer_state": "whole",
            "model": "gpt-6-luna",
            "cost_usd": 0.001,
        }
        template = json.dumps(["/v1/chat/completions", system])
        self._waiting.append(Exchange(**{**facts, "input": text, "answer": answer, "system": system, "template": template, **more}))

    @property
    def store(self) -> TrafficStore:
        """With all of it."""
        self._store.add(self._waiting)
        self._waiting = []
        return self._store


@pytest.fixture
def filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Filled]:
    """150 requests with words to the system, 90 in a frame without, 30 answered with objects, 25 chats, 5 of a kind of their own."""
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SMIDGEN_TRAFFIC_URL", raising=False)
    with opened(held_out=0.2) as store:
        made = Filled(store)
        for number in range(130):
            made.add(*said(number), "sort the mail")
        for number in range(20):
            made.add(*said(number), "sort the mail", cost_usd=None)
        for number in range(200, 290):
            text, label = said(number)
            made.add(f"{FRAME.begins}{text}{FRAME.ends}", label)
        for number in range(300, 330):
            made.add(said(number)[0], json.dumps({"number": number}), "pull out the number", cost_usd=None)
        for number in range(400, 425):
            made.add(said(number)[0], f"Well, {number} is a long story.\nIt began so.")
        for number in range(5):
            made.add(f"hello {number}", "hi", "greet")
        made.add("never mind", "", odd="tools", input=None)
        yield made


def by_task(jobs: tuple[FoundJob, ...]) -> dict[str, FoundJob]:
    return {f"{job.task} {'system' if job.system else 'frame' if job.frame else ''}": job for job in jobs}


def test_jobs_are_found_and_counted(filled: Filled) -> None:
    found = find_jobs(filled.store, forecasts=False)
    jobs = by_task(found.jobs)
    assert list(jobs) == ["classify system", "classify frame", "extract system", "None "]
    mail, framed, fields, chats = found.jobs
    assert (mail.tally.requests, mail.tally.distinct, mail.tally.unpriced) == (150, 130, 20)
    assert mail.repeated == pytest.approx(20 / 150) and mail.tally.cost_usd == pytest.approx(0.13)
    assert mail.tally.asked == (("gpt-6-luna", 150),) and set(mail.answers.labels) == set(LABELS)
    assert framed.frame == FRAME and framed.tally.requests == 90
    assert len(framed.examples) == 3 and all(FRAME.begins not in text and "word" in text for text in framed.examples)
    assert fields.answers.fields.keys() == {"number"} and fields.tally.unpriced == 30
    assert chats.tally.requests == 25 and "these requests cannot be told from those" in chats.why
    assert (found.others, found.unsuited, found.requests) == (5, {"tools": 1}, 301)
    window = timedelta(minutes=10 * 300)
    assert mail.month is not None and mail.month.requests == pytest.approx(150 * (timedelta(days=30) / window))
    assert json.loads(json.dumps(found.json()))["jobs"][1]["frame"] == {"begins": FRAME.begins, "ends": FRAME.ends}


def test_less_than_a_day_is_no_month(filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "_LEAST_WINDOW", timedelta(days=10))
    assert all(job.month is None for job in find_jobs(filled.store, forecasts=False).jobs)


def test_ids_stay_when_more_comes(filled: Filled) -> None:
    before = [job.id for job in find_jobs(filled.store, forecasts=False).jobs]
    for number in range(500, 530):
        text, label = said(number)
        filled.add(f"{FRAME.begins}{text}{FRAME.ends}", label)
        filled.add(text, label, "sort the mail")
    after = find_jobs(filled.store, forecasts=False).jobs
    assert [job.id for job in after] == before and len(set(before)) == 4
    assert [job.tally.requests for job in after] == [180, 120, 30, 25]


def test_a_stand_in_in_a_frame_stands_for_anything(filled: Filled) -> None:
    begins = "You work for [ORGANISATION_1]. Sort what their customers write to them.\n\n"
    for number in range(600, 640):
        text, label = said(number)
        filled.add(f"{begins}{text}\n\nSigned [PERSON_{number % 3}]: answer now.", label, "a desk")
    job = next(job for job in find_jobs(filled.store, forecasts=False).jobs if job.tally.requests == 40)
    assert job.frame == PromptFrame(begins, " answer now.") and job.task == "classify"
    assert job.frame.holds("You work for Fernhill. Sort what their customers write to them.\n\nhello\n\nSigned Ann: answer now.")


def test_too_little_that_stays_is_no_frame(filled: Filled) -> None:
    for number in range(600, 640):
        text, label = said(number)
        filled.add(f"Hi, [PERSON_1], [PERSON_2], [PERSON_3], [PERSON_4], [PERSON_5], {text}", label, "a desk")
    job = next(job for job in find_jobs(filled.store, forecasts=False).jobs if job.tally.requests == 40)
    assert not job.frame and job.system


def test_what_no_small_model_can_have_is_refused(filled: Filled) -> None:
    chats = next(job for job in find_jobs(filled.store, forecasts=False).jobs if job.task is None)
    with pytest.raises(InputError, match="these requests cannot be told from those"):
        find_job(filled.store, chats.id)
    with pytest.raises(InputError, match="no recurring job has this id"):
        find_job(filled.store, "ffffffff")


def test_prompts_that_differ_in_a_date_or_a_name_are_one_job(filled: Filled, tmp_path: Path) -> None:
    found = find_jobs(filled.store, forecasts=False).jobs
    for number in range(40):
        text, label = said(600 + number)
        words = json.dumps([f"Sort it. Today is {number % 9} May, and the customer is [PERSON_{number}]."])
        template = json.dumps(["/v1/chat/completions", words, {}])
        filled.add(text, label, words, template=template, kind=prompt_kind(template))
    jobs = find_jobs(filled.store, forecasts=False).jobs
    (job,) = [one for one in jobs if one.id not in {other.id for other in found}]
    assert (job.tally.requests, job.task, job.exact) == (40, "classify", "") and len(jobs) == len(found) + 1
    assert all(one.exact == one.template for one in jobs if one is not job)
    taken = discovery.job_for_line(job.id)
    assert taken.varies and not taken.told, "nothing tells a request of it to the letter"
    line = Line(tmp_path / "line")
    line.begin("line")
    pointer = discovery.take_up_job(line, taken, None)
    assert Line(tmp_path / "line").read().jobs == (taken,)
    assert len(list(line_data.captured_pairs(filled.store, pointer, TrafficSettings(), None))) == 40
    assert line_data.count_new_pairs(line, TrafficSettings()) == 40


def test_where_only_what_stays_is_a_number_a_request_tells_to_the_letter(filled: Filled) -> None:
    for number in range(40):
        words = json.dumps(["Sort it. Use 1 word."])
        template = json.dumps(["/v1/chat/completions", words, {}])
        filled.add(*said(600 + number), words, template=template, kind=prompt_kind(template))
    (job,) = [one for one in find_jobs(filled.store, forecasts=False).jobs if one.exact not in ("", one.template)]
    taken = discovery.job_for_line(job.id)
    assert taken.told and taken.letter == job.exact == filled.store.template(template) != taken.template
    assert taken.scope != taken.model_copy(update={"exact": "another"}).scope


def test_what_an_older_smidgen_stored_joins_its_kind_when_the_prompt_comes_again(filled: Filled, tmp_path: Path) -> None:
    words = json.dumps(["Sort it. Today is 5 May."])
    template = json.dumps(["/v1/chat/completions", words, {}])
    for number in range(30):
        filled.add(*said(600 + number), words, template=template)  # without a kind, as after the store was brought forward
    (old,) = [one for one in find_jobs(filled.store, forecasts=False).jobs if one.tally.requests == 30 and one.task == "classify"]
    line = Line(tmp_path / "line")
    line.begin("line")
    discovery.take_up_job(line, discovery.job_for_line(old.id), None)
    filled.add(*said(700), words, template=template, kind=prompt_kind(template))
    new = [one for one in find_jobs(filled.store, forecasts=False).jobs if one.tally.requests == 31]
    assert len(new) == 1 and new[0].id != old.id and new[0].exact == old.template
    pointer = discovery.take_up_job(line, discovery.job_for_line(new[0].id), None)
    pairs = list(line_data.captured_pairs(filled.store, pointer, TrafficSettings(), None))
    assert len(pairs) == line_data.count_new_pairs(line, TrafficSettings()) == 31 and [job.id for job in pointer.jobs] == [new[0].id]
    both = pointer.model_copy(update={"jobs": (*pointer.jobs, pointer.jobs[0].model_copy(update={"template": old.template}))})
    pairs = list(line_data.captured_pairs(filled.store, both, TrafficSettings(), None))
    assert len(pairs) == 31 and all(len(jobs) == 2 for _, jobs in pairs), (
        "of the one by its kind, of the other to the letter, and each once"
    )


def test_a_job_whose_answers_were_masked_says_what_to_do(filled: Filled) -> None:
    for number in range(30):
        filled.add(said(number)[0], "[PLACE_1]" if number % 2 else "other", "which country")
    (job,) = [one for one in find_jobs(filled.store, forecasts=False).jobs if "masked" in one.answers.shares]
    assert job.task is None and "--capture-labels" in job.why
    with pytest.raises(InputError, match="masked as personal data"):
        find_job(filled.store, job.id)


def test_a_line_learns_from_its_job_alone(filled: Filled, tmp_path: Path) -> None:
    id = by_task(find_jobs(filled.store, forecasts=False).jobs)["classify frame"].id
    line = Line(tmp_path / "mail")
    line.begin("mail")
    job = discovery.job_for_line(id)
    assert (job.task, job.asked, job.frame) == ("classify", "gpt-6-luna", FRAME)
    with pytest.raises(InputError, match="another task"):
        discovery.take_up_job(line, job, "write")
    discovery.take_up_job(line, job, None)
    pointer = discovery.take_up_job(line, job, "classify")
    assert pointer.jobs == (job,) and line.read() == pointer
    recipe = make({"name": "mail", "task": "classify"})
    rows = line_data.collect_rows(line, pointer, recipe, None, TrafficSettings())
    every = [taken.row.input for side in (rows.learning, rows.choosing, rows.certifying) for taken in side]
    assert len(every) == 90 and all(FRAME.holds(str(text)) for text in every)
    # Once the client names the line, its requests are of the same job.
    text, label = said(700)
    filled.add(f"{FRAME.begins}{text}{FRAME.ends}", label, asked="mail")
    filled.add(text, label, asked="mail")
    assert filled.store.tally(job.template).requests == 117
    assert line_data.count_new_pairs(line, TrafficSettings()) == 91
    assert line_data.count_new_pairs(line, TrafficSettings(asked="mail")) == 1


def vectors(texts: Any) -> NDArray[np.float32]:
    """The label's own direction, where its word is in the text."""
    found = np.array([[float(f"{label}word" in text) for label in LABELS] + [0.05] for text in texts], np.float32)
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)


def test_a_forecast_says_what_a_certificate_would_let_through() -> None:
    pairs = [said(number) for number in range(1200)]
    texts, answers = [text for text, _ in pairs], [label for _, label in pairs]
    seen = forecast(texts[:960], answers[:960], 1200, 0.2, vectors)
    assert seen.share is not None and seen.share > 0.9 and seen.agreement == 1.0 and seen.more is None and seen.n == 960
    assert seen.low is not None and seen.high is not None and seen.low <= seen.share <= seen.high
    rng = random.Random(2)
    guessed = forecast(texts[:960], [rng.choice(LABELS) for _ in texts[:960]], 1200, 0.2, vectors)
    assert guessed.share == 0.0 and guessed.agreement is not None and guessed.agreement < 0.5 and "differ" in guessed.why
    # What is answered otherwise than with a label is one that no small model agrees with.
    odd = forecast(
        texts[:960], [label if n % 5 else f"I am not sure about {n}." for n, label in enumerate(answers[:960])], 1200, 0.2, vectors
    )
    assert odd.agreement == pytest.approx(0.8)


@pytest.mark.parametrize("sure", ["vectors", "words"])
def test_of_two_stand_ins_that_agree_as_often_the_one_that_knows_where_it_is_wrong_foresees(
    monkeypatch: pytest.MonkeyPatch, sure: str
) -> None:
    texts, answers = map(list, zip(*(said(number) for number in range(960)), strict=True))
    numbers = [LABELS.index(answer) for answer in answers]

    def table(knows: bool) -> NDArray[np.float64]:
        """Every tenth answer is wrong: with a low score, or with the highest of all."""
        found = np.zeros((len(numbers), len(LABELS)))
        for place, number in enumerate(numbers):
            wrong = place % 10 == 0
            found[place, (number + wrong) % len(LABELS)] = 0.5 + 0.4 * place / len(numbers) if not wrong else 0.4 if knows else 0.95
        return found

    monkeypatch.setattr(forecasting, "_by_vectors", lambda *_: table(sure == "vectors"))
    monkeypatch.setattr(forecasting, "_by_words", lambda texts, wanted, names, asked: table(sure == "words")[np.concatenate(asked)])
    seen = forecast(texts, answers, 1200, 0.2, vectors)
    assert seen.stand_in == (forecasting.VECTORS if sure == "vectors" else forecasting.WORDS)
    assert seen.agreement == pytest.approx(0.9) and seen.share is not None and seen.share > 0.8


def test_with_too_few_texts_a_forecast_says_how_many_more() -> None:
    pairs = [said(number) for number in range(200)]
    few = forecast([text for text, _ in pairs[:160]], [label for _, label in pairs[:160]], 200, 0.2, vectors)
    assert few.share is None and few.more is not None and few.more >= 400 and f"about {few.more:,} more" in few.why
    none = forecast([text for text, _ in pairs[:20]], [label for _, label in pairs[:20]], 25, 0.2, vectors)
    assert none.share is None and none.more is not None and none.more > few.more
    assert "holds out no texts" in forecast(["a"], ["b"], 1, 0.0, vectors).why


def test_while_twice_the_texts_still_make_it_better_it_is_too_early_to_say() -> None:
    rng = random.Random(1)
    words = [("".join(rng.sample("abcdefghijklmnop", 8)), LABELS[number % 3]) for number in range(120)]
    pairs = [rng.choice(words) for _ in range(240)]
    texts = [f"{word} {number}" for number, (word, _) in enumerate(pairs)]
    seen = forecast(texts, [label if rng.random() < 0.75 else rng.choice(LABELS) for _, label in pairs], 300, 0.2, None)
    assert seen.share is None and seen.more is None and "too early to say" in seen.why
    assert seen.agreement is not None and seen.half is not None and seen.half + 0.02 < seen.agreement < 0.8


def test_of_a_few_texts_nothing_can_be_learnt(filled: Filled) -> None:
    for number in range(60):
        text, label = said(number % 8)
        filled.add(text, label, "the same again")
    job = next(job for job in find_jobs(filled.store, forecasts=False).jobs if job.tally.distinct == 8)
    assert job.task is None and "only 8 different texts" in job.why and job.repeated == pytest.approx(52 / 60)


def test_without_an_encoder_words_foresee(filled: Filled) -> None:
    mail = find_jobs(filled.store).jobs[0]
    assert mail.forecast is not None and mail.forecast.agreement is not None and mail.forecast.agreement > 0.9
    assert mail.forecast.stand_in == "a linear classifier of words" and mail.forecast.share is None and mail.forecast.more
    fields = find_jobs(filled.store).jobs[2]
    assert fields.forecast is not None and fields.forecast.share is None and "only a trained one shows" in fields.forecast.why
