"""Evaluates the syntax tree of a config file without executing it.

Only what is listed here exists: literals, containers, comprehensions, operators, a few built-in functions and methods,
assignments, `if` and `for`. There are no attributes, no functions of its own and no imports, so nothing of Python can
be reached from inside. Before anything is evaluated, the whole tree is held against that list, unreachable parts too.
"""

import ast
from typing import Any, Callable, Dict, FrozenSet, Iterator, List, NoReturn, Optional, Tuple

from mmseg.config import operators
from mmseg.config.functions import FUNCTIONS
from mmseg.config.limits import Budget
from mmseg.config.methods import METHOD_NAMES, call_method
from mmseg.config.source import References
from mmseg.config.text import format_value
from mmseg.errors import ConfigError

Resolver = Callable[[str], Any]

_STATEMENTS = "Assign AugAssign AnnAssign Expr If For Pass Delete Break Continue"
_EXPRESSIONS = (
    "Constant Name List Tuple Dict Set Starred BinOp UnaryOp BoolOp Compare IfExp Call Attribute Subscript Slice"
    " JoinedStr FormattedValue ListComp SetComp DictComp GeneratorExp"
)
_PARTS = (
    "Module Load Store Del comprehension keyword Index And Or Add Sub Mult Div FloorDiv Mod Pow LShift RShift"
    " BitAnd BitOr BitXor UAdd USub Invert Not Eq NotEq Lt LtE Gt GtE Is IsNot In NotIn"
)
_ALLOWED: FrozenSet[str] = frozenset(f"{_STATEMENTS} {_EXPRESSIONS} {_PARTS}".split())
_CONSTRUCTS = {
    "AsyncFunctionDef": "async def",
    "AsyncFor": "async for",
    "AsyncWith": "async with",
    "ClassDef": "class",
    "FunctionDef": "def",
    "ImportFrom": "import",
    "NamedExpr": ":=",
    "TryStar": "try",
    "YieldFrom": "yield",
}
_CONVERSIONS = {-1: None, 115: "s", 114: "r", 97: "a"}
# What Python raises on wrong values, and what deep recursion or a huge value ends in.
_EXPECTED_ERRORS = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError, MemoryError)


class _Break(Exception):
    """A `break` on its way to its loop."""


class _Continue(Exception):
    """A `continue` on its way to its loop."""


