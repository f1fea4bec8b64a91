"""Examples with a gap: the prompt's marks, what is learnt of the text around it, and how much it counts."""

from __future__ import annotations

import math
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from tests.students.tiny_coder import tiny_coder
from tests.students.tiny_decoder import tiny_decoder

from smidgen.bases.lookup import find
from smidgen.code.flows.code_model import CodeModel
from smidgen.code.tasks import GapForm
from smidgen.core.errors import BaseError
from smidgen.core.parts import EngineSpec, Training, Workspace
from smidgen.core.progress import Silent
from smidgen.core.rows import Row
from smidgen.engines import llama_chat
from smidgen.engines.llama import beginning_with
from smidgen.engines.llama import part as engine
from smidgen.students import prompted
from smidgen.students.decoder_training import prompts
from smidgen.students.decoder_training.examples import DecoderExample, examples_of, held_examples
from smidgen.students.decoder_training.files import model_in, open_decoder
from smidgen.students.decoder_training.generation import write
from smidgen.students.decoder_training.prompts import DecoderPrompt, gap_prompt, plain_ids, tokenizer_of
from smidgen.students.decoder_training.training import block_of
from smidgen.students.processor import Workers

ROWS = [Row((f"def f{n}(a):\n    ", "\n\nx = 1\n"), f"return a + {n}", n + 1) for n in range(8)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_coder(tmp_path_factory.mktemp("coder"))


def test_the_marks_stand_around_the_texts(folder: Path) -> None:
    tokenizer, prompt = tokenizer_of(folder), gap_prompt(folder, (100, 50))
    first, second, third = (tokenizer.token_to_id(f"<|fim_{name}|>") for name in ("prefix", "suffix", "middle"))
    assert prompt.before == (first, second) and prompt.between == (third,) and prompt.after == ()
    assert {first, second, third} <= set(prompt.stop) and tokenizer.token_to_id("<|endoftext|>") == prompt.stop[0]
    assert prompt.ids(tokenizer, ("a = ", "\nb")) == [*plain_ids(tokenizer, "\nb"), third, *plain_ids(tokenizer, "a = ")]
    assert prompt.ids(tokenizer, ("<|fim_middle|>", "")).count(third) == 1, "a mark inside a text is plain characters"
    assert DecoderPrompt.of(prompt.json()) == prompt
    earlier = DecoderPrompt((first,), (third,), prompt.stop, (second,), (100, 50))
    wanted = [*plain_ids(tokenizer, "a = "), second, *plain_ids(tokenizer, "\nb"), third]
    assert earlier.ids(tokenizer, ("a = ", "\nb")) == wanted, "a bundle of an earlier version reads the text ahead first"


def test_a_base_without_marks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BaseError, match="cannot fill in the middle"):
        gap_prompt(tiny_decoder(tmp_path), (100, 50))


def test_the_filling_counts_as_much_as_all_of_the_text_around_it(folder: Path) -> None:
    tokenizer, prompt = tokenizer_of(folder), gap_prompt(folder, (100, 50))
    lessons = examples_of(ROWS, prompt, tokenizer, 512).lessons
    assert len(lessons) == len(ROWS)
    for lesson in lessons:
        assert lesson.answer == len(lesson.ids) - 1 and lesson.weights[-1] == 1.0
        assert lesson.weights[: -lesson.filling].sum() == pytest.approx(lesson.filling, rel=1e-5)
        assert lesson.mass == pytest.approx(lesson.weights.sum(), rel=1e-5)
    block = block_of([(lesson,) for lesson in lessons])
    assert float(block.weights.sum()) == pytest.approx(2 * sum(lesson.filling for lesson in lessons), rel=1e-5)
    held = held_examples(ROWS, prompt, tokenizer, 512)
    assert held is not None and all(lesson.filling == 0 and lesson.answer < len(lesson.ids) - 5 for lesson in held.lessons)
    assert np.array_equal(DecoderExample(np.arange(5), 3, 2.0).weights, np.full(3, 2.0, dtype=np.float32))


@pytest.fixture(scope="module")
def untaught(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, EngineSpec]:
    """The base as a student: its folder, that of its export, and the export."""
    fitted, out = tmp_path_factory.mktemp("fit"), tmp_path_factory.mktemp("out")
    form = GapForm(ahead=100, behind=50, max_tokens=6, files=4)
    settings = prompted.PromptedSettings(shots=0)
    prompted.part.fit(Training(ROWS, (), form, find(str(folder), family="decoder"), settings), Workspace(fitted, 1, Silent()))
    return fitted, out, prompted.part.export(fitted, out)


