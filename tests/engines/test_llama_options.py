"""LoRA adapters: one model, and each request has the one that it names."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.engines.llama_model import options, write_lora
from tokenizers import Tokenizer

from smidgen.core.errors import EngineError, RequestError
from smidgen.engines import llama_worker
from smidgen.engines.llama import LlamaRunner, part
from smidgen.engines.llama_chat import read
from smidgen.students.decoder_training.engine_options import DraftSizes, simulate_drafting

ASKED = "What is the capital of France?"


@pytest.fixture(scope="module")
def several(decoder: Path, tmp_path_factory: pytest.TempPathFactory) -> LlamaRunner:
    """The small decoder with three adapters, of which one changes nothing."""
    folder = tmp_path_factory.mktemp("adapters")
    for name in ("model.gguf", "tokenizer.json"):
        (folder / name).symlink_to(decoder / name)
    for seed, (name, strength) in enumerate({"terse": 0.5, "warm": 0.5, "still": 0.0}.items()):
        write_lora(folder / f"{name}.gguf", seed, strength)
    return part.open(folder, options(adapters={name: f"{name}.gguf" for name in ("terse", "warm", "still")}, max_tokens=8), 1)


def said(runner: LlamaRunner, adapter: str | None) -> str:
    return "".join(piece.text for piece in runner.write(ASKED, adapter=adapter, max_tokens=8))


def test_each_request_has_its_own(several: LlamaRunner, writer: LlamaRunner) -> None:
    plain, terse, warm = (said(several, name) for name in (None, "terse", "warm"))
    assert len({plain, terse, warm}) == 3
    assert plain == said(writer, None) == said(several, "still") == several.run([ASKED])["texts"][0]
    # In turn, so that each finds the other's prompt in the cache: what was read with one is of no use to another.
    assert [said(several, name) for name in ("terse", None, "warm", "terse")] == [terse, plain, warm, terse]

    got: dict[str | None, str] = {}

    def ask(name: str | None) -> None:
        got[name] = said(several, name)

    threads = [threading.Thread(target=ask, args=(name,)) for name in (None, "terse", "warm", "still")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert got == {None: plain, "terse": terse, "warm": warm, "still": plain}


def test_in_a_conversation_too(several: LlamaRunner) -> None:
    body = {"messages": [{"role": "user", "content": ASKED}], "max_tokens": 8}
    plain, still, warm = ("".join(piece.text for piece in several.chat(body, adapter=name)) for name in (None, "still", "warm"))
    assert plain == still != warm


def test_an_unknown_one_is_answered_with_those_there_are(several: LlamaRunner, writer: LlamaRunner) -> None:
    with pytest.raises(RequestError, match=r"'ters'.*Did you mean 'terse'\? Available: terse, warm, still") as told:
        several.write("a", adapter="ters")
    assert told.value.status == 404
    with pytest.raises(RequestError, match="This model has none"):
        writer.write("a", adapter="terse")
    with pytest.raises(RequestError, match="terse"):
        several.chat({"messages": [{"role": "user", "content": "a"}]}, adapter="")


@pytest.fixture
def crowd(babbler: Path, tmp_path: Path) -> Iterator[LlamaRunner]:
    """More adapters than slots, each of which babbles in its own way. Nearly every token is a byte."""
    for seed in range(6):
        write_lora(tmp_path / f"shop-{seed}.gguf", seed, 20.0, layers=1, width=64)
    yield from together(babbler, tmp_path, before=[1], after=[2])


@pytest.fixture
def pair(decoder: Path, tmp_path: Path) -> Iterator[LlamaRunner]:
    """Two adapters of a model that writes whole characters, and little room."""
    for seed in range(2):
        write_lora(tmp_path / f"shop-{seed}.gguf", seed, 0.5)
    yield from together(decoder, tmp_path, context=64)


def together(model: Path, folder: Path, **more: Any) -> Iterator[LlamaRunner]:
    """A model and the adapters in a folder, which share two slots, of 128 tokens where nothing else is said."""
    adapters = {file.stem: file.name for file in sorted(folder.glob("*.gguf"))}
    for name in ("model.gguf", "tokenizer.json"):
        (folder / name).symlink_to(model / name)
    runner = part.open(folder, options(adapters=adapters, **{"slots": 2, "context": 128, **more}), 1)
    yield runner
    runner.close()


def told(runner: LlamaRunner, adapter: str, text: str) -> tuple[str, int, int]:
    """What it writes, and the tokens of the prompt, and those of them that were known."""
    pieces = list(runner.write(text, adapter=adapter))
    usage = pieces[-1].usage
    assert usage is not None
    return "".join(piece.text for piece in pieces), usage.prompt, usage.cached


def test_more_adapters_than_slots_each_keep_what_they_have_read(crowd: LlamaRunner) -> None:
    names = crowd._adapters.names
    assert len(names) == 6 > crowd.options.slots
    first = [told(crowd, name, "Which is it?") for name in names]
    assert [cached for _, _, cached in first] == [0] * 6, "read with another adapter is not read"
    again = [told(crowd, name, "Which is it?") for name in names]
    assert [text for text, _, _ in again] == [text for text, _, _ in first]
    assert [prompt - cached for _, prompt, cached in again] == [1] * 6, "all but the token that the answer begins from is known"


def test_what_others_keep_gives_way_to_a_request_that_needs_the_room(crowd: LlamaRunner) -> None:
    """Two slots of 128 tokens are 256 in all; six prompts of 100 tokens are not."""
    long = "One two three four five six seven eight nine ten. " * 2
    names = crowd._adapters.names
    alone = {name: told(crowd, name, long)[0] for name in names}
    assert told(crowd, names[0], long)[1] == 100
    assert len(set(alone.values())) == 6, "or an answer with another's adapter would not be seen"
    got: dict[str, list[str]] = {name: [] for name in names}

    def ask(name: str) -> None:
        got[name] += [told(crowd, name, long)[0] for _ in range(3)]

    threads = [threading.Thread(target=ask, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert {name: len(texts) for name, texts in got.items()} == dict.fromkeys(names, 3)
    assert all(text == alone[name] for name, texts in got.items() for text in texts)


def test_a_conversation_takes_no_more_than_its_own_context(pair: LlamaRunner) -> None:
    """Lines share the room of the slots, and one alone must not use it up."""
    body = {"messages": [{"role": "user", "content": ASKED}], "max_tokens": 10_000, "logit_bias": [[2, False]]}
    pieces = list(pair.chat(body, adapter="shop-1"))
    usage = pieces[-1].usage
    assert usage is not None and pieces[-1].finish == "length"
    assert usage.prompt + usage.written == pair.options.context == 64
    long = {"messages": [{"role": "user", "content": "One two three four five six seven eight nine ten. " * 20}]}
    with pytest.raises(RequestError, match="over 64 tokens"):
        list(pair.chat(long, adapter="shop-1"))


TEXT = "the cat sat on the mat, then the cat sat up and went off"
COPIES = (TEXT, "the cat sat on a mat, then a cat sat up and went on and on", "zzzz yyyy qqqq the cat sat up and wen")
SIZES = (DraftSizes(6, 16), DraftSizes(3, 8), DraftSizes(1, 2))
COPY: dict[str, Any] = {"type": "object", "properties": {"said": {"const": TEXT}, "n": {"type": "integer", "minimum": 0, "maximum": 9}}}
COPY |= {"required": ["said", "n"], "additionalProperties": False}


def opened(folder: Path, sizes: DraftSizes | None, **more: Any) -> LlamaRunner:
    drafting = {"draft": "lookup", "draft_after": sizes.after, "draft_most": sizes.most} if sizes else {}
    return part.open(folder, options(before=[1], after=[], **{"max_tokens": 200, **drafting, **more}), 1)


@pytest.mark.parametrize("sizes", SIZES)
def test_it_is_counted_as_it_is_run(babbler: Path, sizes: DraftSizes) -> None:
    """By llama.cpp's own counts of tokens guessed and right, and of those that it tells the probability of."""
    import xllamacpp

    opening = {"model": str(babbler / "model.gguf"), "slots": 1, "lines": 1, "context": 1024, "threads": 1, "cache": "q8_0", "adapters": []}
    drafting = {"draft": "lookup", "draft_after": sizes.after, "draft_most": sizes.most}
    server = xllamacpp.Server(llama_worker.params({**opening, **drafting}, "key"))
    tokenizer = Tokenizer.from_file(str(babbler / "tokenizer.json"))
    prompt = [1, *tokenizer.encode(TEXT).ids]
    rights = 0
    for copy in COPIES:
        chunks: list[dict[str, Any]] = []
        body = {"prompt": prompt, "n_predict": 200, "temperature": 0.0, "samplers": ["top_k"], "top_k": 1, "n_probs": 1, "stream": True}
        body |= {"timings_per_token": True, "grammar": f'root ::= "{copy}"'}

        def take(line: str, chunks: list[dict[str, Any]] = chunks) -> bool:
            chunks.append(json.loads(line))
            return False

        server.handle_completions(json.dumps(body), take)
        timings = [chunk["timings"] for chunk in chunks if "timings" in chunk][-1]
        told = [choice["logprobs"] for chunk in chunks for choice in chunk.get("choices", ()) if choice.get("logprobs")]
        # Within the grammar llama.cpp writes letter by letter, and then the end.
        written = [*(tokenizer.token_to_id("Ġ" if letter == " " else letter) for letter in copy), 2]
        counted = simulate_drafting(prompt, written, sizes, 200)
        assert timings["predicted_n"] == counted.tokens
        assert (timings.get("draft_n", 0), timings.get("draft_n_accepted", 0)) == (counted.guessed, counted.right)
        assert sum(len(entry["content"]) for entry in told) == len(counted.seen)
        rights += counted.right
    assert rights >= 9


