"""The published networks on a dilated ResNet: FCN, PSPNet, DeepLabV3 and DeepLabV3+."""

import copy
from typing import Any, Dict

from tests.models.configs import NORM

_NORM = {key: value for key, value in NORM.items() if key != "momentum"}


def dilated(head: Dict[str, Any], *, depth: int = 50, align_corners: bool = False, **backbone: Any) -> Dict[str, Any]:
    """`head` over a ResNetV1c of output stride 8, with the auxiliary head that all of these have."""
    shallow = depth < 50
    heads = {"num_classes": 19, "norm_cfg": _NORM, "align_corners": align_corners}
    cfg = {
        "type": "EncoderDecoder",
        "backbone": {
            "type": "ResNetV1c",
            "depth": depth,
            "num_stages": 4,
            "out_indices": (0, 1, 2, 3),
            "dilations": (1, 1, 2, 4),
            "strides": (1, 2, 1, 1),
            "norm_cfg": _NORM,
            "norm_eval": False,
            "style": "pytorch",
            "contract_dilation": True,
            **backbone,
        },
        "decode_head": {
            "in_channels": 512 if shallow else 2048,
            "in_index": 3,
            "channels": 128 if shallow else 512,
            "dropout_ratio": 0.1,
            "loss_decode": {"type": "CrossEntropyLoss", "use_sigmoid": False, "loss_weight": 1.0},
            **heads,
            **head,
        },
        "auxiliary_head": {
            "type": "FCNHead",
            "in_channels": 256 if shallow else 1024,
            "in_index": 2,
            "channels": 64 if shallow else 256,
            "num_convs": 1,
            "concat_input": False,
            "dropout_ratio": 0.1,
            "loss_decode": {"type": "CrossEntropyLoss", "use_sigmoid": False, "loss_weight": 0.4},
            **heads,
        },
        "train_cfg": {},
        "test_cfg": {"mode": "whole"},
    }
    return copy.deepcopy(cfg)


def fcn(**backbone: Any) -> Dict[str, Any]:
    return dilated({"type": "FCNHead", "num_convs": 2, "concat_input": True}, **backbone)


def pspnet(**backbone: Any) -> Dict[str, Any]:
    return dilated({"type": "PSPHead", "pool_scales": (1, 2, 3, 6)}, **backbone)


def deeplabv3(**backbone: Any) -> Dict[str, Any]:
    return dilated({"type": "ASPPHead", "dilations": (1, 12, 24, 36)}, **backbone)


def deeplabv3plus(*, depth: int = 50, **backbone: Any) -> Dict[str, Any]:
    early = {"c1_in_channels": 64, "c1_channels": 12} if depth < 50 else {"c1_in_channels": 256, "c1_channels": 48}
    head = {"type": "DepthwiseSeparableASPPHead", "dilations": (1, 12, 24, 36), **early}
    return dilated(head, depth=depth, **backbone)
