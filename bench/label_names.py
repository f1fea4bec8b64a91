"""The names that data sets give to their labels, and tools to themselves: what a redactor must leave as it is."""

from __future__ import annotations

import csv
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Names:
    """The names of one data set, each once, and what they are."""

    title: str
    names: list[str]


def labels(folder: Path) -> list[Names]:
    """Names of labels, intents, categories, sections and types of all data sets that are here."""
    return _present(folder, _LABELS)


def tool_names(folder: Path) -> list[Names]:
    """Names of tools, parameters, devices and choices of all data sets that are here."""
    return _present(folder, _TOOLS)


def _present(folder: Path, readers: dict[str, Callable[[Path], Iterable[str]]]) -> list[Names]:
    found = []
    for title, read in readers.items():
        data = folder / title.partition(",")[0]
        if data.is_dir():
            found.append(Names(title, sorted({name.strip() for name in read(data)} - {""})))
    return found


def _table(file: Path, *columns: str, delimiter: str = ",") -> Iterator[str]:
    """The cells of some columns of a file with a header."""
    with file.open(encoding="utf-8", errors="replace", newline="") as stream:
        for row in csv.DictReader(stream, delimiter=delimiter):
            yield from (row.get(column) or "" for column in columns)


def _lines(file: Path) -> Iterator[Any]:
    """The objects of a file of JSON lines."""
    with file.open(encoding="utf-8") as stream:
        for line in stream:
            yield json.loads(line)


def _banking(data: Path) -> Iterable[str]:
    names: list[str] = json.loads((data / "categories.json").read_text(encoding="utf-8"))
    return names


def _clinc(data: Path) -> Iterable[str]:
    domains: dict[str, list[str]] = json.loads((data / "domains.json").read_text(encoding="utf-8"))
    return [*domains, *(label for own in domains.values() for label in own), "oos"]


def _bitext(data: Path) -> Iterator[str]:
    for file in sorted(data.glob("*/*.csv")):
        yield from _table(file, "intent", "category", "entity_type")


def _home(data: Path) -> Iterator[str]:
    for language in ("english", "german", "french"):
        piles = data / language
        yield from _table(piles / "pile_of_specific_actions.csv", "service_name")
        yield from _table(piles / "pile_of_templated_actions.csv", "device_type", "service")
        yield from _table(piles / "pile_of_status_requests.csv", "device_type", "state")
        yield from _table(piles / "pile_of_responses.csv", "service", "persona")
    yield from _table(data / "english" / "pile_of_hallucinated_service_names.csv", "real_service", "hallucinated_service")


def _devices(data: Path) -> Iterator[str]:
    for language in ("english", "german", "french"):
        yield from _table(data / language / "pile_of_device_names.csv", "device_name")


def _star(data: Path) -> Iterator[tuple[str, Any]]:
    """The JSON files of STAR's tasks and interfaces."""
    with tarfile.open(data / "tasks_apis_json.tar.gz") as packed:
        for member in packed:
            stream = packed.extractfile(member) if member.name.endswith(".json") else None
            if stream is not None:
                yield member.name, json.load(stream)


def _star_labels(data: Path) -> Iterator[str]:
    """Tasks, and the names of the replies that an assistant chooses from."""
    for name, content in _star(data):
        if name.startswith("tasks/") and "replies" in content:
            yield name.split("/")[1]
            yield content["task"]
            yield from content["replies"]


def _star_fields(data: Path) -> Iterator[str]:
    for name, content in _star(data):
        if name.startswith("apis/apis/"):
            yield content["function"]
            yield from (field["Name"] for side in ("input", "output") for field in content[side])


def _policy(data: Path) -> Iterator[str]:
    for file in sorted(data.glob("*.json")):
        for article in json.loads(file.read_text(encoding="utf-8"))["data"]:
            for paragraph in article["paragraphs"]:
                for question in paragraph["qas"]:
                    yield from question["type"].split("|||")


def _sections(data: Path) -> Iterator[str]:
    for file in sorted((data / "Main-Dataset").glob("*.csv")):
        yield from _table(file, "section_header")


def _negation(data: Path) -> Iterator[str]:
    columns = ("negation_status", "temporality", "experiencer")
    rows = (data / "rsAnnotations-1-120-random.txt").read_text(encoding="utf-8", errors="replace").splitlines()[1:]
    for row in rows:
        yield from row.split("\t")[3 : 3 + len(columns)]


def _diseases(data: Path) -> Iterator[str]:
    for line in (data / "test.tsv").read_text(encoding="utf-8").splitlines():
        yield line.rpartition("\t")[2]


def _errors(data: Path) -> Iterator[str]:
    return (str(row["error_type"]) for row in _lines(data / "dev.json"))


def _covid(data: Path) -> Iterator[str]:
    return _table(data / "faq_covidbert.csv", "category")


def _entities(data: Path) -> Iterator[str]:
    for text in json.loads((data / "data" / "synth_dataset_v2.json").read_text(encoding="utf-8")):
        yield from (span["entity_type"] for span in text["spans"])


def _receipts(data: Path) -> Iterator[str]:
    for row in _lines(data / "receipts.jsonl"):
        yield from row["key"]


def _attributes(data: Path) -> Iterator[str]:
    for row in _table(data / "testset.csv", "MR"):
        yield from (attribute.partition("[")[0] for attribute in row.split(", "))


def _functions(data: Path) -> Iterator[dict[str, Any]]:
    for file in sorted(data.glob("BFCL_*.json")):
        for entry in _lines(file):
            yield from entry["function"]


def _tools(data: Path) -> Iterator[str]:
    return (str(function["name"]) for function in _functions(data))


def _properties(function: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The parameters of a function, those within others as well."""
    waiting = [function["parameters"]]
    while waiting:
        schema = waiting.pop()
        for name, value in schema.get("properties", {}).items():
            yield name, value
            waiting += [value, value["items"]] if isinstance(value.get("items"), dict) else [value]


def _parameters(data: Path) -> Iterator[str]:
    return (name for function in _functions(data) for name, _ in _properties(function))


def _choices(data: Path) -> Iterator[str]:
    for function in _functions(data):
        for _, value in _properties(function):
            yield from (choice for choice in value.get("enum", ()) if isinstance(choice, str))


_LABELS: dict[str, Callable[[Path], Iterable[str]]] = {
    "banking77, intents": _banking,
    "clinc150, intents and domains": _clinc,
    "bitext-support, intents and categories": _bitext,
    "home-assistant-requests, services and states": _home,
    "star, tasks and replies": _star_labels,
    "policyqa, practices": _policy,
    "mts-dialog, sections": _sections,
    "negex, states": _negation,
    "ncbi-disease, tags": _diseases,
    "expect-gec, types of errors": _errors,
    "covid-qa, categories": _covid,
    "presidio-pii, types": _entities,
    "sroie, fields": _receipts,
    "e2e-nlg, attributes": _attributes,
}
_TOOLS: dict[str, Callable[[Path], Iterable[str]]] = {
    "bfcl, tools": _tools,
    "bfcl, parameters": _parameters,
    "bfcl, choices": _choices,
    "star, functions and fields": _star_fields,
    "home-assistant-requests, devices": _devices,
}
