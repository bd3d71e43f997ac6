"""Heads that refine one another: the cascade, object context, points."""

import copy

import pytest
import torch

from mmseg.errors import ConfigError
from mmseg.models import build_head, build_segmentor, total_loss
from mmseg.models.decode_heads.ocr_head import ObjectAttention, SpatialGather
from mmseg.models.decode_heads.point_head import (
    TrainingPoints,
    draw_training_points,
    most_uncertain_pixels,
    sample_points,
    uncertainty,
)
from tests.models.configs import assert_close, fill
from tests.models.hrnet_configs import tiny_ocrnet


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


POINTS = {"num_points": 40, "oversample_ratio": 3, "importance_sample_ratio": 0.75}
STEPS = {"subdivision_steps": 2, "subdivision_num_points": 30, "scale_factor": 2}


def tiny_point_rend(**model):
    cfg = tiny_ocrnet()
    cfg["decode_head"][1] = {
        "type": "PointHead",
        "in_channels": [4],
        "in_index": [0],
        "channels": 6,
        "num_classes": 5,
        "dropout_ratio": -1,
    }
    return {**cfg, "train_cfg": dict(POINTS), "test_cfg": dict(STEPS), **model}


def image_and_label(size=64):
    return torch.randn(2, 3, size, size), torch.randint(0, 5, (2, size, size))


# --- the cascade


def test_losses_of_every_head_in_order():
    cfg = tiny_ocrnet()
    cfg["decode_head"].append(copy.deepcopy(cfg["decode_head"][1]))
    model = build_segmentor({**cfg, "num_stages": 3})
    losses = model.loss(*image_and_label())
    assert list(losses) == [f"decode_{index}.{name}" for index in range(3) for name in ("loss_ce", "acc_seg")]
    total_loss(losses).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert model.eval()(torch.randn(1, 3, 64, 64)).shape == (1, 5, 64, 64)


def test_the_last_head_is_the_prediction_and_each_sees_the_logits_before():
    model = fill(build_segmentor(tiny_ocrnet())).eval()
    image, _ = image_and_label()
    with torch.no_grad():
        features = model.extract_feat(image)
        coarse = model.decode_head[0](features)
        assert torch.equal(model._decode(features), model.decode_head[1](features, coarse))
        other = model.decode_head[1](features, -coarse)
        assert (model._decode(features) - other).abs().max() > 0.1
    assert model.num_classes == 5 and model.out_channels == 5


def test_the_first_head_is_run_once_in_training():
    model = build_segmentor(tiny_ocrnet()).train()
    calls = []
    model.decode_head[0].register_forward_hook(lambda *_: calls.append(1))
    model.loss(*image_and_label())
    assert calls == [1]


def test_auxiliary_heads_beside_a_cascade():
    cfg = tiny_ocrnet()
    losses = build_segmentor({**cfg, "auxiliary_head": [cfg["decode_head"][0]]}).loss(*image_and_label())
    assert list(losses)[-2:] == ["aux_0.loss_ce", "aux_0.acc_seg"]


def test_training_an_object_context_network_lowers_its_loss():
    model = build_segmentor(tiny_ocrnet()).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    image, label = image_and_label()
    label = (image[:, 0] > 0).long()
    found = []
    for _ in range(12):
        loss = total_loss(model.loss(image, label))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    assert found[-1] < 0.8 * found[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda cfg: cfg.update(num_stages=3), "num_stages"),
        (lambda cfg: cfg.pop("num_stages"), "num_stages"),
        (lambda cfg: cfg.update(decode_head=cfg["decode_head"][0]), "list of num_stages"),
        (lambda cfg: cfg.update(decode_head=[], num_stages=0), "list of num_stages"),
        (lambda cfg: cfg["decode_head"].reverse(), "OCRHead cannot be the first"),
        (lambda cfg: cfg.update(decode_head=cfg["decode_head"][:1] * 2), "FCNHead cannot be the 2"),
        (lambda cfg: cfg["decode_head"][1].update(scale=0), "scale"),
        (lambda cfg: cfg["decode_head"][1].update(ocr_channel=3), "ocr_channels"),
        (lambda cfg: cfg["decode_head"][1].update(input_transform="multiple_select"), "OCRHead"),
    ],
)
def test_a_cascade_that_cannot_be(change, said):
    cfg = tiny_ocrnet()
    change(cfg)
    with pytest.raises(ConfigError, match=said):
        build_segmentor(cfg)


def test_a_refining_head_outside_a_cascade():
    cfg = tiny_ocrnet()
    cfg.update(type="EncoderDecoder", decode_head=cfg["decode_head"][1])
    del cfg["num_stages"]
    model = build_segmentor(cfg)
    image, label = image_and_label()
    for call in (lambda: model(image), lambda: model.loss(image, label)):
        with pytest.raises(ConfigError, match="CascadeEncoderDecoder"):
            call()


