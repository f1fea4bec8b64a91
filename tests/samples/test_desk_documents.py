"""The documents of the sample desk, and questions about them: each answer is quoted from the document that it names."""

from __future__ import annotations

import importlib.resources
import json
import re
from collections import Counter
from pathlib import Path

from smidgen.search.documents.folder import read_documents
from smidgen.tasks.answer import AnswerSettings, part

FOLDER = Path(str(importlib.resources.files("smidgen") / "samples" / "homeware"))
DOCUMENTS = FOLDER / "desk" / "documents"


def rows() -> list[dict]:
    return [json.loads(line) for line in (FOLDER / "desk" / "questions.jsonl").read_text(encoding="utf-8").splitlines()]


def test_policies_and_faq_are_those_of_the_shop() -> None:
    for name in ("policies.md", "faq.csv"):
        assert (DOCUMENTS / name).read_bytes() == (FOLDER / name).read_bytes()


def test_each_answer_is_quoted_from_its_document() -> None:
    reading = read_documents(DOCUMENTS)
    texts = {document.id: " ".join(document.text.split()) for document in reading.documents}
    assert len(texts) == 11 and not reading.problems
    answered = [row for row in rows() if row["output"] is not None]
    assert [row["input"] for row in answered if row["output"]["text"] not in texts[row["output"]["id"]]] == []
    assert len(answered) == 105 and set(texts) == {row["output"]["id"] for row in answered}


def test_questions_are_asked_once_and_some_have_no_answer() -> None:
    found = rows()
    assert len({row["input"].casefold() for row in found}) == len(found) == 150
    assert Counter(row["output"] is None for row in found) == {True: 45, False: 105}
    assert all(part.parse(row["output"], AnswerSettings()) == row["output"] for row in found)


def test_prices_of_the_pages_do_not_contradict_the_policies() -> None:
    """Prices of things that the policies price, too."""
    policies = (DOCUMENTS / "policies.md").read_text(encoding="utf-8")
    said = {
        r"Gift wrapping costs (£[\d.]+)": "£3.50",
        r"re-seasons cast iron for .* Return postage is (£[\d.]+)": "£3.95",
        r"a third visit costs (£\d+)": "£19",
        r"BFPO parcels go by Standard at (£[\d.]+)": "£3.95",
        r"Trade prices are (12% off list from £300)": "12% off list from £300",
        r"Gift cards come as .* for (£10 to £250)": "£10 to £250",
    }
    pages = "\n".join(file.read_text(encoding="utf-8") for file in sorted(DOCUMENTS.iterdir()) if file.name != "policies.md")
    checked = 0
    for pattern, price in said.items():
        found = re.findall(pattern, pages)
        assert found == [price] and price in policies, pattern
        checked += 1
    assert checked == 6
