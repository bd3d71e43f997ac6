"""Dice, Tversky, focal and Lovász losses: plain versions, and numbers measured from mmsegmentation 0.27 on a CPU."""

import itertools
import math

import numpy as np
import pytest
import torch

from mmseg.errors import ConfigError
from mmseg.models import build_head, build_loss, total_loss
from mmseg.models.losses.lovasz_loss import lovasz_gradient
from tests.models.configs import assert_close

WEIGHT = [0.5, 2.0, 1.0, 3.0]
ALL = [dict(type="DiceLoss"), dict(type="TverskyLoss"), dict(type="FocalLoss"), dict(type="LovaszLoss", per_image=True)]


def case(dtype=torch.float32):
    """Logits (2, 4, 5, 6), and a label (2, 5, 6) without the last class and with some pixels to ignore."""
    random = np.random.RandomState(5)
    logits = torch.from_numpy(random.standard_normal((2, 4, 5, 6)).astype(np.float32) * 2).to(dtype)
    label = torch.from_numpy(random.randint(0, 3, (2, 5, 6))).long()
    label[0, :2] = 255
    return logits.requires_grad_(), label


@pytest.mark.parametrize(
    "cfg, value, gradient",
    [
        (dict(type="DiceLoss"), 0.6990526, 0.02395044),
        (dict(type="DiceLoss", class_weight=WEIGHT, loss_weight=3.0, smooth=0.5, exponent=1), 4.0682812, 0.07867364),
        (dict(type="DiceLoss", ignore_index=1), 0.4969984, 0.01790729),
        (dict(type="FocalLoss"), 0.2854972, 0.01812380),
        (dict(type="FocalLoss", gamma=1.5, alpha=[0.1, 0.2, 0.3, 0.4], class_weight=WEIGHT), 0.5767233, 0.04005578),
        (dict(type="FocalLoss", reduction="sum"), 68.519318, 4.3497105),
        (dict(type="LovaszLoss", reduction="none"), 0.8010680, 0.02133197),
        (dict(type="LovaszLoss", per_image=True), 0.8037010, 0.02829506),
        (dict(type="LovaszLoss", reduction="none", classes="all", class_weight=WEIGHT), 1.4021462, 0.06405867),
        (
            dict(type="LovaszLoss", per_image=True, classes=[1, 3], reduction="sum", loss_weight=0.3),
            0.4962167,
            0.0395996,
        ),
    ],
)
def test_values_and_gradients_are_the_measured_ones(cfg, value, gradient):
    logits, label = case()
    loss = build_loss(cfg)(logits, label, weight=None, ignore_index=255)
    loss.backward()
    assert loss.item() == pytest.approx(value, rel=1e-5)
    assert logits.grad.norm().item() == pytest.approx(gradient, rel=1e-4)


def test_the_lovasz_hinge_is_the_measured_one():
    logits, label = case()
    logits = logits.detach()[:, :1].requires_grad_()
    label = torch.where(label < 255, (label > 0).long(), label)
    loss = build_loss(dict(type="LovaszLoss", loss_type="binary", reduction="none"))(logits, label, ignore_index=255)
    loss.backward()
    assert loss.item() == pytest.approx(1.7001424, rel=1e-5)
    assert logits.grad.norm().item() == pytest.approx(0.12374470, rel=1e-4)


def softmax(logits):
    exponentials = np.exp(logits.detach().double().numpy())
    return exponentials / exponentials.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("class_weight", [None, WEIGHT])
@pytest.mark.parametrize("alpha, smooth, ignore_index", [(0.3, 1.0, 255), (0.75, 0.1, 255), (0.5, 1.0, 1)])
def test_tversky_is_the_definition(class_weight, alpha, smooth, ignore_index):
    logits, label = case()
    p, y = softmax(logits), label.numpy()
    total = 0.0
    for image, index in itertools.product(range(2), range(4)):
        if index == ignore_index:
            continue
        hit = alarm = miss = 0.0
        for h, w in np.ndindex(5, 6):
            if y[image, h, w] == ignore_index:
                continue
            # As in mmsegmentation, a label above the classes that is not ignored is the last class.
            labelled = min(y[image, h, w], 3) == index
            probability = p[image, index, h, w]
            hit += probability * labelled
            alarm += probability * (not labelled)
            miss += (1 - probability) * labelled
        term = 1 - (hit + smooth) / (hit + alpha * alarm + (1 - alpha) * miss + smooth)
        total += term * (class_weight[index] if class_weight else 1) / 8
    cfg = dict(type="TverskyLoss", alpha=alpha, beta=1 - alpha, smooth=smooth, ignore_index=ignore_index)
    loss = build_loss({**cfg, "class_weight": class_weight, "loss_weight": 0.5})
    assert loss(logits, label).item() == pytest.approx(0.5 * total, rel=1e-5)


