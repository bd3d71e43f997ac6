"""From a config file, a checkpoint and images to class maps."""

import copy

import cv2
import numpy as np
import pytest
import torch

from mmseg.apis import inference_segmentor, init_segmentor
from mmseg.config import Config
from mmseg.engine.checkpoint import save_checkpoint
from mmseg.errors import CheckpointError, ConfigError, ImageError
from mmseg.models import build_segmentor
from tests.models.configs import fill, tiny
from tests.reference_data import REFERENCE, needs_reference

NORMALIZE = {"type": "Normalize", "mean": [120.0, 110.0, 100.0], "std": [60.0, 61.0, 62.0], "to_rgb": True}
CAMVID = REFERENCE.parent / "camvid" / "val" / "images"


def views(img_scale=(96, 64), flip=False, img_ratios=None, **more):
    return [
        {"type": "LoadImageFromFile"},
        {
            "type": "MultiScaleFlipAug",
            "img_scale": img_scale,
            "img_ratios": img_ratios,
            "flip": flip,
            "transforms": [
                {"type": "Resize", "keep_ratio": True},
                {"type": "RandomFlip"},
                NORMALIZE,
                *more.get("transforms", []),
                {"type": "ImageToTensor", "keys": ["img"]},
                {"type": "Collect", "keys": ["img"]},
            ],
        },
    ]


def config_file(tmp_path, pipeline=None, model=None, **top):
    data = {"test": {"type": "CustomDataset", "classes": ["a", "b", "c", "d", "e"], "pipeline": pipeline or views()}}
    content = {"model": model or tiny(), "data": data, **top}
    path = tmp_path / "config.py"
    path.write_text("".join(f"{name} = {value!r}\n" for name, value in content.items()))
    return path


def trained(tmp_path, meta=None, **model):
    """A checkpoint with weights that depend on no random generator."""
    path = tmp_path / "weights.pth"
    save_checkpoint(path, model=fill(build_segmentor(tiny(**model))), meta=meta or {})
    return path


def picture(height=50, width=70, seed=0):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def by_hand(model, image, size, flip=None):
    """Probabilities of one view, without the pipeline."""
    height, width = image.shape[:2]
    scale = min(max(size) / max(height, width), min(size) / min(height, width))
    resized = cv2.resize(image, (int(width * scale + 0.5), int(height * scale + 0.5)), interpolation=cv2.INTER_LINEAR)
    if flip:
        resized = resized[:, ::-1]
    mean, std = (np.array(NORMALIZE[key], dtype=np.float32) for key in ("mean", "std"))
    tensor = torch.from_numpy(((resized[:, :, ::-1].astype(np.float32) - mean) / std).transpose(2, 0, 1).copy())
    probabilities = model.probabilities(model.inference(tensor.unsqueeze(0), (height, width)))[0].numpy()
    return probabilities[:, :, ::-1] if flip else probabilities


def agreement(ours, theirs):
    return (ours == theirs).mean()


def test_init_segmentor_gives_a_model_ready_to_predict(tmp_path):
    checkpoint = trained(tmp_path, {"CLASSES": ("v", "w", "x", "y", "z"), "PALETTE": np.arange(15).reshape(5, 3)})
    model = init_segmentor(str(config_file(tmp_path)), str(checkpoint), device="cpu")
    assert not model.training
    assert isinstance(model.cfg, Config)
    assert model.CLASSES == ["v", "w", "x", "y", "z"]
    assert model.PALETTE[1] == [3, 4, 5]
    weight = model.backbone.learning_to_downsample.conv.conv.weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    expected = fill(build_segmentor(tiny())).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())


def test_classes_come_from_the_config_where_the_checkpoint_has_none(tmp_path):
    model = init_segmentor(config_file(tmp_path), trained(tmp_path))
    assert model.CLASSES == ["a", "b", "c", "d", "e"]
    assert model.PALETTE is None
    cfg = Config.fromfile(config_file(tmp_path))
    cfg.data.test.pop("classes")
    assert init_segmentor(cfg).CLASSES is None
    inner = {"type": "CustomDataset", "classes": ("k", "l"), "palette": [(1, 2, 3), (4, 5, 6)]}
    cfg = Config.fromfile(
        config_file(tmp_path, data={"train": {"type": "RepeatDataset", "times": 2, "dataset": inner}})
    )
    model = init_segmentor(cfg)
    assert model.CLASSES == ["k", "l"]
    assert model.PALETTE == [[1, 2, 3], [4, 5, 6]]


def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path):
    config = config_file(tmp_path)
    weights = build_segmentor(tiny()).state_dict()
    torch.save({name: value for name, value in weights.items() if "conv_seg" not in name}, str(tmp_path / "part.pth"))
    with pytest.raises(CheckpointError, match=r"part.pth does not fit .*config.py: .*2 missing.*conv_seg.weight"):
        init_segmentor(config, tmp_path / "part.pth")
    other = build_segmentor(tiny(num_classes=7))
    save_checkpoint(tmp_path / "other.pth", model=other, meta={})
    with pytest.raises(CheckpointError, match=r"conv_seg.weight \(7, 8, 1, 1\) for \(5, 8, 1, 1\)"):
        init_segmentor(config, tmp_path / "other.pth")


