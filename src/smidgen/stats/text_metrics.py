"""What the metrics of written texts are called, and what they count: for all that show them."""

from __future__ import annotations

NAMES = {
    "rougeL": ("ROUGE-L", "words in common with the closest wanted text, in the same order"),
    "rouge1": ("ROUGE-1", "words in common, in any order"),
    "rouge2": ("ROUGE-2", "pairs of neighbouring words in common"),
    "rougeLsum": ("ROUGE-Lsum", "as ROUGE-L, line by line"),
    "chrf": ("chrF", "runs of letters in common, kinder to other forms of a word"),
    "coverage": ("Attributes said", "of all that the inputs give, the share that the texts state"),
    "unsupported": ("Something made up", "the share of texts that state what their input does not; lower is better"),
}
"""A metric's name as it is read, and what it counts."""

SHARES = ("coverage", "unsupported")
"""Metrics that are shares of something; the others are grades in 0..1."""
