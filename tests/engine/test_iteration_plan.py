import pytest

from mmseg.engine.iteration_plan import plan_iterations
from mmseg.errors import ConfigError


def plan(cfg, samples=10, per_iteration=4):
    found = plan_iterations(cfg, samples=samples, samples_per_iteration=per_iteration)
    return found.max_iters, found.evaluation_interval, found.checkpoint_interval, found.counts_epochs


def test_by_iterations():
    cfg = dict(runner=dict(type="IterBasedRunner", max_iters=100))
    assert plan(dict(cfg, evaluation=dict(interval=20), checkpoint_config=dict(interval=50))) == (100, 20, 50, False)
    assert plan(dict(cfg, evaluation=dict(interval=20, metric="mIoU"))) == (100, 20, 20, False)
    assert plan(dict(cfg, checkpoint_config=dict(interval=25, by_epoch=False))) == (100, 25, 25, False)
    assert plan(cfg) == (100, 100, 100, False)
    assert plan(dict(total_iters=7)) == (7, 7, 7, False)


def test_log_interval():
    plans = [
        plan_iterations({"total_iters": 7, **cfg}, samples=1, samples_per_iteration=1)
        for cfg in ({}, {"log_config": {"interval": 3}})
    ]
    assert [found.log_interval for found in plans] == [50, 3]


def test_by_epochs():
    cfg = dict(runner=dict(type="EpochBasedRunner", max_epochs=5))
    assert plan(dict(cfg, evaluation=dict(interval=1), checkpoint_config=dict(interval=2))) == (15, 3, 6, True)
    assert plan(dict(cfg, evaluation=dict(interval=4, by_epoch=False))) == (15, 4, 4, True)
    assert plan(cfg, samples=1, per_iteration=4) == (5, 5, 5, True)


@pytest.mark.parametrize(
    "cfg, named",
    [
        ({}, "runner"),
        (dict(runner=dict(type="Runner", max_iters=3)), "runner.type"),
        (dict(runner=dict(type="IterBasedRunner", max_epochs=3)), "runner.max_iters"),
        (dict(runner=dict(type="EpochBasedRunner", max_iters=3)), "runner.max_epochs"),
        (dict(runner=dict(type="IterBasedRunner", max_iters="3")), "max_iters"),
        (dict(runner=dict(type="IterBasedRunner", max_iters=3), evaluation=dict(interval=0)), "evaluation.interval"),
        (
            dict(total_iters=3, log_config=dict(interval="x")),
            "log_config.interval must be a whole number above 0, not 'x'",
        ),
    ],
)
def test_wrong_configs_are_refused(cfg, named):
    with pytest.raises(ConfigError, match=named):
        plan(cfg)
