"""SegFormer: against mmsegmentation's numbers, and what the paper says about its parts."""

import copy
import math
from pathlib import Path

import pytest
import torch
import torch.nn as nn

from mmseg.config import Config
from mmseg.errors import ConfigError
from mmseg.models import build_backbone, build_head, build_segmentor
from mmseg.models.layers import resize
from mmseg.models.layers.drop_path import DropPath, drop_path_rates
from tests.models.configs import assert_close, fill
from tests.models.reference_numbers import assert_published_layout, assert_reference_numbers
from tests.reference_data import needs_reference

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
TINY = {
    "type": "MixVisionTransformer",
    "embed_dims": 4,
    "num_layers": [1, 2, 1, 1],
    "num_heads": [1, 2, 3, 4],
}


def segformer(embed_dims=32, num_layers=(2, 2, 2, 2), num_classes=19, **head):
    """The published SegFormer for Cityscapes; the defaults are MiT-B0."""
    channels = [embed_dims, embed_dims * 2, embed_dims * 5, embed_dims * 8]
    return {
        "type": "EncoderDecoder",
        "backbone": {
            "type": "MixVisionTransformer",
            "embed_dims": embed_dims,
            "num_layers": num_layers,
            "num_heads": [1, 2, 5, 8],
            "drop_path_rate": 0.1,
        },
        "decode_head": {
            "type": "SegformerHead",
            "in_channels": channels,
            "in_index": [0, 1, 2, 3],
            "channels": 256,
            "num_classes": num_classes,
            "norm_cfg": {"type": "SyncBN"},
            **head,
        },
    }


@needs_reference
def test_logits_losses_and_gradients():
    model = build_segmentor(segformer())
    assert_published_layout(model, "segformer/segformer_mit-b0_8x1_1024x1024_160k_cityscapes.py")
    assert_reference_numbers(model, "segformer__segformer_mit-b0_8x1_1024x1024_160k_cityscapes")


@needs_reference
@pytest.mark.parametrize(
    "config, cfg",
    [
        ("segformer/segformer_mit-b0_512x512_160k_ade20k.py", segformer(num_classes=150)),
        ("segformer/segformer_mit-b2_8x1_1024x1024_160k_cityscapes.py", segformer(64, (3, 4, 6, 3))),
        ("segformer/segformer_mit-b5_640x640_160k_ade20k.py", segformer(64, (3, 6, 40, 3), 150)),
    ],
)
def test_state_dict_has_the_published_names_and_shapes_in_order(config, cfg):
    assert_published_layout(build_segmentor(cfg), config)


@needs_reference
@pytest.mark.skipif(not (CONFIGS / "segformer").is_dir(), reason="the config files are not there")
def test_the_config_file_of_the_project_is_that_model():
    config = "segformer/segformer_mit-b0_8x1_1024x1024_160k_cityscapes.py"
    cfg = Config.fromfile(CONFIGS / config).model
    cfg.backbone.init_cfg = None
    assert_published_layout(build_segmentor(cfg), config)


def test_maps_of_images_whose_size_is_no_multiple_of_the_strides():
    backbone = build_backbone(TINY)
    backbone.init_weights()
    maps = backbone.eval()(torch.randn(2, 3, 45, 70))
    assert [tuple(x.shape) for x in maps] == [(2, 4, 12, 18), (2, 8, 6, 9), (2, 12, 3, 5), (2, 16, 2, 3)]
    # Images do not look at one another.
    image = torch.randn(2, 3, 45, 70)
    for together, alone in zip(backbone(image), backbone(image[1:])):
        assert_close(together[1:], alone, rtol=1e-4, atol=1e-4)


def test_only_the_stages_asked_for():
    backbone = fill(build_backbone({**TINY, "out_indices": (1, 3)})).eval()
    image = torch.randn(1, 3, 32, 64)
    every = fill(build_backbone(TINY)).eval()(image)
    for ours, theirs in zip(backbone(image), (every[1], every[3])):
        assert_close(ours, theirs)


