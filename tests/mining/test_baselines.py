import inspect

import numpy as np
import pytest
import torch

from mmseg.errors import ConfigError
from tests.mining import plain, plain_baselines
from tests.mining.cases import make_logits, make_superpixels
from ymir.errors import PackageError
from ymir.mining import build_miner
from ymir.params import InferParameters, MiningParameters, choices_of

UNCERTAINTIES = {
    "entropy": plain.entropy,
    "BvSB": plain.bvsb,
    "margin": plain.margin,
    "least_confidence": plain.least_confidence,
}
PRECISIONS = [(np.float64, 1e-6), (np.float32, 1e-4), (np.float16, 1e-4)]


def draw_pool(rng, dtype, method):
    """Logits, superpixels and the plain view of some images."""
    images = []
    for _ in range(rng.integers(0, 6)):
        logits = make_logits(rng, dtype)
        image = plain_baselines.PlainImage(UNCERTAINTIES[method](logits), np.argmax(logits, axis=0))
        images.append((torch.from_numpy(logits), make_superpixels(rng, *logits.shape[1:]), image))
    return images


def chosen_of(selection, pool):
    return [selection.chosen(position, regions).tolist() for position, regions in enumerate(pool)]


def assert_ranked(selection, expected_scores, max_kept, rtol):
    np.testing.assert_allclose(selection.image_scores, expected_scores, rtol=rtol, atol=1e-36)
    assert selection.order.tolist() == plain.ranked(selection.image_scores.tolist())
    assert selection.kept.tolist() == selection.order.tolist()[:max_kept]


@pytest.mark.parametrize("dtype, rtol", PRECISIONS)
@pytest.mark.parametrize("algorithm", list(UNCERTAINTIES))
def test_uncertain_images_equal_the_plain_reference(algorithm, dtype, rtol):
    rng = np.random.default_rng(0)
    for _ in range(80):
        max_kept = int(rng.choice([1, 2, 5000]))
        miner = build_miner(mining_algorithm=algorithm, max_kept_mining_image=max_kept)
        assert not miner.needs_superpixels and not miner.needs_features
        images = draw_pool(rng, dtype, algorithm)
        pool = [miner.score(logits) for logits, _, _ in images]
        selection = miner.select(pool)
        assert_ranked(selection, [plain_baselines.mean_uncertainty(image) for *_, image in images], max_kept, rtol)
        for position, (regions, (*_, image)) in enumerate(zip(pool, images)):
            (expected,) = plain_baselines.regions(image, np.zeros(image.class_map.shape, int))
            assert regions.class_id.tolist() == [expected.class_id]
            assert regions.pixel_count.tolist() == [expected.pixel_count]
            chosen = selection.chosen(position, regions)
            assert chosen.tolist() == [0]
            mask = miner.region_mask(regions, chosen)
            assert mask.dtype == np.uint8 and mask.shape == image.class_map.shape and (mask == 255).all()


@pytest.mark.parametrize("dtype, rtol", PRECISIONS)
@pytest.mark.parametrize("algorithm", [*UNCERTAINTIES, "class_balanced"])
def test_uncertain_regions_equal_the_plain_reference(algorithm, dtype, rtol):
    rng = np.random.default_rng(1)
    equal = 0
    cases = 80
    for number in range(cases):
        topk, max_kept = int(rng.choice([1, 3, 30])), int(rng.choice([1, 2, 5000]))
        method = algorithm if algorithm in UNCERTAINTIES else list(UNCERTAINTIES)[number % 4]
        miner = build_miner(
            mining_algorithm=algorithm,
            mining_level="region",
            uncertainty_method=method,
            topk_superpixel_score=topk,
            max_kept_mining_image=max_kept,
        )
        assert miner.needs_superpixels
        images = draw_pool(rng, dtype, method)
        pool = [miner.score(logits, superpixels) for logits, superpixels, _ in images]
        expected = [plain_baselines.regions(image, superpixels) for _, superpixels, image in images]
        weights = plain_baselines.class_weights(expected) if algorithm == "class_balanced" else None
        final = [
            [region.score * (weights[region.class_id] if weights else 1) for region in regions] for regions in expected
        ]
        choice = plain_baselines.choose_regions(final, topk=topk, max_kept=max_kept)
        selection = miner.select(pool)
        ids = [[regions[place].region for place in places] for regions, places in zip(expected, choice.chosen)]
        same = chosen_of(selection, pool) == ids
        if dtype is np.float64:
            assert same
        if same:
            assert_ranked(selection, choice.image_scores, max_kept, rtol)
        equal += same
        if weights is not None:
            assert selection.facts["class weights"] == pytest.approx(weights)
    # With few digits a score may land on the other side of the threshold, where that is next to it.
    assert equal >= 0.97 * cases


