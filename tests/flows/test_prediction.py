"""A file through a model: bad rows, strange characters, the dialect of the source, workbooks, two runs at once. The model is a stand-in."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from smidgen.cli.main import code
from smidgen.core.errors import InputError, RequestError, SmidgenError
from smidgen.core.replies import Reply
from smidgen.core.rows import Text
from smidgen.data.tables import open_table
from smidgen.flows.local_model import Model
from smidgen.flows.prediction import PredictionRun, predict


class Echo:
    """Answers each text with its own first word, and refuses some."""

    id = "echo"

    def __init__(self, label: str | None = "category", output: str | None = None, hold: threading.Event | None = None) -> None:
        self.columns = ("text", label)
        self._output, self._hold = output, hold
        self.asked = threading.Event()

    def predict(self, texts: Sequence[Text]) -> list[Reply]:
        self.asked.set()
        if self._hold is not None:
            self._hold.wait(60)
        if any("refuse" in text for text in texts):
            raise RequestError("the text is too long", value="refuse", todo="Shorten it.")
        return [Reply(self._output if self._output is not None else str(text).split()[0], 0.5) for text in texts]


def run(model: Echo, source: Path, out: Path | str) -> PredictionRun:
    return predict(cast(Model, model), str(source), str(out))


def table(file: Path, delimiter: str = ",", encoding: str = "utf-8") -> list[list[str]]:
    with file.open(encoding=encoding, newline="") as stream:
        return list(csv.reader(stream, delimiter=delimiter))


def test_one_bad_row_does_not_lose_the_rest(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    bad = [b"one,two,three\n", "caf\u00e9 est,a\n".encode("cp1252"), b"a\0b,c\n"]
    bad += [b'"He said "hi" to me",a\n', b'"never closed,a\n', b",a\n"]
    source.write_bytes("text,note\nfirst café,1\n".encode() + b"".join(bad) + "last café,2\n".encode())
    for name in ("out.csv", "out.jsonl", "out.xlsx"):
        done = run(Echo(), source, tmp_path / name)
        assert (done.answered, done.failed) == (2, 6), name
    rows = table(tmp_path / "out.csv")
    assert rows[0] == ["text", "note", "category", "score", "error"]
    assert rows[1] == ["first café", "1", "first", "0.500000", ""] and rows[-1] == ["last café", "2", "last", "0.500000", ""]
    assert all(row[-1] and row[2] == "" for row in rows[2:-1]) and len(rows) == 9
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line.get("row") for line in lines] == [None, 2, 3, 4, 5, 6, 7, None]


def test_half_a_character_in_another_column(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    rows = [{"text": f"row {n}", "note": "\ud83d" if n == 3 else "fine", "more": ["\udc00"]} for n in range(6)]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    for name in ("out.csv", "out.jsonl", "out.xlsx"):
        assert run(Echo(), source, tmp_path / name).answered == 6
    found = table(tmp_path / "out.csv")
    assert len(found) == 7 and found[4][1] == "\ufffd" and found[3][1] == "fine"
    assert sum(1 for _ in open_table(tmp_path / "out.xlsx", need_label=False).records()) == 6


def test_half_a_character_in_an_answer(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("text,note\nrow one,1\nrow two,2\n", encoding="utf-8")
    for name in ("out.csv", "out.jsonl", "out.xlsx"):
        assert run(Echo(output="a\ud800"), source, tmp_path / name).answered == 2
    assert table(tmp_path / "out.csv")[1][2] == "a\ufffd"
    assert json.loads((tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()[0])["output"] == "a\ud800"


def test_a_text_that_the_model_refuses_does_not_lose_its_batch(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("text,note\nrow one,1\nplease refuse,2\nrow three,3\n", encoding="utf-8")
    done = run(Echo(), source, tmp_path / "out.csv")
    assert (done.answered, done.failed) == (2, 1)
    assert [bool(row[-1]) for row in table(tmp_path / "out.csv")[1:]] == [False, True, False]


DIALECTS = [("cp1252", ";"), ("utf-8", "|"), ("utf-8-sig", ";"), ("utf-16", ";"), ("utf-8", ",")]


@pytest.mark.parametrize(("encoding", "delimiter"), DIALECTS, ids=[f"{encoding} {delimiter}" for encoding, delimiter in DIALECTS])
def test_the_output_keeps_the_dialect_of_the_source(tmp_path: Path, encoding: str, delimiter: str) -> None:
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    rows = [["text", "note"], *([f"Grüße über {n}", f"Straße; {n}"] for n in range(300))]
    to = io.StringIO(newline="")
    csv.writer(to, delimiter=delimiter, lineterminator="\r\n").writerows(rows)
    source.write_bytes(to.getvalue().encode(encoding))
    run(Echo(), source, out)
    content = out.read_bytes()
    mark = {"utf-8-sig": b"\xef\xbb\xbf", "utf-16": b"\xff\xfe"}.get(encoding, b"")
    assert content.startswith(mark) and content.count(mark or b"text") == 1
    found = table(out, delimiter, encoding)
    assert [row[:2] for row in found] == rows and found[1][2] == "Grüße"
    assert {len(row) for row in found} == {5}


def test_a_character_that_the_encoding_lacks_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_bytes("text;note\nGrüße über;1\n".encode("cp1252"))
    said: list[str] = []

    class Told:
        def start(self, step: str, total: int | None = None) -> None: ...
        def advance(self, units: int = 1, **facts: Any) -> None: ...
        def finish(self, note: str = "") -> None: ...
        def say(self, text: str) -> None:
            said.append(text)

    predict(cast(Model, Echo(output="日本")), str(source), str(out), progress=Told())
    assert table(out, ";", "cp1252")[1][2] == "??"
    assert len(said) == 1 and said[0].startswith("2 characters are not in cp1252")


def test_the_answer_has_the_name_that_the_model_learnt(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("text,category,output\nrow one,x,y\n", encoding="utf-8")
    run(Echo("team"), source, tmp_path / "a.csv")
    run(Echo("category"), source, tmp_path / "b.csv")
    run(Echo(None), source, tmp_path / "c.csv")
    heads = [table(tmp_path / name)[0] for name in ("a.csv", "b.csv", "c.csv")]
    assert heads[0] == ["text", "category", "output", "team", "score", "error"]
    assert heads[1] == heads[2] == ["text", "category", "output", "smidgen output", "score", "error"]


def test_a_workbook(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("text;note\n" + "".join(f"row {n};=1+{n}\n" for n in range(300)), encoding="utf-8")
    run(Echo(), source, tmp_path / "out.xlsx")
    again = open_table(tmp_path / "out.xlsx", input="text", label="category")
    rows = list(again.records())
    assert len(rows) == 300 and again.columns == ("text", "note", "category", "score", "error")
    assert rows[7][1] == {"text": "row 7", "note": "=1+7", "category": "row", "score": "0.5", "error": ""}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["in.csv", "out.xlsx"]
    run(Echo(), tmp_path / "out.xlsx", tmp_path / "twice.xlsx")
    assert "smidgen output" not in open_table(tmp_path / "twice.xlsx", need_label=False).columns


FORMULAS = {
    "=cmd|' /C calc'!A0": "'=cmd|' /C calc'!A0",
    "@SUM(1+9)*cmd|' /C calc'!A0": "'@SUM(1+9)*cmd|' /C calc'!A0",
    "+1+cmd|' /C calc'!A0": "'+1+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0": "'-2+3+cmd|' /C calc'!A0",
    "\t=1+1": "'\t=1+1",
    "-5.20": "-5.20",
    "+49 30 1234": "+49 30 1234",
    "-1.234,50 %": "-1.234,50 %",
    "1e-3": "1e-3",
    "plain": "plain",
}


def test_no_cell_is_a_formula(tmp_path: Path) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.csv"
    source.write_text("".join(json.dumps({"text": "row", "note": note, note: "x"}) + "\n" for note in FORMULAS), encoding="utf-8")
    run(Echo(output="=1+1"), source, out)
    found = table(out)
    place = found[0].index("category")
    assert [row[1] for row in found[1:]] == list(FORMULAS.values())
    assert {row[place] for row in found[1:]} == {"'=1+1"}
    assert [name for name in found[0] if name.startswith(("=", "@")) or name.startswith("+1")] == []


def test_a_stopped_run_goes_on_with_the_same_file_and_with_no_other(tmp_path: Path) -> None:
    class Stopping(Echo):
        def predict(self, texts: Sequence[Text]) -> list[Reply]:
            if any(str(text).endswith(" 299") for text in texts):
                raise KeyboardInterrupt
            return super().predict(texts)

    class Counting(Echo):
        texts = 0

        def predict(self, texts: Sequence[Text]) -> list[Reply]:
            self.texts += len(texts)
            return super().predict(texts)

    files, out = [tmp_path / f"{name}.csv" for name in ("one", "two")], tmp_path / "out.csv"
    for file in files:
        file.write_text("text,note\n" + "".join(f"{file.stem} {n},{n}\n" for n in range(300)), encoding="utf-8")
    for second, left in ((files[1], 300), (files[0], 44)):
        with pytest.raises(KeyboardInterrupt):
            run(Stopping(), files[0], out)
        model = Counting()
        run(model, second, out)
        assert model.texts == left
        assert {row[2] for row in table(out)[1:]} == {second.stem} and len(table(out)) == 301


def test_two_runs_on_one_file(tmp_path: Path) -> None:
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("text,note\n" + "".join(f"row {n},{n}\n" for n in range(700)), encoding="utf-8")
    hold = threading.Event()
    slow = Echo(hold=hold)
    first = threading.Thread(target=run, args=(slow, source, out))
    first.start()
    try:
        assert slow.asked.wait(60)
        with pytest.raises(SmidgenError, match="another run") as caught:
            run(Echo(), source, out)
        assert caught.value.exit_code == 1
    finally:
        hold.set()
        first.join(60)
    assert len(table(out)) == 701
    assert sorted(file.name for file in tmp_path.iterdir()) == ["in.csv", "out.csv"]
    run(Echo(), source, out)


def test_the_source_is_not_replaced(tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("text,note\nrow one,1\n", encoding="utf-8")
    with pytest.raises(InputError, match="would replace"):
        run(Echo(), source, source)
    assert source.read_text(encoding="utf-8") == "text,note\nrow one,1\n"


def test_the_file_is_an_argument_or_a_flag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.csv").write_text("text,note\nrow one,1\n", encoding="utf-8")

    class Closing(Echo):
        def close(self) -> None: ...

    monkeypatch.setattr("smidgen.flows.local_model.load", lambda folder, threads: Closing())
    for call in (["in.csv"], ["--data", "in.csv"]):
        assert code(["predict", "any", *call, "--out", "out.csv"]) == 0
        assert table(tmp_path / "out.csv")[1][2] == "row"
    capsys.readouterr()
    assert code(["predict", "any", "in.csv", "--data", "in.csv"]) == 2
    assert code(["predict", "any"]) == 2
    assert "smidgen predict DIR FILE" in capsys.readouterr().err
