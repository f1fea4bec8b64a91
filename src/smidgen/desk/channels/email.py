"""E-mail: reads a mailbox by IMAP, and answers by SMTP or as drafts that a person sends."""

from __future__ import annotations

import contextlib
import imaplib
import smtplib
import ssl
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime, formataddr
from typing import Any, Literal

from smidgen.core.conversations import OutgoingMessage
from smidgen.core.errors import InputError, MissingExtra
from smidgen.core.settings import Settings, setting
from smidgen.desk.channels.channel import DeliveryError, OnDoubt, WebhookAnswer, given_up, secret
from smidgen.desk.channels.decisions import asked_in_words
from smidgen.desk.channels.mail_reader import MOST_MAIL, MailAccount, hand_over_id, is_address, message_id, read_mail
from smidgen.desk.channels.plain_text import plain_text

_MOST_TEXT = 20_000
_SECONDS = 30.0
_IDLE_SECONDS = 60.0
_MARK = "DeskTaken"
"""The keyword of mails that were read: people's own read marks stay as they are."""
_AT_ONCE = 50
_DAYS = 2
"""How old a mail may be. A desk that starts must not answer years of mail."""
_KEY_SECONDS = 300.0
_HOUR = 3_600.0
_MOST_SENDERS = 10_000
_LOOPBACK = ("localhost", "127.0.0.1", "::1")

_MOST_QUOTED = 2_000
_VISITED = {
    "en": ("Your question to us", "You asked on our site:"),
    "de": ("Ihre Frage an uns", "Sie haben auf unserer Seite gefragt:"),
}
"""Subject and words of a mail to a visitor of a site."""

Security = Literal["tls", "starttls", "none"]


class EmailSettings(Settings):
    """Settings of an e-mail channel."""

    address: str = setting(..., "The desk's own address.")
    name: str = setting("", "The name beside the address, as customers see it.")
    user: str = setting("", "The name to log in with, if it is not the address.")
    password_env: str = setting("DESK_MAIL_PASSWORD", "The environment variable with the mailbox's password.", hidden=True)
    imap_host: str = setting(..., "The IMAP server.")
    imap_port: int = setting(993, "Its port.", ge=1, le=65_535)
    imap_security: Security = setting("tls", "How the connection is secured. `none` only for a server of this machine.")
    smtp_host: str = setting("", "The SMTP server, if it is not the IMAP server.")
    smtp_port: int = setting(465, "Its port.", ge=1, le=65_535)
    smtp_security: Security = setting("tls", "How the connection is secured. `none` only for a server of this machine.")
    folder: str = setting("INBOX", "The folder that is read.")
    policy: Literal["reply", "draft"] = setting("draft", "Whether answers are sent, or saved as drafts that a person sends.")
    drafts: str = setting("Drafts", "The folder of drafts.")
    any_reply_to: bool = setting(False, "Whether Reply-To may name an address of another domain than the sender's.")
    on_doubt: OnDoubt = setting(
        "repeat", "What happens to a mail whose arrival is unknown: repeat it, or give_up and leave it to people as a dead letter."
    )
    people: tuple[str, ...] = setting((), "Addresses of people who get conversations that are handed over, and answer them by mail.")
    most_an_hour: int = setting(20, "Most mails of one sender that are answered in an hour.", ge=1, le=1_000)


