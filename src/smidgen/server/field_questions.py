"""System One's typed questions about fields: one is answered where a field's values are its options.

A tagger knows how likely each value of a field is, where the field has a fixed set of values. A decoder does not: it has one score for all
that it wrote, and would answer a question about one field with the doubts about all others in it. So its questions are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from smidgen.server.questions import QUOTED, Labels, Match, NoulQuestion, Question, match, plain
from smidgen.server.served import Served
from smidgen.tasks import field_chances

_YES, _NO = "true", "false"


class FieldLabels:
    """The fields of a bundle that questions can be asked about, each with its values."""

    def __init__(self, model: Served) -> None:
        self.model = model
        self._tagged = "kinds" in model.form.get("tagged", {})
        self._fields = {path: Labels(model, labels) for path, labels in field_chances.known(model.form).items()}

    def match(self, name: str, question: Question, named: bool) -> Match | str:
        """How a question is answered, or why it is not. `named` says that the request names this bundle.

        A question that names a field (its own name, its instructions, or what they have between backticks) is about that field; else it is
        about the one field whose values its options are. noul: a named field that is a yes or no; or one value of a field, as of labels.
        """
        model = self.model.name
        if not self._tagged:
            return f"{model} writes its fields, and has one score for all of them: ask for the whole object at /v1/chat/completions"
        meant = {path: labels for path, labels in self._fields.items() if path in self._named(name, question)}
        tried = {path: self._one(name, question, path, labels, named, bool(meant)) for path, labels in (meant or self._fields).items()}
        fits = [found for found in tried.values() if isinstance(found, Match)]
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
        """How likely each value of a field is."""
        return {label: chances[field_chances.key(path, label)] for label in self._fields[path].all}

    def _one(self, name: str, question: Question, path: str, labels: Labels, named: bool, meant: bool) -> Match | str:
        if isinstance(question, NoulQuestion):
            found = match(name, question, labels, False)
            if isinstance(found, str) and meant and set(labels.all) == {_YES, _NO}:
                found = Match(question, ((_YES,), ()))
        else:
            found = match(name, question, labels, named)
        return replace(found, field=path) if isinstance(found, Match) else found

    def _named(self, name: str, question: Question) -> set[str]:
        """The fields that a question names, by path or, where no other field ends so, by the last part of it."""
        said = [name]
        if isinstance(question.instructions, str):
            said += [question.instructions, *QUOTED.findall(question.instructions)]
        found = set()
        for wanted in map(plain, said):
            ends = [path for path in self._fields if wanted in (plain(path), plain(path.rpartition(".")[2]))]
            whole = [path for path in ends if plain(path) == wanted]
            found.update(whole or (ends if len(ends) == 1 else []))
        return found
