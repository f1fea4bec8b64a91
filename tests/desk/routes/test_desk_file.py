"""A desk file: which tools a desk may call, and which secrets they see; and the page that shows its owner the chat."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.desk.routes.sample_desk import SampleDesk
from tests.desk.routes.serving import shown_desk

from smidgen.core.errors import InputError
from smidgen.desk.flows.channel_file import read_channel_file
from smidgen.desk.routes.desk_file import DeskFile


def test_tools_see_the_secrets_of_their_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_EMAIL_PASSWORD", "hush")
    file = tmp_path / "desk.toml"
    file.write_text('tool_secrets = "secrets.json"\n', encoding="utf-8")
    settings = read_channel_file(file, DeskFile)
    assert settings.tool_environment(tmp_path) == {}, "a file that is missing gives none, and nothing of the environment"
    (tmp_path / "secrets.json").write_text('{"SHOP_KEY": "k"}', encoding="utf-8")
    assert settings.tool_environment(tmp_path) == {"SHOP_KEY": "k"}
    assert DeskFile().tool_environment(tmp_path) is None, "without the setting the process's environment counts"
    broken = ["[1]", "{", "\udcff"]
    for text in broken:
        (tmp_path / "secrets.json").write_text(text, encoding="utf-8", errors="surrogateescape")
        with pytest.raises(InputError, match="cannot be read"):
            settings.tool_environment(tmp_path)
    assert len(broken) == 3


def test_the_preview_page_shows_the_chat_and_takes_no_markup(tmp_path: Path) -> None:
    with shown_desk(tmp_path, SampleDesk(), name="<b>Fern</b>", colour="#2f5d46") as shown:
        page = shown.client.get("/desk/shop/preview?lang=de")
        assert page.status_code == 200 and "<b>" not in page.text and "&lt;b&gt;Fern" in page.text and '<html lang="de">' in page.text
        assert 'data-desk="shop" data-colour="#2f5d46"' in page.text
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self';") and "frame-ancestors 'none'" in policy
        assert shown.client.get("/desk/other/preview").status_code == 404
