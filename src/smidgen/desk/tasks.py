"""Desk: several models that answer a customer as one. Its rows are conversations with the outcome that is wanted for each message."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import Field

from smidgen.core.abilities import Correctness, Dialogue, Members, ProjectFiles
from smidgen.core.errors import DataError, MissingExtra, RecipeError
from smidgen.core.forms import Coefficient, Form, Name
from smidgen.core.parts import DividedRows, Raw, Task
from smidgen.core.quantities import Metric
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, Text
from smidgen.core.settings import Settings, setting
from smidgen.desk.dialogue import read_messages, written
from smidgen.desk.live_test import fingerprint
from smidgen.desk.members import ROLES, languages_of, role_and_language
from smidgen.desk.policy import REDACTION, DeskPolicy, read_policy
from smidgen.desk.serving import DeskServing
from smidgen.desk.texts import TEXTS
from smidgen.desk.wanted import OUTCOMES, fits, read_wanted, wanted_words
from smidgen.privacy.policy import policy_of
from smidgen.stats import calibration
from smidgen.stats.intervals import wilson
from smidgen.tools.definition import McpTarget, dump_tools
from smidgen.tools.environment import VARIABLE
from smidgen.tools.known_files import desk_key, remember_tool_file
from smidgen.tools.tool_file import read_tools

_GIVEN = frozenset({"answered", "proposed", "done"})
"""Outcomes that give the customer something that may be wrong."""
_LIMIT_BYTES = 20_000_000
_HELD = 0.5
"""The share of conversations that show how sure it must be, and calibrate scores; the others are the test."""
_MOST_MEMBERS = 40
_LEAST_FITTED = 20
"""Rows of an outcome from which its scores are fitted."""


class DeskSettings(Settings):
    """A desk: its members, its policy, its tools, and the conversations that it is measured on."""

    members: dict[str, str] = setting(
        {},
        "Recipe or bundle of each member, by role: intents, answer, act, recommend, redaction; for one language alone, such as answer-de. "
        "Recipes are built first.",
        file=True,
    )
    policy: str | None = setting(None, "Policy file: which intent goes to which member, hours, when to hand over.", file=True)
    tools: str | None = setting(None, "File with the tools that the desk may call.", file=True)
    conversations: str | None = setting(
        None, "JSONL file of conversations with the outcome that is wanted for each message; the desk is measured on them.", file=True
    )
    tools_env: str | None = setting(
        None,
        "Test copy of your systems, in which the calls of the conversations are made while the desk is measured: a JSON file with the "
        "values of the variables that the tools name. Without it no call that changes anything is made.",
        file=True,
    )
    most_wrong: float = setting(
        0.03,
        "Share of the messages that may get a wrong answer. The desk says that it is not sure rather than answer more wrongly.",
        ge=0,
        le=1,
    )


class DeskForm(Form):
    """The decision of a desk.

    Attributes:
        roles: its members.
        curves: by outcome the slope and the shift of the curve from the members' score to the probability that the outcome is right.
    """

    roles: Annotated[tuple[Name, ...], Field(min_length=1, max_length=_MOST_MEMBERS)]
    curves: dict[str, tuple[Coefficient, Coefficient]]

    def purpose(self, quote: Callable[[str], str]) -> str:
        """The members."""
        return "It answers customers with several models: " + "; ".join(f"{quote(name)} {_work_of(name)}" for name in self.roles) + "."

    @property
    def limits(self) -> tuple[str, ...]:
        """Knowledge of its own, and calls without consent."""
        return (
            "Knowledge of its own: it quotes your documents, and tells the results of your tools. What is not there it does not know.",
            "Changing anything without the customer's yes.",
        )

    def uncalibrated(self) -> DeskForm:
        """The form in which the members' scores stand."""
        return self.model_copy(update={"curves": {}})


