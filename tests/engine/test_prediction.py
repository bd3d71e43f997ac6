import numpy as np
import pytest
import torch
from torch import nn

from mmseg.datasets import TestBatch as Batch
from mmseg.engine.dropout_passes import DropoutEnsemble, dropout_passes, own_randomness
from mmseg.engine.prediction import FlipEnsemble, batch_predictions
from mmseg.errors import ConfigError
from mmseg.models import BACKBONES, build_segmentor
from mmseg.models.layers.drop_path import DropPath
from tests.engine.tiny import model_cfg
from tests.models.configs import fill, tiny
from tests.models.hrnet_configs import tiny_ocrnet

SIGMOID = dict(num_classes=2, out_channels=1, loss_decode=dict(type="CrossEntropyLoss", use_sigmoid=True))
SLIDE = dict(mode="slide", crop_size=(24, 24), stride=(16, 16))


@BACKBONES.register_module()
class DroppingBackbone(nn.Module):
    """A convolution with stride 4, then what drops."""

    def __init__(self, drop):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=4, padding=1)
        self.drop = DropPath(0.5) if drop == "path" else nn.Dropout(0.5)

    def forward(self, image):
        return [self.drop(self.conv(image))]


def make_model(test_cfg=None, head=None, **options):
    cfg = model_cfg(norm=True, **options)
    cfg["decode_head"].update(head or {})
    torch.manual_seed(0)
    return build_segmentor({**cfg, "test_cfg": test_cfg or dict(mode="whole")}).eval()


def make_batch(views=1, flips=None, count=3, size=(40, 48), first_index=0):
    """Images of two original sizes, of which some are padded."""
    generator = torch.Generator().manual_seed(1)
    images = [torch.randn(count, 3, *size, generator=generator) for _ in range(views)]
    contents = [size, (size[0] - 6, size[1]), (size[0], size[1] - 9)]
    originals = [(80, 96), (50, 33), size]
    metas = [
        [
            {
                "ori_shape": (*originals[image % 3], 3),
                "img_shape": (*contents[image % 3], 3),
                "flip": bool(flips and flips[view]),
                "flip_direction": flips[view] if flips and flips[view] else "horizontal",
            }
            for image in range(count)
        ]
        for view in range(views)
    ]
    return Batch(list(range(first_index, first_index + count)), images, metas, [None] * count)


def sizes(batch, position, view=0):
    meta = batch.metas[view][position]
    return meta["ori_shape"][:2], meta["img_shape"][:2]


def probabilities(logits):
    return torch.softmax(logits.tensor(), dim=0).numpy()


@pytest.mark.parametrize("test_cfg", [None, SLIDE])
@pytest.mark.parametrize("head", [None, SIGMOID])
@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_equals_inference_of_each_image(test_cfg, head, at_once):
    model, batch = make_model(test_cfg, head), make_batch()
    found = list(batch_predictions(model, batch, "cpu", at_once=at_once))
    assert [prediction.position for prediction in found] == [0, 1, 2]
    for prediction in found:
        position = prediction.position
        size, content = sizes(batch, position)
        logits = model.inference(batch.images[0][position : position + 1], size, content)
        expected = model.probabilities(logits)[0].numpy()
        np.testing.assert_allclose(probabilities(prediction.logits), expected, rtol=1e-4, atol=1e-5)
        same = prediction.logits.class_map().long() == model.class_map(logits)[0]
        assert same.double().mean() > 0.999
        assert prediction.logits.size == size and prediction.features is None


def test_two_classes_in_one_channel_keep_their_threshold():
    model, batch = make_model(head={**SIGMOID, "threshold": 0.45}), make_batch()
    for prediction in batch_predictions(model, batch, "cpu"):
        expected = prediction.logits.tensor().softmax(0)[1] > 0.45
        assert prediction.logits.channels == 2
        assert (prediction.logits.class_map().bool() == expected).double().mean() > 0.999