class EmailChannel:
    """A mailbox. A mail's id is its Message-ID, so one that is read twice is answered once."""

    settings = EmailSettings

    def __init__(self, settings: EmailSettings, environment: Mapping[str, str] | None = None) -> None:
        self._settings = settings
        for one in (settings.address, *settings.people):
            if not is_address(one):
                raise InputError("desk.this_is_not_mail_address", value=one)
        hosts = ((settings.imap_host, settings.imap_security), (settings.smtp_host or settings.imap_host, settings.smtp_security))
        for host, security in hosts:
            if security == "none" and host not in _LOOPBACK:
                raise InputError("desk.mail_server_needs_encryption", value=host)
        self._password = secret(settings.password_env, "the mailbox's password", environment)
        self.box = MailAccount(settings.address, settings.people, self._password.encode(), settings.any_reply_to)
        self._senders: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = threading.Lock()

    def close(self) -> None:
        """Nothing stays open between mails."""

    def poll(self, take: Callable[[WebhookAnswer], object], idle: float = _IDLE_SECONDS) -> int:
        """Read new mails and give each to `take`, which stores it; then wait for more, up to `idle` seconds. Returns how many were read.

        A mail is marked once `take` has returned, so a crash between the two reads it again. Raises OSError or imaplib's errors where the
        server fails.
        """
        with self._opened() as mailbox:
            read = self._read(mailbox, take)
            if not read and idle > 0:
                if b"IDLE" in b" ".join(_capabilities(mailbox)).upper():
                    mailbox.idle.wait(timeout=idle)
                else:
                    time.sleep(min(idle, 15.0))
                read = self._read(mailbox, take)
            return read

    def check(self) -> str:
        """The address, after a log-in for reading and, if mails are sent, one for sending; none is sent."""
        try:
            import imap_tools
        except ModuleNotFoundError:
            raise MissingExtra("imap-tools", "desk") from None
        try:
            with _told():
                with self._opened():
                    pass
                if self._settings.policy == "reply" or self._settings.people:
                    with self._connected() as smtp:
                        smtp.noop()
        except imap_tools.MailboxLoginError:
            raise DeliveryError("desk.mail_server_refused_password", value="IMAP", passing=True, after=_KEY_SECONDS) from None
        except imap_tools.MailboxFolderSelectError:
            raise DeliveryError("desk.mailbox_has_no_such_folder", value=self._settings.folder, passing=True) from None
        return self._settings.address

    def send(self, message: OutgoingMessage, again: bool) -> str:
        """Send an answer to the sender of a mail, or save the desk's own as a draft. The Message-ID is equal at every attempt."""
        if again and self._settings.policy == "reply" and self._settings.on_doubt == "give_up":
            raise given_up("the mail server")
        mail = self._reply(message)
        # What a person has written needs no other person to send it.
        return self.send_mail(mail, again, draft=self._settings.policy == "draft" and message.reply is not None)

    def hand_over(self, conversation: str, event: str, subject: str, text: str) -> None:
        """Send a summary of a conversation to the people. An answer to it by mail goes to the customer."""
        mail = self._new(", ".join(self._settings.people), f"[Desk] {subject}"[:200], text)
        mail["Message-ID"] = hand_over_id(conversation, event, self.box)
        self.send_mail(mail, False, draft=False)

    def send_mail(self, mail: EmailMessage, again: bool, draft: bool) -> str:
        """Send a mail, or save it as a draft; returns its Message-ID. Raises DeliveryError."""
        with _told():
            if draft:
                self._save_draft(mail, again)
            else:
                self._send(mail)
        return str(mail["Message-ID"])

    def _reply(self, message: OutgoingMessage) -> EmailMessage:
        if not is_address(message.recipient):
            raise DeliveryError("desk.recipient_is_not_mail_address", value=message.recipient, passing=False)
        subject = " ".join(message.subject.split())[:200] or "Your message"
        asked = str(message.facts.get("asked", ""))
        words = _VISITED.get(str(message.facts.get("language", "")), _VISITED["en"])
        subject = words[0] if asked and not message.subject else subject
        quoted = f"{words[1]}\n" + "\n".join(f"> {line}" for line in asked[:_MOST_QUOTED].splitlines()) if asked else ""
        text = "\n\n".join(part for part in (plain_text(message, _MOST_TEXT), asked_in_words(message), quoted) if part)
        mail = self._new(message.recipient, subject if subject.lower().startswith("re:") else f"Re: {subject}", text)
        mail["Message-ID"] = message_id(message.thread, message.id, self._settings.address)
        references = [str(one) for one in message.facts.get("references", ())]
        if "message_id" in message.facts:
            mail["In-Reply-To"] = str(message.facts["message_id"])
            mail["References"] = " ".join(references) or str(message.facts["message_id"])
        return mail

    def _new(self, to: str, subject: str, text: str) -> EmailMessage:
        mail = EmailMessage()
        mail["From"] = formataddr((" ".join(self._settings.name.split()), self._settings.address))
        mail["To"] = to
        mail["Subject"] = " ".join(subject.split())
        mail["Date"] = format_datetime(datetime.now(UTC))
        mail["Auto-Submitted"] = "auto-replied"
        mail["X-Auto-Response-Suppress"] = "All"
        mail.set_content(text)
        return mail

    def _send(self, mail: EmailMessage) -> None:
        with self._connected() as smtp:
            smtp.send_message(mail, from_addr=self._settings.address)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        """The mail server, logged in."""
        chosen = self._settings
        host = chosen.smtp_host or chosen.imap_host
        context = ssl.create_default_context()
        with contextlib.ExitStack() as stack:
            with _told(unsure=False):  # no mail has gone yet
                smtp: smtplib.SMTP
                if chosen.smtp_security == "tls":
                    smtp = smtplib.SMTP_SSL(host, chosen.smtp_port, timeout=_SECONDS, context=context)
                else:
                    smtp = smtplib.SMTP(host, chosen.smtp_port, timeout=_SECONDS)
                stack.enter_context(smtp)
                if chosen.smtp_security == "starttls":
                    smtp.starttls(context=context)
                smtp.ehlo_or_helo_if_needed()
                if smtp.has_extn("auth"):
                    smtp.login(chosen.user or chosen.address, self._password)
            yield smtp

    def _save_draft(self, mail: EmailMessage, again: bool) -> None:
        with self._opened(self._settings.drafts) as mailbox:
            if again and mailbox.uids(f'HEADER Message-ID "{mail["Message-ID"]}"'):
                return
            mailbox.append(mail.as_bytes(), self._settings.drafts, flag_set=["\\Draft"])

    @contextlib.contextmanager
    def _opened(self, folder: str = "") -> Iterator[Any]:
        """The mailbox, logged in."""
        try:
            import imap_tools
        except ModuleNotFoundError:
            raise MissingExtra("imap-tools", "desk") from None
        chosen = self._settings
        if chosen.imap_security == "tls":
            opened: Any = imap_tools.MailBox(chosen.imap_host, chosen.imap_port, timeout=_SECONDS, ssl_context=ssl.create_default_context())
        elif chosen.imap_security == "starttls":
            opened = imap_tools.MailBoxStartTls(
                chosen.imap_host, chosen.imap_port, timeout=_SECONDS, ssl_context=ssl.create_default_context()
            )
        else:
            opened = imap_tools.MailBoxUnencrypted(chosen.imap_host, chosen.imap_port, timeout=_SECONDS)
        with opened.login(chosen.user or chosen.address, self._password, initial_folder=folder or chosen.folder) as mailbox:
            yield mailbox

    def _read(self, mailbox: Any, take: Callable[[WebhookAnswer], object]) -> int:
        since = (datetime.now(UTC) - timedelta(days=_DAYS)).strftime("%d-%b-%Y")
        uids = mailbox.uids(f"UNKEYWORD {_MARK} SINCE {since}")[:_AT_ONCE]
        for uid in uids:
            raw = _fetched(mailbox, uid)
            if raw is not None:
                brought = self.read(raw)
                if brought is not None:
                    take(brought)
            mailbox.flag([uid], [_MARK], True)
        return len(uids)

    def read(self, raw: bytes) -> WebhookAnswer | None:
        """Read a mail; None for one that is not answered."""
        found = read_mail(raw, self.box)
        if found.answer is not None:
            return WebhookAnswer(answers=(found.answer,))
        if found.failure is not None:
            return WebhookAnswer(failures=(found.failure,))
        if found.message is None or not self._may_answer(found.message.sender):
            return None
        return WebhookAnswer(messages=(found.message,))

    def _may_answer(self, sender: str, now: float | None = None) -> bool:
        """Whether a sender has written no more mails in the last hour than are answered."""
        moment = time.monotonic() if now is None else now
        with self._lock:
            times = self._senders.setdefault(sender, deque(maxlen=self._settings.most_an_hour))
            self._senders.move_to_end(sender)
            while len(self._senders) > _MOST_SENDERS:
                self._senders.popitem(last=False)
            if len(times) == times.maxlen and moment - times[0] < _HOUR:
                return False
            times.append(moment)
        return True


