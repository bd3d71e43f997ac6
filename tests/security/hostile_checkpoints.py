"""Checkpoint files of a stranger, written when they are asked for. Each would make the canary file, fill the memory or
end the process if a reader trusted it."""

import builtins
import copyreg
import io
import os
import pickle
import struct
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any, Callable, Dict

import numpy as np
import torch


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = (function, arguments)

    def __reduce__(self) -> Any:
        return self._call


class SetsState:
    """Pickles as an object made without a call, whose `__setstate__` gets the canary."""

    def __init__(self, canary: str = "") -> None:
        self.canary = canary

    def __setstate__(self, state: Dict[str, Any]) -> None:
        Path(state["canary"]).touch()


def text(value: str) -> bytes:
    """The instruction that pushes a text."""
    data = value.encode("utf-8")
    return b"X" + struct.pack("<I", len(data)) + data


def name(module: str, attribute: str) -> bytes:
    """The instruction that pushes what a name stands for."""
    return f"c{module}\n{attribute}\n".encode()


def call(function: bytes, *arguments: bytes) -> bytes:
    """The instructions that call a function."""
    return function + b"(" + b"".join(arguments) + b"tR"


def program(instructions: bytes, protocol: int = 2) -> bytes:
    """A whole pickle."""
    return b"\x80" + bytes([protocol]) + instructions + b"."


def storage(key: str = "0", numel: int = 4, kind: str = "FloatStorage") -> bytes:
    """The instructions that ask for a storage."""
    return (
        b"(" + text("storage") + name("torch", kind) + text(key) + text("cpu") + b"J" + struct.pack("<i", numel) + b"tQ"
    )


def weights(instructions: bytes) -> bytes:
    """A pickle of {"state_dict": {"w": what the instructions leave}}."""
    return program(b"}" + text("state_dict") + b"}" + text("w") + instructions + b"ss")


def rebuilt_tensor() -> bytes:
    """The instructions that make a tensor of one element."""
    return call(name("torch._utils", "_rebuild_tensor"), storage(), b"K\x00", b"K\x01\x85", b"K\x01\x85")


def write_zip(path: Path, data_pkl: bytes, **members: bytes) -> None:
    """The format since torch 1.6, around any pickle."""
    with zipfile.ZipFile(str(path), "w") as archive:
        archive.writestr("archive/data.pkl", data_pkl)
        archive.writestr("archive/byteorder", "little")
        for member, data in {"data/0": b"\0" * 16, "version": b"3\n", **members}.items():
            archive.writestr(f"archive/{member}", data)


def write_legacy(path: Path, content: bytes) -> None:
    """The format before torch 1.6, around any pickle."""
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    head = b"".join(pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, system))
    path.write_bytes(head + content + pickle.dumps([], 2))


def sound_weights(extra: Any) -> Dict[str, Any]:
    return {"meta": {"extra": extra}, "state_dict": {"w": torch.zeros(2, 2)}}


def _saved(make: Callable[[str], Any], zipped: bool = True) -> Callable[[Path, str], None]:
    return lambda path, canary: torch.save(
        sound_weights(make(canary)), str(path), _use_new_zipfile_serialization=zipped
    )


def _program(make: Callable[[str], bytes]) -> Callable[[Path, str], None]:
    return lambda path, canary: write_zip(path, make(canary))


def _rewritten(change: Callable[[Path], None]) -> Callable[[Path, str], None]:
    def write(path: Path, canary: str) -> None:
        torch.save(sound_weights(1), str(path))
        change(path)

    return write


