"""How much work and how large values a config may ask for, so that no file can hang or fill a machine."""

from typing import Any, List, Tuple

MAX_FILE_BYTES = 1 << 20
MAX_FILES = 200  # files read for one config, bases included
MAX_TOTAL_BYTES = 4 << 20  # of all these files; parsing takes about two seconds for each MiB
MAX_MESSAGE = 1000  # characters of an error's text, which may quote the file
MAX_BASE_DEPTH = 20  # a base of a base of a base …
MAX_STEPS = 500_000
MAX_ITEMS = 100_000
MAX_TEXT = 1_000_000
MAX_INT_BITS = 4096
MAX_DEPTH = 64  # containers inside containers; the parser of Python 3.8 gives up a little above
MAX_CHAIN = 200  # operators, calls and subscripts that hang on one another
MAX_NUMBER_CHARS = 1000
MAX_FSTRING_CHARS = 4096
MAX_FORMAT_WIDTH = 10_000

CONTAINER_TYPES = (list, tuple, dict, set)


class LimitError(ValueError):
    """A value or the work to make it would be larger than any config needs."""


class Budget:
    """The work one config may still do. One step is about one evaluated expression, one item or one character."""

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self.steps = steps

    def spend(self, steps: int = 1) -> None:
        """Take `steps` away; raises LimitError when none are left."""
        self.steps -= steps
        if self.steps < 0:
            raise LimitError("it takes more work than a config may need")

    def measure(self, value: Any) -> int:
        """Spend and return the size of `value` as it would be written out, where a shared part counts each time.

        Comparing, hashing and printing walk a value just so, hence call this before any of them.
        """
        total = 0
        stack: List[Tuple[Any, int]] = [(value, 0)]
        while stack:
            item, depth = stack.pop()
            if depth > MAX_DEPTH:
                raise LimitError(f"its values are nested deeper than {MAX_DEPTH} levels")
            size = 1
            if isinstance(item, str):
                size += len(item)
            elif isinstance(item, dict):
                stack.extend((part, depth + 1) for pair in item.items() for part in pair)
            elif isinstance(item, (list, tuple, set)):
                stack.extend((part, depth + 1) for part in item)
            total += size
            self.spend(size)
        return total

    def iterate(self, value: Any) -> List[Any]:
        """The items of a container, string or range, as a list. Raises TypeError for others, LimitError if too many."""
        if not isinstance(value, (list, tuple, dict, set, range, str)):
            raise TypeError(f"{type(value).__name__} cannot be iterated over")
        if isinstance(value, range) and (value.stop - value.start) // value.step > MAX_ITEMS:
            raise LimitError(f"the range has more than {MAX_ITEMS} items")
        self.spend(len(value))
        return list(value)

    def checked(self, value: Any) -> Any:
        """`value`; raises LimitError if it alone (not its items) is too large, TypeError if no config may hold it."""
        if isinstance(value, (bool, float)) or value is None:
            return value
        if isinstance(value, int):
            if value.bit_length() > MAX_INT_BITS:
                raise LimitError(f"the number has more than {MAX_INT_BITS} bits")
        elif isinstance(value, str):
            if len(value) > MAX_TEXT:
                raise LimitError(f"the text is longer than {MAX_TEXT} characters")
            self.spend(len(value) // 8)
        elif isinstance(value, CONTAINER_TYPES):
            if len(value) > MAX_ITEMS:
                raise LimitError(f"the {type(value).__name__} has more than {MAX_ITEMS} items")
        elif not isinstance(value, range):
            raise TypeError(f"a value of type {type(value).__name__} cannot be part of a config")
        return value

    def copy(self, value: Any, depth: int = 0) -> Any:
        """A copy of `value` in which nothing is shared, of plain dicts, lists, tuples and scalars."""
        if depth > MAX_DEPTH:
            raise LimitError(f"its values are nested deeper than {MAX_DEPTH} levels")
        self.spend()
        kind = type(value)
        if kind is dict:
            return {self._key(key): self.copy(item, depth + 1) for key, item in value.items()}
        if kind is list:
            return [self.copy(item, depth + 1) for item in value]
        if kind is tuple:
            return tuple(self.copy(item, depth + 1) for item in value)
        if kind is set:
            return set(value)
        return self.checked(value)

    def _key(self, key: Any) -> Any:
        self.measure(key)
        return key
