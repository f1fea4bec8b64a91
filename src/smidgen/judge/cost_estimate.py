"""Estimate the cost of a million texts: on the measured machine, and at the list prices of large models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from smidgen.core.rows import Text, joined
from smidgen.judge.sections import CostFacts, ModelPrice
from smidgen.usage import price_list

MACHINE_USD_PER_HOUR = 0.085
"""A rented machine with 2 virtual cores and 4 GB, on demand (AWS c6i.large in us-east-1 is listed at 0.085 dollars an hour)."""

BUSY = 0.5
"""The share of its full speed at which a paid machine works."""

CHARACTERS_PER_TOKEN = 4.0
"""For English prose and today's tokenizers, by vendors' own rule of thumb. Other languages take more tokens."""

_TOKENS_OF_A_LABEL_LIST = 6.0  # a label name of some words, with its line break
_TOKENS_OF_INSTRUCTIONS = 60.0  # "Answer with one of these labels and nothing else", with the frame of a chat message


def tokens(texts: Sequence[Text], labels: Sequence[str], answers: Sequence[str] = ()) -> tuple[float, float]:
    """Tokens in and out of a large model's call for the same job. In: a short instruction, the label names, and the text. Out: the label.

    Args:
        texts: a sample of real inputs.
        labels: the label names, which the prompt must list; empty for tasks without.
        answers: a sample of outputs as text; empty to use the labels.
    """
    text = sum(len(joined(entry)) for entry in texts) / max(1, len(texts)) / CHARACTERS_PER_TOKEN
    listed = sum(max(len(label) / CHARACTERS_PER_TOKEN + 1, 2.0) for label in labels)
    given = list(answers) or list(labels)
    answer = sum(len(entry) for entry in given) / len(given) / CHARACTERS_PER_TOKEN if given else _TOKENS_OF_A_LABEL_LIST
    return _TOKENS_OF_INSTRUCTIONS + listed + text, max(1.0, answer) + 1.0


def estimate(
    tokens_in: float,
    tokens_out: float,
    *,
    texts_per_second: float | None,
    machine_usd_per_hour: float = MACHINE_USD_PER_HOUR,
    busy: float = BUSY,
    listed: bool = True,
    table: Mapping[str, Any] | None = None,
) -> CostFacts:
    """Cost of a million texts on this machine and with large models.

    Args:
        tokens_in, tokens_out: of one call to a large model; see `tokens`.
        texts_per_second: measured throughput of the served model; None if not measured.
        machine_usd_per_hour: the cost of the machine, rented or written off.
        busy: the share of paid hours in which the machine works; an idle machine costs as much.
        listed: whether the call lists label names.
        table: prices as `price_list.read` gives them; by default the packaged list.
    """
    own = 1e6 / (texts_per_second * busy) / 3600 * machine_usd_per_hour if texts_per_second else None
    table = price_list.read() if table is None else table
    said = "a short instruction, the label names and the text" if listed else "a short instruction and the text"
    models = tuple(
        ModelPrice(
            name=entry["name"],
            provider=entry["provider"],
            usd_per_million_texts=tokens_in * entry["input"] + tokens_out * entry["output"],
            input_usd=entry["input"],
            output_usd=entry["output"],
            source=entry["source"],
            date=entry["date"],
            note=entry.get("note", ""),
        )
        for entry in table["models"]
    )
    return CostFacts(
        as_of=table["as_of"],
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        own_usd_per_million_texts=own,
        machine_usd_per_hour=machine_usd_per_hour,
        texts_per_second=texts_per_second,
        models=tuple(sorted(models, key=lambda model: -model.usd_per_million_texts)),
        assumption=(
            f"A call to a big model is taken as {tokens_in:.0f} tokens in ({said}, at "
            f"{CHARACTERS_PER_TOKEN:g} characters a token) and {tokens_out:.0f} out, without reasoning tokens, at list price without batch "
            f"or cache discounts. The machine costs {machine_usd_per_hour:g} dollars an hour and is planned to work {100 * busy:.0f} % of "
            "the time."
        ),
    )
