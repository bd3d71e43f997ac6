"""Learning rates that fall from layer to layer; the groups are those of mmsegmentation 0.27."""

import pytest
import torch
from torch import nn

from mmseg.engine.optimizers import build_optimizer
from mmseg.errors import ConfigError
from mmseg.models import build_backbone


class Segmentor(nn.Module):
    """A backbone and a head of one convolution and a norm layer."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone
        self.decode_head = nn.Sequential(nn.Conv2d(8, 4, 3), nn.BatchNorm2d(4))


def convnext(third_stage=9):
    arch = {"depths": [3, 3, third_stage, 3], "channels": [4, 4, 4, 4]}
    return Segmentor(build_backbone({"type": "mmcls.ConvNeXt", "arch": arch, "out_indices": [0, 1, 2, 3]}))


class BEiT(nn.Module):
    """The names of a vision transformer's parameters."""

    def __init__(self):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, 4))
        self.pos_embed = nn.Parameter(torch.zeros(1, 2, 4))
        self.patch_embed = nn.Conv2d(3, 4, 2)
        self.layers = nn.ModuleList([nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)) for _ in range(4)])
        self.norm = nn.LayerNorm(4)


def optimizer(model, constructor="LearningRateDecayOptimizerConstructor", weight_decay=0.05, **paramwise):
    cfg = dict(type="AdamW", lr=1.0, weight_decay=weight_decay, constructor=constructor, paramwise_cfg=paramwise)
    return build_optimizer(model, cfg)


def options(model, **cfg):
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = optimizer(model, **cfg).param_groups
    return {names[id(p)]: (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}


def steps(found):
    """The power of the rate 0.5 for each parameter."""
    powers = {0.5**power: power for power in range(30)}
    return {name: powers[lr] for name, (lr, _) in found.items()}


def test_stages_of_convnext():
    model = convnext()
    found = options(model, decay_rate=0.5, decay_type="stage_wise", num_layers=6)
    assert set(found) == {name for name, _ in model.named_parameters()}
    power = steps(found)
    assert {power[f"backbone.downsample_layers.{index}.1.weight"] for index in range(4)} == {7}
    stages = [power[f"backbone.stages.{index}.2.pointwise_conv1.weight"] for index in range(4)]
    assert stages == [6, 5, 4, 3]
    assert power["backbone.norm0.weight"] == power["backbone.norm3.bias"] == power["decode_head.0.weight"] == 0
    groups = optimizer(model, decay_rate=0.5, decay_type="stage_wise", num_layers=6).param_groups
    assert {group["group_name"]: group["lr"] for group in groups} == {
        f"layer_{layer}_{kind}": 0.5 ** (7 - layer) for layer in (0, 1, 2, 3, 4, 7) for kind in ("decay", "no_decay")
    }


@pytest.mark.parametrize("third_stage, num_layers", [(9, 6), (27, 12)])
def test_layers_of_convnext(third_stage, num_layers):
    power = steps(options(convnext(third_stage), decay_rate=0.5, num_layers=num_layers))
    top = num_layers + 1

    def layer(name):
        return top - power[f"backbone.{name}.weight"]

    assert [layer(f"downsample_layers.{index}.1") for index in range(4)] == [0, 2, 3, num_layers]
    assert [layer(f"stages.{stage}.2.norm") for stage in (0, 1, 3)] == [1, 2, num_layers]
    assert [layer(f"stages.2.{block}.norm") for block in range(third_stage)] == [3 + n // 3 for n in range(third_stage)]
    assert layer("norm2") == top and power["decode_head.1.bias"] == 0


@pytest.mark.parametrize(
    "constructor, key",
    [("LearningRateDecayOptimizerConstructor", "decay_rate"), ("LayerDecayOptimizerConstructor", "layer_decay_rate")],
)
def test_layers_of_a_vision_transformer(constructor, key):
    power = steps(options(Segmentor(BEiT()), constructor=constructor, num_layers=4, **{key: 0.5}))
    tokens = ("cls_token", "pos_embed", "patch_embed.weight", "patch_embed.bias")
    assert {power[f"backbone.{name}"] for name in tokens} == {5}
    assert [power[f"backbone.layers.{index}.0.weight"] for index in range(4)] == [4, 3, 2, 1]
    assert power["backbone.norm.weight"] == power["decode_head.0.weight"] == 0


def test_vectors_have_no_weight_decay():
    found = options(convnext(), decay_rate=0.5, num_layers=6)
    decays = {name for name, (_, weight_decay) in found.items() if weight_decay}
    assert "backbone.stages.0.0.depthwise_conv.weight" in decays and "decode_head.0.weight" in decays
    assert not [name for name in decays if name.endswith(("bias", "gamma", "norm.weight"))]
    assert found["decode_head.0.weight"][1] == 0.05


def test_frozen_parameters_are_left_out():
    model = convnext()
    model.backbone.stages[0].requires_grad_(False)
    found = options(model, decay_rate=0.5, num_layers=6)
    assert not [name for name in found if name.startswith("backbone.stages.0")]
    assert len(found) == sum(parameter.requires_grad for parameter in model.parameters())


def test_without_paramwise_cfg_all_parameters_are_one_group():
    cfg = dict(type="AdamW", lr=0.1, constructor="LearningRateDecayOptimizerConstructor")
    assert len(build_optimizer(convnext(), cfg).param_groups) == 1


def test_the_state_can_be_saved_and_restored():
    model = convnext()
    first = optimizer(model, decay_rate=0.5, num_layers=6)
    sum(parameter.sum() for parameter in model.parameters()).backward()
    first.step()
    second = optimizer(model, decay_rate=0.5, num_layers=6)
    second.load_state_dict(first.state_dict())
    assert len(second.state) == len(list(model.parameters()))


@pytest.mark.parametrize(
    "wrong, message",
    [
        (dict(num_layers=6), "decay_rate must be a number above 0"),
        (dict(num_layers=6, decay_rate=0), "decay_rate must be a number above 0"),
        (dict(decay_rate=0.9), "num_layers must be a whole number above 0"),
        (dict(num_layers=6.5, decay_rate=0.9), "num_layers must be a whole number above 0"),
        (dict(num_layers=6, decay_rate=0.9, decay_type="block_wise"), "decay_type"),
        (dict(num_layers=6, layer_decay_rate=0.9), "no 'layer_decay_rate'"),
        (dict(num_layers=6, decay_rate=0.9, norm_decay_mult=0), "no 'norm_decay_mult'"),
        (dict(num_layers=3, decay_rate=0.9), "num_layers is 3, but backbone.stages.2.6"),
        (dict(num_layers=6, decay_rate=0.9, weight_decay=None), "optimizer.weight_decay must be set"),
    ],
)
def test_wrong_configs_are_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        optimizer(convnext(), **wrong)


def test_backbones_whose_layers_are_not_known_are_refused():
    with pytest.raises(ConfigError, match="BEiT, ConvNeXt, MAE, not Sequential"):
        optimizer(Segmentor(nn.Sequential(nn.Conv2d(3, 8, 1))), num_layers=6, decay_rate=0.9)
    with pytest.raises(ConfigError, match="ConvNeXt, not BEiT"):
        optimizer(Segmentor(BEiT()), num_layers=4, decay_rate=0.9, decay_type="stage_wise")
