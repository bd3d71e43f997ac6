"""The methods of strings, lists, tuples, dicts and sets that a config may call, with bounded work."""

from typing import Any, Callable, Dict, FrozenSet, List, Mapping, Sequence, Tuple

from mmseg.config.limits import MAX_FORMAT_WIDTH, MAX_TEXT, Budget, LimitError
from mmseg.config.text import format_template

_Keywords = Dict[str, Any]

_STRING_METHODS = """
    capitalize casefold count endswith find index isalnum isalpha isdecimal isdigit isidentifier islower isnumeric
    isspace istitle isupper lower lstrip partition rfind rindex rpartition rsplit rstrip split splitlines startswith
    strip swapcase title upper
"""
# Methods of Python itself that need no more care than that their values are measured first.
_PLAIN: Mapping[type, FrozenSet[str]] = {
    str: frozenset(_STRING_METHODS.split()),
    list: frozenset(["append", "clear", "copy", "count", "index", "insert", "pop", "remove", "reverse"]),
    tuple: frozenset(["count", "index"]),
    dict: frozenset(["clear", "copy", "get", "pop", "popitem", "setdefault"]),
    set: frozenset(["add", "clear", "copy", "discard", "issubset", "issuperset", "remove"]),
}
# Those that walk the whole of the value they belong to, and those that only copy or turn round its outermost items.
_WALKING: FrozenSet[Tuple[type, str]] = frozenset(
    [(list, "count"), (list, "index"), (list, "remove"), (tuple, "count"), (tuple, "index")]
    + [(set, "issubset"), (set, "issuperset")]
)
_SHALLOW = frozenset(["copy", "reverse", "clear"])
_SET_ALGEBRA = frozenset(["difference", "intersection", "symmetric_difference", "union"])


def call_method(budget: Budget, value: Any, name: str, args: Sequence[Any], kwargs: _Keywords) -> Any:
    """`value.name(*args, **kwargs)`. Raises AttributeError for a method that is not allowed for such a value."""
    kind = type(value)
    own = _OWN.get((kind, name))
    if own is not None:
        return own(budget, value, *args, **kwargs)
    if name not in _PLAIN.get(kind, ()):
        raise AttributeError(f"the method {name!r} of a value of type {kind.__name__} is not allowed")
    budget.spend(len(value) if name in _SHALLOW else 1)
    size = budget.measure(value) if kind is str or (kind, name) in _WALKING else 1
    # A stored item is not looked into now; whatever hashes or compares it later measures it then.
    looked_at = args[:1] if kind is dict else () if name in ("append", "insert") else args
    other = sum(budget.measure(argument) for argument in looked_at)
    if kind is str:
        budget.spend(size * other // 1000)  # a search may compare every position with the whole of what it looks for
    result = getattr(value, name)(*args, **kwargs)
    budget.checked(value)
    return budget.checked(result)


def _join(budget: Budget, separator: str, items: Any) -> str:
    parts = budget.iterate(items)
    length = sum(len(part) + len(separator) for part in parts if isinstance(part, str))
    _bounded(length)
    return separator.join(parts)


def _replace(budget: Budget, text: str, old: str, new: str, count: int = -1) -> str:
    budget.spend(len(text) * max(len(old), 1) // 1000)
    _bounded(len(text) + text.count(old) * len(new))
    return text.replace(old, new, count)


def _pad(name: str) -> Callable[..., str]:
    def pad(budget: Budget, text: str, width: int, *fill: str) -> str:
        if not isinstance(width, int) or width > MAX_FORMAT_WIDTH:
            raise LimitError(f"a text is padded to at most {MAX_FORMAT_WIDTH} characters")
        return budget.checked(getattr(text, name)(width, *fill))

    return pad


def _format(budget: Budget, text: str, /, *args: Any, **kwargs: Any) -> str:
    return format_template(budget, text, args, kwargs)


def _extend(budget: Budget, items: List[Any], more: Any) -> None:
    items.extend(budget.iterate(more))
    budget.checked(items)


def _sort(budget: Budget, items: List[Any], *, reverse: Any = False) -> None:
    budget.spend(4 * budget.measure(items))
    items.sort(reverse=bool(reverse))


def _keys(budget: Budget, mapping: Dict[Any, Any]) -> List[Any]:
    return budget.iterate(mapping)


def _values(budget: Budget, mapping: Dict[Any, Any]) -> List[Any]:
    return [mapping[key] for key in budget.iterate(mapping)]


def _items(budget: Budget, mapping: Dict[Any, Any]) -> List[Tuple[Any, Any]]:
    return [(key, mapping[key]) for key in budget.iterate(mapping)]


def _update(budget: Budget, mapping: Dict[Any, Any], /, *args: Any, **kwargs: Any) -> None:
    if len(args) > 1:
        raise TypeError(f"update takes one value at most, not {len(args)}")
    for other in args:
        for pair in other.items() if isinstance(other, dict) else budget.iterate(other):
            key, item = budget.iterate(pair)
            budget.measure(key)
            mapping[key] = item
    mapping.update(kwargs)
    budget.checked(mapping)


def _update_set(budget: Budget, items: Any, *others: Any) -> None:
    for other in others:
        more = budget.iterate(other)
        budget.measure(more)
        items.update(more)
    budget.checked(items)


def _algebra(name: str) -> Callable[..., Any]:
    def combine(budget: Budget, items: Any, *others: Any) -> Any:
        lists = [budget.iterate(other) for other in others]
        budget.measure([list(items), *lists])
        return getattr(items, name)(*lists)

    return combine


def _bounded(length: int) -> None:
    if length > MAX_TEXT:
        raise LimitError(f"the text is longer than {MAX_TEXT} characters")


_OWN: Mapping[Tuple[type, str], Callable[..., Any]] = {
    (str, "join"): _join,
    (str, "format"): _format,
    (str, "replace"): _replace,
    **{(str, name): _pad(name) for name in ("center", "ljust", "rjust", "zfill")},
    (list, "extend"): _extend,
    (list, "sort"): _sort,
    (dict, "keys"): _keys,
    (dict, "values"): _values,
    (dict, "items"): _items,
    (dict, "update"): _update,
    (set, "update"): _update_set,
    **{(set, name): _algebra(name) for name in _SET_ALGEBRA},
}

METHOD_NAMES: FrozenSet[str] = frozenset(name for _, name in _OWN).union(*_PLAIN.values())