def plain_attention(attention, x, size):
    """Equation 1 and 2 of the paper, step by step, of tokens (B, N, C)."""
    heads, channels = attention.attn.num_heads, x.shape[2]
    context = x
    if attention.sr_ratio > 1:
        shrunk = attention.sr(x.transpose(1, 2).reshape(x.shape[0], channels, *size))
        context = attention.norm(shrunk.reshape(x.shape[0], channels, -1).transpose(1, 2))
    query, key, value = (
        source @ weight.t() + bias
        for source, weight, bias in zip(
            (x, context, context), attention.attn.in_proj_weight.chunk(3), attention.attn.in_proj_bias.chunk(3)
        )
    )
    outputs = []
    for q, k, v in zip(*(part.chunk(heads, dim=2) for part in (query, key, value))):
        scores = q @ k.transpose(1, 2) / math.sqrt(channels // heads)
        outputs.append(torch.softmax(scores, dim=2) @ v)
    return attention.attn.out_proj(torch.cat(outputs, dim=2))


@pytest.mark.parametrize("stage, size", [(1, (8, 12)), (3, (3, 5))])
def test_attention_is_the_definition(stage, size):
    backbone = fill(build_backbone(TINY)).eval()
    attention = backbone.layers[stage][1][0].attn
    assert attention.sr_ratio == (8, 4, 2, 1)[stage]
    x = torch.randn(2, size[0] * size[1], TINY["embed_dims"] * TINY["num_heads"][stage])
    assert_close(attention(x, size), plain_attention(attention, x, size), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mode, align_corners", [("bilinear", False), ("bilinear", True), ("nearest", False)])
@pytest.mark.parametrize("norm_cfg", [None, {"type": "BN"}])
def test_the_head_is_resize_join_convolve(mode, align_corners, norm_cfg):
    head = build_head(
        {
            "type": "SegformerHead",
            "in_channels": [4, 6, 8],
            "in_index": [0, 1, 2],
            "channels": 5,
            "num_classes": 3,
            "dropout_ratio": 0,
            "norm_cfg": norm_cfg,
            "align_corners": align_corners,
            "interpolate_mode": mode,
        }
    )
    fill(head).train()  # in training the statistics are those of the batch, of the same values
    maps = [torch.randn(2, 4, 12, 16), torch.randn(2, 6, 6, 8), torch.randn(2, 8, 3, 4)]
    plain = copy.deepcopy(head)
    joined = torch.cat(
        [resize(conv(x), (12, 16), mode=mode, align_corners=align_corners) for conv, x in zip(plain.convs, maps)], dim=1
    )
    expected = plain.conv_seg(plain.fusion_conv(joined))
    found = head(maps)
    assert_close(found, expected)
    found.pow(2).sum().backward()
    expected.pow(2).sum().backward()
    for ours, theirs in zip(head.parameters(), plain.parameters()):
        assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-2)
    for ours, theirs in zip(head.buffers(), plain.buffers()):
        assert_close(ours.float(), theirs.float())


def test_initial_weights_are_the_published_ones():
    backbone = build_backbone({**TINY, "embed_dims": 32})
    backbone.init_weights()
    layers = dict(backbone.named_modules())
    depthwise = layers["layers.2.1.0.ffn.layers.1"].weight
    assert depthwise.std().item() == pytest.approx(math.sqrt(2 / 9), rel=0.1)
    patches = layers["layers.0.0.projection"].weight
    assert patches.std().item() == pytest.approx(math.sqrt(2 / (49 * 32)), rel=0.1)
    linear = layers["layers.3.1.0.attn.attn.out_proj"].weight
    assert linear.std().item() == pytest.approx(0.02, rel=0.1)
    assert all((parameter == 0).all() for name, parameter in backbone.named_parameters() if name.endswith("bias"))


def test_own_initial_weights_go_over_the_published_ones():
    backbone = build_backbone({**TINY, "init_cfg": {"type": "Constant", "val": 3, "layer": "LayerNorm"}})
    backbone.init_weights()
    assert (backbone.layers[0][2].weight == 3).all()
    assert backbone.layers[0][0].projection.weight.std() > 0


def test_pretrained_is_an_init_cfg():
    backbone = build_backbone({**TINY, "pretrained": "mit_b0.pth"})
    assert backbone.init_cfg == {"type": "Pretrained", "checkpoint": "mit_b0.pth"}
    with pytest.raises(ConfigError, match="pretrained and init_cfg"):
        build_backbone({**TINY, "pretrained": "a", "init_cfg": {"type": "Pretrained", "checkpoint": "b"}})


def test_activations_computed_again_give_the_same_gradients():
    image = torch.randn(1, 3, 32, 32)
    gradients = []
    for with_cp in (False, True):
        backbone = fill(build_backbone({**TINY, "with_cp": with_cp})).eval()
        sum(x.sum() for x in backbone(image)).backward()
        gradients.append([parameter.grad for parameter in backbone.parameters()])
    for ours, theirs in zip(*gradients):
        assert_close(ours, theirs)


def test_stochastic_depth_rises_from_layer_to_layer():
    backbone = build_backbone({**TINY, "drop_path_rate": 0.4})
    rates = [layer.drop_path.drop_prob for _, encoders, _ in backbone.layers for layer in encoders]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert drop_path_rates(0.3, 1) == [0.0] and drop_path_rates(0.3, 2) == [0.0, 0.3]


def test_a_dropped_path_is_dropped_for_a_whole_image_and_keeps_the_mean():
    drop, x = DropPath(0.25), torch.ones(4000, 2, 3)
    torch.manual_seed(0)
    kept = drop.train()(x)
    per_image = kept.flatten(1)
    assert per_image.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert (per_image == per_image[:, :1]).all()
    assert kept.mean().item() == pytest.approx(1, abs=0.05)
    assert drop.eval()(x) is x and DropPath(0.0).train()(x) is x


def test_biases_of_the_attention_can_be_left_out():
    names = build_backbone({**TINY, "qkv_bias": False}).state_dict()
    assert not [name for name in names if name.endswith("in_proj_bias")]
    assert isinstance(build_backbone({**TINY, "act_cfg": {"type": "ReLU"}}).layers[0][1][0].ffn.layers[2], nn.ReLU)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"num_layers": [1, 1]}, "num_layers has 4 entries"),
        ({"sr_ratios": [1] * 5}, "sr_ratios has 4 entries"),
        ({"out_indices": (0, 4)}, "out_indices are of 0 to 3"),
        ({"out_indices": ()}, "out_indices"),
        ({"pos_embed": True}, "'pos_embed'"),
    ],
)
def test_wrong_arguments_are_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        build_backbone({**TINY, **wrong})
