"""The shared blocks: names in checkpoints, shapes, values, initial weights."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F

from mmseg.errors import ConfigError
from mmseg.models.layers import (
    PPM,
    BaseModule,
    ConvModule,
    DepthwiseSeparableConvModule,
    InvertedResidual,
    build_activation_layer,
    build_norm_layer,
    initialize,
    resize,
)
from tests.models.configs import assert_close

BN = {"type": "BN"}


def names(module):
    return [name for name in module.state_dict() if "running" not in name and "tracked" not in name]


def test_conv_module_has_a_bias_only_without_a_norm_layer():
    assert names(ConvModule(3, 4, 3, norm_cfg=BN)) == ["conv.weight", "bn.weight", "bn.bias"]
    assert names(ConvModule(3, 4, 3)) == ["conv.weight", "conv.bias"]
    assert names(ConvModule(3, 4, 3, bias=False)) == ["conv.weight"]
    assert "gn.weight" in names(ConvModule(3, 4, 3, norm_cfg={"type": "GN", "num_groups": 2}))


def test_conv_module_is_convolution_norm_and_activation():
    module = ConvModule(3, 4, 3, stride=2, padding=1, norm_cfg=BN, act_cfg={"type": "ReLU6"}).eval()
    module.bn.running_mean.fill_(0.1)
    x = torch.randn(2, 3, 9, 9)
    expected = F.relu6(module.bn(F.conv2d(x, module.conv.weight, None, 2, 1)))
    assert_close(module(x), expected)
    assert module(x, activate=False).min() < 0
    assert_close(module(x, activate=False, norm=False), module.conv(x))


def test_conv_module_order_decides_what_the_norm_layer_sees():
    module = ConvModule(3, 4, 1, norm_cfg=BN, order=("norm", "act", "conv")).eval()
    assert module.bn.num_features == 3
    x = torch.randn(1, 3, 2, 2)
    assert_close(module(x), module.conv(F.relu(module.bn(x))))
    with pytest.raises(ConfigError, match="order"):
        ConvModule(3, 4, 1, order=("conv", "conv", "act"))


def test_conv_module_starts_with_he_initialisation_over_the_fan_out():
    torch.manual_seed(0)
    module = ConvModule(64, 128, 3, norm_cfg=BN)
    assert module.conv.weight.std().item() == pytest.approx((2 / (128 * 9)) ** 0.5, rel=0.02)
    assert (module.bn.weight == 1).all() and (module.bn.bias == 0).all()
    assert (ConvModule(3, 4, 1).conv.bias == 0).all()
    leaky = ConvModule(64, 128, 3, act_cfg={"type": "LeakyReLU", "negative_slope": 1.0})
    assert leaky.conv.weight.std().item() == pytest.approx((1 / (128 * 9)) ** 0.5, rel=0.02)


def test_depthwise_separable_conv_module():
    module = DepthwiseSeparableConvModule(4, 6, 3, padding=1, norm_cfg=BN, dw_act_cfg=None)
    assert names(module)[:2] == ["depthwise_conv.conv.weight", "depthwise_conv.bn.weight"]
    assert module.depthwise_conv.conv.groups == 4
    assert module.pointwise_conv.conv.kernel_size == (1, 1)
    assert not module.depthwise_conv.with_activation
    assert module.pointwise_conv.with_activation
    assert DepthwiseSeparableConvModule(4, 6, 3).depthwise_conv.with_activation
    assert module(torch.randn(2, 4, 5, 5)).shape == (2, 6, 5, 5)


@pytest.mark.parametrize("with_cp", [False, True])
def test_inverted_residual_adds_its_input_where_it_can(with_cp):
    block = InvertedResidual(4, 4, 1, 6, with_cp=with_cp).eval()
    assert names(block)[0] == "conv.0.conv.weight"
    assert block.conv[0].conv.out_channels == 24
    assert not block.conv[2].with_activation
    x = torch.randn(2, 4, 6, 6, requires_grad=True)
    assert_close(block(x), x + block.conv(x))
    block(x).sum().backward()
    assert x.grad.any()
    assert InvertedResidual(4, 8, 2, 6)(x).shape == (2, 8, 3, 3)
    assert len(InvertedResidual(4, 4, 1, 1).conv) == 2
    with pytest.raises(ConfigError, match="stride"):
        InvertedResidual(4, 4, 3, 6)


def test_recomputed_activations_give_the_same_gradients():
    torch.manual_seed(0)
    kept = InvertedResidual(4, 4, 1, 2)
    recomputed = InvertedResidual(4, 4, 1, 2, with_cp=True)
    recomputed.load_state_dict(kept.state_dict())
    x = torch.randn(2, 4, 6, 6)
    gradients = []
    for block in (kept, recomputed):
        block(x.clone().requires_grad_()).pow(2).sum().backward()
        gradients.append([parameter.grad for parameter in block.parameters()])
    for one, other in zip(*gradients):
        assert_close(one, other)


def test_pyramid_pooling_averages_over_grids():
    ppm = PPM((1, 2), 3, 2, conv_cfg=None, norm_cfg=None, act_cfg=None, align_corners=False)
    x = torch.randn(2, 3, 8, 8)
    whole, quarters = ppm(x)
    assert whole.shape == quarters.shape == (2, 2, 8, 8)
    expected = ppm[0][1](x.mean(dim=(2, 3), keepdim=True)).expand_as(whole)
    assert_close(whole, expected)
    assert names(ppm)[0] == "0.1.conv.weight"


def test_resize():
    x = torch.randn(1, 2, 4, 4)
    assert resize(x, (4, 4)) is x
    assert resize(x, torch.Size([8, 6])).shape == (1, 2, 8, 6)
    assert resize(x, scale_factor=2, mode="nearest", align_corners=True).shape == (1, 2, 8, 8)
    corners = resize(x, (7, 7), align_corners=True)
    assert_close(corners[..., ::2, ::2], x)


@pytest.mark.parametrize("kind", ["BN", "BN2d", "SyncBN"])
def test_batch_norm_on_one_process(kind):
    name, layer = build_norm_layer({"type": kind, "momentum": 0.01, "eps": 1e-3}, 4, postfix=1)
    assert name == "bn1"
    assert type(layer) is nn.BatchNorm2d
    assert (layer.momentum, layer.eps, layer.num_features) == (0.01, 1e-3, 4)


def test_frozen_and_unknown_norm_layers():
    _, layer = build_norm_layer({"type": "BN", "requires_grad": False}, 4)
    assert not any(parameter.requires_grad for parameter in layer.parameters())
    with pytest.raises(ConfigError, match="BatchNormm"):
        build_norm_layer({"type": "BatchNormm"}, 4)
    with pytest.raises(ConfigError, match="momentumm"):
        build_norm_layer({"type": "SyncBN", "momentumm": 0.1}, 4)


RANK = """
import sys, torch, torch.distributed as dist
from mmseg.models.layers import ConvModule
rank, file = int(sys.argv[1]), sys.argv[2]
dist.init_process_group("gloo", init_method="file://" + file, rank=rank, world_size=2)
module = ConvModule(3, 4, 3, norm_cfg=dict(type="SyncBN"))
module(torch.randn(2, 3, 8, 8)).sum().backward()
print(type(module.bn).__name__, module.conv.weight.grad is not None)
dist.destroy_process_group()
"""


@pytest.mark.skipif(torch.cuda.is_available(), reason="with CUDA devices the layer is synchronised")
def test_sync_bn_in_a_group_without_cuda_is_batch_norm(tmp_path):
    command = [sys.executable, "-c", RANK]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    ranks = [
        subprocess.Popen(
            [*command, str(rank), str(tmp_path / "rendezvous")], env=environment, stdout=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]
    outputs = [process.communicate(timeout=120)[0] for process in ranks]
    assert [process.returncode for process in ranks] == [0, 0]
    assert [output.split() for output in outputs] == [["BatchNorm2d", "True"]] * 2


def test_activations():
    x = torch.linspace(-4, 4, 9)
    assert_close(build_activation_layer({"type": "HSigmoid"})(x), ((x + 3) / 6).clamp(0, 1))
    assert_close(build_activation_layer({"type": "Swish"})(x), x * torch.sigmoid(x))
    assert_close(build_activation_layer({"type": "HSwish"})(x), F.hardswish(x))
    assert build_activation_layer({"type": "ReLU"}, inplace=True).inplace
    assert not build_activation_layer({"type": "ReLU", "inplace": False}, inplace=True).inplace
    build_activation_layer({"type": "GELU"}, inplace=True)
    with pytest.raises(ConfigError, match="did you mean ReLU"):
        build_activation_layer({"type": "RelU"})


class Pair(BaseModule):
    def __init__(self, init_cfg=None):
        super().__init__(init_cfg)
        self.first = nn.Conv2d(3, 50, 3)
        self.norm = nn.BatchNorm2d(50)
        self.conv_seg = nn.Conv2d(50, 40, 1)


def test_init_cfg_by_layer_and_override():
    torch.manual_seed(0)
    pair = Pair(
        [
            {"type": "Kaiming", "layer": "Conv2d", "override": {"type": "Normal", "name": "conv_seg", "std": 0.01}},
            {"type": "Constant", "val": 3, "layer": ["_BatchNorm"]},
        ]
    )
    pair.init_weights()
    assert pair.first.weight.std().item() == pytest.approx((2 / (50 * 9)) ** 0.5, rel=0.1)
    assert pair.conv_seg.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert (pair.norm.weight == 3).all()
    assert (pair.first.bias == 0).all()


def test_an_override_without_type_inherits_and_leaves_the_rest():
    torch.manual_seed(0)
    pair = Pair({"type": "Normal", "std": 0.01, "override": {"name": "conv_seg"}})
    before = pair.first.weight.clone()
    pair.init_weights()
    assert torch.equal(pair.first.weight, before)
    assert pair.conv_seg.weight.std().item() == pytest.approx(0.01, rel=0.1)


def test_children_are_initialised_after_their_parent():
    parent = BaseModule({"type": "Constant", "val": 1, "layer": "Conv2d"})
    parent.children_list = nn.ModuleList([Pair({"type": "Constant", "val": 2, "layer": "Conv2d"}), nn.Conv2d(1, 1, 1)])
    parent.init_weights()
    assert (parent.children_list[0].first.weight == 2).all()
    assert (parent.children_list[1].weight == 1).all()


@pytest.mark.parametrize(
    ("cfg", "check"),
    [
        ({"type": "Uniform", "a": 1, "b": 2, "layer": "Conv2d"}, lambda w: 1 <= w.min() <= w.max() <= 2),
        ({"type": "TruncNormal", "std": 1, "a": -0.5, "b": 0.5, "layer": "Conv2d"}, lambda w: w.abs().max() <= 0.5),
        ({"type": "Xavier", "distribution": "uniform", "layer": "Conv2d"}, lambda w: w.abs().max() <= 0.12),
        ({"type": "Kaiming", "distribution": "uniform", "layer": "Conv2d"}, lambda w: w.abs().max() <= 0.12),
    ],
)
def test_distributions(cfg, check):
    pair = Pair(cfg)
    pair.init_weights()
    assert check(pair.first.weight)


@pytest.mark.parametrize(
    ("cfg", "said"),
    [
        ({"type": "Kaimng", "layer": "Conv2d"}, "Kaimng"),
        ({"type": "Normal", "sdt": 1, "layer": "Conv2d"}, "sdt"),
        ({"type": "Normal", "override": {"name": "nowhere"}}, "nowhere"),
    ],
)
def test_wrong_init_cfg_is_refused(cfg, said):
    with pytest.raises(ConfigError, match=said):
        initialize(Pair(), cfg)


def test_pretrained_init_cfg_changes_nothing():
    pair = Pair({"type": "Pretrained", "checkpoint": "torchvision://resnet50"})
    before = pair.first.weight.clone()
    pair.init_weights()
    assert torch.equal(pair.first.weight, before)
