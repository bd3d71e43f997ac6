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
import sys
import zipfile
from typing import Any, BinaryIO, Container, Dict, Iterable, List, NoReturn, Optional, Sequence

from mmseg.engine.checkpoint_records import Malformed, RefusedGlobal

MAX_OPERATIONS = 2_000_000  # a model of a thousand tensors with its optimizer has some hundred thousand
MAX_DEPTH = 100  # tuples in tuples; hashing them recurses in C
MAX_HASH_WORK = 10_000  # of all keys that are no texts and no usual numbers; equal hashes cost the square of it
MAX_TUPLE = 1_000_000  # values of a tuple as it would be written out, which is what hashing it walks through
MAX_HANDED = 4  # characters and entries that calls are given for each byte of the pickle; an array's text passes two
_MIN_HANDED = 1 << 16

ZIP_MAGIC = b"PK\x03\x04"
_LEGACY_PICKLES = 5  # magic number, version, system, content, keys of the storages
_ENCODINGS = frozenset(["latin1", "latin-1", "ascii", "utf-8", "utf8"])
PYTHON_2_MODULES = {"__builtin__": "builtins", "copy_reg": "copyreg"}

_NUMBERS = frozenset(["NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"])
_TEXTS = frozenset(["BINUNICODE", "SHORT_BINSTRING"])
_CONTAINERS = frozenset(["EMPTY_LIST", "EMPTY_DICT"])
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
# Integers from here on may have the same hash as others, as many as one likes.
_HASH_MODULUS = sys.hash_info.modulus
# Functions that hash what the list that they are handed holds.
_HASHING = ("builtins.set", "collections.OrderedDict")


class _Value:
    """What is known of a value on the stack.

    depth: how deeply tuples are nested in it.
    text: the value itself, if it is a text.
    items: of a list or tuple; those of a list are added to it.
    name: of what is called.
    size: characters or entries, which a call that is handed the value walks through.
    hash_work: how many values hashing it walks through, where that is not known to be quick and even.
    """

    __slots__ = ("depth", "text", "items", "name", "size", "hash_work")

    def __init__(
        self,
        *,
        depth: int = 0,
        text: Optional[str] = None,
        items: Optional[Sequence["_Value"]] = None,
        name: Optional[str] = None,
        size: int = 0,
        hash_work: int = 0,
    ) -> None:
        self.depth = depth
        self.text = text
        self.items = items
        self.name = name
        self.size = size
        self.hash_work = hash_work


_PLAIN = _Value()
_ODD_NUMBER = _Value(hash_work=1)
_MARK = _Value(depth=-1)


class _Machine:
    """Goes through the instructions of one pickle."""

    def __init__(self, names: Container[str]) -> None:
        self._names = names
        self._stack: List[_Value] = []
        self._memo: Dict[int, _Value] = {}
        self._hash_work = 0
        self._handed = 0

    def step(self, operation: str, argument: Any, count: int, position: int) -> None:
        """One instruction, the `count`-th, at byte `position`."""
        if operation in _NUMBERS:
            self._stack.append(_ODD_NUMBER if _is_odd(argument) else _PLAIN)
        elif operation in _TEXTS:
            self._stack.append(_Value(text=argument, size=len(argument)))
        elif operation in _CONTAINERS:
            self._stack.append(_Value(items=[] if operation == "EMPTY_LIST" else None))
        elif operation in _TUPLES:
            self._tuple(self._pop(_TUPLES[operation]))
        elif operation == "TUPLE":
            self._tuple(self._pop_mark())
        elif operation in ("APPEND", "APPENDS"):
            self._extend(self._pop(1) if operation == "APPEND" else self._pop_mark())
        elif operation in ("SETITEM", "SETITEMS"):
            self._set_items(self._pop(2) if operation == "SETITEM" else self._pop_mark())
        elif operation == "BUILD":
            self._hand(self._pop(1), position)
            self._top()
        elif operation == "MARK":
            self._stack.append(_MARK)
        elif operation == "GLOBAL":
            self._stack.append(_Value(name=self._global(argument)))
        elif operation == "REDUCE":
            self._call(*self._pop(2), position)
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

    def _call(self, function: _Value, arguments: _Value, position: int) -> None:
        if function.name is None or arguments.items is None:
            raise Malformed("calls something that has no name, or without arguments")
        items = arguments.items
        size = self._hand(items, position)
        if function.name == "_codecs.encode":
            # Some encodings take time that grows with the square of the text.
            encoding = items[1].text if len(items) == 2 else None
            if encoding not in _ENCODINGS:
                raise RefusedGlobal(f"_codecs.encode({encoding!r:.100})")
        if function.name in _HASHING:
            self._hash_members(items, pairs=function.name != "builtins.set")
        self._push(_Value(depth=arguments.depth, size=size, hash_work=arguments.hash_work))

    def _hand(self, values: Iterable[_Value], position: int) -> int:
        """Count what is given to a call. What is given again and again, by reference, would be walked as often."""
        size = sum(value.size for value in values)
        self._handed += size
        if self._handed > max(_MIN_HANDED, MAX_HANDED * position):
            raise Malformed("has calls that take the same values again and again")
        return size

    def _hash_members(self, arguments: Sequence[_Value], pairs: bool) -> None:
        for argument in arguments:
            if argument.items is None:
                raise Malformed("makes a set or mapping of something other than a list")
            for member in argument.items:
                if pairs and not member.items:
                    raise Malformed("makes a mapping of something other than pairs")
                self._hash(member.items[0] if pairs else member)

    def _hash(self, key: _Value) -> None:
        self._hash_work += key.hash_work
        if self._hash_work > MAX_HASH_WORK:
            raise Malformed("has too many keys that are neither texts nor usual numbers")

    def _extend(self, values: List[_Value]) -> None:
        container = self._top()
        if not isinstance(container.items, list):
            raise Malformed("appends to something other than a list")
        container.items.extend(values)
        container.size += len(values)

    def _set_items(self, values: List[_Value]) -> None:
        container = self._top()
        if container in (_PLAIN, _ODD_NUMBER):
            raise Malformed("gives entries to a number")
        container.size += len(values)
        for key in values[::2]:
            self._hash(key)

    def _tuple(self, items: List[_Value]) -> None:
        work = 1 + len(items) + sum(item.hash_work for item in items)
        if work > MAX_TUPLE:
            raise Malformed(f"holds a tuple of more than {MAX_TUPLE} values, all that it refers to counted each time")
        depth = 1 + max([item.depth for item in items], default=0)
        self._push(_Value(depth=depth, items=tuple(items), size=len(items), hash_work=work))

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


def _is_odd(number: Any) -> bool:
    """Whether a number may have the same hash as any number of others: a huge one, or what is no number."""
    return number is not None and not abs(number) < _HASH_MODULUS


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
        for count, (operation, argument, position) in enumerate(pickletools.genops(file)):
            if count > MAX_OPERATIONS:
                raise Malformed(f"has a pickle of more than {MAX_OPERATIONS} instructions")
            machine.step(operation.name, argument, count, position or 0)
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
        try:
            # torch itself takes data whose checksum is wrong.
            damaged = archive.testzip()
            pickles = [archive.read(entry) for entry in entries if entry.filename.endswith(".pkl")]
        except (zipfile.BadZipFile, EOFError, ValueError) as error:
            raise Malformed(f"is damaged, truncated or not a checkpoint: {error}") from error
        if damaged is not None:
            raise Malformed(f"is damaged: the checksum of its member {damaged[:100]!r} is wrong")
        for content in pickles:
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
