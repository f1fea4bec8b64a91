"""Train one student and make its smaller variants, step by step. Every step's result is stored and found again."""

from __future__ import annotations

import functools
import json
import math
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from smidgen.core.errors import EngineError
from smidgen.core.forms import Form
from smidgen.core.parts import PUBLISHED, Compressor, EngineSpec, Raw, Student, Training, Workspace
from smidgen.core.progress import Progress
from smidgen.core.rows import Row, Text, in_parts, with_inputs
from smidgen.core.settings import Settings
from smidgen.flows.build.timing import Timing, measure_speed, with_guess_cost
from smidgen.flows.build.work import BuildContext, StudentVariant, TrainedFiles, Work
from smidgen.flows.text_generation import improve, is_checked, open_runner
from smidgen.parts import registry
from smidgen.store.files import code_hash, content_hash, file_hash, rows_hash
from smidgen.store.weight_files import described_hashes
from smidgen.usage.energy import Energy, EnergyMeter

# The cost of a training step, including stopped tries: recorded beside its checkpoint while it runs.

NOTE = "smidgen_spent.json"


class StepEffort:
    """Seconds and energy of one step, from this object's creation on, plus those of earlier tries that left a note in its folder.

    Args:
        folder: the step's own, which survives a kill.
        meter: of this try.
    """

    def __init__(self, folder: Path, meter: EnergyMeter) -> None:
        self._file, self._meter, self._began = folder / NOTE, meter, time.perf_counter()
        found: dict[str, Any] = json.loads(self._file.read_text(encoding="utf-8")) if self._file.is_file() else {}
        self._before = float(found.get("seconds", 0.0)), float(found.get("watt_hours", 0.0))

    def taken(self) -> tuple[float, Energy]:
        """The seconds and the energy so far."""
        seconds, watt_hours = self._before
        energy = self._meter.read()
        method = f"{energy.method}; and what stopped tries took" if seconds else energy.method
        return seconds + time.perf_counter() - self._began, Energy(watt_hours + energy.watt_hours, method)

    def noted(self) -> Energy:
        """Record seconds and energy in the note, and return the energy. The note is written beside the old one and renamed over it."""
        seconds, energy = self.taken()
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps({"seconds": seconds, "watt_hours": energy.watt_hours}), encoding="utf-8")
        fresh.replace(self._file)
        return energy

    def forget(self) -> None:
        """Remove the note, once the step is done."""
        self._file.unlink(missing_ok=True)


_FACTS = "smidgen_step.json"
_SAMPLE = 256
WRITTEN_AT_ONCE = 16
"""Texts after which the progress of writing is told: twice as many as are written side by side, so that hardly a slot waits."""
_ENERGY_SECONDS = 1.0  # a reading is two small files or none: frequent enough to look alive, seldom enough to be free


def rows_for(work: Work, part: Student, rows: Sequence[Row]) -> Sequence[Row]:
    """The rows in the form that a student learns from."""
    task, form = work.task, work.form
    if part.learns == "labels":
        return [replace(row, output=task.labelled(row.output, form)) for row in rows]
    if task.targets is not None and part.learns == "spans":
        return task.targets.spans(rows, form)
    if task.targets is not None and part.learns == "texts":
        return [replace(row, output=task.targets.text(row.output, form)) for row in rows]
    return rows


def fit(
    work: Work,
    context: BuildContext,
    name: str,
    rows: Sequence[Row],
    held: Sequence[Row],
    label: str,
    *,
    teacher: TrainedFiles | None = None,
    settings: Settings | None = None,
    spare: bool = False,
) -> TrainedFiles:
    """Train a student on `rows`; continue from its last checkpoint if an earlier try was killed. `spare`: only its outputs are needed once
    the build has succeeded."""
    part, settings = work.students[name].part, settings or work.students[name].settings
    base, form = work.base(name), work.form
    guide = work.guide if getattr(settings, "guide", None) else None
    rows, held = (rows_for(work, part, some) for some in (rows, held))
    inputs: dict[str, Any] = {
        "code": code_hash(),
        "student": name,
        "settings": settings.model_dump(mode="json"),
        "rows": rows_hash((row.input, _hashed_output(row)) for row in rows),
        "held": rows_hash((row.input, row.output) for row in held),
        "form": form.facts(),
        "base": base.sha256 if base else None,
        "described": described_hashes(base.folder) if base else None,
        "seed": work.recipe.seed,
        "threads": context.threads,
        "teacher": teacher.key if teacher else None,
        "guide": guide.sha256 if guide else None,
        "guide_described": described_hashes(guide.folder) if guide else None,
    }
    if work.material is not None:
        inputs["material"] = {file.name: file_hash(file) for file in sorted(work.material.iterdir())}

    def step(folder: Path) -> None:
        never_guesses = form.writing.schema is not None or form.writing.reach is not None
        given = with_guess_cost(settings, base, context.threads, never_guesses)
        spent = StepEffort(folder, EnergyMeter())
        context.progress.start(label)
        training = Training(rows, held, form, base, given, work.recipe.seed, teacher.folder if teacher else None, guide, work.material)
        try:
            part.fit(training, Workspace(folder, context.threads, _TitledProgress(context.progress, label, spent)))
        finally:
            spent.noted()
        seconds, energy = spent.taken()
        _write(folder, {"seconds": seconds, "watt_hours": energy.watt_hours, "method": energy.method})
        spent.forget()
        context.progress.finish()

    facts, place = _kept_facts(context, f"fit-{name}", inputs, step, spare)
    return TrainedFiles(name, place, content_hash(inputs), facts["seconds"], Energy(facts["watt_hours"], facts["method"]))