def test_a_config_without_a_model_is_refused(tmp_path):
    (tmp_path / "config.py").write_text("data = dict()\n")
    with pytest.raises(ConfigError, match="config.py has no 'model'"):
        init_segmentor(tmp_path / "config.py")


def test_class_maps_of_files_and_arrays_have_the_size_of_the_image(tmp_path):
    model = init_segmentor(config_file(tmp_path), trained(tmp_path))
    image = picture()
    cv2.imwrite(str(tmp_path / "ä image.png"), image)
    (of_file,) = inference_segmentor(model, tmp_path / "ä image.png")
    of_array, other = inference_segmentor(model, [image, picture(33, 45, 1)])
    assert of_file.shape == (50, 70)
    assert of_file.dtype == np.int64
    assert other.shape == (33, 45)
    np.testing.assert_array_equal(of_file, of_array)
    assert len(np.unique(of_file)) > 1
    assert agreement(of_file, by_hand(model, image, (96, 64)).argmax(axis=0)) > 0.999


def test_all_views_of_the_pipeline_count(tmp_path):
    config = config_file(tmp_path, views(img_scale=(96, 64), img_ratios=[1.0, 1.5], flip=True))
    model = init_segmentor(config, trained(tmp_path))
    image = picture()
    (found,) = inference_segmentor(model, image)
    mean = sum(by_hand(model, image, size, flip) for size in ((96, 64), (144, 96)) for flip in (False, True))
    assert agreement(found, mean.argmax(axis=0)) > 0.999
    assert agreement(found, by_hand(model, image, (96, 64)).argmax(axis=0)) < 0.999


def test_padding_is_cut_off(tmp_path):
    model = init_segmentor(config_file(tmp_path), trained(tmp_path))
    image = picture(50, 70)
    (plain,) = inference_segmentor(model, image)
    padded_model = copy.copy(model)
    pad = {"type": "Pad", "size": (160, 200), "pad_val": 0, "seg_pad_val": 255}
    padded_model.cfg = Config.fromfile(config_file(tmp_path, views(transforms=[pad])))
    (padded,) = inference_segmentor(padded_model, image)
    assert padded.shape == (50, 70)
    # Padding changes the features near the border and what the pyramid averages, but it does not shift or stretch.
    assert agreement(padded, plain) > 0.5


def test_a_pipeline_of_one_view_without_the_wrapper(tmp_path):
    collect = [{"type": "ImageToTensor", "keys": ["img"]}, {"type": "Collect", "keys": ["img"]}]
    bare = [{"type": "LoadImageFromFile"}, {"type": "Resize", "img_scale": (96, 64)}, NORMALIZE, *collect]
    wrapped = init_segmentor(config_file(tmp_path), trained(tmp_path))
    (expected,) = inference_segmentor(wrapped, picture())
    plain = init_segmentor(config_file(tmp_path, bare), trained(tmp_path))
    np.testing.assert_array_equal(inference_segmentor(plain, picture())[0], expected)


def test_the_pipeline_may_stand_at_the_top_of_the_config(tmp_path):
    model = init_segmentor(config_file(tmp_path, data={"samples_per_gpu": 1}, test_pipeline=views()))
    assert inference_segmentor(model, picture())[0].shape == (50, 70)
    model = init_segmentor(config_file(tmp_path, data={"samples_per_gpu": 1}))
    with pytest.raises(ConfigError, match=r"config.py has neither data.test.pipeline nor test_pipeline"):
        inference_segmentor(model, picture())


def test_what_is_no_image_is_refused(tmp_path):
    model = init_segmentor(config_file(tmp_path))
    for array in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(ImageError, match="BGR array"):
            inference_segmentor(model, array)
    with pytest.raises(ImageError, match=r"nowhere.jpg"):
        inference_segmentor(model, tmp_path / "nowhere.jpg")


def test_sliding_windows_and_two_classes_in_one_channel(tmp_path):
    head = {"num_classes": 2, "out_channels": 1, "loss_decode": {"type": "CrossEntropyLoss", "use_sigmoid": True}}
    cfg = tiny(test_cfg={"mode": "slide", "crop_size": (48, 48), "stride": (32, 32)})
    cfg["decode_head"].update(head)
    torch.manual_seed(0)
    model = init_segmentor(config_file(tmp_path, model=cfg))
    found = inference_segmentor(model, picture())[0]
    assert found.shape == (50, 70)
    assert set(np.unique(found)) <= {0, 1}


@needs_reference
@pytest.mark.skipif(not CAMVID.exists(), reason="the CamVid images are not there")
def test_the_old_executor_s_package_predicts_the_same_class_maps():
    package = REFERENCE / "upstream_model"
    model = init_segmentor(package / "fast_scnn_lr0.12_8x4_160k_cityscapes.py", package / "best_mIoU_iter_300.pth")
    assert len(model.CLASSES) == len(model.PALETTE) == 11
    with np.load(package / "predictions.npz") as file:
        predictions = {name: file[name] for name in file}
    found = inference_segmentor(model, [CAMVID / name for name in predictions["names"]])
    same = [agreement(ours, theirs) for ours, theirs in zip(found, predictions["classes"])]
    assert len(same) == 12
    assert np.mean(same) >= 0.999
