"""The original packages, under the names that `side.py` uses."""

# ruff: noqa: E402, I001  (the stand-ins must be there before mmseg is imported)

import contextlib
import logging
import os
import time
from typing import Any, Dict, List, Sequence, Tuple

import mmcv_ops

STANDS_IN = mmcv_ops.install()

import mmcv
import mmseg
import mmseg.datasets
import mmseg.datasets.pipelines
import torch
from mmcv.runner import Hook, build_optimizer, build_runner
from mmcv.utils import build_from_cfg
from mmseg.datasets.builder import PIPELINES
from mmseg.models import build_segmentor

with contextlib.suppress(ImportError):
    from mmseg.core import build_optimizer  # which knows further constructors

ROOT = os.path.join(os.path.dirname(mmseg.__file__), ".mim", "configs")


def about() -> Dict[str, str]:
    """Names and versions."""
    lite = " (without compiled operators)" if STANDS_IN else ""
    return {
        "mmsegmentation": mmseg.__version__,
        "mmcv": mmcv.__version__ + lite,
        "torch": torch.__version__,
    }


def read_config(path: str) -> Dict[str, Any]:
    """The resolved content of a config file."""
    return _plain(mmcv.Config.fromfile(path, import_custom_modules=False)._cfg_dict)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(item) for item in value)
    return value


def build_model(cfg: Dict[str, Any], beside: Dict[str, Any]) -> torch.nn.Module:
    """The network of a config, in eval mode."""
    return build_segmentor(
        mmcv.ConfigDict(cfg), **{key: mmcv.ConfigDict(value) for key, value in beside.items()}
    ).eval()


def logits(model: torch.nn.Module, image: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) at the image's size."""
    return model.encode_decode(image, _metas(image))


def losses(model: torch.nn.Module, image: torch.Tensor, label: torch.Tensor) -> Tuple[torch.Tensor, Dict[str, float]]:
    """The loss to minimise, and all by name."""
    total, named = model._parse_losses(model.forward_train(image, _metas(image), label))
    return total, {name: float(value) for name, value in named.items()}


def _metas(image: torch.Tensor) -> List[Dict[str, Any]]:
    shape = (*image.shape[2:], 3)
    return [dict(ori_shape=shape, img_shape=shape, pad_shape=shape, flip=False, scale_factor=1.0) for _ in image]


def transform(cfg: Dict[str, Any], sample: Dict[str, Any]) -> Any:
    """What a transform makes of a sample."""
    return build_from_cfg(cfg, PIPELINES)(sample)


class _Recorder(Hook):
    def __init__(self) -> None:
        self.rates: List[List[float]] = []

    def before_train_iter(self, runner: Any) -> None:
        self.rates.append([group["lr"] for group in runner.optimizer.param_groups])


class _Model(torch.nn.Module):
    def train_step(self, data: Any, optimizer: Any, **options: Any) -> Dict[str, Any]:
        return dict(loss=torch.zeros(()), log_vars={}, num_samples=1)


def learning_rates(
    lr_config: Dict[str, Any], runner_cfg: Dict[str, Any], rates: Sequence[float], iters_per_epoch: int
) -> List[List[float]]:
    """The rate of each parameter group at each iteration."""
    time.sleep = lambda seconds: None  # the runners sleep between epochs
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates]
    optimizer = torch.optim.SGD(groups, lr=rates[0])
    logger = logging.getLogger("parity")
    logger.setLevel(logging.ERROR)
    arguments = dict(model=_Model(), optimizer=optimizer, work_dir=None, logger=logger, meta={})
    runner = build_runner(dict(runner_cfg), default_args=arguments)
    runner.register_lr_hook(mmcv.ConfigDict(lr_config))
    recorder = _Recorder()
    runner.register_hook(recorder, priority="LOWEST")
    loader = torch.utils.data.DataLoader(list(range(iters_per_epoch)))
    runner.run([loader], [("train", 1)])
    return recorder.rates


def optimizer_groups(model: torch.nn.Module, cfg: Dict[str, Any]) -> torch.optim.Optimizer:
    """The optimizer of a config."""
    return build_optimizer(model, mmcv.ConfigDict(cfg))
