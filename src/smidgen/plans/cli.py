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
from smidgen.plans.solver_recipe import ROOM, SolveSettings

if TYPE_CHECKING:
    from smidgen.plans.flows.problem import OpenProblem, ProposedChange, SolvedPlan

_COLOURS = {"solved": "green", "partly": "yellow", "infeasible": "red"}
WAITING = "waiting.jsonl"
"""The file in a plan's folder with changes that --yes did not make."""
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
    yes: Annotated[
        bool,
        typer.Option(
            "--yes",
            help="Make the changes without asking. A sentence that leaves a doubt is kept in waiting.jsonl, and the exit code is 1.",
        ),
    ] = False,
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
    from smidgen.plans.flows.problem import PLAN, open_problem, write_plan

    if mcp:
        from smidgen.plans.flows.served_plan import ServedPlan
        from smidgen.plans.mcp_server import serve_plan

        serve_plan(ServedPlan(Path(source)))
        return
    is_plan = (Path(source) / PLAN).is_file()
    if to is None and not is_plan:
        if source not in registry.names(ROOM) and not Path(source).is_file() and not (Path(source) / "smidgen.toml").is_file():
            raise InputError("plans.there_is_no_such_recipe_or_plan", value=source, solvers=", ".join(registry.names(ROOM)))
        recipe = Path(source) / "smidgen.toml"
        raise InputError("plans.folder_for_plan_is_needed", value=source, recipe=recipe if recipe.is_file() else source)
    flags = settings.given()
    for name in ("changes", "texts"):
        if name in flags:  # a flag's path starts from the working folder, a recipe's from its own
            flags[name] = json.dumps(str(Path(str(flags[name])).absolute()))
    problem = open_problem(source, [*(overrides or ()), *(f"solve.{name}={value}" for name, value in flags.items())])
    before = _sentences_before(problem, Path(source) if is_plan else None, as_json) if change else []
    folder = to or Path(source)
    waiting = [one for text in change or () for one in _make_changes(problem, _parse_change(text), yes, as_json)]
    if waiting:
        _write_waiting(waiting, folder, as_json)
        if is_plan and to is None and not problem.made:
            if as_json:
                print_json({"waiting": waiting})
            raise typer.Exit(1)
    with Screen(quiet=as_json) as screen:
        plan = problem.solve(screen)
    folder.mkdir(parents=True, exist_ok=True)
    written = write_plan(plan, folder)
    if as_json:
        print_json(plan.json() | ({"sentences_before": before, "waiting": waiting} if change else {}))
    else:
        if change:
            _print_difference(before, [statement.text for statement in plan.solution.statements])
        _print_plan(plan, folder, written)
    if waiting or plan.solution.status == "infeasible":
        raise typer.Exit(1)


def _sentences_before(problem: OpenProblem, plan: Path | None, quiet: bool) -> list[str]:
    from smidgen.plans.flows.problem import PLAN, read_plan

    if plan is not None:
        return list(read_plan(plan / PLAN)["sentences"])
    with Screen(quiet=quiet) as screen:
        return [statement.text for statement in problem.solve(screen).solution.statements]


def _make_changes(problem: OpenProblem, given: str | dict[str, object], yes: bool, quiet: bool) -> list[dict[str, object]]:
    """Make one change, or all in a sentence. Returns the change that needs a person, with all after it in its sentence; else nothing."""
    left: str | dict[str, object] | None = given
    while left is not None:
        proposed = problem.proposed(left)
        if not quiet:
            _print_change(proposed)
        why = _reasons_to_confirm(problem, proposed) if yes else []
        if why:
            sentence = " | ".join(part for part in (proposed.sentence, proposed.rest) if part)
            return [{"sentence": sentence, "read": proposed.words, "change": dict(proposed.change), "score": proposed.score, "why": why}]
        if not yes and not typer.confirm("Change the plan?"):
            errors.print("not changed")
            raise typer.Exit(1)
        problem.make(proposed)
        left = proposed.rest or None
    return []


def _reasons_to_confirm(problem: OpenProblem, proposed: ProposedChange) -> list[str]:
    least = problem.recipe.solve.sure
    found = [f"the model is {proposed.score:.0%} sure of this change, and --yes needs {least:.0%}"] if proposed.score < least else []
    found += [f"not in this change: {', '.join(proposed.unread)}"] if proposed.unread else []
    return [*found, *proposed.doubts]


def _write_waiting(waiting: list[dict[str, object]], folder: Path, quiet: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / WAITING).open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(one, ensure_ascii=False) + "\n" for one in waiting)
    if quiet:
        return
    for one in waiting:
        errors.print(f"[yellow]not changed:[/] {escape(str(one['sentence']))}", soft_wrap=True)
        errors.print(f"  {escape('; '.join(map(str, one['why'] if isinstance(one['why'], list) else [])))}", soft_wrap=True)
    todo = "Leave out --yes and confirm it, or give the change as JSON."
    errors.print(f"{escape(str(folder / WAITING))} has what needs a person. {todo}", soft_wrap=True)


def _print_change(proposed: ProposedChange) -> None:
    sure = f" [dim](the model is {proposed.score:.0%} sure)[/]" if proposed.sentence else ""
    out.print(f"{escape(proposed.words)}{sure}", soft_wrap=True)
    if proposed.unread:
        out.print(f"[yellow]not read: {escape(', '.join(proposed.unread))}[/]", soft_wrap=True)


def _print_difference(before: list[str], after: list[str]) -> None:
    gone, new = [text for text in before if text not in after], [text for text in after if text not in before]
    if not gone and not new:
        print_line("The plan says the same before and after.")
        return
    for title, mark, texts in (("Before:", "-", gone), ("After:", "+", new)):
        print_line(title)
        for text in texts:
            print_line(f"{mark} {text}")


def _parse_change(change: str) -> str | dict[str, object]:
    if not change.lstrip().startswith(("{", "[")):
        return change
    try:
        found = json.loads(change)
    except (ValueError, RecursionError) as error:
        raise InputError("plans.change_is_not_json", value=change, error=error) from None
    if not isinstance(found, dict):
        raise InputError("plans.change_is_one_json_object", value=change)
    return found


def _print_plan(plan: SolvedPlan, folder: Path, written: list[str]) -> None:
    status = plan.solution.status
    out.print(f"[bold {_COLOURS[status]}]{_WORDS[status]}[/] in {plan.seconds:.1f} s")
    for statement in plan.solution.statements:
        print_line(statement.text)
    for remark in plan.solution.remarks:
        out.print(f"[dim]· {escape(remark)}[/]", soft_wrap=True)
    if plan.texts is not None and plan.texts.refused:
        errors.print(f"{plan.texts.refused} texts of the model were thrown away: they did not state the facts, or stated other numbers.")
    out.print(f"{escape(str(folder))}: {escape(', '.join(written))}", soft_wrap=True)


part_solve = solve
