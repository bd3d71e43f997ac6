"""Checkpoints: nothing in a file is executed, what fits is loaded, files are written whole or not at all."""

import collections
import io
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn as nn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmseg import torch_compat
from mmseg.engine.checkpoint import load_checkpoint, load_weights, save_checkpoint
from mmseg.engine.weights_only import read_weights_only
from mmseg.errors import CheckpointError
from tests.reference_data import REFERENCE, needs_reference

# The own reader is tested on every torch; torch's where it is used.
READERS = [True] + ([False] if torch_compat.HAS_SOUND_WEIGHTS_ONLY else [])
READER_NAMES = ["own", "torch"][: len(READERS)]
by_both_readers = pytest.mark.parametrize("own_reader", READERS, ids=READER_NAMES)
in_both_formats = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])


def net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))


def save(content, path, zipped=True):
    torch.save(content, str(path), _use_new_zipfile_serialization=zipped)
    return str(path)


# --- what is refused


@by_both_readers
def test_a_byte_of_the_weights_that_has_changed(tmp_path, own_reader):
    path = Path(save({"a": torch.full((1000,), 7.0)}, tmp_path / "flipped.pth"))
    content = bytearray(path.read_bytes())
    content[content.index(struct.pack("<f", 7.0) * 1000) + 2000] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(CheckpointError, match="flipped.pth is damaged: the checksum of its member '.*' is wrong"):
        read_weights_only(str(path), own_reader)


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def touch(path):
    """What a malicious file would run; its name in the pickle is tests.engine.test_checkpoint.touch."""
    Path(path).touch()


class WholeObject:
    """A class of ours, as in a file that holds a whole model."""

    def __setstate__(self, state):
        touch(state["canary"])


def malicious(canary):
    """By name: content whose unpickling would run code, and what the message must name."""
    command = f"touch {canary}"
    whole = WholeObject()
    whole.canary = str(canary)
    return {
        "os.system": (Calls(os.system, command), "system"),
        "eval": (Calls(eval, f"open({str(canary)!r}, 'w')"), "eval"),
        "exec": (Calls(exec, f"open({str(canary)!r}, 'w')"), "exec"),
        "getattr": (Calls(getattr, Calls(__import__, "os"), "system"), "getattr|__import__"),
        "own function": (Calls(touch, str(canary)), "touch"),
        "own class": (whole, "WholeObject"),
        "numpy loads": (Calls(np.load, str(canary)), "load"),
        "module": (nn.Linear(2, 2), "Linear"),
    }


@by_both_readers
@in_both_formats
@pytest.mark.parametrize("name", sorted(malicious("")))
@pytest.mark.parametrize("where", ["top", "state_dict", "meta"])
def test_a_file_that_would_run_code_is_refused_by_name(tmp_path, own_reader, zipped, name, where):
    canary = tmp_path / "canary"
    content, named = malicious(canary)[name]
    weights = net().state_dict()
    whole = {
        "top": content,
        "state_dict": {"state_dict": {**weights, "extra": content}},
        "meta": {"meta": {"hook": [content]}, "state_dict": weights},
    }[where]
    path = save(whole, tmp_path / "model.pth", zipped)
    with pytest.raises(CheckpointError, match=f"(?s)model.pth.*({named})") as caught:
        read_weights_only(path, own_reader)
    assert "\n" not in str(caught.value)
    assert not canary.exists()
    with pytest.raises(CheckpointError):
        load_checkpoint(path)
    assert not canary.exists()


@by_both_readers
def test_numpy_objects_are_refused(tmp_path, own_reader):
    array = np.array([1, "two", None], dtype=object)
    for value in (array, np.array([Calls(os.system, f"touch {tmp_path / 'canary'}")], dtype=object)):
        path = save({"meta": {"value": value}, "state_dict": net().state_dict()}, tmp_path / "model.pth")
        with pytest.raises(CheckpointError, match="dtype 'O8'|system"):
            read_weights_only(path, own_reader)
    assert not (tmp_path / "canary").exists()


