"""HRNet, OCRNet, semantic FPN, UPerNet and PointRend against the numbers of mmsegmentation 0.27."""

import numpy as np
import pytest
import torch

from mmseg.models import build_neck, build_segmentor, total_loss
from tests.models.configs import fill
from tests.models.hrnet_configs import fcn_hr, ocrnet_hr, ocrnet_r101
from tests.models.pyramid_configs import point_rend, sem_fpn, upernet
from tests.models.reference_numbers import assert_published_layout, assert_reference_numbers
from tests.reference_data import needs_reference

W48 = (48, 96, 192, 384)


@needs_reference
@pytest.mark.parametrize(
    ("name", "cfg"),
    [
        ("hrnet__fcn_hr18s_512x1024_40k_cityscapes", fcn_hr(small=True)),
        ("ocrnet__ocrnet_hr18s_512x1024_40k_cityscapes", ocrnet_hr(small=True)),
        ("ocrnet__ocrnet_r101-d8_512x1024_40k_b8_cityscapes", ocrnet_r101()),
        ("sem_fpn__fpn_r50_512x1024_80k_cityscapes", sem_fpn()),
        ("upernet__upernet_r18_512x1024_40k_cityscapes", upernet(18)),
    ],
)
def test_logits_losses_and_gradients(name, cfg):
    model = build_segmentor(cfg)
    assert_published_layout(model, name.replace("__", "/") + ".py")
    assert_reference_numbers(model, name)


@needs_reference
@pytest.mark.parametrize(
    ("config", "cfg"),
    [
        ("ocrnet/ocrnet_hr48_512x1024_40k_cityscapes.py", ocrnet_hr(W48)),
        ("sem_fpn/fpn_r101_512x1024_80k_cityscapes.py", sem_fpn(101)),
        ("upernet/upernet_r50_512x1024_40k_cityscapes.py", upernet(50)),
        ("point_rend/pointrend_r101_512x1024_80k_cityscapes.py", point_rend(101)),
        ("point_rend/pointrend_r50_512x512_160k_ade20k.py", point_rend(50, 150)),
    ],
)
def test_state_dict_has_the_published_names_and_shapes_in_order(config, cfg):
    assert_published_layout(build_segmentor(cfg), config)


# --- further cases, measured the same way


def inputs(size):
    image = np.random.RandomState(0).standard_normal((2, 3, *size)).astype(np.float32)
    label = np.random.RandomState(1).randint(0, 19, size=(2, 1, *size))
    label[:, :, :16] = 255
    return torch.from_numpy(image), torch.from_numpy(label).long()


def few_points():
    cfg = point_rend(18)
    cfg["test_cfg"]["subdivision_num_points"] = 100
    cfg["train_cfg"]["num_points"] = 200
    cfg["decode_head"][1].update(coarse_pred_each_layer=False, num_fcs=2)
    return cfg


@pytest.mark.parametrize(
    ("cfg", "size", "logits_norm", "logits_at", "losses", "gradients"),
    [
        pytest.param(
            few_points(),
            (88, 120),
            97388.2534,
            [-158.644058, -168.921127, 84.7645035, 242.531754, 73.9950256],
            {
                "decode_0.loss_ce": 243.527267,
                "decode_0.acc_seg": 5.00578690,
                "decode_1.pointloss_ce": 102.184319,
                "decode_1.acc_point": 3.60656737,
            },
            {"backbone": 4152.96478, "neck": 2302.64759, "decode_head": 2606.23952},
            id="PointRend: few points, random ones as drawn after torch.manual_seed(0)",
        ),
        pytest.param(
            fcn_hr(small=True),
            (69, 101),
            1250703.42,
            [-351.044037, -2162.85889, -7020.44531, -986.088623, 2850.39819],
            {"decode.loss_ce": 3886.47559, "decode.acc_seg": 5.06258154},
            {"backbone": 62405.2842, "decode_head": 28939.4414},
            id="HRNet: sides that cannot be halved",
        ),
    ],
)
def test_measured_logits_losses_and_gradients(cfg, size, logits_norm, logits_at, losses, gradients):
    model = fill(build_segmentor(cfg)).eval()
    image, label = inputs(size)
    with torch.no_grad():
        logits = model(image).double()
    assert logits.norm().item() == pytest.approx(logits_norm, rel=1e-4)
    assert logits[1, :5, 40, 60].tolist() == pytest.approx(logits_at, rel=1e-3)

    torch.manual_seed(0)
    found = model.loss(image, label)
    assert list(found) == list(losses)
    assert {name: value.item() for name, value in found.items()} == pytest.approx(losses, rel=1e-4)
    total_loss(found).backward()
    for part, norm in gradients.items():
        squares = [parameter.grad.double().pow(2).sum() for parameter in getattr(model, part).parameters()]
        assert float(sum(squares)) ** 0.5 == pytest.approx(norm, rel=1e-3), part


@pytest.mark.parametrize(
    ("arguments", "norms"),
    [
        ({"num_outs": 6}, [335.898, 148.074, 55.796, 20.417, 11.075, 2.847]),
        ({"num_outs": 6, "add_extra_convs": True}, [335.898, 148.074, 55.796, 20.417, 14.09, 6.956]),
        (
            {"num_outs": 6, "add_extra_convs": "on_lateral", "relu_before_extra_convs": True},
            [335.898, 148.074, 55.796, 20.417, 8.533, 2.134],
        ),
        ({"num_outs": 2, "start_level": 1, "end_level": 3}, [93.954, 38.385]),
        (
            {
                "num_outs": 5,
                "start_level": 1,
                "add_extra_convs": True,
                "extra_convs_on_inputs": True,
                "norm_cfg": {"type": "BN"},
                "act_cfg": {"type": "ReLU"},
                "no_norm_on_lateral": True,
            },
            [80.42, 20.136, 8.54, 3.421, 1.158],
        ),
        (
            {"num_outs": 4, "upsample_cfg": {"scale_factor": 2, "mode": "nearest"}},
            [335.898, 148.074, 55.796, 20.417],
        ),
        (
            {"num_outs": 4, "upsample_cfg": {"mode": "bilinear", "align_corners": True}},
            [249.993, 118.254, 46.715, 20.417],
        ),
    ],
)
def test_measured_outputs_of_the_feature_pyramid(arguments, norms):
    neck = fill(build_neck({"type": "FPN", "in_channels": [3, 4, 5, 6], "out_channels": 7, **arguments})).eval()
    features = [
        torch.from_numpy(np.random.RandomState(level).standard_normal((1, channels, side, side)).astype(np.float32))
        for level, (channels, side) in enumerate(zip([3, 4, 5, 6], [32, 16, 8, 4]))
    ]
    outputs = neck(features)
    assert [x.detach().norm().item() for x in outputs] == pytest.approx(norms, rel=1e-3)
    assert all(x.shape[1] == 7 for x in outputs)
