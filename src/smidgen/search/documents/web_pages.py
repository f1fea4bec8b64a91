"""Read saved web pages as blocks: their text as a visitor sees it, without scripts, navigation, comments and hidden elements."""

from __future__ import annotations

import re
from typing import Any

from smidgen.core.errors import MissingExtra
from smidgen.search.documents.document import TextBlock

_NOT_READ = """
    script style nav aside footer form template noscript svg iframe object embed canvas button select input textarea
    head dialog video audio map
"""
_LEFT_OUT = frozenset(_NOT_READ.split())
_OWN_LINES = """
    p div section article main li dd dt td th tr blockquote pre figcaption caption summary details table ul ol dl address header
    h1 h2 h3 h4 h5 h6 hr
"""
_BLOCKS = frozenset(_OWN_LINES.split())
_HIDING = re.compile(r"display:none|visibility:hidden|(?:font-size|opacity):0(?![.\d])|(?:left|top|text-indent):-\d{3,}")
_MOST_ELEMENTS = 500_000
_DEEPEST = 200


def read_web_page(content: bytes) -> tuple[str, str, list[TextBlock]]:
    """Title, address and blocks of a page. Raises MissingExtra without lxml, ValueError, a clause, for a page that cannot be read."""
    try:
        from lxml import etree, html
    except ImportError as error:
        raise MissingExtra("lxml", "desk") from error
    parser = html.HTMLParser(remove_comments=True, remove_pis=True, no_network=True, huge_tree=False, encoding=_encoding(content))
    try:
        root = html.document_fromstring(content, parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError, ValueError) as error:
        raise ValueError(f"it is no HTML page ({error})") from None
    if sum(1 for _ in root.iter()) > _MOST_ELEMENTS:
        raise ValueError(f"it has more than {_MOST_ELEMENTS:,} elements")
    title = " ".join((root.findtext(".//head/title") or root.findtext(".//title") or "").split())
    address = next((link.get("href", "") for link in root.iterfind(".//link[@rel='canonical']")), "")
    body = root.find("body") if root.find("body") is not None else root
    main = next((found for tag in ("main", "article") if len(found := list(body.iter(tag))) == 1), [body])[0]
    reading = _PageReading()
    reading.read(main, 0)
    reading.close()
    heading = next((block.text for block in reading.blocks if block.level == 1), "")
    return title or heading, address if address.startswith(("https://", "http://")) else "", reading.blocks


def _encoding(content: bytes) -> str | None:
    """UTF-8 if the bytes are; else what the page says."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return "utf-8"


class _PageReading:
    """The blocks found so far, and the words of the open one."""

    def __init__(self) -> None:
        self.blocks: list[TextBlock] = []
        self._words: list[str] = []

    def close(self, level: int = 0) -> None:
        text = " ".join("".join(self._words).split())
        self._words = []
        if text:
            self.blocks.append(TextBlock(text, level=level))

    def read(self, element: Any, depth: int) -> None:
        """Add an element's text, in the order of the page."""
        tag = element.tag if isinstance(element.tag, str) else ""
        if not tag or tag in _LEFT_OUT or _hidden(element) or depth > _DEEPEST:
            return
        if tag == "details" and self._question(element):
            return
        if tag == "tr":
            self._row(element)
            return
        block = tag in _BLOCKS
        if block:
            self.close()
        if tag == "br":
            self._words.append("\n" if not self._words else " ")
        self._words.append(element.text or "")
        for child in element:
            self.read(child, depth + 1)
            self._words.append(child.tail or "")
        if block:
            self.close(int(tag[1]) if len(tag) == 2 and tag[0] == "h" and tag[1].isdigit() else 0)

    def _question(self, element: Any) -> bool:
        """Whether an element is a FAQ entry that opens: then it was added as one."""
        summary = element.find("summary")
        if summary is None:
            return False
        asked, answer = _visible(summary), " ".join(_visible(child) for child in element if child is not summary)
        answer = " ".join(f"{summary.tail or ''} {answer}".split())
        if not asked or not answer:
            return False
        self.close()
        self.blocks.append(TextBlock(answer, question=asked))
        return True

    def _row(self, row: Any) -> None:
        """Add a table's row: its cells, each with the name of its column if the table has a row of names."""
        self.close()
        cells = [_visible(cell) for cell in row if cell.tag in ("td", "th")]
        if cells and all(cell.tag == "th" for cell in row if cell.tag in ("td", "th")):
            return
        table = next((parent for parent in row.iterancestors("table")), None)
        first = next(table.iter("tr"), None) if table is not None else None
        names = [_visible(cell) for cell in first if cell.tag == "th"] if first is not None else []
        pairs = [(names[place] if place < len(names) else "", cell) for place, cell in enumerate(cells)]
        text = "; ".join(f"{name}: {cell}" if name and name != cell else cell for name, cell in pairs if cell)
        if text:
            self.blocks.append(TextBlock(text))


def _visible(element: Any) -> str:
    """All visible words inside an element."""
    if not isinstance(element.tag, str) or element.tag in _LEFT_OUT or _hidden(element):
        return ""
    parts = [element.text or ""]
    for child in element:
        inner = _visible(child)
        parts += [f" {inner} " if child.tag in _BLOCKS else inner, child.tail or ""]
    return " ".join("".join(parts).split())


def _hidden(element: Any) -> bool:
    style = "".join((element.get("style") or "").lower().split())
    role = element.get("role") or ""
    return (
        element.get("hidden") is not None
        or element.get("aria-hidden") == "true"
        or role in ("navigation", "banner", "search", "contentinfo")
        or _HIDING.search(style) is not None
    )
