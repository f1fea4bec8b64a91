"""The page has German for what the server says in English: texts of settings, steps of runs, and errors of the Studio."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from tests.house.conftest import ROOT
from tests.house.test_messages import MESSAGES, every_message

from smidgen.core import messages
from smidgen.core.settings import is_hidden, settings_of
from smidgen.desk.studio.desk_serving import channel_kinds, channel_settings
from smidgen.flows.learn.learning_rows import OUTDATED
from smidgen.flows.learn.traffic_rows import MASKED
from smidgen.parts import registry
from smidgen.studio.flows.recipes.build_settings import sections_of, students_of
from smidgen.studio.flows.recipes.canvas import schemas_of

GERMAN = ROOT / "studio" / "src" / "i18n" / "server" / "de"
SOURCES = ROOT / "src" / "smidgen"
GERMAN_MESSAGES = every_message("de")
OF_THE_STUDIO = ("studio", "plans", "desk/studio", "code/studio", "flows/table_columns.py")
OF_THE_TERMINAL = ("studio/cli.py", "plans/cli.py", "plans/solver_recipe.py")
RUN_BY_THE_STUDIO = (*OF_THE_STUDIO, "flows/build", "students", "data/findings", "flows/drift")
_GAP = re.compile(r"\{\d\}")
_SPLIT = re.compile(r'"\s*\n\s*f?"')
"""Where a long text of the source goes on in its next line."""


def numbered(sentence: str, english: str) -> str:
    """A message with a numbered gap for each place, in the order of the English one."""
    names = sorted(messages.places(english), key=english.index)
    gaps = {name: f"{{{number}}}" for number, name in enumerate(names, 1)}
    return messages.filled(re.sub(", (number|quoted)}", "}", sentence), gaps)


@cache
def german() -> Mapping[str, str]:
    """All texts with their German: those of the catalogues of messages, as they may stand within another text, and the Studio's own."""
    return of_messages() | own()


@cache
def of_messages() -> dict[str, str]:
    """The sentences of the catalogues, with numbered gaps."""
    return {
        numbered(text, text): numbered(GERMAN_MESSAGES[code][piece], text)
        for code, entry in MESSAGES.items()
        for piece, text in entry.items()
    }


@cache
def own() -> dict[str, str]:
    """The Studio's own texts for what the server says without a code."""
    found: dict[str, str] = {}
    for file in sorted(GERMAN.glob("*.json")):
        found |= json.loads(file.read_text(encoding="utf-8"))
    return found


@cache
def shapes() -> tuple[re.Pattern[str], ...]:
    """The texts with gaps, as patterns."""
    return tuple(
        re.compile(".+?".join(re.escape(piece) for piece in _GAP.split(text)), re.DOTALL) for text in german() if _GAP.search(text)
    )


def has_german(text: str) -> bool:
    """Whether the page has German for a text; gaps of the source are filled with a number."""
    return text in german() or any(shape.fullmatch(text) for shape in shapes())


def text_of(node: ast.expr) -> str | None:
    """A literal text, with a 7 for each value that is filled in; None for another expression."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(piece.value) if isinstance(piece, ast.Constant) else "7" for piece in node.values)
    return None


def files(*rooms: str) -> list[Path]:
    """The source files of some rooms."""
    return [file for file in sorted(SOURCES.rglob("*.py")) if file.relative_to(SOURCES).as_posix().startswith(rooms)]


def calls(*rooms: str) -> Iterator[tuple[str, str, ast.Call]]:
    """Each call in some rooms, with the name that is called and the file."""
    for file in files(*rooms):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                yield name, file.relative_to(SOURCES).as_posix(), node


def described() -> dict[str, str]:
    """Every description of a shipped part's settings, with the place of one that has it."""
    found: dict[str, str] = {}
    for task in registry.names("tasks"):
        for student in (None, *students_of(registry.find("tasks", task))):
            for section in sections_of(task, student):
                found.setdefault(section.about, section.name)
                found |= {one["description"]: f"{section.name}.{name}" for name, one in section.settings["properties"].items()}
            for parts in schemas_of(task, student).values():
                for name, schema in parts.items():
                    found |= {schema["description"]: name} if "description" in schema else {}
                    found |= {one["description"]: f"{name}.{key}" for key, one in schema["properties"].items() if not one.get("readOnly")}
    return found


def test_every_setting_is_described_in_german() -> None:
    found = described()
    known = json.loads((GERMAN / "settings.json").read_text(encoding="utf-8"))
    assert {text: place for text, place in found.items() if text not in known} == {}
    assert set(known) - set(found) == set(), "German for a description that no part has any more"
    assert len(found) > 150


def test_every_setting_and_change_of_a_plan_has_german_and_a_title() -> None:
    titles = json.loads((ROOT / "studio" / "src" / "i18n" / "en" / "setting.json").read_text(encoding="utf-8"))
    solvers = [registry.find("plans.solvers", name) for name in registry.names("plans.solvers")]
    shown = [(solver.name, name, field.description or "") for solver in solvers for name, field in settings_of(solver.settings).items()]
    shown += [(f"{one.name}_change", name, node["description"]) for one in solvers for name, node in one.changes["properties"].items()]
    assert [(section, name) for section, name, text in shown if text not in german() or f"{section}_{name}" not in titles] == []
    assert [one.name for one in solvers if one.title not in german() or one.summary not in german()] == [] and len(shown) > 50


