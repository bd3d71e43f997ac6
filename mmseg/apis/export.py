"""A model as a file that other programs run: ONNX and TorchScript.

What is exported is the network in one pass (`whole`) for images of one size: tracing writes down the sizes of all
feature maps, so that a resize or a pooling becomes a plain operation that every runtime has.
"""

import contextlib
import copy
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator, List, Optional, Tuple, Union

import numpy as np
import torch
from torch import nn

from mmseg.errors import ConfigError, MMSegError
from mmseg.models import EncoderDecoder
from mmseg.torch_compat import ONNX_OPSET
from mmseg.torch_compat import export_onnx as write_onnx

PathLike = Union[str, "os.PathLike[str]"]
Size = Tuple[int, int]

INPUT = "image"
LOGITS, CLASSES = "logits", "classes"


@dataclass(frozen=True)
class Agreement:
    """How an exported model and the original one compare on the same image.

    difference: ‖exported − original‖ / ‖original‖ of the logits; None where class maps are exported.
    same_classes: share of the pixels whose class is the same.
    """

    difference: Optional[float]
    same_classes: float


class ExportModule(nn.Module):
    """What is exported: image (1, 3, H, W), already normalised, float32, to logits (1, C, H, W) or, as `output`
    says, to classes (1, H, W) of int64. A copy of the model on the CPU, in eval mode, in which the layers that a
    runtime may lack are replaced by equal ones."""

    def __init__(self, model: EncoderDecoder, output: str = LOGITS) -> None:
        super().__init__()
        if output not in (LOGITS, CLASSES):
            raise ConfigError(f"a model's output is exported as {LOGITS!r} or {CLASSES!r}, not {output!r}")
        model = copy.deepcopy(model).cpu().float().to(memory_format=torch.contiguous_format)
        for parent in list(model.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, nn.AdaptiveAvgPool2d) and child.output_size not in (1, (1, 1)):
                    setattr(parent, name, FixedAdaptiveAvgPool2d(child.output_size))
                elif isinstance(child, nn.AvgPool2d) and ConvAvgPool2d.can_replace(child):
                    setattr(parent, name, ConvAvgPool2d(child))
        self.model = model
        self.output = output
        self.eval()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logits = self.model(image)
        return logits if self.output == LOGITS else self.model.class_map(logits)


class FixedAdaptiveAvgPool2d(nn.Module):
    """`nn.AdaptiveAvgPool2d` for inputs of one size, as products with two matrices of averages.

    ONNX has no adaptive pooling; a plain one takes its place only where the input's size is a multiple of the
    output's.
    """

    def __init__(self, output_size: Union[int, Tuple[Optional[int], Optional[int]], None]) -> None:
        super().__init__()
        self.output_size = output_size if isinstance(output_size, (list, tuple)) else (output_size, output_size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, C, *output_size)."""
        height, width = (int(side) for side in x.shape[2:])
        rows = _averages(height, self.output_size[0] or height).to(x)
        columns = _averages(width, self.output_size[1] or width).to(x)
        return torch.matmul(torch.matmul(rows, x), columns.t())


class ConvAvgPool2d(nn.Module):
    """`nn.AvgPool2d` that counts its padding, as a convolution of every channel by itself.

    Older versions of torch write a padding and a pooling for it, which onnxruntime (seen with 1.19) fuses into a
    pooling that does not count the padding.
    """

    def __init__(self, pool: nn.AvgPool2d) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.padding = (
            tuple(value) if isinstance(value, (list, tuple)) else (value, value)
            for value in (pool.kernel_size, pool.stride, pool.padding)
        )

    @staticmethod
    def can_replace(pool: nn.AvgPool2d) -> bool:
        """Whether the pooling pads, counts its padding, and does nothing else out of the ordinary."""
        plain = pool.count_include_pad and not pool.ceil_mode and pool.divisor_override is None
        return plain and pool.padding not in (0, (0, 0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, C, h, w)."""
        channels = int(x.shape[1])
        share = 1 / (self.kernel_size[0] * self.kernel_size[1])
        weight = torch.full((channels, 1, *self.kernel_size), share, dtype=x.dtype)
        return nn.functional.conv2d(x, weight, None, self.stride, self.padding, 1, channels)


def _averages(size: int, bins: int) -> torch.Tensor:
    """(bins, size): row i averages the entries from floor(i · size / bins) up to ceil((i + 1) · size / bins)."""
    matrix = np.zeros((bins, size), np.float32)
    for index in range(bins):
        first, end = index * size // bins, -(-(index + 1) * size // bins)
        matrix[index, first:end] = 1 / (end - first)
    return torch.from_numpy(matrix)


