"""Encoder and static student answering together: one bundle, whose engine gives what the build added up from its members' answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from smidgen.flows.build import pipeline as building
from smidgen.flows.build.candidates import choose_candidate
from smidgen.flows.build.pipeline import BLEND, build
from smidgen.flows.evaluation import evaluate
from smidgen.flows.local_model import load
from smidgen.parts.recipe import make


def test_a_blend_is_served_as_it_was_judged(tiny: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weight is fixed and the choice made here, for two epochs on twelve labels would not choose a blend."""

    def only_the_blend(candidates: Any, wanted: Any, headline: str) -> Any:
        return choose_candidate([c for c in candidates if c.student == BLEND and c.method == "int8-dynamic"], wanted, headline)

    monkeypatch.setattr(building, "fit_blend_weight", lambda *_: (0.5, (1.0, 2.0)))
    monkeypatch.setattr(building, "choose_candidate", only_the_blend)
    recipe = make(
        {
            "name": "tiny",
            "task": "classify",
            "data": {"train": str(tiny[0]), "test": str(tiny[1]), "input": "text", "label": "intent"},
            "train": {"epochs": 2},
            "gate": {"max_loss": 0.5, "min_agreement": 0.5},
        }
    )
    built = build(recipe, tmp_path / "out", threads=1)
    model = load(tmp_path / "out", 1)
    assert model.manifest.engine.engine == "blend"
    assert [(m["weight"], m["temperature"]) for m in model.manifest.engine.options["members"]] == [(1.0, 1.0), (0.5, 2.0)]
    found = {entry.name: entry for entry in built.report.alternatives}
    assert len(found) > len([name for name in found if name.startswith(BLEND)]) >= 2
    judged = found[f"{BLEND} int8-dynamic"]
    served = evaluate(model, tiny[1]).metrics["accuracy"]
    assert judged.accuracy is not None
    assert judged.accuracy.value == pytest.approx(served.value)
    # The static student has its say: the encoder alone scores the same texts otherwise.
    text = "where is my parcel"
    alone = dict(model.runner._runners[0].run([text]))["logits"]  # type: ignore[attr-defined]
    together = model.runner.run([text])["logits"]
    assert abs(together - alone).max() > 1e-3
