"""Where a request goes: to the local bundle if its certificate allows it, else to the fallback; and which paths may go there at all.

In any doubt the request escalates. A request names a bundle, optionally with a quality after an `@`, or another model.
"""

from __future__ import annotations

import hashlib
import math
import re
import secrets
import time
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote_to_bytes

from smidgen.core.errors import InputError, RequestError, shown
from smidgen.core.replies import Reply, answer_group, gives_nothing
from smidgen.gateway.certificate import Certificate, own_public_key, signing_key
from smidgen.gateway.certificate_status import CertificateState, CertificateStatus, Decision
from smidgen.gateway.sample_reuse import RowFingerprints
from smidgen.text.near_duplicates import fold_text

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class RequestedModel:
    """The bundle that a request may be answered by.

    Attributes:
        bundle: its name.
        quality: the least share of local answers that must agree with the reference, 0..1; None if the request asks for none.
        names_bundle: whether the request names the bundle. Else it names another `model`, and goes there if the bundle does not answer.
        jobs: scopes of the recurring jobs of such a request; the bundle's certificate must have been tested on one of them.
        model: see `names_bundle`.
    """

    bundle: str
    quality: float | None = None
    names_bundle: bool = True
    jobs: frozenset[str] = frozenset()
    model: str = ""

    def allows(self, alpha: float) -> bool:
        """Whether a certificate of this alpha gives the requested quality."""
        return self.quality is None or alpha <= 1 - self.quality + _ROUNDING

    def at_least(self, quality: float | None) -> RequestedModel:
        """Raise the quality to at least this one; None changes nothing."""
        given = [one for one in (self.quality, quality) if one is not None]
        return replace(self, quality=max(given, default=None))


def requested_model(name: object, bundles: Collection[str]) -> RequestedModel | None:
    """Read a request's `model`; None if it names no bundle.

    Raises RequestError, 422, for a quality after a bundle's name that is not over 0 and at most 1.
    """
    if not isinstance(name, str):
        return None
    if name in bundles:
        return RequestedModel(name)
    bundle, at, quality_text = name.rpartition("@")
    if not at or bundle not in bundles:
        return None
    try:
        quality = float(quality_text)
    except ValueError:
        quality = math.nan
    if not 0 < quality <= 1:
        raise RequestError("gateway.quality_in_model_name_is_invalid", value=name, bundle=bundle, code="invalid_quality", param="model")
    return RequestedModel(bundle, quality)


BY_LABEL = "label"

INELIGIBLE = "request"
QUALITY = "quality"
SCORE = "score"
SEGMENT = "segment"
JOB = "job"
HELD_OUT = "held out"
CLIENT = "client"
REPEATED = "repeated text"
UNANSWERED = "no local answer"
NEVER = "never"
"""Reasons why a request escalates under a valid certificate; otherwise the reason is the certificate's state."""

_BOUNDS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
"""Fields of a request that bound the length of a written text."""


@dataclass(frozen=True, slots=True)
class RoutingDecision:
    """Who answers a request, and why.

    Attributes:
        why: why the request escalates, one of a few short words; empty if it is answered locally.
        detail: details in words that any client may read: no paths, and no reasons of revocations.
        certificate: the id of the certificate that decided; empty if none was valid.
        score: the local answer's, if it has one.
    """

    why: str = ""
    detail: str = ""
    certificate: str = ""
    score: float | None = None

    @property
    def explanation(self) -> str:
        """Why the request escalates, with the detail in brackets."""
        return f"{self.why} ({self.detail})" if self.why and self.detail else self.why

    @property
    def local(self) -> bool:
        """Whether the small model answers."""
        return not self.why


def held_out_decision(known: RoutingDecision) -> RoutingDecision:
    """The decision for a request that the small model could answer, but whose text is held out."""
    return RoutingDecision(why=HELD_OUT, detail="its text is kept to measure on", certificate=known.certificate)


def suspended_decision(known: RoutingDecision) -> RoutingDecision:
    """The decision for a client whose audits alone contradicted the certificate."""
    return RoutingDecision(why=CLIENT, detail="audits of this client's requests disagreed too often", certificate=known.certificate)


def repeated_decision(known: RoutingDecision) -> RoutingDecision:
    """The decision for a text that is a large share of the traffic, and whose answer is not known to be right."""
    return replace(known, why=REPEATED, detail="it is a large share of the requests, and its answer is not known to be right")


def decision_within(known: RoutingDecision, body: Mapping[str, Any], tokens: int) -> RoutingDecision:
    """The decision for a local answer of so many tokens: one that the request's limit would cut escalates, as the large model would cut
    its own."""
    bound = next((name for name in _BOUNDS if isinstance(body.get(name), int) and body[name] < tokens), None)
    if not known.local or bound is None:
        return known
    return replace(known, why=UNANSWERED, detail=f"{bound} cuts it short")


