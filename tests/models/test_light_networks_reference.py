"""UNet, MobileNetV2 and V3, BiSeNetV1 and V2 and STDC against the numbers of mmsegmentation 0.27."""

from pathlib import Path

import pytest

from mmseg.config import Config
from mmseg.models import build_segmentor
from tests.models.reference_numbers import assert_published_layout, assert_reference_numbers
from tests.reference_data import needs_reference

pytestmark = needs_reference

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def build(config):
    return build_segmentor(Config.fromfile(CONFIGS / config).model)


@pytest.mark.parametrize(
    "name",
    [
        "unet__fcn_unet_s5-d16_4x4_512x1024_160k_cityscapes",
        "unet__deeplabv3_unet_s5-d16_128x128_40k_chase_db1",
        "mobilenet_v2__deeplabv3plus_m-v2-d8_512x1024_80k_cityscapes",
        "bisenetv2__bisenetv2_fcn_4x4_1024x1024_160k_cityscapes",
        "stdc__stdc1_512x1024_80k_cityscapes",
    ],
)
def test_logits_losses_and_gradients(name):
    config = name.replace("__", "/") + ".py"
    model = build(config)
    assert_published_layout(model, config)
    assert_reference_numbers(model, name)


@pytest.mark.parametrize(
    "config",
    [
        "unet/pspnet_unet_s5-d16_128x128_40k_chase_db1.py",
        "mobilenet_v2/pspnet_m-v2-d8_512x1024_80k_cityscapes.py",
        "mobilenet_v3/lraspp_m-v3-d8_512x1024_320k_cityscapes.py",
        "mobilenet_v3/lraspp_m-v3-d8_scratch_512x1024_320k_cityscapes.py",
        "bisenetv1/bisenetv1_r18-d32_4x4_1024x1024_160k_cityscapes.py",
        "bisenetv1/bisenetv1_r50-d32_4x4_1024x1024_160k_cityscapes.py",
        "stdc/stdc2_512x1024_80k_cityscapes.py",
    ],
)
def test_state_dict_has_the_published_names_and_shapes_in_order(config):
    assert_published_layout(build(config), config)
