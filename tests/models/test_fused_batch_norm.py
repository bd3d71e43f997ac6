import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmseg.config import Config
from mmseg.models import build_segmentor
from mmseg.models.fused_batch_norm import fuse_batch_norm

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
FAMILIES = [
    "fastscnn/fast_scnn_lr0.12_8x4_160k_cityscapes.py",
    "hrnet/fcn_hr18s_512x1024_40k_cityscapes.py",
    "ocrnet/ocrnet_hr18s_512x1024_40k_cityscapes.py",
    "deeplabv3plus/deeplabv3plus_r18-d8_512x1024_80k_cityscapes.py",
    "unet/fcn_unet_s5-d16_64x64_40k_drive.py",
    "segformer/segformer_mit-b0_512x512_160k_ade20k.py",
    "mobilenet_v2/fcn_m-v2-d8_512x1024_80k_cityscapes.py",
    "mobilenet_v3/lraspp_m-v3-d8_512x1024_320k_cityscapes.py",
    "bisenetv1/bisenetv1_r18-d32_4x4_1024x1024_160k_cityscapes.py",
    "bisenetv2/bisenetv2_fcn_4x4_1024x1024_160k_cityscapes.py",
    "stdc/stdc1_512x1024_80k_cityscapes.py",
    "point_rend/pointrend_r50_512x1024_80k_cityscapes.py",
    "upernet/upernet_r18_512x1024_40k_cityscapes.py",
    "sem_fpn/fpn_r50_512x1024_80k_cityscapes.py",
]


def with_statistics(model):
    """The model in eval mode, with running statistics and weights of normalisation that are not those of its start."""
    torch.manual_seed(1)
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.7, 1.3)
            nn.init.normal_(module.bias, 0, 0.2)
    return model.eval()


@pytest.mark.parametrize("name", FAMILIES)
def test_a_fused_model_gives_the_same_logits(name):
    torch.manual_seed(0)
    model = with_statistics(build_segmentor(Config.fromfile(str(CONFIGS / name)).model)).double()
    image = torch.randn(1, 3, 64, 96, dtype=torch.float64)
    with torch.no_grad():
        expected = model(image)
        layers = sum(isinstance(module, _BatchNorm) for module in model.modules())
        fused = fuse_batch_norm(model)
        assert fused == layers - sum(isinstance(module, _BatchNorm) for module in model.modules()) > 0
        np.testing.assert_allclose(model(image), expected, rtol=1e-9, atol=1e-9 * float(expected.abs().max()))


def test_only_what_follows_a_convolution_is_folded():
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1), nn.ReLU(), nn.BatchNorm2d(3))
    before = copy.deepcopy(model.state_dict())
    assert fuse_batch_norm(with_statistics(model)) == 0
    assert model.state_dict().keys() == before.keys()
