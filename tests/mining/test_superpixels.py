import multiprocessing

import cv2
import numpy as np
import pytest

from mmseg.errors import ConfigError
from ymir.mining.superpixels import SUPERPIXELS, check_backend, compute_superpixels

ALGORITHMS = sorted(SUPERPIXELS.module_dict)


def scene(height, width, seed=0):
    """A picture with areas of different texture."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(30, 225, (height // 16 + 2, width // 16 + 2, 3), dtype=np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    return np.clip(image + rng.integers(-9, 10, image.shape), 0, 255).astype(np.uint8)


def check(labels, image, max_count):
    assert labels.dtype == np.int32 and labels.shape == image.shape[:2]
    used = np.unique(labels)
    assert used.tolist() == list(range(len(used)))
    assert 1 <= len(used) <= max_count
    return len(used)


def test_all_documented_algorithms_are_there():
    assert ALGORITHMS == ["mslic", "seeds", "slic", "slico"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("max_count", [300, 40])
def test_the_number_of_superpixels_is_kept_and_used(algorithm, max_count):
    image = scene(90, 120)
    assert check(compute_superpixels(image, algorithm, max_count), image, max_count) >= max_count // 8


@pytest.mark.parametrize("variant", ["slic", "slico"])
def test_parameters_are_as_documented(variant):
    image = scene(72, 96)
    opencv = cv2.ximgproc.createSuperpixelSLIC(
        image, {"slic": cv2.ximgproc.SLIC, "slico": cv2.ximgproc.SLICO}[variant], 2 * round((72 * 96 / 100) ** 0.5)
    )
    opencv.iterate(10)
    np.testing.assert_array_equal(compute_superpixels(image, variant, 100), opencv.getLabels())


def opencv_mslic(image, region_size):
    opencv = cv2.ximgproc.createSuperpixelSLIC(image, cv2.ximgproc.MSLIC, region_size)
    opencv.iterate(10)
    return opencv.getLabels()


def test_mslic_is_opencvs_with_a_grown_region_size():
    image, max_count = scene(90, 120), 300
    documented = 2 * round((90 * 120 / max_count) ** 0.5)
    found = compute_superpixels(image, "mslic", max_count)
    # In a process of its own, since OpenCV may crash.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        arguments = [(image, size) for size in range(documented, documented + 24, 2)]
        by_opencv = pool.starmap_async(opencv_mslic, arguments).get(timeout=60)
    assert by_opencv[0].max() >= max_count
    assert any(np.array_equal(found, labels) for labels in by_opencv[1:])


def test_seeds_parameters_are_as_documented():
    image = scene(72, 96)
    opencv = cv2.ximgproc.createSuperpixelSEEDS(96, 72, 3, 100, 5, 3, 5, True)
    opencv.iterate(image, 10)
    np.testing.assert_array_equal(compute_superpixels(image, "seeds", 100), opencv.getLabels())


@pytest.mark.parametrize("algorithm", ["slic", "slico", "seeds"])
def test_small_narrow_and_flat_images(algorithm):
    sizes = [(1, 1), (1, 2), (1, 50), (50, 1), (2, 2), (2, 40), (3, 3), (5, 8), (7, 100), (40, 40), (16, 200)]
    for height, width in sizes:
        for max_count in (1, 2, 3, 5, 9, 50, 1024, 10**9):
            for image in (np.zeros((height, width, 3), np.uint8), scene(height, width)):
                check(compute_superpixels(image, algorithm, max_count), image, max_count)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (3, 3), (16, 200)])
def test_small_images_by_mslic(size):
    image = scene(*size)
    for max_count in (2, 50):
        check(compute_superpixels(image, "mslic", max_count), image, max_count)


def test_images_on_which_opencv_crashes_fall_back_to_slico():
    # All but black, on which OpenCV's MSLIC ends its process.
    image = np.ones((60, 80, 3), np.uint8)
    labels = compute_superpixels(image, "mslic", 50)
    np.testing.assert_array_equal(labels, compute_superpixels(image, "slico", 50))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_repeats_itself_and_reads_any_memory_layout(algorithm):
    image = scene(60, 80)
    first = compute_superpixels(image, algorithm, 60)
    np.testing.assert_array_equal(first, compute_superpixels(image, algorithm, 60))
    np.testing.assert_array_equal(first, compute_superpixels(np.asfortranarray(image), algorithm, 60))


def test_unknown_algorithm():
    with pytest.raises(ConfigError, match="slico"):
        compute_superpixels(scene(9, 9), "slicoo", 9)


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)])
def test_other_images_are_refused(image):
    with pytest.raises(ValueError, match="uint8"):
        compute_superpixels(image, "slico", 9)


def test_no_superpixels_are_refused():
    with pytest.raises(ValueError, match="at least 1"):
        compute_superpixels(scene(9, 9), "slico", 0)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_opencv_computes_all_algorithms(algorithm):
    check_backend(algorithm, "opencv")


def test_torch_computes_slic_and_slico():
    for algorithm in ALGORITHMS:
        if algorithm in ("slic", "slico"):
            check_backend(algorithm, "torch")
        else:
            sentence = (
                f"^superpixel_algorithm {algorithm} needs superpixel_backend opencv: torch .* slic and slico only$"
            )
            with pytest.raises(ConfigError, match=sentence):
                check_backend(algorithm, "torch")


def test_unknown_backends_and_algorithms_are_refused():
    with pytest.raises(ConfigError, match="superpixel_backend must be opencv or torch, not 'cuda'"):
        check_backend("slic", "cuda")
    with pytest.raises(ConfigError, match="superpixel_algorithm"):
        check_backend("slicoo", "torch")
