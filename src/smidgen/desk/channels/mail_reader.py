"""Read a mail: who wrote which words in which thread, or why no answer may go to it."""

from __future__ import annotations

import email
import email.errors
import email.policy
import hashlib
import hmac
import re
from dataclasses import dataclass
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses
from itertools import islice

from smidgen.core.conversations import IncomingMessage
from smidgen.desk.channels.channel import CONVERSATION, LateFailure, PersonAnswer
from smidgen.desk.channels.mail_text import html_text, own_words

MOST_MAIL = 15_000_000
"""Longest mail that is read, in bytes."""
_MOST_PARTS = 200
_MOST_REFERENCES = 20
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
_ID = re.compile(r"<[^<>\s]{1,300}>")
_LONGEST_ID = 2_000
_BULK = ("bulk", "list", "junk", "auto_reply")
_SUPPRESSED = ("all", "autoreply", "oof")
_MACHINES = ("mailer-daemon", "postmaster", "noreply", "no-reply", "donotreply", "do-not-reply", "bounce", "bounces")
_OURS = re.compile(r"<desk\.([0-9a-f]{20})\.[0-9a-f]+@")
_HANDED = re.compile(r"<handover\.([A-Za-z0-9_-]{8,64})\.([0-9a-f]{32})\.[A-Za-z0-9_]+@")


@dataclass(frozen=True, slots=True)
class MailAccount:
    """Whose mails are read.

    Attributes:
        address: the desk's own address.
        people: addresses of people who answer conversations that were handed to them.
        key: signs the ids of mails to them, so that nobody else can answer in their place.
        any_reply_to: whether Reply-To may name an address of another domain than From.
    """

    address: str
    people: tuple[str, ...] = ()
    key: bytes = b""
    any_reply_to: bool = False


@dataclass(frozen=True, slots=True)
class ReadMail:
    """A mail as the desk sees it: a customer's message, a person's answer, a mail server's word that a mail of ours was not delivered, or
    none of these with the reason why."""

    message: IncomingMessage | None = None
    answer: PersonAnswer | None = None
    failure: LateFailure | None = None
    ignored: str = ""


def read_mail(raw: bytes, box: MailAccount) -> ReadMail:
    """Read a mail. A broken one is read as far as it goes, or ignored; nothing in it raises."""
    try:
        mail = email.message_from_bytes(raw[:MOST_MAIL], policy=email.policy.compat32)
        return _read(mail, raw, box)
    except (email.errors.MessageError, RecursionError, ValueError, LookupError, TypeError, AttributeError) as error:
        return ReadMail(ignored=f"it cannot be read ({type(error).__name__})")


def thread_key(ids: list[str]) -> str:
    """The key of a thread, from the ids that a mail refers to and its own, the oldest first. Our own ids carry it."""
    for id in reversed(ids):
        if found := _OURS.match(id):
            return found[1]
    return hashlib.sha256(ids[0].encode("utf-8", "replace")).hexdigest()[:20]


def message_id(thread: str, id: str, address: str) -> str:
    """The id of a mail from us: it carries the thread, so an answer to it is found though a client dropped the other ids."""
    return f"<desk.{thread}.{id}@{address.rpartition('@')[2]}>"


def hand_over_id(conversation: str, event: str, box: MailAccount) -> str:
    """The id of the mail that hands a conversation to a person, for an event of it. Only who got it can answer it."""
    return f"<handover.{conversation}.{_signed(conversation, box.key)}.{event}@{box.address.rpartition('@')[2]}>"


def is_address(text: str) -> bool:
    """Whether a text is one plain mail address."""
    return len(text) <= 254 and _ADDRESS.fullmatch(text) is not None and ".." not in text


def _read(mail: Message, raw: bytes, box: MailAccount) -> ReadMail:
    undelivered = _undelivered(mail)
    if undelivered is not None:
        return ReadMail(failure=undelivered)
    sender = _one_address(mail, "from")
    if not sender:
        return ReadMail(ignored="it has no single sender")
    own_id = _ids(mail, "message-id")[:1] or [f"<{hashlib.sha256(raw).hexdigest()[:40]}@none>"]
    referred = _ids(mail, "references")[:1] + _ids(mail, "references")[1:][-_MOST_REFERENCES:] + _ids(mail, "in-reply-to")[:1]
    text, files = _content(mail)
    handed = [found for one in referred if (found := _HANDED.match(one))]
    if handed:
        return _from_person(handed[-1], sender, own_id[0], text, box)
    why = _machine(mail, sender, box)
    if why:
        return ReadMail(ignored=why)
    reply_to = _one_address(mail, "reply-to")
    if reply_to and (box.any_reply_to or reply_to.rpartition("@")[2] == sender.rpartition("@")[2]) and reply_to != box.address.lower():
        sender = reply_to
    subject = " ".join(_decoded(mail, "subject").split())[:500]
    facts = {"message_id": own_id[0], "references": list(dict.fromkeys([*referred, *own_id]))[-_MOST_REFERENCES:]}
    thread = thread_key([*referred, *own_id])
    return ReadMail(IncomingMessage("email", own_id[0][:500], thread, sender, text, subject, files, facts))


