"""The segmentor: building, losses, whole and sliding inference, several views."""

import itertools

import numpy as np
import pytest
import torch

from mmseg.errors import ConfigError, DataError
from mmseg.models import BACKBONES, HEADS, PIXEL_SAMPLERS, EncoderDecoder, build_segmentor, total_loss
from mmseg.models.decode_heads import DecodeHead
from mmseg.models.layers import BaseModule, resize
from mmseg.models.segmentors.sliding_window import slide, windows
from tests.models.configs import assert_close, fast_scnn, fill, tiny


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def with_head(**head):
    cfg = tiny()
    cfg["decode_head"].update(head)
    return cfg


# --- building


def test_published_initial_weights():
    model = build_segmentor(fast_scnn())
    assert model.decode_head.conv_seg.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert not model.decode_head.conv_seg.bias.detach().any()
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert norms and all((norm.weight == 1).all() and (norm.bias == 0).all() for norm in norms)


def test_two_builds_with_one_seed_are_equal():
    states = []
    for _ in range(2):
        torch.manual_seed(7)
        states.append(build_segmentor(tiny()).state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda cfg: cfg.update(type="EncoderDecodr"), "did you mean EncoderDecoder"),
        (lambda cfg: cfg.update(nek=None), "nek"),
        (lambda cfg: cfg.pop("backbone"), "backbone"),
        (lambda cfg: cfg["backbone"].update(type="FastSCN"), "did you mean FastSCNN"),
        (lambda cfg: cfg["backbone"].update(out_indexes=(0,)), "out_indices"),
        (lambda cfg: cfg["backbone"].update(out_indices=(0, 3)), "out_indices"),
        (lambda cfg: cfg["backbone"].update(higher_in_channels=9), "higher_in_channels"),
        (lambda cfg: cfg["backbone"].update(lower_in_channels=9), "lower_in_channels"),
        (lambda cfg: cfg["backbone"].update(global_block_strides=(1, 2)), "global_block_strides"),
        (lambda cfg: cfg["decode_head"].update(num_class=3), "num_classes"),
        (lambda cfg: cfg["decode_head"].pop("num_classes"), "num_classes"),
        (lambda cfg: cfg["decode_head"].update(num_convs=-1), "num_convs"),
        (lambda cfg: cfg["decode_head"].update(num_convs=0, channels=4), "num_convs=0"),
        (lambda cfg: cfg["decode_head"].update(out_channels=2), "out_channels"),
        (lambda cfg: cfg["decode_head"].update(input_transform="sum"), "input_transform"),
        (lambda cfg: cfg["decode_head"].update(in_index=[0, 1]), "input_transform"),
        (lambda cfg: cfg["decode_head"].update(input_transform="resize_concat"), "lists of the same length"),
        (lambda cfg: cfg["decode_head"].update(loss_decode={"type": "CELoss"}), "CELoss"),
        (lambda cfg: cfg["decode_head"].update(sampler={"type": "NoSampler"}), "NoSampler"),
        (lambda cfg: cfg.update(decode_head=[cfg["decode_head"]]), "decode_head"),
        (lambda cfg: cfg.update(auxiliary_head=["FCNHead"]), "FCNHead"),
        (lambda cfg: cfg.update(test_cfg={"mode": "tile"}), "tile"),
        (lambda cfg: cfg.update(test_cfg={"mode": "slide", "stride": (4, 4)}), "crop_size"),
        (lambda cfg: cfg.update(test_cfg={"mode": "slide", "crop_size": (4, 4), "stride": (5, 4)}), "gaps"),
    ],
)
def test_a_wrong_config_is_refused_by_name(change, said):
    cfg = tiny()
    change(cfg)
    with pytest.raises(ConfigError, match=said):
        build_segmentor(cfg)


