import tracemalloc

import numpy as np
import pytest
import torch

from mmseg.engine.logit_bands import LogitBands
from mmseg.errors import ConfigError
from tests.mining import plain
from tests.mining.cases import make_logits, make_superpixels
from ymir.errors import PackageError
from ymir.mining import UNCERTAINTIES, RegionScores, build_miner
from ymir.mining.disagreement import disagreement


def build(**settings):
    return build_miner(**{"mining_algorithm": "RSAL", "class_balance": True, **settings})


def chosen_of(selection, pool):
    return [selection.chosen(position, regions).tolist() for position, regions in enumerate(pool)]


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
        same = chosen_of(found, pool) == expected.chosen
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
        assert chosen_of(selection, [scores]) == [expected]
        weight = np.exp(-1 / 4) if class_balance else len(expected)
        np.testing.assert_allclose(selection.image_scores, [weight * np.exp(-1)])
        weights = {0: pytest.approx(np.exp(-3 / 4)), 1: pytest.approx(np.exp(-1 / 4))}
        assert selection.facts.get("class weights") == (weights if class_balance else None)
        assert selection.facts["regions in the pool"] == 4 and selection.facts["percentile"] == 80


def test_equal_regions_pass_the_threshold_together():
    # Means of 1 … 40 times the same number differ in their last digits without care.
    labels = np.repeat(np.arange(40), np.arange(1, 41))[None]
    logits = np.zeros((2, *labels.shape))
    logits[0] = 1.2345
    miner, scores = scored(logits, labels)
    assert chosen_of(miner.select([scores]), [scores]) == [list(range(40))]


def test_an_empty_pool_and_few_regions():
    miner = build(topk_superpixel_score=3)
    empty = miner.select([])
    assert len(empty.image_scores) == len(empty.order) == len(empty.kept) == 0
    assert empty.facts == {"regions in the pool": 0}
    scores = miner.score(torch.zeros(2, 4, 4), np.zeros((4, 4), np.int32))
    selection = miner.select([scores])
    assert chosen_of(selection, [scores]) == [[0]]
    np.testing.assert_allclose(selection.image_scores, [np.exp(-1)])


def test_however_many_images_may_be_labelled():
    miner = build(max_kept_mining_image=10**400, topk_superpixel_score=10**400)
    scores = miner.score(torch.zeros(2, 4, 4), np.arange(16, dtype=np.int32).reshape(4, 4))
    selection = miner.select([scores])
    assert selection.facts["percentile"] == 80
    assert selection.kept.tolist() == [0]
    assert chosen_of(selection, [scores]) == [list(range(16))]


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


def test_chosen_regions_have_the_scores_that_the_image_s_score_is_made_of():
    rng = np.random.default_rng(4)
    miner = build(topk_superpixel_score=2)
    pool = [
        miner.score(torch.from_numpy(logits), make_superpixels(rng, *logits.shape[1:]))
        for logits in (make_logits(rng) for _ in range(5))
    ]
    selection = miner.select(pool)
    for position, regions in enumerate(pool):
        chosen = selection.chosen_regions(position, regions)
        assert chosen.score.sum() == selection.image_scores[position]
        assert (np.diff(chosen.score) <= 0).all()
        places = [regions.region.tolist().index(region) for region in chosen.region]
        weights = np.array([selection.facts["class weights"][class_id] for class_id in chosen.class_id])
        np.testing.assert_allclose(chosen.score, regions.score[places] * weights)
        np.testing.assert_array_equal(chosen.pixel_count, regions.pixel_count[places])


def test_the_pool_is_only_iterated_over():
    rng = np.random.default_rng(5)
    miner = build(max_kept_mining_image=1, topk_superpixel_score=1)
    pool = [miner.score(torch.from_numpy(rng.standard_normal((3, 8, 8))), SQUARES) for _ in range(30)]
    streamed, listed = miner.select(Stream(pool)), miner.select(pool)
    np.testing.assert_array_equal(streamed.image_scores, listed.image_scores)
    assert streamed.facts == listed.facts


SQUARES = np.arange(8)[:, None] // 2 * 4 + np.arange(8) // 2


class Stream:
    """A pool that has nothing but what is asked of one, and forgets each element as the next is read."""

    def __init__(self, pool):
        self._bytes = [regions.to_bytes() for regions in pool]

    def __len__(self):
        return len(self._bytes)

    def __iter__(self):
        return (RegionScores.from_bytes(data) for data in self._bytes)


@pytest.mark.parametrize("method", ["BvSB", "entropy", "margin", "least_confidence"])
def test_scores_are_means_of_the_uncertainty_asked_for(method):
    logits = torch.from_numpy(np.random.default_rng(6).standard_normal((4, 6, 8)))
    superpixels = np.arange(48).reshape(6, 8) // 5
    scores = build(uncertainty_method=method).score(logits, superpixels)
    uncertainty = UNCERTAINTIES.get(method)(logits).uncertainty.numpy()
    expected = [uncertainty[superpixels == label].mean() for label in scores.region]
    np.testing.assert_allclose(scores.score, expected, rtol=1e-9)


