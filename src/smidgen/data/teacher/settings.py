"""The `[data.teacher]` section of a recipe."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from pydantic import field_validator

from smidgen.core.settings import Settings, setting
from smidgen.machine.addresses import on_this_machine

Use = Literal["label", "generate", "score", "compare"]


class TeacherSettings(Settings):
    """A larger model that labels, generates or scores, and its budget. Without `source` there is no teacher."""

    source: str | None = setting(
        None, "URL of an OpenAI-compatible server (`https://api.example.com/v1`), or the folder of a bundle.", flag="--teacher"
    )
    model: str = setting("default", "The model's name, as the server knows it.", flag="--teacher-model")
    key_env: str = setting(
        "SMIDGEN_TEACHER_KEY",
        "Name of the environment variable that holds the key; the key itself never stands in a recipe.",
        flag="--teacher-key-env",
        hidden=True,
        pattern=r"^[A-Z_][A-Z0-9_]{0,63}$",
    )
    uses: tuple[Use, ...] = setting(
        (),
        "What the teacher does. label: label the unlabelled inputs. generate: write new examples. score: mark its own answers. compare: "
        "answer the test rows, for comparison. Empty: label; of a model that answers from documents, generate and compare.",
    )
    description: str = setting(
        "",
        "What the job is, in a few sentences for the teacher: what the texts are, and what decides.",
        flag="--teacher-says",
        max_length=10_000,
    )
    redact: Literal["model", "patterns"] = setting(
        "model",
        "What finds personal data in texts that leave this machine. model: the shipped redaction model and the patterns. "
        "patterns: the patterns alone, which find no names.",
    )
    redact_kinds: tuple[str, ...] = setting(
        (), "Kinds that the redaction model replaces, such as person or address. Empty: all. What the patterns find is always replaced."
    )
    votes: int = setting(1, "How often each input is asked; the share of each answer becomes a soft label.", ge=1, le=32)
    temperature: float | None = setting(None, "Sampling temperature (default: 0 for one vote, 0.7 for several).", ge=0.0, le=2.0)
    examples: int = setting(8, "How many of your own rows, near to the input, are shown with each question.", ge=0, le=64)
    max_tokens: int | None = setting(
        None,
        "Most tokens of one answer, with what the model thinks before it (default: a little more than your longest answer, which "
        "is too few for a model that thinks).",
        ge=1,
        le=16_384,
    )
    min_agreement: float = setting(0.5, "Share of the votes that the commonest answer must have. Other inputs are dropped.", ge=0.0, le=1.0)
    min_score: float = setting(
        0.6, "Lowest mark, 0..1, that an answer of the teacher must get from it (with the use `score`).", ge=0.0, le=1.0
    )
    doubt: bool = setting(True, "Compare the teacher's labels with the other rows, and drop or correct those that are likely wrong.")
    trial_rows: int = setting(100, "How many of your labelled rows the teacher answers first, as a trial.", ge=8, le=2_000)
    min_quality: float | None = setting(
        None,
        "Smallest accuracy or ROUGE-L that the teacher must be able to reach on your rows (default: better than what your rows "
        "teach without it).",
        ge=0.0,
        le=1.0,
    )
    rows: int | None = setting(None, "Label at most this many of the unlabelled inputs, those that teach most (default: all).", ge=1)
    generate: int = setting(200, "How many new examples to ask for (with the use `generate`).", ge=1, le=100_000)
    budget_usd: float | None = setting(
        None, "Most US dollars for all answers of this build. Needs the two prices.", flag="--budget-usd", gt=0.0
    )
    budget_tokens: int | None = setting(
        None, "Most tokens, in and out together, for all answers of this build.", flag="--budget-tokens", ge=1
    )
    price_in: float | None = setting(None, "Price of a million tokens in, in dollars (default: the list price, where it is known).", ge=0.0)
    price_out: float | None = setting(
        None, "Price of a million tokens out, in dollars (default: the list price, where it is known).", ge=0.0
    )
    requests_per_minute: int | None = setting(None, "Most requests in a minute (default: no limit).", ge=1, le=1_000_000)
    concurrency: int = setting(4, "Most requests at a time.", ge=1, le=64)
    timeout: float = setting(60.0, "Seconds until a request is given up.", gt=0.0, le=3_600.0)
    attempts: int = setting(6, "Attempts after a temporary error.", ge=1, le=20)

    @field_validator("source")
    @classmethod
    def _source(cls, value: str | None) -> str | None:
        """Check a URL that will receive a key and texts: encrypted except on this machine, without secrets in it."""
        if value is None or "://" not in value:
            return value or None
        try:
            parts = urlsplit(value)
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise ValueError(f"this is not a URL ({error})") from None
        if parts.scheme not in ("http", "https") or not host:
            raise ValueError("a URL begins with https:// (or http:// on this machine) and a host")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("a URL here has no user, no password and no query: name the variable that holds the key with key_env")
        if parts.scheme == "http" and not on_this_machine(host):
            raise ValueError("http:// sends your texts unencrypted; use https://, or tunnel the server to 127.0.0.1")
        return value.rstrip("/")

    def used_for(self, sourced: bool, asked: bool) -> tuple[Use, ...]:
        """Its uses. `sourced`: examples are made from sources; `asked`: there are rows of people, by which these are measured."""
        usual: tuple[Use, ...] = (("generate", "compare") if asked else ("compare",)) if sourced else ("label",)
        return self.uses or usual

    @property
    def url(self) -> bool:
        """Whether the teacher is asked over HTTP."""
        return self.source is not None and "://" in self.source

    @property
    def local(self) -> bool:
        """Whether nothing leaves this machine: a bundle, or a server on a loopback address."""
        return self.source is not None and (not self.url or on_this_machine(urlsplit(self.source).hostname or ""))

    @property
    def heat(self) -> float:
        """The effective temperature."""
        return self.temperature if self.temperature is not None else 0.0 if self.votes == 1 else 0.7


SETTINGS = TeacherSettings
