"""The German pages say nothing in English: a project whose rows are German is walked, with its settings, findings, steps and mistakes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from tests.house.conftest import ROOT
from tests.studio_browser import Browser, RunningStudio, browsing, needed, running_studio

pytestmark = [*needed, pytest.mark.thorough]
LINEAR = {"student": {"kind": "linear", "baseline": "none"}}
ENGLISH = re.compile(
    r"(?i)(?<![\w-])(the|of|and|with|is|are|for|from|this|that|it|you|your|or|to|by|be|has|have|which|where|when|than|"
    r"column|rows?|given|chosen|trained)(?![\w-])"
)
"""Words of English sentences that no German one has."""
TEXTS = """() => {
  const found = [];
  const apart = "script, style, noscript, code, pre, textarea, kbd, [translate=no]";
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode())
    if (!node.parentElement.closest(apart) && node.data.trim()) found.push(node.data.trim());
  for (const name of ["aria-label", "title", "placeholder", "alt"])
    for (const one of document.querySelectorAll(`[${name}]`)) if (!one.closest("code, pre")) found.push(one.getAttribute(name));
  return found;
}"""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    with running_studio(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture(scope="module")
def project(studio: RunningStudio, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A project with a model, a build that failed, and rows with findings."""
    file: Path = tmp_path_factory.mktemp("data") / "nachrichten.csv"
    wares = ["Lampe", "Vase", "Decke", "Kanne", "Uhr", "Schale"]
    kinds = {
        "lieferung": ["Wann kommt meine {}?", "Die {} ist noch nicht da.", "Wo bleibt die {} denn?", "Lieferzeit {} bitte"],
        "ruecksendung": [
            "Ich will die {} zurückgeben.",
            "Wie schicke ich die {} zurück?",
            "Umtausch {} möglich?",
            "Geld zurück für die {}!",
        ],
        "lob": ["Die {} gefällt mir sehr.", "Tolle {}, danke!", "Schöne {}, gerne wieder.", "Beste {} überhaupt"],
    }
    rows = [
        f'"{text.format(ware)} ({number})",{kind}'
        for kind, texts in kinds.items()
        for text in texts
        for number, ware in enumerate(wares, 1)
    ]
    rows += [
        *rows[:2],
        f'"{kinds["lob"][0].format("Vase")} (2)",lieferung',
        '"Schreiben Sie an anna.muster@example.com",lob',
        '"Noch offen",',
    ]
    file.write_text("\n".join(["nachricht,art", *rows]), encoding="utf-8")
    made = str(studio.client.create_project("Nachrichten", "classify")["id"])
    studio.client.add_file(made, file, input="nachricht", label="art")
    studio.client.build(made, LINEAR, timeout=300)
    failing = studio.client.start(made, "build", {"recipe": {"student": {**LINEAR["student"], "max_size_mb": 0.001}}})
    for run in studio.client.call("GET", f"projects/{made}/runs"):
        while studio.client.call("GET", f"runs/{run['id']}")["state"] in ("queued", "running"):
            pass
    assert studio.client.call("GET", f"runs/{failing['id']}")["state"] == "failed"
    return made


def texts_of(language: str) -> dict[str, str]:
    """The page's own texts, by their keys."""
    found: dict[str, str] = {}

    def take(place: str, value: Mapping[str, Any]) -> None:
        for name, one in value.items():
            if isinstance(one, str):
                found[f"{place}.{name}"] = one
            else:
                take(f"{place}.{name}", one)

    for file in sorted((ROOT / "studio" / "src" / "i18n" / language).glob("*.json")):
        take(file.stem, json.loads(file.read_text(encoding="utf-8")))
    return found


GERMAN_TEXTS = texts_of("de")
ENGLISH_TEXTS = {text for key, text in texts_of("en").items() if text != GERMAN_TEXTS[key]} - set(GERMAN_TEXTS.values())


def english(browser: Browser) -> list[str]:
    """What the page says in English now."""
    return [text for text in browser.page.evaluate(TEXTS) if text in ENGLISH_TEXTS or ENGLISH.search(text)]


def open_everything(browser: Browser) -> None:
    """Open what can be folded out, from outside in."""
    for _ in range(3):
        browser.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
        browser.page.wait_for_timeout(200)


