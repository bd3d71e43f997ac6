"""ConvNeXt: published names and shapes, and numbers of mmcls 0.23.2 with the weights of the reference data."""

import numpy as np
import pytest
import torch

from mmseg.errors import ConfigError
from mmseg.models import build_backbone, build_segmentor
from tests.models.configs import assert_close, fill
from tests.models.reference_numbers import assert_published_layout
from tests.reference_data import needs_reference

TINY = {
    "type": "mmcls.ConvNeXt",
    "arch": {"depths": [1, 1, 2, 1], "channels": [8, 16, 24, 32]},
    "out_indices": [0, 1, 2, 3],
    "gap_before_final_norm": False,
}


def upernet(arch, channels):
    """The published UPerNet on ConvNeXt for ADE20K."""
    norm_cfg = {"type": "SyncBN", "requires_grad": True}
    return {
        "type": "EncoderDecoder",
        "backbone": {
            "type": "mmcls.ConvNeXt",
            "arch": arch,
            "out_indices": [0, 1, 2, 3],
            "drop_path_rate": 0.4,
            "layer_scale_init_value": 1.0,
            "gap_before_final_norm": False,
        },
        "decode_head": {
            "type": "UPerHead",
            "in_channels": channels,
            "in_index": [0, 1, 2, 3],
            "pool_scales": (1, 2, 3, 6),
            "channels": 512,
            "num_classes": 150,
            "norm_cfg": norm_cfg,
        },
        "auxiliary_head": {
            "type": "FCNHead",
            "in_channels": channels[2],
            "in_index": 2,
            "channels": 256,
            "num_convs": 1,
            "concat_input": False,
            "num_classes": 150,
            "norm_cfg": norm_cfg,
        },
    }


@needs_reference
def test_state_dict_has_the_published_names_and_shapes_in_order():
    model = build_segmentor(upernet("base", [128, 256, 512, 1024]))
    assert_published_layout(model, "convnext/upernet_convnext_base_fp16_512x512_160k_ade20k.py")


@pytest.mark.parametrize("name, depth", [("tiny", 9), ("small", 27)])
def test_architectures_by_name(name, depth):
    backbone = build_backbone({"type": "ConvNeXt", "arch": name})
    assert [len(stage) for stage in backbone.stages] == [3, 3, depth, 3]
    assert [stage[0].depthwise_conv.in_channels for stage in backbone.stages] == [96, 192, 384, 768]


@pytest.mark.parametrize("linear", [True, False])
def test_maps_and_gradients_are_the_measured_ones(linear):
    backbone = fill(build_backbone({**TINY, "linear_pw_conv": linear})).eval()
    image = torch.from_numpy(np.random.RandomState(0).standard_normal((2, 3, 64, 96)).astype(np.float32))
    maps = backbone(image)
    assert [tuple(x.shape) for x in maps] == [(2, 8, 16, 24), (2, 16, 8, 12), (2, 24, 4, 6), (2, 32, 2, 3)]
    norms = [x.detach().norm().item() for x in maps]
    assert norms == pytest.approx([83.8452, 56.342106, 33.570755, 19.555573], rel=1e-5)
    assert maps[2][0, :3, 1, 2].tolist() == pytest.approx([-0.218352, -0.180387, 1.393935], rel=1e-4)
    assert maps[3][0, :3, 1, 2].tolist() == pytest.approx([0.955665, -1.542297, -0.200356], rel=1e-4)
    factors = [np.random.RandomState(3).standard_normal(tuple(x.shape)).astype(np.float32) for x in maps]
    sum((x * torch.from_numpy(factor)).sum() for x, factor in zip(maps, factors)).backward()
    squares = sum(parameter.grad.double().pow(2).sum() for parameter in backbone.parameters())
    assert float(squares) ** 0.5 == pytest.approx(805.71836, rel=1e-5)


def test_channels_last_gives_the_same():
    backbone = fill(build_backbone(TINY)).eval()
    image = torch.randn(2, 3, 64, 96)
    plain = backbone(image)
    backbone.to(memory_format=torch.channels_last)
    for ours, theirs in zip(backbone(image.contiguous(memory_format=torch.channels_last)), plain):
        assert_close(ours, theirs, atol=1e-4)


def test_other_normalisation_without_layer_scale():
    cfg = {**TINY, "norm_cfg": {"type": "BN"}, "layer_scale_init_value": 0}
    names = build_backbone(cfg).state_dict()
    assert "stages.0.0.gamma" not in names and "norm3.running_mean" in names
    linear = fill(build_backbone(cfg)).eval()
    convolved = build_backbone({**cfg, "linear_pw_conv": False}).eval()
    shapes = {name: value.shape for name, value in convolved.state_dict().items()}
    convolved.load_state_dict({name: value.view(shapes[name]) for name, value in linear.state_dict().items()})
    image = torch.randn(1, 3, 64, 64)
    for ours, theirs in zip(linear(image), convolved(image)):
        assert_close(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("out_indices, expected", [(-1, (3,)), ([1, -1], (1, 3)), (0, (0,))])
def test_stages_asked_for(out_indices, expected):
    backbone = build_backbone({**TINY, "out_indices": out_indices})
    assert backbone.out_indices == expected
    assert [name for name, _ in backbone.named_children() if "norm" in name] == [f"norm{index}" for index in expected]
    assert len(backbone(torch.randn(1, 3, 64, 64))) == len(expected)


def test_frozen_stages_stay_as_they_are():
    backbone = build_backbone({**TINY, "frozen_stages": 2, "norm_cfg": {"type": "BN"}}).train()
    trained = {name.split(".")[1] for name, p in backbone.named_parameters() if p.requires_grad and "norm" not in name}
    assert trained == {"2", "3"}
    assert not backbone.stages[1].training and backbone.stages[2].training
    before = backbone.downsample_layers[0][1].running_mean.clone()
    backbone(torch.randn(2, 3, 64, 64))
    assert torch.equal(backbone.downsample_layers[0][1].running_mean, before)


def test_initial_weights_are_the_published_ones():
    backbone = build_backbone({**TINY, "layer_scale_init_value": 0.5})
    backbone.init_weights()
    assert backbone.stages[3][0].pointwise_conv1.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert (backbone.stages[3][0].pointwise_conv1.bias == 0).all()
    assert (backbone.stages[3][0].gamma == 0.5).all()


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"arch": "medium"}, "tiny, small"),
        ({"arch": {"depths": [1], "channels": [8, 16]}}, "depths and channels"),
        ({"arch": {"depth": [1], "channels": [8]}}, "depths and channels"),
        ({"out_indices": [4]}, "out_indices"),
        ({"frozen_stages": 5}, "frozen_stages"),
        ({"gap_before_final_norm": True}, "gap_before_final_norm"),
        ({"kernel_size": 5}, "'kernel_size'"),
    ],
)
def test_wrong_arguments_are_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        build_backbone({**TINY, **wrong})