@pytest.mark.parametrize("dtype, rtol", PRECISIONS)
def test_class_balanced_images_equal_the_plain_reference(dtype, rtol):
    rng = np.random.default_rng(2)
    for number in range(150):
        method = list(UNCERTAINTIES)[number % 4]
        max_kept = int(rng.choice([1, 2, 5000]))
        miner = build_miner(
            mining_algorithm="class_balanced", uncertainty_method=method, max_kept_mining_image=max_kept
        )
        assert not miner.needs_superpixels
        images = draw_pool(rng, dtype, method)
        pool = [miner.score(logits) for logits, _, _ in images]
        selection = miner.select(pool)
        assert_ranked(selection, plain_baselines.class_balanced_images([image for *_, image in images]), max_kept, rtol)
        weights = selection.facts["class weights"]
        for position, (regions, (*_, image)) in enumerate(zip(pool, images)):
            assert sorted(regions.region.tolist()) == np.unique(image.class_map).tolist()
            chosen = selection.chosen_regions(position, regions)
            # The image is labelled as a whole.
            assert sorted(chosen.region.tolist()) == regions.region.tolist()
            assert (np.diff(chosen.score) <= 0).all()
            score = {int(c): u for c, u in zip(regions.class_id, regions.score)}
            np.testing.assert_allclose(chosen.score, [weights[int(c)] * score[int(c)] for c in chosen.class_id])
            assert (miner.region_mask(regions, chosen.region) == 255).all()


def test_rare_classes_weigh_more():
    # In the one image 12 pixels of class 0 and 4 of class 1, all equally uncertain; in the other only class 0.
    both = torch.zeros(2, 4, 4)
    both[0] = 1
    both[:, 0] = torch.tensor([[0.0], [1.0]])
    one = torch.zeros(2, 4, 4)
    one[0] = 1
    miner = build_miner(mining_algorithm="class_balanced")
    selection = miner.select([miner.score(one), miner.score(both)])
    # Frequencies 28 / 32 and 4 / 16, median 9 / 16.
    assert selection.facts["class weights"] == pytest.approx({0: 9 / 14, 1: 9 / 4})
    assert selection.order.tolist() == [1, 0]
    np.testing.assert_allclose(
        selection.image_scores, np.exp(-1) * np.array([9 / 14, (9 / 14 * 12 + 9 / 4 * 4) / 16]), rtol=1e-6
    )


@pytest.mark.parametrize("level", ["image", "region"])
def test_random_depends_on_the_seed_and_the_place_alone(level):
    def select(seed, images, max_kept=5000):
        miner = build_miner(
            mining_algorithm="random", mining_level=level, mining_seed=seed, max_kept_mining_image=max_kept
        )
        superpixels = np.arange(48).reshape(6, 8) // 5
        pool = [miner.score(image, superpixels if miner.needs_superpixels else None) for image in images]
        return miner.select(pool), pool

    images = [torch.from_numpy(np.random.default_rng(i).standard_normal((3, 6, 8))) for i in range(20)]
    first, pool = select(3, images)
    again, _ = select(3, [image.flip(0) for image in images])
    np.testing.assert_array_equal(first.image_scores, again.image_scores)
    assert chosen_of(first, pool) == chosen_of(again, pool)
    assert not np.array_equal(first.image_scores, select(4, images)[0].image_scores)
    assert len(set(first.image_scores.tolist())) == 20
    assert first.order.tolist() == plain.ranked(first.image_scores.tolist())
    if level == "image":
        assert select(3, images, max_kept=4)[0].kept.tolist() == first.order.tolist()[:4]
    for position, regions in enumerate(pool):
        chosen = first.chosen_regions(position, regions)
        np.testing.assert_allclose(chosen.score.sum(), first.image_scores[position])
        assert ((chosen.score >= 0) & (chosen.score < 1)).all()


def test_random_images_are_numpy_s_numbers():
    miner = build_miner(mining_algorithm="random", mining_seed=7)
    regions = miner.score(torch.tensor([[[1.0, 0.0, 0.0]], [[0.0, 1.0, 1.0]]]))
    assert regions.class_id.tolist() == [1] and regions.pixel_count.tolist() == [3]
    selection = miner.select([regions] * 5)
    np.testing.assert_array_equal(selection.image_scores, np.random.default_rng(7).random(5))
    assert miner.region_mask(regions, selection.chosen(2, regions)).tolist() == [[255, 255, 255]]


