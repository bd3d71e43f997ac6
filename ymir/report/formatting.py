"""How reports write values: for people, and safely inside a page."""

import html
import json
import math
import urllib.parse
from typing import Any, Mapping, Optional

# What stands where there is no number.
NOTHING = "–"


def text(value: Any) -> str:
    """Any text as HTML, also between double quotes. What UTF-8 cannot hold, as names of files may, becomes a question
    mark, and control characters become spaces."""
    clean = str(value).encode("utf-8", "replace").decode("utf-8")
    return html.escape("".join(c if c.isprintable() or c == " " or ord(c) >= 0xA0 else " " for c in clean))


def link(path: str) -> str:
    """The URL of a file by its path relative to the page, `/` between folders. It never leads to another host."""
    return "./" + urllib.parse.quote(path, safe="/", errors="surrogateescape")


def json_island(value: Any) -> str:
    """Compact JSON to stand inside a script element, which nothing in it can end. Numbers must be finite.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    encoded = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        encoded = encoded.replace(character, f"\\u{ord(character):04x}")
    # Lone surrogates are no UTF-8, but JSON can name them.
    return encoded.encode("utf-8", "backslashreplace").decode("utf-8")


def number(value: float) -> str:
    """A count with all its digits, another number with four that count; `NOTHING` where it is not finite."""
    # However large: no float need hold it.
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return NOTHING
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    if 1e4 <= abs(value) < 1e15:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def counted(count: int, noun: str, plural: Optional[str] = None) -> str:
    """`1 image`, `2,000 images`; the plural is the noun with an s where it is not given."""
    return f"{number(count)} " + (noun if count == 1 else plural or noun + "s")


def share(part: float, whole: float) -> str:
    """`part` of `whole` in percent; `NOTHING` where there is no whole."""
    if not whole > 0 or not math.isfinite(part):
        return NOTHING
    percent = 100 * part / whole
    if percent in (0, 100):
        return f"{int(percent)}%"
    if 0 < percent < 0.01:
        return "<0.01%"
    if 99.99 < percent < 100:
        return ">99.99%"
    return f"{percent:.1f}%" if 0.1 <= percent <= 99.9 else f"{percent:.2f}%"


def describe(value: Any) -> str:
    """A value of any kind in words, as plain text: numbers by `number`, mappings as `name: value`, lists by commas."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return number(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {describe(item)}" for key, item in value.items()) or NOTHING
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(describe(item) for item in value) or NOTHING
    return str(value)
