"""`smidgen check` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from smidgen.cli.main import code
from smidgen.flows import data_check


@pytest.fixture(autouse=True)
def _without_a_base(monkeypatch: pytest.MonkeyPatch) -> None:
    """The words alone judge: quick, and nothing needs to be fetched."""
    monkeypatch.setattr(data_check, "embedder", lambda base=None, threads=None: None)


def table(folder: Path, rows: list[str], name: str = "tickets.csv") -> Path:
    file = folder / name
    file.write_text("\n".join(["message,team", *rows, ""]), encoding="utf-8")
    return file


GOOD = [
    f"message {'abcdefghijklmnopqrstuvwxyz'[n % 26] * 6} about {team} number {n},{team}" for n in range(40) for team in ("sales", "support")
]


def test_json_alone_on_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code(["check", str(table(tmp_path, GOOD)), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["columns"] == {"input": {"name": "message", "how": "guessed"}, "label": {"name": "team", "how": "guessed"}}
    assert (result["rows"], result["buildable"], result["format"]) == (80, True, "csv")
    assert {finding["severity"] for finding in result["findings"]} <= {"warning", "note"}
    assert set(result["findings"][0]) == {"kind", "severity", "count", "text", "todo", "rows", "details"}


def test_a_row_that_cannot_be_read_is_a_finding_and_fix_leaves_it_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = table(tmp_path, [GOOD[0], "one, two, three,sales", *GOOD[1:]])
    assert code(["check", str(file), "--fix", str(tmp_path / "clean.csv")]) == 0
    assert "the row has 4 cells, the header has 2" in " ".join(capsys.readouterr().out.split())
    assert (tmp_path / "clean.csv").read_text(encoding="utf-8").splitlines() == ["message,team", *GOOD]


def test_a_readable_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = table(tmp_path, [*GOOD, GOOD[0], "write to me at jane@example.org [bold],sales"])
    assert code(["check", str(file), "--label", "team"]) == 0
    printed = capsys.readouterr()
    shown = " ".join(printed.out.split())
    assert "message (guessed), label team (given)" in shown
    assert "repeat" in shown
    assert "e-mail" in shown
    assert "jane@" not in shown
    assert "A model can be built from this file." in shown
    assert "\x1b[" not in printed.out


def test_errors_make_the_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = [row.replace("support", "sales") for row in GOOD]
    assert code(["check", str(table(tmp_path, one))]) == 1
    assert code(["check", str(table(tmp_path, [*one, "something else entirely here,management"]))]) == 1
    assert "too few labels have two rows" in " ".join(capsys.readouterr().out.split())
    assert code(["check", str(tmp_path / "absent.csv")]) == 2
    assert code(["check", str(table(tmp_path, GOOD)), "--label", "taem"]) == 2
    assert "Did you mean 'team'?" in capsys.readouterr().err
    assert code(["check", str(table(tmp_path, GOOD)), "--relabel"]) == 2
    assert code(["check", str(table(tmp_path, GOOD)), "--task", "clasify"]) == 2


def test_a_label_with_one_row_is_a_warning_because_a_build_leaves_it_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = table(tmp_path, [*GOOD, "something else entirely here,management"])
    assert code(["check", str(file)]) == 0
    assert "A model can be built from this file." in " ".join(capsys.readouterr().out.split())
    assert code(["check", str(file), "--fix", str(tmp_path / "clean.csv"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    (once,) = [finding for finding in result["findings"] if finding["kind"] == "counts.once"]
    assert once["severity"] == "warning" and "which a build leaves out: 'management'" in once["text"]
    assert result["fixed"]["buildable"] is True


def test_rows_that_a_build_would_refuse_are_fixed_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = table(tmp_path, [*GOOD, "a message without a team,"])
    assert code(["check", str(file)]) == 0
    printed = capsys.readouterr()
    assert "A model can be built from this file without the 1 row that cannot be used." in " ".join(printed.out.split())
    assert "rows 82" not in printed.out and "row 82" in printed.out
    assert "next: smidgen check" in printed.err and "smidgen build" not in printed.err
    assert code(["check", str(file), "--fix", str(tmp_path / "clean.csv")]) == 0
    assert "next: smidgen build" in capsys.readouterr().err


def test_fix_and_test(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = table(tmp_path, [*GOOD, GOOD[0], ",sales"])
    test = table(tmp_path, [GOOD[5].upper().replace(",SUPPORT", ",support"), "a message that is only here,sales"], "test.csv")
    out = tmp_path / "clean.csv"
    assert code(["check", str(file), "--test", str(test), "--fix", str(out), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["test"] == "test.csv"
    assert result["fixed"]["dropped"] == 3
    assert out.read_text(encoding="utf-8").splitlines()[0] == "message,team"
    assert len(out.read_text(encoding="utf-8").splitlines()) == 80
    assert (tmp_path / "clean.csv.changes.csv").is_file()


def test_the_cleaned_copy_is_what_is_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A spelling that is seen once can be merged; of a single label no copy can be learnt from."""
    rows = [row.replace(",", ",x,", 1) for row in [*GOOD, "one more message that is about sales,Sales"]]
    file = tmp_path / "wide.csv"
    file.write_text("\n".join(["text,note,team", *rows, ""]), encoding="utf-8")
    flags = ["--input", "text", "--label", "team"]
    assert code(["check", str(file), *flags]) == 0
    assert "A model can be built from this file" in " ".join(capsys.readouterr().out.split())
    assert code(["check", str(file), *flags, "--fix", str(tmp_path / "clean.csv")]) == 0
    assert "A model can be built from clean.csv" in " ".join(capsys.readouterr().out.split())
    # Both rows of the second label have one text, and the copy keeps one of them.
    file = table(tmp_path, [*(row for row in GOOD if row.endswith(",sales")), *["something else entirely here,management"] * 2])
    assert code(["check", str(file), "--fix", str(tmp_path / "again.csv"), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["fixed"]["buildable"] is False


def test_one_thing_is_not_said_as_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert code(["check", str(table(tmp_path, [*GOOD, GOOD[0], "write to me at jane@example.org,sales"])), "--json"]) == 0
    said = [finding["text"] for finding in json.loads(capsys.readouterr().out)["findings"]]
    assert "1 row repeats an earlier row exactly" in said and "1 row holds personal data: e-mail 1" in said


def test_other_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "several.csv"
    file.write_text("text,tags\n" + "".join(f"a message {n} of words,{'a|b' if n % 2 else 'b'}\n" for n in range(30)), encoding="utf-8")
    assert code(["check", str(file), "--set", "classify.multi_label=true", "--json"]) == 0
    counts = next(finding for finding in json.loads(capsys.readouterr().out)["findings"] if finding["kind"] == "counts")
    assert counts["details"]["labels"] == {"b": 30, "a": 15}
    assert code(["check", str(file), "--set", "data.max_rows=5", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 5


def shaped(folder: Path, rows: list[dict[str, object]], name: str = "rows.jsonl") -> str:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(folder / name)


@pytest.mark.parametrize(
    ("outputs", "task"),
    [
        ([{"tool": "order_status", "arguments": {"order": "A-1"}}, {"tool": "invoice", "arguments": {}}, None], "act"),
        ([{"id": "policies.md", "text": "within 30 days"}, {"id": "faq.csv", "text": "no"}, None], "answer"),
        ([[{"start": 0, "end": 7, "label": "name"}], [], [{"start": 0, "end": 7, "label": "name"}]], "extract"),
    ],
)
def test_the_form_of_the_outputs_shows_the_task(
    outputs: list[object], task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = shaped(tmp_path, [{"input": f"message number {n} of {n * 7}", "output": outputs[n % 3]} for n in range(30)])
    assert code(["check", file]) == 0
    said = capsys.readouterr()
    assert f"like those of the task {task}" in " ".join((said.err + said.out).split()) and "seen once" not in said.out


def test_conversations_are_no_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = shaped(tmp_path, [{"turns": [{"say": "hello", "expect": {"outcome": "answered"}}]}])
    assert code(["check", file]) == 2
    assert "holds conversations, for the task desk" in " ".join(capsys.readouterr().err.split())
