import json

import pytest
import torch

from mmseg.apis.train import JSON_LOG, train_segmentor
from mmseg.config import Config
from mmseg.engine.callbacks import Callback
from mmseg.engine.checkpoint import load_checkpoint, save_checkpoint
from mmseg.engine.distributed import launch
from mmseg.engine.version import __version__
from mmseg.errors import CheckpointError, ConfigError
from tests.engine.tiny import CLASSES, PALETTE, full_cfg, make_model


def records(work_dir, mode):
    lines = (work_dir / JSON_LOG).read_text(encoding="utf-8").splitlines()
    return [record for record in map(json.loads, lines) if record["mode"] == mode]


def losses(work_dir):
    return [(record["iter"], record["lr"], record["loss"]) for record in records(work_dir, "train")]


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def train(cfg, work_dir, **options):
    return train_segmentor(Config(cfg), work_dir=work_dir, seed=7, **options)


def test_a_whole_training(tmp_path):
    cfg, out = full_cfg(tmp_path, norm=True), tmp_path / "out"
    result = train(cfg, out, tensorboard_dir=tmp_path / "events")
    assert result.completed
    assert (result.last.iteration, result.last.path) == (12, out / "latest.pth")
    assert result.best.path == out / f"best_mIoU_iter_{result.best.iteration}.pth"
    assert files(out) == [result.best.path.name, "latest.pth", JSON_LOG]
    assert [record["iter"] for record in records(out, "val")] == [4, 8, 12]
    assert result.best.metrics["mIoU"] == max(record["mIoU"] for record in records(out, "val"))
    assert len(losses(out)) == 12
    content = load_checkpoint(result.best.path)
    meta = content["meta"]
    assert (meta["CLASSES"], meta["PALETTE"], meta["seed"]) == (CLASSES, PALETTE, 7)
    assert meta["mmseg_version"] == __version__
    assert Config.fromstring(meta["config"]) == Config(cfg)
    assert len(files(tmp_path / "events")) == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_training_is_the_uninterrupted_one(tmp_path, workers):
    cfg = full_cfg(tmp_path, workers=workers, norm=True)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    expected = train(cfg, whole)

    class KillAt7(Callback):
        def on_iteration(self, event):
            if event.iteration == 7:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(cfg, parts, callbacks=[KillAt7()])
    assert files(parts) == ["best_mIoU_iter_4.pth", "latest.pth", JSON_LOG]
    result = train(cfg, parts, resume_from=parts / "latest.pth")
    assert losses(parts) == losses(whole)  # what was done twice stands there once
    assert (result.best.iteration, result.best.metrics) == (expected.best.iteration, expected.best.metrics)
    assert files(parts) == files(whole)
    assert records(parts, "val") == records(whole, "val")
    a, b = load_checkpoint(whole / "latest.pth"), load_checkpoint(parts / "latest.pth")
    assert all(torch.equal(a["state_dict"][name], b["state_dict"][name]) for name in a["state_dict"])


def test_workers_change_nothing(tmp_path):
    cfg = full_cfg(tmp_path, norm=True)
    train(cfg, tmp_path / "a")
    cfg["data"]["workers_per_gpu"] = 2
    train(cfg, tmp_path / "b")
    assert losses(tmp_path / "a") == losses(tmp_path / "b")
    assert records(tmp_path / "a", "val") == records(tmp_path / "b", "val")


def test_resume_with_another_model(tmp_path):
    cfg = full_cfg(tmp_path, max_iters=2)
    train(cfg, tmp_path / "out")
    cfg["model"]["backbone"]["channels"] = cfg["model"]["decode_head"]["in_channels"] = 4
    cfg["runner"]["max_iters"] = 4
    with pytest.raises(CheckpointError, match=r"latest.pth.*same model"):
        train(cfg, tmp_path / "out", resume_from=tmp_path / "out" / "latest.pth")


def test_initial_weights(tmp_path):
    save_checkpoint(tmp_path / "w.pth", model=make_model(seed=42), meta={})
    cfg = full_cfg(tmp_path, max_iters=1)
    cfg["optimizer"]["lr"] = 0.0
    cfg["lr_config"] = dict(policy="fixed")
    train(cfg, tmp_path / "out", load_weights_from=tmp_path / "w.pth")
    trained = load_checkpoint(tmp_path / "out" / "latest.pth")["state_dict"]
    assert all(torch.equal(value, trained[name]) for name, value in make_model(seed=42).state_dict().items())


