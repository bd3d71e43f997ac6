"""String formatting of plain values: `%`, `str.format` and f-strings, without attributes and with bounded widths."""

import re
from string import Formatter
from typing import Any, Dict, List, Optional, Sequence

from mmseg.config.limits import MAX_FORMAT_WIDTH, MAX_TEXT, Budget, LimitError

_PERCENT = re.compile(
    r"%(?:\([^)]*\))?[#0\- +]*(?P<width>\*|[0-9]*)(?:\.(?P<precision>\*|[0-9]*))?[hlL]?(?P<type>.)", re.DOTALL
)
_FIELD = re.compile(r"(?P<name>\w*)(?P<items>(?:\[[^\[\]]+\])*)")
_CONVERSIONS = {"r": repr, "s": str, "a": ascii}
_SCALARS = (bool, int, float, str)


def percent_format(budget: Budget, template: str, values: Any) -> str:
    """`template % values`."""
    size = budget.measure(values)
    if re.search(r"%\([^()]*\(", template):
        raise LimitError("a key of a % format cannot have brackets")
    for match in _PERCENT.finditer(template):
        widths = [match.group("width"), match.group("precision") or ""]
        if "*" in widths:
            raise LimitError("a width or precision of * in a % format is not allowed")
        budget.spend(size + sum(_bounded_width(width) for width in widths))
    return budget.checked(template % values)


def format_value(budget: Budget, value: Any, conversion: Optional[str], spec: str) -> str:
    """`format(value, spec)` after the conversion 'r', 's', 'a' or None."""
    budget.measure(value)
    if conversion:
        if conversion not in _CONVERSIONS:
            raise ValueError(f"unknown conversion {conversion!r} in a format")
        value = _CONVERSIONS[conversion](value)
    if not spec:
        return budget.checked(str(value))
    if not isinstance(value, _SCALARS):
        raise TypeError(f"a {type(value).__name__} cannot be formatted with {spec[:20]!r}")
    for digits in re.findall(r"\d+", spec):
        budget.spend(_bounded_width(digits))
    return budget.checked(format(value, spec))


def format_template(budget: Budget, template: str, args: Sequence[Any], kwargs: Dict[str, Any]) -> str:
    """`template.format(*args, **kwargs)`. A field may take items (`{0[key]}`) but no attributes."""
    return _Template(budget, args, kwargs).render(template, depth=2)


class _Template:
    """One call of str.format: nested specs share its counter of automatic field numbers."""

    def __init__(self, budget: Budget, args: Sequence[Any], kwargs: Dict[str, Any]) -> None:
        self.budget, self.args, self.kwargs = budget, args, kwargs
        self.next_number: Optional[int] = None
        self.manual = False

    def render(self, template: str, depth: int) -> str:
        if depth == 0:
            raise ValueError("a format is nested too deeply")
        parts: List[str] = []
        length = 0
        for literal, field, spec, conversion in Formatter().parse(template):
            parts.append(literal)
            if field is not None:
                value = self.lookup(field)
                parts.append(format_value(self.budget, value, conversion, self.render(spec, depth - 1) if spec else ""))
            length += sum(len(part) for part in parts[-2:])
            if length > MAX_TEXT:
                raise LimitError(f"the text is longer than {MAX_TEXT} characters")
        return "".join(parts)

    def lookup(self, field: str) -> Any:
        match = _FIELD.fullmatch(field)
        if match is None:
            raise ValueError(f"the format field {{{field[:50]}}} is not a name, a number or an item of one")
        name, items = match.group("name"), re.findall(r"\[([^\[\]]+)\]", match.group("items"))
        value = self.kwargs[name] if name and not name.isdecimal() else self.args[self.number(name)]
        for item in items:
            if not isinstance(value, (dict, list, tuple, str)):
                raise TypeError(f"{type(value).__name__} has no items in the format field {{{field[:50]}}}")
            value = value[int(item[:10]) if item.isdecimal() else item]
        return value

    def number(self, name: str) -> int:
        if name:
            self.manual = True
            number = int(name[:10])
        else:
            number = self.next_number or 0
            self.next_number = number + 1
        if self.manual and self.next_number is not None:
            raise ValueError("a format cannot have both {} and {0}")
        if number >= len(self.args):
            raise IndexError("a format has more fields than there are values")
        return number


def _bounded_width(digits: str) -> int:
    if len(digits) > 5 or int(digits or 0) > MAX_FORMAT_WIDTH:
        raise LimitError(f"a format has a width above {MAX_FORMAT_WIDTH}")
    return int(digits or 0)
