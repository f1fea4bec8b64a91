"""`smidgen status`: how the certificates of the bundles on this machine stand, and what requests took and cost."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from smidgen.cli import account_table
from smidgen.cli.screen import out, print_json


def status(
    days: Annotated[int, typer.Option(min=1, max=400, help="How many days of the account to show, today among them.")] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON, the account day by day.")] = False,
) -> None:
    """Show how the certificate of each bundle on this machine stands, what its audits and the last look at its traffic found; by model what
    requests took, today and in the last days; and what was spent under a budget today.

    It reads files and asks no server: it works whether one runs or not. A server that runs writes every few seconds.

    Example: smidgen status --days 7
    """
    from smidgen.flows.state import state

    found = state(days)
    if as_json:
        print_json(found)
        return
    _show_bundles(found["bundles"])
    out.print()
    account_table.show(found["account"], found["bundles"])
    _show_spending(found["spending"])
    _show_traffic(found["traffic"])


def _show_bundles(bundles: list[dict[str, Any]]) -> None:
    if not bundles:
        out.print("No bundle was built or served here yet.")
        return
    table = Table("bundle", "certificate", "at most", "audits", "loss", "evidence", box=None, pad_edge=False, header_style="dim")
    for bundle in bundles:
        name = f"[bold]{escape(bundle['name'])}[/]"
        if "error" in bundle:
            table.add_row(name, "[red]bundle damaged[/]", "", "", "", "")
            continue
        paper, audits = bundle["certificate"], bundle["audits"]
        colour = "green" if paper["state"] == "valid" else "dim" if paper["state"] == "none" else "red"
        shown = ("", "", "")
        if audits is not None:
            known = "error" not in audits
            shown = ("[red]unreadable[/]", "", "")
            if known:
                lost = f" ({audits['lost']:,} lost)" if audits["lost"] else ""
                shown = (f"{audits['audits']:,}{lost}", f"{audits['losses']:.4g}", _evidence(audits))
        table.add_row(name, f"[{colour}]{paper['state']}[/]", f"{paper['alpha']:.1%}" if "alpha" in paper else "", *shown)
    out.print(table)
    out.print()
    for bundle in bundles:
        why = bundle.get("error") or bundle["certificate"]["why"]
        out.print(f"[dim]{escape(bundle['name'])}[/]  {escape(bundle['folder'])}: {escape(why)}", soft_wrap=True)
        if bundle.get("drift") is not None:
            out.print(f"  {_drift(bundle['drift'])}", soft_wrap=True)


def _drift(found: dict[str, Any]) -> str:
    if "error" in found:
        return f"[red]drift: what was found cannot be read:[/] {escape(found['error'])}"
    when = f"{found['at'][:16].replace('T', ' ')} UTC, look {found['looks']}"
    return (
        f"[red]drift: {escape(', '.join(found['moved']))} moved[/] ({escape(when)})"
        if found["alarm"]
        else f"[dim]drift: no alarm ({escape(when)})[/]"
    )


def _evidence(audits: dict[str, Any]) -> str:
    return f"{audits['evidence']:.3g} of {audits['needed']:.3g}"


def _show_spending(spending: dict[str, Any]) -> None:
    out.print()
    if "error" in spending:
        out.print(f"[red]What was spent cannot be read:[/] {escape(spending['error'])}", soft_wrap=True)
        return
    if not spending["scopes"]:
        out.print(f"Nothing was spent under a budget on {spending['day']} (UTC).")
        return
    table = Table(f"spent on {spending['day']}", "requests", "USD", "estimated", "set aside", box=None, pad_edge=False, header_style="dim")
    for scope, one in spending["scopes"].items():
        amounts = (one["usd"], one["of_that_estimated_usd"], one["set_aside_usd"])
        table.add_row(escape(scope), f"{one['requests']:,}", *(f"{amount:.4f}" for amount in amounts))
    out.print(table)


def _show_traffic(traffic: dict[str, Any] | None) -> None:
    """What was to be stored in these days and was not. Nothing where all was."""
    if traffic is None or not traffic.get("says", True):
        return
    out.print()
    if "error" in traffic:
        out.print(f"[red]The store of traffic cannot be read:[/] {escape(traffic['error'])}", soft_wrap=True)
        return
    out.print(f"[yellow]captured:[/] {escape(traffic['says'])}; nothing learns from them", soft_wrap=True)


part = status