@pytest.mark.parametrize("head", [None, SIGMOID])
def test_the_mean_of_several_views(head):
    flips = [None, "horizontal", "vertical"]
    model, batch = make_model(head=head), make_batch(views=3, flips=flips)
    for prediction in batch_predictions(model, batch, "cpu"):
        position = prediction.position
        size, content = sizes(batch, position)
        images = [view[position : position + 1] for view in batch.images]
        expected = model.probabilities(model.inference_views(images, flips, size, [content] * 3))[0]
        np.testing.assert_allclose(probabilities(prediction.logits), expected.numpy(), rtol=1e-4, atol=1e-5)
        assert len(prediction.logits.members()) == 3


@pytest.mark.parametrize(("at_once", "batches"), [(None, [1, 1, 1, 1, 1, 1]), (2, [2, 2, 1, 1]), (5, [3, 3])])
def test_images_go_through_the_network_together_once_a_view(at_once, batches):
    model, batch = make_model(), make_batch(views=2)
    shapes = []
    model.backbone.register_forward_pre_hook(lambda _, inputs: shapes.append(tuple(inputs[0].shape)))
    predictions = batch_predictions(model, batch, "cpu", at_once=at_once)
    assert [prediction.position for prediction in predictions] == [0, 1, 2]
    assert shapes == [(count, 3, 40, 48) for count in batches]


def test_on_a_cpu_an_image_does_not_depend_on_those_beside_it():
    model, batch = make_model(), make_batch()
    for prediction in batch_predictions(model, batch, "cpu"):
        image = batch.images[0][prediction.position : prediction.position + 1]
        (alone,) = batch_predictions(
            model, batch._replace(indices=[7], images=[image], metas=[[batch.metas[0][prediction.position]]]), "cpu"
        )
        assert torch.equal(prediction.logits.tensor(), alone.logits.tensor())


# --- flips


