"""A small desk for tests: it quotes the sample shop's own policies, reads its own table of orders, and asks before it cancels one."""

from __future__ import annotations

import csv
import re
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files

from smidgen.core.conversations import Card, Citation, DeskAnswer, DeskConversation, DeskReply, ProposedCall

SAMPLES = files("smidgen") / "samples" / "homeware"
_WORD = re.compile(r"\w{3,}")
_LITTLE = frozenset(["the", "and", "for", "you", "can", "are", "how", "what", "does", "this", "that", "with", "our", "your", "from"])
GREETING = {"en": "Hello! Ask me about delivery, returns or an order.", "de": "Hallo! Fragen Sie mich nach Lieferung oder Bestellungen."}


@dataclass(frozen=True)
class Paragraph:
    """A numbered paragraph of the policies."""

    number: str
    heading: str
    text: str

    @property
    def words(self) -> set[str]:
        return {word.lower() for word in _WORD.findall(f"{self.heading} {self.text}")} - _LITTLE


def paragraphs() -> list[Paragraph]:
    found, heading = [], ""
    for line in (SAMPLES / "policies.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ").split(" ", 1)[1]
        elif (given := re.match(r"(\d+\.\d+) (.+)", line)) is not None:
            found.append(Paragraph(given[1], heading, given[2].replace("**", "")))
    return found


def rows(name: str) -> list[dict[str, str]]:
    with (SAMPLES / name).open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@dataclass
class SampleDesk:
    """The desk. `hold` makes it wait before an answer; `ran` has the calls that it ran; `break_next` makes the next answer fail."""

    name: str = "shop"
    greeting: Mapping[str, str] = field(default_factory=lambda: GREETING)
    ran: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)
    break_next: bool = False
    pause: float = 0.0

    def __post_init__(self) -> None:
        self.hold.set()
        self._paragraphs = paragraphs()
        self._orders = {row["order_id"]: row for row in rows("orders.csv")}
        self._products = rows("products.csv")

    def answer(self, conversation: DeskConversation, message: str) -> DeskAnswer:
        assert self.hold.wait(20)
        time.sleep(self.pause)
        self.heard.append(message)
        if self.break_next:
            self.break_next = False
            raise ValueError("a secret text")
        return DeskAnswer(self._reply(message), {**conversation.state, "heard": len(self.heard)})

    def decide(self, conversation: DeskConversation, call: str, yes: bool) -> DeskAnswer:
        if not yes:
            return DeskAnswer(DeskReply("cancelled", "All right. Nothing was changed."), conversation.state)
        self.ran.append(call)
        return DeskAnswer(DeskReply("done", "Done. Your order is cancelled, and you get an e-mail about it."), conversation.state)

    def _reply(self, message: str) -> DeskReply:
        asked = {word.lower() for word in _WORD.findall(message)} - _LITTLE
        order = re.search(r"FH-\d{5}", message)
        if "cancel" in asked and order is not None:
            call = ProposedCall(secrets.token_urlsafe(12), "cancel_order", {"order number": order[0]}, f"Cancel order {order[0]}")
            return DeskReply("proposed", "I can do that for you.", call=call)
        if order is not None:
            return self._order(order[0])
        if asked & {"lamp", "lamps", "cushion", "cushions", "pan", "pans"}:
            return self._recommend(next(iter(asked & {"lamp", "lamps", "cushion", "cushions", "pan", "pans"})))
        best = max(self._paragraphs, key=lambda one: len(one.words & asked))
        if not best.words & asked:
            return DeskReply("unanswered", "I do not know that. Shall I pass you on to a person?", score=0.2)
        sentence = max(re.split(r"(?<=\.) ", best.text), key=lambda one: len(asked & {word.lower() for word in _WORD.findall(one)}))
        start = best.text.index(sentence)
        citation = Citation("policies.md", "Shop policies", sentence, start, start + len(sentence), best.heading)
        return DeskReply(
            "answered",
            sentence,
            member="answer",
            facts={"secret": "for the business alone"},
            citations=(replace(citation, passage=best.text, url=f"policies.html#p{best.number.replace('.', '-')}"),),
        )

    def _order(self, number: str) -> DeskReply:
        row = self._orders.get(number)
        if row is None:
            return DeskReply("answered", "I find no such order.")
        shown = {"status": row["status"], "carrier": row["carrier"], "tracking": row["tracking"], "promised for": row["promised_date"]}
        card = Card("order", f"Order {number}", ({**shown, "items": row["items"].split(";"), "total": f"£{row['total_gbp']}"},))
        return DeskReply("answered", "Here is your order.", member="act", cards=(card,))

    def _recommend(self, kind: str) -> DeskReply:
        found = [row for row in self._products if row["category"].startswith(kind.rstrip("s")) and row["stock"] != "0"][3:6]
        items = tuple(
            {
                "name": row["name"],
                "price": f"£{row['price_gbp']}",
                "url": "product.html",
                "image": f"drawings/{row['category']}.svg",
                "reason": row["description"].split(". ")[0],
            }
            for row in found
        )
        return DeskReply(
            "answered", f"These {kind.rstrip('s')}s are in stock:", member="recommend", cards=(Card("products", "For you", items),)
        )
