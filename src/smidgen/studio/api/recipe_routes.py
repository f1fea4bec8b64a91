"""`/api/v1/projects/{project}/recipe`, `…/settings` and `/api/v1/parts`: the recipe of a project, and all there is to choose for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field, model_validator

from smidgen.bases.starter import starters
from smidgen.core.errors import InputError
from smidgen.core.printable import HALVES
from smidgen.parts import registry
from smidgen.parts.recipe import parsed, written
from smidgen.studio.api.access import Editor, Viewer
from smidgen.studio.flows.recipes.able_students import able_students, check_build, formed_task
from smidgen.studio.flows.recipes.build_settings import PartFacts, SettingSection, parts_of, sections_of
from smidgen.studio.flows.recipes.canvas import (
    CanvasGraph,
    CanvasNode,
    CanvasPort,
    CanvasWire,
    SettingMistake,
    graph_of,
    kinds_of,
    schemas_of,
    tree_of,
    wires_of,
    wiring_mistakes,
)
from smidgen.studio.flows.recipes.project_recipe import MOST_TEXT, presets_of, recipe_mistakes, recipe_text, recipe_tree, save_recipe
from smidgen.studio.store.projects import Project, StudioStore

_MOST_NODES = 100


class OfferedNodeKind(BaseModel):
    """A kind of node, with the JSON Schemas of its settings by section of the recipe. The section `""` holds settings of none."""

    name: str
    stage: str = Field(description="Where on the way it stands: examples, model or service.")
    inputs: list[CanvasPort]
    outputs: list[CanvasPort]
    needed: bool = Field(description="Every build takes this step.")
    partner: str = Field(description="Another kind without which it is never there; empty for none.")
    asks: str = Field(description="The kind without which it does nothing; empty for none.")
    starts: dict[str, dict[str, Any]] = Field(description="The settings with which it is added.")
    schemas: dict[str, dict[str, Any]]


class GivenNode(BaseModel):
    """A step of the recipe, with the settings that are given, by section."""

    id: str = Field(max_length=300)
    kind: str = Field(max_length=300)
    settings: dict[str, dict[str, Any]]


class GivenWire(BaseModel):
    """A connection: from an output of one node to an input of another."""

    source: str = Field(max_length=300)
    output: str = Field(max_length=100)
    target: str = Field(max_length=300)
    input: str = Field(max_length=100)


class RecipeGraph(BaseModel):
    """A recipe as a graph."""

    nodes: list[GivenNode] = Field(max_length=_MOST_NODES)
    wires: list[GivenWire] = Field(max_length=10 * _MOST_NODES)


class DrawnGraph(BaseModel):
    """A graph as somebody drew it. Without wires, the nodes are connected as they belong together."""

    nodes: list[GivenNode] = Field(max_length=_MOST_NODES)
    wires: list[GivenWire] | None = Field(None, max_length=10 * _MOST_NODES)


class ProjectRecipe(BaseModel):
    """A recipe in its three forms, and every mistake in it."""

    tree: dict[str, Any]
    text: str
    graph: RecipeGraph
    mistakes: list[SettingMistake]


class RecipeForm(BaseModel):
    """A recipe in one of its forms: as the text of a recipe file, as a graph, or as a tree."""

    text: str | None = Field(None, max_length=MOST_TEXT)
    graph: DrawnGraph | None = None
    tree: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _one(self) -> RecipeForm:
        if sum(form is not None for form in (self.text, self.graph, self.tree)) != 1:
            raise ValueError("give exactly one of: text, graph, tree")
        return self


class RecipePreset(BaseModel):
    """Settings for a common case, that go over a recipe's own."""

    name: str
    settings: dict[str, Any]


def _drawn(view: DrawnGraph, task: str) -> CanvasGraph:
    nodes = tuple(CanvasNode(node.id, node.kind, node.settings) for node in view.nodes)
    if view.wires is None:
        return CanvasGraph(nodes, tuple(wires_of([node.kind for node in nodes], kinds_of(task))))
    return CanvasGraph(nodes, tuple(CanvasWire(**wire.model_dump()) for wire in view.wires))


def _dicts(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: dict(held) for name, held in settings.items()}


def _sent_graph(graph: CanvasGraph) -> RecipeGraph:
    nodes = [GivenNode(id=node.id, kind=node.kind, settings=_plain(_dicts(node.settings))) for node in graph.nodes]
    return RecipeGraph(nodes=nodes, wires=[GivenWire(**asdict(wire)) for wire in graph.wires])


def _read(form: RecipeForm, project: Project) -> tuple[dict[str, Any], CanvasGraph]:
    """The tree and the graph of a recipe in any form."""
    if form.graph is not None:
        graph = _drawn(form.graph, project.task)
        return _undamaged(tree_of(graph)), graph
    tree = _undamaged(parsed(form.text, "the text") if form.text is not None else dict(form.tree or {}))
    return tree, graph_of(tree, project.task)