def test_flips_are_the_image_and_its_mirror_image():
    model, batch = make_model(), make_batch()
    for prediction in batch_predictions(model, batch, "cpu", ensemble=FlipEnsemble()):
        size, (height, width) = sizes(batch, prediction.position)
        image = batch.images[0][prediction.position : prediction.position + 1]
        mirrored = image.clone()
        mirrored[:, :, :height, :width] = image[:, :, :height, :width].flip(3)
        plain = model.inference(image, size, (height, width))[0]
        back = model.inference(mirrored, size, (height, width))[0].flip(2)
        first, second = prediction.logits.members()
        np.testing.assert_allclose(first.tensor().numpy(), plain.numpy(), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(second.tensor().numpy(), back.numpy(), rtol=1e-4, atol=1e-5)
        assert (plain - back).abs().max() > 1e-3
        mean = (plain.softmax(0) + back.softmax(0)) / 2
        np.testing.assert_allclose(probabilities(prediction.logits), mean.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("flips, members", [([None, None], 4), ([None, "horizontal"], 2)])
def test_every_view_gets_a_mirror_image_unless_the_pipeline_flips(flips, members):
    predictions = batch_predictions(make_model(), make_batch(views=2, flips=flips), "cpu", ensemble=FlipEnsemble())
    assert {len(prediction.logits.members()) for prediction in predictions} == {members}


# --- dropout


def with_dropout(model, batch, seed=5, samples=4, **options):
    return list(batch_predictions(model, batch, "cpu", ensemble=DropoutEnsemble(samples, seed), **options))


def test_samples_with_dropout_differ_and_are_averaged():
    model, batch = make_model(), make_batch()
    plain = list(batch_predictions(model, batch, "cpu"))
    for prediction, undropped in zip(with_dropout(model, batch), plain):
        members = [probabilities(member) for member in prediction.logits.members()]
        assert len(members) == 4
        # Of eight channels, two samples may drop the same ones.
        assert len({member.tobytes() for member in members}) >= 3
        assert all(np.abs(member - probabilities(undropped.logits)).max() > 1e-5 for member in members)
        np.testing.assert_allclose(probabilities(prediction.logits), np.mean(members, axis=0), rtol=1e-4, atol=1e-6)


def test_a_batch_always_gets_the_same_samples_and_other_randomness_goes_on():
    model = make_model()
    first = with_dropout(model, make_batch())
    torch.manual_seed(123)
    expected = torch.rand(3)
    torch.manual_seed(123)
    again = with_dropout(model, make_batch())
    assert torch.equal(torch.rand(3), expected)
    elsewhere = with_dropout(model, make_batch(first_index=3))
    other_seed = with_dropout(model, make_batch(), seed=6)
    for number, prediction in enumerate(first):
        logits = prediction.logits.tensor()
        assert torch.equal(again[number].logits.tensor(), logits)
        assert not torch.equal(elsewhere[number].logits.tensor(), logits)
        assert not torch.equal(other_seed[number].logits.tensor(), logits)


def test_only_dropout_is_switched_on_and_only_for_the_samples():
    model = make_model()
    modes, before = [], {name: value.clone() for name, value in model.state_dict().items()}
    model.backbone.bn.register_forward_hook(lambda module, *_: modes.append(("norm", module.training)))
    model.decode_head.dropout.register_forward_hook(lambda module, *_: modes.append(("dropout", module.training)))
    with_dropout(model, make_batch(), features=True, at_once=3)
    # Once for the features, without dropout; then the features of the samples once, and the head for each.
    once = [("norm", False)]
    assert modes == [*once, ("dropout", False), *once, *[("dropout", True)] * 4]
    assert not any(module.training for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("drop", ["path", "dropout"])
def test_dropout_in_the_backbone_is_sampled_too(drop):
    cfg = model_cfg(dropout_ratio=0)
    cfg["backbone"] = dict(type="DroppingBackbone", drop=drop)
    model = build_segmentor(cfg).eval()
    calls = []
    model.backbone.register_forward_hook(lambda *_: calls.append(model.backbone.drop.training))
    (found,) = with_dropout(model, make_batch(count=1), samples=6)
    assert calls == [True] * 6
    maps = [member.tensor() for member in found.logits.members()]
    assert any(not torch.equal(maps[0], other) for other in maps[1:])


def test_dropout_of_sliding_windows_and_of_several_views():
    model = make_model(SLIDE)
    (found,) = with_dropout(model, make_batch(views=2, flips=[None, "horizontal"], count=1))
    members = found.logits.members()
    # A sample is the mean over the views.
    assert [len(member.members()) for member in members] == [2] * 4
    np.testing.assert_allclose(
        probabilities(found.logits),
        np.mean([probabilities(member) for member in members], axis=0),
        rtol=1e-4,
        atol=1e-6,
    )


def test_a_model_without_dropout_is_refused():
    with pytest.raises(ConfigError, match="no dropout.*dropout_ratio above 0"):
        with_dropout(make_model(dropout_ratio=0), make_batch())
    with pytest.raises(ConfigError, match="at least 2, not 1"):
        DropoutEnsemble(1, 0)


def test_the_model_is_as_before_when_a_pass_fails():
    model = make_model()
    model.decode_head.conv_seg.register_forward_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError), own_randomness("cpu", 1, 2):
        list(dropout_passes(model, torch.zeros(1, 3, 8, 8), 2))
    assert not model.decode_head.dropout.training


# --- features


def test_features_are_the_mean_of_what_the_classifier_sees_in_the_content():
    model, batch = make_model(), make_batch()
    seen = []
    handle = model.decode_head.conv_seg.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].clone()))
    found = list(batch_predictions(model, batch, "cpu", features=True, at_once=3))
    handle.remove()
    (maps,) = seen
    assert maps.shape == (3, 8, 20, 24)
    # Stride 2: rows and columns whose centres lie in the content of 40 x 48, 34 x 48 and 40 x 39 pixels.
    for prediction, (height, width) in zip(found, [(20, 24), (17, 24), (20, 20)]):
        expected = maps[prediction.position, :, :height, :width].mean((1, 2))
        assert prediction.features.dtype == torch.float32
        np.testing.assert_allclose(prediction.features.numpy(), expected.numpy(), rtol=1e-5, atol=1e-6)
    assert not model.decode_head.conv_seg._forward_pre_hooks


