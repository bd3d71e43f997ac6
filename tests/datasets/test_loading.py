import os

import cv2
import numpy as np
import pytest
from PIL import Image

from mmseg.datasets.transforms import LoadAnnotations, LoadImageFromFile
from mmseg.errors import ConfigError, DataError, ImageError
from tests.datasets.files import random_image, write_image, write_palette_mask


def load(path, **arguments):
    return LoadImageFromFile(**arguments)({"img_info": {"filename": str(path)}, "img_prefix": None})


def load_mask(path, sample=None, **arguments):
    sample = dict(sample or {}, ann_info={"seg_map": str(path)}, seg_prefix=None, seg_fields=[])
    result = LoadAnnotations(**arguments)(sample)
    assert result["seg_fields"] == ["gt_semantic_seg"]
    return result["gt_semantic_seg"]


def test_image_is_bgr_and_the_sample_has_the_keys_of_0x(tmp_path):
    image = random_image(4, 6)
    write_image(tmp_path / "a.png", image)
    sample = LoadImageFromFile()({"img_info": {"filename": "a.png"}, "img_prefix": str(tmp_path)})
    np.testing.assert_array_equal(sample["img"], image)
    assert sample["filename"] == os.path.join(str(tmp_path), "a.png")
    assert sample["ori_filename"] == "a.png"
    assert sample["img_shape"] == sample["ori_shape"] == sample["pad_shape"] == (4, 6, 3)
    assert sample["scale_factor"] == 1.0
    norm = sample["img_norm_cfg"]
    assert norm["mean"].tolist() == [0, 0, 0] and norm["std"].tolist() == [1, 1, 1] and norm["to_rgb"] is False


def test_to_float32(tmp_path):
    image = random_image(4, 6)
    loaded = load(write_image(tmp_path / "a.png", image), to_float32=True)["img"]
    assert loaded.dtype == np.float32
    np.testing.assert_array_equal(loaded, image)


@pytest.mark.parametrize("name", ["街景 一.jpg", "with space.jpg", "no_extension", "ümläut/ひ.bmp"])
def test_names_that_are_not_ascii_have_spaces_or_no_extension(tmp_path, name):
    image = np.full((8, 8, 3), 77, np.uint8)
    path = write_image(tmp_path / name, image, ".bmp" if name.endswith("bmp") else ".jpg")
    assert abs(load(path)["img"].astype(int) - 77).max() <= 1


def test_grey_alpha_16_bit_and_palette_become_8_bit_bgr(tmp_path):
    grey = np.array([[0, 128, 255]], np.uint8)
    loaded = load(write_image(tmp_path / "grey.png", grey))["img"]
    np.testing.assert_array_equal(loaded, np.repeat(grey[:, :, None], 3, 2))

    alpha = np.dstack([random_image(3, 3), np.full((3, 3), 7, np.uint8)])
    np.testing.assert_array_equal(load(write_image(tmp_path / "alpha.png", alpha))["img"], alpha[:, :, :3])

    deep = np.array([[[0, 256, 65535]]], np.uint16)
    np.testing.assert_array_equal(load(write_image(tmp_path / "deep.png", deep))["img"], [[[0, 1, 255]]])

    path = write_palette_mask(tmp_path / "palette.png", np.array([[0, 1]], np.uint8))
    np.testing.assert_array_equal(load(path)["img"], [[[232, 141, 50], [239, 148, 57]]])


