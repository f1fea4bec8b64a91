"""Causes of well-known Python errors, read from the message and the source: nothing is said that the two do not show."""

from __future__ import annotations

import ast
import builtins
import difflib
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from smidgen.code.own_code import (
    AnyFunction,
    OwnCode,
    OwnPlace,
    assignments,
    attributes_of,
    bound_names,
    ends_without_value,
    names_in,
    parameters,
)
from smidgen.code.tracebacks import RaisedError

PACKAGES = {
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "Crypto": "pycryptodome",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "fitz": "PyMuPDF",
    "git": "GitPython",
    "google.protobuf": "protobuf",
    "jose": "python-jose",
    "jwt": "PyJWT",
    "magic": "python-magic",
    "MySQLdb": "mysqlclient",
    "OpenSSL": "pyOpenSSL",
    "PIL": "Pillow",
    "pptx": "python-pptx",
    "psycopg2": "psycopg2-binary",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "slugify": "python-slugify",
    "usb": "pyusb",
    "win32api": "pywin32",
    "yaml": "PyYAML",
    "zmq": "pyzmq",
}
"""Packages on the index that have another name than what is imported."""
_NEAR = 0.7
_MOST_NEAR = 3
_MAY_BE_NONE = {
    "get": "`get` gives None for a key that is not there",
    "match": "`match` gives None for a text that does not match",
    "search": "`search` gives None where nothing is found",
    "fullmatch": "`fullmatch` gives None for a text that does not match",
    "getenv": "`getenv` gives None for a variable that is not set",
    "fetchone": "`fetchone` gives None where there is no row",
    "find_one": "`find_one` gives None where nothing is found",
    "first": "`first` gives None where there is no row",
    "append": "`append` changes the list and gives None",
    "sort": "`sort` changes the list and gives None",
    "extend": "`extend` changes the list and gives None",
    "update": "`update` changes what it is called on and gives None",
    "reverse": "`reverse` changes the list and gives None",
    "print": "`print` gives None",
}


@dataclass(frozen=True, slots=True)
class CauseContext:
    """An error, the own lines that it went through (the last of them is where it came from), and all own code."""

    error: RaisedError
    places: Sequence[OwnPlace]
    code: OwnCode

    @property
    def last(self) -> OwnPlace | None:
        """The innermost own line, if the file still has it."""
        return self.places[-1] if self.places and not self.places[-1].changed else None

    @property
    def raised_here(self) -> bool:
        """Whether the error was raised on the innermost own line itself, not in code of others that it calls."""
        return bool(self.places) and self.places[-1].frame is self.error.frames[-1]

    def nodes(self, kind: type[ast.AST]) -> list[ast.AST]:
        """The nodes of a kind on the faulty line, or the one that the traceback marks; empty where the error was raised elsewhere."""
        if self.last is None or not self.raised_here:
            return []
        found = [node for node in self.last.nodes if isinstance(node, kind)]
        return [node for node in found if self.last.marks(node)] or found

    @property
    def statements(self) -> list[ast.stmt]:
        """The statements of the faulty line; empty where the error was raised elsewhere."""
        return self.last.statements if self.last is not None and self.raised_here else []


def causes(found: CauseContext) -> list[str]:
    """Sentences on the cause of an error, the most telling first; empty if nothing certain is known."""
    told: list[str] = []
    for pattern, kinds, explain in _EXPLAINED:
        if found.error.name in kinds and (match := re.match(pattern, found.error.message, re.DOTALL)):
            told += explain(found, match)
            break
    return list(dict.fromkeys(told))


def _code(node: ast.AST) -> str:
    text = ast.unparse(node)
    return f"`{text if len(text) <= 80 else text[:79] + '…'}`"


def _similar(word: str, words: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, sorted({other for other in words if other != word}), _MOST_NEAR, _NEAR)
    return f"Similar: {', '.join(f'`{name}`' for name in near)}." if near else ""


def _some(*sentences: str) -> list[str]:
    return [sentence for sentence in sentences if sentence]


def _only(nodes: Sequence[ast.AST]) -> ast.AST | None:
    """The node, where all of them read alike."""
    return nodes[0] if len({ast.unparse(node) for node in nodes}) == 1 else None


