"""Every backbone of the package timm, PyTorch Image Models (https://github.com/huggingface/pytorch-image-models)."""

from typing import Any, List, Mapping

import torch

from mmseg.errors import ConfigError
from mmseg.models.builder import BACKBONES
from mmseg.models.layers import NORM_LAYERS, BaseModule
from mmseg.models.layers.base_module import InitCfg

# Parts of a classifier that a model has when it is not cut down to its features.
_CLASSIFIER_PARTS = ("global_pool", "fc", "classifier")
# Arguments of timm that name a place from which it fetches, or where it keeps what it fetched.
_PLACES = ("pretrained_cfg", "pretrained_cfg_overlay", "cache_dir")


class TIMMBackbone(BaseModule):
    """A model of timm as a backbone; see `build_timm_backbone`, which configs call."""

    def __init__(self, *, arguments: Mapping[str, Any], checkpoint_path: str = "", init_cfg: InitCfg = None) -> None:
        super().__init__(init_cfg)
        self.features_only = bool(arguments["features_only"])
        self.timm_model = _create_model(arguments)
        if checkpoint_path:
            # For the training to load, which runs nothing that a file holds and resolves addresses.
            self.timm_model.init_cfg = {"type": "Pretrained", "checkpoint": checkpoint_path}
        for name in _CLASSIFIER_PARTS:
            if isinstance(getattr(self.timm_model, name, None), torch.nn.Module):
                setattr(self.timm_model, name, None)

    def forward(self, image: torch.Tensor) -> List[torch.Tensor]:
        """Image (B, in_channels, H, W) to feature maps, finest first."""
        return list(self.timm_model(image)) if self.features_only else [self.timm_model.forward_features(image)]


@BACKBONES.register_module("TIMMBackbone")
def build_timm_backbone(
    model_name: str,
    *,
    features_only: bool = True,
    pretrained: bool = True,
    checkpoint_path: str = "",
    in_channels: int = 3,
    init_cfg: InitCfg = None,
    **kwargs: Any,
) -> TIMMBackbone:
    """A backbone by its name in timm; its weights have the prefix `timm_model.` in checkpoints.

    Args:
        model_name: as `timm.list_models()` lists them.
        features_only: return the maps of all stages, instead of the last one only.
        pretrained: a training begins with the weights that timm knows of. Nothing is fetched here, because the config
            may be a stranger's: like those of every backbone they are a file in the folder of pre-trained weights, or
            downloaded where the training allows that.
        checkpoint_path: a training begins with the weights of this file, named as timm names them; it is not read here.
        in_channels: channels of the image.
        init_cfg: initial weights over those of timm.
        **kwargs: further arguments of `timm.create_model`, e.g. `out_indices` or `output_stride`; `norm_layer` is a
            norm layer as configs name it.

    Raises:
        ConfigError: timm is not installed, cannot make the model, or would have to fetch it from somewhere.
    """
    if ":" in str(model_name):
        raise ConfigError(f"TIMMBackbone: {model_name!r} names a place to fetch a model from, expected a model of timm")
    for key in _PLACES:
        if key in kwargs:
            raise ConfigError(
                f"TIMMBackbone: {key!r} is not possible, because nothing is fetched from where a config says"
            )
    arguments = dict(kwargs)
    if "norm_layer" in arguments:
        arguments["norm_layer"] = NORM_LAYERS.get(arguments["norm_layer"])
    arguments.update(
        model_name=model_name,
        features_only=features_only,
        pretrained=False,
        in_chans=in_channels,
    )
    backbone = TIMMBackbone(arguments=arguments, checkpoint_path=checkpoint_path, init_cfg=init_cfg)
    if pretrained and not checkpoint_path:
        address = _published_weights(backbone.timm_model, str(model_name))
        backbone.timm_model.init_cfg = {"type": "Pretrained", "checkpoint": address}
    return backbone


def _published_weights(model: torch.nn.Module, model_name: str) -> str:
    """The address of the weights that timm has for a model."""
    known = getattr(model, "pretrained_cfg", None) or {}
    repository, url = str(known.get("hf_hub_id") or ""), str(known.get("url") or "")
    if repository.startswith("timm/") and repository != "timm/":
        return f"timm://{repository[len('timm/') :]}"
    return url if url.startswith("https://") else f"timm://{model_name}"


def _create_model(arguments: Mapping[str, Any]) -> torch.nn.Module:
    try:
        import timm
    except Exception as error:  # also what a torchvision that does not fit torch raises
        raise ConfigError(f"TIMMBackbone needs the package timm ({_sentence(error)}): pip install timm") from error
    try:
        return timm.create_model(**arguments)
    except Exception as error:  # timm raises whatever its many models and its downloads raise
        name = arguments["model_name"]
        raise ConfigError(f"TIMMBackbone: timm cannot make the model {name!r}: {_sentence(error)}") from error


def _sentence(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
