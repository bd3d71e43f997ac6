"""The Mix Transformer encoder of SegFormer (Xie et al., arXiv 2105.15203)."""

import math
from typing import Any, Mapping, Optional, Sequence, Tuple

import torch
import torch.nn as nn

from mmseg import torch_compat
from mmseg.errors import ConfigError
from mmseg.models.builder import BACKBONES
from mmseg.models.layers import BaseModule, build_activation_layer, build_norm_layer
from mmseg.models.layers.base_module import InitCfg
from mmseg.models.layers.drop_path import DropPath, drop_path_rates
from mmseg.models.layers.initialization import constant_init, normal_init, trunc_normal_init

Size = Tuple[int, int]


def _to_map(tokens: torch.Tensor, size: Size) -> torch.Tensor:
    """Tokens (B, H * W, C) to a feature map (B, C, H, W)."""
    return tokens.transpose(1, 2).reshape(tokens.shape[0], -1, *size)


def _to_tokens(features: torch.Tensor) -> torch.Tensor:
    """A feature map (B, C, H, W) to tokens (B, H * W, C)."""
    return features.flatten(2).transpose(1, 2)


class OverlapPatchEmbed(nn.Module):
    """Overlapping patches of a feature map as tokens (section 3.1, "overlapped patch merging")."""

    def __init__(
        self, in_channels: int, embed_dims: int, patch_size: int, stride: int, norm_cfg: Mapping[str, Any]
    ) -> None:
        super().__init__()
        self.projection = nn.Conv2d(in_channels, embed_dims, patch_size, stride, padding=patch_size // 2)
        self.norm = build_norm_layer(norm_cfg, embed_dims)[1]

    def forward(self, x: torch.Tensor) -> Tuple[torch.Tensor, Size]:
        """(B, in_channels, H, W) to tokens (B, h * w, embed_dims) and (h, w)."""
        x = self.projection(x)
        return self.norm(_to_tokens(x)), (x.shape[2], x.shape[3])


class EfficientSelfAttention(nn.Module):
    """Self-attention whose keys and values are of the feature map shrunk by `sr_ratio` (equation 2)."""

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        *,
        sr_ratio: int,
        qkv_bias: bool,
        attn_drop_rate: float,
        drop_rate: float,
        norm_cfg: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(embed_dims, num_heads, dropout=attn_drop_rate, bias=qkv_bias)
        self.proj_drop = nn.Dropout(drop_rate)
        self.sr_ratio = sr_ratio
        if sr_ratio > 1:
            self.sr = nn.Conv2d(embed_dims, embed_dims, sr_ratio, sr_ratio)
            self.norm = build_norm_layer(norm_cfg, embed_dims)[1]

    def forward(self, x: torch.Tensor, size: Size) -> torch.Tensor:
        """Tokens (B, H * W, C) of a map of `size` (H, W) to the same shape."""
        context = x if self.sr_ratio == 1 else self.norm(_to_tokens(self.sr(_to_map(x, size))))
        # The layer of torch 1.8 takes the tokens first and the batch second only.
        query, context = x.transpose(0, 1), context.transpose(0, 1)
        attended = self.attn(query, context, context, need_weights=False)[0]
        return self.proj_drop(attended.transpose(0, 1))


class MixFFN(nn.Module):
    """A feed-forward network with a 3 x 3 depthwise convolution, from which the tokens know where they are (eq. 3)."""

    def __init__(self, embed_dims: int, hidden_dims: int, *, drop_rate: float, act_cfg: Mapping[str, Any]) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(embed_dims, hidden_dims, 1),
            nn.Conv2d(hidden_dims, hidden_dims, 3, padding=1, groups=hidden_dims),
            build_activation_layer(act_cfg),
            nn.Dropout(drop_rate),
            nn.Conv2d(hidden_dims, embed_dims, 1),
            nn.Dropout(drop_rate),
        )

    def forward(self, x: torch.Tensor, size: Size) -> torch.Tensor:
        """Tokens (B, H * W, C) of a map of `size` (H, W) to the same shape."""
        return _to_tokens(self.layers(_to_map(x, size)))


class TransformerEncoderLayer(nn.Module):
    """Attention, then the feed-forward network, each normalised before and added to its input."""

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        *,
        mlp_ratio: float,
        drop_path_rate: float,
        drop_rate: float,
        attn_drop_rate: float,
        sr_ratio: int,
        qkv_bias: bool,
        act_cfg: Mapping[str, Any],
        norm_cfg: Mapping[str, Any],
        with_cp: bool,
    ) -> None:
        super().__init__()
        self.with_cp = with_cp
        self.norm1 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.attn = EfficientSelfAttention(
            embed_dims,
            num_heads,
            sr_ratio=sr_ratio,
            qkv_bias=qkv_bias,
            attn_drop_rate=attn_drop_rate,
            drop_rate=drop_rate,
            norm_cfg=norm_cfg,
        )
        self.norm2 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.ffn = MixFFN(embed_dims, int(mlp_ratio * embed_dims), drop_rate=drop_rate, act_cfg=act_cfg)
        self.drop_path = DropPath(drop_path_rate)

    def forward(self, x: torch.Tensor, size: Size) -> torch.Tensor:
        """Tokens (B, H * W, C) of a map of `size` (H, W) to the same shape."""

        def encode(tokens: torch.Tensor) -> torch.Tensor:
            tokens = tokens + self.drop_path(self.attn(self.norm1(tokens), size))
            return tokens + self.drop_path(self.ffn(self.norm2(tokens), size))

        if self.with_cp and x.requires_grad:
            return torch_compat.checkpoint_activations(encode, x)
        return encode(x)


