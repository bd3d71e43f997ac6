"""The feature pyramid and the heads over one."""

import pytest
import torch

from mmseg.errors import ConfigError
from mmseg.models import build_head, build_neck
from tests.models.configs import fill

CHANNELS = [3, 4, 5, 6]


def features(size=32, channels=CHANNELS):
    return [torch.randn(2, width, size >> level, size >> level) for level, width in enumerate(channels)]


def fpn(**arguments):
    return build_neck({"type": "FPN", "in_channels": CHANNELS, "out_channels": 7, "num_outs": 4, **arguments})


def fpn_head(**arguments):
    return build_head(
        {
            "type": "FPNHead",
            "in_channels": CHANNELS,
            "in_index": [0, 1, 2, 3],
            "feature_strides": [4, 8, 16, 32],
            "channels": 6,
            "num_classes": 5,
            **arguments,
        }
    )


def uper_head(**arguments):
    return build_head(
        {
            "type": "UPerHead",
            "in_channels": CHANNELS,
            "in_index": [0, 1, 2, 3],
            "channels": 6,
            "num_classes": 5,
            "norm_cfg": {"type": "BN"},
            **arguments,
        }
    )


def test_every_level_sees_the_coarser_ones_only():
    neck = fpn()
    inputs = [x.requires_grad_() for x in features()]
    neck(inputs)[2].sum().backward()
    assert inputs[0].grad is None and inputs[1].grad is None
    assert inputs[2].grad.abs().sum() > 0 and inputs[3].grad.abs().sum() > 0


def test_a_pyramid_of_maps_that_are_no_doubles_of_one_another():
    outputs = fpn()([torch.randn(1, width, side, side + 2) for width, side in zip(CHANNELS, (25, 13, 7, 4))])
    assert [tuple(x.shape[2:]) for x in outputs] == [(25, 27), (13, 15), (7, 9), (4, 6)]


def test_published_initial_weights():
    neck = fpn(in_channels=[64, 64], num_outs=2, out_channels=64)
    neck.init_weights()
    bound = (6 / (64 * 9 + 64 * 9)) ** 0.5
    weight = neck.fpn_convs[0].conv.weight
    assert weight.abs().max().item() == pytest.approx(bound, rel=0.01)
    assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)
    assert not neck.fpn_convs[0].conv.bias.detach().any()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"num_outs": 3}, "num_outs is at least 4"),
        ({"num_outs": 4, "end_level": 3}, "num_outs is 3"),
        ({"start_level": 4}, "start_level"),
        ({"end_level": 5}, "end_level"),
        ({"in_channels": 3}, "in_channels"),
        ({"add_extra_convs": "on_top"}, "on_top"),
        ({"upsample_cfg": {"mod": "nearest"}}, "mod"),
        ({"out_channel": 7}, "out_channels"),
    ],
)
def test_pyramids_that_cannot_be(arguments, said):
    with pytest.raises(ConfigError, match=said):
        fpn(**arguments)


def test_a_pyramid_of_other_inputs_than_it_was_made_for():
    with pytest.raises(ConfigError, match="4 entries, but there are 3 inputs"):
        fpn()(features()[:3])


@pytest.mark.parametrize("make", [fpn_head, uper_head])
@pytest.mark.parametrize("align_corners", [False, True])
def test_logits_have_the_size_of_the_finest_level_and_every_level_counts(make, align_corners):
    head = fill(make(align_corners=align_corners)).eval()
    inputs = [x.requires_grad_() for x in features()]
    logits = head(inputs)
    assert logits.shape == (2, 5, 32, 32)
    logits.sum().backward()
    assert all(x.grad.abs().sum() > 0 for x in inputs)


@pytest.mark.parametrize("make", [fpn_head, uper_head])
def test_levels_that_are_no_doubles_of_one_another(make):
    inputs = [torch.randn(2, width, side, side + 2) for width, side in zip(CHANNELS, (25, 13, 7, 4))]
    assert make().eval()(inputs).shape == (2, 5, 25, 27)


def test_a_convolution_for_each_doubling():
    head = fpn_head(feature_strides=[4, 4, 8, 32])
    assert [len(part) for part in head.scale_heads] == [1, 1, 2, 6]


def test_pool_scales():
    head = uper_head(pool_scales=(1, 4))
    assert len(head.psp_modules) == 2
    assert head.bottleneck.conv.in_channels == 6 + 2 * 6


@pytest.mark.parametrize(
    ("make", "arguments", "said"),
    [
        (fpn_head, {"feature_strides": [4, 8, 16]}, "feature_strides has one entry"),
        (fpn_head, {"feature_strides": [8, 4, 16, 32]}, "begin with the smallest"),
        (fpn_head, {"feature_strides": [0, 4, 16, 32]}, "feature_strides"),
        (fpn_head, {"feature_stride": [4, 8, 16, 32]}, "feature_strides"),
        (fpn_head, {"input_transform": "resize_concat"}, "multiple_select"),
        (uper_head, {"input_transform": "resize_concat"}, "multiple_select"),
        (uper_head, {"in_channels": 3}, "in_channels"),
        (uper_head, {"pool_scale": (1,)}, "pool_scales"),
    ],
)
def test_heads_that_cannot_be(make, arguments, said):
    with pytest.raises(ConfigError, match=said):
        make(**arguments)
