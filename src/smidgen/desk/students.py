"""The student of a desk: the members' bundles and the policy are put together, and how sure it must be of a reply is fitted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from smidgen.core.errors import TrainError
from smidgen.core.parts import EngineSpec, Raw, Student, Training, Workspace
from smidgen.core.rows import Text, joined
from smidgen.core.settings import Settings
from smidgen.desk.confidence import LEAST_REPLIES, STARTING, fit_confidence, sure_reply
from smidgen.desk.dialogue import options_for_last
from smidgen.desk.live_test import live_options
from smidgen.parts import registry

MEMBERS = "members.json"
CONFIDENCE = "confidence.json"
_MANIFEST = "smidgen.json"


class DeskStudentSettings(Settings):
    """No settings: each member has its own recipe."""


class DeskStudent(Student):
    """The student `desk`."""

    name = "desk"
    summary = "Several models that answer as one."
    settings = DeskStudentSettings
    engine = "desk"
    learns = "outputs"

    def fit(self, training: Training, space: Workspace) -> None:
        """Copy the members' bundles, the policy and the tools into the folder, and fit how sure the desk must be."""
        if training.material is None:
            raise TrainError("desk.desk_has_no_members", value="desk")
        members = json.loads((training.material / MEMBERS).read_text(encoding="utf-8"))
        options: dict[str, object] = {"name": members["name"], "members": {}}
        entries: dict[str, object] = {}
        for role, entry in members["members"].items():
            source, target = Path(entry["folder"]), space.folder / "members" / role
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target)
            manifest = json.loads((target / _MANIFEST).read_text(encoding="utf-8"))
            entries[role] = {
                "task": manifest["task"],
                "form": manifest["form"],
                "engine": manifest["engine"]["engine"],
                "options": manifest["engine"]["options"],
            }
        options["members"] = entries
        for file in training.material.iterdir():
            if file.name != MEMBERS:
                shutil.copyfile(file, space.folder / file.name)
        (space.folder / "options.json").write_text(json.dumps(options), encoding="utf-8")
        self._fit_confidence(space, training, members)

    def _fit_confidence(self, space: Workspace, training: Training, told: Mapping[str, Any]) -> None:
        """Write how sure the desk must be of a reply, where the conversations are enough to tell."""
        copy, texts = told.get("tools_env"), [joined(row.input) for row in training.rows]
        runner = registry.find("engines", self.engine).open(space.folder, self._spec(space.folder).options, space.threads)
        try:
            desk = runner.desk.sure_by(STARTING)
            found = live_options(desk, texts, copy["place"]) if copy else [options_for_last(desk, text) for text in texts]
            messages = [
                [[sure_reply(one, row.output, row.number) for one in replies] for replies in steps]
                for row, steps in zip(training.rows, found, strict=True)
            ]
        finally:
            runner.close()
        if sum(replies[0].kind == "answer" for steps in messages for replies in steps) < LEAST_REPLIES:
            return
        confidence, facts = fit_confidence(messages, float(told["most_wrong"]))
        (space.folder / CONFIDENCE).write_text(json.dumps({**confidence.json(), "facts": facts}), encoding="utf-8")

    def raw(self, folder: Path, texts: Sequence[Text], threads: int) -> Raw:
        """The replies of the members as they were built, through the desk's engine."""
        spec = self._spec(folder)
        runner = registry.find("engines", spec.engine).open(folder, spec.options, threads)
        try:
            found: Raw = runner.run(texts)
            return found
        finally:
            runner.close()

    def export(self, folder: Path, out: Path) -> EngineSpec:
        """Copy everything."""
        spec = self._spec(folder)
        for name in spec.files:
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, out / name)
        return spec

    def _spec(self, folder: Path) -> EngineSpec:
        options = json.loads((folder / "options.json").read_text(encoding="utf-8"))
        inside = sorted(file for file in (folder / "members").rglob("*") if file.is_file())
        files = [file.relative_to(folder).as_posix() for file in inside]
        files += [name for name in ("policy.toml", "tools.json", CONFIDENCE) if (folder / name).is_file()]
        return EngineSpec(self.engine, tuple(files), options)


part_desk = DeskStudent()
