"""Pack the chosen candidate, measure it through the engine that will serve it, ship it."""

from __future__ import annotations

import datetime
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from smidgen.bundles.card import model_card
from smidgen.bundles.manifest import BaseEntry, Columns, DataEntry, EngineEntry, Licence, Manifest, MetricInterval
from smidgen.bundles.open import open_bundle
from smidgen.bundles.pack import pack
from smidgen.compress import CompressSettings
from smidgen.core.errors import GateError
from smidgen.core.parts import WHOLE, Base, own_grades
from smidgen.core.progress import Progress
from smidgen.core.replies import Reply
from smidgen.core.rows import Text, evenly, in_parts, with_inputs
from smidgen.core.version import VERSION
from smidgen.data.source import DataSettings
from smidgen.flows import local_model
from smidgen.flows.build import training
from smidgen.flows.build.candidates import choose_candidate, with_every_form
from smidgen.flows.build.work import BuildContext, Candidate, Draft, Work
from smidgen.judge import parity, quality_gate
from smidgen.judge.page import render
from smidgen.judge.quality_gate import GateSettings
from smidgen.judge.sections import ParityFacts
from smidgen.students.settings import StudentSettings

_COMPARED, _WRITTEN = 64, 16
"""Test rows that the finished bundle answers once more; fewer of a writer, whose files are the measured ones to the last bit: one that is
run wrongly changes every text."""
_HELD_TO = 200
"""Test rows on which a writer's packed bundle is compared with the trained model, which takes seconds for each."""
_FEWEST_MEASURED, _MOST_MEASURED = 100, 300
"""Test rows of a writer: writing 630, and again those with a fault, took longer than teaching it."""
_MEASURING = 1 / 3
"""The share of its training time that writing them may take, if that allows more than the fewest."""
_AGAIN = 4
"""How much longer a text takes that is written again if it has a fault: of E2E's test texts two in three had one."""
_ROUNDED = 0.25
"""The share of a writer's texts that rounding may change."""


def choose_and_measure(work: Work, context: BuildContext) -> Work:
    """Choose a candidate, pack it and measure it. If it was compressed by an automatic method and fails the parity gate, choose again
    without it. The last one left must pass. (The quality gate comes in `ship`.)

    Raises GateError if nothing is left that passes the parity gate.
    """
    auto, number = work.recipe.settings(CompressSettings).method == "auto", 0
    while True:
        chosen, reason, why_not = choose_candidate(work.candidates, work.recipe.settings(StudentSettings), work.task.headline)
        context.progress.say(f"chosen: {chosen.name}, {reason}")
        if why := work.students[chosen.student].why:
            reason = f"{reason}; {why}"
        if chosen.variant.writes and (most := _texts_measured(work, chosen)) < len(work.test):
            note = f"{most} of the {len(work.test):,} test texts, spread evenly, are measured; smidgen eval measures all"
            work = replace(work, test=evenly(work.test, most), notes=(*work.notes, note))
        draft = _measured(work, context, chosen, reason, why_not, context.scratch / f"draft-{number}")
        work, number = replace(work, draft=draft), number + 1
        if draft.parity.passed:
            return work
        if auto and chosen.variant.writes:
            work = with_every_form(work, context, chosen.student)
        others = [c for c in work.candidates if c.name != chosen.name and not c.unfit and not c.baseline]
        if not (auto and others and chosen.method not in WHOLE):
            break
        said = parity.failures(draft.parity)
        context.progress.say(f"{chosen.name} does not pass the parity gate: {'; '.join(said)}. Choosing again without it")
        failed = replace(chosen, unfit=f"does not pass the parity gate on the test rows: {said[0]}")
        work = replace(work, candidates=tuple(failed if c.name == chosen.name else c for c in work.candidates))
    parity.require(work.packed.parity)
    return work


def _texts_measured(work: Work, chosen: Candidate) -> int:
    """The most test rows on which a writer is measured: as many as it writes in a part of its training time."""
    checks = work.task.checks
    again = _AGAIN if checks is not None and checks.attempts(work.trained[chosen.student].form) else 1
    fits = round(_MEASURING * work.seconds * chosen.variant.timing.texts_per_second / again)
    return min(_MOST_MEASURED, max(_FEWEST_MEASURED, fits))


