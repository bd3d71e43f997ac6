"""The built-in functions a config may call, on plain values and with bounded work.

Those that give an iterator in Python (zip, enumerate, reversed) give a list here: what a config keeps is data.
"""

import ast
from typing import Any, Callable, Dict, List, Mapping

from mmseg.config.limits import MAX_NUMBER_CHARS, Budget, LimitError
from mmseg.config.operators import binary

_NUMBERS = (bool, int, float)
_NOTHING = object()


def _abs(budget: Budget, value: Any) -> Any:
    return abs(_number(value))


def _all(budget: Budget, items: Any) -> bool:
    return all(budget.iterate(items))


def _any(budget: Budget, items: Any) -> bool:
    return any(budget.iterate(items))


def _bool(budget: Budget, value: Any = False) -> bool:
    return bool(value)


def _dict(budget: Budget, /, *args: Any, **kwargs: Any) -> Dict[Any, Any]:
    if len(args) > 1:
        raise TypeError(f"dict takes one value at most, not {len(args)}")
    if not args:
        return dict(kwargs)
    if isinstance(args[0], dict):
        budget.spend(len(args[0]))
        return {**args[0], **kwargs}
    result: Dict[Any, Any] = {}
    for pair in budget.iterate(args[0]):
        key, value = budget.iterate(pair)
        budget.measure(key)
        result[key] = value
    result.update(kwargs)
    return result


def _enumerate(budget: Budget, items: Any, start: int = 0) -> List[Any]:
    return list(enumerate(budget.iterate(items), start))


def _float(budget: Budget, value: Any = 0.0) -> float:
    return float(_short(value))


def _int(budget: Budget, value: Any = 0, base: Any = _NOTHING) -> int:
    return int(_short(value)) if base is _NOTHING else int(_short(value), base)


def _len(budget: Budget, items: Any) -> int:
    return len(items)


def _list(budget: Budget, items: Any = ()) -> List[Any]:
    return budget.iterate(items)


def _max(budget: Budget, *args: Any, **kwargs: Any) -> Any:
    return _extreme(budget, max, args, kwargs)


def _min(budget: Budget, *args: Any, **kwargs: Any) -> Any:
    return _extreme(budget, min, args, kwargs)


def _range(budget: Budget, *args: Any) -> range:
    return range(*args)


def _reversed(budget: Budget, items: Any) -> List[Any]:
    if isinstance(items, set):
        raise TypeError("a set has no order to reverse")
    return budget.iterate(items)[::-1]


def _round(budget: Budget, number: Any, ndigits: Any = None) -> Any:
    if ndigits is not None and abs(_number(ndigits)) > MAX_NUMBER_CHARS:
        raise LimitError(f"a number cannot be rounded to {ndigits} digits")
    return round(_number(number), ndigits)


def _set(budget: Budget, items: Any = ()) -> Any:
    elements = budget.iterate(items)
    budget.measure(elements)
    return set(elements)


def _sorted(budget: Budget, items: Any, *, reverse: Any = False) -> List[Any]:
    result = budget.iterate(items)
    budget.spend(4 * budget.measure(result))  # each item is compared several times
    return sorted(result, reverse=bool(reverse))


def _str(budget: Budget, value: Any = "") -> str:
    budget.measure(value)
    return str(value)


def _sum(budget: Budget, items: Any, start: Any = 0) -> Any:
    values = budget.iterate(items)
    if isinstance(start, _NUMBERS) and all(isinstance(value, _NUMBERS) for value in values):
        return sum(values, start)
    if isinstance(start, str):
        raise TypeError("sum cannot join strings; use ''.join")
    for value in values:
        start = binary(budget, ast.Add, start, value)
    return start


def _tuple(budget: Budget, items: Any = ()) -> Any:
    return tuple(budget.iterate(items))


def _zip(budget: Budget, *sequences: Any) -> List[Any]:
    return list(zip(*[budget.iterate(items) for items in sequences]))


def _extreme(budget: Budget, function: Callable[..., Any], args: Any, kwargs: Dict[str, Any]) -> Any:
    unknown = set(kwargs) - {"default"}
    if unknown:
        raise TypeError(f"min and max take no argument {sorted(unknown)[0]!r} here")
    values = budget.iterate(args[0]) if len(args) == 1 else list(args)
    budget.measure(values)
    return function(values, **kwargs)


def _number(value: Any) -> Any:
    if not isinstance(value, _NUMBERS):
        raise TypeError(f"a number is expected, not {type(value).__name__}")
    return value


def _short(value: Any) -> Any:
    if isinstance(value, str) and len(value) > MAX_NUMBER_CHARS:
        raise LimitError(f"a text of more than {MAX_NUMBER_CHARS} characters is not read as a number")
    return value


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "abs": _abs,
    "all": _all,
    "any": _any,
    "bool": _bool,
    "dict": _dict,
    "enumerate": _enumerate,
    "float": _float,
    "int": _int,
    "len": _len,
    "list": _list,
    "max": _max,
    "min": _min,
    "range": _range,
    "reversed": _reversed,
    "round": _round,
    "set": _set,
    "sorted": _sorted,
    "str": _str,
    "sum": _sum,
    "tuple": _tuple,
    "zip": _zip,
}