def export_onnx(
    model: EncoderDecoder, path: PathLike, *, size: Size, output: str = LOGITS, opset: int = ONNX_OPSET
) -> None:
    """Write a model to an ONNX file with the input `image` and one output, called as `output` says.

    Args:
        model: as `init_segmentor` gives it.
        path: the file; its folder exists.
        size: (width, height) of the images in pixels.
        output: 'logits' or 'classes', see `ExportModule`.
        opset: version of ONNX's operators.

    Raises:
        ConfigError: the network has an operation that this opset lacks, or does not work at this size; or torch needs
            the package onnx, which is not installed.
    """
    module = ExportModule(model, output)
    with _exporting(f"ONNX with opset {opset}", size):
        _replace(
            path,
            lambda beside: write_onnx(module, _blank(size), beside, opset=opset, input_name=INPUT, output_name=output),
        )


def export_torchscript(model: EncoderDecoder, path: PathLike, *, size: Size, output: str = LOGITS) -> None:
    """Write a model to a TorchScript file, for `torch.jit.load` in Python or C++. Arguments as for `export_onnx`.

    Raises:
        ConfigError: the network cannot be traced, or does not work at this size.
    """
    module = ExportModule(model, output)
    with _exporting("TorchScript", size):
        traced = torch.jit.trace(module, _blank(size))
        _replace(path, lambda beside: torch.jit.save(traced, beside))


def check_onnx(model: EncoderDecoder, path: PathLike, *, size: Size, output: str = LOGITS, seed: int = 0) -> Agreement:
    """Run an exported file by onnxruntime and compare it with the model, on an image of noise.

    Raises:
        MMSegError: onnxruntime is not installed, or refuses the file.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MMSegError(
            "onnxruntime is not installed, so an ONNX file cannot be checked: pip install onnxruntime"
        ) from (error)
    image = _noise(size, seed)
    try:
        session = onnxruntime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
        (result,) = session.run([output], {INPUT: image.numpy()})
    except Exception as error:  # onnxruntime's own exceptions have no base but this
        raise MMSegError(f"onnxruntime cannot run {os.fspath(path)}: {error}") from error
    return _agreement(model, image, torch.from_numpy(result), output)


def check_torchscript(
    model: EncoderDecoder, path: PathLike, *, size: Size, output: str = LOGITS, seed: int = 0
) -> Agreement:
    """Load an exported file and compare it with the model, on an image of noise.

    Raises:
        MMSegError: torch refuses the file.
    """
    image = _noise(size, seed)
    try:
        with torch.no_grad():
            result = torch.jit.load(os.fspath(path), map_location="cpu")(image)
    except RuntimeError as error:
        raise MMSegError(f"torch cannot run {os.fspath(path)}: {error}") from error
    return _agreement(model, image, result, output)


def _agreement(model: EncoderDecoder, image: torch.Tensor, result: torch.Tensor, output: str) -> Agreement:
    """Compare with the model itself, not with the copy that was exported."""
    was_training, device = model.training, next(model.parameters()).device
    model.eval()
    try:
        with torch.no_grad():
            logits = model(image.to(device)).float().cpu()
            classes = model.class_map(logits)
            if output == CLASSES:
                return Agreement(None, float((result == classes).double().mean()))
            difference = float((result - logits).norm() / logits.norm())
            return Agreement(difference, float((model.class_map(result) == classes).double().mean()))
    finally:
        model.train(was_training)


def _blank(size: Size) -> torch.Tensor:
    width, height = size
    return torch.zeros(1, 3, height, width)


def _noise(size: Size, seed: int) -> torch.Tensor:
    width, height = size
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((1, 3, height, width)).astype(np.float32))


@contextlib.contextmanager
def _exporting(what: str, size: Size) -> Iterator[None]:
    """Trace without gradients and without the warnings that sizes become constants, which is what is wanted."""
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    except (RuntimeError, ValueError) as error:
        lines: List[str] = str(error).strip().splitlines() or [type(error).__name__]
        if "onnx is not installed" in lines[0]:
            lines[0] = "torch needs the package onnx, which is not installed: pip install onnx"
        raise ConfigError(
            f"the model cannot be exported to {what} for images of {size[0]}x{size[1]}: {lines[0]}"
        ) from (error)


def _replace(path: PathLike, write: Callable[[str], None]) -> None:
    """Write a file beside its place, then put it there: whole, or not at all."""
    beside = Path(f"{os.fspath(path)}.{os.getpid()}.tmp")
    try:
        with open(beside, "wb"):  # torch reports a folder that is missing in words of its own
            pass
        write(str(beside))
        os.replace(beside, path)
    finally:
        if beside.exists():
            beside.unlink()
