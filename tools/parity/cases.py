"""What is compared: configs whose networks are run, transforms without chance, and learning rate schedules."""

from typing import Any, Dict, List, Tuple

# One of each family and of each way in which a family's networks differ, as small as there is.
NETWORKS: Tuple[str, ...] = (
    "bisenetv1/bisenetv1_r18-d32_4x4_1024x1024_160k_cityscapes.py",
    "bisenetv2/bisenetv2_fcn_4x4_1024x1024_160k_cityscapes.py",
    "bisenetv2/bisenetv2_fcn_ohem_4x4_1024x1024_160k_cityscapes.py",
    "convnext/upernet_convnext_tiny_fp16_512x512_160k_ade20k.py",
    "deeplabv3/deeplabv3_r18-d8_512x1024_80k_cityscapes.py",
    "deeplabv3plus/deeplabv3plus_r18-d8_512x1024_80k_cityscapes.py",
    "deeplabv3plus/deeplabv3plus_r18b-d8_769x769_80k_cityscapes.py",
    "deeplabv3plus/deeplabv3plus_r50-d8_512x512_20k_voc12aug.py",
    "fastscnn/fast_scnn_lr0.12_8x4_160k_cityscapes.py",
    "fcn/fcn_r18-d8_512x1024_80k_cityscapes.py",
    "fcn/fcn_d6_r50-d16_512x1024_80k_cityscapes.py",
    "hrnet/fcn_hr18s_512x1024_40k_cityscapes.py",
    "hrnet/fcn_hr18_480x480_40k_pascal_context.py",
    "mobilenet_v2/deeplabv3plus_m-v2-d8_512x1024_80k_cityscapes.py",
    "mobilenet_v3/lraspp_m-v3s-d8_512x1024_320k_cityscapes.py",
    "mobilenet_v3/lraspp_m-v3-d8_scratch_512x1024_320k_cityscapes.py",
    "ocrnet/ocrnet_hr18s_512x1024_40k_cityscapes.py",
    "ocrnet/ocrnet_r101-d8_512x1024_40k_b8_cityscapes.py",
    "point_rend/pointrend_r50_512x1024_80k_cityscapes.py",
    "pspnet/pspnet_r18-d8_512x1024_80k_cityscapes.py",
    "segformer/segformer_mit-b0_8x1_1024x1024_160k_cityscapes.py",
    "sem_fpn/fpn_r50_512x1024_80k_cityscapes.py",
    "stdc/stdc1_512x1024_80k_cityscapes.py",
    "unet/deeplabv3_unet_s5-d16_128x128_40k_chase_db1.py",
    "unet/fcn_unet_s5-d16_ce-1.0-dice-3.0_64x64_40k_drive.py",
    "unet/pspnet_unet_s5-d16_256x256_40k_hrf.py",
    "upernet/upernet_r18_512x1024_40k_cityscapes.py",
)

SIZES: Tuple[Tuple[int, int], ...] = ((37, 53), (120, 90), (64, 64), (1, 9))

_NORMALIZE = dict(type="Normalize", mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0], to_rgb=True)
_COLLECT = [dict(type="ImageToTensor", keys=["img"]), dict(type="Collect", keys=["img"])]
_VIEW = [dict(type="Resize", keep_ratio=True), dict(type="RandomFlip"), _NORMALIZE, *_COLLECT]