def test_logits_in_bands_score_as_the_tensor_does():
    small = torch.from_numpy(np.random.default_rng(7).standard_normal((5, 6, 7)).astype(np.float32))
    bands = LogitBands.resized(small, input_size=(24, 28), content_size=(24, 26), size=(40, 50), align_corners=False)
    superpixels = torch.arange(2000, dtype=torch.int32).reshape(40, 50) // 37
    found, expected = build().score(bands, superpixels), build().score(bands.tensor(), superpixels)
    np.testing.assert_array_equal(found.score, expected.score)
    np.testing.assert_array_equal(found.class_id, expected.class_id)


def test_disagreement_scores_what_the_predictions_differ_on():
    rng = np.random.default_rng(8)
    members = [LogitBands.of(torch.from_numpy(rng.standard_normal((3, 4, 4)))) for _ in range(3)]
    miner = build(uncertainty_method="entropy", disagreement="dropout")
    superpixels = np.arange(16).reshape(4, 4) // 8
    uncertainty = disagreement(UNCERTAINTIES.get("entropy"))(LogitBands.mean(members)).uncertainty.numpy()
    found = miner.score(LogitBands.mean(members), superpixels)
    np.testing.assert_allclose(found.score, [uncertainty[:2].mean(), uncertainty[2:].mean()], rtol=1e-9)
    assert (found.score > 0).all()
    # Predictions that agree do not differ, however unsure they are.
    same = miner.score(LogitBands.mean([members[0], members[0]]), superpixels)
    np.testing.assert_allclose(same.score, [0, 0], atol=1e-12)


def test_superpixels_by_torch_are_computed_for_a_batch():
    miner = build(superpixel_backend="torch", superpixel_algorithm="slic", max_superpixel_per_image=20)
    assert miner.needs_superpixels and miner.superpixel_backend == "torch"
    images = np.random.default_rng(9).integers(0, 255, (2, 40, 50, 3), dtype=np.uint8)
    assert miner.superpixels(images[0]) is None
    labels = miner.batch_superpixels(torch.from_numpy(images))
    assert labels.shape == (2, 40, 50) and 1 < int(labels.max()) + 1 <= 20
    scores = miner.score(torch.zeros(2, 40, 50), labels[1])
    assert scores.pixel_count.sum() == 2000
    mask = miner.region_mask(scores, scores.region[:1], labels[1])
    assert np.count_nonzero(mask) == scores.pixel_count[0]


def test_superpixels_are_needed():
    with pytest.raises(ValueError, match="superpixels are needed"):
        build().score(torch.zeros(2, 3, 3))


def test_a_backend_without_the_algorithm_is_refused():
    with pytest.raises(ConfigError, match="mslic"):
        build(superpixel_algorithm="mslic", superpixel_backend="torch")


def test_a_pool_of_more_regions_than_are_held_at_once():
    rng = np.random.default_rng(10)
    count = 20_000
    pool = [
        RegionScores(
            score=rng.random(count) ** 9,
            class_id=rng.integers(0, 5, count).astype(np.int32),
            pixel_count=np.ones(count, np.int32),
            region=np.arange(count, dtype=np.int32),
            size=(100, 200),
        )
        for _ in range(30)
    ]
    selection = build(max_kept_mining_image=2, topk_superpixel_score=1).select(Stream(pool))
    classes = np.concatenate([regions.class_id for regions in pool])
    weights = np.exp(-np.bincount(classes) / len(classes))
    scores = np.stack([regions.score * weights[regions.class_id] for regions in pool])
    threshold = np.percentile(scores, 100)
    assert selection.facts["percentile"] == 100
    assert selection.facts["threshold"] == threshold
    assert selection.facts["regions in the pool"] == scores.size
    np.testing.assert_array_equal(selection.image_scores, scores.max(axis=1))
    # Fewer are left out where more images may be labelled.
    selection = build(max_kept_mining_image=20_000, topk_superpixel_score=3).select(Stream(pool))
    threshold = np.percentile(scores, 90)
    assert selection.facts["threshold"] == threshold
    np.testing.assert_allclose(selection.image_scores, np.where(scores >= threshold, scores, 0).sum(axis=1))
    for position in (0, 29):
        chosen = selection.chosen(position, pool[position])
        assert sorted(chosen.tolist()) == np.flatnonzero(scores[position] >= threshold).tolist()


class Generated:
    """A pool of images with 1000 regions each, made as they are asked for."""

    def __init__(self, images):
        self._images = images

    def __len__(self):
        return self._images

    def __iter__(self):
        one = np.ones(1000, np.int32)
        for image in range(self._images):
            yield RegionScores(np.random.default_rng(image).random(1000), one, one, one, (100, 100))


def test_memory_does_not_grow_with_the_pool():
    def peak(images):
        tracemalloc.start()
        try:
            build(max_kept_mining_image=3).select(Generated(images))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # More regions than are held at once in both.
    small, large = peak(1000), peak(3000)
    assert large < small + 2000 * 100