def test_a_filling_goes_on_to_the_end_of_its_line_as_the_file_does(folder: Path) -> None:
    tokenizer, prompt = tokenizer_of(folder), gap_prompt(folder, (100, 50))
    behinds = {"": "\n", "\nx = 1\n": "\n", ")\nx = 1\n": ")\n", "\n\n": "\n"}
    rows = [Row(("return sum(", behind), "prices", 1) for behind in behinds]
    lessons = held_examples(rows, prompt, tokenizer, 512)
    assert lessons is not None and len(lessons.lessons) == 4
    for lesson, rest in zip(lessons.lessons, behinds.values(), strict=True):
        assert tokenizer.decode(lesson.ids[-lesson.answer :].tolist()).endswith(f"prices{rest}")
        assert not set(prompt.stop) & set(lesson.ids[-lesson.answer :].tolist()), "no end token is learnt"


def test_a_word_that_is_begun_is_written_to_its_end(folder: Path, untaught: tuple[Path, Path, EngineSpec]) -> None:
    """The torch model and the engine write the same, wherever somebody stops."""
    fitted, out, spec = untaught
    line = "def total(prices):\n    return sum(prices)"
    texts = [(line[:cut], "\n\nx = 1\n") for cut in range(1, len(line))]
    prompt, tokenizer = DecoderPrompt.of(spec.options), tokenizer_of(folder)
    begun = [lead for _, lead in (prompt.split(tokenizer, text) for text in texts) if lead]
    assert len(begun) > len(texts) / 2 and len(set(begun)) > 5
    trained = prompted.part.raw(fitted, texts, 1)
    runner = engine.open(out, spec.options, 1)
    try:
        served = runner.run(texts)
        assert served["texts"] == trained["texts"] and np.allclose(served["probability"], trained["probability"], atol=0.05)
        held = "".join(piece.text for piece in runner.write(texts[-1], grammar='root ::= "a" "b"'))
        assert held == "ab", "a grammar of the request comes first"
    finally:
        runner.close()
    lessons = examples_of(ROWS, prompt, tokenizer, 512).lessons
    whole = [tokenizer.decode(lesson.ids[-lesson.filling :].tolist()) for lesson in lessons]
    assert len(whole) == 8 and all(text.lstrip() == f"{row.output}\n" for text, row in zip(whole, ROWS, strict=True))


def test_a_filling_ends_where_it_repeats_what_stands_behind(
    untaught: tuple[Path, Path, EngineSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The torch model and the engine end at the same place; a grammar and a begun answer are never cut."""
    fitted, out, spec = untaught
    text = ("def total(prices):\n    return ", "\n\nx = 1\n")
    with closing(engine.open(out, spec.options, 1)) as runner:
        whole = runner.run([text])
        written = whole["texts"][0]
        assert whole["tokens"][0] == 6 and len(written) > 4
        for module in (llama_chat, prompts):
            monkeypatch.setattr(module, "repeats", lambda ahead, behind: {written[2:4]: 1})
        (cut,), (reference,) = runner.run([text])["texts"], prompted.part.raw(fitted, [text], 1)["texts"]
        served, trained = runner.run([text]), prompted.part.raw(fitted, [text], 1)
        at = written.find(written[2:4]) + 1
        assert cut == reference == written[:at] and served["finished"][0] == trained["finished"][0] == 1.0
        assert served["tokens"][0] == trained["tokens"][0] <= 6
        assert np.allclose(served["probability"], trained["probability"], atol=0.05)
        streamed = list(runner.write(text))
        assert "".join(piece.text for piece in streamed) == cut and streamed[-1].finish == "stop"
        held = "".join(piece.text for piece in runner.write(text, grammar=beginning_with(written)))
        assert held.startswith(written[:5])


def test_the_likelihood_of_what_the_model_writes_is_that_of_writing_it(untaught: tuple[Path, Path, EngineSpec]) -> None:
    """`code bug` asks how likely a line is: for the model's own filling, the engine says what torch says of its tokens."""
    fitted, out, spec = untaught
    stored = open_decoder(fitted)
    prompt, tokenizer = DecoderPrompt.of(stored.facts), tokenizer_of(fitted)
    workers = Workers(1)
    model = model_in(stored, workers)
    seen = 0
    with closing(engine.open(out, spec.options, 1)) as runner:
        for ahead in ("def total(prices):\n    ", "class Store:\n    def add(self, item):\n        ", "x = 1\n"):
            bare = ahead.rstrip(" ")
            (own,) = write(model, [prompt.ids(tokenizer, (bare, "\n"))], prompt.stop, 5, workers)
            line = tokenizer.decode(own.ids)
            if plain_ids(tokenizer, line) != own.ids or "\n" in line:
                continue
            seen += 1
            wanted = math.exp(sum(map(math.log, own.chances)) / len(own.chances))
            found = CodeModel(runner).likelihood(bare, "\n", line)
            assert found == pytest.approx(wanted, rel=0.1)
    workers.close()
    assert seen >= 2