def raw(work: Work, context: BuildContext, files: TrainedFiles, texts: Sequence[Text]) -> Raw:
    """A trained student's outputs for texts, in the framework that trained it."""
    return timed_raw(work, context, files, texts)[0]


def timed_raw(work: Work, context: BuildContext, files: TrainedFiles, texts: Sequence[Text]) -> tuple[Raw, float]:
    """A trained student's outputs for texts, in the framework that trained it, and the seconds that they took."""
    part = work.students[files.student].part
    if part.partners:
        found, seconds = zip(*(timed_raw(work, context, one, texts) for one in files.partners), strict=True)
        return part.add(found, files.mix), sum(seconds)

    def step(folder: Path) -> None:
        began = time.perf_counter()
        _save(part.raw(files.folder, texts, context.threads), folder)
        _write(folder, {"seconds": time.perf_counter() - began})

    folder = context.steps.run("raw", {"fit": files.key, "texts": rows_hash((text, None) for text in texts)}, step)
    return with_inputs(_load(folder), texts), _facts(folder)["seconds"]


def variants(
    work: Work, context: BuildContext, files: TrainedFiles, methods: Sequence[str], seconds: float | None = None
) -> Iterator[StudentVariant]:
    """The student in its engine's files, each made when it is asked for: at full precision, then compressed by each method that supports
    the engine. `seconds`: time limit for timing the first, if it writes."""
    part, sample = work.students[files.student].part, [row.input for row in work.train]
    plain = _variant(context, files.student, "export", {"fit": files.key}, lambda out: part.export(files.folder, out), sample, seconds)
    yield plain
    for method in methods:
        compressor: Compressor = registry.find("compress", method)
        if plain.spec.engine in compressor.engines and plain.spec.method != PUBLISHED:
            make = functools.partial(_compressed, compressor, plain, sample)
            yield _variant(context, files.student, f"compress-{method}", {"export": plain.key, "method": method}, make, sample)


def joined(work: Work, context: BuildContext, files: TrainedFiles, members: Sequence[StudentVariant]) -> StudentVariant:
    """Variants of a student's partners, in their order, as one set of files."""
    part = work.students[files.student].part
    spec = part.joined([member.spec for member in members], files.mix)

    def make(out: Path) -> EngineSpec:
        for member in members:
            for name in member.spec.files:
                if (out / name).is_file() and (out / name).read_bytes() != (member.folder / name).read_bytes():
                    raise EngineError("flows.blend_members_have_conflicting_files", value=name, partners=part.partners[0])
                shutil.copyfile(member.folder / name, out / name)
        return spec

    inputs = {"members": [member.key for member in members], "options": spec.options}
    made = _variant(context, files.student, spec.engine, inputs, make, [row.input for row in work.train])
    return replace(made, partners=tuple(members), mix=files.mix)


def _variant(
    context: BuildContext,
    student: str,
    step: str,
    inputs: dict[str, Any],
    make: Callable[[Path], EngineSpec],
    sample: Sequence[Text],
    seconds: float | None = None,
) -> StudentVariant:
    inputs = {"code": code_hash(), "threads": context.threads, **inputs}

    def work(folder: Path) -> None:
        spec = make(folder)
        size = sum((folder / name).stat().st_size for name in spec.files) / 1e6
        with open_runner(spec.engine, folder, spec.options, context.threads) as runner:
            _write(folder, {"spec": asdict(spec), "timing": asdict(measure_speed(runner, sample, seconds)), "size_mb": size})

    facts, place = _kept_facts(context, step, inputs, work, spare=True)
    spec = EngineSpec(**{**facts["spec"], "files": tuple(facts["spec"]["files"])})
    return StudentVariant(student, spec, place, content_hash([step, inputs]), Timing(**facts["timing"]), facts["size_mb"])