def test_arguments_that_do_not_matter_here_are_accepted():
    model = build_segmentor(
        tiny(pretrained=None, train_cfg={}, init_cfg=None, neck=None, auxiliary_head=None),
        train_cfg=None,
        test_cfg=None,
    )
    assert model.test_cfg == {"mode": "whole"}
    beside = build_segmentor(tiny(), test_cfg={"mode": "slide", "crop_size": 32, "stride": 16})
    assert beside.test_cfg["crop_size"] == (32, 32)
    assert build_segmentor(tiny(pretrained="address")).backbone.init_cfg["checkpoint"] == "address"


# --- forward and losses


@pytest.mark.parametrize("size", [(64, 64), (65, 97), (33, 40)])
def test_logits_have_the_size_of_the_input(size):
    assert build_segmentor(tiny()).eval()(torch.randn(2, 3, *size)).shape == (2, 5, *size)


def test_gradients_reach_every_parameter():
    model = build_segmentor(fast_scnn(4)).train()
    losses = model.loss(torch.randn(2, 3, 64, 64), torch.randint(0, 4, (2, 64, 64)))
    total_loss(losses).backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())


def test_loss_names_of_auxiliary_heads():
    head = {**tiny()["decode_head"], "loss_decode": {"type": "CrossEntropyLoss", "loss_weight": 0.4}}
    label = torch.randint(0, 5, (2, 64, 64))
    image = torch.randn(2, 3, 64, 64)
    single = build_segmentor(tiny(auxiliary_head=head)).loss(image, label)
    assert list(single) == ["decode.loss_ce", "decode.acc_seg", "aux.loss_ce", "aux.acc_seg"]
    several = build_segmentor(tiny(auxiliary_head=[head, head])).loss(image, label)
    assert list(several)[2:] == ["aux_0.loss_ce", "aux_0.acc_seg", "aux_1.loss_ce", "aux_1.acc_seg"]


def test_losses_of_one_name_are_added_and_others_kept_apart():
    loss = {"type": "CrossEntropyLoss", "loss_weight": 1.0}
    image, label = torch.randn(2, 3, 64, 64), torch.randint(0, 5, (2, 64, 64))
    results = []
    for losses in ([loss], [loss, {**loss, "loss_weight": 2.0}], [loss, {**loss, "loss_name": "loss_other"}]):
        results.append(fill(build_segmentor(with_head(loss_decode=losses))).eval().loss(image, label))
    once, added, apart = results
    assert added["decode.loss_ce"].item() == pytest.approx(3 * once["decode.loss_ce"].item(), rel=1e-5)
    assert apart["decode.loss_other"].item() == pytest.approx(once["decode.loss_ce"].item(), rel=1e-6)
    assert total_loss(apart).item() == pytest.approx(2 * once["decode.loss_ce"].item(), rel=1e-5)


def test_total_loss_leaves_accuracies_out():
    losses = {"decode.loss_ce": torch.tensor(1.5), "decode.acc_seg": torch.tensor(90.0), "loss_x": torch.ones(4) * 2}
    assert total_loss(losses).item() == 3.5
    with pytest.raises(ConfigError, match="acc_seg"):
        total_loss({"acc_seg": torch.tensor(1.0)})


def test_label_with_and_without_channel_dimension():
    model = fill(build_segmentor(tiny())).eval()
    image, label = torch.randn(2, 3, 64, 64), torch.randint(0, 5, (2, 64, 64))
    assert model.loss(image, label)["decode.loss_ce"] == model.loss(image, label.unsqueeze(1))["decode.loss_ce"]


@pytest.mark.parametrize("shape", [(2, 64, 32), (1, 64, 64), (2, 3, 64, 64), (64, 64)])
def test_label_of_another_shape_is_refused(shape):
    with pytest.raises(DataError, match="shape"):
        build_segmentor(tiny()).loss(torch.randn(2, 3, 64, 64), torch.zeros(shape, dtype=torch.int64))


def test_label_that_is_no_class_is_refused():
    label = torch.zeros(2, 64, 64, dtype=torch.int64)
    label[1, 3, 4] = 19
    with pytest.raises(DataError, match="value 19"):
        build_segmentor(tiny()).loss(torch.randn(2, 3, 64, 64), label)


