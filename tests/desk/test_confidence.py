"""A desk learns from conversations how sure it must be, and says no more wrong things than it may."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smidgen.core.replies import Reply
from smidgen.desk.confidence import STARTING, SureReply, fit_confidence, read_confidence, together
from smidgen.desk.quotations import QuotationSigns, leans, quotations_of
from smidgen.search.question_words import TellingWords, stems_of


def signs(alone: float, agreement: float, coverage: float) -> dict[str, float]:
    return {"alone": alone, "with_earlier": alone, "agreement": agreement, "coverage": coverage}


def messages(count: int, seed: int = 0) -> list[list[list[SureReply]]]:
    """Messages with one quotation each: it is right more often where the intents agree; its member's score tells nothing."""
    random = np.random.default_rng(seed)
    made = []
    for number in range(count):
        agreement, noise = float(random.random()), float(random.normal())
        right = bool(random.random() < (0.97 if agreement > 0.5 else 0.2))
        made.append([[SureReply("answer", signs(noise, agreement, 0.5), right, number // 2)]])
    return made


def test_curves_find_the_sign_that_tells_and_the_threshold_keeps_the_bound() -> None:
    confidence, facts = fit_confidence(messages(400), most_wrong=0.03)
    weights = confidence.weights["answer"]
    assert weights["agreement"] > 3 and abs(weights["alone"]) < 0.4
    assert facts["wrong"] <= 0.03 and facts["given"] > 0.3
    fresh = [reply for ((reply,),) in messages(2_000, seed=1)]
    given = [reply.right for reply in fresh if confidence.chance("answer", reply.signs) >= confidence.threshold]
    assert len(given) > 600 and given.count(False) / len(fresh) < 0.045


def test_no_reply_is_given_where_too_many_would_be_wrong() -> None:
    hopeless = [[[SureReply("answer", signs(0.0, 0.5, 0.5), number % 2 == 0, number)]] for number in range(60)]
    confidence, facts = fit_confidence(hopeless, most_wrong=0.0)
    assert confidence.threshold > 1 and facts["given"] == 0


def test_the_first_step_that_is_sure_enough_answers() -> None:
    sure, right = SureReply("recommend", {"intent": 4.0}, False, 0), SureReply("answer", signs(3.0, 1.0, 1.0), True, 0)
    _, facts = fit_confidence([[[sure], [right]]] * 50, most_wrong=0.5)
    assert facts["steps"][0] == {"threshold": 0.0, "given": 1.0, "wrong": 1.0}


def test_two_quotations_of_which_one_is_right_are_a_right_reply() -> None:
    two = [SureReply("answer", signs(0.0, 0.5, 0.5), right, 0) for right in (False, True)]
    messages = [[[replace(one, conversation=number) for one in two]] for number in range(60)]
    confidence, facts = fit_confidence(messages, most_wrong=0.0)
    each = confidence.chance("answer", two[0].signs)
    assert each < confidence.threshold <= together(each, each) + 0.05 and facts["given"] == 1 and facts["wrong"] == 0


def test_few_conversations_leave_the_curves_where_they_begin() -> None:
    confidence, _ = fit_confidence(messages(4), most_wrong=0.03)
    starts = STARTING.weights["answer"]
    assert max(abs(confidence.weights["answer"][name] - start) for name, start in starts.items()) < 1.5
    assert confidence.weights["act"] == STARTING.weights["act"]


def test_a_confidence_is_read_as_it_was_written_and_a_broken_one_is_refused() -> None:
    confidence, _ = fit_confidence(messages(60), most_wrong=0.1)
    assert read_confidence(confidence.json()) == confidence
    broken = [None, {}, {"weights": {}}, {**confidence.json(), "threshold": "high"}, {**confidence.json(), "threshold": 1e9}]
    for given in broken:
        with pytest.raises(ValueError, match=r"kinds|weights|threshold"):
            read_confidence(given)
    assert len(broken) == 5


PASSAGES = [
    {
        "id": "faq.csv",
        "title": "Questions",
        "heading": "Delivery",
        "question": "",
        "text": "Delivery takes two days. Ask us.",
        "start": 10,
        "page": None,
    },
    {"id": "faq.csv", "title": "Questions", "heading": "Returns", "question": "", "text": "Returns are free.", "start": 90, "page": None},
]


def asked(question: str) -> Reply:
    quoted = ({"id": "faq.csv", "text": "Delivery takes two days."}, 0.4), ({"id": "faq.csv", "text": "Returns are free."}, 0.3)
    return Reply(None, 0.6, quoted, {"passages": PASSAGES})


def sorted_by(text: str) -> Reply:
    label = "delivery" if "deliver" in text.casefold() else "returns"
    return Reply(label, 0.9, chances={label: 0.9, "other": 0.1})


def test_quotations_that_the_member_would_not_give_are_found_with_what_speaks_for_them() -> None:
    words = TellingWords(stems_of(str(one["text"])) for one in PASSAGES)
    read = QuotationSigns(words, sorted_by, "other")
    first, second = quotations_of(asked, "how many days does delivery take", "", {"delivery": 0.9, "other": 0.1}, read)
    assert first.citation.text == "Delivery takes two days." and (first.citation.start, first.citation.end) == (10, 34)
    assert first.signs["agreement"] > 0.7 > second.signs["agreement"] and first.signs["coverage"] > 0.5 > second.signs["coverage"]
    assert first.signs["alone"] == first.signs["with_earlier"]
    assert STARTING.chance("answer", first.signs) > 0.7 > 0.5 > STARTING.chance("answer", second.signs)


def test_a_message_that_names_nothing_leans_on_an_earlier_one() -> None:
    leaning = ["and how much is that one?", "what about the other one?", "und wie viel kostet das?"]
    assert all(leans(message) for message in leaning) and len(leaning) == 3
    assert not leans("and to Ireland?") and not leans("how much is a lamp?")
