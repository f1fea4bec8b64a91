"""`smidgen models`: list the bundles and bases on this machine."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from smidgen.cli.screen import out, plain_table, print_json
from smidgen.core.errors import BundleError, InputError


def models(as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False) -> None:
    """List the bundles and bases on this machine.

    It shows size, age and headline metric of the bundles that were built or opened here, of those in this folder, and of the bases.

    Example: smidgen models --json
    """
    bundles, bases = [_bundle(folder) for folder in _folders()], _bases()
    if as_json:
        print_json({"bundles": bundles, "bases": bases})
        return
    _show_bundles(bundles)
    _show_bases(bases)


def _folders() -> list[Path]:
    """Return remembered bundles and lines, then others in the current folder and one level below it; each once."""
    from smidgen.bundles.manifest import MANIFEST
    from smidgen.store import files
    from smidgen.store.line import POINTER

    kinds = (MANIFEST, POINTER)
    here = [*(Path.cwd() / kind for kind in kinds), *sorted(file for kind in kinds for file in Path.cwd().glob(f"*/{kind}"))]
    near = [file.parent.resolve() for file in here if file.is_file()]
    remembered = [folder for folder in files.known_bundles() if any((folder / kind).is_file() for kind in kinds)]
    return list(dict.fromkeys([*remembered, *near]))


def _bundle(folder: Path) -> dict[str, Any]:
    """Return a bundle, or a line's champion, as JSON.

    One that must not be opened has the reason. Hashes are not checked here, only when serving.
    """
    from smidgen.bundles.open import folder_of, open_bundle

    try:
        bundle = open_bundle(folder_of(folder), verify=False)
    except (BundleError, InputError) as error:
        return {"name": folder.name, "folder": str(folder), "error": str(error)}
    manifest = bundle.manifest
    metric = manifest.metrics.get(manifest.headline)
    return {
        "name": manifest.name,
        "id": bundle.id,
        "task": manifest.task,
        "student": manifest.student,
        "method": manifest.engine.method,
        "size_mb": round(bundle.size / 1e6, 2),
        "created": manifest.created,
        "headline": manifest.headline or None,
        "metric": metric.model_dump() if metric else None,
        "folder": str(folder),
    }


def _bases() -> list[dict[str, Any]]:
    from smidgen.bases.starter import starters

    found = []
    for starter in starters().values():
        here = starter.here()
        size = sum((starter.folder / name).stat().st_size for name in starter.files) / 1e6 if here else None
        fetched = datetime.fromtimestamp((starter.folder / starter.weights).stat().st_mtime, UTC) if here else None
        found.append(
            {
                "name": starter.name,
                "title": starter.title,
                "family": starter.family,
                "parameters": starter.parameters,
                "licence": starter.licence,
                "here": here,
                "size_mb": round(size, 2) if size is not None else None,
                "fetched": fetched.isoformat(timespec="seconds") if fetched else None,
                "folder": str(starter.folder) if here else None,
            }
        )
    return found


def _show_bundles(bundles: list[dict[str, Any]]) -> None:
    if not bundles:
        out.print("No bundles here yet. Build one: smidgen demo, or smidgen init")
        return
    table = plain_table("bundle", "task", "model", "headline (95 %)", "MB", "age", right=(4,))
    for bundle in bundles:
        if "error" in bundle:
            table.add_row(escape(bundle["name"]), "", "[red]damaged[/]", "", "", "")
            continue
        metric = bundle["metric"]
        headline = f"{bundle['headline']} {metric['value']:.1%} ({metric['low']:.1%} to {metric['high']:.1%})" if metric else ""
        model = f"{bundle['student']} {bundle['method']}".strip()
        name = f"[bold]{escape(bundle['name'])}[/]"
        table.add_row(name, escape(bundle["task"]), escape(model), escape(headline), f"{bundle['size_mb']:.1f}", _age(bundle["created"]))
    out.print(table)
    # Below the table, so that a path has a whole line: two bundles may differ only in their folder.
    out.print()
    for bundle in bundles:
        out.print(f"[dim]{escape(bundle['name'])}[/]  {escape(bundle['folder'])}", soft_wrap=True)
        if "error" in bundle:
            out.print(f"  [red]{escape(bundle['error'])}[/]", soft_wrap=True)


def _show_bases(bases: list[dict[str, Any]]) -> None:
    table = plain_table("base", "what", "parameters", "licence", "MB", "age", right=(4,))
    for base in bases:
        size = f"{base['size_mb']:.1f}" if base["here"] else ""
        age = _age(base["fetched"]) if base["here"] else "[yellow]not here[/]"
        table.add_row(f"[bold]{base['name']}[/]", f"{base['title']} ({base['family']})", base["parameters"], base["licence"], size, age)
    out.print()
    out.print(table)
    missing = [base["name"] for base in bases if not base["here"]]
    if missing:
        out.print(f"[dim]Fetch what is not here: smidgen pull {' '.join(missing)}[/]")


def _age(moment: str) -> str:
    """Return how long ago a moment (ISO 8601) was, in the largest unit that fits."""
    try:
        then = datetime.fromisoformat(moment)
    except ValueError:
        return ""
    seconds = max(0.0, (datetime.now(UTC) - (then if then.tzinfo else then.replace(tzinfo=UTC))).total_seconds())
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "just now"


part = models