def test_losses_are_computed_in_float32():
    head = build_segmentor(tiny()).decode_head
    losses = head.losses(torch.full((1, 5, 8, 8), 300.0).half(), torch.zeros(1, 32, 32, dtype=torch.int64))
    assert losses["loss_ce"].dtype == torch.float32


# --- heads


def test_heads_choose_their_inputs():
    features = [torch.randn(1, 4, 8, 8), torch.randn(1, 6, 4, 4)]
    joined = build_head_of(in_channels=[4, 6], in_index=[0, 1], input_transform="resize_concat")
    assert joined.in_channels == 10
    expected = torch.cat([features[0], resize(features[1], (8, 8))], dim=1)
    assert_close(joined.select_inputs(features), expected)

    @HEADS.register_module("ListHeadOfTheTests")
    class ListHead(DecodeHead):
        pass

    listed = HEADS.build(
        {
            "type": "ListHeadOfTheTests",
            "in_channels": [4, 6],
            "in_index": [0, 1],
            "input_transform": "multiple_select",
            "channels": 4,
            "num_classes": 3,
        }
    )
    assert listed.select_inputs(features)[1] is features[1]
    assert build_head_of(in_channels=6, in_index=-1).select_inputs(features) is features[1]


def build_head_of(**arguments):
    return HEADS.build({"type": "FCNHead", "channels": 4, "num_classes": 3, **arguments})


@pytest.mark.parametrize("kind", ["FCNHead", "DepthwiseSeparableFCNHead"])
@pytest.mark.parametrize("num_convs", [1, 3])
@pytest.mark.parametrize("concat_input", [False, True])
def test_fcn_heads_keep_the_size(kind, num_convs, concat_input):
    head = HEADS.build(
        {
            "type": kind,
            "in_channels": 6,
            "channels": 4,
            "num_classes": 3,
            "num_convs": num_convs,
            "concat_input": concat_input,
            "dilation": 2,
        }
    ).eval()
    assert head([torch.randn(1, 6, 9, 11)]).shape == (1, 3, 9, 11)
    assert hasattr(head, "conv_cat") == concat_input
    assert len(head.convs) == num_convs


def test_fcn_head_without_convolutions_classifies_its_input():
    head = build_head_of(in_channels=4, num_convs=0, concat_input=False).eval()
    x = torch.randn(1, 4, 5, 5)
    assert_close(head([x]), head.conv_seg(x))
    assert list(head.state_dict()) == ["conv_seg.weight", "conv_seg.bias"]


def test_dropout_is_of_whole_channels_and_can_be_left_out():
    assert build_head_of(in_channels=4, dropout_ratio=0).dropout is None
    head = build_head_of(in_channels=4, dropout_ratio=0.5).train()
    dropped = head.dropout(torch.ones(8, 16, 3, 3)).flatten(2)
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    assert (dropped == dropped[..., :1]).all()


def test_a_sampler_chooses_the_pixels_of_the_loss():
    @PIXEL_SAMPLERS.register_module("FirstRowOfTheTests")
    class FirstRow:
        def __init__(self, context, rows):
            self.rows = rows

        def sample(self, logits, label):
            weight = torch.zeros_like(label, dtype=torch.float32)
            weight[:, : self.rows] = 1
            return weight

    logits, label = torch.randn(2, 3, 8, 8), torch.randint(0, 3, (2, 8, 8))
    some = build_head_of(in_channels=4, sampler={"type": "FirstRowOfTheTests", "rows": 2}).losses(logits, label)
    label[:, 2:] = 255
    rest_ignored = build_head_of(in_channels=4).losses(logits, label)
    assert some["loss_ce"].item() == pytest.approx(rest_ignored["loss_ce"].item(), rel=1e-5)


# --- inference


