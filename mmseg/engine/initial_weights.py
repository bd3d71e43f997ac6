"""The weights that a training begins with."""

import logging
from pathlib import Path
from typing import Any, List, Mapping, Optional, Tuple

import torch
from torch import nn

from mmseg.engine.checkpoint import WeightsReport, load_checkpoint, load_weights
from mmseg.engine.distributed import barrier, current_rank
from mmseg.engine.weights_source import WeightsAddress, WeightsSource
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


def load_pretrained_parts(model: nn.Module, source: Optional[WeightsSource] = None) -> List[Tuple[str, WeightsReport]]:
    """Load the weights of the parts whose `init_cfg` is dict(type='Pretrained', checkpoint=ADDRESS, prefix=None).

    An address is a file or what `WeightsAddress` understands. Where the source may not download, weights that are not
    on this machine are logged, and that part keeps its random ones, so that a machine without a network can train.

    Args:
        source: where to look; by default only for what is a file, or in torch's cache.

    Returns:
        The parts' names with what was loaded.

    Raises:
        CheckpointError: a file is no checkpoint or nothing in it fits, or a download fails.
    """
    source = source if source is not None else WeightsSource()
    reports = []
    for name, module in model.named_modules():
        init_cfg = _pretrained(getattr(module, "init_cfg", None))
        if init_cfg is None or not init_cfg.get("checkpoint"):
            continue
        part = name or "the model"
        address = WeightsAddress.parse(str(init_cfg["checkpoint"]))
        path = _find(source, address.text)
        if path is None:
            logger.warning(
                "%s begins with random weights, because %s is not here: %s",
                part,
                address.text,
                source.advice(address.text),
            )
            continue
        weights = load_checkpoint(path)["state_dict"]
        if init_cfg.get("prefix"):
            weights = _below(weights, str(init_cfg["prefix"]))
        elif address.prefix:
            weights = _below(weights, address.prefix) or weights
        try:
            report = load_weights(module, weights)
        except CheckpointError as error:
            raise CheckpointError(f"{path} cannot give the weights of {part}: {error}") from error
        logger.info("weights of %s from %s: %s", part, path, report.summary())
        reports.append((name, report))
    return reports


def _find(source: WeightsSource, text: str) -> Optional[Path]:
    """The file of the weights; the first process downloads it before the others look."""
    if not source.download:
        return source.find_local(text)
    is_main = current_rank().is_main
    if not is_main:
        barrier()
    try:
        return source.find(text)
    finally:
        if is_main:
            barrier()


def _below(weights: Mapping[str, torch.Tensor], prefix: str) -> Mapping[str, torch.Tensor]:
    """The entries below a prefix (with or without a dot at its end), without it."""
    start = prefix.rstrip(".") + "."
    return {key[len(start) :]: value for key, value in weights.items() if key.startswith(start)}


def _pretrained(init_cfg: Any) -> Optional[Mapping[str, Any]]:
    for part in init_cfg if isinstance(init_cfg, (list, tuple)) else [init_cfg]:
        if isinstance(part, Mapping) and part.get("type") == "Pretrained":
            return part
    return None
