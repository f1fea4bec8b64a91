"""Open and load a bundle: it answers batches of texts, and streams single requests. Never loads torch."""

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
from smidgen.core.parts import Engine, Raw, Runner, Task
from smidgen.core.replies import Replies, Reply, Request
from smidgen.core.rows import Text, with_inputs
from smidgen.flows import text_generation
from smidgen.flows.text_generation import TextWriter, improve, is_checked, release_runner
from smidgen.machine.processor import threads as thread_count
from smidgen.parts import registry
from smidgen.store.line import Line

_TRIAL = "a"
"""The text of the trial run when a model is loaded."""


class Model:
    """A loaded bundle. `predict` answers a batch; calling it with a request makes it an `Answerer`.

    Attributes:
        name: the bundle's name.
        id: short hash of the bundle's content.
        manifest: the bundle's manifest.
        task: the part that turns raw outputs into replies.
        form: the form of its answers: labels, temperature, thresholds.
        runner: the engine with the weights loaded.
        folder: the bundle's folder.
        line: the line whose champion it was when opened; None for a bundle outside a line. The model then has the line's name.
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

    @property
    def turn(self) -> AbstractContextManager[Any]:
        """The lock that a thread holds while it uses the runner itself."""
        return self._turn

    def predict(self, texts: Sequence[Text]) -> list[Reply]:
        """Return one reply per text, in order.

        May be called from several threads: they take turns, except that a decoder answers them together. Raises InputError for a single
        text in place of a list, Cancelled if the work was cancelled.
        """
        if isinstance(texts, str):
            raise InputError("flows.list_of_texts_is_expected_not_one_text", value=texts[:80])
        if not texts:
            return []
        with self._turn:
            raw = self.runner.run(texts)
            if isinstance(self.runner, TextWriter):
                raw = improve(self.task, self.form, self.runner, texts, raw)
        return self.task.decode(with_inputs(raw, texts), self.form)

    def first(self, texts: Sequence[Text]) -> list[Reply]:
        """Return the model's first replies, without a second attempt at faulty texts."""
        with self._turn:
            raw = self.runner.run(texts)
        return self.task.decode(with_inputs(raw, texts), self.form)

    def first_and_best(self, texts: Sequence[Text]) -> tuple[list[Reply], list[Reply]]:
        """Return the model's first replies, and those of `predict`. Both are the same if no text may be written again."""
        with self._turn:
            raw = self.runner.run(texts)
            anew = any(is_checked(self.task, self.form, text) for text in texts)
            better = improve(self.task, self.form, self.runner, texts, raw) if anew else raw
        first = self.task.decode(with_inputs(raw, texts), self.form)
        return first, self.task.decode(better, self.form) if anew else first

    @property
    def pid(self) -> int | None:
        """Process id of the engine; None if it has no process of its own, or does not run now."""
        return getattr(self.runner, "pid", None)

    @cached_property
    def slots(self) -> int:
        """Number of texts that a decoder answers side by side, each started on arrival; 0 for other models, which take batches."""
        return self.runner.options.slots if isinstance(self.runner, TextWriter) else 0

    @cached_property
    def at_once(self) -> int:
        """Number of texts that the model streams side by side; 0 if it has no `write` and `converse`.

        A model that fills in fields does not stream: half an object is not an answer.
        """
        return self.slots if self.task.streams else 0

    def write(self, text: Text, **options: Any) -> Generator[Reply, None, None]:
        """Stream the answer to a text: replies that each add a piece, then the whole reply with its score.

        Closing the iterator stops the writing. May be called from several threads. An answer that is checked, and may be written again,
        comes in one piece.

        The score is 0, and the fact `unscored` says why, if the text is written in another way than it was measured: sampled, ended by a
        stop text, held to a schema, longer than the bundle's own `max_tokens`, or with token probabilities if a stand-in could improve it.
        The facts still have `probability`, the mean over its tokens.

        Args:
            text: the text.
            options: `max_tokens`, `temperature`, `top_p`, `seed`, `stop`, `json_schema`, `grammar`, `logprobs`, as the engine has them.

        Raises:
            RequestError: the model does not write, the text is too long, or an option is invalid.
            EngineError: the model's process died. The next request restarts it.
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
        """Stream the next turn of a conversation, as `write` does. It has no score.

        It uses the chat template in the model file, not the trained prompt. `body`: an OpenAI chat completion request. Raises as `write`
        does.
        """
        return text_generation.stream_replies(
            self._writer().chat(body), lambda raw: self._decoded(raw, None), "a conversation is not what it was measured on"
        )

    def close(self) -> None:
        """Stop the engine's process, if it has one. The model then answers no more."""
        release_runner(self.runner)

    def embed(self, texts: Sequence[Text]) -> list[Reply]:
        """Return one reply per text, in order, with the text's unit vector from the model's last layer, a list of floats.

        Raises RequestError if the model has no such layer.
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
            "flows.this_model_does_not_write", value=f"{self.name} ({self.manifest.task})", code="writing_not_supported", param="model"
        )

    def _without_vectors(self) -> RequestError:
        return RequestError(
            "flows.this_model_has_no_embeddings",
            value=f"{self.name} ({self.manifest.student})",
            code="embeddings_not_supported",
            param="model",
        )


def load(path: Path | str, threads: int | None = None) -> Model:
    """Open a bundle, or the champion of a line: verify every hash and load the weights.

    Raises:
        BundleError: the bundle must not be opened; the message names the file.
        EngineError: the engine cannot load the weights.
    """
    return load_all([path], threads)[0]


def load_all(paths: Sequence[Path | str], threads: int | None = None) -> list[Model]:
    """Open several bundles or lines, in order. Bundles with the same weights file and different adapters load it once.

    See `core.parts.Engine`. Raises as `load` does, after closing the models that were loaded.
    """
    found = [find_bundle(Path(path)) for path in paths]
    bundles = [entry.bundle for entry in found]
    groups: dict[tuple[str, str], list[int]] = {}
    for place, bundle in enumerate(bundles):
        # A champion shares no weights, because it is loaded and replaced on its own.
        shared = _shares(bundle, place) if found[place].line is None else str(place)
        groups.setdefault((bundle.manifest.engine.engine, shared), []).append(place)
    for bundle in bundles:
        read_task(bundle.manifest)
    loaded: dict[int, Model] = {}
    try:
        for (name, _), places in groups.items():
            engine: Engine = registry.find("engines", name)
            models = [(bundles[place].folder, bundles[place].manifest.engine.options) for place in places]
            for place, runner in zip(places, engine.together(models, thread_count(threads)), strict=True):
                loaded[place] = Model(bundles[place].folder, bundles[place].manifest, runner, found[place].line, found[place].name)
                _try_out(loaded[place], bundles[place])
    except SmidgenError:
        for model in loaded.values():
            model.close()
        raise
    return [loaded[place] for place in range(len(bundles))]


def read_task(manifest: Manifest) -> tuple[Task, Form]:
    """Return the task of a bundle, and its form. Raises BundleError if the manifest's form does not fit the task."""
    task: Task = registry.find("tasks", manifest.task)
    try:
        form = task.read_form(manifest.form)
    except ValueError as error:
        raise _unfit(str(error)) from None
    if fault := task.form_fault(form):
        raise _unfit(fault)
    return task.formed(form), form


def _try_out(model: Model, bundle: Bundle) -> None:
    """Answer one text as a trial. Raises BundleError if the form does not fit the output, or a score is outside 0..1.

    A model that writes is not tried, because that takes a hundred times as long.
    """
    if isinstance(model.runner, TextWriter):
        return
    raw = with_inputs(model.runner.run([_TRIAL]), [_TRIAL])
    if fault := registry.find("tasks", bundle.manifest.task).form_fault(model.form, raw):
        raise _unfit(fault)
    if not all(0.0 <= reply.score <= 1.0 for reply in model.task.decode(raw, model.form)):
        raise _unfit("the model's weights give scores that are not between 0 and 1")


def _unfit(fault: str) -> BundleError:
    return BundleError("flows.bundle_cannot_answer", value=MANIFEST, cause=fault, file=MANIFEST)


def _shares(bundle: Bundle, place: int) -> str:
    """Return a key that is equal for bundles that can share weights, and unique for any other."""
    engine: Engine = registry.find("engines", bundle.manifest.engine.engine)
    hashes = {name: entry.sha256 for name, entry in bundle.manifest.files.items()}
    return engine.shares(bundle.manifest.engine.options, hashes) or str(place)
