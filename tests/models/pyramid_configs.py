"""Semantic FPN, UPerNet and PointRend on a ResNet, as published for Cityscapes."""

from typing import Any, Dict, List

NORM = {"type": "SyncBN", "requires_grad": True}


def _widths(depth: int) -> List[int]:
    return [64, 128, 256, 512] if depth < 50 else [256, 512, 1024, 2048]


def resnet(depth: int) -> Dict[str, Any]:
    return {"type": "ResNetV1c", "depth": depth, "norm_cfg": NORM, "contract_dilation": True}


def pyramid_head(**head: Any) -> Dict[str, Any]:
    return {"in_index": [0, 1, 2, 3], "num_classes": 19, "norm_cfg": NORM, "align_corners": False, **head}


def sem_fpn(depth: int = 50) -> Dict[str, Any]:
    return {
        "type": "EncoderDecoder",
        "backbone": resnet(depth),
        "neck": {"type": "FPN", "in_channels": _widths(depth), "out_channels": 256, "num_outs": 4},
        "decode_head": pyramid_head(
            type="FPNHead",
            in_channels=[256, 256, 256, 256],
            feature_strides=[4, 8, 16, 32],
            channels=128,
            dropout_ratio=0.1,
        ),
    }


def upernet(depth: int = 50) -> Dict[str, Any]:
    widths = _widths(depth)
    return {
        "type": "EncoderDecoder",
        "backbone": resnet(depth),
        "decode_head": pyramid_head(
            type="UPerHead", in_channels=widths, pool_scales=(1, 2, 3, 6), channels=512, dropout_ratio=0.1
        ),
        "auxiliary_head": {
            "type": "FCNHead",
            "in_channels": widths[2],
            "in_index": 2,
            "channels": 256,
            "num_convs": 1,
            "concat_input": False,
            "num_classes": 19,
            "norm_cfg": NORM,
            "loss_decode": {"type": "CrossEntropyLoss", "loss_weight": 0.4},
        },
    }


def point_rend(depth: int = 50, num_classes: int = 19) -> Dict[str, Any]:
    coarse = {**sem_fpn(depth)["decode_head"], "dropout_ratio": -1, "num_classes": num_classes}
    fine = {
        "type": "PointHead",
        "in_channels": [256],
        "in_index": [0],
        "channels": 256,
        "num_fcs": 3,
        "coarse_pred_each_layer": True,
        "dropout_ratio": -1,
        "num_classes": num_classes,
        "align_corners": False,
    }
    return {
        **sem_fpn(depth),
        "type": "CascadeEncoderDecoder",
        "num_stages": 2,
        "decode_head": [coarse, fine],
        "train_cfg": {"num_points": 2048, "oversample_ratio": 3, "importance_sample_ratio": 0.75},
        "test_cfg": {"mode": "whole", "subdivision_steps": 2, "subdivision_num_points": 8196, "scale_factor": 2},
    }
