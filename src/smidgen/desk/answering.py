"""A desk answers one message of a conversation: it recognises what the customer wants, and takes the steps that its policy names.

Small models choose and quote; documents, tools and catalogues supply facts. Every sentence is a fixed text, words quoted from a document,
or a template filled with a tool's result. Where no step can answer, the desk says so, and passes on to a person.
"""

from __future__ import annotations

import copy
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from smidgen.core.conversations import WANTED_PERSON, Card, Citation, DeskAnswer, DeskConversation, DeskReply, ProposedCall, Status
from smidgen.desk.confidence import DeskConfidence, together
from smidgen.desk.members import Member, member_for
from smidgen.desk.policy import DeskPolicy
from smidgen.desk.quotations import (
    Quotation,
    QuotationSigns,
    chances_of,
    citation_of,
    is_follow_up,
    leans,
    log_odds,
    questions_in,
    quotations_of,
)
from smidgen.desk.texts import LANGUAGE_NAMES, TEXTS, decision, is_angry, is_foreign, language_of, shown_language, small_talk
from smidgen.tools.arguments import check_arguments
from smidgen.tools.definition import Tool
from smidgen.tools.results import ToolResult, answer_text, card_of
from smidgen.tools.shown_values import titled_row
from smidgen.tools.spoken_arguments import spoken_arguments
from smidgen.tools.toolbox import WAITING_SECONDS, Toolbox, ToolCall, ToolUser

LONGEST_MESSAGE = 4_000
"""Characters of a message. A longer one is not read."""
OPEN = ("waiting", "asking", "offered", "unanswered")
"""The parts of a conversation's state that wait for the customer's next words."""
_MOST_ROWS = 5
_OF_PRODUCTS = ("name", "price", "url", "image", "reason")
"""What customers see of a suggested product; its score and stock are for the business."""
_CLEAR_INTENT = 0.7
"""Probability from which an intent shows that the customer has changed the subject."""
_LONGEST_CORRECTION = 12
"""Words of a message that may correct a waiting call."""
_LEAST_NEAR, _MOST_NEAR = 0.1, 3
"""Probability from which a place is named where nothing is answered, and how many at most."""
LEAST_TO_LOOK_UP = 0.3
"""Probability that a look-up is wanted from which it is made for who names the thing and its proof."""
LEAST_TO_ASK = 0.5
"""Probability that a call is wanted from which the customer is asked for what it needs."""


@dataclass(slots=True)
class _Round:
    """All that is known while one message is answered."""

    conversation: DeskConversation
    message: str
    language: str
    state: dict[str, Any]
    rehearsed: bool = False
    intent: str = ""
    sure: float = 0.0
    intents: Mapping[str, float] = field(default_factory=dict)
    least: float = 0.0
    judged: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    near: tuple[Citation, ...] = ()
    """Places of the documents that may answer, of which the desk is not sure enough to quote them."""