def _from_person(found: re.Match[str], sender: str, id: str, text: str, box: MailAccount) -> ReadMail:
    """A person's answer to a conversation that was handed over. Both the id and the sender must be right."""
    right = bool(box.key) and hmac.compare_digest(_signed(found[1], box.key), found[2])
    if not right or sender not in {one.lower() for one in box.people}:
        return ReadMail(ignored="it answers a hand-over and is not from the person who got it")
    if not text.strip():
        return ReadMail(ignored="it answers a hand-over and has no words")
    return ReadMail(answer=PersonAnswer(id[:500], CONVERSATION + found[1], text, sender))


def _undelivered(mail: Message) -> LateFailure | None:
    """The mail of ours that a mail server reports as not delivered (RFC 3464); None for any other mail, and where it is only late."""
    if mail.get_content_type() != "multipart/report":
        return None
    status, ours = "", ""
    for part in islice(mail.walk(), 1, _MOST_PARTS):
        if str(part.get("action", "")).strip().lower() == "failed":
            status = f"status {' '.join(str(part.get('status', 'unknown')).split())[:20]}"
        named = str(part.get("message-id", ""))
        if part.get_content_type() == "text/rfc822-headers":
            payload = part.get_payload(decode=True)
            headers = payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
            named = str(email.message_from_string(headers).get("message-id", ""))
        ours = next((id for id in _ID.findall(named[:_LONGEST_ID]) if _OURS.match(id)), ours)
    return LateFailure(ours, f"the mail was not delivered ({status})") if status and ours else None


def _machine(mail: Message, sender: str, box: MailAccount) -> str:
    """Why no answer may go to a mail, in words; empty if one may. A machine that answers machines never ends."""
    if sender == box.address.lower():
        return "it is from the desk itself"
    if sender.partition("@")[0] in _MACHINES:
        return "its sender takes no mail"
    submitted = _decoded(mail, "auto-submitted").partition(";")[0].strip().lower()
    if submitted not in ("", "no"):
        return "a machine sent it (Auto-Submitted)"
    if _decoded(mail, "precedence").strip().lower() in _BULK:
        return "it is bulk mail (Precedence)"
    suppressed = _decoded(mail, "x-auto-response-suppress").lower().replace(" ", "").split(",")
    if any(one in suppressed for one in _SUPPRESSED):
        return "it wants no automatic answer (X-Auto-Response-Suppress)"
    for name in ("list-id", "list-unsubscribe", "x-autoreply", "x-autorespond", "x-auto-reply", "x-loop"):
        if mail.get(name):
            return f"it is of a list or a machine ({name})"
    if mail.get("return-path") is not None and not _decoded(mail, "return-path").strip().strip("<>").strip():
        return "it is a bounce (null sender)"
    if mail.get_content_type() in ("multipart/report", "message/delivery-status"):
        return "it is a report of a mail server"
    return ""


def _content(mail: Message) -> tuple[str, int]:
    """The sender's words, and how many files came with them."""
    plain = rich = None
    files = 0
    for number, part in enumerate(mail.walk()):
        if number >= _MOST_PARTS:
            break
        if part.is_multipart():
            files += part.get_content_type() == "message/rfc822"
            continue
        kind = part.get_content_type()
        attached = "attachment" in str(part.get("content-disposition", "")).lower() or bool(part.get_filename())
        if attached or not kind.startswith("text/"):
            # a picture that the mail itself shows, such as a logo, is not an attachment
            files += not (kind.startswith("image/") and part.get("content-id"))
        elif kind == "text/plain" and plain is None:
            plain = _text(part)
        elif kind == "text/html" and rich is None:
            rich = _text(part)
    text = plain if plain is not None and plain.strip() else html_text(rich) if rich else ""
    return own_words(text), files


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    content = payload if isinstance(payload, bytes) else b""
    for charset in (part.get_content_charset(), "utf-8", "cp1252"):
        try:
            return content.decode(charset or "utf-8")
        except (LookupError, ValueError):
            continue
    return content.decode("utf-8", "replace")


def _decoded(mail: Message, name: str) -> str:
    """A header's words, unfolded."""
    given = str(mail.get(name, ""))[:4_000]
    try:
        decoded = str(make_header(decode_header(given)))
    except (LookupError, ValueError, email.errors.MessageError):
        decoded = given
    return " ".join(decoded.split())


def _one_address(mail: Message, name: str) -> str:
    """The address of a header, in lower case; empty if it has none, or several."""
    given = mail.get_all(name, [])
    if len(given) != 1:
        return ""
    found = {address.lower() for _, address in getaddresses([str(given[0])[:2_000].replace("\n", " ").replace("\r", " ")]) if address}
    (address,) = found if len(found) == 1 else ("",)
    return address if is_address(address) else ""


def _ids(mail: Message, name: str) -> list[str]:
    return _ID.findall(str(mail.get(name, ""))[:20_000])


def _signed(conversation: str, key: bytes) -> str:
    return hmac.new(key, conversation.encode(), hashlib.sha256).hexdigest()[:32]