@by_both_readers
def test_numpy_records_are_refused(tmp_path, own_reader):
    path = save({"meta": np.zeros(2, dtype=[("a", "f4")])}, tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match="dtype 'V4'"):
        read_weights_only(path, own_reader)


@by_both_readers
def test_a_torchscript_program_is_refused(tmp_path, own_reader):
    path = str(tmp_path / "script.pt")
    torch.jit.trace(net().eval(), torch.zeros(1, 3, 8, 8)).save(path)
    with pytest.raises(CheckpointError, match="script.pt"):
        read_weights_only(path, own_reader)


def test_what_a_name_stands_for_cannot_be_changed_by_a_file(tmp_path):
    # GLOBAL collections.OrderedDict, then BUILD with a state: it would change the class itself.
    attack = b"\x80\x02ccollections\nOrderedDict\n}X\x05\x00\x00\x00itemsK\x01sb."
    path = tmp_path / "model.pth"
    with zipfile.ZipFile(str(path), "w") as archive:
        archive.writestr("archive/data.pkl", attack)
    with pytest.raises(CheckpointError, match="change of collections.OrderedDict"):
        read_weights_only(str(path), True)


# --- what is damaged


@by_both_readers
@in_both_formats
def test_truncated_files(tmp_path, own_reader, zipped):
    path = save({"state_dict": net().state_dict()}, tmp_path / "model.pth", zipped)
    data = Path(path).read_bytes()
    for length in (1, 10, 100, len(data) // 2, len(data) - 30):
        Path(path).write_bytes(data[:length])
        with pytest.raises(CheckpointError, match="model.pth") as caught:
            read_weights_only(path, own_reader)
        assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def sound_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    return [
        Path(
            save({"meta": {"iter": 3}, "state_dict": net().state_dict()}, folder / f"{zipped}.pth", zipped)
        ).read_bytes()
        for zipped in (True, False)
    ]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_bytes_are_an_error_of_ours_or_harmless(tmp_path, sound_files, data):
    content = bytearray(data.draw(st.sampled_from(sound_files)))
    # Most of a file is weights; its first bytes are the pickle.
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, min(len(content), 2000) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.pth"
    path.write_bytes(bytes(content))
    try:
        found = read_weights_only(str(path), True)
    except CheckpointError as error:
        assert str(path) in str(error)
    else:
        pickle.dumps(found)


def test_missing_empty_and_other_files(tmp_path):
    with pytest.raises(CheckpointError, match="there is no checkpoint .*nowhere.pth"):
        load_checkpoint(tmp_path / "nowhere.pth")
    with pytest.raises(CheckpointError, match="folder"):
        load_checkpoint(tmp_path)
    (tmp_path / "empty.pth").write_bytes(b"")
    with pytest.raises(CheckpointError, match="empty"):
        load_checkpoint(tmp_path / "empty.pth")
    (tmp_path / "text.pth").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(CheckpointError, match="text.pth is damaged, truncated or not a checkpoint"):
        load_checkpoint(tmp_path / "text.pth")
    with zipfile.ZipFile(str(tmp_path / "other.zip"), "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(CheckpointError, match="other.zip"):
        load_checkpoint(tmp_path / "other.zip")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps({"state_dict": {}}))
    with pytest.raises(CheckpointError, match="plain.pth"):
        load_checkpoint(tmp_path / "plain.pth")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([1, 2], "holds a list"),
        ({}, "no weights"),
        ({"state_dict": {}}, "no weights"),
        ({"epoch": 3}, "'epoch' is a int"),
        ({"state_dict": {"a": 1}}, "'a' is a int"),
        ({"state_dict": {3: torch.ones(1)}}, "entry 3"),
        ({"state_dict": {"a": torch.ones(1)}, "meta": 3}, "'meta'"),
        ({"state_dict": {"a": torch.ones(1)}, "meta": {"CLASSES": [["a"]]}}, "meta.CLASSES"),
        ({"state_dict": {"a": torch.ones(1)}, "meta": {"CLASSES": "road"}}, "meta.CLASSES"),
        ({"state_dict": {"a": torch.ones(1)}, "meta": {"CLASSES": {"a": 1}}}, "meta.CLASSES"),
    ],
)
def test_files_that_hold_no_weights(tmp_path, content, said):
    with pytest.raises(CheckpointError, match=said):
        load_checkpoint(save(content, tmp_path / "model.pth"))


