import logging

import numpy as np
import pytest
import torch

from mmseg.datasets import build_dataset, build_train_loader
from mmseg.engine.callbacks import Callback
from mmseg.engine.checkpoint import load_checkpoint
from mmseg.engine.checkpoint_keeper import CheckpointKeeper
from mmseg.engine.distributed import launch
from mmseg.engine.evaluator import build_evaluation_loader, evaluate
from mmseg.engine.optimizers import build_optimizer
from mmseg.engine.schedules import build_schedule
from mmseg.engine.trainer import Trainer, iterations_done
from mmseg.errors import CheckpointError, ConfigError, DataError, NonFiniteLossError
from mmseg.models import total_loss
from tests.engine.tiny import CLASSES, make_model, test_set_cfg, train_set_cfg, write_images

SGD = dict(type="SGD", lr=0.05, momentum=0.9, weight_decay=1e-4)
POLY = dict(policy="poly", power=0.9, min_lr=1e-4, warmup="linear", warmup_iters=3)


class Recorder(Callback):
    """Keeps every event with the name of the method that got it."""

    def __init__(self):
        self.events = []

    def on_start(self, event):
        self.events.append(("start", event))

    def on_iteration(self, event):
        self.events.append(("iteration", event))

    def on_evaluation(self, event):
        self.events.append(("evaluation", event))

    def on_checkpoint(self, event):
        assert all(record.path.is_file() for record in event.kept)
        self.events.append(("checkpoint", event))

    def on_end(self, event):
        self.events.append(("end", event))

    def of(self, name):
        return [event for kind, event in self.events if kind == name]

    @property
    def losses(self):
        return [event.losses for event in self.of("iteration")]


def make_trainer(folder, *, model=None, start=0, workers=0, samples=2, rank=0, world_size=1, optimizer=SGD, **options):
    """A trainer on the images in `folder` (written when they are missing), without an evaluation unless it is given."""
    index = folder / "images" / "index.tsv"
    if not index.exists():
        write_images(index.parent, 7)
    model = model if model is not None else make_model(norm=True)
    optimizer = build_optimizer(model, optimizer)
    options.setdefault("max_iters", 8)
    options.setdefault("interval", 4)
    return Trainer(
        model=model,
        optimizer=optimizer,
        schedule=build_schedule(options.pop("lr_config", POLY), optimizer, options["max_iters"]),
        train_loader=build_train_loader(
            build_dataset(train_set_cfg(index)),
            samples_per_gpu=samples,
            workers_per_gpu=workers,
            seed=3,
            start_iteration=start,
            rank=rank,
            world_size=world_size,
        ),
        device="cpu",
        keeper=options.pop("keeper", None) or CheckpointKeeper(folder / "out"),
        seed=3,
        start_iteration=start,
        rank=rank,
        world_size=world_size,
        **options,
    )


def make_evaluation(folder, model):
    index = folder / "val" / "index.tsv"
    if not index.exists():
        write_images(index.parent, 3, seed=9)
    dataset = build_dataset(test_set_cfg(index))
    loader = build_evaluation_loader(dataset)
    return lambda: evaluate(model, loader, dataset, "cpu", keep_pictures=1)