def _key(found: CauseContext, match: re.Match[str]) -> list[str]:
    key, value = match["key"], _literal(match["key"])
    node = _only([one for one in found.nodes(ast.Subscript) if _may_be(one.slice, value)])  # type: ignore[attr-defined]
    outer = [one for one in (found.last.nodes if found.last is not None else ()) if isinstance(one, ast.Subscript)]
    if any(ast.unparse(one.value).endswith("environ") for one in outer) and isinstance(value, str):
        return [f"The environment variable {key} is not set where the program ran."]
    if not isinstance(node, ast.Subscript):
        return [f"The key {key} is not there."]
    asked = "" if isinstance(node.slice, ast.Constant) else f" ({_code(node.slice)} was {key})"
    told = f"{_code(node)} asks for the key {key}{asked}, and {_code(node.value)} does not have it."
    return _some(told, _similar(value, _keys(found, node.value)) if isinstance(value, str) else "", *_origin(found, node.value, False))


def _literal(text: str) -> object:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None


def _may_be(node: ast.expr, value: object) -> bool:
    return not isinstance(node, ast.Constant) or node.value == value


def _keys(found: CauseContext, owner: ast.expr) -> set[str]:
    """Keys that the file gives to what is written like `owner`; all keys in the file where it gives none."""
    own, every = set[str](), set[str]()
    assert found.last is not None
    asked = {id(node) for node in found.nodes(ast.Subscript)}
    for node in found.last.file.nodes:
        if isinstance(node, ast.Dict):
            every |= _texts(node.keys)
        elif isinstance(node, ast.Subscript) and id(node) not in asked:
            every |= _texts([node.slice])
        elif isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            own |= _texts(node.value.keys) if ast.unparse(owner) in map(ast.unparse, targets) else set()
    return own or every


def _texts(nodes: Iterable[ast.expr | None]) -> set[str]:
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def _index(found: CauseContext, match: re.Match[str]) -> list[str]:
    node = _only(found.nodes(ast.Subscript))
    if not isinstance(node, ast.Subscript):
        return []
    if ast.unparse(node.slice) in ("0", "-1"):
        return [f"{_code(node.value)} was empty, so {_code(node)} does not exist.", *_origin(found, node.value, False)]
    return [f"{_code(node.value)} has fewer elements than {_code(node)} needs.", *_origin(found, node.value, False)]


def _empty(found: CauseContext, match: re.Match[str]) -> list[str]:
    node = _only(
        [one for one in found.nodes(ast.Call) if isinstance(one, ast.Call) and ast.unparse(one.func).split(".")[-1] == match["call"]]
    )
    if not isinstance(node, ast.Call):
        return []
    owner = node.func.value if isinstance(node.func, ast.Attribute) else node.args[0] if node.args else None
    return [f"{_code(owner)} was empty.", *_origin(found, owner, False)] if owner is not None else []


def _attribute(found: CauseContext, match: re.Match[str]) -> list[str]:
    return _lacking(found, match["kind"], match["name"])


def _class_attribute(found: CauseContext, match: re.Match[str]) -> list[str]:
    return _lacking(found, match["owner"], match["name"])


def _lacking(found: CauseContext, kind: str, name: str) -> list[str]:
    """Of an object or class of this kind an attribute was asked that it lacks."""
    node = _only([one for one in found.nodes(ast.Attribute) if isinstance(one, ast.Attribute) and one.attr == name])
    if kind == "NoneType":
        if not isinstance(node, ast.Attribute):
            return [f"What `.{name}` was asked of was None."]
        return [f"{_code(node.value)} was None, and None has no `{name}`.", *_origin(found, node.value, True)]
    named = isinstance(node, ast.Attribute) and ast.unparse(node.value) != kind
    owner = f"{_code(node.value)} was of the type `{kind}`, which" if named and isinstance(node, ast.Attribute) else f"`{kind}`"
    known: set[str] = set()
    classes = found.code.classes(kind)
    for _, one in classes:
        known |= attributes_of(one)
    if not classes and isinstance(getattr(builtins, kind, None), type):
        known = {other for other in dir(getattr(builtins, kind)) if not other.startswith("_")}
    where = f"`{kind}` is defined in {classes[0][0].path}:{classes[0][1].lineno}." if len(classes) == 1 else ""
    return _some(f"{owner} has no `{name}`.", _similar(name, known), where)


