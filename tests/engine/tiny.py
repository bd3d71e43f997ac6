"""A tiny network and data set: what a test of the engine trains on."""

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from mmseg.models import BACKBONES, build_segmentor

CLASSES = ["sky", "road", "car"]
PALETTE = [[70, 130, 180], [128, 64, 128], [0, 0, 142]]
NORMALIZE = dict(type="Normalize", mean=[127.5] * 3, std=[64.0] * 3, to_rgb=True)


@BACKBONES.register_module()
class TinyBackbone(nn.Module):
    """Two convolutions, stride 2; with `norm` a batch norm between them."""

    def __init__(self, channels=8, norm=False):
        super().__init__()
        self.conv1 = nn.Conv2d(3, channels, 3, stride=2, padding=1)
        self.bn = nn.BatchNorm2d(channels) if norm else nn.Identity()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, image):
        return [self.conv2(torch.relu(self.bn(self.conv1(image))))]


def model_cfg(norm=False, dropout_ratio=0.5, num_classes=3, channels=8):
    return dict(
        type="EncoderDecoder",
        backbone=dict(type="TinyBackbone", channels=channels, norm=norm),
        decode_head=dict(
            type="FCNHead",
            in_channels=channels,
            channels=8,
            num_convs=1,
            concat_input=False,
            num_classes=num_classes,
            dropout_ratio=dropout_ratio,
            norm_cfg=dict(type="BN") if norm else None,
            align_corners=False,
            loss_decode=dict(type="CrossEntropyLoss"),
        ),
        test_cfg=dict(mode="whole"),
    )


def make_model(seed=0, **options):
    torch.manual_seed(seed)
    return build_segmentor(model_cfg(**options))


def write_images(folder, count, size=(24, 32), seed=0, ignored=True):
    """Images of three coloured areas with noise, and their masks; returns the index file."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    lines = []
    for number in range(count):
        height, width = size
        mask = np.zeros(size, np.uint8)
        mask[rng.integers(height // 3, height - 4) :] = 1
        top, left = rng.integers(0, height - 8), rng.integers(0, width - 8)
        mask[top : top + 8, left : left + 8] = 2
        colours = np.array([[200, 150, 90], [90, 90, 90], [30, 40, 220]])
        image = np.clip(colours[mask] + rng.normal(0, 12, (height, width, 3)), 0, 255).astype(np.uint8)
        if ignored:
            mask[:2] = 255
        cv2.imwrite(str(folder / f"{number}.png"), image)
        cv2.imwrite(str(folder / f"{number}_mask.png"), mask)
        lines.append(f"{folder / f'{number}.png'}\t{folder / f'{number}_mask.png'}")
    (folder / "index.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "index.tsv"


def train_set_cfg(index, crop=16):
    return dict(
        type="IndexDataset",
        index_file=str(index),
        classes=CLASSES,
        palette=PALETTE,
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="LoadAnnotations"),
            dict(type="RandomCrop", crop_size=(crop, crop)),
            dict(type="RandomFlip", prob=0.5),
            NORMALIZE,
            dict(type="DefaultFormatBundle"),
            dict(type="Collect", keys=["img", "gt_semantic_seg"]),
        ],
    )


def test_set_cfg(index, scale=(32, 24), flip=False, ratios=None):
    transforms = [
        dict(type="Resize", keep_ratio=True),
        dict(type="RandomFlip"),
        NORMALIZE,
        dict(type="ImageToTensor", keys=["img"]),
        dict(type="Collect", keys=["img"]),
    ]
    augment = dict(type="MultiScaleFlipAug", img_scale=scale, flip=flip, transforms=transforms)
    if ratios is not None:
        augment["img_ratios"] = ratios
    return dict(
        type="IndexDataset",
        index_file=str(index),
        classes=CLASSES,
        palette=PALETTE,
        test_mode=True,
        pipeline=[dict(type="LoadImageFromFile"), augment],
    )


test_set_cfg.__test__ = False


def full_cfg(folder, *, train=6, val=3, max_iters=12, interval=4, workers=0, **model_options):
    """A whole config as a dict, with its images written into `folder`."""
    folder = Path(folder)
    return dict(
        model=model_cfg(**model_options),
        data=dict(
            samples_per_gpu=2,
            workers_per_gpu=workers,
            train=train_set_cfg(write_images(folder / "train", train, seed=1)),
            val=test_set_cfg(write_images(folder / "val", val, seed=2)),
        ),
        optimizer=dict(type="SGD", lr=0.05, momentum=0.9, weight_decay=1e-4),
        optimizer_config=dict(),
        lr_config=dict(policy="poly", power=0.9, min_lr=1e-4, by_epoch=False, warmup="linear", warmup_iters=3),
        runner=dict(type="IterBasedRunner", max_iters=max_iters),
        checkpoint_config=dict(by_epoch=False, interval=interval),
        evaluation=dict(interval=interval, metric="mIoU"),
        log_config=dict(interval=1),
    )
