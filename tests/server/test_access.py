"""A file of keys: read again when it changes, and in any doubt it admits nobody."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from starlette.testclient import TestClient

from smidgen.server.access import KeyFile
from smidgen.server.app import create_app
from smidgen.server.settings import ServeSettings

from .conftest import WordModel


def line(key: str) -> str:
    return f"{hashlib.sha256(key.encode()).hexdigest()} {key}\n"


def put(file: Path, text: str) -> None:
    part = file.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.chmod(0o600)
    part.replace(file)


def test_a_file_that_is_missing_or_that_others_may_change_admits_nobody(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    keys = KeyFile(file)
    assert keys.hashes() == ()
    put(file, "*\n")
    assert keys.hashes() is None
    if os.name != "nt":
        file.chmod(0o666)
        os.utime(file, ns=(1, 1))
        assert keys.hashes() == ()
    put(file, "no hash\n")
    assert keys.hashes() == ()
    file.unlink()
    assert keys.hashes() == ()


def test_keys_come_and_go_while_the_server_runs(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    app = create_app([WordModel()], ServeSettings(access={"key_file": file}, logs={"account": False}))  # type: ignore[arg-type]
    with TestClient(app, base_url="http://localhost") as client:

        def status(key: str) -> int:
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            return client.post("/v1/classify", json={"input": "refund"}, headers=headers).status_code

        assert [status(key) for key in ("", "one")] == [401, 401]
        put(file, "*\n")
        assert [status(key) for key in ("", "one")] == [200, 200]
        put(file, line("one") + line("two"))
        assert [status(key) for key in ("", "one", "two", "three")] == [401, 200, 200, 401]
        put(file, line("two"))
        assert [status(key) for key in ("one", "two")] == [401, 200]
        assert client.get("/healthz").status_code == 200
