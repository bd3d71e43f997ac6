"""What a file must be like before a reader of checkpoints gets to see it.

A pickle is a program for a small stack machine, and an archive says itself how large it becomes. So both are gone
through here without making anything of what they describe: a file that would fill the memory, exhaust the stack or keep
the machine busy is refused whichever reader would come next, and so is one that uses what no `torch.save` writes.
The instructions are those of PEP 307 (protocol 2), the only protocol that torch writes.
"""

import io
import os
import pickletools
import stat
import zipfile
from typing import Any, BinaryIO, Container, Dict, List, NamedTuple, NoReturn, Optional, Tuple

from mmseg.engine.checkpoint_records import Malformed, RefusedGlobal

MAX_OPERATIONS = 2_000_000  # a model of a thousand tensors with its optimizer has some hundred thousand
MAX_DEPTH = 100  # tuples in tuples; hashing them recurses in C
MAX_TEXT = 64  # longer texts are no encodings

ZIP_MAGIC = b"PK\x03\x04"
_LEGACY_PICKLES = 5  # magic number, version, system, content, keys of the storages
_ENCODINGS = frozenset(["latin1", "latin-1", "ascii", "utf-8", "utf8"])
PYTHON_2_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}

_NUMBERS = frozenset(["NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"])
_LEAVES = _NUMBERS | {"BINUNICODE", "SHORT_BINSTRING", "EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET"}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
# How many values an instruction takes from the stack while the one below them stays.
_TAKES = {"APPEND": 1, "SETITEM": 2, "BUILD": 1}


class _Value(NamedTuple):
    """What is known of a value on the stack: how deeply tuples are nested in it, and what a call is checked by."""

    depth: int = 0
    text: Optional[str] = None
    items: Optional[Tuple[Any, ...]] = None
    name: Optional[str] = None


_PLAIN = _Value()
_MARK = _Value(depth=-1)


class _Machine:
    """Goes through the instructions of one pickle."""

    def __init__(self, names: Container[str]) -> None:
        self._names = names
        self._stack: List[_Value] = []
        self._memo: Dict[int, _Value] = {}

    def step(self, operation: str, argument: Any, count: int) -> None:
        """One instruction, the `count`-th."""
        if operation in _LEAVES:
            short = isinstance(argument, str) and len(argument) <= MAX_TEXT
            self._stack.append(_Value(text=argument) if short else _PLAIN)
        elif operation in _TUPLES:
            self._tuple(self._pop(_TUPLES[operation]))
        elif operation == "TUPLE":
            self._tuple(self._pop_mark())
        elif operation in _TAKES:
            self._pop(_TAKES[operation])
            self._top()
        elif operation in ("APPENDS", "SETITEMS"):
            self._pop_mark()
            self._top()
        elif operation == "MARK":
            self._stack.append(_MARK)
        elif operation == "GLOBAL":
            self._stack.append(_Value(name=self._global(argument)))
        elif operation == "REDUCE":
            self._call(*self._pop(2))
        elif operation == "BINPERSID":
            self._stack.append(_Value(depth=self._pop(1)[0].depth))
        elif operation in ("BINPUT", "LONG_BINPUT"):
            if argument > count:
                raise Malformed(f"keeps a value under the number {argument}, though it has far fewer")
            self._memo[argument] = self._top()
        elif operation in ("BINGET", "LONG_BINGET"):
            if argument not in self._memo:
                raise Malformed(f"refers to a value {argument} that it does not have")
            self._stack.append(self._memo[argument])
        elif operation not in ("PROTO", "STOP"):
            raise RefusedGlobal(f"the pickle instruction {operation}")

    def _global(self, argument: str) -> str:
        module, _, name = argument.partition(" ")
        full = f"{PYTHON_2_MODULES.get(module, module)}.{name}"
        if full not in self._names:
            raise RefusedGlobal(full)
        return full

    def _call(self, function: _Value, arguments: _Value) -> None:
        if function.name is None:
            raise Malformed("calls something that has no name")
        if function.name == "_codecs.encode":
            # Some encodings take time that grows with the square of the text.
            items = arguments.items or ()
            encoding = items[1].text if len(items) == 2 else None
            if encoding not in _ENCODINGS:
                raise RefusedGlobal(f"_codecs.encode({encoding!r})")
        self._push(_Value(depth=arguments.depth))

    def _tuple(self, items: List[_Value]) -> None:
        # Only the pairs of a call's arguments are looked into.
        kept = tuple(items) if len(items) == 2 else None
        self._push(_Value(depth=1 + max([item.depth for item in items], default=0), items=_flat(kept)))

    def _push(self, value: _Value) -> None:
        if value.depth > MAX_DEPTH:
            raise Malformed(f"holds tuples that are nested deeper than {MAX_DEPTH} levels")
        self._stack.append(value)

    def _pop(self, count: int) -> List[_Value]:
        taken = self._stack[len(self._stack) - count :] if count else []
        if len(taken) < count or _MARK in taken:
            self._underflow()
        del self._stack[len(self._stack) - count :]
        return taken

    def _pop_mark(self) -> List[_Value]:
        for position in range(len(self._stack) - 1, -1, -1):
            if self._stack[position] is _MARK:
                taken = self._stack[position + 1 :]
                del self._stack[position:]
                return taken
        self._underflow()

    def _top(self) -> _Value:
        if not self._stack or self._stack[-1] is _MARK:
            self._underflow()
        return self._stack[-1]

    @staticmethod
    def _underflow() -> NoReturn:
        raise Malformed("takes values from an empty stack")


