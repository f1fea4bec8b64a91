"""What becomes of llama.cpp's chunks: where an answer ends, what is counted, what is told of a failure."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.eventually import eventually

from smidgen.engines.llama_protocol import LlamaUsage, Piece, piece
from smidgen.engines.llama_worker import AdapterSlots, LlamaRequest, RequestQueue, StopFilter

END = 2


class Scripted:
    """A server that says given chunks, until it is told to stop; `said` are those that it got round to."""

    def __init__(self, *chunks: dict[str, Any], fault: Exception | None = None) -> None:
        self.chunks, self.fault, self.said = chunks, fault, 0

    def handle_completions(self, body: str, take: Callable[[str], bool]) -> None:
        if self.fault:
            raise self.fault
        for chunk in self.chunks:
            self.said += 1
            try:
                if take(json.dumps(chunk)):
                    return
            except (KeyError, TypeError):  # as the library does
                continue

    handle_chat_completions = handle_completions


def chunk(text: str, written: int, *tokens: tuple[int, str], finish: str | None = None, **more: Any) -> dict[str, Any]:
    content = [
        {"id": number, "token": word, "logprob": -0.5, "top_logprobs": [{"token": word, "logprob": -0.5}]} for number, word in tokens
    ]
    choice = {"text": text, "logprobs": {"content": content} if content else None, "finish_reason": finish}
    return {"choices": [choice], "timings": {"cache_n": 3, "prompt_n": 4, "predicted_n": written}, **more}


def answers(server: Scripted, **message: Any) -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = []
    LlamaRequest({"id": 7, "do": "write", "body": {}, **message}, said.append).answer(server)  # type: ignore[arg-type]
    assert all(message["id"] == 7 for message in said) and len(said) >= 1
    return said


def pieces(server: Scripted, **message: Any) -> list[Piece]:
    return [piece(said) for said in answers(server, **message) if "busy" not in said]


def test_the_models_own_end_token_is_in_no_piece() -> None:
    got = pieces(Scripted(chunk("Hi", 1, (10, "Hi")), chunk("", 2, (END, "")), chunk("", 2, finish="stop")))
    assert [(one.text, one.count, len(one.tokens), one.finish) for one in got] == [("Hi", 1, 1, None), ("", 0, 0, "stop")]
    assert got[-1].usage == LlamaUsage(prompt=7, cached=3, written=2)
    assert got[0].tokens[0].probability == pytest.approx(0.6065, abs=1e-4) and got[0].tokens[0].top == ()


def test_an_end_token_of_ours_ends_it_at_once() -> None:
    server = Scripted(chunk("Hi", 1, (10, "Hi")), chunk("\n", 2, (198, "\n")), chunk("more", 3, (11, "more")))
    got = pieces(server, stop_ids=[198])
    assert "".join(one.text for one in got) == "Hi" and sum(one.count for one in got) == 1
    assert got[-1].finish == "stop" and got[-1].usage == LlamaUsage(7, 3, 2)
    assert server.said == 2, "it wrote no more"


def test_of_several_tokens_in_a_chunk_those_before_the_end_count() -> None:
    got = pieces(Scripted(chunk("a b\nc", 4, (10, "a"), (11, " b"), (198, "\n"), (12, "c"))), stop_ids=[198])
    assert "".join(one.text for one in got) == "a b" and [token.id for one in got for token in one.tokens] == [10, 11]


def test_a_token_without_text_in_the_middle_is_counted() -> None:
    got = pieces(Scripted(chunk("", 1, (5, "")), chunk("a", 2, (10, "a")), chunk("", 2, finish="length")))
    assert sum(one.count for one in got) == 2 and [token.id for one in got for token in one.tokens] == [5, 10]
    cut = pieces(Scripted(chunk("a", 1, (10, "a")), chunk("", 2, (5, "")), chunk("", 2, finish="length")))
    assert sum(one.count for one in cut) == 2 and cut[-1].finish == "length"


def test_tokens_that_make_one_character_together_are_all_counted() -> None:
    got = pieces(Scripted(chunk("🙂", 3, (220, "🙂")), chunk("", 3, finish="length")))
    assert got[0].count == 3 and len(got[0].tokens) == 1


def test_a_stop_string_over_two_pieces() -> None:
    server = Scripted(chunk("one #", 1, (10, "one #")), chunk("# two", 2, (11, "# two")), chunk("three", 3, (12, "three")))
    got = pieces(server, stops=["##"])
    assert "".join(one.text for one in got) == "one " and got[-1].finish == "stop" and server.said == 2
    held = pieces(Scripted(chunk("one #", 1, (10, "one #")), chunk("", 1, finish="length")), stops=["##"])
    assert "".join(one.text for one in held) == "one #" and held[-1].text == "#"


def test_the_beginning_that_was_there_already_is_not_shown() -> None:
    server = Scripted(chunk(" re", 1, (10, " re")), chunk("turn", 2, (11, "turn")), chunk(" a", 3, (12, " a")))
    got = pieces(server, lead=" retu", stops=["re"])
    assert "".join(one.text for one in got) == "rn a", "and a stop string in it does not count"
    assert [token.text for one in got for token in one.tokens] == ["", "rn", " a"] and got[-1].usage == LlamaUsage(7, 3, 3)


def test_reading_the_prompt_is_told_and_can_be_cancelled() -> None:
    progress = chunk("", 0, prompt_progress={"total": 9, "processed": 4})
    server = Scripted(progress, progress, chunk("Hi", 1, (10, "Hi")))
    said: list[dict[str, Any]] = []
    request = LlamaRequest(
        {"id": 7, "do": "write", "body": {}}, lambda message: (said.append(message), setattr(request, "cancelled", True))[0]
    )
    request.answer(server)  # type: ignore[arg-type]
    assert said == [{"id": 7, "busy": True}] and server.said == 1
    before = Scripted(progress)
    request.answer(before)  # type: ignore[arg-type]
    assert before.said == 0, "cancelled while it waited: never asked"


def test_a_prompt_that_is_longer_than_its_line_takes_no_more_room() -> None:
    for total, said in ((9, True), (10, False)):
        server = Scripted(chunk("", 0, prompt_progress={"total": total, "processed": 4}), chunk("Hi", 1, (10, "Hi"), finish="stop"))
        found = answers(server, context=10)
        assert ("error" not in found[-1]) is said and server.said == 1 + said
    assert found[-1]["error"]["message"] == "the prompt has over 10 tokens"


@pytest.mark.parametrize("fault", [RuntimeError("no image"), ValueError("bad"), None])
def test_a_failure_is_the_last_reply(fault: Exception | None) -> None:
    said = answers(Scripted({"error": {"code": 400, "message": "bad grammar"}}, fault=fault))
    assert len(said) == 1 and said[0]["error"]["code"] == 400
    assert said[0]["error"]["message"] == (str(fault) if fault else "bad grammar")


def test_likeliest_tokens_come_only_where_asked_for() -> None:
    server = Scripted(chunk("Hi", 1, (10, "Hi")), chunk("", 1, finish="length"))
    assert pieces(server, top=1)[0].tokens[0].top == (("Hi", pytest.approx(0.6065, abs=1e-4)),)


def test_a_chunk_that_cannot_be_read_is_no_end_of_a_text() -> None:
    said = answers(Scripted(chunk("Hi", 1, (10, "Hi")), {"timings": {"other": 1}}, chunk("", 1, finish="stop")))
    assert said[-1]["error"]["code"] == 500 and not any("end" in message for message in said)


def test_a_text_that_goes_round_in_circles_is_cut() -> None:
    """Each chunk is a sentence of 20 characters that says the same; eight of them are 160."""
    chunks = [chunk(" He has had a cough.", number, (10, "x")) for number in range(1, 100)]
    server = Scripted(*chunks)
    got = pieces(server, loop=160)
    assert server.said == 8 and got[-1].finish == "length" and "".join(one.text for one in got) == " He has had a cough." * 8
    whole = Scripted(*chunks)
    assert len(pieces(whole)) > 90 and whole.said == 99


class Busy:
    """A server that answers when it is let, and notes the slots that it was asked in."""

    def __init__(self) -> None:
        self.let, self.slots = threading.Semaphore(0), list[int]()

    def handle_completions(self, body: str, take: Callable[[str], bool]) -> None:
        self.slots.append(json.loads(body)["id_slot"])
        assert self.let.acquire(timeout=20)
        take(json.dumps({"choices": [{"text": "Hi", "finish_reason": "length"}]}))


class Said:
    """What the process says."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def say(self, message: dict[str, Any]) -> None:
        self.messages.append(message)

    def ended(self) -> list[int]:
        return [message["id"] for message in self.messages if "end" in message]