# --- object context


def test_a_region_is_the_mean_of_the_pixels_that_belong_to_it():
    features = torch.randn(2, 3, 4, 6)
    logits = torch.full((2, 2, 4, 6), -1000.0)
    logits[:, 0, :2] = 1000.0
    logits[:, 1, 3, 5] = 1000.0
    regions = SpatialGather()(features, logits)
    assert regions.shape == (2, 3, 2, 1)
    assert_close(regions[:, :, 0, 0], features[:, :, :2].mean(dim=(2, 3)))
    assert_close(regions[:, :, 1, 0], features[:, :, 3, 5])


def test_the_scale_sharpens_which_pixels_belong_to_a_region():
    features, logits = torch.randn(1, 3, 4, 4), torch.randn(1, 2, 4, 4)
    assert_close(SpatialGather(2)(features, logits), SpatialGather()(features, 2 * logits))


def attention(scale=1):
    layers = {"conv_cfg": None, "norm_cfg": {"type": "BN"}, "act_cfg": {"type": "ReLU"}}
    return fill(ObjectAttention(6, 4, scale, **layers)).eval()


def test_regions_count_for_each_pixel_whatever_their_order():
    features, regions = torch.randn(2, 6, 5, 7), torch.randn(2, 6, 3, 1)
    output = attention()(features, regions)
    assert output.shape == features.shape
    assert_close(attention()(features, regions.flip(2)), output)
    assert not torch.allclose(attention()(features, regions + 1), output)
    moved = attention()(features.roll(2, dims=3), regions)
    assert_close(moved, output.roll(2, dims=3))


def test_attention_on_smaller_features():
    features, regions = torch.randn(2, 6, 8, 12), torch.randn(2, 6, 3, 1)
    assert attention(2)(features, regions).shape == features.shape
    blocks = torch.randn(2, 6, 1, 1).expand(2, 6, 8, 12)
    assert_close(attention(2)(blocks, regions), attention(1)(blocks, regions))


# --- points


def test_uncertainty_is_the_gap_between_the_two_likeliest_classes():
    logits = torch.randn(3, 7, 4, 5)
    first, second = logits.topk(2, dim=1).values.unbind(1)
    assert torch.equal(uncertainty(logits), second - first)
    assert not uncertainty(torch.zeros(1, 4, 9)).any()
    assert uncertainty(torch.tensor([[[-2.0, 0.5]]])).tolist() == [[-2.0, -0.5]]


def test_samples_at_the_centres_of_pixels_are_the_pixels():
    features = torch.randn(2, 3, 4, 8)
    indices, points = most_uncertain_pixels(features, 1000)
    assert indices.sort(dim=1).values.tolist() == [list(range(32))] * 2
    expected = features.flatten(2).gather(2, indices.unsqueeze(1).expand(-1, 3, -1))
    assert_close(sample_points(features, points), expected)
    assert torch.equal(sample_points(features, points, mode="nearest"), expected)
    assert sample_points(features.half(), points, mode="nearest").dtype == torch.float16


def test_the_most_uncertain_pixels_come_first():
    logits = torch.zeros(1, 2, 3, 4)
    logits[:, 0] = 5.0
    logits[0, 1, 2, 3] = 5.0
    logits[0, 1, 0, 1] = 4.0
    indices, points = most_uncertain_pixels(logits, 2)
    assert indices.tolist() == [[11, 1]]
    assert_close(points, torch.tensor([[[3.5 / 4, 2.5 / 3], [1.5 / 4, 0.5 / 3]]]))


def test_training_points_are_chosen_where_it_is_uncertain():
    logits = torch.zeros(2, 2, 8, 8)
    logits[:, 0, :, 2:] = 9.0
    points = draw_training_points(logits, TrainingPoints(100, 10, 0.75))
    assert points.shape == (2, 100, 2)
    assert ((points >= 0) & (points < 1)).all()
    certain = points[..., 0] > 0.4
    assert not certain[:, :75].any()
    assert certain[:, 75:].float().mean() > 0.4
    assert draw_training_points(logits, TrainingPoints(10, 2, 1.0)).shape == (2, 10, 2)
    torch.manual_seed(3)
    once = draw_training_points(logits, TrainingPoints(10, 2, 0.5))
    torch.manual_seed(3)
    assert torch.equal(once, draw_training_points(logits, TrainingPoints(10, 2, 0.5)))


