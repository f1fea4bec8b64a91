"""Personal data in a project's texts is replaced by placeholders as one version; answers stay as they are."""

from __future__ import annotations

import pytest

from smidgen.core.errors import InputError
from smidgen.studio.flows.data import personal_data
from smidgen.studio.flows.data.personal_data import preview_redaction, redact_rows
from smidgen.studio.store.data_rows import DataRow
from smidgen.studio.store.projects import StudioStore

ROWS = [
    DataRow("write to anna.schmidt@example.org, it is urgent", output="anna.schmidt@example.org"),
    DataRow("my lamp is broken", output="damage"),
    DataRow("call +44 20 7946 0958 or +44 20 7946 0959", output="call", part="test"),
    DataRow("the order of Anna Schmidt came late", output="delivery"),
    DataRow("hidden \U000e0041\U000e0042 for bob@example.org", output="odd"),
]


@pytest.fixture
def project(store: StudioStore) -> str:
    made = store.create("Inbox", "classify").id
    store.rows(made).add(ROWS, "ann", "import", {})
    return made


def test_before_and_after_are_shown_and_nothing_is_changed(store: StudioStore, project: str) -> None:
    found = preview_redaction(store, project, None)
    assert found.total == 3 and [row.before.key for row in found.rows] == [1, 3, 5]
    assert found.rows[0].after.input == "write to [EMAIL_1], it is urgent" and found.rows[0].kinds == {"email": 1}
    assert found.rows[1].after.input == "call [PHONE_1] or [PHONE_2]"
    assert found.rows[2].before == found.rows[2].after and "hidden text" in found.rows[2].fault
    assert store.rows(project).head() == 1
    (named,) = preview_redaction(store, project, [4]).rows
    assert named.after.input == "the order of [PERSON_1] came late", "a chosen row is read for names, too"


def test_rows_change_as_one_version_that_one_undo_takes_back(store: StudioStore, project: str) -> None:
    rows = store.rows(project)
    before = list(rows.each())
    made, done = redact_rows(store, project, None, "ann")
    assert made is not None and (made.number, made.action, made.changed) == (2, "redact", 2) and len(done.faults) == 1
    after = list(rows.each())
    assert [row.output for row in after] == [row.output for row in before], "no label is touched, not even one that is an address"
    assert [row.part for row in after] == [row.part for row in before]
    assert made.details == {"rows": 2, "kinds": {"phone": 2, "email": 1}}
    assert redact_rows(store, project, None, "ann")[0] is None, "what is left cannot be made safe"
    rows.undo("ann")
    assert list(rows.each()) == before


def test_many_rows_come_in_parts(store: StudioStore, project: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(personal_data, "MOST_ROWS", 1)
    made, done = redact_rows(store, project, None, "ann")
    assert made is not None and (made.changed, done.total) == (1, 3)
    assert preview_redaction(store, project, None).total == 2


def test_a_task_whose_answers_repeat_the_text_is_refused(store: StudioStore) -> None:
    spans = store.create("Fields", "extract").id
    store.rows(spans).add([DataRow("a@example.org", output=[{"start": 0, "end": 13, "label": "mail"}])], "ann", "import", {})
    for call in (lambda: preview_redaction(store, spans, None), lambda: redact_rows(store, spans, None, "ann")):
        with pytest.raises(InputError, match="would no longer match it"):
            call()
    assert store.rows(spans).head() == 1
