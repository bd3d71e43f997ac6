import math

import cv2
import numpy as np
import pytest
import torch

from mmseg.errors import ConfigError
from tests.reference_data import CAMVID, needs_camvid
from tools.street_scenes import generate_scene
from ymir.mining.superpixel_quality import boundary_recall, under_segmentation_error
from ymir.mining.torch_slic import TORCH_ALGORITHMS, torch_superpixels

UNLABELLED = 255


def plain_superpixels(image, algorithm, max_count):
    """The documented algorithm, one pixel at a time. Cells of the grid divide the image but for its last row and
    column of cells, which may be smaller."""
    height, width = image.shape[:2]
    region_size = max(2, 2 * round(math.sqrt(height * width / max_count)))
    while True:
        cell = [math.ceil(side / max(1, round(side / region_size))) for side in (height, width)]
        rows, columns = math.ceil(height / cell[0]), math.ceil(width / cell[1])
        if rows * columns <= max_count:
            break
        region_size += 2 * math.ceil(region_size / 32)
    pixels = {(y, x): image[y, x].astype(np.float64) for y, x in np.ndindex(height, width)}
    chosen = {(y, x): (y // cell[0], x // cell[1]) for y, x in pixels}
    scale = dict.fromkeys(np.ndindex(rows, columns), math.inf if algorithm == "slico" else 1.0)
    position_weight = 1 if algorithm == "slico" else 10**2
    centres = {}
    for iteration in range(10):
        members = {centre: [p for p in pixels if chosen[p] == centre] for centre in scale}
        if algorithm == "slico" and iteration:
            for centre, own in members.items():
                largest = max([((pixels[p] - centres[centre][0]) ** 2).sum() for p in own], default=0.0)
                scale[centre] = max(1.0 if iteration == 1 else scale[centre], largest)
        for centre, own in members.items():
            if own:
                means = np.mean([pixels[p] for p in own], 0), np.mean(own, 0)
                centres[centre] = [np.round(8 * mean) / 8 for mean in means]
        color_weight = {centre: float(np.float32(region_size**2 / scale[centre])) for centre in scale}
        for y, x in pixels:
            home = y // cell[0], x // cell[1]
            near = [(home[0] + down, home[1] + right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
            distance = {}
            for centre in [centre for centre in near if centre in centres]:
                color, position = centres[centre]
                offset = np.array([y, x]) - np.floor(position)
                if (offset >= -region_size).all() and (offset < region_size).all():
                    of_color = color_weight[centre] * ((pixels[y, x] - color) ** 2).sum()
                    distance[centre] = of_color + position_weight * ((np.array([y, x]) - position) ** 2).sum()
            if distance:
                chosen[y, x] = min(distance, key=distance.__getitem__)
    labels = np.array([chosen[p][0] * columns + chosen[p][1] for p in np.ndindex(height, width)])
    return np.unique(labels, return_inverse=True)[1].reshape(height, width)


def street(seed, width=192, height=144):
    return generate_scene(np.random.default_rng(seed), width, height)


def divide(image, algorithm, max_count):
    return torch_superpixels(torch.from_numpy(image)[None], algorithm, max_count)[0].numpy()


def check(labels, shape, max_count):
    assert labels.dtype == np.int32 and labels.shape == shape
    values = np.unique(labels)
    assert values.tolist() == list(range(len(values))) and 1 <= len(values) <= max_count
    return len(values)


@pytest.mark.parametrize("algorithm", TORCH_ALGORITHMS)
@pytest.mark.parametrize("size", [(16, 20, 40), (13, 23, 12), (9, 8, 72), (30, 5, 20), (1, 40, 9)])
def test_equals_the_plain_algorithm(algorithm, size):
    height, width, max_count = size
    rng = np.random.default_rng(height)
    smooth = cv2.resize(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8), (width, height)).astype(np.int16)
    image = np.clip(smooth + rng.integers(-20, 21, smooth.shape), 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(divide(image, algorithm, max_count), plain_superpixels(image, algorithm, max_count))


@pytest.mark.parametrize("algorithm", TORCH_ALGORITHMS)
@pytest.mark.parametrize("max_count", [1024, 300, 40, 7])
def test_the_number_of_superpixels_is_kept_and_used(algorithm, max_count):
    labels = divide(street(0).image, algorithm, max_count)
    assert check(labels, (144, 192), max_count) >= max_count // 8


@pytest.mark.parametrize("algorithm", TORCH_ALGORITHMS)
def test_small_narrow_flat_and_noisy_images(algorithm):
    rng = np.random.default_rng(0)
    for height, width in [(1, 1), (1, 2), (1, 50), (50, 1), (2, 2), (2, 40), (3, 3), (5, 8), (7, 100), (40, 40)]:
        noise = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        black_and_white = np.broadcast_to((noise[..., :1] > 127) * np.uint8(255), noise.shape).copy()
        images = torch.from_numpy(np.stack([np.zeros_like(noise), noise, black_and_white]))
        for max_count in (1, 2, 3, 5, 9, 50, 1024, 10**9):
            for labels in torch_superpixels(images, algorithm, max_count).numpy():
                check(labels, (height, width), max_count)


def test_a_flat_image_is_divided_into_the_grid():
    labels = divide(np.full((64, 96, 3), 80, np.uint8), "slico", 24 * 4)
    rows, columns = np.indices((64, 96)) // 16
    np.testing.assert_array_equal(labels, rows * 6 + columns)


@pytest.mark.parametrize("algorithm", TORCH_ALGORITHMS)
def test_an_image_does_not_depend_on_its_batch(algorithm):
    # More than are worked on together on a CPU.
    image = street(0).image
    images = np.stack([np.roll(image, 30 * shift, 1) for shift in range(5)])
    together = torch_superpixels(torch.from_numpy(images), algorithm, 200).numpy()
    for image, labels in zip(images, together):
        np.testing.assert_array_equal(labels, divide(image, algorithm, 200))


@pytest.mark.parametrize("algorithm", TORCH_ALGORITHMS)
@pytest.mark.parametrize("pixels_at_once", [50, 700, 10**9])
def test_it_does_not_depend_on_how_much_is_held_at_a_time(algorithm, pixels_at_once):
    # Cells of 16 x 16 pixels: parts of one, several of them, and all.
    image = street(7).image[:64, :64].copy()
    images = torch.from_numpy(np.stack([image, image[::-1]]))
    labels = torch_superpixels(images, algorithm, 64, pixels_at_once=pixels_at_once)
    assert torch.equal(labels, torch_superpixels(images, algorithm, 64))


@pytest.mark.parametrize("algorithm", TORCH_ALGORITHMS)
def test_large_cells(algorithm):
    # Two halves, each of one colour but for its noise.
    image = np.random.default_rng(0).integers(0, 9, (256, 512, 3)).astype(np.uint8)
    image[:, 300:] += 200
    labels = divide(image, algorithm, 8)
    np.testing.assert_array_equal(labels, np.broadcast_to(np.arange(512) >= 300, (256, 512)))


@pytest.mark.parametrize("algorithm", TORCH_ALGORITHMS)
def test_repeats_itself_and_reads_any_memory_layout(algorithm):
    image = street(5).image
    first = divide(image, algorithm, 150)
    np.testing.assert_array_equal(first, divide(image, algorithm, 150))
    by_channel = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).permute(1, 2, 0)[None]
    np.testing.assert_array_equal(first, torch_superpixels(by_channel, algorithm, 150)[0].numpy())


def opencv_superpixels(image, algorithm, max_count):
    region_size = 2 * round(math.sqrt(image.shape[0] * image.shape[1] / max_count))
    variant = {"slic": cv2.ximgproc.SLIC, "slico": cv2.ximgproc.SLICO}[algorithm]
    opencv = cv2.ximgproc.createSuperpixelSLIC(image, variant, region_size)
    opencv.iterate(10)
    return opencv.getLabels()


def compare_with_opencv(scenes, algorithm, max_count=1024):
    ours, theirs = [], []
    for image, truth in scenes:
        for labels, numbers in (
            (divide(image, algorithm, max_count), ours),
            (opencv_superpixels(image, algorithm, max_count), theirs),
        ):
            recall = boundary_recall(labels, truth, ignore=UNLABELLED)
            error = under_segmentation_error(labels, truth, ignore=UNLABELLED)
            numbers.append((recall, error, len(np.unique(labels))))
    (recall, error, count), (opencv_recall, opencv_error, opencv_count) = np.mean(ours, 0), np.mean(theirs, 0)
    assert recall >= opencv_recall - 0.01
    assert error <= opencv_error + 0.01
    assert abs(count / opencv_count - 1) <= 0.05


@pytest.mark.parametrize("algorithm", TORCH_ALGORITHMS)
def test_as_good_as_opencv_on_generated_streets(algorithm):
    scenes = [street(seed, 320, 240) for seed in range(4)]
    compare_with_opencv([(scene.image, scene.label) for scene in scenes], algorithm)


@needs_camvid
@pytest.mark.parametrize("algorithm", TORCH_ALGORITHMS)
def test_as_good_as_opencv_on_camvid(algorithm):
    images = sorted((CAMVID / "val" / "images").iterdir())[::35]
    labels = [(CAMVID / "val" / "labels" / image.name).with_suffix(".png") for image in images]
    scenes = [
        (cv2.imread(str(image)), cv2.imread(str(label), cv2.IMREAD_GRAYSCALE)) for image, label in zip(images, labels)
    ]
    compare_with_opencv(scenes, algorithm)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("algorithm", TORCH_ALGORITHMS)
def test_on_a_gpu(algorithm):
    images = torch.from_numpy(np.stack([street(seed).image for seed in range(2)])).cuda()
    labels = torch_superpixels(images, algorithm, 300)
    assert labels.is_cuda and torch.equal(labels, torch_superpixels(images, algorithm, 300))
    on_cpu = torch_superpixels(images.cpu(), algorithm, 300)
    assert torch.equal(labels.cpu(), on_cpu)


def test_other_algorithms_are_refused():
    with pytest.raises(ConfigError, match="slic and slico only, not 'seeds'"):
        torch_superpixels(torch.zeros(1, 4, 4, 3, dtype=torch.uint8), "seeds", 4)


@pytest.mark.parametrize("shape", [(4, 4, 3), (1, 3, 4, 4), (1, 0, 4, 3), (0, 4, 4, 3)])
def test_other_images_are_refused(shape):
    with pytest.raises(ValueError, match="uint8 images"):
        torch_superpixels(torch.zeros(shape, dtype=torch.uint8), "slic", 4)
    with pytest.raises(ValueError, match="uint8 images"):
        torch_superpixels(torch.zeros(1, 4, 4, 3), "slic", 4)


def test_no_superpixels_are_refused():
    with pytest.raises(ValueError, match="at least 1"):
        torch_superpixels(torch.zeros(1, 4, 4, 3, dtype=torch.uint8), "slic", 0)