@BACKBONES.register_module()
class MixVisionTransformer(BaseModule):
    """A pyramid of transformer stages without position encodings, so that the image may have any size.

    Args:
        in_channels: channels of the image.
        embed_dims: channels per attention head; a stage has `embed_dims * num_heads[i]` channels.
        num_stages: number of stages.
        num_layers, num_heads, patch_sizes, strides, sr_ratios: one entry for each stage: its encoder layers, attention
            heads, size and stride of its patches in pixels of its input, and by how much keys and values are shrunk.
        out_indices: which stages' outputs.
        mlp_ratio: hidden channels of a feed-forward network per input channel.
        qkv_bias: whether the linear maps of the attention have biases.
        drop_rate: dropout after attention and in the feed-forward networks.
        attn_drop_rate: dropout of the attention weights.
        drop_path_rate: stochastic depth of the last layer; it rises evenly from 0 at the first.
        act_cfg, norm_cfg: types of the layers.
        pretrained: address of the weights; the same as `init_cfg=dict(type='Pretrained', checkpoint=...)`.
        init_cfg: initial weights over those of the paper.
        with_cp: compute activations again in the backward pass instead of keeping them.

    Raises:
        ConfigError: the arguments do not fit one another.
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        embed_dims: int = 64,
        num_stages: int = 4,
        num_layers: Sequence[int] = (3, 4, 6, 3),
        num_heads: Sequence[int] = (1, 2, 4, 8),
        patch_sizes: Sequence[int] = (7, 3, 3, 3),
        strides: Sequence[int] = (4, 2, 2, 2),
        sr_ratios: Sequence[int] = (8, 4, 2, 1),
        out_indices: Sequence[int] = (0, 1, 2, 3),
        mlp_ratio: float = 4,
        qkv_bias: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        act_cfg: Mapping[str, Any] = {"type": "GELU"},
        norm_cfg: Mapping[str, Any] = {"type": "LN", "eps": 1e-6},
        pretrained: Optional[str] = None,
        init_cfg: InitCfg = None,
        with_cp: bool = False,
    ) -> None:
        if pretrained is not None:
            if init_cfg is not None:
                raise ConfigError("MixVisionTransformer: pretrained and init_cfg cannot both be set")
            init_cfg = {"type": "Pretrained", "checkpoint": pretrained}
        super().__init__(init_cfg)
        for name, value in (
            ("num_layers", num_layers),
            ("num_heads", num_heads),
            ("patch_sizes", patch_sizes),
            ("strides", strides),
            ("sr_ratios", sr_ratios),
        ):
            if len(value) != num_stages:
                raise ConfigError(f"MixVisionTransformer: {name} has {num_stages} entries (num_stages), not {value!r}")
        if not out_indices or any(index not in range(num_stages) for index in out_indices):
            raise ConfigError(
                f"MixVisionTransformer: out_indices are of 0 to {num_stages - 1} (num_stages - 1), not {out_indices!r}"
            )
        self.out_indices = tuple(out_indices)
        rates = iter(drop_path_rates(drop_path_rate, sum(num_layers)))
        self.layers = nn.ModuleList()
        for depth, heads, patch_size, stride, sr_ratio in zip(num_layers, num_heads, patch_sizes, strides, sr_ratios):
            channels = embed_dims * heads
            encoders = [
                TransformerEncoderLayer(
                    channels,
                    heads,
                    mlp_ratio=mlp_ratio,
                    drop_path_rate=next(rates),
                    drop_rate=drop_rate,
                    attn_drop_rate=attn_drop_rate,
                    sr_ratio=sr_ratio,
                    qkv_bias=qkv_bias,
                    act_cfg=act_cfg,
                    norm_cfg=norm_cfg,
                    with_cp=with_cp,
                )
                for _ in range(depth)
            ]
            embed = OverlapPatchEmbed(in_channels, channels, patch_size, stride, norm_cfg)
            norm = build_norm_layer(norm_cfg, channels)[1]
            self.layers.append(nn.ModuleList([embed, nn.ModuleList(encoders), norm]))
            in_channels = channels

    def init_weights(self) -> None:
        """As published: truncated normal linear layers, convolutions normal over their fan-out per group."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                trunc_normal_init(module, std=0.02)
            elif isinstance(module, nn.LayerNorm):
                constant_init(module, 1)
            elif isinstance(module, nn.Conv2d):
                fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
                normal_init(module, std=math.sqrt(2.0 / fan_out))
        super().init_weights()

    def forward(self, image: torch.Tensor) -> Tuple[torch.Tensor, ...]:
        """Image (B, in_channels, H, W) to the maps (B, C_i, H_i, W_i) of the stages in `out_indices`.

        As published they are at 1/4, 1/8, 1/16 and 1/32 of the image's size, rounded up.
        """
        outputs = []
        x = image
        for index, (embed, encoders, norm) in enumerate(self.layers):
            tokens, size = embed(x)
            for encoder in encoders:
                tokens = encoder(tokens, size)
            x = _to_map(norm(tokens), size)
            if index in self.out_indices:
                outputs.append(x)
        return tuple(outputs)
