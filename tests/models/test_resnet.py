"""ResNet, its variants and ResNeXt: shapes, dilations, values, what is trained, initial weights."""

import numpy as np
import pytest
import torch
import torch.nn as nn

from mmseg.engine.initial_weights import load_pretrained_parts
from mmseg.errors import ConfigError
from mmseg.models import build_backbone
from mmseg.models.layers import BasicBlock, Bottleneck, ResLayer
from tests.models.configs import assert_close, fill, tiny

NARROW = {"stem_channels": 16, "base_channels": 16}
D8 = {"strides": (1, 2, 1, 1), "dilations": (1, 1, 2, 4)}
D16 = {"strides": (1, 2, 2, 1), "dilations": (1, 1, 1, 2)}


def resnet(depth=18, type="ResNet", **arguments):
    return build_backbone({"type": type, "depth": depth, **NARROW, **arguments})


def image(height=65, width=97):
    return torch.from_numpy(np.random.RandomState(0).standard_normal((1, 3, height, width)).astype(np.float32))


@pytest.mark.parametrize(
    ("arguments", "shape", "entries", "mean", "deviation"),
    [
        (dict(), (128, 3, 4), 120, 7.97398, 9.80891),
        (dict(depth=34), (128, 3, 4), 216, 187.657, 215.241),
        (dict(depth=50, style="caffe"), (512, 3, 4), 318, 217.799, 262.747),
        (dict(type="ResNetV1c", depth=50, contract_dilation=True, **D8), (512, 9, 13), 330, 132.347, 154.838),
        (dict(type="ResNetV1d", depth=50, contract_dilation=True, **D8), (512, 9, 13), 330, 98.017, 117.182),
        (dict(type="ResNetV1d", **D8), (128, 9, 13), 132, 9.55042, 12.0987),
        (dict(avg_down=True), (128, 3, 4), 120, 8.92996, 11.3455),
        (
            dict(type="ResNetV1c", depth=50, multi_grid=(1, 2, 4), contract_dilation=True, **D16),
            (512, 5, 7),
            330,
            121.108,
            138.759,
        ),
        (
            dict(depth=101, num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(2,)),
            (256, 5, 7),
            564,
            37023.8,
            48805.4,
        ),
        (dict(norm_cfg={"type": "GN", "num_groups": 8}), (128, 3, 4), 60, 0.795512, 0.987085),
        (dict(type="ResNeXt", depth=50, groups=4, base_width=5), (512, 3, 4), 318, 148.837, 176.224),
        (
            dict(type="ResNeXt", depth=50, groups=8, base_width=2, style="caffe", contract_dilation=True, **D8),
            (512, 9, 13),
            318,
            157.344,
            183.986,
        ),
        (dict(type="ResNeXt", depth=50), (512, 3, 4), 318, 220.925, 267.229),
    ],
)
def test_the_last_output_is_that_of_mmsegmentation(arguments, shape, entries, mean, deviation):
    """With the weights of the reference data; measured from mmsegmentation 0.27."""
    model = fill(resnet(**arguments)).eval()
    assert len(model.state_dict()) == entries
    with torch.no_grad():
        output = model(image())[-1].double()
    assert output.shape == (1, *shape)
    assert output.mean().item() == pytest.approx(mean, rel=1e-4)
    assert output.std(unbiased=False).item() == pytest.approx(deviation, rel=1e-4)


