"""A bundle, opened and loaded: it answers batches of texts, and single requests piece by piece. Never loads torch."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from smidgen.bundles.manifest import MANIFEST, Manifest
from smidgen.bundles.open import Bundle, find_bundle
from smidgen.core.errors import BundleError, InputError, RequestError, SmidgenError
from smidgen.core.forms import Form
from smidgen.core.parts import Raw, Runner, Sharing, Task
from smidgen.core.replies import Replies, Reply, Request
from smidgen.core.rows import Text
from smidgen.flows import text_generation
from smidgen.flows.text_generation import TextWriter, improve, is_checked, release_runner, with_inputs
from smidgen.machine.processor import threads as thread_count
from smidgen.parts import registry
from smidgen.store.line import Line

_TRIAL = "a"
"""The text that a model is asked once when it is loaded."""


class Model:
    """A loaded bundle. `predict` answers a batch; calling it with a request makes it an `Answerer`.

    Attributes:
        name: the bundle's name.
        id: short hash of the bundle's content.
        manifest: what the bundle says of itself.
        task: the part that turns raw outputs into replies.
        form: what it answers with: labels, temperature, thresholds.
        runner: the engine with the weights loaded.
        folder: where the bundle lies.
        line: the line whose champion it was when it was opened; None for a bundle by itself. It has the line's name.
    """

    def __init__(self, folder: Path, manifest: Manifest, runner: Runner, line: Line | None = None, name: str | None = None) -> None:
        self.folder, self.manifest, self.runner, self.line = folder, manifest, runner, line
        self.name, self.id = name or manifest.name, manifest.id
        self.task, self.form = read_task(manifest)
        self._turn: AbstractContextManager[Any] = (
            nullcontext() if isinstance(runner, TextWriter) or getattr(runner, "concurrent", False) else threading.Lock()
        )

    @property
    def columns(self) -> tuple[str | None, str | None]:
        """The input column (two joined by a comma for pairs) and the label column of the data it was built from."""
        names = self.manifest.columns.input
        return (names if isinstance(names, str) else ",".join(names)), self.manifest.columns.label

    def predict(self, texts: Sequence[Text]) -> list[Reply]:
        """One reply a text, in order. May be called from several threads: they take turns, but for a decoder, which answers them together.

        Raises InputError for a single text where a list of texts is expected, Cancelled where the work was called off.
        """
        if isinstance(texts, str):
            raise InputError("a list of texts is expected, not one text", value=texts[:80], todo="Write: model.predict([text]).")
        if not texts:
            return []
        with self._turn:
            raw = improve(self.task, self.form, self.runner, texts, self.runner.run(texts))
        return self.task.decode(raw, self.form)

    def first(self, texts: Sequence[Text]) -> list[Reply]:
        """Replies as the model first gives them, nothing written anew."""
        with self._turn:
            raw = self.runner.run(texts)
        return self.task.decode(with_inputs(raw, texts), self.form)

    def first_and_best(self, texts: Sequence[Text]) -> tuple[list[Reply], list[Reply]]:
        """Replies as the model first gives them, and as `predict` does; the same ones where nothing may be written anew."""
        with self._turn:
            raw = self.runner.run(texts)
            anew = any(is_checked(self.task, self.form, text) for text in texts)
            better = improve(self.task, self.form, self.runner, texts, raw) if anew else raw
        first = self.task.decode(with_inputs(raw, texts), self.form)
        return first, self.task.decode(better, self.form) if anew else first

    @property
    def pid(self) -> int | None:
        """The number of the process that the engine runs in; None where it has none of its own, or it does not run now."""
        return getattr(self.runner, "pid", None)

    @cached_property
    def slots(self) -> int:
        """How many texts a decoder answers side by side, each begun when it comes; 0 for any other model, which takes them in batches."""
        return self.runner.options.slots if isinstance(self.runner, TextWriter) else 0

    @cached_property
    def at_once(self) -> int:
        """How many texts it writes side by side; 0 for a model that does not write, and has neither `write` nor `converse`. One that fills
        in fields does not: half an object is no answer, so it is given whole or not at all, by `predict`."""
        return self.slots if self.task.streams else 0

    def write(self, text: Text, **options: Any) -> Generator[Reply, None, None]:
        """The answer to a text as it is written: replies that each add a piece, then the whole one, with its score. Closing the iterator
        ends the writing. May be called from several threads. Where the answer is checked, and may be written anew, it comes in one piece.

        The score is 0, and the fact `unscored` says why, where the text is not written as it was measured: drawn by chance, ended by a
        stop text, held to a schema, longer than the bundle's own `max_tokens`, or with its tokens where a stand-in could mend it. Its facts
        then still have the `probability`, the mean of its tokens'.

        Args:
            text: the text.
            options: `max_tokens`, `temperature`, `top_p`, `seed`, `stop`, `json_schema`, `grammar`, `logprobs`, as the engine has them.

        Raises:
            RequestError: for a model that does not write, a text that is too long, an option that cannot be.
            EngineError: the model's process died; the next request starts it again.
        """
        writer, unscored = self._writer(), text_generation.why_unscored(options)
        if not unscored and is_checked(self.task, self.form, text):
            pieces: Iterator[Any] = text_generation.write_best(self.task, self.form, writer, text, options)
            unscored = text_generation.why_unlike_measured(self.task, self.form, text, options)
        else:
            pieces = writer.write(text, **options)
        return text_generation.stream_replies(
            pieces, lambda raw: self._decoded(raw, [text]), unscored, text_generation.measured_within(writer, options)
        )

    def converse(self, body: Mapping[str, Any]) -> Generator[Reply, None, None]:
        """Write the next turn of a conversation, piece by piece as `write` does, by the chat template in its file and not by what
        it was taught. It has no score. `body` is OpenAI's of a chat completion. Raises as `write` does."""
        return text_generation.stream_replies(
            self._writer().chat(body), lambda raw: self._decoded(raw, None), "a conversation is not what it was measured on"
        )

    def close(self) -> None:
        """End what the engine runs in, where that is a process of its own. The model answers no more."""
        release_runner(self.runner)

    def embed(self, texts: Sequence[Text]) -> list[Reply]:
        """One reply a text, in order, whose output is the text's vector in the model's last layer, a list of floats of length 1.

        Raises RequestError where the model has no such layer.
        """
        if not texts:
            return []
        if isinstance(self.runner, TextWriter):
            raise self._without_vectors()
        with self._turn:
            raw = self.runner.run(texts)
        if "embedding" not in raw:
            raise self._without_vectors()
        vectors = raw["embedding"]
        units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        return [Reply(vector, 1.0) for vector in units.tolist()]

    async def __call__(self, request: Request) -> Replies:
        """Answer one request."""
        for reply in await asyncio.to_thread(self.predict, [request.input]):
            yield reply

    def _decoded(self, raw: Raw, texts: Sequence[Text] | None) -> Reply:
        (reply,) = self.task.decode(with_inputs(raw, texts) if texts is not None else raw, self.form)
        return reply

    def _writer(self) -> TextWriter:
        if isinstance(self.runner, TextWriter) and self.at_once:
            return self.runner
        raise RequestError(
            "this model does not write",
            value=f"{self.name} ({self.manifest.task})",
            todo="Use predict, or a bundle of the task write.",
            code="writing_not_supported",
            param="model",
        )

    def _without_vectors(self) -> RequestError:
        return RequestError(
            "this model has no embeddings",
            value=f"{self.name} ({self.manifest.student})",
            todo="Serve a bundle whose student is an encoder or static.",
            code="embeddings_not_supported",
            param="model",
        )


