"""What transforms share: checks of arguments, and the generator to use when none is passed."""

from typing import Any, Callable, Optional

import numpy as np

from mmseg.errors import ConfigError


def require(condition: Any, owner: object, argument: str, expected: str, value: Any) -> None:
    """Unless `condition` holds, raise ConfigError naming transform, argument, what it must be and what it is."""
    if not condition:
        name = owner if isinstance(owner, str) else type(owner).__name__
        raise ConfigError(f"{name}: {argument} must be {expected}, not {value!r}")


def is_int(value: Any) -> bool:
    """Whether `value` is an integer (True and False are not)."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))


def is_number(value: Any) -> bool:
    """Whether `value` is a finite integer or float (True and False are not)."""
    return is_int(value) or (isinstance(value, (float, np.floating)) and bool(np.isfinite(value)))


def is_positive(value: Any) -> bool:
    """Whether `value` is a finite number above zero."""
    return is_number(value) and value > 0


def is_positive_int(value: Any) -> bool:
    """Whether `value` is an integer above zero."""
    return is_int(value) and value > 0


def is_probability(value: Any) -> bool:
    """Whether `value` is a number from 0 to 1."""
    return is_number(value) and 0 <= value <= 1


def is_pair(value: Any, of: Callable[[Any], bool] = is_number) -> bool:
    """Whether `value` is a list or tuple of two elements that all satisfy `of`."""
    return isinstance(value, (list, tuple)) and len(value) == 2 and all(of(item) for item in value)


def is_range(value: Any, of: Callable[[Any], bool] = is_number) -> bool:
    """Whether `value` is a pair (low, high) with low <= high."""
    return is_pair(value, of) and value[0] <= value[1]


def is_fill(value: Any) -> bool:
    """Whether `value` can fill a border: a number, or a list or tuple of one number a channel (at most four)."""
    return is_number(value) or (
        isinstance(value, (list, tuple)) and 1 <= len(value) <= 4 and all(is_number(item) for item in value)
    )


def check_file_client(owner: object, file_client_args: Any) -> None:
    """Raise ConfigError unless `file_client_args` is None or asks for files on the local disk."""
    backend = "disk" if file_client_args is None else dict(file_client_args).get("backend", "disk")
    require(backend == "disk", owner, "file_client_args.backend", "'disk' (the only storage there is)", backend)


def generator(rng: Optional[np.random.Generator]) -> np.random.Generator:
    """`rng`, or a generator seeded by the system when it is None."""
    return np.random.default_rng() if rng is None else rng
