"""Training in mixed precision, or in float32 through the same calls."""

import logging
from typing import Any, ContextManager, Dict, Mapping, Optional

import torch
from torch.optim import Optimizer

from mmseg import torch_compat
from mmseg.errors import ConfigError

logger = logging.getLogger("mmseg")

_SCALER_ARGUMENTS = ("init_scale", "growth_factor", "backoff_factor", "growth_interval")


class Precision:
    """Half precision on a GPU, with the loss scaled so that small gradients survive (Micikevicius et al. 2018).

    Args:
        fp16: None for float32; else dict(loss_scale=…) with a number (a constant scale; the default is 512), `dynamic`,
            or a dict of the arguments of torch's GradScaler, which is dynamic too.
        device: on a CPU it is float32 whatever `fp16` says, with a warning.

    Raises ConfigError when `fp16` is something else.
    """

    def __init__(self, fp16: Optional[Mapping[str, Any]], device: torch.device) -> None:
        self._constant_scale: Optional[float] = None
        settings: Dict[str, Any] = {}
        if fp16 is not None:
            settings = self._settings(fp16)
        self.enabled = fp16 is not None and device.type == "cuda"
        if fp16 is not None and not self.enabled:
            logger.warning("fp16 needs a GPU; this training on %s is in float32", device)
        self._device_type = device.type
        self._scaler = torch_compat.grad_scaler(device.type, enabled=self.enabled, **settings)

    def autocast(self) -> ContextManager:
        """The context of the forward pass."""
        return torch_compat.autocast(self._device_type, enabled=self.enabled)

    def backward(self, loss: torch.Tensor) -> None:
        """Compute the gradients, scaled."""
        self._scaler.scale(loss).backward()

    def unscale(self, optimizer: Optimizer) -> None:
        """Turn the optimizer's gradients into the real ones, in place."""
        self._scaler.unscale_(optimizer)

    def step(self, optimizer: Optimizer) -> None:
        """Step the optimizer; when a gradient overflowed the step is left out."""
        self._scaler.step(optimizer)
        self._scaler.update(self._constant_scale)

    def state_dict(self) -> Dict[str, Any]:
        """The scaler's state; empty in float32."""
        return self._scaler.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue with a scaler's state. One of a run in the other precision is left alone."""
        if self.enabled and state:
            self._scaler.load_state_dict(dict(state))

    def _settings(self, fp16: Mapping[str, Any]) -> Dict[str, Any]:
        if not isinstance(fp16, Mapping) or set(fp16) - {"loss_scale"}:
            raise ConfigError(f"fp16 must be dict(loss_scale=…), not {fp16!r}")
        scale = fp16.get("loss_scale", 512.0)
        if scale == "dynamic":
            return {}
        if isinstance(scale, Mapping) and not set(scale) - set(_SCALER_ARGUMENTS):
            return dict(scale)
        if isinstance(scale, (int, float)) and not isinstance(scale, bool) and scale > 0:
            self._constant_scale = float(scale)
            return {"init_scale": float(scale)}
        raise ConfigError(
            f"fp16.loss_scale must be a number above 0, 'dynamic' or a dict with {', '.join(_SCALER_ARGUMENTS)}, "
            f"not {scale!r}"
        )