def load(path: Path | str, threads: int | None = None) -> Model:
    """Open a bundle, or the champion of a line, verify every hash, load its weights.

    Raises:
        BundleError: the bundle must not be opened; the message names the file.
        EngineError: the engine cannot load the weights.
    """
    return load_all([path], threads)[0]


def load_all(paths: Sequence[Path | str], threads: int | None = None) -> list[Model]:
    """Open several bundles or lines, in their order. Bundles whose weights are the same file, with adapters beside it, are held once: see
    `core.parts.Sharing`. Raises as `load` does; what was loaded by then is closed again."""
    found = [find_bundle(Path(path)) for path in paths]
    bundles = [entry.bundle for entry in found]
    groups: dict[tuple[str, str], list[int]] = {}
    for place, bundle in enumerate(bundles):
        # A champion is by itself: its weights come and go without any other's.
        shared = _shares(bundle, place) if found[place].line is None else str(place)
        groups.setdefault((bundle.manifest.engine.engine, shared), []).append(place)
    for bundle in bundles:
        read_task(bundle.manifest)
    loaded: dict[int, Model] = {}
    try:
        for (name, _), places in groups.items():
            engine = registry.find("engines", name)
            models = [(bundles[place].folder, bundles[place].manifest.engine.options) for place in places]
            wanted = thread_count(threads)
            runners = engine.together(models, wanted) if len(models) > 1 else [engine.open(*models[0], wanted)]
            for place, runner in zip(places, runners, strict=True):
                loaded[place] = Model(bundles[place].folder, bundles[place].manifest, runner, found[place].line, found[place].name)
                _try_out(loaded[place], bundles[place])
    except SmidgenError:
        for model in loaded.values():
            model.close()
        raise
    return [loaded[place] for place in range(len(bundles))]


def read_task(manifest: Manifest) -> tuple[Task, Form]:
    """The task of a bundle, and its form. Raises BundleError where the task cannot decide by what the manifest brings."""
    task: Task = registry.find("tasks", manifest.task)
    try:
        form = task.read_form(manifest.form)
    except ValueError as error:
        raise _unfit(str(error)) from None
    if fault := task.form_fault(form):
        raise _unfit(fault)
    return task.formed(form), form


def _try_out(model: Model, bundle: Bundle) -> None:
    """Answer one text, and raise BundleError where the form does not fit what the model computes, or a score is no number. A model that
    writes is not tried: that takes a hundred times as long."""
    if isinstance(model.runner, TextWriter):
        return
    raw = with_inputs(model.runner.run([_TRIAL]), [_TRIAL])
    if fault := registry.find("tasks", bundle.manifest.task).form_fault(model.form, raw):
        raise _unfit(fault)
    if not all(0.0 <= reply.score <= 1.0 for reply in model.task.decode(raw, model.form)):
        raise _unfit("the model's weights give scores that are not between 0 and 1")


def _unfit(fault: str) -> BundleError:
    return BundleError(
        f"the bundle cannot answer: {fault}",
        value=MANIFEST,
        todo="Copy it again from where it was built, or build it again.",
        file=MANIFEST,
    )


def _shares(bundle: Bundle, place: int) -> str:
    """The key that bundles share which can be held together; unique for one that cannot."""
    engine = registry.find("engines", bundle.manifest.engine.engine)
    if not isinstance(engine, Sharing):
        return str(place)
    return engine.shares(bundle.manifest.engine.options, {name: entry.sha256 for name, entry in bundle.manifest.files.items()})
