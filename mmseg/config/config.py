"""A whole config: read from a file, changed by overrides, written to a file."""

import contextlib
import os
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterator, Mapping, MutableMapping, Optional, Union

from mmseg.config.config_dict import ConfigDict, to_plain
from mmseg.config.merge import override
from mmseg.config.reader import read_file, read_text
from mmseg.config.writer import format_config
from mmseg.errors import ConfigError

RESERVED_KEYS = ("filename", "text", "pretty_text")


class Config(MutableMapping):
    """The resolved content of a config, by items and, at every depth, by attributes.

    >>> cfg = Config.fromfile("configs/fastscnn/fast_scnn_lr0.12_8x4_160k_cityscapes.py")
    >>> cfg.model.backbone.type
    'FastSCNN'

    Two configs are equal when their content is.
    """

    def __init__(self, cfg_dict: Optional[Mapping[str, Any]] = None, *, filename: Optional[str] = None) -> None:
        """Copy `cfg_dict`. Raises ConfigError when it is no mapping or has a key of RESERVED_KEYS."""
        if cfg_dict is not None and not isinstance(cfg_dict, Mapping):
            raise ConfigError(f"a config is made from a dict, not from a {type(cfg_dict).__name__}")
        object.__setattr__(self, "_data", ConfigDict())
        object.__setattr__(self, "_filename", filename)
        for key, value in (cfg_dict or {}).items():
            self[key] = to_plain(value)

    @classmethod
    def fromfile(cls, path: Union[str, Path], base_root: Optional[Union[str, Path]] = None) -> "Config":
        """Read a .py, .json, .yaml or .yml file of mmsegmentation 0.x with its `_base_` files; nothing is executed.

        :param base_root: when given, refuses `_base_` files outside of this folder; for packages of strangers
        :raises ConfigError: when the file or a base is missing, cannot be read, or holds what is not allowed
        """
        return cls(read_file(path, base_root), filename=os.fspath(path))

    @classmethod
    def fromstring(cls, text: str, suffix: str = ".py") -> "Config":
        """Read the text of a config; as it lies in no folder, it can have no `_base_`.

        :raises ConfigError: as for a file
        """
        return cls(read_text(text, suffix))

    @property
    def filename(self) -> Optional[str]:
        """The file this was read from, as it was given; None when there is none."""
        return self._filename

    @property
    def pretty_text(self) -> str:
        """The content as the text of a Python config file. Raises ConfigError when it cannot be written as one."""
        return format_config(self._data)

    def dump(self, path: Union[str, Path]) -> None:
        """Write `pretty_text` to `path`, which must end in .py: either the whole file or nothing.

        :raises ConfigError: when the content cannot be written as a config file
        """
        path = Path(path)
        if path.suffix != ".py":
            raise ConfigError(f"{path}: a config is written as a file that ends in .py")
        _replace_file(path, self.pretty_text)

    def to_dict(self) -> Dict[str, Any]:
        """A copy made of plain dicts, lists and tuples."""
        return to_plain(self._data)

    def merge_from_dict(self, options: Mapping[str, Any], allow_list_keys: bool = True) -> None:
        """Put overrides over the content, or none of them when one fails.

        :param options: dotted keys to values, e.g. `{"optimizer.lr": 0.02, "data.train.pipeline.0.type": "X"}`; a
            dict as a value goes over the dict that is there, unless it has `_delete_=True`
        :param allow_list_keys: lets a number in a key stand for the index in a list or tuple
        :raises ConfigError: names the key that is empty, out of range, or leads into something without keys
        """
        data = self.to_dict()
        for key, value in options.items():
            data = override(data, key, to_plain(value), allow_list_keys=allow_list_keys)
        object.__setattr__(self, "_data", Config(data)._data)

    def __getitem__(self, key: str) -> Any:
        return self._data[key]

    def __setitem__(self, key: str, value: Any) -> None:
        if key in RESERVED_KEYS:
            place = f"{self._filename}: " if self._filename else ""
            raise ConfigError(f"{place}a config cannot have the key {key!r} at its top, for it is reserved")
        self._data[key] = value

    def __delitem__(self, key: str) -> None:
        del self._data[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __getattr__(self, name: str) -> Any:
        if name == "_data":  # asked for before __init__ has run
            raise AttributeError(name)
        return self._data.__getattr__(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(type(self), name):
            raise AttributeError(f"{name!r} is a member of Config; set the key as an item")
        self[name] = value

    def __delattr__(self, name: str) -> None:
        self._data.__delattr__(name)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Config):
            return self._data == other._data
        return self._data == other if isinstance(other, Mapping) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Config({self.to_dict()!r}, filename={self._filename!r})"

    def __reduce__(self) -> Any:
        return _restore, (self.to_dict(), self._filename)


def _restore(content: Dict[str, Any], filename: Optional[str]) -> Config:
    return Config(content, filename=filename)


def _replace_file(path: Path, text: str) -> None:
    """Write beside the file and rename, so that a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=str(path.parent), prefix=f".{path.name}.")
    try:
        with open(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)  # mkstemp makes files that only their owner can read
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
