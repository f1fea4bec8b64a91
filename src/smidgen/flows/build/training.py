"""Train one student and make its smaller variants, step by step. Every step's result is stored and found again."""

from __future__ import annotations

import functools
import json
import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from smidgen.core.errors import EngineError
from smidgen.core.forms import Form
from smidgen.core.parts import Base, Compressor, EngineSpec, Raw, Student, Task, Training, Workspace
from smidgen.core.progress import Progress
from smidgen.core.rows import Row, Text
from smidgen.core.settings import Settings
from smidgen.flows.build.timing import Timing, measure_speed, with_guess_cost
from smidgen.flows.text_generation import improve, is_checked, open_runner, with_inputs
from smidgen.parts import registry
from smidgen.stats.calibration import blend_probabilities
from smidgen.store.hashing import code_hash, content_hash, rows_hash
from smidgen.store.step_results import StepResults
from smidgen.store.weight_files import described_hashes
from smidgen.usage.energy import Energy, EnergyMeter

# What a step's training takes, the tries that were stopped included: written down beside its checkpoint while it goes on.

NOTE = "smidgen_spent.json"


class StepEffort:
    """Seconds and energy of one step, from its making on, and those of earlier tries that left a note in its folder.

    Args:
        folder: the step's own, which survives a kill.
        meter: of this try.
    """

    def __init__(self, folder: Path, meter: EnergyMeter) -> None:
        self._file, self._meter, self._began = folder / NOTE, meter, time.perf_counter()
        found: dict[str, Any] = json.loads(self._file.read_text(encoding="utf-8")) if self._file.is_file() else {}
        self._before = float(found.get("seconds", 0.0)), float(found.get("watt_hours", 0.0))

    def taken(self) -> tuple[float, Energy]:
        """So far."""
        seconds, watt_hours = self._before
        energy = self._meter.read()
        method = f"{energy.method}; and what stopped tries took" if seconds else energy.method
        return seconds + time.perf_counter() - self._began, Energy(watt_hours + energy.watt_hours, method)

    def noted(self) -> Energy:
        """The energy so far, once it and the seconds are written down, beside the old note and renamed over it."""
        seconds, energy = self.taken()
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps({"seconds": seconds, "watt_hours": energy.watt_hours}), encoding="utf-8")
        fresh.replace(self._file)
        return energy

    def forget(self) -> None:
        """Remove the note, once the step is done."""
        self._file.unlink(missing_ok=True)


# Trains one student and makes its smaller variants, step by step; every step's result is stored and found again.

_FACTS = "smidgen_step.json"
_SAMPLE = 256
_ENERGY_SECONDS = 1.0  # a reading is two small files or none: often enough to look alive, seldom enough to cost nothing


@dataclass(frozen=True)
class TrainedFiles:
    """A trained student on disk. `folder` holds it; `seconds` and `energy` are what its training took when it was done.

    Of a blend the members are what was trained: `blended` holds them with their weights and temperatures, and `folder` is the first's.
    """

    student: str
    folder: Path
    key: str
    seconds: float
    energy: Energy
    blended: tuple[BlendMember, ...] = ()


@dataclass(frozen=True)
class BlendMember:
    """One of the students that answer together."""

    fitted: TrainedFiles
    weight: float
    temperature: float


@dataclass(frozen=True)
class StudentVariant:
    """A trained student in the files of an engine, made small by a method, and timed on this machine. A blend's members are `beside`."""

    student: str
    spec: EngineSpec
    folder: Path
    key: str
    timing: Timing
    size_mb: float
    beside: tuple[BlendShare, ...] = ()

    @property
    def bound(self) -> bool:
        """Whether its engine holds what it writes to a schema, as the trained model's own writing is not."""
        return bool(self.spec.options.get("schema_of_answers"))

    @property
    def writes(self) -> bool:
        """Whether its answers are written, where a rounding may change a word; those that are found or chosen are held to be the same. Of
        one task some students may write and others not."""
        return self.timing.tokens_per_second is not None


@dataclass(frozen=True)
class BlendShare:
    """One variant's part in a blend."""

    variant: StudentVariant
    weight: float
    temperature: float


