"""`smidgen status`: the certificates of the bundles on this machine, and the time and cost of requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from smidgen.cli.screen import out, plain_table, print_json

_COLUMNS = ("requests", "local", "cached", "errors", "spent", "saved", "local ms", "upstream ms", "energy", "certificate, audits")
_HALF = 6
"""Columns of the first of two tables, if the terminal is too narrow for one."""
_WIDE = 128
_CACHED = "cached"
"""A column that is shown only if a cache answered."""
_COLOURS = {"valid": "green", "none": "dim"}
_DISAGREE = ("disagreed", "graded")


def show_account(account: Mapping[str, Any], bundles: Sequence[Mapping[str, Any]]) -> None:
    """Print the usage. `bundles`: the bundles of this machine, whose certificates are shown beside their names."""
    if "error" in account:
        out.print(f"[red]The account cannot be read:[/] {escape(account['error'])} ({escape(account['file'])})", soft_wrap=True)
        return
    if not any(period["models"] for period in account["periods"]):
        days = account["periods"][-1]["days"]
        out.print(f"No request was counted on {account['day']} (UTC)" + (f" or in the {days - 1} days before." if days > 1 else "."))
        return
    cached = any(period["total"] and period["total"]["cache"] for period in account["periods"])
    papers = {bundle["name"]: bundle["certificate"]["state"] for bundle in bundles if "error" not in bundle}
    halves = (slice(None),) if out.width >= _WIDE else (slice(_HALF), slice(_HALF, None))
    before: Any = None
    for period in account["periods"]:
        if period["models"] == before:
            out.print(f"[bold]{_title(period, account['day'])}[/]: the same numbers")
        else:
            out.print(f"[bold]{_title(period, account['day'])}[/]")
            for half in halves:
                out.print(_table(period, papers, [name for name in _COLUMNS[half] if cached or name != _CACHED]))
        before = period["models"]
    out.print()
    for line in _legend(account):
        out.print(f"[dim]{escape(line)}[/]", soft_wrap=True)


def _table(period: Mapping[str, Any], papers: Mapping[str, str], columns: Sequence[str]) -> Table:
    """Return a table with some of the columns, a row for each model, and one for the total."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("  model", overflow="fold", min_width=18)
    for column in columns:
        table.add_column(column, justify="left" if column.startswith("certificate") else "right", no_wrap=True)
    for one in period["models"]:
        cells = _cells(one, _certificate_cell(papers.get(one["model"]), one["audits"]))
        table.add_row(f"  {escape(one['model'])}", *(cells[name] for name in columns))
    if len(period["models"]) > 1:
        cells = _cells(period["total"], "")
        table.add_row("  [dim]all[/]", *(cells[name] for name in columns))
    elif not period["models"]:
        table.add_row("  [dim]nothing[/]")
    return table


def _title(period: Mapping[str, Any], day: str) -> str:
    return f"today, {day} UTC" if period["days"] == 1 else f"last {period['days']} days"


def _cells(one: Mapping[str, Any], paper: str) -> dict[str, str]:
    """Return the cells of a row by column name."""
    spent, saved, energy = one["spent"], one["saved"], one["energy"]
    requests = one["requests"]
    told = (
        f"{requests:,}",
        f"{one['local'] / requests:.0%}" if requests else "",
        f"{one['cache'] / requests:.0%}" if requests else "",
        f"[red]{one['errors']:,}[/]" if one["errors"] else "0",
        _money(spent["usd"], spent["of_that_estimated_usd"] > 0, spent["requests_without_price"]),
        _money(saved["usd"], saved["usd"] > 0, saved["answers_without_price"]),
        _times(one["latency_ms"]["local"]),
        _times(one["latency_ms"]["upstream"]),
        _wh(energy["measured_wh"] + energy["estimated_wh"], energy["estimated_wh"] > 0),
        paper,
    )
    return dict(zip(_COLUMNS, told, strict=True))


def _money(usd: float, estimated: bool, unpriced: int) -> str:
    """Return an amount: with ~ if some of it is estimated, and + if some requests have no price."""
    if not usd and unpriced:
        return "no price"
    digits = 2 if usd >= 100 or not usd else 4 if usd >= 0.01 else 6
    return f"{'~' if estimated else ''}${usd:,.{digits}f}{'+' if unpriced else ''}"


def _times(latency: Mapping[str, Any] | None) -> str:
    """Return the median and the 95th percentile."""
    return "" if latency is None else f"{_short(latency['p50'])} / {_short(latency['p95'])}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def _wh(amount: float, estimated: bool) -> str:
    shown, unit = (amount, "Wh") if amount >= 0.1 or not amount else (amount * 1000, "mWh")
    return f"{'~' if estimated else ''}{shown:,.3g} {unit}"


