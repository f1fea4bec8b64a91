"""A served bundle: the shape of a loaded bundle, as `flows.live` makes them."""

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
        """The name that requests use for it."""
        ...

    @property
    def id(self) -> str:
        """A short hash that names exactly this bundle."""
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
        """The process that holds its weights; None where it has no process, or it does not run now."""
        ...

    def predict(self, texts: Sequence[Text]) -> list[Reply]:
        """One reply a text, in their order. May be called from several threads."""
        ...

    def embed(self, texts: Sequence[Text]) -> list[Reply]:
        """One reply a text, in their order, whose output is a list of numbers of length 1: the text's vector.

        Raises RequestError, 422, where this model has no vectors.
        """
        ...

    @property
    def slots(self) -> int:
        """How many single texts `predict` answers side by side, when it is called from as many threads; 0 where it takes batches."""
        ...

    @property
    def at_once(self) -> int:
        """How many texts it writes side by side; 0 for a model that does not write."""
        ...

    def write(self, text: Text, **options: Any) -> Iterator[Reply]:
        """The answer to a text, piece by piece, the whole one last. May be called from several threads."""
        ...

    def converse(self, body: Mapping[str, Any]) -> Iterator[Reply]:
        """Write the next message of a conversation, given as OpenAI's body of a chat completion; as `write` does."""
        ...

    def close(self) -> None:
        """Close the model. It answers no more."""
        ...


@dataclass(frozen=True, slots=True)
class BundleIdentity:
    """The identity of a bundle and the form of its answers. It holds no reference to the bundle's weights."""

    name: str
    id: str
    task: Task
    form: Form


def bundle_identity(model: ServedBundle) -> BundleIdentity:
    """The identity of a loaded bundle."""
    return BundleIdentity(model.name, model.id, model.task, model.form)


class BundleVectors:
    """A loaded bundle's other side: asked for texts, it gives their vectors. A batcher runs it as it runs the bundle itself."""

    def __init__(self, model: ServedBundle) -> None:
        self.name, self.predict = model.name, model.embed


def takes_pairs(model: ServedBundle) -> bool:
    """Whether a bundle was trained on pairs of texts, as its manifest says."""
    column = getattr(getattr(model.manifest, "columns", None), "input", None)
    return isinstance(column, tuple | list) and len(column) == 2


def input_of(model: ServedBundle, pieces: Sequence[str]) -> Text:
    """The pieces of a message as a bundle reads them: one text, or, for a bundle of pairs, two pieces as the pair."""
    return (pieces[0], pieces[1]) if takes_pairs(model) and len(pieces) == 2 else joined(pieces)


def warm(model: ServedBundle) -> None:
    """Answer one text. The first is slow; let it not be a client's."""
    text: Text = ("ready", "ready") if takes_pairs(model) else "ready"
    if model.at_once:
        for _ in model.write(text, max_tokens=1):  # so that the prompt's own part has been read
            pass
    else:
        model.predict([text])