def test_equals_a_plain_loop(tmp_path):
    recorder = Recorder()
    make_trainer(tmp_path, model=make_model(dropout_ratio=0.0), callbacks=[recorder]).run()

    model = make_model(dropout_ratio=0.0).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    dataset = build_dataset(train_set_cfg(tmp_path / "images" / "index.tsv"))
    loader = build_train_loader(dataset, samples_per_gpu=2, workers_per_gpu=0, seed=3)
    for iteration in range(8):
        warm = 1 - (1 - min(iteration / 3, 1)) * 0.9
        optimizer.param_groups[0]["lr"] = ((0.05 - 1e-4) * (1 - iteration / 8) ** 0.9 + 1e-4) * warm
        batch = next(loader)
        loss = total_loss(model.loss(batch["img"], batch["gt_semantic_seg"]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert recorder.losses[iteration]["loss"] == pytest.approx(loss.item(), rel=1e-5)
        event = recorder.of("iteration")[iteration]
        assert event.learning_rates == pytest.approx([optimizer.param_groups[0]["lr"]])


def test_it_learns(tmp_path):
    recorder, model = Recorder(), make_model(norm=True, dropout_ratio=0.0)
    options = dict(max_iters=40, interval=40, samples=4, lr_config=dict(policy="fixed"))
    trainer = make_trainer(
        tmp_path, model=model, callbacks=[recorder], evaluate=make_evaluation(tmp_path, model), **options
    )
    trainer.run()
    assert recorder.losses[-1]["loss"] < 0.5 * recorder.losses[0]["loss"]
    assert recorder.of("evaluation")[-1].metrics.mIoU > 0.6


def test_events(tmp_path):
    recorder, model = Recorder(), make_model(norm=True)
    trainer = make_trainer(
        tmp_path,
        model=model,
        callbacks=[recorder],
        evaluate=make_evaluation(tmp_path, model),
        max_iters=7,
        interval=3,
        checkpoint_interval=2,
        log_interval=2,
        meta=dict(CLASSES=CLASSES),
    )
    assert trainer.run() == "completed"
    order = [(kind, event.iteration) for kind, event in recorder.events if kind != "iteration"]
    expected = [("start", 0), ("checkpoint", 2), ("evaluation", 3), ("checkpoint", 3), ("checkpoint", 4)]
    expected += [("evaluation", 6), ("checkpoint", 6), ("evaluation", 7), ("checkpoint", 7), ("end", 7)]
    assert order == expected
    iterations = recorder.of("iteration")
    assert [event.iteration for event in iterations] == list(range(1, 8))
    assert set(iterations[0].losses) == {"decode.loss_ce", "decode.acc_seg", "loss"}
    assert [event.mean_losses is not None for event in iterations] == [False, True, False, True, False, True, True]
    window = [event.losses["loss"] for event in iterations]
    assert iterations[3].mean_losses["loss"] == pytest.approx((window[2] + window[3]) / 2)
    assert iterations[6].mean_losses["loss"] == pytest.approx(window[6])
    assert iterations[-1].eta_seconds >= 0 and iterations[-1].seconds >= iterations[-1].data_seconds >= 0
    assert iterations[0].memory is None
    evaluations, checkpoints = recorder.of("evaluation"), recorder.of("checkpoint")
    assert evaluations[0].is_best and len(evaluations[0].pictures) == 1
    assert checkpoints[0].best is None and checkpoints[0].latest.metrics is None
    assert checkpoints[1].latest.metrics == evaluations[0].metrics.summary()
    best = max(evaluations, key=lambda event: event.metrics.mIoU)
    assert checkpoints[-1].best.metrics["mIoU"] == best.metrics.mIoU
    assert recorder.of("start")[0].meta == dict(CLASSES=CLASSES)
    assert recorder.of("end")[0].reason == "completed"
    content = load_checkpoint(tmp_path / "out" / "latest.pth")
    assert content["meta"] == dict(CLASSES=CLASSES, iter=7)
    assert all(torch.equal(value, content["state_dict"][name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    "workers, norm, optimizer", [(0, True, SGD), (2, True, SGD), (0, False, dict(type="AdamW", lr=0.01))]
)
def test_a_resumed_run_is_the_uninterrupted_one(tmp_path, workers, norm, optimizer):
    options = dict(workers=workers, optimizer=optimizer, max_iters=10, interval=5)
    whole, first, second = Recorder(), Recorder(), Recorder()
    make_trainer(tmp_path, model=make_model(norm=norm), callbacks=[whole], **options).run()

    class Killed(Exception):
        pass

    class KillAt7(Callback):
        def on_iteration(self, event):
            if event.iteration == 7:
                raise Killed

    keeper = CheckpointKeeper(tmp_path / "resumed")
    callbacks = [first, KillAt7()]
    with pytest.raises(Killed):
        make_trainer(tmp_path, model=make_model(norm=norm), callbacks=callbacks, keeper=keeper, **options).run()
    assert first.of("end")[0].reason == "failed"
    path = tmp_path / "resumed" / "latest.pth"
    checkpoint = load_checkpoint(path)
    assert iterations_done(checkpoint, path) == 5
    keeper = CheckpointKeeper(tmp_path / "resumed")
    other = make_model(seed=5, norm=norm)
    trainer = make_trainer(tmp_path, model=other, start=5, callbacks=[second], keeper=keeper, **options)
    trainer.restore(checkpoint, path)
    trainer.run()
    assert first.losses[:5] + second.losses == whole.losses
    a, b = load_checkpoint(tmp_path / "out" / "latest.pth"), load_checkpoint(path)
    assert all(torch.equal(a["state_dict"][name], b["state_dict"][name]) for name in a["state_dict"])


def test_resume_knows_the_best(tmp_path):
    model = make_model(norm=True)
    make_trainer(tmp_path, model=model, evaluate=make_evaluation(tmp_path, model), max_iters=4).run()
    path = tmp_path / "out" / "latest.pth"
    keeper = CheckpointKeeper(tmp_path / "out")
    model = make_model(norm=True)
    trainer = make_trainer(tmp_path, model=model, start=4, keeper=keeper)
    trainer.restore(load_checkpoint(path), path)
    assert keeper.best.iteration == 4 and keeper.best.metrics["mIoU"] > 0


def test_a_finished_run_is_evaluated_again_and_one_beyond_the_end_refused(tmp_path):
    recorder, model = Recorder(), make_model(norm=True)
    evaluation = make_evaluation(tmp_path, model)
    make_trainer(tmp_path, model=model, start=8, callbacks=[recorder], evaluate=evaluation).run()
    assert [kind for kind, _ in recorder.events] == ["start", "evaluation", "checkpoint", "end"]
    with pytest.raises(ConfigError, match="9 iterations are done already, and max_iters is 8"):
        make_trainer(tmp_path, start=9)


def test_resuming_something_else_is_refused(tmp_path):
    make_trainer(tmp_path, max_iters=1, interval=1).run()
    path = tmp_path / "out" / "latest.pth"
    checkpoint = load_checkpoint(path)
    with pytest.raises(CheckpointError, match=r"latest.pth.*same model.*decode_head.conv_seg.weight"):
        make_trainer(tmp_path, model=make_model(norm=True, num_classes=5)).restore(checkpoint, path)
    with pytest.raises(CheckpointError, match=r"latest.pth.*same model"):
        make_trainer(tmp_path, model=make_model(norm=False)).restore(checkpoint, path)
    with pytest.raises(CheckpointError, match=r"latest.pth.*another type than AdamW"):
        make_trainer(tmp_path, optimizer=dict(type="AdamW", lr=0.1)).restore(checkpoint, path)
    paramwise = dict(SGD, paramwise_cfg=dict(norm_decay_mult=0.0))
    with pytest.raises(CheckpointError, match=r"latest.pth.*optimizer"):
        make_trainer(tmp_path, optimizer=paramwise).restore(checkpoint, path)
    with pytest.raises(CheckpointError, match=r"latest.pth.*no state of an optimizer"):
        make_trainer(tmp_path).restore({"state_dict": checkpoint["state_dict"]}, path)
    for state in (5, {"losses": {}}, {"losses": 5}, {"waiting": {"gradients": 1}}, {"keeper": 5}):
        with pytest.raises(CheckpointError, match=r"latest.pth.*damaged"):
            make_trainer(tmp_path).restore({**checkpoint, "trainer": state}, path)
    with pytest.raises(CheckpointError, match=r"latest.pth.*how many iterations"):
        iterations_done({"meta": {}}, path)


class Poison(Callback):
    """Makes a weight of the model NaN after an iteration."""

    def __init__(self, model, after):
        self.model, self.after = model, after

    def on_iteration(self, event):
        if event.iteration == self.after:
            self.model.backbone.conv1.weight.data[0, 0, 0, 0] = float("nan")


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    recorder, model = Recorder(), make_model(norm=True)
    trainer = make_trainer(tmp_path, model=model, callbacks=[recorder, Poison(model, 5)])
    with pytest.raises(NonFiniteLossError, match=r"iteration 6 \(decode.loss_ce nan, loss nan; learning rate 0\.0"):
        trainer.run()
    assert recorder.of("end")[0].reason == "failed"
    state = load_checkpoint(tmp_path / "out" / "latest.pth")
    assert state["meta"]["iter"] == 4
    assert all(torch.isfinite(value).all() for value in state["state_dict"].values())


def test_broken_weights_are_not_saved(tmp_path):
    model = make_model(norm=True)
    trainer = make_trainer(tmp_path, model=model, callbacks=[Poison(model, 8)])
    with pytest.raises(NonFiniteLossError, match="weights became NaN or infinite by iteration 8"):
        trainer.run()
    assert load_checkpoint(tmp_path / "out" / "latest.pth")["meta"]["iter"] == 4


def test_gradients_are_clipped(tmp_path):
    free, clipped = Recorder(), Recorder()
    plain = dict(type="SGD", lr=1.0)
    options = dict(max_iters=1, interval=1, optimizer=plain, lr_config=dict(policy="fixed"))
    start = make_model(dropout_ratio=0.0).state_dict()
    models = [make_model(dropout_ratio=0.0) for _ in range(2)]
    make_trainer(tmp_path, model=models[0], callbacks=[free], grad_clip=dict(max_norm=1e6), **options).run()
    make_trainer(tmp_path, model=models[1], callbacks=[clipped], grad_clip=dict(max_norm=0.01), **options).run()
    norm = free.losses[0]["grad_norm"]
    assert norm == clipped.losses[0]["grad_norm"] > 0.01
    steps = [torch.cat([(m.state_dict()[k] - start[k]).flatten() for k in start]).norm().item() for m in models]
    assert steps == pytest.approx([norm, 0.01], rel=1e-3)


def test_dropout_depends_on_seed_and_iteration_only(tmp_path):
    runs = []
    for noise in (0, 12345):
        recorder = Recorder()
        torch.manual_seed(noise)
        make_trainer(tmp_path, model=make_model(norm=True), callbacks=[recorder], max_iters=3).run()
        runs.append(recorder.losses)
    assert runs[0] == runs[1]


def test_memory_formats_give_the_same_numbers(tmp_path):
    runs = []
    for channels_last in (True, False):
        recorder, model = Recorder(), make_model(norm=True)
        make_trainer(tmp_path, model=model, callbacks=[recorder], channels_last=channels_last).run()
        assert model.backbone.conv2.weight.is_contiguous() is not channels_last
        runs.append([losses["loss"] for losses in recorder.losses])
    np.testing.assert_allclose(runs[0], runs[1], rtol=1e-4)


def test_stopping_between_iterations(tmp_path):
    recorder, answers = Recorder(), iter([False] * 5 + [True])
    trainer = make_trainer(tmp_path, callbacks=[recorder], should_stop=lambda: next(answers))
    assert trainer.run() == "stopped"
    assert [(kind, event.iteration) for kind, event in recorder.events[-2:]] == [("checkpoint", 5), ("end", 5)]
    assert load_checkpoint(tmp_path / "out" / "latest.pth")["meta"]["iter"] == 5


def test_an_exception_of_a_callback_is_not_hidden_by_the_end(tmp_path, caplog):
    class Fails(Callback):
        def on_iteration(self, event):
            raise OSError("the disk is full")

        def on_end(self, event):
            raise RuntimeError("cannot close")

    recorder = Recorder()
    with pytest.raises(OSError, match="the disk is full"), caplog.at_level(logging.ERROR, "mmseg"):
        make_trainer(tmp_path, callbacks=[Fails(), recorder]).run()
    assert recorder.of("end")[0].reason == "failed"
    assert "cannot close" in caplog.text


@pytest.mark.parametrize(
    "options, named",
    [
        (dict(interval=0), "interval"),
        (dict(log_interval=0), "log_interval"),
        (dict(checkpoint_interval=0), "checkpoint_interval"),
        (dict(grad_clip=dict(norm_type=2)), "grad_clip"),
        (dict(grad_clip=dict(max_norm=1, norm=2)), "grad_clip"),
    ],
)
def test_wrong_arguments_are_refused(tmp_path, options, named):
    with pytest.raises(ConfigError, match=named):
        make_trainer(tmp_path, **options)


def train_sharded(rank, folder, samples):
    recorder = Recorder()
    model = make_model(dropout_ratio=0.0)
    place = dict(rank=rank.rank, world_size=rank.world_size)
    trainer = make_trainer(
        folder, model=model, samples=samples, callbacks=[recorder], max_iters=20, interval=10, **place
    )
    trainer.run()
    return [losses["loss"] for losses in recorder.losses], [event.iteration for event in recorder.of("checkpoint")]


def poison_second(rank, folder):
    model = make_model(dropout_ratio=0.0)
    trainer = make_trainer(folder, model=model, rank=rank.rank, world_size=rank.world_size, log_interval=3)
    if rank.rank == 1:
        model.backbone.conv2.register_forward_hook(lambda module, inputs, output: output * float("nan"))
    trainer.run()


def test_two_processes_train_as_one_with_twice_the_batch(tmp_path):
    write_images(tmp_path / "images", 7)
    alone, _ = launch(train_sharded, 1, args=(tmp_path, 4))
    together, checkpoints = launch(train_sharded, 2, args=(tmp_path, 2))
    assert len(alone) == 20
    np.testing.assert_allclose(together, alone, rtol=1e-5)
    assert checkpoints == [10, 20]


def test_a_broken_loss_in_one_process_ends_all(tmp_path):
    write_images(tmp_path / "images", 7)
    with pytest.raises(NonFiniteLossError, match="iteration 1 "):
        launch(poison_second, 2, args=(tmp_path,))
    assert not (tmp_path / "out" / "latest.pth").exists()


def test_a_broken_image_ends_the_run_with_its_name(tmp_path):
    write_images(tmp_path / "images", 7)
    (tmp_path / "images" / "3.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="3.png"):
        make_trainer(tmp_path, workers=2).run()