def _certificate_cell(state: str | None, audits: Mapping[str, int]) -> str:
    """Return the state of a bundle's certificate now, and how many audits of these days agreed."""
    shown = "" if state is None else f"[{_COLOURS.get(state, 'red')}]{state}[/]"
    judged = audits.get("agreed", 0) + sum(audits.get(name, 0) for name in _DISAGREE)
    told = f"{audits.get('agreed', 0):,} of {judged:,} agreed" if judged else ""
    return ", ".join(filter(None, (shown, told)))


def _legend(account: Mapping[str, Any]) -> list[str]:
    """Explain the signs that the table uses."""
    notes, whole = account["notes"], account["periods"][-1]["total"]
    cached = "cached: share answered by the cache. " if whole["cache"] else ""
    lines = [f"local: share answered by the model itself. {cached}ms: median / 95th percentile, {notes['latency']}."]
    priced = sorted({f"{price['model']} ({price['source']})" for price in account["prices"]})
    if priced:
        lines.append(f"money at: {', '.join(priced)}.")
    missing = whole["spent"]["requests_without_price"], whole["saved"]["answers_without_price"]
    if any(missing):
        todo = "For a fallback's own model, give it to smidgen serve by --price-in and --price-out"
        lines.append(f"no price, or +: the price of {missing[0]:,} sent requests and {missing[1]:,} saved ones is unknown. {todo}.")
    energy = notes["energy"]
    how = [energy[name] for name in ("measured_wh", "estimated_wh") if whole["energy"][name]]
    if how:
        lines.append(f"energy: {'; '.join(how)}.")
    lines.append("~: estimated, at least in part: a token for every four characters of a bundle's text, or three bytes of an upstream's.")
    return lines


def status(
    days: Annotated[int, typer.Option(min=1, max=400, help="How many days of the account to show, today among them.")] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON, the account day by day.")] = False,
) -> None:
    """Show certificates, audits, drift, usage and budgets here.

    For each bundle on this machine: whether its certificate holds, what its audits found, and the last drift test. For each model: what
    requests took today and in the last days, and what was spent under a budget today. It reads files and asks no server, so it works
    whether one runs or not. A running server writes every few seconds.

    Example: smidgen status --days 7
    """
    from smidgen.flows.status_report import read_status

    found = read_status(days)
    if as_json:
        print_json(found)
        return
    _show_bundles(found["bundles"])
    out.print()
    show_account(found["account"], found["bundles"])
    _show_spending(found["spending"])
    _show_traffic(found["traffic"])


def _show_bundles(bundles: list[dict[str, Any]]) -> None:
    if not bundles:
        out.print("No bundle was built or served here yet.")
        return
    table = plain_table("bundle", "certificate", "alpha", "audits", "loss", "evidence")
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
    if any(bundle.get("audits") for bundle in bundles):
        out.print("[dim]A certificate is revoked when its evidence reaches the second number.[/]", soft_wrap=True)
    out.print()
    for bundle in bundles:
        why = bundle.get("error") or bundle["certificate"]["why"]
        version = f", version {bundle['id']}" if bundle.get("line") else ""
        out.print(f"[dim]{escape(bundle['name'])}[/]  {escape(bundle['folder'])}{version}: {escape(why)}", soft_wrap=True)
        if bundle.get("drift") is not None:
            out.print(f"  {_drift(bundle['drift'])}", soft_wrap=True)


def _drift(found: dict[str, Any]) -> str:
    if "error" in found:
        return f"[red]drift: the record cannot be read:[/] {escape(found['error'])}"
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
        out.print(f"[red]The spending ledger cannot be read:[/] {escape(spending['error'])}", soft_wrap=True)
        return
    if not spending["scopes"]:
        out.print(f"Nothing was spent under a budget on {spending['day']} (UTC).")
        return
    table = plain_table(f"spent on {spending['day']}", "requests", "spent", "estimated", "reserved")
    for scope, one in spending["scopes"].items():
        amounts = (one["usd"], one["of_that_estimated_usd"], one["set_aside_usd"])
        table.add_row(escape(scope), f"{one['requests']:,}", *(_money(amount, False, 0) for amount in amounts))
    out.print(table)


def _show_traffic(traffic: dict[str, Any] | None) -> None:
    """Print how much traffic of these days could not be stored; nothing if all was stored."""
    if traffic is None or not traffic.get("says", True):
        return
    out.print()
    if "error" in traffic:
        out.print(f"[red]The traffic store cannot be read:[/] {escape(traffic['error'])}", soft_wrap=True)
        return
    out.print(f"[yellow]captured:[/] {escape(traffic['says'])}; nothing learns from them", soft_wrap=True)


part = status
