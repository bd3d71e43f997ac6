"""Reads a config file with its bases: Python without executing it, JSON and YAML."""

import ast
import contextlib
import json
import os
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple, Union

from mmseg.config.custom_imports import IMPORTS_KEY, is_built_in
from mmseg.config.evaluator import Evaluator
from mmseg.config.limits import (
    MAX_BASE_DEPTH,
    MAX_FILE_BYTES,
    MAX_FILES,
    MAX_MESSAGE,
    MAX_TOTAL_BYTES,
    Budget,
    LimitError,
)
from mmseg.config.merge import BASE_KEY, DEPRECATION_KEY, merge, without_delete_keys
from mmseg.config.source import FILE_VARIABLES, References, parse_python
from mmseg.config.yaml_text import parse_yaml
from mmseg.errors import ConfigError

SUFFIXES = (".py", ".json", ".yaml", ".yml")
_MAX_PATH = 4095  # of Linux
_Resolver = Callable[[str], Any]


def read_file(path: Union[str, Path], base_root: Optional[Path] = None) -> Dict[str, Any]:
    """The resolved content of a config file.

    :param base_root: when given, every `_base_` file must lie in this folder; for files of unknown origin
    :raises ConfigError: when the file or one of its bases cannot be read or asks for something that is not allowed
    """
    filename = os.path.abspath(os.path.expanduser(os.fspath(path)))
    with _short_messages():
        return _Reader(base_root).read(filename, [])


def read_text(text: str, suffix: str) -> Dict[str, Any]:
    """The content of a config given as text; it has no folder, hence no bases and no file variables.

    :raises ConfigError: as for a file
    """
    if suffix not in SUFFIXES:
        raise ConfigError(f"a config text must be of the kind {', '.join(SUFFIXES)}, not {suffix!r}")
    if len(text) > MAX_FILE_BYTES:
        raise ConfigError(f"<string>: the config is longer than {MAX_FILE_BYTES} characters")
    with _short_messages():
        return _Reader(None).resolve("<string>", suffix, text, [])


def evaluate_expression(text: str, name: str) -> Any:
    """The value of one expression in the language of the config files, without any variables.

    :param name: stands for the file in messages
    :raises ConfigError: when it is not an expression or not allowed
    """
    with _short_messages():
        module, references = parse_python(text.strip(), name)
        if len(module.body) != 1 or not isinstance(module.body[0], ast.Expr):
            raise ConfigError(f"{name}: {text[:100]!r} is not a value")
        budget = Budget()

        def refuse(reference: str) -> Any:
            raise LookupError(f"{{{{ {reference} }}}} is possible only in a config file")

        evaluator = Evaluator(filename=name, budget=budget, references=references, resolve=refuse)
        evaluator.check(module)
        return _plain(evaluator.evaluate(module.body[0].value), budget, name)


@contextlib.contextmanager
def _short_messages() -> Iterator[None]:
    """Messages quote names and values of a file, which may be as long as the file."""
    try:
        yield
    except ConfigError as error:
        text = str(error)
        if len(text) <= MAX_MESSAGE:
            raise
        raise ConfigError(f"{text[:MAX_MESSAGE]}…") from error