def test_one_that_is_cancelled_in_line_is_never_asked_and_takes_no_slot_of_another() -> None:
    server, said = Busy(), Said()
    desk = RequestQueue(server, said, slots=1, lines=2)  # type: ignore[arg-type]

    def write(number: int, adapter: int) -> None:
        scales = [{"id": at, "scale": float(at == adapter)} for at in range(3)]
        desk._take({"id": number, "do": "write", "body": {"lora": scales}})

    def until(wanted: list[int]) -> None:
        eventually(lambda: said.ended() == wanted)
        assert said.ended() == wanted

    for number, adapter in ((1, 0), (2, 1), (3, 2), (4, 0), (5, 1)):
        write(number, adapter)
    desk._take({"do": "cancel", "id": 3})
    for _ in range(4):
        server.let.release()
    until([1, 2, 4, 5])
    assert server.slots == [0, 1, 0, 1], "each adapter came back to what it had read"
    assert [message["id"] for message in said.messages if message["id"] == 3] == []


def test_a_request_comes_back_to_the_slot_that_knows_its_adapter() -> None:
    slots = AdapterSlots(3)
    first = slots.take("a")
    slots.give(first)
    second = slots.take("b")
    slots.give(second)
    assert second != first, "what the first has read is kept as long as there are others"
    for adapter, wanted in (("a", first), ("b", second), ("a", first)):
        assert slots.take(adapter) == wanted
        slots.give(wanted)


