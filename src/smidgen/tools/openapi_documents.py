"""Tools from an OpenAPI document: its operations, each with a request template and the schema of its arguments.

A document comes from somebody else. References are followed within the file only, and what an operation may do is bounded as everywhere:
the host is the document's or the tool file's, GET reads, and every other method changes something.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from smidgen.core.errors import MissingExtra, RecipeError
from smidgen.tools.definition import FoundTool, HttpTarget, plain_name

_MOST_BYTES = 5_000_000
_MOST_NODES = 20_000
_DEEPEST = 12
_METHODS = ("get", "post", "put", "patch", "delete")
_KEPT = (
    *("type", "title", "description", "enum", "const", "format", "pattern", "minLength", "maxLength", "minimum", "maximum"),
    *("exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems", "uniqueItems", "required", "additionalProperties"),
    *("properties", "items", "anyOf", "oneOf", "allOf", "default"),
)
"""Keywords of a schema that are kept; the others say nothing about which values fit."""


def read_operations(file: Path, server: str | None = None, headers: Mapping[str, str] | None = None) -> list[FoundTool]:
    """The operations of a document that have an operationId. Raises RecipeError if it cannot be read.

    Args:
        file: JSON or YAML, OpenAPI 3.0 or 3.1.
        server: the API's address, where it is not the document's first.
        headers: sent with each request.
    """
    document = _document(file)
    address = server or _server(document)
    found = []
    for path, entry in _pairs(document.get("paths")):
        for method in _METHODS:
            operation = entry.get(method) if isinstance(entry, Mapping) else None
            if isinstance(operation, Mapping) and isinstance(operation.get("operationId"), str):
                reading = _OperationReader(document)
                found.append(reading.tool(method, str(path), entry, operation, address, headers or {}))
    if not found:
        raise RecipeError("tools.document_has_no_operation", value=file.name)
    return found


def _document(file: Path) -> Mapping[str, Any]:
    if not file.is_file():
        raise RecipeError("tools.there_is_no_such_openapi_document", value=file.name)
    if file.stat().st_size > _MOST_BYTES:
        raise RecipeError("tools.openapi_document_is_too_large", st_size=file.stat().st_size)
    try:
        text = file.read_text(encoding="utf-8")
        document = json.loads(text) if file.suffix.lower() == ".json" else _yaml(text, file)
    except (ValueError, RecursionError) as error:
        raise RecipeError("tools.openapi_document_cannot_be_read", value=file.name, error=error) from None
    if not isinstance(document, Mapping) or not str(document.get("openapi", "")).startswith("3."):
        raise RecipeError("tools.this_is_not_openapi_3_document", value=file.name)
    return document


def _yaml(text: str, file: Path) -> Any:
    try:
        import yaml
    except ModuleNotFoundError:
        raise MissingExtra("pyyaml", "desk") from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError("tools.openapi_document_is_not_yaml", value=file.name, error=str(error)[:360]) from None


def _server(document: Mapping[str, Any]) -> str:
    servers = document.get("servers")
    first = servers[0] if isinstance(servers, list) and servers and isinstance(servers[0], Mapping) else {}
    return str(first.get("url", ""))


def _pairs(value: Any) -> Iterator[tuple[Any, Any]]:
    yield from value.items() if isinstance(value, Mapping) else ()


class _OperationReader:
    """Reads one operation of a document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._nodes = 0
        self._faults: list[str] = []
        self._names: dict[str, str] = {}
        self._properties: dict[str, Any] = {}
        self._required: list[str] = []

    def tool(
        self, method: str, path: str, entry: Mapping[str, Any], operation: Mapping[str, Any], server: str, headers: Mapping[str, str]
    ) -> FoundTool:
        """The operation as a tool."""
        query: list[str] = []
        parameters = {}
        for given in [*(entry.get("parameters") or ()), *(operation.get("parameters") or ())]:
            parameter = self._resolved(given)
            parameters[(parameter.get("in"), parameter.get("name"))] = parameter
        for (where, name), parameter in parameters.items():
            path = self._parameter(str(where), str(name), parameter, path, query)
        body = self._body(operation)
        if "{" in re.sub(r"\{[a-z][a-z0-9_]*\}", "", path) or set(re.findall(r"\{(\w+)\}", path)) - self._properties.keys():
            self._fault(f"the path {path} names a parameter that is not described")
        if not path.startswith("/"):
            self._fault(f"the path {path!r} does not begin with a slash")
        address = self._address(server, path) + ("?" + "&".join(query) if query else "")
        schema = {"type": "object", "properties": self._properties, "required": self._required, "additionalProperties": False}
        text = str(operation.get("summary") or operation.get("description") or "")
        target = HttpTarget(method.upper(), address, dict(headers), body)
        return FoundTool(str(operation["operationId"]), text, schema, method != "get", target, tuple(dict.fromkeys(self._faults)))

    def _address(self, server: str, path: str) -> str:
        if "${" not in server and not re.match(r"https?://[^/?#{}@\s]+(/[^?#{}\s]*)?$", server):
            self._fault(f"the address {urljoin(server, '.')!r} is no https address; write server = in the tool file")
        return server.rstrip("/") + path

    def _parameter(self, where: str, name: str, parameter: Mapping[str, Any], path: str, query: list[str]) -> str:
        """Add an argument for a parameter; returns the path with its name."""
        needed = bool(parameter.get("required")) or where == "path"
        schema = self._schema(parameter.get("schema") or {"type": "string"}, 0)
        plain = schema.get("type") in ("string", "integer", "number", "boolean")
        if where not in ("path", "query") or not plain:
            if needed:
                self._fault(f"the {where} parameter {name} cannot be sent")
            return path
        mine = self._argument(name, {**schema, **self._described(parameter)}, needed)
        if where == "path":
            return path.replace("{" + name + "}", "{" + mine + "}")
        query.append(f"{re.sub(r'[^A-Za-z0-9_.~-]', lambda match: f'%{ord(match[0]):02X}', name)}={{{mine}}}")
        return path

    def _body(self, operation: Mapping[str, Any]) -> Any:
        """The body's template: each property of a JSON object is an argument."""
        given = self._resolved(operation.get("requestBody") or {})
        if not given:
            return None
        content = given.get("content")
        media = content.get("application/json") if isinstance(content, Mapping) else None
        schema = self._schema(media.get("schema") or {}, 0) if isinstance(media, Mapping) else {}
        if schema.get("type") != "object" or not schema.get("properties"):
            if given.get("required"):
                self._fault("its body is no JSON object with properties")
            return None
        needed = schema.get("required", ()) if given.get("required", True) else ()
        return {name: "{" + self._argument(name, node, name in needed) + "}" for name, node in schema["properties"].items()}

    def _argument(self, name: str, schema: Mapping[str, Any], needed: bool) -> str:
        """Add an argument; returns our name of it."""
        mine = plain_name(name)
        if not mine:
            self._fault(f"the name {name!r} cannot be an argument's")
            mine = "unnamed"
        if mine in self._names and self._names[mine] != name:
            self._fault(f"{self._names[mine]} and {name} would both be {mine}")
        self._names[mine] = name
        self._properties[mine] = dict(schema)
        if needed and mine not in self._required:
            self._required.append(mine)
        return mine

    def _described(self, parameter: Mapping[str, Any]) -> dict[str, Any]:
        text = parameter.get("description")
        return {"description": text} if isinstance(text, str) else {}

    def _resolved(self, node: Any) -> Mapping[str, Any]:
        """The node that references lead to, within the file."""
        for _ in range(_DEEPEST):
            if not isinstance(node, Mapping):
                return {}
            reference = node.get("$ref")
            if reference is None:
                return node
            node = self._at(str(reference))
        self._fault("a reference leads in a circle")
        return {}

    def _at(self, reference: str) -> Any:
        if not reference.startswith("#/"):
            self._fault(f"the reference {reference[:80]!r} leads out of the file, and is not followed")
            return {}
        node: Any = self._document
        for step in reference[2:].split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            node = node.get(name) if isinstance(node, Mapping) else None
        if node is None:
            self._fault(f"the reference {reference[:80]!r} leads nowhere")
            return {}
        return node

    def _schema(self, given: Any, depth: int) -> dict[str, Any]:
        """A schema without references and annotations, in the words of JSON Schema."""
        self._nodes += 1
        if depth > _DEEPEST or self._nodes > _MOST_NODES:
            self._fault("a schema is nested too deep, or refers to itself")
            return {}
        node = self._resolved(given)
        made = {name: node[name] for name in _KEPT if name in node}
        if isinstance(made.get("type"), list):
            kinds = [kind for kind in made["type"] if kind != "null"]
            made["type"] = kinds[0] if len(kinds) == 1 else kinds
        for name in ("exclusiveMinimum", "exclusiveMaximum"):  # 3.0 has a truth beside the bound
            if isinstance(made.get(name), bool):
                bound = name.replace("exclusiveM", "m")
                if made.pop(name) and bound in made:
                    made[name] = made.pop(bound)
        if isinstance(node.get("properties"), Mapping):
            inner = {name: part for name, part in node["properties"].items() if not (isinstance(part, Mapping) and part.get("readOnly"))}
            made["properties"] = {name: self._schema(part, depth + 1) for name, part in inner.items()}
            made.setdefault("type", "object")
            if isinstance(made.get("required"), list):
                made["required"] = [name for name in made["required"] if name in inner]
        if "items" in node:
            made["items"] = self._schema(node["items"], depth + 1)
        if isinstance(node.get("additionalProperties"), Mapping):
            made["additionalProperties"] = self._schema(node["additionalProperties"], depth + 1)
        for name in ("anyOf", "oneOf", "allOf"):
            if isinstance(node.get(name), list):
                made[name] = [self._schema(part, depth + 1) for part in node[name]]
        return made

    def _fault(self, what: str) -> None:
        self._faults.append(what)
