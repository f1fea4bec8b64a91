"""LoRA adapters: one model, and each request has the one that it names."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smidgen.core.errors import RequestError
from smidgen.engines.llama import LlamaRunner, part

from .llama_model import options, write_lora

ASKED = "What is the capital of France?"


@pytest.fixture(scope="module")
def several(decoder: Path, tmp_path_factory: pytest.TempPathFactory) -> LlamaRunner:
    """The small decoder with three adapters, of which one changes nothing."""
    folder = tmp_path_factory.mktemp("adapters")
    for name in ("model.gguf", "tokenizer.json"):
        (folder / name).symlink_to(decoder / name)
    for seed, (name, strength) in enumerate({"terse": 0.5, "warm": 0.5, "still": 0.0}.items()):
        write_lora(folder / f"{name}.gguf", seed, strength)
    return part.open(folder, options(adapters={name: f"{name}.gguf" for name in ("terse", "warm", "still")}), 1)


def said(runner: LlamaRunner, adapter: str | None) -> str:
    return "".join(piece.text for piece in runner.write(ASKED, adapter=adapter))


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
    body = {"messages": [{"role": "user", "content": ASKED}], "max_tokens": 12}
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
    """Two adapters of a model that writes whole characters."""
    for seed in range(2):
        write_lora(tmp_path / f"shop-{seed}.gguf", seed, 0.5)
    yield from together(decoder, tmp_path)


def together(model: Path, folder: Path, **more: Any) -> Iterator[LlamaRunner]:
    """A model and the adapters in a folder, which share two slots of 128 tokens."""
    adapters = {file.stem: file.name for file in sorted(folder.glob("*.gguf"))}
    for name in ("model.gguf", "tokenizer.json"):
        (folder / name).symlink_to(model / name)
    runner = part.open(folder, options(adapters=adapters, slots=2, context=128, **more), 1)
    yield runner
    runner.close()


def read(runner: LlamaRunner, adapter: str, text: str) -> tuple[str, int, int]:
    """What it writes, and the tokens of the prompt, and those of them that were known."""
    pieces = list(runner.write(text, adapter=adapter))
    usage = pieces[-1].usage
    assert usage is not None
    return "".join(piece.text for piece in pieces), usage.prompt, usage.cached


def test_more_adapters_than_slots_each_keep_what_they_have_read(crowd: LlamaRunner) -> None:
    names = crowd._adapters.names
    assert len(names) == 6 > crowd.options.slots
    first = [read(crowd, name, "Which is it?") for name in names]
    assert [cached for _, _, cached in first] == [0] * 6, "read with another adapter is not read"
    again = [read(crowd, name, "Which is it?") for name in names]
    assert [text for text, _, _ in again] == [text for text, _, _ in first]
    assert [prompt - cached for _, prompt, cached in again] == [1] * 6, "all but the token that the answer begins from is known"


def test_what_others_keep_gives_way_to_a_request_that_needs_the_room(crowd: LlamaRunner) -> None:
    """Two slots of 128 tokens are 256 in all; six prompts of 100 tokens are not."""
    long = "One two three four five six seven eight nine ten. " * 2
    names = crowd._adapters.names
    alone = {name: read(crowd, name, long)[0] for name in names}
    assert read(crowd, names[0], long)[1] == 100
    assert len(set(alone.values())) == 6, "or an answer with another's adapter would not be seen"
    got: dict[str, list[str]] = {name: [] for name in names}

    def ask(name: str) -> None:
        got[name] += [read(crowd, name, long)[0] for _ in range(3)]

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
    assert usage.prompt + usage.written == pair.options.context == 128
    long = {"messages": [{"role": "user", "content": "One two three four five six seven eight nine ten. " * 20}]}
    with pytest.raises(RequestError, match="over 128 tokens"):
        list(pair.chat(long, adapter="shop-1"))
