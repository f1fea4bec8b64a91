"""The place where a repository's code is run: its files, its Python, and the folders that imports start from."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from smidgen.code.own_code import PythonFile
from smidgen.code.pytest_runs import TestingPlace, import_paths
from smidgen.code.repository import working_files
from smidgen.core.errors import InputError
from smidgen.machine.sandbox import Interpreter, interpreter, interpreter_of, why_not_confined

_OWN_PYTHONS = (".venv/bin/python", "venv/bin/python")


@dataclass(frozen=True, slots=True)
class OpenedCode:
    """One file of a repository, the name under which it is imported, and the place where its code is run."""

    file: PythonFile
    module: str
    place: TestingPlace


def open_code(repository: Path, source: str, python: str | None, *, or_unconfined: bool = False) -> OpenedCode:
    """Open a file of a repository.

    Args:
        repository: its folder.
        source: path of the file, from the working folder or from the repository's.
        python: runs the code; without one that of the repository's environment, else this one.
        or_unconfined: whether the code may run with limits alone where there is no sandbox.

    Raises InputError for a file that is not in the repository or is not valid Python, MachineError for a Python that does not run.
    """
    folder = repository.resolve()
    given = next((file for file in (Path(source).resolve(), folder / source) if file.is_file()), None)
    if given is None or folder not in given.parents:
        raise InputError("code.there_is_no_such_file_in_code_folder", source=source, folder=folder)
    path = given.relative_to(folder).as_posix()
    file = PythonFile(path, given.read_text(encoding="utf-8", errors="replace"))
    if given.suffix != ".py" or file.tree is None:
        raise InputError("code.file_is_not_valid_python", value=source)
    files = working_files(folder)
    files = files if path in files else [*files, path]
    module, paths = import_paths(files, path)
    confined = not (or_unconfined and why_not_confined())
    return OpenedCode(file, module, TestingPlace(folder, files, _python(folder, python, confined), paths, confined))


def _python(folder: Path, named: str | None, confined: bool) -> Interpreter:
    """The Python that runs the code. One that nobody named, but the repository brings, is first started in the sandbox."""
    there = (folder / one for one in _OWN_PYTHONS)
    own = next((one for one in there if one.is_file() and one.parent.resolve() == one.parent), None)  # its folder is no link
    if named or own is None:
        return interpreter(named or sys.executable)
    return interpreter_of(folder, str(own), confined=confined)
