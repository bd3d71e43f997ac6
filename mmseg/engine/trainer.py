"""The training loop."""

import logging
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from mmseg.engine.callbacks import (
    Callback,
    CheckpointEvent,
    EndEvent,
    EvaluationEvent,
    IterationEvent,
    StartEvent,
)
from mmseg.engine.checkpoint import load_weights, save_checkpoint
from mmseg.engine.checkpoint_keeper import CheckpointKeeper
from mmseg.engine.distributed import Ballot, any_rank, barrier, broadcast_buffers
from mmseg.engine.eta import TimeEstimate
from mmseg.engine.gradient_accumulation import GradientAccumulation, gradients_of, set_gradients
from mmseg.engine.loss_window import LossWindow
from mmseg.engine.memory_advice import memory_advice
from mmseg.engine.metrics import Metrics
from mmseg.engine.precision import Precision
from mmseg.engine.schedules import Schedule
from mmseg.errors import CheckpointError, ConfigError, NonFiniteLossError
from mmseg.models import total_loss

logger = logging.getLogger("mmseg")


class Trainer:
    """Trains a segmentor by iterations, evaluates it, keeps checkpoints and tells callbacks.

    Args:
        model: has `loss(image, label) -> dict`; moved to `device` here.
        optimizer, schedule: of that model's parameters; the schedule sets the rates before every iteration.
        train_loader: endless; gives `img` (B, 3, H, W) float32 and `gt_semantic_seg` (B, 1, H, W) int64. After a resume
            it must begin at `start_iteration`.
        max_iters: iterations of the whole run, those before a resume included.
        keeper: decides which checkpoint files there are. Only the first process writes.
        callbacks: told in this order, in the first process only.
        evaluate: gives the Metrics of the model as it is; called by all processes. None: no evaluation.
        interval: iterations between evaluations. The last iteration is always evaluated. Each evaluation is followed by
            a checkpoint.
        checkpoint_interval: iterations between further checkpoints, without an evaluation.
        grad_clip: dict(max_norm=…, norm_type=2) for clipping by the norm of all gradients together.
        fp16: see `Precision`.
        cumulative_iters: iterations whose gradients are averaged for one step of the optimizer. Without batch
            normalisation that is the step of a batch so many times as large.
        log_interval: iterations between two `is_logged` events.
        seed: the network's own randomness (dropout) in an iteration depends on it, the iteration and the rank only.
        start_iteration: iterations done before.
        channels_last: memory format of model and images; the numbers are the same, most convolutions are faster.
        meta: plain values for the checkpoints and the loggers.
        rank, world_size: above one process the gradients are averaged (DistributedDataParallel).
        find_unused_parameters: for models of which some parameters get no gradient in an iteration.
        should_stop: asked before every iteration and after every evaluation, which it may have cut short; true ends the
            run with a checkpoint. With several processes it is enough that one says so.
        checkpoint_seconds: further checkpoints are written when the last one is so old.

    Raises ConfigError on contradicting arguments.
    """

    def __init__(
        self,
        *,
        model: nn.Module,
        optimizer: Optimizer,
        schedule: Schedule,
        train_loader: Iterable[Mapping[str, Any]],
        max_iters: int,
        device: Union[str, torch.device],
        keeper: CheckpointKeeper,
        interval: int,
        callbacks: Sequence[Callback] = (),
        evaluate: Optional[Callable[[], Metrics]] = None,
        checkpoint_interval: Optional[int] = None,
        grad_clip: Optional[Mapping[str, Any]] = None,
        fp16: Optional[Mapping[str, Any]] = None,
        cumulative_iters: int = 1,
        log_interval: int = 50,
        seed: int = 0,
        start_iteration: int = 0,
        channels_last: bool = True,
        meta: Optional[Mapping[str, Any]] = None,
        rank: int = 0,
        world_size: int = 1,
        find_unused_parameters: bool = False,
        should_stop: Optional[Callable[[], bool]] = None,
        checkpoint_seconds: Optional[float] = None,
    ) -> None:
        for name, value in (("interval", interval), ("log_interval", log_interval), ("max_iters", max_iters)):
            if value < 1:
                raise ConfigError(f"{name} must be at least 1, not {value}")
        if checkpoint_interval is not None and checkpoint_interval < 1:
            raise ConfigError(f"checkpoint_interval must be at least 1, not {checkpoint_interval}")
        if start_iteration > max_iters:
            raise ConfigError(
                f"{start_iteration} iterations are done already, and max_iters is {max_iters}: raise max_iters to go on"
            )
        if grad_clip is not None and ("max_norm" not in grad_clip or set(grad_clip) - {"max_norm", "norm_type"}):
            raise ConfigError(f"grad_clip must be dict(max_norm=…, norm_type=…), not {dict(grad_clip)}")

        self.iteration = start_iteration
        self.max_iters = max_iters
        self.keeper = keeper
        self._device = torch.device(device)
        self._memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self._model = model.to(self._device, memory_format=self._memory_format)
        self._optimizer = optimizer
        self._schedule = schedule
        self._loader = train_loader
        self._callbacks = list(callbacks)
        self._evaluate = evaluate
        self._interval = interval
        self._checkpoint_interval = checkpoint_interval
        self._grad_clip = dict(grad_clip) if grad_clip is not None else None
        self._precision = Precision(fp16, self._device)
        self._accumulation = GradientAccumulation(cumulative_iters, max_iters)
        self._grad_norm = torch.zeros((), device=self._device)
        self._log_interval = log_interval
        self._seed = seed
        self._meta = dict(meta or {})
        self._rank = rank
        self._should_stop = should_stop
        self._checkpoint_seconds = checkpoint_seconds
        self._ballot = Ballot()

        self._forward: nn.Module = _LossOf(self._model)
        if world_size > 1:
            self._forward = nn.parallel.DistributedDataParallel(
                self._forward,
                device_ids=[self._device] if self._device.type == "cuda" else None,
                find_unused_parameters=find_unused_parameters,
            )
        self._losses = LossWindow()
        self._time = TimeEstimate()
        self._checkpointed_at = start_iteration
        self._checkpointed_when = time.monotonic()
        self._evaluated_at: Optional[int] = None

    def restore(self, checkpoint: Mapping[str, Any], path: Path) -> None:
        """Take over weights, optimizer, loss scale, gradients that wait for their step and the record of kept files
        from a checkpoint read from `path`.

        The optimizer's settings (momentum, weight decay) come with its state; the rates are set by the schedule.
        Raises CheckpointError when it was not written by a training of this model with this optimizer.
        """
        try:
            load_weights(self._model, checkpoint["state_dict"], strict=True)
        except CheckpointError as error:
            raise CheckpointError(f"{path}: a training can only be resumed with the same model, but {error}") from error
        _restore_optimizer(self._optimizer, checkpoint.get("optimizer"), path)
        state = checkpoint.get(_STATE)
        if state:
            try:
                self._restore_state(state, path)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise CheckpointError(f"{path}: the trainer's state in it is damaged: {error}") from error
        latest = self.keeper.latest
        if latest is not None and latest.metrics is not None:
            self._evaluated_at = latest.iteration

    def _restore_state(self, state: Mapping[str, Any], path: Path) -> None:
        waiting = state.get("waiting")
        if waiting:
            set_gradients(self._model, waiting["gradients"])
            self._grad_norm = waiting["grad_norm"].to(self._device)
        self._precision.load_state_dict(state.get("precision", {}))
        if state.get("losses"):
            self._losses.load_state_dict(state["losses"])
        self.keeper.load_state_dict(state["keeper"], path)

    def run(self) -> str:
        """Train to the end. Returns why it ended: `completed`, or `stopped` when it was asked to.

        Raises NonFiniteLossError when a loss, or a weight that would be saved, is NaN or infinite, and whatever the
        loader, the model, the evaluation or a callback raises; the callbacks' `on_end` is called in any case.
        """
        try:
            self._tell("on_start", StartEvent(self.iteration, self.max_iters, self._meta))
            reason = self._train()
        except BaseException:
            self._tell_failure()
            raise
        self._tell("on_end", EndEvent(self.iteration, reason))
        return reason

    def _train(self) -> str:
        self._model.train()
        if self._evaluation_is_missing():
            self._evaluate_and_checkpoint()
        elif self.iteration == self.max_iters:
            self._evaluated_at = self.iteration
            self._tell_checkpoint()
        batches = iter(self._loader)
        while True:
            stop, is_due = self._ask()
            if stop and self.iteration > self._checkpointed_at:
                self._checkpoint(is_stage=False)
            # Only what was evaluated at the end, or need not be, is complete.
            if self.iteration == self.max_iters and (self._evaluate is None or self._is_evaluated()):
                return "completed"
            if stop or self.iteration == self.max_iters:
                return "stopped"
            if is_due and self.iteration > self._checkpointed_at:
                self._checkpoint(is_stage=False)
            self._run_iteration(batches)
            if self.iteration % self._interval == 0 or self.iteration == self.max_iters:
                self._evaluate_and_checkpoint()
            elif self._checkpoint_interval is not None and self.iteration % self._checkpoint_interval == 0:
                self._checkpoint()

    def _evaluation_is_missing(self) -> bool:
        """Whether the run that this one goes on from was ended while these weights were, or should have been,
        evaluated."""
        if self.iteration == self.max_iters:
            missing = self.keeper.latest is None or self.keeper.latest.iteration != self.iteration
            missing = missing or (self._evaluate is not None and not self._is_evaluated())
        else:
            newest = self.keeper.newest
            missing = self._evaluate is not None and self.iteration > 0 and self.iteration % self._interval == 0
            missing = missing and newest is not None and newest.iteration == self.iteration and newest.metrics is None
        return self._ballot.any(self._rank == 0 and missing)[0]

    def _is_evaluated(self) -> bool:
        return self._evaluated_at == self.iteration

    def _run_iteration(self, batches: Iterator[Mapping[str, Any]]) -> None:
        started = time.perf_counter()
        rates = self._schedule.set(self.iteration)
        batch = next(batches)
        waited = time.perf_counter() - started

        samples, size = len(batch["img"]), batch["img"].shape[-2:]
        with memory_advice(device=self._device.type, samples=samples, size=size, option="crop_size"):
            logged = self._learn(batch)
        if self._grad_clip is not None:
            logged["grad_norm"] = self._grad_norm  # that of the latest step

        self.iteration += 1
        self._losses.add(self.iteration, logged, rates[0])
        is_logged = self.iteration % self._log_interval == 0 or self.iteration == self.max_iters
        # Reading values from a GPU waits until it has computed them; on a CPU they are there.
        values = self._losses.read() if is_logged or self._device.type != "cuda" else None
        seconds = time.perf_counter() - started
        self._time.add_iteration(seconds)
        self._tell(
            "on_iteration",
            IterationEvent(
                iteration=self.iteration,
                max_iters=self.max_iters,
                losses=values,
                mean_losses=self._losses.take_means() if is_logged else None,
                learning_rates=rates,
                seconds=seconds,
                data_seconds=waited,
                eta_seconds=self._eta(),
                memory=self._memory(),
            ),
        )

    def _learn(self, batch: Mapping[str, Any]) -> Dict[str, torch.Tensor]:
        image = batch["img"].to(self._device, memory_format=self._memory_format, non_blocking=True)
        label = batch["gt_semantic_seg"].to(self._device, non_blocking=True)
        torch.manual_seed(_iteration_seed(self._seed, self.iteration, self._rank))
        with self._precision.autocast():
            losses = self._run_forward(image, label)
            loss = total_loss(losses)
        if self._accumulation.begins(self.iteration):
            self._optimizer.zero_grad(set_to_none=True)
        self._precision.backward(loss / self._accumulation.divisor(self.iteration))
        if self._accumulation.ends(self.iteration):
            self._step()
        return {**losses, "loss": loss}

    def _run_forward(self, image: torch.Tensor, label: torch.Tensor) -> Dict[str, torch.Tensor]:
        try:
            return self._forward(image, label)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise ConfigError(
                f"samples_per_gpu is {len(image)}, but this model's batch normalisation needs at least 2"
            ) from error

    def _step(self) -> None:
        if self._grad_clip is not None:
            self._precision.unscale(self._optimizer)
            self._grad_norm = self._clip()
        self._precision.step(self._optimizer)

    def _clip(self) -> torch.Tensor:
        parameters: List[nn.Parameter] = [p for p in self._model.parameters() if p.grad is not None]
        return torch.as_tensor(clip_grad_norm_(parameters, **self._grad_clip), device=self._device)

    def _evaluate_and_checkpoint(self) -> None:
        self._check_before_saving()
        metrics = None
        if self._evaluate is not None:
            started = time.perf_counter()
            # The first process's running statistics are the ones that are saved, so all evaluate with them.
            broadcast_buffers(self._model)
            metrics = self._evaluate()
            self._model.train()
            if self._ask()[0]:
                # It may lack images. The run that goes on from here repeats it.
                self._write(None, is_stage=False)
                return
            self._evaluated_at = self.iteration
            self._time.add_evaluation(time.perf_counter() - started)
            event = EvaluationEvent(self.iteration, metrics, self.keeper.is_best(metrics), metrics.pictures)
            self._tell("on_evaluation", event)
        self._write(metrics)

    def _checkpoint(self, *, is_stage: bool = True) -> None:
        self._check_before_saving()
        self._write(None, is_stage=is_stage)

    def _check_before_saving(self) -> None:
        self._losses.read()
        weights = (value for value in self._model.state_dict().values() if value.is_floating_point())
        finite = torch.stack([torch.isfinite(value).all() for value in weights]).all()
        if any_rank(not bool(finite)):
            raise NonFiniteLossError(
                f"the weights became NaN or infinite by iteration {self.iteration}, so training was stopped "
                "without saving them: a lower optimizer.lr, a warm-up or gradient clipping may help"
            )

    def _write(self, metrics: Optional[Metrics], *, is_stage: bool = True) -> None:
        self._checkpointed_at = self.iteration
        if self._rank == 0:
            self.keeper.write(self.iteration, metrics, self._save, is_stage=is_stage)
            self._tell_checkpoint()
        self._checkpointed_when = time.monotonic()
        # No process may end before the first one has written.
        barrier()

    def _tell_checkpoint(self) -> None:
        if self._rank == 0:
            event = CheckpointEvent(self.iteration, self.keeper.latest, self.keeper.best, self.keeper.kept)
            self._tell("on_checkpoint", event)
            self.keeper.delete_superseded()

    def _save(self, path: Path, keeper_state: Dict[str, Any]) -> None:
        state = {
            "keeper": keeper_state,
            "precision": self._precision.state_dict(),
            "losses": self._losses.state_dict(),
        }
        if self.iteration and not self._accumulation.ends(self.iteration - 1):
            # They are those of all processes: each backward pass averages them.
            state["waiting"] = {"gradients": gradients_of(self._model), "grad_norm": self._grad_norm}
        save_checkpoint(
            path,
            model=self._model,
            optimizer=self._optimizer,
            meta={**self._meta, "iter": self.iteration},
            extra={_STATE: state},
        )

    def _ask(self) -> Tuple[bool, bool]:
        """Whether to stop, and whether a checkpoint is due; the same answers in all processes."""
        if self._should_stop is None and self._checkpoint_seconds is None:
            return False, False
        stop = self._should_stop is not None and self._should_stop()
        age = time.monotonic() - self._checkpointed_when
        # The first one's clock decides.
        is_due = self._rank == 0 and self._checkpoint_seconds is not None and age >= self._checkpoint_seconds
        stop, is_due = self._ballot.any(stop, is_due)
        return stop, is_due

    def _eta(self) -> float:
        evaluations = 0
        if self._evaluate is not None:
            evaluations = -(-self.max_iters // self._interval) - self.iteration // self._interval
        return self._time.remaining(self.max_iters - self.iteration, evaluations)

    def _memory(self) -> Optional[int]:
        if self._device.type != "cuda":
            return None
        return torch.cuda.max_memory_allocated(self._device) // 2**20

    def _tell(self, method: str, event: Any) -> None:
        if self._rank == 0:
            for callback in self._callbacks:
                getattr(callback, method)(event)

    def _tell_failure(self) -> None:
        if self._rank != 0:
            return
        for callback in self._callbacks:
            try:
                callback.on_end(EndEvent(self.iteration, "failed"))
            except Exception:  # what ended the run is what must be seen
                logger.exception("%s failed while the run was ending", type(callback).__name__)


def iterations_done(checkpoint: Mapping[str, Any], path: Union[str, Path]) -> int:
    """How many iterations were done when a checkpoint was written. Raises CheckpointError when it does not say."""
    done = checkpoint.get("meta", {}).get("iter")
    if isinstance(done, bool) or not isinstance(done, int) or done < 0:
        raise CheckpointError(
            f"{path}: it does not say after how many iterations it was written, so it cannot be resumed"
        )
    return done


_STATE = "trainer"


class _LossOf(nn.Module):
    """Makes `model.loss` a forward pass, the only one in which DistributedDataParallel takes part."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: torch.Tensor, label: torch.Tensor) -> Dict[str, torch.Tensor]:
        return self.model.loss(image, label)


def _iteration_seed(seed: int, iteration: int, rank: int) -> int:
    return int(np.random.SeedSequence([seed, iteration, rank]).generate_state(1)[0])


def _restore_optimizer(optimizer: Optimizer, state: Optional[Mapping[str, Any]], path: Path) -> None:
    if not state:
        raise CheckpointError(f"{path}: it holds no state of an optimizer, so it cannot be resumed from")
    try:
        saved, own = (set().union(*map(set, groups)) for groups in (state["param_groups"], optimizer.param_groups))
        # Versions of torch add options to an optimizer, but only different optimizers each have some of their own.
        if saved - own - {"initial_lr"} and own - saved - {"initial_lr"}:
            raise ValueError(f"it is of another type than {type(optimizer).__name__}")
        optimizer.load_state_dict(dict(state))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: the state of the optimizer does not fit this run's: {error}") from error
    # A file holds every tensor contiguous. With the layout of its parameter a step is as fast and, because the order of
    # the operations is the same, as exact as it was before.
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            if name != "step" and isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                values[name] = torch.empty_like(parameter.detach(), dtype=value.dtype).copy_(value)
