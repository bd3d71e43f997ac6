"""HRNet's branches, and what of it is trained."""

import pytest
import torch

from mmseg.errors import ConfigError
from mmseg.models import build_backbone, build_segmentor
from mmseg.models.layers import BasicBlock, Bottleneck
from tests.models.configs import assert_close, fill
from tests.models.hrnet_configs import fcn_hr, tiny_extra


def tiny(**backbone):
    return build_backbone({"type": "HRNet", "extra": tiny_extra(), **backbone})


def training_norms(model):
    return {
        name for name, module in model.named_modules() if isinstance(module, torch.nn.BatchNorm2d) and module.training
    }


def top_level(names):
    return {name.split(".")[0] for name in names}


def test_branches_are_a_quarter_to_a_32nd_of_the_image():
    features = tiny()(torch.randn(1, 3, 64, 96))
    assert [tuple(x.shape) for x in features] == [(1, 4, 16, 24), (1, 6, 8, 12), (1, 8, 4, 6), (1, 10, 2, 3)]


def test_any_size_of_image():
    features = tiny()(torch.randn(1, 3, 45, 37))
    assert [tuple(x.shape[2:]) for x in features] == [(12, 10), (6, 5), (3, 3), (2, 2)]


def test_the_finest_branch_alone():
    whole, finest = fill(tiny()).eval(), fill(tiny(multiscale_output=False)).eval()
    image = torch.randn(1, 3, 64, 64)
    (alone,) = finest(image)
    assert_close(alone, whole(image)[0])
    missing = set(whole.state_dict()) - set(finest.state_dict())
    assert missing and all(name.startswith("stage4.0.fuse_layers.") for name in missing)


def test_a_later_stage_may_have_other_channels_on_every_branch():
    extra = tiny_extra()
    extra["stage4"]["num_channels"] = (5, 7, 9, 11)
    features = build_backbone({"type": "HRNet", "extra": extra})(torch.randn(1, 3, 64, 64))
    assert [x.shape[1] for x in features] == [5, 7, 9, 11]


def test_bottlenecks_on_every_branch():
    extra = tiny_extra()
    extra["stage4"]["block"] = "BOTTLENECK"
    features = build_backbone({"type": "HRNet", "extra": extra})(torch.randn(1, 3, 64, 64))
    assert [x.shape[1] for x in features] == [16, 24, 32, 40]


@pytest.mark.parametrize(
    ("frozen_stages", "frozen"),
    [
        (-1, set()),
        (0, {"conv1", "bn1", "conv2", "bn2"}),
        (1, {"conv1", "bn1", "conv2", "bn2", "layer1", "transition1"}),
        (2, {"conv1", "bn1", "conv2", "bn2", "layer1", "transition1", "stage2", "transition2"}),
    ],
)
def test_frozen_stages(frozen_stages, frozen):
    model = tiny(frozen_stages=frozen_stages).train()
    found = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert top_level(found) == frozen
    assert not top_level(training_norms(model)) & frozen
    assert training_norms(model)


def test_all_stages_frozen():
    model = tiny(frozen_stages=4).train()
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert not training_norms(model)


def test_norm_eval_keeps_the_running_statistics_but_trains_scale_and_offset():
    model = tiny(norm_eval=True).train()
    before = {name: value.clone() for name, value in model.named_buffers()}
    model(torch.randn(2, 3, 64, 64))
    assert all(torch.equal(value, before[name]) for name, value in model.named_buffers())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert training_norms(tiny().train())


def test_recomputed_activations_give_the_same_gradients():
    image = torch.randn(2, 3, 64, 64)
    gradients = []
    for with_cp in (False, True):
        model = fill(tiny(with_cp=with_cp)).train()
        sum(x.square().mean() for x in model(image)).backward()
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
    for name, gradient in gradients[0].items():
        assert_close(gradients[1][name], gradient, rtol=1e-3, atol=1e-4)


def test_published_initial_weights():
    model = tiny()
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert all((norm.weight == 1).all() and (norm.bias == 0).all() for norm in norms)
    fan_out = model.conv2.weight.shape[0] * 9
    model.init_weights()
    assert model.conv2.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.05)


def test_zero_init_residual():
    model = tiny(zero_init_residual=True)
    model.init_weights()
    blocks = [module for module in model.modules() if isinstance(module, (BasicBlock, Bottleneck))]
    for block in blocks:
        last = block.norm3 if isinstance(block, Bottleneck) else block.norm2
        assert not last.weight.detach().any()
        assert (block.norm1.weight == 1).all()
    assert len(blocks) == 1 + 2 + 3 + 4


def test_the_address_of_pretrained_weights_is_kept_for_the_training():
    cfg = {**fcn_hr(small=True), "pretrained": "open-mmlab://msra/hrnetv2_w18_small"}
    assert build_segmentor(cfg).backbone.init_cfg["checkpoint"] == "open-mmlab://msra/hrnetv2_w18_small"
    own = tiny(pretrained="weights.pth").init_cfg
    assert {"type": "Pretrained", "checkpoint": "weights.pth"} in own


def change(stage, **values):
    extra = tiny_extra()
    extra[stage].update(values)
    return {"extra": extra}


def without(stage, key=None):
    extra = tiny_extra()
    if key is None:
        del extra[stage]
    else:
        del extra[stage][key]
    return {"extra": extra}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"extra": None}, "stage1"),
        (without("stage3"), "stage3"),
        (without("stage2", "num_blocks"), "stage2 needs num_blocks"),
        (change("stage2", block="BASICS"), "BASICS"),
        (change("stage2", num_branches=0), "num_branches"),
        (change("stage2", num_modules=1.5), "num_modules"),
        (change("stage4", num_blocks=(1, 1, 1)), "num_blocks of extra.stage4"),
        (change("stage4", num_channels=4), "num_channels of extra.stage4"),
        (change("stage1", num_branches=2, num_blocks=(1, 1), num_channels=(4, 4)), "stage1 has one branch"),
        (change("stage4", num_branches=2, num_blocks=(1, 1), num_channels=(4, 4)), "extra.stage4"),
        ({"frozen_stages": 5}, "frozen_stages"),
        ({"multi_scale_output": True}, "multiscale_output"),
        ({"pretrained": "a.pth", "init_cfg": {"type": "Pretrained", "checkpoint": "b.pth"}}, "not both"),
    ],
)
def test_what_cannot_be_built_is_said(arguments, said):
    with pytest.raises(ConfigError, match=said):
        tiny(**arguments)
