import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg.engine.schedules import build_schedule
from mmseg.errors import ConfigError


def make_optimizer(*rates):
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates or (0.1,)]
    return torch.optim.SGD(groups, lr=1.0)


def curve(lr_config, max_iters=10, iters_per_epoch=None, lr=0.1):
    schedule = build_schedule(lr_config, make_optimizer(lr), max_iters, iters_per_epoch)
    return [schedule.rates(i)[0] for i in range(max_iters)]


def test_poly():
    expected = [(0.1 - 1e-4) * (1 - i / 10) ** 0.9 + 1e-4 for i in range(10)]
    assert curve(dict(policy="poly", power=0.9, min_lr=1e-4, by_epoch=False)) == pytest.approx(expected, rel=1e-12)
    assert curve(dict(policy="poly")) == pytest.approx([0.1 * (1 - i / 10) for i in range(10)])


def test_step_every_and_at_a_list():
    assert curve(dict(policy="step", step=4, gamma=0.5)) == pytest.approx([0.1] * 4 + [0.05] * 4 + [0.025] * 2)
    assert curve(dict(policy="step", step=[3, 5])) == pytest.approx([0.1] * 3 + [0.01] * 2 + [0.001] * 5)
    assert curve(dict(policy="step", step=[3, 5], min_lr=0.005)) == pytest.approx([0.1] * 3 + [0.01] * 2 + [0.005] * 5)


def test_cosine_annealing():
    expected = [0.01 + 0.5 * (0.1 - 0.01) * (1 + math.cos(math.pi * i / 10)) for i in range(10)]
    assert curve(dict(policy="CosineAnnealing", min_lr=0.01)) == pytest.approx(expected)
    assert curve(dict(policy="CosineAnnealing", min_lr_ratio=0.1)) == pytest.approx(expected)


def test_fixed_exp_and_inv():
    assert curve(dict(policy="fixed")) == [0.1] * 10
    assert curve(None) == [0.1] * 10
    assert curve(dict(policy="exp", gamma=0.9)) == pytest.approx([0.1 * 0.9**i for i in range(10)])
    assert curve(dict(policy="inv", gamma=0.5, power=2)) == pytest.approx([0.1 / (1 + 0.5 * i) ** 2 for i in range(10)])


def test_warmup_multiplies_the_regular_rate():
    regular = curve(dict(policy="poly"))
    linear = curve(dict(policy="poly", warmup="linear", warmup_iters=4, warmup_ratio=0.2))
    factors = [1 - (1 - i / 4) * 0.8 for i in range(4)] + [1] * 6
    assert linear == pytest.approx([r * f for r, f in zip(regular, factors)])
    constant = curve(dict(policy="poly", warmup="constant", warmup_iters=4))
    assert constant == pytest.approx([r * f for r, f in zip(regular, [0.1] * 4 + [1] * 6)])
    exponential = curve(dict(policy="poly", warmup="exp", warmup_iters=4, warmup_ratio=0.2))
    assert exponential == pytest.approx([r * 0.2 ** max(1 - i / 4, 0) for i, r in enumerate(regular)])


def test_epochs():
    by_epoch = curve(dict(policy="step", step=[1, 2], by_epoch=True), max_iters=9, iters_per_epoch=3)
    assert by_epoch == pytest.approx([0.1] * 3 + [0.01] * 3 + [0.001] * 3)
    poly = curve(dict(policy="poly", by_epoch=True), max_iters=8, iters_per_epoch=3)
    assert poly == pytest.approx([0.1] * 3 + [0.1 * 2 / 3] * 3 + [0.1 / 3] * 2)
    warm = curve(dict(policy="fixed", warmup="constant", warmup_iters=2, warmup_by_epoch=True), iters_per_epoch=3)
    assert warm == pytest.approx([0.01] * 6 + [0.1] * 4)
    with pytest.raises(ConfigError, match="epoch"):
        curve(dict(policy="poly", by_epoch=True))


def test_set_gives_each_group_its_own_rate_and_forgets_the_past():
    optimizer = make_optimizer(0.1, 1.0)
    schedule = build_schedule(dict(policy="poly"), optimizer, 10)
    for iteration in (7, 2, 5):
        schedule.set(iteration)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.05, 0.5])
    again = build_schedule(dict(policy="poly"), optimizer, 10)  # as after a resume: the rates have fallen already
    assert again.set(5) == pytest.approx([0.05, 0.5])


@pytest.mark.parametrize(
    "lr_config, named",
    [
        (dict(policy="polly"), "polly"),
        (dict(step=3), "policy"),
        (dict(policy="poly", gamma=1), "gamma"),
        (dict(policy="step", step=0), "step"),
        (dict(policy="step", step="3"), "step"),
        (dict(policy="CosineAnnealing"), "min_lr"),
        (dict(policy="CosineAnnealing", min_lr=0, min_lr_ratio=0), "min_lr"),
        (dict(policy="poly", warmup="quick", warmup_iters=3), "warmup"),
        (dict(policy="poly", warmup="linear"), "warmup_iters"),
        (dict(policy="poly", warmup="linear", warmup_iters=3, warmup_ratio=0), "warmup_ratio"),
    ],
)
def test_wrong_configs_are_refused(lr_config, named):
    with pytest.raises(ConfigError, match=named):
        curve(lr_config)


@settings(max_examples=60, deadline=None)
@given(
    policy=st.sampled_from(
        [dict(policy="poly", power=0.9), dict(policy="CosineAnnealing", min_lr=0.0), dict(policy="step", step=[7, 20])]
    ),
    warmup=st.sampled_from([None, "linear", "exp", "constant"]),
    warmup_iters=st.integers(1, 50),
    max_iters=st.integers(1, 40),
)
def test_rates_stay_between_zero_and_the_base(policy, warmup, warmup_iters, max_iters):
    rates = curve(dict(policy, warmup=warmup, warmup_iters=warmup_iters), max_iters=max_iters)
    assert all(0 < rate <= 0.1 + 1e-12 for rate in rates)
