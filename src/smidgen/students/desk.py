"""The student of a desk: nothing is trained here; the members' bundles and the policy are put together."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from smidgen.core.errors import TrainError
from smidgen.core.parts import EngineSpec, Raw, Student, Training, Workspace
from smidgen.core.rows import Text
from smidgen.core.settings import Settings
from smidgen.parts import registry

MEMBERS = "members.json"
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
        """Copy the members' bundles, the policy and the tools into the folder."""
        if training.material is None:
            raise TrainError("a desk has no members", value="desk", todo="Name them in [desk.members].")
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
        if "tools_file" in members:
            options["tools_file"] = members["tools_file"]
        for file in training.material.iterdir():
            if file.name != MEMBERS:
                shutil.copyfile(file, space.folder / file.name)
        (space.folder / "options.json").write_text(json.dumps(options), encoding="utf-8")

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
        files += [name for name in ("policy.toml", "tools.json") if (folder / name).is_file()]
        return EngineSpec(self.engine, tuple(files), options)


part = DeskStudent()