def _module_attribute(found: CauseContext, match: re.Match[str]) -> list[str]:
    module, name = match["module"], match["name"]
    own = found.code.module(module)
    if own is None:
        return _some(f"The module `{module}` has no `{name}`.")
    hides = f"Your file {own.path} hides Python's own module `{module}`." if module in sys.stdlib_module_names else ""
    near = _similar(name, names_in(own.tree)) if own.tree is not None else ""
    return _some(hides, f"{own.path} defines no `{name}`.", near)


def _name(found: CauseContext, match: re.Match[str]) -> list[str]:
    name = match["name"]
    if name in sys.stdlib_module_names:
        return [f"`{name}` is a module of Python that the file does not import: `import {name}`."]
    place = found.places[-1] if found.places else None
    if place is None or place.file.tree is None:
        return [f"`{name}` is not defined."]
    scope = names_in(place.file.tree) | set(dir(builtins))
    for node in place.file.nodes:
        if isinstance(node, ast.ImportFrom) and [alias.name for alias in node.names] == ["*"]:
            whole = found.code.module(node.module) if node.module else None
            scope |= names_in(whole.tree) if whole is not None and whole.tree is not None else set()
    if place.function is not None:
        scope |= set(bound_names_in(place.function)) | set(parameters(place.function))
    told = f"`{name}` is not defined where {place.shown} uses it."
    elsewhere = [
        file.path for file in found.code.files if file.path != place.file.path and file.tree is not None and name in names_in(file.tree)
    ]
    return _some(told, _similar(name, scope), f"{elsewhere[0]} defines `{name}`." if len(elsewhere) == 1 else "")


def bound_names_in(function: AnyFunction) -> Iterator[str]:
    """The names that the statements of a function bind."""
    for node in function.body:
        yield from bound_names(node)


def _unbound(found: CauseContext, match: re.Match[str]) -> list[str]:
    name, place = match["name"] or match["older"], found.last
    if place is None or place.function is None:
        return []
    lines = sorted({line for line, _, _ in assignments(place.function, name)})
    if not lines:
        return []
    where = f"{place.file.path}:{', '.join(map(str, lines))}"
    alone = (
        f"`{place.function.name}` assigns to `{name}` ({where}), so it is a local name in all of it, and on this way it has no value yet."
    )
    outer = names_in(place.file.tree) if place.file.tree is not None else set()
    return _some(alone, f"To change the `{name}` of the module, declare `global {name}`." if name in outer else "")


def _no_module(found: CauseContext, match: re.Match[str]) -> list[str]:
    name = match["name"]
    top = name.partition(".")[0]
    own = found.code.module(name)
    if own is not None:
        return [f"{own.path} is this module: Python does not look in its folder. Start the program from the folder that holds `{top}`."]
    folders = {part for file in found.code.files for part in PurePosixPath(file.path).parts[:-1]}
    names = {PurePosixPath(file.path).stem for file in found.code.files} | folders
    file = found.code.module(top)
    if file is not None and "not a package" in found.error.message:
        return [f"{file.path} is a file, not a folder: there is no `{name}` in it."]
    if top in sys.stdlib_module_names:
        return [f"`{top}` is a module of Python, and has no `{name}`."] if "." in name else []
    if top in folders:
        near = _similar(name.rpartition(".")[2], names)
        return _some(f"Your folder `{top}` holds no module `{name.rpartition('.')[2]}`.", near)
    package = PACKAGES.get(name) or PACKAGES.get(top, top)
    near = _similar(top, names | set(sys.stdlib_module_names))
    told = f"No package with `{top}` is installed where the program ran."
    return _some(told, near, f"If it is not one of yours: `pip install {package}`.")


