"""A served bundle: the interface of a loaded bundle, as `flows.local_model` makes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from smidgen.core.forms import Form
from smidgen.core.parts import Task
from smidgen.core.replies import Reply
from smidgen.core.rows import Text
from smidgen.gateway.eligibility import joined


class ServedBundle(Protocol):
    """A loaded bundle."""

    @property
    def name(self) -> str:
        """The name that requests use."""
        ...

    @property
    def id(self) -> str:
        """A short hash that identifies exactly this bundle."""
        ...

    @property
    def task(self) -> Task:
        """Its task, which knows how to show its replies."""
        ...

    @property
    def form(self) -> Form:
        """The form of its answers."""
        ...

    @property
    def manifest(self) -> Any:
        """The bundle's manifest."""
        ...

    @property
    def pid(self) -> int | None:
        """Id of the separate process that holds its weights; None without one, or while it does not run."""
        ...

    def predict(self, texts: Sequence[Text]) -> list[Reply]:
        """Return one reply per text, in order. May be called from several threads."""
        ...

    def embed(self, texts: Sequence[Text]) -> list[Reply]:
        """Return one reply per text, in order, whose output is the text's unit vector as a list of numbers.

        Raises RequestError, 422, if this model has no vectors.
        """
        ...

    @property
    def slots(self) -> int:
        """Number of single texts that `predict` answers side by side when called from this many threads; 0 for batches."""
        ...

    @property
    def at_once(self) -> int:
        """Number of texts that it writes side by side; 0 for a model that does not write."""
        ...

    def write(self, text: Text, **options: Any) -> Iterator[Reply]:
        """Yield the answer to a text, piece by piece, the whole one last. May be called from several threads."""
        ...

    def converse(self, body: Mapping[str, Any]) -> Iterator[Reply]:
        """Yield the next turn of a conversation, from OpenAI's body of a chat completion, as `write` does."""
        ...

    def close(self) -> None:
        """Stop its engine. It answers no more."""
        ...


@dataclass(frozen=True, slots=True)
class BundleIdentity:
    """The identity and form of a bundle without its weights, for data that outlives it."""

    name: str
    id: str
    task: Task
    form: Form


def bundle_identity(model: ServedBundle) -> BundleIdentity:
    """Return the identity of a loaded bundle."""
    return BundleIdentity(model.name, model.id, model.task, model.form)


class BundleVectors:
    """A loaded bundle as a model of vectors. A batcher runs it like the bundle itself."""

    def __init__(self, model: ServedBundle) -> None:
        self.name, self.predict = model.name, model.embed


def takes_pairs(model: ServedBundle) -> bool:
    """Return True if a bundle was trained on pairs of texts, as its manifest says."""
    column = getattr(getattr(model.manifest, "columns", None), "input", None)
    return isinstance(column, tuple | list) and len(column) == 2


def input_of(model: ServedBundle, pieces: Sequence[str]) -> Text:
    """Return the pieces of a message as a bundle's input: one text, or for a bundle of pairs, two pieces as the pair."""
    return (pieces[0], pieces[1]) if takes_pairs(model) and len(pieces) == 2 else joined(pieces)


def warm(model: ServedBundle) -> None:
    """Answer one text: the first is slow, and should not be a client's."""
    text: Text = ("ready", "ready") if takes_pairs(model) else "ready"
    if model.at_once:
        for _ in model.write(text, max_tokens=1):  # this makes the engine read the fixed part of the prompt
            pass
    else:
        model.predict([text])
