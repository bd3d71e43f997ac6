"""The weights that a training begins with."""

import logging
from pathlib import Path
from typing import Any, List, Mapping, Optional, Tuple

from torch import nn

from mmseg.engine.checkpoint import WeightsReport, load_checkpoint, load_weights
from mmseg.errors import CheckpointError

logger = logging.getLogger("mmseg")


def load_initial_weights(model: nn.Module, path: Path) -> WeightsReport:
    """Load the weights of a checkpoint that fit the model, for example all but those of the last layer.

    What was left out is logged. Raises CheckpointError when the file is no checkpoint or nothing in it fits.
    """
    try:
        report = load_weights(model, load_checkpoint(path)["state_dict"])
    except CheckpointError as error:
        raise CheckpointError(f"{path} cannot give the initial weights: {error}") from error
    logger.info("initial weights from %s: %s", path, report.summary())
    for name, theirs, ours in report.mismatched:
        logger.warning("%s of %s was left out: its shape is %s, the model's %s", name, path, theirs, ours)
    return report


def load_pretrained_parts(model: nn.Module) -> List[Tuple[str, WeightsReport]]:
    """Load the weights of the parts whose `init_cfg` is dict(type='Pretrained', checkpoint=FILE, prefix=None).

    An address that is no file here (`open-mmlab://…`, `https://…`) is logged, and that part keeps its random weights:
    nothing is downloaded. Returns the parts' names with what was loaded.
    """
    reports = []
    for name, module in model.named_modules():
        init_cfg = _pretrained(getattr(module, "init_cfg", None))
        if init_cfg is None:
            continue
        path = Path(str(init_cfg.get("checkpoint")))
        if not path.is_file():
            logger.warning("%s begins with random weights: %s is no file here", name or "the model", path)
            continue
        weights = load_checkpoint(path)["state_dict"]
        prefix = str(init_cfg.get("prefix") or "").rstrip(".")
        if prefix:
            start = f"{prefix}."
            weights = {key[len(start) :]: value for key, value in weights.items() if key.startswith(start)}
        try:
            report = load_weights(module, weights)
        except CheckpointError as error:
            raise CheckpointError(f"{path} cannot give the weights of {name or 'the model'}: {error}") from error
        logger.info("weights of %s from %s: %s", name or "the model", path, report.summary())
        reports.append((name, report))
    return reports


def _pretrained(init_cfg: Any) -> Optional[Mapping[str, Any]]:
    for part in init_cfg if isinstance(init_cfg, (list, tuple)) else [init_cfg]:
        if isinstance(part, Mapping) and part.get("type") == "Pretrained":
            return part
    return None