def _undamaged(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree itself. Raises InputError for a text in it that no file holds."""
    said = json.dumps(tree, ensure_ascii=False, default=str)
    if HALVES.search(said) or "\\u0000" in said:
        raise InputError("studio.text_has_invalid_character")
    return tree


def _sent(project: Project, tree: dict[str, Any], graph: CanvasGraph, text: str) -> ProjectRecipe:
    mistakes = [*wiring_mistakes(graph, project.task), *recipe_mistakes(project, tree)]
    return ProjectRecipe(tree=_plain(tree), text=text, graph=_sent_graph(graph), mistakes=mistakes)


def recipe_routes(store: StudioStore) -> APIRouter:
    """The routes of a project's recipe."""
    router = APIRouter(prefix="/api/v1/projects/{project}", tags=["recipe"])

    @router.get("/recipe")
    def read_recipe(person: Viewer, project: str) -> ProjectRecipe:
        """Read the recipe of a project."""
        found = store.project(project)
        tree = recipe_tree(found)
        return _sent(found, tree, graph_of(tree, found.task), recipe_text(found))

    @router.post("/recipe/check")
    def check_recipe(person: Viewer, project: str, body: RecipeForm) -> ProjectRecipe:
        """Turn a recipe into its other forms, and tell every mistake in it. Nothing is stored."""
        found = store.project(project)
        tree, graph = _read(body, found)
        return _sent(found, tree, graph, body.text if body.text is not None else written(tree))

    @router.put("/recipe")
    def write_recipe(person: Editor, project: str, body: RecipeForm) -> ProjectRecipe:
        """Give a project a recipe. One with mistakes is refused, with all of them."""
        found = store.project(project)
        tree, graph = _read(body, found)
        saved = save_recipe(store, found, tree, body.text)
        return _sent(saved, tree, graph, recipe_text(saved))

    @router.get("/recipe/kinds")
    def list_node_kinds(person: Viewer, project: str, student: str | None = None) -> list[OfferedNodeKind]:
        """List the kinds of nodes of this project's recipes. `student` chooses whose training settings the student's node has."""
        task = store.project(project).task
        chosen = student if student in registry.names("students") else None
        schemas = schemas_of(task, chosen)
        return [
            OfferedNodeKind(
                name=kind.name,
                stage=kind.stage,
                inputs=list(kind.inputs),
                outputs=list(kind.outputs),
                needed=kind.needed,
                partner=kind.partner,
                asks=kind.asks,
                starts=_dicts(kind.starts),
                schemas=schemas.get(kind.name, {}),
            )
            for kind in kinds_of(task, chosen)
        ]

    @router.get("/recipe/presets")
    def list_recipe_presets(person: Viewer, project: str) -> list[RecipePreset]:
        """List settings for common cases of this project's task, as its rows are now."""
        task, _ = formed_task(store, store.project(project))
        return [RecipePreset(name=name, settings=dict(settings)) for name, settings in presets_of(task).items()]

    return router


def _plain(tree: Any) -> Any:
    """A tree whose values JSON has: dates and infinities, which are mistakes anyway, become texts."""
    if isinstance(tree, dict):
        return {name: _plain(value) for name, value in tree.items()}
    if isinstance(tree, list):
        return [_plain(value) for value in tree]
    return tree if isinstance(tree, bool | int | str) or (isinstance(tree, float) and abs(tree) < float("inf")) else str(tree)


_BASE_FACTS = ("name", "title", "family", "licence", "megabytes", "automatic", "multilingual")


class ListedBase(BaseModel):
    """A starter base: pretrained weights that are fetched once."""

    name: str
    title: str
    family: str = Field(description="`encoder` reads texts, `decoder` writes them.")
    licence: str
    megabytes: int = Field(description="What a fetch transfers.")
    automatic: bool = Field(description="Whether a build takes it by itself.")
    multilingual: bool = Field(description="Whether it reads other languages than English.")
    here: bool = Field(description="Whether it is on this machine.")


class RecipeSettings(BaseModel):
    """Settings of a build, as a recipe has them: by section, then by name."""

    settings: dict[str, Any]


class SettingFault(BaseModel):
    """A setting that cannot be used."""

    place: str = Field(description="Section and setting, such as `gate.max_loss`; empty where it belongs to none.")
    message: str


def part_routes(store: StudioStore) -> APIRouter:
    """The routes of parts and settings."""
    router = APIRouter(prefix="/api/v1", tags=["parts"])

    @router.get("/parts/{room}")
    def list_parts(person: Viewer, room: str) -> list[PartFacts]:
        """List the parts of a room: `tasks`, `students`, `compress` or `engines`. A part that was added to smidgen is listed by itself."""
        return parts_of(room)

    @router.get("/bases")
    def list_bases(person: Viewer) -> list[ListedBase]:
        """List the starter bases, and which of them are on this machine. A run of the kind `fetch` fetches one."""
        return [ListedBase(**{name: getattr(one, name) for name in _BASE_FACTS}, here=one.here()) for one in starters().values()]

    @router.get("/projects/{project}/settings")
    def list_settings(person: Viewer, project: str, student: str | None = None) -> list[SettingSection]:
        """List the settings that a build of the project takes. `student`: the student whose training settings are meant."""
        found = store.project(project)
        return sections_of(found.task, student, [name for name, why in able_students(store, found).items() if not why])

    @router.post("/projects/{project}/settings/check")
    def check(person: Viewer, project: str, body: RecipeSettings) -> list[SettingFault]:
        """Check the settings of a build before it is started. An empty list: it may start."""
        found = check_build(store, store.project(project), body.settings)
        return [SettingFault(place=mistake.place, message=mistake.text) for mistake in found]

    return router
