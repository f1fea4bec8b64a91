"""The page's files: served as long as they are there."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from starlette.testclient import TestClient

from smidgen.studio.api.pages import pages


def test_a_file_that_is_gone_while_the_page_is_built_anew_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    for name in ("index.html", "icon.svg", "assets/a.js", "assets/b.js"):
        (tmp_path / name).write_text("<html></html>", encoding="utf-8")
    app = FastAPI()
    app.include_router(pages(tmp_path))
    client = TestClient(app, raise_server_exceptions=False)
    paths = ("/assets/a.js", "/icon.svg", "/assets/b.js", "/assets/none.js", "/any/page")
    assert [client.get(path).status_code for path in paths] == [200, 200, 200, 404, 200]
    for name in ("icon.svg", "assets/a.js"):
        (tmp_path / name).unlink()
    assert [client.get(path).status_code for path in paths] == [404, 404, 200, 404, 200]