def _no_import(found: CauseContext, match: re.Match[str]) -> list[str]:
    name, module = match["name"], match["module"]
    own = found.code.module(module)
    if "circular import" in found.error.message:
        chain = list(dict.fromkeys(place.file.path for place in found.places))
        return [f"The modules import each other: {' → '.join(chain)}. `{name}` is not defined yet when it is asked for."]
    if own is None or own.tree is None:
        return [f"`{module}` has no `{name}`. Another version of the package may."]
    return _some(f"{own.path} defines no `{name}`.", _similar(name, names_in(own.tree)))


def _arguments(found: CauseContext, match: re.Match[str]) -> list[str]:
    return _some(*_signature(found, match["function"]))


def _signature(found: CauseContext, name: str) -> Iterator[str]:
    """The definition of the function that was called wrongly, where the repository has exactly one."""
    able = found.code.functions(".".join(name.split(".")[-2:]).removeprefix("<locals>."))
    if not able and name.endswith(".__init__"):
        able = found.code.functions(name.removesuffix(".__init__"))
    if len(able) == 1:
        file, function = able[0]
        yield f"{file.path}:{function.lineno} defines `{function.name}({ast.unparse(function.args)})`."
        if "positional argument" in found.error.message and "takes" in found.error.message:
            owner = any(isinstance(node, ast.ClassDef) and function in node.body for node in file.nodes)
            plain = not any(ast.unparse(one) in ("staticmethod", "classmethod") for one in function.decorator_list)
            if owner and plain and parameters(function)[:1] not in (["self"], ["cls"]):
                yield "It is a method without `self` as its first parameter: the object itself is passed too."
    if found.last is not None and found.raised_here:
        calls = [
            one
            for one in found.nodes(ast.Call)
            if isinstance(one, ast.Call) and name.split(".")[-1] == ast.unparse(one.func).split(".")[-1]
        ]
        if (call := _only(calls)) is not None:
            yield f"It was called as {_code(call)}."


def _unexpected(found: CauseContext, match: re.Match[str]) -> list[str]:
    function, name = match["function"], match["name"]
    able = found.code.functions(".".join(function.split(".")[-2:]))
    if not able and function.endswith(".__init__"):
        able = found.code.functions(function.removesuffix(".__init__"))
    near = _similar(name, parameters(able[0][1])) if len(able) == 1 else ""
    return _some(f"`{function}` has no parameter `{name}`.", near, *_signature(found, function))


def _none(found: CauseContext, match: re.Match[str]) -> list[str]:
    """Something was None, or of another kind, where a list, a function or the like was needed."""
    verb, able = match["verb"] or match["other"], list[ast.expr]()
    if verb in ("subscriptable", "item assignment"):
        able = [node.value for node in found.nodes(ast.Subscript) if isinstance(node, ast.Subscript)]
    elif verb == "callable":
        able = [node.func for node in found.nodes(ast.Call) if isinstance(node, ast.Call)]
    else:
        able = [*_iterated(found), *_given_alone(found)]
    owner, kind = _only(able), match["kind"]
    if not isinstance(owner, ast.expr):
        return []
    if kind == "NoneType":
        return [f"{_code(owner)} was None.", *_origin(found, owner, True)]
    hidden = _hidden(found, owner) if verb == "callable" else ""
    cannot = "which does not support item assignment" if verb == "item assignment" else f"which is not {verb}"
    return _some(f"{_code(owner)} was of the type `{kind}`, {cannot}.", hidden)


def _iterated(found: CauseContext) -> list[ast.expr]:
    """The values that the line goes through in a loop."""
    loops = [node.iter for node in found.nodes(ast.For) if isinstance(node, ast.For)]
    inner = [
        node.generators for node in found.nodes(ast.expr) if isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp)
    ]
    return loops + [one.iter for generators in inner for one in generators]


def _given_alone(found: CauseContext) -> list[ast.expr]:
    """The values that the line gives to a function of Python as its only argument."""
    calls = [node for node in found.nodes(ast.Call) if isinstance(node, ast.Call)]
    return [call.args[0] for call in calls if len(call.args) == 1 and isinstance(call.func, ast.Name) and call.func.id in dir(builtins)]


