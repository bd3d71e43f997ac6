"""From a config file, a checkpoint and images to class maps."""

import os
from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

import numpy as np
import torch

from mmseg.config import Config
from mmseg.datasets import Compose, TestBatch
from mmseg.engine.checkpoint import load_checkpoint, load_weights
from mmseg.engine.prediction import batch_predictions
from mmseg.errors import CheckpointError, ConfigError, ImageError
from mmseg.models import EncoderDecoder, build_segmentor

PathLike = Union[str, "os.PathLike[str]"]
Image = Union[PathLike, np.ndarray]


def init_segmentor(
    config: Union[PathLike, Config],
    checkpoint: Optional[PathLike] = None,
    device: Union[str, torch.device] = "cpu",
) -> EncoderDecoder:
    """Build the model of a config and load its weights.

    Args:
        config: the config or its file.
        checkpoint: the weights' file; None leaves the initial weights.
        device: where the model goes.

    Returns:
        The model in eval mode, in channels-last memory format, with `.cfg`, and with `.CLASSES` (names) and `.PALETTE`
        (colours [R, G, B]) from the checkpoint, else from the config's data sets, else None.

    Raises:
        ConfigError: the config cannot be read or describes no model.
        CheckpointError: the checkpoint cannot be read, or lacks weights of the model.
    """
    cfg = config if isinstance(config, Config) else Config.fromfile(config)
    if not isinstance(cfg.get("model"), Mapping):
        raise ConfigError(f"{cfg.filename or 'the config'} has no 'model', so there is nothing to build")
    description = _without_download(cfg.model) if checkpoint is not None else cfg.model
    model = build_segmentor(description, train_cfg=cfg.get("train_cfg"), test_cfg=cfg.get("test_cfg"))
    meta: Mapping[str, Any] = {}
    if checkpoint is not None:
        content = load_checkpoint(checkpoint)
        report = load_weights(model, content["state_dict"])
        if not report.complete:
            raise CheckpointError(
                f"{os.fspath(checkpoint)} does not fit the model of {cfg.filename or 'the config'}: {report.summary()}"
            )
        meta = content["meta"]
    model.cfg = cfg
    model.CLASSES = _listed("CLASSES", "classes", meta, cfg)
    model.PALETTE = _listed("PALETTE", "palette", meta, cfg)
    return model.to(torch.device(device), memory_format=torch.channels_last).eval()


def _without_download(model: Mapping[str, Any]) -> Dict[str, Any]:
    """The model's config without the backbone's wish for weights of its own, which timm fetches while it is built."""
    backbone = model.get("backbone")
    if not isinstance(backbone, Mapping) or backbone.get("type") != "TIMMBackbone":
        return dict(model)
    return {**model, "backbone": {**backbone, "pretrained": False, "checkpoint_path": ""}}


def _listed(meta_key: str, data_key: str, meta: Mapping[str, Any], cfg: Config) -> Optional[List[Any]]:
    """The classes or the palette as a list: of the checkpoint's meta, else of the first data set that has one."""
    data = cfg.get("data") or {}
    sets = [data.get(name) for name in ("test", "val", "train")]
    # A data set may be a list of data sets, or wrap one.
    parts = [part for entry in sets for part in (entry if isinstance(entry, (list, tuple)) else [entry])]
    parts += [part.get("dataset") for part in parts if isinstance(part, Mapping)]
    candidates = [meta.get(meta_key), *(part.get(data_key) for part in parts if isinstance(part, Mapping))]
    for value in candidates:
        if isinstance(value, np.ndarray):
            value = value.tolist()
        if isinstance(value, (list, tuple)) and value:
            return [list(item) if isinstance(item, (list, tuple)) else item for item in value]
    return None


def inference_segmentor(model: EncoderDecoder, images: Union[Image, Sequence[Image]]) -> List[np.ndarray]:
    """Segment images as the test pipeline of the model's config says, with all its views.

    Args:
        model: of `init_segmentor`.
        images: one or several, each a file or a BGR array (H, W, 3) of uint8.

    Returns:
        For each image its class map (H, W), int64, at the image's own size.

    Raises:
        ConfigError: the config has no test pipeline.
        ImageError: an image cannot be read, or an array is not of that shape and type.
    """
    several = isinstance(images, (list, tuple))
    pipeline = _test_pipeline(model.cfg)
    return [_class_map(model, _sample(pipeline, image)) for image in (images if several else [images])]


def _test_pipeline(cfg: Config) -> List[Any]:
    test = (cfg.get("data") or {}).get("test")
    if isinstance(test, (list, tuple)) and test:
        test = test[0]
    pipeline = test.get("pipeline") if isinstance(test, Mapping) else None
    pipeline = pipeline or cfg.get("test_pipeline")
    if not isinstance(pipeline, (list, tuple)) or not pipeline:
        raise ConfigError(f"{cfg.filename or 'the config'} has neither data.test.pipeline nor test_pipeline")
    return list(pipeline)


def _sample(pipeline: Sequence[Any], image: Image) -> Dict[str, Any]:
    """What the pipeline makes of one image."""
    if not isinstance(image, np.ndarray):
        return Compose(pipeline)({"img_info": {"filename": os.fspath(image)}, "img_prefix": None})
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise ImageError(f"an image is a BGR array (H, W, 3) of uint8, not {image.shape} of {image.dtype}")
    first = pipeline[0].get("type")
    if first != "LoadImageFromFile":
        raise ConfigError(f"an array takes the place of LoadImageFromFile, but the test pipeline begins with {first!r}")
    if pipeline[0].get("to_float32"):
        image = image.astype(np.float32)
    return Compose(pipeline[1:])(_loaded(image))


def _loaded(image: np.ndarray) -> Dict[str, Any]:
    """A sample as LoadImageFromFile would leave it."""
    return {
        "filename": None,
        "ori_filename": None,
        "img": image,
        "img_shape": image.shape,
        "ori_shape": image.shape,
        "pad_shape": image.shape,
        "scale_factor": 1.0,
        "img_norm_cfg": {"mean": np.zeros(3, np.float32), "std": np.ones(3, np.float32), "to_rgb": False},
        "img_fields": ["img"],
    }


def _class_map(model: EncoderDecoder, sample: Mapping[str, Any]) -> np.ndarray:
    views, metas = sample["img"], sample["img_metas"]
    if not isinstance(views, (list, tuple)):
        views, metas = [views], [metas]
    batch = TestBatch([0], [view.unsqueeze(0) for view in views], [[meta] for meta in metas], [None])
    (prediction,) = batch_predictions(model, batch, next(model.parameters()).device)
    return prediction.logits.class_map().cpu().numpy().astype(np.int64)
