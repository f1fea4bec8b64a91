"""The kind of a prompt, with what the redaction model finds left out."""

from __future__ import annotations

import dataclasses
from typing import Any

from tests.flows.capture.test_redaction import Names, asked

from smidgen.flows.capture.redaction import CaptureRedactor
from smidgen.server.traffic.exchange import template_of
from smidgen.text.prompt_patterns import prompt_kind

CHAT = "/v1/chat/completions"


def template(system: Any, **more: Any) -> str:
    messages = [{"role": "system", "content": system}, {"role": "user", "content": "hello"}]
    return template_of(CHAT, {"messages": messages, **more})


def test_prompts_that_differ_in_what_varies_are_of_one_kind() -> None:
    one, two = (template(f"Sort the mail.\nMonday, 2 March 2026, customer {number}.") for number in (1, 22))
    assert one != two and prompt_kind(one) == prompt_kind(two) != one
    assert prompt_kind(template([{"type": "text", "text": "on 5 May"}])) == prompt_kind(template([{"type": "text", "text": "on 6 May"}]))
    assert prompt_kind(template("Sort it.")) != prompt_kind(template("Name it."))


def test_where_nothing_varies_the_kind_is_the_template() -> None:
    for plain in (
        template("Sort the mail."),
        template("Sort the mail.", response_format={"maxLength": 30}),
        "no template",
        "[]",
        "[1, 2, 3]",
    ):
        assert prompt_kind(plain) == plain
    # Of what a client writes none is taken for what is left of another's.
    assert prompt_kind(template("Sort 0.")) != prompt_kind(template("Sort 5.")) != template("Sort 0.")


def test_the_form_of_the_answer_is_no_word() -> None:
    one, two = (template("Sort 5.", response_format={"maxLength": most}) for most in (30, 40))
    assert prompt_kind(one) != prompt_kind(two)


def test_a_prompt_with_a_customers_name_in_it_is_one_kind_and_is_read_once() -> None:
    finding = Names("Ann", "Bob", "Cora Lee")
    scrubber = CaptureRedactor(finding=finding)
    said = [f"You talk to {name}, today is {day} May." for name, day in (("Ann", 5), ("Bob", 6), ("Cora Lee", 12), ("Ann", 7))]
    given = [dataclasses.replace(asked("hello"), template=template(system)) for system in said]
    safe = scrubber.exchanges(given) + scrubber.exchanges(given)
    assert len({one.kind for one in safe if one is not None}) == 1 and len({one.template for one in safe if one is not None}) == 4
    assert all(one is not None and not any(name in one.kind for name in ("Ann", "Bob", "Cora")) for one in safe)
    assert sorted(text for text in finding.read if "talk" in text) == [
        f"You talk to {name}, today is 0." for name in ("Ann", "Bob", "Cora Lee")
    ]


def test_of_what_no_small_model_can_do_no_prompt_is_read() -> None:
    finding = Names("Ann")
    (safe,) = CaptureRedactor(finding=finding).exchanges([dataclasses.replace(asked(None), odd="tools", template=template("Ann"))])
    assert safe is not None and finding.read == []