def decision_before(standing: CertificateStatus, requested: RequestedModel) -> RoutingDecision:
    """The decision before the small model is asked; if it is `local`, the model's answer will decide."""
    if not standing.valid or standing.certificate is None:
        unknown = standing.valid or standing.state is CertificateState.NONE
        return RoutingDecision(why="no certificate" if unknown else standing.state.value)
    found = standing.certificate
    if not requested.names_bundle and requested.jobs.isdisjoint(found.calibration.jobs):
        return RoutingDecision(why=JOB, detail="its certificate was not tested on requests of this job")
    if not requested.names_bundle and found.reference.large not in ("", requested.model):
        return RoutingDecision(why=CertificateState.REFERENCE.value, detail="it names another than the certificate does")
    if not requested.allows(found.alpha):
        return RoutingDecision(why=QUALITY, detail=f"{requested.quality:g} is asked for, and the certificate says {1 - found.alpha:g}")
    return RoutingDecision(certificate=found.id)


def decision_after(
    standing: CertificateStatus, requested: RequestedModel, replies: Sequence[Reply], body: Mapping[str, Any]
) -> RoutingDecision:
    """The decision by the small model's answer. `replies`: all its answers; only a single one is certified.

    If the certificate is by a column, the request's `metadata` must have it.
    """
    known = decision_before(standing, requested)
    if not known.local or standing.certificate is None:
        return known
    judged = _judged(replies, body, known.certificate)
    if not judged.local:
        return judged
    (reply,), score = replies, judged.score or 0.0
    segment = segment_of(standing.certificate.by, reply, body)
    if standing.certified_segment(segment) is None:
        return RoutingDecision(why=SEGMENT, detail="its segment is not certified", certificate=known.certificate, score=score)
    if standing.decide(score, segment) is not Decision.ANSWER:
        return RoutingDecision(why=SCORE, detail="it is under the certificate's threshold", certificate=known.certificate, score=score)
    return RoutingDecision(certificate=known.certificate, score=score)


def decision_uncertified(known: RoutingDecision, replies: Sequence[Reply], body: Mapping[str, Any], least: float) -> RoutingDecision:
    """The decision for a bundle without a certificate whose operator lets it answer from the score `least` on; if it is `local`, the
    answer is marked as uncertified. `known`: the decision that it escalates by otherwise."""
    judged = _judged(replies, body, "")
    if not judged.local or judged.score is None:
        return replace(known, detail=judged.explanation, score=judged.score)
    if judged.score < least:
        return replace(known, why=SCORE, detail=f"it is under {least:g}, and there is no certificate", score=judged.score)
    return judged


def _judged(replies: Sequence[Reply], body: Mapping[str, Any], certificate: str) -> RoutingDecision:
    """The decision by the small model's answer alone, whatever its score; if it is `local`, it has one."""
    if len(replies) != 1:
        return RoutingDecision(why=UNANSWERED, detail=f"{len(replies)} answers were given", certificate=certificate)
    (reply,) = replies
    score = None if "unscored" in reply.facts else float(reply.score)
    if score is None:
        return RoutingDecision(why=SCORE, detail=f"it has none: {reply.facts['unscored']}", certificate=certificate)
    if gives_nothing(reply):
        detail = "the small model refuses" if reply.facts.get("refused") else "the small model does not know"
        return RoutingDecision(why=UNANSWERED, detail=detail, certificate=certificate, score=score)
    bound = next((name for name in _BOUNDS if body.get(name)), None)
    if getattr(reply.piece, "finish", None) == "length" and bound is not None:
        return RoutingDecision(why=UNANSWERED, detail=f"{bound} cuts it short", certificate=certificate, score=score)
    return RoutingDecision(certificate=certificate, score=score)


def segment_of(by: str, reply: Reply, body: Mapping[str, Any]) -> str | None:
    """The segment of a request under a certificate by segments (`by`): the label in the answer, or the value in the request's
    `metadata`."""
    if not by:
        return None
    if by == BY_LABEL:
        return answer_group(reply)
    metadata = body.get("metadata")
    value = metadata.get(by) if isinstance(metadata, Mapping) else None
    return value.strip() if isinstance(value, str) and value.strip() else None


MOST_OF_ALPHA = 0.2
"""Part of alpha from which on a text is heavy."""
_LEAST_REQUESTS = 1000
"""Requests before any share counts: of fewer, chance makes too much."""
_MOST_TEXTS = 4096
_COUNTED_REQUESTS = 100_000
"""Requests after which all counts are halved, so that old ones fade."""
_ASK_AGAIN_SECONDS = 60.0
"""Time between two attempts to ask the reference about one text."""


