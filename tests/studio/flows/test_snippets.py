"""The lines to paste work as pasted, with a key in its place: they are run against a server that asks for one."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.eventually import eventually
from tests.studio_model import project_with_model

from smidgen.studio.flows.serving.servers import ModelServers, ServingSettings, write_keys
from smidgen.studio.flows.serving.snippets import KEY_PLACE, example_text, snippets
from smidgen.studio.store.data_rows import DataRow
from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.servers import ServerStore


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """The address of a server, and a key for it."""
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    store = StudioStore(f"sqlite:///{tmp_path}/studio.db")
    servers = ModelServers(store)
    project, model = project_with_model(store, tmp_path / "models")
    key = ServerStore(store.database).make_key(project, "test", "ann").key
    write_keys(store, project)
    servers.start(project, ServingSettings(model=model, redact=False), "ann")
    eventually(lambda: servers.status(project).state == "running")
    yield servers.status(project).url, key
    servers.stop(project)
    store.close()


def test_each_works_as_pasted(served: tuple[str, str], tmp_path: Path) -> None:
    url, key = served
    lines = {language: code.replace(KEY_PLACE, key) for language, code in snippets(url, "support").items()}
    commands = {language: [sys.executable, "-c", lines[language]] for language in ("python", "openai")}
    if shutil.which("curl"):
        commands["curl"] = ["sh", "-c", lines["curl"]]
    if (node := shutil.which("node")) is not None:
        file = tmp_path / "call.mjs"
        file.write_text(lines["javascript"], encoding="utf-8")
        commands["javascript"] = [node, str(file)]
    for language, command in commands.items():
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, (language, done.stderr)
        said = json.loads(done.stdout)["choices"][0]["message"]["content"] if language == "curl" else done.stdout.strip()
        assert said in ("no", "yes"), language
    assert len(commands) >= 2
    wrong = subprocess.run(
        [sys.executable, "-c", snippets(url, "support")["python"]], capture_output=True, text=True, timeout=120, check=False
    )
    assert wrong.returncode != 0 and "401" in wrong.stderr


def test_what_has_signs_of_its_own_stays_as_it_is(tmp_path: Path) -> None:
    name, text = 'it\'s "new"', 'Zoë\'s \\ "$HOME" `5` 😀'
    lines = snippets("http://127.0.0.1:1", name, text)
    assert len(lines) == 4
    for language in ("python", "openai"):
        compiled = compile(lines[language], language, "exec")
        assert {name, text} <= {node.value for node in ast.walk(ast.parse(lines[language])) if isinstance(node, ast.Constant)}, compiled
    sent = subprocess.run(["sh", "-c", lines["curl"].replace("curl ", "printf '%s\\n' ", 1)], capture_output=True, check=True).stdout
    assert json.loads(sent.decode().splitlines()[-1]) == {"model": name, "messages": [{"role": "user", "content": text}]}


def test_the_example_is_a_short_text_of_the_data() -> None:
    rows = [DataRow("one", "two"), DataRow("x" * 500), DataRow("two\nlines"), DataRow("Where is my parcel?"), DataRow("later")]
    assert example_text(rows) == "Where is my parcel?"
    assert example_text(rows[:2]) == example_text([]) == "your text"
