"""The verbs of this stage are there, and each one's help ends with an example that is its own."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from smidgen.cli.main import app, code, command
from smidgen.parts import registry

from .conftest import Fresh

VERBS = (
    *("demo", "start", "init", "check", "build", "eval", "certify", "audit", "predict", "redact"),
    *("serve", "traffic", "drift", "status", "chat", "learn", "rollback", "pull", "models", "export", "kit", "cost", "doctor", "studio"),
    *("code", "solve"),
)
WITH_JSON = (
    *("start", "check", "build", "eval", "certify", "audit", "redact", "chat", "pull", "models"),
    *("doctor", "serve", "traffic", "drift", "status", "export", "kit", "cost", "learn", "rollback", "studio", "code", "solve"),
)


def test_the_verbs_of_this_stage_are_there() -> None:
    assert sorted(registry.names("cli")) == sorted(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_help_shows_an_example(verb: str) -> None:
    last = (command(verb).help or "").strip().splitlines()[-1]
    assert last.startswith(f"Example: smidgen {verb}")
    shown = CliRunner().invoke(app, [verb, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert shown.exit_code == 0
    assert f"Example: smidgen {verb}" in shown.output


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_is_explained(verb: str) -> None:
    params = command(verb).params
    assert [param.name for param in params if not (param.help or "").strip()] == []
    assert len(params) >= 1


@pytest.mark.parametrize("verb", WITH_JSON)
def test_what_prints_a_result_has_json(verb: str) -> None:
    assert any("--json" in option.opts for option in command(verb).params)


def test_an_unknown_verb_is_wrong_usage_and_says_what_was_meant(fresh: Fresh) -> None:
    done = fresh("-m", "smidgen", "buld", ok=False)
    assert done.returncode == 2
    assert "Did you mean 'build'?" in done.stderr


def test_an_unknown_flag_is_wrong_usage() -> None:
    assert code(["models", "--no-such-flag"]) == 2
