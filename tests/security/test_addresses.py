"""Nothing is fetched from where a stranger's config says, and no name in it leads a file to another folder."""

import contextlib
import importlib.util
import logging
import os
import socket

import pytest
import torch

from mmseg.apis import init_segmentor
from mmseg.config import Config
from mmseg.engine.checkpoint import save_checkpoint
from mmseg.engine.initial_weights import load_pretrained_parts
from mmseg.engine.weights_source import WeightsAddress, WeightsSource
from mmseg.errors import CheckpointError, ConfigError
from mmseg.models import build_backbone, build_segmentor
from tests.security.test_checkpoints import TINY_MODEL

needs_timm = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is not installed")


@pytest.fixture
def server():
    """An address at which a server listens; in the end nobody must have called."""
    with contextlib.closing(socket.socket()) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(5)
        listening.setblocking(False)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(BlockingIOError):
            listening.accept()


def models_that_name(address):
    """Models with the address in every place that mmsegmentation's configs have for one."""
    own = {"type": "Pretrained", "checkpoint": address}
    return {
        "pretrained": {**TINY_MODEL, "pretrained": address},
        "init_cfg of the model": {**TINY_MODEL, "init_cfg": own},
        "init_cfg of the head": {**TINY_MODEL, "decode_head": {**TINY_MODEL["decode_head"], "init_cfg": own}},
    }


@pytest.mark.parametrize("place", sorted(models_that_name("")))
def test_a_package_fetches_nothing(place, tmp_path, server):
    weights = tmp_path / "model.pth"
    save_checkpoint(weights, model=build_segmentor(TINY_MODEL), meta={"CLASSES": ["a", "b"]})
    model = init_segmentor(Config({"model": models_that_name(f"{server}/weights.pth")[place]}), weights)
    assert list(model.CLASSES) == ["a", "b"]


@pytest.mark.parametrize("place", sorted(models_that_name("")))
def test_a_training_fetches_nothing_unless_it_is_allowed_to(place, tmp_path, server, caplog):
    model = build_segmentor(models_that_name(f"{server}/weights.pth")[place])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with caplog.at_level(logging.WARNING):
        assert load_pretrained_parts(model, WeightsSource(folders=(tmp_path,), cache_dir=tmp_path)) == []
    assert f"{server}/weights.pth is not here" in caplog.text
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("http://h/../../../etc/x.pth", "x.pth"),
        ("http://h/a/..%2f..%2f..%2fetc%2fx.pth", "x.pth"),
        ("http://h/%2fetc%2fx.pth", "x.pth"),
        ("http://h/x.pth?y=/../../z.pth#/../w.pth", "x.pth"),
        ("open-mmlab://../../../etc/x", "x.pth"),
        ("timm://../../etc/x", "x.pth"),
        ("../../../../etc/x.pth", "x.pth"),
    ],
)
def test_an_address_is_looked_for_by_its_base_name(text, name, tmp_path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "x.pth").write_bytes(b"not to be found")
    assert WeightsAddress.parse(text).file_name == name
    source = WeightsSource(folders=(tmp_path / "weights",), cache_dir=tmp_path / "weights")
    assert source.find_local(text) is None
    (tmp_path / "weights" / "x.pth").write_bytes(b"to be found")
    assert source.find_local(text) == tmp_path / "weights" / "x.pth"


@pytest.mark.parametrize(
    "text",
    ["http://h/..", "http://h/%2e%2e", "http://h/", "file://", "..", "", "/", "http://h/a%00.pth"]
    + ["http://h/a%0a.pth", "x" * 300, "http://h/" + "ö" * 200 + ".pth"],
)
def test_an_address_without_a_usable_name_is_refused(text):
    with pytest.raises(CheckpointError, match="names no file of weights"):
        WeightsAddress.parse(text)


def test_only_http_is_fetched_even_where_it_is_allowed(tmp_path):
    secret = tmp_path / "secret.pth"
    secret.write_bytes(b"secret")
    (tmp_path / "cache").mkdir()
    source = WeightsSource(download=True, cache_dir=tmp_path / "cache")
    for text in (f"file://{secret}", "ftp://127.0.0.1/secret.pth", "data:,x/secret.pth"):
        with pytest.raises(CheckpointError, match="not here"):
            source.find(text)
    assert os.listdir(str(tmp_path / "cache")) == []


@pytest.mark.parametrize("name", ["hf-hub:stranger/model", "hf_hub:stranger/model", "local-dir:/etc"])
def test_timm_is_not_asked_for_a_model_of_a_stranger(name):
    with pytest.raises(ConfigError, match="names a place to fetch a model from"):
        build_backbone({"type": "TIMMBackbone", "model_name": name, "pretrained": False})


@pytest.mark.parametrize("key", ["pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"])
def test_timm_is_not_told_where_to_fetch_weights(key):
    with pytest.raises(ConfigError, match=f"{key}.*nothing is fetched"):
        build_backbone({"type": "TIMMBackbone", "model_name": "resnet18", key: {"url": "http://127.0.0.1/x"}})


@needs_timm
def test_timms_weights_are_those_of_a_file_like_all_others(tmp_path):
    backbone = build_backbone({"type": "TIMMBackbone", "model_name": "resnet18", "pretrained": True})
    address = WeightsAddress.parse(backbone.timm_model.init_cfg["checkpoint"])
    assert address.url.startswith("https://huggingface.co/timm/resnet18")
    assert load_pretrained_parts(backbone, WeightsSource(folders=(tmp_path,), cache_dir=tmp_path)) == []
    torch.save(
        {name: torch.full_like(value, 3) for name, value in backbone.timm_model.state_dict().items()},
        str(tmp_path / "resnet18.pth" if address.name == "resnet18" else tmp_path / address.file_name),
    )
    load_pretrained_parts(backbone, WeightsSource(folders=(tmp_path,), cache_dir=tmp_path))
    assert (backbone.timm_model.conv1.weight == 3).all()
