"""LoRA adapters: one model, and each request has the one that it names."""

from __future__ import annotations

import threading
from pathlib import Path

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
