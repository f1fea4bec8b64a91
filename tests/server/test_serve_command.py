"""`smidgen serve` and `smidgen chat` on a real bundle."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import openai
import pytest

from smidgen.cli import main
from smidgen.cli.flags import flag_of
from smidgen.cli.screen import bar
from smidgen.core.settings import settings_of
from smidgen.server.settings import ServeSettings


@pytest.mark.skipif(sys.platform == "win32", reason="stop signals are POSIX")
def test_serves_a_bundle_to_the_openai_client(bundle):
    command = [sys.executable, "-m", "smidgen", "serve", str(bundle), "--port", "0", "--json"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "encoding": "utf-8"}
    with subprocess.Popen(command, env={**os.environ, "SMIDGEN_API_KEY": "k1,k2"}, **pipes) as running:
        try:
            ready = json.loads(running.stdout.readline())
            assert ready["models"] == ["tiny"]
            with openai.OpenAI(base_url=f"{ready['url']}/v1", api_key="k2", max_retries=0) as client:
                reply = client.chat.completions.create(model="tiny", messages=[{"role": "user", "content": "I want to delete my account"}])
            assert reply.choices[0].message.content in reply_labels(bundle)
            assert 0 <= reply.model_extra["smidgen"]["score"] <= 1
            with (
                openai.OpenAI(base_url=f"{ready['url']}/v1", api_key="k3", max_retries=0) as client,
                pytest.raises(openai.AuthenticationError),
            ):
                client.models.list()
            if sys.platform == "linux":
                assert "torch" not in Path(f"/proc/{ready['pid']}/maps").read_text(encoding="utf-8")
        finally:
            running.send_signal(signal.SIGTERM)
        _, log = running.communicate(timeout=30)
        assert running.returncode == 0
        assert "POST /v1/chat/completions 200" in log and "delete my account" not in log


def reply_labels(bundle):
    form = json.loads((bundle / "smidgen.json").read_text(encoding="utf-8"))
    return [*find(form, "labels"), find(form, "unknown")]


def find(tree, key):
    """The first value of a key, anywhere in a tree."""
    if isinstance(tree, dict):
        if key in tree:
            return tree[key]
        return next((found for value in tree.values() if (found := find(value, key)) is not None), None)
    return None


def test_port_in_use_is_said_and_exits_1(bundle, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main.code(["serve", str(bundle), "--port", str(taken.getsockname()[1])]) == 1
    assert "the port is in use" in capsys.readouterr().err


def test_bad_flags_exit_2(tmp_path, capsys):
    assert main.code(["serve", str(tmp_path), "--port", "70000"]) == 2
    assert main.code(["serve", str(tmp_path), "--api-key", "two words"]) == 2
    assert main.code(["serve"]) == 2
    assert "--port" in capsys.readouterr().err


def test_help_has_an_example_and_every_setting(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    for verb in ("serve", "chat"):
        assert main.code([verb, "--help"]) == 0
        assert f"Example: smidgen {verb} ./my-bundle" in capsys.readouterr().out
    main.code(["serve", "--help", "--all"])
    shown = capsys.readouterr().out
    flags = [flag_of(name, field) for name, field in settings_of(ServeSettings).items()]
    assert len(flags) > 10 and [flag for flag in flags if flag not in shown] == []


def test_chat_reads_lines_from_a_pipe(bundle, monkeypatch, capsys):
    messages = "I want to delete my account\n\nwhere is my parcel\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(messages))
    assert main.code(["chat", str(bundle), "--json"]) == 0
    replies = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [reply["input"] for reply in replies] == ["I want to delete my account", "where is my parcel"]
    assert all(0 <= reply["score"] <= 1 and reply["alternatives"] for reply in replies)
    monkeypatch.setattr(sys, "stdin", io.StringIO(messages))
    assert main.code(["chat", str(bundle)]) == 0
    shown = capsys.readouterr().out
    assert replies[0]["output"] in shown and "%" in shown


def test_a_bar_is_a_bar_whatever_the_score():
    assert bar(1.0).startswith("█" * 24) and bar(1.0).endswith("100.0%")
    assert bar(0.0).startswith("·" * 24)
    assert len(bar(1.2)) == len(bar(0.5))
