"""Trains one student and makes its smaller variants, step by step; every step's result is stored and found again."""

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

from smidgen.core.bases import Base
from smidgen.core.errors import EngineError
from smidgen.core.parts import Compressor, EngineSpec, Form, Marking, Raw, Student, Task, Training, Worded, Workspace
from smidgen.core.progress import Progress
from smidgen.core.rows import Row, Text
from smidgen.core.settings import Settings
from smidgen.flows.attempts import checks, improved
from smidgen.flows.guess_cost import priced
from smidgen.flows.runners import asked, opened
from smidgen.flows.spent import Spent
from smidgen.flows.timing import Timing, measure
from smidgen.machine.energy import Energy, Meter
from smidgen.parts import registry
from smidgen.stats.blending import blend
from smidgen.store.hashing import code_hash, content_hash, rows_hash
from smidgen.store.steps import Steps
from smidgen.store.weights import described_hashes

_FACTS = "smidgen_step.json"
_SAMPLE = 256
_ENERGY_SECONDS = 1.0  # a reading is two small files or none: often enough to look alive, seldom enough to cost nothing


@dataclass(frozen=True)
class Fitted:
    """A trained student on disk. `folder` holds it; `seconds` and `energy` are what its training took when it was done.

    Of a blend the members are what was trained: `blended` holds them with their weights and temperatures, and `folder` is the first's.
    """

    student: str
    folder: Path
    key: str
    seconds: float
    energy: Energy
    blended: tuple[Member, ...] = ()


@dataclass(frozen=True)
class Member:
    """One of the students that answer together."""

    fitted: Fitted
    weight: float
    temperature: float


@dataclass(frozen=True)
class Variant:
    """A trained student in the files of an engine, made small by a method, and timed on this machine. A blend's members are `beside`."""

    student: str
    spec: EngineSpec
    folder: Path
    key: str
    timing: Timing
    size_mb: float
    beside: tuple[Share, ...] = ()

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
class Share:
    """One variant's part in a blend."""

    variant: Variant
    weight: float
    temperature: float


