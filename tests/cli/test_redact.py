"""`smidgen redact`: a copy without personal data, in the format of the file; what cannot be made safe is not in it."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import polars
import pytest
from tests.redaction_bundle import redaction_bundle  # noqa: F401
from tests.students.test_encoder import tiny_base  # noqa: F401

from smidgen.cli.main import code
from smidgen.core.errors import EngineError
from smidgen.flows import redact_file, redaction_model
from smidgen.flows.local_model import Model


def run(bundle: Path, file: Path, out: Path, *more: str) -> int:
    return code(["redact", str(file), "--out", str(out), "--bundle", str(bundle), "--threads", "1", *more])


def cells(file: Path) -> list[list[str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream))


def test_a_table_is_read_whole(redaction_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    file, out = tmp_path / "in.csv", tmp_path / "new" / "out.csv"
    rows = [
        ["text", "from", "n"],
        ["where is my lamp, please", "lamp", "1"],
        ["thanks", "a@example.org", "4111 1111 1111 1111"],
        ["", "", ""],
    ]
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)
    assert run(redaction_bundle, file, out, "--json") == 0
    assert cells(out) == [
        ["text", "from", "n"],
        ["where is my [PERSON_1], please", "[PERSON_1]", "1"],
        ["thanks", "[EMAIL_1]", "[CARD_1]"],
        ["", "", ""],
    ]
    said = json.loads(capsys.readouterr().out)
    assert said == {
        **{"out": str(out), "columns": ["text", "from", "n"], "copied": [], "rows": 3},
        **{"found": {"person": 2, "email": 1, "card": 1}, "left_out": 0, "reasons": {}},
    }
    assert sorted(entry.name for entry in out.parent.iterdir()) == ["out.csv"]


def test_columns_that_are_named_are_read_and_the_others_told(
    redaction_bundle: Path,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "in.tsv").write_text("text\tlamp\nmy lamp\tb@example.org\n", encoding="utf-8")
    assert run(redaction_bundle, tmp_path / "in.tsv", tmp_path / "out.tsv", "--input", "text") == 0
    assert (tmp_path / "out.tsv").read_text(encoding="utf-8") == "text\tlamp\nmy [PERSON_1]\tb@example.org\n"
    shown = capsys.readouterr().out
    assert "Not read, and copied as they are: lamp" in shown and "1 rows, 1 pieces taken out" in shown
    assert run(redaction_bundle, tmp_path / "in.tsv", tmp_path / "out.tsv", "--input", "body") == 2


def test_the_first_row_of_a_file_without_names_is_read_too(redaction_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "in.txt").write_text("my lamp is late\nc@example.org\n\nwhere is my broken plate\n", encoding="utf-8")
    assert run(redaction_bundle, tmp_path / "in.txt", tmp_path / "out.txt") == 0
    assert (tmp_path / "out.txt").read_text(encoding="utf-8").splitlines() == [
        "my [PERSON_1] is late",
        "[EMAIL_1]",
        "where is my [PERSON_1]",
    ]


def test_what_stands_deep_in_a_line_is_read(redaction_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    lines = [
        {"id": 7, "card": 4111111111111111, "ok": True, "none": None, "deep": {"who": ["my lamp", {"lamp": 1.5}]}},
        {"id": 8, "lamp": "a key that the first rows do not have"},
    ]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert run(redaction_bundle, tmp_path / "in.jsonl", tmp_path / "out.jsonl") == 0
    first, second = (json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines())
    assert first == {"id": 7, "card": "[CARD_1]", "ok": True, "none": None, "deep": {"who": ["my [PERSON_1]", {"[PERSON_1]": 1.5}]}}
    assert list(second) == ["id", "[PERSON_1]"]


def test_what_only_later_lines_have_is_read_or_told(
    redaction_bundle: Path,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The columns of a file of lines are those of its first thousand."""
    lines = [*({"text": "help"} for _ in range(1_001)), {"text": "my lamp", "my broken plate": "mail a@example.org, lamp"}]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert run(redaction_bundle, tmp_path / "in.jsonl", tmp_path / "out.jsonl", "--json") == 0
    assert json.loads(capsys.readouterr().out)["columns"] == ["text", "my broken plate"]
    last = json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert last == {"text": "my [PERSON_1]", "my [PERSON_2]": "mail [EMAIL_1], [PERSON_1]"}
    assert run(redaction_bundle, tmp_path / "in.jsonl", tmp_path / "out.jsonl", "--input", "text") == 0
    assert "Not read, and copied as they are: my broken plate" in capsys.readouterr().out