def test_inference_resizes_after_cutting_the_padding_off():
    model = fill(build_segmentor(tiny())).eval()
    image = torch.randn(1, 3, 64, 96)
    logits = model(image).detach()
    assert torch.equal(model.inference(image), logits)
    assert_close(model.inference(image, (30, 50)), resize(logits, (30, 50)))
    cut = model.inference(image, (30, 50), content_size=(60, 80))
    assert_close(cut, resize(logits[:, :, :60, :80], (30, 50)))
    assert not model.inference(image).requires_grad


@pytest.mark.parametrize(
    ("size", "crop", "stride"),
    [
        ((64, 96), (64, 64), (32, 32)),
        ((70, 101), (32, 64), (20, 30)),
        ((40, 50), (64, 64), (48, 48)),
        ((64, 64), (64, 64), (1, 1)),
    ],
)
def test_sliding_windows_are_the_definition(size, crop, stride):
    height, width = size

    def predict(image):  # depends on where in the window a pixel is
        position = torch.arange(image.shape[3], dtype=image.dtype)
        return torch.cat([image * 2, image[:, :1] + position], dim=1)

    image = torch.randn(2, 3, height, width)
    total, count = torch.zeros(2, 4, height, width), torch.zeros(height, width)
    rows = max(height - crop[0] + stride[0] - 1, 0) // stride[0] + 1
    columns = max(width - crop[1] + stride[1] - 1, 0) // stride[1] + 1
    for row, column in itertools.product(range(rows), range(columns)):
        top = max(min(row * stride[0] + crop[0], height) - crop[0], 0)
        left = max(min(column * stride[1] + crop[1], width) - crop[1], 0)
        bottom, right = min(top + crop[0], height), min(left + crop[1], width)
        total[:, :, top:bottom, left:right] += predict(image[:, :, top:bottom, left:right])
        count[top:bottom, left:right] += 1
    assert count.min() >= 1
    assert_close(slide(predict, image, crop, stride), total / count)


def test_windows_at_the_border_are_moved_back():
    found = [(rows.start, rows.stop, columns.start, columns.stop) for rows, columns in windows((5, 7), (4, 4), (4, 2))]
    assert found == [(0, 4, 0, 4), (0, 4, 2, 6), (0, 4, 3, 7), (1, 5, 0, 4), (1, 5, 2, 6), (1, 5, 3, 7)]


def test_slide_mode_uses_the_windows_of_test_cfg():
    model = fill(build_segmentor(tiny(test_cfg={"mode": "slide", "crop_size": (48, 48), "stride": [32, 32]}))).eval()
    image = torch.randn(1, 3, 80, 90)
    expected = slide(model, image, (48, 48), (32, 32)).detach()
    assert_close(model.inference(image), expected)
    assert_close(model.inference(image, (40, 45)), resize(expected, (40, 45)))


@pytest.mark.parametrize("one_channel", [False, True])
def test_views_give_the_mean_of_the_probabilities(one_channel):
    sigmoid = {"type": "CrossEntropyLoss", "use_sigmoid": True}
    cfg = with_head(num_classes=2, out_channels=1, loss_decode=sigmoid) if one_channel else tiny()
    model = fill(build_segmentor(cfg)).eval()
    model.decode_head.conv_seg.weight.data.mul_(0.1)
    image = torch.randn(2, 3, 64, 64)
    views = [image, resize(image, (96, 96)).flip(3), image.flip(2)]
    found = model.inference_views(views, [None, "horizontal", "vertical"], (50, 60))
    expected = [
        model.probabilities(model.inference(views[0], (50, 60))),
        model.probabilities(model.inference(views[1], (50, 60))).flip(3),
        model.probabilities(model.inference(views[2], (50, 60))).flip(2),
    ]
    mean = torch.stack(expected).mean(dim=0)
    assert found.shape == (2, 1 if one_channel else 5, 50, 60)
    assert_close(model.probabilities(found), mean, rtol=1e-4, atol=1e-6)


def test_views_that_are_certain_stay_finite():
    model = fill(build_segmentor(tiny())).eval()
    model.decode_head.conv_seg.weight.data.mul_(1e6)
    assert torch.isfinite(model.inference_views([torch.randn(1, 3, 64, 64)] * 2, [None, None], (64, 64))).all()


