"""The account in the terminal: a row for each model, by today and the last days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.table import Table

from smidgen.cli.screen import out

_COLUMNS = ("requests", "local", "cached", "errors", "spent", "saved", "local ms", "upstream ms", "energy", "certificate, audits")
_HALF = 6
"""Columns of the first of two tables, where the terminal is too narrow for one."""
_WIDE = 128
_CACHED = "cached"
"""A column that stands only where a cache answered."""
_COLOURS = {"valid": "green", "none": "dim"}
_DISAGREE = ("disagreed", "graded")


def show(account: Mapping[str, Any], bundles: Sequence[Mapping[str, Any]]) -> None:
    """Print it. `bundles`: those of this machine, whose certificates stand beside their names."""
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
            out.print(f"[bold]{_title(period, account['day'])}[/]: the same")
        else:
            out.print(f"[bold]{_title(period, account['day'])}[/]")
            for half in halves:
                out.print(_table(period, papers, [name for name in _COLUMNS[half] if cached or name != _CACHED]))
        before = period["models"]
    out.print()
    for line in _legend(account):
        out.print(f"[dim]{escape(line)}[/]", soft_wrap=True)


def _table(period: Mapping[str, Any], papers: Mapping[str, str], columns: Sequence[str]) -> Table:
    """A row for each model, and one for all, with some of the columns."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("  model", overflow="fold", min_width=18)
    for column in columns:
        table.add_column(column, justify="left" if column.startswith("certificate") else "right", no_wrap=True)
    for one in period["models"]:
        cells = _cells(one, _paper(papers.get(one["model"]), one["audits"]))
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
    """By the names of the columns."""
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
    """An amount: with ~ where some of it is estimated, and + where some requests have no price."""
    if not usd and unpriced:
        return "no price"
    digits = 2 if usd >= 100 or not usd else 4 if usd >= 0.01 else 6
    return f"{'~' if estimated else ''}${usd:,.{digits}f}{'+' if unpriced else ''}"


def _times(latency: Mapping[str, Any] | None) -> str:
    """The median and the 95th percentile."""
    return "" if latency is None else f"{_short(latency['p50'])} / {_short(latency['p95'])}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def _wh(amount: float, estimated: bool) -> str:
    shown, unit = (amount, "Wh") if amount >= 0.1 or not amount else (amount * 1000, "mWh")
    return f"{'~' if estimated else ''}{shown:,.3g} {unit}"


def _paper(state: str | None, audits: Mapping[str, int]) -> str:
    """How a bundle's certificate stands now, and how many of the audits of these days agreed."""
    shown = "" if state is None else f"[{_COLOURS.get(state, 'red')}]{state}[/]"
    judged = audits.get("agreed", 0) + sum(audits.get(name, 0) for name in _DISAGREE)
    told = f"{audits.get('agreed', 0):,} of {judged:,} agreed" if judged else ""
    return ", ".join(filter(None, (shown, told)))


def _legend(account: Mapping[str, Any]) -> list[str]:
    """What the signs mean, such as stand there."""
    notes, whole = account["notes"], account["periods"][-1]["total"]
    cached = "cached: share answered by the cache. " if whole["cache"] else ""
    lines = [f"local: share answered by the model itself. {cached}ms: median / 95th percentile, {notes['latency']}."]
    priced = sorted({f"{price['model']} ({price['source']})" for price in account["prices"]})
    if priced:
        lines.append(f"money at: {', '.join(priced)}.")
    missing = whole["spent"]["requests_without_price"], whole["saved"]["answers_without_price"]
    if any(missing):
        todo = "smidgen serve --price-in and --price-out say it for a fallback's own model"
        lines.append(f"no price, or +: of {missing[0]:,} requests sent and {missing[1]:,} answers saved it is not known. {todo}.")
    energy = notes["energy"]
    how = [energy[name] for name in ("measured_wh", "estimated_wh") if whole["energy"][name]]
    if how:
        lines.append(f"energy: {'; '.join(how)}.")
    lines.append(f"~: estimated, at least in part. Tokens: {notes['tokens']}.")
    return lines
