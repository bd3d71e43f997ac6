import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg.datasets.transforms import Compose, Pad, RandomCrop, RandomCutOut, RandomFlip, RandomRotate
from mmseg.errors import ConfigError
from tests.datasets.files import random_image


def coded(height, width, seed=0, num_classes=4):
    """A sample whose image has the label in its first channel, so that it shows whether both moved alike."""
    mask = np.random.default_rng(seed).integers(0, num_classes, (height, width), dtype=np.uint8)
    image = random_image(height, width, seed)
    image[:, :, 0] = mask
    return {"img": image, "gt_semantic_seg": mask, "seg_fields": ["gt_semantic_seg"]}


def test_crop_is_a_window_of_image_and_mask():
    whole = coded(20, 30)
    corners = set()
    for seed in range(100):
        sample = RandomCrop(crop_size=(18, 29))(dict(whole), np.random.default_rng(seed))
        assert sample["img"].shape == sample["img_shape"] == sample["pad_shape"] == (18, 29, 3)
        np.testing.assert_array_equal(sample["img"][:, :, 0], sample["gt_semantic_seg"])
        matches = [
            (y, x)
            for y in range(3)
            for x in range(2)
            if np.array_equal(whole["img"][y : y + 18, x : x + 29], sample["img"])
        ]
        assert len(matches) == 1
        corners.update(matches)
    assert len(corners) == 6  # every position is reached, the last ones too


def test_crop_larger_than_the_image_takes_all_of_it():
    sample = RandomCrop(crop_size=(50, 8))(coded(20, 30), np.random.default_rng(0))
    assert sample["img"].shape == (20, 8, 3) and sample["gt_semantic_seg"].shape == (20, 8)


def share_of_largest(mask, ignore=255):
    labels, counts = np.unique(mask[mask != ignore], return_counts=True)
    return counts.max() / counts.sum() if len(labels) > 1 else 1.0


def test_cat_max_ratio_is_honoured_where_a_window_allows_it():
    mask = np.zeros((40, 40), np.uint8)
    mask[:, 14:] = 1
    mask[:4] = 255
    sample = {"img": np.dstack([mask] * 3), "gt_semantic_seg": mask, "seg_fields": ["gt_semantic_seg"]}
    shares = {True: [], False: []}
    for seed in range(60):
        for limited in shares:
            crop = RandomCrop(crop_size=(12, 12), cat_max_ratio=0.75 if limited else 1.0)
            result = crop(dict(sample), np.random.default_rng(seed))["gt_semantic_seg"]
            shares[limited].append(share_of_largest(result) < 0.75)
    # One window in five is mixed enough: 1 - (1 - 7 / 29) ** 11 of the draws find one.
    assert np.mean(shares[True]) > 0.85 > 0.5 > np.mean(shares[False])


def test_cat_max_ratio_does_not_count_ignored_pixels():
    mask = np.full((10, 10), 255, np.uint8)
    mask[0, 0], mask[0, 1] = 0, 1  # an even mix of what counts
    crop = RandomCrop(crop_size=(10, 10), cat_max_ratio=0.75)
    assert crop._is_mixed(mask)
    mask[0, 1] = 0
    assert not crop._is_mixed(mask)
    assert not crop._is_mixed(np.full((10, 10), 255, np.uint8))


def test_crop_gives_up_after_ten_tries():
    sample = RandomCrop(crop_size=(5, 5), cat_max_ratio=0.5)(
        {"img": random_image(9, 9), "gt_semantic_seg": np.zeros((9, 9), np.uint8), "seg_fields": ["gt_semantic_seg"]},
        np.random.default_rng(0),
    )
    assert sample["img"].shape == (5, 5, 3)


@pytest.mark.parametrize("direction, axis", [("horizontal", 1), ("vertical", 0)])
def test_flip(direction, axis):
    before = coded(3, 5)
    after = RandomFlip(prob=1.0, direction=direction)(dict(before), np.random.default_rng(0))
    np.testing.assert_array_equal(after["img"], np.flip(before["img"], axis))
    np.testing.assert_array_equal(after["gt_semantic_seg"], np.flip(before["gt_semantic_seg"], axis))
    assert after["flip"] is True and after["flip_direction"] == direction


def test_flip_happens_with_its_probability():
    flips = [RandomFlip(prob=0.25)(coded(2, 2), np.random.default_rng(seed))["flip"] for seed in range(400)]
    assert 0.18 < np.mean(flips) < 0.32
    assert not RandomFlip(prob=0)(coded(2, 2), np.random.default_rng(0))["flip"]
    assert RandomFlip(flip_ratio=1.0)(coded(2, 2), np.random.default_rng(0))["flip"]


