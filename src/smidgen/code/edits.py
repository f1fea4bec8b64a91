"""Small edits of Python source: the usual ones of mutation testing. They make faults that a test should see, and undo such faults.

The kinds follow the operators of mutation testing (DeMillo, Lipton and Sayward 1978; Offutt and others 1996): another comparison, another
operator, one more or less, another name of the same function, exchanged arguments, a condition turned round, a part left out.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from smidgen.code.own_code import AnyFunction, PythonFile, bound_names, parameters, parsed

_COMPARED: dict[type[ast.cmpop], tuple[str, ...]] = {
    ast.Lt: ("<=", ">", "!="),
    ast.LtE: ("<", ">="),
    ast.Gt: (">=", "<", "!="),
    ast.GtE: (">", "<="),
    ast.Eq: ("!=", "<=", ">="),
    ast.NotEq: ("==",),
    ast.In: ("not in",),
    ast.NotIn: ("in",),
    ast.Is: ("is not",),
    ast.IsNot: ("is",),
}
_OPERATED: dict[type[ast.operator], tuple[str, ...]] = {
    ast.Add: ("-", "*"),
    ast.Sub: ("+",),
    ast.Mult: ("+", "/", "**"),
    ast.Div: ("//", "*"),
    ast.FloorDiv: ("/", "%"),
    ast.Mod: ("//",),
    ast.Pow: ("*",),
    ast.BitAnd: ("|", "^"),
    ast.BitOr: ("&", "^"),
    ast.BitXor: ("&", "|"),
    ast.LShift: (">>",),
    ast.RShift: ("<<",),
}
_EXCHANGED = {"min": "max", "max": "min", "any": "all", "all": "any", "append": "extend", "extend": "append", "startswith": "endswith"}
_EXCHANGED |= {"endswith": "startswith", "ceil": "floor", "floor": "ceil", "lstrip": "rstrip", "rstrip": "lstrip", "upper": "lower"}
_EXCHANGED |= {"lower": "upper", "break": "continue", "continue": "break", "index": "rindex", "find": "rfind", "keys": "values"}
_MOST_NAMES = 6


@dataclass(frozen=True, slots=True)
class LineEdit:
    """A line with another text.

    Attributes:
        line: its number.
        text: the new line, without a line break.
        inserted: whether it comes before the line, and replaces nothing.
    """

    line: int
    text: str
    inserted: bool = False

    def made(self, lines: Sequence[str]) -> str:
        """The whole text with the edit."""
        keep = self.line - 1 if self.inserted else self.line
        return "\n".join([*lines[: self.line - 1], self.text, *lines[keep:]])


def edits_of(file: PythonFile, lines: Sequence[int]) -> list[LineEdit]:
    """The edits of some lines of a file that keep it valid, each once, by line in the given order.

    Args:
        file: the file.
        lines: numbers of lines.
    """
    wanted = dict.fromkeys(lines)
    found: dict[int, dict[str, None]] = {line: {} for line in wanted}
    kept = {id(node.func) for node in file.nodes if isinstance(node, ast.Call)}
    kept |= {id(node.value) for node in file.nodes if isinstance(node, ast.Attribute | ast.Subscript)}
    for node in file.nodes:
        for place, replaced in _replacements(node, file, id(node) in kept):
            begin, end = (place.lineno, place.col_offset), (place.end_lineno, place.end_col_offset)
            if begin[0] == end[0] and begin[0] in wanted:
                raw = file.lines[begin[0] - 1].encode()
                new = (raw[: begin[1]] + replaced.encode() + raw[end[1] or 0 :]).decode()
                if new != file.lines[begin[0] - 1]:
                    found[begin[0]].setdefault(new)
    edits = [LineEdit(line, text) for line in wanted for text in found[line]]
    return [edit for edit in edits if parsed(edit.made(file.lines)) is not None]


@dataclass(frozen=True, slots=True)
class _Span:
    lineno: int
    col_offset: int
    end_lineno: int | None
    end_col_offset: int | None


def _replacements(node: ast.AST, file: PythonFile, kept: bool) -> Iterator[tuple[_Span, str]]:
    """The texts that may stand in place of a node, or of a part of it. `kept`: for what is called, or a part taken of."""
    if isinstance(node, ast.Compare):
        left: ast.expr = node.left
        for operator, right in zip(node.ops, node.comparators, strict=True):
            yield from ((_operator(left, right, file), text) for text in _COMPARED[type(operator)])
            left = right
    elif isinstance(node, ast.BinOp):
        yield from ((_operator(node.left, node.right, file), text) for text in _OPERATED.get(type(node.op), ()))
        yield from ((_whole(node), ast.unparse(part)) for part in (node.left, node.right))
    elif isinstance(node, ast.AugAssign):
        yield from ((_operator(node.target, node.value, file), f"{text}=") for text in ("", *_OPERATED.get(type(node.op), ())))
    elif isinstance(node, ast.BoolOp):
        for first, second in zip(node.values, node.values[1:], strict=False):
            yield _operator(first, second, file), "or" if isinstance(node.op, ast.And) else "and"
        yield from ((_whole(node), ast.unparse(value)) for value in node.values)
    elif isinstance(node, ast.UnaryOp):
        yield _whole(node), ast.unparse(node.operand)
    elif isinstance(node, ast.If | ast.While | ast.IfExp) and not isinstance(node.test, ast.Constant):
        yield _whole(node.test), f"not ({ast.unparse(node.test)})"
    elif isinstance(node, ast.Constant):
        yield from _constants(node)
    elif isinstance(node, ast.Name | ast.Attribute):
        yield from _names(node, file, kept)
    elif isinstance(node, ast.Call):
        yield from _calls(node)
    elif isinstance(node, ast.Subscript):
        yield from _subscripts(node)
    elif isinstance(node, ast.Return) and node.value is not None:
        yield _whole(node.value), "None"
    elif isinstance(node, ast.Break | ast.Continue):
        yield _whole(node), "continue" if isinstance(node, ast.Break) else "break"
    elif isinstance(node, ast.Expr | ast.Assign) and not isinstance(node.value, ast.Constant):
        yield _whole(node), "pass"


def _whole(node: ast.expr | ast.stmt) -> _Span:
    return _Span(node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)


def _operator(left: ast.expr, right: ast.expr, file: PythonFile) -> _Span:
    """The place of the operator between two operands of one line, without the blanks and brackets around it; no place if it has none."""
    begin, end = left.end_col_offset or 0, right.col_offset
    text = file.lines[right.lineno - 1].encode()[begin:end] if left.end_lineno == right.lineno else b""
    found = _SIGN.search(text)
    return _Span(right.lineno, begin + found.start(), right.lineno, begin + found.end()) if found else _Span(0, 0, 0, 0)


_SIGN = re.compile(rb"not\s+in|is\s+not|[^\s()]+")


def _constants(node: ast.Constant) -> Iterator[tuple[_Span, str]]:
    value = node.value
    if isinstance(value, bool):
        yield _whole(node), str(not value)
    elif isinstance(value, int | float):
        yield from ((_whole(node), repr(other)) for other in dict.fromkeys((value + 1, value - 1, 0)) if other != value)
    elif value is None:
        yield from ((_whole(node), other) for other in ("True", "False", "0"))
    elif value == "":
        yield _whole(node), '" "'
    elif isinstance(value, str):
        yield _whole(node), '""'


def _names(node: ast.Name | ast.Attribute, file: PythonFile, kept: bool) -> Iterator[tuple[_Span, str]]:
    """Another name, or one more or less: for what is `kept`, only another name of the same kind of function."""
    if not isinstance(node.ctx, ast.Load):
        return
    name = node.id if isinstance(node, ast.Name) else node.attr
    if isinstance(node, ast.Attribute):
        end = node.end_col_offset or 0
        place = _Span(node.end_lineno or 0, end - len(name.encode()), node.end_lineno, end)
        if name in _EXCHANGED:
            yield place, _EXCHANGED[name]
    else:
        if name in _EXCHANGED:
            yield _whole(node), _EXCHANGED[name]
        function = file.function_at(node.lineno) if not kept else None
        yield from ((_whole(node), other) for other in (_scope(function) if function is not None else ()) if other != name)
    if not kept:
        yield from ((_whole(node), f"{ast.unparse(node)} {sign} 1") for sign in "+-")


def _scope(function: AnyFunction) -> list[str]:
    """The names of a function: its parameters and what it binds, the function itself aside."""
    own = [*parameters(function), *(name for node in function.body for name in bound_names(node))]
    return list(dict.fromkeys(own))[:_MOST_NAMES]


def _calls(node: ast.Call) -> Iterator[tuple[_Span, str]]:
    plain = [argument for argument in node.args if not isinstance(argument, ast.Starred)]
    if len(plain) == len(node.args):
        for place in range(len(plain) - 1):
            order = [*plain[:place], plain[place + 1], plain[place], *plain[place + 2 :]]
            yield _whole(node), ast.unparse(ast.Call(node.func, order, node.keywords))
        if len(plain) > 1:
            yield from (
                (_whole(node), ast.unparse(ast.Call(node.func, [*plain[:place], *plain[place + 1 :]], node.keywords)))
                for place in range(len(plain))
            )
    if len(node.args) == 1 and not node.keywords:
        yield _whole(node), ast.unparse(node.args[0])
    for place, argument in enumerate(plain if len(plain) == len(node.args) else ()):
        if not isinstance(argument, ast.Constant | ast.Name):
            for sign in "+-":
                more = ast.BinOp(argument, ast.Add() if sign == "+" else ast.Sub(), ast.Constant(1))
                order = [*plain[:place], more, *plain[place + 1 :]]
                yield _whole(node), ast.unparse(ast.Call(node.func, list[ast.expr](order), node.keywords))


def _subscripts(node: ast.Subscript) -> Iterator[tuple[_Span, str]]:
    """Another place of an element, or of the ends of a slice."""
    if not isinstance(node.slice, ast.Slice):
        if not isinstance(node.slice, ast.Constant | ast.Name | ast.Tuple) and isinstance(node.ctx, ast.Load):
            yield from ((_whole(node.slice), f"{ast.unparse(node.slice)} {sign} 1") for sign in "+-")
        return
    lower, upper, step = node.slice.lower, node.slice.upper, node.slice.step
    ends = (lower, upper)
    for first, second in ((None, upper), (lower, None), (upper, lower)):
        if (first, second) != ends:
            yield _whole(node), ast.unparse(ast.Subscript(node.value, ast.Slice(first, second, step), node.ctx))
    one = ast.Constant(1)
    for operator in (ast.Add(), ast.Sub()):
        moved = [
            ast.Slice(ast.BinOp(lower, operator, one) if lower is not None else one, upper, step),
            ast.Slice(lower, ast.BinOp(upper, operator, one) if upper is not None else ast.UnaryOp(ast.USub(), one), step),
        ]
        yield from ((_whole(node), ast.unparse(ast.Subscript(node.value, slice_, node.ctx))) for slice_ in moved)
