import numpy as np
import pytest
import torch

from mmseg.errors import ConfigError
from tests.mining import plain
from tests.mining.cases import make_logits, make_superpixels
from ymir.errors import PackageError
from ymir.mining import build_miner


def build(**settings):
    return build_miner(**{"mining_algorithm": "RSAL", "class_balance": True, **settings})


@pytest.mark.parametrize("dtype, rtol", [(np.float64, 1e-6), (np.float32, 1e-4), (np.float16, 1e-4)])
def test_pools_equal_the_plain_reference(dtype, rtol):
    rng = np.random.default_rng(0)
    equal = total = 0
    for _ in range(300):
        topk, max_kept = int(rng.choice([1, 3, 30])), int(rng.choice([1, 2, 5000]))
        class_balance = bool(rng.integers(2))
        miner = build(topk_superpixel_score=topk, max_kept_mining_image=max_kept, class_balance=class_balance)
        pool, plain_pool = [], []
        for _ in range(rng.integers(0, 6)):
            logits = make_logits(rng, dtype)
            superpixels = make_superpixels(rng, *logits.shape[1:])
            scores = miner.score(torch.from_numpy(logits), superpixels)
            expected = plain.rsal_regions(logits, superpixels)
            assert scores.size == logits.shape[1:]
            assert scores.region.tolist() == [region.region for region in expected]
            assert scores.class_id.tolist() == [region.class_id for region in expected]
            assert scores.pixel_count.tolist() == [region.pixel_count for region in expected]
            np.testing.assert_allclose(scores.score, [region.score for region in expected], rtol=rtol, atol=1e-37)
            pool.append(scores)
            plain_pool.append(expected)
        found = miner.select(pool)
        expected = plain.rsal_select(plain_pool, class_balance, topk, max_kept)
        assert found.order.tolist() == plain.ranked(found.image_scores.tolist())
        assert found.kept.tolist() == found.order.tolist()[:max_kept]
        same = [ids.tolist() for ids in found.chosen] == expected.chosen
        if dtype is np.float64:
            assert same
        if same:
            np.testing.assert_allclose(found.image_scores, expected.image_scores, rtol=rtol, atol=1e-36)
        equal, total = equal + same, total + 1
    # With few digits a score may land on the other side of the threshold, where that is next to it.
    assert equal >= 0.99 * total


def scored(logits, superpixels, **settings):
    miner = build(**settings)
    return miner, miner.score(torch.as_tensor(logits), np.asarray(superpixels, np.int32))


def test_every_superpixel_counts_also_the_last():
    logits = np.zeros((2, 1, 4))
    logits[1, 0] = [-50, -50, 0, 0]
    _, scores = scored(logits, [[0, 0, 1, 1]])
    assert scores.region.tolist() == [0, 1]
    np.testing.assert_allclose(scores.score, [0, 1], atol=1e-12)


def test_majority_class_is_the_lowest_on_ties():
    logits = np.eye(3)[:, [2, 1, 1, 2]][:, None, :]
    _, scores = scored(logits, [[0, 0, 0, 0]])
    assert scores.class_id.tolist() == [1]


def test_class_balance_prefers_the_rare_class():
    # Three regions of class 0, one of class 1, all equally uncertain.
    logits = np.array([[[1, 1, 1, 0.0]], [[0, 0, 0, 1.0]]])
    superpixels = [[0, 1, 2, 3]]
    for class_balance, expected in ((True, [3]), (False, [0, 1, 2, 3])):
        miner, scores = scored(logits, superpixels, topk_superpixel_score=1, class_balance=class_balance)
        selection = miner.select([scores])
        assert selection.chosen[0].tolist() == expected
        weight = np.exp(-1 / 4) if class_balance else len(expected)
        np.testing.assert_allclose(selection.image_scores, [weight * np.exp(-1)])


def test_equal_regions_pass_the_threshold_together():
    # Means of 1 … 40 times the same number differ in their last digits without care.
    labels = np.repeat(np.arange(40), np.arange(1, 41))[None]
    logits = np.zeros((2, *labels.shape))
    logits[0] = 1.2345
    miner, scores = scored(logits, labels)
    assert miner.select([scores]).chosen[0].tolist() == list(range(40))


def test_an_empty_pool_and_few_regions():
    miner = build(topk_superpixel_score=3)
    empty = miner.select([])
    assert len(empty.image_scores) == len(empty.chosen) == len(empty.order) == len(empty.kept) == 0
    scores = miner.score(torch.zeros(2, 4, 4), np.zeros((4, 4), np.int32))
    selection = miner.select([scores])
    assert [ids.tolist() for ids in selection.chosen] == [[0]]
    np.testing.assert_allclose(selection.image_scores, [np.exp(-1)])


def test_superpixels_may_be_a_tensor_and_mask_shows_the_chosen():
    miner = build()
    superpixels = torch.tensor([[0, 0, 2], [5, 5, 2]], dtype=torch.int32)
    scores = miner.score(torch.zeros(2, 2, 3), superpixels)
    assert scores.region.tolist() == [0, 2, 5]
    mask = miner.region_mask(scores, np.array([2, 5], np.int32), superpixels)
    assert mask.dtype == np.uint8
    assert mask.tolist() == [[0, 0, 255], [255, 255, 255]]
    assert not miner.region_mask(scores, np.zeros(0, np.int32), superpixels).any()


def test_one_class_is_never_uncertain():
    _, scores = scored(np.ones((1, 2, 2)), [[0, 0], [1, 1]])
    assert scores.score.tolist() == [0, 0] and scores.class_id.tolist() == [0, 0]


def test_broken_logits_are_refused():
    with pytest.raises(PackageError, match="NaN"):
        scored(np.full((2, 2, 2), np.nan), np.zeros((2, 2)))


def test_superpixels_of_another_size_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        scored(np.zeros((2, 2, 3)), np.zeros((3, 2)))


def test_needs_superpixels_of_the_algorithm_asked_for():
    miner = build(superpixel_algorithm="slic", max_superpixel_per_image=20)
    assert miner.needs_superpixels
    labels = miner.superpixels(np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8))
    assert labels.shape == (40, 50) and 1 < labels.max() + 1 <= 20


@pytest.mark.parametrize("setting", ["mining_algorithm", "superpixel_algorithm", "uncertainty_method"])
def test_unknown_names_are_refused(setting):
    with pytest.raises(ConfigError, match=setting):
        build(**{setting: "guess"})
