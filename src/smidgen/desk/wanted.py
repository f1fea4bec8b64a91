"""The outcome that a test conversation wants for a message, and whether a reply has it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

OUTCOMES = ("answered", "asked", "proposed", "done", "cancelled", "failed", "handed_over", "unanswered")
_TEXTS = ("document", "tool", "member")
_LISTS = ("contains", "not_contains")
_WANTED = {"outcome", "arguments", "items", *_TEXTS, *_LISTS}
_LONGEST = 1_000


def read_wanted(given: Mapping[str, Any]) -> dict[str, Any]:
    """A wanted outcome as a test conversation states it, with `contains` as a list. Raises ValueError with the reason.

    `outcome`: one of `OUTCOMES`. `contains`, `not_contains`: words that the reply must show, or must not. `document`: the document that
    it quotes. `tool`, `arguments`: the call that it proposes, makes or asks for, with at least these arguments. `member`: who answers.
    `items`: names of products that it shows.
    """
    outcome = given.get("outcome")
    if outcome not in OUTCOMES:
        raise ValueError(f"the wanted outcome is one of {', '.join(OUTCOMES)}, not {outcome!r}")
    strange = sorted(given.keys() - _WANTED)
    if strange:
        raise ValueError(f"{strange[0]!r} is unknown; there are {', '.join(sorted(_WANTED))}")
    found = dict(given)
    for name in _TEXTS:
        if name in found and not (isinstance(found[name], str) and found[name].strip()):
            raise ValueError(f"{name!r} is a text")
    for name in (*_LISTS, "items"):
        if name in found or name == "contains":
            found[name] = _texts(name, found.get(name, []))
    if not isinstance(found.get("arguments", {}), Mapping):
        raise ValueError("'arguments' is an object with their values by name")
    return found


def _texts(name: str, given: Any) -> list[str]:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list | tuple) or not all(isinstance(one, str) and one and len(one) <= _LONGEST for one in texts):
        raise ValueError(f"{name!r} is a text or a list of texts")
    return list(texts)


def fits(output: Any, wanted: Mapping[str, Any]) -> bool:
    """Whether a reply has all that is wanted of it."""
    if not isinstance(output, Mapping) or output["outcome"] != wanted["outcome"]:
        return False
    shown = "\n".join(_words_in([output["text"], output.get("citations", []), output.get("cards", [])])).casefold()
    return (
        ("document" not in wanted or any(cited["document"] == wanted["document"] for cited in output.get("citations", [])))
        and ("member" not in wanted or output.get("member") == wanted["member"])
        and all(words.casefold() in shown for words in [*wanted.get("contains", ()), *wanted.get("items", ())])
        and not any(words.casefold() in shown for words in wanted.get("not_contains", ()))
        and call_fits(output, wanted)
    )


def wanted_words(wanted: Mapping[str, Any]) -> str:
    """A wanted outcome in words: `answered, with “£3.95”, from policies.md`."""
    said = [str(wanted["outcome"]).replace("_", " ")]
    said += [f"with “{words}”" for words in (*wanted.get("contains", ()), *wanted.get("items", ()))]
    said += [f"without “{words}”" for words in wanted.get("not_contains", ())]
    said += [
        f"{joint} {wanted[name]}" for name, joint in (("document", "from"), ("tool", "by the tool"), ("member", "by")) if name in wanted
    ]
    return ", ".join(said)


def _words_in(value: Any) -> Iterator[str]:
    """All words and numbers that a reply shows."""
    if isinstance(value, Mapping):
        value = value.values()
    elif isinstance(value, str) or not isinstance(value, Iterable):
        yield str(value)
        return
    for one in value:
        yield from _words_in(one)


def call_fits(output: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether the call in a reply is the wanted one, if one is wanted."""
    call = output.get("call") or {}
    same = ("tool" not in wanted) or call.get("tool") == wanted["tool"]
    return same and all((call.get("arguments") or {}).get(name) == value for name, value in wanted.get("arguments", {}).items())