def _kept_facts(
    context: BuildContext, step: str, inputs: dict[str, Any], work: Callable[[Path], None], spare: bool
) -> tuple[dict[str, Any], Callable[[], Path]]:
    """The facts of a step, and how to get its files. The facts are stored beside the files too, and stay when a spare result goes."""
    files = functools.partial(context.steps.run, step, inputs, work, spare)

    def copy_facts(folder: Path) -> None:
        shutil.copyfile(files() / _FACTS, folder / _FACTS)

    return _facts(context.steps.run(f"facts-{step}", inputs, copy_facts)), files


def served(work: Work, context: BuildContext, variant: StudentVariant, texts: Sequence[Text], form: Form | None = None) -> Raw:
    """A variant's outputs for texts, in the engine that would serve it; with a `form`, answers with faults are rewritten. Partners have
    mostly answered these texts already, so their outputs are only added up. Written texts count as units of the running step."""
    part = work.students[variant.student].part
    if part.partners:
        return part.add([served(work, context, one, texts) for one in variant.partners], variant.mix)
    checked = form if form is not None and any(is_checked(work.task, form, text) for text in texts) else None

    def step(folder: Path) -> None:
        found = []
        with open_runner(variant.spec.engine, variant.folder, variant.spec.options, context.threads) as runner:
            for some in in_parts(texts, WRITTEN_AT_ONCE) if variant.writes and texts else [texts]:
                written = runner.run(some)
                found.append(improve(work.task, checked, runner, some, written) if checked is not None else written)
                if variant.writes:
                    context.progress.advance(len(some))
        _save({name: values for name, values in _joined_raw(found).items() if name != "inputs"}, folder)

    inputs: dict[str, Any] = {"variant": variant.key, "texts": rows_hash((text, None) for text in texts)}
    inputs |= {"form": checked.facts()} if checked is not None else {}
    folder = context.steps.run("served", inputs, step)
    return with_inputs(_load(folder), texts)


def tried_out(work: Work, context: BuildContext, variant: StudentVariant, texts: Sequence[Text]) -> Raw | None:
    """A variant's outputs for texts as it works when it is served, where its engine alone does not show that; else None."""
    serving = work.task.serving
    if serving is None:
        return None
    with open_runner(variant.spec.engine, variant.folder, variant.spec.options, context.threads) as runner:
        found = serving.tried_out(runner, texts, work.recipe.asked)
    return found if found is None else with_inputs(found, texts)


class _TitledProgress:
    """A progress under the build's own title for a step, because one student is trained twice, on fewer and on all rows, and the two must
    look different. It shows beside the bar the energy of the training so far, and records it."""

    def __init__(self, inner: Progress, title: str, spent: StepEffort) -> None:
        self._inner, self._title, self._spent = inner, title, spent
        self._read, self._energy = -math.inf, ""

    def start(self, step: str, total: int | None = None) -> None:
        self._inner.start(self._title, total)

    def advance(self, units: int = 1, **facts: float | str) -> None:
        if time.monotonic() - self._read >= _ENERGY_SECONDS:
            self._read = time.monotonic()
            self._energy = self._spent.noted().short()
        self._inner.advance(units, **facts, energy=self._energy)

    def finish(self, note: str = "") -> None:
        self._inner.finish(note)

    def say(self, text: str) -> None:
        self._inner.say(text)


def _joined_raw(parts: Sequence[Raw]) -> Raw:
    """Outputs for several texts after one another."""
    first, *others = parts
    if not others:
        return first
    columns = {name: [part[name] for part in parts] for name in first}
    return {name: [*chain(*own)] if isinstance(own[0], list) else np.concatenate(own) for name, own in columns.items()}


def _hashed_output(row: Row) -> Any:
    """An output, with its weight, its shares and whether it was taught, where these are not the usual ones."""
    if row.weight == 1 and not row.shares and not row.taught:
        return row.output
    return [row.output, row.weight, list(row.shares), *([True] if row.taught else [])]


def _compressed(compressor: Compressor, plain: StudentVariant, sample: Sequence[Text], out: Path) -> EngineSpec:
    return compressor.apply(plain.spec, plain.folder, out, list(sample[:_SAMPLE]))


def _save(raw: Raw, folder: Path) -> None:
    from safetensors.numpy import save_file

    written = {name: value for name, value in raw.items() if isinstance(value, list)}
    arrays = {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in raw.items() if name not in written}
    save_file(arrays, folder / "raw.safetensors")
    (folder / "raw.json").write_text(json.dumps(written), encoding="utf-8")


def _load(folder: Path) -> Raw:
    from safetensors.numpy import load_file

    return {**load_file(folder / "raw.safetensors"), **json.loads((folder / "raw.json").read_text(encoding="utf-8"))}


def _facts(folder: Path) -> dict[str, Any]:
    file = folder / _FACTS
    facts: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return facts


def _write(folder: Path, facts: dict[str, Any]) -> None:
    (folder / _FACTS).write_text(json.dumps(facts), encoding="utf-8")
