"""Registries: from the `type` names of config files to classes."""

import difflib
import inspect
from typing import Any, Callable, Dict, Mapping, Optional

from mmseg.errors import ConfigError


class Registry:
    """A named mapping from `type` names to classes or functions.

    >>> HEADS = Registry("head")
    >>> @HEADS.register_module()
    ... class FCNHead: ...
    >>> HEADS.build(dict(type="FCNHead"))
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._modules: Dict[str, Callable[..., Any]] = {}

    def __contains__(self, type_name: str) -> bool:
        return type_name in self._modules

    @property
    def module_dict(self) -> Mapping[str, Callable[..., Any]]:
        """All registered names with what they stand for."""
        return dict(self._modules)

    def register_module(self, name: Optional[str] = None) -> Callable[[Any], Any]:
        """Decorator that registers a class or function under `name` (default: its own name)."""

        def register(module: Any) -> Any:
            key = name or module.__name__
            if key in self._modules and self._modules[key] is not module:
                raise KeyError(f"{self.name} {key!r} is registered twice")
            self._modules[key] = module
            return module

        return register

    def get(self, type_name: str) -> Callable[..., Any]:
        """The class or function registered under `type_name`. Raises ConfigError when there is none."""
        if not isinstance(type_name, str) or type_name not in self._modules:
            close = difflib.get_close_matches(str(type_name), self._modules, n=3)
            hint = f"; did you mean {', '.join(close)}?" if close else f"; known: {', '.join(sorted(self._modules))}"
            raise ConfigError(f"there is no {self.name} of type {type_name!r}{hint}")
        return self._modules[type_name]

    def build(self, cfg: Mapping[str, Any], **defaults: Any) -> Any:
        """Build `cfg['type']` with the other entries of `cfg` as keyword arguments, over `defaults`.

        Raises ConfigError when the type is unknown, an argument does not exist, or nothing can be built with its value.
        """
        if not isinstance(cfg, Mapping) or "type" not in cfg:
            raise ConfigError(f"a {self.name} must be a dict with the key 'type', not {cfg!r}")
        arguments = {**defaults, **cfg}
        module = self.get(arguments.pop("type"))
        try:
            _bind(module, arguments)
        except TypeError as error:
            raise ConfigError(f"{self.name} {cfg['type']}: {error}") from error
        try:
            return module(**arguments)
        except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RuntimeError) as error:
            if "allocate" in str(error):  # torch has no class of its own for want of memory
                raise
            raise ConfigError(f"{self.name} {cfg['type']} cannot be built with these arguments: {error}") from error


def _bind(module: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    """Raise TypeError where `module` cannot be called with `arguments`."""
    if inspect.isclass(module):
        # Not the signature of the class itself: on Python 3.8 a Generic base hides it.
        inspect.signature(module.__init__).bind(None, **arguments)
    else:
        inspect.signature(module).bind(**arguments)