def test_a_new_adapter_gets_the_slot_that_has_rested_longest() -> None:
    slots = AdapterSlots(2)
    for adapter, wanted in (("a", 0), ("b", 1), ("a", 0), ("c", 1), ("b", 0)):
        assert slots.take(adapter) == wanted
        slots.give(wanted)


def test_two_at_a_time_never_share_one() -> None:
    slots, taken, lock = AdapterSlots(4), set(), threading.Lock()
    seen: list[int] = []

    def work(adapter: int) -> None:
        for _ in range(200):
            slot = slots.take(adapter)
            with lock:
                assert slot not in taken
                taken.add(slot)
                seen.append(slot)
            with lock:
                taken.discard(slot)
            slots.give(slot)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(seen) == 800 and set(seen) <= {0, 1, 2, 3} and not taken


letters = st.text("ab\n", max_size=30)


@given(letters, st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=3), st.lists(st.integers(0, 30), max_size=8))
def test_it_is_the_text_up_to_the_first_stop(text: str, stops: list[str], cuts: list[int]) -> None:
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[a:b] for a, b in itertools.pairwise(places)]
    scanner = StopFilter(stops)
    shown, final = [], min([at for stop in stops if (at := text.find(stop)) >= 0], default=None)
    for each in pieces:
        shown.append(scanner.feed(each))
        so_far = "".join(shown)
        assert text.startswith(so_far)
        assert not any(stop in so_far for stop in stops)
    assert len(shown) == len(pieces)
    whole = "".join(shown) + scanner.rest()
    assert (scanner.hit is None) == (final is None)
    # Found in the piece that completes it: a longer stop that began earlier may not have been whole by then.
    if final is None:
        assert whole == text
    else:
        assert scanner.hit in stops and text.startswith(whole + str(scanner.hit)) and not any(stop in whole for stop in stops)


def test_nothing_is_held_without_reason() -> None:
    scanner = StopFilter(["\n\n", "STOP"])
    assert [scanner.feed(piece) for piece in ("one", "\n", "two ST", "A", " ST", "OP more")] == ["one", "", "\ntwo ", "STA", " ", ""]
    assert scanner.hit == "STOP" and scanner.rest() == "" and scanner.feed("more") == ""


def test_of_an_end_its_own_beginning_is_shown() -> None:
    scanner = StopFilter(["STOP"], {"\ny = 1": 1, "\n\ny": 2})
    assert [scanner.feed(piece) for piece in ("x", "\n", "z", "\ny =", " 1")] == ["x", "", "\nz", "", "\n"]
    assert scanner.hit == "\ny = 1" and scanner.rest() == ""


def test_what_was_held_comes_at_the_end() -> None:
    scanner = StopFilter(["###"])
    assert scanner.feed("a ##") == "a " and scanner.rest() == "##" and scanner.hit is None
