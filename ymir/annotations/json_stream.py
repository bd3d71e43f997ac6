"""Reading a JSON object piece by piece: of its lists, only one element is in memory at a time."""

import json
import re
from typing import Any, BinaryIO, Callable, Dict, NamedTuple

_CHUNK = 1 << 20
_SPACE = re.compile(r"[ \t\n\r]*")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

# How near to the end of what has been read a fault must lie to be explained by what has not.
_NEAR = 16


class JsonError(ValueError):
    """The text is not JSON in UTF-8; says what is wrong and at which byte."""


class NotAnObject(JsonError):
    """The text is JSON, but begins with something else than an object; says with what."""


class Element(NamedTuple):
    """An element of a list: its value, and the bytes of the file that hold it."""

    value: Any
    start: int
    end: int


def read_lists(stream: BinaryIO, on_element: Callable[[str, Element], None]) -> Dict[str, str]:
    """Call `on_element(key, element)` for every element of every list that is an entry of the object in `stream`.

    Returns:
        The type (object, list, text, number, true or false, nothing) of each entry of the object.

    Raises:
        JsonError: the file holds anything but one JSON object.
    """
    reader = _Reader(stream)
    if reader.peek() != "{":
        raise NotAnObject(_kind(reader.value().value))
    reader.skip("{")
    kinds: Dict[str, str] = {}
    last = reader.peek() == "}"
    while not last:
        key = reader.value().value
        if not isinstance(key, str):
            raise JsonError(f"a name is expected before byte {reader.position}")
        reader.skip(":")
        if reader.peek() == "[":
            kinds[key] = "list"
            _read_list(reader, key, on_element)
        else:
            kinds[key] = _kind(reader.value().value)
        last = reader.peek() == "}"
        if not last:
            reader.skip(",")
    reader.skip("}")
    if reader.peek():
        raise JsonError(f"more follows after its end, at byte {reader.position}")
    return kinds


def _read_list(reader: "_Reader", key: str, on_element: Callable[[str, Element], None]) -> None:
    reader.skip("[")
    last = reader.peek() == "]"
    while not last:
        on_element(key, reader.value())
        last = reader.peek() == "]"
        if not last:
            reader.skip(",")
    reader.skip("]")


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    kinds = {dict: "object", list: "list", str: "text", bool: "truth value"}
    return kinds.get(type(value), "number")


class _Reader:
    """Values one after the other.

    The bytes are read as Latin-1, in which every byte is one character, so that positions in the text are positions in
    the file; whatever marks the structure of JSON is ASCII.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._decoder = json.JSONDecoder()
        self._base = 0
        self._text = ""
        self._at = 0
        self._ended = False
        self._more()
        if self._text.startswith(_BYTE_ORDER_MARK.decode("latin-1")):
            self._at = len(_BYTE_ORDER_MARK)

    @property
    def position(self) -> int:
        return self._base + self._at

    def peek(self) -> str:
        """The next character that is no white space; empty at the end of the file."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()
            if self._at < len(self._text) or self._ended:
                return self._text[self._at : self._at + 1]
            self._more()

    def skip(self, character: str) -> None:
        """Go over `character`, which must come next."""
        found = self.peek()
        if found != character:
            raise JsonError(
                f"{character!r} is expected at byte {self.position}, where {repr(found) if found else 'it ends'}"
            )
        self._at += 1

    def value(self) -> Element:
        """The next value."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
                # A number may go on in what has not been read yet, as 1 does in 1e+5.
                if self._ended or end + _NEAR <= len(self._text):
                    break
            except json.JSONDecodeError as error:
                started_text = error.msg.startswith("Unterminated string")
                if self._ended or not (started_text or error.pos >= len(self._text) - _NEAR):
                    raise JsonError(f"{error.msg} at byte {self._base + error.pos}") from error
            except RecursionError as error:
                raise JsonError(f"what begins at byte {self.position} is nested too deeply") from error
            except ValueError as error:  # a whole number of thousands of digits
                raise JsonError(f"{error} at byte {self.position}") from error
            self._more()
        text = self._text[self._at : end]
        if not text.isascii():
            try:
                value = json.loads(text.encode("latin-1").decode("utf-8"))
            except UnicodeDecodeError as error:
                raise JsonError(f"it is not UTF-8 near byte {self.position + error.start}") from error
        element = Element(value, self.position, self._base + end)
        self._at = end
        return element

    def _more(self) -> None:
        """Read on; ever larger pieces where one value goes on and on."""
        kept = self._text[self._at :]
        read = self._stream.read(max(_CHUNK, len(kept)))
        self._ended = not read
        self._base += self._at
        self._text = kept + read.decode("latin-1")
        self._at = 0
