"""Writes a config as the text of a Python config file that reads back equal."""

import keyword
import math
import unicodedata
from typing import Any, Iterable, List, Mapping, Tuple

from mmseg.config.custom_imports import IMPORTS_KEY, is_built_in
from mmseg.config.limits import MAX_DEPTH, MAX_INT_BITS
from mmseg.config.merge import BASE_KEY, DELETE_KEY, DEPRECATION_KEY
from mmseg.config.source import has_reference
from mmseg.errors import ConfigError

WIDTH = 100
_SHORT = 30  # items up to this length share their lines with others
_MAX_NESTING = MAX_DEPTH - 4  # leaves room for float('inf') inside of the innermost


def format_config(content: Mapping[str, Any]) -> str:
    """One `name = value` for each top-level key, in order.

    :raises ConfigError: when a key cannot be a name, or a value is no data that a config file can hold
    """
    lines = []
    for key, value in content.items():
        _check_name(key, value)
        lines.append(f"{key} = {_format(value, 0, len(key) + 3, key)}\n")
    return "".join(lines)


def _check_name(key: Any, value: Any) -> None:
    if not isinstance(key, str) or not key.isidentifier() or keyword.iskeyword(key) or key.startswith("__"):
        raise ConfigError(
            f"the top-level key {key!r} cannot be written to a config file, for it is not a variable name"
        )
    if unicodedata.normalize("NFKC", key) != key:
        raise ConfigError(f"the top-level key {key!r} cannot be written to a config file, for Python normalises it")
    if key in (BASE_KEY, DEPRECATION_KEY) or (key == IMPORTS_KEY and value and not is_built_in(value)):
        raise ConfigError(f"the top-level key {key!r} cannot be written to a config file, where it has a meaning")


def _format(value: Any, indent: int, used: int, path: str, depth: int = 0) -> str:
    """`value` as text: its first line starts at column `used`, its last line is indented by `indent`."""
    flat = _flat(value, path, depth)
    if used + len(flat) < WIDTH or not isinstance(value, (dict, list, tuple, set)) or not value:
        return flat
    inner = indent + 4
    opening, items, closing = _parts(value)
    texts = []
    for prefix, item, name in items:
        texts.append(prefix + _format(item, inner, inner + len(prefix), f"{path}.{name}", depth + 1))
    scalars = not isinstance(value, dict) and not any(isinstance(item, dict) for _, item, _ in items)
    if scalars and all(len(text) <= _SHORT and "\n" not in text for text in texts):
        rows = _fill(texts, WIDTH - inner)
    else:
        rows = [f"{text}," for text in texts]
    body = "".join(f"{' ' * inner}{row}\n" for row in rows)
    return f"{opening}\n{body}{' ' * indent}{closing}"


def _fill(texts: Iterable[str], width: int) -> List[str]:
    rows: List[str] = []
    for text in texts:
        if rows and len(rows[-1]) + len(text) + 2 <= width:
            rows[-1] += f" {text},"
        else:
            rows.append(f"{text},")
    return rows


def _flat(value: Any, path: str, depth: int) -> str:
    """`value` on one line. Raises ConfigError, with the key, when a config cannot hold it."""
    if depth > _MAX_NESTING:
        raise ConfigError(f"{path[:100]!r} cannot be written to a config file, for it is nested too deeply")
    if isinstance(value, (dict, list, tuple, set)):
        if isinstance(value, set) and not value:
            return "set()"
        opening, items, closing = _parts(value)
        texts = [prefix + _flat(item, f"{path}.{name}", depth + 1) for prefix, item, name in items]
        comma = "," if isinstance(value, tuple) and len(value) == 1 else ""
        return f"{opening}{', '.join(texts)}{comma}{closing}"
    return _scalar(value, path)


def _scalar(value: Any, path: str) -> str:
    if value is None or isinstance(value, bool):
        return repr(value)
    if isinstance(value, int):
        if value.bit_length() > MAX_INT_BITS:
            raise ConfigError(f"{path!r} cannot be written to a config file, for its number is too large")
        return int.__repr__(value)
    if isinstance(value, float):
        text = float.__repr__(value)
        return text if math.isfinite(value) else f"float({text!r})"
    if isinstance(value, str):
        text = str.__repr__(value)
        return text.replace("{", "\\x7b") if has_reference(text) else text
    if isinstance(value, range):
        return repr(value)
    raise ConfigError(f"{path!r} cannot be written to a config file, for it is a {type(value).__name__}")


def _parts(value: Any) -> Tuple[str, List[Tuple[str, Any, Any]], str]:
    """The opening, the (prefix, item, name) of each entry, and the closing of a container's text."""
    if isinstance(value, dict):
        if DELETE_KEY in value:
            raise ConfigError(
                f"a dict with the key {DELETE_KEY!r} cannot be written, for a config file gives it a meaning"
            )
        if all(_is_keyword_argument(key) for key in value):
            return "dict(", [(f"{key}=", item, key) for key, item in value.items()], ")"
        return "{", [(f"{_flat(key, str(key), 0)}: ", item, key) for key, item in value.items()], "}"
    if isinstance(value, set):
        texts = sorted((_flat(item, str(item), 0), index) for index, item in enumerate(value))
        items = list(value)
        return "{", [("", items[index], index) for _, index in texts], "}"
    entries = [("", item, index) for index, item in enumerate(value)]
    return ("(", entries, ")") if isinstance(value, tuple) else ("[", entries, "]")


def _is_keyword_argument(key: Any) -> bool:
    if not isinstance(key, str) or not (key.isascii() and key.isidentifier()) or keyword.iskeyword(key):
        return False
    return not (key.startswith("__") and key.endswith("__"))
