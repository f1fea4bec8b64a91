"""The user's own Python files, read as programs: which file a traceback means, what stands on a line, where a name comes from."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from smidgen.code.repository import CodeFile
from smidgen.code.tracebacks import TracebackFrame

_FOREIGN = re.compile(r"[\\/](?:site-packages|dist-packages|lib[\\/]python3\.\d+)[\\/]|^<")
"""Paths of code that is not the user's."""
AnyFunction = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class PythonFile:
    """A file. `tree`: None if it is not valid Python of this version."""

    path: str
    text: str

    @cached_property
    def lines(self) -> list[str]:
        """Its lines."""
        return self.text.split("\n")

    @cached_property
    def tree(self) -> ast.Module | None:
        """Its syntax tree."""
        return parsed(self.text)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """All nodes of the tree."""
        return list(ast.walk(self.tree)) if self.tree is not None else []

    def function_at(self, line: int) -> AnyFunction | None:
        """The innermost function around a line."""
        around = [node for node in self.nodes if isinstance(node, AnyFunction) and node.lineno <= line <= (node.end_lineno or 0)]
        return max(around, key=lambda node: node.lineno, default=None)


def parsed(text: str) -> ast.Module | None:
    """The syntax tree of a text; None if it is not valid."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


@dataclass(frozen=True)
class OwnPlace:
    """A line of the user's own code that an error went through.

    Attributes:
        file: the file.
        line: its number.
        frame: the place in the traceback.
        changed: whether the file has another text there than the traceback.
    """

    file: PythonFile
    line: int
    frame: TracebackFrame
    changed: bool

    @property
    def shown(self) -> str:
        """Path and line, as an editor reads them."""
        return f"{self.file.path}:{self.line}"

    @property
    def source(self) -> str:
        """The line, without blanks around it."""
        return self.file.lines[self.line - 1].strip() if self.line <= len(self.file.lines) else ""

    @cached_property
    def function(self) -> AnyFunction | None:
        """The function around it."""
        return self.file.function_at(self.line)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """The nodes of the syntax tree that begin on the line and lie in the part at fault, where the traceback marks one."""
        found = [node for node in self.file.nodes if getattr(node, "lineno", 0) <= self.line <= (getattr(node, "end_lineno", 0) or 0)]
        inner = [node for node in found if isinstance(node, ast.expr | ast.keyword | ast.stmt)]
        own = [node for node in inner if not isinstance(node, ast.stmt) or self._is_simple(node)]
        if self._span is None:
            return list(own)
        begin, end = self._span
        marked = [node for node in own if node.lineno == self.line and node.col_offset >= begin and self._ends_by(node, end)]
        return list(marked or own)

    @cached_property
    def _span(self) -> tuple[int, int] | None:
        """The part at fault, in bytes of the line as a syntax tree counts them; None where the traceback marks none."""
        if self.frame.marked is None or self.changed:
            return None
        text = self.file.lines[self.line - 1]
        indent = len(text) - len(text.lstrip())
        begin, end = (len(text[: indent + column].encode()) for column in self.frame.marked)
        return begin, end

    def marks(self, node: ast.AST) -> bool:
        """Whether the traceback marks just this node."""
        return self._span is not None and (getattr(node, "col_offset", -1), getattr(node, "end_col_offset", -1)) == self._span

    @property
    def statements(self) -> list[ast.stmt]:
        """The statements on the line, whatever part of it the traceback marks."""
        found = [node for node in self.file.nodes if isinstance(node, ast.stmt) and self._is_simple(node)]
        return [node for node in found if node.lineno <= self.line <= (node.end_lineno or 0)]

    def _is_simple(self, node: ast.stmt) -> bool:
        """Whether a statement has no block: else only its head lies on the line."""
        return not hasattr(node, "body") or node.lineno == self.line

    def _ends_by(self, node: ast.expr | ast.keyword | ast.stmt, end: int) -> bool:
        return (node.end_lineno or 0) > self.line or (node.end_col_offset or 0) <= end


class OwnCode:
    """All Python files of a repository."""

    def __init__(self, files: Sequence[CodeFile]) -> None:
        self.files = [PythonFile(file.path, file.text.removeprefix("\ufeff")) for file in files if file.path.endswith((".py", ".pyi"))]

    def place(self, frame: TracebackFrame) -> OwnPlace | None:
        """The own line that a traceback means; None for code of others, and where two files could be meant."""
        if _FOREIGN.search(frame.path):
            return None
        parts = PurePosixPath(frame.path.replace("\\", "/")).parts
        shared = [(_shared(parts, PurePosixPath(file.path).parts), file) for file in self.files]
        most = max((count for count, _ in shared), default=0)
        able = [file for count, file in shared if count == most and count]
        same = [file for file in able if self._has(file, frame)]
        chosen = same if len(able) > 1 else able
        if len(chosen) != 1 or frame.line < 1:
            return None
        return OwnPlace(chosen[0], frame.line, frame, bool(frame.source) and not self._has(chosen[0], frame))

    def _has(self, file: PythonFile, frame: TracebackFrame) -> bool:
        """Whether the line of the traceback stands there. A longer statement is printed in several lines, or in its first."""
        return 0 < frame.line <= len(file.lines) and (not frame.source or file.lines[frame.line - 1].strip() == frame.source)

    def functions(self, name: str) -> list[tuple[PythonFile, AnyFunction]]:
        """The functions and methods of this name; `Class.method` for a method, and for a class its `__init__`."""
        owner, _, own = name.rpartition(".")
        found = []
        for file in self.files:
            for node in file.nodes:
                if isinstance(node, ast.ClassDef):
                    methods = [inner for inner in node.body if isinstance(inner, AnyFunction)]
                    wanted = "__init__" if node.name == own and not owner else own
                    if node.name in (owner, own) or not owner:
                        found += [
                            (file, one) for one in methods if one.name == wanted and (wanted != "__init__" or node.name in (own, owner))
                        ]
            if not owner and file.tree is not None:
                found += [(file, one) for one in file.tree.body if isinstance(one, AnyFunction) and one.name == own]
        return list({(file.path, one.lineno): (file, one) for file, one in found}.values())

    def classes(self, name: str) -> list[tuple[PythonFile, ast.ClassDef]]:
        """The classes of this name."""
        return [(file, node) for file in self.files for node in file.nodes if isinstance(node, ast.ClassDef) and node.name == name]

    def module(self, name: str) -> PythonFile | None:
        """The file of a module, by the end of its dotted name; None if there is none, or several."""
        parts = tuple(name.split("."))
        found = []
        for file in self.files:
            path = PurePosixPath(file.path)
            dotted = path.parent.parts if path.name == "__init__.py" else (*path.parent.parts, path.stem)
            if dotted[-len(parts) :] == parts:
                found.append(file)
        return found[0] if len(found) == 1 else None


def _shared(first: Sequence[str], second: Sequence[str]) -> int:
    """How many parts at the ends of two paths are equal."""
    count = 0
    for one, other in zip(reversed(first), reversed(second), strict=False):
        if one != other:
            break
        count += 1
    return count


def attributes_of(found: ast.ClassDef) -> set[str]:
    """The names that a class gives its objects: methods, class variables, and what is assigned to `self`."""
    names: set[str] = set()
    for node in ast.walk(found):
        if isinstance(node, AnyFunction):
            names.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name):
            names |= {node.attr} if node.value.id == "self" else set()
    for node in found.body:
        names |= set(bound_names(node))
    return names


def names_in(tree: ast.AST) -> set[str]:
    """The names that a module binds at its top level."""
    return {name for node in getattr(tree, "body", ()) for name in bound_names(node)}


def bound_names(node: ast.AST) -> Iterator[str]:
    """The names that a statement binds, without those inside functions and classes."""
    if isinstance(node, AnyFunction | ast.ClassDef):
        yield node.name
        return
    if isinstance(node, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.ExceptHandler) and node.name:
        yield node.name
    for child in ast.iter_child_nodes(node):
        yield from bound_names(child)


def assignments(function: ast.AST, name: str) -> list[tuple[int, ast.AST, ast.expr | None]]:
    """Where a name is bound in a function or module, by line: the line, the node, and the value where one is assigned alone."""
    found: list[tuple[int, ast.AST, ast.expr | None]] = []
    for node in ast.walk(function):
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.NamedExpr):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Name) and target.id == name:
                    found.append((node.lineno, node, None if isinstance(node, ast.AugAssign) else node.value))
                elif isinstance(target, ast.Tuple | ast.List) and name in bound_names(target):
                    found.append((node.lineno, node, None))
        elif isinstance(node, ast.For | ast.AsyncFor) and name in bound_names(node.target):
            found.append((node.lineno, node, None))
        elif isinstance(node, ast.withitem) and node.optional_vars is not None and name in bound_names(node.optional_vars):
            found.append((node.optional_vars.lineno, node, None))
    return sorted(found, key=lambda entry: entry[0])


def parameters(function: AnyFunction) -> list[str]:
    """The names of a function's parameters."""
    told = function.args
    every = [
        *told.posonlyargs,
        *told.args,
        *([told.vararg] if told.vararg else []),
        *told.kwonlyargs,
        *([told.kwarg] if told.kwarg else []),
    ]
    return [one.arg for one in every]