def test_a_prediction_gets_finer_and_only_its_uncertain_pixels_change():
    cfg = tiny_point_rend(test_cfg={**STEPS, "subdivision_steps": 1})
    model = fill(build_segmentor(cfg)).eval()
    with torch.no_grad():
        features = model.extract_feat(torch.randn(1, 3, 64, 64))
        coarse = model.decode_head[0](features)
        refined = model.decode_head[1](features, coarse)
        enlarged = torch.nn.functional.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)
        indices, points = most_uncertain_pixels(enlarged, 30)
        there = model.decode_head[1].predict_points(features[:1], coarse, points)
    changed = (refined != enlarged).any(dim=1).flatten(1).nonzero()[:, 1]
    assert changed.tolist() == sorted(indices[0].tolist())
    found = refined.flatten(2).gather(2, indices.unsqueeze(1).expand(-1, 5, -1))
    assert_close(found, there)
    assert torch.equal(coarse, model.decode_head[0](features).detach())


def test_losses_at_points():
    model = build_segmentor(tiny_point_rend())
    losses = model.loss(*image_and_label())
    assert list(losses) == ["decode_0.loss_ce", "decode_0.acc_seg", "decode_1.pointloss_ce", "decode_1.acc_point"]
    total_loss(losses).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_ignored_points_do_not_count():
    model = fill(build_segmentor(tiny_point_rend())).eval()
    image, label = image_and_label()
    losses = model.loss(image, torch.full_like(label, 255))
    assert losses["decode_1.pointloss_ce"].item() == 0


@pytest.mark.parametrize("loss", [{"use_sigmoid": True}, {"class_weight": [1.0, 2.0, 1.0, 1.0, 0.5]}])
def test_any_loss_at_points(loss):
    cfg = tiny_point_rend()
    cfg["decode_head"][1]["loss_decode"] = {"type": "CrossEntropyLoss", **loss}
    assert torch.isfinite(total_loss(build_segmentor(cfg).loss(*image_and_label())))


def test_two_classes_by_one_channel():
    cfg = tiny_point_rend()
    for head in cfg["decode_head"]:
        head.update(num_classes=2, out_channels=1, loss_decode={"type": "CrossEntropyLoss", "use_sigmoid": True})
    model = build_segmentor(cfg)
    image, label = image_and_label()
    assert torch.isfinite(total_loss(model.loss(image, label % 2)))
    assert model.eval()(image).shape == (2, 1, 64, 64)


def test_published_initial_weights_of_the_point_classifier():
    head = build_head(tiny_point_rend()["decode_head"][1])
    head.init_weights()
    assert 0.005 < head.fc_seg.weight.std().item() < 0.02
    assert not head.fc_seg.bias.detach().any()
    assert not hasattr(head, "conv_seg")


@pytest.mark.parametrize("arguments", [{"num_fcs": 0}, {"coarse_pred_each_layer": False, "num_fcs": 2}])
def test_other_numbers_of_layers(arguments):
    cfg = tiny_point_rend()
    cfg["decode_head"][1].update(arguments, dropout_ratio=0.5)
    model = build_segmentor(cfg)
    assert torch.isfinite(total_loss(model.loss(*image_and_label())))
    assert len(model.decode_head[1].fcs) == arguments["num_fcs"]


@pytest.mark.parametrize(
    ("place", "values", "said"),
    [
        ("train_cfg", {"num_points": 0}, "train_cfg of PointHead: num_points"),
        ("train_cfg", {"num_points": 1.5}, "num_points"),
        ("train_cfg", {"oversample_ratio": 0.5}, "oversample_ratio is 1 or more"),
        ("train_cfg", {"importance_sample_ratio": 1.5}, "importance_sample_ratio"),
        ("train_cfg", {"importance_sample_ratio": None}, "importance_sample_ratio"),
        ("test_cfg", {"subdivision_num_points": -3}, "test_cfg of PointHead: subdivision_num_points"),
        ("test_cfg", {"subdivision_steps": "2"}, "subdivision_steps"),
        ("test_cfg", {"scale_factor": 0}, "scale_factor"),
    ],
)
def test_numbers_of_points_that_cannot_be(place, values, said):
    cfg = tiny_point_rend()
    cfg[place].update(values)
    with pytest.raises(ConfigError, match=said):
        build_segmentor(cfg)


def test_numbers_of_points_are_needed_only_where_they_are_used():
    image, label = image_and_label()
    predicting = build_segmentor(tiny_point_rend(train_cfg=None)).eval()
    assert predicting(image).shape == (2, 5, 64, 64)
    with pytest.raises(ConfigError, match="train_cfg: num_points"):
        predicting.loss(image, label)
    training = build_segmentor(tiny_point_rend(test_cfg=None))
    assert training.loss(image, label)
    with pytest.raises(ConfigError, match="test_cfg: subdivision_steps"):
        training(image)


@pytest.mark.parametrize("change", [{"num_fcs": -1}, {"input_transform": "resize_concat"}, {"num_fc": 3}])
def test_point_heads_that_cannot_be(change):
    cfg = tiny_point_rend()
    cfg["decode_head"][1].update(change)
    with pytest.raises(ConfigError, match="PointHead"):
        build_segmentor(cfg)