def test_equal_weights_make_the_tversky_loss_a_dice_loss():
    logits, label = case()
    label = label.clamp(max=3)  # nothing ignored
    tversky = build_loss(dict(type="TverskyLoss", alpha=0.5, beta=0.5, smooth=1))
    dice = build_loss(dict(type="DiceLoss", exponent=1, smooth=2))
    assert tversky(logits, label).item() == pytest.approx(dice(logits, label).item(), rel=1e-5)


def test_focal_terms_are_the_definition():
    logits, label = case()
    loss = build_loss(dict(type="FocalLoss", gamma=2.0, alpha=0.25, reduction="none"))(logits, label, ignore_index=255)
    assert loss.shape == logits.shape
    for (b, c, h, w), x in np.ndenumerate(logits.detach().double().numpy()):
        expected = 0.0
        if label[b, h, w] != 255:
            labelled = bool(label[b, h, w] == c)
            right = 1 / (1 + math.exp(-x if labelled else x))
            expected = -(0.25 if labelled else 0.75) * (1 - right) ** 2 * math.log(right)
        assert loss[b, c, h, w].item() == pytest.approx(expected, rel=1e-4, abs=1e-7)


def test_focal_loss_of_one_channel_and_factors_of_pixels():
    logits, label = case()
    label = torch.where(label < 255, (label > 0).long(), label)
    one = build_loss(dict(type="FocalLoss", alpha=0.25, reduction="none"))(logits[:, :1], label, ignore_index=255)
    two = torch.cat([torch.zeros_like(logits[:, :1]), logits[:, :1]], dim=1)
    both = build_loss(dict(type="FocalLoss", alpha=0.25, reduction="none"))(two, label, ignore_index=255)
    assert_close(one[:, 0], both[:, 1])
    weight = torch.rand(2, 5, 6)
    weighted = build_loss(dict(type="FocalLoss", alpha=0.25))(logits[:, :1], label, weight=weight, ignore_index=255)
    assert weighted.item() == pytest.approx((one[:, 0] * weight).mean().item(), rel=1e-5)


def jaccard_of_errors(errors, positive):
    """1 - |true and predicted| / |true or predicted| where the pixels with an error are the wrongly predicted ones."""
    predicted = [p != e for p, e in zip(positive, errors)]
    both = sum(p and q for p, q in zip(positive, predicted))
    either = sum(p or q for p, q in zip(positive, predicted))
    return 1 - both / either if either else 0.0


@pytest.mark.parametrize("positive", itertools.product([False, True], repeat=4))
def test_the_lovasz_extension_is_the_jaccard_loss_where_errors_are_0_or_1(positive):
    for errors in itertools.product([False, True], repeat=4):
        ordered = sorted(zip(errors, positive), key=lambda pair: not pair[0])
        gradient = lovasz_gradient(torch.tensor([p for _, p in ordered]))
        value = sum(g for g, (error, _) in zip(gradient.tolist(), ordered) if error)
        assert value == pytest.approx(jaccard_of_errors(errors, positive), abs=1e-6)


@pytest.mark.parametrize("cfg", ALL, ids=lambda cfg: cfg["type"])
def test_gradients_are_those_of_small_differences(cfg):
    logits, label = case(torch.float64)
    if cfg["type"] == "LovaszLoss":  # linear between changes of the order of errors
        logits = (logits.detach() * 3).requires_grad_()
    loss = build_loss(cfg)
    assert torch.autograd.gradcheck(lambda x: loss(x, label, ignore_index=255), logits, eps=1e-7, atol=1e-5)


@pytest.mark.parametrize("cfg", [*ALL, dict(type="LovaszLoss", reduction="none")], ids=lambda cfg: cfg["type"])
def test_no_labelled_pixel_is_a_finite_loss(cfg):
    logits, label = case()
    loss = build_loss(cfg)(logits, torch.full_like(label, 255), ignore_index=255)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(logits.grad).all()
    if cfg["type"] in ("FocalLoss", "LovaszLoss"):
        assert loss.item() == 0 and not logits.grad.any()


@pytest.mark.parametrize("cfg", ALL, ids=lambda cfg: cfg["type"])
def test_channels_last_gives_the_same(cfg):
    logits, label = case()
    other = logits.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    losses = [build_loss(cfg)(x, label, ignore_index=255) for x in (logits, other)]
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-5)
    for loss in losses:
        loss.backward()
    assert_close(logits.grad, other.grad, atol=1e-6)


def test_avg_factor_and_reduction_override():
    logits, label = case()
    for cfg in (dict(type="DiceLoss"), dict(type="FocalLoss"), dict(type="LovaszLoss", per_image=True)):
        loss = build_loss(cfg)
        total = loss(logits, label, reduction_override="sum").item()
        assert loss(logits, label, avg_factor=7.0).item() == pytest.approx(total / 7, rel=1e-5)