def test_exif_orientation_is_honoured_unless_told_otherwise(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    path = tmp_path / "turned.jpg"
    Image.fromarray(random_image(4, 6)).save(str(path), exif=exif.tobytes())
    assert load(path)["img"].shape == (6, 4, 3)
    assert load(path, imdecode_backend="pillow")["img"].shape == (6, 4, 3)
    assert load(path, color_type="color_ignore_orientation")["img"].shape == (4, 6, 3)
    assert load(path, color_type="grayscale")["img"].shape == (6, 4)
    assert load(path, color_type="unchanged")["img"].shape == (4, 6, 3)


def test_pillow_reads_the_same_pixels_as_opencv(tmp_path):
    path = write_image(tmp_path / "a.png", random_image(5, 7))
    for color_type in ("color", "unchanged"):
        np.testing.assert_array_equal(
            load(path, imdecode_backend="pillow", color_type=color_type)["img"],
            load(path, color_type=color_type)["img"],
        )


def test_pillow_lays_transparent_grey_over_the_canvas_of_mmcv(tmp_path):
    path = tmp_path / "la.png"
    Image.fromarray(np.dstack([np.full((2, 2), 200, np.uint8), np.array([[0, 255]] * 2, np.uint8)])).save(str(path))
    loaded = load(path, imdecode_backend="pillow")["img"]
    assert loaded[0].tolist() == [[104, 117, 124], [200, 200, 200]]


@pytest.mark.parametrize("backend", ["cv2", "pillow"])
@pytest.mark.parametrize("damage", ["missing", "empty", "text", "truncated", "folder"])
def test_unreadable_image_is_an_image_error_naming_the_file(tmp_path, damage, backend):
    path = tmp_path / "坏 image.jpg"
    if damage == "empty":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_bytes(b"this is no image")
    elif damage == "truncated":
        data = cv2.imencode(".jpg", random_image(64, 64))[1].tobytes()
        path.write_bytes(data[: len(data) // 2])
    elif damage == "folder":
        path.mkdir()
    with pytest.raises(ImageError) as caught:
        load(path, imdecode_backend=backend)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_mask_is_read_as_it_is(tmp_path):
    mask = np.arange(256, dtype=np.uint8).reshape(16, 16)
    path = write_image(tmp_path / "m.png", mask)
    loaded = load_mask(path)
    assert loaded.dtype == np.uint8
    np.testing.assert_array_equal(loaded, mask)
    np.testing.assert_array_equal(load_mask(path, imdecode_backend="cv2"), mask)


def test_palette_mask_gives_indices(tmp_path):
    mask = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.testing.assert_array_equal(load_mask(write_palette_mask(tmp_path / "标签 a.png", mask)), mask)


def test_bilevel_and_16_bit_masks(tmp_path):
    Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1").save(str(tmp_path / "bits.png"))
    assert load_mask(tmp_path / "bits.png").tolist() == [[0, 1]]
    assert load_mask(write_image(tmp_path / "deep.png", np.array([[3, 255]], np.uint16))).tolist() == [[3, 255]]
    with pytest.raises(DataError, match="deeper.png has values from 3 to 300"):
        load_mask(write_image(tmp_path / "deeper.png", np.array([[3, 300]], np.uint16)))


def test_reduce_zero_label(tmp_path):
    path = write_image(tmp_path / "m.png", np.array([[0, 1, 2, 254, 255]], np.uint8))
    assert load_mask(path, reduce_zero_label=True).tolist() == [[255, 0, 1, 253, 255]]


def test_label_map_is_applied_before_reduce_zero_label(tmp_path):
    path = write_image(tmp_path / "m.png", np.array([[0, 1, 2, 3, 255]], np.uint8))
    sample = {"label_map": {0: 1, 1: -1, 2: 0}}
    assert load_mask(path, sample).tolist() == [[1, 255, 0, 3, 255]]
    assert load_mask(path, sample, reduce_zero_label=True).tolist() == [[0, 255, 255, 2, 255]]


def test_coloured_mask_is_refused(tmp_path):
    path = write_image(tmp_path / "colour.png", random_image(3, 3))
    with pytest.raises(DataError, match=r"colour\.png has 3 channels"):
        load_mask(path)
    palette = write_palette_mask(tmp_path / "palette.png", np.zeros((3, 3), np.uint8))
    with pytest.raises(DataError, match="3 channels"):
        load_mask(palette, imdecode_backend="cv2")


def test_missing_and_damaged_masks(tmp_path):
    with pytest.raises(DataError, match=r"label mask .*gone\.png: No such file"):
        load_mask(tmp_path / "gone.png")
    data = cv2.imencode(".png", random_image(64, 64)[:, :, 0])[1].tobytes()
    (tmp_path / "half.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"half\.png"):
        load_mask(tmp_path / "half.png")


def test_mask_of_another_size_than_the_image(tmp_path):
    path = write_image(tmp_path / "m.png", np.zeros((4, 6), np.uint8))
    assert load_mask(path, {"ori_shape": (4, 6, 3)}).shape == (4, 6)
    with pytest.raises(DataError, match=r"m\.png is 6x4 .*a\.jpg is 4x6"):
        load_mask(path, {"ori_shape": (6, 4, 3), "filename": "a.jpg"})


def test_ids_without_a_class_are_refused(tmp_path):
    path = write_image(tmp_path / "m.png", np.array([[0, 2, 9, 255]], np.uint8))
    with pytest.raises(DataError, match=r"m\.png holds the id 9, but there are 3 classes"):
        load_mask(path, {"num_classes": 3})
    assert load_mask(path, {"num_classes": 3, "ignore_index": 9}).max() == 255
    assert load_mask(path, {"num_classes": 10}).max() == 255


@pytest.mark.parametrize(
    "transform, arguments, words",
    [
        (LoadImageFromFile, {"color_type": "bgr"}, "LoadImageFromFile: color_type"),
        (LoadImageFromFile, {"imdecode_backend": "magic"}, "LoadImageFromFile: imdecode_backend"),
        (LoadImageFromFile, {"file_client_args": {"backend": "petrel"}}, "LoadImageFromFile: file_client_args"),
        (LoadAnnotations, {"imdecode_backend": "magic"}, "LoadAnnotations: imdecode_backend"),
        (LoadAnnotations, {"file_client_args": {"backend": "lmdb"}}, "LoadAnnotations: file_client_args"),
    ],
)
def test_bad_arguments(transform, arguments, words):
    with pytest.raises(ConfigError, match=words):
        transform(**arguments)


def test_disk_is_accepted_as_storage():
    LoadImageFromFile(file_client_args={"backend": "disk"})
    LoadAnnotations(file_client_args={"backend": "disk"})
