"""HRNet, and OCRNet on it or on a dilated ResNet, as published for Cityscapes; and a narrow one for many passes."""

import copy
from typing import Any, Dict, Sequence

NORM = {"type": "SyncBN", "requires_grad": True}


def extra(widths: Sequence[int] = (18, 36, 72, 144), small: bool = False, blocks: int = 4) -> Dict[str, Any]:
    """The branches of HRNet; `small` is that of W18-small."""
    modules = (1, 1, 3, 2) if small else (1, 1, 4, 3)
    blocks = 2 if small else blocks
    stages = {
        f"stage{index + 1}": {
            "num_modules": modules[index],
            "num_branches": index + 1,
            "block": "BASIC",
            "num_blocks": (blocks,) * (index + 1),
            "num_channels": tuple(widths[: index + 1]),
        }
        for index in range(4)
    }
    stages["stage1"].update(block="BOTTLENECK", num_channels=(64,))
    return stages


def tiny_extra() -> Dict[str, Any]:
    """Four narrow stages of one module with one block."""
    stages = extra((4, 6, 8, 10), blocks=1)
    stages["stage1"].update(num_channels=(4,))
    for stage in stages.values():
        stage["num_modules"] = 1
    return stages


def joined_head(widths: Sequence[int], **head: Any) -> Dict[str, Any]:
    """A head over the branches joined at the finest one's size."""
    return {
        "in_channels": list(widths),
        "in_index": tuple(range(len(widths))),
        "input_transform": "resize_concat",
        "dropout_ratio": -1,
        "num_classes": 19,
        "norm_cfg": NORM,
        "align_corners": False,
        **head,
    }


def fcn_hr(widths: Sequence[int] = (18, 36, 72, 144), small: bool = False) -> Dict[str, Any]:
    head = joined_head(widths, type="FCNHead", channels=sum(widths), kernel_size=1, num_convs=1, concat_input=False)
    return {
        "type": "EncoderDecoder",
        "backbone": {"type": "HRNet", "norm_cfg": NORM, "norm_eval": False, "extra": extra(widths, small)},
        "decode_head": head,
        "train_cfg": {},
        "test_cfg": {"mode": "whole"},
    }


def ocrnet_hr(widths: Sequence[int] = (18, 36, 72, 144), small: bool = False) -> Dict[str, Any]:
    cfg = fcn_hr(widths, small)
    first = {**cfg["decode_head"], "loss_decode": {"type": "CrossEntropyLoss", "loss_weight": 0.4}}
    second = joined_head(widths, type="OCRHead", channels=512, ocr_channels=256)
    return {**cfg, "type": "CascadeEncoderDecoder", "num_stages": 2, "decode_head": [first, second]}


def ocrnet_r101() -> Dict[str, Any]:
    heads = {"num_classes": 19, "norm_cfg": NORM, "align_corners": False, "dropout_ratio": 0.1}
    return {
        "type": "CascadeEncoderDecoder",
        "num_stages": 2,
        "backbone": {
            "type": "ResNetV1c",
            "depth": 101,
            "dilations": (1, 1, 2, 4),
            "strides": (1, 2, 1, 1),
            "norm_cfg": NORM,
            "contract_dilation": True,
        },
        "decode_head": [
            {
                "type": "FCNHead",
                "in_channels": 1024,
                "in_index": 2,
                "channels": 256,
                "num_convs": 1,
                "concat_input": False,
                "loss_decode": {"type": "CrossEntropyLoss", "loss_weight": 0.4},
                **heads,
            },
            {"type": "OCRHead", "in_channels": 2048, "in_index": 3, "channels": 512, "ocr_channels": 256, **heads},
        ],
    }


def tiny_ocrnet(num_classes: int = 5, **model: Any) -> Dict[str, Any]:
    """A narrow OCRNet: fast enough for many passes."""
    widths = (4, 6, 8, 10)
    heads = {"num_classes": num_classes, "norm_cfg": {"type": "BN"}}
    cfg = {
        "type": "CascadeEncoderDecoder",
        "num_stages": 2,
        "backbone": {"type": "HRNet", "extra": tiny_extra()},
        "decode_head": [
            joined_head(widths, type="FCNHead", channels=28, num_convs=0, concat_input=False, **heads),
            joined_head(widths, type="OCRHead", channels=8, ocr_channels=4, **heads),
        ],
        **model,
    }
    return copy.deepcopy(cfg)
