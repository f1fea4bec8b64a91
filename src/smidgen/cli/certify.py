"""`smidgen certify`: find out on fresh pairs which requests a bundle may answer alone, and sign the result."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.markup import escape

from smidgen.cli.flags import AsJson, with_flags
from smidgen.cli.screen import Screen, errors, out, plain_table, print_json, print_line
from smidgen.core.errors import CertificateError, InputError
from smidgen.core.settings import settings_of
from smidgen.flows.certify.settings import CertifySettings

if TYPE_CHECKING:
    from smidgen.data.teacher.settings import TeacherSettings
    from smidgen.flows.certify.certificate_status import AuditEvidence
    from smidgen.flows.certify.certification import IssuedCertificate
    from smidgen.gateway.certificate import Certificate
    from smidgen.gateway.certificate_status import CertificateStatus

_MOST_SHOWN = 10
_MOST_WORDS = 80
_FIRST = ("data", "alpha", "delta", "reference", "loss", "valid_days")


@with_flags(CertifySettings, _FIRST)
def certify(
    settings: CertifySettings,
    bundle: Path = typer.Argument(help="Folder of a bundle or a line."),
    show: bool = typer.Option(False, "--show", help="Show the certificate and whether it is valid. Exit code 1 if it is not."),
    revoke: str = typer.Option(None, metavar="REASON", help="Revoke the certificate for good."),
    as_json: AsJson = False,
) -> None:
    """Certify which requests a bundle may answer alone.

    The certificate promises that at most a share alpha of its answers disagree with the reference, with confidence 1 - delta. It is a
    signed file beside the bundle. Without a valid one, everything escalates.

    Example: smidgen certify my-model --data calibration.csv --alpha 0.05 --delta 0.05
    """
    from smidgen.store.line import is_line

    asked = {"--data": settings.file.data is not None, "--show": show, "--revoke": revoke is not None}
    if not any(asked.values()) and is_line(bundle):
        _recertify(bundle, settings, as_json)
    elif sum(asked.values()) != 1:
        raise InputError(
            "cli.one_thing_at_time_certify_show_or_revoke", value=" ".join(name for name, given in asked.items() if given) or "nothing"
        )
    elif revoke is not None:
        _revoke(bundle, revoke, as_json)
    elif show:
        _show(bundle, as_json)
    else:
        _certify(bundle, settings, as_json)


def _certify(bundle: Path, settings: CertifySettings, as_json: bool) -> None:
    """Certify a bundle on the pairs of a file."""
    from smidgen.flows.certify.certification import certify, terms_of
    from smidgen.flows.certify.losses import open_judge
    from smidgen.flows.local_model import load

    file, judge = settings.file, _judge(settings)
    terms = terms_of(settings)
    try:
        with Screen(quiet=as_json) as screen, closing(load(bundle, file.threads)) as model, ExitStack() as stack:
            marking = stack.enter_context(open_judge(model, judge, file.threads, screen)) if judge is not None else None
            done = certify(model, str(file.data), terms, input=file.input, label=file.label, marking=marking, progress=screen)
    except CertificateError as error:
        if as_json and error.facts:
            print_json(error.facts)
        raise
    _show_issued(done, as_json)


def _recertify(line: Path, settings: CertifySettings, as_json: bool) -> None:
    """Certify a line's champion on the rows held out by the line."""
    from smidgen.flows.learn.line_certificate import recertify
    from smidgen.flows.learn.settings import LineCertificateSettings
    from smidgen.flows.local_model import load

    given = settings.given()
    refused = [name for name in ("segment", "judge", "judge_errors", "input", "label") if name in given]
    if refused or "judge" in (given.get("loss"), given.get("reference")):
        raise InputError(
            "cli.held_out_rows_have_no_columns_or_judge", value=" ".join(f"--{name.replace('_', '-')}" for name in refused) or "judge"
        )
    terms = {name: given[name] for name in settings_of(LineCertificateSettings) if name in given and given[name] != "likeness"}
    with Screen(quiet=as_json) as screen, closing(load(line, settings.file.threads)) as model:
        done = recertify(model, LineCertificateSettings(**{"likely": 0.0, **terms}), screen)
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


