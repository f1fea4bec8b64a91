"""From a model's own chat template (Jinja) to one of Go's, which Ollama fills in: taken apart by what it gives, put together, and proved.

The template is filled in with marks in place of what is said. What stands between the marks are its pieces: what opens and closes a
user's turn and an assistant's, what stands first with and without words to the system, what opens the answer. From the pieces a Go
template is made, and both are filled in with conversations of many shapes: unless they agree to the letter in all, there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from smidgen.flows.export.go_template import fill

Message = Mapping[str, str]
Render = Callable[[Sequence[Message], bool], str]
"""A conversation, and whether the answer is to be opened, as the text that the model reads. Raises ValueError where it is refused."""

SYSTEM, FIRST, ANSWER, SECOND = "MARKOFTHESYSTEM", "MARKOFTHEUSER", "MARKOFTHEANSWER", "MARKOFTHESECOND"


@dataclass(frozen=True)
class Pieces:
    """What stands around what is said.

    Attributes:
        before_system, after_system: around words to the system.
        without: what stands first where there are none.
        user, user_end, assistant, assistant_end: around the turns.
        joined: whether the words to the system stand within the first user's turn, which is then opened by `before_system`.
        opening: opens the answer.
    """

    before_system: str
    after_system: str
    without: str
    user: str
    user_end: str
    assistant: str
    assistant_end: str
    joined: bool
    opening: str


def translated(render: Render) -> str:
    """The Go template that gives what `render` gives. Raises ValueError where there is none, with the reason."""
    template = written(pieces_of(render))
    for messages in _conversations():
        if fill(template, values(messages)) != _said(render, messages, True):
            raise ValueError(f"its turns are not made of pieces that stay the same (seen with {len(messages)} messages)")
    return template


def values(messages: Sequence[Message]) -> dict[str, object]:
    """What Ollama gives a template for a conversation."""
    named = [{"Role": message["role"], "Content": message["content"]} for message in messages]
    return {"System": "\n\n".join(m["Content"] for m in named if m["Role"] == "system"), "Messages": named}


def pieces_of(render: Render) -> Pieces:
    """The pieces of a template. Raises ValueError where it loses a text or its pieces do not fit one another."""
    first, answer, second = _turn("user", FIRST), _turn("assistant", ANSWER), _turn("user", SECOND)
    lead, between, back, tail = _split(render, [first, answer, second], True, (FIRST, ANSWER, SECOND))
    user_end = _split(render, [first], False, (FIRST,))[-1]
    assistant_end = _split(render, [first, answer], False, (FIRST, ANSWER))[-1]
    user = _less(back, assistant_end, front=True)
    assistant = _less(between, user_end, front=True)
    opening = _less(tail, user_end, front=True)
    before, after, *_ = _split(render, [_turn("system", SYSTEM), first, answer, second], True, (SYSTEM, FIRST, ANSWER, SECOND))
    joined = not after.endswith(user)
    return Pieces(
        before_system=before,
        after_system=after if joined else _less(after, user, front=False),
        without=_less(lead, user, front=False),
        user=user,
        user_end=user_end,
        assistant=assistant,
        assistant_end=assistant_end,
        joined=joined,
        opening=opening,
    )


def written(pieces: Pieces) -> str:
    """The Go template of the pieces. Raises ValueError where a piece holds what a Go template would read as its own."""
    for piece in (vars(pieces)).values():
        if isinstance(piece, str) and ("{{" in piece or "}}" in piece):
            raise ValueError("its own text holds double braces")
    p = pieces
    user = f"{{{{ if not (and $.System (eq $i 1)) }}}}{p.user}{{{{ end }}}}" if p.joined else p.user
    return (
        f"{{{{ if .System }}}}{p.before_system}{{{{ .System }}}}{p.after_system}{{{{ else }}}}{p.without}{{{{ end }}}}"
        f'{{{{ range $i, $m := .Messages }}}}{{{{ if eq .Role "user" }}}}{user}{{{{ .Content }}}}{p.user_end}'
        f'{{{{ else if eq .Role "assistant" }}}}{p.assistant}{{{{ .Content }}}}{p.assistant_end}{{{{ end }}}}{{{{ end }}}}{p.opening}'
    )


def alone(before: str, after: str) -> str:
    """The Go template that answers the last message by itself, whatever was said before. Raises ValueError as `written` does."""
    if any(brace in piece for piece in (before, after) for brace in ("{{", "}}")):
        raise ValueError("its prompt holds double braces")
    last = "{{ if eq (len (slice $.Messages $i)) 1 }}"
    return f"{{{{ range $i, $m := .Messages }}}}{last}{before}{{{{ .Content }}}}{after}{{{{ end }}}}{{{{ end }}}}"


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _split(render: Render, messages: Sequence[Message], opened: bool, marks: Sequence[str]) -> list[str]:
    """What stands before, between and after the marks, each of which must be there once, in this order."""
    rest = _said(render, messages, opened)
    found = []
    for mark in marks:
        before, hit, rest = rest.partition(mark)
        if not hit or mark in rest:
            raise ValueError("it loses or repeats what is said")
        found.append(before)
    return [*found, rest]


def _said(render: Render, messages: Sequence[Message], opened: bool) -> str:
    try:
        return render(messages, opened)
    except ValueError as error:
        raise ValueError(f"it refuses a plain conversation ({error})") from None


def _less(text: str, piece: str, *, front: bool) -> str:
    if not (text.startswith(piece) if front else text.endswith(piece)):
        raise ValueError("a turn is closed otherwise in the middle of a conversation than at its end")
    return text[len(piece) :] if front else text[: len(text) - len(piece)]


def _conversations() -> list[list[dict[str, str]]]:
    """Conversations of one to seven turns, with and without words to the system, of short, long, odd and many-lined texts."""
    said = [
        "Hello",
        "A longer text, of two sentences. It has figures: 1, 22, 333.",
        "Two\nlines",
        "naïve café — “quoted” 'text'",
        "?",
        "x" * 300,
    ]
    found = []
    for turns in (1, 3, 5, 7):
        for offset in range(len(said)):
            messages = [_turn("user" if at % 2 == 0 else "assistant", said[(at + offset) % len(said)]) for at in range(turns)]
            # Words that are nowhere else: that a template has lost them is seen by that.
            told = f"Instruction {turns}.{offset}: {said[(turns + offset) % len(said)]}"
            found += [messages, [_turn("system", told), *messages]]
    return found