class _Reader:
    """Reads one config: counts its files and its work."""

    def __init__(self, base_root: Optional[Path]) -> None:
        self._base_root = None if base_root is None else os.path.realpath(os.fspath(base_root))
        self._budget = Budget()
        self._files = 0
        self._bytes = 0

    def read(self, filename: str, children: List[str]) -> Dict[str, Any]:
        """Read a file; `children` are the files that led to it, by their real paths."""
        real = os.path.realpath(filename)
        if real in children:
            raise ConfigError(f"{children[-1]}: its {BASE_KEY} {filename} is based on this file in turn")
        self._files += 1
        if self._files > MAX_FILES or len(children) >= MAX_BASE_DEPTH:
            raise ConfigError(f"{children[0]}: it has more than {MAX_FILES} base files or {MAX_BASE_DEPTH} levels")
        suffix = os.path.splitext(filename)[1]
        if suffix not in SUFFIXES:
            raise ConfigError(f"{filename}: a config file must end in {', '.join(SUFFIXES)}")
        text = _read_text_file(filename, children)
        self._bytes += len(text)
        if self._bytes > MAX_TOTAL_BYTES:
            raise ConfigError(f"{children[0]}: with its bases it is longer than {MAX_TOTAL_BYTES} characters")
        return self.resolve(filename, suffix, text, [*children, real])

    def resolve(self, filename: str, suffix: str, text: str, children: List[str]) -> Dict[str, Any]:
        """From the text of a file to its content with its bases under it."""
        bases = _Bases(self, filename, children)
        if suffix == ".py":
            content = self._evaluate(filename, text, bases)
        else:
            content = self._load(filename, suffix, text, bases)
        for key in content:
            if not isinstance(key, str):
                raise ConfigError(f"{filename}: the key {key!r} at the top of the config must be a string")
        if content.get(IMPORTS_KEY) and not is_built_in(content[IMPORTS_KEY]):
            raise ConfigError(
                f"{filename}: {IMPORTS_KEY!r} is not possible, because nothing in a config file is executed; remove it"
            )
        content.pop(DEPRECATION_KEY, None)
        if BASE_KEY in content:
            base = bases.of(content.pop(BASE_KEY))
            return merge(content, base, where=filename)
        return without_delete_keys(content)

    def _evaluate(self, filename: str, text: str, bases: "_Bases") -> Dict[str, Any]:
        module, references = parse_python(text, filename)

        def resolve(name: str) -> Any:
            if name in FILE_VARIABLES:
                return _file_variable(name, filename)
            return self._budget.copy(bases.lookup(name, self._declared(evaluator, module)))

        evaluator = Evaluator(filename=filename, budget=self._budget, references=references, resolve=resolve)
        names = evaluator.run(module)
        return _plain({key: value for key, value in names.items() if not key.startswith("__")}, self._budget, filename)

    @staticmethod
    def _declared(evaluator: Evaluator, module: ast.Module) -> Any:
        """The `_base_` of a file that is still being evaluated; it may stand below its first use."""
        if BASE_KEY in evaluator.names:
            return evaluator.names[BASE_KEY]
        for statement in module.body:
            if isinstance(statement, ast.Assign) and any(
                isinstance(target, ast.Name) and target.id == BASE_KEY for target in statement.targets
            ):
                return evaluator.evaluate(statement.value)
        raise LookupError(f"a value of {BASE_KEY} is used, but the file has no {BASE_KEY}")

    def _load(self, filename: str, suffix: str, text: str, bases: "_Bases") -> Dict[str, Any]:
        references = References(text)
        references.quote_bare()
        content = _parse_json(references.text, filename) if suffix == ".json" else parse_yaml(references.text, filename)
        if not isinstance(content, dict):
            raise ConfigError(f"{filename}: a mapping is expected at the top, not {type(content).__name__}")
        content = _plain(content, self._budget, filename)

        def resolve(name: str) -> Any:
            if name in FILE_VARIABLES:
                return _file_variable(name, filename)
            if BASE_KEY not in content:
                raise LookupError(f"a value of {BASE_KEY} is used, but the file has no {BASE_KEY}")
            declared = _substitute(content[BASE_KEY], references, resolve)
            return self._budget.copy(bases.lookup(name, declared))

        try:
            return _plain(_substitute(content, references, resolve), self._budget, filename)
        except (LookupError, ValueError, TypeError, RecursionError) as error:
            raise ConfigError(f"{filename}: {_message(error)}") from error

    def check_base(self, filename: str, base: str) -> None:
        """Refuse a base outside of the folder that bases must lie in."""
        real = os.path.realpath(base)
        if self._base_root is not None and os.path.commonpath([self._base_root, real]) != self._base_root:
            raise ConfigError(f"{filename}: its {BASE_KEY} {base} lies outside of the folder {self._base_root}")


