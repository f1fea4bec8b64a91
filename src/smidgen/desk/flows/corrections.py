"""A desk learns from use: what people answered and what customers disliked becomes data, once the owner has approved it.

An approved answer that the documents hold is a question with the quoted words. One that they do not hold becomes an entry of
`answers-from-people.csv`, which lies among the documents. A corrected intent becomes a row of the intents' data. Nothing else is learnt.
"""

from __future__ import annotations

import csv
import io
import json
import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from smidgen.core.errors import InputError
from smidgen.desk.store.conversation_store import ConversationStore
from smidgen.desk.store.corrections import (
    MOST_LISTED,
    CorrectionDecision,
    CorrectionPage,
    CorrectionState,
    DeskCorrection,
)
from smidgen.desk.store.tables import ConversationMissing
from smidgen.store import files

ANSWERS_FILE = "answers-from-people.csv"
QUESTIONS_FILE = "questions.jsonl"
INTENTS_FILE = "intents.csv"
LEARNT_FILE = "learnt-corrections.json"
_FEWEST_WORDS = 3
"""Words of an answer that is looked for: fewer stand anywhere."""
_LEAST_SHARE = 0.6
"""Least share of an answer that a sentence of a document must be. Less of it may be a mere politeness that stands in both."""
_MOST_FILE = 50 << 20
_MOST_QUOTES = 10
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class FoundQuote:
    """Words of a document that may answer. `exact`: whether the given answer and these words are the same, or one holds the other."""

    document: str
    title: str
    text: str
    exact: bool


@dataclass(frozen=True, slots=True)
class LearntRow:
    """A row that an approved correction becomes. `kind`: `quote`, `answer` (a new entry of the FAQ), `no_answer` or `intent`."""

    correction: str
    kind: str
    question: str
    text: str = ""
    document: str = ""


@dataclass(frozen=True, slots=True)
class DeskDataFiles:
    """The files that a desk learns from; None for a member that it does not have.

    Attributes:
        documents: the folder of documents.
        questions: JSONL with questions and the words that answer them.
        intents: CSV with messages and their intents, in the columns `input` and `label`.
    """

    documents: Path | None
    questions: Path | None
    intents: Path | None
    input: str = "text"
    label: str = "intent"


@dataclass(frozen=True, slots=True)
class WrittenCorrections:
    """How many rows were written, by kind, and into which files. `left` says, by the correction's id, why one was left out."""

    counts: Mapping[str, int]
    files: tuple[Path, ...]
    left: Mapping[str, str] = field(default_factory=dict)


def list_corrections(
    store: ConversationStore, state: CorrectionState | None = "waiting", desk: str = "", offset: int = 0, limit: int = 50
) -> CorrectionPage:
    """Corrections in a state, the newest first; all for None. `desk`: of this desk only."""
    return store.corrections.listed(state, desk, offset, limit)


def approve(
    store: ConversationStore,
    id: str,
    by: str,
    *,
    question: str | None = None,
    answer: str | None = None,
    intent: str | None = None,
    document: str = "",
    quote: str = "",
    unanswerable: bool = False,
) -> DeskCorrection:
    """Approve a correction: its words may be learnt.

    Args:
        by: names the person who approves.
        question, answer: edited words; None for those that stand there. Take out names and numbers of the customer.
        intent: what the message wants; None if that is not to be corrected.
        document, quote: the words of a document that answer; without them they are looked for when the files are written.
        unanswerable: the documents do not answer this, and the desk should have said so.

    Raises InputError if nothing is left to learn, ConversationMissing if there is no such correction.
    """
    known = store.corrections.correction(id)
    words = (known.question if question is None else question).strip()
    right = "" if unanswerable else (known.answer if answer is None else answer).strip()
    quoted, wanted = "" if unanswerable else quote.strip(), (intent or "").strip()
    if not words:
        raise InputError("desk.correction_needs_question", value=id)
    if bool(quoted) != bool(document.strip()) and not unanswerable:
        raise InputError("desk.quotation_needs_its_document", value=id)
    if not (right or quoted or wanted or unanswerable):
        raise InputError("desk.there_is_nothing_to_learn", value=id)
    decision = CorrectionDecision("approved", words, right, wanted, document.strip() if quoted else "", quoted, unanswerable)
    return store.corrections.decide(id, decision, by)


def reject(store: ConversationStore, id: str, by: str) -> DeskCorrection:
    """Reject a correction: nothing is learnt from it. Raises ConversationMissing if there is no such correction."""
    known = store.corrections.correction(id)
    decision = CorrectionDecision("rejected", known.question, known.answer, known.intent)
    return store.corrections.decide(id, decision, by)


