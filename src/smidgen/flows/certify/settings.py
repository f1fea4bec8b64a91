"""Settings of a certificate: its promise, its calibration sample, and its judge."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator

from smidgen.core.errors import InputError
from smidgen.core.settings import SectionedSettings, Settings, setting


def check_reference(loss: str, reference: str) -> None:
    """Raise InputError if a loss and a reference do not go together."""
    if (loss == "attributes") != (reference == "request"):
        raise InputError("flows.request_is_reference_for_attributes_only", loss=loss, reference=reference)


class PromiseSettings(Settings):
    """The promise of a certificate, and how long it holds."""

    title = "Certificate"

    alpha: float | None = setting(
        None,
        "Largest share of local answers unlike the reference (default: that of the line's last certificate, else 0.05).",
        gt=0,
        lt=1,
    )
    delta: float | None = setting(
        None,
        "Chance that the promise does not hold: 0.05 is a confidence of 95 %. A line's tests share it: the k-th since the last revocation "
        "gets delta/(k(k+1)) (default: that of the line's last certificate, else 0.05).",
        gt=0,
        lt=1,
    )
    overall: float | None = setting(
        None,
        "Largest share of all requests that may be answered locally and disagree, on average. 0.01 keeps the whole within one point of "
        "asking the large model every time (default: that of the line's last certificate, else no limit but alpha).",
        gt=0,
        lt=1,
    )
    reference_model: str | None = setting(
        None,
        "Name of the large model whose answers are the reference, as --fallback-model has it. A server with another fallback answers "
        "nothing under the certificate (default of a line: the model that answered most of the newest 100 rows).",
        metavar="NAME",
    )
    valid_days: int = setting(90, "Days until the certificate expires.", ge=1, le=3650)
    likely: float = setting(
        0.0,
        "Test only if a certificate is at least this likely, by the report of the bundle. Each test spends confidence on its rows. 0: "
        "always test.",
        ge=0,
        le=1,
    )
    audit_days: int | None = setting(
        None,
        "Days for which the bundle may answer without an audit; after that everything escalates until one arrives. 0: no limit "
        "(default: 7 where smidgen serve audits by itself, against the large model or the request; else 0).",
        ge=0,
        le=3650,
    )


def _error_rate(value: str | None) -> str | None:
    if value is not None and not all(part.strip().isdecimal() for part in value.partition("/")[::2]):
        raise ValueError("write K/N, such as 4/200: of N reviewed verdicts, K were wrong")
    return value


class TermsSettings(PromiseSettings):
    """The promise about a bundle, and its reference."""

    reference: Literal["gold", "model", "reviews", "judge"] | None = setting(
        None,
        "Who gave the outputs in the calibration file. gold: your own labels. model: the large model. reviews: people who checked "
        "answers. judge: a judge that makes mistakes of its own. Not needed with --loss attributes or judge (default: gold; of a line "
        "that of its last certificate).",
    )
    loss: Literal["likeness", "attributes", "judge"] = setting(
        "likeness",
        "For written texts, what alpha limits the mean of. likeness: 1 − ROUGE-L against the reference. attributes: the share of the "
        "request's attributes that the text leaves out or makes up. judge: 1 − the mark that --judge gives.",
    )
    segment: str | None = setting(
        None, "Set one threshold for each value of this column. label: one for each label that the bundle answers with."
    )
    distinct: bool = setting(
        False,
        "Count each text once, and promise a share of distinct texts. Otherwise each row counts as a request: the file must then be a "
        "fair sample of the traffic, repeats included.",
        option="--distinct",
    )


class JudgeSettings(Settings):
    """A larger model that marks texts."""

    title = "Judge"

    url: str | None = setting(
        None, "With --loss judge: an OpenAI-compatible server whose model marks the texts.", metavar="URL", alias="judge"
    )
    model: str | None = setting(None, "The judge's name for its model.", metavar="NAME", alias="judge_model")
    says: str = setting("", "What the job is, in a few sentences, as the judge is told.", metavar="TEXT", alias="judge_says")
    budget_usd: float | None = setting(None, "Most US dollars for the judge.")
    budget_tokens: int | None = setting(None, "Most tokens for the judge, read and written together.")
    errors: Annotated[str | None, AfterValidator(_error_rate)] = setting(
        None,
        "With --reference or --loss judge: of N reviewed verdicts, K were wrong (of marks: too high).",
        metavar="K/N",
        alias="judge_errors",
    )


class CalibrationFileSettings(Settings):
    """The calibration file, and its columns."""

    title = "More options"

    data: str | None = setting(
        None,
        "Calibration file: texts with the reference's outputs, never used to train or choose the model (default for a line: the rows "
        "that it holds out).",
    )
    input: str | None = setting(None, "Column of the text (default: as the bundle remembers).")
    label: str | None = setting(None, "Column of the reference's output (default: as the bundle remembers).")
    threads: int | None = setting(None, "Threads to compute with (default: one a core).", ge=1)


class CertifySettings(SectionedSettings):
    """Settings of `smidgen certify`."""

    terms: TermsSettings = TermsSettings()
    judge: JudgeSettings = JudgeSettings()
    file: CalibrationFileSettings = CalibrationFileSettings()
