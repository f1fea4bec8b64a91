"""`smidgen audit`: have people check a random share of the local answers; the certificate is revoked if they contradict it."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from smidgen.cli.screen import errors, out, print_json, print_line
from smidgen.core.errors import InputError

if TYPE_CHECKING:
    from smidgen.flows.certify.human_review import HumanReview
    from smidgen.store.traffic.sampling import DrawnAnswer

_UNKNOWN = "?"


def audit(
    bundle: Annotated[Path, typer.Argument(help="Folder of a bundle or line that is certified against gold labels or reviews.")],
    share: Annotated[
        float | None,
        typer.Option(help="Share of the answers to check, drawn at random, once per certificate (default: 0.02)."),
    ] = None,
    export: Annotated[Path | None, typer.Option(help="Write the waiting texts to this CSV, to be filled in elsewhere.")] = None,
    take: Annotated[Path | None, typer.Option(help="Read such a CSV back in, up to the first row without an output.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, and ask nobody.")] = False,
) -> None:
    """Have people check a random share of the answers given here.

    They do not see what the model answered. It needs requests stored by `smidgen serve --capture answers`. If their answers contradict
    the certificate, smidgen revokes it and exits with code 1.

    Example: smidgen audit my-model
    """
    from smidgen.flows.certify.human_review import open_review
    from smidgen.store.traffic.store import opened as store_opened

    if export is not None and take is not None:
        raise InputError("cli.one_thing_at_time_export_or_take", export=export, take=take)
    with store_opened(make=False) as store, open_review(bundle, store, share) as review:
        if export is not None:
            _exported(review, export, as_json)
            return
        before = review.evidence.audits
        revoked = _taken(review, take) if take is not None else False if as_json else _asked(review)
        found, waiting = review.evidence, sum(1 for _ in review.waiting())
        facts = {"certificate": review.paper.id, "share": review.share, "taken_in": found.audits - before, "waiting": waiting}
        if as_json:
            print_json({**facts, "audits": found.audits, "losses": found.losses, "evidence": found.evidence, "revoked": found.revoked})
        else:
            out.print(
                f"{found.audits - before:,} taken in, {waiting:,} wait. In all {found.audits:,} audits with a loss of {found.losses:.4g}; "
                f"evidence against the certificate: {found.evidence:.3g}, of {found.needed:.3g} that revoke it",
                soft_wrap=True,
            )
    if revoked or found.revoked:
        errors.print("The certificate is revoked: everything escalates.")
        raise typer.Exit(1)


def _asked(review: HumanReview) -> bool:
    """Ask about each text until none is left, the reviewer stops, or the certificate is revoked. Returns whether it is revoked."""
    labels = review.labels
    if labels:
        out.print(", ".join(f"[bold]{number}[/] {escape(label)}" for number, label in enumerate(labels, 1)), soft_wrap=True)
    out.print(f"[dim]{_UNKNOWN} if none of them is right or you cannot tell (counts as wrong); an empty line stops[/]")
    while (given := next(review.waiting(), None)) is not None:
        out.rule(f"{given.time:%Y-%m-%d %H:%M} UTC", style="dim")
        print_line(given.input)
        while True:
            try:
                said = input("right answer: ").strip()
            except EOFError:
                said = ""
            if not said:
                return False
            if labels and said.isdecimal() and said not in labels and 1 <= int(said) <= len(labels):
                said = labels[int(said) - 1]
            try:
                if review.take_in(given, None if said == _UNKNOWN else said):
                    return True
                break
            except ValueError as error:
                near = difflib.get_close_matches(said, labels, 1)
                errors.print(f"{escape(str(error))}{f'; {escape(near[0])}?' if near else ''}")
    return False


def _exported(review: HumanReview, file: Path, as_json: bool) -> None:
    from smidgen.flows.certify.human_review import write_review_file

    count = write_review_file(review.waiting(), file)
    if as_json:
        print_json({"out": str(file), "waiting": count, "share": review.share})
    else:
        print_line(f"{file}: {count:,} texts. Fill in the column `output`, then: --take {file} --share {review.share:g}")


def _taken(review: HumanReview, file: Path) -> bool:
    """Read a filled-in file up to its first empty row. Returns whether the certificate is revoked."""
    from smidgen.flows.certify.human_review import read_review_file

    answers = read_review_file(file)
    waiting: list[DrawnAnswer] = list(review.waiting())
    for given in waiting:
        if (said := answers.get(given.id, "")) and said != _UNKNOWN:
            try:
                review.parsed(said)
            except ValueError as error:
                raise InputError("cli.output_cannot_be_used", error=error, name=given.id, path=file, unknown=_UNKNOWN) from None
    for given in waiting:
        said = answers.get(given.id, "")
        if not said:
            return False  # the answers must come in order: otherwise the hard texts would never be answered
        if review.take_in(given, None if said == _UNKNOWN else said):
            return True
    return False


part = audit