def reopen(store: ConversationStore, id: str, by: str) -> DeskCorrection:
    """Take a decision back: the correction waits again, as it was. Raises ConversationMissing if there is no such correction."""
    return store.corrections.decide(id, CorrectionDecision("waiting"), by)


def find_quotes(documents: Path, text: str, most: int = 3) -> list[FoundQuote]:
    """Words of documents that may answer, the best first; those that a given answer holds, or that hold it, are exact.

    `text`: an answer or a question. Raises as reading documents does.
    """
    return _Quotes(documents).find(text, max(1, min(most, _MOST_QUOTES)))


def learnt_rows(corrections: Sequence[DeskCorrection], documents: Path | None) -> list[LearntRow]:
    """The rows that approved corrections become. `documents`: where answers are looked for; None if there are none."""
    quotes = _Quotes(documents) if documents is not None and documents.exists() else None
    rows = list[LearntRow]()
    for one in corrections:
        if one.intent:
            rows.append(LearntRow(one.id, "intent", one.question, one.intent))
        if one.unanswerable:
            rows.append(LearntRow(one.id, "no_answer", one.question))
        elif one.quote:
            rows.append(LearntRow(one.id, "quote", one.question, one.quote, one.document))
        elif one.answer:
            found = quotes.exact(one.answer) if quotes is not None else None
            plain = " ".join(one.answer.split())
            rows.append(
                LearntRow(one.id, "quote", one.question, found.text, found.document)
                if found is not None
                else LearntRow(one.id, "answer", one.question, plain, ANSWERS_FILE)
            )
    return rows


def write_approved(store: ConversationStore, folder: Path, desk: str = "", documents: Path | None = None) -> WrittenCorrections:
    """Write all approved corrections into a folder, as files to look at: questions.jsonl, answers-from-people.csv and intents.csv.

    What stood in these three files is replaced. `documents`: where answers are looked for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = learnt_rows(_approved(store, desk), documents)
    made = DeskDataFiles(folder, folder / QUESTIONS_FILE, folder / INTENTS_FILE)
    for file in (folder / ANSWERS_FILE, folder / QUESTIONS_FILE, folder / INTENTS_FILE):
        file.unlink(missing_ok=True)
    return _added(rows, made)[0]


def add_approved(store: ConversationStore, data: DeskDataFiles, desk: str = "") -> WrittenCorrections:
    """Add all approved corrections to the files that a desk learns from. What stands there stays; repeated calls add nothing twice.

    What was added for a correction that is no longer approved, or is now worded otherwise, is taken out first.
    """
    rows = learnt_rows(_approved(store, desk), data.documents)
    take_back(store, data, rows)
    done, new = _added(rows, data)
    _remember(data, list(dict.fromkeys([*_learnt(data), *new])))
    return done


def take_back(store: ConversationStore, data: DeskDataFiles, rows: Sequence[LearntRow] | None = None) -> int:
    """Take out of the files what was added for corrections that are no longer approved; returns how many rows.

    `rows`: those of all approved corrections, by default as they are now. What was added for a correction that is deleted by now stays.
    """
    learnt = _learnt(data)
    if not learnt:
        return 0
    wanted = set(learnt_rows(_approved(store, ""), data.documents) if rows is None else rows)
    gone = [row for row in learnt if row not in wanted and _is_known(store, row.correction)]
    _take_out(gone, data)
    _remember(data, [row for row in learnt if row not in gone])
    return len(gone)


def data_files(recipe: Path) -> DeskDataFiles:
    """The files that a desk's recipe and those of its members learn from. Raises InputError if they cannot be read."""
    told = _recipe(recipe)
    members = told.get("desk", {}).get("members", {})
    found: dict[str, tuple[Path, dict[str, Any]]] = {"answer": (recipe.parent, told)} if "answer" in told else {}
    for role in ("answer", "intents"):
        named = members.get(role, "") if isinstance(members, dict) else ""
        file = recipe.parent / str(named)
        if named and file.suffix == ".toml":
            found[role] = (file.parent, _recipe(file))
    if not found:
        raise InputError("desk.recipe_takes_no_corrections", value=str(recipe))
    answers = found.get("answer")
    documents = answers[1].get("answer", {}).get("documents") if answers is not None else None
    asked = answers[1].get("data", {}).get("train") if answers is not None else None
    intents = found.get("intents")
    data = intents[1].get("data", {}) if intents is not None else {}
    return DeskDataFiles(
        answers[0] / str(documents) if answers is not None and documents else None,
        answers[0] / str(asked) if answers is not None and asked else None,
        intents[0] / str(data["train"]) if intents is not None and data.get("train") else None,
        str(data.get("input") or "text"),
        str(data.get("label") or "intent"),
    )