def _not_unpacked(found: CauseContext, match: re.Match[str]) -> list[str]:
    able = [node.value for node in found.statements if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple)]
    able += [node.iter for node in found.statements if isinstance(node, ast.For) and isinstance(node.target, ast.Tuple)]
    return _of_kind(found, _only(able), match["kind"])


def _no_length(found: CauseContext, match: re.Match[str]) -> list[str]:
    calls = [node for node in found.nodes(ast.Call) if isinstance(node, ast.Call) and ast.unparse(node.func) == "len" and node.args]
    return _of_kind(found, _only([call.args[0] for call in calls]), match["kind"])


def _no_index(found: CauseContext, match: re.Match[str]) -> list[str]:
    node = _only([one.slice for one in found.nodes(ast.Subscript) if isinstance(one, ast.Subscript)])
    return _of_kind(found, node, match["kind"])


def _no_integer(found: CauseContext, match: re.Match[str]) -> list[str]:
    calls = [one for one in found.nodes(ast.Call) if isinstance(one, ast.Call) and ast.unparse(one.func) == "range"]
    given = [one for call in calls for one in call.args if not (isinstance(one, ast.Constant) and isinstance(one.value, int))]
    return _of_kind(found, _only(given), match["kind"])


def _no_container(found: CauseContext, match: re.Match[str]) -> list[str]:
    able = [one for one in found.nodes(ast.Compare) if isinstance(one, ast.Compare) and isinstance(one.ops[-1], ast.In | ast.NotIn)]
    return _of_kind(found, _only([one.comparators[-1] for one in able]), match["kind"])


def _of_kind(found: CauseContext, node: ast.AST | None, kind: str) -> list[str]:
    if node is None:
        return []
    if kind == "NoneType":
        return [f"{_code(node)} was None.", *_origin(found, node, True)]
    return [f"{_code(node)} was of the type `{kind}`.", *_origin(found, node, False)]


def _hidden(found: CauseContext, owner: ast.expr) -> str:
    """Where a name of Python was given another value."""
    if not isinstance(owner, ast.Name) or owner.id not in dir(builtins) or found.last is None or found.last.file.tree is None:
        return ""
    scope = found.last.function or found.last.file.tree
    bound = assignments(scope, owner.id) or assignments(found.last.file.tree, owner.id)
    return f"{found.last.file.path}:{bound[0][0]} gives Python's `{owner.id}` another value." if bound else ""


_OPERATORS: dict[str, type[ast.AST]] = {
    "+": ast.Add,
    "-": ast.Sub,
    "*": ast.Mult,
    "/": ast.Div,
    "//": ast.FloorDiv,
    "%": ast.Mod,
    "** or pow()": ast.Pow,
    "<": ast.Lt,
    "<=": ast.LtE,
    ">": ast.Gt,
    ">=": ast.GtE,
}


def _operands(found: CauseContext, match: re.Match[str]) -> list[str]:
    operator = _OPERATORS.get(match["operator"].removesuffix("="))
    if operator is None and match["operator"] in _OPERATORS:
        operator = _OPERATORS[match["operator"]]
    pairs: list[tuple[ast.expr, ast.expr]] = []
    for node in (*found.nodes(ast.BinOp), *found.nodes(ast.Compare), *found.statements):
        if isinstance(node, ast.BinOp) and operator is not None and isinstance(node.op, operator):
            pairs.append((node.left, node.right))
        elif isinstance(node, ast.AugAssign) and operator is not None and isinstance(node.op, operator):
            pairs.append((node.target, node.value))
        elif isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) is _OPERATORS.get(match["operator"]):
            pairs.append((node.left, node.comparators[0]))
    if len({(ast.unparse(left), ast.unparse(right)) for left, right in pairs}) != 1:
        return []
    left, right = pairs[0]
    told = [f"{_code(left)} was of the type `{match['left']}`, and {_code(right)} of the type `{match['right']}`."]
    for node, kind in ((left, match["left"]), (right, match["right"])):
        if kind == "NoneType":
            told += [f"{_code(node)} was None.", *_origin(found, node, True)]
    return told