def head(loss_decode):
    cfg = dict(type="FCNHead", in_channels=4, channels=4, num_convs=0, num_classes=4, concat_input=False)
    return build_head(dict(cfg, loss_decode=loss_decode))


def test_several_losses_each_with_its_name_and_weight():
    logits, label = case()
    cfgs = [
        dict(type="CrossEntropyLoss", loss_weight=1.0),
        dict(type="DiceLoss", loss_weight=3.0),
        dict(type="DiceLoss", loss_weight=2.0, smooth=0.1, loss_name="loss_dice_sharp"),
        dict(type="TverskyLoss"),
        dict(type="FocalLoss", loss_weight=0.5),
        dict(type="LovaszLoss", per_image=True),
    ]
    named = head(cfgs).losses(logits, label)
    assert list(named) == [
        "loss_ce",
        "loss_dice",
        "loss_dice_sharp",
        "loss_tversky",
        "loss_focal",
        "loss_lovasz",
        "acc_seg",
    ]
    single = [build_loss(cfg)(logits, label, ignore_index=255).item() for cfg in cfgs]
    assert [value.item() for value in list(named.values())[:-1]] == pytest.approx(single)
    assert total_loss(named).item() == pytest.approx(sum(single))


def test_losses_of_one_name_are_added():
    logits, label = case()
    named = head([dict(type="DiceLoss"), dict(type="DiceLoss", loss_weight=2.0)]).losses(logits, label)
    assert list(named) == ["loss_dice", "acc_seg"]
    single = build_loss(dict(type="DiceLoss"))(logits, label).item()
    assert named["loss_dice"].item() == pytest.approx(3 * single)


@pytest.mark.parametrize("loss_decode", [[], [dict(type="DiceLoss", loss_name="acc_seg")]])
def test_a_loss_may_not_take_the_name_of_the_accuracy(loss_decode):
    with pytest.raises(ConfigError, match="loss_decode"):
        head(loss_decode)


@pytest.mark.parametrize(
    "cfg, message",
    [
        (dict(type="DiceLoss", reduction="max"), "reduction"),
        (dict(type="DiceLoss", class_weight="weights.npy"), "class_weight is a list of numbers"),
        (dict(type="DiceLoss", class_weight=["a"]), "class_weight is a list of numbers"),
        (dict(type="DiceLoss", smoth=1), "did you mean 'smooth'"),
        (dict(type="TverskyLoss", alpha=0.5, beta=0.6), "sum of alpha and beta"),
        (dict(type="FocalLoss", use_sigmoid=False), "use_sigmoid"),
        (dict(type="FocalLoss", alpha="0.5"), "alpha"),
        (dict(type="FocalLoss", reduction="max"), "reduction"),
        (dict(type="LovaszLoss"), "per_image is False"),
        (dict(type="LovaszLoss", loss_type="hinge"), "loss_type"),
        (dict(type="LovaszLoss", classes="some"), "classes"),
        (dict(type="LovaszLoss", classes=[]), "classes"),
        (dict(type="LovaszLoss", per_image=True, reduction="max"), "reduction"),
    ],
)
def test_wrong_arguments_are_refused(cfg, message):
    with pytest.raises(ConfigError, match=message):
        build_loss(cfg)


@pytest.mark.parametrize(
    "cfg, channels, message",
    [
        (dict(type="DiceLoss"), 1, "output channel for each class"),
        (dict(type="TverskyLoss"), 1, "output channel for each class"),
        (dict(type="LovaszLoss", reduction="none"), 1, "output channel for each class"),
        (dict(type="LovaszLoss", reduction="none", loss_type="binary"), 2, "one output channel"),
        (dict(type="LovaszLoss", reduction="none", classes=[0, 4]), 4, "classes are of 0 to 3"),
        (dict(type="DiceLoss", class_weight=[1, 2]), 4, "2 entries for 4 channels"),
        (dict(type="TverskyLoss", class_weight=[1, 2]), 4, "2 entries for 4 channels"),
        (dict(type="FocalLoss", class_weight=[1, 2]), 4, "2 entries for 4 channels"),
        (dict(type="FocalLoss", alpha=[1, 2]), 4, "2 entries for 4 channels"),
        (dict(type="LovaszLoss", reduction="none", class_weight=[1, 2]), 4, "2 entries for 4 channels"),
    ],
)
def test_what_does_not_fit_the_channels_is_refused(cfg, channels, message):
    with pytest.raises(ConfigError, match=message):
        build_loss(cfg)(torch.zeros(1, channels, 2, 2), torch.zeros(1, 2, 2, dtype=torch.int64))
