"""Python's operators on the plain values of a config, with their results bounded.

Each function raises what Python raises (TypeError, ZeroDivisionError …), and LimitError when the result is too large.
"""

import ast
import operator
from typing import Any, Callable, Dict, Type

from mmseg.config.limits import MAX_INT_BITS, MAX_ITEMS, MAX_TEXT, Budget, LimitError
from mmseg.config.text import percent_format

_NUMBERS = (bool, int, float)

_ARITHMETIC: Dict[Type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}
_SET_OPERATORS = (ast.Sub, ast.BitAnd, ast.BitOr, ast.BitXor)
_UNARY: Dict[Type[ast.unaryop], Callable[[Any], Any]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Invert: operator.invert,
    ast.Not: operator.not_,
}
_COMPARISONS: Dict[Type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def binary(budget: Budget, kind: Type[ast.operator], left: Any, right: Any) -> Any:
    """`left <operator> right` for an operator class of `ast`."""
    function = _ARITHMETIC.get(kind)
    if function is None:
        raise TypeError(f"the operator {kind.__name__} is not allowed")
    if isinstance(left, _NUMBERS) and isinstance(right, _NUMBERS):
        if isinstance(left, int) and isinstance(right, int):
            _check_integers(kind, left, right)
        return budget.checked(function(left, right))
    if kind is ast.Mod and isinstance(left, str):
        return percent_format(budget, left, right)
    if kind is ast.Add and type(left) is type(right) and isinstance(left, (str, list, tuple)):
        _check_length(budget, left, len(left) + len(right))
        return left + right
    if kind is ast.Mult:
        if isinstance(left, int):
            left, right = right, left
        if isinstance(left, (str, list, tuple)) and isinstance(right, int):
            _check_length(budget, left, len(left) * max(right, 0))
            return left * right
    if isinstance(left, set) and isinstance(right, set) and kind in _SET_OPERATORS:
        budget.measure(left), budget.measure(right)
        return function(left, right)
    raise TypeError(f"the operator {kind.__name__} is not defined for {type(left).__name__} and {type(right).__name__}")


def in_place(budget: Budget, kind: Type[ast.operator], left: Any, right: Any) -> Any:
    """The result of `left <operator>= right`; as in Python a list or set changes itself, for all who hold it."""
    if isinstance(left, list) and kind is ast.Add:
        left.extend(budget.iterate(right))
        return budget.checked(left)
    result = binary(budget, kind, left, right)
    if isinstance(left, list):
        left[:] = result
        return left
    if isinstance(left, set):
        left.clear()
        left.update(result)
        return left
    return result


def unary(budget: Budget, kind: Type[ast.unaryop], value: Any) -> Any:
    """`<operator> value` for a unary operator class of `ast`."""
    if kind is not ast.Not and not isinstance(value, _NUMBERS):
        raise TypeError(f"the unary operator {kind.__name__} is not defined for {type(value).__name__}")
    if kind is ast.Invert:
        value = int(value) if isinstance(value, bool) else value  # ~True is -2 in every version, but some of them warn
    return budget.checked(_UNARY[kind](value))


def compare(budget: Budget, kind: Type[ast.cmpop], left: Any, right: Any) -> bool:
    """`left <comparison> right` for a comparison class of `ast`."""
    if kind in (ast.Is, ast.IsNot):
        return (left is right) == (kind is ast.Is)
    size = budget.measure(left)
    other = budget.measure(right)
    if kind in (ast.In, ast.NotIn):
        if isinstance(left, str) and isinstance(right, str):
            budget.spend(size * other // 1000)
        if isinstance(right, range) and not isinstance(left, int):
            right = budget.iterate(right)  # Python compares with each number too
        return (left in right) == (kind is ast.In)
    return _COMPARISONS[kind](left, right)


def _check_integers(kind: Type[ast.operator], left: int, right: int) -> None:
    bits = left.bit_length()
    if kind is ast.Pow and right > 0 and abs(left) > 1:
        bits *= right
    elif kind is ast.Mult:
        bits += right.bit_length()
    elif kind is ast.LShift and left and right > 0:
        bits += right
    if bits > MAX_INT_BITS + 1:
        raise LimitError(f"the number has more than {MAX_INT_BITS} bits")


def _check_length(budget: Budget, value: Any, length: int) -> None:
    limit = MAX_TEXT if isinstance(value, str) else MAX_ITEMS
    if length > limit:
        raise LimitError(f"the {type(value).__name__} is longer than {limit}")
    budget.spend(length // 8 if isinstance(value, str) else length)