def _flat(items: Optional[Tuple[_Value, ...]]) -> Optional[Tuple[_Value, ...]]:
    """The items without theirs, so that what is kept does not grow with the nesting."""
    return None if items is None else tuple(item._replace(items=None) for item in items)


def check_pickle(file: BinaryIO, names: Container[str]) -> None:
    """Go through one pickle, from where `file` stands to its end; nothing is made of it.

    Args:
        names: what it may ask for, as `module.name`.

    Raises:
        RefusedGlobal: it asks for another name, or uses an instruction that no weights need.
        Malformed: it is too long, too deeply nested, or no pickle of protocol 2.
    """
    machine = _Machine(names)
    try:
        for count, (operation, argument, _) in enumerate(pickletools.genops(file)):
            if count > MAX_OPERATIONS:
                raise Malformed(f"has a pickle of more than {MAX_OPERATIONS} instructions")
            machine.step(operation.name, argument, count)
    except (ValueError, UnicodeDecodeError) as error:
        raise Malformed(f"is damaged, truncated or not a checkpoint: {str(error)[:200]}") from error


def is_archive(path: str) -> bool:
    """Whether the file is in the format since torch 1.6, which begins as every zip archive does."""
    with open(path, "rb") as file:
        return file.read(len(ZIP_MAGIC)) == ZIP_MAGIC


def check_file(path: str, names: Container[str]) -> None:
    """Go through the archive and the pickles of a file of either format of `torch.save`. Raises as `check_pickle`."""
    if is_archive(path):
        _check_archive(path, names)
        return
    with open(path, "rb") as file:
        for _ in range(_LEGACY_PICKLES):
            check_pickle(file, names)


def _check_archive(path: str, names: Container[str]) -> None:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise Malformed(f"is damaged, truncated or not a checkpoint: {error}") from error
    with archive:
        entries = archive.infolist()
        for entry in entries:
            _check_entry(entry)
        if len({entry.filename for entry in entries}) != len(entries):
            raise Malformed("is an archive with two members of one name")
        # Members that are neither packed nor overlap fit into their archive.
        if sum(entry.file_size for entry in entries) > os.path.getsize(path):
            raise Malformed("is an archive whose members are larger than itself")
        for entry in entries:
            if entry.filename.endswith(".pkl"):
                try:
                    content = archive.read(entry)
                except (zipfile.BadZipFile, EOFError, ValueError) as error:
                    raise Malformed(f"is damaged, truncated or not a checkpoint: {error}") from error
                check_pickle(io.BytesIO(content), names)


def _check_entry(entry: zipfile.ZipInfo) -> None:
    shown = repr(entry.filename[:100])
    if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
        raise Malformed(f"is an archive whose member {shown} is packed, which torch.save never does")
    if entry.flag_bits & 1:
        raise Malformed(f"is an archive whose member {shown} is encrypted")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise Malformed(f"is an archive whose member {shown} is a link")
    if entry.filename.startswith("/") or "\\" in entry.filename or ".." in entry.filename.split("/"):
        raise Malformed(f"is an archive whose member {shown} would lie outside of it")