class Desk:
    """A desk: members, tools and a policy.

    Args:
        name: the desk's name.
        policy: which intent goes where.
        members: the models by name; see `desk/members.py`. A step whose member is missing cannot answer.
        tools: the tools that it may call.
        toolbox: makes the calls; without it none is made, and those that wait for a yes are only told: to measure what would be proposed.
        no_intent: the label by which the member `intents` says that a message has none of its intents; empty if it has no such label.
        confidence: how sure it must be of a reply; without it each member decides for itself.
        signs: finds what speaks for a quotation.
        live: whether calls that wait for a yes are made after it. Without it they are only told, as in tests and previews.
        now: the clock, in seconds since 1970.
    """

    def __init__(
        self,
        name: str,
        policy: DeskPolicy,
        members: Mapping[str, Member],
        tools: Sequence[Tool] = (),
        toolbox: Toolbox | None = None,
        *,
        no_intent: str = "",
        confidence: DeskConfidence | None = None,
        signs: QuotationSigns | None = None,
        live: bool = False,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.name, self.policy, self._members, self._toolbox, self._now = name, policy, members, toolbox, now
        self.live = live and toolbox is not None
        self.left_out: tuple[str, ...] = ()
        self._tools, self._no_intent = {tool.name: tool for tool in tools}, no_intent
        self._confidence, self._signs = confidence, signs or QuotationSigns(None, members.get("intents"), no_intent)

    def live_with(self, toolbox: Toolbox, name: str, changes: bool = True) -> Desk:
        """A desk like this one, under a name, that makes calls with a toolbox, after a yes; without `changes`, look-ups alone."""
        made = copy.copy(self)
        made.name, made._toolbox, made.live, made._tools = name, toolbox, changes, {tool.name: tool for tool in toolbox.tools}
        return made

    def for_customers(self) -> Desk:
        """A desk like this one, without the tools that it cannot call: it names them in `left_out`. Nothing would guard their calls, so it
        does not propose them either."""
        made, known = copy.copy(self), self._tools.items()
        made._tools = {name: tool for name, tool in known if self._toolbox is not None and tool.target is not None}
        made.left_out = (*self.left_out, *(name for name, _ in known if name not in made._tools))
        return made

    @property
    def tools(self) -> tuple[Tool, ...]:
        """Its tools."""
        return tuple(self._tools.values())

    def sure_by(self, confidence: DeskConfidence) -> Desk:
        """A desk like this one, which must be as sure as this confidence says."""
        made = copy.copy(self)
        made._confidence = confidence
        return made

    def with_policy(self, policy: DeskPolicy) -> Desk:
        """A desk like this one under another policy."""
        made = copy.copy(self)
        made.policy = policy
        return made

    @property
    def toolbox(self) -> Toolbox | None:
        """The toolbox that makes its calls; None for a desk that makes no call that changes anything."""
        return self._toolbox if self.live else None

    @property
    def greeting(self) -> Mapping[str, str]:
        """Its first words, by language."""
        return {language: self._text("greeting", language) for language in self.policy.languages}

    def answer(self, conversation: DeskConversation, message: str) -> DeskAnswer:
        """Answer a message. Calls that only read are made at once where their tool permits it; others are proposed."""
        return self._answered(conversation, message)

    def rehearse(self, conversation: DeskConversation, message: str) -> DeskAnswer:
        """Answer a message without making any call: to find again what the desk remembered after it."""
        return self._answered(conversation, message, rehearsed=True)

    def _answered(self, conversation: DeskConversation, message: str, rehearsed: bool = False) -> DeskAnswer:
        language = language_of(message, _known_language(conversation), self.policy.languages)
        turn = _Round(conversation, message.strip(), language, dict(conversation.state), rehearsed)
        if len(message) > LONGEST_MESSAGE:
            return self._told(turn, "asked", "too_long")
        if not turn.message:
            return self._told(turn, "asked", "unclear")
        settled = self._settled(turn)
        if settled is not None:
            return settled
        if name := small_talk(turn.message):
            return self._told(turn, "answered", name)
        self._recognise(turn)
        if (answer := self._named(turn)) is not None:
            return answer
        for step in self.policy.steps(turn.intent):
            turn.facts["step"] = step  # the one that answers; those that could not are `passed`
            if (answer := self._step(turn, step)) is not None:
                return answer
            turn.facts["passed"] = [*turn.facts.get("passed", ()), turn.facts.pop("step")]
        return self._unanswered(turn)

    def options(self, conversation: DeskConversation, message: str) -> list[list[DeskReply]]:
        """For each step that could answer a message, its replies however unsure it is of them; nothing is called. A reply's `facts` have
        its signs in `judged`. Empty for a message that settles what was open, and for small talk. To fit a confidence."""
        language = language_of(message, _known_language(conversation), self.policy.languages)
        first = _Round(conversation, message.strip(), language, dict(conversation.state), rehearsed=True)
        if not first.message or len(message) > LONGEST_MESSAGE or self._settled(first) is not None or small_talk(first.message):
            return []
        self._recognise(first)
        steps = ["named", *self.policy.steps(first.intent)]
        found = []
        for step in steps:
            turn = replace(first, state=dict(first.state), facts=dict(first.facts), least=-1.0)
            if step == "answer":
                found.append([self._quoted(turn, one, chance).reply for one, chance in self._quotations(turn)])
            else:
                answer = self._named(turn) if step == "named" else self._step(turn, step)
                found.append([answer.reply] if answer is not None and "judged" in answer.reply.facts else [])
        return [replies for replies in found if replies]

    def decide(self, conversation: DeskConversation, call: str, yes: bool) -> DeskAnswer:
        """Run the waiting call with this id, or drop it."""
        return self._decided(conversation, call, yes)

    def _decided(self, conversation: DeskConversation, call: str, yes: bool, rehearsed: bool = False) -> DeskAnswer:
        language = language_of("", _known_language(conversation), self.policy.languages)
        turn = _Round(conversation, "", language, dict(conversation.state), rehearsed)
        waiting = turn.state.get("waiting")
        if not isinstance(waiting, Mapping) or not secrets.compare_digest(str(waiting.get("id", "")).encode(), call.encode()):
            return self._told(turn, "failed", "expired")
        del turn.state["waiting"]
        if self.live and not rehearsed:
            return self._made(turn, call, yes)
        if self._now() > float(waiting.get("until", 0)):
            return self._told(turn, "failed", "expired")
        return self._tried(turn, waiting) if yes else self._told(turn, "cancelled", "cancelled")

    def _tried(self, turn: _Round, waiting: Mapping[str, Any]) -> DeskAnswer:
        """Say what would be done, and do nothing."""
        text = self._text("tried", turn.language).replace("{call}", str(waiting.get("words", "")))
        made = {"tool": waiting.get("tool"), "arguments": waiting.get("arguments")}
        return self._done(turn, DeskReply("done", text, "act", facts={"call": made, "dry": True}))

    def _made(self, turn: _Round, call: str, yes: bool) -> DeskAnswer:
        """Make the waiting call that the customer has decided on."""
        assert self._toolbox is not None
        decided = self._toolbox.decide(call, self._user(turn), yes)
        if decided.tool is None:
            return self._told(turn, "failed", "expired")
        if not yes:
            return self._told(turn, "cancelled", "cancelled")
        return self._result(turn, decided.tool, dict(decided.arguments), decided.result, 1.0)

    # What an earlier reply left open: a proposed call, missing arguments, the offer of a person.

    def _settled(self, turn: _Round) -> DeskAnswer | None:
        """The answer to a message that settles what was open; None if nothing was, or the customer speaks of something else."""
        waiting, offered = turn.state.get("waiting"), turn.state.pop("offered", False)
        said = decision(turn.message, str(waiting.get("words", "")) if isinstance(waiting, Mapping) else "")
        if isinstance(waiting, Mapping):
            if (corrected := self._corrected(turn, waiting)) is not None:
                return corrected
            if said is not None:
                return self._decided(turn.conversation, str(waiting.get("id", "")), said, turn.rehearsed)
            del turn.state["waiting"]  # the customer speaks of something else: a later yes must not mean this call
        asking = turn.state.pop("asking", None)
        if isinstance(asking, Mapping):
            if said is False:
                return self._told(turn, "cancelled", "cancelled")
            return self._completed(turn, asking)
        if offered and said is True:
            return self._hand_over(turn, WANTED_PERSON[0])
        return None

    def _corrected(self, turn: _Round, waiting: Mapping[str, Any]) -> DeskAnswer | None:
        """A new proposal with what the customer corrects in the waiting call: "no, FH-20104". It waits for a yes of its own."""
        tool, arguments = self._tools.get(str(waiting.get("tool", ""))), dict(waiting.get("arguments", {}))
        if tool is None or "?" in turn.message or len(turn.message.split()) > _LONGEST_CORRECTION:
            return None
        named = [name for name in tool.required if name in arguments and name not in tool.whole_messages]
        said = spoken_arguments(tool, named, turn.message)
        other = {name: value for name, value in said.items() if value != arguments[name]}
        if not other:
            return None
        del turn.state["waiting"]
        return self._call(turn, tool, {**arguments, **other}, 1.0)

    def _completed(self, turn: _Round, asking: Mapping[str, Any]) -> DeskAnswer | None:
        """The call whose missing arguments a message gives; None if it gives none of them."""
        tool, arguments = self._tools.get(str(asking.get("tool", ""))), dict(asking.get("arguments", {}))
        if tool is None:
            return None
        self._recognise(turn)
        before = str(asking.get("intent", ""))
        # Free text is taken for an argument only where the customer does not clearly speak of something else.
        other = turn.sure >= _CLEAR_INTENT and turn.intent != before and self.policy.is_known(turn.intent)
        found = _spoken(tool, arguments, turn.message, asked=not other and "?" not in turn.message)
        # A correction of what was given before: "sorry, it is owen@example.com".
        found |= spoken_arguments(tool, tool.owner, turn.message)
        if not found:
            return None
        turn.intent = before
        return self._call(turn, tool, {**arguments, **found}, float(asking.get("score", 1.0)))

    # What the customer wants.

    def _recognise(self, turn: _Round) -> None:
        """Recognise the intent, if there is a member for it."""
        sort = member_for(self._members, "intents", turn.language)
        if sort is None:
            return
        reply = sort(turn.message)
        label = reply.output if isinstance(reply.output, str) else ""
        turn.facts["intent"] = {"label": label, "score": round(reply.score, 4)}
        turn.intents = chances_of(reply)
        if reply.score >= self.policy.least_intent and label != self._no_intent:
            turn.intent, turn.sure = label, reply.score

    def _sure(self, turn: _Round, kind: str, signs: Mapping[str, float], score: float, least: float | None = None) -> float | None:
        """The probability that a reply of this kind is right; None if it is too low to give it. Without a confidence, the score stands.
        `least`: a threshold that may do in place of a higher one."""
        if self._confidence is None:
            return score
        chance = self._confidence.chance(kind, signs)
        turn.facts["judged"] = {"kind": kind, "signs": dict(signs), "chance": round(chance, 4)}
        needed = min(self._confidence.threshold, least) if least is not None else self._confidence.threshold
        return chance if chance >= (turn.least or needed) else None

    def _step(self, turn: _Round, step: str) -> DeskAnswer | None:
        """The answer by a step of the policy; None if it cannot answer."""
        verb, _, what = step.partition(" ")
        if verb == "say":
            return self._told(turn, "answered", what, score=turn.sure)
        if verb == "person":
            return self._hand_over(turn, WANTED_PERSON[1])
        if verb == "act":
            return self._act(turn, what)
        return self._answer(turn) if verb == "answer" else self._recommend(turn)

    def _named(self, turn: _Round) -> DeskAnswer | None:
        """The call about a thing that the message names (an order by its number), whatever its intent; None if it names none, or the
        member `act` finds no call. With its proof (an e-mail address) it is looked up even so, unless something is to be changed."""
        said = {tool.name: spoken_arguments(tool, tool.owner, turn.message) for tool in self._tools.values() if tool.owner}
        named = [tool for tool in self._tools.values() if tool.owner and tool.owner[0] in said[tool.name]]
        if not named:
            return None
        member = member_for(self._members, "act", turn.language)
        reply = member(turn.message) if member is not None else None
        wanted = str(reply.output.get("tool", "")) if reply is not None and isinstance(reply.output, Mapping) else ""
        if reply is not None and any(tool.name == wanted for tool in named) and reply.score >= self.policy.least_act:
            return self._act(turn, wanted)
        planned = [self._tools[step[4:]] for step in self.policy.steps(turn.intent) if step[4:] in self._tools]
        reads = [tool for tool in named if not tool.waits and len(said[tool.name]) == len(tool.owner)]
        if len(reads) != 1 or any(tool.changes for tool in planned):
            return None
        spoken = _spoken(reads[0], {}, turn.message, asked=False)
        sure = self._sure_of_call(turn, reads[0], spoken, reply.score if wanted == reads[0].name and reply is not None else 0.5, turn.sure)
        return None if sure is None else self._call(turn, reads[0], spoken, sure)

    # Steps.

    def _answer(self, turn: _Round) -> DeskAnswer | None:
        """An answer from the documents."""
        if member_for(self._members, "answer", turn.language) is None:
            return None
        if not turn.state.get("question") and leans(turn.message):
            return self._told(turn, "asked", "unclear")
        if (several := self._several(turn)) is not None:
            return several
        found = self._quotations(turn)
        if not found:
            return None
        if self._sure(turn, "answer", found[0][0].signs, found[0][1]) is not None:
            return self._quoted(turn, *found[0])
        if (two := self._two(turn, found)) is not None:
            return two
        near: dict[tuple[str, str], Citation] = {}
        for one, chance in found:
            if chance >= _LEAST_NEAR:
                near.setdefault((one.citation.document, one.citation.heading), one.citation)
        turn.near = tuple(near.values())[:_MOST_NEAR]
        return None

    def _quotations(self, turn: _Round) -> list[tuple[Quotation, float]]:
        """The quotations that may answer, with their chances, the surest first. Without a confidence, those that the member gives."""
        member, before = member_for(self._members, "answer", turn.language), str(turn.state.get("question", ""))
        if member is None:
            return []
        if self._confidence is not None:
            judge = self._confidence
            found = quotations_of(member, turn.message, before, turn.intents, self._signs)
            made = [(one, judge.chance("answer", one.signs)) for one in found]
        else:
            questions = [turn.message, *([f"{before} {turn.message}"] if before and is_follow_up(turn.message) else [])]
            replies = [(member(question), question) for question in questions]
            made = [(Quotation(citation_of(one), {}, question), one.score) for one, question in replies if isinstance(one.output, Mapping)]
            turn.facts["answer"] = {"score": round(max(one.score for one, _ in replies), 4)}
        return sorted(made, key=lambda pair: -pair[1])

    def _several(self, turn: _Round) -> DeskAnswer | None:
        """A quotation for each of several questions; None unless it is sure of all of them, and they differ."""
        parts = questions_in(turn.message) if self._confidence is not None else []
        sort = member_for(self._members, "intents", turn.language)
        found: list[tuple[Quotation, float]] = []
        for part in parts:
            intents = chances_of(sort(part)) if sort is not None else {}
            own = replace(turn, message=part, intents=intents, state={}, facts={})
            best = next(iter(self._quotations(own)), None)
            if best is None or self._sure(own, "answer", best[0].signs, best[1]) is None:
                return None
            found.append(best)
        if len({one.citation.text for one, _ in found}) < max(2, len(parts)):
            return None
        turn.state["question"] = turn.message
        text, cited = "\n\n".join(one.citation.text for one, _ in found), tuple(one.citation for one, _ in found)
        sure = min(chance for _, chance in found)
        return self._done(turn, DeskReply("answered", text, "answer", turn.intent, sure, cited, facts=turn.facts))

    def _two(self, turn: _Round, found: Sequence[tuple[Quotation, float]]) -> DeskAnswer | None:
        """The two surest quotations, where neither is sure enough and both together are; said so."""
        (first, chance), *others = found
        words = first.citation.text
        other = next((one for one in others if one[0].citation.text not in words and words not in one[0].citation.text), None)
        if self._confidence is None or other is None or together(chance, other[1]) < self._confidence.threshold:
            return None
        turn.state["question"] = first.question[-LONGEST_MESSAGE:]
        cited = (first.citation, other[0].citation)
        quoted = "\n\n".join(self._framed(one.text, turn.language) for one in cited)
        text = self._text("may_answer", turn.language).replace("{text}", quoted)
        sure = together(chance, other[1])
        return self._done(turn, DeskReply("answered", text, "answer", turn.intent, sure, cited, facts=turn.facts))

    def _quoted(self, turn: _Round, found: Quotation, chance: float) -> DeskAnswer:
        """A reply that quotes."""
        judged = {"judged": {"kind": "answer", "signs": dict(found.signs), "chance": round(chance, 4)}} if found.signs else {}
        turn.state["question"] = found.question[-LONGEST_MESSAGE:]
        text = self._framed(found.citation.text, turn.language)
        reply = DeskReply("answered", text, "answer", turn.intent, chance, (found.citation,), facts=turn.facts | judged)
        return self._done(turn, reply)

    def _framed(self, words: str, language: str) -> str:
        """Quoted words; with a word on their language, where it is not the customer's. They are never translated."""
        spoken = shown_language(words)
        return words if spoken in ("", language) else self._text(f"quoted_{spoken}", language).replace("{text}", words)

    def _recommend(self, turn: _Round) -> DeskAnswer | None:
        """Suggestions of products."""
        member = member_for(self._members, "recommend", turn.language)
        if member is None:
            return None
        reply = member(turn.message)
        found = [item for item in reply.facts.get("items", ()) if isinstance(item, Mapping)][:_MOST_ROWS]
        items = tuple({name: item[name] for name in _OF_PRODUCTS if item.get(name) not in (None, "")} for item in found)
        signs = {"intent": log_odds(turn.sure)}
        sure = self._sure(turn, "recommend", signs, reply.score) if items and reply.score >= self.policy.least_recommend else None
        if sure is None:
            return None
        text = self._text("suggestions", turn.language)
        card = Card("products", text, items)
        turn.state["question"] = turn.message
        return self._done(turn, DeskReply("answered", text, "recommend", turn.intent, sure, cards=(card,), facts=turn.facts))

    def _act(self, turn: _Round, named: str) -> DeskAnswer | None:
        """A call of a tool: of this one, or of any where none is named."""
        member = member_for(self._members, "act", turn.language)
        if not self._tools or (named and named not in self._tools):
            return None
        arguments: dict[str, Any] = {}
        score, chosen, against = turn.sure, named, 0.0
        if member is not None:
            reply = member(turn.message)
            turn.facts["act"] = {"output": reply.output, "score": round(reply.score, 4)}
            if isinstance(reply.output, Mapping) and (not named or reply.output.get("tool") == named):
                chosen, arguments, score = str(reply.output.get("tool", "")), dict(reply.output.get("arguments", {})), reply.score
            elif not named or (reply.output is None and self._confidence is None):
                return None
            else:
                against = reply.score
        tool = self._tools.get(chosen)
        if tool is None or (not named and score < self.policy.least_act):
            return None
        checked = check_arguments(tool, arguments)
        kept = {name: value for name, value in checked.values.items() if name not in checked.mistakes}
        kept |= _spoken(tool, kept, turn.message, asked=False)
        kept |= _proven(tool, kept, turn.state)
        sure = self._sure_of_call(turn, tool, kept, 1 - against if against else score, score)
        return None if sure is None else self._call(turn, tool, kept, sure)

    def _sure_of_call(self, turn: _Round, tool: Tool, arguments: Mapping[str, Any], member: float, score: float) -> float | None:
        """How sure it is that the customer wants this call; None if too little. It may be less sure to ask for an argument, and to look up
        what the customer has proven to be theirs."""
        planned = f"act {tool.name}" in self.policy.steps(turn.intent)
        found = sum(name in arguments for name in tool.required) / max(1, len(tool.required))
        signs = {"member": log_odds(member), "planned": turn.sure if planned else 0.0, "found": found}
        proven = bool(tool.owner) and not tool.waits and all(name in arguments for name in tool.owner)
        least = LEAST_TO_LOOK_UP if proven else LEAST_TO_ASK if found < 1 else None
        return self._sure(turn, "act", signs, score, least)

    def _call(self, turn: _Round, tool: Tool, arguments: dict[str, Any], score: float) -> DeskAnswer:
        """Ask for what is missing, propose the call, or run it."""
        missing = [name for name in tool.required if name not in arguments]
        if missing:
            turn.state["asking"] = {"tool": tool.name, "arguments": arguments, "intent": turn.intent, "score": score}
            names = self._listed([tool.title(name, turn.language) for name in missing], turn.language)
            text = self._text("ask", turn.language).replace("{names}", names)
            facts = {**turn.facts, "call": {"tool": tool.name, "arguments": arguments, "missing": missing}}
            return self._done(turn, DeskReply("asked", text, "act", turn.intent, score, facts=facts))
        return self._propose(turn, tool, arguments, score) if tool.waits else self._run(turn, tool, arguments, score)

    def _propose(self, turn: _Round, tool: Tool, arguments: dict[str, Any], score: float) -> DeskAnswer:
        """Propose a call that waits for the customer's yes."""
        words = tool.wording(arguments, turn.language)
        call = ProposedCall(secrets.token_urlsafe(16), tool.name, arguments, words)
        if self._toolbox is not None and tool.target is not None and not turn.rehearsed:
            made = self._toolbox.propose(ToolCall(tool.name, arguments), self._user(turn), turn.language)
            if isinstance(made, ToolResult):
                return self._result(turn, tool, arguments, made, score)
            call = made
        until = self._now() + WAITING_SECONDS
        turn.state["waiting"] = {"id": call.id, "tool": tool.name, "arguments": arguments, "words": call.words, "until": until}
        text = self._text("confirm", turn.language).replace("{call}", call.words)
        return self._done(turn, DeskReply("proposed", text, "act", turn.intent, score, call=call, facts=turn.facts))

    def _run(self, turn: _Round, tool: Tool, arguments: dict[str, Any], score: float) -> DeskAnswer:
        """Make a call that only reads."""
        if turn.rehearsed:
            result = ToolResult("nothing", reason="it is not looked up again")  # a correction of the proof may follow, as after a wrong one
        elif self._toolbox is None:
            result = ToolResult("failed", reason="this desk makes no calls")
        else:
            result = self._toolbox.run(ToolCall(tool.name, arguments), self._user(turn))
        return self._result(turn, tool, arguments, result, score)

    def _result(self, turn: _Round, tool: Tool, arguments: dict[str, Any], result: ToolResult, score: float) -> DeskAnswer:
        """Tell the result of a call. Every value is the result's own, or the customer's."""
        facts = {
            **turn.facts,
            "call": {"tool": tool.name, "arguments": arguments},
            "result": {"status": result.status, "why": result.reason},
        }
        turn.facts = facts
        if result.status == "unknown":
            return self._hand_over(turn, "a call may have changed something, and its answer did not come", "unknown")
        told = answer_text(tool, arguments, result, turn.language)
        if result.status == "failed" and not told:
            turn.state["offered"] = True
            return self._told(turn, "failed", "failed", member="act")
        if result.status == "refused":
            return self._told(turn, "failed", "too_often", member="act")
        words = tool.wording(arguments, turn.language)
        if tool.owner and result.status == "nothing":
            turn.state["asking"] = {"tool": tool.name, "arguments": arguments, "intent": turn.intent, "score": score}
        if tool.owner and result.status == "ok":
            turn.state["proven"] = {name: arguments[name] for name in tool.owner if name in arguments}
        if result.status == "failed":
            return self._done(turn, DeskReply("failed", told, "act", turn.intent, score, facts=facts))
        if tool.changes and result.status == "ok":
            text = told or self._text("done", turn.language).replace("{call}", words)
            return self._done(turn, DeskReply("done", text, "act", turn.intent, score, facts=facts))
        card = card_of(tool, result, words)
        fallback = "found" if card is not None else "nothing_found"
        text = told if told and (card is None or len(card.items) == 1) else self._text(fallback, turn.language)
        cards = () if card is None else (replace(card, items=tuple(_shown(row, tool, turn.language) for row in card.items[:_MOST_ROWS])),)
        return self._done(turn, DeskReply("answered", text, "act", turn.intent, score, cards=cards, facts=facts))

    def _user(self, turn: _Round) -> ToolUser:
        asked = turn.conversation
        return ToolUser(asked.id, asked.channel, asked.address, asked.origin)

    # Ends.

    def _unanswered(self, turn: _Round) -> DeskAnswer:
        """Say that there is no answer; pass on to a person after too many of these in a row."""
        count = int(turn.state.get("unanswered", 0)) + 1
        turn.state["unanswered"] = count
        most = self.policy.hand_over.after_unanswered
        if most and count >= most:
            return self._hand_over(turn, f"{count} messages in a row were not answered")
        if is_angry(turn.message):
            return self._hand_over(turn, "the customer is angry, and there is no answer")
        turn.state["offered"] = True
        best = turn.facts.get("judged", {}).get("chance", turn.facts.get("answer", {}).get("score"))
        turn.state.setdefault("question", turn.message)
        score = turn.sure if best is None else 1 - best
        if not is_foreign(turn.message):
            places = [f"“{one.heading.rpartition(' > ')[2] or one.title}”" for one in turn.near]
            text = self._text("unanswered", turn.language)
            if places:
                text = self._text("near", turn.language).replace("{places}", self._listed(places, turn.language, "or"))
            return self._done(turn, DeskReply("unanswered", text, "", turn.intent, score, turn.near, facts=turn.facts))
        names = self._listed([LANGUAGE_NAMES[turn.language][one] for one in self.policy.languages], turn.language, "both")
        text = self._text("foreign", turn.language).replace("{languages}", names)
        return self._done(turn, DeskReply("unanswered", text, "", turn.intent, score, facts=turn.facts))

    def _hand_over(self, turn: _Round, why: str, words: str = "") -> DeskAnswer:
        """Pass the conversation to a person."""
        there = self.policy.hours.open_at(datetime.fromtimestamp(self._now(), UTC))
        turn.state.pop("unanswered", None)
        turn.facts["handed_over"] = why
        name = words or ("handed_over" if there else "handed_over_closed")
        return self._told(turn, "handed_over", name, score=turn.sure or 1.0, facts=turn.facts, status="with_person")

    def _told(
        self,
        turn: _Round,
        outcome: Any,
        name: str,
        *,
        member: str = "",
        score: float = 1.0,
        facts: Mapping[str, Any] | None = None,
        status: Status = "open",
    ) -> DeskAnswer:
        """A reply in a fixed text."""
        text = self._text(name, turn.language)
        reply = DeskReply(outcome, text, member, turn.intent, score, facts=dict(facts if facts is not None else turn.facts))
        return self._done(turn, reply, status)

    def _done(self, turn: _Round, reply: DeskReply, status: Status = "open") -> DeskAnswer:
        if reply.outcome != "unanswered":
            turn.state.pop("unanswered", None)
        turn.state["language"] = turn.language
        return DeskAnswer(replace(reply, score=min(1.0, max(0.0, reply.score)), language=turn.language), turn.state, status)

    def _listed(self, names: Sequence[str], language: str, joint: str = "and") -> str:
        """Names as a list in words: "a, b and the c"; `joint`: the text before the last."""
        *first, last = names
        return f"{', '.join(first)}{self._text(joint, language)}{last}" if first else last

    def _text(self, name: str, language: str) -> str:
        """A text by its name: the policy's, or the desk's own; in this language, or the desk's first."""
        for texts in (self.policy.texts.get(name, {}), TEXTS.get(name, {})):
            for spoken in (language, self.policy.languages[0], "en"):
                if spoken in texts:
                    return texts[spoken]
        raise KeyError(name)


def _proven(tool: Tool, arguments: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that this customer has proven in this conversation, for a call about the same thing, or about none that they name."""
    proven = state.get("proven")
    if not tool.owner or not isinstance(proven, Mapping) or set(proven) != set(tool.owner):
        return {}
    same = arguments.get(tool.owner[0], proven[tool.owner[0]]) == proven[tool.owner[0]]
    return {name: value for name, value in proven.items() if name not in arguments} if same else {}


def _shown(row: Mapping[str, Any], tool: Tool, language: str) -> Mapping[str, Any]:
    """A row for a card in a language, without columns that hold words in one language for the text: `state_en`."""
    return titled_row({name: value for name, value in row.items() if not name.endswith(("_en", "_de"))}, tool.columns, language)


def _spoken(tool: Tool, arguments: Mapping[str, Any], message: str, asked: bool) -> dict[str, Any]:
    """The required arguments that are missing and that a message says. `asked`: the customer was just asked for them."""
    missing = [name for name in tool.required if name not in arguments]
    return spoken_arguments(tool, missing, message, asked)


def _known_language(conversation: DeskConversation) -> str:
    """The language of the conversation so far; empty if it is unknown."""
    return str(conversation.state.get("language") or conversation.language)
