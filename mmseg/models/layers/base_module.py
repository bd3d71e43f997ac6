"""The base of every part of a network that a config can name."""

from typing import Any, Mapping, Optional, Sequence, Union

import torch.nn as nn

from mmseg.models.layers.initialization import initialize

InitCfg = Optional[Union[Mapping[str, Any], Sequence[Mapping[str, Any]]]]


class BaseModule(nn.Module):
    """A module with an `init_cfg`, see `mmseg.models.layers.initialization.initialize`."""

    def __init__(self, init_cfg: InitCfg = None) -> None:
        super().__init__()
        self.init_cfg = init_cfg

    def init_weights(self) -> None:
        """Apply `init_cfg`, then those of the children: what a part says about itself wins."""
        if self.init_cfg:
            initialize(self, self.init_cfg)
        for child in self.children():
            _init_children(child)


def _init_children(module: nn.Module) -> None:
    if isinstance(module, BaseModule):
        module.init_weights()
        return
    for child in module.children():
        _init_children(child)