def _joined(found: CauseContext, match: re.Match[str]) -> list[str]:
    able = [node for node in found.nodes(ast.BinOp) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add)]
    node = _only(able)
    other = match["other"]
    if not isinstance(node, ast.BinOp):
        return [f"A `{other}` was to be joined to a `{match['kind']}`."]
    return [
        f"In {_code(node)} {_code(node.right)} was of the type `{other}`, which cannot be joined to a `{match['kind']}`.",
        *_origin(found, node.right, False),
    ]


def _converted(found: CauseContext, match: re.Match[str]) -> list[str]:
    wanted = match.groupdict().get("kind") or "float"
    calls = [node for node in found.nodes(ast.Call) if isinstance(node, ast.Call) and ast.unparse(node.func) == wanted]
    node, value = _only(calls), match["value"]
    if not isinstance(node, ast.Call) or not node.args:
        return [f"The text {value} is not a number."]
    comma = isinstance(text := _literal(value), str) and re.fullmatch(r"\s*-?[\d.]*,\d+\s*", text)
    blank = isinstance(text, str) and not text.strip()
    hint = "It has a comma; Python wants a point." if comma else "It holds nothing but blanks." if blank else ""
    point = (
        "It has a point: `int` takes none. `float` does."
        if wanted == "int" and isinstance(text, str) and re.fullmatch(r"-?\d+\.\d+", text)
        else ""
    )
    given = "" if isinstance(node.args[0], ast.Constant) else f"{_code(node.args[0])} was {value}. "
    return _some(f"{given}{_code(node.func)} cannot read {value}.", hint, point, *_origin(found, node.args[0], False))


def _unpacked(found: CauseContext, match: re.Match[str]) -> list[str]:
    for node in found.statements:
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target if isinstance(node, ast.For) else None
        value = node.value if isinstance(node, ast.Assign) else node.iter if isinstance(node, ast.For) else None
        if isinstance(target, ast.Tuple | ast.List) and value is not None:
            what = f"an element of {_code(value)}" if isinstance(node, ast.For) else _code(value)
            got = match.groupdict().get("got")
            many = f"{got} value{'s' if got != '1' else ''}" if got else "more values" if match["how"] == "too many" else "fewer values"
            names = f"{len(target.elts)} names, {_code(target)}"
            return [f"{names}, were to take what is in {what}, which had {many}."]
    return []


def _divisor(found: CauseContext, match: re.Match[str]) -> list[str]:
    able: list[ast.expr] = []
    for node in (*found.nodes(ast.BinOp), *found.statements):
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div | ast.FloorDiv | ast.Mod):
            able.append(node.right if isinstance(node, ast.BinOp) else node.value)
    divisor = _only(able)
    if divisor is None:
        return []
    if isinstance(divisor, ast.Constant):
        return ["The divisor is 0."]
    empty = isinstance(divisor, ast.Call) and ast.unparse(divisor.func) == "len" and len(divisor.args) == 1
    told = f"{_code(divisor)} was 0" + (f": {_code(divisor.args[0])} was empty." if isinstance(divisor, ast.Call) and empty else ".")
    return [told, *_origin(found, divisor, False)]


def _file(found: CauseContext, match: re.Match[str]) -> list[str]:
    path = match["path"]
    inner = _literal(path)
    if not isinstance(inner, str):
        return []
    name = PurePosixPath(inner.replace("\\", "/")).name
    near = _similar(name, (PurePosixPath(file.path).name for file in found.code.files))
    absolute = re.match(r"[/\\]|[A-Za-z]:[\\/]", inner)
    relative = "" if absolute else "The path is relative: it starts from the folder in which the program was started."
    blank = "The path is empty." if not inner else "The name begins or ends with a blank." if inner.strip() != inner else ""
    return _some(f"There was no file or folder {path}.", blank, relative, near)


def _decoded(found: CauseContext, match: re.Match[str]) -> list[str]:
    codec, byte, at = match["codec"], match["byte"], match["at"]
    utf16 = 'It begins as UTF-16 does: `encoding="utf-16"`.' if at == "0" and byte in ("0xff", "0xfe") else ""
    ansi = "" if utf16 or codec not in ("utf-8", "ascii") else "Files from Windows are often in `cp1252`."
    return _some(f"The text is not in {codec}: byte number {at} is {byte}.", utf16, ansi)