class DeskMembers(Members):
    """The models that a desk consists of."""

    def places(self, settings: DeskSettings) -> Mapping[str, str]:
        """Recipes and bundles by role. Raises RecipeError for an unknown role."""
        unknown = sorted(name for name in settings.members if not role_and_language(name)[0])
        if unknown or not settings.members:
            raise RecipeError(
                "desk.member_has_unknown_role" if unknown else "desk.policy_names_no_members",
                value=unknown[0] if unknown else "desk.members",
                roles=", ".join(ROLES),
            )
        return settings.members

    def with_folders(self, settings: DeskSettings, folders: Mapping[str, str]) -> DeskSettings:
        """The settings with the bundles of the members."""
        return settings.model_copy(update={"members": dict(folders)})

    def languages(self, settings: DeskSettings, role: str) -> Sequence[str]:
        """Of the languages that the policy names, those in which this member answers."""
        spoken = read_policy(Path(settings.policy)).languages if settings.policy else ()
        return languages_of(role, settings.members, spoken)

    def check(self, settings: DeskSettings) -> None:
        """Read the policy, the tools and the conversations. Raises RecipeError or DataError."""
        _conversations(settings)
        policy = _policy(settings)
        _check_texts(policy, settings.policy or "the default policy")
        if policy.privacy.policy != "off":
            policy_of(policy.privacy.policy, policy.privacy.kinds)  # raises for a kind or an action that is not known
        if settings.tools:
            tools = read_tools(Path(settings.tools))
            if any(isinstance(one.target, McpTarget) for one in tools) and importlib.util.find_spec("mcp") is None:
                raise MissingExtra("mcp", "desk")
        if settings.tools_env is not None:
            fingerprint(settings.tools_env)  # raises for a file that cannot be read


class OutcomeCorrectness(Correctness):
    """A reply is right if it has all that is wanted of it, in whatever words."""

    def right(self, rows: Sequence[Row], replies: Sequence[Reply], form: DeskForm) -> list[bool]:
        """Whether each reply has all that is wanted."""
        return [fits(reply.output, row.output) for row, reply in zip(rows, replies, strict=True)]


class DeskDialogue(Dialogue):
    """A desk reads the whole conversation."""

    def text(self, messages: Sequence[Mapping[str, Any]]) -> Text:
        """The conversation as the text of a request."""
        return written(messages)

    def sample(self, row: Row, reply: Reply) -> Mapping[str, Any]:
        """The message with those before it, the reply's words and outcome, and the wanted outcome."""
        *earlier, message = read_messages(str(row.input))
        told = {"earlier": earlier, "text": message, "got": str(reply.output["text"]), "outcome": reply.output["outcome"]}
        return {**told, "expected": row.output, "wanted": [wanted_words(row.output)]}


class DeskFiles(ProjectFiles):
    """Conversations, a policy and tools."""

    kinds = MappingProxyType({"conversations": "desk.conversations", "policy": "desk.policy", "tools": "desk.tools"})

    def rows(self, settings: DeskSettings) -> Sequence[Row]:
        """The rows of the conversations. Raises RecipeError if none are named."""
        return _conversations(settings)

    def remarks(self, settings: DeskSettings) -> Sequence[str]:
        """Tools of the policy that are not there; and which calls are made where the desk is measured."""
        if not settings.tools:
            return ()
        known = read_tools(Path(settings.tools))
        lacking = sorted(_policy(settings).tools() - {tool.name for tool in known})
        found = [f"there is no tool {name}, so this step of the policy cannot answer" for name in lacking]
        if settings.tools_env is not None:
            return [*found, f"the calls of the conversations are made in the test copy {Path(settings.tools_env).name}"]
        unset = {
            name for name in VARIABLE.findall(Path(settings.tools).read_text(encoding="utf-8")) if not os.environ.get(name, "").strip()
        }
        if any(tool.changes for tool in known):
            found.append(
                "calls that change something are not made while the desk is measured, so messages that need their result count as wrong. "
                "Name a test copy in desk.tools_env to make them"
            )
        if unset:
            named = ", ".join(sorted(unset))
            found.append(f"not set here: {named}. Calls that need it fail in the report; desk.tools_env names a test copy for them")
        return found

    def rows_in(self, file: Path, settings: DeskSettings) -> Sequence[Row] | None:
        """The rows of a file of conversations; None for a table."""
        return list(read_conversations(file)) if _is_conversations(file) else None

    def for_students(
        self, rows: Sequence[Row], settings: DeskSettings, names: Mapping[str, str] = MappingProxyType({})
    ) -> Mapping[str, bytes]:
        """The members' folders with the hashes of their manifests, the policy, and the tools."""
        DeskTask.members.check(settings)
        entries = {}
        for role, folder in sorted(settings.members.items()):
            manifest = Path(folder) / "smidgen.json"
            if not manifest.is_file():
                raise DataError("desk.member_of_desk_is_not_bundle", value=folder)
            if role == REDACTION and json.loads(manifest.read_text(encoding="utf-8")).get("task") != "extract":
                raise DataError("desk.member_redaction_does_not_find_spans", value=folder)
            entries[role] = {"folder": str(folder), "sha256": hashlib.sha256(manifest.read_bytes()).hexdigest()}
        facts: dict[str, Any] = {"name": "desk", "members": entries, "most_wrong": settings.most_wrong}
        files = {"policy.toml": Path(settings.policy).read_bytes() if settings.policy else b""}
        if settings.tools:
            file = Path(settings.tools)
            told = dump_tools(read_tools(file))
            files["tools.json"] = told.encode()
            copy = str(Path(settings.tools_env).resolve()) if settings.tools_env is not None else None
            members = {role: Path(folder) for role, folder in settings.members.items()}
            remember_tool_file(desk_key(told, files["policy.toml"], members), file, copy)
            if copy is not None:
                facts["tools_env"] = {"place": copy, "content": hashlib.sha256(fingerprint(copy).encode()).hexdigest()}
        return {**files, "members.json": json.dumps(facts, sort_keys=True).encode()}