def test_flip_decided_before():
    before = coded(3, 5)
    after = RandomFlip()(dict(before, flip=True, flip_direction="vertical"))
    np.testing.assert_array_equal(after["img"], before["img"][::-1])
    with pytest.raises(ConfigError, match="RandomFlip: prob must be given"):
        RandomFlip()(coded(2, 2))


def test_pad_to_a_size():
    before = coded(2, 3)
    after = Pad(size=(4, 4), pad_val=(9, 8, 7), seg_pad_val=250)(dict(before))
    assert after["img"].shape == after["pad_shape"] == (4, 4, 3)
    np.testing.assert_array_equal(after["img"][:2, :3], before["img"])
    assert after["img"][2:].reshape(-1, 3).tolist() == [[9, 8, 7]] * 8
    assert after["img"][:2, 3].tolist() == [[9, 8, 7]] * 2
    np.testing.assert_array_equal(after["gt_semantic_seg"][:2, :3], before["gt_semantic_seg"])
    assert set(after["gt_semantic_seg"][2:].ravel()) | set(after["gt_semantic_seg"][:, 3]) == {250}
    assert after["pad_fixed_size"] == (4, 4) and after["pad_size_divisor"] is None


def test_pad_defaults_and_what_is_large_enough_stays():
    after = Pad(size=(4, 2))(coded(2, 3))
    assert after["img"].shape == (4, 3, 3)
    assert after["img"][2:].max() == 0 and set(after["gt_semantic_seg"][2:].ravel()) == {255}


def test_one_number_pads_the_first_channel_as_opencv_does():
    assert Pad(size=(1, 2), pad_val=5)({"img": np.ones((1, 1, 3), np.float32)})["img"][0, 1].tolist() == [5, 0, 0]


def test_pad_to_a_multiple():
    after = Pad(size_divisor=4)(coded(4, 5))
    assert after["img"].shape == (4, 8, 3) and after["gt_semantic_seg"].shape == (4, 8)


def test_rotation_by_90_degrees_is_clockwise():
    before = coded(5, 5)
    after = RandomRotate(prob=1.0, degree=(90, 90))(dict(before), np.random.default_rng(0))
    np.testing.assert_array_equal(after["gt_semantic_seg"], np.rot90(before["gt_semantic_seg"], -1))
    np.testing.assert_array_equal(after["img"], np.rot90(before["img"], -1))


def test_rotation_fills_and_auto_bound_enlarges():
    ones = {"img": np.full((4, 8, 3), 50, np.uint8), "gt_semantic_seg": np.ones((4, 8), np.uint8)}
    ones["seg_fields"] = ["gt_semantic_seg"]
    cut = RandomRotate(prob=1, degree=(90, 90), pad_val=(1, 2, 3), seg_pad_val=9)(dict(ones), np.random.default_rng(0))
    assert (
        cut["img"].shape == (4, 8, 3) and cut["img"][0, 0].tolist() == [1, 2, 3] and cut["gt_semantic_seg"][0, 0] == 9
    )
    free = RandomRotate(prob=1, degree=(90, 90), auto_bound=True)(dict(ones), np.random.default_rng(0))
    assert free["img"].shape == free["img_shape"] == (8, 4, 3)
    assert free["img"].min() == 50 and free["gt_semantic_seg"].min() == 1 == free["gt_semantic_seg"].max()


def test_rotation_angle_is_drawn_from_the_range_and_matches_opencv():
    before = coded(30, 40)
    rng = np.random.default_rng(3)
    rng.random()
    angle = rng.uniform(-10, 10)
    after = RandomRotate(prob=1, degree=10, center=(5, 6))(dict(before), np.random.default_rng(3))
    matrix = cv2.getRotationMatrix2D((5, 6), -angle, 1.0)
    np.testing.assert_array_equal(after["img"], cv2.warpAffine(before["img"], matrix, (40, 30)))
    kept = RandomRotate(prob=0, degree=10)(dict(before), np.random.default_rng(3))
    np.testing.assert_array_equal(kept["img"], before["img"])


def test_cutout_covers_rectangles_and_leaves_the_original_array():
    before = {"img": np.full((20, 30, 3), 200, np.uint8), "gt_semantic_seg": np.ones((20, 30), np.uint8)}
    before["seg_fields"] = ["gt_semantic_seg"]
    transform = RandomCutOut(prob=1, n_holes=1, cutout_shape=(4, 3), fill_in=(1, 2, 3), seg_fill_in=255)
    sizes = set()
    for seed in range(60):
        after = transform(dict(before), np.random.default_rng(seed))
        hole = (after["img"] == (1, 2, 3)).all(2)
        rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
        assert hole.sum() == len(rows) * len(columns)
        sizes.add((len(columns), len(rows)))
        np.testing.assert_array_equal(after["gt_semantic_seg"] == 255, hole)
    assert (4, 3) in sizes and max(s[0] for s in sizes) == 4 and max(s[1] for s in sizes) == 3
    assert before["img"].min() == 200 and before["gt_semantic_seg"].max() == 1