def _measured(work: Work, context: BuildContext, chosen: Candidate, reason: str, why_not: Mapping[str, str], out: Path) -> Draft:
    """Pack the chosen model, load it in the engine that will serve it, and compare it on the test rows with the model as trained."""
    task, rows, learnt, variant = work.task, work.test, work.trained[chosen.student], chosen.variant
    form = learnt.form
    some = evenly(range(len(rows)), _HELD_TO if task.grading is not None else len(rows))
    compared = [rows[place] for place in some]
    texts = [row.input for row in compared]
    if variant.writes:
        context.progress.start("answer the test rows with the trained model")
        training.raw(work, context, learnt.files, texts)
        context.progress.finish()
    context.progress.start("measure the packed bundle on the test rows", len(rows) if variant.writes else None)
    model = context.loaded(pack_draft(work, chosen, out))
    first, served, seconds = _answers(model, [row.input for row in rows], context.progress if variant.writes else None)
    parity.check(rows, first)
    serving = task.serving
    if serving is not None and (tried := serving.tried_out(model.runner, [row.input for row in rows], work.recipe.asked)) is not None:
        served = task.decode(with_inputs(tried, [row.input for row in rows]), form)
    metrics = task.measure(rows, served, form)
    headline = metrics[task.headline]
    # Rewritten texts would hide the losses of packing: parity compares the likeliest first answers.
    packed = [first[place] for place in some]
    trained = task.decode(training.raw(work, context, learnt.files, texts), form)
    graded, regraded = own_grades(task, compared, trained, form), own_grades(task, compared, packed, form)
    grades = (graded, regraded) if graded is not None and regraded is not None else None
    before = task.measure(compared, trained, form)[task.headline]
    after = (metrics if served is first and len(compared) == len(rows) else task.measure(compared, packed, form))[task.headline]
    settings = work.recipe.settings(GateSettings)
    facts: ParityFacts = parity.compare(
        compared,
        trained,
        packed,
        settings=settings,
        headline=task.headline,
        before=before,
        after=after,
        grades=grades,
        written=variant.writes,
    )
    if variant.bound and variant.spec.method not in WHOLE:
        # The loss against the uncompressed weights in the same engine, under the same schema.
        plain = next(training.variants(work, context, learnt.files, []))
        unpacked = task.decode(training.served(work, context, plain, texts), form)
        before, after = (task.measure(compared, replies, form)[task.headline] for replies in (unpacked, packed))
        facts = parity.beside(facts, compared, unpacked, packed, settings=settings, before=before, after=after)
    context.progress.finish(f"{task.headline} {headline.value:.1%} (95 %: {headline.low:.1%} to {headline.high:.1%})")
    return Draft(chosen, reason, why_not, model, first, served, seconds, metrics, facts)


def _answers(model: local_model.Model, texts: Sequence[Text], progress: Progress | None) -> tuple[list[Reply], list[Reply], float]:
    """A model's first and its best answers to texts, and the seconds that they took. Of a writer, `progress` counts them."""
    began, found = time.perf_counter(), []
    for some in in_parts(texts, training.WRITTEN_AT_ONCE if progress else len(texts)):
        found.append(model.first_and_best(some))
        if progress:
            progress.advance(len(some))
    first = [reply for some, _ in found for reply in some]
    best = first if all(one is other for one, other in found) else [reply for _, some in found for reply in some]
    return first, best, time.perf_counter() - began


def ship(work: Work, context: BuildContext) -> Work:
    """Pass the quality gate, pack everything, compare once more, and move the finished bundle to its requested place."""
    context.progress.start("pack the model")
    draft, report = work.packed, work.report
    assert report is not None
    quality_gate.require(draft.metrics, work.task.headline, work.recipe.settings(GateSettings), report.strongest)
    metrics = {name: MetricInterval(**found.model_dump()) for name, found in report.metrics.items()}
    extra = {
        "report.json": report.json_text(),
        "report.html": render(report),
        "recipe.toml": work.recipe.toml(),
        "README.md": model_card(
            _manifest(work, draft.chosen, metrics), work.trained[draft.chosen.student].form, report.model_dump(mode="json")
        ),
    }
    final = _pack(work, draft.chosen, extra, metrics, context.scratch / "final")
    if not is_what_was_measured(work, context, context.loaded(final)):
        raise GateError("flows.finished_bundle_gives_other_answers", value=work.out.name)
    pack(final, open_bundle(final).manifest, work.out)
    context.progress.finish("the model is packed, and answers as it was measured")
    return work


