"""The decoder student: a small pretrained language model, fine-tuned by adapters or in full, served by llama.cpp."""

from __future__ import annotations

import math
import shutil
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.core.errors import MissingExtra, TrainError
from smidgen.core.parts import HALF, PUBLISHED, EngineSpec, FittedSettings, Raw, Student, TensorBytes, Training, Workspace
from smidgen.core.progress import Progress
from smidgen.core.rows import Text
from smidgen.store.weight_files import weight_files
from smidgen.students.settings import DecoderSettings, seconds_of
from smidgen.text.infilling import without_repeat
from smidgen.text.repetition import allowed, without_repetition

if TYPE_CHECKING:
    from smidgen.students.decoder_training.examples import DecoderExamples
    from smidgen.students.decoder_training.model import DecoderGuide
    from smidgen.students.decoder_training.prompts import DecoderPrompt
    from smidgen.students.decoder_training.training import DecoderProgress, DecoderTrainer


_WINDOW = 20
"""Number of latest steps whose mean time, including pauses between steps, predicts the next ones."""


class StepBudget:
    """The number of steps that fit into `seconds` from now, at most `most`; estimated before the first step and after each."""

    def __init__(self, seconds: float, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._ends, self._most, self._clock = clock() + seconds, most, clock
        self._at = clock()
        self._took: deque[float] = deque(maxlen=_WINDOW)

    def stretch(self, factor: float) -> None:
        """Allow `factor` times the number of steps, because each is that much smaller."""
        self._most = math.ceil(self._most * factor)

    def before(self, seconds_a_step: float) -> int:
        """The steps that fit, at least one, estimated before the first."""
        self._at = self._clock()
        return self._bounded((self._ends - self._at) / seconds_a_step)

    def after(self, step: int) -> int:
        """The total number of steps that fit, at least `step`, after `step` steps."""
        now = self._clock()
        self._took.append(now - self._at)
        self._at = now
        mean = sum(self._took) / len(self._took)
        return max(step, self._bounded(step + max(0.0, self._ends - now) / max(mean, 1e-9)))

    def _bounded(self, steps: float) -> int:
        return max(1, min(self._most, math.floor(steps)))


_CHECKPOINT, _HEALING = "checkpoint.safetensors", "healing.safetensors"
_WHOLE = 2 / 3
"""The share of the training time before pruning, if the model is pruned."""
_ADAPTER = "adapter.gguf"
_CHECKPOINT_SECONDS = 20.0
_BATCH, _LEAST_BATCH = 32, 8
"""Default number of examples per step, and the least number if the time budget allows few steps."""
_GAP_BATCH = 4
"""Default number of examples per step that have gaps: every token of the text around a gap is learnt: each is as much as many answers."""
_RATES = {"lora": 2e-3, "full": 5e-5, "gap": 3e-4}
"""Default peak learning rates: by the method; and of adapters that learn to fill gaps, where every token of a text counts."""
_FEW_STEPS, _ENOUGH_STEPS = 48, 96
"""If the time budget allows fewer steps than the first number, steps get smaller, to reach the second number."""
_ROUNDING_COSTS = 0.05
"""The most by which rounding the matrices may raise the held-out loss (nats per token); beyond it, 4 bits are too few."""
_UNROUNDED = 2 / 3
"""The share of the steps before matrices are rounded."""
_ROOM = 1.5
"""Factor from the longest training answer to the longest allowed answer."""
_SLOTS = 8
_LONG = 1024


class DecoderStudent(Student):
    """The student `decoder`."""

    name = "decoder"
    summary = "A small pretrained language model, taught to write: product texts, summaries, replies; or fields as JSON."
    settings = DecoderSettings
    base_family = "decoder"
    engine = "llama"
    learns = "texts"
    shrinks = True

    def fit(self, training: Training, space: Workspace) -> None:
        """Fine-tune. A checkpoint every 20 seconds lets a killed run go on to identical weights.

        Raises:
            MissingExtra: torch is not installed.
            TrainError: unusable examples or settings, or a loss that is infinite or NaN.
            BaseError: the base's architecture cannot be trained here, or a GGUF cannot hold its tokenizer.
        """
        need_torch()
        from smidgen.students.decoder_training.engine_options import choose_drafting
        from smidgen.students.decoder_training.examples import answers_of
        from smidgen.students.decoder_training.files import describe_base, save_taught
        from smidgen.students.vocabulary import kept_tokens

        settings = training.settings if isinstance(training.settings, DecoderSettings) else DecoderSettings()
        if training.form.writing.reach is not None:
            settings = settings.model_copy(update={"adapter": True})  # the base's own file is served as it is, and rounded no second time
        base = training.base
        if base is None:
            raise TrainError("students.decoder_needs_base", value="none")
        _possible(base.folder, settings)
        kept = kept_tokens(training, settings, space.progress)
        describe_base(space.folder, base.folder, kept)
        prompt, lessons, held = _examples_of(training, settings, space)
        schema = bool(training.form.writing.schema)
        drafting = choose_drafting(settings.draft, lessons.lessons, prompt, settings.adapter, schema, settings.guess_cost)
        space.progress.say(f"drafting: {drafting.why}")
        teacher = _teacher(training, settings, prompt, lessons, held, space, kept)
        if training.guide is not None:
            share = f"{settings.on_policy:.0%} of answers drawn by the student" if settings.on_policy else "on the examples' answers"
            space.progress.say(f"guided by {training.guide.name}, {share}")
        files, layers, neurons = [space.folder / _CHECKPOINT], None, None
        seconds = seconds_of(settings.time_budget) if settings.time_budget is not None else None
        try:
            if settings.pruned:
                from smidgen.students.decoder_training.pruning import healer, pruned

                _run(teacher, files[0], settings, space, "teach decoder", None if seconds is None else seconds * _WHOLE)
                change, layers, neurons = pruned(teacher, settings, space.progress)
                course = replace(teacher.course, steps=max(1, teacher.course.steps // 2), rate=teacher.course.rate / 2)
                teacher = healer(teacher, change, replace(course, rounded_from=_rounded_from(settings)))
                files.append(space.folder / _HEALING)
                seconds = None if seconds is None else seconds * (1 - _WHOLE)
            _run(teacher, files[-1], settings, space, "heal decoder" if settings.pruned else "teach decoder", seconds)
        finally:
            teacher.workers.close()
        most = _most(training, lessons)
        longest = len(prompt.before) + lessons.longest + most
        facts = {
            **prompt.json(),
            "max_tokens": most,
            "loop": allowed(answer for row in training.rows for answer in answers_of(row) if isinstance(answer, str)),
            "drafting": drafting.options(),
            "context": min(teacher.model.shape.context, max(_LONG, sum(prompt.reach or ()) + most, 256 * math.ceil(2 * longest / 256))),
            "precision": settings.precision,
            "steps": teacher.step,
            "held_loss": teacher.losses,
            "left_out": lessons.left_out,
            "rounded": teacher.change.rounded,
            "guide": training.guide.sha256 if training.guide is not None else None,
            "instruction": training.form.writing.instruction,
            "schema": training.form.writing.schema,
        }
        save_taught(space.folder, base.folder, teacher.change, facts, settings.model_dump(mode="json"), kept, layers, neurons)
        for file in files:
            file.unlink(missing_ok=True)

    def fitted(self, training: Training, forms: Mapping[str, TensorBytes], most: float, progress: Progress, other: str) -> FittedSettings:
        """The settings, with as many neurons and layers dropped as the size limit needs. Raises GateError if that would be too many."""
        need_torch()
        from smidgen.students.decoder_training.pruning import fitted

        settings = training.settings if isinstance(training.settings, DecoderSettings) else DecoderSettings()
        return fitted(training, settings, forms, most, progress, other)

    def raw(self, folder: Path, texts: Sequence[Text], threads: int) -> Raw:
        """`texts`, `probability`, `tokens` and `finished`, generated greedily by torch; see `tasks.write`."""
        return written(folder, texts, threads)

    def export(self, folder: Path, out: Path) -> EngineSpec:
        """The trained weights as one 16-bit GGUF with tokenizer and chat template, and the tokenizer for the engine. With the setting
        `adapter`, two GGUFs: the base's weights, identical for all its adapters, and the adapter. A model that fills gaps keeps the base's
        own file if that is a GGUF."""
        from smidgen.gguf.weights import write, write_adapter
        from smidgen.students.decoder_training.engine_options import attention_bits
        from smidgen.students.decoder_training.files import adapter, base_weights, open_decoder, taught
        from smidgen.students.decoder_training.prompts import chat_template

        stored = open_decoder(folder)
        apart = adapter(stored) if stored.settings.get("adapter") else None
        own = weight_files(stored.base)
        published = "reach" in stored.facts and len(own) == 1 and own[0].suffix == ".gguf"
        if published:
            shutil.copyfile(own[0], out / "model.gguf")
        else:
            write(
                out / "model.gguf",
                taught(stored) if apart is None else base_weights(stored.base, stored.kept),
                stored.config,
                folder,
                kind="f16",
                template=chat_template(folder),
                eos_id=stored.facts["stop"][0],
                name=f"{stored.base.name}-taught" if apart is None else stored.base.name,
            )
        shutil.copyfile(folder / "tokenizer.json", out / "tokenizer.json")
        names = ("before", "between", "after", "reach", "behind_first", "stop", "max_tokens", "context")
        options = {"model": "model.gguf", **{name: stored.facts[name] for name in names if name in stored.facts}, "slots": _SLOTS}
        options |= {"loop": stored.facts.get("loop", 0), **stored.facts.get("drafting", {})}
        if stored.facts.get("schema"):
            options["schema_of_answers"] = stored.facts["schema"]
        files = ["model.gguf", "tokenizer.json"]
        if apart is not None:
            factors, alpha = apart
            write_adapter(out / _ADAPTER, factors, stored.config, alpha=alpha, name=f"{stored.base.name}-taught", kind="f16")
            files.append(_ADAPTER)
            options |= {"adapters": {"taught": _ADAPTER}, "adapter": "taught"}
        # Bundles share one base in memory only with equal cache settings: adapters always use the smaller cache.
        options["cache"] = attention_bits(stored.shape, stored.facts["context"] * _SLOTS, frugal=apart is not None)
        return EngineSpec("llama", tuple(files), options, PUBLISHED if published else HALF)


def _run(teacher: DecoderTrainer, file: Path, settings: DecoderSettings, space: Workspace, title: str, seconds: float | None) -> None:
    """Train to the end, from the checkpoint in `file` if there is one; before pruning, the end is stored there, too."""
    from smidgen.students.encoder_training.training import write_checkpoint

    pace = None
    if file.is_file():
        from safetensors.torch import load_file

        teacher.resume(load_file(str(file)))
    elif seconds is not None:
        pace = StepBudget(seconds, teacher.course.steps)
        took = teacher.seconds_a_step()
        steps, batch = pace.before(took), teacher.course.batch
        fewer = max(_LEAST_BATCH, batch * steps // _ENOUGH_STEPS)
        if settings.batch_rows is None and steps < min(_FEW_STEPS, teacher.course.steps) and fewer < batch:
            space.progress.say(f"{fewer} examples a step instead of {batch}: there is only time for {steps} of the larger steps")
            teacher.regroup(fewer)
            pace.stretch(batch / fewer)
            steps = pace.before(took * fewer / batch)
        teacher.limit(steps)
    space.progress.start(title, teacher.course.steps)
    if teacher.step:
        space.progress.say(f"going on after step {teacher.step} of {teacher.course.steps}, where an earlier run stopped")
        space.progress.advance(teacher.step)
    last = time.monotonic()

    def stepped(now: DecoderProgress) -> None:
        space.progress.advance(1, loss=now.loss, **{"tokens/s": round(now.tokens_per_second)})
        if pace is not None:
            teacher.limit(pace.after(now.step))

    def rested() -> None:
        nonlocal last
        # A checkpoint of all matrices takes 1.5 GB, so it is written rarely.
        if time.monotonic() - last > _CHECKPOINT_SECONDS * (1 if settings.method == "lora" else 15):
            write_checkpoint(teacher.state(), file)
            last = time.monotonic()

    teacher.run(stepped, rested)
    if teacher.rounding_given_up:
        space.progress.say("rounding to few bits raises the held-out loss too much: trained without rounding")
    if teacher.unmoved:
        rounded = ", rounded as it is stored" if teacher.change.rounded else ""
        space.progress.say(f"no step was better on the held-out rows than the weights at the start{rounded}: these are kept")
    if settings.pruned:
        write_checkpoint(teacher.state(), file)


def _rounded_from(settings: DecoderSettings) -> float | None:
    auto = settings.method == "lora" and not settings.adapter
    return _UNROUNDED if settings.qat == "q4-0" or (settings.qat == "auto" and auto) else None


def written(folder: Path, texts: Sequence[Text], threads: int) -> Raw:
    """Texts generated greedily by the decoder in `folder`, by torch and without a schema: `texts`, and float32 arrays (n,) `probability`,
    `likelihood`, `tokens`, `finished`."""
    from smidgen.students.decoder_training.engine_options import DraftSizes, unguessed
    from smidgen.students.decoder_training.files import model_in, open_decoder
    from smidgen.students.decoder_training.generation import AnswerBounds, write
    from smidgen.students.decoder_training.prompts import DecoderPrompt, tokenizer_of
    from smidgen.students.processor import Workers

    stored = open_decoder(folder)
    workers = Workers(threads)
    tokenizer = tokenizer_of(folder)
    facts, prompt = stored.facts, DecoderPrompt.of(stored.facts)
    split = [prompt.split(tokenizer, text) for text in texts]
    prompts, leads = [ids for ids, _ in split], [lead for _, lead in split]
    ends = [prompt.ends(text) for text in texts]
    room = facts["context"] - len(facts["before"])
    fitting = [place for place, prompt in enumerate(prompts) if len(prompt) < room]
    try:
        model = model_in(stored, workers)
        most, loop = facts["max_tokens"], facts.get("loop", 0)
        bounds = AnswerBounds(tokenizer, [leads[p] for p in fitting], [ends[p] for p in fitting]) if any(leads) or any(ends) else None
        answers = write(model, [prompts[p] for p in fitting], facts["stop"], most, workers, loop=loop, bounds=bounds)
        found = dict(zip(fitting, answers, strict=True))
    finally:
        workers.close()
    rows = [found.get(place) for place in range(len(prompts))]
    if drafting := facts.get("drafting"):
        # The engine gives no probability of drafted tokens, so the reference leaves them out of the score, too.
        sizes = DraftSizes(drafting["draft_after"], drafting["draft_most"])
        for ids, row in zip(prompts, rows, strict=True):
            if row is not None:
                row.probability = unguessed([*facts["before"], *ids], row.ids, row.chances, sizes)
    return {
        "texts": [
            without_repeat(_text(tokenizer.decode(row.ids, skip_special_tokens=False).removeprefix(lead), row.finished), end) if row else ""
            for row, lead, end in zip(rows, leads, ends, strict=True)
        ],
        "probability": np.array([row.probability if row else 0.0 for row in rows], dtype=np.float32),
        "likelihood": np.array([row.likelihood if row else 0.0 for row in rows], dtype=np.float32),
        "tokens": np.array([len(row.ids) if row else 0 for row in rows], dtype=np.float32),
        "finished": np.array([row.finished if row else 0.0 for row in rows], dtype=np.float32),
    }


def _text(text: str, finished: bool) -> str:
    """A text as the engine returns it."""
    return text if finished else without_repetition(text)


def need_torch() -> None:
    """Raise MissingExtra if torch or gguf is not installed."""
    try:
        import torch  # noqa: F401

        import gguf  # noqa: F401
    except ImportError as error:
        raise MissingExtra(error.name or "torch", "train") from None


def _possible(base: Path, settings: DecoderSettings) -> None:
    """Check before training for failures after it. Raises TrainError for settings, BaseError for a base that could not be served."""
    from smidgen.gguf.architectures import shape_of
    from smidgen.gguf.tokenizer import vocabulary_of
    from smidgen.students.decoder_training.pruning import check_layers_left, neurons_left

    shape = shape_of(base)
    if shape.near and settings.drop_layers:
        raise TrainError("students.no_layer_of_gemma_can_be_dropped", value=settings.drop_layers)
    check_layers_left(shape.layers, settings.drop_layers)
    if settings.drop_neurons:
        neurons_left(shape.inner, settings.drop_neurons)
    vocabulary_of(base, shape.vocabulary)


def _examples_of(
    training: Training, settings: DecoderSettings, space: Workspace
) -> tuple[DecoderPrompt, DecoderExamples, DecoderExamples | None]:
    from smidgen.gguf.architectures import shape_of
    from smidgen.students.decoder_training.examples import chosen, examples_of, held_examples, in_circles, with_other_values
    from smidgen.students.decoder_training.prompts import common_words, gap_prompt, prompt_of, tokenizer_of

    folder = space.folder
    told = training.form.writing
    prompt = prompt_of(folder, told.instruction) if told.reach is None else gap_prompt(folder, told.reach)
    tokenizer = tokenizer_of(folder)
    most = min(settings.max_length, shape_of(folder).context)
    rows = chosen(training.rows, training.form, settings.references)
    if settings.vary and training.form.writing.lexicon:
        rows = with_other_values(rows, common_words(tokenizer), training.seed)
    lessons = examples_of(rows, prompt, tokenizer, most)
    if lessons.left_out:
        space.progress.say(f"{lessons.left_out} examples of more than {most} tokens are left out")
    if told.reach is None and not told.schema:
        lessons = replace(lessons, circles=in_circles(rows, prompt, tokenizer, most, training.seed))
    held = held_examples(chosen(training.held, training.form, 1), prompt, tokenizer, most)
    return prompt, lessons, held


def _teacher(
    training: Training,
    settings: DecoderSettings,
    prompt: DecoderPrompt,
    lessons: DecoderExamples,
    held: DecoderExamples | None,
    space: Workspace,
    kept: list[int] | None,
) -> DecoderTrainer:
    import torch

    from smidgen.gguf.architectures import shape_of
    from smidgen.students.decoder_training.adapters import FullMatrices, LoraAdapters, frozen_of, model_of
    from smidgen.students.decoder_training.files import base_weights
    from smidgen.students.decoder_training.generation import OwnAnswers
    from smidgen.students.decoder_training.training import DecoderTrainConfig, DecoderTrainer
    from smidgen.students.processor import Workers, best_dtype

    assert training.base is not None
    shape, weights = shape_of(space.folder), base_weights(training.base.folder, kept)
    dtype = {"auto": best_dtype(), "bf16": torch.bfloat16, "f32": torch.float32}[settings.precision]
    frozen = frozen_of(weights, shape)
    model = model_of(weights, frozen, shape, list(prompt.before), dtype)
    generator = torch.Generator().manual_seed(training.seed)
    if settings.method == "lora":
        change: Any = LoraAdapters(shape, frozen, settings.rank, settings.alpha, generator, dtype)
    else:
        change = FullMatrices(shape, frozen)
    count = len(lessons.every)
    batch = min(settings.batch_rows or (_BATCH if prompt.reach is None else _GAP_BATCH), max(4, count // 8))
    epochs = settings.epochs or _epochs(count)
    if settings.time_budget is not None and settings.epochs is None:
        epochs = 4 * epochs  # the time limit decides, or overfitting
    course = DecoderTrainConfig(
        steps=max(1, math.ceil(epochs * count / batch)),
        batch=batch,
        rate=settings.learning_rate or _RATES[settings.method if prompt.reach is None else "gap"],
        block_tokens=settings.block_tokens,
        seed=training.seed,
        shared=prompt.reach is None,
        checks=max(2, min(10, math.ceil(epochs))),
        # A pruned decoder is rounded only in its second training.
        rounded_from=None if settings.pruned else _rounded_from(settings),
        rounding_costs=_ROUNDING_COSTS if settings.qat == "auto" else None,
    )
    guide, drawing = _guide(training, settings, space, kept, list(prompt.before), dtype), None
    if guide is not None and settings.on_policy:
        drawing = OwnAnswers(settings.on_policy, _most(training, lessons), prompt.stop, training.seed)
    return DecoderTrainer(model, change, lessons.every, held.lessons if held else (), course, Workers(space.threads), guide, drawing)


def _guide(
    training: Training, settings: DecoderSettings, space: Workspace, kept: list[int] | None, before: list[int], dtype: Any
) -> DecoderGuide | None:
    """The guide, a larger decoder, or None."""
    from smidgen.students.decoder_training.files import guide_model
    from smidgen.students.decoder_training.model import DecoderGuide

    if training.guide is None or training.base is None:
        return None
    model = guide_model(training.guide.folder, training.base.folder, space.folder, kept, before, dtype)
    return DecoderGuide(model, settings.guide_share, settings.guide_temperature, settings.guide_beta)


def _most(training: Training, lessons: DecoderExamples) -> int:
    """The most tokens of an answer."""
    return int(training.form.writing.max_tokens or math.ceil(_ROOM * lessons.longest_answer) + 8)


def _epochs(count: int) -> float:
    """Passes over a number of examples: about 6,000 examples in total, from one pass to six."""
    return min(6.0, max(1.0, 6000 / count))


part = DecoderStudent()
