"""Learning rates as a function of the iteration, with the policies and arguments of mmcv's `lr_config`."""

import math
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Union

from torch.optim import Optimizer

from mmseg.errors import ConfigError
from mmseg.registry import Registry

# (base learning rate, progress, whole length) → learning rate, where progress and length count iterations or epochs.
Policy = Callable[[float, float, float], float]

POLICIES = Registry("learning rate policy")


@POLICIES.register_module("fixed")
def fixed() -> Policy:
    """The base learning rate throughout."""
    return lambda base, progress, length: base


@POLICIES.register_module("step")
def step(step: Union[int, Sequence[int]], gamma: float = 0.1, min_lr: Optional[float] = None) -> Policy:
    """Times `gamma` every `step`, or at each of the steps when it is a list."""
    if isinstance(step, int):
        _require(step > 0, f"lr_config.step must be above 0, not {step}")
        steps: Optional[List[int]] = None
    else:
        _require(
            isinstance(step, (list, tuple)) and all(isinstance(s, int) and s > 0 for s in step),
            f"lr_config.step must be a positive integer or a list of them, not {step!r}",
        )
        steps = sorted(step)

    def policy(base: float, progress: float, length: float) -> float:
        passed = progress // step if steps is None else sum(progress >= s for s in steps)
        rate = base * gamma**passed
        return rate if min_lr is None else max(rate, min_lr)

    return policy


@POLICIES.register_module("exp")
def exp(gamma: float) -> Policy:
    """Times `gamma` at every step."""
    return lambda base, progress, length: base * gamma**progress


@POLICIES.register_module("inv")
def inv(gamma: float, power: float = 1.0) -> Policy:
    """Inverse decay, base · (1 + gamma · progress)^-power."""
    return lambda base, progress, length: base * (1 + gamma * progress) ** -power


@POLICIES.register_module("poly")
def poly(power: float = 1.0, min_lr: float = 0.0) -> Policy:
    """From the base down to `min_lr` by (1 - progress / length)^power (DeepLab, Chen et al. 2017)."""
    return lambda base, progress, length: (base - min_lr) * max(1 - progress / length, 0.0) ** power + min_lr


@POLICIES.register_module("cosineannealing")
def cosine_annealing(min_lr: Optional[float] = None, min_lr_ratio: Optional[float] = None) -> Policy:
    """Half a cosine from the base to `min_lr`, or to `min_lr_ratio` of the base (SGDR, Loshchilov and Hutter 2017)."""
    _require(
        (min_lr is None) != (min_lr_ratio is None),
        "lr_config with policy CosineAnnealing needs exactly one of min_lr and min_lr_ratio",
    )

    def policy(base: float, progress: float, length: float) -> float:
        target = min_lr if min_lr_ratio is None else base * min_lr_ratio
        return target + 0.5 * (base - target) * (math.cos(math.pi * progress / length) + 1)

    return policy


class Schedule:
    """Sets the learning rates of an optimizer for an iteration, as a pure function of it and of the initial rates.

    Nothing is carried from one iteration to the next, so a resumed run needs no state of the schedule.

    Args:
        optimizer: its groups' `initial_lr` (else `lr`) at this moment are the base rates.
        policy: see `Policy`.
        length: iterations of the whole run.
        iters_per_epoch: given when the policy counts epochs; the rate then changes only between epochs.
        warmup, warmup_iters, warmup_ratio: the factor on the regular rate rises from the ratio to 1 over these first
            iterations, linearly or exponentially, or jumps after them (`constant`).
    """

    def __init__(
        self,
        optimizer: Optimizer,
        policy: Policy,
        *,
        length: int,
        iters_per_epoch: Optional[int] = None,
        warmup: Optional[str] = None,
        warmup_iters: int = 0,
        warmup_ratio: float = 0.1,
    ) -> None:
        self._optimizer = optimizer
        self._base = [group.setdefault("initial_lr", group["lr"]) for group in optimizer.param_groups]
        self._policy = policy
        self._length = length
        self._iters_per_epoch = iters_per_epoch
        self._warmup = warmup
        self._warmup_iters = warmup_iters
        self._warmup_ratio = warmup_ratio

    def rates(self, iteration: int) -> List[float]:
        """The rate of each parameter group for the iteration, counted from 0."""
        progress, length = float(iteration), float(self._length)
        if self._iters_per_epoch is not None:
            progress = float(iteration // self._iters_per_epoch)
            length = float(math.ceil(self._length / self._iters_per_epoch))
        factor = self._warmup_factor(iteration)
        return [self._policy(base, progress, length) * factor for base in self._base]

    def set(self, iteration: int) -> List[float]:
        """Give the optimizer the rates for the iteration, counted from 0; returns them."""
        rates = self.rates(iteration)
        for group, rate in zip(self._optimizer.param_groups, rates):
            group["lr"] = rate
        return rates

    def _warmup_factor(self, iteration: int) -> float:
        if self._warmup is None or iteration >= self._warmup_iters:
            return 1.0
        if self._warmup == "constant":
            return self._warmup_ratio
        left = 1 - iteration / self._warmup_iters
        if self._warmup == "linear":
            return 1 - left * (1 - self._warmup_ratio)
        return self._warmup_ratio**left


def build_schedule(
    lr_config: Optional[Mapping[str, Any]],
    optimizer: Optimizer,
    max_iters: int,
    iters_per_epoch: Optional[int] = None,
) -> Schedule:
    """The schedule that `lr_config` describes, with the meaning of mmcv 1.x.

    Policies: fixed, step, exp, inv, poly, CosineAnnealing. `by_epoch` (default False) counts the policy's progress in
    epochs, `warmup_by_epoch` the warm-up's length. Without an `lr_config` the rate stays as it is.
    Raises ConfigError on an unknown policy or argument.
    """
    arguments: Dict[str, Any] = dict(lr_config) if lr_config is not None else {"policy": "fixed"}
    name = arguments.pop("policy", None)
    if not isinstance(name, str):
        raise ConfigError(f"lr_config.policy must be the name of a learning rate policy, not {name!r}")
    by_epoch = bool(arguments.pop("by_epoch", False))
    warmup = arguments.pop("warmup", None)
    warmup_iters = arguments.pop("warmup_iters", 0)
    warmup_ratio = arguments.pop("warmup_ratio", 0.1)
    warmup_by_epoch = bool(arguments.pop("warmup_by_epoch", False))

    _require(isinstance(max_iters, int) and max_iters > 0, f"max_iters must be above 0, not {max_iters!r}")
    if (by_epoch or warmup_by_epoch) and not iters_per_epoch:
        raise ConfigError("lr_config counts epochs, and how many iterations an epoch has is not known here")
    if warmup is not None:
        _require(
            warmup in ("constant", "linear", "exp"),
            f"lr_config.warmup must be None, 'constant', 'linear' or 'exp', not {warmup!r}",
        )
        _require(
            isinstance(warmup_iters, int) and warmup_iters > 0,
            f"lr_config.warmup_iters must be a whole number above 0, not {warmup_iters!r}",
        )
        _require(
            isinstance(warmup_ratio, (int, float)) and 0 < warmup_ratio <= 1,
            f"lr_config.warmup_ratio must be above 0 and at most 1, not {warmup_ratio!r}",
        )
        if warmup_by_epoch:
            warmup_iters *= iters_per_epoch

    return Schedule(
        optimizer,
        POLICIES.build({**arguments, "type": name.lower()}),
        length=max_iters,
        iters_per_epoch=iters_per_epoch if by_epoch else None,
        warmup=warmup,
        warmup_iters=warmup_iters,
        warmup_ratio=warmup_ratio,
    )


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)
