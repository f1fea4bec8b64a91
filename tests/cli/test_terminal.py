"""What a stranger wrote reaches the terminal as text and as nothing else: no control sequences, no markup. Every verb that prints data."""

from __future__ import annotations

import io
import json
import logging
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from smidgen.cli import screen
from smidgen.cli.main import code
from smidgen.core.printable import PrintableFormatter, printable
from smidgen.store import files, usage_records
from smidgen.store.traffic.records import Exchange, Feedback
from smidgen.store.traffic.store import opened

ATTACK = "\x1b]52;c;cm0gLXJm\x07\x1b[2J\x9b31m\x08\x7f\u202etxt.exe\u2066[/x][bold]:warning:\rgone"
"""Writes the clipboard, clears the screen, colours, goes back, turns the direction, closes a tag that is not open, overwrites the line."""
KEPT = "[/x][bold]:warning:"
"""Of that, what is harmless and must still be there to be read."""
FORBIDDEN = [
    chr(sign) for sign in (*range(9), *range(11, 32), *range(0x7F, 0xA0), 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))
]


def clean(text: str) -> None:
    """Nothing but text and line ends."""
    assert [repr(sign) for sign in FORBIDDEN if sign in text] == []


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home and a folder of its own."""
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SMIDGEN_TRAFFIC_URL", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def shown(capsys: pytest.CaptureFixture[str], arguments: list[str], wanted: tuple[int, ...] = (0,)) -> str:
    """What a command prints on both streams, looked through."""
    capsys.readouterr()
    done = code(arguments)
    told = capsys.readouterr()
    assert "internal error" not in told.err, told.err
    assert done in wanted, told.err
    clean(told.out + told.err)
    return told.out + told.err


def captured() -> None:
    """Forty hostile requests, of two kinds, with their answers."""
    now = datetime.now(UTC)
    with opened(held_out=0.5) as store:
        store.add(
            [
                Exchange(
                    **{"id": f"r{number}", "time": now - timedelta(minutes=number), "asked": f"big{ATTACK}"},
                    **{"path": "/v1/chat/completions", "input": f"text {number} {ATTACK}", "answered_by": "upstream"},
                    **{"answer": f"label{number % 2}{ATTACK}", "user": "u", "template": "0" * 16},
                )
                for number in range(40)
            ]
        )
        store.feedback(Feedback("r1", now, corrected=f"mended{ATTACK}"))


def table(file: Path) -> Path:
    """A file whose columns, texts and labels are hostile."""
    column = f"text{ATTACK}".replace("\r", "")
    rows = [{column: f"some message number {n} {ATTACK}", f"label{KEPT}": f"{'ab'[n % 2]}{ATTACK}"} for n in range(24)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def test_traffic(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    captured()
    assert KEPT in shown(capsys, ["traffic"])
    assert KEPT in shown(capsys, ["traffic", "--jobs"])
    assert f"big{ATTACK}" in json.loads(shown(capsys, ["traffic", "--json"]))["asked"]
    assert json.loads(shown(capsys, ["traffic", "--jobs", "--json"]))["jobs"]


def test_check(place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smidgen.flows.data_check.embedder", lambda threads: None)
    file = table(place / "evil\x1b[2J[bold].jsonl")
    arguments = ["check", str(file), "--input", f"text{ATTACK}".replace("\r", ""), "--label", f"label{KEPT}"]
    told = shown(capsys, arguments, (0, 1))
    assert KEPT in told and "evil[2J[bold].jsonl" in told
    shown(capsys, [*arguments, "--fix", str(place / "mended[bold].jsonl")], (0, 1))
    shown(capsys, [*arguments, "--json"], (0, 1))


def test_a_bundle_whose_name_is_hostile(place: Path, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`models`, `status`, `predict`, `eval`, `certify`, `export` of a folder and a damaged bundle with such names."""
    odd = shutil.copytree(bundle, place / "odd\x1b[2J[bold]\u202e")
    damaged = shutil.copytree(bundle, place / "damaged\x1b]0;x\x07[bold]")
    (damaged / "smidgen.json").write_text("{" + ATTACK, encoding="utf-8")
    for folder in (odd, damaged):
        files.remember_bundle(folder)
    assert "odd[2J[bold]" in shown(capsys, ["models"])
    assert "damaged]0;x[bold]" in shown(capsys, ["status"])
    data = place / "in\x1b[2J[bold].csv"
    data.write_text(f"text,intent\nwhere is my order,order/cancel\nhello {ATTACK.replace(chr(13), '')},order/cancel\n", encoding="utf-8")
    shown(capsys, ["predict", str(odd), "--data", str(data), "--out", str(place / "out[bold].csv")])
    shown(capsys, ["predict", str(odd), "--data", str(data)])
    shown(capsys, ["eval", str(odd), "--data", str(data)])
    for verb in (["certify", str(odd), "--show"], ["export", str(damaged), "--to", "hf"], ["serve", str(damaged)], ["rollback", str(odd)]):
        shown(capsys, verb, (1, 2))
    shown(capsys, ["chat", str(damaged)], (1, 2))


