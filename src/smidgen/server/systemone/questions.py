"""Match System One's typed questions to the labels of bundles, and to fields with a fixed set of values.

A System One model reads the instructions of a question. A bundle does not, because it was trained for one job. So a question is answered if
its options *are* labels of the bundle, and refused otherwise. An option matches the label of that name (`billing/refund`), the only one
that differs in case, spaces, `_` and `-`, or, for hierarchical labels, all labels below it (`billing`). Probabilities are the bundle's own.
In a choice of some of its labels, they are normalised over those, and `option_mass` is their share of the whole.

A tagger knows the probability of each value of a field. A decoder has one score for its whole text, so a question about one of its fields
is refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from smidgen.server.models import ServedBundle

Content = str | dict[str, Any] | list[Any]
"""Text or structured data, which the protocol allows wherever a model would read."""

_YES, _NO = ("yes", "true", "y", "1"), ("no", "false", "n", "0")
QUOTED = re.compile(r"`([^`]{1,200})`")
_CHANCE_DIGITS = 6


class _Question(BaseModel):
    model_config = ConfigDict(extra="ignore")
    instructions: Content | None = Field(None, description="The question. A bundle does not read it, but for a label's name in it.")


class NoulCriteria(BaseModel):
    """Labels for yes and for no."""

    true: Content | None = Field(default=None, description="A label: yes is this label.")
    false: Content | None = Field(default=None, description="A label: no is this label, and others do not count.")


class NoulQuestion(_Question):
    """A yes/no question: how likely is this label?"""

    type: Literal["noul"]
    criteria: NoulCriteria | None = None


class ChoiceQuestion(_Question):
    """A choice: which of these labels?"""

    type: Literal["choice"]
    criteria: dict[str, Content | None] = Field(min_length=1, max_length=1000, description="Labels, with descriptions that are not read.")


class ScoreQuestion(_Question):
    """A place on a scale whose levels are labels."""

    type: Literal["score"]
    criteria: list[Content] = Field(min_length=1, max_length=255, description="Labels, from the lowest level to the highest.")


Question = Annotated[NoulQuestion | ChoiceQuestion | ScoreQuestion, Field(discriminator="type")]


@dataclass(frozen=True, slots=True)
class QuestionMatch:
    """A question that a bundle can answer: for each option, in the question's order, its labels.

    A noul question has two options, yes and no. No labels for `no` means everything else. `field`: the path of the field whose values are
    the labels, for a bundle that fills in fields.
    """

    question: NoulQuestion | ChoiceQuestion | ScoreQuestion
    groups: tuple[tuple[str, ...], ...]
    field: str = ""


def match_question(
    name: str, question: NoulQuestion | ChoiceQuestion | ScoreQuestion, known: QuestionLabels, named: bool
) -> QuestionMatch | str:
    """Return how a bundle answers a question, or the reason why it cannot. `named`: the request names this bundle.

    choice: every option is a label. score: every level is a label; or the request names a bundle whose labels are numbers, one for each
    level. noul: `criteria.true` is a label; or the instructions are one, or contain exactly one between backticks; or the question's name
    is one; or the bundle's labels are yes and no, and the request names the bundle or the question has its name.
    """
    model = known.model
    if not known.all:
        return f"{model.name} has no labels to choose from"
    if isinstance(question, NoulQuestion):
        return _noul(name, question, known, named)
    if known.several:
        return f"{model.name} gives each label its own yes or no: ask a noul question for each"
    if isinstance(question, ChoiceQuestion):
        return _grouped(question, list(question.criteria), known)
    levels = [level if isinstance(level, str) else "" for level in question.criteria]
    found = _grouped(question, levels, known)
    if isinstance(found, str) and named and len(known.numbers) == len(levels) == len(known.all):
        return QuestionMatch(question, tuple((label,) for label in known.numbers))
    return found


def answer_to(found: QuestionMatch, chances: Mapping[str, float], several: bool) -> dict[str, Any]:
    """Return the typed answer, from the probability of every label. `several`: labels are independent."""
    masses = [_total_chance(group, chances, several) for group in found.groups]
    question = found.question
    if isinstance(question, NoulQuestion):
        yes, no = masses
        chance = yes if not found.groups[1] else yes / (yes + no) if yes + no > 0 else 0.5
        return {"type": "noul", "noul": round(chance, _CHANCE_DIGITS)}
    whole = math.fsum(masses)
    shares = [mass / whole if whole > 0 else 1 / len(masses) for mass in masses]
    sure = {"confidence": round(_confidence(shares), _CHANCE_DIGITS), "option_mass": round(min(1.0, whole), _CHANCE_DIGITS)}
    if isinstance(question, ChoiceQuestion):
        options = list(question.criteria)
        chances_of = {option: round(share, _CHANCE_DIGITS) for option, share in zip(options, shares, strict=True)}
        return {"type": "choice", "choice": options[shares.index(max(shares))], "probabilities": chances_of, **sure}
    expected = math.fsum(level * share for level, share in enumerate(shares))
    return {
        "type": "score",
        "score": round(expected, _CHANCE_DIGITS),
        "legend": {str(level): text for level, text in enumerate(question.criteria)},
        "probabilities": {str(level): round(share, _CHANCE_DIGITS) for level, share in enumerate(shares)},
        **sure,
    }


class QuestionLabels:
    """The labels of a bundle, indexed by name. Made once per bundle.

    Args:
        model: the bundle.
        values: the labels, if they are the values of one of its fields.
    """

    def __init__(self, model: ServedBundle, values: Sequence[str] | None = None) -> None:
        self.model = model
        self.all = list(model.form.options if values is None else values)
        self.several = model.form.labelling is not None and model.form.labelling.multi_label
        self._exact = frozenset(self.all)
        self._alike: dict[str, list[str]] = {}
        self._under: dict[str, list[str]] = {}
        for label in self.all:
            above = plain_words(label)
            self._alike.setdefault(above, []).append(label)
            while "/" in above:
                above = above.rpartition("/")[0]
                self._under.setdefault(above, []).append(label)
        numerals = all(label.removeprefix("-").isdecimal() for label in self.all)
        self.numbers: list[str] = sorted(self.all, key=int) if numerals else []

    def one(self, option: str) -> str | None:
        """Return the label that an option names; None if there is no single one."""
        if option in self._exact:
            return option
        alike = self._alike.get(plain_words(option), [])
        return alike[0] if len(alike) == 1 else None

    def under(self, option: str) -> list[str]:
        """Return the labels below an option in the hierarchy."""
        return self._under.get(plain_words(option), [])

    def group(self, option: str) -> tuple[str, ...]:
        """Return the label that an option names, else those below it."""
        label = self.one(option)
        return (label,) if label is not None else tuple(self.under(option))

    def leaves_none_out(self, groups: Sequence[Sequence[str]]) -> bool:
        """Return True if every label is in one of these groups."""
        return set(self.all) <= {label for group in groups for label in group}

    def as_yes_or_no(self) -> tuple[str, str] | None:
        """Return the labels for yes and for no, if the bundle has exactly these two."""
        named = {plain_words(label): label for label in self.all}
        return next(((named[yes], named[no]) for yes, no in zip(_YES, _NO, strict=True) if set(named) == {yes, no}), None)


def _noul(name: str, question: NoulQuestion, known: QuestionLabels, named: bool) -> QuestionMatch | str:
    criteria = question.criteria or NoulCriteria()
    yes = known.group(criteria.true) if isinstance(criteria.true, str) else ()
    if yes:
        no = known.group(criteria.false) if isinstance(criteria.false, str) else ()
        return QuestionMatch(question, (yes, tuple(label for label in no if label not in yes)))
    if isinstance(question.instructions, str):
        quoted = {group for text in QUOTED.findall(question.instructions) if (group := known.group(text))}
        said = known.group(question.instructions) or (quoted.pop() if len(quoted) == 1 else ())
        if said:
            return QuestionMatch(question, (said, ()))
    if by_name := known.group(name):
        return QuestionMatch(question, (by_name, ()))
    answers = known.as_yes_or_no()
    if answers and (named or plain_words(name) == plain_words(known.model.name)):
        return QuestionMatch(question, ((answers[0],), (answers[1],)))
    return f"none of its texts is a label of {known.model.name}: put one in criteria.true, or name it between backticks"


def _grouped(question: ChoiceQuestion | ScoreQuestion, options: Sequence[str], known: QuestionLabels) -> QuestionMatch | str:
    """Assign every label to the option that fits best: the one that names it, else the nearest above it."""
    exact = [known.one(option) for option in options]
    taken = {label for label in exact if label is not None}
    groups: list[list[str]] = [[label] if label is not None else [] for label in exact]
    if len(taken) < sum(label is not None for label in exact):
        return f"two options are the same label of {known.model.name}"
    wide = sorted((place for place, label in enumerate(exact) if label is None), key=lambda place: -len(options[place]))
    for place in wide:
        groups[place] = [label for label in known.under(options[place]) if label not in taken]
        taken.update(groups[place])
    missing = [option for option, group in zip(options, groups, strict=True) if not group]
    if missing:
        return f"{missing[0][:100]!r} is not a label of {known.model.name}"
    return QuestionMatch(question, tuple(tuple(group) for group in groups))


def _total_chance(group: Sequence[str], chances: Mapping[str, float], several: bool) -> float:
    """Return the probability that one of a group of labels holds."""
    if several:
        return 1.0 - math.prod(1.0 - chances[label] for label in group)
    return math.fsum(chances[label] for label in group)


def _confidence(shares: Sequence[float]) -> float:
    """Return how peaked a distribution is, 0 (flat) to 1: `(n * peak - 1) / (n - 1)`, as the protocol defines it; 1 for a single option."""
    n = len(shares)
    return 1.0 if n == 1 else max(0.0, (n * max(shares) - 1) / (n - 1))


def plain_words(text: str) -> str:
    """Return a name in lower case, with spaces and dashes as underscores. Slashes, which make the hierarchy, stay."""
    return re.sub(r"[\s_-]+", "_", text.strip().casefold())


_TRUE, _FALSE = "true", "false"


def field_options(model: ServedBundle) -> Mapping[str, Sequence[str]] | None:
    """Return the values of each field with a fixed set, by path; None if the bundle's answers are not objects."""
    return model.task.fields.options(model.form) if model.task.fields is not None else None


