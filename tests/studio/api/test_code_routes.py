"""Help with a project's code over HTTP: an error explained, tests that ran, a bug found; and what is refused."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from smidgen.code.studio import code_trial
from smidgen.code.studio.pages import code_routes
from smidgen.machine.sandbox import why_not_confined
from smidgen.studio.flows.material import material_path
from smidgen.studio.store.projects import StudioStore

PRICES = '''"""Prices."""


def most(value, high):
    if value > high:
        return value
    return value
'''
TRACEBACK = """Traceback (most recent call last):
  File "/elsewhere/basket.py", line 5, in least
    return most(value, 5)
NameError: name 'mots' is not defined
"""
ANSWER = "```python\nfrom ours.prices import most\n\ndef test_it():\n    assert most(3, 5) == 3\n    assert most(3, 5) == 4\n```"


class AnsweringModel:
    """Stands for the model: it writes two tests, and leaves every line as it is."""

    def answer(self, *_: Any, **__: Any) -> str:
        return ANSWER

    def fill(self, *_: Any, **__: Any) -> Any:
        from smidgen.code.flows.code_model import LineFilling

        return LineFilling("return value", 0.9)

    def likelihood(self, *_: Any, **__: Any) -> float:
        return 0.5


@pytest.fixture
def project(client: TestClient, store: StudioStore, monkeypatch: pytest.MonkeyPatch) -> str:
    """The path of a project whose repository is itself a package, with a model."""
    made = client.post("/api/v1/projects", json={"name": "Ours", "task": "complete"}).json()["id"]
    place = material_path(store.project(made), "repository")
    place.mkdir(parents=True, exist_ok=True)
    (place / "__init__.py").write_text('"""Ours."""\n', encoding="utf-8")
    (place / "prices.py").write_text(PRICES, encoding="utf-8")
    (place / "basket.py").write_text("from .prices import most\n\n\ndef least(value):\n    return most(value, 5)\n", encoding="utf-8")

    @contextmanager
    def using(self: Any, folder: Path) -> Any:
        yield type("Loaded", (), {"runner": None})()

    monkeypatch.setattr("smidgen.studio.flows.models.open_models.OpenModels.using", using)
    monkeypatch.setattr(code_routes, "model_folder", lambda store, project, model: Path())
    monkeypatch.setattr(code_trial, "CodeModel", lambda runner: AnsweringModel())
    return f"/api/v1/projects/{made}"


def test_an_error_is_explained_with_its_lines(client: TestClient, project: str) -> None:
    (told,) = client.post(f"{project}/code/explain", json={"text": TRACEBACK}).json()
    assert told["error"] == "NameError" and told["places"][0]["line"] == 5
    assert {"number": 5, "text": "    return most(value, 5)"} in told["places"][0]["lines"]
    refused = client.post(f"{project}/code/explain", json={"text": "it does not work"})
    assert refused.status_code == 400 and "no traceback" in refused.json()["error"]["what"]


def test_the_files_of_python_are_listed(client: TestClient, project: str) -> None:
    found = {one["path"]: (one["functions"], one["tests"]) for one in client.get(f"{project}/code").json()}
    assert found == {"__init__.py": ([], False), "basket.py": (["least"], False), "prices.py": (["most"], False)}


@pytest.mark.skipif(bool(why_not_confined()), reason="no sandbox here")
def test_tests_are_shown_after_they_ran_and_a_bug_is_found_by_a_given_test(client: TestClient, project: str) -> None:
    made = client.post(f"{project}/models/m/code/tests", json={"file": "prices.py", "function": "most"}).json()
    assert made["tests"] == 1 and "== 3" in made["code"] and "== 4" not in made["code"] and made["noticed"] > 0
    assert made["thrown"]["expects something else than the code does"] == 1
    given = "from repository.basket import least\n\n\ndef test_least(): assert least(9) == 5\ndef test_under(): assert least(3) == 3\n"
    found = client.post(f"{project}/models/m/code/bug", json={"file": "prices.py", "given": given}).json()
    assert [one["name"] for one in found["failing"]] == ["test_given_in_the_studio.py::test_least"]
    assert found["suspects"][0]["number"] == 6 and found["repairs"][0]["after"].strip() == "return high"


def test_what_is_not_there_is_refused(client: TestClient, project: str) -> None:
    outside = client.post(f"{project}/models/m/code/tests", json={"file": "../recipe.py", "function": "most"})
    assert outside.status_code == 400 and "no such file" in outside.json()["error"]["what"]
    no_tests = client.post(f"{project}/models/m/code/bug", json={"file": "prices.py"})
    assert no_tests.status_code == 400 and "tests are needed" in no_tests.json()["error"]["what"]
    with code_trial._RUNNING:
        busy = client.post(f"{project}/models/m/code/tests", json={"file": "prices.py", "function": "most"})
    assert busy.status_code == 409 and busy.json()["error"]["code"] == "busy"
