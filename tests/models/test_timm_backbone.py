"""Backbones of timm, and what is said when it is not there."""

import importlib.util
import sys

import pytest
import torch

from mmseg.engine.initial_weights import load_pretrained_parts
from mmseg.errors import ConfigError
from mmseg.models import build_backbone, build_segmentor, total_loss

needs_timm = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is not installed")
RESNET = {"type": "TIMMBackbone", "model_name": "resnet18", "pretrained": False}


def test_without_timm_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ConfigError, match="TIMMBackbone needs the package timm .*pip install timm"):
        build_backbone(RESNET)


def test_the_name_of_the_model_is_needed():
    with pytest.raises(ConfigError, match="model_name"):
        build_backbone({"type": "TIMMBackbone"})


@needs_timm
def test_feature_maps_of_all_stages_or_of_some():
    backbone = build_backbone(RESNET)
    assert all(name.startswith("timm_model.") for name in backbone.state_dict())
    maps = backbone.eval()(torch.randn(1, 3, 64, 96))
    assert [tuple(x.shape[1:]) for x in maps] == [(64, 32, 48), (64, 16, 24), (128, 8, 12), (256, 4, 6), (512, 2, 3)]
    some = build_backbone({**RESNET, "in_channels": 4, "out_indices": (1, 4), "output_stride": 16}).eval()
    assert [tuple(x.shape[1:]) for x in some(torch.randn(1, 4, 64, 96))] == [(64, 16, 24), (512, 4, 6)]
    last = build_backbone({**RESNET, "features_only": False}).eval()
    assert [tuple(x.shape[1:]) for x in last(torch.randn(1, 3, 64, 96))] == [(512, 2, 3)]
    assert not [name for name in last.state_dict() if ".fc." in name]


@needs_timm
def test_normalisation_by_its_name_in_configs():
    backbone = build_backbone({**RESNET, "norm_layer": "IN"})
    assert isinstance(backbone.timm_model.bn1, torch.nn.InstanceNorm2d)
    with pytest.raises(ConfigError, match="norm layer"):
        build_backbone({**RESNET, "norm_layer": "XN"})


@needs_timm
def test_weights_of_a_file(tmp_path):
    source = build_backbone({**RESNET, "features_only": False})
    weights = {name[len("timm_model.") :]: value for name, value in source.state_dict().items()}
    weights.update({"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)})
    torch.save(weights, str(tmp_path / "resnet18.pth"))
    backbone = build_backbone({**RESNET, "pretrained": True, "checkpoint_path": str(tmp_path / "resnet18.pth")})
    assert not torch.equal(backbone.timm_model.conv1.weight, source.timm_model.conv1.weight)
    load_pretrained_parts(backbone)
    assert torch.equal(backbone.timm_model.conv1.weight, source.timm_model.conv1.weight)


@needs_timm
def test_in_a_segmentor_it_learns_and_keeps_its_weights():
    cfg = {
        "type": "EncoderDecoder",
        "backbone": RESNET,
        "decode_head": {"type": "FCNHead", "in_channels": 512, "in_index": -1, "channels": 8, "num_classes": 3},
    }
    model = build_segmentor(cfg)
    total_loss(model.loss(torch.randn(2, 3, 64, 64), torch.zeros(2, 64, 64, dtype=torch.int64))).backward()
    assert model.backbone.timm_model.conv1.weight.grad.abs().sum() > 0


@needs_timm
@pytest.mark.parametrize("wrong", [{"model_name": "resnet_of_nobody"}, {"speed": 3}])
def test_what_timm_does_not_know_is_refused(wrong):
    with pytest.raises(ConfigError, match="timm cannot make the model"):
        build_backbone({**RESNET, **wrong})
