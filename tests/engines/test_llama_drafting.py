"""Drafting by lookup: the same texts in fewer steps, counted as `stats.drafting` counts them; and what it has no answer for is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from smidgen.core.errors import EngineError, RequestError
from smidgen.engines import llama_worker
from smidgen.engines.llama import LlamaRunner, part
from smidgen.engines.llama_options import read
from smidgen.stats.prompt_lookup import DraftSizes, simulate_drafting

from .llama_model import options, write_lora

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