@pytest.mark.parametrize("sizes", SIZES)
def test_texts_are_the_same_alone_and_side_by_side(babbler: Path, sizes: DraftSizes) -> None:
    texts = ["abcdefgh " * 8, "in and in and in", TEXT, "qwertz", TEXT + TEXT]
    plain, drafting = opened(babbler, None), opened(babbler, sizes)
    try:
        wanted, got = plain.run(texts), drafting.run(texts)
        assert got["texts"] == wanted["texts"] and got["tokens"].tolist() == wanted["tokens"].tolist()
        assert got["finished"].tolist() == wanted["finished"].tolist()
        assert ((got["probability"] > 0) & (got["probability"] <= 1)).all()
        pieces = list(drafting.write(TEXT, max_tokens=200))
        assert "".join(piece.text for piece in pieces) == wanted["texts"][2]
        assert sum(piece.count for piece in pieces) == wanted["tokens"][2]
        assert sum(len(piece.tokens) for piece in pieces) < sum(piece.count for piece in pieces), "no guess, no test"
        stop = wanted["texts"][2][20:23]
        cut = ["".join(piece.text for piece in runner.write(TEXT, stop=stop)) for runner in (plain, drafting)]
        assert cut[0] == cut[1] == wanted["texts"][2].split(stop)[0]
        drawn = ["".join(piece.text for piece in runner.write(TEXT, temperature=1.0, seed=3)) for runner in (plain, drafting)]
        assert drawn[0][:10] == drawn[1][:10]
    finally:
        plain.close()
        drafting.close()