def test_pretrained_backbone(tmp_path):
    save_checkpoint(tmp_path / "w.pth", model=make_model(seed=42).backbone, meta={})
    cfg = full_cfg(tmp_path, max_iters=1)
    cfg["model"]["pretrained"] = str(tmp_path / "w.pth")
    cfg["optimizer"]["lr"] = 0.0
    cfg["lr_config"] = dict(policy="fixed")
    train(cfg, tmp_path / "out")
    trained = load_checkpoint(tmp_path / "out" / "latest.pth")["state_dict"]
    assert torch.equal(trained["backbone.conv1.weight"], make_model(seed=42).backbone.conv1.weight)


def test_without_validation_it_is_evaluated_once(tmp_path):
    result = train(full_cfg(tmp_path), tmp_path / "out", validate=False)
    assert [record["iter"] for record in records(tmp_path / "out", "val")] == [12]
    assert result.best.iteration == 12
    cfg = full_cfg(tmp_path, max_iters=2)
    del cfg["data"]["val"]
    result = train(cfg, tmp_path / "none")
    assert result.best is None and result.last.metrics is None and records(tmp_path / "none", "val") == []


def test_all_checkpoints_are_kept(tmp_path):
    train(full_cfg(tmp_path), tmp_path / "all", only_best_and_last=False)
    assert {"iter_4.pth", "iter_8.pth", "iter_12.pth"} <= set(files(tmp_path / "all"))
    train(full_cfg(tmp_path), tmp_path / "few", only_best_and_last=False, max_keep_ckpts=1)
    kept = files(tmp_path / "few")
    assert "iter_12.pth" in kept and len(kept) == 4


def test_epochs_and_paramwise_and_clipping(tmp_path):
    cfg = full_cfg(tmp_path, norm=True)  # 6 images in batches of 2: 3 iterations an epoch
    cfg.update(
        runner=dict(type="EpochBasedRunner", max_epochs=3),
        evaluation=dict(interval=2),
        checkpoint_config=dict(interval=1),
        lr_config=dict(policy="step", step=[1, 2]),
        optimizer_config=dict(grad_clip=dict(max_norm=35, norm_type=2)),
    )
    cfg["optimizer"]["paramwise_cfg"] = dict(custom_keys=dict(decode_head=dict(lr_mult=10.0)), norm_decay_mult=0.0)
    train(cfg, tmp_path / "out")
    assert [record["lr"] for record in records(tmp_path / "out", "train")] == pytest.approx(
        [0.05] * 3 + [0.005] * 3 + [0.0005] * 3
    )
    assert [record["iter"] for record in records(tmp_path / "out", "val")] == [6, 9]
    assert all(record["grad_norm"] > 0 for record in records(tmp_path / "out", "train"))


def test_stop(tmp_path):
    stops = iter([False, False, True])
    result = train(full_cfg(tmp_path), tmp_path / "out", should_stop=lambda: next(stops))
    assert not result.completed and result.last.iteration == 2


def same_weights(a, b):
    states = [load_checkpoint(path)["state_dict"] for path in (a, b)]
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def means(work_dir):
    return [(record["iter"], record["loss"]) for record in records(work_dir, "train")]


def test_a_run_that_was_stopped_anywhere_goes_on_as_if_it_had_not(tmp_path):
    cfg = full_cfg(tmp_path, norm=True)
    cfg["log_config"]["interval"] = 4
    train(cfg, tmp_path / "whole")
    stop = Stop(6)
    result = train(cfg, tmp_path / "parts", callbacks=[stop], should_stop=stop)
    assert (result.completed, result.iteration, result.last.iteration) == (False, 6, 4)
    assert result.newest.path == tmp_path / "parts" / "resume.pth" and result.newest.metrics is None
    result = train(cfg, tmp_path / "parts", resume_from=result.newest.path)
    assert result.completed and files(tmp_path / "parts") == files(tmp_path / "whole")
    # The mean over iterations 5 to 8 holds those of before.
    assert means(tmp_path / "parts") == means(tmp_path / "whole")
    assert same_weights(tmp_path / "parts" / "latest.pth", tmp_path / "whole" / "latest.pth")


@pytest.mark.parametrize("iteration", [4, 12])
def test_an_evaluation_that_is_cut_short_is_repeated(tmp_path, iteration):
    cfg = full_cfg(tmp_path, norm=True)
    train(cfg, tmp_path / "whole")
    stop = Stop(iteration)
    result = train(cfg, tmp_path / "parts", callbacks=[stop], should_stop=stop)
    assert (result.completed, result.iteration, result.newest.iteration) == (False, iteration, iteration)
    assert [record["iter"] for record in records(tmp_path / "parts", "val")] == list(range(4, iteration, 4))
    result = train(cfg, tmp_path / "parts", resume_from=result.newest.path)
    assert result.completed and files(tmp_path / "parts") == files(tmp_path / "whole")
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    assert records(tmp_path / "parts", "val") == records(tmp_path / "whole", "val")
    assert same_weights(tmp_path / "parts" / "latest.pth", tmp_path / "whole" / "latest.pth")