def rewrite_pickle(path, change):
    """Replace the pickle in a zip checkpoint by `change(pickle)`."""
    with zipfile.ZipFile(path) as archive:
        entries = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries:
            archive.writestr(name, change(data) if name.endswith("data.pkl") else data)


def test_a_storage_larger_than_its_data_is_refused(tmp_path):
    path = save({"a": torch.zeros(7)}, tmp_path / "model.pth")
    # BININT1 7 is the number of elements of the storage, and again the size of the tensor.
    rewrite_pickle(path, lambda data: data.replace(b"K\x07", b"K\xc8"))
    with pytest.raises(CheckpointError, match="lacks the data of storage"):
        read_weights_only(path, True)


def test_a_tensor_larger_than_its_storage_is_refused(tmp_path):
    path = save({"a": torch.zeros(7)[:5]}, tmp_path / "model.pth")
    rewrite_pickle(path, lambda data: data.replace(b"K\x05", b"K\xc8"))
    with pytest.raises(CheckpointError, match="larger than its data"):
        read_weights_only(path, True)


def test_a_legacy_storage_larger_than_the_file_is_refused_without_making_it(tmp_path):
    path = save({"a": torch.zeros(7)}, tmp_path / "model.pth", zipped=False)
    data = Path(path).read_bytes()
    Path(path).write_bytes(data.replace(b"K\x07", b"J" + struct.pack("<i", 2**31 - 1)))
    with pytest.raises(CheckpointError, match="truncated"):
        read_weights_only(path, True)


@pytest.mark.parametrize("own_reader", READERS)
def test_lists_that_hold_themselves_or_each_other_too_often_are_refused(own_reader, tmp_path):
    shared = [1]
    for _ in range(10):
        shared = [shared, shared]
    found = read_weights_only(save({"a": shared}, tmp_path / "shared.pth"), own_reader)
    assert found["a"][0] is found["a"][1]
    for _ in range(50):
        shared = [shared, shared]
    with pytest.raises(CheckpointError, match="more than 5000000 values"):
        read_weights_only(save({"a": shared}, tmp_path / "doubled.pth"), own_reader)
    circle = []
    circle.append(circle)
    with pytest.raises(CheckpointError, match="contains itself"):
        read_weights_only(save({"a": circle}, tmp_path / "circle.pth"), own_reader)


# --- what is read


def everything():
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    tensors = {
        "double": torch.randn(3, dtype=torch.float64),
        "half": torch.randn(3).half(),
        "bfloat": torch.randn(3).bfloat16(),
        "long": torch.arange(3),
        "int": torch.arange(3, dtype=torch.int32),
        "short": torch.arange(3, dtype=torch.int16),
        "char": torch.arange(3, dtype=torch.int8),
        "byte": torch.arange(3, dtype=torch.uint8),
        "bool": torch.tensor([True, False]),
        "complex": torch.randn(2, dtype=torch.complex64),
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 4),
        "column": base[:, 2],
        "transposed": base.t(),
        "part": base[1:3, 2:5],
        "channels_last": torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
    }
    meta = {
        "text": "ß",
        "numbers": [1, -(2**40), 2.5, True, None, 1j],
        "tuple": (1, ("a", "b")),
        "set": {1, 2},
        "bytes": b"\x00\xff",
        "numpy": [np.float64(0.5), np.float32(1.5), np.int64(-7), np.bool_(True)],
        "arrays": [
            np.arange(6, dtype=np.uint8).reshape(2, 3),
            np.asfortranarray(np.arange(6.0).reshape(2, 3)),
            np.array(["road", "sky"]),
            np.array([1, 2], dtype=">i4"),
        ],
        "ordered": collections.OrderedDict([("b", 1), ("a", 2)]),
        3: "a number as key",
    }
    return tensors, meta


