"""The guide of a recipe: a larger decoder, out of a bundle or as a base, whose chances of every token a decoder is taught."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from smidgen.bases import finding, folder
from smidgen.bases.starter import starters
from smidgen.bundles.manifest import MANIFEST
from smidgen.bundles.open import Bundle, open_bundle
from smidgen.core.bases import Base
from smidgen.core.errors import RecipeError
from smidgen.core.parts import Form
from smidgen.core.progress import Progress
from smidgen.parts.recipe import Recipe
from smidgen.store.hashing import file_hash
from smidgen.store.home import home
from smidgen.students.tokens import identity, kept_as

OTHER = (
    "Chances can be learnt only of the same tokens: name a larger model of the base's own family (for smollm2: "
    "hf:HuggingFaceTB/SmolLM2-360M-Instruct), a bundle that was taught on one, or another base (--base)."
)


def guide_of(recipe: Recipe, base: Base | None, form: Form, progress: Progress) -> Base | None:
    """The guide that the training settings name, verified; None where they name none.

    Args:
        recipe: what is to be built.
        base: the decoder that the student starts from.
        form: what the student is told.
        progress: is told where a bundle was taught with other words.

    Raises:
        RecipeError: it has other tokens than the base, or is a bundle that does not write, or keeps its adapter apart.
        BaseError, UnknownPart, BundleError: it cannot be found, or not be trusted.
    """
    settings = recipe.sections["train"]
    name = getattr(settings, "guide", None)
    if name is None or base is None:
        return None
    local = recipe.folder / Path(name).expanduser()
    place = local if local.is_dir() else Path(name).expanduser()
    if name not in starters() and (place / MANIFEST).is_file():
        found = _of_bundle(place, form, progress)
    else:
        found = finding.find(str(place) if place.is_dir() and name not in starters() else name, progress, "decoder")
    whole = getattr(settings, "vocabulary", "") == "whole" or getattr(settings, "adapter", False)
    same = identity(found.folder) == identity(base.folder)
    if not same and (whole or kept_as(base.folder, found.folder) is None):
        raise RecipeError(f"the guide's tokens are not those of the base {base.name}", value=name, todo=OTHER)
    return found


def _of_bundle(place: Path, form: Form, progress: Progress) -> Base:
    """The taught weights of a bundle as a base. Nothing is written into the bundle: what they need beside them lies in smidgen's own
    folder."""
    bundle = open_bundle(place)
    manifest = bundle.manifest
    weights = [name for name in manifest.engine.files if name.endswith(".gguf")]
    if manifest.engine.engine != "llama" or not weights:
        raise RecipeError("this bundle does not write, and cannot guide a model that does", value=str(place), todo="Name one that writes.")
    if len(weights) > 1:
        raise RecipeError(
            "this bundle keeps what it was taught in an adapter apart, and a guide is one model",
            value=str(place),
            todo="Build it without --adapter, or name its base as the guide.",
        )
    told, own = str(manifest.form.get("instruction", "")), str(form.get("instruction", ""))
    if told != own:
        progress.say(f"the guide was taught with another instruction ({told[:80]!r}), and will be told this one")
    opened = folder.find(_lent(bundle, weights[0]))
    licence = next((entry.licence for entry in manifest.licences if entry.what == "data"), "unknown")
    licence = " and ".join(dict.fromkeys([manifest.base.licence, licence] if manifest.base else [licence]))
    return Base(manifest.name, opened.folder, opened.sha256, licence, f"bundle {manifest.name}, {bundle.id}", "decoder")


def _lent(bundle: Bundle, weights: str) -> Path:
    """A folder of smidgen's own with the bundle's weights and tokenizer in it, by links where the system makes them."""
    out = home() / "opened" / bundle.id[:16]
    out.mkdir(parents=True, exist_ok=True)
    for name in (weights, "tokenizer.json"):
        place, source = out / name, (bundle.folder / name).resolve()
        if place.is_symlink() and place.resolve() == source:
            continue
        if place.is_file() and not place.is_symlink() and file_hash(place) == bundle.manifest.files[name].sha256:
            continue
        place.unlink(missing_ok=True)
        try:
            place.symlink_to(source)
        except OSError:
            part = place.with_name(f"{name}.{os.getpid()}.part")
            shutil.copyfile(source, part)
            part.replace(place)
    return out
