"""Forms with all that a test does not care for filled in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from smidgen.core.forms import FieldForm, LabelForm, SpanForm, TextForm


def label_form(labels: Iterable[str] = ("a", "b"), **facts: Any) -> LabelForm:
    """Labels, at temperature 1."""
    several = {"threshold": 0.5} if facts.get("multi_label") else {}
    unknown = {"unknown_threshold": 0.9} if facts.get("unknown") else {}
    return LabelForm(**{"labels": tuple(labels), "multi_label": False, "temperature": 1.0, **several, **unknown, **facts})


def span_form(kinds: Iterable[str] = ("a",), **facts: Any) -> SpanForm:
    """Spans, not calibrated."""
    plain = {"only": False, "threshold": 0.5, "span_slope": 1.0, "span_shift": 0.0, "temperature": 1.0, "shift": 0.0}
    return SpanForm(**{"kinds": tuple(kinds), **plain, **facts})


def field_form(schema: Mapping[str, Any], **facts: Any) -> FieldForm:
    """Fields of a schema that was given, not calibrated."""
    return FieldForm.model_validate(
        {"schema": schema, "derived": False, "instruction": "Read it.", "temperature": 1.0, "shift": 0.0, **facts}
    )


def text_form(**facts: Any) -> TextForm:
    """Texts of some words."""
    return TextForm(**{"instruction": "", "max_tokens": 0, "max_words": 10, "attributes": False, "score": None, **facts})
