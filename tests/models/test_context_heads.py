"""The heads with a wide view: PSPHead, ASPPHead, DepthwiseSeparableASPPHead."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmseg.errors import ConfigError
from mmseg.models import HEADS
from tests.models.configs import assert_close, fill


def head(type, **arguments):
    common = {"in_channels": 12, "in_index": 1, "channels": 8, "num_classes": 5, "norm_cfg": {"type": "BN"}}
    return fill(HEADS.build({"type": type, **common, **arguments})).eval()


def features():
    random = np.random.RandomState(0)
    shapes = ((2, 6, 13, 17), (2, 12, 7, 9))
    return [torch.from_numpy(random.standard_normal(shape).astype(np.float32)) for shape in shapes]


EARLY = {"type": "DepthwiseSeparableASPPHead", "c1_in_channels": 6, "c1_channels": 3}


@pytest.mark.parametrize(
    ("arguments", "size", "entries", "mean", "deviation"),
    [
        (dict(type="PSPHead"), (7, 9), 32, -0.0324767, 0.790678),
        (dict(type="PSPHead", pool_scales=(1, 3), align_corners=True), (7, 9), 20, 0.00963728, 0.94068),
        (dict(type="ASPPHead", dilations=(1, 2, 3)), (7, 9), 32, 0.102389, 1.28088),
        (dict(type="ASPPHead", dilations=(2, 1), align_corners=True, norm_cfg=None), (7, 9), 10, -0.061951, 1.48274),
        (dict(dilations=(1, 2), **EARLY), (13, 17), 62, 0.0887387, 0.491832),
        (dict(align_corners=True, act_cfg={"type": "LeakyReLU"}, **EARLY), (13, 17), 86, 0.0885955, 0.47208),
        (
            dict(type="DepthwiseSeparableASPPHead", dilations=(1, 2), c1_in_channels=0, c1_channels=0),
            (7, 9),
            56,
            0.0421547,
            0.387221,
        ),
    ],
)
def test_logits_are_those_of_mmsegmentation(arguments, size, entries, mean, deviation):
    """With the weights of the reference data; measured from mmsegmentation 0.27."""
    model = head(**arguments)
    assert len(model.state_dict()) == entries
    with torch.no_grad():
        logits = model(features()).double()
    assert logits.shape == (2, 5, *size)
    assert logits.mean().item() == pytest.approx(mean, rel=1e-4, abs=1e-6)
    assert logits.std(unbiased=False).item() == pytest.approx(deviation, rel=1e-4)


def test_pyramid_pooling_joins_the_input_and_its_means():
    model, x = head("PSPHead", pool_scales=(1, 2)), features()[1]
    with torch.no_grad():
        one, two = (branch[1] for branch in model.psp_modules)
        whole = one(F.adaptive_avg_pool2d(x, 1)).expand(-1, -1, 7, 9)
        quarters = F.interpolate(two(F.adaptive_avg_pool2d(x, 2)), (7, 9), mode="bilinear", align_corners=False)
        expected = model.conv_seg(model.bottleneck(torch.cat([x, whole, quarters], 1)))
        assert_close(model(features()), expected)


def test_aspp_joins_the_mean_of_the_image_and_the_dilations():
    model, x = head("ASPPHead", dilations=(1, 3)), features()[1]
    assert [branch.conv.kernel_size for branch in model.aspp_modules] == [(1, 1), (3, 3)]
    assert model.aspp_modules[1].conv.dilation == (3, 3)
    with torch.no_grad():
        mean = model.image_pool[1](x.mean((2, 3), keepdim=True)).expand(-1, -1, 7, 9)
        branches = [branch(x) for branch in model.aspp_modules]
        expected = model.conv_seg(model.bottleneck(torch.cat([mean, *branches], 1)))
        assert_close(model(features()), expected)


def test_separable_aspp_looks_at_the_first_features():
    model, (early, late) = head(**EARLY), features()
    with torch.no_grad():
        before = model([early, late])
        assert (model([early + 1, late]) - before).abs().max() > 1e-3
        assert (model([early, late + 1]) - before).abs().max() > 1e-3


def test_gradients_reach_every_parameter():
    label = torch.from_numpy(np.random.RandomState(1).randint(0, 5, (2, 26, 34)))
    for arguments in (dict(type="PSPHead"), dict(type="ASPPHead", dilations=(1, 2)), dict(dilations=(1, 2), **EARLY)):
        model = head(**arguments)
        model.loss(features(), label)["loss_ce"].backward()
        assert all(value.grad is not None and value.grad.any() for value in model.parameters())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (dict(type="PSPHead", pool_scales=6), "pool_scales"),
        (dict(type="PSPHead", pool_scales=()), "pool_scales"),
        (dict(type="PSPHead", pool_scale=(1,)), "did you mean 'pool_scales'"),
        (dict(type="ASPPHead", dilations=(0, 6)), "dilations"),
        (dict(type="ASPPHead", dilations=6), "dilations"),
        (dict(type="DepthwiseSeparableASPPHead"), "c1_in_channels"),
        (dict(type="DepthwiseSeparableASPPHead", c1_in_channels=6, c1_channels=0), "both"),
        (dict(type="DepthwiseSeparableASPPHead", c1_in_channels=-1, c1_channels=0), "both"),
    ],
)
def test_a_wrong_config_is_refused_by_name(change, said):
    with pytest.raises(ConfigError, match=said):
        head(**change)
