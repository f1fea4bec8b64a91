"""Scanned pages of a PDF: read where the extra `ocr` is installed; else the file says what reads it."""

from __future__ import annotations

import io
from typing import Any

import pytest

from smidgen.search.documents import office_files
from smidgen.search.documents.office_files import read_pdf

from .office_samples import pdf

PAGES = [["The first page has words of its own."], []]


def test_a_scanned_page_gets_the_words_of_its_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(office_files, "_words_in_pictures", lambda page: "Returns are free.\nFor 30 days.")
    found = [(block.text, block.page) for block in read_pdf(pdf(PAGES))[1]]
    assert found == [("The first page has words of its own.", 1), ("Returns are free. For 30 days.", 2)]
    assert [block.page for block in read_pdf(pdf([[]]))[1]] == [1]


def test_without_the_extra_a_scan_says_how_to_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(office_files, "_ocr", lambda: None)
    with pytest.raises(ValueError, match=r"pictures of text and no text; to read them by OCR, run: pip install .*\[ocr\]"):
        read_pdf(pdf([[]]))
    assert len(read_pdf(pdf(PAGES))[1]) == 1


def test_a_real_scan_is_read() -> None:
    pytest.importorskip("rapidocr_onnxruntime")
    drawing: Any = pytest.importorskip("PIL.ImageDraw")
    image: Any = pytest.importorskip("PIL.Image")
    font: Any = pytest.importorskip("PIL.ImageFont")
    page = image.new("RGB", (1000, 400), "white")
    drawing.Draw(page).text((80, 150), "Send goods back within 30 days.", fill="black", font=font.load_default(size=36))
    scan = io.BytesIO()
    page.save(scan, "PDF", resolution=150)
    (block,) = read_pdf(scan.getvalue())[1]
    assert block.page == 1 and "".join(block.text.split()).casefold() == "sendgoodsbackwithin30days."