@by_both_readers
@in_both_formats
def test_what_checkpoints_hold_comes_back(tmp_path, own_reader, zipped):
    tensors, meta = everything()
    path = save({"state_dict": tensors, "meta": meta}, tmp_path / "model.pth", zipped)
    found = read_weights_only(path, own_reader)
    for name, tensor in tensors.items():
        assert found["state_dict"][name].dtype == tensor.dtype
        assert found["state_dict"][name].stride() == tensor.stride()
        assert torch.equal(found["state_dict"][name], tensor), name
    read = found["meta"]
    for name in ("text", "numbers", "tuple", "set", "bytes", "numpy", "ordered", 3):
        assert read[name] == meta[name], name
    assert list(read["ordered"]) == ["b", "a"]
    assert [type(value) for value in read["numpy"]] == [float, float, int, bool]
    for ours, theirs in zip(read["arrays"], meta["arrays"]):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


@by_both_readers
def test_parameters_and_gradients_are_dropped_to_plain_tensors(tmp_path, own_reader):
    path = save({"a": nn.Parameter(torch.ones(2)), "b": torch.ones(2, requires_grad=True)}, tmp_path / "model.pth")
    for tensor in read_weights_only(path, own_reader).values():
        assert type(tensor) is torch.Tensor
        assert not tensor.requires_grad