def _packed(path: Path) -> None:
    """Members that are a thousandth of what they become."""
    with zipfile.ZipFile(str(path)) as archive:
        entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(str(path), "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in entries.items():
            archive.writestr(member, b"\0" * (1 << 24) if "/data/" in member else data)


def _add(path: Path, member: str, data: bytes, mode: int = 0) -> None:
    with zipfile.ZipFile(str(path), "a") as archive:
        entry = zipfile.ZipInfo(member)
        entry.external_attr = mode << 16
        archive.writestr(entry, data)


def _overlapping(path: Path) -> None:
    """All members of the directory lie at the same place of the archive."""
    data = b"\0" * 100_000
    with zipfile.ZipFile(str(path), "a") as archive:
        archive.writestr("archive/data/1", data)
        first = archive.infolist()[-1]
        for number in range(2, 200):
            entry = zipfile.ZipInfo(f"archive/data/{number}")
            entry.header_offset, entry.CRC = first.header_offset, first.CRC
            entry.file_size = entry.compress_size = len(data)
            archive.filelist.append(entry)


def _tar(path: Path, canary: str) -> None:
    """The format of the first versions of torch, with a member that would leave the folder."""
    with tarfile.open(str(path), "w") as archive:
        for member in ("sys_info", "pickle", "storages", "tensors", f"../../../../../../../..{canary}"):
            data = pickle.dumps(Calls(os.system, f"touch {canary}"), 2)
            entry = tarfile.TarInfo(member)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


def _tar_of_links(path: Path, canary: str) -> None:
    with tarfile.open(str(path), "w") as archive:
        entry = tarfile.TarInfo("storages")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(entry)


def _nested_load(canary: str) -> bytes:
    inner = pickle.dumps(Calls(os.system, f"touch {canary}"), 2)
    encoded = call(name("_codecs", "encode"), text(inner.decode("latin1")), text("latin1"))
    return weights(call(name("torch.storage", "_load_from_bytes"), encoded))


def _tuples(depth: int) -> bytes:
    return b"}" + b")" + b"\x85" * depth + b"K\x01s"


def _doubling(times: int) -> bytes:
    """A list of two references to a list of two references to …"""
    made = b"]q\x00"
    for number in range(times):
        made += b"](h%ch%ceq%c" % (number, number, number + 1)
    return made


def _tuples_of_two(times: int) -> bytes:
    """A tuple of two references to a tuple of two references to …, which takes 2 ** times steps to be hashed."""
    return b"Nq\x00" + b"".join(b"h%ch%c\x86q%c" % (number, number, number + 1) for number in range(times))


def _numbers_of_one_hash(around: bytes = b"%b") -> bytes:
    """Many integers that Python cannot tell apart by their hash, each within the instructions `around`."""
    numbers = (((1 << 61) - 1) * factor for factor in range(1, 20_001))
    return b"".join(around % (b"\x8a\x0b" + number.to_bytes(11, "little")) for number in numbers)


def _again(function: bytes, argument: bytes, times: int) -> bytes:
    """A list of what calls of one function return that are all handed the same arguments."""
    return b"](" + function + b"q\x00" + argument + b"q\x01R" + b"h\x00h\x01R" * times + b"e"


def _array_again(times: int) -> bytes:
    """A list of arrays that all refer to the same bytes."""
    encoded = call(name("_codecs", "encode"), text("\0" * 100_000), text("latin1"))
    dtype = call(name("numpy", "dtype"), text("u1"), b"\x89", b"\x88")
    empty = name("numpy.core.multiarray", "_reconstruct") + b"q\x00(" + name("numpy", "ndarray") + b"tq\x01R"
    state = b"(K\x01(J" + struct.pack("<i", 100_000) + b"t" + dtype + b"\x89" + encoded + b"tq\x02b"
    return b"](" + empty + state + b"h\x00h\x01Rh\x02b" * times + b"e"


def _keys_of_tuples(path: Path, canary: str) -> None:
    """The older format, whose storages are listed by what takes for ever to be hashed."""
    write_legacy(path, program(b"}") + program(b"]" + _tuples_of_two(60) + b"a"))


HOSTILE_CHECKPOINTS: Dict[str, Callable[[Path, str], None]] = {
    # What the old reader would call.
    "os.system": _saved(lambda canary: Calls(os.system, f"touch {canary}")),
    "os.system, legacy": _saved(lambda canary: Calls(os.system, f"touch {canary}"), zipped=False),
    "eval": _saved(lambda canary: Calls(eval, f"open({canary!r}, 'w')")),
    "exec": _saved(lambda canary: Calls(exec, f"open({canary!r}, 'w')")),
    "subprocess": _saved(lambda canary: Calls(subprocess.Popen, ["touch", canary])),
    "open": _saved(lambda canary: Calls(builtins.open, canary, "w")),
    "chain of getattr": _saved(lambda canary: Calls(getattr, Calls(__import__, "os"), "system")),
    "torch.load": _saved(lambda canary: Calls(torch.load, canary)),
    "torch.hub.load": _saved(lambda canary: Calls(torch.hub.load, canary, "x")),
    "torch.jit.load": _saved(lambda canary: Calls(torch.jit.load, canary)),
    "numpy.load": _saved(lambda canary: Calls(np.load, canary)),
    "copyreg": _saved(lambda canary: Calls(copyreg._reconstructor, SetsState, object, None)),
    "__setstate__ of a class": _saved(SetsState),
    "numpy array of objects": _saved(
        lambda canary: np.array([Calls(os.system, f"touch {canary}"), None], dtype=object)
    ),
    # What no pickler writes.
    "nested pickle": _program(_nested_load),
    "numpy scalar of an object": _program(
        lambda canary: weights(
            call(
                name("numpy.core.multiarray", "scalar"),
                call(name("numpy", "dtype"), text("O8"), b"I00\n", b"I01\n"),
                text(canary),
            )
        )
    ),
    "fuzzing helper of torch": _program(
        lambda canary: weights(call(name("torch._dynamo.guards", "build_guard_function"), text(canary)))
    ),
    "template of torch's code generator": _program(
        lambda canary: weights(call(name("torch.utils.collect_env", "run"), text(f"touch {canary}")))
    ),
    "STACK_GLOBAL": _program(
        lambda canary: program(text("os") + text("system") + b"\x93" + text(canary) + b"\x85R", 4)
    ),
    "STACK_GLOBAL with a dotted name": _program(
        lambda canary: program(text("torch") + text("serialization.os.system") + b"\x93" + text(canary) + b"\x85R", 4)
    ),
    "GLOBAL with a dotted name": _program(
        lambda canary: weights(call(name("torch", "serialization.os.system"), text(f"touch {canary}")))
    ),
    "module that leads to another": _program(
        lambda canary: weights(call(name("torch.serialization.os", "system"), text(f"touch {canary}")))
    ),
    "Python 2 name": _program(
        lambda canary: weights(call(name("__builtin__", "eval"), text(f"open({canary!r}, 'w')")))
    ),
    "INST": _program(lambda canary: program(b"(" + text(f"touch {canary}") + b"ios\nsystem\n")),
    "OBJ": _program(lambda canary: program(b"(" + name("os", "system") + text(f"touch {canary}") + b"o")),
    "EXT": _program(lambda canary: program(b"\x82\x01")),
    "EXT4": _program(lambda canary: program(b"\x84" + struct.pack("<i", 1))),
    "PERSID as text": _program(lambda canary: program(b"P/etc/passwd\n")),
    "NEWOBJ": _program(lambda canary: program(name("collections", "OrderedDict") + b")\x81")),
    "BUILD of a class": _program(
        lambda canary: program(name("collections", "OrderedDict") + b"}" + text("items") + b"K\x01sb")
    ),
    "call of a value": _program(lambda canary: program(text("os.system") + text(canary) + b"\x85R")),
    "storage that is no storage": _program(lambda canary: weights(text("/etc/passwd") + b"Q")),
    "storage of another member": _program(lambda canary: weights(storage("../../../../../../etc/passwd"))),
    "storage of a module": _program(
        lambda canary: weights(b"(" + text("module") + name("os", "system") + text(canary) + text("") + b"tQ")
    ),
    # What would fill the memory or keep the machine busy.
    "storage larger than its data": _program(lambda canary: weights(storage(numel=2**31 - 1))),
    "packed members": _rewritten(_packed),
    "overlapping members": _rewritten(_overlapping),
    "bytearray of a size": _program(
        lambda canary: weights(call(name("builtins", "bytearray"), b"\x8a\x05" + b"\xff\xff\xff\xff\x0f"))
    ),
    "slow encoding": _program(
        lambda canary: weights(call(name("_codecs", "encode"), text("ö" * 100_000), text("punycode")))
    ),
    "memo of a huge number": _program(lambda canary: program(b"Nr\xff\xff\xff\x7f")),
    "text of a huge length": _program(lambda canary: program(b"X\xff\xff\xff\xff")),
    "deep tuples as a key": _program(lambda canary: program(_tuples(200_000))),
    "deep lists": _program(lambda canary: program(b"]" * 200_000 + b"a" * 199_999)),
    "lists that double": _program(lambda canary: program(_doubling(60) + b"}" + text("meta") + b"h\x3cs")),
    "tuples that double as a key": _program(lambda canary: program(b"}" + _tuples_of_two(60) + b"Ns")),
    "tuples that double in a set": _program(
        lambda canary: program(call(name("builtins", "set"), b"](" + _tuples_of_two(60) + b"e"))
    ),
    "tuples that double as keys of the storages": _keys_of_tuples,
    "keys of one hash": _program(lambda canary: program(b"}(" + _numbers_of_one_hash(b"%bN") + b"u")),
    "set of one hash": _program(
        lambda canary: program(call(name("builtins", "set"), b"](" + _numbers_of_one_hash() + b"e"))
    ),
    "mapping of one hash": _program(
        lambda canary: program(
            call(name("collections", "OrderedDict"), b"](" + _numbers_of_one_hash(b"%bN\x86") + b"e")
        )
    ),
    "text that is encoded again and again": _program(
        lambda canary: program(
            _again(name("_codecs", "encode"), b"(" + text("a" * 100_000) + text("latin1") + b"t", 100_000)
        )
    ),
    "list that becomes a set again and again": _program(
        lambda canary: program(_again(name("builtins", "set"), b"](" + b"K\x01" * 100_000 + b"e\x85", 100_000))
    ),
    "state that is set again and again": _program(
        lambda canary: program(
            call(name("collections", "OrderedDict"))
            + b"}("
            + b"".join(text(str(number)) + b"N" for number in range(10_000))
            + b"uq\x00b"
            + b"h\x00b" * 100_000
        )
    ),
    "array that is made again and again": _program(lambda canary: program(_array_again(10_000))),
    "list in itself": _program(lambda canary: program(b"}" + text("a") + b"]q\x00h\x00as")),
    "too many instructions": _program(lambda canary: program(b"]q\x00" * 1_100_000)),
    # Archives that would write elsewhere if they were unpacked.
    "member with .. in its name": _rewritten(lambda path: _add(path, "archive/../../../../tmp/x", b"x")),
    "member of a whole path": _rewritten(lambda path: _add(path, "/etc/cron.d/x", b"x")),
    "member that is a link": _rewritten(lambda path: _add(path, "archive/data/7", b"/etc/passwd", 0o120777)),
    "tar": _tar,
    "tar of links": _tar_of_links,
}