def _json(found: CauseContext, match: re.Match[str]) -> list[str]:
    if match["said"] == "Expecting value" and match["char"] == "0":
        return ["The text is empty, or does not begin as JSON does; a page of HTML or a message of an error does not, either."]
    return [f"The text is not JSON from line {match['line']}, column {match['column']} on."]


def _recursion(found: CauseContext, match: re.Match[str]) -> list[str]:
    names = [
        frame.function
        for frame in found.error.frames
        for _ in range(min(frame.times, 50))
        if frame.function and frame.function != "<module>"
    ]
    again = [name for name in dict.fromkeys(names) if names.count(name) > 2]
    if not again:
        return []
    if len(again) == 1:
        return [f"`{again[0]}` calls itself without an end."]
    return [f"{', '.join(f'`{name}`' for name in again)} call each other without an end."]


def _assertion(found: CauseContext, match: re.Match[str]) -> list[str]:
    node = _only([one for one in found.statements if isinstance(one, ast.Assert)])
    return [f"{_code(node.test)} is not true."] if isinstance(node, ast.Assert) else []


def _connection(found: CauseContext, match: re.Match[str]) -> list[str]:
    return ["Nothing answers at that address and port: the server is not started, or listens elsewhere."]


def _unhashable(found: CauseContext, match: re.Match[str]) -> list[str]:
    return (
        [f"A `{match['kind']}` was used as a key or put into a set; a `tuple` or a text can be."]
        if match["kind"] in ("list", "dict", "set")
        else []
    )


def _time(found: CauseContext, match: re.Match[str]) -> list[str]:
    return [f"The text {match['value']} is not written as the format {match['format']} says."]


def _origin(found: CauseContext, node: ast.expr | ast.AST, none: bool) -> Iterator[str]:
    """Where a value came from, as far as one line shows: `none` for a value that was None."""
    place = found.last
    if place is None:
        return
    value: ast.AST | None = node
    if isinstance(node, ast.Name):
        value = None
        scope: ast.AST | None = place.function or place.file.tree
        bound = [entry for entry in assignments(scope, node.id) if entry[0] < place.line] if scope is not None else []
        if bound:
            line, _, value = bound[-1]
            text = place.file.lines[line - 1].strip()
            yield f"`{node.id}` was last set before in {place.file.path}:{line}: `{text}`" + (
                "." if len(bound) == 1 else ", if the program went there."
            )
        elif place.function is not None and node.id in parameters(place.function):
            caller = found.places[-2] if len(found.places) > 1 else None
            yield f"`{node.id}` is a parameter of `{place.function.name}`" + (
                f", called in {caller.shown}: `{caller.source}`." if caller is not None and not caller.changed else "."
            )
    if none and isinstance(value, ast.Call):
        yield from _gives_none(found, value)