def _approved(store: ConversationStore, desk: str) -> list[DeskCorrection]:
    """All approved corrections, the oldest first: a later one on the same question counts."""
    found = list[DeskCorrection]()
    while True:
        page = store.corrections.listed("approved", desk, len(found), MOST_LISTED)
        found += page.corrections
        if not page.corrections or len(found) >= page.total:
            return sorted(found, key=lambda one: (one.decided or 0.0, one.id))


def _added(rows: Sequence[LearntRow], data: DeskDataFiles) -> tuple[WrittenCorrections, list[LearntRow]]:
    """Add rows to files; what has no file is left out, with the reason. Returns also the rows that changed something."""
    counts, written, left = dict.fromkeys(("quote", "answer", "no_answer", "intent"), 0), list[Path](), dict[str, str]()
    answers = [row for row in rows if row.kind == "answer"]
    asked = [row for row in rows if row.kind in ("quote", "no_answer")]
    new = list[LearntRow]()
    if data.documents is not None and data.documents.is_dir():
        new += _merge_csv(data.documents / ANSWERS_FILE, ("question", "answer"), answers)
        written += [data.documents / ANSWERS_FILE] if answers else []
        asked += answers
    else:
        left |= {one.correction: "the desk has no folder of documents for a new answer" for one in answers}
    if data.questions is not None:
        new += _merge_questions(data.questions, asked)
        written += [data.questions] if asked else []
    else:
        left |= {one.correction: "the desk has no file of questions" for one in asked if one.kind != "answer"}
    intents = [row for row in rows if row.kind == "intent"]
    if data.intents is not None and data.intents.suffix == ".csv":
        new += _merge_csv(data.intents, (data.input, data.label), intents)
        written += [data.intents] if intents else []
    else:
        left |= {one.correction: "the desk has no CSV file of intents" for one in intents}
    for kind, number in Counter(row.kind for row in dict.fromkeys(new)).items():
        counts[kind] = number
    return WrittenCorrections(counts, tuple(written), left), new


def _ledger(data: DeskDataFiles) -> Path | None:
    """The file beside the data that says which rows were added; None if there are no data."""
    places = (data.questions, data.intents, data.documents)
    return next((place.parent / LEARNT_FILE for place in places if place is not None), None)