class DeskTask(Task):
    """The task `desk`."""

    name = "desk"
    summary = "Answer customers with several models as one: from documents, with tools, with suggestions."
    settings = DeskSettings
    students = ("desk",)
    baseline = ""
    headline = "outcome_right"
    form_type = DeskForm
    correctness = OutcomeCorrectness()
    takes = "conversation"
    members = DeskMembers()
    dialogue = DeskDialogue()
    files = DeskFiles()
    serving = DeskServing()
    loss_words = "the outcome is not the wanted one"

    def parse(self, value: Any, settings: DeskSettings) -> dict[str, Any]:
        """The wanted outcome: an object or its JSON. Raises ValueError with the reason."""
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                raise ValueError('an object such as {"outcome": "answered", "document": "policies.md"} is expected') from None
        if not isinstance(value, Mapping):
            raise ValueError("an object with the wanted outcome is expected")
        return read_wanted(value)

    def split(self, rows: Sequence[Row], settings: DeskSettings, seed: int) -> DividedRows:
        """The rows of some conversations to fit how sure it must be and to calibrate scores, and those of the others as the test."""
        numbers = sorted({row.number for row in rows}, key=lambda number: hashlib.sha256(f"{seed}:{number}".encode()).digest())
        calibrating = set(numbers[: max(1, round(_HELD * len(numbers)))])
        held = [row for row in rows if row.number in calibrating]
        test = [row for row in rows if row.number not in calibrating]
        tested = len(numbers) - len(calibrating)
        how = f"{len(test)} messages of {tested} conversations; those of {len(calibrating)} others show how sure it must be"
        if settings.tools_env is not None:
            how += f". Their calls are made in the test copy {Path(settings.tools_env).name}"
        elif settings.tools:
            how += ". Calls that change something are not made: messages that need their result count as wrong"
        return DividedRows(held, held, test, how)

    def form(self, rows: Sequence[Row], settings: DeskSettings) -> DeskForm:
        """The members; scores stand as they are until they are calibrated."""
        if not rows:
            raise DataError("desk.there_are_no_conversations")
        return DeskForm(roles=tuple(sorted(self.members.places(settings))), curves={})

    def calibrate(self, raw: Raw, rows: Sequence[Row], form: DeskForm, settings: DeskSettings) -> DeskForm:
        """The form with a curve for each outcome that occurs often enough."""
        plain = self.decode(raw, form.uncalibrated())
        right = self.correctness.right(rows, plain, form)
        curves = {}
        for outcome, count in Counter(reply.output["outcome"] for reply in plain).items():
            if count >= _LEAST_FITTED:
                own = [(reply.score, good) for reply, good in zip(plain, right, strict=True) if reply.output["outcome"] == outcome]
                curves[outcome] = calibration.fit_platt(calibration.logit([score for score, _ in own]), [good for _, good in own])
        return form.model_copy(update={"curves": curves})

    def decode(self, raw: Raw, form: DeskForm) -> list[Reply]:
        """The replies, each with the probability that its outcome is right."""
        return [_reply(entry, form) for entry in raw["replies"]]

    def measure(self, rows: Sequence[Row], replies: Sequence[Reply], form: DeskForm) -> dict[str, Metric]:
        """outcome_right: messages with the wanted outcome. wrong_given: messages that got an answer, a proposal or a call that is wrong.
        cited: answers with facts that show where these are from: a quotation, a card, or the call that was
        made. One metric for each wanted outcome: how often it came."""
        right = list(map(float, self.correctness.right(rows, replies, form)))
        outcomes = [reply.output["outcome"] for reply in replies]
        wrong = [float(outcome in _GIVEN and grade == 0) for outcome, grade in zip(outcomes, right, strict=True)]
        factual = [reply for reply in replies if reply.output["outcome"] == "answered" and reply.output.get("member")]
        cited = [float(any(reply.output.get(name) for name in ("citations", "cards", "call"))) for reply in factual]
        found = {"outcome_right": _share(right), "wrong_given": _share(wrong)}
        if cited:
            found["cited"] = _share(cited)
        for outcome in OUTCOMES:
            own = [grade for row, grade in zip(rows, right, strict=True) if row.output["outcome"] == outcome]
            if own:
                found[f"{outcome}_right"] = _share(own)
        return found

    def content(self, reply: Reply) -> str:
        """The words for the customer."""
        return str(reply.output["text"])


