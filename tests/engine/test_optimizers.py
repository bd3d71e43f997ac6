import pytest
import torch
from torch import nn

from mmseg.engine.optimizers import build_optimizer
from mmseg.errors import ConfigError


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.BatchNorm2d(4), nn.Conv2d(4, 8, 1))
        self.decode_head = nn.Conv2d(8, 2, 1)


def options(model, cfg):
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = build_optimizer(model, cfg).param_groups
    return {names[id(p)]: (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}


def test_one_group_without_paramwise_cfg():
    optimizer = build_optimizer(Net(), dict(type="SGD", lr=0.12, momentum=0.9, weight_decay=4e-5))
    assert type(optimizer) is torch.optim.SGD
    (group,) = optimizer.param_groups
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.12, 0.9, 4e-5)
    assert len(group["params"]) == 8


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"])
def test_any_optimizer_of_torch(name):
    assert type(build_optimizer(Net(), dict(type=name, lr=0.1))).__name__ == name


def test_multipliers():
    cfg = dict(norm_decay_mult=0.0, bias_lr_mult=2.0, bias_decay_mult=0.5, dwconv_decay_mult=0.25)
    found = options(Net(), dict(type="SGD", lr=1.0, weight_decay=1.0, paramwise_cfg=cfg))
    assert found == {
        "backbone.0.weight": (1.0, 0.25),
        "backbone.0.bias": (2.0, 0.25),
        "backbone.1.weight": (1.0, 0.0),
        "backbone.1.bias": (1.0, 0.0),
        "backbone.2.weight": (1.0, 1.0),
        "backbone.2.bias": (2.0, 0.5),
        "decode_head.weight": (1.0, 1.0),
        "decode_head.bias": (2.0, 0.5),
    }


def test_the_longest_custom_key_wins_over_shorter_ones_and_rules():
    keys = {"backbone": dict(lr_mult=0.1, decay_mult=0.9), "backbone.1": dict(lr_mult=0.2), "head": dict(lr_mult=10.0)}
    cfg = dict(custom_keys=keys, norm_decay_mult=0.0, bias_lr_mult=2.0)
    found = options(Net(), dict(type="AdamW", lr=1.0, weight_decay=1.0, paramwise_cfg=cfg))
    assert found["backbone.0.bias"] == (0.1, 0.9)
    assert found["backbone.1.weight"] == (0.2, 1.0)
    assert found["decode_head.bias"] == (10.0, 1.0)


def test_keys_of_one_length_are_tried_in_alphabetical_order():
    keys = {"weight": dict(lr_mult=5.0), "decode": dict(lr_mult=3.0)}
    found = options(Net(), dict(type="SGD", lr=1.0, weight_decay=0.0, paramwise_cfg=dict(custom_keys=keys)))
    assert found["decode_head.weight"] == (3.0, 0.0)
    assert found["backbone.2.weight"] == (5.0, 0.0)


def test_shared_parameters():
    model = Net()
    model.backbone[2] = nn.Conv2d(4, 8, 1)
    model.decode_head = nn.Conv2d(4, 8, 1)
    model.decode_head.weight = model.backbone[2].weight
    cfg = dict(type="SGD", lr=1.0, weight_decay=0.1, paramwise_cfg=dict(bias_lr_mult=2.0))
    with pytest.raises(ConfigError, match="more than one parameter group"):
        build_optimizer(model, cfg)
    cfg["paramwise_cfg"]["bypass_duplicate"] = True
    assert len(build_optimizer(model, cfg).param_groups) == 7


def test_frozen_parameters_stay():
    model = Net()
    for parameter in model.backbone.parameters():
        parameter.requires_grad = False
    cfg = dict(type="SGD", lr=0.5, weight_decay=0.1, paramwise_cfg=dict(bias_lr_mult=2.0))
    optimizer = build_optimizer(model, cfg)
    model.decode_head(torch.ones(1, 8, 1, 1)).sum().backward()
    before = model.backbone[0].weight.clone()
    optimizer.step()
    assert torch.equal(model.backbone[0].weight, before)


@pytest.mark.parametrize(
    "cfg, named",
    [
        (dict(type="SDG", lr=0.1), "SDG"),
        (dict(type="LBFGS", lr=0.1), "LBFGS"),
        (dict(lr=0.1), "type"),
        ("SGD", "type"),
        (dict(type="SGD", lr=0.1, speed=3), "speed"),
        (dict(type="SGD", lr=-0.1), "learning rate"),
        (dict(type="SGD", lr="abc"), "optimizer.lr must be a number, not 'abc'"),
        (dict(type="SGD", lr=[0.1]), "optimizer.lr must be a number"),
        (dict(type="SGD", lr=0.1, weight_decay="0", paramwise_cfg=dict(norm_decay_mult=0)), "optimizer.weight_decay"),
        (dict(type="SGD", lr=0.1, constructor="Mine"), "constructor"),
        (dict(type="SGD", lr=0.1, paramwise_cfg=dict(norm_decay=0)), "norm_decay"),
        (dict(type="SGD", lr=0.1, paramwise_cfg=dict(norm_decay_mult=0)), "weight_decay"),
        (dict(type="SGD", weight_decay=0.1, paramwise_cfg=dict(norm_decay_mult=0)), "optimizer.lr"),
        (dict(type="SGD", lr=0.1, paramwise_cfg=dict(custom_keys=dict(head=10))), "custom_keys"),
        (dict(type="SGD", lr=0.1, paramwise_cfg=dict(custom_keys=dict(head=dict(lr=10)))), "lr"),
    ],
)
def test_wrong_configs_are_refused(cfg, named):
    with pytest.raises(ConfigError, match=named):
        build_optimizer(Net(), cfg)