class Evaluator:
    """Evaluates one file.

    :param filename: for messages
    :param budget: shared by all files that make up one config
    :param references: the marks of the file's text
    :param resolve: gives the value of a reference such as `_base_.model` or `fileDirname`
    """

    def __init__(self, *, filename: str, budget: Budget, references: References, resolve: Resolver) -> None:
        self._filename = filename
        self._budget = budget
        self._references = references
        self._resolve = resolve
        self._scopes: List[Dict[str, Any]] = [{}]

    @property
    def names(self) -> Dict[str, Any]:
        """The variables of the file so far."""
        return self._scopes[0]

    def run(self, module: ast.Module) -> Dict[str, Any]:
        """Evaluate all statements and return the file's variables. Raises ConfigError with file and line."""
        self.check(module)
        try:
            self._block(module.body)
        except (_Break, _Continue):
            raise ConfigError(f"{self._filename}: break and continue belong into a for loop") from None
        return self.names

    def check(self, tree: ast.AST) -> None:
        """Refuse every construct, name and method that is not allowed, wherever it stands."""
        called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        for node in ast.walk(tree):
            kind = type(node).__name__
            if kind not in _ALLOWED:
                construct = _CONSTRUCTS.get(kind, kind.lower())
                self._refuse(node, f"{construct!r} is not allowed, because a config file is read and never executed")
            if isinstance(node, ast.Constant) and type(node.value) not in (type(None), bool, int, float, str):
                self._refuse(node, f"a value of type {type(node.value).__name__} cannot be part of a config")
            if isinstance(node, ast.Name):
                self._check_name(node, id(node) in called)
            if isinstance(node, ast.Attribute) and (id(node) not in called or node.attr not in METHOD_NAMES):
                what = "method" if id(node) in called else "attribute"
                self._refuse(node, f"the {what} {node.attr!r} is not allowed; items are written x['key']")
            if isinstance(node, ast.comprehension) and node.is_async:
                self._refuse(
                    node.target, "'async for' is not allowed, because a config file is read and never executed"
                )
            if isinstance(node, ast.Call) and not isinstance(node.func, (ast.Name, ast.Attribute)):
                self._refuse(node, "only functions and methods given by their names can be called in a config file")

    def _check_name(self, node: ast.Name, called: bool) -> None:
        name = node.id
        if name.startswith("__") and name.endswith("__"):
            self._refuse(node, f"the name {name!r} is not allowed in a config file")
        if called and name not in FUNCTIONS:
            self._refuse(
                node, f"{name!r} cannot be called; the functions of a config are {', '.join(sorted(FUNCTIONS))}"
            )

    def evaluate(self, node: ast.AST) -> Any:
        """The value of an expression. Raises ConfigError with file and line."""
        try:
            self._budget.spend()
            return self._budget.checked(getattr(self, f"_eval_{type(node).__name__}")(node))
        except _EXPECTED_ERRORS as error:
            self._refuse(node, _describe(error), error)

    def _refuse(self, node: ast.AST, message: str, cause: Optional[BaseException] = None) -> NoReturn:
        line = getattr(node, "lineno", None)
        place = f"{self._filename}:{line}" if line else self._filename
        raise ConfigError(f"{place}: {message}") from cause

    # Statements

    def _block(self, statements: List[ast.stmt]) -> None:
        for statement in statements:
            try:
                self._budget.spend()
                getattr(self, f"_run_{type(statement).__name__}")(statement)
            except _EXPECTED_ERRORS as error:
                self._refuse(statement, _describe(error), error)

    def _run_Pass(self, node: ast.Pass) -> None:
        pass

    def _run_Break(self, node: ast.Break) -> None:
        raise _Break

    def _run_Continue(self, node: ast.Continue) -> None:
        raise _Continue

    def _run_Expr(self, node: ast.Expr) -> None:
        self.evaluate(node.value)

    def _run_Assign(self, node: ast.Assign) -> None:
        value = self.evaluate(node.value)
        for target in node.targets:
            self._assign(target, value)

    def _run_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._assign(node.target, self.evaluate(node.value))

    def _run_AugAssign(self, node: ast.AugAssign) -> None:
        kind = type(node.op)
        if isinstance(node.target, ast.Subscript):
            container, key = self._item(node.target)
            value = operators.in_place(self._budget, kind, container[key], self.evaluate(node.value))
            self._store_item(container, key, value)
        else:
            current = self._load(node.target)
            self._assign(node.target, operators.in_place(self._budget, kind, current, self.evaluate(node.value)))

    def _run_Delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name):
                self._load(target)
                del self.names[target.id]
            elif isinstance(target, ast.Subscript):
                container, key = self._item(target)
                if not isinstance(container, (list, dict)):
                    raise TypeError(f"an item of a {type(container).__name__} cannot be deleted")
                del container[key]
            else:
                self._refuse(target, "only names and items can be deleted, one by one")

    def _run_If(self, node: ast.If) -> None:
        self._block(node.body if self.evaluate(node.test) else node.orelse)

    def _run_For(self, node: ast.For) -> None:
        for item in self._walk(self.evaluate(node.iter)):
            self._assign(node.target, item)
            try:
                self._block(node.body)
            except _Continue:
                continue
            except _Break:
                return
        self._block(node.orelse)

    # Targets

    def _assign(self, target: ast.AST, value: Any) -> None:
        if isinstance(target, ast.Name):
            if self._references.is_mark(target.id):
                self._refuse(target, "a {{ }} reference cannot be assigned to")
            self._scopes[-1][target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)):
            self._unpack(target, self._budget.iterate(value))
        elif isinstance(target, ast.Subscript):
            container, key = self._item(target)
            self._store_item(container, key, value)
        else:
            self._refuse(target, "only names and items can be assigned to in a config file")

    def _unpack(self, target: Any, values: List[Any]) -> None:
        targets = target.elts
        starred = [index for index, part in enumerate(targets) if isinstance(part, ast.Starred)]
        if len(starred) > 1:
            self._refuse(target, "only one name with * can take the rest")
        if starred:
            rest = len(values) - len(targets) + 1
            if rest < 0:
                raise ValueError(f"at least {len(targets) - 1} values are expected, not {len(values)}")
            first = starred[0]
            values = [*values[:first], values[first : first + rest], *values[first + rest :]]
        if len(values) != len(targets):
            raise ValueError(f"{len(targets)} values are expected, not {len(values)}")
        for part, value in zip(targets, values):
            self._assign(part.value if isinstance(part, ast.Starred) else part, value)

    def _item(self, node: ast.Subscript) -> Tuple[Any, Any]:
        container = self.evaluate(node.value)
        if not isinstance(container, (list, tuple, dict, str, range)):
            raise TypeError(f"a {type(container).__name__} has no items")
        index = node.slice
        if type(index).__name__ == "Index":  # Python 3.8
            index = index.value  # type: ignore[attr-defined]
        if not isinstance(index, ast.Slice):
            key = self.evaluate(index)
            self._budget.measure(key)
            return container, key
        if isinstance(container, dict):
            raise TypeError("a dict has no slices")
        self._budget.spend(len(container))
        bounds = [self.evaluate(part) if part else None for part in (index.lower, index.upper, index.step)]
        return container, slice(*bounds)

    def _store_item(self, container: Any, key: Any, value: Any) -> None:
        if not isinstance(container, (list, dict)):
            raise TypeError(f"the items of a {type(container).__name__} cannot be changed")
        container[key] = self._budget.iterate(value) if isinstance(key, slice) else value
        self._budget.checked(container)

    # Expressions

    def _load(self, node: ast.AST) -> Any:
        if not isinstance(node, ast.Name):
            self._refuse(node, "only names and items can be assigned to in a config file")
        for scope in reversed(self._scopes):
            if node.id in scope:
                return scope[node.id]
        if node.id in FUNCTIONS:
            self._refuse(node, f"the function {node.id!r} can only be called; it cannot be a value")
        self._refuse(node, f"the name {node.id!r} is not defined")

    def _eval_Constant(self, node: ast.Constant) -> Any:
        if isinstance(node.value, str):
            return self._references.substitute(node.value, self._resolve)
        return node.value

    def _eval_Name(self, node: ast.Name) -> Any:
        return self._load(node)

    def _eval_Tuple(self, node: ast.Tuple) -> Tuple[Any, ...]:
        return tuple(self._elements(node.elts))

    def _eval_List(self, node: ast.List) -> List[Any]:
        return self._elements(node.elts)

    def _eval_Set(self, node: ast.Set) -> Any:
        mark = self._mark(node)
        if mark:
            return self._resolve(self._references.name(mark))
        elements = self._elements(node.elts)
        self._budget.measure(elements)
        return set(elements)

    def _eval_Starred(self, node: ast.Starred) -> NoReturn:
        raise TypeError("* is possible only inside of a list, tuple, set or call")

    def _eval_Slice(self, node: ast.Slice) -> NoReturn:
        raise TypeError("only one slice is possible in x[a:b]")

    def _mark(self, node: ast.Set) -> str:
        """`{{ reference }}` as an expression is a set display in a set display."""
        inner = node.elts[0] if len(node.elts) == 1 else None
        name = inner.elts[0] if isinstance(inner, ast.Set) and len(inner.elts) == 1 else None
        return name.id if isinstance(name, ast.Name) and self._references.is_mark(name.id) else ""

    def _eval_Dict(self, node: ast.Dict) -> Dict[Any, Any]:
        result: Dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values):
            if key is None:
                result.update(self._mapping(value))
            else:
                name = self.evaluate(key)
                self._budget.measure(name)
                result[name] = self.evaluate(value)
        return result

    def _elements(self, nodes: List[ast.expr]) -> List[Any]:
        result: List[Any] = []
        for node in nodes:
            if isinstance(node, ast.Starred):
                result.extend(self._budget.iterate(self.evaluate(node.value)))
            else:
                result.append(self.evaluate(node))
        return result

    def _mapping(self, node: ast.expr) -> Dict[Any, Any]:
        value = self.evaluate(node)
        if not isinstance(value, dict):
            raise TypeError(f"a dict is expected after **, not {type(value).__name__}")
        self._budget.spend(len(value))
        return value

    def _eval_BinOp(self, node: ast.BinOp) -> Any:
        left = self.evaluate(node.left)
        return operators.binary(self._budget, type(node.op), left, self.evaluate(node.right))

    def _eval_UnaryOp(self, node: ast.UnaryOp) -> Any:
        return operators.unary(self._budget, type(node.op), self.evaluate(node.operand))

    def _eval_BoolOp(self, node: ast.BoolOp) -> Any:
        decided_by = isinstance(node.op, ast.Or)
        for part in node.values[:-1]:
            value = self.evaluate(part)
            if bool(value) == decided_by:
                return value
        return self.evaluate(node.values[-1])

    def _eval_Compare(self, node: ast.Compare) -> bool:
        left = self.evaluate(node.left)
        for kind, right_node in zip(node.ops, node.comparators):
            right = self.evaluate(right_node)
            if not operators.compare(self._budget, type(kind), left, right):
                return False
            left = right
        return True

    def _eval_IfExp(self, node: ast.IfExp) -> Any:
        return self.evaluate(node.body if self.evaluate(node.test) else node.orelse)

    def _eval_Subscript(self, node: ast.Subscript) -> Any:
        container, key = self._item(node)
        return container[key]

    def _eval_Call(self, node: ast.Call) -> Any:
        owner = self.evaluate(node.func.value) if isinstance(node.func, ast.Attribute) else None
        args = self._elements(node.args)
        kwargs: Dict[str, Any] = {}
        for keyword in node.keywords:
            more = {keyword.arg: self.evaluate(keyword.value)} if keyword.arg else self._mapping(keyword.value)
            for name, value in more.items():
                if not isinstance(name, str) or name in kwargs:
                    raise TypeError(f"the keyword argument {name!r} is given twice or is not a string")
                kwargs[name] = value
        if isinstance(node.func, ast.Attribute):
            return call_method(self._budget, owner, node.func.attr, args, kwargs)
        return FUNCTIONS[node.func.id](self._budget, *args, **kwargs)  # type: ignore[attr-defined]

    def _eval_JoinedStr(self, node: ast.JoinedStr) -> str:
        parts: List[str] = []
        literal = ""  # some Python versions split the text at its braces
        for value in node.values:
            if isinstance(value, ast.Constant):
                literal += value.value
                continue
            parts += [self._references.substitute(literal, self._resolve), self.evaluate(value)]
            literal = ""
            self._budget.checked("".join(parts[-2:]))
        parts.append(self._references.substitute(literal, self._resolve))
        return "".join(parts)

    def _eval_FormattedValue(self, node: ast.FormattedValue) -> str:
        spec = self.evaluate(node.format_spec) if node.format_spec else ""
        return format_value(self._budget, self.evaluate(node.value), _CONVERSIONS.get(node.conversion), spec)

    # Comprehensions

    def _eval_ListComp(self, node: ast.ListComp) -> List[Any]:
        return list(self._comprehend(node.generators, lambda: self.evaluate(node.elt)))

    _eval_GeneratorExp = _eval_ListComp

    def _eval_SetComp(self, node: ast.SetComp) -> Any:
        elements = list(self._comprehend(node.generators, lambda: self.evaluate(node.elt)))
        self._budget.measure(elements)
        return set(elements)

    def _eval_DictComp(self, node: ast.DictComp) -> Dict[Any, Any]:
        result: Dict[Any, Any] = {}
        for key, value in self._comprehend(
            node.generators, lambda: (self.evaluate(node.key), self.evaluate(node.value))
        ):
            self._budget.measure(key)
            result[key] = value
        return result

    def _comprehend(self, generators: List[ast.comprehension], element: Callable[[], Any]) -> Iterator[Any]:
        # Inside of a comprehension no statement runs, so its names live in a scope of their own that ends with it.
        first = self.evaluate(generators[0].iter)
        self._scopes.append({})
        try:
            yield from self._generate(generators, first, element)
        finally:
            self._scopes.pop()

    def _generate(self, generators: List[ast.comprehension], items: Any, element: Callable[[], Any]) -> Iterator[Any]:
        head, rest = generators[0], generators[1:]
        for item in self._walk(items):
            self._assign(head.target, item)
            if not all(self.evaluate(condition) for condition in head.ifs):
                continue
            if rest:
                yield from self._generate(rest, self.evaluate(rest[0].iter), element)
            else:
                yield element()

    def _walk(self, items: Any) -> Iterator[Any]:
        """The items one by one, as a loop sees them: a list may still grow. Raises TypeError if there are no items."""
        if not isinstance(items, (list, tuple, dict, set, range, str)):
            raise TypeError(f"{type(items).__name__} cannot be iterated over")
        return self._spend_each(items)

    def _spend_each(self, items: Any) -> Iterator[Any]:
        try:
            for item in items:
                self._budget.spend()
                yield item
        except RuntimeError as error:
            raise ValueError(str(error)) from error  # a dict or set that changes while it is walked over


def _describe(error: BaseException) -> str:
    if isinstance(error, (RecursionError, MemoryError)):
        return "the config is nested too deeply to be read"
    if isinstance(error, KeyError):
        return f"there is no key {error.args[0]!r}" if error.args else "a key is missing"
    return f"this cannot be evaluated: {error}"