@dataclass(frozen=True)
class Bench:
    """What every step needs: the store, the task, the bases by family, the seed, threads, progress; and the decoder that guides another,
    where the recipe names one."""

    steps: Steps
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
        family = registry.find("students", name).base_family
        if isinstance(self.task, Worded) and family == "decoder":
            return [replace(row, output=self.task.worded(row.output, form)) for row in rows]
        return self.task.marked(rows, form) if isinstance(self.task, Marking) and family == "encoder" else rows

    def fit(
        self, name: str, settings: Settings, rows: Sequence[Row], held: Sequence[Row], form: Form, teacher: Fitted | None, label: str
    ) -> Fitted:
        """Train a student on `rows`; go on from its last checkpoint where an earlier try was killed."""
        student: Student = registry.find("students", name)
        base = self.base(name)
        guide = self.guide if getattr(settings, "guide", None) else None
        rows, held = (self.rows_for(name, some, form) for some in (rows, held))
        inputs = {
            "code": code_hash(),
            "student": name,
            "settings": settings.model_dump(mode="json"),
            "rows": rows_hash((row.input, row.output if row.weight == 1 and not row.shares else _believed(row)) for row in rows),
            "held": rows_hash((row.input, row.output) for row in held),
            "form": form,
            "base": base.sha256 if base else None,
            "described": described_hashes(base.folder) if base else None,
            "seed": self.seed,
            "threads": self.threads,
            "teacher": teacher.key if teacher else None,
            "guide": guide.sha256 if guide else None,
            "guide_described": described_hashes(guide.folder) if guide else None,
        }

        def work(folder: Path) -> None:
            given = priced(settings, base, self.threads, bool(form.get("schema")))
            spent = Spent(folder, Meter())
            self.progress.start(label)
            training = Training(rows, held, form, base, given, self.seed, None, teacher.folder if teacher else None, guide)
            try:
                student.fit(training, Workspace(folder, self.threads, _Titled(self.progress, label, spent)))
            finally:
                spent.noted()
            seconds, energy = spent.taken()
            _write(folder, {"seconds": seconds, "watt_hours": energy.watt_hours, "method": energy.method})
            spent.forget()
            self.progress.finish()

        folder = self.steps.run(f"fit-{name}", inputs, work)
        facts = _facts(folder)
        return Fitted(name, folder, content_hash(inputs), facts["seconds"], Energy(facts["watt_hours"], facts["method"]))

    def raw(self, fitted: Fitted, texts: Sequence[Text]) -> Raw:
        """What the trained student computes for texts, in the framework that trained it."""
        if fitted.blended:
            raws = [self.raw(member.fitted, texts) for member in fitted.blended]
            weights, temperatures = [m.weight for m in fitted.blended], [m.temperature for m in fitted.blended]
            return {"logits": blend([raw["logits"] for raw in raws], weights, temperatures)}

        def work(folder: Path) -> None:
            student: Student = registry.find("students", fitted.student)
            _save(student.raw(fitted.folder, texts, self.threads), folder)

        folder = self.steps.run("raw", {"fit": fitted.key, "texts": rows_hash((text, None) for text in texts)}, work)
        return asked(_load(folder), texts)

    def variants(self, fitted: Fitted, methods: Sequence[str], sample: Sequence[Text], seconds: float | None = None) -> list[Variant]:
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

    def together(self, blended: Fitted, variants: Sequence[Variant], sample: Sequence[Text]) -> Variant:
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
        beside = tuple(Share(v, m.weight, m.temperature) for v, m in zip(variants, blended.blended, strict=True))
        return replace(made, beside=beside)

    def _variant(
        self,
        student: str,
        step: str,
        inputs: dict[str, Any],
        make: Callable[[Path], EngineSpec],
        sample: Sequence[Text],
        seconds: float | None = None,
    ) -> Variant:
        inputs = {"code": code_hash(), "threads": self.threads, **inputs}

        def work(folder: Path) -> None:
            spec = make(folder)
            with opened(spec.engine, folder, spec.options, self.threads) as runner:
                _write(folder, {"spec": asdict(spec), "timing": measure(runner, sample, seconds).json()})

        folder = self.steps.run(step, inputs, work)
        facts = _facts(folder)
        spec = EngineSpec(facts["spec"]["engine"], tuple(facts["spec"]["files"]), facts["spec"]["options"], facts["spec"]["method"])
        timing = Timing(**facts["timing"])
        size = sum((folder / name).stat().st_size for name in spec.files) / 1e6
        return Variant(student, spec, folder, content_hash([step, inputs]), timing, size)

    def served(self, variant: Variant, texts: Sequence[Text], form: Form | None = None) -> Raw:
        """What a variant computes for texts, in the engine that would serve it; with a `form`, what has faults is written anew. A blend's
        members have mostly answered these texts already, and it does no more than add up what they say."""
        if variant.beside:
            raws = [self.served(share.variant, texts) for share in variant.beside]
            weights, temperatures = [s.weight for s in variant.beside], [s.temperature for s in variant.beside]
            return {"logits": blend([raw["logits"] for raw in raws], weights, temperatures)}

        def work(folder: Path) -> None:
            with opened(variant.spec.engine, variant.folder, variant.spec.options, self.threads) as runner:
                raw = runner.run(texts)
                if anew:
                    raw = improved(self.task, form or {}, runner, texts, raw)
                _save({name: values for name, values in raw.items() if name != "inputs"}, folder)

        anew = form is not None and any(checks(self.task, form, text) for text in texts)
        inputs = {"variant": variant.key, "texts": rows_hash((text, None) for text in texts)} | ({"form": form} if anew else {})
        folder = self.steps.run("served", inputs, work)
        return asked(_load(folder), texts)


class _Titled:
    """A progress under the build's own title for a step, whatever the student calls it: one student is trained twice, on fewer and on all
    rows, and the two must not look the same. Beside the bar it says what energy the training has taken so far, and writes it down."""

    def __init__(self, inner: Progress, title: str, spent: Spent) -> None:
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


def _believed(row: Row) -> list[Any]:
    """An output with how much it is believed in."""
    return [row.output, row.weight, list(row.shares)]


def _compressed(compressor: Compressor, plain: Variant, sample: Sequence[Text], out: Path) -> EngineSpec:
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
