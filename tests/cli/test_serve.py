"""Where requests go: a recipe that the operator names, below the flags; keys in a file of the operator's own."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests import commands
from tests.certified_bundle import certified_bundle  # noqa: F401
from tests.upstream_stub import WHOLE, Said, upstream_stub

from smidgen.bundles.open import open_bundle
from smidgen.cli import main
from smidgen.cli.serve import _example, with_route
from smidgen.core.errors import InputError
from smidgen.server.gateway.fallback import fallback_targets
from smidgen.server.settings import ServeSettings, read_secrets

KEY = "sk-test-1"


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        file = tmp_path / "front.toml"
        file.write_text(f"[route]\n{text}\n", encoding="utf-8")
        return file

    return write


def secrets(folder: Path, text: str, mode: int = 0o600) -> Path:
    file = folder / "keys.toml"
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)
    return file


def test_flags_win_and_what_neither_says_has_its_default(recipe: Callable[[str], Path]) -> None:
    file = recipe(
        'fallback = "http://a.example/v1"\nfallback_model = "m"\nquality = 0.9\nprivacy = "mask"\ncapture = "answers"\n'
        'audit_share = 0.1\nwhen_upstream_fails = "local"'
    )
    chosen = with_route(ServeSettings(privacy="off", audit_share=0.02, port=0), file)
    told = chosen.given()
    wanted = {"privacy": "off", "audit_share": 0.02, "quality": 0.9, "capture": "answers", "when_upstream_fails": "local"}
    assert told == {**wanted, "fallback": ("http://a.example/v1",), "fallback_model": ("m",), "port": 0}
    assert chosen.capture.days == 30


def test_a_key_of_the_recipes_fallback_does_not_go_to_one_of_the_flags(recipe: Callable[[str], Path]) -> None:
    file = recipe('fallback = "http://a.example/v1"\nfallback_model = "m"\nfallback_key_env = "A_KEY"\nprice_in = 1.0\nprice_out = 2.0')
    chosen = with_route(ServeSettings(fallback=("http://b.example/v1",), fallback_model=("n",)), file)
    assert (chosen.fallback.key_env, chosen.budget.price_in, chosen.budget.price_out) == ((), (), ())
    (target,) = fallback_targets(chosen, {"A_KEY": KEY})
    assert (target.url, target.model, target.key) == ("http://b.example/v1", "n", None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('fallback = "http://a.example/v1"', ["each fallback needs the name of its model", "front.toml", "fallback_model under [route]"]),
        ('fallback = "http://a.example/v1"\nfallback_model = "m"\nfallback_key_env = "NOT_SET"', ["NOT_SET", "--secrets", "front.toml"]),
        ('fallback_modell = "m"', ["front.toml", "route.fallback_modell", "did you mean 'fallback_model'"]),
        ('privacy = "mask"', ["there is nothing to serve", "front.toml"]),
        ('budget_day = 1.0\nfallback = "http://a.example/v1"\nfallback_model = "m"', ["price list does not have this model", "front.toml"]),
    ],
)
def test_mistakes_name_the_file_the_key_and_what_to_do(recipe: Callable[[str], Path], capsys: Any, text: str, said: list[str]) -> None:
    assert main.code(["serve", "--recipe", str(recipe(text)), "--port", "0"]) == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert [word for word in said if word not in shown] == []


def test_a_recipe_that_is_not_there(tmp_path: Path, capsys: Any) -> None:
    assert main.code(["serve", "--recipe", str(tmp_path / "none.toml")]) == 2
    assert "there is no such recipe" in capsys.readouterr().err


def test_the_file_counts_before_the_environment_and_only_where_it_has_the_key(tmp_path: Path) -> None:
    urls: dict[str, Any] = {"fallback": ("http://a.example/v1", "http://b.example/v1"), "fallback_model": ("m",)}
    file = secrets(tmp_path, f'SMIDGEN_FALLBACK_KEY = "{KEY}"\nOTHER = "x"\n')
    environment = {"SMIDGEN_FALLBACK_KEY": "env-1", "SMIDGEN_FALLBACK_KEY_2": "env-2"}
    assert [target.key for target in fallback_targets(ServeSettings(**urls, secrets=file), environment)] == [KEY, "env-2"]
    assert [target.key for target in fallback_targets(ServeSettings(**urls), environment)] == ["env-1", "env-2"]
    named = ServeSettings(**urls, fallback_key_env=("OTHER", "SMIDGEN_FALLBACK_KEY"), secrets=file)
    assert [target.key for target in fallback_targets(named, {})] == ["x", KEY]
    misspelt = secrets(tmp_path, f'SMIDGEN_FALBACK_KEY = "{KEY}"')
    with pytest.raises(InputError) as caught:
        fallback_targets(ServeSettings(**urls, secrets=misspelt), environment)
    assert "SMIDGEN_FALBACK_KEY" in str(caught.value) and "SMIDGEN_FALLBACK_KEY_2" in str(caught.value) and KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"SMIDGEN_FALLBACK_KEY = {KEY}", "is not TOML"),
        (f'[keys]\nSMIDGEN_FALLBACK_KEY = "{KEY}"', "something else than names with a text each"),
        (f'"a b" = "{KEY}"', "something else than names with a text each"),
        ("SMIDGEN_FALLBACK_KEY = 17", "something else than names with a text each"),
        (f'K = "{KEY}"\n' + "#" * 70_000, "too large"),
    ],
)
def test_a_secrets_file_that_is_none_is_refused_without_a_word_of_it(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        read_secrets(secrets(tmp_path, text))
    assert said in str(caught.value) and "keys.toml" in str(caught.value) and KEY not in str(caught.value)


def test_one_that_is_not_there_or_is_a_folder(tmp_path: Path) -> None:
    for place, said in ((tmp_path / "none.toml", "cannot be read"), (tmp_path, "is no file")):
        with pytest.raises(InputError) as caught:
            read_secrets(place)
        assert said in str(caught.value)


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
def test_a_secrets_file_that_others_may_touch_is_refused(tmp_path: Path, capsys: Any, mode: int) -> None:
    file = secrets(tmp_path, f'SMIDGEN_FALLBACK_KEY = "{KEY}"', mode)
    command = ["serve", "--fallback", "http://a.example/v1", "--fallback-model", "m", "--secrets", str(file), "--port", "0"]
    assert main.code(command) == 2
    shown = " ".join(capsys.readouterr().err.split())
    assert "others may read or change the secrets file" in shown and "chmod 600" in shown and KEY not in shown


def test_a_key_in_the_place_of_its_name_is_not_shown(capsys: Any) -> None:
    assert main.code(["serve", "--fallback", "http://a.example/v1", "--fallback-model", "m", "--fallback-key-env", KEY]) == 2
    assert KEY not in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="stop signals are POSIX")
def test_the_command_goes_by_the_named_recipe_and_not_by_the_bundles_own(certified_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    """What the bundle's own recipe says, whoever made it, is not read: here it says an address at which nobody answers."""
    from tests.certified_bundle import make

    foreign = make(tmp_path / "foreign", recipe='task = "classify"\n[route]\nfallback = "http://127.0.0.1:9/v1"\nfallback_model = "evil"\n')
    open_bundle(foreign)
    shutil.copytree(foreign, tmp_path / "copied")
    with upstream_stub() as upstream:
        upstream.answer = lambda seen: Said()
        front = tmp_path / "front.toml"
        front.write_text(f'[route]\nfallback = "{upstream.url}"\nfallback_model = "big"\n', encoding="utf-8")
        keys = secrets(tmp_path, f'SMIDGEN_FALLBACK_KEY = "{KEY}"\nSMIDGEN_API_KEY = "mine"')
        body = {"model": "support", "messages": [{"role": "user", "content": "w03 hello"}]}
        for more, status in ((["--recipe", str(front)], 200), ([], 401)):
            environment = {name: value for name, value in os.environ.items() if not name.startswith("SMIDGEN_FALLBACK")}
            flags = [*more, "--secrets", keys, "--port", "0", "--json"]
            with commands.smidgen("serve", tmp_path / "copied", *flags, environment=environment) as process:
                url = process.ready()["url"]
                asked = {} if status == 401 else {"authorization": "Bearer mine"}
                found = httpx.post(f"{url}/v1/chat/completions", json=body, headers=asked, timeout=30)
                direct = httpx.post(f"{url}/v1/chat/completions", json=body, headers={"authorization": "Bearer mine"}, timeout=30)
                process.stop()
                assert found.status_code == status and KEY not in process.log
            assert direct.content == WHOLE if more else direct.json()["choices"][0]["message"]["content"] == "yes"
        assert [seen.headers["authorization"] for seen in upstream.seen] == [f"Bearer {KEY}"] * 2


def test_the_printed_request_is_one_that_a_model_of_code_answers() -> None:
    path, body = _example(["code"], ServeSettings(), fills_gaps=True)
    assert path == "completions" and {"model", "prompt", "suffix"} <= json.loads(body).keys()
    path, body = _example(["mail"], ServeSettings(), fills_gaps=False)
    assert path == "chat/completions" and json.loads(body)["model"] == "mail"
