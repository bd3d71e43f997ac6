import logging

import pytest
import torch

from mmseg.apis.train import train_segmentor
from mmseg.config import Config
from mmseg.engine.callbacks import Callback
from mmseg.engine.checkpoint import load_checkpoint
from mmseg.engine.distributed import launch
from mmseg.engine.gradient_accumulation import GradientAccumulation
from mmseg.errors import ConfigError
from tests.engine.tiny import full_cfg

CLIP = dict(max_norm=0.1, norm_type=2)


class Losses(Callback):
    def __init__(self):
        self.values = []

    def on_iteration(self, event):
        self.values.append(event.losses)


def train(cfg, out, **options):
    recorder = Losses()
    options.setdefault("callbacks", [])
    options["callbacks"] = [recorder, *options["callbacks"]]
    train_segmentor(Config(cfg), work_dir=out, seed=7, **options)
    return recorder.values


def weights(out):
    return load_checkpoint(out / "latest.pth")["state_dict"]


def config(folder, *, batch, iterations, cumulative=1, clip=None, norm=False):
    cfg = full_cfg(folder, dropout_ratio=0.0, norm=norm, max_iters=iterations, interval=iterations)
    cfg["data"]["samples_per_gpu"] = batch
    cfg["lr_config"] = dict(policy="fixed")
    cfg["optimizer_config"] = dict(grad_clip=clip)
    if cumulative > 1:
        cfg["optimizer_config"].update(type="GradientCumulativeOptimizerHook", cumulative_iters=cumulative)
    del cfg["data"]["val"]
    return cfg


@pytest.mark.parametrize("clip", [None, CLIP])
def test_accumulating_is_the_step_of_the_larger_batch(tmp_path, clip):
    large = train(config(tmp_path, batch=6, iterations=4, clip=clip), tmp_path / "large")
    small = train(config(tmp_path, batch=2, iterations=12, cumulative=3, clip=clip), tmp_path / "small")
    for step in range(4):
        mean = sum(losses["loss"] for losses in small[3 * step : 3 * step + 3]) / 3
        assert mean == pytest.approx(large[step]["loss"], rel=1e-5)
        if clip:
            assert small[3 * step + 2]["grad_norm"] == pytest.approx(large[step]["grad_norm"], rel=1e-4)
            assert large[step]["grad_norm"] > CLIP["max_norm"]
    expected = weights(tmp_path / "large")
    for name, value in weights(tmp_path / "small").items():
        assert torch.allclose(value, expected[name], rtol=1e-5, atol=1e-6), name


def test_the_last_group_may_be_shorter(tmp_path):
    train(config(tmp_path, batch=10, iterations=1), tmp_path / "large")
    train(config(tmp_path, batch=2, iterations=5, cumulative=8), tmp_path / "small")
    expected = weights(tmp_path / "large")
    for name, value in weights(tmp_path / "small").items():
        assert torch.allclose(value, expected[name], rtol=1e-5, atol=1e-6), name
    groups = GradientAccumulation(3, 5)
    assert [groups.divisor(i) for i in range(5)] == [3, 3, 3, 2, 2]
    assert [groups.ends(i) for i in range(5)] == [False, False, True, False, True]
    assert [groups.begins(i) for i in range(5)] == [True, False, False, True, False]


def test_a_run_that_is_interrupted_between_steps_continues_as_if_it_had_not_been(tmp_path):
    cfg = config(tmp_path, batch=2, iterations=8, cumulative=3, clip=CLIP, norm=True)
    cfg["model"]["decode_head"]["dropout_ratio"] = 0.5
    cfg["checkpoint_config"]["interval"] = cfg["evaluation"]["interval"] = 4  # one iteration into the second group
    expected = train(cfg, tmp_path / "whole")

    class KillAt5(Callback):
        def on_iteration(self, event):
            if event.iteration == 5:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(cfg, tmp_path / "parts", callbacks=[KillAt5()])
    resumed = train(cfg, tmp_path / "parts", resume_from=tmp_path / "parts" / "latest.pth")
    assert resumed == expected[4:]
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())
    assert "waiting" not in load_checkpoint(tmp_path / "parts" / "latest.pth")["trainer"]  # the run is complete


def train_in_process(rank, cfg, out):
    recorder = Losses()
    torch.set_num_threads(1)
    train_segmentor(Config(cfg), work_dir=out, seed=7, rank=rank, callbacks=[recorder])


def test_two_processes_accumulate_to_the_weights_of_one(tmp_path):
    train(config(tmp_path, batch=4, iterations=2), tmp_path / "one")
    launch(train_in_process, 2, args=(config(tmp_path, batch=1, iterations=4, cumulative=2), str(tmp_path / "two")))
    expected = weights(tmp_path / "one")
    for name, value in weights(tmp_path / "two").items():
        assert torch.allclose(value, expected[name], rtol=1e-5, atol=1e-6), name


@pytest.mark.parametrize("kind", ["Fp16OptimizerHook", "GradientCumulativeFp16OptimizerHook"])
@pytest.mark.parametrize("scale", [512.0, "dynamic", dict(init_scale=256.0)])
def test_half_precision_on_a_cpu_is_float32(tmp_path, caplog, kind, scale):
    cfg = config(tmp_path, batch=2, iterations=2)
    expected = train(cfg, tmp_path / "float32")
    cfg["optimizer_config"] = dict(type=kind, loss_scale=scale)
    with caplog.at_level(logging.WARNING, "mmseg"):
        assert train(cfg, tmp_path / "half") == expected
    assert "fp16 needs a GPU" in caplog.text


@pytest.mark.parametrize("value", [0, -1, True, 1.5, "2"])
def test_wrong_numbers_are_refused(value):
    with pytest.raises(ConfigError, match="cumulative_iters must be a whole number above 0"):
        GradientAccumulation(value, 10)
