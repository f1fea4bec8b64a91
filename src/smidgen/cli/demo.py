"""`smidgen demo`: build a classifier on the sample shop's messages and let it answer new ones; with --hybrid, let it learn from traffic."""

from __future__ import annotations

import importlib.resources
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from smidgen.cli.flags import Threads
from smidgen.cli.screen import Screen, out, print_answer, print_json, print_line
from smidgen.core.errors import GateError, InputError
from smidgen.parts import registry

FILES = ("support.toml", "support_train.csv", "support_test.csv")
"""Files copied from the package."""

MESSAGES = (
    "tracking has been stuck on the same depot since friday, any news?",
    "hey can i still switch the delivery to my office, order went through an hour ago",
    "the blue bowl came in two pieces, box was fine though",
    "do you lot charge extra for wrapping it as a present",
    "can you recommend a good dentist in Leeds?",
)
"""Messages that are in none of the sample files. The last one has nothing to do with a homeware shop."""


def demo(
    folder: Annotated[
        Path | None,
        typer.Option("--dir", help="Where everything goes (default: demo, with --hybrid demo-hybrid).", show_default=False),
    ] = None,
    hybrid: Annotated[
        bool,
        typer.Option(
            "--hybrid",
            help="Instead, put a gateway before a recording of a large model, and send it the shop's messages: a small model learns from "
            "the answers and takes over more and more of them.",
        ),
    ] = False,
    studio: Annotated[
        bool, typer.Option("--studio", help="Instead, open the Studio with the finished sample project. Its model is built first, once.")
    ] = False,
    desk: Annotated[
        bool,
        typer.Option("--desk", help="Instead, open the sample shop's site with its support desk. Its models are built first, once."),
    ] = False,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="With --studio or --desk: TCP port. 0 takes any free one.")] = None,
    no_open: Annotated[bool, typer.Option("--no-open", help="With --studio or --desk: print the link and open no browser.")] = False,
    fast: Annotated[bool, typer.Option("--fast", help="With --hybrid: one learning in place of several.")] = False,
    threads: Threads = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --hybrid: print the result as JSON alone. With --studio or --desk: the link.")
    ] = False,
) -> None:
    """Build a sample classifier and let it answer new messages.

    It learns from a homeware shop's inbox, shows its report, and answers messages it has never seen. A demo that was stopped goes on
    where it stopped; one with --hybrid begins anew.

    Example: smidgen demo --dir ./demo
    """
    if studio:
        if hybrid or fast or folder is not None:
            raise InputError("cli.studio_sample_project_takes_no_such_flag", value="--studio")
        registry.find("demos", "studio")(port, no_open, as_json)
        return
    if desk:
        if hybrid or fast:
            raise InputError("cli.desk_takes_no_such_flag", value="--desk")
        registry.find("demos", "desk")(folder or Path("demo-desk"), port, no_open, threads, as_json)
        return
    if port is not None or no_open:
        raise InputError("cli.this_flag_needs_studio_or_desk", value="--no-open" if no_open else "--port")
    if hybrid:
        _hybrid(folder or Path("demo-hybrid"), fast, threads, as_json)
        return
    if fast or as_json:
        raise InputError("cli.this_flag_needs_hybrid", value="--fast" if fast else "--json")
    _plain(folder or Path("demo"), threads)


def _plain(folder: Path, threads: int | None) -> None:
    """Build the sample classifier and let it answer messages."""
    from smidgen.flows.build.pipeline import build
    from smidgen.flows.local_model import load
    from smidgen.parts.recipe import read

    _copy(folder)
    recipe = read(folder / FILES[0])
    with Screen() as screen:
        built = build(recipe, folder / recipe.name, threads=threads, progress=screen)
    from smidgen.cli.report_summary import print_report

    print_report(built.report)
    out.print("\n[bold]Messages it has never seen[/]")
    model = load(built.folder, threads)
    for message, reply in zip(MESSAGES, model.predict(MESSAGES), strict=True):
        out.print(f"\n{escape(message)}")
        print_answer(model.task.content(reply), reply)
    _next(built.folder, model.name, built.seconds)


def _hybrid(folder: Path, fast: bool, threads: int | None, as_json: bool) -> None:
    """Run the hybrid demo: a model behind the gateway that learns from traffic."""
    from smidgen.cli.hybrid_demo import results
    from smidgen.cli.hybrid_demo.run import FAST, DemoPlan, base_of, run

    plan = FAST if fast else DemoPlan()
    with Screen(quiet=as_json) as screen:
        base = base_of(plan, screen)
    with results.DemoDisplay(plan, quiet=as_json) as shown:
        ran = run(folder, plan, shown, base, threads)
    if as_json:
        print_json(ran.json())
    else:
        results.closing(ran)
    if not ran.tally.certified:
        raise GateError("cli.no_version_could_be_certified", alpha=f"{plan.alpha:.0%}")


def _copy(folder: Path) -> None:
    """Copy the sample files into the folder. A different file with the same name is left alone and reported."""
    folder.mkdir(parents=True, exist_ok=True)
    sample = importlib.resources.files("smidgen") / "samples" / "homeware"
    for name in FILES:
        target, content = folder / name, (sample / name).read_bytes()
        if target.exists() and target.read_bytes() != content:
            raise InputError("cli.folder_has_another_file_of_this_name", value=str(target))
        target.write_bytes(content)


def _next(folder: Path, name: str, seconds: float) -> None:
    body = json.dumps({"model": name, "messages": [{"role": "user", "content": MESSAGES[0]}]})
    out.print(f"\n[bold]Done in {seconds:.0f} s.[/] The bundle: {escape(str(folder))}. Its report: {escape(str(folder / 'report.html'))}")
    out.print("Serve it, then ask it from any OpenAI client:")
    print_line(f"  smidgen serve {folder}")
    out.print(
        f"  curl http://127.0.0.1:8080/v1/chat/completions -H 'Content-Type: application/json' -d '{body}'", markup=False, soft_wrap=True
    )


part = demo