def ends_without_value(function: AnyFunction) -> int | None:
    """The line of a way on which a function gives None, though it gives something else on another; None if no such way is sure.

    A `return` without a value or of None is one; so is the end of the body, where that can be reached.
    """
    returns = [node for node in _own_nodes(function) if isinstance(node, ast.Return)]
    if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in _own_nodes(function)):
        return None
    if not any(node.value is not None and not _is_none(node.value) for node in returns):
        return function.lineno if not _is_stub(function) else None
    for node in returns:
        if node.value is None or _is_none(node.value):
            return node.lineno
    return function.body[-1].lineno if _falls_through(function.body) else None


def _own_nodes(function: AnyFunction) -> Iterator[ast.AST]:
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop(0)
        yield node
        if not isinstance(node, AnyFunction | ast.ClassDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_stub(function: AnyFunction) -> bool:
    return all(
        isinstance(node, ast.Raise) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in function.body
    )


def _falls_through(body: Sequence[ast.stmt]) -> bool:
    """Whether the end of a block can be reached, as far as its last statement shows; False where that is not sure."""
    last = body[-1]
    if isinstance(last, ast.Return | ast.Raise | ast.Continue | ast.Break):
        return False
    if isinstance(last, ast.If):
        return not last.orelse or _falls_through(last.body) or _falls_through(last.orelse)
    if isinstance(last, ast.For):
        return not last.orelse and not (isinstance(last.iter, ast.Call) and _ENDLESS.fullmatch(_last_name(last.iter.func)))
    if isinstance(last, ast.Expr) and isinstance(last.value, ast.Call):
        return not _LEAVING.search(_last_name(last.value.func))
    return isinstance(last, ast.Expr | ast.Assign | ast.AugAssign)


_ENDLESS = re.compile("count|cycle|repeat|iter")
_LEAVING = re.compile("exit|abort|fail|skip|raise|throw|error")
"""Names of functions that may not come back."""


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
