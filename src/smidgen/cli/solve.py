"""`smidgen solve`: let a library plan stock, routes or trips from tables, and change the plan by sentences."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from smidgen.cli.flags import AsJson, Overrides, with_flags
from smidgen.cli.screen import Screen, errors, out, print_json, print_line
from smidgen.core.errors import InputError
from smidgen.parts import registry
from smidgen.parts.solver_recipe import ROOM, SolveSettings

if TYPE_CHECKING:
    from smidgen.flows.plans.problem import OpenProblem, ProposedChange, SolvedPlan

_COLOURS = {"solved": "green", "partly": "yellow", "infeasible": "red"}
_WORDS = {"solved": "solved", "partly": "solved in part", "infeasible": "not solved"}


@with_flags(SolveSettings, ("seconds", "changes", "texts"))
def solve(
    settings: SolveSettings,
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help=f"A recipe, the folder of a plan, or: {', '.join(registry.names(ROOM))}.")
    ],
    to: Annotated[Path | None, typer.Option("--out", help="Folder for the plan (default: that of SOURCE if it is a plan).")] = None,
    change: Annotated[
        list[str] | None,
        typer.Option(help="A change: a sentence (needs --model), or a JSON object. You confirm it before it counts. May be repeated."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Make the changes without asking, if the model is sure of them.")] = False,
    mcp: Annotated[
        bool, typer.Option("--mcp", help="Serve the plan in SOURCE to a desk or an assistant: MCP on standard input and output.")
    ] = False,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Plan stock, routes or trips from tables.

    A library computes. A sentence may change the plan: a small model reads it, and you confirm what it read. The folder gets the plan as
    tables, as a page and as plan.json; name it as SOURCE to change the plan.

    Example: smidgen solve recipes/retail/stock.toml --out stock
    """
    from smidgen.flows.plans.problem import PLAN, open_problem, write_plan

    if mcp:
        _serve(Path(source))
        return
    is_plan = (Path(source) / PLAN).is_file()
    if to is None and not is_plan:
        if source not in registry.names(ROOM) and not Path(source).is_file() and not (Path(source) / "smidgen.toml").is_file():
            todo = f"Name a recipe such as shop/smidgen.toml, the folder of a plan, or one of: {', '.join(registry.names(ROOM))}."
            raise InputError("there is no such recipe or plan", value=source, todo=todo)
        recipe = Path(source) / "smidgen.toml"
        todo = f"Write: smidgen solve {recipe if recipe.is_file() else source} --out DIR"
        raise InputError("a folder for the plan is needed", value=source, todo=todo)
    given = [f"solve.{name}={_placed(value) if name in ('changes', 'texts') else value}" for name, value in settings.given().items()]
    problem = open_problem(source, [*(overrides or ()), *given])
    for wanted in change or ():
        left: str | None = wanted
        while left is not None:
            proposed = problem.proposed(_object(left))
            if not _confirmed(problem, proposed, yes, as_json):
                errors.print("not changed")
                raise typer.Exit(1)
            problem.make(proposed)
            left = proposed.rest or None
    with Screen(quiet=as_json) as screen:
        plan = problem.solve(screen)
    folder = to or Path(source)
    folder.mkdir(parents=True, exist_ok=True)
    written = write_plan(plan, folder)
    if as_json:
        print_json(plan.json())
    else:
        _print(plan, folder, written)
    if plan.solution.status == "infeasible":
        raise typer.Exit(1)


def _serve(folder: Path) -> None:
    from smidgen.flows.plans.asked_plan import AskedPlan
    from smidgen.server.mcp.plan_tools import serve_plan

    serve_plan(AskedPlan(folder))


def _placed(folder: object) -> str:
    """The path of a folder as TOML: flags start from the working folder, settings of a recipe from its own."""
    return json.dumps(str(Path(str(folder)).absolute()))


def _object(change: str) -> str | dict[str, object]:
    """A change given as a JSON object, or the sentence as it is."""
    if not change.lstrip().startswith(("{", "[")):
        return change
    try:
        found = json.loads(change)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the change is not JSON ({error})", value=change, todo="Correct it, or say it as a sentence.") from None
    if not isinstance(found, dict):
        raise InputError("a change is one JSON object", value=change, todo="Name each change by a --change of its own.")
    return found


def _confirmed(problem: OpenProblem, proposed: ProposedChange, yes: bool, quiet: bool) -> bool:
    """Whether a change counts. With --yes, one that the model is not sure of raises InputError."""
    if not quiet:
        sure = f" [dim](the model is {proposed.score:.0%} sure)[/]" if proposed.sentence else ""
        out.print(f"{escape(proposed.words)}{sure}", soft_wrap=True)
        if proposed.unread:
            out.print(f"[yellow]not read: {escape(', '.join(proposed.unread))}[/]", soft_wrap=True)
    if not yes:
        return typer.confirm("Change the plan?")
    least = problem.recipe.solve.sure
    if proposed.score < least:
        raise InputError(
            f"the model is {proposed.score:.0%} sure of this change, and --yes needs {least:.0%}",
            value=proposed.words,
            todo="Leave out --yes and confirm it, or give the change as JSON.",
        )
    if proposed.unread:
        raise InputError(
            "words of the sentence are not in this change, and --yes needs all of them",
            value=f"{proposed.words}: {', '.join(proposed.unread)}",
            todo="Leave out --yes and confirm it, or give the change as JSON.",
        )
    return True


def _print(plan: SolvedPlan, folder: Path, written: list[str]) -> None:
    status = plan.solution.status
    out.print(f"[bold {_COLOURS[status]}]{_WORDS[status]}[/] in {plan.seconds:.1f} s")
    for statement in plan.solution.statements:
        print_line(statement.text)
    for remark in plan.solution.remarks:
        out.print(f"[dim]· {escape(remark)}[/]", soft_wrap=True)
    if plan.texts is not None and plan.texts.refused:
        errors.print(f"{plan.texts.refused} texts of the model were thrown away: they did not state the facts, or stated other numbers.")
    out.print(f"{escape(str(folder))}: {escape(', '.join(written))}", soft_wrap=True)


part = solve
