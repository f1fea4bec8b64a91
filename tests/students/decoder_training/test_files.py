"""What a decoder's files will weigh is known from its base alone, of every architecture that is taught here."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.forms import text_form
from tests.students.tiny_decoder import KINDS, tiny_decoder

from smidgen.bases.lookup import find
from smidgen.core.parts import TensorBytes, Training, Workspace, bytes_in_16_bits
from smidgen.core.progress import Silent
from smidgen.core.rows import Row
from smidgen.parts import registry
from smidgen.students.decoder_training.files import sizes_of
from smidgen.students.prompted import PromptedSettings, part

ROWS = [Row(f"colour: {c}", f"A {c} vase.", n) for n, c in enumerate(("red", "blue", "green"), 1)]


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=[pytest.mark.thorough] if kind != "llama" else []) for kind in KINDS])
def test_sizes_are_those_of_the_files(tmp_path: Path, kind: str) -> None:
    base = find(str(tiny_decoder(tmp_path / "base", kind, whole=True)), family="decoder")
    sizes = sizes_of(base.folder, None)
    folder, out = tmp_path / "student", tmp_path / "out"
    folder.mkdir()
    out.mkdir()
    part.fit(Training(ROWS, (), text_form(instruction="Write."), base, PromptedSettings(shots=1)), Workspace(folder, 1, Silent()))
    spec = part.export(folder, out)
    forms: dict[str, TensorBytes] = {"f16": bytes_in_16_bits}
    for name in ("q8-0", "q4-0"):
        method = registry.find("compress", name)
        method.apply(spec, out, tmp_path / name, [])
        forms[name] = method.stored
    for name, stored in forms.items():
        place = out if name == "f16" else tmp_path / name
        weighed = sum((place / file).stat().st_size for file in spec.files) / 1e6
        told = sizes.megabytes(stored, sizes.layers, sizes.inner)
        assert weighed <= told < 1.003 * weighed, name
    assert sizes.most_layers == 0, "of two layers none can go; of a Gemma none at all"


def test_few_bits_are_told() -> None:
    bits = {name: registry.find("compress", name).bits for name in ("q4-0", "q4-1", "q5-1", "q8-0")}
    assert bits == {"q4-0": 4, "q4-1": 4, "q5-1": 5, "q8-0": 8}
