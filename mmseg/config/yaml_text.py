"""YAML text to plain values, with a bound on what aliases multiply."""

from typing import Any, Tuple, Type

import yaml

from mmseg.config.limits import MAX_FILE_BYTES, MAX_ITEMS, Budget, LimitError
from mmseg.errors import ConfigError


class _YamlLoader(yaml.SafeLoader):
    """PyYAML's safe loader, with tuples, and with a bound on what `<<` merge keys multiply."""

    def flatten_mapping(self, node: Any) -> None:
        super().flatten_mapping(node)
        if len(node.value) > MAX_ITEMS:
            raise LimitError(f"a mapping has more than {MAX_ITEMS} entries")

    def tuple_of(self, node: Any) -> Tuple[Any, ...]:
        return tuple(self.construct_sequence(node, deep=True))


class _PlainLoader(_YamlLoader):
    """Leaves what looks like a date as it is written, and refuses a key that is there twice."""

    def compose_mapping_node(self, anchor: Any) -> Any:
        # Here and not where the mapping is made: by then what `<<` brings in stands among its keys.
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise yaml.composer.ComposerError(
                        None, None, f"the key {key.value!r} is there twice", key.start_mark
                    )
                seen.add((key.tag, key.value))
        return node


_YamlLoader.add_constructor("tag:yaml.org,2002:python/tuple", _YamlLoader.tuple_of)
_PlainLoader.add_constructor("tag:yaml.org,2002:timestamp", _PlainLoader.construct_yaml_str)


class _Invalid(Exception):
    """Why a text is no YAML, and in which line, or 0."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(line, reason)
        self.line, self.reason = line, reason


def parse_yaml(text: str, name: str) -> Any:
    """What a YAML text says; parts that aliases refer to are shared, so whoever walks it copies it first.

    :param name: stands for the file in messages
    :raises ConfigError: when it is no YAML, or has tags that stand for anything else than data
    """
    try:
        return _load(text, _YamlLoader)
    except _Invalid as error:
        line = f":{error.line}" if error.line else ""
        raise ConfigError(f"{name}{line}: this is not valid YAML: {error.reason}") from error


def load_plain_yaml(text: str, name: str) -> Any:
    """What a YAML text says, as values in which nothing is shared: dicts, lists, tuples, strings, numbers.

    Aliases of aliases (a few lines that mean millions of values) are refused, so the values can be shown in messages.
    A date is the text of it.

    :param name: stands for the file in messages
    :raises ConfigError: when it is no YAML, has a key twice, is too long, or means other values or too many of them
    """
    if len(text) > MAX_FILE_BYTES:
        raise ConfigError(f"{name} is longer than {MAX_FILE_BYTES} characters")
    try:
        return Budget().copy(_load(text, _PlainLoader))
    except _Invalid as error:
        line = f"line {error.line}: " if error.line else ""
        raise ConfigError(f"{name} is not valid YAML: {line}{error.reason}") from error
    except (LimitError, TypeError, RecursionError) as error:
        raise ConfigError(f"{name} cannot be used: {_reason(error)}") from error


def _load(text: str, loader: Type[yaml.SafeLoader]) -> Any:
    try:
        return yaml.load(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        raise _Invalid(error.problem_mark.line + 1 if error.problem_mark else 1, str(error.problem)) from error
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise _Invalid(0, _reason(error)) from error


def _reason(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply to be read"
    if isinstance(error, KeyError):
        return f"there is no key {error.args[0]!r}"
    return str(error).split("\n")[0][:300]