def test_cutout_ratio_number_of_holes_and_probability():
    image = np.full((20, 30, 3), 200, np.uint8)
    after = RandomCutOut(prob=1, n_holes=1, cutout_ratio=[(1.0, 1.0)])({"img": image}, np.random.default_rng(1))
    assert (after["img"][-1, -1] == 0).all()
    areas = set()
    for seed in range(200):
        holes = RandomCutOut(prob=1, n_holes=(0, 2), cutout_shape=(1, 1))({"img": image}, np.random.default_rng(seed))
        areas.add(int((holes["img"] == 0).all(2).sum()))
    assert areas == {0, 1, 2}
    assert RandomCutOut(prob=0, n_holes=1, cutout_shape=(9, 9))({"img": image})["img"] is image


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: RandomCrop(crop_size=5), "RandomCrop: crop_size"),
        (lambda: RandomCrop(crop_size=(5, 0)), "RandomCrop: crop_size"),
        (lambda: RandomCrop(crop_size=(5, 5), cat_max_ratio="1"), "RandomCrop: cat_max_ratio"),
        (lambda: RandomFlip(prob=1.5), "RandomFlip: prob"),
        (lambda: RandomFlip(prob=0.5, direction="sideways"), "RandomFlip: direction"),
        (lambda: Pad(), "Pad: give either size or size_divisor, not neither"),
        (lambda: Pad(size=(1, 1), size_divisor=4), "Pad: give either size or size_divisor, not both"),
        (lambda: Pad(size=4), "Pad: size"),
        (lambda: Pad(size=(4, 4), seg_pad_val=300), "Pad: seg_pad_val"),
        (lambda: Pad(size=(4, 4), pad_val="black"), "Pad: pad_val"),
        (lambda: RandomRotate(prob=2, degree=5), "RandomRotate: prob"),
        (lambda: RandomRotate(prob=1, degree=-5), "RandomRotate: degree"),
        (lambda: RandomRotate(prob=1, degree=(5, 1)), "RandomRotate: degree"),
        (lambda: RandomRotate(prob=1, degree=5, center=(1, 1), auto_bound=True), "center and auto_bound"),
        (lambda: RandomCutOut(prob=1, n_holes=1), "RandomCutOut: give either"),
        (lambda: RandomCutOut(prob=1, n_holes=(3, 2), cutout_shape=(1, 1)), "RandomCutOut: n_holes"),
        (lambda: RandomCutOut(prob=1, n_holes=1, cutout_shape=5), "RandomCutOut: cutout_shape"),
        (lambda: RandomCutOut(prob=1, n_holes=1, cutout_shape=(1, 1), seg_fill_in=256), "RandomCutOut: seg_fill_in"),
    ],
)
def test_bad_arguments(make, words):
    with pytest.raises(ConfigError, match=words):
        make()


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    crop=st.tuples(st.integers(1, 50), st.integers(1, 50)),
    ratio=st.sampled_from([1.0, 0.75, 0.3]),
    seed=st.integers(0, 2**32),
)
def test_image_and_mask_stay_aligned(height, width, crop, ratio, seed):
    pipeline = Compose(
        [
            {"type": "RandomCrop", "crop_size": crop, "cat_max_ratio": ratio},
            {"type": "RandomFlip", "prob": 0.5},
            {"type": "RandomFlip", "prob": 0.5, "direction": "vertical"},
            {"type": "Pad", "size": crop, "pad_val": (255, 0, 0)},
        ]
    )
    sample = pipeline(coded(height, width, seed % 7), np.random.default_rng(seed))
    assert sample["img"].shape == crop + (3,)
    np.testing.assert_array_equal(sample["img"][:, :, 0], sample["gt_semantic_seg"])
    again = pipeline(coded(height, width, seed % 7), np.random.default_rng(seed))
    np.testing.assert_array_equal(sample["img"], again["img"])


def test_random_resize_and_rotation_keep_image_and_mask_aligned():
    mask = np.zeros((60, 80), np.uint8)
    mask[20:50, 30:70] = 1
    pipeline = Compose(
        [
            {"type": "Resize", "img_scale": (80, 60), "ratio_range": (0.5, 2.0)},
            {"type": "RandomRotate", "prob": 1.0, "degree": 30, "seg_pad_val": 0},
        ]
    )
    for seed in range(20):
        sample = {"img": np.dstack([mask * 200] * 3), "gt_semantic_seg": mask, "seg_fields": ["gt_semantic_seg"]}
        result = pipeline(sample, np.random.default_rng(seed))
        assert np.mean((result["img"][:, :, 0] > 100) == (result["gt_semantic_seg"] == 1)) > 0.97
