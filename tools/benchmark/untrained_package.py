"""A model package with weights that nobody trained, whose class maps are nevertheless of many classes in smooth areas:
enough to time the executor with any number of classes."""

from pathlib import Path
from typing import List, Sequence, Tuple

import numpy as np
import torch
from torch import nn

from mmseg.config import Config
from mmseg.datasets import Compose
from mmseg.engine.checkpoint import save_checkpoint
from mmseg.models import build_segmentor

CONFIG_FILE = "configs/fastscnn/fast_scnn_lr0.12_8x4_160k_cityscapes.py"
_ROOT = Path(__file__).resolve().parents[2]
# Of the logits. Few are far from it, so that the best and the worst are up to about 60 apart, as of a trained network.
_STANDARD_DEVIATION = 1.0


def write_untrained_package(
    folder: Path, images: Sequence[str], *, num_classes: int, size: Tuple[int, int], seed: int = 0
) -> List[str]:
    """Write a Fast-SCNN of `num_classes` classes.

    Args:
        folder: where the config and the weights go.
        images: a few image files, from which batch normalisation gets its statistics.
        size: (width, height) to which the package's test pipeline resizes images.

    Returns:
        The paths of the package's files, as model_params_path takes them. The classes are called class-0 and so on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cfg = Config.fromfile(str(_ROOT / CONFIG_FILE))
    for head in [cfg.model.decode_head, *cfg.model.auxiliary_head]:
        head.num_classes = num_classes
    for transform in cfg.data.test.pipeline:
        if transform["type"] == "MultiScaleFlipAug":
            transform["img_scale"] = size
    classes = [f"class-{index}" for index in range(num_classes)]
    palette = np.random.default_rng(seed).integers(0, 256, (num_classes, 3)).tolist()
    cfg.data.test.update(classes=classes, palette=palette)
    torch.manual_seed(seed)
    model = build_segmentor(cfg.model)
    _settle(model, _batch(cfg.data.test.pipeline, images))
    config_file, weights_file = folder / "untrained.py", folder / "untrained.pth"
    cfg.dump(config_file)
    save_checkpoint(weights_file, model=model, meta={"CLASSES": classes, "PALETTE": palette})
    return [str(config_file), str(weights_file)]


def _batch(pipeline: Sequence[dict], images: Sequence[str]) -> torch.Tensor:
    prepare = Compose(pipeline)
    samples = [prepare({"img_info": {"filename": image}, "img_prefix": None}) for image in images]
    return torch.stack([sample["img"][0] for sample in samples])


@torch.no_grad()
def _settle(model: nn.Module, batch: torch.Tensor) -> None:
    """Give batch normalisation the statistics of `batch`, and the logits a spread."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    model.train()
    model(batch)
    model.eval()
    logits = model(batch)
    classifier = model.decode_head.conv_seg
    mean, deviation = logits.mean(dim=(0, 2, 3)), logits.std(dim=(0, 2, 3)).clamp_(min=1e-6)
    scale = _STANDARD_DEVIATION / deviation
    classifier.bias.copy_((classifier.bias - mean) * scale)
    classifier.weight.mul_(scale[:, None, None, None])
