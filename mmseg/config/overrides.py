"""Overrides as people type them: `optimizer.lr=0.02 data.test.pipeline.1.img_scale=(480, 360)`."""

from typing import Any, Callable, Dict, Iterator, List, Sequence, Tuple

from mmseg.config.limits import MAX_DEPTH, MAX_FILE_BYTES, MAX_NUMBER_CHARS
from mmseg.config.reader import evaluate_expression
from mmseg.errors import ConfigError

_PAIRS = {"(": ")", "[": "]", "{": "}"}
_QUOTES = "'\""


def split_overrides(text: str) -> List[str]:
    """Split at white space outside of brackets and quotes.

    >>> split_overrides("a=1 b=(2, 3) c='d e'")
    ['a=1', 'b=(2, 3)', "c='d e'"]

    :raises ConfigError: when a bracket or quote is not closed
    """
    return [piece for piece in _split(text, str.isspace) if piece]


def parse_overrides(overrides: Sequence[str]) -> Dict[str, Any]:
    """From `["key=value", …]` to a dict for Config.merge_from_dict; a later one of the same key wins.

    A value is an int, a float, true or false in any case, None, or else a string. `1,2,3` and `[1,2,3]` are lists,
    `(1,2)` is a tuple, and both nest; `{'a': 1}` and `dict(a=1)` are dicts. What is in quotes is a string as it stands,
    except that brackets quoted as a whole, `"[1,2]"`, mean what is in the quotes: so the command line help of
    mmsegmentation writes lists.

    :raises ConfigError: shows the text that has no `=`, no key, or brackets or quotes that do not match
    """
    result: Dict[str, Any] = {}
    for text in overrides:
        key, equals, value = str(text).partition("=")
        key = key.strip()
        if not equals or not all(part.strip() for part in key.split(".")) or any(map(str.isspace, key)):
            raise ConfigError(
                f"the override {str(text)[:200]!r} must have the form key=value, such as optimizer.lr=0.02"
            )
        if len(value) > MAX_FILE_BYTES:
            raise ConfigError(f"the value of the override {key!r} is too long")
        result[key] = _value(_unquoted_brackets(value.strip()), key)
    return result


def _unquoted_brackets(text: str) -> str:
    inner = text[1:-1].strip() if _is_quoted(text) else ""
    return inner if inner and _PAIRS.get(inner[0]) == inner[-1] else text


def _value(text: str, key: str) -> Any:
    pieces = _split(text, ",".__eq__)
    if len(pieces) > 1:
        return _items(pieces, key)
    if _is_quoted(text):
        return text[1:-1]
    if text.startswith(("{", "dict(")) and text.endswith(("}", ")")):
        value = evaluate_expression(text, f"override {key!r}")
        if not isinstance(value, dict):
            raise ConfigError(f"the override {key}={text[:200]!r} is not a dict, a list, a tuple or a single value")
        return value
    if _is_enclosed(text):
        items = _items(_split(text[1:-1], ",".__eq__), key)
        return tuple(items) if text[0] == "(" else items
    return _scalar(text)


def _items(pieces: List[str], key: str) -> List[Any]:
    if not pieces[-1].strip():
        pieces = pieces[:-1]  # after the last comma, or nothing at all
    return [_value(piece.strip(), key) for piece in pieces]


def _scalar(text: str) -> Any:
    if len(text) <= MAX_NUMBER_CHARS:
        for kind in (int, float):
            try:
                return kind(text)
            except ValueError:
                continue
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    return None if text == "None" else text


def _is_quoted(text: str) -> bool:
    return len(text) > 1 and text[0] in _QUOTES and text.find(text[0], 1) == len(text) - 1


def _is_enclosed(text: str) -> bool:
    """Whether the first bracket, ( or [, is closed by the last character; the brackets of `text` match."""
    if text[:1] not in ("(", "["):
        return False
    return len(text) - 1 == _closing(text)


def _closing(text: str) -> int:
    """The index at which the bracket that begins `text` is closed."""
    depth = 0
    for index, character, quoted in _characters(text):
        if not quoted and character in _PAIRS:
            depth += 1
        elif not quoted and character in _PAIRS.values():
            depth -= 1
            if depth == 0:
                return index
    return -1


def _characters(text: str) -> Iterator[Tuple[int, str, bool]]:
    """Each character with its index and whether it is inside of quotes, the opening one included.

    A quote opens only where a value can begin, so that an apostrophe within a word is just that.
    """
    quote = ""
    previous = " "
    for index, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in _QUOTES and (previous in "=,:([{" or previous.isspace()):
            quote = character
        yield index, character, bool(quote)
        previous = character


def _split(text: str, is_separator: Callable[[str], bool]) -> List[str]:
    """The pieces between separators outside of brackets and quotes. Raises ConfigError when those do not match."""
    pieces: List[str] = []
    brackets: List[str] = []
    start = 0
    quoted = False
    for index, character, quoted in _characters(text):
        if quoted:
            continue
        if character in _PAIRS:
            brackets.append(_PAIRS[character])
        elif character in _PAIRS.values():
            if not brackets or brackets.pop() != character:
                raise ConfigError(f"the brackets do not match in {text[:200]!r}")
        elif not brackets and is_separator(character):
            pieces.append(text[start:index])
            start = index + 1
        if len(brackets) > MAX_DEPTH:
            raise ConfigError(f"the brackets are nested too deeply in {text[:200]!r}")
    if brackets or quoted:
        raise ConfigError(f"a {'quote' if quoted else 'bracket'} is not closed in {text[:200]!r}")
    return [*pieces, text[start:]]
