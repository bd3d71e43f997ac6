import numpy as np
import pytest
import torch

from mmseg.engine.logit_bands import LogitBands
from tests.mining import plain
from tests.mining.cases import make_logits
from ymir.errors import PackageError
from ymir.mining import build_miner


def build(radius=1, topk=3, max_kept=5000):
    return build_miner(
        mining_algorithm="RIPU",
        ripu_region_radius=radius,
        topk_superpixel_score=topk,
        max_kept_mining_image=max_kept,
    )


@pytest.mark.parametrize(
    "dtype, rtol, tie", [(np.float64, 1e-6, plain.TIE), (np.float32, 1e-4, 1e-6), (np.float16, 1e-4, 1e-6)]
)
def test_images_equal_the_plain_reference(dtype, rtol, tie):
    rng = np.random.default_rng(0)
    equal = 0
    cases = 500
    for _ in range(cases):
        radius, topk = int(rng.choice([0, 1, 1, 2, 4])), int(rng.choice([1, 3, 8, 200]))
        logits = make_logits(rng, dtype)
        found = build(radius, topk).score(torch.from_numpy(logits))
        expected = plain.ripu_choose(plain.ripu_scores(logits, radius), radius, topk, tie)
        # Scores fall, so those of equal rank are close even where a near tie was broken the other way.
        assert found.size == logits.shape[1:]
        same = found.region.tolist() == [centre for centre, _ in expected]
        if dtype is np.float64:
            assert same
        if same:
            np.testing.assert_allclose(found.score, [score for _, score in expected], rtol=rtol, atol=1e-37)
            assert found.class_id.tolist() == np.argmax(logits, axis=0).reshape(-1)[found.region].tolist()
        equal += same
    assert equal >= 0.99 * cases


@pytest.mark.parametrize("num_classes", [2, 19])
def test_a_larger_image_with_many_windows(num_classes):
    rng = np.random.default_rng(5)
    logits = rng.standard_normal((num_classes, 60, 70))
    # An area of one class, and one where everything ties.
    logits[0, :30, :30] += 50
    logits[:, 40:, 50:] = np.eye(num_classes)[:2].repeat(10, 0).T[:, None, :]
    found = build(radius=1, topk=250).score(torch.from_numpy(logits))
    expected = plain.ripu_choose(plain.ripu_scores(logits, 1), 1, 250)
    assert found.region.tolist() == [centre for centre, _ in expected]
    np.testing.assert_allclose(found.score, [score for _, score in expected], rtol=1e-9)


def test_windows_at_the_border_average_over_pixels_in_the_image():
    logits = np.zeros((2, 1, 2))
    logits[0, 0, 0] = 1
    logits[1, 0, 1] = 1
    found = build(radius=1, topk=1).score(torch.from_numpy(logits))
    p = 1 / (1 + np.exp(-1))
    uncertainty = -(p * np.log(p) + (1 - p) * np.log(1 - p)) / np.log(2)
    np.testing.assert_allclose(found.score, [uncertainty])
    assert found.pixel_count.tolist() == [2]


def test_windows_without_score_are_chosen_in_row_major_order():
    found = build(radius=1, topk=3).score(torch.zeros(3, 4, 10))
    assert found.region.tolist() == [0, 3, 6]
    assert found.score.tolist() == [0, 0, 0]
    assert found.pixel_count.tolist() == [4, 6, 6]


def test_fewer_windows_where_no_more_have_room():
    assert build(radius=1, topk=9).score(torch.zeros(3, 2, 5)).region.tolist() == [0, 3]
    assert build(radius=400, topk=9).score(torch.zeros(3, 2, 5)).region.tolist() == [0]


@pytest.mark.parametrize("shape", [(4, 5, 6), (4, 1, 7), (4, 1, 1)])
def test_windows_far_larger_than_the_image_are_the_whole_image(shape):
    logits = torch.from_numpy(np.random.default_rng(3).standard_normal(shape))
    expected = build(radius=7, topk=2).score(logits)
    for radius in (20_000, 2**31, 10**20):
        miner = build(radius=radius, topk=2)
        found = miner.score(logits)
        assert found.region.tolist() == expected.region.tolist()
        assert found.score.tolist() == expected.score.tolist()
        assert found.pixel_count.tolist() == [shape[1] * shape[2]]
        assert (miner.region_mask(found, found.region) == 255).all()


def test_one_class_scores_nothing():
    found = build(topk=1).score(torch.randn(1, 5, 5, generator=torch.Generator().manual_seed(0)))
    assert found.region.tolist() == [0] and found.score.tolist() == [0]


def test_selection_and_masks():
    rng = np.random.default_rng(1)
    miner = build(radius=1, topk=2, max_kept=2)
    images = [rng.standard_normal((3, 6, 7)) * scale for scale in (9, 0.1, 3)]
    pool = [miner.score(torch.from_numpy(image)) for image in images]
    selection = miner.select(pool)
    expected = [sum(score for _, score in plain.ripu_choose(plain.ripu_scores(i, 1), 1, 2)) for i in images]
    np.testing.assert_allclose(selection.image_scores, expected, rtol=1e-9)
    assert selection.order.tolist() == plain.ranked(expected)
    assert selection.kept.tolist() == selection.order.tolist()[:2]
    for position, scores in enumerate(pool):
        chosen = selection.chosen(position, scores)
        assert chosen.tolist() == scores.region.tolist()
        mask = miner.region_mask(scores, chosen)
        assert mask.dtype == np.uint8
        np.testing.assert_array_equal(mask, plain.ripu_mask((6, 7), chosen.tolist(), 1))
    assert len(miner.select([]).order) == 0


def test_needs_no_superpixels():
    miner = build()
    assert not miner.needs_superpixels
    assert miner.superpixels(np.zeros((4, 4, 3), np.uint8)) is None


def test_logits_in_bands_score_as_the_tensor_does():
    small = torch.from_numpy(np.random.default_rng(7).standard_normal((5, 6, 7)).astype(np.float32))
    bands = LogitBands.resized(small, input_size=(24, 28), content_size=(24, 26), size=(40, 50), align_corners=True)
    found, expected = build().score(bands), build().score(bands.tensor())
    assert found.region.tolist() == expected.region.tolist()
    np.testing.assert_array_equal(found.score, expected.score)


@pytest.mark.parametrize("num_classes", [255, 256, 300])
def test_class_ids_next_to_the_ends_of_their_type(num_classes):
    rng = np.random.default_rng(8)
    logits = rng.standard_normal((num_classes, 5, 6))
    logits[-1] += 3
    logits[0] += 3
    found = build(topk=4).score(torch.from_numpy(logits))
    expected = plain.ripu_choose(plain.ripu_scores(logits, 1), 1, 4)
    assert found.region.tolist() == [centre for centre, _ in expected]
    np.testing.assert_allclose(found.score, [score for _, score in expected], rtol=1e-9)


def test_broken_logits_are_refused():
    with pytest.raises(PackageError, match="NaN"):
        build().score(torch.full((2, 3, 3), float("nan")))