def test_random_regions_are_numpy_s_numbers():
    miner = build_miner(
        mining_algorithm="random",
        mining_level="region",
        mining_seed=7,
        topk_superpixel_score=2,
        max_kept_mining_image=1,
    )
    pool = [miner.score(torch.zeros(2, 3, 10), np.arange(30).reshape(3, 10)) for _ in range(4)]
    drawn = [np.random.default_rng([7, position]).random(30).tolist() for position in range(4)]
    expected = plain_baselines.choose_regions(drawn, topk=2, max_kept=1)
    selection = miner.select(pool)
    assert chosen_of(selection, pool) == expected.chosen
    np.testing.assert_allclose(selection.image_scores, expected.image_scores)


@pytest.mark.parametrize("level", ["image", "region"])
@pytest.mark.parametrize("algorithm", ["random", "class_balanced", *UNCERTAINTIES])
def test_an_empty_pool(algorithm, level):
    selection = build_miner(mining_algorithm=algorithm, mining_level=level).select([])
    assert len(selection.image_scores) == len(selection.order) == len(selection.kept) == 0


@pytest.mark.parametrize("algorithm", ["class_balanced", *UNCERTAINTIES])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_broken_logits_are_refused(algorithm, value):
    logits = torch.zeros(3, 2, 2)
    logits[0, 1, 1] = value
    for level in ("image", "region"):
        with pytest.raises(PackageError, match="NaN"):
            build_miner(mining_algorithm=algorithm, mining_level=level).score(logits, np.zeros((2, 2), np.int32))


@pytest.mark.parametrize("algorithm", ["RIPU", "random", "coreset"])
def test_a_disagreement_that_would_not_be_looked_at_is_refused(algorithm):
    with pytest.raises(ConfigError, match=f"{algorithm} cannot measure a disagreement"):
        build_miner(mining_algorithm=algorithm, disagreement="flip")


@pytest.mark.parametrize("algorithm", ["RSAL", "class_balanced", "uncertainty_coreset", *UNCERTAINTIES])
def test_one_prediction_disagrees_about_nothing(algorithm):
    logits = torch.from_numpy(np.random.default_rng(0).standard_normal((3, 4, 4)))
    for level in ("image", "region"):
        miner = build_miner(mining_algorithm=algorithm, mining_level=level, disagreement="flip")
        regions = miner.score(logits, np.zeros((4, 4), np.int32), np.zeros(2, np.float32))
        assert not regions.score.any()


@pytest.mark.parametrize("setting", ["mining_algorithm", "mining_level", "disagreement", "superpixel_backend"])
def test_unknown_names_are_refused(setting):
    with pytest.raises(ConfigError, match=setting):
        build_miner(**{"mining_algorithm": "entropy", "mining_level": "region", setting: "guess"})


def test_settings_are_the_hyper_parameters_with_their_defaults():
    fields = MiningParameters.model_fields
    settings = inspect.signature(build_miner).parameters
    assert {name: setting.default for name, setting in settings.items()} == {
        name: fields[name].default for name in settings
    }
    # What is left over concerns others: the network, its predictions, and the results.
    others = {"disagreement_samples", "save_overlays"}
    own = set(fields) - set(InferParameters.model_fields)
    assert own - set(settings) == others


@pytest.mark.parametrize("level", choices_of(MiningParameters.model_fields["mining_level"]))
@pytest.mark.parametrize("algorithm", choices_of(MiningParameters.model_fields["mining_algorithm"]))
def test_every_choice_scores_a_pool(algorithm, level):
    rng = np.random.default_rng(0)
    miner = build_miner(mining_algorithm=algorithm, mining_level=level, max_kept_mining_image=2)
    picture = rng.integers(0, 255, (12, 17, 3), dtype=np.uint8)
    superpixels = miner.superpixels(picture)
    assert (superpixels is not None) == miner.needs_superpixels
    logits = [torch.from_numpy(rng.standard_normal((3, 12, 17)).astype(np.float32)) for _ in range(4)]
    features = rng.standard_normal((4, 6)).astype(np.float32)
    pool = [miner.score(image, superpixels, f if miner.needs_features else None) for image, f in zip(logits, features)]
    selection = miner.select(pool)
    assert (np.diff(selection.image_scores[selection.order]) <= 0).all()
    assert np.isfinite(selection.image_scores).all() and len(selection.kept) == 2
    for position in selection.kept:
        mask = miner.region_mask(pool[position], selection.chosen(position, pool[position]), superpixels)
        assert mask.shape == (12, 17) and set(np.unique(mask)) <= {0, 255} and mask.any()
