"""Whether a decoder guesses ahead is chosen by its examples, said, and part of what is measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.forms import text_form
from tests.students.tiny_decoder import copying_rows, tiny_decoder

from smidgen.bases.lookup import find
from smidgen.core.errors import TrainError
from smidgen.core.parts import Training, Workspace
from smidgen.core.progress import Silent
from smidgen.engines.llama import part as engine
from smidgen.gguf.architectures import shape_of
from smidgen.students import decoder
from smidgen.students.decoder import DecoderSettings
from smidgen.students.decoder_training.engine_options import (
    ROOMY_MB,
    TRIED,
    DraftingChoice,
    DraftSizes,
    attention_bits,
    attention_megabytes,
    choose_drafting,
    unguessed,
)
from smidgen.students.decoder_training.examples import DecoderExample
from smidgen.students.decoder_training.prompts import DecoderPrompt

PROMPT = DecoderPrompt((1, 9), (4, 5), (2,))


def lessons(copying: bool, count: int = 12, length: int = 40) -> list[DecoderExample]:
    made = []
    for number in range(count):
        text = [100 + (number * 7 + place * 13) % 800 for place in range(length)]
        answer = [*text[: length // 2], 99, *text[length // 2 + 1 :]] if copying else [1000 + place for place in range(length)]
        made.append(DecoderExample(np.array([*text, 4, 5, *answer, 2]), length + 1))
    return made


def test_answers_that_copy_are_guessed_and_others_not() -> None:
    copying, free = (
        choose_drafting("auto", lessons(True), PROMPT, False, False),
        choose_drafting("auto", lessons(False), PROMPT, False, False),
    )
    assert copying.sizes in TRIED and copying.options()["draft"] == "lookup"
    assert copying.options()["draft_after"] == copying.sizes.after and copying.why.startswith(
        f"lookup, up to {copying.sizes.most} tokens guessed"
    )
    assert free == DraftingChoice(
        None,
        "none, at best 1.00 tokens a step, none of guesses right, estimated 1.00 times as fast (12 examples, a guess costs 0.38 of a step)",
    )
    assert free.options() == {}


def test_what_is_asked_for_is_done_or_refused() -> None:
    assert choose_drafting("none", lessons(True), PROMPT, False, False).sizes is None
    assert choose_drafting("lookup", lessons(False), PROMPT, False, False).sizes in TRIED
    assert choose_drafting("lookup", lessons(True), PROMPT, True, False).sizes in TRIED
    with pytest.raises(TrainError, match=r"scored by the probability of every token.*--draft none"):
        choose_drafting("lookup", lessons(True), PROMPT, False, True)


def test_where_it_would_cost_more_than_speed_it_is_not_chosen() -> None:
    assert "served together" in choose_drafting("auto", lessons(True), PROMPT, True, False).why
    assert "scored by every token" in choose_drafting("auto", lessons(True), PROMPT, False, True).why
    assert [choose_drafting("auto", lessons(True), PROMPT, *kind).sizes for kind in ((True, False), (False, True))] == [None, None]


def test_where_a_guess_costs_nearly_a_step_few_right_ones_do_not_pay() -> None:
    cheap, dear = (choose_drafting("auto", lessons(True, length=16), PROMPT, False, False, cost) for cost in (0.1, 1.2))
    assert cheap.sizes in TRIED and "a guess costs 0.10 of a step here" in cheap.why
    assert dear.sizes is None and "a guess costs 1.20 of a step here" in dear.why


def test_of_many_examples_some_are_looked_at_from_the_first_to_the_last() -> None:
    mixed = [*lessons(False, 300), *lessons(True, 300)]
    found = choose_drafting("auto", mixed, PROMPT, False, False)
    assert "(200 examples, " in found.why and found.sizes is not None
    assert choose_drafting("auto", mixed[:340], PROMPT, False, False).sizes is None


def test_only_tokens_that_were_not_guessed_have_a_say() -> None:
    prompt, answer = [1, 11, 12, 13, 14, 15, 16, 17, 18, 2], [11, 12, 13, 14, 15, 16, 17, 18]
    assert unguessed(prompt, answer, [0.5, 0.7, *[0.1] * 6], DraftSizes(2, 3)) == pytest.approx(0.6)
    assert unguessed(prompt, [], [], DraftSizes(2, 3)) == 0.0


def test_the_choice_is_said_and_in_the_engines_options_and_the_reference_scores_alike(tmp_path: Path) -> None:
    said: list[str] = []

    class RecordedProgress(Silent):
        def say(self, text: str) -> None:
            said.append(text)

    rows = copying_rows()
    texts = [row.input for row in rows]
    folder, out = tmp_path / "fit", tmp_path / "out"
    folder.mkdir(), out.mkdir()
    settings = DecoderSettings(epochs=4, learning_rate=1e-2, batch_rows=4, precision="f32", qat="none")
    training = Training(rows, (), text_form(max_tokens=60), find(str(tiny_decoder(tmp_path / "base")), family="decoder"), settings)
    decoder.part.fit(training, Workspace(folder, 1, RecordedProgress()))
    spec = decoder.part.export(folder, out)
    assert spec.options["draft"] == "lookup" and any(text.startswith("drafting: lookup, up to") for text in said)
    trained = decoder.part.raw(folder, texts[:4], 1)
    plain = {name: value for name, value in spec.options.items() if not name.startswith("draft")}
    runners = [engine.open(out, options, 1) for options in (spec.options, plain)]
    try:
        served, whole = (runner.run(texts[:4]) for runner in runners)
        pieces = list(runners[0].write(texts[0]))
    finally:
        for runner in runners:
            runner.close()
    assert served["texts"] == whole["texts"] == trained["texts"]
    assert sum(len(piece.tokens) for piece in pieces) < sum(piece.count for piece in pieces), "no guess, no test"
    assert np.allclose(served["probability"], trained["probability"], atol=0.02)


def test_what_keys_and_values_take_is_two_bytes_for_each_number_of_both() -> None:
    shape = shape_of(find("smollm2").folder)
    assert (shape.layers, shape.kv_heads, shape.head) == (30, 3, 64)
    assert attention_megabytes(shape, 1) == pytest.approx(2 * 30 * 3 * 64 * 2 / 1e6)
    assert attention_megabytes(shape, 8 * 1024) == pytest.approx(188.7, abs=0.1)


def test_sixteen_bits_where_there_is_room_else_eight() -> None:
    shape = shape_of(find("smollm2").folder)
    most = int(ROOMY_MB / attention_megabytes(shape, 1))
    assert attention_bits(shape, 1, frugal=True) == "q8_0"
    assert (attention_bits(shape, 8 * 1024), attention_bits(shape, most), attention_bits(shape, most + 1)) == ("f16", "f16", "q8_0")


def test_heads_that_cannot_be_packed_stay_in_sixteen_bits() -> None:
    shape = shape_of(find("smollm2").folder)
    assert attention_bits(replace(shape, head=20), 10**9, frugal=True) == "f16"