def _work_of(name: str) -> str:
    role, language = role_and_language(name)
    return ROLES.get(role, "") + (f" ({language})" if language else "")


def _share(values: Sequence[float]) -> Metric:
    low, high = wilson(round(sum(values)), len(values))
    return Metric(sum(values) / len(values), low, high, len(values))


def _reply(entry: Mapping[str, Any], form: DeskForm) -> Reply:
    output, score = entry["output"], float(entry["score"])
    curve = form.curves.get(output["outcome"])
    if curve is not None:
        score = float(calibration.platt_probability(calibration.logit([score]), *curve)[0])
    return Reply(output, score, facts={name: value for name, value in output.items() if name != "text"})


def _is_conversations(file: Path) -> bool:
    """Whether the first line of a file is a conversation."""
    if file.suffix.lower() != ".jsonl" or not file.is_file():
        return False
    with file.open(encoding="utf-8", errors="replace") as stream:
        return '"turns"' in stream.readline(100_000)


def read_conversations(file: Path) -> Iterator[Row]:
    """A row for each message of each conversation: the messages up to it, and the wanted outcome.

    Each line of the file is `{"turns": [{"say": "...", "expect": {"outcome": "answered", ...}}, ...]}`; a message without `expect` is
    only said. Raises DataError with the line.
    """
    if not file.is_file():
        raise DataError("desk.there_is_no_such_file_of_conversations", value=str(file))
    if file.stat().st_size > _LIMIT_BYTES:
        raise DataError("desk.file_of_conversations_is_too_large", st_size=file.stat().st_size)
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            yield from _rows_of(json.loads(line), number)
        except (ValueError, RecursionError, TypeError, KeyError) as error:
            raise DataError("desk.conversation_cannot_be_used", value=line[:80], error=error, file=file.name, row=number) from None


def _rows_of(given: Any, number: int) -> Iterator[Row]:
    if not isinstance(given, Mapping) or not isinstance(given.get("turns"), list) or not given["turns"]:
        raise ValueError("a list of turns is expected")
    said: list[str] = []
    for turn in given["turns"]:
        if not isinstance(turn, Mapping) or not isinstance(turn.get("say"), str) or not turn["say"].strip():
            raise ValueError("a turn says something in `say`")
        said.append(turn["say"])
        if "expect" in turn:
            yield Row(written(said), read_wanted(turn["expect"]), number)


def _conversations(settings: DeskSettings) -> list[Row]:
    if settings.conversations is None:
        raise RecipeError("desk.no_conversations_are_named", value="desk.conversations")
    return list(read_conversations(Path(settings.conversations)))


def _policy(settings: DeskSettings) -> DeskPolicy:
    return read_policy(Path(settings.policy)) if settings.policy else DeskPolicy()


def _check_texts(policy: DeskPolicy, source: str) -> None:
    """Raise RecipeError if the policy says a text that does not exist."""
    missing = sorted(policy.said_by_name() - policy.texts.keys() - TEXTS.keys())
    if missing:
        raise RecipeError("desk.policy_says_text_that_is_not_there", value=missing[0], absent=missing[0], source=source)


part_desk = DeskTask()
