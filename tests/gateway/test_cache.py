"""The cache's policy: no key is shared by two scopes, no telling word is overlooked, and nothing is kept beyond its bounds."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples

from smidgen.gateway.answer_reading import AnswerUsage
from smidgen.gateway.cache import (
    EVENTS,
    AnswerCache,
    CachedAnswer,
    CacheEntry,
    CacheKey,
    CacheKeys,
    CacheLimits,
    Sharing,
    answer_events,
    cache_directives,
    cache_scope,
    cacheable_answer,
    whole_answer,
    why_uncacheable,
)

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
NAMING = CacheKeys()
SHARING: tuple[Sharing, ...] = ("user", "key", "all")

words = st.sampled_from(["", " ", "a", "b", "a ", "A", '","', "]", "null"])
headers = st.lists(
    st.tuples(st.sampled_from([b"authorization", b"api-key", b"x-api-key", b"x-smidgen-user"]), words.map(str.encode)), max_size=3
)
ids = st.dictionaries(st.sampled_from(["user", "safety_identifier"]), words | st.none() | st.integers(0, 1), max_size=2)


def asked(body: dict[str, Any], whose: Any, path: str = CHAT, given: list[tuple[bytes, bytes]] | None = None) -> CacheKey:
    return NAMING.question(whose, path, b"", given or [], body, "big")


def named(given: list[tuple[bytes, bytes]], fields: dict[str, Any], sharing: Sharing) -> Any:
    """Who a request says that it is, told apart from the rules under test: all keys, and, among users, all ids."""
    keys = sorted((name, value.strip()) for name, value in given if name != b"x-smidgen-user" and value.strip())
    users = [(name, value.strip()) for name, value in sorted(fields.items()) if isinstance(value, str) and value.strip()]
    users += [("header", value.decode().strip()) for name, value in given if name == b"x-smidgen-user" and value.strip()]
    return (keys, users) if sharing == "user" else keys


@settings(max_examples=examples(600), deadline=None)
@given(headers, ids, headers, ids, st.sampled_from(["user", "key"]))
def test_two_requests_share_a_key_only_where_they_are_the_same_persons(
    one: list[tuple[bytes, bytes]], mine: dict[str, Any], other: list[tuple[bytes, bytes]], theirs: dict[str, Any], sharing: Sharing
) -> None:
    body = {"messages": [{"role": "user", "content": "hello"}]}
    first, second = cache_scope(sharing, one, mine, False), cache_scope(sharing, other, theirs, False)
    if first is None or second is None:
        return
    keys = [asked({**body, **fields}, whose) for fields, whose in ((mine, first), (theirs, second))]
    same = named(one, mine, sharing) == named(other, theirs, sharing)
    assert (keys[0].key == keys[1].key) is same
    assert (keys[0].template == keys[1].template) is same


@settings(max_examples=examples(300), deadline=None)
@given(headers, ids)
def test_who_names_nobody_has_no_scope(given: list[tuple[bytes, bytes]], fields: dict[str, Any]) -> None:
    keys, users = named(given, fields, "user")
    odd = any(value is not None and not isinstance(value, str) for value in fields.values())
    assert (cache_scope("user", given, fields, False) is None) is (odd or not users)
    assert (cache_scope("key", given, fields, False) is None) is (not keys)
    assert cache_scope("all", given, fields, False) == cache_scope("all", [], {}, False)
    assert (cache_scope("all", given, fields, True) == cache_scope("all", [], {}, True)) is (not keys)


def test_no_two_ways_to_share_have_a_scope_in_common() -> None:
    given = [(b"authorization", b"Bearer a")]
    found = [cache_scope(sharing, given, {"user": "a"}, True) for sharing in SHARING]
    assert len({json.dumps(one) for one in found}) == 3


values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats(-2, 2) | st.sampled_from(["", "a", "\ud800", '"', "ä"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=5,
)
bodies = st.builds(
    lambda more, said, before: {**more, "messages": [*before, {"role": "user", "content": said}]},
    st.dictionaries(st.sampled_from(["temperature", "stop", "metadata", "tools"]), values, max_size=2),
    st.sampled_from(["", "a", "b", "a\n", "{'here': 'the text'}"]),
    st.lists(st.sampled_from([{"role": "system", "content": "a"}, {"role": "user", "content": "a"}]), max_size=2),
)


@settings(max_examples=examples(600), deadline=None)
@given(bodies, bodies)
def test_a_key_stands_for_one_body_and_a_template_for_one_but_for_its_last_text(one: dict[str, Any], other: dict[str, Any]) -> None:
    def written(body: dict[str, Any]) -> str:
        return json.dumps(body, sort_keys=True)

    def without(body: dict[str, Any]) -> str:
        return written({**body, "messages": [*body["messages"][:-1], {**body["messages"][-1], "content": None}]})

    first, second = asked(one, ["user", "a"]), asked(other, ["user", "a"])
    assert (first.key == second.key) is (written(one) == written(other))
    assert (first.template == second.template) is (without(one) == without(other))


def test_the_hashes_of_another_process_are_others() -> None:
    body = {"messages": [{"role": "user", "content": "hello"}]}
    assert asked(body, ["all"]).key != CacheKeys().question(["all"], CHAT, b"", [], body, "big").key


@pytest.mark.parametrize(
    "message",
    [{"role": "assistant", "content": "a"}, {"role": "user", "content": [{"type": "text", "text": "a"}]}, {"role": "tool", "content": "a"}],
)
def test_a_request_about_no_single_text_has_no_template(message: dict[str, Any]) -> None:
    found = asked({"messages": [{"role": "user", "content": "b"}, message]}, ["all"])
    assert (found.template, found.text) == (None, "")


def test_the_model_the_path_and_the_query_count() -> None:
    body = {"messages": [{"role": "user", "content": "hello"}], "prompt": "hello"}
    ways = [(CHAT, b"", "big"), (CHAT, b"v=1", "big"), (CHAT, b"", "small"), (COMPLETIONS, b"", "big")]
    found = [NAMING.question(["all"], path, query, [], body, model) for path, query, model in ways]
    assert len({one.key for one in found}) == len({one.template for one in found}) == 4


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("no-store", (False, True)),
        ("NO-CACHE", (True, False)),
        ("max-age=0", (True, False)),
        ("max-age=x", (True, False)),
        ("private", (True, True)),
    ],
)
def test_what_a_client_says_of_caching(word: str, found: tuple[bool, bool]) -> None:
    said = cache_directives([(b"Cache-Control", b"foo, " + word.encode())])
    assert (said.store, said.reuse) == found
    assert cache_directives([(b"cache-control", b"max-age=60")]).fresh == 60


def test_a_request_with_nothing_odd_in_it_suits() -> None:
    message = {"role": "user", "content": [{"type": "text", "text": "a"}]}
    assert why_uncacheable(CHAT, {"model": "m", "messages": [message], "temperature": 0, "n": 1, "stream": True, "unheard": None}) == ""
    assert why_uncacheable(COMPLETIONS, {"model": "m", "prompt": "a"}) == ""
    assert why_uncacheable(COMPLETIONS, {"model": "m", "prompt": ["a", "b"]}) == "unsuited"
    assert why_uncacheable(CHAT, {"messages": [message], "temperature": 1}) == "drawn"
    assert why_uncacheable(CHAT, {"messages": [message], "temperature": 1}, drawn=True) == ""


def entry(name: str, size: int = 10, born: float = 0.0, template: bytes | None = b"t") -> CacheEntry:
    return CacheEntry(CacheKey(name.encode(), template, name), CachedAnswer(b"x" * size, AnswerUsage(1, 1)), born)


def test_a_memory_is_bounded_in_number_bytes_and_age() -> None:
    memory = AnswerCache(CacheLimits(entries=3, total=10_000, each=6_000, seconds=60))
    one, two, three, four = (entry(name) for name in ("one", "two", "three", "four"))
    assert all(memory.put(each) for each in (one, two, three))
    assert memory.exact(one.question, 1) is one
    memory.put(four)
    assert [memory.exact(each.question, 1) for each in (one, two, three, four)] == [one, None, three, four]
    assert not memory.put(entry("large", 6_001)) and len(memory) == 3
    assert memory.put(entry("big", 6_000)) and memory.size <= 10_000
    memory.forget(60)
    assert len(memory) > 0
    memory.forget(61)
    assert (len(memory), memory.size) == (0, 0)


@settings(max_examples=examples(200), deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 4_000), st.sampled_from([b"t", b"u", None]), st.booleans()), max_size=30)
)
def test_a_memory_never_holds_more_than_it_may_and_counts_right(steps: list[tuple[str, int, bytes | None, bool]]) -> None:
    memory = AnswerCache(CacheLimits(entries=4, total=12_000, each=3_000, seconds=5))
    vector = np.ones(2, np.float32)
    for now, (name, size, template, placed) in enumerate(steps):
        new = entry(name, size, float(now), template)
        kept = memory.put(new)
        assert kept is (size <= 3_000)
        if placed:
            memory.set_vector(new, vector)
        assert len(memory) <= 4 and memory.size <= 12_000 + vector.nbytes
        for wanted in (b"t", b"u"):
            found = memory.alike(CacheKey(b"?", wanted, ""), float(now))
            assert all(one.question.template == wanted and one.vector is not None and now - one.born <= 5 for one in found)
    memory.forget(len(steps) + 10)
    assert (len(memory), memory.size, memory._alike) == (0, 0, {})


def stream(*chunks: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in chunks) + b"data: [DONE]\n\n"


def test_a_stream_is_put_together_and_taken_apart_again() -> None:
    head = {"id": "i", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "hm"},
        {"content": "a"},
        {"content": "ä\ud800"},
        {},
    ]
    chunks = [{**head, "choices": [{"index": 0, "delta": one, "finish_reason": "stop" if not one else None}]} for one in deltas]
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    kept = cacheable_answer(CHAT, EVENTS, stream(*chunks, {**head, "choices": [], "usage": usage}))
    assert kept is not None and kept.usage == AnswerUsage(3, 2)
    found = json.loads(whole_answer(kept, {"answered_by": "cache"}))
    assert found["choices"][0]["message"] == {"role": "assistant", "content": "aä\ud800", "reasoning_content": "hm"}
    assert (found["object"], found["usage"], found["smidgen"]) == ("chat.completion", usage, {"answered_by": "cache"})
    again = cacheable_answer(CHAT, EVENTS, answer_events(CHAT, kept, {"answered_by": "cache"}, usage=True))
    assert again == kept


@pytest.mark.parametrize(("path", "choice"), [(CHAT, {"text": "a"}), (COMPLETIONS, {"message": {"role": "assistant", "content": "a"}})])
def test_an_answer_of_the_other_face_is_not_kept(path: str, choice: dict[str, Any]) -> None:
    whole = {"choices": [{"index": 0, "finish_reason": "stop", **choice}]}
    assert cacheable_answer(path, "application/json", json.dumps(whole).encode()) is None


@settings(max_examples=examples(300), deadline=None)
@given(st.sampled_from([CHAT, COMPLETIONS]), st.sampled_from(["application/json", EVENTS]), values, values, values)
def test_an_answer_of_any_shape_is_kept_whole_or_not_at_all(path: str, kind: str, choices: Any, message: Any, more: Any) -> None:
    for found in ({"choices": choices}, {"choices": [{"message": message, "delta": message, "text": more, "finish_reason": "stop"}]}, more):
        body = stream(found) if kind == EVENTS else json.dumps(found).encode()
        try:
            kept = cacheable_answer(path, kind, body)
        except (ValueError, TypeError, KeyError, AttributeError, IndexError):
            continue  # whoever asks takes these for "not understood"
        if kept is not None:
            assert json.loads(whole_answer(kept, {}))["choices"]
            assert answer_events(path, kept, {}, usage=False)


def test_a_request_takes_its_own_answer_out_and_no_newer_one() -> None:
    memory = AnswerCache(CacheLimits(entries=3, total=10_000, each=6_000, seconds=60))
    one, two = entry("one"), entry("two")
    for request, each in (("a", one), ("b", two)):
        memory.put(each)
        memory.given(request, each)
    memory.given("c", one)
    assert memory.refuse("c") and memory.exact(one.question, 1) is None and memory.exact(two.question, 1) is two
    assert not memory.refuse("a"), "it is out already"
    assert not memory.refuse("c") and not memory.refuse("unknown") and len(memory) == 1
    for number in range(20_000):
        memory.given(f"other {number}", two)
    assert not memory.refuse("b"), "so old a request is not known any more"
    assert memory.refuse("other 19999") and (len(memory), memory.size) == (0, 0)
    memory.forget(100)
