"""`smidgen certify`: which requests a bundle may answer alone, tested on fresh pairs and signed."""

from __future__ import annotations

from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.markup import escape
from rich.table import Table

from smidgen.cli.screen import Screen, errors, out, print_json
from smidgen.core.errors import CertificateError, InputError

if TYPE_CHECKING:
    from smidgen.data.teacher.settings import TeacherSettings
    from smidgen.flows.certify.certification import IssuedCertificate
    from smidgen.flows.learn.line_certificate import CertificateRequest
    from smidgen.gateway.certificate import Certificate
    from smidgen.gateway.certificate_status import CertificateStatus
    from smidgen.stats.certification import ReferenceErrors

_REFERENCES: dict[str, Literal["gold", "judge", "request"]] = {"likeness": "gold", "attributes": "request", "judge": "judge"}
"""Of each loss, what the reference is where nothing else is said."""


def certify(
    bundle: Annotated[Path, typer.Argument(help="Folder of a bundle or a line.")],
    data: Annotated[
        str | None,
        typer.Option(
            help="Calibration file: texts with the reference's outputs, never used to train or choose the model (default: of a line, the "
            "rows that it holds out)."
        ),
    ] = None,
    alpha: Annotated[
        float | None,
        typer.Option(help="Share of the local answers that may disagree with the reference (default: 0.05; of a line as it was)."),
    ] = None,
    delta: Annotated[float | None, typer.Option(help="Chance that this does not hold (default: 0.05; of a line as it was).")] = None,
    overall: Annotated[
        float | None,
        typer.Option(
            help="Of all requests, the share that may be answered locally and disagree, on average: 0.01 keeps the whole within a point of "
            "asking the large model every time (default: as alpha has it)."
        ),
    ] = None,
    reference: Annotated[
        Literal["gold", "model", "reviews", "judge"] | None,
        typer.Option(
            help="Whose the outputs are: gold labels (the default), the large model's, reviews by people, or those of a judge that errs "
            "itself. With another --loss that says it."
        ),
    ] = None,
    loss: Annotated[
        Literal["likeness", "attributes", "judge"],
        typer.Option(
            help="Of texts, what alpha bounds the mean of: 1 − ROUGE-L of the reference's outputs; the share of the request's attributes "
            "that the text leaves out or makes up; or 1 − the mark of --judge."
        ),
    ] = "likeness",
    judge: Annotated[
        str | None, typer.Option(metavar="URL", help="With --loss judge: an OpenAI-compatible server whose model marks the texts.")
    ] = None,
    judge_model: Annotated[str | None, typer.Option(metavar="NAME", help="What that model is called there.")] = None,
    judge_says: Annotated[str, typer.Option(metavar="TEXT", help="What the judge is told that the job is, in a few sentences.")] = "",
    budget_usd: Annotated[float | None, typer.Option(help="The most that the judge's marks may cost, in dollars.")] = None,
    budget_tokens: Annotated[int | None, typer.Option(help="The most tokens, in and out together, that they may take.")] = None,
    reference_model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="With --reference model: what the large model is called, as --fallback-model has it. A server before another one then "
            "answers nothing under the certificate.",
        ),
    ] = None,
    judge_errors: Annotated[
        str | None,
        typer.Option(metavar="K/N", help="With --reference or --loss judge: of N reviewed verdicts, K were wrong (of marks: too high)."),
    ] = None,
    valid_days: Annotated[int, typer.Option(help="Days until it expires.")] = 90,
    audit_days: Annotated[
        int | None,
        typer.Option(
            help="Days for which answers may be given while no audit comes; then everything escalates until one does. 0: no bound "
            "(default: 7 where smidgen serve audits by itself, against the large model or the request; else 0)."
        ),
    ] = None,
    segment: Annotated[
        str | None, typer.Option(help="A threshold for each value of this column, or, with label, for each label that is answered.")
    ] = None,
    distinct: Annotated[
        bool,
        typer.Option(
            "--distinct",
            help="Count each text once, and promise a share of distinct texts. Without it each row is a request: give a fair sample of "
            "the traffic, repeats included.",
        ),
    ] = False,
    input: Annotated[str | None, typer.Option(help="Column of the text (default: as the bundle remembers).")] = None,
    label: Annotated[str | None, typer.Option(help="Column of the reference's output (default: as the bundle remembers).")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads to compute with (default: one a core).")] = None,
    show: Annotated[bool, typer.Option("--show", help="Show the certificate and whether it holds; exit 1 where it does not.")] = False,
    revoke: Annotated[str | None, typer.Option(metavar="REASON", help="Revoke the certificate, for ever.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Certify which requests a bundle may answer alone.

    At most a share alpha of its answers disagree with the reference, with confidence 1 - delta. The certificate is a signed file beside
    the bundle. Without a valid one, everything escalates.

    Example: smidgen certify my-model --data calibration.csv --alpha 0.05 --delta 0.05
    """
    from smidgen.flows.learn.line_certificate import CertificateRequest
    from smidgen.store.line import is_line

    asked_for = sum((data is not None, show, revoke is not None))
    if not asked_for and is_line(bundle):
        of_files = ("--segment", segment), ("--judge", judge), ("--judge-errors", judge_errors), ("--input", input), ("--label", label)
        refused = [name for name, value in of_files if value is not None]
        if refused or loss == "judge" or reference == "judge":
            raise InputError(
                "the rows that a line holds out have no columns, and no judge marks them",
                value=" ".join(refused) or "judge",
                todo="Leave it out, or give calibration pairs with --data FILE.",
            )
        measure = None if loss == "likeness" else loss
        wanted = CertificateRequest(alpha, delta, reference, valid_days, 0.0, reference_model, measure, overall, audit_days)
        _again(bundle, wanted, threads, as_json)
        return
    if asked_for != 1:
        raise InputError(
            "one thing at a time: certify, show or revoke",
            value=" ".join(name for name, given in (("--data", data), ("--show", show), ("--revoke", revoke)) if given) or "nothing",
            todo="Give --data FILE, or --show, or --revoke REASON. Of a line without any of them the rows certify that it holds out.",
        )
    if revoke is not None:
        _revoked(bundle, revoke, as_json)
    elif show:
        _shown(bundle, as_json)
    else:
        from smidgen.flows.certify.certification import CertificateTerms
        from smidgen.flows.certify.certification import certify as run
        from smidgen.flows.local_model import load

        whose: Literal["gold", "model", "reviews", "judge", "request"] = reference or _REFERENCES[loss]
        asked = _judged(loss, judge, judge_model, judge_says, budget_usd, budget_tokens)
        named = asked.model if asked is not None else reference_model or ""
        terms = CertificateTerms(
            0.05 if alpha is None else alpha,
            0.05 if delta is None else delta,
            whose,
            _judge(judge_errors),
            valid_days,
            segment,
            model=named,
            loss=loss,
            overall=overall,
            distinct=distinct,
            audit_days=audit_days,
        )
        try:
            with Screen(quiet=as_json) as screen, closing(load(bundle, threads)) as model, ExitStack() as stack:
                marking = None
                if asked is not None:
                    from smidgen.flows.certify.llm_judge import open_judge as opened

                    marking = stack.enter_context(opened(model, asked, threads, screen))
                done = run(model, str(data), terms, input=input, label=label, marking=marking, progress=screen)
        except CertificateError as error:
            if as_json and error.facts:
                print_json(error.facts)
            raise
        _given(done, as_json)


def _again(line: Path, asked: CertificateRequest, threads: int | None, as_json: bool) -> None:
    """Certify a line's champion on the rows that the line holds out."""
    from smidgen.flows.learn.line_certificate import recertify
    from smidgen.flows.local_model import load

    with Screen(quiet=as_json) as screen, closing(load(line, threads)) as model:
        done = recertify(model, asked, screen)
    if as_json:
        print_json(done.json())
    elif done.certificate is not None:
        _print(done.certificate)
    else:
        errors.print(f"[yellow]not certified:[/] {escape(done.why)}", soft_wrap=True)
        if done.outlook is not None:
            errors.print(f"to a certificate: {escape(done.outlook.said(datetime.now(UTC)))}", soft_wrap=True)
    if done.certificate is None:
        raise typer.Exit(1)


def _judged(
    loss: str, source: str | None, model: str | None, says: str, budget_usd: float | None, budget_tokens: int | None
) -> TeacherSettings | None:
    """How a judge is asked for its marks; None where there is none to be asked."""
    from pydantic import ValidationError

    from smidgen.data.teacher.settings import TeacherSettings

    if (loss == "judge") != (source is not None):
        raise InputError(
            "a judge is named where its marks are the loss",
            value=source or "--loss judge",
            todo="Give --loss judge --judge URL --judge-model NAME --judge-errors K/N.",
        )
    if source is None:
        return None
    try:
        return TeacherSettings(
            source=source,
            model=model or "default",
            key_env="SMIDGEN_JUDGE_KEY",
            uses=("score",),
            description=says,
            budget_usd=budget_usd,
            budget_tokens=budget_tokens,
        )
    except ValidationError as error:
        first = error.errors()[0]
        name = {"source": "--judge", "description": "--judge-says"}.get(str(first["loc"][0]), f"--{str(first['loc'][0]).replace('_', '-')}")
        raise InputError(f"{name} cannot be used: {first['msg']}", value=first["input"], todo="See smidgen certify --help.") from None


def _judge(errors_of: str | None) -> ReferenceErrors | None:
    from smidgen.stats.certification import ReferenceErrors

    if errors_of is None:
        return None
    wrong, _, reviewed = errors_of.partition("/")
    if not (wrong.strip().isdecimal() and reviewed.strip().isdecimal()):
        raise InputError("a judge's error is K wrong of N reviewed verdicts", value=errors_of, todo="Give --judge-errors 4/200.")
    return ReferenceErrors(int(wrong), int(reviewed))


def _given(done: IssuedCertificate, as_json: bool) -> None:
    if as_json:
        print_json({"certified": True, "file": str(done.file), "refused": done.refused, "certificate": done.certificate.told()})
        return
    _print(done.certificate)
    for name, why in done.refused.items():
        out.print(f"[yellow]escalates:[/] {escape(name)} ({escape(why)})", soft_wrap=True)
    out.print(f"[bold]{escape(str(done.file))}[/]", soft_wrap=True)


def _shown(bundle: Path, as_json: bool) -> None:
    from smidgen.flows.certify.certification import certificate_standing

    found: CertificateStatus = certificate_standing(bundle)
    if as_json:
        print_json(found.json())
    else:
        if found.certificate is not None:
            _print(found.certificate)
        colour = "green" if found.valid else "red"
        out.print(f"[{colour}]{found.state.value}[/]: {escape(found.why)}", soft_wrap=True)
    if not found.valid:
        errors.print("Everything escalates.")
        raise typer.Exit(1)


def _revoked(bundle: Path, reason: str, as_json: bool) -> None:
    from smidgen.flows.certify.certification import revoke

    files = revoke(bundle, reason)
    if as_json:
        print_json({"revoked": True, "reason": reason, "files": [str(file) for file in files]})
    else:
        out.print(f"Revoked. From now on everything escalates. Written to {escape(', '.join(map(str, files)))}", soft_wrap=True)


def _print(paper: Certificate) -> None:
    out.print(escape(paper.statement), soft_wrap=True)
    if not paper.counts:
        out.print(
            "[bold yellow]read:[/] an older smidgen gave it, which counted each text once: it is about distinct texts", soft_wrap=True
        )
    names: dict[str, Any] = {"reference": paper.reference.words, "loss": paper.loss, "method": paper.method, "bundle": paper.bundle.id}
    out.print("[dim]" + "; ".join(f"{name}: {escape(str(value))}" for name, value in names.items()) + "[/]", soft_wrap=True)
    table = Table(*([paper.by] if paper.by else []), "answered from", "share", "pairs", "loss", "at most", box=None, pad_edge=False)
    for entry in paper.answering:
        row = [
            f"{entry.threshold:.4f}",
            f"{entry.share:.1%}",
            f"{entry.answered:,} of {entry.n:,}",
            f"{entry.loss:.4g}",
            f"{entry.bound:.2%}",
        ]
        table.add_row(*([escape(entry.segment)] if paper.by else []), *row)
    out.print(table)
    for sentence in paper.unchecked:
        out.print(f"[bold yellow]not checked:[/] {escape(sentence)}", soft_wrap=True)


part = certify
