"""Tools of a plan: a desk asks it at once, and changes it after a yes. Chosen in the Studio, without a line written by hand."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

from smidgen.core.rows import evenly
from smidgen.flows.sample_recipes import SampleRecipe, sample_names, sample_recipe
from smidgen.plans.flows.problem import open_problem
from smidgen.plans.flows.studio_plans import StudioPlan, result_folder, studio_plan
from smidgen.plans.solving import Solver
from smidgen.studio.flows.material import write_file
from smidgen.studio.flows.tool_files.tool_secrets import keep_secret
from smidgen.studio.flows.tool_files.tool_sources import beside_tools
from smidgen.studio.flows.tool_files.tools import ProjectTools, save_source
from smidgen.studio.store.projects import Project
from smidgen.tools.definition import McpTarget
from smidgen.tools.mcp_servers import listed_tools

_QUESTION_EXAMPLES, _CHANGE_EXAMPLES, MAX_NAMES = 60, 300, 5_000
_ONLY_IN_CHANGES = ("street", "supplier", "tag")
"""Kinds of names that a plan has no sentence about."""
_QUESTIONS = {
    "stock": ("How many {} should I order?", "Do we need more {}?", "When will {} run out?", "What does the plan say about {}?"),
    "routes": ("When does the van come to {}?", "Who drives to {}?", "Which stops has {}?", "What does the plan say about {}?"),
    "trips": ("When do we see {}?", "On which day is {}?", "Is {} in the plan?", "What does the plan say about {}?"),
}
_OTHER_QUESTIONS = ("What does the plan say about {}?", "Is {} in the plan?", "When is {} planned?", "what about {}")
"""Questions about one thing, by solver, and of any other."""


def add_plan(project: Project, plan: str, stamp: str) -> tuple[ProjectTools, bool]:
    """Add the tools of a plan to a project's tool file: one that asks it and, if it can be changed, one that changes it after a yes.

    Raises RequestError for a plan that is not there or was not solved, InputError if it does not answer.
    """
    found = studio_plan(plan)
    name, folder = found.solver.name, str(result_folder(plan))
    variable = f"{name.upper()}_PLAN"
    target = McpTarget("", plan=f"${{{variable}}}", folder=folder)
    entries = listed_tools(target, {variable: folder})
    names = _names_to_ask(found)
    write_file(project, beside_tools(project, f"mcp/{name}.json"), json.dumps({"tools": entries}, indent=1).encode("ascii"))
    column = io.StringIO()
    csv.writer(column).writerows([["name"], *([one] for one in names)])
    write_file(project, beside_tools(project, f"mcp/{name}.csv"), column.getvalue().encode("utf-8"))
    keep_secret(project.id, variable, folder)
    there = {str(entry["name"]) for entry in entries}
    change = next((one for one in ("change_said", "change") if one in there), "")
    tools = {"ask": _ask_tool(found, names), **({change: _change_tool(found, change)} if change else {})}
    settings = {"plan": target.plan, "definitions": f"mcp/{name}.json", "tools": tools}
    return save_source(project, "mcp", name, settings, stamp)


def _names_to_ask(plan: StudioPlan) -> list[str]:
    problem = open_problem(result_folder(plan.id))
    named = plan.solver.names(problem.state())
    found = [name for kind, some in named.items() if kind not in _ONLY_IN_CHANGES for name in some if name.strip()]
    return list(dict.fromkeys(found))[:MAX_NAMES]


def _ask_tool(plan: StudioPlan, names: Sequence[str]) -> dict[str, Any]:
    phrases = _QUESTIONS.get(plan.solver.name, _OTHER_QUESTIONS)
    some = evenly(names, _QUESTION_EXAMPLES)
    examples = [{"message": phrases[place % len(phrases)].format(name), "arguments": {"about": name}} for place, name in enumerate(some)]
    return {
        "name": f"{plan.solver.name}_plan",
        "confirm": "never",
        "words": {"en": "Look up {about} in the plan", "de": "{about} im Plan nachsehen"},
        "answer": "{sentence_en}",
        "nothing": {
            "en": "The plan has nothing of this name. Say the name in full.",
            "de": "Der Plan hat nichts mit diesem Namen. Nennen Sie ihn ganz.",
        },
        "columns": {"solved": {"name": {"en": "plan of", "de": "Plan vom"}, "kind": "date"}},
        "values_from": {"about": f"mcp/{plan.solver.name}.csv:name"} if names else {},
        "examples": examples,
    }


def _change_tool(plan: StudioPlan, tool: str) -> dict[str, Any]:
    """Settings of the tool that changes. Where a model of the plan reads sentences, the desk only has to notice that something changed."""
    by_sentence, fields = tool == "change_said", plan.solver.changes["properties"]
    titles = {f"{name}.{choice}": choice.replace("_", " ") for name, node in fields.items() for choice in node.get("enum") or ()}
    return {
        "name": f"change_{plan.solver.name}_plan",
        "preview": f"would_{tool}",
        "words": {"en": "Change the plan: {change_en}", "de": "Den Plan ändern: {change_en}"},
        "nothing": {
            "en": "That does not fit the plan. Say the name in full, and what has changed.",
            "de": "Das passt nicht zum Plan. Nennen Sie den Namen ganz, und was sich geändert hat.",
        },
        "answer": "{changed_en} {sentence_en}",
        **({"message": "sentence"} if by_sentence else {"titles": titles}),
        "examples": [{**one, "arguments": {}} if by_sentence else one for one in _change_examples(plan.solver)],
    }


def _change_examples(solver: Solver) -> Iterator[dict[str, Any]]:
    for recipe in map(sample_recipe, sample_names()):
        if recipe.tree["task"] == "extract" and recipe.is_table and _fields(recipe) <= set(solver.changes["properties"]):
            data = recipe.tree["data"]
            rows = [json.loads(line) for line in recipe.read(data["train"]).splitlines()]
            for row in evenly([one for one in rows if one[data["label"]]], _CHANGE_EXAMPLES):
                yield {"message": row[data["input"]], "arguments": {key: value for key, value in row[data["label"]].items() if value}}


def _fields(recipe: SampleRecipe) -> set[str]:
    file = recipe.task_files.get("schema_file")
    return set(json.loads(recipe.read(file))["properties"]) if file is not None else {""}
