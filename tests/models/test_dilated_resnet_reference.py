"""FCN, PSPNet, DeepLabV3 and DeepLabV3+ on ResNets against the numbers of mmsegmentation 0.27."""

import pytest

from mmseg.models import build_segmentor
from tests.models.reference_numbers import assert_published_layout, assert_reference_numbers
from tests.models.resnet_configs import deeplabv3, deeplabv3plus, fcn, pspnet
from tests.reference_data import needs_reference

pytestmark = needs_reference

D16 = {"dilations": (1, 1, 1, 2), "strides": (1, 2, 2, 1)}


@pytest.mark.parametrize(
    ("name", "cfg"),
    [
        ("fcn__fcn_r18-d8_512x1024_80k_cityscapes", fcn(depth=18)),
        ("pspnet__pspnet_r18-d8_512x1024_80k_cityscapes", pspnet(depth=18)),
        ("deeplabv3__deeplabv3_r18-d8_512x1024_80k_cityscapes", deeplabv3(depth=18)),
        ("deeplabv3plus__deeplabv3plus_r18-d8_512x1024_80k_cityscapes", deeplabv3plus(depth=18)),
        (
            "deeplabv3plus__deeplabv3plus_r18b-d8_769x769_80k_cityscapes",
            deeplabv3plus(depth=18, type="ResNet", align_corners=True),
        ),
        ("deeplabv3plus__deeplabv3plus_r50-d8_769x769_40k_cityscapes", deeplabv3plus(align_corners=True)),
    ],
)
def test_logits_losses_and_gradients(name, cfg):
    model = build_segmentor(cfg)
    assert_published_layout(model, name.replace("__", "/") + ".py")
    assert_reference_numbers(model, name)


@pytest.mark.parametrize(
    ("config", "cfg"),
    [
        ("fcn/fcn_r50-d8_512x1024_40k_cityscapes.py", fcn()),
        ("fcn/fcn_r18b-d8_769x769_80k_cityscapes.py", fcn(depth=18, type="ResNet")),
        ("fcn/fcn_d6_r50b-d16_769x769_80k_cityscapes.py", fcn(type="ResNet", **D16)),
        ("pspnet/pspnet_r50-d32_512x1024_80k_cityscapes.py", pspnet(dilations=(1, 1, 1, 1), strides=(1, 2, 2, 2))),
        ("deeplabv3/deeplabv3_r101-d16-mg124_512x1024_40k_cityscapes.py", deeplabv3(depth=101, multi_grid=(1, 2, 4))),
    ],
)
def test_state_dict_has_the_published_names_and_shapes_in_order(config, cfg):
    assert_published_layout(build_segmentor(cfg), config)
