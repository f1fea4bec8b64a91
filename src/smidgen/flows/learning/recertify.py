"""A line's champion certified anew on the rows that the line holds out, on other terms, without training."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from smidgen.core.errors import InputError
from smidgen.core.progress import Progress, Silent
from smidgen.flows import losses
from smidgen.flows.certifying import shown
from smidgen.flows.learning import attesting, freshness, gathering, recipes
from smidgen.flows.learning.attesting import Asked, Attested
from smidgen.flows.learning.gathering import Capture
from smidgen.flows.live import Model
from smidgen.parts.recipe import make


def recertified(model: Model, asked: Asked, progress: Progress | None = None, now: datetime | None = None) -> Attested:
    """Test the champion on the rows that certify, which no version learnt from or was chosen by, and put the certificate beside it. It is a
    look at these rows, and spends its share of delta like any other.

    Args:
        model: the champion of a line.

    Raises:
        InputError: it is of no line; terms that cannot be, or on which as much cannot be claimed anew, for the audits speak against it.
        LineBusy: another process learns on the line.
        BundleError, TrafficError: what the line keeps, or what was captured, cannot be read.
    """
    progress, moment = progress or Silent(), now or datetime.now(UTC)
    line = model.line
    if line is None:
        raise InputError(
            "only a line keeps rows to certify on",
            value=model.name,
            todo="Give pairs that the model has never seen: --data calibration.csv.",
        )
    losses.check(asked.loss or "likeness", model.task)
    pointer = freshness.remembered(line, freshness.revocations(line), moment)
    written = model.folder / "recipe.toml"
    recipe = (
        recipes.of_bundle(model.folder)
        if written.is_file()
        else make({"name": pointer.name, "task": model.manifest.task}, (), folder=Path())
    )
    material = gathering.material(line, pointer, recipe, model.form, Capture(), revoked=pointer.fresh_since, now=moment)
    before = shown(model.folder, now).certificate
    progress.say(f"{material.certifying_texts:,} texts that the line holds out certify")
    # Which look it is, certifying finds out and writes down, under the line's lock.
    return attesting.attested(model, material.certifying, asked, before, pointer.looks + 1, now=now, progress=progress)