def test_the_help_of_builds_settings_names_no_flag() -> None:
    shown = {
        one["description"]
        for task in registry.names("tasks")
        for student in (None, *students_of(registry.find("tasks", task)))
        for section in sections_of(task, student)
        for one in section.settings["properties"].values()
    }
    assert [text for text in shown if re.search(r"(?<!\w)--\w", text)] == [] and len(shown) > 100


def test_every_setting_of_a_channel_has_german_and_a_title() -> None:
    titles = json.loads((ROOT / "studio" / "src" / "i18n" / "en" / "setting.json").read_text(encoding="utf-8"))
    shown = [
        (kind, name, field.description or "")
        for kind in channel_kinds()
        for name, field in channel_settings(kind).model_fields.items()
        if not is_hidden(field)
    ]
    missing = [(kind, name) for kind, name, text in shown if text not in german() or f"channel_{kind}_{name}" not in titles]
    assert missing == [] and len(shown) > 20


def test_every_setting_has_a_title() -> None:
    titles = json.loads((ROOT / "studio" / "src" / "i18n" / "en" / "setting.json").read_text(encoding="utf-8"))
    places = [place.rpartition(".") for place in described().values() if "." in place.removeprefix("data.teacher")]
    missing = [(section, name) for section, _, name in places if not {name, f"{section.replace('.', '_') or 'top'}_{name}"} & set(titles)]
    assert missing == [] and len(places) > 100


def test_every_step_of_a_run_has_german() -> None:
    told = {(text_of(node.args[0]), file) for name, file, node in calls(*RUN_BY_THE_STUDIO) if name in ("start", "finish") and node.args}
    steps = {(text, file) for text, file in told if text}
    assert {(text, file) for text, file in steps if not has_german(text)} == set()
    assert len(steps) > 30


def test_the_german_of_a_step_is_of_one_that_is_still_told() -> None:
    source = _SPLIT.sub("", "".join(file.read_text(encoding="utf-8") for file in files("")))
    steps = json.loads((GERMAN / "steps.json").read_text(encoding="utf-8"))
    named = {name for name in steps if name.split(" {1}")[0] in registry.names("students")}  # a kind of model, with its form or its parts
    gone = [text for text in set(steps) - named if not re.search(r"\{[^{}]*\}".join(map(re.escape, _GAP.split(text))), source)]
    assert gone == [] and len(named) > 10


def errors() -> Iterator[tuple[str, str]]:
    """The `what` and `todo` of each error of the Studio that has no code, with the file; a name stands for each text that it is given."""
    for file in set(files(*OF_THE_STUDIO)) - set(files(*OF_THE_TERMINAL)):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        named: dict[str, list[str]] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and (text := text_of(node.value)):
                named.setdefault(node.targets[0].id, []).append(text)
        for node in ast.walk(tree):
            advice = [one.value for one in node.keywords if one.arg == "todo"] if isinstance(node, ast.Call) else []
            if isinstance(node, ast.Call) and advice and isinstance(node.func, ast.Name) and node.func.id.endswith("Error"):
                for given in (*node.args[:1], *advice):
                    texts = named.get(given.id, []) if isinstance(given, ast.Name) else [text_of(given) or ""]
                    yield from ((text, file.name) for text in texts if text.strip("7. "))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "fail" and len(node.args) == 4:
                yield from ((text, file.name) for text in (text_of(node.args[1]), text_of(node.args[3])) if text and text.strip("7. "))


def test_every_error_of_the_studio_has_german() -> None:
    found = set(errors())
    assert {(text, file) for text, file in found if not has_german(text)} == set()
    assert len(found) > 2


def test_no_german_stands_for_a_text_that_is_gone() -> None:
    said = _SPLIT.sub("", "\n".join(file.read_text(encoding="utf-8") for file in files(""))).replace('\\"', '"')
    said += "\n".join(text.replace("{{", "{").replace("}}", "}") for entry in MESSAGES.values() for text in entry.values())
    names = {name for room in ("students", "compress") for name in registry.names(room)}
    stale = [
        text
        for file in ("steps", "errors", "remarks")
        for text in json.loads((GERMAN / f"{file}.json").read_text(encoding="utf-8"))
        if any(len(piece) > 3 and piece not in names and piece not in said for piece in map(_plain, _GAP.split(text)))
    ]
    assert stale == [] and len(said) > 1_000_000


def test_no_sentence_of_a_message_has_its_german_twice() -> None:
    assert [text for text in own() if text in of_messages() and len(_GAP.sub("", text)) >= 8] == []


def _plain(piece: str) -> str:
    return piece.strip(" .,:;()'")


def test_the_page_has_words_for_each_reason_to_leave_a_row_out() -> None:
    page = (ROOT / "studio" / "src" / "ui" / "LeftOut.tsx").read_text(encoding="utf-8")
    begins = re.findall(r'^  \["([^"]+)", "\w+"\],$', page, re.MULTILINE)
    reasons = {MASKED, OUTDATED}
    for file in files("flows/learn"):
        text = file.read_text(encoding="utf-8")
        reasons |= set(re.findall(r'"(held out[^"]+)": len', text)) | set(re.findall(r'unusable\["([^"]+)"\]', text))
    assert len(reasons) >= 9
    assert [reason for reason in sorted(reasons) if not reason.startswith(tuple(begins))] == []
