"""ResNeXt (Xie et al., arXiv 1611.05431): ResNet whose 3 by 3 convolutions are of many narrow groups."""

from typing import Any, Dict

from mmseg.errors import ConfigError
from mmseg.models.backbones.resnet import ResNet
from mmseg.models.builder import BACKBONES


@BACKBONES.register_module()
class ResNeXt(ResNet):
    """ResNeXt without its classifier, e.g. ResNeXt-101 32x4d: `depth=101, groups=32, base_width=4`.

    Args:
        groups: number of groups.
        base_width: channels of a group in the first stage; each further stage has twice the one before. With one group
            it does not count: that is plain ResNet.
        **kwargs: of ResNet; `depth` 50, 101 or 152.
    """

    arch_settings = {depth: ResNet.arch_settings[depth] for depth in (50, 101, 152)}

    def __init__(self, *, groups: int = 1, base_width: int = 4, **kwargs: Any) -> None:
        if groups < 1 or base_width < 1:
            raise ConfigError(f"ResNeXt: groups and base_width are above 0, not {groups!r} and {base_width!r}")
        self._groups = groups
        self._base_width = base_width
        super().__init__(**kwargs)

    def _block_arguments(self, channels: int) -> Dict[str, Any]:
        if self._groups == 1:
            return {}
        return {"groups": self._groups, "width": channels * self._base_width // self.base_channels * self._groups}
