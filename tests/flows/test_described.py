"""A stored step is not taken again once the files that describe its base say something else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.students.tiny_decoder import tiny_decoder

from smidgen.bases.lookup import find
from smidgen.core.progress import Silent
from smidgen.core.rows import Row
from smidgen.flows.build.training import StudentTrainer
from smidgen.parts import registry
from smidgen.store.step_results import StepResults
from smidgen.students.prompted import PromptedSettings

ROWS = [Row(f"colour: {c}", f"A {c} vase.", n) for n, c in enumerate(("red", "blue", "green"), 1)]


@pytest.mark.parametrize(
    "name", ["tokenizer_config.json", "config.json", "generation_config.json", "chat_template.jinja", "tokenizer.json"]
)
def test_an_edited_base_is_asked_anew(tmp_path: Path, name: str) -> None:
    folder = tiny_decoder(tmp_path / "base")
    steps = StepResults(tmp_path / "steps")

    def fitted() -> Path:
        base = find(str(folder), family="decoder")
        bench = StudentTrainer(steps, registry.find("tasks", "write"), {"decoder": base}, 0, 1, Silent())
        return bench.fit("prompted", PromptedSettings(shots=1), ROWS, (), {"instruction": "Write."}, None, "prompt").folder

    first = fitted()
    assert fitted() == first
    if name == "chat_template.jinja":
        told = "{% for message in messages %}<|im_start|>{{ message.role }}: {{ message.content }}<|im_end|>{% endfor %}"
        (folder / name).write_text(told, encoding="utf-8")
    else:
        found = json.loads((folder / name).read_text(encoding="utf-8")) if (folder / name).is_file() else {}
        edited = found if name == "tokenizer.json" else found | {"edited": True}
        (folder / name).write_text(json.dumps(edited, indent=1), encoding="utf-8")
    again = fitted()
    assert again != first
    if name == "chat_template.jinja":
        before, after = (json.loads((place / "smidgen_student.json").read_text(encoding="utf-8"))["facts"] for place in (first, again))
        assert before["before"] != after["before"], "the prompt is that of the new template"
