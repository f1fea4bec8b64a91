"""Read Markdown and plain text as blocks."""

from __future__ import annotations

import re

from smidgen.search.documents.document import TextBlock

_HEADING = re.compile(r" {0,3}(#{1,6})\s+(.+?)\s*#*\s*$")
_UNDERLINE = re.compile(r" {0,3}(=+|-{2,})\s*$")
_ITEM = re.compile(r"\s*(?:[-*+•]|\d{1,3}[.)])\s+")
_BULLET = re.compile(r"^\s*[-*+•]\s+")
_FENCE = re.compile(r"\s*(```|~~~)")
_RULE = re.compile(r"\s*(?:[-*_]\s*){3,}$")
_TABLE_LINE = re.compile(r"\s*\|?[\s:|-]*-[\s:|-]*\|[\s:|-]*$")
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_FRONT = re.compile(r"\A---\r?\n(.*?)\r?\n---\r?\n", re.DOTALL)
_HIDDEN_TAG = re.compile(r"<(script|style|template)\b.*?(?:</\1\s*>|\Z)", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,500}>")
_IMAGE = re.compile(r"!\[[^\]]{0,500}\]\([^)\s]{0,2000}(?:\s+\"[^\"]{0,300}\")?\)")
_LINK = re.compile(r"\[([^\]]{1,500})\]\([^)\s]{0,2000}(?:\s+\"[^\"]{0,300}\")?\)")
_BOLD = re.compile(r"(\*\*|__)(?=\S)(.{1,2000}?)(?<=\S)\1")
_ITALIC = re.compile(r"(?<![\w*])([*_])(?=[^\s*_])([^*_\n]{1,500}?)(?<=[^\s*_])\1(?![\w*])")
_ESCAPE = re.compile(r"\\([\\`*_{}\[\]()#+.!|<>~-])")


def read_markdown(text: str) -> tuple[str, str, list[TextBlock]]:
    """Title, address and blocks of a Markdown text. HTML comments, scripts and images are left out. The title is that of the front matter,
    else the first heading; both may be empty."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    front = _FRONT.match(text)
    told = dict(re.findall(r"^(title|url):\s*[\"']?(.+?)[\"']?\s*$", front[1], re.MULTILINE)) if front else {}
    body = _HIDDEN_TAG.sub("", _COMMENT.sub("", text[front.end() :] if front else text))
    blocks = _blocks(body.split("\n"))
    first = next((block.text for block in blocks if block.level == 1), next((block.text for block in blocks if block.level), ""))
    url = told.get("url", "")
    return told.get("title") or first, url if url.startswith(("https://", "http://")) else "", blocks


def read_plain_text(text: str) -> list[TextBlock]:
    """A block for each paragraph; list items and clauses with a number are blocks of their own."""
    blocks, lines = list[TextBlock](), list[str]()
    for line in [*text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), ""]:
        if lines and (not line.strip() or _ITEM.match(line)):
            blocks.append(TextBlock(" ".join(" ".join(lines).split())))
            lines = []
        if line.strip():
            lines.append(line)
    return blocks


def _blocks(lines: list[str]) -> list[TextBlock]:
    made, paragraph = list[TextBlock](), list[str]()
    header: list[str] | None = None
    fenced = False

    def close() -> None:
        words = plain_words(" ".join(paragraph))
        if words:
            made.append(TextBlock(words))
        paragraph.clear()

    for place, line in enumerate(lines):
        if _FENCE.match(line):
            close()
            fenced = not fenced
            continue
        if fenced:
            paragraph.append(line)
            continue
        heading = _HEADING.match(line)
        below = _UNDERLINE.match(line)
        if heading:
            close()
            made.append(TextBlock(plain_words(heading[2]), level=len(heading[1])))
        elif below and len(paragraph) == 1 and not _ITEM.match(paragraph[0]):
            made.append(TextBlock(plain_words(paragraph.pop()), level=1 if below[1][0] == "=" else 2))
        elif _TABLE_LINE.match(line) and place and "|" in lines[place - 1]:
            header = _cells(lines[place - 1])
            paragraph.clear()
        elif header is not None and "|" in line:
            words = "; ".join(f"{name}: {cell}" if name else cell for name, cell in zip(header, _cells(line), strict=False) if cell)
            made.append(TextBlock(words))
        elif not line.strip() or _RULE.match(line):
            close()
            header = None
        else:
            if _ITEM.match(line):
                close()
            paragraph.append(_BULLET.sub("", line.lstrip("> ") if line.lstrip().startswith(">") else line, count=1).strip())
    close()
    return [block for block in made if block.text]


def _cells(line: str) -> list[str]:
    return [plain_words(cell) for cell in line.strip().strip("|").split("|")]


def plain_words(text: str) -> str:
    """A line of Markdown without its marks."""
    for pattern, instead in ((_IMAGE, ""), (_LINK, r"\1"), (_BOLD, r"\2"), (_ITALIC, r"\2"), (_TAG, " "), (_ESCAPE, r"\1")):
        text = pattern.sub(instead, text)
    return " ".join(text.replace("`", "").split())
