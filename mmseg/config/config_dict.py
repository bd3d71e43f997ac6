"""The dicts inside of a config: plain dicts whose string keys can also be written as attributes."""

from typing import Any, Dict


class ConfigDict(dict):
    """A dict with attribute access. Dicts put into it, also those in lists and tuples, become ConfigDicts too.

    >>> ConfigDict(model=dict(pretrained=None)).model.pretrained

    A missing attribute raises AttributeError. The names of dict's own methods are reached as items only.
    """

    __slots__ = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.update(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        # Names such as __deepcopy__ are asked for by Python itself; no key must answer for them.
        if name in self and not (name.startswith("__") and name.endswith("__")):
            return self[name]
        raise AttributeError(f"the config has no {name!r} here; there are {', '.join(map(str, self)) or 'no keys'}")

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(dict, name) or hasattr(type(self), name):
            raise AttributeError(f"{name!r} is a method of dict; set the key as an item")
        self[name] = value

    def __delattr__(self, name: str) -> None:
        if name not in self:
            raise AttributeError(f"the config has no {name!r} here")
        del self[name]

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, to_config(value))

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """As of dict."""
        if key not in self:
            self[key] = default
        return self[key]

    def update(self, *args: Any, **kwargs: Any) -> None:
        """As of dict: nested dicts are replaced, not merged."""
        for key, value in dict(*args, **kwargs).items():
            self[key] = value

    def __ior__(self, other: Any) -> "ConfigDict":
        self.update(other)
        return self

    def copy(self) -> "ConfigDict":
        """A shallow copy."""
        return type(self)(self)

    def to_dict(self) -> Dict[Any, Any]:
        """A copy made of plain dicts, lists and tuples."""
        return to_plain(self)


def to_config(value: Any) -> Any:
    """`value` with every dict in it as a ConfigDict."""
    if isinstance(value, dict):
        return value if isinstance(value, ConfigDict) else ConfigDict(value)
    if type(value) is list:
        return [to_config(item) for item in value]
    if type(value) is tuple:
        return tuple(to_config(item) for item in value)
    return value


def to_plain(value: Any) -> Any:
    """A copy of `value` with every dict in it as a plain dict; other objects stay what they are."""
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    if type(value) is list:
        return [to_plain(item) for item in value]
    if type(value) is tuple:
        return tuple(to_plain(item) for item in value)
    return value