def _capabilities(mailbox: Any) -> list[bytes]:
    return [one.encode() if isinstance(one, str) else one for one in mailbox.client.capabilities]


def _fetched(mailbox: Any, uid: str) -> bytes | None:
    """A mail's bytes; None if it is gone, or too long."""
    sized = mailbox.client.uid("fetch", uid, "(RFC822.SIZE)")[1]
    found = b" ".join(one for one in sized if isinstance(one, bytes))
    number = found.rpartition(b"RFC822.SIZE ")[2].partition(b")")[0].split(b" ")[0]
    if not number.isdigit() or int(number) > MOST_MAIL:
        return None
    told = mailbox.client.uid("fetch", uid, "(BODY.PEEK[])")[1]
    return next((one[1] for one in told if isinstance(one, tuple) and isinstance(one[1], bytes)), None)


@contextlib.contextmanager
def _told(unsure: bool = True) -> Iterator[None]:
    """Convert the failures of mail servers. `unsure`: whether a mail may have arrived when a connection fails."""
    try:
        yield
    except smtplib.SMTPAuthenticationError as error:
        raise DeliveryError(
            "desk.mail_server_refused_password", value=f"SMTP {error.smtp_code}", passing=True, after=_KEY_SECONDS
        ) from None
    except smtplib.SMTPRecipientsRefused as error:
        code = max((answer[0] for answer in error.recipients.values()), default=550)
        raise DeliveryError("desk.mail_server_refused_recipient", value=f"SMTP {code}", passing=code < 500) from None
    except smtplib.SMTPResponseException as error:
        raise DeliveryError("desk.mail_server_refused_mail", value=f"SMTP {error.smtp_code}", passing=error.smtp_code < 500) from None
    except ssl.SSLCertVerificationError as error:
        raise DeliveryError("desk.mail_server_certificate_is_not_valid", value=error.verify_message, passing=True) from None
    except smtplib.SMTPNotSupportedError:
        raise DeliveryError("desk.mail_server_offers_no_starttls", value="smtp_security", passing=True) from None
    except ssl.SSLError as error:
        raise DeliveryError("desk.mail_server_connection_is_not_secure", value=error.reason or "TLS", passing=True, unsure=unsure) from None
    except (smtplib.SMTPException, OSError, imaplib.IMAP4.error) as error:
        raise DeliveryError("desk.mail_server_did_not_take_mail", value=type(error).__name__, passing=True, unsure=unsure) from None


part = EmailChannel