def _judge(settings: CertifySettings) -> TeacherSettings | None:
    """Return the settings of the judge; None if no judge is used."""
    from pydantic import ValidationError

    from smidgen.data.teacher.settings import TeacherSettings

    judge = settings.judge
    if (settings.terms.loss == "judge") != (judge.url is not None):
        raise InputError("cli.judge_and_loss_judge_belong_together", value=judge.url or "--loss judge")
    if judge.url is None:
        return None
    try:
        return TeacherSettings(
            source=judge.url,
            model=judge.model or "default",
            key_env="SMIDGEN_JUDGE_KEY",
            uses=("score",),
            description=judge.says,
            budget_usd=judge.budget_usd,
            budget_tokens=judge.budget_tokens,
        )
    except ValidationError as error:
        first = error.errors()[0]
        name = {"source": "--judge", "description": "--judge-says"}.get(str(first["loc"][0]), f"--{str(first['loc'][0]).replace('_', '-')}")
        raise InputError("cli.certify_flag_cannot_be_used", value=first["input"], name=name, reason=first["msg"]) from None


def _show_issued(done: IssuedCertificate, as_json: bool) -> None:
    if as_json:
        forecast = asdict(done.forecast) if done.forecast is not None else None
        facts = {"file": str(done.file), "refused": done.refused, "forecast": forecast, "certificate": done.certificate.facts_for_reader()}
        print_json({"certified": True, **facts})
        return
    _print(done.certificate)
    for name, why in done.refused.items():
        out.print(f"[yellow]escalates:[/] {escape(name)} ({escape(why)})", soft_wrap=True)
    print_line(str(done.file))


def _show(bundle: Path, as_json: bool) -> None:
    from smidgen.flows.certify.certification import certificate_standing

    found: CertificateStatus = certificate_standing(bundle)
    audits = _audits(found.certificate)
    if as_json:
        print_json({**found.json(), "audits": asdict(audits) if audits is not None else None})
    else:
        if found.certificate is not None:
            _print(found.certificate)
        if audits is not None:
            _print_audits(audits)
        colour = "green" if found.valid else "red"
        out.print(f"[{colour}]{found.state.value}[/]: {escape(found.why)}", soft_wrap=True)
    if not found.valid:
        errors.print("Everything escalates.")
        raise typer.Exit(1)


def _audits(paper: Certificate | None) -> AuditEvidence | None:
    """Return what audits found; None without a certificate, or if it cannot be read."""
    from smidgen.flows.certify.certificate_status import evidence

    try:
        return evidence(paper) if paper is not None else None
    except (OSError, ValueError):
        return None


def _print_audits(found: AuditEvidence) -> None:
    """Print what an operator needs to review the audits: by client, and the latest contradictions."""
    if found.clients or found.suspended:
        table = plain_table("client", "audits", "loss")
        for client, (count, loss) in sorted(found.clients.items(), key=lambda one: -one[1][1])[:_MOST_SHOWN]:
            table.add_row(escape(client or "without a key"), f"{count:,}", f"{loss:.4g}")
        for client in found.suspended:
            table.add_row(escape(client or "without a key"), "[red]suspended[/]", "")
        out.print(table)
    if found.line is not None:
        told = f"{found.line.audits:,} audits, versions: {found.line.versions:,}"
        print_line(
            f"the line since its last revocation: {told}, loss {found.line.losses:.4g}, evidence {found.line.evidence:.3g} of "
            f"{found.line.needed:.3g}, which would revoke them all"
        )
    if found.against:
        table = plain_table("contradicted", "client", "request", "asked", "answered here", "reference")
        for one in found.against[-_MOST_SHOWN:]:
            when = f"{datetime.fromtimestamp(one.at, UTC):%Y-%m-%d %H:%M}"
            reference = "never answered" if one.loss is None else one.reference
            texts = (escape(text[:_MOST_WORDS]) for text in (one.asked, one.answered, reference))
            table.add_row(when, escape(one.client[:8]), escape(one.request), *texts)
        out.print(table)


def _revoke(bundle: Path, reason: str, as_json: bool) -> None:
    from smidgen.flows.certify.certification import revoke

    files = revoke(bundle, reason)
    if as_json:
        print_json({"revoked": True, "reason": reason, "files": [str(file) for file in files]})
    else:
        print_line(f"Revoked. From now on everything escalates. Written to {', '.join(map(str, files))}")


def _print(paper: Certificate) -> None:
    print_line(paper.statement)
    if not paper.counts:
        out.print("[bold yellow]note:[/] issued by an older smidgen, it is about distinct texts", soft_wrap=True)
    names: dict[str, Any] = {"reference": paper.reference.words, "loss": paper.loss, "method": paper.method, "bundle": paper.bundle.id}
    out.print("[dim]" + "; ".join(f"{name}: {escape(str(value))}" for name, value in names.items()) + "[/]", soft_wrap=True)
    table = plain_table(*([paper.by] if paper.by else []), "answered from", "share", "pairs", "loss", "at most")
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