@pytest.mark.parametrize(
    ("images", "flips"), [([], []), ([torch.zeros(1, 3, 64, 64)], []), ([torch.zeros(1, 3, 64, 64)], ["up"])]
)
def test_wrong_views_are_refused(images, flips):
    with pytest.raises(DataError):
        build_segmentor(tiny()).eval().inference_views(images, flips, (8, 8))


def test_probabilities_and_class_map():
    model = build_segmentor(tiny())
    logits = torch.randn(2, 5, 7, 9)
    probabilities = model.probabilities(logits)
    assert_close(probabilities.sum(dim=1), torch.ones(2, 7, 9))
    assert_close(probabilities.log() - probabilities.log()[:, :1], logits - logits[:, :1])
    for memory_format in (torch.contiguous_format, torch.channels_last):
        found = model.class_map(logits.contiguous(memory_format=memory_format))
        assert found.dtype == torch.int64
        np.testing.assert_array_equal(found.numpy(), logits.numpy().argmax(axis=1))
    assert not model.class_map(torch.zeros(1, 5, 4, 4)).any()


def test_one_channel_has_two_classes_and_a_threshold():
    sigmoid = {"type": "CrossEntropyLoss", "use_sigmoid": True}
    model = build_segmentor(with_head(num_classes=2, out_channels=1, loss_decode=sigmoid))
    logits = torch.logit(torch.tensor([0.1, 0.29, 0.31, 0.9])).view(1, 1, 2, 2)
    assert model.class_map(logits).tolist() == [[[0, 0], [1, 1]]]
    assert_close(model.probabilities(logits)[0, :, 0, 0], torch.tensor([0.9, 0.1]))
    assert (model.num_classes, model.out_channels) == (2, 1)
    losses = model.loss(torch.randn(2, 3, 64, 64), torch.randint(0, 2, (2, 64, 64)))
    total_loss(losses).backward()
    higher = build_segmentor(with_head(num_classes=2, out_channels=1, threshold=0.5, loss_decode=sigmoid))
    assert higher.class_map(logits).tolist() == [[[0, 0], [0, 1]]]


# --- what later networks build on


def test_a_cascade_overrides_only_how_features_become_logits():
    class Cascade(EncoderDecoder):
        def _build_decode_head(self, cfg):
            return torch.nn.ModuleList(HEADS.build(head) for head in cfg)

        @property
        def final_head(self):
            return self.decode_head[-1]

        def _decode(self, features):
            return self.decode_head[-1](features) + self.decode_head[0](features)

        def _decode_losses(self, features, label):
            return {
                f"decode_{index}.{name}": value
                for index, head in enumerate(self.decode_head)
                for name, value in head.loss(features, label).items()
            }

    cfg = tiny()
    model = Cascade(backbone=cfg["backbone"], decode_head=[cfg["decode_head"]] * 2)
    losses = model.loss(torch.randn(2, 3, 64, 64), torch.randint(0, 5, (2, 64, 64)))
    assert list(losses) == ["decode_0.loss_ce", "decode_0.acc_seg", "decode_1.loss_ce", "decode_1.acc_seg"]
    assert model.eval().inference(torch.randn(1, 3, 64, 64), (32, 32)).shape == (1, 5, 32, 32)
    assert model.num_classes == 5


def test_arguments_of_base_classes_are_known_to_the_registry():
    @BACKBONES.register_module("ChildOfTheTests")
    class Child(BACKBONES.get("FastSCNN")):
        def __init__(self, *, extra, **kwargs):
            super().__init__(**kwargs)
            self.extra = extra

    assert isinstance(BACKBONES.build({"type": "ChildOfTheTests", "extra": 1, "align_corners": True}), BaseModule)
    with pytest.raises(ConfigError, match="extra"):
        BACKBONES.build({"type": "ChildOfTheTests"})
    with pytest.raises(ConfigError, match="align_corners"):
        BACKBONES.build({"type": "ChildOfTheTests", "extra": 1, "align_corner": True})
