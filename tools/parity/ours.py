"""This project's package, under the names that `side.py` uses."""

import sys
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import torch

from mmseg.config import Config
from mmseg.datasets import TRANSFORMS
from mmseg.engine.optimizers import build_optimizer
from mmseg.engine.schedules import build_schedule
from mmseg.engine.version import __version__
from mmseg.models import build_segmentor, total_loss

ROOT = None


def about() -> Dict[str, str]:
    """Names and versions."""
    return {"mmseg": __version__, "torch": torch.__version__}


def read_config(path: str) -> Dict[str, Any]:
    """The resolved content of a config file."""
    return Config.fromfile(path).to_dict()


def build_model(cfg: Dict[str, Any], beside: Dict[str, Any]) -> torch.nn.Module:
    """The network of a config, in eval mode."""
    return build_segmentor(cfg, **beside).eval()


def logits(model: torch.nn.Module, image: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) at the image's size."""
    return model(image)


def losses(model: torch.nn.Module, image: torch.Tensor, label: torch.Tensor) -> Tuple[torch.Tensor, Dict[str, float]]:
    """The loss to minimise, and all by name."""
    named = model.loss(image, label)
    total = total_loss(named)
    return total, {**{name: float(value) for name, value in named.items()}, "loss": float(total)}


def transform(cfg: Dict[str, Any], sample: Dict[str, Any]) -> Any:
    """What a transform makes of a sample."""
    return TRANSFORMS.build(cfg)(sample, np.random.default_rng(0))


def learning_rates(
    lr_config: Dict[str, Any], runner_cfg: Dict[str, Any], rates: Sequence[float], iters_per_epoch: int
) -> List[List[float]]:
    """The rate of each parameter group at each iteration."""
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates]
    optimizer = torch.optim.SGD(groups, lr=rates[0])
    length = runner_cfg.get("max_iters") or runner_cfg["max_epochs"] * iters_per_epoch
    schedule = build_schedule(lr_config, optimizer, length, iters_per_epoch)
    return [schedule.rates(iteration) for iteration in range(length)]


def optimizer_groups(model: torch.nn.Module, cfg: Dict[str, Any]) -> torch.optim.Optimizer:
    """The optimizer of a config."""
    return build_optimizer(model, cfg)
