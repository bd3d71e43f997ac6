"""Nothing in a stranger's checkpoint is executed, and none fills the memory or ends the process."""

import os
from pathlib import Path

import pytest
import torch

from mmseg import torch_compat
from mmseg.apis import init_segmentor
from mmseg.config import Config
from mmseg.engine.checkpoint import load_checkpoint
from mmseg.engine.weights_only import read_weights_only
from mmseg.errors import CheckpointError
from tests.security.hostile_checkpoints import (
    HOSTILE_CHECKPOINTS,
    call,
    name,
    program,
    sound_weights,
    text,
    write_legacy,
    write_zip,
)

# The own reader is tested on every torch; torch's where it is used.
READERS = {"own": True, **({"torch": False} if torch_compat.HAS_SOUND_WEIGHTS_ONLY else {})}

TINY_MODEL = {
    "type": "EncoderDecoder",
    "backbone": {"type": "FastSCNN"},
    "decode_head": {"type": "FCNHead", "in_channels": 128, "in_index": -1, "channels": 8, "num_classes": 2},
}

# What says that a file was refused for what it is, rather than for what became of it.
SAID = {
    "packed members": "is packed",
    "overlapping members": "larger than itself",
    "bytearray of a size": "asks for builtins.bytearray",
    "slow encoding": "punycode",
    "memo of a huge number": "keeps a value under the number",
    "deep tuples as a key": "nested deeper",
    "deep lists": "nested deeper",
    "lists that double": "more than 5000000 values",
    "tuples that double as a key": "a tuple of more than 1000000 values",
    "tuples that double in a set": "a tuple of more than 1000000 values",
    "tuples that double as keys of the storages": "a tuple of more than 1000000 values",
    "keys of one hash": "too many keys",
    "set of one hash": "too many keys",
    "mapping of one hash": "too many keys",
    "text that is encoded again and again": "the same values again and again",
    "list that becomes a set again and again": "the same values again and again",
    "state that is set again and again": "the same values again and again",
    "array that is made again and again": "numpy values that are larger than itself",
    "list in itself": "contains itself",
    "too many instructions": "more than 2000000 instructions",
    "member with .. in its name": "outside of it",
    "member of a whole path": "outside of it",
    "member that is a link": "is a link",
    "STACK_GLOBAL": "STACK_GLOBAL",
    "INST": "INST",
    "EXT": "EXT1",
    "NEWOBJ": "NEWOBJ",
    "GLOBAL with a dotted name": r"torch\.serialization\.os\.system",
    "Python 2 name": r"builtins\.eval",
}


@pytest.fixture
def hostile(request, tmp_path):
    """A file by its name, and the canary that must not appear."""
    canary = tmp_path / "canary"
    path = tmp_path / "model.pth"
    HOSTILE_CHECKPOINTS[request.param](path, str(canary))
    before = sorted(os.listdir(str(tmp_path)))
    yield request.param, str(path)
    assert not canary.exists()
    assert sorted(os.listdir(str(tmp_path))) == before


def test_the_corpus_is_as_large_as_it_should_be():
    assert len(HOSTILE_CHECKPOINTS) >= 45
    assert set(SAID) <= set(HOSTILE_CHECKPOINTS)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("hostile", HOSTILE_CHECKPOINTS, indirect=True)
def test_a_hostile_checkpoint_is_refused(hostile, reader):
    attack, path = hostile
    with pytest.raises(CheckpointError, match=f"(?s)model.pth.*{SAID.get(attack, '')}") as caught:
        read_weights_only(path, READERS[reader])
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000


@pytest.mark.parametrize("hostile", HOSTILE_CHECKPOINTS, indirect=True)
def test_whoever_loads_it_refuses_it(hostile):
    _, path = hostile
    with pytest.raises(CheckpointError):
        load_checkpoint(path)


@pytest.fixture(scope="module")
def tiny_config():
    return Config({"model": TINY_MODEL})


@pytest.mark.parametrize("hostile", ["os.system", "nested pickle", "INST", "tar", "overlapping members"], indirect=True)
def test_no_model_is_made_of_it(hostile, tiny_config):
    _, path = hostile
    with pytest.raises(CheckpointError, match="model.pth"):
        init_segmentor(tiny_config, path)


@pytest.mark.parametrize("reader", READERS)
def test_a_sound_file_is_read_all_the_same(tmp_path, reader):
    extra = {"CLASSES": ("a", "b"), "shared": [torch.ones(2)] * 3, "text": "ö" * 1000, "deep": [[[[(1, (2, (3,)))]]]]}
    for zipped in (True, False):
        torch.save(sound_weights(extra), str(tmp_path / "model.pth"), _use_new_zipfile_serialization=zipped)
        found = read_weights_only(str(tmp_path / "model.pth"), READERS[reader])["meta"]["extra"]
        assert found["CLASSES"] == ("a", "b") and found["text"] == "ö" * 1000
        assert found["deep"] == [[[[(1, (2, (3,)))]]]]
        assert found["shared"][0] is found["shared"][2]


@pytest.mark.parametrize("reader", READERS)
def test_a_small_file_of_a_huge_tensor_is_refused(tmp_path, reader):
    torch.save({"w": torch.zeros(1).expand(1 << 20, 1 << 20)}, str(tmp_path / "model.pth"))
    with pytest.raises(CheckpointError, match="larger than its data"):
        read_weights_only(str(tmp_path / "model.pth"), READERS[reader])
    torch.save({"w": torch.zeros(1).expand(4, 4)}, str(tmp_path / "model.pth"))
    assert read_weights_only(str(tmp_path / "model.pth"), READERS[reader])["w"].shape == (4, 4)


@pytest.mark.parametrize("reader", READERS)
def test_methods_that_a_file_hides_behind_values_come_back(tmp_path, reader):
    ordered = call(name("collections", "OrderedDict"))
    hiding = ordered + b"}(" + text("items") + name("collections", "OrderedDict") + text("keys") + b"Nub"
    write_zip(tmp_path / "model.pth", program(b"}" + text("meta") + hiding + b"s"))
    found = read_weights_only(str(tmp_path / "model.pth"), READERS[reader])["meta"]
    assert list(found.items()) == [] and not vars(found)


@pytest.mark.parametrize("write", [write_zip, write_legacy])
def test_a_pickle_that_ends_early_or_takes_too_much_is_refused(tmp_path, write):
    for instructions in (
        b"",
        b"\x80\x02",
        b"\x80\x02.",
        b"\x80\x02(.",
        b"\x80\x02(t\x85R.",
        b"\x80\x02s.",
        b"\x80\x02u.",
    ):
        write(tmp_path / "model.pth", instructions)
        for own_reader in READERS.values():
            with pytest.raises(CheckpointError, match="model.pth"):
                read_weights_only(str(tmp_path / "model.pth"), own_reader)


def test_a_file_that_is_no_regular_one_is_refused(tmp_path):
    os.mkfifo(str(tmp_path / "pipe.pth"))
    for path in (tmp_path / "pipe.pth", Path("/dev/zero")):
        with pytest.raises(CheckpointError, match="no regular file"):
            load_checkpoint(path)