@dataclass(frozen=True)
class StudentTrainer:
    """What every step needs: the store, the task, the bases by family, the seed, threads, progress; and the decoder that guides another,
    where the recipe names one."""

    steps: StepResults
    task: Task
    bases: Mapping[str, Base]
    seed: int
    threads: int
    progress: Progress
    guide: Base | None = None

    def base(self, student: str) -> Base | None:
        """The pretrained weights that a student starts from; of a blend, its first member's."""
        family = registry.find("students", student.partition("+")[0]).base_family
        return self.bases.get(family) if family else None

    def rows_for(self, name: str, rows: Sequence[Row], form: Form) -> Sequence[Row]:
        """The rows as a student learns from them."""
        student: Student = registry.find("students", name)
        if student.learns == "spans":
            return self.task.marked(rows, form)
        shown = {"labels": self.task.labelled, "texts": self.task.worded}.get(student.learns)
        return rows if shown is None else [replace(row, output=shown(row.output, form)) for row in rows]

    def fit(
        self, name: str, settings: Settings, rows: Sequence[Row], held: Sequence[Row], form: Form, teacher: TrainedFiles | None, label: str
    ) -> TrainedFiles:
        """Train a student on `rows`; go on from its last checkpoint where an earlier try was killed."""
        student: Student = registry.find("students", name)
        base = self.base(name)
        guide = self.guide if getattr(settings, "guide", None) else None
        rows, held = (self.rows_for(name, some, form) for some in (rows, held))
        inputs = {
            "code": code_hash(),
            "student": name,
            "settings": settings.model_dump(mode="json"),
            "rows": rows_hash((row.input, row.output if row.weight == 1 and not row.shares else _weighted_output(row)) for row in rows),
            "held": rows_hash((row.input, row.output) for row in held),
            "form": form.facts(),
            "base": base.sha256 if base else None,
            "described": described_hashes(base.folder) if base else None,
            "seed": self.seed,
            "threads": self.threads,
            "teacher": teacher.key if teacher else None,
            "guide": guide.sha256 if guide else None,
            "guide_described": described_hashes(guide.folder) if guide else None,
        }

        def work(folder: Path) -> None:
            given = with_guess_cost(settings, base, self.threads, form.writing.schema is not None)
            spent = StepEffort(folder, EnergyMeter())
            self.progress.start(label)
            training = Training(rows, held, form, base, given, self.seed, None, teacher.folder if teacher else None, guide)
            try:
                student.fit(training, Workspace(folder, self.threads, _TitledProgress(self.progress, label, spent)))
            finally:
                spent.noted()
            seconds, energy = spent.taken()
            _write(folder, {"seconds": seconds, "watt_hours": energy.watt_hours, "method": energy.method})
            spent.forget()
            self.progress.finish()

        folder = self.steps.run(f"fit-{name}", inputs, work)
        facts = _facts(folder)
        return TrainedFiles(name, folder, content_hash(inputs), facts["seconds"], Energy(facts["watt_hours"], facts["method"]))

    def raw(self, fitted: TrainedFiles, texts: Sequence[Text]) -> Raw:
        """What the trained student computes for texts, in the framework that trained it."""
        if fitted.blended:
            raws = [self.raw(member.fitted, texts) for member in fitted.blended]
            weights, temperatures = [m.weight for m in fitted.blended], [m.temperature for m in fitted.blended]
            return {"logits": blend_probabilities([raw["logits"] for raw in raws], weights, temperatures)}

        def work(folder: Path) -> None:
            student: Student = registry.find("students", fitted.student)
            _save(student.raw(fitted.folder, texts, self.threads), folder)

        folder = self.steps.run("raw", {"fit": fitted.key, "texts": rows_hash((text, None) for text in texts)}, work)
        return with_inputs(_load(folder), texts)

    def variants(
        self, fitted: TrainedFiles, methods: Sequence[str], sample: Sequence[Text], seconds: float | None = None
    ) -> list[StudentVariant]:
        """The student in its engine's files: at full precision, and made small by each method that knows the engine. `seconds` is how long
        timing each may take, where it writes."""
        student: Student = registry.find("students", fitted.student)
        plain = self._variant(
            fitted.student, "export", {"fit": fitted.key}, lambda out: student.export(fitted.folder, out), sample, seconds
        )
        made = [plain]
        for method in methods:
            compressor = registry.find("compress", method)
            if plain.spec.engine in compressor.engines:
                make = functools.partial(_compressed, compressor, plain, sample)
                made.append(self._variant(fitted.student, f"compress-{method}", {"export": plain.key, "method": method}, make, sample))
        return made

    def together(self, blended: TrainedFiles, variants: Sequence[StudentVariant], sample: Sequence[Text]) -> StudentVariant:
        """Variants of a blend's members, in their order, as one set of files."""
        members = [
            {"engine": v.spec.engine, "options": v.spec.options, "weight": m.weight, "temperature": m.temperature}
            for v, m in zip(variants, blended.blended, strict=True)
        ]
        files = tuple(dict.fromkeys(name for v in variants for name in v.spec.files))
        spec = EngineSpec("blend", files, {"members": members}, variants[0].spec.method)

        def make(out: Path) -> EngineSpec:
            for variant in variants:
                for name in variant.spec.files:
                    if (out / name).is_file() and (out / name).read_bytes() != (variant.folder / name).read_bytes():
                        raise EngineError(
                            "two members of a blend have different files of one name", value=name, todo="Use --student encoder."
                        )
                    shutil.copyfile(variant.folder / name, out / name)
            return spec

        made = self._variant(blended.student, "blend", {"members": [v.key for v in variants], "options": spec.options}, make, sample)
        beside = tuple(BlendShare(v, m.weight, m.temperature) for v, m in zip(variants, blended.blended, strict=True))
        return replace(made, beside=beside)

    def _variant(
        self,
        student: str,
        step: str,
        inputs: dict[str, Any],
        make: Callable[[Path], EngineSpec],
        sample: Sequence[Text],
        seconds: float | None = None,
    ) -> StudentVariant:
        inputs = {"code": code_hash(), "threads": self.threads, **inputs}

        def work(folder: Path) -> None:
            spec = make(folder)
            with open_runner(spec.engine, folder, spec.options, self.threads) as runner:
                _write(folder, {"spec": asdict(spec), "timing": measure_speed(runner, sample, seconds).json()})

        folder = self.steps.run(step, inputs, work)
        facts = _facts(folder)
        spec = EngineSpec(facts["spec"]["engine"], tuple(facts["spec"]["files"]), facts["spec"]["options"], facts["spec"]["method"])
        timing = Timing(**facts["timing"])
        size = sum((folder / name).stat().st_size for name in spec.files) / 1e6
        return StudentVariant(student, spec, folder, content_hash([step, inputs]), timing, size)

    def served(self, variant: StudentVariant, texts: Sequence[Text], form: Form | None = None) -> Raw:
        """What a variant computes for texts, in the engine that would serve it; with a `form`, what has faults is written anew. A blend's
        members have mostly answered these texts already, and it does no more than add up what they say."""
        if variant.beside:
            raws = [self.served(share.variant, texts) for share in variant.beside]
            weights, temperatures = [s.weight for s in variant.beside], [s.temperature for s in variant.beside]
            return {"logits": blend_probabilities([raw["logits"] for raw in raws], weights, temperatures)}

        def work(folder: Path) -> None:
            with open_runner(variant.spec.engine, variant.folder, variant.spec.options, self.threads) as runner:
                raw = runner.run(texts)
                if anew is not None:
                    raw = improve(self.task, anew, runner, texts, raw)
                _save({name: values for name, values in raw.items() if name != "inputs"}, folder)

        anew = form if form is not None and any(is_checked(self.task, form, text) for text in texts) else None
        inputs: dict[str, Any] = {"variant": variant.key, "texts": rows_hash((text, None) for text in texts)}
        inputs |= {"form": anew.facts()} if anew is not None else {}
        folder = self.steps.run("served", inputs, work)
        return with_inputs(_load(folder), texts)


class _TitledProgress:
    """A progress under the build's own title for a step, whatever the student calls it: one student is trained twice, on fewer and on all
    rows, and the two must not look the same. Beside the bar it says what energy the training has taken so far, and writes it down."""

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


def _weighted_output(row: Row) -> list[Any]:
    """An output with how much it is believed in."""
    return [row.output, row.weight, list(row.shares)]


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
