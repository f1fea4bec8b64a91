"""`smidgen pull`: fetch pretrained weights once; after that nothing needs a network."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from smidgen.cli.screen import Screen, out, print_json


def pull(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Starter bases by name, models of the hub as hf:owner/name, or onnx-web, for exports to the browser (default: minilm)."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what is here now as JSON.")] = False,
) -> None:
    """Fetch bases: pretrained weights to start from.

    It checks every file against its published hash. It does not fetch again what is here.

    Example: smidgen pull minilm smollm2 e5
    """
    from smidgen.bases import web_runtime
    from smidgen.bases.lookup import find, pull
    from smidgen.bases.starter import starters

    bases, wanted = [], names or ["minilm"]
    with Screen(quiet=as_json) as screen:
        for name in wanted:
            if name == web_runtime.NAME:
                web_runtime.pull(screen)
            else:
                bases.append(find(name, screen) if name.startswith("hf:") else pull(name, screen))
    web = web_runtime.folder() if web_runtime.NAME in wanted else None
    if as_json:
        print_json(
            [
                {"name": base.name, "family": base.family, "licence": base.licence, "sha256": base.sha256, "folder": str(base.folder)}
                for base in bases
            ]
            + ([{"name": web_runtime.NAME, "family": "runtime", "licence": "MIT and Apache-2.0", "folder": str(web)}] if web else [])
        )
        return
    for base in bases:
        told = f"{base.family}, {base.licence}, verified"
        out.print(f"[bold]{escape(base.name)}[/]  {escape(told)}  [dim]{escape(str(base.folder))}[/]", soft_wrap=True)
    if web:
        told = f"[bold]{web_runtime.NAME}[/]  runtime, MIT and Apache-2.0, verified"
        out.print(f"{told}  [dim]{escape(str(web))}[/]", soft_wrap=True)
    rest = [name for name, starter in starters().items() if not starter.here()]
    if rest:
        out.print(f"[dim]Not here yet: {', '.join(rest)} (smidgen pull {' '.join(rest)})[/]")


part = pull
