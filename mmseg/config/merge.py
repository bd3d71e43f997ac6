"""How a config takes over from its bases, and how dotted overrides take over from a config."""

from typing import Any, Dict, List, Mapping

from mmseg.errors import ConfigError

BASE_KEY = "_base_"
DELETE_KEY = "_delete_"
DEPRECATION_KEY = "_deprecation_"


def merge(
    child: Mapping[str, Any], base: Mapping[str, Any], *, where: str, allow_list_keys: bool = False
) -> Dict[str, Any]:
    """`base` with the entries of `child` over it, dicts within dicts; neither is changed.

    A dict with `_delete_=True` replaces the base's value instead of going over it. With `allow_list_keys`, a dict such
    as `{"0": …}` goes over the items of a list or tuple.

    :param where: begins the messages, e.g. the name of the child's file
    :raises ConfigError: when a dict would go over something that is neither a dict nor None
    """
    return _merge(child, base, where, allow_list_keys, [])


def _merge(child: Any, base: Any, where: str, allow_list_keys: bool, path: List[str]) -> Any:
    if isinstance(base, (list, tuple)):
        items = list(base)
        for key, value in child.items():
            index = list_index(key, items, where, [*path, str(key)])
            items[index] = _value(value, items[index], where, allow_list_keys, [*path, str(key)])
        return tuple(items) if isinstance(base, tuple) else items
    result = dict(base)
    for key, value in child.items():
        if key == DELETE_KEY:
            continue
        result[key] = _value(value, result.get(key), where, allow_list_keys, [*path, str(key)])
    return result


def _value(value: Any, base: Any, where: str, allow_list_keys: bool, path: List[str]) -> Any:
    if not isinstance(value, dict):
        return without_delete_keys(value)
    if base is None or value.get(DELETE_KEY, False):
        return without_delete_keys(value)
    if isinstance(base, dict) or (allow_list_keys and isinstance(base, (list, tuple))):
        return _merge(value, base, where, allow_list_keys, path)
    raise ConfigError(
        f"{where}: {'.'.join(path)!r} is a dict, but there is a {type(base).__name__} to be changed;"
        f" give the dict {DELETE_KEY}=True to replace it"
    )


def list_index(key: Any, items: Any, where: str, path: List[str]) -> int:
    """The index that the part `key` of a dotted key means in `items`. Raises ConfigError when it has none such."""
    full_key = ".".join(path)
    if not (isinstance(key, str) and key.isascii() and key.isdecimal()):
        raise ConfigError(
            f"{where}: {full_key!r} goes into a {type(items).__name__}, so an index must stand for {key!r}"
        )
    if len(key) > 9 or int(key) >= len(items):
        raise ConfigError(f"{where}: {full_key!r} is out of range, for there are {len(items)} items")
    return int(key)


def without_delete_keys(value: Any) -> Any:
    """A copy of `value` without any `_delete_`: there is nothing left for it to delete."""
    if isinstance(value, dict):
        return {key: without_delete_keys(item) for key, item in value.items() if key != DELETE_KEY}
    if isinstance(value, list):
        return [without_delete_keys(item) for item in value]
    if type(value) is tuple:
        return tuple(without_delete_keys(item) for item in value)
    return value


def override(config: Dict[str, Any], key: str, value: Any, *, allow_list_keys: bool = True) -> Dict[str, Any]:
    """`config` with `value` at the dotted `key`; `config` itself is not changed. Missing dicts on the way are made.

    :raises ConfigError: when the key is not one, is out of range, or leads into something that has no keys
    """
    if not isinstance(key, str) or not all(part.strip() for part in key.split(".")):
        raise ConfigError(f"the override {key!r} must be a key such as 'optimizer.lr'")
    return _override(config, key.split("."), 0, value, allow_list_keys)


def _override(node: Any, parts: List[str], depth: int, value: Any, allow_list_keys: bool) -> Any:
    where = f"override {'.'.join(parts)!r}"
    if depth == len(parts):
        return _value(value, node, where, allow_list_keys, parts)
    part = parts[depth]
    if isinstance(node, (list, tuple)) and allow_list_keys:
        index = list_index(part, node, where, parts[: depth + 1])
        items = list(node)
        items[index] = _override(items[index], parts, depth + 1, value, allow_list_keys)
        return tuple(items) if isinstance(node, tuple) else items
    if node is None:
        node = {}
    if not isinstance(node, dict):
        raise ConfigError(f"{where}: {'.'.join(parts[:depth])!r} is a {type(node).__name__}, which has no key {part!r}")
    return {**node, part: _override(node.get(part), parts, depth + 1, value, allow_list_keys)}
