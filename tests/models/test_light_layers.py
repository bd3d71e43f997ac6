"""The shared blocks of the light networks: names in checkpoints, shapes, values, refusals."""

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg.errors import ConfigError
from mmseg.models.layers import (
    AttentionRefinementModule,
    Conv2dAdaptivePadding,
    ConvModule,
    DeconvModule,
    InterpConv,
    InvertedResidualV3,
    SELayer,
    Upsample,
    fix_batch_norm,
    freeze,
    make_divisible,
)
from tests.models.configs import assert_close

BN = {"type": "BN"}


def names(module):
    return [name for name in module.state_dict() if "running" not in name and "tracked" not in name]


@pytest.mark.parametrize(("value", "expected"), [(16, 16), (18, 24), (36, 40), (11.9, 16), (3, 8), (24.4, 24)])
def test_make_divisible_keeps_nine_tenths(value, expected):
    assert make_divisible(value, 8) == expected


@given(st.floats(1, 4000), st.sampled_from([1, 4, 8, 16]))
def test_make_divisible_is_near_and_divisible(value, divisor):
    result = make_divisible(value, divisor)
    assert result % divisor == 0
    assert result >= max(divisor, 0.9 * value)
    assert result - value <= divisor or result == divisor


def test_make_divisible_has_a_least_value():
    assert make_divisible(3, 8, min_value=4) == 4


def test_squeeze_and_excitation_weighs_channels():
    layer = SELayer(72, ratio=4)
    assert names(layer) == ["conv1.conv.weight", "conv1.conv.bias", "conv2.conv.weight", "conv2.conv.bias"]
    assert layer.conv1.conv.out_channels == 24
    x = torch.randn(2, 72, 5, 7)
    mean = x.mean(dim=(2, 3), keepdim=True)
    weights = ((layer.conv2.conv(F.relu(layer.conv1.conv(mean))) + 3) / 6).clamp(0, 1)
    assert_close(layer(x), x * weights)
    same = SELayer(8, act_cfg={"type": "Sigmoid"})
    assert isinstance(same.conv1.activate, nn.Sigmoid) and isinstance(same.conv2.activate, nn.Sigmoid)
    with pytest.raises(ConfigError, match="one or two"):
        SELayer(8, act_cfg=[{"type": "ReLU"}] * 3)