@pytest.mark.parametrize("sizes", SIZES)
def test_within_a_schema_and_a_grammar(babbler: Path, sizes: DraftSizes) -> None:
    runners = [opened(babbler, wanted, schema_of_answers=COPY) for wanted in (None, sizes)] + [opened(babbler, sizes)]
    try:
        plain, bound, free = runners
        wanted = ["".join(piece.text for piece in plain.write(TEXT)), TEXT]
        got = [list(bound.write(TEXT)), list(free.write(TEXT, grammar=f'root ::= "{TEXT}"'))]
        assert json.loads(wanted[0])["said"] == TEXT
        assert ["".join(piece.text for piece in pieces) for pieces in got] == wanted
        assert all(sum(len(piece.tokens) for piece in pieces) < sum(piece.count for piece in pieces) for pieces in got), "no guess, no test"
        several = [TEXT, "other", TEXT + TEXT]
        assert bound.run(several)["texts"] == plain.run(several)["texts"]
    finally:
        for runner in runners:
            runner.close()
    assert len(runners) == 3


def test_with_adapters_in_turn(babbler: Path, tmp_path: Path) -> None:
    """What was read with one adapter is no use to another, and neither are guesses checked with it."""
    for name in ("model.gguf", "tokenizer.json"):
        (tmp_path / name).symlink_to(babbler / name)
    names = {}
    for seed, name in enumerate(("one", "two")):
        write_lora(tmp_path / f"{name}.gguf", seed, 3.0, layers=1, width=64)
        names[name] = f"{name}.gguf"
    told = []
    for sizes in (None, DraftSizes(1, 2)):
        runner = opened(tmp_path, sizes, adapters=names, slots=2)
        asked = ("one", None, "two", "one")
        told.append(["".join(piece.text for piece in runner.write(TEXT, adapter=name)) for name in asked])
        runner.close()
    assert told[0] == told[1] and len(set(told[0])) == 3


def test_probabilities_of_every_token_are_refused(babbler: Path) -> None:
    runner = opened(babbler, DraftSizes(3, 8))
    try:
        with pytest.raises(RequestError, match="guesses tokens ahead"):
            runner.write("a", logprobs=2)
        with pytest.raises(RequestError, match="guesses tokens ahead"):
            runner.chat({"messages": [{"role": "user", "content": "a"}], "logprobs": True})
        assert list(runner.write("a", max_tokens=3))
    finally:
        runner.close()


def test_models_are_held_together_where_they_guess_alike() -> None:
    hashes = {"model.gguf": "abc"}
    keys = [{"draft": "none", "draft_after": 3}, {}, {"draft": "lookup"}, {"draft": "lookup", "draft_after": 3}]
    first, second, third, fourth = (part.shares(options(**more), hashes) for more in keys)
    assert first == second and len({second, third, fourth}) == 3


def test_the_usual_sizes_and_those_that_cannot_be() -> None:
    found = read({"draft": "lookup"})
    assert (found.draft_after, found.draft_most) == (6, 16)
    with pytest.raises(EngineError, match="draft_after"):
        read({"draft_after": 0})
