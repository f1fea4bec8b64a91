"""The words of a mail: from HTML to text, without quoted earlier mails and signatures."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_MOST = 200_000
_HIDDEN = frozenset({"script", "style", "head", "title", "blockquote", "template", "svg"})
_BREAKS = frozenset({"p", "div", "br", "tr", "li", "h1", "h2", "h3", "h4", "table", "ul", "ol", "hr"})
_VOID = frozenset({"br", "hr", "img", "input", "meta", "link", "area", "base", "col", "embed", "source", "track", "wbr"})
_QUOTED_CLASSES = ("gmail_quote", "gmail_signature", "yahoo_quoted", "moz-cite-prefix", "moz-signature", "protonmail_quote")
_QUOTED_IDS = ("divRplyFwdMsg", "appendonsend", "mail-editor-reference-message-container")

_ATTRIBUTION = re.compile(
    r"^\s*(?:On\b.{4,200}\bwrote|Am\b.{4,200}\bschrieb.{0,120}|Le\b.{4,200}\ba écrit|El\b.{4,200}\bescribió)\s*:\s*$", re.IGNORECASE
)
_TITLES = "Original Message|Ursprüngliche Nachricht|Forwarded message|Weitergeleitete Nachricht|Message d'origine"
_SEPARATOR = re.compile(rf"^\s*(?:-{{2,}}\s*(?:{_TITLES})\s*-{{2,}}|_{{20,}})\s*$", re.IGNORECASE)
_HEADER = re.compile(r"^\s*\*?(?:From|Von|De)\*?\s*:\s*\S.*$")
_NEXT_HEADER = re.compile(r"^\s*\*?(?:Sent|Date|Gesendet|Datum|To|An|Envoyé|Enviado)\*?\s*:", re.IGNORECASE)
_DEVICE = re.compile(r"^\s*(?:Sent from my|Von meinem .{1,40} gesendet|Gesendet von|Get Outlook for|Envoyé de mon)\b", re.IGNORECASE)


def own_words(text: str) -> str:
    """The words that the sender wrote: without quotations, the line above them, and the signature."""
    lines = text[:_MOST].replace("\r\n", "\n").replace("\r", "\n").replace("\u00a0", " ").split("\n")
    kept: list[str] = []
    place = 0
    while place < len(lines):
        line = lines[place]
        if line.rstrip("\n") in ("-- ", "--") or _DEVICE.match(line) or _SEPARATOR.match(line) or _is_header_block(lines, place):
            break
        length = _attribution(lines, place)
        if length:
            after = next((one for one in lines[place + length :] if one.strip()), "")
            if not after.lstrip().startswith(">"):
                break  # all that follows is quoted without marks
            place += length
            continue
        if not line.lstrip().startswith(">"):
            kept.append(line.rstrip())
        place += 1
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()


def html_text(html: str) -> str:
    """The visible text of an HTML mail, without its quotations."""
    reader = _HtmlText()
    reader.feed(html[:_MOST])
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.pieces).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _attribution(lines: list[str], place: int) -> int:
    """How many lines the line above a quotation takes here: it may be broken in two; 0 if it is none."""
    if _ATTRIBUTION.match(lines[place]):
        return 1
    if place + 1 < len(lines) and lines[place].strip() and _ATTRIBUTION.match(f"{lines[place].rstrip()} {lines[place + 1].strip()}"):
        return 2
    return 0


def _is_header_block(lines: list[str], place: int) -> bool:
    """Whether the headers of a quoted mail begin here, as Outlook writes them."""
    return bool(_HEADER.match(lines[place])) and any(_NEXT_HEADER.match(line) for line in lines[place + 1 : place + 4])


class _HtmlText(HTMLParser):
    """Collects the text outside of hidden and quoted elements."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._hidden: list[str] = []
        self._cut = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if (given.get("id") or "") in _QUOTED_IDS:
            self._cut = True  # what follows is the quoted mail
        if self._hidden:
            if tag not in _VOID:
                self._hidden.append(tag)
            return
        classes = (given.get("class") or "").split()
        style = (given.get("style") or "").replace(" ", "").lower()
        if tag in _HIDDEN or any(one in classes for one in _QUOTED_CLASSES) or "display:none" in style:
            if tag not in _VOID:
                self._hidden.append(tag)
            return
        if tag in _BREAKS:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if self._hidden:
            # Unclosed elements inside end with the one around them.
            if tag in self._hidden:
                while self._hidden and self._hidden.pop() != tag:
                    pass
            return
        if tag in _BREAKS:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden and not self._cut:
            self.pieces.append(re.sub(r"\s+", " ", data))