def test_what_one_cell_shows_is_taken_out_of_the_others(redaction_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr(
        redaction_model.PersonalDataFinder,
        "many",
        lambda self, texts: {text: [("person", 8, 13)] if text == "Dear Mr Field" else [] for text in texts},
    )
    (tmp_path / "in.csv").write_text("before,text,n\nField asks,Dear Mr Field,1\nField,x,2\n", encoding="utf-8")
    assert run(redaction_bundle, tmp_path / "in.csv", tmp_path / "out.csv") == 0
    assert cells(tmp_path / "out.csv")[1:] == [["[PERSON_1] asks", "Dear Mr [PERSON_1]", "1"], ["Field", "x", "2"]]


def test_a_number_with_a_fraction_is_none_of_anybody(redaction_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    columns = {"share": [0.1234567890123, 0.5], "account": [442079460958.0, None], "paid": [12.0, 13.0]}
    polars.DataFrame(columns).write_parquet(tmp_path / "in.parquet")
    assert run(redaction_bundle, tmp_path / "in.parquet", tmp_path / "out.parquet") == 0
    copy = polars.read_parquet(tmp_path / "out.parquet")
    assert copy.to_dict(as_series=False) == {**columns, "account": ["[ID_1]", None]}
    assert copy.schema["share"] == polars.Float64


def test_the_name_of_a_column_says_what_is_in_it(redaction_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "in.csv").write_text("text,cvv,phone,tax,lat\nCVV 321 MRN 558812,737,20123456,1900,52.5200066\n", encoding="utf-8")
    assert run(redaction_bundle, tmp_path / "in.csv", tmp_path / "out.csv") == 0
    assert cells(tmp_path / "out.csv")[1] == ["CVV [CVV_1] MRN [ID_1]", "[CVV_2]", "[PHONE_1]", "1900", "[PLACE_1]"]
    (tmp_path / "in.jsonl").write_text(json.dumps({"who": {"cvv": 737, "mrn": 55881}, "n": 737}) + "\n", encoding="utf-8")
    assert run(redaction_bundle, tmp_path / "in.jsonl", tmp_path / "out.jsonl") == 0
    assert json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8")) == {"who": {"cvv": "[CVV_1]", "mrn": "[ID_1]"}, "n": "[CVV_1]"}


def test_two_runs_to_one_file_do_not_write_into_each_others_draft(
    redaction_bundle: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "in.csv").write_text("text\nmy lamp\n", encoding="utf-8")
    seen: list[str] = []
    done = redact_file._Copier.records

    def records(self: Any) -> Any:
        seen.extend(entry.name for entry in tmp_path.iterdir() if entry.name.endswith(".part"))
        yield from done(self)

    monkeypatch.setattr(redact_file._Copier, "records", records)
    for process in (11, 12):
        monkeypatch.setattr(os, "getpid", lambda process=process: process)
        assert run(redaction_bundle, tmp_path / "in.csv", tmp_path / "out.csv") == 0
    assert seen == [".out.csv.11.part", ".out.csv.12.part"]


def test_rows_that_cannot_be_made_safe_are_left_out_and_told(
    redaction_bundle: Path,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    texts: list[Any] = ["my lamp", "mail jane\u200b@example.org", "help", "\ud800", "thanks"]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"before": "lamp", "text": text}) + "\n" for text in texts), encoding="utf-8")
    assert run(redaction_bundle, tmp_path / "in.jsonl", tmp_path / "out.jsonl") == 0
    kept = [json.loads(line)["text"] for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert kept == ["my [PERSON_1]", "help", "thanks"]
    told = capsys.readouterr().err
    assert "2 rows could not be made safe and left out:" in told
    assert "row 2: personal data is left in a text" in told and "row 4: a text holds half a character" in told and "jane" not in told


def test_a_table_with_a_cell_that_cannot_be_read_ends_the_run(redaction_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    """A CSV does not say where its next row begins, if one of them cannot be read."""
    for cell in (b"y" * 1_100_000, b"half \xff\xfe of it"):
        (tmp_path / "in.csv").write_bytes(b"text\nmy lamp \xc3\xa9\n" + b"help\n" * 20_000 + cell + b"\n")
        assert run(redaction_bundle, tmp_path / "in.csv", tmp_path / "out.csv") == 2
        assert sorted(entry.name for entry in tmp_path.iterdir()) == ["in.csv"]
    assert (tmp_path / "in.csv").stat().st_size > 100_000


def test_a_long_file_comes_out_in_its_order(redaction_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr(redact_file, "_ROWS", 4)
    lines = [f"help {number} lamp" for number in range(10)]
    (tmp_path / "in.csv").write_text("\n".join(["text", *lines, ""]), encoding="utf-8")
    assert run(redaction_bundle, tmp_path / "in.csv", tmp_path / "out.csv") == 0
    assert cells(tmp_path / "out.csv")[1:] == [[f"help {number} [PERSON_1]"] for number in range(10)]


def test_where_the_model_fails_nothing_is_written(redaction_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    (tmp_path / "in.csv").write_text("text\nmy lamp\n", encoding="utf-8")
    done = Model.predict

    def broken(self: Model, texts: Any) -> Any:
        if "my lamp" in texts:
            raise EngineError("the model cannot run on these texts", value="x", todo="Try again.")
        return done(self, texts)

    monkeypatch.setattr(Model, "predict", broken)
    assert run(redaction_bundle, tmp_path / "in.csv", tmp_path / "out.csv") == 1
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["in.csv"]


def test_the_original_is_never_replaced_and_the_format_stays(redaction_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    file = tmp_path / "in.csv"
    file.write_text("text\nmy lamp\n", encoding="utf-8")
    assert run(redaction_bundle, file, file) == 2
    assert run(redaction_bundle, file, tmp_path / "out.jsonl") == 2
    assert file.read_text(encoding="utf-8") == "text\nmy lamp\n"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["in.csv"]


def test_without_a_model_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(redaction_model, "SHIPPED", tmp_path / "redaction")
    (tmp_path / "in.csv").write_text("text\na@example.org\n", encoding="utf-8")
    assert code(["redact", str(tmp_path / "in.csv"), "--out", str(tmp_path / "out.csv")]) == 1
    assert "does not come with this smidgen" in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()


def test_a_known_name_stays(redaction_bundle: Path, tmp_path: Path) -> None:  # noqa: F811
    file, out = tmp_path / "in.csv", tmp_path / "out.csv"
    file.write_text("text\nwhere is my lamp please\n", encoding="utf-8")
    assert run(redaction_bundle, file, out) == 0
    assert cells(out)[1] == ["where is my [PERSON_1] please"]
    assert run(redaction_bundle, file, out, "--known", "Lamp") == 0
    assert cells(out)[1] == ["where is my lamp please"]
    assert run(redaction_bundle, file, out, "--known", "") == 2
