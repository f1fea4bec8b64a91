"""A file answered by a model: in order, with the rows that cannot be used, defused for spreadsheets, and kept for a day."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from typing import Any

import pytest
from tests.tried_model import with_model

from smidgen.core.errors import InputError, RequestError
from smidgen.parts import registry
from smidgen.studio.flows import answer_file
from smidgen.studio.flows.data import uploads
from smidgen.studio.flows.run_process import RunProgress, run_folder
from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.runs import Run, RunStore

CSV = "id,text\n1,the parcel is late\n=1+1,my password is wrong\nbroken\n4,@refund my money\n"


class AnsweredFile:
    """A project with a model, and a file that it has answered."""

    def __init__(self, store: StudioStore, bundle: Path, name: str, content: str, **request: Any) -> None:
        self.store, self.runs = store, RunStore(store.database)
        self.project, model = with_model(store, bundle)
        self.upload, id = uploads.new_upload(name)
        self.upload.write_text(content, encoding="utf-8")
        self.run = self.runs.enqueue(self.project, answer_file.KIND, {"model": model, "upload": id, **request}, "ann")

    def do(self) -> dict[str, Any]:
        run: Run = self.run
        return dict(registry.find("studio.flows", run.kind)(self.store, run, RunProgress(self.runs, run.id)))


@pytest.fixture
def tickets(store: StudioStore, bundle: Path) -> AnsweredFile:
    return AnsweredFile(store, bundle, "tickets.csv", CSV)


def test_a_file_comes_back_answered_in_order(tickets: AnsweredFile) -> None:
    result = tickets.do()
    assert (result["name"], result["rows"], result["failed"]) == ("tickets.csv", 4, 1)
    assert result["answered"] + result["passed"] == 3 and result["formats"] == ["csv", "jsonl"]
    rows = answer_file.first_answers(tickets.store, tickets.project, tickets.run.id, 9)
    assert [row["output"] for row in rows] == ["delivery", "account", None, "refund"]
    assert rows[0]["text"] == "the parcel is late" and "cell" in rows[2]["error"] and rows[3]["score"] > 0.5


def test_cells_that_a_spreadsheet_would_compute_are_defused(tickets: AnsweredFile) -> None:
    tickets.do()
    content = answer_file.answers_of(tickets.store, tickets.project, tickets.run.id, "csv").read_text(encoding="utf-8-sig")
    header, *rows = list(csv.reader(content.splitlines()))
    assert header == ["id", "text", "output", "score", "error"]
    assert rows[1][0] == "'=1+1" and rows[3][1] == "'@refund my money"


def test_nothing_of_the_file_is_kept_but_the_answers(tickets: AnsweredFile) -> None:
    tickets.do()
    assert not tickets.upload.exists()
    kept = {file.name for file in run_folder(tickets.run.id).iterdir() if not file.name.startswith(".")}
    assert kept == {"answers.csv", "answers.jsonl"}
    answer_file.forget_answers(tickets.store, tickets.project, tickets.run.id)
    with pytest.raises(InputError, match="no such answers"):
        answer_file.answers_of(tickets.store, tickets.project, tickets.run.id, "csv")


def test_answers_are_forgotten_after_a_day(tickets: AnsweredFile, monkeypatch: pytest.MonkeyPatch) -> None:
    tickets.do()
    now = time.time()
    monkeypatch.setattr(answer_file.time, "time", lambda: now + uploads.KEEP_SECONDS + 60)
    with pytest.raises(InputError, match="no such answers"):
        answer_file.answers_of(tickets.store, tickets.project, tickets.run.id, "csv")
    answer_file.forget_old_answers()
    assert not list(run_folder(tickets.run.id).glob("answers.*"))


def test_a_stopped_run_goes_on_without_its_upload(tickets: AnsweredFile, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(answer_file, "predict", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            tickets.do()
    assert not tickets.upload.exists()
    assert tickets.do()["rows"] == 4


def test_a_pasted_list_and_the_chosen_column(store: StudioStore, bundle: Path) -> None:
    lines = "\n".join(json.dumps({"note": "x", "said": text}) for text in ("my parcel", "my refund"))
    given = AnsweredFile(store, bundle, "list.jsonl", lines, input=["said"])
    assert given.do()["outputs"] == [("delivery", 1), ("refund", 1)]


def test_what_another_project_answered_is_not_shown(tickets: AnsweredFile) -> None:
    tickets.do()
    other = tickets.store.create("Other", "classify").id
    for project, kind in ((other, "csv"), (tickets.project, "xlsx"), (tickets.project, "../log")):
        with pytest.raises(InputError, match="no such answers"):
            answer_file.answers_of(tickets.store, project, tickets.run.id, kind)


def test_an_upload_that_is_gone_is_told(tickets: AnsweredFile) -> None:
    uploads.forget_upload(tickets.upload)
    with pytest.raises(RequestError, match="no such upload"):
        tickets.do()