def is_what_was_measured(work: Work, context: BuildContext, final: local_model.Model) -> bool:
    """Whether the finished bundle is the measured one: the same files run in the same way, and the same answers.

    A text may differ by a rounding, depending on the other texts written beside it, on the machine's load, and on earlier reads of its
    prompt. So some of a writer's answers may differ. If many do, both bundles are opened anew and asked one text at a time, so that both do
    the same work in the same order; a bundle that is run wrongly still differs. Only first answers are compared: rewriting samples, and one
    other token changes all that follows.
    """
    draft = work.packed
    was, now = draft.model.manifest, final.manifest
    files = all(was.files[name].sha256 == now.files[name].sha256 for name in was.engine.files)
    if not (files and was.engine == now.engine and was.form == now.form):
        return False
    writes = draft.chosen.variant.writes
    texts = [row.input for row in work.test[: _WRITTEN if writes else _COMPARED]]
    if not writes:
        return _count_changed(final.first(texts), draft.first[: len(texts)]) == 0
    if _count_changed(final.first(texts), draft.first[: len(texts)]) <= _ROUNDED * len(texts):
        return True
    return _count_changed(*(_first_answers(model.folder, texts, context.threads) for model in (draft.model, final))) <= _ROUNDED * len(
        texts
    )


def _first_answers(folder: Path, texts: Sequence[Text], threads: int) -> list[Reply]:
    """First answers of a freshly opened bundle, one text after the other."""
    with closing(local_model.load(folder, threads=threads)) as model:
        return [reply for text in texts for reply in model.first([text])]


def _count_changed(some: Sequence[Reply], others: Sequence[Reply]) -> int:
    """The number of answers that differ."""
    return sum(one.output != other.output for one, other in zip(some, others, strict=True))


def pack_draft(work: Work, chosen: Candidate, out: Path) -> Path:
    """The bundle without its report: the files that will be shipped, to be measured through the engine that will serve them."""
    return _pack(work, chosen, {}, {}, out)


def _pack(work: Work, chosen: Candidate, extra: Mapping[str, str], metrics: Mapping[str, MetricInterval], out: Path) -> Path:
    source = out.with_name(out.name + "-files")
    source.mkdir(parents=True)
    for name in chosen.variant.spec.files:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(chosen.variant.folder / name, source / name)
    for name, text in extra.items():
        (source / name).write_text(text, encoding="utf-8", newline="\n")
    pack(source, _manifest(work, chosen, metrics), out)
    shutil.rmtree(source)
    return out


def _manifest(work: Work, chosen: Candidate, metrics: Mapping[str, MetricInterval]) -> Manifest:
    base, guide, licence = work.base(chosen.student), guide_of(work, chosen), work.recipe.settings(DataSettings).licence or "unknown"
    chain = [Licence(what="data", licence=licence, source=work.source)]
    if base is not None:
        chain.insert(0, Licence(what=f"base {base.name}", licence=base.licence, source=base.source))
    if guide is not None:
        chain.append(Licence(what=f"guide {guide.name}", licence=guide.licence, source=guide.source))
    names = (work.columns["input"],) if work.task.examples is not None else tuple(work.columns["input"].split(","))
    names = work.task.pair or names
    return Manifest(
        name=work.recipe.name,
        created=now(),
        smidgen_version=VERSION,
        task=work.recipe.task,
        form=work.trained[chosen.student].form.facts(),
        engine=EngineEntry.of(chosen.variant.spec),
        columns=Columns(input=names[0] if len(names) == 1 else names, label=work.columns["label"]),
        base=BaseEntry(name=base.name, sha256=base.sha256, licence=base.licence, source=base.source) if base else None,
        data=DataEntry(
            sha256=work.sha256,
            rows={"train": len(work.train), "held": len(work.held), "test": len(work.test)},
            licence=licence,
        ),
        licences=tuple(chain),
        student=chosen.student,
        settings=settings_taught_by(work, chosen),
        metrics=dict(metrics),
        headline=work.task.headline,
        lineage=work.lineage,
    )


def settings_taught_by(work: Work, chosen: Candidate) -> dict[str, Any]:
    """`[train]` with the build's own choices for open settings, if the section belongs to the chosen student."""
    given, own = work.recipe.sections["train"], work.students[chosen.student].settings
    return (own if isinstance(own, type(given)) else given).model_dump(mode="json", exclude_none=True)


def guide_of(work: Work, chosen: Candidate) -> Base | None:
    """The larger decoder that guided the chosen student."""
    return work.guide if not chosen.baseline else None


def now() -> str:
    """The time in the format of manifests and reports."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