@pytest.mark.parametrize("depth", [18, 50])
def test_outputs_of_the_stages(depth):
    expansion = 4 if depth == 50 else 1
    shapes = [tuple(output.shape[1:]) for output in resnet(depth)(image(64, 96))]
    assert shapes == [(16 * 2**i * expansion, 16 // 2**i, 24 // 2**i) for i in range(4)]
    dilated = [tuple(output.shape[2:]) for output in resnet(depth, **D8)(image(64, 96))]
    assert dilated == [(16, 24), (8, 12), (8, 12), (8, 12)]


def test_out_indices_choose_the_outputs():
    every, chosen = fill(resnet()).eval(), fill(resnet(out_indices=(1, 3))).eval()
    outputs = every(image())
    for found, expected in zip(chosen(image()), (outputs[1], outputs[3])):
        assert_close(found, expected)
    assert len(chosen(image())) == 2


def test_names_in_checkpoints():
    names = {name for name, _ in resnet(50).named_parameters()}
    assert {"conv1.weight", "bn1.bias", "layer1.0.downsample.0.weight", "layer4.2.conv3.weight"} <= names
    names = {name for name, _ in resnet(50, "ResNetV1d").named_parameters()}
    assert {"stem.0.weight", "stem.4.bias", "stem.6.weight", "layer1.0.downsample.1.weight"} <= names
    assert "gn2.weight" in BasicBlock(8, 8, norm_cfg={"type": "GN", "num_groups": 2}).state_dict()


def test_style_decides_which_convolution_strides():
    def strides(style):
        block = resnet(50, style=style).layer2[0]
        return block.conv1.stride, block.conv2.stride

    assert strides("pytorch") == ((1, 1), (2, 2))
    assert strides("caffe") == ((2, 2), (1, 1))


@pytest.mark.parametrize(
    ("arguments", "last"),
    [
        (dict(**D8), [4, 4, 4]),
        (dict(contract_dilation=True, **D8), [2, 4, 4]),
        (dict(contract_dilation=True), [1, 1, 1]),
        (dict(contract_dilation=True, multi_grid=(1, 2, 4), **D16), [1, 2, 4]),
    ],
)
def test_dilations_of_the_last_stage(arguments, last):
    model = resnet(50, **arguments)
    assert [block.conv2.dilation[0] for block in model.layer4] == last
    assert [block.conv2.dilation[0] for block in model.layer1] == [1, 1, 1]


def test_resnext_has_groups_of_twice_the_width_in_each_stage():
    model = build_backbone({"type": "ResNeXt", "depth": 50, "groups": 32, "base_width": 4})
    convolutions = [getattr(model, f"layer{stage}")[1].conv2 for stage in (1, 2, 3, 4)]
    assert [(conv.groups, conv.out_channels) for conv in convolutions] == [(32, 128 * 2**i) for i in range(4)]


# --- training


def test_frozen_stages_stay_as_they_are():
    for variant, stem in (("ResNet", ["conv1", "bn1"]), ("ResNetV1c", ["stem"])):
        model = resnet(type=variant, frozen_stages=1).train()
        frozen = {name.split(".")[0] for name, value in model.named_parameters() if not value.requires_grad}
        assert frozen == {*stem, "layer1"}
        norms = [(name, m.training) for name, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)]
        assert all(training != name.startswith((*stem, "layer1")) for name, training in norms)
    assert all(value.requires_grad for value in resnet().parameters())
    assert {n.split(".")[0] for n, v in resnet(frozen_stages=0).named_parameters() if not v.requires_grad} == {
        "conv1",
        "bn1",
    }


def test_norm_eval_keeps_the_running_statistics():
    for norm_eval in (True, False):
        model = resnet(norm_eval=norm_eval).train()
        before = model.layer4[1].bn2.running_mean.clone()
        model(image())
        assert torch.equal(model.layer4[1].bn2.running_mean, before) == norm_eval
        assert model.training and model.layer1.training


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
def test_recomputed_activations_give_the_same_gradients(block):
    results = []
    for with_cp in (False, True):
        stage = fill(ResLayer(block, 8, 8, 2, stride=2, with_cp=with_cp)).eval()
        calls = []
        stage[0].conv1.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        x = torch.linspace(-1, 1, 8 * 81).reshape(1, 8, 9, 9).requires_grad_()
        stage(x).pow(2).mean().backward()
        assert len(calls) == (2 if with_cp else 1)
        results.append([x.grad, *(value.grad for value in stage.parameters())])
    for recomputed, kept in zip(*results):
        assert_close(recomputed, kept)


# --- initial weights


@pytest.mark.parametrize(("depth", "last"), [(18, "bn2"), (50, "bn3")])
def test_blocks_begin_as_identity(depth, last):
    for zero, arguments in ((True, {}), (False, {"zero_init_residual": False})):
        model = resnet(depth, **arguments)
        model.init_weights()
        scales = [getattr(block, last).weight for block in [*model.layer1, *model.layer4]]
        assert all(torch.equal(scale, torch.full_like(scale, 0.0 if zero else 1.0)) for scale in scales)
        assert (model.bn1.weight == 1).all() and (model.layer1[0].bn1.weight == 1).all()
    stage = model.layer1[1]
    assert stage.conv1.weight.std().item() == pytest.approx((2 / stage.conv1.weight[:, 0].numel()) ** 0.5, rel=0.2)


def test_an_own_init_cfg_replaces_the_published_one():
    model = resnet(init_cfg={"type": "Constant", "val": 0.5, "layer": ["Conv2d", "BatchNorm2d"]})
    model.init_weights()
    assert (model.layer2[0].bn2.weight == 0.5).all() and (model.conv1.weight == 0.5).all()


def test_pretrained_weights_are_read_from_the_file(tmp_path):
    file = tmp_path / "resnet.pth"
    source = fill(resnet())
    torch.save({"state_dict": {f"backbone.{name}": value for name, value in source.state_dict().items()}}, file)
    model = resnet(init_cfg={"type": "Pretrained", "checkpoint": str(file), "prefix": "backbone."})
    model.init_weights()
    assert (model.layer1[0].bn2.weight == 0).all()
    load_pretrained_parts(model)
    assert all(torch.equal(value, source.state_dict()[name]) for name, value in model.state_dict().items())

    torch.save({"state_dict": source.state_dict()}, file)
    model = resnet(pretrained=str(file))
    load_pretrained_parts(model)
    assert torch.equal(model.conv1.weight, source.conv1.weight)


# --- configs


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (dict(depth=20), "depth is one of 18, 34, 50, 101, 152"),
        (dict(type="ResNeXt", depth=18), "depth is one of 50, 101, 152"),
        (dict(type="ResNeXt", depth=50, groups=0), "groups"),
        (dict(num_stages=5), "num_stages"),
        (dict(num_stages=3), "strides are 3"),
        (dict(strides=(1, 2, 2)), "strides are 4"),
        (dict(dilations=(1, 1, 1, 0)), "dilations are 4"),
        (dict(out_indices=(0, 4)), "out_indices are of 0 to 3"),
        (dict(style="tensorflow"), "style"),
        (dict(frozen_stages=5), "frozen_stages"),
        (dict(dcn={"type": "DCN"}), "deformable convolutions"),
        (dict(stage_with_dcn=(False, False, True, True)), "deformable convolutions"),
        (dict(plugins=[{"cfg": {"type": "ContextBlock"}}]), "plugins"),
        (dict(multi_grid=(1,)), "multi_grid has 1 entries for a stage of 2 blocks"),
        (dict(pretrained="a.pth", init_cfg={"type": "Pretrained", "checkpoint": "b.pth"}), "not both"),
        (dict(type="ResNetV1c", deep_stem=False), "ResNetV1c has deep_stem=True"),
        (dict(type="ResNetV1d", avg_down=False), "ResNetV1d has avg_down=True"),
        (dict(type="ResNetV1c", norm_evl=True), "did you mean 'norm_eval'"),
        (dict(norm_cfg={"type": "BatchNorm"}), "BatchNorm"),
    ],
)
def test_a_wrong_config_is_refused_by_name(change, said):
    with pytest.raises(ConfigError, match=said):
        resnet(**change)


def test_the_depth_must_be_given():
    cfg = tiny(backbone={"type": "ResNetV1c"})
    with pytest.raises(ConfigError, match="depth"):
        build_backbone(cfg["backbone"])