class QuestionFields:
    """The fields of a bundle that questions can be about, each with its values."""

    def __init__(self, model: ServedBundle) -> None:
        self.model = model
        self._tagged = model.form.tagging is not None
        self._fields = {path: QuestionLabels(model, labels) for path, labels in (field_options(model) or {}).items()}

    def match(self, name: str, question: Question, named: bool) -> QuestionMatch | str:
        """Return how a question is answered, or why it is not. `named`: the request names this bundle.

        A question that names a field (by its own name, its instructions, or text in them between backticks) is about that field. Otherwise,
        it is about the one field whose values are its options. noul: a named yes/no field; or one value of a field, as for labels.
        """
        model = self.model.name
        if not self._tagged:
            return f"{model} writes its fields, and has one score for all of them: ask for the whole object at /v1/chat/completions"
        meant = {path: labels for path, labels in self._fields.items() if path in self._named(name, question)}
        tried = {path: self._one(name, question, path, labels, named, bool(meant)) for path, labels in (meant or self._fields).items()}
        fits = [found for found in tried.values() if isinstance(found, QuestionMatch)]
        if len(fits) == 1:
            return fits[0]
        if fits:
            fields = ", ".join(found.field for found in fits)
            return f"several fields of {model} fit: {fields}; call the question as one of them, or name one between backticks"
        if meant:
            return "; ".join(f"{path}: {why}" for path, why in tried.items())
        fields = ", ".join(self._fields)
        return f"no field of {model} has these values; fields with a fixed set of values: {fields or 'none'}"

    def chances(self, path: str, chances: Mapping[str, float]) -> dict[str, float]:
        """Return the probability of each value of a field."""
        return {label: chances[f"{path}={label}"] for label in self._fields[path].all}

    def _one(self, name: str, question: Question, path: str, labels: QuestionLabels, named: bool, meant: bool) -> QuestionMatch | str:
        if isinstance(question, NoulQuestion):
            found = match_question(name, question, labels, False)
            if isinstance(found, str) and meant and set(labels.all) == {_TRUE, _FALSE}:
                found = QuestionMatch(question, ((_TRUE,), ()))
        else:
            found = match_question(name, question, labels, named)
        return replace(found, field=path) if isinstance(found, QuestionMatch) else found

    def _named(self, name: str, question: Question) -> set[str]:
        """Return the fields that a question names, by path or by the last part of the path if that is unique."""
        said = [name]
        if isinstance(question.instructions, str):
            said += [question.instructions, *QUOTED.findall(question.instructions)]
        found = set()
        for wanted in map(plain_words, said):
            ends = [path for path in self._fields if wanted in (plain_words(path), plain_words(path.rpartition(".")[2]))]
            whole = [path for path in ends if plain_words(path) == wanted]
            found.update(whole or (ends if len(ends) == 1 else []))
        return found