def test_a_finished_training_is_not_evaluated_again(tmp_path):
    cfg, out = full_cfg(tmp_path), tmp_path / "out"
    first = train(cfg, out)
    before = records(out, "val"), first.last.path.stat().st_mtime_ns
    told = []

    class Listen(Callback):
        def on_checkpoint(self, event):
            told.append((event.best, event.latest))

    result = train(cfg, out, resume_from=out / "latest.pth", callbacks=[Listen()])
    assert result.completed and (records(out, "val"), result.last.path.stat().st_mtime_ns) == before
    assert told == [(first.best, first.last)]


def test_checkpoints_by_the_clock(tmp_path):
    class Listen(Callback):
        iterations = []

        def on_checkpoint(self, event):
            self.iterations.append((event.iteration, event.latest.iteration, len(event.kept)))

    train(full_cfg(tmp_path, max_iters=6), tmp_path / "out", callbacks=[Listen()], checkpoint_seconds=0)
    # Before the first evaluation the latest is the newest; then that only serves to resume.
    assert Listen.iterations == [(1, 1, 1), (2, 2, 1), (3, 3, 1), (4, 4, 2), (5, 4, 3), (6, 6, 2)]


def test_another_number_of_processes_is_said(tmp_path, caplog):
    cfg = full_cfg(tmp_path, max_iters=2, interval=1)
    launch(train_in, 2, args=(cfg, tmp_path / "out"))
    cfg["runner"]["max_iters"] = 3
    train(cfg, tmp_path / "out", resume_from=tmp_path / "out" / "latest.pth")
    assert "had 2 processes and this one has 1" in caplog.text


class Stop(Callback):
    """Asks to stop once so many iterations are done."""

    def __init__(self, iteration):
        self.iteration, self.done = iteration, 0

    def on_iteration(self, event):
        self.done = event.iteration

    def __call__(self):
        return self.done >= self.iteration


def train_in(rank, cfg, work_dir):
    return train_segmentor(Config(cfg), work_dir=work_dir, seed=7, rank=rank, device=rank.device)


def test_two_processes(tmp_path):
    cfg = full_cfg(tmp_path, dropout_ratio=0.0, max_iters=6, interval=3, val=5)
    cfg["data"]["samples_per_gpu"] = 1
    result = launch(train_in, 2, args=(cfg, tmp_path / "two"))
    cfg["data"]["samples_per_gpu"] = 2
    train(cfg, tmp_path / "one")
    two, one = losses(tmp_path / "two"), losses(tmp_path / "one")
    assert [loss for *_, loss in two] == pytest.approx([loss for *_, loss in one], rel=1e-5)
    assert result.completed and result.last.iteration == 6
    mean_ious = [[record["mIoU"] for record in records(tmp_path / name, "val")] for name in ("two", "one")]
    assert mean_ious[0] == pytest.approx(mean_ious[1], abs=1e-3)


def changed(cfg, **changes):
    for key, value in changes.items():
        *parents, last = key.split("__")
        part = cfg
        for parent in parents:
            part = part[parent]
        if value is None:
            del part[last]
        else:
            part[last] = value
    return cfg


@pytest.mark.parametrize(
    "changes, named",
    [
        (dict(model=None), "'model'"),
        (dict(data__train=None), r"data\.train"),
        (dict(model__decode_head__num_classes=5), "num_classes is 5"),
        (dict(momentum_config=dict(policy="cyclic")), "momentum_config"),
        (dict(custom_hooks=[dict(type="EMAHook")]), "custom_hooks"),
        (dict(runner=None), "runner"),
        (dict(optimizer=None), "optimizer"),
        (dict(data__samples_per_gpu="2"), "samples_per_gpu"),
        (dict(data__samples_per_gpu=0), "samples_per_gpu must be a whole number from 1, not 0"),
        (dict(data__workers_per_gpu=-1), "workers_per_gpu must be a whole number from 0, not -1"),
        (dict(lr_config=5), "lr_config must be a dict, not 5"),
        (dict(data__train__classes=None, data__train__palette=None), r"data\.train"),
        (dict(log_config=dict(interval=0)), "log_config.interval"),
        (dict(log_config="x"), "log_config must be a dict"),
    ],
)
def test_configs_that_cannot_be_trained_with(tmp_path, changes, named):
    with pytest.raises(ConfigError, match=named):
        train(changed(full_cfg(tmp_path), **changes), tmp_path / "out")
