"""UNet, MobileNetV2 and V3, BiSeNetV1 and V2, STDC and their heads: numbers, sizes, freezing, refusals.

`MEASURED` is what mmsegmentation 0.27.0 gives for these models with the weights and inputs of the reference data.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmseg.errors import ConfigError, DataError
from mmseg.models import build_backbone, build_head, build_segmentor, total_loss
from tests.models.configs import assert_close, fill

BN = {"type": "BN", "requires_grad": True}
RESNET = {
    "type": "ResNet",
    "depth": 18,
    "num_stages": 4,
    "out_indices": (0, 1, 2, 3),
    "dilations": (1, 1, 1, 1),
    "strides": (1, 2, 2, 2),
    "norm_cfg": BN,
    "contract_dilation": True,
}
STDC = {
    "type": "STDCNet",
    "stdc_type": "STDCNet1",
    "in_channels": 3,
    "channels": (8, 8, 16, 32, 64),
    "bottleneck_type": "cat",
    "norm_cfg": BN,
    "act_cfg": {"type": "ReLU"},
}
BISENETV1 = {"type": "BiSeNetV1", "backbone_cfg": RESNET}
BISENETV2 = {
    "type": "BiSeNetV2",
    "detail_channels": (4, 8, 12),
    "semantic_channels": (4, 6, 8, 12),
    "bga_channels": 12,
    "semantic_expansion_ratio": 3,
    "align_corners": True,
}
DETAIL_HEAD = {
    "type": "STDCHead",
    "in_channels": 16,
    "channels": 8,
    "num_convs": 1,
    "num_classes": 2,
    "boundary_threshold": 0.1,
    "in_index": 0,
    "norm_cfg": BN,
    "concat_input": False,
    "align_corners": True,
    "loss_decode": [
        {"type": "CrossEntropyLoss", "loss_name": "loss_ce", "use_sigmoid": True},
        {"type": "DiceLoss", "loss_name": "loss_dice"},
    ],
}


def fcn(in_channels, in_index):
    return {
        "type": "FCNHead",
        "in_channels": in_channels,
        "channels": 8,
        "num_convs": 1,
        "num_classes": 5,
        "in_index": in_index,
        "norm_cfg": BN,
        "concat_input": False,
    }


def lraspp(in_channels, **arguments):
    return {
        "type": "LRASPPHead",
        "in_channels": in_channels,
        "in_index": (0, 1, 2),
        "channels": 16,
        "input_transform": "multiple_select",
        "num_classes": 5,
        "norm_cfg": BN,
        **arguments,
    }


def unet(**arguments):
    return {
        "type": "UNet",
        "base_channels": 4,
        "num_stages": 3,
        "strides": (1, 1, 1),
        "enc_num_convs": (2, 2, 2),
        "dec_num_convs": (2, 2),
        "downsamples": (True, True),
        "enc_dilations": (1, 1, 1),
        "dec_dilations": (1, 1),
        **arguments,
    }


def context_path(backbone, **arguments):
    return {
        "type": "STDCContextPathNet",
        "backbone_cfg": backbone,
        "last_in_channels": (64, 32),
        "out_channels": 8,
        "ffm_cfg": {"in_channels": 24, "out_channels": 16, "scale_factor": 4},
        **arguments,
    }


def segmentor(backbone, head, *auxiliary):
    cfg = {"type": "EncoderDecoder", "backbone": backbone, "decode_head": head}
    if auxiliary:
        cfg["auxiliary_head"] = auxiliary[0] if len(auxiliary) == 1 else list(auxiliary)
    return cfg


def sample(height, width):
    image = np.random.RandomState(0).standard_normal((2, 3, height, width)).astype(np.float32)
    coarse = np.random.RandomState(1).randint(0, 5, size=(2, height // 8 + 1, width // 8 + 1))
    label = coarse.repeat(8, 1).repeat(8, 2)[:, :height, :width].copy()
    label[:, :16] = 255
    return torch.from_numpy(image), torch.from_numpy(label).long()


# The segmentor, the image's size, then the norm of the logits, those of the first three classes at the last pixel, the
# total loss and the norm of the backbone's gradient.
MEASURED = {
    "mobilenet_v3_small": (
        segmentor({"type": "MobileNetV3", "reduction_factor": 2}, lraspp((16, 16, 576))),
        (400, 424),
        (1829.802080, (0.060705, -1.227501, 0.018603), 2.039941, 0.57409),
    ),
    "mobilenet_v3_large": (
        segmentor(
            {
                "type": "MobileNetV3",
                "arch": "large",
                "out_indices": (1, 3, 16),
                "norm_cfg": {"type": "BN", "eps": 1e-3},
            },
            lraspp((16, 24, 960)),
        ),
        (395, 423),
        (4840.541006, (0.628759, -4.747793, -1.705371), 3.593819, 24.68995),
    ),
    "mobilenet_v2_half": (
        segmentor({"type": "MobileNetV2", "widen_factor": 0.5}, fcn(160, 3), fcn(48, 2)),
        (101, 131),
        (1711.336655, (7.097621, 3.789124, -3.727215), 11.714460, 127.49636),
    ),
    "bisenetv1": (
        segmentor(BISENETV1, fcn(256, 0), fcn(128, 1), fcn(128, 2)),
        (101, 131),
        (24241.666804, (71.209930, 23.184933, -67.854446), 146.425591, 3816.74688),
    ),
    "bisenetv2": (
        segmentor(BISENETV2, fcn(12, 0), fcn(4, 1), fcn(6, 2), fcn(8, 3), fcn(12, 4)),
        (101, 131),
        (2917.692724, (0.023422, -0.273864, 0.399335), 29.399497, 145.21239),
    ),
    "unet_transposed": (
        segmentor(unet(upsample_cfg={"type": "DeconvModule"}), fcn(4, 2), fcn(8, 1)),
        (64, 96),
        (67.595591, (0.121467, 0.344016, -0.241272), 2.496675, 1.81792),
    ),
    "unet_strided_dilated": (
        segmentor(
            unet(
                strides=(1, 2, 1),
                downsamples=(True, False),
                enc_dilations=(1, 1, 2),
                dec_dilations=(2, 1),
                upsample_cfg={
                    "type": "InterpConv",
                    "conv_first": True,
                    "kernel_size": 3,
                    "padding": 1,
                    "upsample_cfg": {"scale_factor": 2, "mode": "nearest"},
                },
            ),
            fcn(4, 2),
            fcn(8, 1),
        ),
        (64, 96),
        (65.176902, (0.048214, 0.298596, -0.290625), 2.459448, 0.25797),
    ),
    "stdc2_add_with_detail": (
        segmentor(
            context_path({**STDC, "bottleneck_type": "add", "stdc_type": "STDCNet2"}),
            fcn(16, 3),
            fcn(8, 2),
            fcn(8, 1),
            DETAIL_HEAD,
        ),
        (101, 131),
        (63880.845904, (43.168293, -14.171060, -44.889698), 572.457839, 4538.46448),
    ),
    "stdc_bilinear": (
        segmentor(context_path(STDC, upsample_mode="bilinear", align_corners=True), fcn(16, 3)),
        (101, 131),
        (409.228018, (0.577679, 0.047254, -0.807978), 1.666102, 2.42655),
    ),
}


@pytest.mark.parametrize("name", MEASURED)
def test_numbers_of_upstream(name):
    cfg, size, (norm, last_pixel, loss, gradient) = MEASURED[name]
    model = build_segmentor(cfg)
    kernels = {key: value.clone() for key, value in model.state_dict().items() if key.endswith("_kernel")}
    fill(model).load_state_dict(kernels, strict=False)  # the detail head's kernels stay what they are
    model.eval()
    image, label = sample(*size)
    logits = model(image)
    assert logits.double().norm().item() == pytest.approx(norm, rel=1e-4)
    assert logits[1, :3, -1, -1].tolist() == pytest.approx(last_pixel, rel=1e-3, abs=1e-3 * abs(max(last_pixel)))
    total = total_loss(model.loss(image, label))
    assert total.item() == pytest.approx(loss, rel=1e-4)
    total.backward()
    squares = [p.grad.double().pow(2).sum().item() for p in model.backbone.parameters() if p.grad is not None]
    assert sum(squares) ** 0.5 == pytest.approx(gradient, rel=1e-3)


@pytest.mark.parametrize("size", [(31, 37), (8, 9), (4, 4)])
def test_unet_takes_sides_that_cannot_be_halved_evenly(size):
    outputs = build_backbone(unet())(torch.randn(2, 3, *size))
    height, width = size
    expected = [(16, height // 4, width // 4), (8, height // 2, width // 2), (4, height, width)]
    assert [tuple(output.shape[1:]) for output in outputs] == expected


def test_unet_refuses_an_image_smaller_than_its_coarsest_pixel():
    with pytest.raises(DataError, match="at least 4 x 4 pixels, not 3 x 9"):
        build_backbone(unet())(torch.randn(2, 3, 3, 9))


def test_unet_norm_eval_fixes_batch_norm_alone():
    for norm_eval in (False, True):
        backbone = build_backbone(unet(norm_eval=norm_eval)).train()
        convs = backbone.encoder[0][0].convs
        assert convs[0].bn.training is not norm_eval
        assert convs.training
    assert all(parameter.requires_grad for parameter in backbone.parameters())


@pytest.mark.parametrize(
    "cfg",
    [
        unet(),
        unet(upsample_cfg={"type": "DeconvModule"}),
        {"type": "MobileNetV2", "widen_factor": 0.25},
        {"type": "MobileNetV3", "arch": "small"},
    ],
)
def test_recomputed_activations_give_the_same_gradients(cfg):
    image = torch.randn(2, 3, 32, 32)
    gradients = []
    for with_cp in (False, True):
        backbone = fill(build_backbone({**cfg, "with_cp": with_cp})).eval()
        backbone(image)[-1].pow(2).mean().backward()
        gradients.append([parameter.grad for parameter in backbone.parameters() if parameter.grad is not None])
    assert len(gradients[0]) == len(gradients[1])
    for kept, recomputed in zip(*gradients):
        assert_close(recomputed, kept, rtol=1e-3)


@pytest.mark.parametrize(
    ("cfg", "stem", "stages"),
    [({"type": "MobileNetV2"}, "conv1", "layer{}"), ({"type": "MobileNetV3", "arch": "small"}, "layer0", "layer{}")],
)
def test_frozen_stages_stay_as_they_are(cfg, stem, stages):
    backbone = build_backbone({**cfg, "frozen_stages": 2}).train()
    frozen = {stem, stages.format(1), stages.format(2)}
    for name, parameter in backbone.named_parameters():
        assert parameter.requires_grad is (name.split(".")[0] not in frozen)
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    backbone(torch.randn(2, 3, 32, 32))
    changed = {
        name.split(".")[0] for name, value in backbone.state_dict().items() if not torch.equal(value, before[name])
    }
    assert changed and not changed & frozen

    backbone = build_backbone({**cfg, "norm_eval": True}).train()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    backbone(torch.randn(2, 3, 32, 32))
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())
    assert all(parameter.requires_grad for parameter in backbone.parameters())


def test_mobilenet_v2_dilates_the_first_block_of_a_stage():
    backbone = build_backbone(
        {"type": "MobileNetV2", "strides": (1, 2, 2, 1, 1, 1, 1), "dilations": (1, 1, 1, 2, 2, 4, 4)}
    )
    assert backbone.layer6[0].conv[1].conv.dilation == (4, 4)
    assert backbone.layer6[1].conv[1].conv.dilation == (1, 1)
    shapes = [tuple(output.shape[1:]) for output in backbone(torch.randn(1, 3, 64, 64).repeat(2, 1, 1, 1))]
    assert shapes == [(24, 16, 16), (32, 8, 8), (96, 8, 8), (320, 8, 8)]


def test_mobilenet_v3_stays_at_an_eighth():
    backbone = build_backbone({"type": "MobileNetV3", "out_indices": (0, 1, 3, 12)})
    shapes = [tuple(output.shape[1:]) for output in backbone(torch.randn(2, 3, 65, 63))]
    assert shapes == [(16, 33, 32), (16, 17, 16), (24, 9, 8), (576, 9, 8)]


def test_outputs_in_the_order_of_out_indices():
    image = torch.randn(2, 3, 64, 64)
    for cfg, outputs in ((BISENETV1, (2, 0)), (BISENETV2, (4, 0, 1))):
        every = fill(build_backbone(cfg)).eval()(image)
        chosen = fill(build_backbone({**cfg, "out_indices": outputs})).eval()(image)
        for index, output in zip(outputs, chosen):
            assert torch.equal(output, every[index])


def test_lraspp_averages_over_a_map_smaller_than_its_window():
    head = build_head(lraspp((4, 6, 8), branch_channels=(2, 3))).eval()
    x = torch.randn(2, 8, 16, 60)
    pool = head.image_pool[0]
    assert_close(pool(x), F.avg_pool2d(x, (16, 49), (16, 20)))
    large = torch.randn(1, 8, 65, 69)
    assert_close(pool(large), F.avg_pool2d(large, 49, (16, 20)))
    features = [torch.randn(2, 4, 32, 40), torch.randn(2, 6, 16, 20), torch.randn(2, 8, 8, 10)]
    assert head(features).shape == (2, 5, 32, 40)


def plain_boundaries(label, threshold=0.1):
    """The detail ground truth, pixel by pixel."""
    height, width = label.shape
    padded = np.pad(label.astype(np.float64), 1)
    total = np.zeros((height, width), np.float32)
    for stride, weight in ((1, 0.6), (2, 0.3), (4, 0.1)):
        rows, columns = -(-height // stride), -(-width // stride)
        for row in range(height):
            for column in range(width):
                y, x = (row * rows // height) * stride, (column * columns // width) * stride
                window = padded[y : y + 3, x : x + 3]
                total[row, column] += np.float32(weight) * (9 * window[1, 1] - window.sum() > threshold)
    return (total > np.float32(threshold)).astype(np.int64)


def test_the_detail_ground_truth_is_where_classes_meet():
    head = build_head(DETAIL_HEAD)
    label = np.random.default_rng(0).integers(0, 4, size=(2, 4, 6)).repeat(4, 1).repeat(4, 2)
    label[0, :4] = 255
    found = head.boundaries(torch.from_numpy(label))
    assert found.dtype == torch.int64
    for image, expected in zip(found.numpy(), label):
        np.testing.assert_array_equal(image, plain_boundaries(expected))
    assert 0 < found.float().mean() < 1
    # Inside one class there is none, and class 0 does not end at the border.
    assert not head.boundaries(torch.zeros(1, 16, 16, dtype=torch.int64)).any()
    assert not head.boundaries(torch.full((1, 16, 16), 3))[:, 5:12, 5:12].any()


def test_the_detail_head_has_two_classes_whatever_the_label_has():
    model = build_segmentor(segmentor(context_path(STDC), fcn(16, 3), DETAIL_HEAD))
    image, label = sample(64, 64)
    losses = model.loss(image, label)
    assert {"aux.loss_ce", "aux.loss_dice", "aux.acc_seg"} <= losses.keys()
    with pytest.raises(DataError, match="there are 5 classes"):
        model.loss(image, label.masked_fill(label == 4, 9))
    fixed = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    assert fixed == ["auxiliary_head.fusion_kernel"]
    assert model.auxiliary_head.fusion_kernel.flatten().tolist() == pytest.approx([0.6, 0.3, 0.1])


def test_stdc_outputs_and_its_last_convolution():
    image = torch.randn(2, 3, 64, 96)
    shapes = [tuple(output.shape[1:]) for output in build_backbone(STDC)(image)]
    assert shapes == [(16, 8, 12), (32, 4, 6), (64, 2, 3)]
    assert build_backbone({**STDC, "with_final_conv": True})(image)[-1].shape == (2, 1024, 2, 3)
    for num_convs in (2, 3, 5):
        outputs = build_backbone({**STDC, "num_convs": num_convs})(image)
        assert [output.shape[1] for output in outputs] == [16, 32, 64]


def test_pretrained_is_kept_for_the_training_and_the_rest_starts_as_published():
    for cfg in ({"type": "MobileNetV2", "widen_factor": 0.25}, unet(), {"type": "MobileNetV3"}):
        torch.manual_seed(0)
        plain = build_backbone(cfg)
        plain.init_weights()
        torch.manual_seed(0)
        other = build_backbone({**cfg, "pretrained": "weights.pth"})
        other.init_weights()
        assert {"type": "Pretrained", "checkpoint": "weights.pth"} in other.init_cfg
        for one, two in zip(plain.parameters(), other.parameters()):
            assert torch.equal(one, two)
        with pytest.raises(ConfigError, match="not both"):
            build_backbone({**cfg, "pretrained": "a", "init_cfg": {"type": "Pretrained", "checkpoint": "b"}})


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        (unet(strides=(1, 1)), "strides needs 3 entries"),
        (unet(downsamples=(True,) * 3), "downsamples needs 2 entries"),
        (unet(dcn={}), "dcn"),
        (unet(upsample_cfg={"type": "Deconv"}), "did you mean DeconvModule"),
        ({"type": "MobileNetV2", "strides": (1, 2)}, "strides needs 7 entries"),
        ({"type": "MobileNetV2", "out_indices": (7,)}, "0 to 6"),
        ({"type": "MobileNetV2", "frozen_stages": 8}, "frozen_stages is -1 to 7"),
        ({"type": "MobileNetV3", "arch": "medium"}, "'small' or 'large'"),
        ({"type": "MobileNetV3", "out_indices": (13,)}, "0 to 12"),
        ({"type": "MobileNetV3", "frozen_stages": 13}, "frozen_stages"),
        ({"type": "MobileNetV3", "reduction_factor": 0}, "reduction_factor"),
        ({**BISENETV1, "spatial_channels": (64, 64)}, "spatial_channels needs 4 entries"),
        ({**BISENETV1, "out_indices": (3,)}, "0, 1 and 2"),
        ({"type": "BiSeNetV1"}, "backbone_cfg"),
        ({**BISENETV2, "bga_channels": 16}, "bga_channels"),
        ({**BISENETV2, "out_indices": (5,)}, "0 to 4"),
        ({**STDC, "stdc_type": "STDCNet3"}, "'STDCNet1' or 'STDCNet2'"),
        ({**STDC, "bottleneck_type": "mul"}, "'cat' or 'add'"),
        ({**STDC, "channels": (8, 8)}, "channels needs 5 entries"),
        ({**STDC, "num_convs": 1}, "num_convs"),
        (context_path(STDC, ffm_cfg={"width": 3}), "ffm_cfg"),
        (context_path(STDC, last_in_channels=()), "last_in_channels"),
    ],
)
def test_refused_arguments(cfg, message):
    with pytest.raises(ConfigError, match=message):
        build_backbone(cfg)


def test_lraspp_refuses_inputs_that_do_not_fit_its_branches():
    for cfg in (lraspp((4, 6, 8), branch_channels=(2,)), lraspp((4, 6, 8), input_transform="resize_concat")):
        with pytest.raises(ConfigError, match="branch_channels"):
            build_head(cfg)