def test_no_english_reaches_a_german_page(studio: RunningStudio, project: str) -> None:
    faults: dict[str, list[str]] = {}
    places = ["", "data", "data?view=findings", "label", "build", "report", "try", "run", "learn", "costs", "canvas", "canvas?view=text"]
    with browsing(studio, language="de-DE") as browser:
        page = browser.page
        for place in [*(f"/projects/{project}/{place}" for place in places[1:]), "/", "/accounts"]:
            browser.goto(place)
            page.get_by_role("heading", level=1).first.wait_for()
            page.wait_for_load_state("networkidle")
            open_everything(browser)
            if found := english(browser):
                faults[place] = found
        browser.goto(f"/projects/{project}/build")
        for number, button in enumerate(page.get_by_role("button", name="Schritte").all()):
            button.click()
            page.get_by_role("dialog").wait_for()
            page.wait_for_timeout(300)
            if found := english(browser):
                faults[f"steps {number}"] = found
            page.keyboard.press("Escape")
        for step in ("data", "check", "split", "task", "base", "student", "compress", "gate", "serve"):
            browser.goto(f"/projects/{project}/canvas?step={step}")
            page.locator("h2").first.wait_for()
            open_everything(browser)
            if found := english(browser):
                faults[f"step {step}"] = found
    assert faults == {} and len(ENGLISH_TEXTS) > 800


def test_errors_are_told_in_german(studio: RunningStudio, project: str) -> None:
    with browsing(studio, language="de-DE", refused=True) as browser:
        page = browser.page
        browser.goto(f"/projects/{project}/data")
        page.get_by_role("heading", level=1).wait_for()
        page.locator("input[type=file]").first.set_input_files({"name": "leer.csv", "mimeType": "text/csv", "buffer": b"text,antwort\n"})
        page.get_by_text("Die Datei enthält keine Zeilen").wait_for()
        assert english(browser) == []


TABLES = {
    "stops": "name,latitude,longitude,demand,closes,skills\nMoll,48.01,11.0,4,,\nSchule,48.02,11.0,9,,\n"
    "Klinik,48.01,11.02,4,,kühl\nHof,48.0,11.01,1,06:30,\n",
    "vans": "name,capacity,starts,ends,start,start_latitude,start_longitude\nWagen 1,12,07:00,14:00,Lager,48.0,11.0\n",
}


def test_no_english_reaches_a_german_plan(studio: RunningStudio, tmp_path_factory: pytest.TempPathFactory) -> None:
    pytest.importorskip("pyvrp")
    folder = tmp_path_factory.mktemp("tables")
    plan = studio.client.call("POST", "plans", {"solver": "routes", "name": "Montag"})["id"]
    with browsing(studio, language="de-DE", refused=True) as browser:
        page = browser.page
        browser.goto(f"/plans/{plan}")
        page.get_by_role("heading", level=1).wait_for()
        for place, (name, text) in enumerate(TABLES.items()):
            file = folder / f"{name}.csv"
            file.write_text(text.replace("48.02", "hier" if name == "stops" else "48.02"), encoding="utf-8")
            page.locator("input[type=file]").nth(place).set_input_files(file)
            page.get_by_text(f"{name}-{name}.csv").wait_for()
        page.get_by_role("button", name="Plan berechnen").click()
        page.get_by_role("listitem").filter(has_text="Stopps").get_by_text("das ist keine Zahl").wait_for()
        assert english(browser) == []
        (folder / "stops.csv").write_text(TABLES["stops"], encoding="utf-8")
        page.locator("input[type=file]").first.set_input_files(folder / "stops.csv")
        page.get_by_text("das ist keine Zahl").wait_for(state="detached")
        studio.client.call("PUT", f"plans/{plan}/settings", {"settings": {}, "seconds": 0.2})
        page.get_by_role("button", name="Plan berechnen").click()
        page.get_by_role("img", name="Karte der Touren").wait_for()
        open_everything(browser)
        assert english(browser) == [] and page.get_by_text("bleibt draußen").count() >= 2
        drawn = page.get_by_role("img", name="Karte der Touren").get_attribute("src") or ""
        assert "Start und Ende" in unquote(drawn)