@settings(deadline=None, max_examples=40)
@given(
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    kernel_size=st.sampled_from([1, 3, 5]),
    stride=st.sampled_from([1, 2, 3]),
    dilation=st.sampled_from([1, 2]),
)
def test_adaptive_padding_divides_the_size_rounding_up(size, kernel_size, stride, dilation):
    conv = Conv2dAdaptivePadding(1, 1, kernel_size, stride=stride, padding=9, dilation=dilation)
    assert conv(torch.zeros(1, 1, *size)).shape[2:] == tuple(-(-side // stride) for side in size)


def test_adaptive_padding_pads_more_at_the_end():
    conv = Conv2dAdaptivePadding(1, 1, 3, stride=2)
    x = torch.randn(1, 1, 4, 6)
    expected = F.conv2d(F.pad(x, [0, 1, 0, 1]), conv.weight, conv.bias, stride=2)
    assert_close(conv(x), expected)
    module = ConvModule(1, 2, 3, stride=2, padding=1, conv_cfg={"type": "Conv2dAdaptivePadding"}, norm_cfg=BN)
    assert isinstance(module.conv, Conv2dAdaptivePadding) and isinstance(module.conv, nn.Conv2d)


@pytest.mark.parametrize("with_cp", [False, True])
def test_inverted_residual_v3(with_cp):
    block = InvertedResidualV3(4, 4, 12, se_cfg={"channels": 12, "ratio": 4}, with_cp=with_cp).eval()
    parts = []
    for name in names(block):
        if name.split(".")[0] not in parts:
            parts.append(name.split(".")[0])
    assert parts == ["expand_conv", "depthwise_conv", "se", "linear_conv"]
    assert not block.linear_conv.with_activation
    x = torch.randn(2, 4, 6, 6, requires_grad=True)
    assert_close(block(x), x + block.linear_conv(block.se(block.depthwise_conv(block.expand_conv(x)))))
    block(x).sum().backward()
    assert x.grad.any()


def test_inverted_residual_v3_without_expansion_and_with_a_stride():
    block = InvertedResidualV3(4, 4, 4, stride=2, with_expand_conv=False)
    assert names(block)[0] == "depthwise_conv.conv.weight"
    assert isinstance(block.depthwise_conv.conv, Conv2dAdaptivePadding)
    assert block(torch.randn(2, 4, 7, 6)).shape == (2, 4, 4, 3)
    with pytest.raises(ConfigError, match="as many channels"):
        InvertedResidualV3(4, 4, 8, with_expand_conv=False)
    with pytest.raises(ConfigError, match="stride"):
        InvertedResidualV3(4, 4, 8, stride=4)


def test_attention_refinement():
    module = AttentionRefinementModule(3, 5).eval()
    assert names(module)[0] == "conv_layer.conv.weight"
    assert "atten_conv_layer.1.conv.weight" in names(module)
    x = torch.randn(2, 3, 6, 7)
    features = module.conv_layer(x)
    mean = features.mean(dim=(2, 3), keepdim=True)
    assert_close(module(x), features * torch.sigmoid(module.atten_conv_layer[1](mean)))


@pytest.mark.parametrize("conv_first", [False, True])
@pytest.mark.parametrize("with_cp", [False, True])
def test_interpolation_and_convolution(conv_first, with_cp):
    module = InterpConv(4, 3, conv_first=conv_first, with_cp=with_cp).eval()
    assert names(module)[0] == f"interp_upsample.{0 if conv_first else 1}.conv.weight"
    x = torch.randn(2, 4, 5, 6, requires_grad=True)
    conv = module.interp_upsample[0 if conv_first else 1]

    def larger(y):
        return F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=False)

    assert_close(module(x), larger(conv(x)) if conv_first else conv(larger(x)))
    module(x).sum().backward()
    assert x.grad.any()


def test_transposed_convolution():
    for kernel_size, scale_factor in ((4, 2), (2, 2), (6, 4)):
        module = DeconvModule(4, 3, kernel_size=kernel_size, scale_factor=scale_factor)
        assert module(torch.randn(2, 4, 5, 6)).shape == (2, 3, 5 * scale_factor, 6 * scale_factor)
    assert names(module)[:3] == ["deconv_upsamping.0.weight", "deconv_upsamping.0.bias", "deconv_upsamping.1.weight"]
    for kernel_size in (3, 1):
        with pytest.raises(ConfigError, match="kernel_size"):
            DeconvModule(4, 3, kernel_size=kernel_size, scale_factor=2)


def test_upsample_by_size_or_factor():
    x = torch.randn(1, 2, 4, 6)
    assert Upsample(size=(5, 7))(x).shape == (1, 2, 5, 7)
    assert_close(Upsample(scale_factor=2)(x), x.repeat_interleave(2, 2).repeat_interleave(2, 3))
    with pytest.raises(ConfigError, match="either"):
        Upsample()
    with pytest.raises(ConfigError, match="either"):
        Upsample(size=(1, 1), scale_factor=2)


def test_frozen_parts_and_fixed_batch_norm():
    module = nn.Sequential(ConvModule(3, 4, 1, norm_cfg=BN), ConvModule(4, 4, 1, norm_cfg=BN)).train()
    freeze([module[0]])
    assert not module[0].bn.training and module[1].bn.training
    assert [parameter.requires_grad for parameter in module.parameters()] == [False] * 3 + [True] * 3
    fix_batch_norm(module)
    assert not module[1].bn.training and module[1].training