def _gives_none(found: CauseContext, call: ast.Call) -> Iterator[str]:
    """Why a call may have given None."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""
    able = found.code.functions(name) if name else []
    if len(able) == 1:
        file, function = able[0]
        line = ends_without_value(function)
        if line == function.lineno:
            yield f"`{name}` ({file.path}:{line}) never returns a value."
        elif line is not None:
            yield f"`{name}` ({file.path}:{function.lineno}) can end without a value: see {file.path}:{line}."
    elif not able and name in _MAY_BE_NONE:
        yield f"{_MAY_BE_NONE[name]}."


_Explain = Callable[[CauseContext, re.Match[str]], list[str]]
_EXPLAINED: tuple[tuple[str, frozenset[str], _Explain], ...] = tuple(
    (pattern, frozenset(kinds.split()), explain)
    for pattern, kinds, explain in (
        (r"(?P<call>pop)(?:\(\): dictionary is empty| from (?:an )?empty (?:list|set|deque))", "IndexError KeyError", _empty),
        (r"(?P<key>.+)", "KeyError", _key),
        (r"(?:list|tuple|string|range object|deque) (?:assignment )?index out of range", "IndexError", _index),
        (r"(?:partially initialized )?module '(?P<module>[\w.]+)' has no attribute '(?P<name>\w+)'", "AttributeError", _module_attribute),
        (r"'(?P<kind>\w+)' object has no attribute '(?P<name>\w+)'", "AttributeError", _attribute),
        (r"type object '(?P<owner>\w+)' has no attribute '(?P<name>\w+)'", "AttributeError", _class_attribute),
        (r"name '(?P<name>\w+)' is not defined", "NameError", _name),
        (r"cannot access local variable '(?P<name>\w+)'|local variable '(?P<older>\w+)' referenced", "UnboundLocalError", _unbound),
        (r"No module named '(?P<name>[\w.]+)'", "ModuleNotFoundError ImportError", _no_module),
        (r"cannot import name '(?P<name>\w+)' from (?:partially initialized module )?'(?P<module>[\w.]+)'", "ImportError", _no_import),
        (r"(?P<function>[\w.<>]+)\(\) (?:missing \d+ required|takes |got multiple values)", "TypeError", _arguments),
        (r"(?P<function>[\w.<>]+)\(\) got an unexpected keyword argument '(?P<name>\w+)'", "TypeError", _unexpected),
        (
            r"'(?P<kind>\w+)' object (?:is not (?P<verb>subscriptable|callable|iterable)|does not support (?P<other>item assignment))",
            "TypeError",
            _none,
        ),
        (r"(?P<verb>cannot unpack)? ?non-iterable (?P<kind>\w+) object", "TypeError", _not_unpacked),
        (r"(?:list|tuple|string|slice|byte|range object) indices must be integers.*, not '?(?P<kind>\w+)'?", "TypeError", _no_index),
        (r"'(?P<kind>\w+)' object cannot be interpreted as an integer", "TypeError", _no_integer),
        (r"argument of type '(?P<kind>\w+)' is not (?:iterable|a container)", "TypeError", _no_container),
        (r"object of type '(?P<kind>\w+)' has no len\(\)(?P<verb>)", "TypeError", _no_length),
        (r"unsupported operand type\(s\) for (?P<operator>.+?): '(?P<left>\w+)' and '(?P<right>\w+)'", "TypeError", _operands),
        (r"'(?P<operator>[<>]=?)' not supported between instances of '(?P<left>\w+)' and '(?P<right>\w+)'", "TypeError", _operands),
        (r"can only concatenate (?P<kind>\w+) \(not \"(?P<other>\w+)\"\) to", "TypeError", _joined),
        (r"unhashable type: '(?P<kind>\w+)'", "TypeError", _unhashable),
        (r"invalid literal for (?P<kind>int)\(\) with base \d+: (?P<value>.+)", "ValueError", _converted),
        (r"could not convert string to float: (?P<value>.+)", "ValueError", _converted),
        (r"(?P<how>too many|not enough) values to unpack \(expected (?:at least )?\d+(?:, got (?P<got>\d+))?\)", "ValueError", _unpacked),
        (r"(?P<call>max|min)\(\) (?:arg is an empty sequence|iterable argument is empty)", "ValueError", _empty),
        (r"time data (?P<value>.+) does not match format (?P<format>.+)", "ValueError", _time),
        (r"", "ZeroDivisionError", _divisor),
        (r"\[Errno 2\] No such file or directory: (?P<path>'.*'|\".*\")", "FileNotFoundError", _file),
        (r"'(?P<codec>[\w-]+)' codec can't decode byte (?P<byte>0x\w+) in position (?P<at>\d+)", "UnicodeDecodeError", _decoded),
        (r"(?P<said>[^:]+): line (?P<line>\d+) column (?P<column>\d+) \(char (?P<char>\d+)\)", "JSONDecodeError", _json),
        (r"maximum recursion depth exceeded", "RecursionError", _recursion),
        (r"", "AssertionError", _assertion),
        (r"\[Errno \d+\] Connection refused", "ConnectionRefusedError", _connection),
    )
)
"""Patterns of messages, the errors that have them, and what explains them. The first that fits counts."""