def test_the_account(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    day = datetime.now(UTC).date().isoformat()
    sums = usage_records.UsageSums()
    sums.entry(usage_records.UsageKey(day, f"big{ATTACK}", "upstream", "")).add(usage_records.UsageTotals(requests=3))
    sums.prices.add(usage_records.DayPrice(day, f"big{ATTACK}", 1.0, 1.0, f"list{ATTACK}"))
    usage_records.add(sums, "w", 1, day)
    assert KEPT in shown(capsys, ["status"])


def test_redact(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = table(place / "in\x1b[2J[bold].jsonl")
    assert "[bold]" in shown(capsys, ["redact", str(file), "--out", str(place / "out\x9b[bold].jsonl")])


def test_learn_and_rollback_of_a_line_whose_name_is_hostile(place: Path, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = str(place / "line\x1b[2J[bold]")
    assert shown(capsys, ["learn", line, "--from", str(bundle), "--no-traffic"], (0, 1, 2))
    assert shown(capsys, ["rollback", line, "--reason", ATTACK], (0, 1, 2))
    shown(capsys, ["models"])


VERBS: list[Callable[[str], list[str]]] = [
    lambda name: ["check", name],
    lambda name: ["predict", name, "--data", name],
    lambda name: ["eval", name, "--data", name],
    lambda name: ["build", name],
    lambda name: ["build", "--task", name, "--data", name, "--out", "x"],
    lambda name: ["build", "--task", "classify", "--data", name, "--out", "x"],
    lambda name: ["redact", name, "--out", "x.csv"],
    lambda name: ["certify", name, "--data", name],
    lambda name: ["audit", name],
    lambda name: ["serve", name],
    lambda name: ["chat", name],
    lambda name: ["drift", name],
    lambda name: ["learn", name, "--from", name],
    lambda name: ["rollback", name],
    lambda name: ["export", name, "--to", name],
    lambda name: ["pull", name],
    lambda name: ["init", "--recipe", name],
    lambda name: ["cost", "--prices", name],
    lambda name: [name],
    lambda name: ["models", name],
    lambda name: ["serve", f"--{name}"],
]


@pytest.mark.parametrize("call", VERBS, ids=lambda call: " ".join(call("NAME")))
def test_errors_show_names_as_text(place: Path, capsys: pytest.CaptureFixture[str], call: Callable[[str], list[str]]) -> None:
    shown(capsys, call(ATTACK), (1, 2))


def test_progress_and_lines_that_stay(capsys: pytest.CaptureFixture[str]) -> None:
    with screen.Screen() as progress:
        progress.start(f"reading {ATTACK}", 3)
        progress.advance(1, label=ATTACK)
        progress.finish(ATTACK)
        progress.say(ATTACK)
    told = capsys.readouterr().err
    clean(told)
    assert told.count(KEPT) == 3


def test_progress_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(screen, "errors", screen.Terminal(file=file, force_terminal=True, width=200, emoji=False, color_system=None))
    with screen.Screen() as progress:
        progress.start(f"reading {ATTACK}", 3)
        progress.advance(1, label=ATTACK)
        progress.finish("done")
    told = file.getvalue()
    assert KEPT in told and "\x1b]52" not in told and "\x1b[2J" not in told and "\x9b" not in told and "\u202e" not in told


def test_json_keeps_its_values(capsys: pytest.CaptureFixture[str]) -> None:
    screen.print_json({ATTACK: [ATTACK, "\ud800", "\u2028", "café"]})
    told = capsys.readouterr().out
    clean(told)
    assert json.loads(told) == {ATTACK: [ATTACK, "\ud800", "\u2028", "café"]} and "café" in told


def test_half_a_character_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    screen.out.print("half \ud800 here")
    assert "half \ufffd here" in capsys.readouterr().out


def test_logs() -> None:
    record = logging.LogRecord("smidgen", logging.INFO, __file__, 1, "asked of %s", (ATTACK,), None)
    told = PrintableFormatter("%(message)s").format(record)
    clean(told)
    assert told.startswith("asked of ") and KEPT in told


def test_printable() -> None:
    assert printable("plain text\tand\nlines, café 日本語 🙂") == "plain text\tand\nlines, café 日本語 🙂"
    clean(printable("".join(map(chr, range(0x3000)))))


def test_the_verbs_print_through_the_screen_alone() -> None:
    folder = Path(screen.__file__).parent
    files = [file for file in sorted(folder.rglob("*.py")) if file.name != "screen.py"]
    strays = [
        f"{file.name}: {word}" for file in files for word in ("import Console", "print(json") if word in file.read_text(encoding="utf-8")
    ]
    assert len(files) > 30
    assert strays == []