class HeavyTexts:
    """Texts that are a large share of the traffic, and whether the small model's answers to them are known to be right.

    A certificate is about a share. One wrong answer to a text that is a tenth of the requests breaks a promise of 5 % by itself, and no
    test on distinct texts can see it. So requests are counted by text. A text that makes up more than a fifth of alpha is answered here
    only if its own answer is known to be right: the certificate's sample has the text with this very answer, or the reference was asked
    for this text. With a fifth, no text of unknown worth can use up more than that part of what the promise allows.

    Counts are kept in memory for each opened bundle, as keyed hashes, and begin anew when the server starts. They follow Misra and Gries
    (1982): a bounded table, whose error is known and counted against the text. Use it in one thread.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._key = now, secrets.token_bytes(32)
        self._total, self._missed = 0, 0
        self._counts: dict[bytes, int] = {}
        self._right: dict[bytes, bool] = {}
        self._unlabelled: set[bytes] = set()
        self._asked: dict[bytes, float] = {}
        self._paper = ""

    def escalates(self, text: str, replies: Sequence[Reply], paper: Certificate) -> bool:
        """Count a request, and say whether it escalates: its text is heavy, and its answer is not known to be right."""
        name = self._name(text)
        self._count(name)
        upper = self._counts.get(name, 0) + self._missed
        if self._total < _LEAST_REQUESTS or upper <= MOST_OF_ALPHA * paper.alpha * self._total:
            return False
        if paper.id != self._paper:  # another reference may say otherwise
            self._right, self._unlabelled, self._asked, self._paper = {}, set(), {}, paper.id
        if name not in self._right and name not in self._unlabelled:
            if _labelled(text, replies, paper):
                self._settle(name, True)
            elif len(self._unlabelled) < _MOST_TEXTS:
                self._unlabelled.add(name)
        return not self._right.get(name, False)

    def take_check(self, text: str) -> bool:
        """Whether the reference is to be asked about a heavy text now: not where it has answered, or was asked a moment ago."""
        name, now = self._name(text), self._now()
        if name in self._right or now - self._asked.get(name, -_ASK_AGAIN_SECONDS) < _ASK_AGAIN_SECONDS:
            return False
        self._asked = {one: at for one, at in self._asked.items() if now - at < _ASK_AGAIN_SECONDS} | {name: now}
        return True

    def settle(self, text: str, right: bool) -> None:
        """Remember what the reference says of the bundle's answer to this text."""
        self._settle(self._name(text), right)

    def _settle(self, name: bytes, right: bool) -> None:
        if len(self._right) >= _MOST_TEXTS:
            del self._right[next(iter(self._right))]
        self._right[name] = right

    def _count(self, name: bytes) -> None:
        self._total += 1
        if name in self._counts or len(self._counts) < _MOST_TEXTS:
            self._counts[name] = self._counts.get(name, 0) + 1
        else:
            self._missed += 1
            self._counts = {one: count - 1 for one, count in self._counts.items() if count > 1}
        if self._total >= _COUNTED_REQUESTS:
            self._total, self._missed = self._total // 2, self._missed // 2
            self._counts = {one: count // 2 for one, count in self._counts.items() if count > 1}

    def _name(self, text: str) -> bytes:
        return hashlib.blake2b(fold_text(text).encode("utf-8", "surrogatepass"), key=self._key, digest_size=16).digest()


def _labelled(text: str, replies: Sequence[Reply], paper: Certificate) -> bool:
    """Whether the certificate's sample has this text with this answer. Known on the machine that signed it."""
    if len(replies) != 1 or not paper.calibration.marks or paper.key != own_public_key():
        return False
    try:
        sample = RowFingerprints.read(paper.calibration.marks)
        return RowFingerprints.of([(fold_text(text), replies[0].output)], signing_key()).share_in(sample) == 1.0
    except (ValueError, TypeError):
        return False


_POSTS = ("chat/completions", "completions", "responses", "embeddings", "moderations", "systemone")
OPEN = (*(f"POST /v1/{path}" for path in _POSTS), "GET /v1/models", "GET /v1/models/*")
"""Requests that go upstream by default."""

_PATTERN_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_ROOT = "/v1/"
_PATH_PATTERN = re.compile(r"/v1(?:/[A-Za-z0-9._~:@$+,=*-]+)+/?")
_PATH = re.compile(r"/v1(?:/[A-Za-z0-9._~:@$+,=-]+)+")
_MODEL = re.compile(rb"/v1/models/[A-Za-z0-9@][A-Za-z0-9._:@~-]{0,255}(?:(?:/|%2[Ff])[A-Za-z0-9@][A-Za-z0-9._:@~-]{0,255}){0,3}")
"""A model's name may contain slashes: `meta-llama/Llama-3`."""
_READ_DIFFERENTLY = frozenset('/\\%;?#"<>')
"""Decoded characters that some servers read as the end of a step or of the path."""
_LONGEST_PATH = 2_000
_SHOWN_PATH = 120


class Allowlist:
    """The requests that may go upstream, by method and path: those open by default, and those that patterns add.

    Many clients may share one key of the operator's. With it they could read each other's files, delete models and make new keys. So only
    paths that compute an answer and touch no stored objects go upstream, and those that the operator adds with `--pass`.

    A path is compared as it was sent, byte for byte. A path that two servers might read differently matches nothing: one with a double
    slash, a `.` or `..` step, an encoded slash, a semicolon, other capitals, or a slash at the end.

    Args:
        patterns: `PATH` or `METHOD PATH`. In a path `*` is any text within one step; `**`, as the last step, is one step or more. GET
            includes HEAD. A pattern without a method allows every method.

    Raises:
        InputError: a pattern has another form.
    """

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        self._open = frozenset((method, path.encode()) for method, _, path in (entry.partition(" ") for entry in OPEN))
        self._added = [_path_rule(pattern) for pattern in patterns]

    def passes(self, method: str, path: bytes) -> bool:
        """Whether a request may go upstream. `path` is as the client sent it, without the query."""
        method = "GET" if method == "HEAD" else method
        if (method, path) in self._open or (method == "GET" and _MODEL.fullmatch(path)):
            return True
        named = any(only in ("", method) and form.fullmatch(path) for only, form in self._added)
        return named and _is_plain_path(path)

    def check(self, method: str, path: bytes) -> None:
        """Raise RequestError, 403, for a request that may not go upstream."""
        if self.passes(method, path):
            return
        plain = path.decode("latin-1")
        can_be_added = _PATH.fullmatch(plain) is not None
        raise RequestError(
            "gateway.this_path_is_not_passed_on" if can_be_added else "gateway.this_path_is_not_plain",
            value=shown(f"{method} {plain}", _SHOWN_PATH).strip("'"),
            pattern=shown(_path_pattern_for(method, plain), _SHOWN_PATH) if can_be_added else None,
            open=", ".join(OPEN),
            status=403,
            code="path_not_allowed",
        )


def describe_open_paths(patterns: Sequence[str], shared_key: bool) -> str:
    """The paths that go upstream, in one line, printed when the server starts."""
    key = " under this server's key" if shared_key else ""
    line = f"goes upstream{key}: {', '.join(OPEN)}"
    if not patterns:
        return f"{line}; any other path gets 403 (--pass)"
    warned = "; each client can reach what others have stored there" if shared_key else ""
    return f"{line}; by --pass {', '.join(patterns)}{warned}"


def _path_rule(pattern: str) -> tuple[str, re.Pattern[bytes]]:
    words = pattern.split()
    method, path = (words[0].upper(), words[1]) if len(words) == 2 else ("", pattern)
    steps = path.removeprefix(_ROOT).removesuffix("/").split("/")
    many = steps[-1] == "**"
    named = steps[:-1] if many else steps
    if (
        method not in ("", *_PATTERN_METHODS)
        or not _PATH_PATTERN.fullmatch(path)
        or any("**" in step or set(step) == {"."} for step in named)
    ):
        raise InputError("gateway.this_is_not_path_pattern", value=pattern)
    form = "/".join([*(_step_form(step) for step in named), *(["[^/]+(?:/[^/]+)*"] if many else [])])
    return method, re.compile(f"{_ROOT}{form}{'/' if path.endswith('/') else ''}".encode("ascii"))


def _step_form(step: str) -> str:
    """One step of a pattern as a regular expression."""
    return "[^/]+" if step == "*" else "[^/]*".join(re.escape(part) for part in step.split("*"))


def _is_plain_path(path: bytes) -> bool:
    """Whether every server reads a path the same way."""
    if len(path) > _LONGEST_PATH:
        return False
    for step in path.removesuffix(b"/").split(b"/")[1:]:
        try:
            text = unicodedata.normalize("NFKC", unquote_to_bytes(step).decode("utf-8"))
        except UnicodeDecodeError:
            return False
        if not text.strip(". ") or not text.isprintable() or _READ_DIFFERENTLY.intersection(text):
            return False
    return True


def _path_pattern_for(method: str, path: str) -> str:
    """A pattern for this request and others like it: its first step, and any text in each later step."""
    first, *rest = path.removeprefix(_ROOT).split("/")
    return f"{'GET' if method == 'HEAD' else method} {_ROOT}{'/'.join([first, *('*' for _ in rest)])}"
