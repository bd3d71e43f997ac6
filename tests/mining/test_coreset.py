import numpy as np
import pytest
import torch

from mmseg.engine.logit_bands import LogitBands
from tests.mining import plain, plain_baselines
from tests.mining.cases import make_logits
from ymir.errors import PackageError
from ymir.mining import RegionScores, build_miner
from ymir.mining.k_centre import farthest_first


def draw_points(rng, kind):
    count, dims = int(rng.choice([0, 1, 2, 7, 40])), int(rng.choice([1, 2, 16]))
    points = {
        "normal": rng.standard_normal((count, dims)),
        "grid": rng.integers(0, 3, (count, dims)).astype(float),
        "clusters": rng.integers(0, 3, (count, 1)) * 100 + rng.standard_normal((count, dims)) * 0.01,
        "equal": np.ones((count, dims)),
        "far from the origin": 1e4 + rng.integers(0, 5, (count, dims)),
    }[kind]
    return points.astype(np.float32)


@pytest.mark.parametrize("kind", ["normal", "grid", "clusters", "equal", "far from the origin"])
def test_centres_equal_the_plain_reference(kind):
    rng = np.random.default_rng(0)
    for _ in range(60):
        points, count = draw_points(rng, kind), int(rng.choice([1, 2, 5, 100]))
        chosen, distance, final = plain_baselines.k_centre(points, count)
        found = farthest_first(points, count)
        assert found.chosen.tolist() == chosen
        np.testing.assert_allclose(found.distance, distance, rtol=1e-12)
        np.testing.assert_allclose(found.to_nearest, final, rtol=1e-12)


def test_many_points_in_several_blocks():
    points = np.random.default_rng(1).standard_normal((3000, 400)).astype(np.float32)
    found = farthest_first(points, 20)
    exact = points.astype(np.float64)
    distances = np.stack([np.linalg.norm(exact - exact[centre], axis=1) for centre in found.chosen], axis=1)
    np.testing.assert_allclose(found.to_nearest, distances.min(axis=1), rtol=1e-9, atol=1e-9)
    for number in range(1, 20):
        before = distances[:, :number].min(axis=1)
        assert found.chosen[number] == before.argmax()
        np.testing.assert_allclose(found.distance[number], before.max())


def image(features, score=0.0):
    one = np.ones(1, np.int32)
    return RegionScores(np.array([score]), one, one, one * 0, (1, 1), np.asarray(features, np.float32))


def test_coreset_ranks_the_chosen_in_their_order_and_before_the_others():
    rng = np.random.default_rng(2)
    for kind in ("normal", "grid", "equal"):
        for _ in range(40):
            points, max_kept = draw_points(rng, kind), int(rng.choice([1, 3, 5000]))
            miner = build_miner(mining_algorithm="coreset", max_kept_mining_image=max_kept)
            pool = [image(point) for point in points]
            selection = miner.select(pool)
            chosen, distance, final = plain_baselines.k_centre(points, max_kept)
            assert selection.kept.tolist() == chosen
            assert sorted(selection.order.tolist()) == list(range(len(points)))
            assert (np.diff(selection.image_scores[selection.order]) <= 0).all()
            np.testing.assert_allclose(selection.image_scores[chosen], distance)
            others = selection.order[len(chosen) :].tolist()
            np.testing.assert_allclose(selection.image_scores[others], [final[other] for other in others])
            for position, regions in enumerate(pool):
                labelled = selection.chosen_regions(position, regions)
                assert labelled.region.tolist() == [0]
                assert labelled.score.tolist() == [selection.image_scores[position]]


def test_features_lie_where_the_caller_wants():
    asked = []

    def array(shape, dtype):
        asked.append((shape, dtype))
        return np.empty(shape, dtype)

    pool = [image([i, -i, 2 * i]) for i in range(9)]
    build_miner(mining_algorithm="coreset").select(pool, array=array)
    assert asked == [((9, 3), np.float32)]
    asked.clear()
    build_miner(mining_algorithm="uncertainty_coreset", max_kept_mining_image=1, coreset_candidates=2).select(
        pool, array=array
    )
    assert asked == [((2, 3), np.float32)]


def test_uncertainty_first_then_spread():
    rng = np.random.default_rng(3)
    for _ in range(100):
        points = draw_points(rng, "normal")
        uncertainty = rng.integers(0, 6, len(points)) / 7
        max_kept, factor = int(rng.choice([1, 3, 5000])), int(rng.choice([1, 2, 4]))
        miner = build_miner(
            mining_algorithm="uncertainty_coreset", max_kept_mining_image=max_kept, coreset_candidates=factor
        )
        pool = [image(point, score) for point, score in zip(points, uncertainty)]
        selection = miner.select(pool)
        by_uncertainty = plain.ranked(uncertainty.tolist())
        candidates = sorted(by_uncertainty[: factor * max_kept])
        chosen, distance, _ = plain_baselines.k_centre(points[candidates], max_kept)
        chosen = [candidates[place] for place in chosen]
        assert selection.kept.tolist() == chosen
        assert selection.order.tolist() == chosen + [other for other in by_uncertainty if other not in chosen]
        assert (np.diff(selection.image_scores[selection.order]) <= 0).all()
        if len(points):
            np.testing.assert_allclose(selection.image_scores[chosen], np.array(distance) + uncertainty.max())
            assert selection.facts["candidates"] == len(candidates)
        for position, regions in enumerate(pool):
            assert selection.chosen(position, regions).tolist() == [0]


@pytest.mark.parametrize("algorithm", ["coreset", "uncertainty_coreset"])
def test_images_are_scored_with_their_features(algorithm):
    rng = np.random.default_rng(4)
    miner = build_miner(mining_algorithm=algorithm, uncertainty_method="entropy")
    assert miner.needs_features and not miner.needs_superpixels
    for _ in range(30):
        logits, features = make_logits(rng), rng.standard_normal(5).astype(np.float32)
        for given in (torch.from_numpy(logits), LogitBands.of(torch.from_numpy(logits))):
            regions = miner.score(given, features=torch.from_numpy(features))
            np.testing.assert_array_equal(regions.features, features)
            votes = np.bincount(np.argmax(logits, axis=0).reshape(-1))
            assert regions.class_id.tolist() == [votes.argmax()]
            expected = plain.entropy(logits).mean() if algorithm == "uncertainty_coreset" else 0
            np.testing.assert_allclose(regions.score, [expected], rtol=1e-9, atol=1e-15)
            back = RegionScores.from_bytes(regions.to_bytes())
            np.testing.assert_array_equal(back.features, features)
            assert (miner.region_mask(regions, regions.region) == 255).all()


@pytest.mark.parametrize("algorithm", ["coreset", "uncertainty_coreset"])
def test_features_are_needed(algorithm):
    miner = build_miner(mining_algorithm=algorithm)
    with pytest.raises(ValueError, match="features are needed"):
        miner.score(torch.zeros(2, 3, 3))
    without = build_miner(mining_algorithm="entropy").score(torch.zeros(2, 3, 3))
    with pytest.raises(ValueError, match="features are needed"):
        miner.select([without])
    with pytest.raises(ValueError, match="image 1 of the pool has 3 features and not 2"):
        miner.select([image([1, 2]), image([1, 2, 3])])
    with pytest.raises(PackageError, match="NaN"):
        miner.score(torch.zeros(2, 3, 3), features=torch.tensor([1.0, float("nan")]))