class _Bases:
    """The bases of one file, read when they are first needed."""

    def __init__(self, reader: _Reader, filename: str, children: List[str]) -> None:
        self._reader, self._filename, self._children = reader, filename, children
        self._read: Optional[Tuple[List[str], Dict[str, Any]]] = None

    def of(self, declared: Any) -> Dict[str, Any]:
        """The entries of all files that the value of `_base_` names, none of which may define the same key."""
        paths = list(declared) if isinstance(declared, (list, tuple)) else [declared]
        if not all(isinstance(path, str) and 0 < len(path) <= _MAX_PATH and "\0" not in path for path in paths):
            # Not shown: it has not been copied yet, so its parts may be shared, and its text of any length.
            raise ConfigError(f"{self._filename}: {BASE_KEY} must be a path or a list of paths")
        if self._read is None or self._read[0] != paths:
            if not self._children:
                raise ConfigError(
                    f"{self._filename}: a config given as text has no folder that {BASE_KEY} could start from"
                )
            self._read = (paths, self._merged(paths))
        return self._read[1]

    def _merged(self, paths: List[str]) -> Dict[str, Any]:
        entries: Dict[str, Any] = {}
        origin: Dict[str, str] = {}
        for path in paths:
            base = os.path.abspath(os.path.join(os.path.dirname(self._filename), path))
            self._reader.check_base(self._filename, base)
            for key, value in self._reader.read(base, self._children).items():
                if key in entries:
                    raise ConfigError(f"{self._filename}: its bases {origin[key]} and {path} both define {key!r}")
                entries[key], origin[key] = value, path
        return entries

    def lookup(self, reference: str, declared: Any) -> Any:
        """The value that `_base_.a.b` names. Raises LookupError when the bases have none such."""
        value: Any = self.of(declared)
        for part in reference.split(".")[1:]:
            if isinstance(value, dict) and part in value:
                value = value[part]
            elif (
                isinstance(value, (list, tuple)) and part.isascii() and part.isdecimal() and int(part[:9]) < len(value)
            ):
                value = value[int(part[:9])]
            else:
                raise LookupError(f"{{{{ {reference} }}}}: the bases have no {part!r} there")
        return value


def _read_text_file(filename: str, children: List[str]) -> str:
    """The text of a regular file. Raises ConfigError, naming the file and the one that is based on it."""
    cause = f", which is a {BASE_KEY} of {children[-1]}" if children else ""
    if not os.path.isfile(filename):
        raise ConfigError(f"there is no config file {filename}{cause}")
    try:
        with open(filename, "rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"the config file {filename}{cause} cannot be read: {error.strerror}") from error
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(f"{filename}: the config file is larger than {MAX_FILE_BYTES} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{filename}:{line}: the config file is not UTF-8 text") from error


def _file_variable(name: str, filename: str) -> str:
    if filename == "<string>":
        raise LookupError(f"{{{{ {name} }}}} is possible only in a config file")
    stem, suffix = os.path.splitext(os.path.basename(filename))
    return {
        "fileDirname": os.path.dirname(filename).replace("\\", "/"),
        "fileBasename": stem + suffix,
        "fileBasenameNoExtension": stem,
        "fileExtname": suffix,
    }[name]


def _substitute(value: Any, references: References, resolve: _Resolver) -> Any:
    """`value` of a JSON or YAML file with its references resolved; a string that is one becomes the value itself."""
    if isinstance(value, dict):
        return {
            _substitute(key, references, resolve): _substitute(item, references, resolve) for key, item in value.items()
        }
    if isinstance(value, list):
        return [_substitute(item, references, resolve) for item in value]
    if isinstance(value, tuple):
        return tuple(_substitute(item, references, resolve) for item in value)
    if isinstance(value, str):
        mark = references.whole(value)
        return resolve(references.name(mark)) if mark else references.substitute(value, resolve)
    return value


def _parse_json(text: str, filename: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{filename}:{error.lineno}: this is not valid JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{filename}: {_message(error)}") from error


def _plain(value: Any, budget: Budget, filename: str) -> Any:
    """`value` as data of its own, nothing shared. Raises ConfigError for what no config may hold, or too much of it."""
    try:
        return budget.copy(value)
    except (LimitError, TypeError, RecursionError) as error:
        raise ConfigError(f"{filename}: {_message(error)}") from error


def _message(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "the config is nested too deeply to be read"
    return str(error).split("\n")[0]