def test_asking_for_features_changes_no_logits():
    model, batch = make_model(), make_batch(views=2)
    plain = list(batch_predictions(model, batch, "cpu"))
    for one, other in zip(plain, batch_predictions(model, batch, "cpu", features=True)):
        assert torch.equal(one.logits.tensor(), other.logits.tensor())


def test_features_are_of_the_first_view_and_without_dropout():
    model = make_model()
    expected = [prediction.features for prediction in batch_predictions(model, make_batch(), "cpu", features=True)]
    for ensemble in (None, FlipEnsemble(), DropoutEnsemble(2, 0)):
        batch = make_batch(views=2)
        found = batch_predictions(model, batch, "cpu", features=True, ensemble=ensemble)
        for prediction, features in zip(found, expected):
            assert torch.equal(prediction.features, features)


def test_features_of_sliding_windows():
    model, batch = make_model(SLIDE), make_batch()
    seen = []
    handle = model.decode_head.conv_seg.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].clone()))
    found = list(batch_predictions(model, batch, "cpu", features=True, at_once=3))
    handle.remove()
    # Windows of 24 x 24 begin at rows 0 and 16, at columns 0, 16 and 24; a feature has two pixels.
    corners = [(top, left) for top in (0, 16) for left in (0, 16, 24)]
    assert len(seen) == len(corners)
    for prediction in found:
        _, (height, width) = sizes(batch, prediction.position)
        pixels = [
            maps[prediction.position, :, y, x].numpy()
            for maps, (top, left) in zip(seen, corners)
            for y in range(12)
            for x in range(12)
            if top + 2 * y + 1 <= height and left + 2 * x + 1 <= width
        ]
        np.testing.assert_allclose(prediction.features.numpy(), np.mean(pixels, axis=0), rtol=1e-4, atol=1e-6)


def tiny_point_rend():
    cfg = tiny_ocrnet()
    cfg["decode_head"][1] = dict(
        type="PointHead", in_channels=[4], in_index=[0], channels=6, num_classes=5, dropout_ratio=-1
    )
    steps = dict(subdivision_steps=2, subdivision_num_points=30, scale_factor=2)
    return fill(build_segmentor({**cfg, "test_cfg": steps})).eval()


@pytest.mark.parametrize(
    "build, head", [(lambda: fill(build_segmentor(tiny_ocrnet())).eval(), 1), (tiny_point_rend, 0)]
)
def test_features_and_logits_of_a_cascade(build, head):
    model, batch = build(), make_batch(count=1, size=(64, 64))
    classifier = model.decode_head[head].conv_seg
    seen = []
    classifier.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].clone()))
    (found,) = batch_predictions(model, batch, "cpu", features=True)
    np.testing.assert_allclose(found.features.numpy(), seen[0][0].mean((1, 2)).numpy(), rtol=1e-4, atol=1e-6)
    expected = model.inference(batch.images[0], (80, 96), (64, 64))[0]
    np.testing.assert_allclose(found.logits.tensor().numpy(), expected.numpy(), rtol=1e-4, atol=1e-4)


def test_a_head_without_features_is_refused():
    model = fill(build_segmentor(tiny())).eval()
    del model.decode_head.conv_seg
    with pytest.raises(ConfigError, match="FCNHead has no conv_seg"):
        list(batch_predictions(model, make_batch(size=(64, 64)), "cpu", features=True))
    model = fill(build_segmentor(tiny())).eval()
    classify = model.decode_head.cls_seg
    model.decode_head.cls_seg = lambda features: classify(features) + classify(features)
    with pytest.raises(ConfigError, match="in 1 parts, but did it in 2"):
        list(batch_predictions(model, make_batch(size=(64, 64)), "cpu", features=True))
