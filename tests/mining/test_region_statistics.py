import numpy as np
import pytest
import torch

from tests.mining.cases import make_logits, make_superpixels
from ymir.errors import PackageError
from ymir.mining.pixels import PixelScores, entropy
from ymir.mining.region_statistics import _exact_sums, as_features, image_statistics, region_statistics
from ymir.mining.rounding import without_rounding_errors


def test_sums_of_any_order_are_the_same_bits():
    # How an accelerator adds up: integers, whose order makes no difference.
    rng = np.random.default_rng(0)
    for _ in range(200):
        logits = torch.from_numpy(make_logits(rng, np.float32))
        labels = make_superpixels(rng, *logits.shape[1:])
        values = entropy(logits).uncertainty
        sums = _exact_sums(values, torch.from_numpy(labels), int(labels.max()) + 1)
        expected = np.bincount(labels.reshape(-1), values.double().numpy().reshape(-1))
        np.testing.assert_allclose(sums, expected, rtol=1e-12, atol=1e-14)
        shuffled = torch.from_numpy(rng.permutation(labels.size))
        again = _exact_sums(
            values.reshape(-1)[shuffled], torch.from_numpy(labels).reshape(-1)[shuffled], int(labels.max()) + 1
        )
        np.testing.assert_array_equal(sums, again)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_sums_of_broken_values_show(value):
    values = torch.tensor([[0.5, value]])
    assert np.isnan(_exact_sums(values, torch.tensor([[0, 1]]), 2)).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.int64])
def test_labels_of_any_integer_type_stay_as_they_are(dtype):
    labels = np.array([[0, 0, 2], [2, 1, 1]], dtype)
    before = labels.copy()
    pixels = PixelScores(torch.arange(6.0).reshape(2, 3), torch.tensor([[1, 1, 0], [1, 0, 0]], dtype=torch.uint8))
    found = region_statistics(pixels, labels, 2)
    assert found.score.tolist() == [0.5, 4.5, 2.5]
    assert found.class_id.tolist() == [1, 0, 0]
    assert found.pixel_count.tolist() == [2, 2, 2]
    np.testing.assert_array_equal(labels, before)


@pytest.mark.parametrize("block", [1, 4, 30])
def test_short_and_long_runs_of_pixels_sum_up_alike(block):
    rng = np.random.default_rng(block)

    def in_blocks(numbers):
        return np.kron(rng.integers(0, numbers, (8, 8)), np.ones((block, block), np.int64))

    labels, class_map = in_blocks(9), in_blocks(4)
    uncertainty = rng.random(labels.shape).astype(np.float32)
    pixels = PixelScores(torch.from_numpy(uncertainty), torch.from_numpy(class_map.astype(np.uint8)))
    found = region_statistics(pixels, labels, 4)
    for place, label in enumerate(found.region):
        inside = labels == label
        assert found.pixel_count[place] == np.count_nonzero(inside)
        assert found.class_id[place] == np.bincount(class_map[inside]).argmax()
        np.testing.assert_allclose(found.score[place], uncertainty[inside].astype(np.float64).mean(), rtol=1e-11)
    assert found.region.tolist() == np.unique(labels).tolist()


def test_many_labels_and_classes_do_not_overflow():
    labels = np.array([[0, 250]], np.uint8)
    pixels = PixelScores(torch.ones(1, 2), torch.tensor([[199, 3]], dtype=torch.uint8))
    found = region_statistics(pixels, labels, 200)
    assert found.region.tolist() == [0, 250] and found.class_id.tolist() == [199, 3]


def test_the_whole_image():
    pixels = PixelScores(torch.tensor([[0.25, 0.5, 0.75]]), torch.tensor([[1, 2, 1]], dtype=torch.uint8))
    found = image_statistics(pixels, 3, torch.tensor([1.0, 2.0], dtype=torch.float64))
    assert found.score.tolist() == [0.5] and found.class_id.tolist() == [1] and found.pixel_count.tolist() == [3]
    assert found.region.tolist() == [0] and found.size == (1, 3)
    assert found.features.tolist() == [1, 2] and found.features.dtype == np.float32


def test_features_must_be_finite():
    assert as_features(None) is None
    with pytest.raises(PackageError, match="infinite"):
        as_features(np.array([1, np.inf]))


def test_rounding_leaves_twelve_digits_and_makes_equals_of_neighbours():
    values = np.array([0.0, 1e-300, 0.1, 1 / 3, 12345.678])
    np.testing.assert_allclose(without_rounding_errors(values), values, rtol=1e-12)
    assert without_rounding_errors(np.array([0.1 + 0.2])) == without_rounding_errors(np.array([0.3]))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_an_accelerator_gives_what_the_cpu_gives():
    rng = np.random.default_rng(1)
    for _ in range(50):
        logits = torch.from_numpy(make_logits(rng, np.float32))
        labels = make_superpixels(rng, *logits.shape[1:])
        expected = region_statistics(entropy(logits), labels, len(logits))
        found = region_statistics(entropy(logits.cuda()), torch.from_numpy(labels).cuda(), len(logits))
        np.testing.assert_allclose(found.score, expected.score, rtol=1e-4, atol=1e-12)
        np.testing.assert_array_equal(found.class_id, expected.class_id)
        np.testing.assert_array_equal(found.pixel_count, expected.pixel_count)
        np.testing.assert_array_equal(found.region, expected.region)
