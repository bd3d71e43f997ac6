"""Losses and accuracy against slow and plain versions."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg.errors import ConfigError, DataError
from mmseg.models import build_loss
from mmseg.models.losses import CrossEntropyLoss, accuracy, check_labels, reduce_loss
from tests.models.configs import assert_close


def case(channels=5, classes=None, ignored=0.3, seed=0, scale=3.0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, channels, 6, 7, generator=generator) * scale
    label = torch.randint(0, classes or channels, (2, 6, 7), generator=generator)
    label[torch.rand(2, 6, 7, generator=generator) < ignored] = 255
    return logits, label


def plain_terms(logits, label, sigmoid, class_weight):
    """Per term (B, C, H, W) of the sigmoid form, or per pixel (B, H, W) of the softmax form, by loops in float64."""
    x, y = logits.detach().double().numpy(), label.numpy()
    batch, channels, height, width = x.shape
    terms = np.zeros((batch, channels, height, width))
    for b, h, w in np.ndindex(batch, height, width):
        if y[b, h, w] == 255:
            continue
        exponentials = [math.exp(value) for value in x[b, :, h, w]]
        for c in range(channels):
            positive = y[b, h, w] == (1 if channels == 1 else c)
            weight = 1.0 if class_weight is None else class_weight[c]
            if sigmoid:
                probability = exponentials[c] / (1 + exponentials[c])
                terms[b, c, h, w] = -weight * math.log(probability) if positive else -math.log(1 - probability)
            elif positive:
                terms[b, c, h, w] = -weight * math.log(exponentials[c] / sum(exponentials))
    return terms if sigmoid else terms.sum(axis=1)


@pytest.mark.parametrize("sigmoid", [False, True])
@pytest.mark.parametrize("class_weight", [None, [0.5, 2.0, 1.0, 3.0, 0.25]])
@pytest.mark.parametrize("avg_non_ignore", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_is_the_definition(sigmoid, class_weight, avg_non_ignore, reduction):
    logits, label = case()
    loss = CrossEntropyLoss(
        use_sigmoid=sigmoid,
        class_weight=class_weight,
        avg_non_ignore=avg_non_ignore,
        reduction=reduction,
        loss_weight=0.4,
    )
    terms = plain_terms(logits, label, sigmoid, class_weight)
    counted = (label != 255).sum().item() * (5 if sigmoid else 1) if avg_non_ignore else terms.size
    expected = {"mean": terms.sum() / counted, "sum": terms.sum(), "none": terms}[reduction]
    np.testing.assert_allclose(loss(logits, label, ignore_index=255).numpy(), 0.4 * expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("avg_non_ignore", [False, True])
def test_one_channel_is_the_probability_of_class_one(avg_non_ignore):
    logits, label = case(channels=1, classes=2)
    terms = plain_terms(logits, label, True, [3.0])
    counted = (label != 255).sum().item() if avg_non_ignore else label.numel()
    loss = CrossEntropyLoss(use_sigmoid=True, class_weight=[3.0], avg_non_ignore=avg_non_ignore)
    assert loss(logits, label).item() == pytest.approx(terms.sum() / counted, rel=1e-5)
    # A single image keeps its batch dimension.
    single = loss(logits[:1], label[:1]).item()
    counted = (label[:1] != 255).sum().item() if avg_non_ignore else label[:1].numel()
    assert single == pytest.approx(terms[:1].sum() / counted, rel=1e-5)


@pytest.mark.parametrize("class_weight", [None, [0.5, 2.0, 1.0, 3.0, 0.25]])
def test_gradient_of_the_sigmoid_form_is_that_of_the_one_hot_form(class_weight):
    logits, label = case()
    logits = logits.double().requires_grad_()
    pixel_weight = torch.rand(2, 6, 7, dtype=torch.float64)
    CrossEntropyLoss(use_sigmoid=True, class_weight=class_weight)(logits, label, weight=pixel_weight).backward()

    again = logits.detach().clone().requires_grad_()
    valid = label != 255
    target = F.one_hot(label.masked_fill(~valid, 0), 5).permute(0, 3, 1, 2).double()
    pos_weight = None if class_weight is None else torch.tensor(class_weight, dtype=torch.float64).view(-1, 1, 1)
    terms = F.binary_cross_entropy_with_logits(again, target, pos_weight=pos_weight, reduction="none")
    (terms * (valid * pixel_weight).unsqueeze(1)).mean().backward()
    assert_close(logits.grad, again.grad, rtol=1e-10, atol=1e-14)
    assert not logits.grad.permute(0, 2, 3, 1)[~valid].any()


def test_sigmoid_form_keeps_small_losses_beside_large_logits():
    logits = torch.full((1, 3, 1, 1), -30.0)
    logits[0, 1] = 30.0
    loss = CrossEntropyLoss(use_sigmoid=True)(logits, torch.ones(1, 1, 1, dtype=torch.int64))
    assert loss.item() == pytest.approx(math.log1p(math.exp(-30.0)), rel=1e-3)
    confident_and_wrong = CrossEntropyLoss(use_sigmoid=True, reduction="sum")(
        torch.tensor([200.0, -200.0]).view(1, 2, 1, 1), torch.ones(1, 1, 1, dtype=torch.int64)
    )
    assert confident_and_wrong.item() == pytest.approx(400.0)


@pytest.mark.parametrize("sigmoid", [False, True])
def test_channels_last_gives_the_same(sigmoid):
    logits, label = case()
    loss = CrossEntropyLoss(use_sigmoid=sigmoid)
    other = logits.contiguous(memory_format=torch.channels_last).requires_grad_()
    plain = logits.clone().requires_grad_()
    first, second = loss(plain, label), loss(other, label)
    assert first.item() == pytest.approx(second.item(), rel=1e-6)
    first.backward()
    second.backward()
    assert_close(plain.grad, other.grad)


@pytest.mark.parametrize("sigmoid", [False, True])
@pytest.mark.parametrize("avg_non_ignore", [False, True])
def test_no_labelled_pixel_is_a_loss_of_zero_with_zero_gradient(sigmoid, avg_non_ignore):
    logits = torch.randn(2, 4, 3, 3, requires_grad=True)
    label = torch.full((2, 3, 3), 255)
    loss = CrossEntropyLoss(use_sigmoid=sigmoid, avg_non_ignore=avg_non_ignore)(logits, label)
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


def test_another_ignore_index_within_the_classes():
    logits, label = case(ignored=0.0)
    label[0] = 2
    for sigmoid in (False, True):
        loss = CrossEntropyLoss(use_sigmoid=sigmoid, avg_non_ignore=True)
        kept = loss(logits[1:], label[1:], ignore_index=2)
        assert loss(logits, label, ignore_index=2).item() == pytest.approx(kept.item(), rel=1e-5)


def test_avg_factor_and_reduction_override():
    logits, label = case()
    for sigmoid in (False, True):
        loss = CrossEntropyLoss(use_sigmoid=sigmoid)
        total = loss(logits, label, reduction_override="sum").item()
        assert loss(logits, label, avg_factor=10.0).item() == pytest.approx(total / 10, rel=1e-5)
        with pytest.raises(ConfigError, match="sum"):
            loss(logits, label, avg_factor=10.0, reduction_override="sum")


def test_reduce_loss_divides_by_all_elements_whatever_their_weight():
    loss = torch.tensor([1.0, 2.0, 3.0, 4.0])
    weight = torch.tensor([1.0, 0.0, 1.0, 0.0])
    assert reduce_loss(loss, weight).item() == 1.0
    assert reduce_loss(loss, weight, "mean", 2.0).item() == pytest.approx(2.0)
    assert reduce_loss(loss, weight, "sum").item() == 4.0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"use_mask": True}, "use_mask"),
        ({"reduction": "average"}, "average"),
        ({"class_weight": "weights.npy"}, "weights.npy"),
        ({"loss_weigth": 1.0}, "loss_weight"),
    ],
)
def test_wrong_arguments_are_refused(arguments, said):
    with pytest.raises(ConfigError, match=said):
        build_loss({"type": "CrossEntropyLoss", **arguments})


def test_class_weight_and_channels_must_agree():
    logits, label = case()
    with pytest.raises(ConfigError, match="2 entries for 5"):
        CrossEntropyLoss(class_weight=[1.0, 2.0])(logits, label)
    with pytest.raises(ConfigError, match="use_sigmoid"):
        CrossEntropyLoss()(logits[:, :1], label)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), channels=st.integers(2, 6), ignored=st.floats(0, 0.9))
def test_accuracy_is_the_share_of_the_labelled_pixels(seed, channels, ignored):
    logits, label = case(channels, ignored=ignored, seed=seed)
    valid = label != 255
    right = (logits.numpy().argmax(axis=1) == label.numpy())[valid.numpy()].sum()
    expected = 100.0 * right / max(int(valid.sum()), 1)
    for memory_format in (torch.contiguous_format, torch.channels_last):
        found = accuracy(logits.contiguous(memory_format=memory_format), label)
        assert found.item() == pytest.approx(expected, rel=1e-5)
        assert found.dim() == 0


def test_accuracy_without_labelled_pixels_is_zero_and_has_no_gradient():
    logits = torch.randn(1, 3, 2, 2, requires_grad=True)
    found = accuracy(logits, torch.full((1, 2, 2), 255))
    assert found.item() == 0
    assert not found.requires_grad


def test_accuracy_of_one_channel_is_by_its_threshold():
    logits = torch.logit(torch.tensor([0.2, 0.4, 0.6, 0.8])).view(1, 1, 1, 4)
    label = torch.tensor([0, 1, 1, 255]).view(1, 1, 4)
    assert accuracy(logits, label, threshold=0.3).item() == pytest.approx(100.0)
    assert accuracy(logits, label, threshold=0.5).item() == pytest.approx(200.0 / 3)


def test_nan_logits_are_not_right():
    assert accuracy(torch.full((1, 3, 2, 2), float("nan")), torch.zeros(1, 2, 2, dtype=torch.int64)).item() == 0


def test_labels_outside_of_the_classes_are_named():
    label = torch.tensor([[[0, 4, 255, 7, -1]]])
    with pytest.raises(DataError, match=r"-1, 7.*0 to 4, or 255"):
        check_labels(label, 5, 255)
    check_labels(label.clamp(0, 4), 5, 255)
    check_labels(torch.tensor([[[0, 7]]]), 5, 7)