@by_both_readers
@in_both_formats
def test_an_optimizer_comes_back(tmp_path, own_reader, zipped):
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.randn(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    path = save({"state_dict": model.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "m.pth", zipped)
    found = read_weights_only(path, own_reader)["optimizer"]
    again = torch.optim.SGD(net().parameters(), lr=0.5)
    again.load_state_dict(found)
    assert again.param_groups[0]["lr"] == 0.1
    expected = optimizer.state_dict()["state"][0]["momentum_buffer"]
    assert torch.equal(again.state_dict()["state"][0]["momentum_buffer"], expected)


def test_forms_of_checkpoints(tmp_path):
    weights = net().state_dict()
    for number, content in enumerate(
        [
            weights,
            {"state_dict": weights},
            {"model": weights, "epoch": 3},
            {"state_dict": {f"module.{name}": value for name, value in weights.items()}},
        ]
    ):
        found = load_checkpoint(save(content, tmp_path / f"{number}.pth"))
        assert list(found["state_dict"]) == list(weights)
        assert all(torch.equal(found["state_dict"][name], value) for name, value in weights.items())
        assert found["meta"] == {}
    assert load_checkpoint(tmp_path / "2.pth")["epoch"] == 3


@needs_reference
@by_both_readers
def test_a_checkpoint_of_the_old_executor(own_reader):
    path = str(REFERENCE / "upstream_model" / "best_mIoU_iter_300.pth")
    found = read_weights_only(path, own_reader)
    assert list(found) == ["meta", "state_dict", "optimizer"]
    assert found["meta"]["iter"] == 299
    assert found["meta"]["CLASSES"][0] == "sky"
    assert found["meta"]["PALETTE"].shape == (11, 3)
    assert found["meta"]["hook_msgs"]["best_score"] == 0.1707
    assert found["state_dict"]["decode_head.conv_seg.weight"].shape == (11, 128, 1, 1)
    assert found["optimizer"]["param_groups"][0]["momentum"] == 0.9


# --- what is written


def test_save_and_load(tmp_path):
    model = nn.DataParallel(net().to(memory_format=torch.channels_last))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model.module(torch.randn(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    meta = {
        "CLASSES": ("road", "sky"),
        "PALETTE": np.array([[1, 2, 3], [4, 5, 6]], dtype=np.uint8),
        "iter": np.int64(7),
        "mIoU": np.float32(0.5),
        "file": tmp_path,
        "nested": {"set": {1}, "none": None},
    }
    path = tmp_path / "last.pth"
    save_checkpoint(path, model=model, optimizer=optimizer, meta=meta, extra={"scaler": {"scale": torch.tensor(2.0)}})
    assert sorted(os.listdir(str(tmp_path))) == ["last.pth"]
    found = load_checkpoint(path)
    assert found["meta"] == {
        "CLASSES": ("road", "sky"),
        "PALETTE": [[1, 2, 3], [4, 5, 6]],
        "iter": 7,
        "mIoU": 0.5,
        "file": str(tmp_path),
        "nested": {"set": {1}, "none": None},
    }
    assert list(found["state_dict"]) == list(model.module.state_dict())
    assert all(value.is_contiguous() for value in found["state_dict"].values())
    assert torch.equal(found["state_dict"]["0.weight"], model.module[0].weight)
    assert found["scaler"]["scale"].item() == 2.0
    optimizer.load_state_dict(found["optimizer"])
    # mmcv-based tools read it in the ordinary way, and by every reader here it is the same.
    for own_reader in READERS:
        assert read_weights_only(str(path), own_reader)["meta"] == found["meta"]


def test_what_could_not_be_read_back_is_not_written(tmp_path):
    path = tmp_path / "model.pth"
    with pytest.raises(CheckpointError, match=r"meta.hook.0 .*object"):
        save_checkpoint(path, model=net(), meta={"hook": [object()]})
    with pytest.raises(CheckpointError, match="'meta'"):
        save_checkpoint(path, model=net(), meta={}, extra={"meta": 1})
    assert os.listdir(str(tmp_path)) == []


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "model.pth"
    save_checkpoint(path, model=net(), meta={"iter": 1})
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match="iterations"):
        save_checkpoint(path, model=net(), meta={"iterations": io.BytesIO()})
    assert path.read_bytes() == before
    with pytest.raises(CheckpointError, match="nowhere"):
        save_checkpoint(tmp_path / "nowhere" / "model.pth", model=net(), meta={})
    (tmp_path / "folder").mkdir()
    with pytest.raises(CheckpointError, match="folder"):
        save_checkpoint(tmp_path / "folder", model=net(), meta={})
    assert sorted(os.listdir(str(tmp_path))) == ["folder", "model.pth"]


# --- what fits


def test_load_weights_reports_what_does_not_fit():
    model = net()
    kept = model[2].weight.detach().clone()
    weights = {name: value + 1 for name, value in net().state_dict().items()}
    weights["2.weight"] = torch.zeros(9, 4, 1, 1)
    weights["head.weight"] = torch.zeros(1)
    del weights["1.bias"], weights["1.num_batches_tracked"]
    report = load_weights(model, weights)
    assert report.missing == ["1.bias"]
    assert report.unexpected == ["head.weight"]
    assert report.mismatched == [("2.weight", (9, 4, 1, 1), (2, 4, 1, 1))]
    assert report.loaded == ["0.weight", "0.bias", "1.weight", "1.running_mean", "1.running_var", "2.bias"]
    assert not report.complete
    assert torch.equal(model[0].weight, weights["0.weight"])
    assert torch.equal(model[2].weight, kept)
    for part in ("6 entries loaded", "1.bias", "head.weight", "2.weight (9, 4, 1, 1) for (2, 4, 1, 1)"):
        assert part in report.summary()


def test_load_weights_strict_and_none_at_all():
    weights = net().state_dict()
    assert load_weights(net(), weights, strict=True).complete
    with pytest.raises(CheckpointError, match="0.bias"):
        load_weights(net(), {name: value for name, value in weights.items() if name != "0.bias"}, strict=True)
    with pytest.raises(CheckpointError, match="extra"):
        load_weights(net(), {**weights, "extra": torch.zeros(1)}, strict=True)
    with pytest.raises(CheckpointError, match="none of the weights"):
        load_weights(net(), {"backbone.a": torch.zeros(1)})


def test_weights_of_another_precision_take_the_model_s():
    model = net()
    load_weights(model, {name: value.double() for name, value in net().state_dict().items() if "tracked" not in name})
    assert model[0].weight.dtype == torch.float32
