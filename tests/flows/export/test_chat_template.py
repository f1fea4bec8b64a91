"""Chat templates for Ollama: taken apart, put together in Go's template language, and filled in as Go fills them in."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from smidgen.core.errors import BaseError
from smidgen.flows.export.chat_template import Message, Render, fill_go_template, ollama_values, translate_template, write_single_turn
from smidgen.students.decoder_training.prompts import render

CHATML = (
    "{% for m in messages %}{% if loop.first and m.role != 'system' %}{{ '<|im_start|>system\nBe brief.<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' + m.content | trim + '<|eot_id|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
DATED = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{% set said = messages[0].content | trim %}{% set messages = messages[1:] %}"
    "{% else %}{% set said = '' %}{% endif %}{{ '<|start_header_id|>system<|end_header_id|>\n\nToday: ' + strftime_now('%d %b') + '\n\n' "
    "+ said + '<|eot_id|>' }}" + LLAMA3.removeprefix("{{ bos_token }}")
)
GEMMA = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('turns must alternate') }}{% endif %}"
    "{% if m.role == 'assistant' %}{% set role = 'model' %}{% else %}{% set role = m.role %}{% endif %}"
    "{{ '<start_of_turn>' + role + '\n' + m.content | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
QWEN = CHATML.replace("Be brief.", "You are a helpful assistant.") + "{# a comment #}"
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + m.content + ' [/INST]' }}"
    "{% elif m.role == 'assistant' %}{{ m.content + eos_token }}{% endif %}{% endfor %}"
)
FAMILIES = {"chatml": CHATML, "llama3": LLAMA3, "dated": DATED, "gemma": GEMMA, "qwen": QWEN, "mistral": MISTRAL}

LAST_TURN_TWICE = CHATML + "{% if messages | length > 4 %}{{ 'Remember to be brief.' }}{% endif %}"
COUNTED = "{% for m in messages %}{{ loop.index | string + '. ' + m.role + ': ' + m.content + '\n' }}{% endfor %}"
LOUD = CHATML.replace("m.content +", "m.content | upper +")
STRANGE = {"by length": LAST_TURN_TWICE, "counted": COUNTED, "changed": LOUD}

TALK = [
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Good day."},
    {"role": "user", "content": "A stool, of oak?"},
]


def of(template: str) -> Render:
    config = {"bos_token": "<bos>", "eos_token": "</s>"}

    def shown(messages: Sequence[Message], opened: bool) -> str:
        system = messages[0]["content"] if messages[0]["role"] == "system" else ""
        turns = [dict(message) for message in (messages[1:] if system else messages)]
        try:
            return render(template, config, system, turns, Path("test"), answer=opened)
        except BaseError as error:
            raise ValueError(error.what) from error

    return shown


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_translated_to_the_letter(name: str) -> None:
    shown = of(FAMILIES[name])
    found = translate_template(shown)
    for messages in (TALK[:1], TALK, [{"role": "system", "content": "Write briefly."}, *TALK]):
        wanted = shown(messages, True)
        assert fill_go_template(found, ollama_values(messages)) == wanted
        assert all(message["content"] in wanted for message in messages)


@pytest.mark.parametrize("name", STRANGE)
def test_what_cannot_be_translated_is_refused(name: str) -> None:
    with pytest.raises(ValueError):
        translate_template(of(STRANGE[name]))


def test_braces_in_a_template_are_refused() -> None:
    with pytest.raises(ValueError, match="braces"):
        translate_template(of(CHATML.replace("Be brief.", "Fill in {' + '{ this }' + '}.")))
    with pytest.raises(ValueError, match="braces"):
        write_single_turn("{{ .System }}", "")


def test_a_message_alone_forgets_what_was_said_before() -> None:
    found = write_single_turn("Input: ", "\nOutput:")
    assert fill_go_template(found, ollama_values(TALK)) == "Input: A stool, of oak?\nOutput:"
    assert fill_go_template(found, ollama_values(TALK[:1])) == "Input: Hello\nOutput:"


GO = """package main

import (
	"encoding/json"
	"os"
	"text/template"
)

func main() {
	var asked []struct {
		Template string
		Values   map[string]any
	}
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		panic(err)
	}
	var told []string
	for _, one := range asked {
		out, err := os.CreateTemp("", "filled")
		if err != nil {
			panic(err)
		}
		// As Ollama does: a key that is not there is its type's zero.
		made := template.Must(template.New("").Option("missingkey=zero").Parse(one.Template))
		if err := made.Execute(out, one.Values); err != nil {
			panic(err)
		}
		text, err := os.ReadFile(out.Name())
		if err != nil {
			panic(err)
		}
		os.Remove(out.Name())
		told = append(told, string(text))
	}
	json.NewEncoder(os.Stdout).Encode(told)
}
"""

SMALL = [
    "{{ range .Messages }}{{ .Role }}{{ end }}",
    "{{ if .System }}a{{ else if .Messages }}b{{ else }}c{{ end }}",
    "{{ range $i, $m := .Messages }}{{ if and $.System (eq $i 1) }}{{ $m.Content }}{{ end }}{{ end }}",
    "{{ range $i, $_ := .Messages }}{{ if eq (len (slice $.Messages $i)) 1 }}{{ .Content }}{{ end }}{{ end }}",
    '{{ if or .System (not .Messages) }}x{{ end }}{{ if ne .System "quoted \\"text\\"" }}y{{ end }}',
    '{{ range .Messages }}{{ if eq .Role "user" "tool" }}{{ .Content }}\n{{ end }}{{ else }}none{{ end }}',
]
"""Templates of every kind of action."""
FILLED = [
    ["userassistantuser", "b", "", "A stool, of oak?", "y", "Hello\nA stool, of oak?\n"],
    ["systemuserassistantuser", "a", "Hello", "A stool, of oak?", "xy", "Hello\nA stool, of oak?\n"],
]
"""What Go 1.24 makes of them for two conversations."""


def test_templates_are_filled_in_as_go_does() -> None:
    talks = [TALK, [{"role": "system", "content": "Brief."}, *TALK]]
    assert [[fill_go_template(template, ollama_values(talk)) for template in SMALL] for talk in talks] == FILLED


@pytest.mark.skipif(shutil.which("go") is None, reason="Go is not installed; what it makes of templates is recorded above")
def test_go_itself_agrees(tmp_path: Path) -> None:
    talks = [TALK[:1], TALK, [{"role": "system", "content": "Brief."}, *TALK]]
    templates = [*SMALL, write_single_turn("Input: ", "\nOutput:"), *(translate_template(of(template)) for template in FAMILIES.values())]
    asked = [{"Template": template, "Values": ollama_values(talk)} for template in templates for talk in talks]
    (tmp_path / "main.go").write_text(GO, encoding="utf-8")
    done = subprocess.run(["go", "run", str(tmp_path / "main.go")], input=json.dumps(asked), capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert len(told) == len(asked) == 3 * (len(SMALL) + 1 + len(FAMILIES))
    assert told == [fill_go_template(one["Template"], one["Values"]) for one in asked]


def test_what_is_not_known_is_not_guessed() -> None:
    for template in (
        "{{- .System }}",
        "{{ if .System }}x",
        "{{ end }}",
        "{{ printf .System }}",
        "{{ .System | len }}",
        "{{ (len .System }}",
    ):
        with pytest.raises(ValueError):
            fill_go_template(template, ollama_values(TALK))
