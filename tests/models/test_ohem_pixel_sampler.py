"""Online hard example mining against a plain version."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmseg.errors import ConfigError
from mmseg.models import HEADS, LOSSES, PIXEL_SAMPLERS


def sampler(losses=({"type": "CrossEntropyLoss"},), ignore_index=255, **arguments):
    head = SimpleNamespace(ignore_index=ignore_index, loss_decode=[LOSSES.build(loss) for loss in losses])
    return PIXEL_SAMPLERS.build({"type": "OHEMPixelSampler", **arguments}, context=head)


def batch(classes=4, size=(5, 6), ignored=7, seed=0):
    random = np.random.RandomState(seed)
    logits = torch.from_numpy(random.standard_normal((2, classes, *size)).astype(np.float32) * 2)
    label = torch.from_numpy(random.randint(0, max(classes, 2), (2, *size)))
    label.view(-1)[:ignored] = 255
    return logits, label


def pixels(logits, label):
    """Index and probability of each labelled pixel, the lowest probability first."""
    found = []
    for image, row, column in np.ndindex(*label.shape):
        target = int(label[image, row, column])
        if target != 255:
            exponentials = np.exp(logits[image, :, row, column].numpy().astype(np.float64))
            found.append((exponentials[target] / exponentials.sum(), (image, row, column)))
    return sorted(found)


@pytest.mark.parametrize("min_kept", [2, 7, 20, 26, 27, 1000])
@pytest.mark.parametrize("thresh", [0.05, 0.3, 0.7, 1.0])
def test_pixels_below_the_threshold_or_among_the_lowest(thresh, min_kept):
    logits, label = batch()
    ranked = pixels(logits, label)
    threshold = max(thresh, ranked[min(2 * min_kept, len(ranked) - 1)][0])
    expected = {index for probability, index in ranked if probability < threshold - 1e-9}
    weight = sampler(thresh=thresh, min_kept=min_kept).sample(logits, label)
    assert weight.shape == label.shape and weight.dtype == logits.dtype
    assert {tuple(index) for index in weight.nonzero().tolist()} == expected
    assert weight.sum() == len(expected)


@pytest.mark.parametrize("min_kept", [2, 7, 26, 1000])
def test_without_a_threshold_the_highest_losses(min_kept):
    logits, label = batch()
    expected = {index for _, index in pixels(logits, label)[: 2 * min_kept]}
    weight = sampler(min_kept=min_kept).sample(logits, label)
    assert {tuple(index) for index in weight.nonzero().tolist()} == expected


def test_the_losses_of_the_head_decide_together():
    logits, label = batch()
    only_class_2 = {"type": "CrossEntropyLoss", "class_weight": [0, 0, 1000, 0]}
    weight = sampler([{"type": "CrossEntropyLoss"}, only_class_2], min_kept=2).sample(logits, label)
    assert weight.sum() == 4 and (label[weight > 0] == 2).all()


def test_a_sigmoid_for_each_class():
    logits, label = batch()
    loss = {"type": "CrossEntropyLoss", "use_sigmoid": True}
    weight = sampler([loss], min_kept=3).sample(logits, label)
    sign = torch.ones_like(logits).scatter_(1, label.clamp(max=3).unsqueeze(1), -1.0)
    terms = torch.nn.functional.softplus(sign * logits).sum(1).masked_fill(label == 255, -1)
    assert weight.sum() == 6
    assert terms[weight > 0].min() >= terms[(weight == 0) & (label != 255)].max()


def test_one_channel_is_the_logit_of_class_1():
    logits = torch.tensor([[[[-4.0, -1.0, 0.5, 3.0, 4.0, -5.0]]]])
    label = torch.tensor([[[1, 0, 0, 1, 0, 255]]])
    weight = sampler([{"type": "CrossEntropyLoss", "use_sigmoid": True}], thresh=0.1, min_kept=2).sample(logits, label)
    assert weight.tolist() == [[[1, 0, 0, 0, 1, 0]]]


@pytest.mark.parametrize("thresh", [None, 0.7])
def test_no_pixel_where_all_are_ignored(thresh):
    logits, label = batch(ignored=60)
    assert not sampler(thresh=thresh, min_kept=5).sample(logits, label).any()


@pytest.mark.parametrize("thresh", [None, 0.3])
def test_only_the_chosen_pixels_count_for_the_loss_of_a_head(thresh):
    settings = {"type": "OHEMPixelSampler", "thresh": thresh, "min_kept": 4}
    head = HEADS.build(
        dict(
            type="FCNHead", in_channels=4, channels=4, num_classes=4, num_convs=0, concat_input=False, sampler=settings
        )
    )
    logits, label = batch()
    logits.requires_grad_()
    losses = head.losses(logits, label)
    losses["loss_ce"].backward()
    chosen = head.sampler.sample(logits, label)
    assert 0 < chosen.sum() < (label != 255).sum()
    assert torch.equal(logits.grad.abs().sum(1) > 0, chosen > 0)
    # As without a sampler, the mean is over all pixels.
    plain = torch.nn.functional.cross_entropy(logits, label, ignore_index=255, reduction="none")
    assert losses["loss_ce"].item() == pytest.approx((plain * chosen).sum().item() / label.numel(), rel=1e-5)


class LossOfTheImage(torch.nn.Module):
    """A loss with one value for each image, as region losses have."""

    def forward(self, logits, label, weight=None, ignore_index=255, reduction_override=None):
        return logits.mean((1, 2, 3))


def test_a_loss_without_a_value_for_each_pixel_needs_a_threshold():
    logits, label = batch()
    chooser = sampler(min_kept=5)
    chooser.context.loss_decode.append(LossOfTheImage())
    with pytest.raises(ConfigError, match="LossOfTheImage has none"):
        chooser.sample(logits, label)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"min_kept": 1}, "min_kept"),
        ({"min_kept": 2.5}, "min_kept"),
        ({"thresh": "0.7"}, "thresh"),
        ({"threshold": 0.7}, "did you mean 'thresh'"),
    ],
)
def test_a_wrong_config_is_refused_by_name(arguments, said):
    with pytest.raises(ConfigError, match=said):
        sampler(**arguments)