def _learnt(data: DeskDataFiles) -> list[LearntRow]:
    """The rows that were added and changed something. Of a file that cannot be read, nothing is taken out."""
    file = _ledger(data)
    if file is None or not file.is_file():
        return []
    try:
        return [LearntRow(**row) for row in json.loads(_text(file))["rows"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []


def _remember(data: DeskDataFiles, rows: Sequence[LearntRow]) -> None:
    file = _ledger(data)
    if file is not None and (rows or file.is_file()):
        files.write(file, json.dumps({"rows": [asdict(row) for row in rows]}, ensure_ascii=False, indent=1).encode("utf-8"))


def _is_known(store: ConversationStore, correction: str) -> bool:
    try:
        store.corrections.correction(correction)
    except ConversationMissing:
        return False
    return True


def _take_out(rows: Sequence[LearntRow], data: DeskDataFiles) -> None:
    """Take rows out of the files, where these still have them word for word."""
    asked, answers = [row for row in rows if row.kind != "intent"], [row for row in rows if row.kind == "answer"]
    if data.questions is not None and data.questions.is_file() and asked:
        lines, gone = _text(data.questions).splitlines(), {_line(row) for row in asked}
        files.write(data.questions, "".join(f"{line}\n" for line in lines if line not in gone).encode("utf-8"))
    written = data.documents / ANSWERS_FILE if data.documents is not None else None
    intents = [row for row in rows if row.kind == "intent"]
    tables = ((written, ("question", "answer"), answers), (data.intents, (data.input, data.label), intents))
    for file, (first, second), own in tables:
        if file is not None and file.is_file() and own:
            gone_rows = {(_key(row.question), row.text) for row in own}
            columns, known = _table(file)
            kept = [row for row in known if (_key(str(row.get(first) or "")), row.get(second)) not in gone_rows]
            _write_table(file, columns, kept)


def _merge_questions(file: Path, rows: Sequence[LearntRow]) -> list[LearntRow]:
    """Add questions to a JSONL file; one that stands there with another answer gets the new one. Returns those that changed something."""
    lines = _text(file).splitlines() if file.exists() else []
    kept: dict[str, str] = {}
    for number, line in enumerate(lines):
        if line.strip():
            try:
                kept[_key(str(json.loads(line)["input"]))] = line
            except (ValueError, KeyError, TypeError, RecursionError):
                kept[f"\0{number}"] = line  # what it means is the build's business
    new = list[LearntRow]()
    for one in rows:
        if kept.get(_key(one.question)) != _line(one):
            kept[_key(one.question)] = _line(one)
            new.append(one)
    if list(kept.values()) != [line for line in lines if line.strip()]:
        files.write(file, ("\n".join(kept.values()) + "\n").encode("utf-8"))
    return new


def _line(row: LearntRow) -> str:
    """A row as a line of the questions."""
    output = None if row.kind == "no_answer" else {"id": row.document, "text": row.text}
    return json.dumps({"input": row.question, "output": output}, ensure_ascii=False)


def _table(file: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """The columns and the rows of a CSV file."""
    reader = csv.DictReader(io.StringIO(_text(file), newline=""))
    return list(reader.fieldnames or ()), list(reader)


def _write_table(file: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    files.write(file, out.getvalue().encode("utf-8"))


def _merge_csv(file: Path, names: tuple[str, str], rows: Sequence[LearntRow]) -> list[LearntRow]:
    """Add rows to a CSV file with these columns; one whose first column stands there gets the new second. Returns those that changed
    something."""
    if not rows:
        return []
    columns, known = _table(file) if file.exists() else (list(names), [])
    if missing := [name for name in names if name not in columns]:
        raise InputError("desk.file_has_no_column_of_this_name", value=f"{file.name}: {missing[0]}", columns=", ".join(columns))
    by_text = {_key(str(row.get(names[0]) or "")): row for row in known}
    changed = list[LearntRow]()
    for one in rows:
        row = by_text.get(_key(one.question))
        if row is not None and row[names[1]] == one.text:
            continue
        if row is None:
            row = by_text[_key(one.question)] = {**dict.fromkeys(columns, ""), names[0]: one.question}
            known.append(row)
        row[names[1]] = one.text
        changed.append(one)
    if changed:
        _write_table(file, columns, known)
    return changed


def _key(text: str) -> str:
    return " ".join(text.split()).casefold()


def _text(file: Path) -> str:
    if file.stat().st_size > _MOST_FILE:
        raise InputError("desk.file_of_examples_is_too_large", value=file.name, most_file=_MOST_FILE >> 20)
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError("desk.file_of_examples_is_not_utf_8", value=file.name) from None


def _recipe(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError("desk.recipe_cannot_be_read", value=f"{file}: {error}") from None


class _Quotes:
    """Sentences of documents, to be found by an answer. What people's own answers became is no document to quote from."""

    def __init__(self, documents: Path) -> None:
        from smidgen.search.documents.folder import read_documents

        self._passages = [one for one in read_documents(documents).passages() if one.document != ANSWERS_FILE]
        self._sentences = [(_spoken(said), said, passage) for passage in self._passages for said in passage.said()]

    def exact(self, answer: str) -> FoundQuote | None:
        """The sentence of a document that is most of an answer, or that holds it; None if there is none."""
        said = _spoken(answer)
        if len(said.split()) < _FEWEST_WORDS:
            return None
        same = [one for one in self._sentences if said in one[0] or (one[0] in said and len(one[0]) >= _LEAST_SHARE * len(said))]
        if not same:
            return None
        _, sentence, passage = max(same, key=lambda one: min(len(one[0]), len(said)))
        return FoundQuote(passage.document, passage.title, sentence, True)

    def find(self, text: str, most: int) -> list[FoundQuote]:
        """Sentences that may answer, the best first."""
        from smidgen.search.keyword_index import KeywordIndex

        exact = self.exact(text)
        found = [exact] if exact is not None else []
        wanted = set(_WORD.findall(text.casefold()))
        with closing(KeywordIndex(self._passages)) as index:
            for place, _ in index.find(text, most):
                passage = self._passages[place]
                said = passage.said() or [passage.text]
                sentence = max(said, key=lambda one: len(wanted & set(_WORD.findall(one.casefold()))))
                if all(sentence != one.text for one in found):
                    found.append(FoundQuote(passage.document, passage.title, sentence, False))
        return found[:most]


def _spoken(text: str) -> str:
    """The words alone, between spaces, so that no word is found within another."""
    return f" {' '.join(_WORD.findall(text.casefold()))} "
