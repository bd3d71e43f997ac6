"""A small data set of street scenes and a config file for it, as a person has them who works outside of YMIR."""

from pathlib import Path

import cv2
import numpy as np

from tools.street_scenes import CLASSES, generate_scene

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "configs" / "fastscnn" / "fast_scnn_lr0.12_8x4_160k_cityscapes.py"

_TEXT = """
_base_ = [{base!r}]
classes = {classes!r}
data_root = {root!r}
crop_size = (48, 64)
img_norm_cfg = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Resize', img_scale=(80, 60), ratio_range=(0.8, 1.5)),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='Normalize', **img_norm_cfg),
    dict(type='Pad', size=crop_size, pad_val=0, seg_pad_val=255),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_semantic_seg']),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        img_scale=(80, 60),
        flip=False,
        transforms=[
            dict(type='Resize', keep_ratio=True),
            dict(type='RandomFlip'),
            dict(type='Normalize', **img_norm_cfg),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img']),
        ]),
]
part = dict(_delete_=True, type='CustomDataset', classes=classes, data_root=data_root)
data = dict(
    samples_per_gpu=2,
    workers_per_gpu=0,
    train=dict(img_dir='train/images', ann_dir='train/labels', pipeline=train_pipeline, **part),
    val=dict(img_dir='val/images', ann_dir='val/labels', pipeline=test_pipeline, **part),
    test=dict(img_dir='val/images', ann_dir='val/labels', pipeline=test_pipeline, **part))
model = dict(
    decode_head=dict(num_classes={count}),
    auxiliary_head=[
        dict(
            type='FCNHead',
            in_channels=128,
            channels=32,
            num_convs=1,
            num_classes={count},
            in_index=-2,
            concat_input=False,
            norm_cfg=dict(type='BN'),
            loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4)),
    ])
optimizer = dict(lr=0.02)
runner = dict(type='IterBasedRunner', max_iters=4)
checkpoint_config = dict(by_epoch=False, interval=2)
evaluation = dict(interval=2, metric='mIoU')
log_config = dict(interval=1)
"""


def write_streets(folder, *, train=4, val=3, size=(80, 60)):
    """Write images and index masks of both splits, and DIR/streets.py, whose path is returned."""
    folder = Path(folder)
    for split, count in (("train", train), ("val", val)):
        for kind in ("images", "labels"):
            (folder / split / kind).mkdir(parents=True)
        for number in range(count):
            scene = generate_scene(np.random.default_rng([len(split), number]), *size)
            cv2.imwrite(str(folder / split / "images" / f"{number}.jpg"), scene.image)
            cv2.imwrite(str(folder / split / "labels" / f"{number}.png"), scene.label)
    config = folder / "streets.py"
    text = _TEXT.format(base=str(CONFIG), classes=list(CLASSES), root=str(folder), count=len(CLASSES))
    config.write_text(text, encoding="utf-8")
    return config
