import numpy as np
import pytest
import torch

from mmseg.engine.logit_bands import LogitBands
from tests.mining import plain
from tests.mining.cases import make_logits
from ymir.mining.disagreement import disagreement
from ymir.mining.pixels import best_versus_second_best, entropy, least_confidence, margin

METHODS = [
    (best_versus_second_best, plain.bvsb),
    (entropy, plain.entropy),
    (margin, plain.margin),
    (least_confidence, plain.least_confidence),
]


def mean_of(members):
    return LogitBands.mean([LogitBands.of(torch.from_numpy(member)) for member in members])


@pytest.mark.parametrize("fast, slow", METHODS)
@pytest.mark.parametrize("dtype, atol", [(np.float64, 1e-10), (np.float32, 1e-5)])
def test_equals_the_plain_one(fast, slow, dtype, atol):
    rng = np.random.default_rng(1)
    for _ in range(100):
        first = make_logits(rng, dtype)
        members = [first] + [(first + 2 * rng.standard_normal(first.shape)).astype(dtype) for _ in range(3)]
        # A difference of near numbers: what can be asked for is an absolute precision.
        with np.errstate(divide="ignore"):
            expected = plain.disagreement(slow, members)
        found = disagreement(fast)(mean_of(members))
        np.testing.assert_allclose(found.uncertainty.numpy(), expected, rtol=0, atol=atol)
        assert (found.uncertainty >= 0).all()


@pytest.mark.parametrize("fast, slow", METHODS)
def test_in_several_bands_of_resized_members(fast, slow):
    generator = torch.Generator().manual_seed(2)
    size = (70, 1024)
    small = [torch.randn(19, 5, 40, generator=generator, dtype=torch.float64) for _ in range(2)]
    bands = LogitBands.mean(
        [
            LogitBands.resized(member, input_size=size, content_size=size, size=size, align_corners=False)
            for member in small
        ]
    )
    members = [
        torch.nn.functional.interpolate(member[None], size, mode="bilinear", align_corners=False)[0].numpy()
        for member in small
    ]
    found = disagreement(fast)(bands)
    np.testing.assert_allclose(found.uncertainty.numpy(), plain.disagreement(slow, members), rtol=0, atol=1e-10)
    np.testing.assert_array_equal(found.class_map.numpy(), plain.mean_prediction(members).argmax(0))
    assert bands.class_map() is found.class_map


def test_mutual_information_of_opposite_certainties():
    # Each member is certain of another class: nothing is known of the mean, and all of that is disagreement.
    sure = torch.tensor([60.0, 0.0], dtype=torch.float64).view(2, 1, 1)
    found = disagreement(entropy)(LogitBands.mean([LogitBands.of(sure), LogitBands.of(sure.flip(0))]))
    assert found.uncertainty.item() == pytest.approx(np.log(2))
    # Both know nothing and agree on it.
    unsure = LogitBands.of(torch.zeros(2, 1, 1, dtype=torch.float64))
    assert disagreement(entropy)(LogitBands.mean([unsure, unsure])).uncertainty.item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("fast", [fast for fast, _ in METHODS])
def test_one_prediction_agrees_with_itself(fast):
    logits = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(3))
    for single in (logits, LogitBands.of(logits)):
        found = disagreement(fast)(single)
        assert not found.uncertainty.any()
        assert torch.equal(found.class_map.long(), logits.argmax(0))


@pytest.mark.parametrize("fast", [fast for fast, _ in METHODS])
def test_a_broken_member_shows(fast):
    good, bad = torch.zeros(2, 3, 1, 2)
    bad[1, 0, 0] = float("nan")
    for members in ([good, bad], [bad]):
        found = disagreement(fast)(LogitBands.mean([LogitBands.of(member) for member in members]))
        assert torch.isnan(found.uncertainty).tolist() == [[True, False]]


def test_one_sigmoid_channel_counts_as_two_classes():
    several = [np.linspace(-3, 3, 12).reshape(1, 3, 4), np.linspace(2, -1, 12).reshape(1, 3, 4)]
    bands = LogitBands.mean([LogitBands.of(torch.from_numpy(x), threshold=0.3) for x in several])
    expected = plain.disagreement(plain.entropy, [np.concatenate([np.zeros_like(x), x]) for x in several])
    found = disagreement(entropy)(bands)
    np.testing.assert_allclose(found.uncertainty.numpy(), expected, rtol=0, atol=1e-12)
    assert not torch.equal(bands.class_map(), found.class_map)