TRANSFORMS: Tuple[Dict[str, Any], ...] = (
    dict(type="Resize", img_scale=(50, 40)),
    dict(type="Resize", img_scale=(200, 41)),
    dict(type="Resize", img_scale=(50, 40), keep_ratio=False),
    dict(type="Resize", img_scale=(2048, 512)),
    dict(type="Resize", img_scale=(100, 50), keep_ratio=True, min_size=64),
    dict(type="ResizeToMultiple", size_divisor=32),
    dict(type="ResizeToMultiple", size_divisor=16, interpolation="nearest"),
    dict(type="Pad", size=(150, 160)),
    dict(type="Pad", size=(150, 160), pad_val=7, seg_pad_val=3),
    dict(type="Pad", size_divisor=32),
    dict(type="Pad", size_divisor=32, pad_val=(1, 2, 3)),
    dict(type="RandomCrop", crop_size=(200, 200)),
    dict(type="RandomFlip", prob=1.0),
    dict(type="RandomFlip", prob=1.0, direction="vertical"),
    dict(type="RandomRotate", prob=1.0, degree=(30, 30.0000001)),
    dict(type="RandomRotate", prob=1.0, degree=(10, 10.0000001), auto_bound=True, pad_val=5, seg_pad_val=9),
    dict(type="Normalize", mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True),
    dict(type="Normalize", mean=[10, 20, 30], std=[1, 2, 3], to_rgb=False),
    dict(type="CLAHE"),
    dict(type="CLAHE", clip_limit=10.0, tile_grid_size=(4, 4)),
    dict(type="AdjustGamma", gamma=0.7),
    dict(type="AdjustGamma", gamma=2.2),
    dict(type="Rerange"),
    dict(type="Rerange", min_value=-3, max_value=9),
    dict(type="SegRescale", scale_factor=0.5),
    dict(type="SegRescale", scale_factor=2),
    dict(type="RGB2Gray"),
    dict(type="RGB2Gray", out_channels=1),
    dict(type="RGB2Gray", out_channels=2, weights=(1, 2, 3)),
    dict(
        type="MultiScaleFlipAug",
        img_scale=(64, 48),
        flip=True,
        flip_direction=["horizontal", "vertical"],
        img_ratios=[0.5, 1.0, 1.5],
        transforms=_VIEW,
    ),
    dict(type="MultiScaleFlipAug", img_scale=[(64, 48), (100, 60)], flip=False, transforms=_VIEW),
    dict(type="MultiScaleFlipAug", img_scale=None, img_ratios=[0.5, 2.0], flip=False, transforms=_VIEW),
)

_ITERATIONS = dict(type="IterBasedRunner", max_iters=2000)
_EPOCHS = dict(type="EpochBasedRunner", max_epochs=40)
ITERS_PER_EPOCH = 50
BASE_RATES = (0.01, 0.1)

# (lr_config, runner), beside those of the original configs. One with epochs runs 40 of them, 2000 iterations too.
SCHEDULES: Tuple[Tuple[Dict[str, Any], Dict[str, Any]], ...] = (
    (dict(policy="fixed", by_epoch=False), _ITERATIONS),
    (dict(policy="step", step=[700, 1500], by_epoch=False), _ITERATIONS),
    (dict(policy="step", step=300, gamma=0.5, min_lr=1e-3, by_epoch=False), _ITERATIONS),
    (dict(policy="exp", gamma=0.999, by_epoch=False), _ITERATIONS),
    (dict(policy="inv", gamma=0.01, power=0.8, by_epoch=False), _ITERATIONS),
    (dict(policy="poly", power=0.9, min_lr=1e-4, by_epoch=False), _ITERATIONS),
    (dict(policy="poly", power=2.0, min_lr=0.0, by_epoch=False, warmup="exp", warmup_iters=100), _ITERATIONS),
    (
        dict(policy="CosineAnnealing", min_lr=1e-5, by_epoch=False, warmup="linear", warmup_iters=99, warmup_ratio=0.3),
        _ITERATIONS,
    ),
    (dict(policy="CosineAnnealing", min_lr_ratio=0.01, by_epoch=False, warmup="constant", warmup_iters=7), _ITERATIONS),
    (dict(policy="step", step=[16, 30], by_epoch=True), _EPOCHS),
    (dict(policy="poly", power=0.9, by_epoch=True, warmup="linear", warmup_iters=75, warmup_ratio=1e-3), _EPOCHS),
    (
        dict(policy="CosineAnnealing", min_lr=0.0, by_epoch=True, warmup="exp", warmup_iters=3, warmup_by_epoch=True),
        _EPOCHS,
    ),
)


def shortened(runner: Dict[str, Any]) -> Dict[str, Any]:
    """A runner of a config with the length of the cases above."""
    return dict(_EPOCHS if runner["type"] == "EpochBasedRunner" else _ITERATIONS)


def comparable_model(model: Any) -> Any:
    """A config's model without addresses of weights and with BN for SyncBN, which needs a GPU there."""
    if isinstance(model, dict):
        changed = {key: comparable_model(value) for key, value in model.items() if key != "pretrained"}
        if changed.get("type") == "SyncBN":
            changed["type"] = "BN"
        if isinstance(changed.get("init_cfg"), dict) and changed["init_cfg"].get("type") == "Pretrained":
            del changed["init_cfg"]
        return changed
    if isinstance(model, (list, tuple)):
        return type(model)(comparable_model(item) for item in model)
    return model


def classes_of(model: Dict[str, Any]) -> int:
    """The number of classes of a config's model."""
    head = model["decode_head"]
    heads: List[Any] = list(head) if isinstance(head, (list, tuple)) else [head]
    return heads[-1]["num_classes"]
